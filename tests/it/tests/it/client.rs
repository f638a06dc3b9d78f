//! Requests by hand, so that nothing on the way is forgiving.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
};

use jiff::Timestamp;
use rustix::net::{self, AddressFamily, SocketType};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use crate::{pod::Pod, wait::soon};

pub(crate) const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
pub(crate) const INFO: &str = "/latest/meta-data/iam/info";
pub(crate) const TOKEN: &str = "/latest/api/token";

/// SHA-256 is in the unit tests; this is what people see of the page.
const NOT_FOUND: &str = "<title>404 - Not Found</title>";

/// Makes connections from an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    from: Ipv4Addr,
    to: SocketAddr,
}

impl Client {
    pub(crate) const fn new(from: Ipv4Addr, to: SocketAddr) -> Self {
        Self { from, to }
    }

    pub(crate) const fn of_pod(pod: Pod, to: SocketAddr) -> Self {
        Self::new(pod.address(), to)
    }

    pub(crate) async fn connect(self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((self.from, 0)))?;
        soon(socket.connect(self.to)).await
    }

    /// Connects while nothing else happens in this process: nobody can have accepted the connection yet.
    pub(crate) fn connect_unseen(self) -> io::Result<TcpStream> {
        let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
        net::bind(&socket, &SocketAddr::from((self.from, 0)))?;
        net::connect(&socket, &self.to)?;
        let stream = std::net::TcpStream::from(socket);
        stream.set_nonblocking(true)?;
        TcpStream::from_std(stream)
    }

    /// Sends `request` and reads to the end. `None` if there is no answer.
    pub(crate) async fn send(self, request: &str) -> Option<Answer> {
        let text = self.say(request).await;
        (!text.is_empty()).then(|| Answer::parse(&text))
    }

    /// Sends `request` and reads to the end: all that comes back, as it comes.
    pub(crate) async fn say(self, request: &str) -> String {
        let mut stream = self.connect().await.unwrap();
        // Who is refused may find the connection closed already.
        let _sent = stream.write_all(request.as_bytes()).await.is_ok();
        read_text(stream).await
    }

    /// A request with `headers`, each with its line end.
    pub(crate) async fn request(self, method: &str, target: &str, headers: &str) -> Answer {
        let request =
            format!("{method} {target} HTTP/1.1\r\nHost: 169.254.169.254\r\n{headers}\r\n");
        let answer = self.send(&request).await;
        answer.unwrap_or_else(|| panic!("no answer to {method} {target}"))
    }

    pub(crate) async fn get(self, path: &str) -> Answer {
        self.request("GET", path, "").await
    }

    /// As an `IMDSv2` client asks.
    pub(crate) async fn get_with(self, path: &str, token: &str) -> Answer {
        let header = format!("X-aws-ec2-metadata-token: {token}\r\n");
        self.request("GET", path, &header).await
    }

    pub(crate) async fn put_token(self, seconds: u16) -> Answer {
        let header = format!("X-aws-ec2-metadata-token-ttl-seconds: {seconds}\r\n");
        self.request("PUT", TOKEN, &header).await
    }

    /// A token that lasts for the whole test.
    pub(crate) async fn token(self) -> String {
        let answer = self.put_token(21600).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    /// The keys of `role`.
    pub(crate) async fn keys(self, role: &str) -> Keys {
        self.get(&format!("{ROLES}{role}")).await.keys()
    }
}

/// Reads an answer to the end of the connection.
pub(crate) async fn read(stream: TcpStream) -> Option<Answer> {
    let text = read_text(stream).await;
    (!text.is_empty()).then(|| Answer::parse(&text))
}

/// Reads to the end of the connection.
pub(crate) async fn read_text(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that is reset gives what came before.
    let _whole = soon(stream.read_to_end(&mut bytes)).await.is_ok();
    String::from_utf8(bytes).unwrap()
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// By name in lower case.
    headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect(text);
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").expect(text);
            (name.to_ascii_lowercase(), value.to_owned())
        };
        Self {
            status: status.expect(text).parse().expect(text),
            headers: lines.map(header).collect(),
            body: body.to_owned(),
        }
    }

    /// The value of a header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The names of all headers, in order.
    pub(crate) fn header_names(&self) -> Vec<&str> {
        self.headers.keys().map(String::as_str).collect()
    }

    /// Status and body.
    pub(crate) fn seen(&self) -> (u16, &str) {
        (self.status, &self.body)
    }

    /// Whether it is what EC2 shows for what does not exist.
    pub(crate) fn is_absent(&self) -> bool {
        self.status == 404 && self.body.len() == 339 && self.body.contains(NOT_FOUND)
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The keys in it.
    pub(crate) fn keys(&self) -> Keys {
        assert_eq!(self.status, 200, "{self:?}");
        let keys: Keys =
            serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"));
        assert_eq!((&*keys.code, &*keys.r#type), ("Success", "AWS-HMAC"));
        keys
    }
}

/// Credentials as EC2 spells them, and nothing beside them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Keys {
    pub(crate) code: String,
    pub(crate) last_updated: Timestamp,
    pub(crate) r#type: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) token: String,
    pub(crate) expiration: Timestamp,
}

impl Keys {
    /// Whether they end when STS says, or up to a second before: not later than what was asked for, by our clock.
    pub(crate) fn end_as(&self, told: Timestamp) -> bool {
        (-1..=0).contains(&(self.expiration.as_second() - told.as_second()))
    }
}
