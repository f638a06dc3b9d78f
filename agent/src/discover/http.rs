//! Requests to the metadata service of this node.

use std::{io, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{
    Request, StatusCode,
    client::conn::http1,
    header::{HOST, HeaderName, HeaderValue},
    http::request::Builder,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time};

use crate::config::MetadataAddr;

/// The service answers within a millisecond, unless it is overloaded.
const ANSWER: Duration = Duration::from_secs(2);
/// What we ask for has some hundred bytes.
const LONGEST: usize = 16 << 10;

/// `IMDSv2`: where tokens are, how they are shown, and how long ours shall live, in seconds.
const TOKEN_PATH: &str = "/latest/api/token";
const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
const TTL: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
const LIFE: HeaderValue = HeaderValue::from_static("60");

/// A request failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody is there.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// Somebody is there, and says nothing.
    #[error("no answer to {path} within {} s", ANSWER.as_secs())]
    Timeout {
        /// What was asked for.
        path: &'static str,
    },
    /// It is no HTTP that comes back.
    #[error("cannot ask for {path}")]
    Exchange {
        /// What was asked for.
        path: &'static str,
        /// What is wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It does not say what was asked for.
    #[error("{path} is answered with status {status}")]
    Status {
        /// What was asked for.
        path: &'static str,
        /// What came.
        status: StatusCode,
    },
}

/// A service that gave us a token.
pub(super) struct Session<'a> {
    addr: &'a MetadataAddr,
    token: HeaderValue,
}

impl<'a> Session<'a> {
    /// Asks for a token.
    pub(super) async fn open(addr: &'a MetadataAddr) -> Result<Self, Failure> {
        let request = Request::put(TOKEN_PATH).header(TTL, LIFE);
        let answer = send(addr, TOKEN_PATH, request).await?;
        let token = answer.ok_or(Failure::Status {
            path: TOKEN_PATH,
            status: StatusCode::NOT_FOUND,
        })?;
        let mut token =
            HeaderValue::from_maybe_shared(token).map_err(|source| Failure::Exchange {
                path: TOKEN_PATH,
                source: source.into(),
            })?;
        token.set_sensitive(true);
        Ok(Self { addr, token })
    }

    /// What is at `path`, if anything is.
    pub(super) async fn get(&self, path: &'static str) -> Result<Option<Bytes>, Failure> {
        let request = Request::get(path).header(TOKEN, self.token.clone());
        send(self.addr, path, request).await
    }
}

/// One request on a connection of its own.
async fn send(
    addr: &MetadataAddr,
    path: &'static str,
    request: Builder,
) -> Result<Option<Bytes>, Failure> {
    let answer = async {
        let stream = TcpStream::connect(addr.target()).await;
        let stream = stream.map_err(Failure::Connect)?;
        let answer = exchange(stream, request.header(HOST, addr.authority())).await;
        answer.map_err(|source| Failure::Exchange { path, source })
    };
    let answer = time::timeout(ANSWER, answer).await;
    match answer.map_err(|_late| Failure::Timeout { path })?? {
        (StatusCode::OK, body) => Ok(Some(body)),
        (StatusCode::NOT_FOUND, _) => Ok(None),
        (status, _) => Err(Failure::Status { path, status }),
    }
}

async fn exchange(
    stream: TcpStream,
    request: Builder,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = request.body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = requests.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST)
            .collect()
            .await?;
        Ok((status, body.to_bytes()))
    };
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // What the connection cannot do, the request says better.
        _done = connection => answer.await,
    }
}
