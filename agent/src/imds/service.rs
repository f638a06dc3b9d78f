//! One request of an attested caller, from its head to its answer.
//!
//! Everything that is read here is in memory already. What is not there yet is waited for, together no
//! longer than [`PATIENCE`]; while a pod is unknown nothing is decided about it. Each answer leaves
//! exactly one event behind, on the target `access`, and is counted. A request whose connection ends before
//! its answer is counted among the broken connections.

use std::{fmt, sync::Arc, time::Duration};

use bytes::{Buf, Bytes};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Body};
use tokio::{
    sync::watch,
    time::{self, Instant},
};

use crate::{
    attest::Caller,
    clock::Clock,
    creds::{self, Identity, State},
    id::RoleArn,
    metadata::TokenUse,
    pods::{
        Subject,
        binding::{Binding, Rule},
        compat::Compat,
        resolve::{Resolution, Resolver},
    },
    telemetry::ACCESS,
};

use super::{
    answer::{self, Standing, answer},
    metrics::Metrics,
    outcome::Outcome,
    response::Answer,
    route::{Resource, Route, route},
    token::{Authority, Invalid},
};

/// How long a request waits in all, for its pod to become known and for the first keys. Most SDKs give up
/// after one second, and to most of them one 503 is final: measured with 65 clients.
pub const PATIENCE: Duration = Duration::from_millis(900);
/// How large a body may be. No request of the metadata service has one; some clients send a few bytes.
const BODY: u64 = 4096;

/// Where credentials come from: what of the cache is needed here.
pub trait Supply: fmt::Debug + Send + Sync + 'static {
    /// What there is for `identity`, now and later. Asking calls nobody.
    fn watch(&self, identity: &Identity) -> watch::Receiver<State>;
}

impl Supply for creds::Cache {
    fn watch(&self, identity: &Identity) -> watch::Receiver<State> {
        self.watch(identity)
    }
}

/// Answers the requests of all pods.
#[derive(Debug)]
pub struct Service<S> {
    /// Which role a pod may have.
    pub pods: Resolver,
    /// The roles' credentials.
    pub credentials: S,
    /// Session tokens.
    pub tokens: Authority,
    /// Whether they must be used.
    pub token_use: TokenUse,
    /// The time.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Metrics,
}

/// What is learned about a request on its way, for its event.
#[derive(Debug, Default)]
struct Seen {
    pod: Option<Arc<Subject>>,
    role: Option<RoleArn>,
    /// Whether a valid token came.
    token: bool,
    /// Why there is no role, or are no keys: for the operator.
    error: Option<String>,
}

impl<S: Supply> Service<S> {
    /// Answers `request`, which `caller` made.
    pub async fn respond<B>(&self, caller: &Caller, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body + Unpin,
    {
        let start = Instant::now();
        let (head, body) = request.into_parts();
        let route = route(&head.method, &head.uri, &head.headers);
        let deadline = start + PATIENCE;
        let discarded = time::timeout_at(deadline, discard(body)).await;
        // Only now: what counts is the pod as it is when it gets its answer.
        let mut seen = Seen {
            pod: self.pods.known(caller.pod),
            ..Seen::default()
        };
        let answer = match discarded.unwrap_or(Err(Outcome::BodyBroken)) {
            Ok(()) => self.answer(caller, &route, deadline, &mut seen).await,
            Err(why) => Answer::refused(why),
        };
        self.report(caller, &route, &answer, &seen, start.elapsed());
        answer.into_response()
    }

    async fn answer(
        &self,
        caller: &Caller,
        route: &Route<'_>,
        deadline: Instant,
        seen: &mut Seen,
    ) -> Answer {
        match route {
            Route::Refused { why, .. } => Answer::refused(*why),
            Route::Token(ttl) => {
                let token = self.tokens.issue(caller.pod, *ttl, self.clock.now());
                Answer::token(token, *ttl)
            }
            Route::Read { resource, token } => match self.session(caller, *token) {
                Err(why) => Answer::refused(why),
                Ok(remaining) => {
                    seen.token = remaining.is_some();
                    let answer = self.read(caller, resource, deadline, seen).await;
                    answer.for_session(remaining)
                }
            },
        }
    }

    /// Checks the token of a request; says how long it still lives, if there is one.
    fn session(&self, caller: &Caller, token: Option<&[u8]>) -> Result<Option<u16>, Outcome> {
        match (token, self.token_use) {
            (None, TokenUse::Optional) => Ok(None),
            (None, TokenUse::Required) => Err(Outcome::TokenMissing),
            (Some(token), _) => self
                .tokens
                .verify(caller.pod, token, self.clock.now())
                .map(Some)
                .map_err(|error| match error {
                    Invalid::Malformed => Outcome::TokenMalformed,
                    Invalid::Forged => Outcome::TokenForged,
                    Invalid::Expired => Outcome::TokenExpired,
                }),
        }
    }

    async fn read(
        &self,
        caller: &Caller,
        resource: &Resource,
        deadline: Instant,
        seen: &mut Seen,
    ) -> Answer {
        if *resource == Resource::Absent {
            return Answer::refused(Outcome::Path);
        }
        match self
            .pods
            .resolve(caller.pod, caller.container, deadline)
            .await
        {
            Resolution::Decided(subject, binding) => {
                seen.pod = Some(Arc::clone(&subject));
                if let Err(why) = own_address(&subject, caller) {
                    seen.error = Some(why);
                    return Answer::refused(Outcome::OtherAddress);
                }
                self.bound(&binding, resource, deadline, seen).await
            }
            Resolution::Unsure(subject, missing) => {
                seen.pod = subject;
                seen.error = Some(missing.to_string());
                // It is too new for us, or gone. In both cases another attempt is the client's best bet.
                Answer::refused(Outcome::PodUnknown)
            }
            Resolution::NotHere => {
                seen.pod = None;
                Answer::refused(Outcome::PodElsewhere)
            }
        }
    }

    async fn bound(
        &self,
        binding: &Binding,
        resource: &Resource,
        deadline: Instant,
        seen: &mut Seen,
    ) -> Answer {
        let now = || self.clock.now();
        match binding {
            Binding::Role(identity, _rule) => {
                let state = self.state(identity, resource, deadline).await;
                seen.note(identity, &state);
                let standing = Standing::Role(&identity.role, &state);
                answer(resource, standing, now())
            }
            Binding::Nothing(rule) => answer(resource, self.nothing(*rule), now()),
            Binding::Invalid(_rule, reason) => {
                seen.error = Some(reason.to_string());
                answer(resource, Standing::Invalid, now())
            }
            Binding::Forbidden(role, refusal) => {
                seen.role = Some(role.clone());
                seen.error = Some(refusal.to_string());
                answer(resource, Standing::Forbidden, now())
            }
            Binding::Unknown(missing) => {
                seen.error = Some(missing.to_string());
                answer(resource, Standing::Unknown, now())
            }
        }
    }

    /// How a pod without a role stands. kube2iam's "default role" was the bare base ARN where there was none, and its
    /// name was nothing.
    fn nothing(&self, rule: Option<Rule>) -> Standing<'static> {
        let policy = self.pods.policy();
        let named_by_base = policy.compat == Compat::Kube2iam && policy.base_arn.is_some();
        if named_by_base && rule.is_none() {
            Standing::Nameless
        } else {
            Standing::Nothing
        }
    }

