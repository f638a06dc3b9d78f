//! What people are told about a pod that does not get its role: what is wrong, and what to change.
//!
//! A task follows the index and the credentials, and decides which [`Notice`]s there are. One is told when it appears
//! and when it changes, and again from time to time while it lasts; nothing is said when it goes. Requests of pods have
//! no part in this: nobody waits for it, and nothing of it fails.
//!
//! Those who write annotations decide what is wrong with them, and how often: whatever they write, a pod has few
//! notices, what is remembered has a bound, and the log has room for others.

mod limit;
mod node;
mod text;
mod told;
mod voice;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use tokio::time::{self, Instant};

use crate::{
    creds::{Cache, Identity, SourceError},
    drain,
    id::{PodRef, PodUid},
    pods::{
        Subject,
        binding::{self, Binding, Policy},
        index::{Snapshot, Store},
    },
};

pub(crate) use limit::Limit;

use node::Nodes;
use text::Text;
use told::Told;
use voice::Voice;

/// The credentials are looked at this often. What pods and namespaces say is looked at when it changes, ...
const LOOK: Duration = Duration::from_secs(5);

/// ... but not more often than this.
const PAUSE: Duration = Duration::from_millis(500);

/// A pod has so many notices at a time. More of them would tell nobody more.
const MOST: usize = 8;

/// Why a pod does not get its role, or not what is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Its namespace does not let it have the role.
    RoleForbidden,
    /// STS refuses the role.
    RoleRefusedBySts,
    /// An annotation says something that cannot be meant: of the pod, its ServiceAccount, or its namespace.
    InvalidAnnotation,
    /// What its namespace says of the metadata service cannot be meant.
    InvalidNamespaceAnnotation,
    /// There is no token of its ServiceAccount to show to STS.
    NoServiceAccountToken,
}

impl Reason {
    /// What it means for the pod.
    const fn meaning(self) -> &'static str {
        match self {
            Self::RoleForbidden
            | Self::RoleRefusedBySts
            | Self::InvalidAnnotation
            | Self::NoServiceAccountToken => "a pod does not get its role",
            Self::InvalidNamespaceAnnotation => {
                "a pod does not see the metadata service as its namespace wants"
            }
        }
    }

    /// The word, as Kubernetes writes such words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RoleForbidden => "RoleForbidden",
            Self::RoleRefusedBySts => "RoleRefusedBySTS",
            Self::InvalidAnnotation => "InvalidAnnotation",
            Self::InvalidNamespaceAnnotation => "InvalidNamespaceAnnotation",
            Self::NoServiceAccountToken => "NoServiceAccountToken",
        }
    }
}

/// Something that people should know about a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The pod.
    pub pod: PodRef,
    /// Its UID at the API server.
    pub uid: PodUid,
    /// Why, in a word.
    pub reason: Reason,
    /// What is wrong, and what to change.
    pub note: Arc<str>,
    /// How often it was told since it began, this time included. What nobody heard does not count.
    pub times: u32,
}

/// Who passes notices on to people.
pub trait Crier: fmt::Debug + Send + Sync + 'static {
    /// Passes it on, some time, if possible. Never waits.
    fn tell(&self, notice: Notice);

    /// What was told and could not be passed on, since this was last asked.
    fn unheard(&self) -> Vec<Notice>;
}

/// Tells `crier` what there is to tell, and the log, until the end has come.
pub async fn run(
    store: Store,
    policy: Arc<Policy>,
    cache: Cache,
    crier: Option<Arc<dyn Crier>>,
    mut drain: drain::Watch,
) {
    let (mut told, mut voice) = (Told::default(), Voice::new(crier));
    let mut nodes = Nodes::default();
    let mut snapshots = store.watch();
    loop {
        tokio::select! {
            () = drain.signaled() => return,
            changed = time::timeout(LOOK, snapshots.changed()) => if let Ok(Err(_closed)) = changed {
                return;
            },
        }
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        for notice in voice.unheard() {
            told.unheard(&notice, Instant::now());
        }
        if snapshot.complete() {
            nodes.say(&snapshot, &policy);
            let present = present(&snapshot, &policy, &failures(&cache));
            for due in told.due(present, &alive(&snapshot), Instant::now()) {
                voice.say(due);
            }
        }
        tokio::select! {
            () = drain.signaled() => return,
            () = time::sleep(PAUSE) => {}
        }
    }
}

/// Why the last attempt failed, of the identities where it did and will do so again.
fn failures(cache: &Cache) -> HashMap<Identity, Arc<SourceError>> {
    let held = cache.snapshot().into_iter();
    held.filter_map(|status| Some((status.identity, status.failure?)))
        .filter(|(_, failure)| failure.is_final())
        .collect()
}

fn alive(snapshot: &Snapshot) -> HashSet<PodUid> {
    snapshot.pods().map(|subject| subject.pod.api_uid).collect()
}

/// What there is to tell about all pods, each thing once.
fn present(
    snapshot: &Snapshot,
    policy: &Policy,
    failures: &HashMap<Identity, Arc<SourceError>>,
) -> Vec<Notice> {
    let pods = snapshot.pods();
    pods.flat_map(|subject| of_pod(subject, policy, failures))
        .collect()
}

/// What there is to tell about a pod, each thing once, and not too much of it.
fn of_pod(
    subject: &Subject,
    policy: &Policy,
    failures: &HashMap<Identity, Arc<SourceError>>,
) -> Vec<Notice> {
    let mut notices: Vec<Notice> = Vec::new();
    // What is about the whole pod comes first: it is there also where there are too many.
    let names = [None]
        .into_iter()
        .chain(binding::containers(&subject.pod).map(Some));
    let about = text::of_metadata(subject, policy).into_iter();
    let about = about.chain(names.filter_map(|name| of_container(subject, name, policy, failures)));
    for (reason, note) in about {
        let known = |other: &Notice| other.reason == reason && *other.note == *note;
        if !notices.iter().any(known) {
            notices.push(Notice {
                pod: subject.pod.name.clone(),
                uid: subject.pod.api_uid,
                reason,
                note: note.into(),
                times: 1,
            });
        }
        if notices.len() == MOST {
            break;
        }
    }
    notices
}

/// What there is to tell about the container called `name`; without one, about those that have no role of their own.
fn of_container(
    subject: &Subject,
    name: Option<&str>,
    policy: &Policy,
    failures: &HashMap<Identity, Arc<SourceError>>,
) -> Option<(Reason, String)> {
    let text = Text {
        subject,
        name,
        policy,
    };
    match binding::decide_for(subject, name, policy) {
        Binding::Invalid(rule, invalid) => Some(text.invalid(rule, &invalid)),
        Binding::Forbidden(role, refusal) => Some(text.forbidden(&role, &refusal)),
        Binding::Role(identity, _) => failures
            .get(&identity)
            .and_then(|failure| text::of_failure(&identity, failure)),
        Binding::Node(_) | Binding::Nothing(_) | Binding::Unknown(_) => None,
    }
}

#[cfg(test)]
mod tests;
