//! Clients that are in no pod: their connections are closed without an answer, and counted.

use bpf2iam_support::{pod::Spec, stage::Agent};

use crate::scene::{
    NODE_KEYS, assert_closed, assert_role, attempt, beside, pod, proxy, refused_for, stage, start,
    wait_for_record,
};

/// The proxy's addresses.
fn doors(agent: &Agent) -> [String; 2] {
    [proxy(agent), format!("[fd77::1]:{}", agent.port())]
}

#[test]
fn a_process_of_the_node_that_dials_the_proxy_is_closed_out() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let agent = start(&stage, &[]);
    let host = beside(&stage);
    let mut refused = 0;
    // The second comes from the pod's own address: an address proves nothing.
    for place in [host.clone(), host.with_network_of(&cart.place())] {
        for door in doors(&agent) {
            refused += 1;
            assert_closed(&attempt(&stage, &place, &["direct", "--to", &door]));
            assert_eq!(refused_for(&stage, "no_record"), refused, "{place:?}");
        }
    }
    let message = "connections refused since the last such line";
    let warning = wait_for_record(agent.process(), message, |_| true);
    assert_eq!(
        (&warning["level"], &warning["reason"]),
        (&"WARN".into(), &"no_record".into())
    );
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
}

#[test]
fn a_process_below_the_pods_cgroup_that_is_in_no_pod_is_closed_out() {
    let Some(stage) = stage() else { return };
    let _cart = pod(&stage, "cart");
    let agent = start(&stage, &[]);
    let kubepods = stage.node().kubepods();
    let below = |name: &str| {
        let cgroup = kubepods.join(name);
        std::fs::create_dir_all(&cgroup).unwrap();
        stage.node().stray().with_cgroup(cgroup)
    };
    let uid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
    let mut refused = 0;
    for place in [
        stage.node().stray(),
        stage.node().stray().with_cgroup(&kubepods),
        below("burstable"),
        below(&format!("stray/pod{uid}/inner")),
        below(&format!("pod{uid}-2")),
        below(&format!("kubepods-pod{}.slice", uid.replace('-', "_"))),
    ] {
        let [v4, v6] = doors(&agent);
        for args in [
            &["connect", "--path", NODE_KEYS][..],
            &["ipv6", "--path", NODE_KEYS],
            &["direct", "--to", &v4],
            &["direct", "--to", &v6],
        ] {
            refused += 1;
            assert_closed(&attempt(&stage, &place, args));
            assert_eq!(refused_for(&stage, "not_a_pod"), refused, "{place:?}");
        }
    }
}

#[test]
fn a_pod_that_the_agent_does_not_know_gets_no_role() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    // Its cgroup is there, its manifest is not.
    let unknown = stage.node().add_pod(Spec::new("shop", "new")).unwrap();
    let _agent = start(&stage, &["--default-role", "everybody"]);
    let report = attempt(&stage, &unknown.place(), &["connect"]);
    assert_eq!(report.status, Some(503), "{report:?}");
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
}
