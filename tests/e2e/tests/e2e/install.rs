//! The agent installed otherwise than by default.

use anyhow::{Result, ensure};
use bpf2iam_e2e::{
    Site, image,
    pod::{WHOAMI, assert_role},
};

/// Where the pods are whose identity the agent leaves alone, its own ones among them.
const HOME: &str = "kube-system";
/// What it says when it cannot reach itself.
const TROUBLE: &str = "a connection of the agent's own, made as a pod makes it, failed";

/// Installs it there, or upgrades it, as an image of this version. Gives what a pod says then.
fn installed_at_home(site: &Site, version: &str) -> Result<String> {
    let name = format!("fullnameOverride={HOME}");
    let tag = format!("image.tag={version}");
    site.install_as(HOME, &[&name, &tag])?;
    site.wait_until_rolled_out(HOME)?;
    let said = site.run(&site.pod_with_role(&format!("cart-{version}"), WHOAMI))?;
    let log = site.log_of(HOME)?;
    ensure!(log.contains("\"ready\""), "no word of an agent: {log}");
    ensure!(!log.contains(TROUBLE), "{log}");
    Ok(said)
}

#[test]
fn an_agent_in_the_namespace_of_the_nodes_own_pods_is_ready_and_is_upgraded() {
    let Some(site) = Site::bare_or_skip("home") else {
        return;
    };
    site.uninstall_if_installed().unwrap();
    let versions = [image::VERSION, image::NEXT_VERSION];
    let said: Result<Vec<_>> = versions
        .iter()
        .map(|version| installed_at_home(&site, version))
        .collect();
    site.uninstall_as(HOME).unwrap();
    for (said, version) in said.unwrap().iter().zip(versions) {
        assert_role(said, &format!("cart-{version}"));
    }
}

#[test]
fn a_privileged_agent_gives_pods_their_roles() {
    let Some(site) = Site::bare_or_skip("privileged") else {
        return;
    };
    site.install(&["privileged=true"]).unwrap();
    let said = site.run(&site.pod_with_role("cart", WHOAMI));
    assert_role(&said.unwrap(), "cart");
}
