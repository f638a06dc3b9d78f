//! What concerns the agent itself at the API server: its node, and how far its right to make tokens goes.

use prometheus_client::registry::Registry;

use crate::{
    config::Config,
    kubernetes::{
        Client,
        node::{KNOWN, Known, Remover, TaintMetrics},
        token::Narrowed,
    },
    pods::binding::Exchange,
    readiness::Readiness,
};

/// All of it, before it runs.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) known: Known,
    /// If the operator wants that.
    pub(super) taint: Option<Remover>,
    /// If tokens are made.
    pub(super) narrowed: Option<Narrowed>,
}

impl Own {
    /// What `config` wants of the server behind `client`.
    pub(super) fn open(
        config: &Config,
        client: &Client,
        readiness: &Readiness,
        registry: &mut Registry,
    ) -> Self {
        let node = config.node_name.as_str();
        let remover = || {
            let metrics = TaintMetrics::new();
            metrics.register(registry);
            Remover::new(client.clone(), node, metrics)
        };
        let makes_tokens = config.credentials != Exchange::AssumeRole;
        Self {
            known: Known::new(client.clone(), node, readiness.guard(KNOWN)),
            taint: config.lifetime.startup_taint.is_on().then(remover),
            narrowed: makes_tokens.then(|| Narrowed::new(client.clone())),
        }
    }
}
