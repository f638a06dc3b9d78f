//! The control listener: what a stand-in has seen, and what it shall do, as JSON over HTTP.
//!
//! It is a listener of its own. The service that is stood in for has no such paths, so its port has none either.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use hyper::{Request, StatusCode};

use crate::{
    json,
    listen::{self, Address, ListenError, UnixSocket},
    serve::{Reply, Response, Server, Service},
};

/// A stand-in that can be asked and told.
pub(crate) trait Control: Send + Sync + 'static {
    /// Answers a control request; `None` where there is no such path or method.
    fn control(&self, request: &Request<Bytes>) -> impl Future<Output = Option<Response>> + Send;
}

/// Opens the control listener of `standin`. Says where it is, with its real port.
pub(crate) fn open(
    server: &mut Server,
    address: &Address,
    standin: Arc<impl Control>,
) -> Result<Address, ListenError> {
    let service = Arc::new(Controlled(standin));
    match address {
        Address::Tcp(tcp) => {
            let listener = listen::tcp(*tcp)?;
            let bound = server.tcp(listener, service);
            bound.map(Address::Tcp).map_err(ListenError::Serve)
        }
        Address::Unix(path) => {
            server.unix(UnixSocket::open(path)?, service);
            Ok(address.clone())
        }
    }
}

struct Controlled<C>(Arc<C>);

impl<C: Control> Service for Controlled<C> {
    /// Objects of a whole cluster.
    const MAX_BODY: usize = 256 << 20;

    async fn reply(&self, request: Request<Bytes>, _peer: Option<SocketAddr>) -> Reply {
        let answer = self.0.control(&request).await;
        Reply::Answer(answer.unwrap_or_else(|| json::refuse(StatusCode::NOT_FOUND, "no such path")))
    }
}
