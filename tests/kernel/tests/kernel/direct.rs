//! Connections to the proxy's own address, as the sidecar of a service mesh makes them on behalf of its pod.

use bpf2iam_support::pod::Spec;

use crate::scene::{
    NODE_KEYS, assert_role, attempt, host_pod, leaks, pod, proxy, stage, start, wait_for_record,
};

#[test]
fn who_dials_the_proxy_itself_is_served_as_its_pod() {
    let Some(stage) = stage() else { return };
    let pods = [
        pod(&stage, "cart"),
        pod(&stage, "till"),
        host_pod(&stage, "log"),
    ];
    let agent = start(&stage, &[]);
    let port = agent.port();
    let doors = [
        proxy(&agent),
        format!("[::ffff:10.77.0.1]:{port}"),
        format!("[fd77::1]:{port}"),
    ];
    for pod in &pods {
        for door in &doors {
            let report = attempt(&stage, &pod.place(), &["direct", "--to", door]);
            assert_role(&report, &pod.spec().name);
            assert_eq!(report.peer, door.parse().ok(), "{report:?}");
            let keys = ["direct", "--to", door, "--path", NODE_KEYS];
            assert!(!leaks(&attempt(&stage, &pod.place(), &keys)));
        }
    }
    assert_eq!(agent.kernel_counter("direct").unwrap(), 18);
    assert_eq!(agent.kernel_counter("redirected").unwrap(), 0);
}

#[test]
fn a_sidecar_is_served_as_its_pod_and_known_as_itself() {
    let Some(stage) = stage() else { return };
    let spec = Spec::new("shop", "cart").container("mesh");
    let spec = spec.annotation("iam.amazonaws.com/role", "cart");
    let pod = stage.add_pod(spec).unwrap();
    let agent = start(&stage, &[]);
    let sidecar = pod.container("mesh").unwrap();
    let door = proxy(&agent);
    assert_role(
        &attempt(&stage, &sidecar, &["direct", "--to", &door]),
        "cart",
    );
    let id = &pod.containers()[1].id;
    let record = wait_for_record(agent.process(), "request", |_| true);
    assert_eq!(record["container"], id.as_str(), "{record}");
}
