//! Questions to the service, each from its first packet to what it means. Nothing is remembered here but a token.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{
    Response, StatusCode, Uri,
    header::{CONTENT_TYPE, LAST_MODIFIED, LOCATION},
    http::request::Parts,
};
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use tokio::{
    sync::Semaphore,
    time::{self, Instant},
};

use crate::{
    clock::Clock,
    config::MetadataAddr,
    metadata::{DOCUMENT, Freshness, without_secrets},
};

use super::{
    Item, Session, ask,
    door::Door,
    flight::Answer,
    http::{Bounds, Failure, Question, What},
    metrics::{Metrics, Purpose},
    pass,
    token::{Proof, Tokens},
};

/// All that one question takes: its turn, its token and repetitions included. Clients wait for a second.
const PATIENCE: Duration = Duration::from_millis(700);
/// A connection on a node takes microseconds. When a packet of it is lost, the next comes after a second: too late.
const CONNECT: Duration = Duration::from_millis(200);
/// Listings and documents have some kilobytes.
const SIZE: usize = 64 << 10;
/// User data have 16 KiB, and are the longest.
const PASS_SIZE: usize = 1 << 20;
/// So many requests are passed on at a time, ...
const PASSES: usize = 16;
/// ... and others wait for so long.
const TURN: Duration = Duration::from_millis(200);

/// Asks the service.
#[derive(Debug)]
pub(super) struct Service {
    door: Door,
    tokens: Tokens,
    passes: Semaphore,
}

impl Service {
    pub(super) fn new(addr: MetadataAddr, clock: Clock, metrics: Metrics) -> Self {
        Self {
            door: Door::new(addr, clock, metrics),
            tokens: Tokens::default(),
            passes: Semaphore::new(PASSES),
        }
    }

    pub(super) const fn addr(&self) -> &MetadataAddr {
        &self.door.addr
    }

    pub(super) const fn metrics(&self) -> &Metrics {
        &self.door.metrics
    }

    /// What is at `target`, for who asked at `asked`.
    pub(super) async fn read(
        &self,
        what: &What,
        (target, freshness): (&str, Freshness),
        asked: Instant,
    ) -> Answer {
        let bounds = bounds(asked, SIZE);
        let mut answer = self.get(what, target, bounds).await?;
        if is_at_its_directory(&answer, target) {
            answer = self.get(what, &format!("{target}/"), bounds).await?;
        }
        check(what, &answer, (target, freshness))?;
        let modified = modified(&answer).unwrap_or_else(|| self.door.clock.now());
        let text = ask::found(what.clone(), answer)?;
        Ok(text.map(|text| Item {
            // Of its own: what was read is a part of a buffer.
            text: Bytes::copy_from_slice(&text),
            modified,
        }))
    }

    async fn get(
        &self,
        what: &What,
        target: &str,
        bounds: Bounds,
    ) -> Result<Response<Bytes>, Arc<Failure>> {
        let question = |proof: &Proof| {
            let token = proof.token.as_ref();
            ask::for_target(&self.door.addr, what, target, token)
        };
        self.prove(Purpose::Read, what, question, bounds).await
    }

    /// Asks with our token, and once more with another if it is not taken.
    async fn prove(
        &self,
        purpose: Purpose,
        what: &What,
        question: impl Fn(&Proof) -> Result<Question, Failure>,
        bounds: Bounds,
    ) -> Result<Response<Bytes>, Arc<Failure>> {
        let proof = self.tokens.proof(&self.door, bounds).await?;
        let asked = question(&proof)?;
        let answer = self.door.send(purpose, what, asked, bounds).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let proof = self.tokens.instead_of(&proof, &self.door, bounds).await?;
        let asked = question(&proof)?;
        self.door.send(purpose, what, asked, bounds).await
    }

    /// What it says to a pod.
    pub(super) async fn pass(
        &self,
        request: &Parts,
        session: Session,
    ) -> Result<Response<Bytes>, Arc<Failure>> {
        let asked = Instant::now();
        let turn = time::timeout(TURN, self.passes.acquire()).await;
        let _turn = turn.map_err(|_late| {
            self.metrics().turned_away(Purpose::Pass);
            Failure::Busy
        })?;
        let bounds = bounds(asked, PASS_SIZE);
        let answer = match session {
            Session::Theirs => {
                let question = pass::question(request)?;
                let sent = self.door.send(Purpose::Pass, &pass::WHAT, question, bounds);
                sent.await?
            }
            Session::Ours => {
                let question = |proof: &Proof| {
                    let mut question = pass::question(request)?;
                    pass::replace_token(&mut question, proof.token.clone());
                    Ok(question)
                };
                let sent = self.prove(Purpose::Pass, &pass::WHAT, question, bounds);
                sent.await?
            }
        };
        Ok(pass::answer(answer))
    }
}

fn bounds(asked: Instant, size: usize) -> Bounds {
    Bounds {
        connect: CONNECT,
        end: asked + PATIENCE,
        size,
    }
}

/// Whether `answer` only says that `target` is a directory, as old instance types do.
fn is_at_its_directory(answer: &Response<Bytes>, target: &str) -> bool {
    let moved = [StatusCode::MOVED_PERMANENTLY, StatusCode::FOUND];
    let location = answer.headers().get(LOCATION);
    let location = location.and_then(|location| location.to_str().ok()?.parse::<Uri>().ok());
    moved.contains(&answer.status())
        && location.is_some_and(|location| {
            location.path().strip_suffix('/') == Some(target) && location.query().is_none()
        })
}

/// What cannot be meant, though the status says so: a page for people, which some proxy on the way has written, and
/// nothing at all where something always is. It would be remembered.
fn check(
    what: &What,
    answer: &Response<Bytes>,
    (target, freshness): (&str, Freshness),
) -> Result<(), Failure> {
    let kind = answer.headers().get(CONTENT_TYPE);
    let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let source = match answer.status() {
        StatusCode::OK if is_page => "it is a page for people",
        StatusCode::OK if answer.body().is_empty() && freshness == Freshness::Lasting => {
            "it is empty"
        }
        StatusCode::OK
            if target.ends_with(DOCUMENT) && without_secrets(answer.body()).is_none() =>
        {
            "it is no identity document"
        }
        _ => return Ok(()),
    };
    Err(Failure::Exchange {
        what: what.clone(),
        source: source.into(),
    })
}

/// When what is in `answer` last changed.
fn modified(answer: &Response<Bytes>) -> Option<Timestamp> {
    let said = answer.headers().get(LAST_MODIFIED)?;
    DateTimeParser::new().parse_timestamp(said.as_bytes()).ok()
}
