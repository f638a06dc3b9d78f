//! One request to the metadata service, on a connection of its own, within bounds of time and size.

use std::{
    borrow::Cow,
    fmt,
    io::{Error as IoError, ErrorKind},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::{Request, Response, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{self, Instant},
};

use crate::config::MetadataAddr;

/// The head of an answer has some hundred bytes; of a body so much is read at a time.
const BUFFER: usize = 16 << 10;

/// What is asked for, in words for people: ours, and never what a client made up.
pub(crate) type What = Cow<'static, str>;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A request, which never has a body.
pub(crate) type Question = Request<Empty<Bytes>>;

/// How long a request may take, and how large its answer may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// For the connection alone.
    pub(crate) connect: Duration,
    /// When all must be over.
    pub(crate) end: Instant,
    /// The largest body, in bytes.
    pub(crate) size: usize,
}

/// Why there is no answer, or not the one that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody is there.
    #[error("cannot connect")]
    Connect(#[source] IoError),
    /// Somebody is there, and says nothing, or not all of it.
    #[error("no answer to {what} within {within}")]
    Timeout {
        /// What was asked for.
        what: What,
        /// How long we waited.
        within: Seconds,
    },
    /// It is no HTTP that comes back.
    #[error("cannot ask for {what}")]
    Exchange {
        /// What was asked for.
        what: What,
        /// What is wrong.
        #[source]
        source: Cause,
    },
    /// It is too long.
    #[error("the answer to {what} has more than {limit} bytes")]
    Size {
        /// What was asked for.
        what: What,
        /// How long it may be.
        limit: usize,
    },
    /// It does not say what was asked for.
    #[error("{what} is answered with status {status}")]
    Status {
        /// What was asked for.
        what: What,
        /// What came.
        status: StatusCode,
    },
    /// Others ask already, as many as may.
    #[error("too many requests to it are under way")]
    Busy,
    /// Whoever asked is gone: a fault of ours.
    #[error("the request was lost")]
    Lost,
}

/// A time as it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", (self.0.as_secs_f64() * 10.0).round() / 10.0)
    }
}

/// Sends `question` to the service at `addr`, and nowhere else, and reads the whole answer.
pub(crate) async fn send(
    addr: &MetadataAddr,
    what: &What,
    question: Question,
    bounds: Bounds,
) -> Result<Response<Bytes>, Failure> {
    let start = Instant::now();
    let late = || Failure::Timeout {
        what: what.clone(),
        within: Seconds(bounds.end.saturating_duration_since(start)),
    };
    let by = bounds.end.min(start + bounds.connect);
    let stream = match time::timeout_at(by, TcpStream::connect(addr.target())).await {
        Ok(stream) => stream.map_err(Failure::Connect)?,
        Err(_late) if by < bounds.end => {
            return Err(Failure::Connect(ErrorKind::TimedOut.into()));
        }
        Err(_late) => return Err(late()),
    };
    let answer = exchange(stream, question, bounds.size);
    let answer = time::timeout_at(bounds.end, answer).await;
    answer
        .map_err(|_late| late())?
        .map_err(|cause| broken(what, bounds.size, cause))
}

fn broken(what: &What, limit: usize, source: Cause) -> Failure {
    let what = what.clone();
    if source.is::<LengthLimitError>() {
        Failure::Size { what, limit }
    } else {
        Failure::Exchange { what, source }
    }
}

async fn exchange(
    stream: TcpStream,
    question: Question,
    size: usize,
) -> Result<Response<Bytes>, Cause> {
    let mut http = http1::Builder::new();
    http.max_buf_size(BUFFER);
    let (mut requests, connection) = http.handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let (head, body) = requests.send_request(question).await?.into_parts();
        let body = Limited::new(body, size).collect().await?;
        Ok(Response::from_parts(head, body.to_bytes()))
    };
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // What the connection cannot do, the request says better.
        _done = connection => answer.await,
    }
}
