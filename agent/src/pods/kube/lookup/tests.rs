use bpf2iam_standins::apiserver::{ApiServer, Effect, Kind, Rule, Verb};
use prometheus_client::registry::Registry;
use serde_json::json;

use super::*;
use crate::pods::{
    annotation::{CONTAINER, DEFAULT_ROLE, ROLE, ROLE_ARN},
    kube::testing::{
        Logged, NODE, client, metrics, namespace, number, pod, server, service_account, uid, with,
    },
};

const HASH: &str = "aabbccddeeff00112233445566778899";

const CONTAINER_ID: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A look-up at `server`, and its numbers.
async fn lookup(server: &ApiServer) -> (Arc<KubeLookup>, Registry) {
    let (metrics, registry) = metrics();
    let client = client(server).await;
    let lookup = KubeLookup::new(client, NODE, Keys::default(), metrics);
    (Arc::new(lookup), registry)
}

fn shop(server: &ApiServer) {
    server.put(namespace("shop", "ns")).unwrap();
    server.put(service_account("shop", "till", "sa")).unwrap();
    server.put(pod("cart", 1, "a")).unwrap();
}

/// The requests so far, and none any more.
fn requests(server: &ApiServer) -> Vec<(Verb, String)> {
    let seen = server.requests().entries();
    server.requests().clear();
    let mut requests: Vec<_> = seen
        .into_iter()
        .map(|seen| (seen.verb.unwrap(), seen.path.replace("/api/v1/", "")))
        .collect();
    requests.sort();
    requests
}

fn get(path: &str) -> (Verb, String) {
    (Verb::Get, path.to_owned())
}

fn list() -> (Verb, String) {
    (Verb::List, "pods".to_owned())
}

#[tokio::test]
async fn a_pod_that_no_watch_told_of_is_found_with_all_that_is_around_it() {
    let server = server();
    shop(&server);
    let (lookup, registry) = lookup(&server).await;
    let found = lookup.find(uid(1), None).await.unwrap().unwrap();
    assert_eq!(found.pod.annotations[ROLE], "a");
    assert_eq!(found.namespace.unwrap().annotations()[DEFAULT_ROLE], "ns");
    assert_eq!(found.service_account.unwrap().annotations[ROLE_ARN], "sa");
    let [pods, pod, rest @ ..] = &server.requests().entries()[..] else {
        panic!("nothing was asked")
    };
    assert_eq!(
        pods.parameter("fieldSelector").unwrap(),
        "spec.nodeName=node-1"
    );
    assert_eq!(pods.parameter("resourceVersion"), None, "as of now");
    let is_partial = |accept: &Option<String>| {
        let accept = accept.as_deref().unwrap_or_default();
        accept.contains("PartialObject")
    };
    assert!(is_partial(&pods.accept) && !is_partial(&pod.accept));
    assert!(rest.iter().all(|seen| is_partial(&seen.accept)));
    let expected = [
        get("namespaces/shop"),
        get("namespaces/shop/pods/cart"),
        get("namespaces/shop/serviceaccounts/till"),
        list(),
    ];
    assert_eq!(requests(&server), expected);
    assert_eq!(number(&registry, "lookups_total{outcome=\"found\"}"), 1);
}

#[tokio::test]
async fn a_pod_that_is_none_of_this_node_is_not_there() {
    let server = server();
    shop(&server);
    let mut hash = pod("proxy", 4, "d");
    hash["metadata"]["annotations"]["kubernetes.io/config.hash"] = json!(HASH);
    hash["metadata"]["annotations"]["kubernetes.io/config.mirror"] = json!(HASH);
    for object in [
        with(pod("other", 2, "b"), "/spec/nodeName", json!("node-2")),
        with(pod("done", 3, "c"), "/status/phase", json!("Failed")),
        hash,
    ] {
        server.put(object).unwrap();
    }
    let (lookup, registry) = lookup(&server).await;
    for absent in [2, 3, 4, 5] {
        let found = lookup.find(uid(absent), None).await;
        assert_eq!(found, Ok(None), "{absent}");
    }
    let found = lookup.find(HASH.parse().unwrap(), None).await;
    let found = found.unwrap().unwrap();
    assert_eq!(
        (found.pod.api_uid, found.pod.uid),
        (uid(4), HASH.parse().unwrap())
    );
    assert_eq!(number(&registry, "lookups_total{outcome=\"absent\"}"), 4);
}

