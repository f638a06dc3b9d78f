use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{
    Request, Response, body::Body as _, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncWriteExt as _, duplex};

use super::{Malformed as M, *};

const NONE: Body = Body::Length(0);

/// What hyper 1.12 makes of the same bytes, as our server sets it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hyper {
    /// It refuses them, too.
    Refuses,
    /// It hands a request to the service.
    Serves,
}
use Hyper::{Refuses, Serves};

fn whole(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    Scanner::default().scan(bytes)
}

fn portions(bytes: &[u8], size: usize) -> Result<Option<Head>, Malformed> {
    let mut scanner = Scanner::default();
    let ends = (1..bytes.len()).filter(|end| end % size == 0);
    for end in ends {
        if let Some(head) = scanner.scan(&bytes[..end])? {
            return Ok(Some(head));
        }
    }
    scanner.scan(bytes)
}

/// How the body of the request is told to end that hyper sees in `bytes`, if it sees one.
async fn hyper(bytes: &[u8]) -> Option<Body> {
    let seen = Arc::new(Mutex::new(None));
    let note = service_fn(|request: Request<Incoming>| {
        let body = request
            .body()
            .size_hint()
            .exact()
            .map_or(Body::Chunked, Body::Length);
        let earlier = seen.lock().unwrap().replace(body);
        assert_eq!(earlier, None, "a second request was served");
        async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) }
    });
    let (mut client, server) = duplex(1 << 20);
    client.write_all(bytes).await.unwrap();
    client.shutdown().await.unwrap();
    let mut http = http1::Builder::new();
    http.keep_alive(false).half_close(true).max_buf_size(HEAD);
    let served = http.serve_connection(TokioIo::new(server), note).await;
    let seen = *seen.lock().unwrap();
    assert!(
        served.is_err() || seen.is_some(),
        "{}",
        bytes.escape_ascii()
    );
    seen
}

/// Real clients, by the table of clients in the contract of the metadata service.
#[tokio::test]
async fn what_real_clients_send_is_right() {
    let fields = |count| "X: y\r\n".repeat(count);
    for (request, body) in [
        // curl, CRT, C++, Rust, Java: a PUT that says nothing of a body.
        (
            "PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\nX-aws-ec2-metadata-token-ttl-seconds: 21600\r\nAccept: */*\r\n\r\n".to_owned(),
            NONE,
        ),
        // Python, Node, Go, Ruby.
        (
            "PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\nContent-Length: 0\r\n\r\n".to_owned(),
            NONE,
        ),
        // CRT over IPv6: no brackets.
        ("GET /latest/ HTTP/1.1\r\nHost: fd00:ec2::254\r\n\r\n".to_owned(), NONE),
        ("GET /latest/ HTTP/1.1\r\nHost: [fd00:ec2::254]:80\r\n\r\n".to_owned(), NONE),
        // As through a proxy.
        ("GET http://169.254.169.254/latest/ HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n".to_owned(), NONE),
        // curl -0, and a socket by hand.
        ("GET /latest/ HTTP/1.0\r\n\r\n".to_owned(), NONE),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), NONE),
        // @aws-sdk/ec2-metadata-service, minio-js, C++.
        ("GET //latest/meta-data/iam/security-credentials//team%2Ba%3Db?x=y HTTP/1.1\r\nhost:x\r\n\r\n".to_owned(), NONE),
        // Bodies, where clients send some.
        ("PUT / HTTP/1.1\r\nContent-Length:\t 007 \r\n\r\n".to_owned(), Body::Length(7)),
        ("PUT / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n".to_owned(), Body::Chunked),
        ("PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n".to_owned(), Body::Length(2)),
        // What RFC 9112 lets pass: one empty line before, other methods, empty values, bytes of other alphabets.
        ("\r\nGET / HTTP/1.1\r\n\r\n".to_owned(), NONE),
        ("OPTIONS * HTTP/1.1\r\n\r\n".to_owned(), NONE),
        ("get / HTTP/1.1\r\nX:\r\nY: \tz\t\u{e9}\t\r\n\r\n".to_owned(), NONE),
        // As many fields and bytes as there may be.
        (format!("GET / HTTP/1.1\r\n{}\r\n", fields(FIELDS)), NONE),
        (format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(HEAD - 23)), NONE),
    ] {
        let length = request.len();
        let expected = Ok(Some(Head { length, body }));
        assert_eq!(whole(request.as_bytes()), expected, "{request}");
        assert_eq!(portions(request.as_bytes(), 1), expected, "{request}");
        let more = format!("{request}GET /behind");
        assert_eq!(whole(more.as_bytes()), expected, "{more}");
        assert_eq!(hyper(request.as_bytes()).await, Some(body), "{request}");
    }
}

