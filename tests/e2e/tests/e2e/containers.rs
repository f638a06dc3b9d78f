//! The containers of one pod: those that come before, beside and after the main one.

use bpf2iam_e2e::{
    Site,
    pod::{IDLE, WHOAMI, assert_role, container, names},
    wait,
};
use serde_json::json;

#[test]
fn two_containers_of_a_pod_have_two_roles() {
    let Some(site) = Site::find_or_skip("two") else {
        return;
    };
    let mut pod = site.pod_with_role("cart", WHOAMI);
    pod["metadata"]["annotations"]["container.bpf2iam.io/side"] = json!("side");
    pod["spec"]["containers"] = json!([container("main", WHOAMI), container("side", WHOAMI)]);
    assert_role(&site.run(&pod).unwrap(), "cart");
    assert_role(&site.log(&site.namespace, "cart", "side").unwrap(), "side");
}

#[test]
fn an_init_container_has_the_role_too() {
    let Some(site) = Site::find_or_skip("init") else {
        return;
    };
    let mut pod = site.pod_with_role("cart", "true");
    pod["spec"]["initContainers"] = json!([container("before", WHOAMI)]);
    site.run(&pod).unwrap();
    assert_role(
        &site.log(&site.namespace, "cart", "before").unwrap(),
        "cart",
    );
}

#[test]
fn what_is_executed_or_debugged_in_a_pod_has_its_role() {
    let Some(site) = Site::find_or_skip("exec") else {
        return;
    };
    let pod = site.pod_with_role("cart", IDLE);
    site.start(&pod).unwrap();
    assert_role(&site.exec(&pod, "main", &[WHOAMI]).unwrap(), "cart");
    // As kubectl debug does.
    let (namespace, name) = names(&pod).unwrap();
    let ephemeral = container("debug", WHOAMI);
    let patch = json!({ "spec": { "ephemeralContainers": [ephemeral] } }).to_string();
    let args = [
        "patch",
        "pod",
        name,
        "--namespace",
        namespace,
        "--subresource=ephemeralcontainers",
    ];
    site.cluster
        .kubectl(&[&args[..], &["--patch", &patch]].concat())
        .unwrap();
    let said = wait::until("what the ephemeral container says", || {
        let said = site.log(namespace, name, "debug").unwrap_or_default();
        Ok(if said.is_empty() {
            Err("nothing".to_owned())
        } else {
            Ok(said)
        })
    });
    assert_role(&said.unwrap(), "cart");
}
