//! A pod's request and its answer, as they go on: unchanged, but for what belongs to the connection.

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{
    Method, Request, Response, Uri,
    header::{
        CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue,
        PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
    http::{request::Parts, uri::PathAndQuery},
};

use super::{
    ask::{TOKEN, TTL},
    http::{Failure, Question, What},
};

/// What is asked for, in our words.
pub(super) const WHAT: What = What::Borrowed("what a pod of the node's own identity asks for");

/// RFC 9110, 7.6.1, and what RFC 2616 had beside it.
const OF_THE_CONNECTION: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What the service decides by. `Connection` may name them and takes none of them away: who can make a client send that
/// header could hide that the request was forwarded.
const DECISIVE: [HeaderName; 4] = [HOST, HeaderName::from_static("x-forwarded-for"), TOKEN, TTL];

/// What is sent for `request`, of which the body is gone.
pub(super) fn question(request: &Parts) -> Result<Question, Failure> {
    let mut question = Request::new(Empty::new());
    *question.method_mut() = request.method.clone();
    *question.uri_mut() = target(request)?;
    *question.version_mut() = request.version;
    let mut headers = of_both_ends(&request.headers);
    // RFC 9110, 10.1.1: nobody waits for leave to send nothing.
    headers.remove(EXPECT);
    let had_length = headers.remove(CONTENT_LENGTH).is_some();
    if had_length && [Method::PUT, Method::POST].contains(&request.method) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    *question.headers_mut() = headers;
    Ok(question)
}

/// The path and query as they came. Whoever else the target names, nobody else is asked.
fn target(request: &Parts) -> Result<Uri, Failure> {
    let target = request.uri.path_and_query();
    let target = target.filter(|_| request.method != Method::CONNECT);
    let target = target.ok_or_else(|| Failure::Exchange {
        what: WHAT,
        source: "it is asked to be a proxy".into(),
    })?;
    Ok(PathAndQuery::clone(target).into())
}

/// Shows `token` in place of what the pod showed.
pub(super) fn replace_token(question: &mut Question, token: Option<HeaderValue>) {
    question.headers_mut().remove(TOKEN);
    if let Some(token) = token {
        question.headers_mut().insert(TOKEN, token);
    }
}

/// What the pod gets of `answer`.
pub(super) fn answer(answer: Response<Bytes>) -> Response<Bytes> {
    let (head, body) = answer.into_parts();
    let mut answer = Response::new(body);
    *answer.status_mut() = head.status;
    *answer.headers_mut() = of_both_ends(&head.headers);
    answer
}

/// The headers that are not of the connection.
fn of_both_ends(headers: &HeaderMap) -> HeaderMap {
    let named = headers.get_all(CONNECTION).into_iter();
    let named = named
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| !DECISIVE.contains(name));
    let named: Vec<HeaderName> = named.collect();
    let mut kept = headers.clone();
    for name in OF_THE_CONNECTION.iter().chain(&named) {
        kept.remove(name);
    }
    kept
}

#[cfg(test)]
mod tests;
