//! The Kubernetes API server, as far as an agent on a node needs it: pods, namespaces and ServiceAccounts to list and to
//! watch, tokens of ServiceAccounts, events.
//!
//! It speaks the real protocol over plain HTTP, and answers what a real server was seen to answer. It asks nobody for
//! permission: what shall be refused, a [`Rule`] says. Objects come from tests, and are kept as they come; only what
//! every object gets from a server is added: uid, time of creation, resource version.

mod answer;
mod args;
mod ask;
mod bearers;
mod config;
mod desk;
mod door;
mod events;
mod failure;
mod fault;
mod format;
mod json_patch;
mod keys;
mod kind;
mod list;
mod log;
mod mangle;
mod object;
mod options;
mod orders;
mod place;
mod refusal;
mod rules;
mod scope;
mod seen;
mod selector;
mod service;
mod shelf;
mod start;
mod store;
mod token;
mod watch;
mod watches;

use std::{fmt, net::SocketAddr, sync::Arc};

use serde_json::Value;

use crate::{
    control,
    journal::Journal,
    listen::{Address, ListenError},
    serve::Server,
};

pub use args::Args;
pub use ask::Verb;
pub use bearers::{Bearer, Bearers};
pub use config::{Config, StreamingLists};
pub use failure::Failure;
pub use kind::Kind;
pub use log::{Change, Interrupt};
pub use mangle::Mangle;
pub use object::{ObjectError, Version};
pub use rules::{Effect, Rule, Rules};
pub use seen::{Count, Seen};
pub use watches::Watches;

use self::{desk::Desk, door::Door, kind::Key, service::State, shelf::Announce};

/// A stand-in that runs. It ends when this is dropped.
pub struct ApiServer {
    desk: Desk,
    control: Option<Address>,
    controlled: Server,
}

impl ApiServer {
    /// Starts on the addresses of `config`. Needs a tokio runtime.
    pub fn start(config: Config) -> Result<Self, ListenError> {
        let door = Door::new(&config.listen)?;
        let control = config.control.clone();
        let desk = Desk {
            state: Arc::new(State::new(config)),
            door: Arc::new(door),
        };
        desk.door.open(&desk.state)?;
        let mut controlled = Server::default();
        let control = control
            .map(|address| control::open(&mut controlled, &address, Arc::new(desk.clone())))
            .transpose()?;
        Ok(Self {
            desk,
            control,
            controlled,
        })
    }

    /// The first address that it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.desk.door.addrs()[0] // there is no door without an address
    }

    /// All addresses that it listens on.
    pub fn addrs(&self) -> &[SocketAddr] {
        self.desk.door.addrs()
    }

    /// Where the control listener is.
    pub const fn control(&self) -> Option<&Address> {
        self.control.as_ref()
    }

    /// What `--api-server` must be.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// Creates or replaces an object. One that has another `uid` than the one before replaces it in two steps, as by
    /// the hands of a user.
    pub fn put(&self, object: Value) -> Result<Version, ObjectError> {
        self.desk.put(object, Announce::Yes)
    }

    /// The same, and no watch hears of it: a gap. Only who lists again will see it.
    pub fn put_quietly(&self, object: Value) -> Result<Version, ObjectError> {
        self.desk.put(object, Announce::No)
    }

    /// Changes an object with a merge patch. The namespace is empty where the kind has none.
    pub fn patch(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Version, ObjectError> {
        self.desk.patch(kind, &Key::new(namespace, name), patch)
    }

    /// Removes an object.
    pub fn delete(&self, kind: Kind, namespace: &str, name: &str) -> Result<Version, ObjectError> {
        let key = Key::new(namespace, name);
        self.desk.delete(kind, &key, Announce::Yes)
    }

    /// The same, and no watch hears of it.
    pub fn delete_quietly(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Version, ObjectError> {
        let key = Key::new(namespace, name);
        self.desk.delete(kind, &key, Announce::No)
    }

    /// An object as it is now.
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
        let found = self.desk.state.store.get(kind, &Key::new(namespace, name));
        found.map(|object| object.value())
    }

    /// All objects of a kind, such as the events that were sent.
    pub fn objects(&self, kind: Kind) -> Vec<Value> {
        let all = self.desk.state.store.list(kind, "").objects;
        all.iter().map(|object| object.value()).collect()
    }

    /// The version that the last change made.
    pub fn version(&self) -> Version {
        self.desk.state.store.version()
    }

    /// Sends an event to the running watches as it is: an old state, the same again, anything.
    pub fn tell(&self, change: Change, object: Value) -> Result<(), ObjectError> {
        self.desk.tell(change, object)
    }

    /// Does something to the running watches of a kind, after what they were sent before.
    pub fn interrupt(&self, kind: Kind, interrupt: Interrupt) {
        self.desk.interrupt(kind, interrupt);
    }

    /// Forgets older versions: no watch can resume from before, and no list be continued.
    pub fn compact(&self) {
        self.desk.compact();
    }

    /// Loses all objects and begins anew with the versions, as when etcd is lost. Running watches break.
    pub fn reset(&self) {
        self.desk.reset();
    }

    /// Refuses connections and closes those that there are, until [`ApiServer::accept`].
    pub async fn refuse(&self) {
        self.desk.door.close().await;
    }

    /// Accepts connections again, at the same addresses.
    pub fn accept(&self) -> Result<(), ListenError> {
        self.desk.door.open(&self.desk.state)
    }

    /// How it misbehaves.
    pub fn rules(&self) -> &Rules {
        &self.desk.state.rules
    }

    /// Who is let in. At the start everybody is.
    pub fn bearers(&self) -> &Bearers {
        &self.desk.state.bearers
    }

    /// What was asked so far.
    pub fn requests(&self) -> &Journal<Seen> {
        &self.desk.state.requests
    }

    /// How often each thing was asked and answered alike.
    pub fn counts(&self) -> Vec<Count> {
        seen::counts(&self.requests().entries())
    }

    /// The watches that are running.
    pub fn watches(&self) -> &Watches {
        &self.desk.state.watches
    }

    /// From now on tokens are signed with another key. Those that were made before are of no key that anybody knows.
    pub fn rotate_key(&self) {
        self.desk.state.signer.rotate();
    }

    /// The keys that tokens are signed with.
    pub fn jwks(&self) -> Value {
        self.desk.state.signer.jwks()
    }

    /// Ends it, and returns when its ports are free.
    pub async fn stop(mut self) {
        self.controlled.stop().await;
        self.desk.door.close().await;
    }
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addrs = self.addrs();
        f.debug_struct("ApiServer")
            .field("addrs", &addrs)
            .finish_non_exhaustive()
    }
}
