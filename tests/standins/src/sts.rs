//! STS, the service that gives out sessions of roles.
//!
//! It speaks the query protocol over plain HTTP and checks what a stand-in can check: the form of a call, the scope
//! and date of its signature, every parameter, the claims of a web identity, and its signature where the keys of the
//! provider are known. It cannot check signatures of calls: it does not know the secrets. Every role may be assumed by
//! everybody, unless a [`Trust`] or a [`Rule`] says otherwise.

mod answers;
mod args;
mod bucket;
mod call;
mod code;
mod config;
mod control;
mod jwt;
mod keys;
mod parameters;
mod protocol;
mod provider;
mod role;
mod rules;
mod service;
mod sessions;
mod sigv4;
mod trust;

use std::{
    fmt,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use bytes::Bytes;
use hyper::Request;

use crate::{
    journal::Journal,
    listen::{Address, ListenError},
    running::{self, Running},
    serve::{Reply, Service},
};

pub use args::Args;
pub use bucket::{Bucket, InvalidBucket};
pub use call::{Call, Count, Outcome};
pub use code::Code;
pub use config::{Config, Node, UnknownKeys};
pub use keys::{InvalidKeySource, KeySource};
pub use protocol::Action;
pub use rules::{Effect, Fault, Rule, Rules};
pub use sessions::Issued;
pub use trust::{InvalidTrust, Trust};

use self::{
    provider::Provider,
    service::{Handled, TokenService},
    sessions::Sessions,
};

/// A stand-in that runs. It ends when this is dropped.
pub struct Sts {
    running: Running,
    state: Arc<State>,
}

impl Sts {
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

    /// What `AWS_ENDPOINT_URL_STS` must be.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// How it misbehaves.
    pub fn rules(&self) -> &Rules {
        &self.state.service.rules
    }

    /// The calls so far.
    pub fn calls(&self) -> &Journal<Call> {
        &self.state.calls
    }

    /// How often each action was asked for each role.
    pub fn counts(&self) -> Vec<Count> {
        call::counts(&self.state.calls.entries())
    }

    /// Which call an access key comes from.
    pub fn issued(&self, access_key_id: &str) -> Option<Issued> {
        let session = self.state.service.sessions.find(access_key_id);
        session.map(|session| session.issued)
    }

    /// Every secret key and session token that was given out, for tests that look where these must not be.
    pub fn secrets(&self) -> Vec<String> {
        self.state.service.sessions.secrets()
    }

    /// Ends it, and returns when its ports are free.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

impl fmt::Debug for Sts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addrs = self.running.addrs();
        f.debug_struct("Sts")
            .field("addrs", &addrs)
            .finish_non_exhaustive()
    }
}

struct State {
    service: TokenService,
    calls: Journal<Call>,
}

impl State {
    fn new(config: Config) -> Self {
        let service = TokenService {
            node: config.node,
            unknown_keys: config.unknown_keys,
            provider: Provider {
                keys: config.keys,
                issuer: config.issuer,
                audience: config.audience,
                trust: config.trust,
            },
            signatures: sigv4::Terms {
                skew: config.max_skew,
                region: config.region,
            },
            longest: config.max_session,
            clock: config.clock,
            rules: Rules::new(config.rules),
            sessions: Sessions::new(),
        };
        Self {
            service,
            calls: Journal::new(),
        }
    }
}

impl Service for State {
    async fn reply(&self, request: Request<Bytes>, _peer: Option<SocketAddr>) -> Reply {
        let Handled { call, delay, reply } = self.service.handle(&request).await;
        // Before the delay: a test may want to see a call that waits.
        self.calls.add(call);
        tokio::time::sleep(delay).await;
        reply
    }
}
