//! The plumbing of all listeners: accept, HTTP/1.1, an end with the [`Server`] that holds it.
//!
//! A connection never ends another one, and no error of a client ends the listener.

use std::{
    convert::Infallible,
    error::Error as _,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full, Limited, combinators::UnsyncBoxBody};
use hyper::{Request, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    task::JoinSet,
};

use crate::listen::UnixSocket;

/// An answer, whole.
pub(crate) type Response = hyper::Response<Bytes>;

/// The body of an answer that comes in pieces. An error ends it, and the connection with it.
pub(crate) type Pieces = UnsyncBoxBody<Bytes, Closed>;

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Reply {
    /// This is the answer.
    Answer(Response),
    /// This is the answer, as far as it is known yet.
    Stream(hyper::Response<Pieces>),
    /// Exactly these bytes come, whatever they are; then the connection is closed.
    Raw(Bytes),
    /// The connection is closed without an answer.
    Close,
    /// The connection is reset.
    Reset,
    /// No answer ever comes.
    Hang,
}

/// Answers requests.
pub(crate) trait Service: Send + Sync + 'static {
    /// The largest body that is read: more than any that STS takes.
    const MAX_BODY: usize = 1 << 20;

    /// Answers one. `peer` is nobody's where the connection came through the file system.
    fn reply(
        &self,
        request: Request<Bytes>,
        peer: Option<SocketAddr>,
    ) -> impl Future<Output = Reply> + Send;
}

/// Listeners and their connections. They end when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Server(JoinSet<Infallible>);

impl Server {
    /// Serves a TCP listener. Says at which address.
    pub(crate) fn tcp<S: Service>(
        &mut self,
        listener: TcpListener,
        service: Arc<S>,
    ) -> io::Result<SocketAddr> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        self.0.spawn(accept_all(listener, service));
        Ok(address)
    }

    /// Serves a Unix listener.
    pub(crate) fn unix<S: Service>(&mut self, socket: UnixSocket, service: Arc<S>) {
        self.0.spawn(accept_all(socket, service));
    }

    /// Ends all listeners, and returns when their ports are free.
    pub(crate) async fn stop(&mut self) {
        self.0.shutdown().await;
    }
}

/// Where connections come from.
trait Listener: Send + Sync + 'static {
    type Io: Stream;

    fn accept(&self) -> impl Future<Output = io::Result<(Self::Io, Option<SocketAddr>)>> + Send;
}

/// A connection.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Ends it as if its machine had no memory of it, where there is such an end.
    fn reset(self);
}

impl Stream for TcpStream {
    fn reset(self) {
        // Without it the connection is closed like any other.
        let _set = self.set_zero_linger().is_ok();
    }
}

impl Stream for UnixStream {
    fn reset(self) {}
}

impl Listener for tokio::net::TcpListener {
    type Io = TcpStream;

    async fn accept(&self) -> io::Result<(Self::Io, Option<SocketAddr>)> {
        let (io, peer) = Self::accept(self).await?;
        io.set_nodelay(true)?; // a piece of an answer shall not wait for the one before it
        Ok((io, Some(peer)))
    }
}

impl Listener for UnixSocket {
    type Io = UnixStream;

    async fn accept(&self) -> io::Result<(Self::Io, Option<SocketAddr>)> {
        let (io, _unnamed) = self.listener.accept().await?;
        Ok((io, None))
    }
}

async fn accept_all(listener: impl Listener, service: Arc<impl Service>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((io, peer)) => {
                connections.spawn(connection(io, peer, Arc::clone(&service)));
            }
            // Most often there are no descriptors left: some connection must end first.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(io: impl Stream, peer: Option<SocketAddr>, service: Arc<impl Service>) {
    let handle = service_fn(|request| exchange(&*service, request, peer));
    let mut connection = http1::Builder::new()
        .title_case_headers(true)
        .serve_connection(TokioIo::new(io), handle);
    // Clients that go away or talk nonsense are their own affair.
    let Err(error) = (&mut connection).await else {
        return;
    };
    let mut io = connection.into_parts().io.into_inner();
    match error.source().and_then(|cause| cause.downcast_ref()) {
        Some(End::Raw(bytes)) => {
            let _read_by_the_client = io.write_all(bytes).await.is_ok();
        }
        Some(End::Reset) => io.reset(),
        Some(End::Close) | None => {}
    }
}

/// No more of an answer is wanted: hyper closes the connection.
#[derive(Debug, thiserror::Error)]
#[error("closed as scripted")]
pub(crate) struct Closed;

/// There is no answer that HTTP knows: how the connection ends instead.
#[derive(Debug, thiserror::Error)]
#[error("ended as scripted")]
enum End {
    Raw(Bytes),
    Close,
    Reset,
}

async fn exchange<S: Service>(
    service: &S,
    request: Request<Incoming>,
    peer: Option<SocketAddr>,
) -> Result<hyper::Response<Either<Full<Bytes>, Pieces>>, End> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, S::MAX_BODY).collect().await else {
        let mut response = hyper::Response::new(Either::Left(Full::default()));
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(response);
    };
    let request = Request::from_parts(head, body.to_bytes());
    match service.reply(request, peer).await {
        Reply::Answer(response) => Ok(response.map(Full::new).map(Either::Left)),
        Reply::Stream(response) => Ok(response.map(Either::Right)),
        Reply::Raw(bytes) => Err(End::Raw(bytes)),
        Reply::Close => Err(End::Close),
        Reply::Reset => Err(End::Reset),
        Reply::Hang => std::future::pending().await,
    }
}
