//! Pods that IRSA's webhook has changed already. They do the exchange themselves, and need nothing of us but what every
//! pod of their ServiceAccount is answered.

use serde_json::{Value, json};

use crate::{
    client::{INFO, ROLES},
    pod::{NAMESPACE, Pod},
    world::BASE_ARN,
};

use super::{cluster, said, with};

const PLAIN: Pod = Pod::new(1);
const CHANGED: Pod = Pod::new(2);
const SUBJECT: &str = "system:serviceaccount:shop:till";

fn of_account(pod: Pod) -> Value {
    let manifest = pod.manifest(None);
    with(manifest, "/spec/serviceAccountName", "till".into())
}

/// As the webhook leaves a pod behind.
fn changed(pod: Pod) -> Value {
    let directory = "/var/run/secrets/eks.amazonaws.com/serviceaccount";
    let env = json!([
        {"name": "AWS_STS_REGIONAL_ENDPOINTS", "value": "regional"},
        {"name": "AWS_DEFAULT_REGION", "value": "eu-west-1"},
        {"name": "AWS_REGION", "value": "eu-west-1"},
        {"name": "AWS_ROLE_ARN", "value": format!("{BASE_ARN}a-role")},
        {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": format!("{directory}/token")},
    ]);
    let token = json!({
        "audience": "sts.amazonaws.com",
        "expirationSeconds": 86400,
        "path": "token",
    });
    let volume = json!({
        "name": "aws-iam-token",
        "projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": token}]},
    });
    let mount = json!({"mountPath": directory, "name": "aws-iam-token", "readOnly": true});
    let manifest = with(of_account(pod), "/spec/volumes", json!([volume]));
    let manifest = with(manifest, "/spec/containers/0/volumeMounts", json!([mount]));
    with(manifest, "/spec/containers/0/env", env)
}

#[tokio::test]
async fn a_pod_that_the_webhook_has_changed_is_answered_as_every_other() {
    let account = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": "till",
            "namespace": NAMESPACE,
            "annotations": {"eks.amazonaws.com/role-arn": format!("{BASE_ARN}a-role")},
        },
    });
    let setup = cluster([account, of_account(PLAIN), changed(CHANGED)]);
    let setup = setup.arg("--availability-zone=eu-west-1a");
    let world = setup.trust("a-role", SUBJECT).start().await;
    for pod in [PLAIN, CHANGED] {
        let token = world.client(pod).token().await;
        for (path, expected) in [
            (ROLES, "200 a-role"),
            (
                "/latest/meta-data/iam/security-credentials/a-role",
                "200 keys of a-role",
            ),
            (INFO, "200 Success"),
            // Its SDK has them from the environment, and others ask.
            ("/latest/meta-data/placement/region", "200 eu-west-1"),
            (
                "/latest/meta-data/placement/availability-zone",
                "200 eu-west-1a",
            ),
        ] {
            let answer = world.client(pod).get_with(path, &token).await;
            assert_eq!(said(&world, &answer), expected, "{pod:?}: {path}");
            let answer = world.client(pod).get(path).await;
            assert_eq!(said(&world, &answer), expected, "{pod:?}: {path}");
        }
    }
    let calls = world.sts().calls().entries();
    let web_identity = "AssumeRoleWithWebIdentity";
    assert!(calls.iter().all(|call| call.action == web_identity));
}
