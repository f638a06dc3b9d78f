//! How a connection begins: with the head of its one request, read and found right before anybody acts on it.

use std::{io::Cursor, time::Duration};

use bytes::BufMut as _;
use hyper::StatusCode;
use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use tokio::{
    io::{self, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, tcp::ReadHalf},
    time,
};

use crate::imds::{
    breakage::Breakage,
    head::{Body, HEAD, Head, Malformed, Scanner},
};

/// How long a client may take to say what it wants. All clients say it in the packet after the handshake.
pub(super) const HEAD_PATIENCE: Duration = Duration::from_secs(5);
/// Room for the head that a client sends; one read takes all of it.
const USUAL: usize = 1024;

/// What was read of a request whose head is right, and how much of it is still to come.
#[derive(Debug)]
pub(super) struct Opening {
    /// The head, and what came with it of the body.
    read: Vec<u8>,
    /// How much of the body may still be read.
    rest: u64,
}

/// Why a connection gave no request.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It ended before it had begun. Nobody is harmed, and nobody is to blame.
    #[error("the client went without a word")]
    Silent,
    /// It ended in the middle.
    #[error("the client went in the middle of its request's head")]
    Gone,
    /// It did not go on.
    #[error("the client did not say in time what it wants")]
    Timeout,
    /// What came is no request.
    #[error("not a request: {0}")]
    Malformed(Malformed),
}

impl Error {
    /// The word for it, unless it is nothing to be counted.
    pub(super) const fn breakage(&self) -> Option<Breakage> {
        match self {
            Self::Silent => None,
            Self::Gone => Some(Breakage::Gone),
            Self::Timeout => Some(Breakage::Timeout),
            Self::Malformed(_) => Some(Breakage::Malformed),
        }
    }
}

impl Opening {
    /// Waits for the head, for a bounded time.
    pub(super) async fn read(from: &mut TcpStream) -> Result<Self, Error> {
        let read = time::timeout(HEAD_PATIENCE, Self::read_patiently(from));
        read.await.unwrap_or(Err(Error::Timeout))
    }

    async fn read_patiently(from: &mut TcpStream) -> Result<Self, Error> {
        let mut scanner = Scanner::default();
        let mut read = Vec::with_capacity(USUAL);
        loop {
            // The scanner has enough before there is no room.
            let room = HEAD - read.len();
            match from.read_buf(&mut (&mut read).limit(room)).await {
                Ok(1..) => {}
                _ if read.is_empty() => return Err(Error::Silent),
                _ => return Err(Error::Gone),
            }
            if let Some(head) = scanner.scan(&read).map_err(Error::Malformed)? {
                return Ok(Self::new(read, head));
            }
        }
    }

    fn new(mut read: Vec<u8>, head: Head) -> Self {
        let rest = match head.body {
            Body::Chunked => u64::MAX,
            Body::Length(length) => {
                let here = read.len() - head.length;
                let ours = usize::try_from(length).map_or(here, |length| here.min(length));
                // What comes after the request is nobody's.
                read.truncate(head.length + ours);
                length - ours as u64
            }
        };
        Self { read, rest }
    }

    /// The request from its beginning, and nothing that comes after it.
    pub(super) fn replay(self, from: ReadHalf<'_>) -> impl AsyncRead + Unpin {
        Cursor::new(self.read).chain(from.take(self.rest))
    }
}

/// Tells a client that what it sent is no request, as EC2 words its refusals; and that nothing more is read.
pub(super) async fn refuse(to: &mut TcpStream, why: Malformed, now: Timestamp) -> io::Result<()> {
    to.write_all(refusal(why.status(), now).as_bytes()).await?;
    to.shutdown().await
}

fn refusal(status: StatusCode, now: Timestamp) -> String {
    // Only times before the year 0 have no such form.
    let date = DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&now)
        .unwrap_or_default();
    let lines = [
        format!("HTTP/1.1 {status}"),
        "Content-Type: text/plain".to_owned(),
        "Server: EC2ws".to_owned(),
        "Connection: close".to_owned(),
        "Content-Length: 0".to_owned(),
        format!("Date: {date}"),
    ];
    lines.join("\r\n") + "\r\n\r\n"
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A connection on which `said` is said, in two pieces where there is a `|`.
    async fn heard(said: &str) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let said = said.to_owned();
        let _saying = tokio::spawn(async move {
            for piece in said.split('|') {
                client.write_all(piece.as_bytes()).await.unwrap();
                time::sleep(Duration::from_millis(5)).await;
            }
        });
        listener.accept().await.unwrap().0
    }

    #[tokio::test]
    async fn the_request_is_replayed_and_nothing_that_comes_after_it() {
        const HEAD: &str = "PUT / HTTP/1.1\r\n";
        for (fields, behind, body) in [
            ("", "", ""),
            ("", "GET / HTTP/1.1\r\n\r\n", ""),
            ("", "|GET / HTTP/1.1\r\n\r\n", ""),
            ("Content-Length: 0\r\n", "GET", ""),
            ("Content-Length: 5\r\n", "helloGET", "hello"),
            ("Content-Length: 5\r\n", "|helloGET", "hello"),
            ("Content-Length: 5\r\n", "hel|loGET|GET", "hello"),
            ("Content-Length: 5\r\n", "hel", "hel"),
            (
                "Content-Length: 18446744073709551615\r\n",
                "hel|lo",
                "hello",
            ),
            // Whoever reads the chunks knows where they end.
            (
                "Transfer-Encoding: chunked\r\n",
                "0\r\n|\r\nGET",
                "0\r\n\r\nGET",
            ),
        ] {
            let mut stream = heard(&format!("{HEAD}{fields}\r\n{behind}")).await;
            let opening = Opening::read(&mut stream).await.unwrap();
            let mut read = String::new();
            let (from, _to) = stream.split();
            opening
                .replay(from)
                .read_to_string(&mut read)
                .await
                .unwrap();
            assert_eq!(read, format!("{HEAD}{fields}\r\n{body}"), "{behind}");
        }
    }

    #[tokio::test]
    async fn no_more_is_read_than_a_head_may_have() {
        let mut stream = heard(&"x".repeat(HEAD * 2)).await;
        let error = Opening::read(&mut stream).await.unwrap_err();
        assert!(matches!(error, Error::Malformed(Malformed::TooLarge)));
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest.len(), HEAD);
    }
}
