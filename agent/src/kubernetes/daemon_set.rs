//! The DaemonSet that the agent belongs to: whether there is still a place for it on this node.
//!
//! A look at the end alone would be too late: whoever uninstalls may have removed the right to look by then. So it is
//! watched, and what was seen last counts where nobody answers any more. What cannot be told is never taken for
//! an uninstall: that it is not there counts only as a list without it, which no proxy makes up.
//!
//! Each watch begins at a list. The object's own version would not do: on a quiet cluster it is older than what the server
//! remembers, and refused.

mod name;
mod place;

use std::{fmt, time::Duration};

use futures_util::{Stream, StreamExt as _, future};
use k8s_openapi::api::{
    apps::v1::DaemonSet,
    core::v1::{Namespace, Node},
};
use kube::{
    Api, Client,
    api::{ListParams, WatchEvent, WatchParams},
};
use tokio::{
    sync::watch,
    time::{self, Instant},
};

use crate::{chain::chain, digest::Digest, drain};

pub use name::{InvalidName, Name};

use place::Place;

/// How long an answer is waited for at the end, when a kubelet waits for us.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long an answer is waited for otherwise.
const ANSWER: Duration = Duration::from_secs(30);
/// How long the server keeps a watch, in seconds: fewer than the 300 of many a load balancer.
const LIFE: u32 = 240;
/// Where it has not ended a minute after that, the server is not there any more.
const SILENCE: Duration = Duration::from_mins(5);
/// The pause before it is watched anew after a failure.
const PAUSE: Duration = Duration::from_secs(5);
/// A watch that ends sooner has failed.
const SHORT: Duration = Duration::from_secs(1);

/// Whether another agent is to come to this node after us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is: what we leave on the node is for it.
    Stays,
    /// It is not; why.
    Goes(&'static str),
    /// Nobody can tell.
    Unknown,
}

/// Why it cannot be told.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Client(#[from] kube::Error),
    #[error("the API server does not answer in time")]
    Late,
    #[error("the API server hangs up at once")]
    Closed,
    #[error("the API server's list has no version")]
    NoVersion,
}

/// What was seen last.
#[derive(Clone, Debug)]
enum Seen {
    Nothing,
    There(Box<Place>),
    Deleted,
}

