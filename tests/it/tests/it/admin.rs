//! What the agent tells about itself: the admin port and the control socket.

use std::os::unix::fs::PermissionsExt as _;

use bpf2iam::{
    clock::Clock,
    control,
    status::{Keys, Role},
    terminal::Colour,
};
use bpf2iam_standins::sts::{Code, Effect, Fault, Rule};

use crate::{
    client::{INFO, ROLES},
    pod::{NAMESPACE, Pod},
    wait::{soon, until},
    world::{BASE_ARN, Setup, World},
};

const A: Pod = Pod::new(1);
const B: Pod = Pod::new(2);
const C: Pod = Pod::new(3);
const D: Pod = Pod::new(4);

#[tokio::test]
async fn readiness_is_said_when_it_has_come() {
    let mut world = Setup::default().pod(A, "a-role").open().await.unwrap();
    let pending = world.admin("/readyz").await;
    assert_eq!(pending.status, 503);
    assert!(
        pending.body.contains("the programs to be attached"),
        "{pending:?}"
    );
    assert_eq!(world.admin("/healthz").await.status, 200);
    assert_eq!(
        world.status().await.pending,
        ["the programs to be attached"]
    );
    assert!(world.log.records("ready").is_empty());

    world.serve();
    assert_eq!(world.admin("/readyz").await.status, 200);
    assert_eq!(world.status().await.pending, Vec::<String>::new());
    let ready = world.log.wait_for("ready").await;
    let listeners = world.status().await.listeners;
    assert_eq!(ready["listeners"], listeners[0].to_string());
}

#[tokio::test]
async fn a_pod_that_asks_too_early_is_answered_when_the_agent_is_ready() {
    let mut world = Setup::default().pod(A, "a-role").open().await.unwrap();
    let client = world.client(A);
    let connected = client.connect().await.unwrap();
    let asked = tokio::spawn(async move { client.get(ROLES).await });
    soon(world.sts().calls().wait_for(|calls| !calls.is_empty())).await;
    assert!(!asked.is_finished());
    world.serve();
    assert_eq!(asked.await.unwrap().seen(), (200, "a-role"));
    drop(connected);
}

#[tokio::test]
async fn only_what_is_meant_to_be_seen_is_there() {
    let world = Setup::default().start().await;
    for path in [
        "/",
        "/status",
        "/metrics/",
        "/debug/pprof",
        ROLES,
        INFO,
        "/latest/user-data",
    ] {
        assert_eq!(world.admin(path).await.status, 404, "{path}");
    }
    let kind = world
        .admin("/metrics")
        .await
        .header("content-type")
        .to_owned();
    assert_eq!(
        kind,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
}

/// Every route and refusal, good and bad, so that every metric has something to say.
async fn much_happens() -> World {
    let denied = Rule::error(Code::AccessDenied).for_role(format!("{BASE_ARN}denied"));
    let broken = Rule::always(Effect::Fault(Fault::Cut)).for_role(format!("{BASE_ARN}broken"));
    let setup = Setup::default()
        .pod(A, "a-role")
        .pod(B, "denied")
        .pod(C, None)
        .pod(D, "broken");
    let world = setup
        .rule(denied)
        .rule(broken)
        .file("bad.yaml", "kind: [")
        .start()
        .await;
    let token = world.client(A).token().await;
    for pod in [A, B, C, D] {
        for path in [
            ROLES,
            "/latest/meta-data/iam/security-credentials/a-role",
            INFO,
            "/",
        ] {
            world.client(pod).get(path).await;
            world.client(pod).get_with(path, &token).await;
        }
        world.client(pod).request("POST", ROLES, "").await;
        let mut garbage = world.client(pod).connect().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut garbage, b"?\r\n\r\n")
            .await
            .unwrap();
        crate::client::read(garbage).await;
    }
    world.stranger().send("GET / HTTP/1.1\r\n\r\n").await;
    let said = world.said();
    let leaked: Vec<_> = said.iter().filter(|text| text.contains(&token)).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
    world
}