/// Fields, what hyper makes of them, and why we refuse them. The second is why there is the third: what hyper would serve
/// must not get there.
type Row = (&'static str, Hyper, Malformed);

async fn refused_all(rows: &[Row]) {
    for (fields, hypers, why) in rows {
        let request = format!("PUT /latest/api/token HTTP/1.1\r\n{fields}\r\n");
        refused(&request, *hypers, *why).await;
    }
}

#[tokio::test]
async fn the_end_of_a_body_is_told_once() {
    refused_all(&[
        // Two ends for one body.
        (
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            Serves,
            M::TwoLengths,
        ),
        (
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            Refuses,
            M::TwoLengths,
        ),
        (
            "Content-Length: 0\r\ncontent-length: 0\r\n",
            Serves,
            M::TwoLengths,
        ),
        (
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            Serves,
            M::TwoFramings,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
            Serves,
            M::TwoFramings,
        ),
        // After a Transfer-Encoding hyper does not even look.
        (
            "Transfer-Encoding: chunked\r\nContent-Length: junk\r\n",
            Serves,
            M::ContentLength,
        ),
        // No length.
        ("Content-Length: 1, 1\r\n", Refuses, M::ContentLength),
        ("Content-Length: +1\r\n", Refuses, M::ContentLength),
        ("Content-Length: -1\r\n", Refuses, M::ContentLength),
        ("Content-Length: 0x1\r\n", Refuses, M::ContentLength),
        ("Content-Length: 1 1\r\n", Refuses, M::ContentLength),
        ("Content-Length: 1.0\r\n", Refuses, M::ContentLength),
        ("Content-Length:\r\n", Refuses, M::ContentLength),
        ("Content-Length: \u{661}\r\n", Refuses, M::ContentLength),
        (
            "Content-Length: 18446744073709551616\r\n",
            Refuses,
            M::ContentLength,
        ),
    ])
    .await;
}

#[tokio::test]
async fn chunked_is_the_only_encoding() {
    refused_all(&[
        ("Transfer-Encoding: gzip\r\n", Refuses, M::TransferEncoding),
        (
            "Transfer-Encoding: identity\r\n",
            Refuses,
            M::TransferEncoding,
        ),
        ("Transfer-Encoding:\r\n", Refuses, M::TransferEncoding),
        (
            "Transfer-Encoding: chunked, identity\r\n",
            Refuses,
            M::TransferEncoding,
        ),
        (
            "Transfer-Encoding: gzip, chunked\r\n",
            Serves,
            M::TransferEncoding,
        ),
        (
            "Transfer-Encoding: chunked, chunked\r\n",
            Serves,
            M::TransferEncoding,
        ),
        (
            "Transfer-Encoding: , chunked\r\n",
            Serves,
            M::TransferEncoding,
        ),
        (
            "Transfer-Encoding: chunked;q=1\r\n",
            Refuses,
            M::TransferEncoding,
        ),
        (
            "Transfer-Encoding: \"chunked\"\r\n",
            Refuses,
            M::TransferEncoding,
        ),
        (
            "Transfer-Encoding: xchunked\r\n",
            Refuses,
            M::TransferEncoding,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            Serves,
            M::TransferEncoding,
        ),
        (
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
            Serves,
            M::TransferEncoding,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n",
            Refuses,
            M::TransferEncoding,
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_line_is_a_line() {
    refused_all(&[
        ("X: y\r\n z\r\n", Refuses, M::Folded),
        ("X: y\r\n\tz\r\n", Refuses, M::Folded),
        (" X: y\r\n", Refuses, M::Folded),
        ("X: y\r\n \r\n", Refuses, M::Folded),
        ("X: y\n", Serves, M::BareLf),
        ("X: y\nContent-Length: 1\r\n", Serves, M::BareLf),
        ("X: y\n\r\n", Serves, M::BareLf),
        ("X: y\rContent-Length: 1\r\n", Refuses, M::BareCr),
        ("X: y\r\r\n", Refuses, M::BareCr),
        ("\rX: y\r\n", Refuses, M::BareCr),
        ("X: a\0b\r\n", Refuses, M::Control),
        ("X: a\u{8}b\r\n", Refuses, M::Control),
        ("X: a\u{7f}b\r\n", Refuses, M::Control),
        ("X: a\u{b}b\r\n", Refuses, M::Control),
        ("X\0: y\r\n", Refuses, M::Control),
    ])
    .await;
}

#[tokio::test]
async fn a_field_has_a_name() {
    refused_all(&[
        ("Content-Length : 1\r\n", Refuses, M::FieldName),
        ("Transfer-Encoding\t: chunked\r\n", Refuses, M::FieldName),
        (": y\r\n", Refuses, M::FieldName),
        ("no colon\r\n", Refuses, M::FieldName),
        ("X(y): z\r\n", Refuses, M::FieldName),
        ("X y: z\r\n", Refuses, M::FieldName),
        ("\u{e9}: z\r\n", Refuses, M::FieldName),
        // hyper leaves this one to the service.
        ("Host: a\r\nHost: b\r\n", Serves, M::TwoHosts),
    ])
    .await;
}

#[tokio::test]
async fn what_does_not_begin_as_a_request_is_refused() {
    for (request, hypers, why) in [
        ("GET\r\n\r\n", Refuses, M::RequestLine),
        ("GET /\r\n\r\n", Refuses, M::RequestLine),
        ("GET / \r\n\r\n", Refuses, M::Version),
        ("GET  / HTTP/1.1\r\n\r\n", Refuses, M::RequestLine),
        ("GET /  HTTP/1.1\r\n\r\n", Refuses, M::RequestLine),
        ("GET / HTTP/1.1 \r\n\r\n", Refuses, M::RequestLine),
        (" GET / HTTP/1.1\r\n\r\n", Refuses, M::RequestLine),
        ("GET\t/\tHTTP/1.1\r\n\r\n", Refuses, M::RequestLine),
        ("GET /a b HTTP/1.1\r\n\r\n", Refuses, M::RequestLine),
        ("GET /a\tb HTTP/1.1\r\n\r\n", Refuses, M::RequestLine),
        ("GE(T / HTTP/1.1\r\n\r\n", Refuses, M::RequestLine),
        (" / HTTP/1.1\r\n\r\n", Refuses, M::RequestLine),
        // hyper knows paths in UTF-8.
        ("GET /\u{e9} HTTP/1.1\r\n\r\n", Serves, M::RequestLine),
        // hyper takes the fragment off.
        ("GET /a#/../b HTTP/1.1\r\n\r\n", Serves, M::RequestLine),
        // HTTP/0.9, 2 and none at all.
        ("GET /\r\n", Refuses, M::RequestLine),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refuses, M::Version),
        ("GET / HTTP/0.9\r\n\r\n", Refuses, M::Version),
        ("GET / HTTP/1.2\r\n\r\n", Refuses, M::Version),
        ("GET / HTTP/01.1\r\n\r\n", Refuses, M::Version),
        ("GET / http/1.1\r\n\r\n", Refuses, M::Version),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}", Refuses, M::Control),
        // hyper passes over any number of these.
        ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", Serves, M::EmptyLines),
        ("\nGET / HTTP/1.1\r\n\r\n", Serves, M::BareLf),
        ("GET / HTTP/1.1\n\n", Serves, M::BareLf),
        ("GET / HTTP/1.1\n\r\n", Serves, M::BareLf),
        ("GET / HTTP/1.1\r\r\n\r\n", Refuses, M::BareCr),
        ("GET /\0 HTTP/1.1\r\n\r\n", Refuses, M::Control),
        // A client of the time before chunks.
        (
            "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            Refuses,
            M::TransferEncoding,
        ),
    ] {
        refused(request, hypers, why).await;
    }
}

#[tokio::test]
async fn what_is_too_much_is_refused_with_its_own_status() {
    let fields = "X: y\r\n".repeat(FIELDS + 1);
    let long = "x".repeat(HEAD);
    for (request, hypers, why) in [
        (
            format!("GET / HTTP/1.1\r\n{fields}\r\n"),
            Refuses,
            M::TooManyFields,
        ),
        (
            format!("GET / HTTP/1.1\r\nX: {long}\r\n\r\n"),
            Refuses,
            M::TooLarge,
        ),
        (
            format!("GET /{long} HTTP/1.1\r\n\r\n"),
            Refuses,
            M::TooLarge,
        ),
        (
            format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(HEAD - 22)),
            Refuses,
            M::TooLarge,
        ),
        ("G".repeat(HEAD), Refuses, M::TooLarge),
    ] {
        assert_eq!(why.status().as_u16(), 431);
        refused(&request, hypers, why).await;
    }
}

/// Refused in whatever portions it comes; and hyper does what the table says.
async fn refused(request: &str, hypers: Hyper, why: Malformed) {
    let bytes = request.as_bytes();
    let shown: String = request.escape_debug().take(100).collect();
    for size in [1, 2, 7, bytes.len()] {
        assert_eq!(portions(bytes, size), Err(why), "{shown} by {size}");
    }
    let served = hyper(bytes).await.is_some();
    assert_eq!(served, hypers == Serves, "hyper has changed: {shown}");
}

#[test]
fn what_is_right_so_far_is_waited_for() {
    let request = b"\r\nGET /latest/ HTTP/1.1\r\nHost: x\r\nX: y\r\n\r\n";
    for end in 0..request.len() {
        assert_eq!(whole(&request[..end]), Ok(None), "{end}");
    }
}

#[test]
fn what_is_wrong_is_told_before_the_end_of_the_head() {
    for (bytes, why) in [
        ("GET / HTTP/1.1\n", M::BareLf),
        ("GET / HTTP/1.1\r\nX: y\r\n z\r\n", M::Folded),
        ("\0", M::Control),
        ("GET /\r\n", M::RequestLine),
        ("PRI * HTTP/2.0\r\n", M::Version),
    ] {
        assert_eq!(whole(bytes.as_bytes()), Err(why), "{bytes:?}");
    }
}

fn any_field() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "Content-Length",
        "content-length",
        "Transfer-Encoding",
        "TRANSFER-ENCODING",
        "Host",
        "X",
        "Content-Length ",
        " Content-Length",
        "Expect",
        "Connection",
        "",
    ]);
    let colon = prop::sample::select(vec![":", ": ", ":\t", " :", ""]);
    let value = prop::sample::select(vec![
        "",
        "0",
        "1",
        "17",
        "1,1",
        "+1",
        "chunked",
        "Chunked",
        "gzip, chunked",
        "chunked, gzip",
        "close",
        "x\u{e9}",
        "a\0b",
        "a\rb",
        "a\nb",
        "100-continue",
    ]);
    let end = prop::sample::select(vec!["\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r\n ", " \r\n"]);
    (name, colon, value, end)
        .prop_map(|(name, colon, value, end)| format!("{name}{colon}{value}{end}"))
}

proptest! {
    #[test]
    fn any_bytes_in_any_portions_are_the_same_to_us(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        size in 1_usize..40,
    ) {
        prop_assert_eq!(portions(&bytes, size), whole(&bytes));
    }

    /// What we let pass, hyper reads as we do. So no byte of it is ever somebody else's request.
    #[test]
    fn what_is_right_ends_for_hyper_where_it_ends_for_us(
        fields in prop::collection::vec(any_field(), 0..4),
        version in prop::sample::select(vec!["1.1", "1.0"]),
        size in 1_usize..40,
    ) {
        let request = format!("PUT / HTTP/{version}\r\n{}\r\n", fields.concat());
        let ours = whole(request.as_bytes());
        prop_assert_eq!(portions(request.as_bytes(), size), ours);
        if let Ok(Some(head)) = ours {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            // An empty line in the midst is its end: what comes then is nobody's.
            let hypers = runtime.block_on(hyper(&request.as_bytes()[..head.length]));
            prop_assert_eq!(hypers, Some(head.body), "{}", request);
        }
    }
}
