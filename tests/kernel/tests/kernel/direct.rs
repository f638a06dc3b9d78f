//! Connections to the proxy's own address, as the sidecar of a service mesh makes them on behalf of its pod.

use bpf2iam_support::{Pod, pod::Spec, stage::Stage};

use crate::scene::{
    NODE_KEYS, PATIENCE, assert_role, attempt, firewall, host_pod, leaks, pod, proxy, stage, start,
    wait_for_record,
};

/// Where the sidecar listens, and the user by whom its own connections are known.
const RELAY: [&str; 5] = ["relay", "--port", "15001", "--uid", "1337"];
/// As a mesh sets up its pods: what an application sends goes to the sidecar, and what that sends goes out.
const CAPTURE: &str = "table ip mesh {
  chain out {
    type nat hook output priority -100
    meta skuid != 1337 ip protocol tcp redirect to :15001
  }
}";

/// A pod with a sidecar.
fn meshed(stage: &Stage) -> Pod {
    let spec = Spec::new("shop", "cart").container("mesh");
    let spec = spec.annotation("iam.amazonaws.com/role", "cart");
    stage.add_pod(spec).unwrap()
}

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
    let pod = meshed(&stage);
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

#[test]
fn an_application_whose_connects_a_sidecar_captures_has_its_pods_role_by_the_sidecar() {
    let Some(stage) = stage() else { return };
    let pod = meshed(&stage);
    let agent = start(&stage, &[]);
    let sidecar = pod.container("mesh").unwrap();
    let relay = stage.client().start(&sidecar, &RELAY).unwrap();
    relay
        .wait_for_line(|line| line == "relaying", PATIENCE)
        .unwrap();
    firewall(&stage, &pod, CAPTURE);
    let app = pod.container("app").unwrap();
    let report = attempt(&stage, &app, &["connect"]);
    assert_role(&report, "cart");
    // The application has not noticed: it sees the address that it asked for.
    assert_eq!(report.peer, "169.254.169.254:80".parse().ok(), "{report:?}");
    relay
        .wait_for_line(|line| line.starts_with("relayed: Ok("), PATIENCE)
        .unwrap();
    let id = &pod.containers()[1].id;
    let record = wait_for_record(agent.process(), "request", |_| true);
    assert_eq!(record["container"], id.as_str(), "{record}");
    assert_eq!(agent.kernel_counter("redirected").unwrap(), 1);
    assert_eq!(agent.kernel_counter("direct").unwrap(), 1);
    assert!(!leaks(&attempt(&stage, &app, &["get", NODE_KEYS])));
}
