//! The door: whether anybody listens. Behind a closed one every connection is refused, as when a server restarts.

use std::{fmt, net::SocketAddr, sync::Arc};

use socket2::Socket;

use crate::{
    listen::{self, ListenError},
    serve::{Server, Service},
    shared::Shared,
};

/// Listeners that can be closed and opened again on the same ports.
pub(super) struct Door {
    /// They keep the ports while the door is closed.
    _reserved: Vec<Socket>,
    addrs: Vec<SocketAddr>,
    server: Shared<Option<Server>>,
}

impl Door {
    /// A closed door.
    pub(super) fn new(addresses: &[SocketAddr]) -> Result<Self, ListenError> {
        if addresses.is_empty() {
            return Err(ListenError::Nowhere);
        }
        let reserved = addresses.iter().copied().map(listen::reserve);
        let reserved: Vec<_> = reserved.collect::<Result<_, _>>()?;
        let (reserved, addrs) = reserved.into_iter().unzip();
        Ok(Self {
            _reserved: reserved,
            addrs,
            server: Shared::new(None),
        })
    }

    pub(super) fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// Lets clients in to `service`, unless it does already.
    pub(super) fn open(&self, service: &Arc<impl Service>) -> Result<(), ListenError> {
        self.server.with(|open| {
            if open.is_some() {
                return Ok(());
            }
            let mut server = Server::default();
            for addr in &self.addrs {
                let listener = listen::tcp(*addr)?;
                server
                    .tcp(listener, Arc::clone(service))
                    .map_err(ListenError::Serve)?;
            }
            *open = Some(server);
            Ok(())
        })
    }

    /// Lets nobody in, and throws out who is in.
    pub(super) async fn close(&self) {
        if let Some(mut server) = self.server.with(Option::take) {
            server.stop().await;
        }
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Door").field(&self.addrs).finish()
    }
}
