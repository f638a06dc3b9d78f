use std::{
    fs,
    sync::{Mutex, PoisonError},
};

use tempfile::TempDir;

use crate::{
    id::PodRef,
    pods::{annotation::ROLE, index},
};

use super::*;

/// A list in memory.
#[derive(Clone, Debug, Default)]
struct Listed(Arc<Mutex<HashSet<CgroupId>>>);

impl Listed {
    fn with<T>(&self, work: impl FnOnce(&mut HashSet<CgroupId>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl List for Listed {
    fn pods(&self) -> Result<HashSet<CgroupId>, redirect::Error> {
        Ok(self.with(|listed| listed.clone()))
    }

    fn add(&mut self, cgroup: CgroupId) -> Result<(), redirect::Error> {
        self.with(|listed| listed.insert(cgroup));
        Ok(())
    }

    fn remove(&mut self, cgroup: CgroupId) -> Result<(), redirect::Error> {
        self.with(|listed| listed.remove(&cgroup));
        Ok(())
    }
}

/// Directories are as good as cgroups here: each has an inode number.
struct World {
    writer: index::Writer,
    listed: Listed,
    dir: TempDir,
    _signal: drain::Signal,
}

impl World {
    fn new(before: impl IntoIterator<Item = CgroupId>) -> Self {
        Self::of_agent_in(None, before)
    }

    fn of_agent_in(own: Option<PodUid>, before: impl IntoIterator<Item = CgroupId>) -> Self {
        let dir = TempDir::new().unwrap();
        let kubepods = dir.path().join("kubepods");
        fs::create_dir_all(kubepods.join("besteffort")).unwrap();
        let listed = Listed::default();
        listed.with(|listed| listed.extend(before));
        let (writer, store) = index::new();
        let policy = Policy {
            node_role: ["kube-system", "kube-node-lease"]
                .map(|keepers| keepers.parse().unwrap())
                .into_iter()
                .collect(),
            base_arn: Some("arn:aws:iam::123456789012:role/".parse().unwrap()),
            ..Policy::new("node")
        };
        let (signal, drain) = drain::channel();
        let keeper = Keeper::new(store, Arc::new(policy), kubepods, own, listed.clone());
        tokio::spawn(keeper.run(drain));
        Self {
            writer,
            listed,
            dir,
            _signal: signal,
        }
    }

    /// The kubelet makes a pod's cgroup.
    fn make(&self, below: &str, digit: char) -> CgroupId {
        let name = format!("{below}pod{}", uid(digit));
        let path = self.dir.path().join("kubepods").join(name);
        fs::create_dir_all(path.join("0a".repeat(32))).unwrap();
        cgroup::id_of(&path).unwrap()
    }

    fn are(&self, pods: impl IntoIterator<Item = Pod>) {
        self.writer.reset(pods.into_iter().map(Subject::alone));
    }

    async fn listed(&self) -> HashSet<CgroupId> {
        time::sleep(2 * SWEEP).await;
        self.listed.with(|listed| listed.clone())
    }
}

fn uid(digit: char) -> PodUid {
    digit.to_string().repeat(32).parse().unwrap()
}

/// A pod on the node's network.
fn pod(namespace: &str, digit: char) -> Pod {
    Pod {
        host_network: true,
        ..Pod::new(uid(digit), PodRef::new(namespace, "pod"))
    }
}

fn annotated(pod: Pod, key: &str, value: &str) -> Pod {
    let annotations = [(key.to_owned(), value.to_owned())].into();
    Pod { annotations, ..pod }
}

#[tokio::test(start_paused = true)]
async fn pods_that_keep_the_nodes_identity_are_listed_by_their_own_cgroups_as_long_as_there_are() {
    let world = World::new([]);
    let network = world.make("", 'a');
    let shop = pod("shop", 'b');
    world.make("", 'b');
    world.are([
        pod("kube-system", 'a'),
        shop.clone(),
        pod("kube-system", 'c'),
    ]);
    assert_eq!(world.listed().await, [network].into());
    // Its cgroup comes later, at the level of a quality of service.
    let storage = world.make("besteffort/", 'c');
    assert_eq!(world.listed().await, [network, storage].into());
    world.are([shop, pod("kube-system", 'c')]);
    assert_eq!(world.listed().await, [storage].into());
    world.are([]);
    assert_eq!(world.listed().await, [].into());
}

#[tokio::test(start_paused = true)]
async fn what_an_agent_before_has_listed_stays_until_all_pods_are_known() {
    let before = CgroupId::new(u64::MAX);
    let world = World::new([before]);
    assert_eq!(world.listed().await, [before].into());
    world.are([]);
    assert_eq!(world.listed().await, [].into());
}

/// The metadata service may answer at one hop only.
#[tokio::test(start_paused = true)]
async fn who_is_on_a_network_of_its_own_is_not_listed() {
    let world = World::new([]);
    world.make("", 'a');
    let apart = Pod {
        host_network: false,
        ..pod("kube-system", 'a')
    };
    world.are([apart]);
    assert_eq!(world.listed().await, [].into());
}

/// What they try out as a pod would not come back to them.
#[tokio::test(start_paused = true)]
async fn agents_are_not_listed_and_who_looks_like_one_is() {
    let runs_as = |namespace, digit, account: &str| Pod {
        service_account: Some(account.to_owned()),
        ..pod(namespace, digit)
    };
    let world = World::of_agent_in(Some(uid('a')), []);
    let [_, _, other, elsewhere, fixed] =
        ['a', 'b', 'c', 'd', 'e'].map(|digit| world.make("", digit));
    world.are([
        runs_as("kube-system", 'a', "bpf2iam"),
        runs_as("kube-system", 'b', "bpf2iam"),
        runs_as("kube-system", 'c', "default"),
        runs_as("kube-node-lease", 'd', "bpf2iam"),
        pod("kube-system", 'e'),
    ]);
    assert_eq!(world.listed().await, [other, elsewhere, fixed].into());
    // One that is no ServiceAccount's.
    world.are([pod("kube-system", 'a'), pod("kube-system", 'e')]);
    assert_eq!(world.listed().await, [fixed].into());
}

#[tokio::test(start_paused = true)]
async fn who_has_a_role_of_its_own_is_not_listed() {
    let world = World::new([]);
    world.make("", 'a');
    world.are([annotated(pod("kube-system", 'a'), ROLE, "cart")]);
    assert_eq!(world.listed().await, [].into());
    world.are([pod("kube-system", 'a')]);
    assert_eq!(world.listed().await.len(), 1);
    let of_container = "container.bpf2iam.io/storage";
    world.are([annotated(pod("kube-system", 'a'), of_container, "cart")]);
    assert_eq!(world.listed().await, [].into());
}
