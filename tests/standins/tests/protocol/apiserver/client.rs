//! A client that shows what came, and repairs nothing.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, client::conn::http1, header::HeaderMap};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

pub(crate) const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
pub(crate) const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Debug)]
pub(crate) struct Client {
    addr: SocketAddr,
    headers: Vec<(&'static str, String)>,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// No answer, or not all of it.
#[derive(Debug)]
pub(crate) struct Broken;

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code, reason and message of a `Status`.
    pub(crate) fn refusal(&self) -> (u16, String, String) {
        let status = self.json();
        assert_eq!(status["kind"], "Status", "{status}");
        assert_eq!(status["status"], "Failure");
        assert_eq!(status["code"], self.status);
        let text = |name: &str| status[name].as_str().unwrap_or_default().to_owned();
        (self.status, text("reason"), text("message"))
    }
}

impl Client {
    pub(crate) const fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            headers: Vec::new(),
        }
    }

    /// The same with a header in every request.
    pub(crate) fn with(&self, name: &'static str, value: impl Into<String>) -> Self {
        let mut other = self.clone();
        other.headers.push((name, value.into()));
        other
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "").await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &body.to_string()).await.unwrap()
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        let merge = self.with("content-type", "application/merge-patch+json");
        merge.send("PATCH", path, &body.to_string()).await.unwrap()
    }

    /// Sends a request on a connection of its own.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<Answer, Broken> {
        let response = self.begin(method, path, body).await?;
        let (head, body) = response.into_parts();
        let body = tokio::time::timeout(PATIENCE, body.collect())
            .await
            .unwrap();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.map_err(|_how| Broken)?.to_bytes(),
        })
    }

    /// Starts a watch, which must be granted.
    pub(crate) async fn watch(&self, path: &str) -> Lines {
        let response = self.begin("GET", path, "").await.unwrap();
        assert_eq!(response.status().as_u16(), 200, "{path}");
        Lines {
            body: response.into_body(),
            buffer: Vec::new(),
        }
    }

    async fn begin(
        &self,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<Response<Incoming>, Broken> {
        let stream = TcpStream::connect(self.addr).await.map_err(|_how| Broken)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request.header("host", self.addr.to_string());
        let request = request
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap();
        let response = tokio::time::timeout(PATIENCE, sender.send_request(request));
        response.await.unwrap().map_err(|_how| Broken)
    }
}

/// The lines of a watch.
#[derive(Debug)]
pub(crate) struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Lines {
    /// The next event, or `None` at a good end.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, Broken> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<_> = self.buffer.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line).unwrap()));
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame());
            match frame.await.expect("there is something to read") {
                None if self.buffer.is_empty() => return Ok(None),
                None | Some(Err(_)) => return Err(Broken),
                Some(Ok(frame)) => self.buffer.extend(frame.into_data().unwrap()),
            }
        }
    }

    /// The next event, which must come.
    pub(crate) async fn event(&mut self) -> Value {
        self.next().await.unwrap().unwrap()
    }

    /// The next event in short: `ADDED web`.
    pub(crate) async fn brief(&mut self) -> String {
        brief(&self.event().await)
    }

    /// So many events in short.
    pub(crate) async fn briefs(&mut self, count: usize) -> Vec<String> {
        let mut briefs = Vec::new();
        for _ in 0..count {
            briefs.push(self.brief().await);
        }
        briefs
    }

    /// Whether nothing comes for a while.
    pub(crate) async fn is_silent(&mut self) -> bool {
        let while_ = Duration::from_millis(100);
        self.buffer.is_empty()
            && tokio::time::timeout(while_, self.body.frame())
                .await
                .is_err()
    }
}

fn brief(event: &Value) -> String {
    let object = &event["object"];
    let what = match event["type"].as_str().unwrap() {
        "ERROR" => object["code"].to_string(),
        "BOOKMARK" => object["metadata"]["resourceVersion"].to_string(),
        _ => object["metadata"]["name"].as_str().unwrap().to_owned(),
    };
    format!("{} {what}", event["type"].as_str().unwrap())
}
