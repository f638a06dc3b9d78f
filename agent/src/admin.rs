//! What the agent tells about itself on a port of its own: `/metrics`, `/healthz`, `/readyz`.
//!
//! Everybody on the network can ask. So it never tells anything about a single pod or role, and no
//! credentials come near it.

use std::{io, net::SocketAddr, sync::Arc};

use hyper::{StatusCode, Uri};
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpSocket};

use crate::{
    drain,
    http::{self, Page},
    metrics,
    readiness::Readiness,
};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 128;

/// Why there is no admin port.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not ours, or taken.
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

/// The admin port, open.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Opens the port. During an upgrade two agents share it.
    pub fn bind(address: SocketAddr) -> Result<Self, Error> {
        let error = |source| Error::Bind { address, source };
        let listener = listen(address).map_err(error)?;
        let address = listener.local_addr().map_err(error)?;
        Ok(Self { listener, address })
    }

    /// Where it listens; with the port that the system chose, if it was asked to.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the drain.
    pub async fn run(self, pages: Pages, drain: drain::Watch) {
        http::serve(self.listener, pages, drain).await;
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
