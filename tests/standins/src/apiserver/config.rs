//! How the API server stands in.

use std::{net::SocketAddr, time::Duration};

use crate::{clock::Clock, listen::Address};

use super::rules::Rule;

/// How to stand in.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: Vec<SocketAddr>,
    /// Where the control listener is, if there shall be one.
    pub control: Option<Address>,
    /// Whom every token stands for, in messages.
    pub user: String,
    /// Who signs tokens, as they say it.
    pub issuer: String,
    /// Tokens are not given for longer, whatever is asked for: EKS grants a day.
    pub longest_token: Option<Duration>,
    /// Whether a watch may begin with what there is.
    pub streaming_lists: StreamingLists,
    /// How often a watch gets a bookmark, if it wants any.
    pub bookmarks: Duration,
    /// From how many changes of a kind a watch can resume.
    pub history: usize,
    /// How to misbehave from the start.
    pub rules: Vec<Rule>,
    /// What time it is.
    pub clock: Clock,
}

impl Default for Config {
    /// Any free port of 127.0.0.1, and what a cluster does by default.
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            control: None,
            user: "system:serviceaccount:kube-system:bpf2iam".to_owned(),
            issuer: "https://kubernetes.default.svc.cluster.local".to_owned(),
            longest_token: None,
            streaming_lists: StreamingLists::Served,
            bookmarks: Duration::from_mins(1),
            history: 10_000,
            rules: Vec::new(),
            clock: Clock::system(),
        }
    }
}

/// Whether a watch may begin with what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum StreamingLists {
    /// As since Kubernetes 1.34.
    #[default]
    Served,
    /// Refused, as by a server that is older or has the feature off.
    Refused,
}
