//! What the API server does for us beside telling of pods: it makes tokens, and takes Events.

use std::sync::Arc;

use prometheus_client::registry::Registry;

use crate::{
    clock::Clock,
    creds::sts::Sts,
    kubernetes::{
        Client,
        event::{self, Events, Writer},
        token::{self, Tokens},
    },
    notices::Crier,
};

/// Both of them.
#[derive(Debug)]
pub(super) struct Api {
    tokens: Arc<Tokens>,
    events: Arc<Events>,
    writer: Writer,
}

impl Api {
    /// Those of the server behind `client`, for the agent of `node`.
    pub(super) fn new(client: Client, node: &str, clock: Clock, registry: &mut Registry) -> Self {
        let (of_tokens, of_events) = (token::Metrics::new(), event::Metrics::new());
        of_tokens.register(registry);
        of_events.register(registry);
        let (events, writer) = event::new(client.clone(), node, clock, of_events);
        Self {
            tokens: Arc::new(Tokens::new(client, clock, of_tokens)),
            events: Arc::new(events),
            writer,
        }
    }

    /// `sts`, which then can show tokens of pods.
    pub(super) fn make_tokens_for(&self, sts: Sts) -> Sts {
        sts.with_tokens(Arc::<Tokens>::clone(&self.tokens))
    }

    /// Who tells people, and who writes it down for that.
    pub(super) fn into_crier(self) -> (Arc<dyn Crier>, Writer) {
        (self.events, self.writer)
    }
}
