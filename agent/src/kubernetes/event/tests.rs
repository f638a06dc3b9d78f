use std::{collections::BTreeMap, convert::Infallible};

use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response, body::Bytes};
use kube::client::Body;
use serde_json::{Value, json};
use tower::service_fn;

use crate::{id::PodUid, notices::Reason};

use super::*;

/// A server that keeps Events as a real one does, or refuses them.
#[derive(Clone, Debug, Default)]
struct Server(Arc<Mutex<Shelf>>);

#[derive(Debug, Default)]
struct Shelf {
    events: BTreeMap<String, Value>,
    refusing: Option<u16>,
    hanging: bool,
    asked: usize,
}

impl Server {
    fn client(&self) -> Client {
        let server = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        Client::new(service, "default")
    }

    async fn answer(&self, request: Request<Body>) -> Response<Full<Bytes>> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let answer = self.with(|shelf| {
            shelf.asked += 1;
            (!shelf.hanging).then(|| shelf.decide(&method, &path, &body))
        });
        let Some((status, body)) = answer else {
            return std::future::pending().await;
        };
        let body = Full::new(Bytes::from(body.to_string()));
        Response::builder().status(status).body(body).unwrap()
    }

    fn with<T>(&self, work: impl FnOnce(&mut Shelf) -> T) -> T {
        work(&mut self.0.lock().unwrap())
    }

    /// How often each Event was told.
    fn counts(&self) -> Vec<u64> {
        let count = |event: &Value| event["series"]["count"].as_u64().unwrap_or(1);
        self.with(|shelf| shelf.events.values().map(count).collect())
    }
}

impl Shelf {
    fn decide(&mut self, method: &Method, path: &str, body: &Value) -> (u16, Value) {
        if let Some(code) = self.refusing {
            return refuse(code);
        }
        let place = path.strip_prefix("/apis/events.k8s.io/v1/namespaces/shop/events");
        if *method == Method::POST {
            let name = body["metadata"]["name"].as_str().unwrap().to_owned();
            if self.events.contains_key(&name) {
                return refuse(409);
            }
            self.events.insert(name, body.clone());
            return (201, body.clone());
        }
        assert_eq!(*method, Method::PATCH);
        let name = place.unwrap().strip_prefix('/').unwrap();
        let Some(event) = self.events.get_mut(name) else {
            return refuse(404);
        };
        event["series"] = body["series"].clone();
        (200, event.clone())
    }
}

fn refuse(code: u16) -> (u16, Value) {
    let status = json!({"kind": "Status", "status": "Failure", "message": "no", "code": code});
    (code, status)
}

struct World {
    server: Server,
    events: Events,
    metrics: Metrics,
    _signal: drain::Signal,
}

impl World {
    fn new() -> Self {
        let (server, metrics) = (Server::default(), Metrics::new());
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
        let (events, writer) = new(server.client(), "node-1", clock, metrics.clone());
        let (signal, drain) = drain::channel();
        tokio::spawn(writer.run(drain));
        Self {
            server,
            events,
            metrics,
            _signal: signal,
        }
    }

    async fn tell(&self, notice: Notice) {
        self.events.tell(notice);
        time::sleep(Duration::from_millis(100)).await;
    }

    fn outcomes(&self) -> [u64; 3] {
        [Outcome::Sent, Outcome::Dropped, Outcome::Failed]
            .map(|outcome| self.metrics.count(outcome))
    }
}

fn uid(pod: usize) -> PodUid {
    format!("00000000-0000-0000-0000-{pod:012x}")
        .parse()
        .unwrap()
}

