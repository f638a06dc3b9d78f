//! The command's end of the control socket.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, StatusCode, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::{net::UnixStream, time};

use crate::{
    explain::{Explanation, Question},
    status::Status,
};

use super::{EXPLAIN, QUESTION, STATUS, socket_path};

/// How long the agent may take: its answer is made from memory, at most with a look at the API server.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much it may answer: some hundred bytes a pod.
const ANSWER: usize = 16 << 20;

/// Why the agent could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no socket, or nobody behind it.
    #[error(
        "no agent answers at {}; does it run on this node, with the same --runtime-dir?",
        path.display()
    )]
    NotRunning {
        /// Its socket.
        path: PathBuf,
    },
    /// Somebody else's socket.
    #[error("may not open {}; ask as the user that the agent runs as (root)", path.display())]
    Forbidden {
        /// Its socket.
        path: PathBuf,
    },
    /// The agent hangs.
    #[error("the agent at {} gives no answer within {} s", path.display(), PATIENCE.as_secs())]
    Timeout {
        /// Its socket.
        path: PathBuf,
    },
    /// The socket cannot be used.
    #[error("cannot connect to the agent at {}", path.display())]
    Connect {
        /// Its socket.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It is no HTTP that comes back.
    #[error("cannot talk to the agent at {}", path.display())]
    Exchange {
        /// Its socket.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It knows no such pod.
    #[error("{0}")]
    NoSuchPod(String),
    /// It answers, but not to this.
    #[error("the agent at {} answers {status}; is it of another version?", path.display())]
    Refused {
        /// Its socket.
        path: PathBuf,
        /// What it answers.
        status: StatusCode,
    },
    /// It answers something else.
    #[error("cannot understand the agent at {}; is it of another version?", path.display())]
    Decode {
        /// Its socket.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

/// Asks the agent on this node.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// For the agent whose `--runtime-dir` this is.
    pub fn new(runtime_dir: &Path) -> Self {
        Self {
            path: socket_path(runtime_dir),
        }
    }

    /// What the agent says of itself.
    pub async fn status(&self) -> Result<Status, Error> {
        self.ask(STATUS).await
    }

    /// Why a pod has the role that it has.
    pub async fn explain(&self, question: &Question) -> Result<Explanation, Error> {
        let text = serde_json::to_string(question).map_err(|source| self.unreadable(source))?;
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair(QUESTION, &text)
            .finish();
        self.ask(&format!("{EXPLAIN}?{query}")).await
    }

    async fn ask<T: DeserializeOwned>(&self, target: &str) -> Result<T, Error> {
        let answer = time::timeout(PATIENCE, self.get(target)).await;
        let body = answer.map_err(|_elapsed| Error::Timeout {
            path: self.path.clone(),
        })??;
        serde_json::from_slice(&body).map_err(|source| self.unreadable(source))
    }

    fn unreadable(&self, source: serde_json::Error) -> Error {
        let path = self.path.clone();
        Error::Decode { path, source }
    }

    async fn get(&self, target: &str) -> Result<Bytes, Error> {
        let stream = UnixStream::connect(&self.path).await;
        let stream = stream.map_err(|error| self.unconnected(error))?;
        let (status, body) = exchange(stream, target)
            .await
            .map_err(|source| Error::Exchange {
                path: self.path.clone(),
                source,
            })?;
        if status == StatusCode::GONE {
            let message = String::from_utf8_lossy(&body).into_owned();
            return Err(Error::NoSuchPod(message));
        }
        if status != StatusCode::OK {
            let path = self.path.clone();
            return Err(Error::Refused { path, status });
        }
        Ok(body)
    }

    fn unconnected(&self, source: io::Error) -> Error {
        let path = self.path.clone();
        if matches!(
            source.kind(),
            ErrorKind::NotFound | ErrorKind::ConnectionRefused
        ) {
            Error::NotRunning { path }
        } else if source.kind() == ErrorKind::PermissionDenied {
            Error::Forbidden { path }
        } else {
            Error::Connect { path, source }
        }
    }
}

/// One GET on a connection of its own.
async fn exchange(
    stream: UnixStream,
    target: &str,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(target)
        .header(HOST, "localhost")
        .body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = requests.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER).collect().await?;
        Ok((status, body.to_bytes()))
    };
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // What the connection cannot do, the request says better.
        _done = connection => answer.await,
    }
}
