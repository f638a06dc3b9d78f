use std::sync::Arc;

use bpf2iam_standins::apiserver::{
    ApiServer, Change as Told, Config, Effect, Interrupt, Kind as Object, Mangle, Rule,
    StreamingLists, Verb,
};
use prometheus_client::registry::Registry;
use serde_json::json;
use tokio::task::JoinHandle;

use super::{
    testing::{Logged, NODE, metrics, namespace, number, pod, server, service_account, uid, with},
    *,
};
use crate::{
    kubernetes::{self, Server, Settings, Trust},
    pods::{
        Subject,
        annotation::{ROLE, ROLE_ARN},
        index::{Snapshot, Store},
    },
    readiness::Readiness,
};

/// Longer than anything takes here that works.
const PATIENCE: Duration = Duration::from_secs(15);

/// So that tests need not wait as long.
const HURRY: Patience = Patience {
    answer: Duration::from_millis(300),
    list: Duration::from_millis(300),
    event: Duration::from_mins(5),
};

/// A source of pods on a stand-in.
struct Running {
    store: Store,
    metrics: Registry,
    readiness: Readiness,
    task: JoinHandle<anyhow::Error>,
}

impl Running {
    /// Begins, and does not wait for anything.
    async fn begin(settings: &Settings) -> Self {
        let client = kubernetes::connect(settings).await.unwrap();
        let (metrics, registry) = metrics();
        let readiness = Readiness::new();
        let pending = readiness.guard("the pods to be listed");
        let keys = Keys::default();
        let clock = Clock::system();
        let source = KubeSource {
            patience: HURRY,
            ..KubeSource::new(client, NODE, keys, metrics, clock, pending)
        };
        let (writer, store) = index::new();
        Self {
            store,
            metrics: registry,
            readiness,
            task: tokio::spawn(source.run(writer)),
        }
    }

    async fn start(server: &ApiServer) -> Self {
        Self::begin(&settings(server)).await
    }

    /// Begins, and waits until all is known.
    async fn on(server: &ApiServer) -> Self {
        let running = Self::start(server).await;
        running.synced().await;
        running
    }

    async fn synced(&self) {
        let ready = time::timeout(PATIENCE, self.readiness.ready()).await;
        assert!(ready.is_ok(), "{:?}", self.store.snapshot());
    }

    /// Waits until `is` is so.
    async fn until(&self, is: impl Fn(&Snapshot) -> bool) {
        let mut watch = self.store.watch();
        let waited = watch.wait_for(|snapshot| is(snapshot));
        let is_so = time::timeout(PATIENCE, waited).await.is_ok();
        assert!(is_so, "{:?}", self.store.snapshot());
    }

    /// Waits until exactly these pods are known, with these roles.
    async fn until_pods(&self, expected: &[(&str, &str)]) {
        self.until(|snapshot| {
            let roles = roles(snapshot);
            let roles = roles.iter().map(|(name, role)| (&**name, &**role));
            roles.eq(expected.iter().copied())
        })
        .await;
    }

    fn subject(&self, number: u8) -> Option<Arc<Subject>> {
        self.store.snapshot().pod(uid(number)).cloned()
    }

    async fn until_failed(&self, kind: &str, reason: &str, times: i64) {
        let failed = || self.failures(kind, reason) >= times;
        assert!(eventually(failed).await, "{}", self.failures(kind, reason));
    }

