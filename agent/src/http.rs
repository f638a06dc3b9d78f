//! HTTP/1.1 for the agent's own two doors: the admin port and the control socket.
//!
//! Pages are made from memory, so that an answer takes no time, but for one that may ask the API server. A connection is for one request and of
//! bounded life and size; when there are too many, the oldest goes, so that whoever hoards connections
//! keeps no probe out.

use std::{collections::VecDeque, convert::Infallible, io, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    task::JoinHandle,
    time,
};

use crate::{digest::Digest, drain};

/// How long a connection may live.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may still live after the drain has begun; an answer takes no time.
const GRACE: Duration = Duration::from_secs(2);
/// How many connections there may be at a time.
const CONNECTIONS: usize = 64;
/// How large the head of a request may be: a question may suppose the longest session policy.
const HEAD: usize = 16 << 10;
/// How long to wait when the system gives us no connection.
const BACKOFF: Duration = Duration::from_millis(200);

/// What is behind a path.
#[derive(Debug)]
pub(crate) struct Page {
    /// Whether it went well.
    pub(crate) status: StatusCode,
    /// What the body is.
    pub(crate) content_type: &'static str,
    /// The page itself.
    pub(crate) body: String,
}

impl Page {
    /// A page that people can read.
    pub(crate) fn text(status: StatusCode, body: impl Into<String>) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            body: body.into(),
        }
    }
}

/// What a door has to show.
pub(crate) trait Pages: Send + Sync + 'static {
    /// The page at `target`, as it is now.
    fn get(&self, target: &Uri) -> impl Future<Output = Option<Page>> + Send;
}

/// Where connections come from.
pub(crate) trait Listen {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// Waits for the next one.
    async fn next(&self) -> io::Result<Self::Stream>;
}

impl Listen for TcpListener {
    type Stream = TcpStream;
    async fn next(&self) -> io::Result<TcpStream> {
        Ok(self.accept().await?.0)
    }
}

impl Listen for UnixListener {
    type Stream = UnixStream;
    async fn next(&self) -> io::Result<UnixStream> {
        Ok(self.accept().await?.0)
    }
}

/// Shows `pages` to whoever comes, until the drain; then finishes what it began.
pub(crate) async fn serve(listener: impl Listen, pages: impl Pages, mut drain: drain::Watch) {
    let pages = Arc::new(pages);
    let (mut connections, warnings) = (Connections::default(), Digest::default());
    loop {
        let next = tokio::select! {
            next = listener.next() => next,
            () = drain.signaled() => break,
        };
        match next {
            Ok(stream) => connections.add(tokio::spawn(talk(stream, Arc::clone(&pages)))),
            Err(error) => {
                if let Some(count) = warnings.add("accept") {
                    tracing::warn!(count, %error, "cannot accept connections");
                }
                time::sleep(BACKOFF).await;
            }
        }
    }
    drop(listener);
    connections.finish().await;
}

/// Reads one request and answers it.
async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, pages: Arc<impl Pages>) {
    let service = service_fn(async |request: Request<Incoming>| {
        Ok::<_, Infallible>(respond(request.method(), request.uri(), &*pages).await)
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    match time::timeout(PATIENCE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection broke"),
        Err(_elapsed) => tracing::debug!("a connection took too long"),
    }
}

async fn respond(method: &Method, target: &Uri, pages: &impl Pages) -> Response<Full<Bytes>> {
    let page = pages
        .get(target)
        .await
        .unwrap_or_else(|| Page::text(StatusCode::NOT_FOUND, "not found\n"));
    if method != Method::GET && page.status != StatusCode::NOT_FOUND {
        let refusal = Page::text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        let mut response = response(refusal);
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET"));
        return response;
    }
    response(page)
}

fn response(page: Page) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(page.body));
    *response.status_mut() = page.status;
    let content_type = HeaderValue::from_static(page.content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// The connections of a door, the oldest first.
#[derive(Default)]
struct Connections(VecDeque<JoinHandle<()>>);

impl Connections {
    fn add(&mut self, connection: JoinHandle<()>) {
        self.0.retain(|connection| !connection.is_finished());
        if self.0.len() >= CONNECTIONS
            && let Some(oldest) = self.0.pop_front()
        {
            oldest.abort();
        }
        self.0.push_back(connection);
    }

    /// Waits for all of them, and cuts off who dawdles.
    async fn finish(mut self) {
        let all = async {
            for connection in &mut self.0 {
                // How it ended was said where it ended.
                let _ended = connection.await.is_ok();
            }
        };
        if time::timeout(GRACE, all).await.is_err() {
            self.0.iter().for_each(JoinHandle::abort);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
