//! The machine on which STS runs, or does not.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    process,
    sync::atomic::{AtomicU8, Ordering},
};

use bpf2iam_standins::sts::{Config, KeySource, Rule, Sts, Trust};
use rustix::{
    io::Errno,
    net::{self, AddressFamily, SocketFlags, SocketType, sockopt},
};

use crate::{wait::until, world::REGION};

/// One loopback address each: while STS is down, nobody else gets its port.
pub(crate) struct StsHost {
    config: Config,
    running: Option<Sts>,
    /// What swallows connections in its place.
    hole: Vec<OwnedFd>,
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
            hole: Vec::new(),
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
        self.hole.clear();
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

    /// From now on nobody says anything to those who connect, as behind a firewall that drops their packets.
    pub(crate) async fn vanish(&mut self) {
        self.stop().await;
        let address = self.config.listen[0];
        self.hole = until(async || hole(address), Result::is_ok).await.unwrap();
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

/// A listener that nobody accepts from, and so many connections to it that no more are let in.
fn hole(address: SocketAddr) -> io::Result<Vec<OwnedFd>> {
    let socket = || {
        net::socket_with(
            AddressFamily::INET,
            SocketType::STREAM,
            SocketFlags::NONBLOCK,
            None,
        )
    };
    let listener = socket()?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    net::bind(&listener, &address)?;
    net::listen(&listener, 0)?;
    let mut hole = vec![listener];
    for _ in 0..3 {
        let connection = socket()?;
        match net::connect(&connection, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => hole.push(connection),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(hole)
}

/// An address of this process alone. The kernel chooses the port: one that nobody has on all addresses.
pub(crate) fn free_address() -> SocketAddr {
    static NUMBER: AtomicU8 = AtomicU8::new(1);
    let [low, high, ..] = process::id().to_le_bytes();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let address = SocketAddr::from(([127, 64 | high & 63, low, number], 0));
    let listener = TcpListener::bind(address).unwrap();
    listener.local_addr().unwrap()
}
