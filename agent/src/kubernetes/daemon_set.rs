//! The DaemonSet that the agent belongs to: whether there is still a place for it on this node.
//!
//! A look at the end alone would be too late: whoever uninstalls may have removed the right to look by then. So it is
//! watched, and what was seen last counts where nobody answers any more. What cannot be told is never taken for
//! an uninstall.

mod place;

use std::{fmt, str::FromStr, time::Duration};

use futures_util::StreamExt as _;
use k8s_openapi::api::{apps::v1::DaemonSet, core::v1::Node};
use kube::{
    Api, Client,
    api::{WatchEvent, WatchParams},
};
use tokio::{
    sync::watch,
    time::{self, Instant},
};

use crate::{
    chain::chain,
    digest::Digest,
    drain,
    id::{Excerpt, is_dns_label, is_dns_subdomain},
};

use place::Place;

/// How long an answer is waited for at the end, when a kubelet waits for us.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long the server keeps a watch, in seconds: fewer than the 300 of many a load balancer.
const LIFE: u32 = 240;
/// The pause before it is watched anew.
const PAUSE: Duration = Duration::from_secs(5);
/// The pause before it is looked for again where it was not found.
const LATE: Duration = Duration::from_mins(1);

/// Its namespace and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    namespace: String,
    name: String,
}

/// A text that is no such name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no NAMESPACE/NAME of a DaemonSet")]
pub struct InvalidName(Excerpt);

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let parts = text.split_once('/');
        let (namespace, name) = parts
            .filter(|(namespace, name)| is_dns_label(namespace, 63) && is_dns_subdomain(name))
            .ok_or_else(|| InvalidName(Excerpt::of(text)))?;
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

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
            nodes: Api::all(client),
            name,
            node: node.to_owned(),
            seen: watch::Sender::new(Seen::Nothing),
        }
    }

    /// Watches it until the drain, or until it is deleted.
    pub async fn run(self, mut drain: drain::Watch) {
        tokio::select! {
            () = self.watch() => {}
            () = drain.signaled() => return,
        }
        drain.signaled().await;
    }

    /// What is to become of the node, as far as can be told within a moment.
    pub async fn fate(&self) -> Fate {
        let deadline = Instant::now() + PATIENCE;
        let asked = time::timeout_at(deadline, self.sets.get_opt(&self.name.name)).await;
        match asked {
            Ok(Ok(found)) => self.saw(found.as_ref()),
            Ok(Err(error)) => {
                tracing::debug!(error = chain(&error), "cannot ask about the DaemonSet");
            }
            Err(_late) => tracing::debug!("nobody says anything of the DaemonSet"),
        }
        let seen = self.seen.borrow().clone();
        match seen {
            Seen::Nothing => Fate::Unknown,
            Seen::Deleted => Fate::Goes("its DaemonSet is deleted"),
            Seen::There(place) if place.is_going() => Fate::Goes("its DaemonSet is being deleted"),
            Seen::There(place) => {
                let node = time::timeout_at(deadline, self.nodes.get_opt(&self.node)).await;
                match node {
                    Ok(Ok(Some(node))) if !place.is_on(&node) => {
                        Fate::Goes("its DaemonSet does not select this node any more")
                    }
                    _ => Fate::Stays,
                }
            }
        }
    }

    async fn watch(&self) {
        let warnings = Digest::default();
        loop {
            if let Err(error) = self.follow().await
                && let Some(count) = warnings.add("watch")
            {
                let (error, daemon_set) = (chain(&error), self.name.to_string());
                tracing::warn!(
                    count,
                    daemon_set,
                    error,
                    "cannot watch the agent's own DaemonSet; an uninstall may go unseen"
                );
            }
            let pause = match *self.seen.borrow() {
                Seen::Deleted => return,
                Seen::There(_) => PAUSE,
                Seen::Nothing => LATE,
            };
            time::sleep(pause).await;
        }
    }

    /// Follows it until the server hangs up.
    async fn follow(&self) -> Result<(), kube::Error> {
        let found = self.sets.get_opt(&self.name.name).await?;
        self.saw(found.as_ref());
        let Some(version) = found.and_then(|set| set.metadata.resource_version) else {
            return Ok(());
        };
        let wanted = WatchParams::default()
            .fields(&format!("metadata.name={}", self.name.name))
            .timeout(LIFE);
        let mut events = self.sets.watch(&wanted, &version).await?.boxed();
        while let Some(event) = events.next().await {
            match event? {
                WatchEvent::Added(set) | WatchEvent::Modified(set) => self.saw(Some(&set)),
                WatchEvent::Deleted(_) => {
                    self.saw(None);
                    return Ok(());
                }
                WatchEvent::Bookmark(_) => {}
                WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
            }
        }
        Ok(())
    }

    /// Takes note. What was never there is a slip in the flag rather than an uninstall.
    fn saw(&self, set: Option<&DaemonSet>) {
        let daemon_set = self.name.to_string();
        let known = !matches!(*self.seen.borrow(), Seen::Nothing);
        match set {
            Some(set) => {
                if !known {
                    tracing::debug!(daemon_set, "the agent's own DaemonSet is there");
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
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_namespace() {
        let name: Name = "kube-system/bpf2iam".parse().unwrap();
        assert_eq!(name.to_string(), "kube-system/bpf2iam");
        for text in [
            "",
            "bpf2iam",
            "/bpf2iam",
            "kube-system/",
            "a/b/c",
            "A/b",
            "a/B",
        ] {
            let error = text.parse::<Name>().unwrap_err().to_string();
            assert_eq!(
                error,
                format!("{text:?} is no NAMESPACE/NAME of a DaemonSet")
            );
        }
    }
}
