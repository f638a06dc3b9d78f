//! What people are told about a pod that does not get its role: what is wrong, and what to change.
//!
//! A task follows the index and the credentials, and decides which [`Notice`]s there are. One is told when it appears
//! and when it changes, and again from time to time while it lasts; nothing is said when it goes. Requests of pods have
//! no part in this: nobody waits for it, and nothing of it fails.

mod text;
mod told;

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

use text::Text;
use told::Told;

/// The credentials are looked at this often. What pods and namespaces say is looked at when it changes, ...
const LOOK: Duration = Duration::from_secs(5);

/// ... but not more often than this.
const PAUSE: Duration = Duration::from_millis(500);

/// Why a pod does not get its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Its namespace does not let it have the role.
    RoleForbidden,
    /// STS refuses the role.
    RoleRefusedBySts,
    /// An annotation says something that cannot be meant: of the pod, its ServiceAccount, or its namespace.
    InvalidAnnotation,
    /// There is no token of its ServiceAccount to show to STS.
    NoServiceAccountToken,
}

impl Reason {
    /// The word, as Kubernetes writes such words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RoleForbidden => "RoleForbidden",
            Self::RoleRefusedBySts => "RoleRefusedBySTS",
            Self::InvalidAnnotation => "InvalidAnnotation",
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
    /// How often it was told since it began, this time included.
    pub times: u32,
}

/// Who passes notices on to people.
pub trait Crier: fmt::Debug + Send + Sync + 'static {
    /// Passes it on, some time, if possible. Never waits.
    fn tell(&self, notice: Notice);
}

/// Tells `crier` what there is to tell, and the log, until the end has come.
pub async fn run(
    store: Store,
    policy: Arc<Policy>,
    cache: Cache,
    crier: Option<Arc<dyn Crier>>,
    mut drain: drain::Watch,
) {
    let mut told = Told::default();
    let mut snapshots = store.watch();
    loop {
        tokio::select! {
            () = drain.signaled() => return,
            changed = time::timeout(LOOK, snapshots.changed()) => if let Ok(Err(_closed)) = changed {
                return;
            },
        }
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        if snapshot.complete() {
            let present = present(&snapshot, &policy, &failures(&cache));
            for notice in told.due(present, &alive(&snapshot), Instant::now()) {
                say(notice, crier.as_deref());
            }
        }
        tokio::select! {
            () = drain.signaled() => return,
            () = time::sleep(PAUSE) => {}
        }
    }
}

fn say(notice: Notice, crier: Option<&dyn Crier>) {
    let (pod, reason, note) = (&notice.pod, notice.reason.as_str(), &*notice.note);
    match notice.reason {
        Reason::RoleForbidden | Reason::InvalidAnnotation if notice.times == 1 => {
            tracing::warn!(%pod, reason, note, "a pod does not get its role");
        }
        // What STS and the API server say, whoever asked them has said already.
        Reason::RoleForbidden
        | Reason::InvalidAnnotation
        | Reason::RoleRefusedBySts
        | Reason::NoServiceAccountToken => {
            let times = notice.times;
            tracing::debug!(%pod, reason, note, times, "a pod still does not get its role");
        }
    }
    if let Some(crier) = crier {
        crier.tell(notice);
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

/// What there is to tell about a pod, each thing once.
fn of_pod(
    subject: &Subject,
    policy: &Policy,
    failures: &HashMap<Identity, Arc<SourceError>>,
) -> Vec<Notice> {
    let mut notices: Vec<Notice> = Vec::new();
    for name in binding::containers(&subject.pod).map(Some).chain([None]) {
        let text = Text {
            subject,
            name,
            policy,
        };
        let said = match binding::decide_for(subject, name, policy) {
            Binding::Invalid(rule, invalid) => Some(text.invalid(rule, &invalid)),
            Binding::Forbidden(role, refusal) => Some(text.forbidden(&role, &refusal)),
            Binding::Role(identity, _) => failures
                .get(&identity)
                .and_then(|failure| text::of_failure(&identity, failure)),
            Binding::Nothing(_) | Binding::Unknown(_) => None,
        };
        if let Some((reason, note)) = said
            && !notices
                .iter()
                .any(|other| other.reason == reason && *other.note == *note)
        {
            notices.push(Notice {
                pod: subject.pod.name.clone(),
                uid: subject.pod.api_uid,
                reason,
                note: note.into(),
                times: 1,
            });
        }
    }
    notices
}

#[cfg(test)]
mod tests;