#[tokio::test]
async fn a_pod_that_is_not_there_is_not_asked_for_again_at_once() {
    let server = server();
    let (lookup, _registry) = lookup(&server).await;
    for _ in 0..3 {
        assert_eq!(lookup.find(uid(1), None).await, Ok(None));
    }
    assert_eq!(requests(&server), [list()]);
    shop(&server);
    time::sleep(ABSENCE).await;
    assert!(lookup.find(uid(1), None).await.unwrap().is_some());
}

/// What the index knows of the only pod.
fn known(namespace: Option<&str>, account: Option<&str>) -> Subject {
    let mut pod = Pod::new(uid(1), PodRef::new("shop", "cart"));
    pod.service_account = Some("till".to_owned());
    let one = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
    Subject {
        pod: Arc::new(pod),
        namespace: namespace.map(|role| Arc::new(Namespace::new(one(DEFAULT_ROLE, role)))),
        service_account: account.map(|role| {
            let annotations = one(ROLE_ARN, role);
            Arc::new(ServiceAccount { annotations })
        }),
    }
}

#[tokio::test]
async fn what_is_known_is_not_asked_for_again() {
    let server = server();
    shop(&server);
    let with_container = |mut subject: Subject| {
        let pod = Arc::make_mut(&mut subject.pod);
        let key = format!("{CONTAINER}app");
        pod.annotations.insert(key, "b".to_owned());
        subject
    };
    let (pod, namespace, account) = (
        get("namespaces/shop/pods/cart"),
        get("namespaces/shop"),
        get("namespaces/shop/serviceaccounts/till"),
    );
    for (known, expected, roles) in [
        (known(None, Some("x")), vec![namespace.clone()], ("ns", "x")),
        (known(Some("x"), None), vec![account.clone()], ("x", "sa")),
        (
            known(None, None),
            vec![namespace, account.clone()],
            ("ns", "sa"),
        ),
        (known(Some("x"), Some("y")), vec![pod.clone()], ("x", "y")),
        (
            with_container(known(Some("x"), None)),
            vec![pod, account],
            ("x", "sa"),
        ),
    ] {
        let (lookup, _registry) = lookup(&server).await;
        let found = lookup.find(uid(1), Some(Arc::new(known))).await;
        let found = found.unwrap().unwrap();
        let namespace = found.namespace.unwrap();
        let account = found.service_account.unwrap();
        let said = (
            &*namespace.annotations()[DEFAULT_ROLE],
            &*account.annotations[ROLE_ARN],
        );
        assert_eq!(said, roles);
        let mut expected = expected;
        expected.sort();
        assert_eq!(requests(&server), expected);
    }
}

#[tokio::test]
async fn a_container_that_was_started_since_is_found() {
    let server = server();
    shop(&server);
    let mut started = pod("cart", 1, "a");
    started["status"]["containerStatuses"] = json!([{
        "name": "app", "containerID": format!("containerd://{CONTAINER_ID}"),
        "image": "", "imageID": "", "ready": true, "restartCount": 0,
    }]);
    server.put(started).unwrap();
    let (lookup, _registry) = lookup(&server).await;
    let known = Arc::new(known(Some("x"), Some("y")));
    let found = lookup.find(uid(1), Some(known)).await.unwrap().unwrap();
    assert_eq!(
        found.pod.container(CONTAINER_ID.parse().unwrap()),
        Some("app")
    );
}

#[tokio::test]
async fn another_pod_of_the_same_name_is_not_it() {
    let server = server();
    shop(&server);
    server.put(pod("cart", 9, "z")).unwrap();
    let (lookup, _registry) = lookup(&server).await;
    let known = Arc::new(known(Some("x"), Some("y")));
    assert_eq!(lookup.find(uid(1), Some(known)).await, Ok(None));
}

#[tokio::test]
async fn a_namespace_that_is_not_there_says_nothing_and_a_service_account_is_not_known() {
    let server = server();
    server.put(pod("cart", 1, "a")).unwrap();
    let (lookup, _registry) = lookup(&server).await;
    let found = lookup.find(uid(1), None).await.unwrap().unwrap();
    assert_eq!(found.namespace, Some(Arc::default()));
    assert_eq!(found.service_account, None);
    let explained = lookup.service_account("shop", "till").await;
    assert_eq!(explained, Ok(Arc::default()), "if a pod ran as it");
}

