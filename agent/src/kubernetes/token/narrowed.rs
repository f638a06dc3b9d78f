//! Whether our right to make tokens is narrowed, as `deploy/manifests/2-web-identity.yaml` does it.
//!
//! The right itself is for all tokens of all accounts. The admission policy that takes most of it back names our account, and
//! says nothing at all where the agent runs as another one; nobody would notice. So the server is asked for what the policy
//! has to refuse: a token for an audience of our own, bound to a pod without saying its UID.
//!
//! **No token comes of it, whoever refuses.** There can be no pod of that name, and the server looks for the pod after it has
//! asked its policies (`pkg/registry/core/serviceaccount/storage/token.go` of Kubernetes 1.37, where `dryRun` would change
//! nothing): without a policy it says that there is no such pod. It is asked when the agent is ready, and once a day, not more
//! often: each time is a refusal in the cluster's audit log.

use std::{fmt, time::Duration};

use hyper::{Request, header::CONTENT_TYPE};
use kube::{Client, core::Status};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time;

use crate::{chain::chain, drain, kubernetes::refusal, readiness::Readiness};

/// Who we are, says the server: Kubernetes 1.28.
const REVIEWS: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
/// How the name of an account begins.
const ACCOUNT: &str = "system:serviceaccount:";
/// Nobody takes a token for it.
const AUDIENCE: &str = "bpf2iam.io/to-be-refused";
/// No pod can be called so: names have no capital letters.
const NO_POD: &str = "No-Such-Pod";

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long until it is asked again.
const DAY: Duration = Duration::from_hours(24);
/// How long where nothing could be found out.
const HOUR: Duration = Duration::from_hours(1);

/// Asks, and warns.
pub struct Narrowed {
    client: Client,
}

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    /// A policy refuses, or we have no such right.
    Narrow,
    /// This account gets any token.
    Wide(String),
    /// It cannot be told.
    Unknown(String),
}

/// An account, as `NAMESPACE` and `NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    namespace: String,
    name: String,
}

impl Narrowed {
    /// Asks the server behind `client`.
    pub const fn new(client: Client) -> Self {
        Self { client }
    }

    /// Does so when the agent is ready, and every day, until the drain.
    pub async fn run(self, readiness: Readiness, mut drain: drain::Watch) {
        tokio::select! {
            () = drain.signaled() => {}
            () = self.keep(&readiness) => {}
        }
    }

    async fn keep(&self, readiness: &Readiness) {
        let mut wide = false;
        loop {
            readiness.ready().await;
            let found = self.find_out().await;
            let pause = match &found {
                Found::Unknown(_) => HOUR,
                Found::Narrow | Found::Wide(_) => DAY,
            };
            tell(found, &mut wide);
            time::sleep(pause.mul_f64(1.0 - rand::random::<f64>() / 2.0)).await;
        }
    }

    async fn find_out(&self) -> Found {
        match self.account().await {
            Ok(Some(account)) => self.ask(&account).await,
            // No policy of ours is about somebody else.
            Ok(None) => Found::Unknown("the agent acts as no ServiceAccount".to_owned()),
            Err(why) => Found::Unknown(why),
        }
    }

    /// As whom we act.
    async fn account(&self) -> Result<Option<Account>, String> {
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let answer = self.post(REVIEWS, &review).await;
        let text = answer.map_err(|error| said(&error))?;
        let review: Review = serde_json::from_str(&text).map_err(|error| chain(&error))?;
        Ok(Account::parse(&review.status.user_info.username))
    }

    /// Asks for what must be refused. What comes is not read.
    async fn ask(&self, account: &Account) -> Found {
        let Account { namespace, name } = account;
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        match self.post(&path, &token_request()).await {
            Ok(_unread) => Found::Wide(account.to_string()),
            Err(Failure::Refused(status)) => judge(&status, account),
            Err(error) => Found::Unknown(said(&error)),
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Result<String, Failure> {
        let request = Request::post(path).header(CONTENT_TYPE, "application/json");
        let request = request.body(body.to_string().into_bytes());
        let request = request.map_err(|error| Failure::Unreachable(chain(&error)))?;
        match time::timeout(PATIENCE, self.client.request_text(request)).await {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(kube::Error::Api(status))) => Err(Failure::Refused(status)),
            Ok(Err(error)) => Err(Failure::Unreachable(chain(&error))),
            Err(_late) => Err(Failure::Unreachable(format!("nothing within {PATIENCE:?}"))),
        }
    }
}

/// Why there is no answer.
enum Failure {
    Refused(Box<Status>),
    Unreachable(String),
}

fn said(failure: &Failure) -> String {
    match failure {
        Failure::Refused(status) => refusal::words(status),
        Failure::Unreachable(why) => why.clone(),
    }
}

/// As far as we read it.
#[derive(Deserialize)]
struct Review {
    status: ReviewStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReviewStatus {
    user_info: User,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

/// What a policy has to refuse, for more than one reason.
fn token_request() -> Value {
    json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": [AUDIENCE],
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": NO_POD},
        },
    })
}

