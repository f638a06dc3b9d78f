//! Heads of requests, and what comes after them.
//!
//! What the agent takes for a head, hyper takes for the same: one request with this method, this target, this version, as many
//! fields, and a body that begins and ends where we say. It makes no difference in what portions the bytes come.

use std::{
    cell::RefCell,
    convert::Infallible,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bpf2iam::imds::head::{Body, HEAD, Head, Malformed, Scanner};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Request, Response,
    body::{Body as _, Incoming},
    rt::{Read, ReadBufCursor, Write},
    server::conn::http1,
    service::service_fn,
};

/// Enough for whatever hyper does with one input, all of which is there.
const POLLS: usize = 10_000;

/// Has the beginning of a connection read.
///
/// # Panics
///
/// If the agent and hyper do not read the same, or the agent does not when it comes in portions.
pub fn check(input: &[u8]) {
    // No more than that is ever read before the verdict.
    let opening = input.split_at(input.len().min(HEAD)).0;
    let verdict = Scanner::default().scan(opening);
    assert_eq!(in_portions(opening), verdict, "byte by byte");
    if let Ok(Some(head)) = verdict {
        check_reading(input, head);
    }
}

/// The first verdict on bytes that come one by one.
fn in_portions(opening: &[u8]) -> Result<Option<Head>, Malformed> {
    let mut scanner = Scanner::default();
    let mut portions = (0..=opening.len()).map(|end| scanner.scan(opening.split_at(end).0));
    portions
        .find(|verdict| *verdict != Ok(None))
        .unwrap_or(Ok(None))
}

fn check_reading(input: &[u8], head: Head) {
    let (ours, after) = input.split_at(head.length);
    let requests = hyper_reads(input);
    // What hyper refuses nobody is given.
    let Some(read) = requests.first() else { return };
    let text = String::from_utf8_lossy(ours);
    let lines: Vec<_> = text.split("\r\n").filter(|line| !line.is_empty()).collect();
    let [method, target, version] = words(lines[0]);
    assert_eq!(read.method, method, "the method");
    assert_eq!(read.target, plain(target), "the target");
    assert_eq!(read.version, version, "the version");
    assert_eq!(read.fields, lines.len() - 1, "the fields");
    match head.body {
        Body::Length(length) => {
            assert_eq!(read.length, Some(length), "the body's length");
            let whole = usize::try_from(length)
                .ok()
                .and_then(|length| after.get(..length));
            assert_eq!(read.body.as_deref(), whole, "the body");
        }
        Body::Chunked => assert_eq!(read.length, None, "the body's length"),
    }
    assert_eq!(requests.len(), 1, "after the end, there is nothing");
}

fn words(line: &str) -> [&str; 3] {
    let words: Vec<_> = line.split(' ').collect();
    words.try_into().expect("a request line is three words")
}

/// A target as hyper writes it: schemes that it knows in small letters, a host not without a path.
fn plain(target: &str) -> String {
    let Some((scheme, rest)) = target
        .split_once("://")
        .filter(|_| !target.starts_with('/'))
    else {
        return target.to_owned();
    };
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let slash = if path.starts_with('/') { "" } else { "/" };
    let known = ["http", "https"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(scheme));
    let scheme = known.unwrap_or(scheme);
    format!("{scheme}://{host}{slash}{path}")
}

/// What hyper understands.
struct Understood {
    method: String,
    target: String,
    version: String,
    fields: usize,
    /// Of the body, if that is told.
    length: Option<u64>,
    /// If all of it is there.
    body: Option<Vec<u8>>,
}

/// The requests that hyper reads in `input`, with its settings as the agent makes them.
fn hyper_reads(input: &[u8]) -> Vec<Understood> {
    let requests = RefCell::default();
    let service = service_fn(async |request: Request<Incoming>| {
        understand(request, &requests).await;
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let mut http = http1::Builder::new();
    http.keep_alive(false).half_close(true).max_buf_size(HEAD);
    {
        let mut connection = pin!(http.serve_connection(Wire(input), service));
        let mut context = Context::from_waker(Waker::noop());
        let ended = (0..POLLS).any(|_| connection.as_mut().poll(&mut context).is_ready());
        assert!(ended, "hyper comes to an end");
    }
    requests.into_inner()
}

async fn understand(request: Request<Incoming>, requests: &RefCell<Vec<Understood>>) {
    let (head, body) = request.into_parts();
    let read = Understood {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        version: format!("{:?}", head.version),
        fields: head.headers.len(),
        length: body.size_hint().exact(),
        body: None,
    };
    requests.borrow_mut().push(read);
    let body = body
        .collect()
        .await
        .ok()
        .map(|body| body.to_bytes().to_vec());
    if let Some(read) = requests.borrow_mut().last_mut() {
        read.body = body;
    }
}

/// A client who says this, is done, and reads whatever it is told.
struct Wire<'a>(&'a [u8]);

impl Read for Wire<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut room: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let (now, later) = self.0.split_at(self.0.len().min(room.remaining()));
        room.put_slice(now);
        self.0 = later;
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyper_is_asked_indeed() {
        let read = hyper_reads(b"PUT /a HTTP/1.1\r\nX: y\r\nContent-Length: 5\r\n\r\nhello");
        let [read] = read.as_slice() else {
            unreachable!("it is one request")
        };
        assert_eq!([&read.method, &read.target], ["PUT", "/a"]);
        assert_eq!((read.fields, read.length), (2, Some(5)));
        assert_eq!(read.body.as_deref(), Some(b"hello".as_slice()));
        assert!(hyper_reads(b"PUT /a HTTP/1.1\r\n").is_empty());
    }
}
