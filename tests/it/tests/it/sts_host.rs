//! The machine on which STS runs, or does not.

use std::{
    net::{SocketAddr, TcpListener},
    process,
    sync::atomic::{AtomicU8, Ordering},
};

use bpf2iam_standins::sts::{Config, KeySource, Rule, Sts, Trust};

use crate::{wait::until, world::REGION};

/// One loopback address each: while STS is down, nobody else gets its port.
pub(crate) struct StsHost {
    config: Config,
    running: Option<Sts>,
    /// What was given out before it was stopped.
    secrets: Vec<String>,
}

impl StsHost {
    /// STS, not running yet.
    pub(crate) fn new(rules: Vec<Rule>) -> Self {
        let config = Config {
            listen: vec![free_address()],
            region: Some(REGION.to_owned()),
            rules,
            ..Config::default()
        };
        Self {
            config,
            running: None,
            secrets: Vec::new(),
        }
    }

    /// The same, for an account that knows the cluster whose tokens have these keys, and roles that trust its pods.
    pub(crate) fn with_provider(mut self, keys: KeySource, trust: Vec<Trust>) -> Self {
        self.config.keys = Some(keys);
        self.config.trust = trust;
        self
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.config.listen[0])
    }

    /// With the rules that it was made with. Where it was stopped, a process that another test starts may have its
    /// socket until it runs its program.
    pub(crate) async fn start(&mut self) {
        let start = async || Sts::start(self.config.clone());
        let started = until(start, Result::is_ok).await;
        self.running = Some(started.unwrap());
    }

    /// From now on connections are refused.
    pub(crate) async fn stop(&mut self) {
        let running = self.running.take().expect("it runs");
        self.secrets.extend(running.secrets());
        running.stop().await;
    }

    pub(crate) const fn running(&self) -> &Sts {
        self.running.as_ref().expect("it runs")
    }

    /// All that was ever given out.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let running = self.running.as_ref().map(Sts::secrets);
        [self.secrets.clone(), running.unwrap_or_default()].concat()
    }
}

/// An address of this process alone. The kernel chooses the port: one that nobody has on all addresses.
fn free_address() -> SocketAddr {
    static NUMBER: AtomicU8 = AtomicU8::new(1);
    let [low, high, ..] = process::id().to_le_bytes();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let address = SocketAddr::from(([127, 64 | high & 63, low, number], 0));
    let listener = TcpListener::bind(address).unwrap();
    listener.local_addr().unwrap()
}
