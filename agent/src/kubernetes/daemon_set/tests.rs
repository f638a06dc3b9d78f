use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
};

use futures_util::stream;
use http_body_util::StreamBody;
use hyper::{
    Response,
    body::{Bytes, Frame},
};
use kube::client::Body;
use serde_json::{Value, json};
use tower::service_fn;

use super::*;

/// What the server says when it is asked once more.
#[derive(Clone, Debug)]
enum Said {
    /// This, with a status.
    Answer(u16, String),
    /// A watch: these events, and then for so long no other.
    Events(Vec<Value>, Duration),
    /// Never anything.
    Nothing,
}

use Said::{Answer, Events, Nothing};

type Frames = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>>;

impl Said {
    async fn into_response(self) -> Response<StreamBody<Frames>> {
        let frame = |text: String| Ok(Frame::data(Bytes::from(text)));
        let (status, frames): (_, Frames) = match self {
            Answer(status, text) => (status, Box::pin(stream::iter([frame(text)]))),
            Events(events, lasting) => {
                let lines = events.into_iter().map(|event| format!("{event}\n"));
                let lines: Vec<_> = lines.map(frame).collect();
                let end = stream::once(async move {
                    time::sleep(lasting).await;
                    Ok(Frame::data(Bytes::new()))
                });
                (200, Box::pin(stream::iter(lines).chain(end)))
            }
            Nothing => std::future::pending().await,
        };
        let response = Response::builder().status(status);
        response.body(StreamBody::new(frames)).unwrap()
    }
}

/// When the server was asked, and for what.
type Asked = Arc<Mutex<Vec<(Instant, String)>>>;

/// A server that lists and lets watch as it is told, the last of each again and again. The node has the label `place=here`.
fn server(lists: Vec<Said>, watches: Vec<Said>) -> (Client, Asked) {
    server_with(lists, watches, json!({"metadata": {"name": "bpf2iam"}}))
}

/// The same, and the agent's namespace is this.
fn server_with(lists: Vec<Said>, watches: Vec<Said>, namespace: Value) -> (Client, Asked) {
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    let service = service_fn(move |request: hyper::Request<Body>| {
        let uri = request.uri().to_string();
        let is_watch = uri.contains("watch=true");
        let is_set = uri.contains("/daemonsets");
        let said = if is_set {
            let same = |(_, other): &&(Instant, String)| other.contains("watch=true") == is_watch;
            let number = seen.lock().unwrap().iter().filter(same).count();
            seen.lock().unwrap().push((Instant::now(), uri));
            let script = if is_watch { &watches } else { &lists };
            script[number.min(script.len() - 1)].clone()
        } else if uri.contains("/namespaces/") {
            Answer(200, namespace.to_string())
        } else {
            let node = json!({"metadata": {"name": "node-1", "labels": {"place": "here"}}});
            Answer(200, node.to_string())
        };
        async { Ok::<_, Infallible>(said.into_response().await) }
    });
    (Client::new(service, "default"), asked)
}

fn set(place: &str) -> Value {
    json!({
        "metadata": {"namespace": "bpf2iam", "name": "agent", "resourceVersion": "17"},
        "spec": {
            "selector": {},
            "template": {"spec": {"nodeSelector": {"place": place}, "containers": []}},
        },
    })
}

fn list(sets: &[Value]) -> Said {
    let list = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSetList", "metadata": {"resourceVersion": "900"},
        "items": sets,
    });
    Answer(200, list.to_string())
}

fn there() -> Said {
    list(&[set("here")])
}

fn event(kind: &str) -> Value {
    json!({"type": kind, "object": set("here")})
}

fn refused(code: u16, reason: &str) -> Said {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "no", "reason": reason,
        "code": code,
    });
    Answer(code, status.to_string())
}

const LIFETIME: Duration = Duration::from_mins(4);
const LONG: Duration = Duration::from_hours(24);

/// What is thought of the node's fate after `lasting`, and what was asked until then.
async fn after(
    lasting: Duration,
    lists: Vec<Said>,
    watches: Vec<Said>,
) -> (Fate, Vec<(Instant, String)>) {
    let (client, asked) = server(lists, watches);
    fate_by(client, lasting, &asked).await
}

async fn fate_by(
    client: Client,
    lasting: Duration,
    asked: &Asked,
) -> (Fate, Vec<(Instant, String)>) {
    let home = Home::new(client, "bpf2iam/agent".parse().unwrap(), "node-1");
    let (signal, drain) = drain::channel();
    let running = tokio::spawn(home.clone().run(drain));
    time::sleep(lasting).await;
    let until = asked.lock().unwrap().clone();
    let fate = home.fate().await;
    assert!(signal.drain(Duration::from_secs(1)).await);
    running.await.unwrap();
    (fate, until)
}

const MOMENT: Duration = Duration::from_millis(10);

