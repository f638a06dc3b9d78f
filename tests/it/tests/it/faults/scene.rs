//! A node on which something goes wrong: a pod that has keys by then, and many that come and want some.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use bpf2iam_standins::sts::Rule;
use serde_json::Value;
use tokio::{task::JoinSet, time::timeout};

use crate::{
    client::{Keys, ROLES},
    pod::Pod,
    wait::{AT_ONCE, PATIENCE, leap, timed, until},
    world::{BASE_ARN, Setup, World},
};

/// Has keys before something goes wrong.
const KEYED: Pod = Pod::new(200);

/// Comes with the crowd, and wants another role.
const OTHER: Pod = Pod::new(201);

/// A role that is not looked for in vain is there within this time, on however busy a machine.
const NOT_SLOWED: Duration = Duration::from_secs(6);

/// Whoever asks again does not wait longer.
const BRIEF: Duration = Duration::from_millis(300);

/// The role of the crowd.
pub(super) const ROLE: &str = "a-role";

/// Its ARN.
pub(super) fn arn() -> String {
    format!("{BASE_ARN}{ROLE}")
}

/// The pods of the crowd.
pub(super) fn crowd() -> impl Iterator<Item = Pod> {
    (1..=30).map(Pod::new)
}

pub(super) struct Scene {
    pub(super) world: World,
    held: Option<Keys>,
    /// How many warnings there were before something went wrong.
    warnings: usize,
}

impl Scene {
    /// Everything is well.
    pub(super) async fn new(setup: Setup) -> Self {
        let world = setup.pod(KEYED, "keyed").start().await;
        Self::of(world).await
    }

    /// The same, where pods come from an API server.
    pub(super) async fn in_cluster(setup: Setup) -> Self {
        let world = setup.start().await;
        world.api().put(KEYED.manifest(Some("keyed"))).unwrap();
        Self::of(world).await
    }

    async fn of(world: World) -> Self {
        let list = async || world.client(KEYED).get(ROLES).await.status;
        until(list, |status| *status == 200).await;
        let held = world.client(KEYED).keys("keyed").await;
        Self {
            held: Some(held),
            ..Self::empty(world)
        }
    }

    /// Nobody has keys yet.
    pub(super) fn empty(world: World) -> Self {
        Self {
            held: None,
            warnings: world.log.warnings().len(),
            world,
        }
    }

    /// From now on STS misbehaves, and there are many who want keys.
    pub(super) fn breaks(&self, rule: Rule) {
        self.world.sts().rules().set(vec![rule]);
        self.crowd_comes();
    }

    pub(super) fn crowd_comes(&self) {
        for pod in crowd() {
            self.world.write_pod(pod, Some(ROLE));
        }
    }

    /// What all of the crowd are told at the list of roles, when they ask at the same time.
    async fn told(&self) -> Vec<u16> {
        self.told_within(PATIENCE).await
    }

    /// The same. Who has no answer in `time` is told nothing, which is 0.
    async fn told_within(&self, time: Duration) -> Vec<u16> {
        let mut asking = JoinSet::new();
        for pod in crowd() {
            let client = self.world.client(pod);
            let status = async move { client.get(ROLES).await.status };
            asking.spawn(async move { timeout(time, status).await.unwrap_or_default() });
        }
        asking.join_all().await
    }

    /// All of the crowd are told `status` and nobody is told anything but that or 503: to come again.
    pub(super) async fn all_are_told(&self, status: u16) {
        let told = async || {
            let told = self.told().await;
            assert!(
                told.iter().all(|one| [503, status].contains(one)),
                "{told:?}"
            );
            told
        };
        until(told, |told| told.iter().all(|one| *one == status)).await;
    }

    /// All of the crowd are told to come again: before an SDK gives up, and they do not bring it about.
    pub(super) async fn all_wait(&self) {
        let (told, waited) = timed(self.told()).await;
        assert!(told.iter().all(|status| *status == 503), "{told:?}");
        assert!(waited < NOT_SLOWED, "{waited:?}");
    }

    /// Who has keys has the same keys, at once.
    pub(super) async fn keyed_is_served(&self) {
        let (keys, waited) = timed(self.world.client(KEYED).keys("keyed")).await;
        assert_eq!(Some(keys), self.held);
        assert!(waited < AT_ONCE, "{waited:?}");
    }

    /// Who wants another role has it without delay, and its own keys.
    pub(super) async fn other_is_served(&self) {
        self.world.write_pod(OTHER, Some("other"));
        let list = async || self.world.client(OTHER).get(ROLES).await.status;
        let (_, waited) = timed(until(list, |status| *status == 200)).await;
        assert!(waited < NOT_SLOWED, "{waited:?}");
        self.has_its_own(OTHER, "other").await;
    }

    /// Waits until some attempts have ended so. Time is put ahead, for what hangs.
    pub(super) async fn attempts_end(&self, outcome: &str) {
        let ended = async || {
            leap(Duration::from_secs(1)).await;
            self.world.fetches(outcome).await
        };
        until(ended, |ended| *ended >= 5).await;
    }

    /// The warnings since something went wrong. Watches and Events do not count: a leap of time is too long for them.
    pub(super) fn warnings(&self) -> Vec<Value> {
        let mut warnings = self.world.log.warnings().split_off(self.warnings);
        warnings.retain(|warning| {
            let target = warning["target"].as_str().unwrap();
            !target.starts_with("bpf2iam::kubernetes") && !target.starts_with("bpf2iam::pods::kube")
        });
        warnings
    }

    /// The log has one line about it, with all of these words.
    pub(super) fn said_once(&self, words: &[&str]) {
        let warnings = self.warnings();
        let [warning] = &*warnings else {
            panic!("{warnings:#?}");
        };
        let text = warning.to_string();
        for word in words {
            assert!(text.contains(word), "{word:?} in {warning:#}");
        }
        assert!(warning["next"].is_string(), "{warning:#}");
    }

    /// Everything is well again: all have keys without anybody's help, and the log says so once.
    pub(super) async fn recovers(&self) {
        self.all_get_keys().await;
        self.world.log.wait_for("STS gives credentials again").await;
        let over = self.world.log.records("STS gives credentials again");
        // A leap may time out a call or two, which is a trouble of its own.
        let all = |record: &&Value| record["identities"].as_u64() >= Some(10);
        assert_eq!(over.iter().filter(all).count(), 1, "{over:#?}");
    }

    /// All of the crowd have keys in the end, each its own.
    pub(super) async fn all_get_keys(&self) {
        let deadline = Instant::now() + PATIENCE;
        let everybody = |told: &[u16]| told.iter().all(|status| *status == 200);
        while !everybody(&self.told_within(BRIEF).await) {
            assert!(Instant::now() < deadline, "{:?}", self.told().await);
            leap(Duration::from_secs(2)).await;
        }
        let mut keys = HashSet::new();
        for pod in crowd() {
            keys.insert(self.has_its_own(pod, ROLE).await);
        }
        assert_eq!(keys.len(), crowd().count());
    }

    /// The keys of `pod` are of a session of its own, for its role.
    async fn has_its_own(&self, pod: Pod, role: &str) -> String {
        let keys = self.world.client(pod).keys(role).await;
        let issued = self.world.sts().issued(&keys.access_key_id).unwrap();
        assert_eq!(issued.role, format!("{BASE_ARN}{role}"));
        assert_eq!(issued.session_name, pod.full_name().replace('/', "."));
        keys.access_key_id
    }
}
