//! `TokenRequest`: a token for a `ServiceAccount`, bound to a pod.

use std::{fmt, ops::RangeInclusive, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    clock::{after, spelled},
    random,
};

use super::{
    fault::Fault,
    keys::Signer,
    kind::{Key, Kind},
    object::Object,
    refusal::Refusal,
    store::Store,
};

const GROUP: &str = "authentication.k8s.io";
const KIND: &str = "TokenRequest";

/// The lengths that the API server grants, in seconds.
const LENGTHS: RangeInclusive<i64> = 600..=1 << 32;

/// What is asked for.
#[derive(Debug, Deserialize)]
struct TokenRequest {
    #[serde(default)]
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    audiences: Vec<String>,
    expiration_seconds: Option<i64>,
    bound_object_ref: Option<BoundObject>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BoundObject {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    uid: String,
}

/// Gives out tokens.
pub(super) struct Mint<'a> {
    pub(super) store: &'a Store,
    pub(super) signer: &'a Signer,
    pub(super) issuer: &'a str,
    /// Nothing is granted for longer.
    pub(super) longest: Option<Duration>,
    pub(super) now: Timestamp,
}

impl Mint<'_> {
    /// Answers a request for a token of the `ServiceAccount` that `key` names.
    pub(super) fn answer(&self, key: &Key, body: &[u8]) -> Result<Value, Refusal> {
        let account = self.find(Kind::ServiceAccount, key)?;
        let body = read(body)?;
        let request = TokenRequest::deserialize(&body).map_err(|error| unreadable(&error))?;
        let asked = request.spec.expiration_seconds.unwrap_or(3600);
        if !LENGTHS.contains(&asked) {
            return Err(wrong_length(asked));
        }
        let bound = request.spec.bound_object_ref.as_ref();
        let pod = bound.map(|bound| self.bound(key, bound)).transpose()?;
        let audiences = match request.spec.audiences {
            audiences if audiences.is_empty() => vec![self.issuer.to_owned()],
            audiences => audiences,
        };
        let length = self.length(asked);
        let claims = self.claims(&account, pod.as_deref(), &audiences, length);
        let mut answer = body;
        answer["kind"] = KIND.into();
        answer["apiVersion"] = format!("{GROUP}/v1").into();
        answer["metadata"] = json!({
            "name": key.name,
            "namespace": key.namespace,
            "creationTimestamp": spelled(self.now),
        });
        answer["spec"]["audiences"] = audiences.into();
        answer["spec"]["expirationSeconds"] = length.as_secs().into();
        answer["status"] = json!({
            "token": self.signer.sign(&claims),
            "expirationTimestamp": spelled(after(self.now, length)),
        });
        Ok(answer)
    }

    fn find(&self, kind: Kind, key: &Key) -> Result<Arc<Object>, Refusal> {
        let found = self.store.get(kind, key);
        found.ok_or_else(|| Refusal::not_found(kind, &key.name))
    }

    /// The pod that the token shall be bound to.
    fn bound(&self, account: &Key, bound: &BoundObject) -> Result<Arc<Object>, Refusal> {
        let name = &account.name;
        if (bound.kind.as_str(), bound.api_version.as_str()) != ("Pod", "v1") {
            let group = match bound.api_version.as_str() {
                version if version.contains('/') => version.to_owned(),
                version => format!("/{version}"),
            };
            return Err(Refusal::bad_request(format!(
                "cannot bind token to object of type {group}, Kind={}",
                bound.kind
            )));
        }
        let pod = self.find(Kind::Pod, &Key::new(&account.namespace, &bound.name))?;
        if account_of(&pod) != name {
            return Err(Refusal::bad_request(format!(
                "cannot bind token for serviceaccount \"{name}\" to pod running with different serviceaccount name."
            )));
        }
        if !bound.uid.is_empty() && bound.uid != uid(&pod) {
            let why = format!(
                "the UID in the bound object reference ({}) does not match the UID in record. \
                 The object might have been deleted and then recreated",
                bound.uid
            );
            return Err(Refusal::conflict("Pod", &bound.name, &why));
        }
        Ok(pod)
    }

    fn length(&self, asked: i64) -> Duration {
        let asked = Duration::from_secs(asked.unsigned_abs());
        self.longest.map_or(asked, |longest| asked.min(longest))
    }

    fn claims(
        &self,
        account: &Object,
        pod: Option<&Object>,
        audiences: &[String],
        length: Duration,
    ) -> Value {
        let Key { namespace, name } = &account.key;
        let start = self.now.as_second();
        let mut about = json!({
            "namespace": namespace,
            "serviceaccount": {"name": name, "uid": uid(account)},
        });
        if let Some(pod) = pod {
            about["pod"] = json!({"name": pod.key.name, "uid": uid(pod)});
            let node = pod.text(&["spec", "nodeName"]);
            if !node.is_empty() {
                about["node"] = json!({"name": node, "uid": node_uid(node)});
            }
        }
        json!({
            "aud": audiences,
            "exp": after(self.now, length).as_second(),
            "iat": start,
            "nbf": start,
            "iss": self.issuer,
            "jti": random::request_id(),
            "kubernetes.io": about,
            "sub": format!("system:serviceaccount:{namespace}:{name}"),
        })
    }
}

/// The request, which is an object, and so is what stands in it.
fn read(body: &[u8]) -> Result<Value, Refusal> {
    let body: Value = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let spec = body.get("spec");
    if body.is_object() && spec.is_none_or(Value::is_object) {
        return Ok(body);
    }
    Err(unreadable(&"it is no TokenRequest"))
}

fn unreadable(why: &dyn fmt::Display) -> Refusal {
    Refusal::bad_request(format!("the object provided is unrecognized: {why}"))
}

fn wrong_length(asked: i64) -> Refusal {
    let what = if asked < *LENGTHS.start() {
        "may not specify a duration less than 10 minutes"
    } else {
        "may not specify a duration larger than 2^32 seconds"
    };
    let fault = Fault::invalid("spec.expirationSeconds", &asked.into(), what);
    Refusal::invalid(GROUP, KIND, "", &[fault])
}

fn uid(object: &Object) -> &str {
    object.text(&["metadata", "uid"])
}

/// Admission gives every pod an account; pods of tests may have none.
fn account_of(pod: &Object) -> &str {
    match pod.text(&["spec", "serviceAccountName"]) {
        "" => "default",
        name => name,
    }
}

/// Nodes are not kept. Each has the same identifier whenever it is asked for.
fn node_uid(name: &str) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};

    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    format!("00000000-0000-4000-8000-{:012x}", hasher.finish() >> 16)
}