#[tokio::test(start_paused = true)]
async fn it_is_watched_from_the_version_of_a_list_and_not_from_its_own() {
    let watch = vec![Events(Vec::new(), LONG)];
    let (fate, asked) = after(MOMENT, vec![there()], watch).await;
    assert_eq!(fate, Fate::Stays);
    let paths: Vec<_> = asked.iter().map(|(_, uri)| &**uri).collect();
    let [list, watch] = paths[..] else {
        panic!("{paths:?}");
    };
    for uri in [list, watch] {
        assert!(uri.contains("fieldSelector=metadata.name%3Dagent"), "{uri}");
    }
    assert!(watch.contains("resourceVersion=900"), "{watch}");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_was_watched_counts_when_the_right_to_look_is_gone() {
    let lists = vec![there(), refused(403, "Forbidden")];
    let watches = vec![Events(vec![event("DELETED")], LONG)];
    let (fate, _) = after(MOMENT, lists, watches).await;
    assert_eq!(fate, Fate::Goes("its DaemonSet is deleted"));
}

#[tokio::test(start_paused = true)]
async fn of_a_namespace_that_is_being_deleted_the_pods_go_first() {
    let watch = || vec![Events(Vec::new(), LONG)];
    let going = json!({
        "metadata": {"name": "bpf2iam", "deletionTimestamp": "2026-01-01T00:00:00Z"},
    });
    let (client, asked) = server_with(vec![there()], watch(), going);
    let (fate, _) = fate_by(client, MOMENT, &asked).await;
    assert_eq!(fate, Fate::Goes("its namespace is being deleted"));
    let (client, asked) = server_with(vec![there()], watch(), json!("<html>"));
    let (fate, _) = fate_by(client, MOMENT, &asked).await;
    assert_eq!(fate, Fate::Stays);
}

#[tokio::test(start_paused = true)]
async fn only_a_list_without_it_says_that_it_is_gone() {
    let says_no_version = json!({"items": []}).to_string();
    for odd in [
        Answer(404, "404 page not found".to_owned()),
        refused(404, "NotFound"),
        Answer(200, "<html>".to_owned()),
        Answer(200, "{}".to_owned()),
        Answer(200, says_no_version),
        refused(403, "Forbidden"),
        Nothing,
    ] {
        let watches = vec![Events(Vec::new(), LIFETIME)];
        let (fate, _) = after(LIFETIME * 2, vec![there(), odd.clone()], watches).await;
        assert_eq!(fate, Fate::Stays, "{odd:?}");
    }
    let watches = vec![Events(Vec::new(), LIFETIME)];
    let (fate, _) = after(MOMENT, vec![there(), list(&[])], watches).await;
    assert_eq!(fate, Fate::Goes("its DaemonSet is deleted"));
}

#[tokio::test(start_paused = true)]
async fn one_that_was_deleted_and_made_anew_is_there() {
    // Once it is seen by the same watch, once by the next list.
    let anew = vec![event("DELETED"), event("ADDED")];
    for (events, lasting) in [(anew, LONG), (vec![event("DELETED")], LIFETIME)] {
        let watches = vec![Events(events, lasting), Events(Vec::new(), LONG)];
        let lists = match lasting {
            LONG => vec![there(), Nothing],
            _ => vec![there(), there(), Nothing],
        };
        let (fate, _) = after(LIFETIME * 2, lists, watches).await;
        assert_eq!(fate, Fate::Stays);
    }
}

#[tokio::test(start_paused = true)]
async fn one_watch_follows_another_without_a_pause_unless_it_failed() {
    let pauses = async |watch: Said| {
        let (_, asked) = after(LIFETIME + PAUSE * 2, vec![there()], vec![watch]).await;
        let lists = asked.iter().filter(|(_, uri)| !uri.contains("watch=true"));
        let times: Vec<_> = lists.map(|(time, _)| *time).collect();
        times[1] - times[0]
    };
    let quiet = pauses(Events(Vec::new(), LIFETIME)).await;
    assert!(quiet < LIFETIME + MOMENT, "{quiet:?}");
    for failed in [refused(410, "Expired"), Events(Vec::new(), Duration::ZERO)] {
        let paused = pauses(failed).await;
        assert!((PAUSE..PAUSE * 2).contains(&paused), "{paused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_never_there_is_not_known_to_be_gone() {
    let watches = vec![Events(Vec::new(), LONG)];
    let (fate, _) = after(MOMENT, vec![list(&[])], watches).await;
    assert_eq!(fate, Fate::Unknown);
}

#[tokio::test(start_paused = true)]
async fn one_that_goes_or_selects_other_nodes_leaves_nothing_here() {
    let mut going = set("here");
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    for (set, why) in [
        (going, "its DaemonSet is being deleted"),
        (
            set("elsewhere"),
            "its DaemonSet does not select this node any more",
        ),
    ] {
        let watches = vec![Events(Vec::new(), LONG)];
        let (fate, _) = after(MOMENT, vec![list(&[set])], watches).await;
        assert_eq!(fate, Fate::Goes(why));
    }
}
