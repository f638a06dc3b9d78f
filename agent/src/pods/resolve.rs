//! What a pod gets, asked while it waits for its answer.
//!
//! The answer is in memory nearly always. Where it is not, the request waits for the index to learn it, and meanwhile
//! the source of pods is asked directly: a watch may lag behind. While something is not known nothing is decided, and
//! never the default role. What a direct look-up says serves the request that asked, and does not enter the index: only
//! the watch knows the order in which things happened.

use std::{fmt, future, pin::Pin, sync::Arc, time::Duration};

use tokio::time::{self, Instant};

use crate::id::{ContainerId, PodUid};

use super::{
    ServiceAccount, Subject,
    binding::{self, Binding, Missing, Policy},
    index::Store,
};

/// A look-up that did not tell enough is repeated after this time, should the index still not know.
const AGAIN: Duration = Duration::from_millis(200);

/// Asks the source of pods itself.
pub trait Lookup: fmt::Debug + Send + Sync {
    /// The pod with this UID on this node and all that is around it; or that there is none. `known` is what the index
    /// has of it, and need not be asked for again.
    fn find(&self, uid: PodUid, known: Option<Arc<Subject>>) -> Found<'_, Option<Subject>>;

    /// The ServiceAccount of this namespace and name, for the sake of an explanation.
    fn service_account<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> Found<'a, Arc<ServiceAccount>>;
}

/// What a look-up gives, in a while.
pub type Found<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unanswered>> + Send + 'a>>;

/// The source gave no answer. It says why itself, in the log; whoever asked can but wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered;

/// Answers what pods get.
#[derive(Clone, Debug)]
pub struct Resolver {
    store: Store,
    policy: Arc<Policy>,
    lookup: Option<Arc<dyn Lookup>>,
}

/// What must be known before something is decided about a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// What decides about its role.
    Role,
    /// That, and its namespace in any case.
    Namespace,
}

/// What a pod gets.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "made once a request and never kept"
)]
pub enum Resolution {
    /// This. It never says [`Binding::Unknown`].
    Decided(Arc<Subject>, Binding),
    /// It could not be told in time, for want of this.
    Unsure(Option<Arc<Subject>>, Missing),
    /// There is no such pod on this node.
    NotHere,
}

impl Resolver {
    /// Answers from `store` by `policy`, and asks `lookup` where the index does not know.
    pub fn new(store: Store, policy: Arc<Policy>, lookup: Option<Arc<dyn Lookup>>) -> Self {
        Self {
            store,
            policy,
            lookup,
        }
    }

    /// By what is decided.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The same, to be kept.
    pub fn shared_policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy)
    }

    /// What the index says now about the pod `uid`, whoever asks.
    pub fn known(&self, uid: PodUid) -> Option<Arc<Subject>> {
        self.store.snapshot().pod(uid).cloned()
    }

    /// The ServiceAccount called `name` in `namespace`, for the sake of an explanation. `None` if nobody can tell.
    pub async fn service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> Option<Arc<ServiceAccount>> {
        let lookup = self.lookup.as_ref()?;
        lookup.service_account(namespace, name).await.ok()
    }

    /// What the container `id` of the pod `uid` gets, at the latest at `deadline`. Nobody is asked for somebody who does
    /// not wait.
    pub async fn resolve(
        &self,
        uid: PodUid,
        id: Option<ContainerId>,
        need: Need,
        deadline: Instant,
    ) -> Resolution {
        let now = self.look(uid, id, need);
        if matches!(now, Resolution::Decided(..)) || deadline <= Instant::now() {
            return now;
        }
        // Boxed, as it is rare: every request has room for what its own future may hold.
        let waited = Box::pin(async {
            tokio::select! {
                learned = self.learn(uid, id, need) => learned,
                asked = self.ask(uid, id, need) => asked,
            }
        });
        match time::timeout_at(deadline, waited).await {
            Ok(decided) => decided,
            Err(_late) => self.look(uid, id, need),
        }
    }

    fn look(&self, uid: PodUid, id: Option<ContainerId>, need: Need) -> Resolution {
        match self.known(uid) {
            Some(subject) => self.decide(subject, id, need),
            None => Resolution::Unsure(None, Missing::Pod),
        }
    }

    fn decide(&self, subject: Arc<Subject>, id: Option<ContainerId>, need: Need) -> Resolution {
        if need == Need::Namespace && subject.namespace.is_none() {
            return Resolution::Unsure(Some(subject), Missing::Namespace);
        }
        match binding::decide(&subject, id, &self.policy) {
            Binding::Unknown(what) => Resolution::Unsure(Some(subject), what),
            binding @ (Binding::Role(..)
            | Binding::Node(_)
            | Binding::Nothing(_)
            | Binding::Invalid(..)
            | Binding::Forbidden(..)) => Resolution::Decided(subject, binding),
        }
    }

    /// Waits until the index knows enough.
    async fn learn(&self, uid: PodUid, id: Option<ContainerId>, need: Need) -> Resolution {
        let mut snapshots = self.store.watch();
        while snapshots.changed().await.is_ok() {
            let subject = snapshots.borrow_and_update().pod(uid).cloned();
            if let Some(subject) = subject
                && let decided @ Resolution::Decided(..) = self.decide(subject, id, need)
            {
                return decided;
            }
        }
        // Nobody writes the index any more.
        future::pending().await
    }

    /// Asks until the answer is enough.
    async fn ask(&self, uid: PodUid, id: Option<ContainerId>, need: Need) -> Resolution {
        let Some(lookup) = &self.lookup else {
            return future::pending().await;
        };
        loop {
            match lookup.find(uid, self.known(uid)).await {
                // A static pod may run before the API server hears of it.
                Ok(None) if uid.is_static() => {}
                Ok(None) => return Resolution::NotHere,
                Ok(Some(subject)) => {
                    if let decided @ Resolution::Decided(..) = self.decide(subject.into(), id, need)
                    {
                        return decided;
                    }
                }
                Err(Unanswered) => {}
            }
            time::sleep(AGAIN).await;
        }
    }
}

#[cfg(test)]
mod tests;
