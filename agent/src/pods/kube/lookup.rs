//! Asks the API server itself for a pod, while a request waits for it.
//!
//! What it says is as of now, not from a cache that may be behind. Whoever asks for the same pod at the same time gets
//! the same answer, few questions are under way at a time, and a pod that is not there is not asked for again at once.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use k8s_openapi::{api::core::v1 as api, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, api::ListParams, core::PartialObjectMeta as Metadata};
use tokio::{
    sync::{OnceCell, Semaphore},
    time::{self, Instant},
};

use crate::{
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
};

/// So many questions are under way at a time.
const AT_A_TIME: usize = 4;

/// By then whoever asked cannot wait any longer.
const PATIENCE: Duration = Duration::from_millis(800);

/// A pod that was not there is not asked for again for this time. Nobody has its UID before it is there.
const ABSENCE: Duration = Duration::from_secs(1);

/// So many absent pods are remembered. There are no more cgroups.
const ABSENT: usize = 1000;

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
    absent: Mutex<HashMap<PodUid, Instant>>,
    episode: Mutex<Episode>,
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
            absent: Mutex::default(),
            episode: Mutex::new(Episode::new(
                "look-ups",
                "get and list",
                "pods, namespaces and serviceaccounts",
            )),
        }
    }

    async fn answer(&self, uid: PodUid, known: Option<Arc<Subject>>) -> Answer {
        if self.is_absent(uid) {
            return Ok(None);
        }
        let cell = self.join(uid);
        let answer = cell.get_or_init(|| self.ask(uid, known)).await.clone();
        // Who comes now asks anew.
        lock(&self.under_way).remove(&uid);
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

    async fn ask(&self, uid: PodUid, known: Option<Arc<Subject>>) -> Answer {
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
        if let Ok(None) = found {
            self.remember_absence(uid);
        }
        self.report(found)
    }

    fn report<T>(&self, found: Result<T, Failure>) -> Result<T, Unanswered> {
        match found {
            Ok(subject) => {
                lock(&self.episode).over();
                Ok(subject)
            }
            Err(failure) => {
                lock(&self.episode).failed(&failure);
                Err(Unanswered)
            }
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
                    Some(known) => Ok(known),
                    None => self.service_account_of(&pod).await,
                }
            },
        )?;
        Ok(Some(Subject {
            pod,
            namespace: Some(namespace),
            service_account: Some(service_account),
        }))
    }

    /// The pod whose cgroup has this name, among all that are bound to this node. What each of them is called is enough
    /// to find it: whole, they are megabytes.
    async fn pod_of_node(&self, uid: PodUid) -> Result<Option<Pod>, Failure> {
        let pods = Api::<Metadata<api::Pod>>::all(self.client.clone());
        let params = ListParams::default().fields(&of_node(&self.node));
        let text = uid.to_string();
        let mut found = None;
        for candidate in pods.list(&params).await?.items {
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
        let pods = Api::<api::Pod>::namespaced(self.client.clone(), name.namespace());
        match pods.get_opt(name.name()).await? {
            Some(pod) => self.pod(pod, uid),
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
        let namespace = convert::namespace(found.metadata, &self.keys);
        let namespace = namespace.map_err(invalid)?;
        Ok(Arc::new(namespace))
    }

    async fn service_account_of(&self, pod: &Pod) -> Result<Arc<ServiceAccount>, Failure> {
        match &pod.service_account {
            Some(name) => self.account(pod.name.namespace(), name).await,
            None => Ok(Arc::default()),
        }
    }

    async fn account(&self, namespace: &str, name: &str) -> Result<Arc<ServiceAccount>, Failure> {
        let client = self.client.clone();
        let accounts = Api::<Metadata<api::ServiceAccount>>::namespaced(client, namespace);
        let Some(found) = accounts.get_opt(name).await? else {
            return Ok(Arc::default());
        };
        let account = convert::service_account_of(found.metadata, &self.keys);
        let account = account.map_err(invalid)?;
        Ok(Arc::new(account))
    }

    fn is_absent(&self, uid: PodUid) -> bool {
        let absent = lock(&self.absent);
        absent
            .get(&uid)
            .is_some_and(|since| since.elapsed() < ABSENCE)
    }

    fn remember_absence(&self, uid: PodUid) {
        let mut absent = lock(&self.absent);
        if absent.len() >= ABSENT {
            absent.retain(|_, since| since.elapsed() < ABSENCE);
        }
        if absent.len() < ABSENT {
            absent.insert(uid, Instant::now());
        }
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
            let _turn = self.turns.acquire().await;
            let found = time::timeout(PATIENCE, self.account(namespace, name)).await;
            self.report(found.unwrap_or(Err(Failure::TimedOut)))
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