/// Asks about it.
#[derive(Clone)]
pub struct Home {
    sets: Api<DaemonSet>,
    nodes: Api<Node>,
    namespaces: Api<Namespace>,
    name: Name,
    node: String,
    seen: watch::Sender<Seen>,
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Home {
    /// The DaemonSet called `name`, for the agent of `node`.
    pub fn new(client: Client, name: Name, node: &str) -> Self {
        Self {
            sets: Api::namespaced(client.clone(), &name.namespace),
            nodes: Api::all(client.clone()),
            namespaces: Api::all(client),
            name,
            node: node.to_owned(),
            seen: watch::Sender::new(Seen::Nothing),
        }
    }

    /// Watches it until the drain. One that was deleted may be made anew.
    pub async fn run(self, mut drain: drain::Watch) {
        tokio::select! {
            () = self.watch() => {}
            () = drain.signaled() => {}
        }
    }

    /// What is to become of the node, as far as can be told within a moment.
    pub async fn fate(&self) -> Fate {
        let deadline = Instant::now() + PATIENCE;
        if let Err(error) = self.list(deadline).await {
            tracing::debug!(error = chain(&error), "cannot ask about the DaemonSet");
        }
        let seen = self.seen.borrow().clone();
        match seen {
            Seen::Nothing => Fate::Unknown,
            Seen::Deleted => Fate::Goes("its DaemonSet is deleted"),
            Seen::There(place) if place.is_going() => Fate::Goes("its DaemonSet is being deleted"),
            Seen::There(place) => self.fate_beside(&place, deadline).await,
        }
    }

    /// The same, where the DaemonSet is as it was: then it is about its namespace, of which the pods go first and the DaemonSet
    /// only when they have gone (`namespaced_resources_deleter.go`, Kubernetes 1.37), or about this node.
    async fn fate_beside(&self, place: &Place, deadline: Instant) -> Fate {
        let namespace = self.namespaces.get_opt(&self.name.namespace);
        let namespace = time::timeout_at(deadline, namespace);
        let node = time::timeout_at(deadline, self.nodes.get_opt(&self.node));
        match future::join(namespace, node).await {
            (Ok(Ok(Some(namespace))), _) if namespace.metadata.deletion_timestamp.is_some() => {
                Fate::Goes("its namespace is being deleted")
            }
            (_, Ok(Ok(Some(node)))) if !place.is_on(&node) => {
                Fate::Goes("its DaemonSet does not select this node any more")
            }
            _ => Fate::Stays,
        }
    }

    async fn watch(&self) {
        let warnings = Digest::default();
        loop {
            let Err(error) = self.follow().await else {
                continue;
            };
            if matches!(*self.seen.borrow(), Seen::Deleted) {
                // The right to look goes with it.
                tracing::debug!(error = chain(&error), "cannot watch the DaemonSet that was");
            } else if let Some(count) = warnings.add("watch") {
                let (error, daemon_set) = (chain(&error), self.name.to_string());
                tracing::warn!(
                    count,
                    daemon_set,
                    error,
                    "cannot watch the agent's own DaemonSet; an uninstall may go unseen"
                );
            }
            time::sleep(PAUSE).await;
        }
    }

    /// Follows it until the server ends the watch, as it does now and then.
    async fn follow(&self) -> Result<(), Error> {
        let version = self.list(Instant::now() + ANSWER).await?;
        let wanted = WatchParams::default().fields(&self.selector());
        let wanted = wanted.timeout(LIFE);
        let opened = time::timeout(ANSWER, self.sets.watch(&wanted, &version));
        let events = opened.await.map_err(|_late| Error::Late)??;
        tracing::debug!(daemon_set = %self.name, "watching the agent's own DaemonSet");
        let start = Instant::now();
        let listened = time::timeout(SILENCE, self.listen(events)).await;
        listened.map_err(|_silent| Error::Late)??;
        if start.elapsed() < SHORT {
            return Err(Error::Closed);
        }
        Ok(())
    }

    async fn listen(
        &self,
        events: impl Stream<Item = kube::Result<WatchEvent<DaemonSet>>>,
    ) -> Result<(), Error> {
        let mut events = Box::pin(events);
        while let Some(event) = events.next().await {
            match event? {
                WatchEvent::Added(set) | WatchEvent::Modified(set) => self.saw(Some(&set)),
                WatchEvent::Deleted(_) => self.saw(None),
                WatchEvent::Bookmark(_) => {}
                WatchEvent::Error(status) => return Err(kube::Error::Api(status).into()),
            }
        }
        Ok(())
    }

    /// Looks whether it is there, and gives the version as of which that is.
    async fn list(&self, deadline: Instant) -> Result<String, Error> {
        let wanted = ListParams::default().fields(&self.selector());
        let listed = time::timeout_at(deadline, self.sets.list(&wanted)).await;
        let list = listed.map_err(|_late| Error::Late)??;
        let version = list.metadata.resource_version;
        let version = version.filter(|version| !version.is_empty());
        let version = version.ok_or(Error::NoVersion)?;
        let name = |set: &&DaemonSet| set.metadata.name.as_ref() == Some(&self.name.name);
        self.saw(list.items.iter().find(name));
        Ok(version)
    }

    /// RBAC lets nobody list or watch one object by its name without this.
    fn selector(&self) -> String {
        format!("metadata.name={}", self.name.name)
    }

    /// Takes note. What was never there is a slip in the flag rather than an uninstall.
    fn saw(&self, set: Option<&DaemonSet>) {
        let daemon_set = self.name.to_string();
        let known = !matches!(*self.seen.borrow(), Seen::Nothing);
        match set {
            Some(set) => {
                if matches!(*self.seen.borrow(), Seen::Deleted) {
                    tracing::debug!(daemon_set, "the agent's own DaemonSet is there again");
                }
                self.seen
                    .send_replace(Seen::There(Box::new(Place::of(set))));
            }
            None if known => {
                self.seen.send_replace(Seen::Deleted);
            }
            None => tracing::warn!(
                daemon_set,
                "there is no such DaemonSet; give --daemon-set its namespace and name, or what the agent leaves on its \
                 node stays after an uninstall"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