/// What a refusal means.
fn judge(status: &Status, account: &Account) -> Found {
    if status.is_forbidden() || refusal::is_of_policy(status) {
        return Found::Narrow;
    }
    // As far as the server comes where nobody objects.
    if status.code == 404 && refusal::is_of_kind(status, "pods") {
        return Found::Wide(account.to_string());
    }
    Found::Unknown(refusal::words(status))
}

/// Says what has changed.
fn tell(found: Found, wide: &mut bool) {
    match found {
        Found::Narrow => {
            if std::mem::take(wide) {
                tracing::info!(
                    "an admission policy narrows now which tokens the agent may ask for"
                );
            }
        }
        Found::Wide(account) => {
            if !std::mem::replace(wide, true) {
                tracing::warn!(
                    account,
                    "no admission policy narrows which tokens the agent may ask for: the policy bpf2iam-web-identity is \
                     not in force for its account; apply deploy/manifests/2-web-identity.yaml, or change the name in its matchConditions"
                );
            }
        }
        Found::Unknown(why) => {
            tracing::debug!(
                why,
                "cannot tell whether an admission policy narrows our right to tokens"
            );
        }
    }
}

impl Account {
    fn parse(user: &str) -> Option<Self> {
        let (namespace, name) = user.strip_prefix(ACCOUNT)?.split_once(':')?;
        Some(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ACCOUNT}{}:{}", self.namespace, self.name)
    }
}

impl fmt::Debug for Narrowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Narrowed").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        kubernetes::node::tests::{Said, refused, server},
        telemetry::testing::Logged,
    };

    use super::*;

    const POLICY: &str = "serviceaccounts \"bpf2iam\" is forbidden: ValidatingAdmissionPolicy 'a' with binding 'b' denied request: x";

    fn we_are(user: &str) -> Said {
        Said::Answer(201, json!({"status": {"userInfo": {"username": user}}}))
    }

    fn us() -> Said {
        we_are("system:serviceaccount:iam:agent")
    }

    fn no_pod() -> Said {
        let status = json!({
            "kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "pods not found",
            "details": {"name": NO_POD, "kind": "pods"},
        });
        Said::Answer(404, status)
    }

    /// What is asked in so many days, where the server says this.
    async fn asked(script: Vec<Said>, days: u32) -> Vec<String> {
        let (client, asked) = server(script);
        let (signal, drain) = drain::channel();
        let task = tokio::spawn(Narrowed::new(client).run(Readiness::new(), drain));
        time::sleep(DAY * days).await;
        assert!(signal.drain(Duration::from_secs(1)).await);
        task.await.unwrap();
        let asked = asked.lock().unwrap().clone();
        asked.into_iter().map(|(_, path)| path).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn where_no_policy_refuses_that_is_said_once_and_when_one_does() {
        let (logged, _listens) = Logged::listen();
        let policy = refused(422, "Invalid", POLICY);
        let script = vec![
            us(),
            no_pod(),
            us(),
            no_pod(),
            us(),
            policy.clone(),
            us(),
            policy,
        ];
        let asked = asked(script, 4).await;
        assert_eq!(asked[0], REVIEWS);
        assert_eq!(
            asked[1],
            "/api/v1/namespaces/iam/serviceaccounts/agent/token"
        );
        let warnings = logged.lines("WARN");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        for part in [
            "system:serviceaccount:iam:agent",
            "deploy/manifests/2-web-identity.yaml",
            "matchConditions",
        ] {
            assert!(warnings[0].contains(part), "{warnings:?}");
        }
        assert_eq!(logged.lines("narrows now").len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_comes_all_the_same_is_printed_nowhere() {
        let (logged, _listens) = Logged::listen_at(crate::telemetry::Level::Trace);
        let token = Said::Answer(201, json!({"status": {"token": "eyJhbGciOi"}}));
        assert!(asked(vec![us(), token], 1).await.len() >= 2);
        assert_eq!(logged.lines("WARN").len(), 1);
        assert!(logged.lines("eyJhbGciOi").is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_said_where_all_is_well_or_nothing_can_be_told() {
        for script in [
            vec![us(), refused(403, "Forbidden", POLICY)],
            vec![
                us(),
                refused(403, "Forbidden", "User \"u\" cannot create resource"),
            ],
            vec![we_are("kubernetes-admin")],
            vec![refused(
                404,
                "NotFound",
                "the server could not find the requested resource",
            )],
            vec![
                us(),
                refused(404, "NotFound", "serviceaccounts \"agent\" not found"),
            ],
            vec![us(), refused(500, "InternalError", "etcd")],
            vec![Said::Nothing],
            vec![Said::Answer(201, json!({}))],
        ] {
            let (logged, _listens) = Logged::listen();
            let said = format!("{script:?}");
            assert!(!asked(script, 1).await.is_empty());
            assert!(logged.lines("").is_empty(), "{said}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_asked_before_the_agent_is_ready() {
        let (client, asked) = server(vec![us(), no_pod()]);
        let readiness = Readiness::new();
        let pending = readiness.guard("something");
        let (_signal, drain) = drain::channel();
        tokio::spawn(Narrowed::new(client).run(readiness, drain));
        time::sleep(DAY * 2).await;
        assert!(asked.lock().unwrap().is_empty());
        drop(pending);
        time::sleep(Duration::from_secs(1)).await;
        assert_eq!(asked.lock().unwrap().len(), 2);
    }
}
