use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::*;

/// Sends `request` and reads until the other side closes.
pub(crate) async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

/// The first line and the body of what a GET of `path` at `address` gives.
pub(crate) async fn get(address: SocketAddr, path: &str) -> (String, String) {
    let stream = TcpStream::connect(address).await.unwrap();
    let response = exchange(stream, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.lines().next().unwrap();
    (status.to_owned(), body.to_owned())
}

/// One page, at `/page`.
struct OnePage;

impl Pages for OnePage {
    async fn get(&self, target: &Uri) -> Option<Page> {
        (target.path() == "/page").then(|| Page::text(StatusCode::OK, "hello\n"))
    }
}

fn conversation() -> (DuplexStream, JoinHandle<()>) {
    let (ours, theirs) = tokio::io::duplex(64);
    (ours, tokio::spawn(talk(theirs, Arc::new(OnePage))))
}

#[tokio::test]
async fn a_request_gets_its_page_or_a_refusal_and_the_connection_ends() {
    for (request, status, rest) in [
        ("GET /page", "200 OK", "hello\n"),
        ("GET /page?q=1", "200 OK", "hello\n"),
        ("GET /page/", "404 Not Found", "not found\n"),
        ("GET /PAGE", "404 Not Found", "not found\n"),
        ("GET /", "404 Not Found", "not found\n"),
        ("POST /", "404 Not Found", "not found\n"),
        ("POST /page", "405 Method Not Allowed", "only GET\n"),
        ("DELETE /page", "405 Method Not Allowed", "only GET\n"),
        ("HEAD /page", "405 Method Not Allowed", "\r\n\r\n"),
    ] {
        let (stream, talk) = conversation();
        let response = exchange(stream, &format!("{request} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{request}: {response}"
        );
        assert!(response.ends_with(rest), "{request}: {response}");
        assert_eq!(
            status.starts_with("405"),
            response.contains("allow: GET\r\n"),
            "{request}"
        );
        talk.await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    for (request, status) in [
        ("\r\n\0\r\n".to_owned(), "400"),
        ("GET /page HTTP/9.9\r\n\r\n".to_owned(), "400"),
        (
            format!("GET /page HTTP/1.1\r\nx: {}", "x".repeat(HEAD)),
            "431",
        ),
    ] {
        let (stream, talk) = conversation();
        let response = exchange(stream, &request).await;
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "{response}"
        );
        talk.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_sent_away() {
    for beginning in ["", "GET /page HTTP/1.1\r\n"] {
        let began = time::Instant::now();
        let (stream, _talk) = conversation();
        assert_eq!(exchange(stream, beginning).await, "");
        assert!((PATIENCE..PATIENCE * 2).contains(&began.elapsed()));
    }
}

#[tokio::test]
async fn hoarded_connections_keep_nobody_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_signal, watch) = drain::channel();
    let door = tokio::spawn(serve(listener, OnePage, watch));
    let mut hoard = VecDeque::new();
    for _ in 0..CONNECTIONS {
        hoard.push_back(TcpStream::connect(address).await.unwrap());
    }
    assert_eq!(get(address, "/page").await.1, "hello\n");
    let mut oldest = hoard.pop_front().unwrap();
    assert_eq!(
        oldest.read(&mut [0]).await.unwrap(),
        0,
        "the oldest was closed"
    );
    let second = exchange(&mut hoard[0], "GET /page HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(second.ends_with("hello\n"), "the others were not: {second}");
    door.abort();
}

#[tokio::test]
async fn a_drain_closes_the_door_and_finishes_what_it_began() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (signal, watch) = drain::channel();
    let door = tokio::spawn(serve(listener, OnePage, watch));
    let begun = TcpStream::connect(address).await.unwrap();
    assert_eq!(get(address, "/page").await.1, "hello\n"); // so `begun` was accepted before
    let drained = tokio::spawn(signal.drain(PATIENCE));
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!door.is_finished());
    let response = exchange(begun, "GET /page HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(response.ends_with("hello\n"), "{response}");
    assert!(drained.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_who_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (signal, watch) = drain::channel();
    let _door = tokio::spawn(serve(listener, OnePage, watch));
    let mut silent = TcpStream::connect(address).await.unwrap();
    assert_eq!(get(address, "/page").await.1, "hello\n"); // so `silent` was accepted before
    let began = time::Instant::now();
    assert!(signal.drain(PATIENCE).await);
    assert!((GRACE..PATIENCE).contains(&began.elapsed()));
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0, "cut off");
}
