//! The cases of kube2iam's tests, and of kiam's, against the whole agent.
//!
//! Each row is named after its case there. Where our answer is another one, a line beside it says why: EC2 answers so,
//! or it is safer. What `--compat` gives back is a column of its own.
//!
//! kube2iam's tests of ...
//!
//! | Table | Subject | Rows |
//! |---|---|---|
//! | A | base ARNs | agent: `id/role/tests.rs`, `config/roles/tests.rs` |
//! | B | ARNs of roles | agent: `id/role/tests.rs`, `config/roles/tests.rs` |
//! | C | the base ARN that the node tells | agent: `discover/tests.rs` |
//! | D | the annotation and the default role | agent: `pods/binding/tests.rs` |
//! | E | restrictions of namespaces | agent: `pods/restriction/tests.rs` |
//! | F | how these are written | agent: `pods/restriction/tests.rs` |
//! | G | HTTP handlers | `handlers`, here |
//! | H | addresses of peers | none: no text is parsed for one, the kernel says whose a connection is |
//! | I | the proxy | `proxy`, here; tokens of pods that are not the node's own are made by the agent (`tokens`) |
//! | J | STS and the cache | `sessions`, here; regions and endpoints in the agent's `creds/sts/tests/region.rs`; the node's instance id is nobody's business |
//! | K | the index of pods | `index`, here; kubeconfigs in the agent's `kubernetes/connect/tests.rs` |
//! | L | iptables and its end-to-end test | `e2e`, here; no interface is looked at, so none is wrong; the redirection itself is tested in a kernel |
//!
//! kiam's tests of ...
//!
//! | Subject | Rows |
//! |---|---|
//! | role names, policy of pods, sessions' names, unknown pods | `kiam`, here |
//! | policy of namespaces | agent: `pods/restriction/tests.rs` |
//! | instance profiles with a path | agent: `discover/tests.rs` |
//! | regions | agent: `creds/sts/tests/region.rs` |
//! | paths, the proxy and its expression | `proxy`, here |
//!
//! IRSA has no tests of what happens here; that pods of its webhook stay as they are is in `irsa`. What their users
//! reported about security and `IMDSv2` is in `reported`.
//!
//! kube2iam's HTTP surface (section 1.5 of the contract), beside what its tests have:
//!
//! | There | Here |
//! |---|---|
//! | any version, any method | EC2's versions: `tree/spelling`; GET and HEAD: `tokens`, beside this module |
//! | cleaned paths are a 301 | `tree/spelling` |
//! | no annotation and no base ARN: an empty list | `e2e` |
//! | a failure's text, with names of pods, roles and namespaces | none: what is not 200 is empty or EC2's page, `iam`, beside this module |
//! | a panic's text | agent: `imds/server/tests.rs`: it costs one connection, which says nothing |
//! | `/metrics`, `/healthz`, `/debug/store` for pods | `paths`, beside this module, and `handlers` |
//! | local time with a `Z` behind it | `iam`, beside this module |
//! | requests that are cut off at the end | `drain`, beside this module |
//!
//! Where compatibility and safety are two things: pods without a role: `e2e`; the list without its slash: `reported`;
//! namespaces that deny: `handlers`; expressions, and the default role: agent, `pods/restriction/tests.rs`; unknown
//! paths: `proxy`; tokens: `tree/tokens`.

mod e2e;
mod handlers;
mod index;
mod irsa;
mod kiam;
mod proxy;
mod reported;
mod sessions;

use serde_json::{Value, json};

use crate::{
    client::{Answer, ROLES},
    pod::{NAMESPACE, Pod},
    world::{BASE_ARN, Setup, World},
};

/// A role of another account, with a path.
const ABROAD: &str = "arn:aws:iam::999999999999:role/path/other";

/// An API server with these pods, in a namespace that says nothing.
fn cluster(pods: impl IntoIterator<Item = Value>) -> Setup {
    cluster_with(&json!({}), pods)
}

/// The same, in a namespace with these annotations.
fn cluster_with(annotations: &Value, pods: impl IntoIterator<Item = Value>) -> Setup {
    let namespace = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "annotations": annotations},
    });
    let account = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "default", "namespace": NAMESPACE},
    });
    Setup::default().cluster([namespace, account].into_iter().chain(pods))
}

/// `manifest`, where `place` (a JSON pointer) has this value.
fn with(mut manifest: Value, place: &str, value: Value) -> Value {
    let (parent, field) = place.rsplit_once('/').unwrap();
    manifest.pointer_mut(parent).unwrap()[field] = value;
    manifest
}

/// What `pod` is told at the list of roles, or with a name behind it: the status, and what matters of the body.
async fn told(world: &World, pod: Pod, name: &str) -> String {
    let answer = world.client(pod).get(&format!("{ROLES}{name}")).await;
    said(world, &answer)
}

fn said(world: &World, answer: &Answer) -> String {
    match answer.status {
        200 if answer.body.starts_with('{') => format!("200 {}", document(world, answer)),
        200 => format!("200 {}", answer.body),
        404 => {
            assert!(answer.is_absent(), "{answer:?}");
            "404".to_owned()
        }
        status => {
            assert_eq!(answer.body, "", "{status}");
            status.to_string()
        }
    }
}

/// Whose keys they are, by STS's word; or the code, where there are none.
fn document(world: &World, answer: &Answer) -> String {
    let document = answer.json();
    if document.get("AccessKeyId").is_none() {
        return document["Code"].as_str().unwrap().to_owned();
    }
    let issued = world.sts().issued(&answer.keys().access_key_id).unwrap();
    let role = issued.role.strip_prefix(BASE_ARN).unwrap_or(&issued.role);
    format!("keys of {role}")
}
