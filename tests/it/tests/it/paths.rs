//! What pods see of the metadata service: the iam tree in every spelling. The rest of it is in `tree`.

use crate::{
    client::{INFO, ROLES},
    pod::Pod,
    world::{Setup, World},
};

const A: Pod = Pod::new(1);

async fn start() -> World {
    Setup::default().pod(A, "a-role").start().await
}

#[tokio::test]
async fn odd_spellings_of_the_list_are_served() {
    let world = start().await;
    for target in [
        "/latest/meta-data/iam/security-credentials",
        "/latest/meta-data/iam/security-credentials/",
        "//latest/meta-data/iam/security-credentials/",
        "/latest//meta-data///iam/security-credentials//",
        "/latest/./meta-data/iam/security-credentials/.",
        "/latest/meta-data/../meta-data/iam/security-credentials",
        "/latest/meta-data/%69am/security%2Dcredentials/",
        "/latest/meta-data/iam/security-credentials/?recursive=true",
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
        "/2021-03-23/meta-data/iam/security-credentials/",
        "/1.0/meta-data/iam/security-credentials",
    ] {
        let answer = world.client(A).get(target).await;
        assert_eq!(answer.seen(), (200, "a-role"), "{target}");
        assert_eq!(answer.header("content-length"), "6", "{target}");
        assert_eq!(answer.header("server"), "EC2ws", "{target}");
    }
}

#[tokio::test]
async fn odd_spellings_of_the_credentials_are_served() {
    let world = start().await;
    for name in [
        "a-role",
        "/a-role",
        "a-role/",
        "%61%2Drole",
        "./a-role",
        "x/../a-role",
    ] {
        let answer = world.client(A).get(&format!("{ROLES}{name}")).await;
        assert!(answer.keys().access_key_id.starts_with("ASIA"), "{name}");
    }
}

#[tokio::test]
async fn everything_else_is_not_there() {
    let world = start().await;
    let paths = [
        "/latest/user-data",
        "/latest/user-data/",
        "/latest/meta-data/iam/security-credentials/../../../user-data",
        "/latest/%75ser-data",
        "/latest/meta-data/iam/security-credentials-extended/",
        "/latest/meta-data/iam/security-credentials-extended/a-role",
        "/latest/meta-data/iam/security-credentials/a-role/extra",
        "/latest/meta-data/identity-credentials/ec2/info",
        "/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
        "/latest/dynamic/instance-identity/pkcs7",
        "/latest/meta-data/instance-id",
        "/latest/meta-data/managed-ssh-keys/signer-cert",
        "/latest/meta-data/tags/instance/",
        "/latest/META-DATA/iam/security-credentials/",
        "/2038-01-19/meta-data/iam/security-credentials/",
        "/meta-data/iam/security-credentials/",
        "/latest/meta-data/iam/security-credentials%00/",
        "/latest/meta-data/iam%2fsecurity-credentials/%zz",
        "/metrics",
        "/healthz",
    ];
    for path in paths {
        let answer = world.client(A).get(path).await;
        assert!(answer.is_absent(), "{path}: {answer:?}");
    }
    let refused = world.log.requests(&A.full_name());
    assert_eq!(refused.len(), paths.len());
    let statuses = refused.iter().map(|(_, status, _)| *status);
    assert!(statuses.clone().all(|status| status == 404), "{refused:?}");
    let labels = [("status", "404")];
    let counted = world.metric("imds_requests_total", &labels).await;
    assert_eq!(counted, u64::try_from(paths.len()).unwrap());
}

#[tokio::test]
async fn nothing_can_be_changed() {
    let world = start().await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
        for path in [
            ROLES,
            INFO,
            "/latest/meta-data/iam/security-credentials/a-role",
        ] {
            let answer = world.client(A).request(method, path, "").await;
            assert_eq!(answer.seen(), (405, ""), "{method} {path}");
        }
        let answer = world
            .client(A)
            .request(method, "/latest/user-data", "")
            .await;
        assert!(
            answer.is_absent(),
            "{method}: what is not there is not there for any method"
        );
    }
    assert_eq!(world.refusals("method").await, 18);
}

#[tokio::test]
async fn who_asks_for_the_head_gets_the_head() {
    let world = start().await;
    let answer = world.client(A).request("HEAD", ROLES, "").await;
    assert_eq!(answer.seen(), (200, ""));
    assert_eq!(answer.header("content-length"), "6");
}
