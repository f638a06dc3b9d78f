//! Answers that no server should give.

use std::fmt::Write as _;

use bytes::Bytes;
use hyper::{
    HeaderMap, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, LOCATION},
};
use jiff::Timestamp;

use crate::{
    broken,
    serve::{Reply, Response},
};

use super::{
    page::{self, Kind},
    rules::Effect,
};

/// What a request is spoiled with: what it was, and when it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occasion<'a> {
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) at: Timestamp,
}

/// What `effect` makes of `answer`, which would be right.
pub(super) fn spoil(effect: Effect, answer: Response, occasion: Occasion<'_>) -> Reply {
    match effect {
        Effect::Latency(_) | Effect::Pass => Reply::Answer(answer),
        Effect::RefuseTokens => Reply::Answer(page::empty(StatusCode::UNAUTHORIZED)),
        Effect::Status(code) => Reply::Answer(status(code)),
        Effect::Redirect => {
            let path = format!("{}/", occasion.path);
            Reply::Answer(redirect(StatusCode::MOVED_PERMANENTLY, &path, occasion))
        }
        Effect::Astray => Reply::Answer(redirect(StatusCode::FOUND, "/latest/user-data", occasion)),
        Effect::Empty => Reply::Answer(with_body(answer, String::new())),
        Effect::Garbage => Reply::Answer(garbage(answer)),
        Effect::Noise => Reply::Raw(Bytes::from_static(ALERT)),
        Effect::Oversized(size) => Reply::Answer(with_body(answer, "x".repeat(size))),
        Effect::Length(length) => Reply::Raw(whole(&answer, &length_line(length), occasion.at)),
        Effect::Chunked => Reply::Raw(chunked(&answer, occasion.at)),
        Effect::Cut => Reply::Raw(cut(&answer, occasion.at)),
        Effect::Slow(pause) => Reply::Stream(broken::slow(answer, pause)),
        Effect::Close => Reply::Close,
        Effect::Reset => Reply::Reset,
        Effect::Hang => Reply::Hang,
    }
}

/// As of a server that speaks TLS.
const ALERT: &[u8] = b"\x15\x03\x01\x00\x02\x02\x16";

fn status(code: u16) -> Response {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED => {
            page::empty(status)
        }
        _ => page::error(status),
    }
}

/// To the host where the client is already, so that whoever follows it is seen here.
fn redirect(status: StatusCode, path: &str, occasion: Occasion<'_>) -> Response {
    let mut response = page::empty(status);
    let host = occasion
        .headers
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let location = format!("http://{}{path}", host.unwrap_or_default());
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn garbage(answer: Response) -> Response {
    let page = "<html><body><h1>It works!</h1></body></html>";
    let mut response = with_body(answer, page.to_owned());
    let html = HeaderValue::from_static(Kind::Html.name());
    response.headers_mut().insert(CONTENT_TYPE, html);
    response
}

fn with_body(mut answer: Response, body: String) -> Response {
    answer
        .headers_mut()
        .insert(CONTENT_LENGTH, body.len().into());
    *answer.status_mut() = StatusCode::OK;
    *answer.body_mut() = body.into();
    answer
}

fn cut(answer: &Response, at: Timestamp) -> Bytes {
    let mut bytes = head(answer, &length_line(answer.body().len()), at).into_bytes();
    bytes.extend(answer.body().iter().take(answer.body().len() / 2));
    bytes.into()
}

fn chunked(answer: &Response, at: Timestamp) -> Bytes {
    let mut bytes = head(answer, "Transfer-Encoding: chunked\r\n", at).into_bytes();
    for chunk in answer.body().chunks(4) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes.into()
}

fn whole(answer: &Response, framing: &str, at: Timestamp) -> Bytes {
    let mut bytes = head(answer, framing, at).into_bytes();
    bytes.extend_from_slice(answer.body());
    bytes.into()
}

fn length_line(length: usize) -> String {
    format!("Content-Length: {length}\r\n")
}

/// The head of `answer`, which says otherwise how long its body is.
fn head(answer: &Response, framing: &str, at: Timestamp) -> String {
    let mut head = format!("HTTP/1.1 {}\r\n{framing}", answer.status());
    for (name, value) in answer.headers() {
        if name != CONTENT_LENGTH {
            let value = String::from_utf8_lossy(value.as_bytes());
            // Writing into a `String` cannot fail.
            let _written = write!(head, "{name}: {value}\r\n").is_ok();
        }
    }
    let _written = write!(head, "date: {}\r\n\r\n", page::http_date(at)).is_ok();
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(effect: Effect) -> String {
        let headers = HeaderMap::new();
        let occasion = Occasion {
            path: "/latest",
            headers: &headers,
            at: Timestamp::UNIX_EPOCH,
        };
        let answer = page::resource(Kind::Text, "eu-west-1".to_owned(), Timestamp::UNIX_EPOCH);
        let Reply::Raw(bytes) = spoil(effect, answer, occasion) else {
            panic!("{effect:?} is an answer");
        };
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[test]
    fn what_is_spoiled_is_spoiled_in_one_way_only() {
        for (effect, framing, body) in [
            (Effect::Cut, "Content-Length: 9\r\n", "eu-w"),
            (Effect::Length(4), "Content-Length: 4\r\n", "eu-west-1"),
            (Effect::Length(99), "Content-Length: 99\r\n", "eu-west-1"),
            (
                Effect::Chunked,
                "Transfer-Encoding: chunked\r\n",
                "4\r\neu-w\r\n4\r\nest-\r\n1\r\n1\r\n0\r\n\r\n",
            ),
        ] {
            let raw = raw(effect);
            let (head, told) = raw.split_once("\r\n\r\n").unwrap();
            assert!(
                head.starts_with(&format!("HTTP/1.1 200 OK\r\n{framing}")),
                "{head}"
            );
            assert!(head.contains("\r\nserver: EC2ws"), "{head}");
            assert_eq!(
                head.to_lowercase().matches("content-length").count(),
                framing.matches("Content").count()
            );
            assert_eq!(told, body, "{effect:?}");
        }
    }
}
