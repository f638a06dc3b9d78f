//! The EC2 instance metadata service of a node.
//!
//! It answers to the byte what EC2 was seen to answer, and guards nothing: every path that is there on EC2 is there
//! for everybody who asks. Keeping pods away from the node's secrets is the agent's business. A [`Rule`] makes it fail.

mod answer;
mod args;
mod control;
mod instance;
mod keys;
mod page;
mod rules;
mod seen;
mod spoiled;
mod state;
mod target;
mod token;
mod tree;

use std::{
    fmt,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use crate::{
    clock::Clock,
    journal::Journal,
    listen::{Address, ListenError},
    running::{self, Running},
};

pub use args::Args;
pub use instance::Instance;
pub use rules::{Effect, Rule, Rules};
pub use seen::{Count, Seen};
pub use target::{Target, VERSIONS, target_of};
pub use token::Bearing;
pub use tree::Leaves;

use self::state::State;

/// How to stand in.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen, unless there are listeners already ([`Imds::serve`]).
    pub listen: Vec<SocketAddr>,
    /// Where the control listener is, if there shall be one.
    pub control: Option<Address>,
    /// Whether a token is needed.
    pub tokens: TokenPolicy,
    /// The instance.
    pub instance: Instance,
    /// Leaves that it has beside those of every instance, or other texts of these.
    pub leaves: Leaves,
    /// How it misbehaves.
    pub rules: Vec<Rule>,
    /// How long the keys of the node's role live.
    pub session: Duration,
    /// What time it is.
    pub clock: Clock,
}

impl Default for Config {
    /// Any free port of 127.0.0.1, tokens optional, keys for six hours as on EC2.
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            control: None,
            tokens: TokenPolicy::Optional,
            instance: Instance::default(),
            leaves: Leaves::new(),
            rules: Vec::new(),
            session: Duration::from_hours(6),
            clock: Clock::system(),
        }
    }
}

/// Whether IMDSv1 is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum TokenPolicy {
    /// Requests without a token are answered.
    #[default]
    Optional,
    /// Requests without a token get 401.
    Required,
}

/// A stand-in that runs. It ends when this is dropped.
pub struct Imds {
    running: Running,
    state: Arc<State>,
}

impl Imds {
    /// Starts on the addresses of `config`. Needs a tokio runtime.
    pub fn start(config: Config) -> Result<Self, ListenError> {
        Self::serve(running::open(&config.listen)?, config)
    }

    /// Starts on listeners that are open already, in whatever network namespace.
    pub fn serve(listeners: Vec<TcpListener>, config: Config) -> Result<Self, ListenError> {
        let control = config.control.clone();
        let state = Arc::new(State::new(config));
        Ok(Self {
            running: Running::start(&state, listeners, control.as_ref())?,
            state,
        })
    }

    /// The first address that it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.running.addr()
    }

    /// All addresses that it listens on.
    pub fn addrs(&self) -> &[SocketAddr] {
        self.running.addrs()
    }

    /// Where the control listener is.
    pub const fn control(&self) -> Option<&Address> {
        self.running.control()
    }

    /// How it misbehaves.
    pub fn rules(&self) -> &Rules {
        &self.state.rules
    }

    /// Every leaf that there is at this moment.
    pub fn leaves(&self) -> Leaves {
        self.state.metadata.leaves()
    }

    /// From now on there is this leaf, as `meta-data/spot/instance-action`; or none there, without a text.
    pub fn change(&self, leaf: &str, text: Option<&str>) {
        let text = text.map(ToOwned::to_owned);
        self.state.metadata.change(leaf, text);
    }

    /// From now on no token is good that was given out before.
    pub fn expire_tokens(&self) {
        self.state.metadata.tokens.expire();
    }

    /// What was asked so far.
    pub fn requests(&self) -> &Journal<Seen> {
        &self.state.requests
    }

    /// How often each thing was asked and answered alike.
    pub fn counts(&self) -> Vec<Count> {
        seen::counts(&self.state.requests.entries())
    }

    /// The access key of the node's role at this moment.
    pub fn access_key_id(&self) -> String {
        self.state.metadata.keys().access_key_id
    }

    /// Ends it, and returns when its ports are free.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

impl fmt::Debug for Imds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addrs = self.running.addrs();
        f.debug_struct("Imds")
            .field("addrs", &addrs)
            .finish_non_exhaustive()
    }
}