fn notice(pod: usize, times: u32) -> Notice {
    Notice {
        pod: format!("shop/cart-{pod}").parse().unwrap(),
        uid: uid(pod),
        reason: Reason::RoleForbidden,
        note: "no".into(),
        times,
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_told_again_is_counted_up_and_no_other_event() {
    let world = World::new();
    for (times, count) in [(1, 1), (2, 2), (3, 3)] {
        world.tell(notice(1, times)).await;
        assert_eq!(world.server.counts(), [count]);
    }
    assert_eq!(world.outcomes(), [3, 0, 0]);
    let event = world
        .server
        .with(|shelf| shelf.events.values().next().cloned().unwrap());
    assert_eq!(
        event["series"]["lastObservedTime"],
        "2026-01-01T00:00:00.200000Z"
    );
    assert_eq!(event["reportingInstance"], "node-1");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_an_agent_before_us_wrote_is_counted_up() {
    let world = World::new();
    world.tell(notice(1, 1)).await;
    world.tell(notice(1, 1)).await;
    assert_eq!(world.server.counts(), [2]);
    assert_eq!(world.outcomes(), [2, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_server_has_forgotten_is_written_anew() {
    let world = World::new();
    world.tell(notice(1, 5)).await;
    assert_eq!(world.server.counts(), [1]);
    assert_eq!(world.outcomes(), [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn whoever_tells_never_waits_and_what_is_too_much_is_dropped() {
    let world = World::new();
    world.server.with(|shelf| shelf.hanging = true);
    let start = Instant::now();
    for pod in 0..1000 {
        world.events.tell(Notice {
            pod: format!("team-{}/cart-{pod}", pod % 50).parse().unwrap(),
            ..notice(pod, 1)
        });
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(world.outcomes(), [0, 880, 0]);
    time::sleep(PATIENCE * 130).await;
    assert_eq!(world.outcomes(), [0, 880, 120]);
    assert_eq!(world.server.with(|shelf| shelf.asked), 120);
}

#[tokio::test(start_paused = true)]
async fn one_pod_does_not_use_up_what_there_is_for_all() {
    let world = World::new();
    for number in 0..50 {
        let note = format!("another {number}").into();
        world
            .tell(Notice {
                note,
                ..notice(1, 1)
            })
            .await;
    }
    world.tell(notice(2, 1)).await;
    assert_eq!(world.outcomes(), [7, 44, 0]);
}

#[tokio::test(start_paused = true)]
async fn one_namespace_does_not_use_up_what_there_is_for_all() {
    let world = World::new();
    for pod in 0..200 {
        world.events.tell(notice(pod, 1));
    }
    assert_eq!(world.outcomes(), [0, 170, 0]);
    world.events.tell(Notice {
        pod: "other/till".parse().unwrap(),
        ..notice(500, 1)
    });
    time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.outcomes(), [31, 170, 0]);
}

#[tokio::test(start_paused = true)]
async fn who_tells_is_told_of_what_was_dropped_and_of_what_failed() {
    let world = World::new();
    world.server.with(|shelf| shelf.refusing = Some(500));
    for times in 1..=8 {
        world.tell(notice(1, times)).await;
    }
    assert_eq!(world.outcomes(), [0, 2, 6]);
    let unheard = world.events.unheard();
    let times: Vec<_> = unheard.iter().map(|notice| notice.times).collect();
    assert_eq!(times, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(world.events.unheard(), [], "each once");
    world.server.with(|shelf| shelf.refusing = None);
    world.tell(notice(2, 1)).await;
    assert_eq!(world.events.unheard(), [], "it was written");
    for pod in 0..5000 {
        world.events.tell(notice(pod, 1));
    }
    assert_eq!(world.events.unheard().len(), UNHEARD);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_refused_is_counted_and_not_repeated() {
    let world = World::new();
    for (code, asked) in [(403, 1), (500, 2), (422, 3)] {
        world.server.with(|shelf| shelf.refusing = Some(code));
        world.tell(notice(1, 1)).await;
        time::sleep(Duration::from_mins(5)).await;
        assert_eq!(world.server.with(|shelf| shelf.asked), asked);
    }
    assert_eq!(world.outcomes(), [0, 0, 3]);
    world.server.with(|shelf| shelf.refusing = None);
    world.tell(notice(1, 2)).await;
    assert_eq!(world.outcomes(), [1, 0, 3]);
}

#[test]
fn a_lack_of_permission_names_verb_resource_and_where_the_rule_is() {
    let status = |message: &str| Status::failure(message, "Forbidden").with_code(403);
    let rbac = Error::Refused(status("cannot create resource").boxed());
    let told = rbac.explained(&notice(1, 1));
    for part in [
        "may not create and patch events.events.k8s.io",
        "shop",
        "deploy/",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let policy = status("ValidatingAdmissionPolicy 'x' denied request");
    let told = Error::Refused(policy.boxed()).explained(&notice(1, 1));
    assert!(!told.contains("may not"), "{told}");
}
