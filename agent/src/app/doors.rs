//! All that the agent listens on.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

use crate::{
    admin,
    config::Config,
    control::{self, Standing},
};

use super::listen::{Error as ListenError, listen};

/// Where the agent can be reached.
#[derive(Clone, Debug)]
pub struct Bound {
    /// Where redirected connections arrive.
    pub listeners: Vec<SocketAddr>,
    /// The admin port.
    pub admin: Option<SocketAddr>,
}

/// All that is listened on.
#[derive(Debug)]
pub struct Doors {
    pub(super) listeners: Vec<TcpListener>,
    pub(super) admin: Option<admin::Server>,
    pub(super) control: control::Server,
}

impl Doors {
    /// Opens them. From then on connections may come; they wait until somebody serves them.
    pub async fn open(config: &Config, standing: Standing) -> anyhow::Result<Self> {
        Ok(Self {
            listeners: listen_as(standing, config)?,
            admin: match config.admin_listen {
                Some(address) => Some(admin::Server::bind(address)?),
                None => None,
            },
            control: control::Server::bind(&config.runtime_dir, standing).await?,
        })
    }

    /// Where they are.
    pub fn bound(&self) -> io::Result<Bound> {
        let addresses = self.listeners.iter().map(TcpListener::local_addr);
        Ok(Bound {
            listeners: addresses.collect::<io::Result<_>>()?,
            admin: self.admin.as_ref().map(admin::Server::address),
        })
    }
}

/// The agent before us has the port that we were given, and nobody has to know which one it is.
fn listen_as(standing: Standing, config: &Config) -> Result<Vec<TcpListener>, ListenError> {
    match listen(config.node_ips, config.listen_port) {
        Err(ListenError::InUse(address)) if standing == Standing::Successor => {
            tracing::info!(%address, "the agent before us listens there; taking another port");
            listen(config.node_ips, 0)
        }
        listeners => listeners,
    }
}
