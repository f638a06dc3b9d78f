//! Accepts connections, has them attested, and lets each make one request.
//!
//! Whoever cannot be attested is not answered at all. A connection is of bounded life, head and body, and
//! there is a bound to how many there are; so a client that says nothing, or too much, harms itself only.
//! hyper sees a request only after its head was found right, and nothing of what comes after the request.
//! Accepting outlives every error, and a panic in one connection costs that connection.

mod opening;

use std::{
    convert::Infallible,
    fmt,
    net::{self, SocketAddr},
    panic,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, getrlimit};
use tokio::{
    io,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{self, Instant},
};

use crate::{
    attest::{Attest, Caller, Refusal},
    digest::Digest,
    drain,
};

use super::{
    breakage::Breakage,
    head::HEAD,
    limit::{Gate, Limits},
    service::{Service, Supply},
};

use opening::{Opening, refuse};

/// How long a connection may live: reading, waiting for keys, writing.
const CONNECTION_PATIENCE: Duration = Duration::from_secs(10);
/// How many connections there may be. Each takes some 40 KiB at most; a client needs one at a time, for
/// less than a millisecond when its keys are there.
const LIMITS: Limits = Limits {
    all: 2048,
    pod: 128,
};
/// After an error of accept: at first, and at most. Without a pause the lack of file descriptors is a busy loop.
const BACKOFF: [Duration; 2] = [Duration::from_millis(5), Duration::from_secs(1)];
/// How many connections that were made before the end are still taken after it: as many as may wait at a listener.
const LAST: usize = 4096;

/// The metadata service on its listeners.
#[derive(Debug)]
pub struct Server<A, S> {
    attest: A,
    service: Service<S>,
    http: http1::Builder,
    gate: Arc<Gate>,
    warnings: Digest,
}

/// Where connections come from.
trait Listen: Send + Sync + 'static {
    /// Waits for the next one. When this is dropped, none is lost.
    fn next(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;

    /// The listener itself: never blocks.
    fn into_std(self) -> io::Result<net::TcpListener>;
}

impl Listen for TcpListener {
    async fn next(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept().await
    }

    fn into_std(self) -> io::Result<net::TcpListener> {
        self.into_std()
    }
}

