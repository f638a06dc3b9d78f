use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU8, Ordering},
    },
};

use crate::{
    clock::Clock,
    creds::{Credentials, Derived, Identity, Metrics, Secret, Source, SourceError, State},
    id::{PodRef, RoleArn},
    pods::{Subject, annotation::ROLE, index},
};

use super::*;

const SETTLE: Duration = Duration::from_secs(1);
const BASE: &str = "arn:aws:iam::123456789012:role/";

/// Gives keys to everybody, and remembers to whom.
#[derive(Debug)]
struct Generous {
    clock: Clock,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Source for Generous {
    async fn fetch(&self, identity: &Identity) -> Result<Credentials, SourceError> {
        let name = identity.role.name().to_owned();
        self.asked.lock().unwrap().push(name.clone());
        let issued = self.clock.now();
        Ok(Credentials {
            access_key_id: name,
            secret_access_key: Secret::new("secret"),
            session_token: Secret::new("token"),
            issued,
            expires: issued + jiff::SignedDuration::from_hours(1),
            document: Derived::default(),
        })
    }
}

struct World {
    writer: index::Writer,
    cache: Cache,
    asked: Arc<Mutex<Vec<String>>>,
    signal: drain::Signal,
    task: tokio::task::JoinHandle<()>,
}

impl World {
    fn new(default_role: Option<RoleArn>) -> Self {
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
        let asked = Arc::default();
        let source = Generous {
            clock,
            asked: Arc::clone(&asked),
        };
        let cache = Cache::new(source, clock, Metrics::new());
        let (writer, store) = index::new();
        let (signal, watch) = drain::channel();
        let policy = Policy {
            base_arn: Some(BASE.parse().unwrap()),
            default_role,
            ..Policy::new("node")
        };
        let task = tokio::spawn(run(store, Arc::new(policy), cache.clone(), watch));
        Self {
            writer,
            cache,
            asked,
            signal,
            task,
        }
    }

    /// Says which pods there are, and then which roles are ready.
    async fn ready(&self, pods: impl IntoIterator<Item = Pod>) -> Vec<String> {
        self.writer.reset(pods.into_iter().map(Subject::alone));
        time::sleep(SETTLE).await;
        let mut roles: Vec<String> = self
            .cache
            .snapshot()
            .into_iter()
            .filter(|status| matches!(status.state, State::Ready(_)))
            .map(|status| status.identity.role.name().to_owned())
            .collect();
        roles.sort();
        roles
    }

    fn calls(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn pod(role: Option<&str>) -> Pod {
    static NUMBER: AtomicU8 = AtomicU8::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let uid = format!("00000000-0000-0000-0000-0000000000{number:02x}");
    let annotations = role.map(|role| (ROLE.to_owned(), role.to_owned()));
    Pod {
        annotations: BTreeMap::from_iter(annotations),
        ..Pod::new(
            uid.parse().unwrap(),
            PodRef::new("shop", format!("pod-{number}")),
        )
    }
}

#[tokio::test(start_paused = true)]
async fn roles_are_fetched_with_their_first_pod_and_dropped_with_their_last() {
    let world = World::new(None);
    let (first, second, other) = (pod(Some("a")), pod(Some("a")), pod(Some("b")));
    for (pods, roles) in [
        (vec![], vec![]),
        (vec![&first], vec!["a"]),
        (vec![&first, &second, &other], vec!["a", "b"]),
        (vec![&second, &other], vec!["a", "b"]),
        (vec![&other], vec!["b"]),
        (vec![], vec![]),
    ] {
        let ready = world.ready(pods.into_iter().cloned()).await;
        assert_eq!(ready, roles);
    }
    assert_eq!(world.calls(), 2);
    time::sleep(Duration::from_hours(9)).await;
    assert_eq!(world.calls(), 2, "nobody needs a renewal");
}

#[tokio::test(start_paused = true)]
async fn a_last_request_after_the_end_of_a_pod_does_not_keep_its_keys_for_ever() {
    let world = World::new(None);
    assert!(world.ready([]).await.is_empty());
    let identity = Identity::new(format!("{BASE}late").parse().unwrap(), "node");
    drop(world.cache.watch(&identity));
    time::sleep(SETTLE).await;
    assert_eq!(world.calls(), 1);
    time::sleep(SWEEP).await;
    assert!(world.cache.snapshot().is_empty());
    time::sleep(Duration::from_hours(9)).await;
    assert_eq!(world.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn pods_without_a_role_or_with_a_wrong_one_fetch_nothing() {
    let world = World::new(None);
    let ready = world
        .ready([pod(None), pod(Some("not a role")), pod(Some(""))])
        .await;
    assert!(ready.is_empty(), "{ready:?}");
    assert_eq!(world.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_default_role_is_fetched_once_for_all_who_have_it() {
    let world = World::new(Some(format!("{BASE}default").parse().unwrap()));
    let ready = world.ready([pod(None), pod(None), pod(Some("a"))]).await;
    assert_eq!(ready, ["a", "default"]);
    assert_eq!(world.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn another_role_on_a_pod_replaces_the_first() {
    let world = World::new(None);
    let mut one = pod(Some("a"));
    assert_eq!(world.ready([one.clone()]).await, ["a"]);
    one.annotations = pod(Some("b")).annotations;
    assert_eq!(world.ready([one]).await, ["b"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_dropped_before_all_pods_are_known() {
    let world = World::new(None);
    let identity = Identity::new(format!("{BASE}early").parse().unwrap(), "node");
    let states = world.cache.watch(&identity);
    time::sleep(SETTLE).await;
    assert_eq!(states.borrow().word(), "ready");
    assert_eq!(world.ready([]).await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn the_end_leaves_the_credentials_where_they_are() {
    let world = World::new(None);
    assert_eq!(world.ready([pod(Some("a"))]).await, ["a"]);
    assert!(world.signal.drain(SETTLE).await);
    world.task.await.unwrap();
    assert_eq!(world.cache.snapshot().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_nobody_writes_the_index() {
    let world = World::new(None);
    drop(world.writer);
    time::timeout(SETTLE, world.task).await.unwrap().unwrap();
}
