//! A stand-in that runs: its listeners, where they are, and their end.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use crate::{
    control::{self, Control},
    listen::{self, Address, ListenError},
    serve::{Server, Service},
};

/// Listeners of one stand-in. They close when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    server: Server,
    addrs: Vec<SocketAddr>,
    control: Option<Address>,
}

impl Running {
    /// Serves `standin` on `listeners`, and its control on another.
    pub(crate) fn start<S: Service + Control>(
        standin: &Arc<S>,
        listeners: Vec<TcpListener>,
        control: Option<&Address>,
    ) -> Result<Self, ListenError> {
        if listeners.is_empty() {
            return Err(ListenError::Nowhere);
        }
        let mut server = Server::default();
        let addrs = listeners
            .into_iter()
            .map(|listener| server.tcp(listener, Arc::clone(standin)))
            .collect::<Result<_, _>>()
            .map_err(ListenError::Serve)?;
        let control = control
            .map(|address| control::open(&mut server, address, Arc::clone(standin)))
            .transpose()?;
        Ok(Self {
            server,
            addrs,
            control,
        })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addrs[0] // `start` takes no empty list
    }

    pub(crate) fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    pub(crate) const fn control(&self) -> Option<&Address> {
        self.control.as_ref()
    }

    pub(crate) async fn stop(mut self) {
        self.server.stop().await;
    }
}

/// Opens all of `addresses`.
pub(crate) fn open(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, ListenError> {
    addresses.iter().copied().map(listen::tcp).collect()
}
