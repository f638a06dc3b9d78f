//! Asks the API server itself for a pod, while a request waits for it.
//!
//! What it says is as of now, not from a cache that may be behind. Whoever asks for the same pod at the same time, or
//! right after, gets the same answer; few questions are under way at a time, and there are only so many a second. Who
//! gets none waits for the watch.

mod names;
mod recent;

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use k8s_openapi::{api::core::v1 as api, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Api;
use tokio::{
    sync::{OnceCell, Semaphore},
    time::{self, Instant},
};

use crate::{
    budget::{Budget, Rate},
    digest::Digest,
    id::{PodRef, PodUid},
    kubernetes::Client,
    pods::{
        Namespace, Pod, ServiceAccount, Subject,
        annotation::{CONFIG_HASH, Keys},
        binding,
        convert::{self, Invalid},
        resolve::{Found, Lookup, Unanswered},
    },
};

use super::{
    episode::Episode,
    failure::Failure,
    metrics::{LookupOutcome, Metrics},
    of_node,
    slim::{Metadata, SlimPod},
};

use recent::Recent;

/// So many questions are under way at a time.
const AT_A_TIME: usize = 4;

/// The pods of a node that come while a watch is away, and then ten a second: an API server has some thousand nodes.
const RATE: Rate = Rate {
    burst: 40,
    every: Duration::from_millis(100),
};

/// By then whoever asked cannot wait any longer.
const PATIENCE: Duration = Duration::from_millis(800);

/// A pod is not asked for again for this time, whatever was the answer. Who waits for it asks again after as long.
const PAUSE: Duration = Duration::from_millis(200);

/// One that was not there is not for this time. Nobody has its UID before it is there.
const ABSENCE: Duration = Duration::from_secs(1);

/// Nor is one that could not be understood for this: somebody has to mend it first.
const MENDING: Duration = Duration::from_secs(5);

/// What one question gave.
type Answer = Result<Option<Subject>, Unanswered>;

/// Asks the API server.
pub struct KubeLookup {
    client: Client,
    node: String,
    keys: Keys,
    metrics: Metrics,
    turns: Semaphore,
    under_way: Mutex<HashMap<PodUid, Weak<OnceCell<Answer>>>>,
    recent: Mutex<Recent>,
    budget: Mutex<Budget>,
    episode: Mutex<Episode>,
    complaints: Digest,
}

impl KubeLookup {
    /// Asks for pods of `node`.
    pub fn new(client: Client, node: &str, keys: Keys, metrics: Metrics) -> Self {
        Self {
            client,
            node: node.to_owned(),
            keys,
            metrics,
            turns: Semaphore::new(AT_A_TIME),
            under_way: Mutex::default(),
            recent: Mutex::default(),
            budget: Mutex::new(Budget::new(RATE)),
            episode: Mutex::new(Episode::new(
                "look-ups",
                "get and list",
                "pods, namespaces and serviceaccounts",
            )),
            complaints: Digest::default(),
        }
    }

    async fn answer(&self, uid: PodUid, known: Option<Arc<Subject>>) -> Answer {
        let last = lock(&self.recent).get(uid);
        if let Some(answer) = last {
            return answer;
        }
        let cell = self.join(uid);
        let answer = cell.get_or_init(|| self.ask(uid, known)).await.clone();
        self.leave(uid, &cell);
        answer
    }

    /// The question for this pod that is under way, or a new one.
    fn join(&self, uid: PodUid) -> Arc<OnceCell<Answer>> {
        let mut under_way = lock(&self.under_way);
        if let Some(cell) = under_way.get(&uid).and_then(Weak::upgrade) {
            return cell;
        }
        // Those whose callers gave up.
        under_way.retain(|_, cell| cell.strong_count() > 0);
        let cell = Arc::new(OnceCell::new());
        under_way.insert(uid, Arc::downgrade(&cell));
        cell
    }

    /// Ends a question that was answered. The one under way may be another already.
    fn leave(&self, uid: PodUid, cell: &Arc<OnceCell<Answer>>) {
        if let Entry::Occupied(entry) = lock(&self.under_way).entry(uid)
            && entry.get().as_ptr() == Arc::as_ptr(cell)
        {
            entry.remove();
        }
    }

    async fn ask(&self, uid: PodUid, known: Option<Arc<Subject>>) -> Answer {
        self.spend()?;
        let _turn = self.turns.acquire().await;
        let start = Instant::now();
        let found = time::timeout(PATIENCE, self.find_subject(uid, known)).await;
        let found = found.unwrap_or(Err(Failure::TimedOut));
        let outcome = match &found {
            Ok(Some(_)) => LookupOutcome::Found,
            Ok(None) => LookupOutcome::Absent,
            Err(_) => LookupOutcome::Failed,
        };
        self.metrics.looked_up(outcome, start.elapsed());
        let time = match &found {
            Ok(None) => ABSENCE,
            Err(failure) if failure.is_about_objects() => MENDING,
            Ok(Some(_)) | Err(_) => PAUSE,
        };
        let answer = self.report(found);
        lock(&self.recent).put(uid, answer.clone(), time);
        answer
    }

    /// Whether there may be one more question.
    fn spend(&self) -> Result<(), Unanswered> {
        let is_allowed = lock(&self.budget).allows();
        if is_allowed {
            return Ok(());
        }
        if let Some(times) = self.complaints.add("budget") {
            tracing::warn!(
                times,
                "the API server is not asked for a pod: too many were asked for. It waits for the watch"
            );
        }
        Err(Unanswered)
    }

    fn report<T>(&self, found: Result<T, Failure>) -> Result<T, Unanswered> {
        match found {
            Ok(subject) => {
                lock(&self.episode).over();
                Ok(subject)
            }
            Err(failure) => {
                if failure.is_about_objects() {
                    self.complain(&failure);
                } else {
                    lock(&self.episode).failed(&failure);
                }
                Err(Unanswered)
            }
        }
    }

    /// Says what the API server has nothing to do with, and who wrote some object has.
    fn complain(&self, failure: &Failure) {
        if let Failure::Invalid(what) = failure {
            tracing::debug!("a pod cannot be understood: {what}"); // the watch says of which, and warns
        } else if let Some(times) = self.complaints.add(failure.reason().as_str()) {
            tracing::warn!(times, "a pod cannot be looked up: {failure}");
        }
    }

    async fn find_subject(
        &self,
        uid: PodUid,
        known: Option<Arc<Subject>>,
    ) -> Result<Option<Subject>, Failure> {
        let pod = match known.as_deref() {
            Some(subject) if !lacks_container(subject) => Some(Arc::clone(&subject.pod)),
            Some(subject) => self.pod_called(&subject.pod.name, uid).await?.map(Arc::new),
            None => self.pod_of_node(uid).await?.map(Arc::new),
        };
        let Some(pod) = pod else {
            return Ok(None);
        };
        // What is around it stays the same for a pod of this UID.
        let (namespace, account) = match known.as_deref() {
            Some(subject) => (subject.namespace.clone(), subject.service_account.clone()),
            None => (None, None),
        };
        let (namespace, service_account) = tokio::try_join!(
            async {
                match namespace {
                    Some(known) => Ok(known),
                    None => self.namespace_of(&pod).await,
                }
            },
            async {
                match account {
                    Some(known) => Ok(Some(known)),
                    None => self.service_account_of(&pod).await,
                }
            },
        )?;
        Ok(Some(Subject {
            pod,
            namespace: Some(namespace),
            service_account,
        }))
    }

    /// The pod whose cgroup has this name, among all that are bound to this node. What each of them is called is enough
    /// to find it: whole, they are megabytes.
    async fn pod_of_node(&self, uid: PodUid) -> Result<Option<Pod>, Failure> {
        let all = names::of_pods(&self.client, &of_node(&self.node)).await?;
        let text = uid.to_string();
        let mut found = None;
        for candidate in all {
            if !may_be(&candidate.metadata, &text) {
                continue;
            }
            let name = convert::name(&candidate.metadata).map_err(invalid)?;
            if let Some(pod) = self.pod_called(&name, uid).await?
                && found.replace(pod).is_some()
            {
                return Err(Failure::Ambiguous);
            }
        }
        Ok(found)
    }

    /// The pod of this name, if it is the one.
    async fn pod_called(&self, name: &PodRef, uid: PodUid) -> Result<Option<Pod>, Failure> {
        let pods = Api::<SlimPod>::namespaced(self.client.clone(), name.namespace());
        match pods.get_opt(name.name()).await? {
            Some(pod) => self.pod(pod.0, uid),
            None => Ok(None),
        }
    }

    /// `pod` as we see it, if it is one of ours and has this name for its cgroup.
    fn pod(&self, pod: api::Pod, uid: PodUid) -> Result<Option<Pod>, Failure> {
        if convert::skip(&pod, Some(&self.node)).is_some() {
            return Ok(None);
        }
        let pod = convert::pod(pod, &self.keys).map_err(invalid)?;
        Ok(Some(pod).filter(|pod| pod.uid == uid))
    }

    async fn namespace_of(&self, pod: &Pod) -> Result<Arc<Namespace>, Failure> {
        let namespaces = Api::<Metadata<api::Namespace>>::all(self.client.clone());
        let Some(found) = namespaces.get_opt(pod.name.namespace()).await? else {
            return Ok(Arc::default());
        };
        let namespace = convert::namespace(&found.metadata, &self.keys);
        Ok(Arc::new(namespace))
    }

    /// What a pod's ServiceAccount says; `None` if it is not there. There was one when the pod was made, and it may be
    /// made anew: that is not one that says nothing.
    async fn service_account_of(&self, pod: &Pod) -> Result<Option<Arc<ServiceAccount>>, Failure> {
        match &pod.service_account {
            Some(name) => self.account(pod.name.namespace(), name).await,
            None => Ok(Some(Arc::default())),
        }
    }

    async fn account(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<ServiceAccount>>, Failure> {
        let client = self.client.clone();
        let accounts = Api::<Metadata<api::ServiceAccount>>::namespaced(client, namespace);
        let found = accounts.get_opt(name).await?;
        Ok(found.map(|found| Arc::new(convert::service_account_of(&found.metadata))))
    }
}

impl Lookup for KubeLookup {
    fn find(&self, uid: PodUid, known: Option<Arc<Subject>>) -> Found<'_, Option<Subject>> {
        Box::pin(self.answer(uid, known))
    }

    fn service_account<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> Found<'a, Arc<ServiceAccount>> {
        Box::pin(async {
            self.spend()?;
            let asked = async {
                let _turn = self.turns.acquire().await;
                self.account(namespace, name).await
            };
            let found = time::timeout(PATIENCE, asked).await;
            let found = self.report(found.unwrap_or(Err(Failure::TimedOut)))?;
            Ok(found.unwrap_or_default())
        })
    }
}

impl fmt::Debug for KubeLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeLookup")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

/// Whether it may be one of its containers that is not known. Where nothing else is missing, it is.
fn lacks_container(known: &Subject) -> bool {
    let is_complete = known.namespace.is_some() && known.service_account.is_some();
    is_complete || binding::containers(&known.pod).next().is_some()
}

/// Whether a cgroup may be named `uid` for this pod.
fn may_be(pod: &ObjectMeta, uid: &str) -> bool {
    let annotations = pod.annotations.as_ref();
    let hash = annotations.and_then(|annotations| annotations.get(CONFIG_HASH));
    pod.uid.as_deref() == Some(uid) || hash.is_some_and(|hash| hash == uid)
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` gives")]
fn invalid(error: Invalid) -> Failure {
    Failure::Invalid(error.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
