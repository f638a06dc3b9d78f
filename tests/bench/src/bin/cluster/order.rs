//! What the cluster is told to do.

use bpf2iam_support::moment::Moment;
use serde::Deserialize;
use serde_json::Value;

/// An order, and its number.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Numbered {
    pub(crate) number: u64,
    pub(crate) r#do: Order,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// Create or replace an object.
    Put(Value),
    /// Let the containers start of the pods that stay on the node.
    Start,
    /// Bind many pods to the node at once.
    Bind(Bind),
    /// Let pods come and go.
    Churn(Churn),
    /// Let one pod come, change its role and go, over and over again.
    Probe(Probe),
    /// Say what was asked so far.
    Requests,
    /// Forget what was asked so far.
    Forget,
    /// Say which role each pod of the node shall have.
    Roles,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bind {
    /// When.
    pub(crate) at: Moment,
    pub(crate) pods: Vec<Bound>,
}

/// A pod that has no containers yet.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bound {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) role: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Churn {
    pub(crate) place: Place,
    /// Events in a second.
    pub(crate) rate: u32,
    pub(crate) seconds: u32,
}

/// Whose pods.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    /// Those of the node whose agent is measured.
    Here,
    /// Those of a node without an agent.
    Elsewhere,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    /// The pod, whose role is left out.
    pub(crate) pod: Value,
    /// How often it comes.
    pub(crate) times: u32,
}
