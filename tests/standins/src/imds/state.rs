//! What becomes of a request: what the rules say, then the answer.

use std::net::SocketAddr;

use bytes::Bytes;
use hyper::Request;

use crate::{
    journal::Journal,
    serve::{Reply, Service},
    shared::Shared,
};

use super::{
    Config,
    answer::Metadata,
    keys::Rotation,
    rules::{Effect, Rules},
    seen::Seen,
    spoiled::{Occasion, spoil},
    token::Tokens,
};

/// The service, how it misbehaves, and what it was asked.
pub(super) struct State {
    pub(super) metadata: Metadata,
    pub(super) rules: Rules,
    pub(super) requests: Journal<Seen>,
}

impl State {
    pub(super) fn new(config: Config) -> Self {
        let changes = config.leaves.into_iter();
        let metadata = Metadata {
            instance: config.instance,
            changes: Shared::new(changes.map(|(path, text)| (path, Some(text))).collect()),
            policy: config.tokens,
            started: config.clock.now(),
            clock: config.clock,
            tokens: Tokens::new(),
            rotation: Rotation::new(config.session),
        };
        Self {
            metadata,
            rules: Rules::new(config.rules),
            requests: Journal::new(),
        }
    }

    fn answer(
        &self,
        request: &Request<Bytes>,
        fault: Option<Effect>,
        at: jiff::Timestamp,
    ) -> (Option<u16>, Reply) {
        let answer = self.metadata.answer(request);
        let right = answer.status().as_u16();
        let Some(fault) = fault else {
            return (Some(right), Reply::Answer(answer));
        };
        let occasion = Occasion {
            path: request.uri().path(),
            headers: request.headers(),
            at,
        };
        let reply = spoil(fault, answer, occasion);
        let status = match &reply {
            Reply::Answer(answer) => Some(answer.status().as_u16()),
            Reply::Stream(_) => Some(right),
            Reply::Raw(_) | Reply::Close | Reply::Reset | Reply::Hang => None,
        };
        (status, reply)
    }
}

impl Service for State {
    async fn reply(&self, request: Request<Bytes>, peer: Option<SocketAddr>) -> Reply {
        let at = self.metadata.clock.now();
        let bearing = self.metadata.tokens.bearing(request.headers(), at);
        let (method, path) = (request.method().as_str(), request.uri().path());
        let script = self.rules.script(method, path, bearing);
        let (status, reply) = self.answer(&request, script.fault, at);
        // Before the delay: a test may want to see a request that waits.
        self.requests
            .add(Seen::new(at, peer, &request, bearing, status));
        tokio::time::sleep(script.delay).await;
        reply
    }
}