    fn failures(&self, kind: &str, reason: &str) -> i64 {
        let name = format!("watch_failures_total{{kind=\"{kind}\",reason=\"{reason}\"}}");
        number(&self.metrics, &name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whether it `is` so within a bounded time.
async fn eventually(is: impl Fn() -> bool) -> bool {
    let waited = async {
        while !is() {
            time::sleep(Duration::from_millis(5)).await;
        }
    };
    time::timeout(PATIENCE, waited).await.is_ok()
}

async fn until_logged(logged: &Logged, text: &str) {
    let is_logged = eventually(|| !logged.lines(text).is_empty()).await;
    assert!(is_logged, "{text} in {:?}", logged.lines(""));
}

fn settings(server: &ApiServer) -> Settings {
    Settings::Server(Server::parse(&server.url(), None, Trust::Authorities).unwrap())
}

fn roles(snapshot: &Snapshot) -> Vec<(String, String)> {
    let pods = snapshot.pods().map(|subject| {
        let role = subject.pod.annotations.get(ROLE).cloned();
        (subject.pod.name.name().to_owned(), role.unwrap_or_default())
    });
    let mut pods: Vec<_> = pods.collect();
    pods.sort_unstable();
    pods
}

/// A cluster with one pod.
fn shop(server: &ApiServer) {
    server.put(namespace("shop", "ns")).unwrap();
    server.put(service_account("shop", "till", "sa")).unwrap();
    server.put(pod("cart", 1, "a")).unwrap();
}

/// How often `verb` was asked of `what`.
fn asked(server: &ApiServer, verb: Verb, what: &str) -> usize {
    let seen = server.requests().entries();
    let path = format!("/api/v1/{what}");
    let fits = seen
        .iter()
        .filter(|seen| seen.verb == Some(verb) && seen.path == path);
    fits.count()
}

#[tokio::test]
async fn the_pods_of_this_node_are_known_with_all_that_is_around_them() {
    let server = server();
    shop(&server);
    let elsewhere = with(pod("other", 2, "b"), "/spec/nodeName", json!("node-2"));
    let finished = with(pod("done", 3, "c"), "/status/phase", json!("Succeeded"));
    for object in [elsewhere, finished] {
        server.put(object).unwrap();
    }
    let running = Running::on(&server).await;
    running.until_pods(&[("cart", "a")]).await;
    let subject = running.subject(1).unwrap();
    let namespace = subject.namespace.as_deref().unwrap();
    assert_eq!(namespace.annotations()["bpf2iam.io/default-role"], "ns");
    let account = subject.service_account.as_deref().unwrap();
    assert_eq!(account.annotations[ROLE_ARN], "sa");
    assert_eq!(
        subject.pod.annotations.len(),
        1,
        "what nobody reads is dropped"
    );
    for (name, expected) in [
        ("pods", 1),
        ("namespaces", 1),
        ("service_accounts", 1),
        ("watch_synced{kind=\"pods\"}", 1),
        ("watch_events_total{kind=\"pods\"}", 2),
    ] {
        assert_eq!(number(&running.metrics, name), expected, "{name}");
    }
}

#[tokio::test]
async fn to_begin_takes_one_request_a_kind_and_no_more_than_metadata_of_the_cluster() {
    let server = server();
    shop(&server);
    let _running = Running::on(&server).await;
    let mut seen = server.requests().entries();
    seen.sort_by(|a, b| a.path.cmp(&b.path));
    let paths: Vec<_> = seen.iter().map(|seen| &*seen.path).collect();
    let expected = [
        "/api/v1/namespaces",
        "/api/v1/pods",
        "/api/v1/serviceaccounts",
    ];
    assert_eq!(paths, expected);
    for seen in seen {
        let name = concat!("bpf2iam/", env!("CARGO_PKG_VERSION"));
        assert_eq!(seen.user_agent.as_deref(), Some(name));
        let is_partial = seen
            .accept
            .clone()
            .unwrap_or_default()
            .contains("PartialObjectMetadata");
        assert_eq!(is_partial, seen.path != "/api/v1/pods");
        let fields = (seen.path == "/api/v1/pods").then(|| "spec.nodeName=node-1".to_owned());
        assert_eq!(seen.parameter("fieldSelector"), fields);
        assert_eq!(
            seen.parameter("resourceVersion").unwrap_or_default(),
            "",
            "as of now"
        );
    }
}

#[tokio::test]
async fn a_server_without_streaming_lists_gives_pages() {
    let server = ApiServer::start(Config {
        streaming_lists: StreamingLists::Refused,
        ..Config::default()
    });
    let server = server.unwrap();
    shop(&server);
    for number in 0..700 {
        let account = service_account("bank", &format!("clerk-{number}"), "sa");
        server.put(account).unwrap();
    }
    let running = Running::on(&server).await;
    assert_eq!(number(&running.metrics, "service_accounts"), 701);
    assert_eq!(asked(&server, Verb::List, "serviceaccounts"), 4);
    assert_eq!(asked(&server, Verb::List, "pods"), 1);
    server.put(pod("cart", 1, "b")).unwrap();
    running.until_pods(&[("cart", "b")]).await;
    assert_eq!(running.failures("pods", "refused"), 0);
}

#[tokio::test]
async fn a_stream_that_never_comes_to_its_end_is_no_list() {
    let server = server();
    shop(&server);
    let silent = Rule::watch(Mangle::SilentAfter(1))
        .for_path("/api/v1/pods")
        .times(1);
    server.rules().add(silent);
    let running = Running::on(&server).await;
    running.until_pods(&[("cart", "a")]).await;
    assert_eq!(asked(&server, Verb::List, "pods"), 1);
    assert_eq!(asked(&server, Verb::List, "namespaces"), 0);
}

#[tokio::test]
async fn what_changes_is_known_at_once() {
    let server = server();
    shop(&server);
    let running = Running::on(&server).await;
    server.put(pod("cart", 1, "b")).unwrap();
    running.until_pods(&[("cart", "b")]).await;
    server.put(pod("till", 2, "c")).unwrap();
    running.until_pods(&[("cart", "b"), ("till", "c")]).await;
    server
        .put(service_account("shop", "till", "other"))
        .unwrap();
    running
        .until(|snapshot| {
            let subject = snapshot.pod(uid(2)).unwrap();
            let account = subject.service_account.as_deref();
            account.is_some_and(|account| account.annotations[ROLE_ARN] == "other")
        })
        .await;
    // The same name, another pod.
    server.put(pod("cart", 3, "d")).unwrap();
    running.until_pods(&[("cart", "d"), ("till", "c")]).await;
    assert!(running.subject(1).is_none());
    server.delete(Object::Pod, "shop", "cart").unwrap();
    running.until_pods(&[("till", "c")]).await;
}

#[tokio::test]
async fn a_terminating_pod_stays_until_it_is_deleted_and_a_finished_one_does_not() {
    let server = server();
    shop(&server);
    let running = Running::on(&server).await;
    let mut terminating = pod("cart", 1, "b");
    terminating["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    server.put(terminating.clone()).unwrap();
    running.until_pods(&[("cart", "b")]).await;
    server
        .put(with(terminating, "/status/phase", json!("Failed")))
        .unwrap();
    running.until_pods(&[]).await;
}

#[tokio::test]
async fn a_watch_that_ends_goes_on_where_it_ended() {
    for interrupt in [Interrupt::Break, Interrupt::End] {
        let server = server();
        shop(&server);
        let running = Running::on(&server).await;
        server.interrupt(Object::Pod, interrupt);
        server.watches().wait_for(Object::Pod, 0).await;
        server.put(pod("cart", 1, "b")).unwrap();
        server.put(pod("till", 2, "c")).unwrap();
        server.delete(Object::Pod, "shop", "till").unwrap();
        running.until_pods(&[("cart", "b")]).await;
        let lists = server.requests().entries();
        let lists = lists
            .iter()
            .filter(|seen| seen.parameter("sendInitialEvents").is_some());
        assert_eq!(lists.count(), 3, "{interrupt:?}");
    }
}

#[tokio::test]
async fn what_expired_is_listed_again_and_what_is_gone_is_forgotten() {
    let (logged, _listens) = Logged::listen();
    let server = server();
    shop(&server);
    server.put(pod("till", 2, "c")).unwrap();
    let running = Running::on(&server).await;
    // What no watch hears of.
    server.delete_quietly(Object::Pod, "shop", "till").unwrap();
    server.put_quietly(pod("cart", 1, "b")).unwrap();
    server.compact();
    server.interrupt(Object::Pod, Interrupt::Expire);
    running.until_pods(&[("cart", "b")]).await;
    assert_eq!(running.failures("pods", "expired"), 1);
    assert_eq!(logged.lines("WARN"), [""; 0], "it is nothing to look at");
}

#[tokio::test]
async fn a_watch_that_contradicts_itself_is_not_believed() {
    let server = server();
    shop(&server);
    let running = Running::on(&server).await;
    let old = server.get(Object::Pod, "shop", "cart").unwrap();
    server.put(pod("cart", 1, "b")).unwrap();
    running.until_pods(&[("cart", "b")]).await;
    server.tell(Told::Modified, old.clone()).unwrap();
    server.put(pod("till", 2, "c")).unwrap();
    running.until_pods(&[("cart", "b"), ("till", "c")]).await;
    server.tell(Told::Deleted, old).unwrap();
    server.put(pod("till", 2, "d")).unwrap();
    running.until_pods(&[("cart", "b"), ("till", "d")]).await;
    assert_eq!(running.failures("pods", "disordered"), 2);
}

#[tokio::test]
async fn events_that_come_twice_or_in_another_order_make_no_difference() {
    for mangle in [Mangle::Repeat(2), Mangle::Swap(2), Mangle::Repeat(3)] {
        let server = server();
        shop(&server);
        server
            .rules()
            .add(Rule::watch(mangle).for_path("/api/v1/pods"));
        let running = Running::on(&server).await;
        for role in ["b", "c", "d"] {
            server.put(pod("cart", 1, role)).unwrap();
        }
        running.until_pods(&[("cart", "d")]).await;
    }
}

#[tokio::test]
async fn a_server_that_lost_everything_is_believed() {
    let server = server();
    for number in 0..20 {
        server.put(namespace(&format!("n-{number}"), "x")).unwrap();
    }
    shop(&server);
    let running = Running::on(&server).await;
    server.reset();
    server.put(pod("till", 2, "c")).unwrap();
    running.until_pods(&[("till", "c")]).await;
    server.put(pod("till", 2, "d")).unwrap();
    running.until_pods(&[("till", "d")]).await;
}

#[tokio::test]
async fn while_the_server_is_away_what_is_known_stays() {
    let (logged, _listens) = Logged::listen();
    let server = server();
    shop(&server);
    let running = Running::on(&server).await;
    server.refuse().await;
    server.put(pod("till", 2, "c")).unwrap();
    until_logged(&logged, "unreachable").await;
    running.until_failed("pods", "unreachable", 2).await;
    let known = roles(&running.store.snapshot());
    assert_eq!(known, [("cart".to_owned(), "a".to_owned())]);
    server.accept().unwrap();
    running.until_pods(&[("cart", "a"), ("till", "c")]).await;
    until_logged(&logged, "tells again").await;
    let said = logged.lines("of=\"pods\"");
    let said: Vec<_> = said
        .iter()
        .filter(|line| line.contains("unreachable"))
        .collect();
    assert_eq!(said.len(), 1, "once an episode: {said:?}");
}

#[tokio::test]
async fn while_a_watch_fails_what_is_around_a_pod_that_comes_is_not_known() {
    let server = server();
    shop(&server);
    let running = Running::on(&server).await;
    let account = |number| {
        let subject = running.subject(number)?;
        let account = subject.service_account.as_deref()?;
        account.annotations.get(ROLE_ARN).cloned()
    };
    let path = "/api/v1/serviceaccounts";
    server.rules().add(Rule::status(500).for_path(path));
    server.interrupt(Object::ServiceAccount, Interrupt::Break);
    running.until_failed("serviceaccounts", "server", 1).await;
    let changed = service_account("shop", "till", "other");
    server.put(changed).unwrap();
    server.put(pod("till", 2, "c")).unwrap();
    running.until_pods(&[("cart", "a"), ("till", "c")]).await;
    assert_eq!(account(1).as_deref(), Some("sa"), "it was there before");
    assert_eq!(account(2), None, "what is known is old");
    server.rules().clear();
    let is_told = || account(2).is_some_and(|role| role == "other");
    assert!(eventually(is_told).await);
}

#[tokio::test]
async fn a_service_account_that_is_made_anew_leaves_its_pods_unsure_meanwhile() {
    let server = server();
    shop(&server);
    let running = Running::on(&server).await;
    let said = |snapshot: &Snapshot| snapshot.pod(uid(1)).unwrap().service_account.clone();
    let deleted = server.delete(Object::ServiceAccount, "shop", "till");
    deleted.unwrap();
    running.until(|snapshot| said(snapshot).is_none()).await;
    server.put(service_account("shop", "till", "sb")).unwrap();
    let is_back = |account: Arc<crate::pods::ServiceAccount>| account.annotations[ROLE_ARN] == "sb";
    running
        .until(|snapshot| said(snapshot).is_some_and(is_back))
        .await;
}

#[tokio::test]
async fn a_server_that_hangs_is_noticed() {
    let server = server();
    shop(&server);
    let running = Running::on(&server).await;
    server.rules().add(Rule::always(Effect::Hang).times(1));
    server.interrupt(Object::Pod, Interrupt::Break);
    server.put(pod("cart", 1, "b")).unwrap();
    running.until_pods(&[("cart", "b")]).await;
    assert_eq!(running.failures("pods", "timed_out"), 1);
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_until_it_answers() {
    let mut cases = tokio::task::JoinSet::new();
    for (effect, reason) in [
        (Effect::Garbage, "unreadable"),
        (Effect::Close, "unreachable"),
        (Rule::status(500).effect, "server"),
        (Rule::status(429).effect, "throttled"),
        (Rule::status(401).effect, "unauthorized"),
        (Effect::Watch(Mangle::EndAfter(0)), "closed"),
        (Effect::Watch(Mangle::BreakAfter(1)), "closed"),
    ] {
        cases.spawn(async move {
            let server = server();
            shop(&server);
            let rule = Rule::always(effect).for_path("/api/v1/pods");
            server.rules().add(rule.times(1));
            let running = Running::on(&server).await;
            running.until_pods(&[("cart", "a")]).await;
            assert_eq!(running.failures("pods", reason), 1, "{reason}");
        });
    }
    while let Some(done) = cases.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn a_watch_that_ends_at_once_is_not_asked_for_again_and_again() {
    let server = server();
    shop(&server);
    let running = Running::on(&server).await;
    server.rules().add(Rule::watch(Mangle::EndAfter(0)));
    server.interrupt(Object::Pod, Interrupt::End);
    let before = server.requests().entries().len();
    time::sleep(Duration::from_millis(600)).await;
    let asked = server.requests().entries().len() - before;
    assert!((1..=6).contains(&asked), "{asked} times");
    assert!(running.failures("pods", "closed") >= 1);
}

#[tokio::test]
async fn what_may_not_be_watched_is_named_with_what_is_missing() {
    let (logged, _listens) = Logged::listen();
    let server = server();
    shop(&server);
    let forbidden = Rule::status(403)
        .for_path("/api/v1/serviceaccounts")
        .times(2);
    server.rules().add(forbidden);
    let running = Running::start(&server).await;
    until_logged(&logged, "forbidden").await;
    assert_eq!(running.readiness.pending(), ["the pods to be listed"]);
    // Meanwhile the pod is known, and what its ServiceAccount says is not.
    running.until_pods(&[("cart", "a")]).await;
    assert_eq!(running.subject(1).unwrap().service_account, None);
    let said = logged.lines("WARN");
    let [said] = &said[..] else {
        panic!("{said:?}")
    };
    for part in [
        "serviceaccounts is forbidden",
        "ClusterRole bpf2iam has to allow list and watch of serviceaccounts",
        "deploy/",
    ] {
        assert!(said.contains(part), "{said}");
    }
    running.synced().await;
    assert_eq!(logged.lines("tells again").len(), 1);
}

/// A kubeconfig whose user has a token in a file, as the kubelet puts it there.
fn kubeconfig(dir: &std::path::Path, server: &ApiServer) -> Settings {
    let (file, token) = (dir.join("config"), dir.join("token"));
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server.url()}}],
        "users": [{"name": "u", "user": {"tokenFile": token}}],
    });
    std::fs::write(&file, text.to_string()).unwrap();
    Settings::Kubeconfig {
        path: file,
        trust: Trust::Authorities,
    }
}

#[tokio::test]
async fn a_token_that_is_exchanged_is_used_at_once() {
    let (logged, _listens) = Logged::listen();
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    shop(&server);
    std::fs::write(dir.path().join("token"), "tok-1\n").unwrap();
    server.bearers().require(["tok-1"]);
    let running = Running::begin(&kubeconfig(dir.path(), &server)).await;
    running.synced().await;
    // The server takes only the next one, which is not there yet.
    server.bearers().require(["tok-2"]);
    server.interrupt(Object::Pod, Interrupt::End);
    until_logged(&logged, "does not know us").await;
    server.put(pod("cart", 1, "b")).unwrap();
    std::fs::write(dir.path().join("token"), "tok-2").unwrap();
    running.until_pods(&[("cart", "b")]).await;
    assert!(
        logged.lines("tok-").is_empty(),
        "a token is no text for logs"
    );
}

#[tokio::test]
async fn an_object_that_cannot_be_understood_is_said_once_and_is_not_known() {
    let (logged, _listens) = Logged::listen();
    let server = server();
    shop(&server);
    let running = Running::on(&server).await;
    let mut odd = pod("cart", 1, "a");
    odd["status"] = json!({"podIP": "nowhere"});
    server.put(odd).unwrap();
    running.until_pods(&[]).await;
    server.put(pod("till", 2, "c")).unwrap();
    running.until_pods(&[("till", "c")]).await;
    assert_eq!(logged.lines("the pod shop/cart").len(), 1);
    server.put(pod("cart", 1, "b")).unwrap();
    running.until_pods(&[("cart", "b"), ("till", "c")]).await;
}

#[tokio::test]
async fn of_a_thousand_pods_that_come_and_go_none_is_missed() {
    let server = server();
    shop(&server);
    let running = Running::on(&server).await;
    let mut snapshots = running.store.watch();
    let counted = tokio::spawn(async move {
        let mut count = 0_u32;
        while snapshots.changed().await.is_ok() {
            count += 1;
            if snapshots.borrow_and_update().pods().len() == 3 {
                break;
            }
        }
        count
    });
    let start = Instant::now();
    for round in 0..1000 {
        let name = format!("churn-{round}");
        server.put(pod(&name, 2, "x")).unwrap();
        server.delete(Object::Pod, "shop", &name).unwrap();
        if round % 50 == 0 {
            time::sleep(Duration::from_millis(1)).await;
        }
    }
    server.put(pod("kept", 3, "y")).unwrap();
    server.put(pod("till", 4, "z")).unwrap();
    running
        .until_pods(&[("cart", "a"), ("kept", "y"), ("till", "z")])
        .await;
    let most = start.elapsed().as_millis() / PACE.as_millis() + 3;
    let count = time::timeout(PATIENCE, counted).await.unwrap().unwrap();
    assert!(
        u128::from(count) <= most,
        "{count} snapshots, {most} at most"
    );
    let events = number(&running.metrics, "watch_events_total{kind=\"pods\"}");
    assert!(events >= 2003, "{events}");
}
