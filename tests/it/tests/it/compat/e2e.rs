//! Table L: kube2iam's end-to-end test, and its flags for iptables.

use crate::{
    client::{INFO, ROLES},
    pod::Pod,
    world::Setup,
};

use super::{cluster, told};

const NAMED: Pod = Pod::new(1);
const BARE: Pod = Pod::new(2);

/// What there is in kube2iam's end-to-end test; there is no rule to be present on workers.
#[tokio::test]
async fn table_l_a_pod_sees_what_it_saw_with_kube2iam() {
    let usual = ["--iptables=true", "--host-interface=cali+", "--debug"];
    for (compat, unannotated) in [("none", "404"), ("kube2iam", "200 ")] {
        let pods = [NAMED.manifest(Some("a-role")), BARE.manifest(None)];
        let setup = cluster(pods).args(usual);
        let world = setup.arg(format!("--compat={compat}")).start().await;
        for (case, pod, name, expected) in [
            ("annotated pod, list", NAMED, "", "200 a-role"),
            ("annotated pod, JSON", NAMED, "a-role", "200 keys of a-role"),
            // An empty list is a role without a name to some clients; none at all sends them on to their next source.
            ("unannotated pod", BARE, "", unannotated),
            ("unannotated pod, another's role", BARE, "a-role", "404"),
            // kube2iam: 403.
            ("wrong role", NAMED, "wrong", "404"),
        ] {
            assert_eq!(told(&world, pod, name).await, expected, "{compat}, {case}");
        }
        let token = world.client(NAMED).token().await;
        assert!(token.len() >= 32, "{compat}, PUT token");
        for path in [ROLES, INFO] {
            let answer = world.client(NAMED).get_with(path, &token).await;
            assert_eq!(answer.status, 200, "{compat}, {path}");
        }
    }
}

/// An interface that is not there ends kube2iam. Here none has to be.
#[test]
fn table_l_interfaces_are_taken_and_not_looked_at() {
    for interface in ["bogus0", "lo", "cali+"] {
        let setup = Setup::default().args(["--iptables=true", "--node-ip=10.0.0.1"]);
        let setup = setup.arg(format!("--host-interface={interface}"));
        let warnings = setup.config().unwrap().warnings;
        let said: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        let [rule, pods] = &*said else {
            panic!("{interface}: {said:?}");
        };
        assert!(rule.starts_with("--iptables: no rule is needed"), "{rule}");
        assert!(pods.starts_with("--host-interface: not needed"), "{pods}");
    }
}
