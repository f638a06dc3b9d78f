//! HTTP by hand, so that nothing between the test and the stand-in is forgiving.

use std::{collections::HashMap, net::SocketAddr, path::Path};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
};

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// By name as it was spelled.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(": "));
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Some(Self {
            status,
            headers: headers.map(owned).collect(),
            body: body.to_owned(),
        })
    }
}

/// Sends `request` and reads until the connection is closed. `None` if there was no answer.
pub(crate) async fn send(addr: SocketAddr, request: &str) -> Option<Answer> {
    let stream = TcpStream::connect(addr).await.unwrap();
    exchange(stream, request).await
}

/// The same over a Unix socket.
pub(crate) async fn send_unix(path: &Path, request: &str) -> Option<Answer> {
    let stream = UnixStream::connect(path).await.unwrap();
    exchange(stream, request).await
}

async fn exchange(mut io: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Option<Answer> {
    io.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    // A connection that is reset has no answer either.
    let _read = io.read_to_end(&mut text).await;
    Answer::parse(&String::from_utf8(text).unwrap())
}

/// A request with `headers`, each with its line end.
pub(crate) fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = match body.len() {
        0 => String::new(),
        length => format!("Content-Length: {length}\r\n"),
    };
    format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}{length}\r\n{body}"
    )
}