#[tokio::test]
async fn two_pods_that_claim_the_same_static_pod_are_none() {
    let (logged, _listens) = Logged::listen();
    let server = server();
    for (name, number) in [("proxy", 1), ("impostor", 2)] {
        let mut object = pod(name, number, name);
        object["metadata"]["annotations"]["kubernetes.io/config.hash"] = json!(HASH);
        object["metadata"]["annotations"]["kubernetes.io/config.mirror"] = json!(HASH);
        server.put(object).unwrap();
    }
    let (lookup, _registry) = lookup(&server).await;
    assert_eq!(
        lookup.find(HASH.parse().unwrap(), None).await,
        Err(Unanswered)
    );
    assert_eq!(logged.lines("claim the same static pod").len(), 1);
}

#[tokio::test]
async fn without_an_answer_nothing_is_known() {
    let path = "/api/v1/*till";
    for rule in [
        Rule::status(500),
        Rule::status(403),
        Rule::status(404).for_path("/api/v1/pods"),
        Rule::status(500).for_path(path),
        Rule::always(Effect::Close),
        Rule::always(Effect::Cut),
        Rule::always(Effect::Garbage),
        Rule::always(Effect::Hang).for_path(path),
    ] {
        let server = server();
        shop(&server);
        server.rules().add(rule.clone());
        let (lookup, registry) = lookup(&server).await;
        let start = Instant::now();
        assert_eq!(lookup.find(uid(1), None).await, Err(Unanswered), "{rule:?}");
        assert!(start.elapsed() < PATIENCE * 2, "{rule:?}");
        assert_eq!(number(&registry, "lookups_total{outcome=\"failed\"}"), 1);
        server.rules().clear();
        time::sleep(PAUSE).await;
        assert!(
            lookup.find(uid(1), None).await.unwrap().is_some(),
            "{rule:?}"
        );
    }
}

#[tokio::test]
async fn what_may_not_be_asked_is_named_once() {
    let (logged, _listens) = Logged::listen();
    let server = server();
    shop(&server);
    server.rules().add(Rule::status(403).for_verb(Verb::Get));
    let (lookup, _registry) = lookup(&server).await;
    for _ in 0..3 {
        assert_eq!(lookup.find(uid(1), None).await, Err(Unanswered));
        time::sleep(PAUSE).await;
    }
    let said = logged.lines("ClusterRole bpf2iam has to allow get");
    assert_eq!(said.len(), 1, "{said:?}");
}

/// Puts the clock of the runtime ahead.
async fn leap(time: Duration) {
    time::pause();
    time::advance(time).await;
    time::resume();
}

#[tokio::test]
async fn a_pod_that_cannot_be_understood_is_not_asked_for_again_and_again() {
    let (logged, _listens) = Logged::listen();
    let server = server();
    shop(&server);
    let mut odd = pod("odd", 2, "b");
    odd["status"]["podIP"] = json!("nowhere");
    server.put(odd).unwrap();
    let (lookup, _registry) = lookup(&server).await;
    for _ in 0..4 {
        assert_eq!(lookup.find(uid(2), None).await, Err(Unanswered));
        assert!(lookup.find(uid(1), None).await.unwrap().is_some());
        leap(PAUSE).await;
    }
    let of_it = |(_, path): &(Verb, String)| path == "namespaces/shop/pods/odd";
    assert_eq!(requests(&server).into_iter().filter(of_it).count(), 1);
    let said = [logged.lines("WARN"), logged.lines("tells again")].concat();
    assert!(said.is_empty(), "the server is well: {said:?}");
    server.put(pod("odd", 2, "b")).unwrap();
    leap(MENDING).await;
    assert!(lookup.find(uid(2), None).await.unwrap().is_some());
}

#[tokio::test]
async fn whoever_asks_right_after_an_answer_gets_the_same() {
    let server = server();
    shop(&server);
    server.rules().add(Rule::status(500).times(1));
    let (lookup, _registry) = lookup(&server).await;
    for _ in 0..3 {
        assert_eq!(lookup.find(uid(1), None).await, Err(Unanswered));
    }
    assert_eq!(requests(&server), [list()]);
    leap(PAUSE).await;
    for _ in 0..3 {
        assert!(lookup.find(uid(1), None).await.unwrap().is_some());
    }
    assert_eq!(requests(&server).len(), 4, "of one question");
}

