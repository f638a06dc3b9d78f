use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{self, Poll},
};

use hyper::{Method, StatusCode, body::Frame, header::HeaderMap};
use jiff::Timestamp;
use prometheus_client::{encoding::text, registry::Registry};

use super::*;
use crate::{
    attest::Via,
    creds::{Credentials, Derived, Secret, SourceError},
    id::{CgroupId, NetnsCookie, PodRef, PodUid},
    imds::{
        Known, Made,
        token::{BootId, Key},
    },
    metadata::{Allow, Place, TokenUse},
    pods::{
        Pod, ServiceAccount,
        annotation::ROLE,
        binding::Policy,
        compat::Compat,
        index,
        node_role::NodeRoleFor,
        resolve::{Found, Lookup, Unanswered},
        restriction,
    },
};

const ANNOTATED: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
const PLAIN: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f1";
const WRONG: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f2";
const LATE: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f3";
const ARN: &str = "arn:aws:iam::123456789012:role/my-role";

const LIST: &str = "/latest/meta-data/iam/security-credentials/";
const CREDENTIALS: &str = "/latest/meta-data/iam/security-credentials/my-role";
const INFO: &str = "/latest/meta-data/iam/info";
const TOKEN: &str = "/latest/api/token";

/// A cache that says what the test says.
#[derive(Clone, Debug, Default)]
struct Script(Arc<Mutex<HashMap<Identity, watch::Sender<State>>>>);

impl Supply for Script {
    fn watch(&self, identity: &Identity) -> watch::Receiver<State> {
        self.0
            .lock()
            .unwrap()
            .entry(identity.clone())
            .or_insert_with(|| watch::Sender::new(State::Fetching))
            .subscribe()
    }
}

impl Script {
    fn say(&self, state: State) {
        let identity = Identity::new(ARN.parse().unwrap(), "node");
        let _receiver = self.watch(&identity);
        self.0.lock().unwrap()[&identity].send_replace(state);
    }
}

struct World {
    service: Service<Script>,
    writer: index::Writer,
    script: Script,
    registry: Registry,
}

/// What came back.
struct Got {
    status: u16,
    headers: HeaderMap,
    body: String,
    after: Duration,
}

fn start() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn pod(uid: &str, name: &str, role: Option<&str>) -> Pod {
    Pod {
        annotations: role
            .map(|role| (ROLE.to_owned(), role.to_owned()))
            .into_iter()
            .collect(),
        ..Pod::new(uid.parse().unwrap(), PodRef::new("shop", name))
    }
}

fn subjects(pods: impl IntoIterator<Item = Pod>) -> impl Iterator<Item = Subject> {
    pods.into_iter().map(Subject::alone)
}

fn pods() -> Vec<Pod> {
    vec![
        pod(ANNOTATED, "cart", Some(ARN)),
        pod(PLAIN, "plain", None),
        pod(WRONG, "wrong", Some("no role at all")),
    ]
}

fn ready() -> State {
    State::Ready(Arc::new(Credentials {
        access_key_id: "ASIAEXAMPLE".to_owned(),
        secret_access_key: Secret::new("secret-key"),
        session_token: Secret::new("session-token"),
        issued: start(),
        expires: start() + jiff::SignedDuration::from_hours(1),
        document: Derived::default(),
    }))
}

fn denied() -> State {
    State::Failed(Arc::new(SourceError::Denied {
        role: ARN.parse().unwrap(),
        code: "AccessDenied".to_owned(),
        message: "not authorized".to_owned(),
    }))
}

fn throttled() -> State {
    State::Failed(Arc::new(SourceError::Throttled {
        message: "Rate exceeded".to_owned(),
    }))
}

fn world() -> World {
    world_with(Policy::new("node"), None)
}

fn world_with(policy: Policy, lookup: Option<Arc<dyn Lookup>>) -> World {
    let (writer, store) = index::new();
    let _changes = writer.reset(subjects(pods()));
    let script = Script::default();
    let (mut registry, metrics) = (Registry::default(), Metrics::new());
    metrics.register(&mut registry);
    let service = Service {
        pods: Resolver::new(store, Arc::new(policy), lookup),
        credentials: script.clone(),
        tokens: Authority::new(&Key::new([7; 32]), BootId::new([1; 16])),
        instance: made(),
        clock: Clock::starting_at(start()),
        metrics,
    };
    World {
        service,
        writer,
        script,
        registry,
    }
}

