//! What is said to the metadata service: `IMDSv2`, in the agent's own name.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{
    Request, Response, StatusCode,
    header::{HOST, HeaderMap, HeaderName, HeaderValue},
    http::request::Builder,
};
use tokio::time::Instant;

use crate::config::MetadataAddr;

use super::http::{Bounds, Failure, Question, What};

/// Where tokens are.
pub(crate) const TOKEN_PATH: &str = "/latest/api/token";
/// How they are shown.
pub(super) const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
/// How long they shall live, and do, in seconds.
pub(super) const TTL: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
/// EC2's have 56 bytes.
const TOKEN_SIZE: usize = 1 << 10;

/// A token that the service gave us. `Debug` does not show it.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    value: HeaderValue,
    end: Instant,
}

impl Token {
    /// What to show.
    pub(crate) const fn value(&self) -> &HeaderValue {
        &self.value
    }

    /// When it ends.
    pub(super) const fn end(&self) -> Instant {
        self.end
    }
}

/// Bounds for a token, as for an answer with `bounds`.
pub(super) fn for_token(bounds: Bounds) -> Bounds {
    Bounds {
        size: TOKEN_SIZE,
        ..bounds
    }
}

/// Asks for a token that lives for `life`.
pub(crate) fn for_a_token(addr: &MetadataAddr, life: Duration) -> Result<Question, Failure> {
    let put = Request::put(TOKEN_PATH).header(TTL, life.as_secs());
    whole(addr, &TOKEN_PATH.into(), put)
}

/// The token in an answer to a question that was asked at `asked`, for one with such a life.
pub(crate) fn token(
    answer: &Response<Bytes>,
    asked: Instant,
    life: Duration,
) -> Result<Token, Failure> {
    let what = What::Borrowed(TOKEN_PATH);
    let status = answer.status();
    if status != StatusCode::OK {
        return Err(Failure::Status { what, status });
    }
    let value = HeaderValue::from_bytes(answer.body().trim_ascii())
        .ok()
        .filter(|value| !value.is_empty());
    // Nothing of what is wrong is repeated: it may be a token.
    let mut value = value.ok_or_else(|| Failure::Exchange {
        what,
        source: "its body is no token".into(),
    })?;
    value.set_sensitive(true);
    let life = life_in(answer.headers()).map_or(life, |said| said.min(life));
    let end = asked + life;
    Ok(Token { value, end })
}

/// What the service itself says.
fn life_in(headers: &HeaderMap) -> Option<Duration> {
    let said = headers.get(TTL)?.to_str().ok()?;
    said.parse().ok().map(Duration::from_secs)
}

/// Asks for what is at `target`.
pub(crate) fn for_target(
    addr: &MetadataAddr,
    what: &What,
    target: &str,
    token: Option<&HeaderValue>,
) -> Result<Question, Failure> {
    let mut get = Request::get(target);
    if let Some(token) = token {
        get = get.header(TOKEN, token);
    }
    whole(addr, what, get)
}

fn whole(addr: &MetadataAddr, what: &What, question: Builder) -> Result<Question, Failure> {
    let question = question.header(HOST, addr.authority()).body(Empty::new());
    question.map_err(|source| Failure::Exchange {
        what: what.clone(),
        source: source.into(),
    })
}

/// What is there, if anything is.
pub(crate) fn found(what: What, answer: Response<Bytes>) -> Result<Option<Bytes>, Failure> {
    match answer.status() {
        StatusCode::OK => Ok(Some(answer.into_body())),
        StatusCode::NOT_FOUND => Ok(None),
        status => Err(Failure::Status { what, status }),
    }
}