#[tokio::test]
async fn there_are_only_so_many_questions_a_second() {
    let (logged, _listens) = Logged::listen();
    let server = server();
    let (lookup, _registry) = lookup(&server).await;
    let start = Instant::now();
    let mut refused = 0;
    for number in 0..100 {
        match lookup.find(uid(number), None).await {
            Ok(found) => assert_eq!(found, None),
            Err(Unanswered) => refused += 1,
        }
    }
    let asked = requests(&server).len();
    let most = 41 + start.elapsed().as_millis() / 100;
    assert!(asked >= 40 && asked as u128 <= most, "{asked} of {most}");
    assert_eq!(asked + refused, 100);
    let explained = lookup.service_account("shop", "till").await;
    assert_eq!(explained, Err(Unanswered), "whatever the question is for");
    assert_eq!(logged.lines("too many were asked for").len(), 1);
    leap(Duration::from_secs(1)).await;
    assert_eq!(lookup.find(uid(200), None).await, Ok(None));
}

#[tokio::test]
async fn who_ends_a_question_ends_no_other_of_the_same_pod() {
    let (lookup, _registry) = lookup(&server()).await;
    let first = lookup.join(uid(1));
    lookup.leave(uid(1), &first);
    let second = lookup.join(uid(1));
    lookup.leave(uid(1), &first);
    assert!(Arc::ptr_eq(&second, &lookup.join(uid(1))));
    lookup.leave(uid(1), &second);
    assert!(lock(&lookup.under_way).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_explanation_does_not_wait_for_its_turn_for_ever() {
    let (lookup, _registry) = lookup(&server()).await;
    let _all = lookup.turns.acquire_many(4).await.unwrap();
    let asked = lookup.service_account("shop", "till");
    let explained = time::timeout(PATIENCE * 2, asked).await;
    assert_eq!(explained, Ok(Err(Unanswered)));
}

#[tokio::test]
async fn metadata_that_would_fill_our_memory_is_refused() {
    let server = server();
    let huge = "x".repeat(250_000);
    for number in 0..40 {
        let name = format!("cart-{number}");
        let object = pod(&name, number, &huge);
        server.put(object).unwrap();
    }
    let client = client(&server).await;
    let found = names::of_pods(&client, &of_node(NODE)).await;
    let failure = found.unwrap_err();
    assert!(matches!(failure, Failure::TooLong), "{failure}");
    assert!(failure.is_about_objects());
    let seen = &server.requests().entries()[0];
    assert_eq!(seen.parameter("limit"), None, "pages are not from a cache");
}

#[tokio::test]
async fn whoever_asks_for_the_same_pod_shares_the_answer_even_if_the_first_gives_up() {
    let server = server();
    shop(&server);
    let latency = Effect::Latency(Duration::from_millis(100));
    server
        .rules()
        .add(Rule::always(latency).for_path("/api/v1/pods"));
    let (lookup, _registry) = lookup(&server).await;
    let ask = || {
        let lookup = Arc::clone(&lookup);
        tokio::spawn(async move { lookup.find(uid(1), None).await })
    };
    let first = ask();
    time::sleep(Duration::from_millis(30)).await;
    let others: Vec<_> = (0..20).map(|_| ask()).collect();
    time::sleep(Duration::from_millis(30)).await;
    first.abort();
    for other in others {
        assert!(other.await.unwrap().unwrap().is_some());
    }
    let lists = requests(&server)
        .into_iter()
        .filter(|asked| *asked == list());
    assert!(
        lists.count() <= 2,
        "the one that was given up, and its heir"
    );
    assert!(lock(&lookup.under_way).is_empty());
}

#[tokio::test]
async fn no_more_than_so_many_questions_are_under_way() {
    let server = server();
    shop(&server);
    let latency = Effect::Latency(Duration::from_millis(100));
    server
        .rules()
        .add(Rule::always(latency).for_path("/api/v1/pods"));
    let (lookup, _registry) = lookup(&server).await;
    let start = Instant::now();
    let asked: Vec<_> = (10..10 + 3 * u8::try_from(AT_A_TIME).unwrap())
        .map(|number| {
            let lookup = Arc::clone(&lookup);
            tokio::spawn(async move { lookup.find(uid(number), None).await })
        })
        .collect();
    for question in asked {
        assert_eq!(question.await.unwrap(), Ok(None));
    }
    assert!(start.elapsed() >= Duration::from_millis(300));
    server.delete(Kind::Pod, "shop", "cart").unwrap();
}
