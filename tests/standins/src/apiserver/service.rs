//! What becomes of a request: who asks, what the rules say, then the answer.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::Request;

use crate::{
    broken,
    clock::Clock,
    journal::Journal,
    serve::{Reply, Response, Service},
};

use super::{
    ask::Ask,
    bearers::{Bearer, Bearers},
    config::{Config, StreamingLists},
    keys::Signer,
    list::Pages,
    refusal::Refusal,
    rules::{Effect, Rules},
    seen::Seen,
    store::Store,
    watches::Watches,
};

/// The API server without its sockets.
pub(super) struct State {
    pub(super) store: Arc<Store>,
    pub(super) pages: Pages,
    pub(super) signer: Signer,
    pub(super) bearers: Bearers,
    pub(super) rules: Rules,
    pub(super) requests: Journal<Seen>,
    pub(super) watches: Watches,
    user: String,
    pub(super) issuer: String,
    pub(super) longest_token: Option<Duration>,
    pub(super) streaming_lists: StreamingLists,
    pub(super) bookmarks: Duration,
    pub(super) clock: Clock,
}

impl State {
    pub(super) fn new(config: Config) -> Self {
        Self {
            store: Arc::new(Store::new(config.clock.clone(), config.history)),
            pages: Pages::new(),
            signer: Signer::new(),
            bearers: Bearers::new(None),
            rules: Rules::new(config.rules),
            requests: Journal::new(),
            watches: Watches::new(),
            user: config.user,
            issuer: config.issuer,
            longest_token: config.longest_token,
            streaming_lists: config.streaming_lists,
            bookmarks: config.bookmarks,
            clock: config.clock,
        }
    }

    /// What the rules make of an answer.
    fn spoil(&self, ask: &Ask, fault: Option<&Effect>, answer: impl FnOnce() -> Reply) -> Reply {
        match fault {
            Some(Effect::Close) => Reply::Close,
            Some(Effect::Hang) => Reply::Hang,
            Some(Effect::Status(failure)) => {
                Reply::Answer(failure.refusal(ask, &self.user).response())
            }
            Some(Effect::Garbage) => Reply::Answer(Response::new(Bytes::from_static(
                b"<html><body><h1>It works!</h1></body></html>",
            ))),
            Some(Effect::Cut) => match answer() {
                Reply::Answer(response) => Reply::Stream(broken::cut(response)),
                Reply::Stream(response) => {
                    Reply::Stream(broken::cut(response.map(|_| Bytes::new())))
                }
                other @ (Reply::Raw(_) | Reply::Close | Reply::Reset | Reply::Hang) => other,
            },
            Some(Effect::Slow(pause)) => match answer() {
                Reply::Answer(response) => Reply::Stream(broken::slow(response, *pause)),
                other @ (Reply::Stream(_)
                | Reply::Raw(_)
                | Reply::Close
                | Reply::Reset
                | Reply::Hang) => other,
            },
            None | Some(Effect::Pass | Effect::Latency(_) | Effect::Watch(_)) => answer(),
        }
    }
}

impl Service for State {
    async fn reply(&self, request: Request<Bytes>, _peer: Option<SocketAddr>) -> Reply {
        let ask = Ask::read(&request);
        let verb = ask.as_ref().map(|ask| ask.verb);
        let bearer = self.bearers.check(request.headers());
        let mut seen = Seen::new(self.clock.now(), &request, verb, bearer);
        let (delay, reply) = match &ask {
            None => (Duration::ZERO, refuse(&Refusal::method_not_allowed())),
            Some(ask) if !self.bearers.admit(bearer) && !ask.target.is_public() => {
                (Duration::ZERO, refuse(&stranger(bearer, ask)))
            }
            Some(ask) => {
                let script = self.rules.script(verb, &ask.path);
                let answer = || {
                    let answer = self.answer(ask, &request, script.mangles);
                    answer.unwrap_or_else(|refusal| refuse(&refusal))
                };
                let reply = self.spoil(ask, script.fault.as_ref(), answer);
                (script.delay, reply)
            }
        };
        seen.status = match &reply {
            Reply::Answer(response) => Some(response.status().as_u16()),
            Reply::Stream(response) => Some(response.status().as_u16()),
            Reply::Raw(_) | Reply::Close | Reply::Reset | Reply::Hang => None,
        };
        // Before the delay: a test may want to see a request that waits.
        self.requests.add(seen);
        tokio::time::sleep(delay).await;
        reply
    }
}

/// Who comes without a token is somebody, who may do nothing.
fn stranger(bearer: Bearer, ask: &Ask) -> Refusal {
    match bearer {
        Bearer::Absent => Refusal::forbidden("system:anonymous", ask),
        Bearer::Unchecked | Bearer::Good | Bearer::Wrong => Refusal::unauthorized(),
    }
}

fn refuse(refusal: &Refusal) -> Reply {
    Reply::Answer(refusal.response())
}