impl<A, S> Server<A, S>
where
    A: Attest,
    S: Supply,
{
    /// A server that gives the answers of `service` to those whom `attest` knows.
    pub fn new(attest: A, service: Service<S>) -> Self {
        Self::with_limits(
            attest,
            service,
            LIMITS.within(getrlimit(Resource::Nofile).current),
        )
    }

    fn with_limits(attest: A, service: Service<S>, limits: Limits) -> Self {
        let mut http = http1::Builder::new();
        http.keep_alive(false)
            .half_close(true)
            .max_buf_size(HEAD)
            .title_case_headers(true);
        Self {
            attest,
            gate: Gate::new(limits, service.metrics.open.clone()),
            service,
            http,
            warnings: Digest::default(),
        }
    }

    /// Serves on all `listeners` until the drain. Then takes what was connected before it, and returns;
    /// each connection holds the drain until it has its answer. It is for one request, so that nothing
    /// needs to be told to stop.
    pub async fn run(self, listeners: impl IntoIterator<Item = TcpListener>, drain: drain::Watch) {
        let server = Arc::new(self);
        let mut tasks = JoinSet::new();
        for listener in listeners {
            tasks.spawn(Arc::clone(&server).accept(listener, drain.clone()));
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended
                && let Ok(panicked) = error.try_into_panic()
            {
                panic::resume_unwind(panicked);
            }
        }
    }

    async fn accept(self: Arc<Self>, listener: impl Listen, mut drain: drain::Watch) {
        let [shortest, longest] = BACKOFF;
        let mut backoff = shortest;
        let connections = drain.clone();
        let mut end = pin!(drain.signaled());
        loop {
            let next = tokio::select! {
                next = listener.next() => next,
                () = &mut end => break,
            };
            match next {
                Ok((stream, peer)) => {
                    backoff = shortest;
                    self.spawn(stream, peer, &connections);
                }
                Err(error) => {
                    self.lost(&error);
                    tokio::select! {
                        () = time::sleep(backoff) => {}
                        () = &mut end => break,
                    }
                    backoff = longest.min(backoff * 2);
                }
            }
        }
        if let Err(error) = self.accept_last(listener, &connections) {
            self.lost(&error);
        }
    }

    /// Takes the connections that are there already: their clients must not see them broken. Asks the
    /// system itself, for the runtime may not have heard of them yet.
    fn accept_last(
        self: &Arc<Self>,
        listener: impl Listen,
        drain: &drain::Watch,
    ) -> io::Result<()> {
        let listener = listener.into_std()?;
        for _ in 0..LAST {
            match listener.accept() {
                Ok((stream, peer)) => {
                    stream.set_nonblocking(true)?;
                    self.spawn(TcpStream::from_std(stream)?, peer, drain);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // That one is gone; the next may not be.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn lost(&self, error: &io::Error) {
        self.service.metrics.accept_errors.inc();
        if let Some(count) = self.warnings.add("accept") {
            tracing::warn!(count, %error, "cannot accept connections");
        }
    }

    fn spawn(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, drain: &drain::Watch) {
        let Some(entered) = self.gate.enter() else {
            return self.refuse("too_many", &"too many connections", peer);
        };
        let server = Arc::clone(self);
        let drain = drain.clone();
        tokio::spawn(async move {
            server.serve(stream, peer).await;
            drop((entered, drain));
        });
    }

    /// One connection from its start to its end.
    async fn serve(&self, mut stream: TcpStream, peer: SocketAddr) {
        let end = Instant::now() + CONNECTION_PATIENCE;
        let attested = time::timeout_at(end, self.attest.attest(&stream, peer)).await;
        let caller = match attested.unwrap_or(Err(Refusal::Busy)) {
            Ok(caller) => caller,
            Err(Refusal::Own) => return,
            Err(refusal) => return self.refuse(refusal.reason(), &refusal, peer),
        };
        let Some(_entered) = self.gate.enter_pod(caller.pod) else {
            return self.refuse("too_many_of_pod", &"too many connections of one pod", peer);
        };
        // The head has a shorter limit of its own. The limit of the whole becomes a timer only where there is something
        // else to wait for, and that is rare.
        let opening = Opening::read(&mut stream).await;
        let rest = async {
            match opening {
                Ok(opening) => self.request(opening, (stream, peer), &caller).await,
                Err(error) => self.unopened(error, (stream, peer), &caller).await,
            }
        };
        if time::timeout_at(end, rest).await.is_err() {
            self.broke(Breakage::Timeout, &"it took too long", peer, &caller);
        }
    }

    /// The one request of a connection.
    async fn request(
        &self,
        opening: Opening,
        (mut stream, peer): (TcpStream, SocketAddr),
        caller: &Caller,
    ) {
        let answer = service_fn(async |request: Request<Incoming>| {
            Ok::<_, Infallible>(self.service.respond(caller, request).await)
        });
        let (from, to) = stream.split();
        let stream = TokioIo::new(io::join(opening.replay(from), to));
        if let Err(error) = self.http.serve_connection(stream, answer).await {
            self.broke(Breakage::from(&error), &error, peer, caller);
        }
    }

    /// A connection that gave no request.
    async fn unopened(
        &self,
        error: opening::Error,
        (mut stream, peer): (TcpStream, SocketAddr),
        caller: &Caller,
    ) {
        if let Some(how) = error.breakage() {
            self.broke(how, &error, peer, caller);
        }
        if let opening::Error::Malformed(why) = error {
            // Whoever does not listen is told nothing.
            let _told = refuse(&mut stream, why, self.service.clock.now())
                .await
                .is_ok();
        }
    }

    fn broke(&self, how: Breakage, error: &dyn fmt::Display, peer: SocketAddr, caller: &Caller) {
        self.service.metrics.broken_connection(how);
        tracing::debug!(%peer, pod = %caller.pod, %error, "a connection broke");
    }

    fn refuse(&self, reason: &'static str, error: &dyn fmt::Display, peer: SocketAddr) {
        self.service.metrics.refused_connection(reason);
        tracing::debug!(%peer, reason, %error, "connection refused");
        if let Some(count) = self.warnings.add(reason) {
            tracing::warn!(count, reason, %error, "connections refused since the last such line");
        }
    }
}

#[cfg(test)]
mod tests;