/// A machine in Ireland of which little is known.
fn made() -> Instance {
    let place = Place {
        region: Some("eu-west-1".to_owned()),
        zone: Some("eu-west-1a".to_owned()),
        ..Place::default()
    };
    Instance::Made(Made {
        known: watch::channel(Known::All(place)).1,
        since: start(),
    })
}

fn caller(uid: &str) -> Caller {
    Caller {
        cgroup: CgroupId::new(1),
        pod: uid.parse().unwrap(),
        container: None,
        client: "10.0.0.1".parse().unwrap(),
        netns: NetnsCookie::new(1),
        via: Via::Redirect,
    }
}

fn request(method: Method, target: &str, token: Option<&str>) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(target);
    if let Some(token) = token {
        request = request.header("x-aws-ec2-metadata-token", token);
    }
    request
        .header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
        .body(Full::default())
        .unwrap()
}

impl World {
    async fn send<B: Body + Unpin>(&self, uid: &str, request: Request<B>) -> Got {
        let start = Instant::now();
        let response = self.service.respond(&caller(uid), request).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Got {
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
            after: start.elapsed(),
        }
    }

    async fn get(&self, uid: &str, target: &str) -> Got {
        self.send(uid, request(Method::GET, target, None)).await
    }

    async fn get_with(&self, uid: &str, target: &str, token: &str) -> Got {
        self.send(uid, request(Method::GET, target, Some(token)))
            .await
    }

    async fn token(&self, uid: &str) -> String {
        let got = self.send(uid, request(Method::PUT, TOKEN, None)).await;
        assert_eq!(got.status, 200);
        assert_eq!(got.remaining(), Some("21600"));
        got.body
    }

    #[track_caller]
    fn counted(&self, line: &str) {
        let mut page = String::new();
        text::encode(&mut page, &self.registry).unwrap();
        assert!(page.lines().any(|got| got == line), "{line} in\n{page}");
    }
}

