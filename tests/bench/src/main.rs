//! What the agent is measured against: a server that gives one and the same answer to whoever asks.
//!
//! Its runtime and hyper's settings are the agent's. It knows nobody, decides nothing and says nothing: what the agent
//! takes longer is the price of doing that. Its listener is an ordinary one; the agent's keeps SYNs, which costs, and
//! is corked, which saves a segment.

use std::{
    convert::Infallible,
    fs,
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use bpf2iam_support::client::Report;
use bytes::Bytes;
use clap::Parser;
use http_body_util::Full;
use hyper::{
    HeaderMap, Response,
    header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderName, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket};

/// As the agent has it.
const BACKLOG: u32 = 4096;

#[derive(Parser)]
#[command(about = "Gives one and the same answer to whoever asks")]
struct Args {
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
    /// How many threads answer
    #[arg(long)]
    workers: usize,
    /// The answer: a file with the report of `pod-client get`
    #[arg(long)]
    answer: PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let answer = Answer::read(&args.answer)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(args.workers)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = listen(args.listen)?;
        writeln!(io::stdout(), "bare-server ready on {}", args.listen)?;
        tokio::spawn(serve(listener, answer)).await?
    })
}

fn listen(address: SocketAddr) -> Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address).with_context(|| address.to_string())?;
    Ok(socket.listen(BACKLOG)?)
}

async fn serve(listener: TcpListener, answer: Answer) -> Result<()> {
    let answer = Arc::new(answer);
    let http = http();
    loop {
        let (stream, _) = listener.accept().await?;
        let (http, answer) = (http.clone(), Arc::clone(&answer));
        tokio::spawn(async move {
            let respond = service_fn(async |_request| Ok::<_, Infallible>(answer.response()));
            let connection = http.serve_connection(TokioIo::new(stream), respond);
            // A client that went away is its own affair.
            let _served = connection.await.is_ok();
        });
    }
}

/// hyper, set as the agent sets it.
fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .keep_alive(false)
        .half_close(true)
        .header_read_timeout(Duration::from_secs(5))
        .max_buf_size(16 << 10)
        .title_case_headers(true);
    http
}

/// An answer of the agent.
#[derive(Debug)]
struct Answer {
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| path.display().to_string())?;
        let report: Report = serde_json::from_slice(&text)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &report.headers {
            headers.insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        }
        for name in [CONNECTION, CONTENT_LENGTH, DATE] {
            headers.remove(name); // hyper adds its own
        }
        let body = report.body.context("the report has no body")?;
        Ok(Self {
            headers,
            body: body.into(),
        })
    }

    fn response(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body.clone()));
        response.headers_mut().clone_from(&self.headers);
        response
    }
}