    /// What there is for `identity`; if `resource` needs keys, after waiting for them.
    async fn state(&self, identity: &Identity, resource: &Resource, deadline: Instant) -> State {
        let mut states = self.credentials.watch(identity);
        if needs_keys(resource, &identity.role) {
            let settled = states.wait_for(|state| answer::settled(state, self.clock.now()));
            // Neither a lost cache nor a lapse of time is an answer; the last state is.
            let _settled = time::timeout_at(deadline, settled).await.is_ok();
        }
        states.borrow().clone()
    }

    fn report(
        &self,
        caller: &Caller,
        route: &Route<'_>,
        answer: &Answer,
        seen: &Seen,
        elapsed: Duration,
    ) {
        self.metrics
            .answered(route.kind(), answer.status, answer.outcome, elapsed);
        tracing::info!(
            target: ACCESS,
            pod = seen.pod.as_deref().map(|subject| tracing::field::display(&subject.pod.name)),
            uid = %caller.pod,
            container = caller.container.map(tracing::field::display),
            route = route.kind().as_str(),
            status = answer.status.code().as_u16(),
            outcome = answer.outcome.as_str(),
            role = seen.role.as_ref().map(tracing::field::display),
            token = seen.token,
            seconds = elapsed.as_secs_f64(),
            error = seen.error,
            "request"
        );
    }
}

impl Seen {
    fn note(&mut self, identity: &Identity, state: &State) {
        self.role = Some(identity.role.clone());
        if let State::Failed(error) = state {
            self.error = Some(error.to_string());
        }
    }
}

/// The cgroup says one thing, the address must not say another: that is a socket that another pod made, or a network
/// within the pod. Neither is this pod's own call, whatever else it is.
fn own_address(subject: &Subject, caller: &Caller) -> Result<(), String> {
    if subject.pod.may_have(caller.client) {
        Ok(())
    } else {
        Err(format!("the pod has no address {}", caller.client))
    }
}

/// Whether the answer depends on keys. For another role's name it does not, whatever STS says.
fn needs_keys(resource: &Resource, role: &RoleArn) -> bool {
    match resource {
        Resource::RoleList => true,
        Resource::RoleCredentials(name) => name == role.name(),
        Resource::IamInfo | Resource::Absent => false,
    }
}

/// Reads a body and forgets it: a client that is still sending would otherwise lose its answer.
async fn discard<B: Body + Unpin>(mut body: B) -> Result<(), Outcome> {
    if body.size_hint().lower() > BODY {
        return Err(Outcome::BodySize);
    }
    let mut size = 0;
    while !body.is_end_stream()
        && let Some(frame) = body.frame().await
    {
        let frame = frame.map_err(|_broken| Outcome::BodyBroken)?;
        size += frame.data_ref().map_or(0, Buf::remaining);
        if size as u64 > BODY {
            return Err(Outcome::BodySize);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
