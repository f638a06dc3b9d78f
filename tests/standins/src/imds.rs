//! The EC2 instance metadata service of a node.
//!
//! It answers to the byte what EC2 was seen to answer, and guards nothing: every path that is there on EC2 is there
//! for everybody who asks. Keeping pods away from the node's secrets is the agent's business.

mod answer;
mod args;
mod instance;
mod keys;
mod page;
mod seen;
mod target;
mod token;
mod tree;

use std::{
    fmt,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use hyper::{Method, Request};

use crate::{
    clock::Clock,
    control::Control,
    journal::Journal,
    json,
    listen::{Address, ListenError},
    running::{self, Running},
    serve::{Reply, Response, Service},
};

pub use args::Args;
pub use instance::Instance;
pub use seen::{Count, Seen};

use self::{answer::Metadata, keys::Rotation, token::Tokens};

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

struct State {
    metadata: Metadata,
    requests: Journal<Seen>,
}

impl State {
    fn new(config: Config) -> Self {
        let metadata = Metadata {
            instance: config.instance,
            policy: config.tokens,
            started: config.clock.now(),
            clock: config.clock,
            tokens: Tokens::new(),
            rotation: Rotation::new(config.session),
        };
        Self {
            metadata,
            requests: Journal::new(),
        }
    }
}

impl Service for State {
    async fn reply(&self, request: Request<Bytes>, peer: Option<SocketAddr>) -> Reply {
        let at = self.metadata.clock.now();
        let response = self.metadata.answer(&request);
        let seen = Seen::new(at, peer, &request, response.status());
        self.requests.add(seen);
        Reply::Answer(response)
    }
}

impl Control for State {
    async fn control(&self, request: &Request<Bytes>) -> Option<Response> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/requests") => Some(json::answer(&self.requests.entries())),
            (&Method::GET, "/counts") => {
                Some(json::answer(&seen::counts(&self.requests.entries())))
            }
            (&Method::DELETE, "/requests") => {
                self.requests.clear();
                Some(json::done())
            }
            _ => None,
        }
    }
}