#[tokio::test]
async fn numbers_are_about_no_pod_and_no_role() {
    let world = much_happens().await;
    let page = world.metrics().await; // which reads strictly
    let text = world.admin("/metrics").await.body;
    let key = world.client(A).keys("a-role").await.access_key_id;
    for private in [
        &A.name(),
        NAMESPACE,
        &A.uid(),
        "a-role",
        "arn:",
        "123456789012",
        "AKID",
        "ASIA",
        &key,
        "127.0.1",
        "node-1",
    ] {
        assert!(!text.contains(private), "{private} in\n{text}");
    }
    for sample in &page.samples {
        assert!(sample.name.starts_with("bpf2iam_"), "{sample:?}");
    }
    for (name, labels, number) in [
        ("pods", &[][..], 4),
        ("manifest_errors", &[], 1),
        ("credentials_identities", &[("state", "ready")], 1),
        ("credentials_identities", &[("state", "failed")], 2),
        ("imds_tokens_issued_total", &[], 1),
        (
            "imds_refused_connections_total",
            &[("reason", "no_record")],
            1,
        ),
        (
            "imds_broken_connections_total",
            &[("reason", "malformed")],
            4,
        ),
        ("imds_requests_total", &[("status", "405")], 4),
        ("imds_requests_total", &[("status", "401")], 12),
        ("build_info", &[], 1),
    ] {
        assert_eq!(
            page.sum(&format!("bpf2iam_{name}"), labels),
            number,
            "{name} {labels:?}\n{text}"
        );
    }
    let expiry = page.only("bpf2iam_credentials_first_expiry_seconds");
    assert!((3500.0..=3600.0).contains(&expiry), "{expiry}");
}

#[tokio::test]
async fn the_status_says_how_it_stands_with_each_pod() {
    let world = much_happens().await;
    let broken = async || world.status().await;
    let status = until(broken, |status| {
        let failed = |pod: &&bpf2iam::status::Pod| {
            matches!(
                &pod.role,
                Role::Bound {
                    keys: Keys::Failed { .. },
                    ..
                }
            )
        };
        status.pods.iter().filter(failed).count() == 2
    });
    let status = status.await;
    assert_eq!((status.node.as_str(), status.pods.len()), ("node-1", 4));
    let json: serde_json::Value = serde_json::from_str(&status.to_json().unwrap()).unwrap();
    let expected = [
        (A, "a-role", "ready", ""),
        (
            B,
            "denied",
            "failed",
            "STS refuses arn:aws:iam::123456789012:role/denied: ",
        ),
        (D, "broken", "failed", "its answer has no secret key"),
    ];
    for (pod, role, state, message) in expected {
        let mut pods = json["pods"].as_array().unwrap().iter();
        let said = pods.find(|said| said["name"] == pod.name()).unwrap();
        assert_eq!(said["uid"], pod.uid());
        assert_eq!(said["role"], format!("{BASE_ARN}{role}"));
        assert_eq!(
            (&said["rule"], &said["state"]),
            (&"annotation".into(), &state.into())
        );
        let told = said["message"].as_str().unwrap_or_default();
        assert!(told.contains(message), "{told}");
    }
    assert!(
        json["pods"][2]["reason"]
            .as_str()
            .unwrap()
            .starts_with("nothing names a role"),
        "{json}"
    );
    assert_eq!(json["counters"]["agent"]["imds_tokens_issued"], 1);

    let text = status.to_text(Clock::system().now(), Colour::Off);
    let leaks = world.leaks(vec![text.clone()]);
    assert!(leaks.is_empty(), "{leaks:?}");
    for pod in [A, B, C, D] {
        assert!(text.contains(&pod.name()), "{text}");
    }
}

#[tokio::test]
async fn the_control_socket_is_its_owners_and_goes_with_the_agent() {
    let mut world = Setup::default().start().await;
    let socket = world.runtime_dir().join("control.sock");
    let mode = socket.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
    world.stop().await;
    let error = control::Client::new(&world.runtime_dir()).status().await;
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("no agent answers at "), "{error}");
}

#[tokio::test]
async fn without_an_admin_port_pods_are_served_all_the_same() {
    let setup = Setup::default().pod(A, "a-role").arg("--admin-listen=off");
    let world = setup.start().await;
    assert_eq!(world.client(A).get(ROLES).await.seen(), (200, "a-role"));
    assert!(world.admin_is_closed().await);
    assert_eq!(world.status().await.listeners.len(), 1);
}

#[tokio::test]
async fn an_admin_port_in_use_keeps_no_pod_from_its_keys() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let setup = Setup::default().pod(A, "a-role");
    let world = setup.arg(format!("--admin-listen={address}")).start().await;
    assert_eq!(world.client(A).get(ROLES).await.seen(), (200, "a-role"));
}
