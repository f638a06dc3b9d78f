//! How STS stands in.

use std::{net::SocketAddr, time::Duration};

use crate::{clock::Clock, imds::Instance, listen::Address};

use super::{keys::KeySource, role::Role, rules::Rule, service::Identity, trust::Trust};

/// How to stand in.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen, unless there are listeners already ([`super::Sts::serve`]).
    pub listen: Vec<SocketAddr>,
    /// Where the control listener is, if there shall be one.
    pub control: Option<Address>,
    /// Who signs with the keys of the metadata service's stand-in.
    pub node: Node,
    /// What becomes of keys that nobody knows.
    pub unknown_keys: UnknownKeys,
    /// The only Region that calls may be signed for, if there is one.
    pub region: Option<String>,
    /// The audience that web identities must be for.
    pub audience: String,
    /// The keys that web identities must be signed with. Without any, no signature is checked.
    pub keys: Option<KeySource>,
    /// The only issuer of web identities, if there is one.
    pub issuer: Option<String>,
    /// Who may assume which role with a web identity. A role that is not named is for everybody.
    pub trust: Vec<Trust>,
    /// How far the date of a signature may be from ours.
    pub max_skew: Duration,
    /// The longest session that a role gives.
    pub max_session: Duration,
    /// How to misbehave from the start.
    pub rules: Vec<Rule>,
    /// What time it is.
    pub clock: Clock,
}

impl Default for Config {
    /// Any free port of 127.0.0.1, and the limits of AWS.
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            control: None,
            node: Node::default(),
            unknown_keys: UnknownKeys::Refuse,
            region: None,
            audience: "sts.amazonaws.com".to_owned(),
            keys: None,
            issuer: None,
            trust: Vec::new(),
            max_skew: Duration::from_mins(15),
            max_session: Duration::from_hours(12),
            rules: Vec::new(),
            clock: Clock::system(),
        }
    }
}

/// The node: whoever signs with a key that begins with [`LEAK_MARK`](crate::LEAK_MARK).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// 12 digits.
    pub account: String,
    /// The name of its role.
    pub role: String,
    /// Its instance, which names the session.
    pub instance: String,
}

impl Default for Node {
    /// The same as the metadata service's.
    fn default() -> Self {
        let instance = Instance::default();
        Self {
            account: instance.account,
            role: instance.role.unwrap_or_default(),
            instance: instance.id,
        }
    }
}

impl Node {
    pub(super) fn identity(&self) -> Identity {
        let role = Role {
            arn: format!("arn:aws:iam::{}:role/{}", self.account, self.role),
            partition: "aws".to_owned(),
            account: self.account.clone(),
            name: self.role.clone(),
        };
        Identity {
            arn: role.session_arn(&self.instance),
            user_id: format!("{}:{}", role.id(), self.instance),
            account: self.account.clone(),
        }
    }
}

/// What becomes of a call that is signed with a key that nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum UnknownKeys {
    /// It is refused with `InvalidClientTokenId`, as by AWS.
    #[default]
    Refuse,
    /// It is taken for the node's.
    Node,
}
