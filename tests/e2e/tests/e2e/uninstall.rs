//! The other ways in which the agent is taken from a cluster, and what an operator does where that went wrong.

use anyhow::Result;
use bpf2iam_e2e::{
    Site, image,
    install::AGENT,
    pod::{IDLE, LIST, WHOAMI, assert_role},
    wait,
};
use serde_json::Value;

/// The role of the node, as the metadata service names it.
const NODE_ROLE: &str = "node-role";
/// Where the agent keeps what outlives it.
const PINS: &str = "/sys/fs/bpf/bpf2iam";

/// Whether there is nothing of the agent on the node any more.
fn is_clean(site: &Site) -> bool {
    site.node(&["test", "!", "-e", PINS]).is_ok()
}

fn ask(site: &Site, pod: &Value) -> Result<String> {
    site.exec(pod, "main", &["curl", "-s", "-m", "5", LIST])
}

#[test]
fn where_its_namespace_is_deleted_it_takes_everything_with_it() {
    let Some(site) = Site::find_or_skip("namespace") else {
        return;
    };
    let pod = site.pod_with_role("cart", IDLE);
    site.start(&pod).unwrap();
    assert_eq!(ask(&site, &pod).unwrap(), "cart");
    let deleted = site.cluster.kubectl(&["delete", "namespace", AGENT]);
    let (clean, after) = (is_clean(&site), ask(&site, &pod));
    site.install(&[]).unwrap();
    deleted.unwrap();
    assert!(clean);
    assert_eq!(after.unwrap(), NODE_ROLE);
    assert_role(&site.exec(&pod, "main", &[WHOAMI]).unwrap(), "cart");
}

#[test]
fn what_an_uninstall_has_left_is_removed_from_a_debug_pod() {
    let Some(site) = Site::bare_or_skip("debugged") else {
        return;
    };
    let pod = site.pod_with_role("cart", IDLE);
    site.start(&pod).unwrap();
    // It does not know its DaemonSet, and so not that it is not to come again.
    site.install(&["extraArgs={--daemon-set=bpf2iam/other}"])
        .unwrap();
    site.uninstall().unwrap();
    let (clean, refused) = (is_clean(&site), ask(&site, &pod).is_err());
    let removed = debug(&site);
    let after = ask(&site, &pod);
    let clean_after = is_clean(&site);
    site.install(&[]).unwrap();
    assert!(!clean && refused);
    removed.unwrap();
    assert!(clean_after);
    assert_eq!(after.unwrap(), NODE_ROLE);
}

/// As docs/troubleshooting.md says it.
fn debug(site: &Site) -> Result<()> {
    let image = format!("--image={}:{}", image::AGENT, image::VERSION);
    let command = [
        "bpf2iam",
        "uninstall",
        "--pin-dir=/host/sys/fs/bpf/bpf2iam",
        "--cgroup-root=/host/run/cgroup2",
        "--runtime-dir=/host/run/bpf2iam",
    ];
    let debug = [
        "-n",
        &site.namespace,
        "debug",
        "node/node1",
        "--profile=sysadmin",
        &image,
        "--",
    ];
    site.cluster.kubectl(&[&debug[..], &command].concat())?;
    wait::until("the end of the uninstall", || {
        let pods = site
            .cluster
            .get(&["pods", "--namespace", &site.namespace])?;
        let pods = pods["items"].as_array().cloned().unwrap_or_default();
        let phases = pods.iter().map(|pod| &pod["status"]["phase"]);
        let ended = |phase: &Value| phase == "Succeeded" || phase == "Failed";
        Ok(if phases.clone().any(ended) {
            Ok(())
        } else {
            Err(format!("{:?}", phases.collect::<Vec<_>>()))
        })
    })
}