impl Got {
    fn remaining(&self) -> Option<&str> {
        let value = self.headers.get("x-aws-ec2-metadata-token-ttl-seconds")?;
        Some(value.to_str().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_gets_its_role_and_its_keys_at_once() {
    let world = world();
    world.script.say(ready());
    let list = world.get(ANNOTATED, LIST).await;
    assert_eq!((list.status, list.body.as_str()), (200, "my-role"));
    assert_eq!(list.remaining(), None, "no token came");
    let keys = world.get(ANNOTATED, CREDENTIALS).await;
    assert_eq!(keys.status, 200);
    assert!(keys.body.contains("\"AccessKeyId\" : \"ASIAEXAMPLE\""));
    let info = world.get(ANNOTATED, INFO).await;
    assert!(info.body.contains("instance-profile/my-role"));
    assert_eq!(list.after + keys.after + info.after, Duration::ZERO);
    world.counted(r#"imds_requests_total{route="role_credentials",status="200"} 1"#);
}

#[tokio::test(start_paused = true)]
async fn a_pod_without_a_role_gets_a_token_and_then_nothing() {
    let world = world();
    for (uid, reason) in [(PLAIN, "no_role"), (WRONG, "invalid_role")] {
        let token = world.token(uid).await;
        for target in [LIST, CREDENTIALS, INFO] {
            let got = world.get_with(uid, target, &token).await;
            assert_eq!((got.status, got.remaining()), (404, Some("21600")));
            assert_eq!(got.after, Duration::ZERO);
        }
        world.counted(&format!("imds_refusals_total{{reason=\"{reason}\"}} 3"));
    }
    world.counted("imds_tokens_issued_total 2");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_becomes_known_in_time_is_served() {
    let world = world();
    world.script.say(ready());
    let appears = async {
        time::sleep(Duration::from_millis(500)).await;
        let late = pod(LATE, "late", Some(ARN));
        let _changes = world
            .writer
            .reset(subjects(pods().into_iter().chain([late])));
    };
    let (got, ()) = tokio::join!(world.get(LATE, LIST), appears);
    assert_eq!((got.status, got.body.as_str()), (200, "my-role"));
    assert_eq!(got.after, Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_stays_unknown_is_told_to_come_again() {
    let world = world();
    for target in [LIST, CREDENTIALS, INFO] {
        let got = world.get(LATE, target).await;
        assert_eq!((got.status, got.body.as_str()), (503, ""));
        assert!(got.after.abs_diff(PATIENCE) < Duration::from_millis(2));
    }
    world.counted(r#"imds_refusals_total{reason="pod_unknown"} 3"#);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_gone_is_served_no_more() {
    let world = world();
    world.script.say(ready());
    assert_eq!(world.get(ANNOTATED, CREDENTIALS).await.status, 200);
    let _changes = world.writer.reset(subjects([]));
    assert_eq!(world.get(ANNOTATED, CREDENTIALS).await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_served_at_its_own_addresses_only_once_they_are_known() {
    let world = world();
    world.script.say(ready());
    let own = caller(ANNOTATED).client;
    let other = "10.0.0.2".parse().unwrap();
    for (ips, host_network, status) in [
        (vec![], false, 200),
        (vec![other], false, 404),
        (vec![other, own], false, 200),
        (vec![other], true, 200),
    ] {
        let pod = Pod {
            host_network,
            ips,
            ..pod(ANNOTATED, "cart", Some(ARN))
        };
        let _changes = world.writer.reset(subjects([pod]));
        for target in [LIST, CREDENTIALS, INFO] {
            assert_eq!(world.get(ANNOTATED, target).await.status, status);
        }
    }
    world.counted(r#"imds_refusals_total{reason="other_address"} 3"#);
}

/// Knows for certain that there is no such pod.
#[derive(Debug)]
struct Nobody;

impl Lookup for Nobody {
    fn find(&self, _: PodUid, _: Option<Arc<Subject>>) -> Found<'_, Option<Subject>> {
        Box::pin(async { Ok(None) })
    }

    fn service_account<'a>(&'a self, _: &'a str, _: &'a str) -> Found<'a, Arc<ServiceAccount>> {
        Box::pin(async { Err(Unanswered) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_not_on_this_node_is_refused_at_once() {
    let world = world_with(Policy::new("node"), Some(Arc::new(Nobody)));
    for target in [LIST, CREDENTIALS, INFO] {
        let got = world.get(LATE, target).await;
        assert_eq!((got.status, got.after), (404, Duration::ZERO));
    }
    world.counted(r#"imds_refusals_total{reason="pod_elsewhere"} 3"#);
}

#[tokio::test(start_paused = true)]
async fn a_role_that_the_namespace_forbids_is_refused_at_once() {
    let restrictions = Some(restriction::Rules::default());
    let policy = Policy {
        restrictions,
        ..Policy::new("node")
    };
    let world = world_with(policy, None);
    world.script.say(ready());
    for target in [LIST, CREDENTIALS, INFO] {
        let got = world.get(ANNOTATED, target).await;
        assert_eq!((got.status, got.after), (404, Duration::ZERO));
    }
    world.counted(r#"imds_refusals_total{reason="forbidden"} 3"#);
}

#[tokio::test(start_paused = true)]
async fn what_kube2iam_says_to_a_pod_without_a_role_is_said_where_it_is_wanted() {
    for (compat, base, status) in [
        (Compat::None, true, 404),
        (Compat::Kiam, true, 404),
        (Compat::Kube2iam, false, 404),
        (Compat::Kube2iam, true, 200),
    ] {
        let base = base.then(|| "arn:aws:iam::123456789012:role/".parse().unwrap());
        let policy = Policy {
            compat,
            base_arn: base,
            ..Policy::new("node")
        };
        let world = world_with(policy, None);
        let got = world.get(PLAIN, LIST).await;
        assert_eq!(got.status, status, "{compat:?}");
        assert_eq!(got.body.is_empty(), status == 200);
        assert_eq!(world.get(PLAIN, CREDENTIALS).await.status, 404);
        assert_eq!(world.get(PLAIN, INFO).await.status, 404);
    }
}

#[tokio::test(start_paused = true)]
async fn an_annotation_that_is_gone_counts_at_once() {
    let world = world();
    world.script.say(ready());
    assert_eq!(world.get(ANNOTATED, LIST).await.status, 200);
    let _changes = world.writer.reset(subjects([pod(ANNOTATED, "cart", None)]));
    assert_eq!(world.get(ANNOTATED, LIST).await.status, 404);
    assert_eq!(world.get(ANNOTATED, CREDENTIALS).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_waits_for_nothing_unless_the_pod_may_have_the_nodes_identity() {
    let world = world();
    for target in ["/latest/user-data", "/latest/meta-data/mac", "/x", "/%zz"] {
        let token = world.token(PLAIN).await;
        let got = world.get_with(PLAIN, target, &token).await;
        assert_eq!((got.status, got.after), (404, Duration::ZERO), "{target}");
        assert_eq!(got.remaining(), Some("21600"));
        let got = world.get(LATE, target).await;
        assert_eq!(got.status, 503, "{target}");
        assert!(got.after.abs_diff(PATIENCE) < Duration::from_millis(2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_waits_only_for_a_pod_that_may_have_the_nodes_identity() {
    for (node_role, late) in [
        (NodeRoleFor::default(), Duration::ZERO),
        (NodeRoleFor::usual(), Duration::from_millis(300)),
    ] {
        let policy = Policy {
            node_role,
            ..Policy::new("node")
        };
        let world = world_with(policy, None);
        let got = world.send(LATE, request(Method::PUT, TOKEN, None)).await;
        assert_eq!((got.status, got.body.len()), (200, 56));
        assert!(got.after.abs_diff(late) < Duration::from_millis(2));
        let got = world.send(PLAIN, request(Method::PUT, TOKEN, None)).await;
        assert_eq!((got.status, got.after), (200, Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_keys_are_waited_for() {
    let world = world();
    let arrive = async {
        time::sleep(Duration::from_millis(600)).await;
        world.script.say(ready());
    };
    let (list, keys, ()) = tokio::join!(
        world.get(ANNOTATED, LIST),
        world.get(ANNOTATED, CREDENTIALS),
        arrive
    );
    assert_eq!((list.status, keys.status), (200, 200));
    assert_eq!(keys.after, Duration::from_millis(600));
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_passes_is_waited_for_too() {
    let world = world();
    world.script.say(throttled());
    let arrive = async {
        time::sleep(Duration::from_millis(600)).await;
        world.script.say(ready());
    };
    let (list, ()) = tokio::join!(world.get(ANNOTATED, LIST), arrive);
    assert_eq!(list.status, 200);
}

#[tokio::test(start_paused = true)]
async fn keys_that_do_not_come_in_time_are_not_waited_for_longer() {
    for (state, reason) in [(State::Fetching, "fetching"), (throttled(), "unavailable")] {
        let world = world();
        world.script.say(state);
        for target in [LIST, CREDENTIALS] {
            let got = world.get(ANNOTATED, target).await;
            assert_eq!((got.status, got.body.as_str()), (503, ""));
            assert!(got.after.abs_diff(PATIENCE) < Duration::from_millis(2));
        }
        world.counted(&format!("imds_refusals_total{{reason=\"{reason}\"}} 2"));
    }
}

#[tokio::test(start_paused = true)]
async fn both_waits_together_are_no_longer_than_one() {
    let world = world();
    let appears = async {
        time::sleep(Duration::from_millis(700)).await;
        let _changes = world.writer.reset(subjects([pod(LATE, "late", Some(ARN))]));
    };
    let (got, ()) = tokio::join!(world.get(LATE, LIST), appears);
    assert_eq!(got.status, 503);
    assert!(got.after.abs_diff(PATIENCE) < Duration::from_millis(2));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_sts_is_told_at_once() {
    let world = world();
    world.script.say(denied());
    let list = world.get(ANNOTATED, LIST).await;
    let keys = world.get(ANNOTATED, CREDENTIALS).await;
    assert_eq!((list.status, keys.status), (404, 200));
    assert!(keys.body.contains("AssumeRoleUnauthorizedAccess"));
    assert_eq!(list.after + keys.after, Duration::ZERO);
    world.counted(r#"imds_refusals_total{reason="denied"} 2"#);
}

#[tokio::test(start_paused = true)]
async fn another_roles_name_is_refused_without_waiting() {
    let world = world();
    let got = world
        .get(ANNOTATED, "/latest/meta-data/iam/security-credentials/node")
        .await;
    assert_eq!((got.status, got.after), (404, Duration::ZERO));
    world.counted(r#"imds_refusals_total{reason="other_role"} 1"#);
}

#[tokio::test(start_paused = true)]
async fn keys_stop_being_served_before_they_end() {
    let world = world();
    world.script.say(ready());
    time::sleep(Duration::from_secs(3584)).await;
    assert_eq!(world.get(ANNOTATED, CREDENTIALS).await.status, 200);
    time::sleep(Duration::from_secs(2)).await;
    for target in [LIST, CREDENTIALS] {
        assert_eq!(world.get(ANNOTATED, target).await.status, 503);
    }
    world.counted(r#"imds_refusals_total{reason="expiring"} 2"#);
}

#[tokio::test(start_paused = true)]
async fn a_tokens_life_is_counted_down() {
    let world = world();
    let token = world.token(PLAIN).await;
    time::sleep(Duration::from_secs(82)).await;
    let got = world.get_with(PLAIN, LIST, &token).await;
    assert_eq!((got.status, got.remaining()), (404, Some("21518")));
    time::sleep(Duration::from_secs(21_518)).await;
    let got = world.get_with(PLAIN, LIST, &token).await;
    assert_eq!((got.status, got.remaining()), (401, None));
    world.counted(r#"imds_refusals_total{reason="token_expired"} 1"#);
}

#[tokio::test(start_paused = true)]
async fn a_bad_token_is_refused_where_none_would_do() {
    let world = world();
    world.script.say(ready());
    let foreign = world.token(PLAIN).await;
    for (token, reason) in [
        ("", "token_malformed"),
        ("junk", "token_malformed"),
        (foreign.as_str(), "token_forged"),
    ] {
        // What exists and what does not look the same to somebody without a right to ask.
        for target in [LIST, CREDENTIALS, INFO, "/latest/user-data", "/%zz"] {
            let got = world.get_with(ANNOTATED, target, token).await;
            assert_eq!((got.status, got.body.as_str()), (401, ""), "{token}");
        }
        assert_eq!(world.get(ANNOTATED, LIST).await.status, 200);
        let line = format!("imds_refusals_total{{reason=\"{reason}\"}}");
        world.counted(&format!("{line} {}", if token == "junk" { 10 } else { 5 }));
    }
}

#[tokio::test(start_paused = true)]
async fn the_operator_may_require_tokens() {
    let world = world_with(
        Policy {
            tokens: TokenUse::Required,
            ..Policy::new("node")
        },
        None,
    );
    world.script.say(ready());
    for target in [LIST, CREDENTIALS, "/", "/latest/user-data"] {
        let got = world.get(ANNOTATED, target).await;
        assert_eq!((got.status, got.body.as_str()), (401, ""), "{target}");
    }
    let token = world.token(ANNOTATED).await;
    assert_eq!(world.get_with(ANNOTATED, LIST, &token).await.status, 200);
    let unknown = world.get(LATE, LIST).await;
    assert_eq!(unknown.status, 503, "its namespace may want none");
}

#[tokio::test(start_paused = true)]
async fn head_is_answered_as_get() {
    let world = world();
    world.script.say(ready());
    let got = world
        .send(ANNOTATED, request(Method::HEAD, CREDENTIALS, None))
        .await;
    assert_eq!(got.status, 200);
    assert!(
        !got.body.is_empty(),
        "the connection leaves it out, and tells its length"
    );
}

#[tokio::test(start_paused = true)]
async fn a_small_body_is_forgotten_and_a_large_one_refused() {
    let world = world();
    world.script.say(ready());
    for (size, status) in [(0, 200), (1, 200), (4096, 200), (4097, 413), (1 << 20, 413)] {
        let body = Full::new(Bytes::from(vec![b'x'; size]));
        let request = request(Method::GET, LIST, None).map(|_| body);
        assert_eq!(
            world.send(ANNOTATED, request).await.status,
            status,
            "{size}"
        );
    }
    world.counted(r#"imds_refusals_total{reason="body_size"} 2"#);
}

#[tokio::test(start_paused = true)]
async fn refusals_for_everybody_need_no_pod() {
    let world = world();
    for (method, target, status) in [
        (Method::GET, TOKEN, StatusCode::METHOD_NOT_ALLOWED),
        (Method::PUT, "/latest/api/token/", StatusCode::FORBIDDEN),
    ] {
        let got = world.send(LATE, request(method, target, None)).await;
        assert_eq!((got.status, got.after), (status.as_u16(), Duration::ZERO));
    }
}

/// A body that does not say how long it is, and takes its time.
struct Slow {
    wait: Pin<Box<time::Sleep>>,
    data: Option<Bytes>,
}

impl Slow {
    fn new(wait: Duration, size: usize) -> Self {
        Self {
            wait: Box::pin(time::sleep(wait)),
            data: Some(Bytes::from(vec![b'x'; size])),
        }
    }
}

impl Body for Slow {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        task::ready!(self.wait.as_mut().poll(cx));
        Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_of_unknown_length_is_read_only_so_far() {
    let world = world();
    world.script.say(ready());
    for (size, status) in [(4096, 200), (4097, 413)] {
        let body = Slow::new(Duration::ZERO, size);
        let request = request(Method::GET, LIST, None).map(|_| body);
        assert_eq!(
            world.send(ANNOTATED, request).await.status,
            status,
            "{size}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_that_a_body_takes_is_not_waited_again() {
    let world = world();
    let body = Slow::new(Duration::from_millis(600), 1);
    let request = request(Method::GET, LIST, None).map(|_| body);
    let got = world.send(LATE, request).await;
    assert_eq!(got.status, 503);
    assert!(got.after.abs_diff(PATIENCE) < Duration::from_millis(2));
}

/// What was logged, as JSON.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Each event's fields; all are of the one target.
    fn take(&self) -> Vec<serde_json::Value> {
        let text = std::mem::take(&mut *self.0.lock().unwrap());
        let lines = serde_json::Deserializer::from_slice(&text).into_iter();
        lines
            .map(|line: Result<serde_json::Value, _>| {
                let mut line = line.unwrap();
                assert_eq!(line["target"], "access");
                line["fields"].take()
            })
            .collect()
    }
}

/// Has this thread's events written to `log`. The second subscriber makes all threads ask both before they
/// find that nobody listens.
fn listen(log: &Log) -> (tracing::subscriber::DefaultGuard, tracing::Dispatch) {
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_writer(move || writer.clone())
        .finish();
    let other = tracing::Dispatch::new(tracing_subscriber::registry());
    (tracing::subscriber::set_default(subscriber), other)
}

#[tokio::test(start_paused = true)]
async fn each_request_leaves_one_event_behind_and_no_secret_in_it() {
    let world = world();
    let log = Log::default();
    let _listening = listen(&log);
    // Whoever first comes by an event decides for all whether anybody listens, perhaps at this moment.
    assert_eq!(world.get(PLAIN, LIST).await.status, 404);
    tracing::callsite::rebuild_interest_cache();
    let _before = log.take();

    world.script.say(ready());
    let token = world.token(ANNOTATED).await;
    let keys = world.get_with(ANNOTATED, CREDENTIALS, &token).await;
    assert_eq!(keys.status, 200);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for secret in ["secret-key", "session-token", "ASIAEXAMPLE", &token] {
        assert!(!text.contains(secret), "{text}");
    }
    let [issued, served] = &log.take()[..] else {
        panic!("{text}");
    };
    assert_eq!(issued["route"], "token");
    for (field, expected) in [
        ("message", "request"),
        ("pod", "shop/cart"),
        ("uid", ANNOTATED),
        ("route", "role_credentials"),
        ("outcome", "served"),
        ("role", ARN),
    ] {
        assert_eq!(served[field], expected, "{field}");
    }
    assert_eq!(
        (&served["status"], &served["token"]),
        (&200.into(), &true.into())
    );

    world.script.say(denied());
    assert_eq!(world.get(ANNOTATED, LIST).await.status, 404);
    let events = log.take();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["outcome"], "denied");
    let error = format!("STS refuses {ARN}: not authorized");
    assert_eq!(events[0]["error"], error.as_str());

    // Clients ask for junk; the log does not repeat it. Nor does it know a pod that nobody knows.
    let junk = "/latest/meta-data/iam/security-credentials/%3C?xml%20version";
    assert_eq!(world.get(LATE, junk).await.status, 503);
    let events = log.take();
    assert_eq!(events.len(), 1);
    assert!(!events[0].to_string().contains("xml"), "{events:?}");
    assert_eq!(events[0].get("pod"), None);
}

mod tree;
