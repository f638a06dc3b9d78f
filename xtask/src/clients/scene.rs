//! What is about while the clients run.

use super::{column::Column, transport::Transport};

/// Whether there is an agent, and what it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    /// No agent.
    Node,
    /// An agent.
    Agent,
    /// An agent that requires tokens.
    TokensRequired,
}

impl Scene {
    /// What is shown in it, in a pod with a role or with none.
    pub(super) const fn column(self, transport: Transport, role: Option<&str>) -> Column {
        match (self, transport) {
            (Self::TokensRequired, _) => Column::Required,
            (_, Transport::Ipv6 | Transport::Mapped) => Column::Ipv6,
            (Self::Agent, Transport::Ipv4) if role.is_none() => Column::Absent,
            (Self::Node | Self::Agent, Transport::Ipv4) => Column::Role,
        }
    }
}
