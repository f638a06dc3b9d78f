//! What the agent tells about itself on a port of its own: `/metrics`, `/healthz`, `/readyz`.
//!
//! Everybody on the network can ask. So it never tells anything about a single pod or role, and no
//! credentials come near it. Pods do not need it: where another process has the port, it is waited for, and the agent serves.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{StatusCode, Uri};
use prometheus_client::registry::Registry;
use tokio::{
    net::{TcpListener, TcpSocket},
    time,
};

use crate::{
    drain,
    http::{self, Page},
    metrics,
    readiness::Readiness,
};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 128;
/// How often it is tried to have a port that another process has.
const RETRY: Duration = Duration::from_secs(5);

/// Why there is no admin port.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not ours, or may not be had.
    #[error(
        "cannot listen on {address} for --admin-listen (give another ADDRESS:PORT, or `off` to do without)"
    )]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// What is told: numbers, and what the agent waits for.
#[derive(Clone, Debug)]
pub struct Pages {
    /// The numbers.
    pub metrics: Arc<Registry>,
    /// What the agent waits for.
    pub readiness: Readiness,
}

/// The admin port, open or to be opened.
#[derive(Debug)]
pub struct Server {
    listener: Option<TcpListener>,
    address: SocketAddr,
}

impl Server {
    /// Opens the port. During an upgrade two agents share it. If another process has it, that is said, and it is tried again
    /// while the server runs.
    pub fn bind(address: SocketAddr) -> Result<Self, Error> {
        let error = |source| Error::Bind { address, source };
        let listener = match listen(address) {
            Err(source) if source.kind() == io::ErrorKind::AddrInUse => {
                tracing::warn!(%address, "another process listens there (--admin-listen); no metrics until it ends");
                None
            }
            listener => Some(listener.map_err(error)?),
        };
        let bound = listener.as_ref().map(TcpListener::local_addr).transpose();
        let address = bound.map_err(error)?.unwrap_or(address);
        Ok(Self { listener, address })
    }

    /// Where it listens; with the port that the system chose, if it was asked to.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the drain.
    pub async fn run(self, pages: Pages, mut drain: drain::Watch) {
        let open = async move {
            if let Some(listener) = self.listener {
                return listener;
            }
            when_free(self.address).await
        };
        let listener = tokio::select! {
            listener = open => listener,
            () = drain.signaled() => return,
        };
        http::serve(listener, pages, drain).await;
    }
}

async fn when_free(address: SocketAddr) -> TcpListener {
    loop {
        time::sleep(RETRY).await;
        if let Ok(listener) = listen(address) {
            tracing::info!(%address, "the admin port is free, and open");
            return listener;
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    // The kernel lets only processes of one user do so.
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl http::Pages for Pages {
    async fn get(&self, target: &Uri) -> Option<Page> {
        match target.path() {
            "/metrics" => Some(self.metrics()),
            // A part that dies takes the process with it: whoever answers, lives.
            "/healthz" => Some(Page::text(StatusCode::OK, "ok\n")),
            "/readyz" => Some(self.readyz()),
            _ => None,
        }
    }
}

impl Pages {
    fn metrics(&self) -> Page {
        match metrics::encode(&self.metrics) {
            Ok(body) => Page {
                status: StatusCode::OK,
                content_type: metrics::CONTENT_TYPE,
                body,
            },
            Err(error) => {
                tracing::warn!(%error, "cannot write the metrics");
                Page::text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "cannot write the metrics\n",
                )
            }
        }
    }

    fn readyz(&self) -> Page {
        let pending = self.readiness.pending();
        if pending.is_empty() {
            Page::text(StatusCode::OK, "ready\n")
        } else {
            let body = format!("not ready: waiting for {}\n", pending.join(", "));
            Page::text(StatusCode::SERVICE_UNAVAILABLE, body)
        }
    }
}

#[cfg(test)]
mod tests;
