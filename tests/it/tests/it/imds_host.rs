//! The machine's metadata service, or the lack of it.

use std::net::SocketAddr;

use bpf2iam_standins::imds::{Config, Imds};

use crate::{sts_host::free_address, wait::until};

/// One loopback address: while the service is down, nobody else gets its port.
pub(crate) struct ImdsHost {
    config: Config,
    running: Option<Imds>,
}

impl ImdsHost {
    /// The service, not running yet.
    pub(crate) fn new(config: Config) -> Self {
        let listen = vec![free_address()];
        Self {
            config: Config { listen, ..config },
            running: None,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.config.listen[0]
    }

    /// As it was made: another one that was stopped has left nothing behind. Its socket may still be in a process that
    /// another test starts.
    pub(crate) async fn start(&mut self) {
        let start = async || Imds::start(self.config.clone());
        let started = until(start, Result::is_ok).await;
        self.running = Some(started.unwrap());
    }

    /// From now on connections are refused.
    pub(crate) async fn stop(&mut self) {
        self.running.take().expect("it runs").stop().await;
    }

    pub(crate) const fn running(&self) -> &Imds {
        self.running.as_ref().expect("it runs")
    }
}
