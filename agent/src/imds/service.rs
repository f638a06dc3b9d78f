//! One request of an attested caller, from its head to its answer.
//!
//! Everything that decides is in memory already. What is not there yet, and what only the real metadata service can say,
//! is waited for, together no longer than [`PATIENCE`]; while a pod is unknown nothing is decided about it. Each answer leaves
//! exactly one event behind, on the target `access`, and is counted. A request whose connection ends before
//! its answer is counted among the broken connections.

mod node;
mod role;
mod tree;
mod who;

use std::{fmt, sync::Arc, time::Duration};

use bytes::{Buf, Bytes};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Body, http::request::Parts};
use tokio::{
    sync::watch,
    time::{self, Instant},
};

use crate::{
    attest::Caller,
    clock::Clock,
    creds::{self, Identity, State},
    id::RoleArn,
    pods::{
        Subject,
        resolve::{Resolution, Resolver},
    },
    telemetry::ACCESS,
};

use super::{
    instance::Instance,
    metrics::Metrics,
    outcome::Outcome,
    response::Answer,
    route::{Resource, Route, Verb, route},
    token::Authority,
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
    /// What of the instance is nobody's secret.
    pub instance: Instance,
    /// The time.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Metrics,
}

/// A request, and who made it.
#[derive(Clone, Copy, Debug)]
struct Asked<'a> {
    caller: &'a Caller,
    head: &'a Parts,
    route: &'a Route<'a>,
    /// When it has its answer, whatever that is.
    deadline: Instant,
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
        let asked = Asked {
            caller,
            head: &head,
            route: &route,
            deadline,
        };
        // Only now: what counts is the pod as it is when it gets its answer.
        let mut seen = Seen {
            pod: self.pods.known(caller.pod),
            ..Seen::default()
        };
        let answer = match discarded.unwrap_or(Err(Outcome::BodyBroken)) {
            Ok(()) => self.answer(asked, &mut seen).await,
            Err(why) => Answer::refused(why),
        };
        self.report(caller, &route, &answer, &seen, start.elapsed());
        answer.into_response()
    }

    async fn answer(&self, asked: Asked<'_>, seen: &mut Seen) -> Answer {
        let who = self.who(asked, seen).await;
        if let Some(answer) = self.pass(asked, &who, seen).await {
            return answer;
        }
        match asked.route {
            Route::Refused { why, .. } => Answer::refused(*why),
            Route::Token(ttl) => {
                let token = self.tokens.issue(asked.caller.pod, *ttl, self.clock.now());
                Answer::token(token, *ttl)
            }
            Route::Read {
                resource,
                verb,
                token,
            } => match self.session(asked.caller, *token, &who) {
                Err(why) => Answer::refused(why),
                Ok(remaining) => {
                    seen.token = remaining.is_some();
                    let answer = self.read(asked, (resource, *verb), who, seen).await;
                    answer.for_session(remaining)
                }
            },
        }
    }

    async fn read(
        &self,
        asked: Asked<'_>,
        (resource, verb): (&Resource, Verb),
        who: Resolution,
        seen: &mut Seen,
    ) -> Answer {
        let (subject, binding) = match who {
            Resolution::Decided(subject, binding) => (subject, binding),
            // It is too new for us, or gone. In both cases another attempt is the client's best bet.
            Resolution::Unsure(..) => return Answer::refused(Outcome::PodUnknown),
            Resolution::NotHere => return Answer::refused(Outcome::PodElsewhere),
        };
        if *resource == Resource::Absent {
            return Answer::refused(Outcome::Path);
        }
        if let Err(why) = own_address(&subject, asked.caller) {
            seen.error = Some(why);
            return Answer::refused(Outcome::OtherAddress);
        }
        if let Resource::Tree(path) = resource {
            let read = self.tree(path, verb, (&subject, &binding), asked.deadline);
            return read.await.unwrap_or_else(Answer::refused);
        }
        match verb {
            Verb::Read => self.bound(&binding, resource, asked.deadline, seen).await,
            Verb::Other => Answer::refused(Outcome::Method),
        }
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
            status = answer.code().as_u16(),
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
