//! The client that the agent uses, to see that both understand each other.

use std::{pin::pin, time::Duration};

use bpf2iam_standins::apiserver::{
    ApiServer, Config, Effect, Interrupt, Kind, Rule, StreamingLists, Verb,
};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::{
    authentication::v1::TokenRequest,
    core::v1::{Namespace, Pod, ServiceAccount},
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{ListParams, PartialObjectMeta, PostParams},
    runtime::{
        events::{Event as Incident, EventType, Recorder, Reporter},
        watcher::{self, Event},
    },
};
use serde_json::json;

use super::{account, namespace, pod, start, start_with};

fn client(server: &ApiServer) -> Client {
    let config = kube::Config::new(server.url().parse().unwrap());
    Client::try_from(config).unwrap()
}

/// The next so many events in short.
async fn next<K: Resource>(
    events: &mut (impl Stream<Item = watcher::Result<Event<K>>> + Unpin),
    count: usize,
) -> Vec<String> {
    let mut brief = Vec::new();
    for _ in 0..count {
        let event = tokio::time::timeout(Duration::from_secs(20), events.next());
        let name = |object: &K| object.meta().name.clone().unwrap();
        brief.push(match event.await.unwrap().unwrap() {
            Ok(Event::Init) => "init".to_owned(),
            Ok(Event::InitApply(object)) => format!("init {}", name(&object)),
            Ok(Event::InitDone) => "done".to_owned(),
            Ok(Event::Apply(object)) => format!("apply {}", name(&object)),
            Ok(Event::Delete(object)) => format!("delete {}", name(&object)),
            Err(watcher::Error::WatchError(status)) => format!("error {}", status.code),
            Err(watcher::Error::WatchStartFailed(kube::Error::Api(status))) => {
                format!("no watch {}", status.code)
            }
            Err(watcher::Error::InitialListFailed(kube::Error::Api(status))) => {
                format!("no list {}", status.code)
            }
            Err(error) => panic!("{error:?}"),
        });
    }
    brief
}

/// A watch of the pods of `here`, through everything that a watch goes through.
async fn follow(config: watcher::Config) {
    let (server, _) = start();
    server.put(pod("shop", "a", "here")).unwrap();
    server.put(pod("shop", "b", "here")).unwrap();
    server.put(pod("shop", "c", "there")).unwrap();
    let pods = Api::<Pod>::all(client(&server));
    let config = config.fields("spec.nodeName=here");
    let mut events = pin!(watcher::watcher(pods, config));
    let begin = ["init", "init a", "init b", "done"];
    assert_eq!(next(&mut events, 4).await, begin);

    server.put(pod("shop", "c", "here")).unwrap();
    server.delete(Kind::Pod, "shop", "a").unwrap();
    server.put(pod("shop", "b", "there")).unwrap();
    let expected = ["apply c", "delete a", "delete b"];
    assert_eq!(next(&mut events, 3).await, expected);

    // What ends well is resumed without a word, and nothing is missed.
    server.interrupt(Kind::Pod, Interrupt::End);
    server.put(pod("shop", "d", "here")).unwrap();
    assert_eq!(next(&mut events, 1).await, ["apply d"]);
    server.interrupt(Kind::Pod, Interrupt::Break);
    server.put(pod("shop", "e", "here")).unwrap();
    assert_eq!(next(&mut events, 1).await, ["apply e"]);

    // What expired begins anew.
    server.put_quietly(pod("shop", "f", "here")).unwrap();
    server.interrupt(Kind::Pod, Interrupt::Expire);
    let expected = [
        "error 410",
        "init",
        "init c",
        "init d",
        "init e",
        "init f",
        "done",
    ];
    assert_eq!(next(&mut events, 7).await, expected);
}

#[tokio::test]
async fn a_watcher_that_lists_follows() {
    follow(watcher::Config::default().page_size(1)).await;
}

#[tokio::test]
async fn a_watcher_with_a_streaming_list_follows() {
    follow(watcher::Config::default().streaming_lists()).await;
}

#[tokio::test]
async fn a_watcher_of_metadata_gets_metadata() {
    for config in [
        watcher::Config::default(),
        watcher::Config::default().streaming_lists(),
    ] {
        let (server, _) = start();
        server.put(namespace("shop")).unwrap();
        let api = Api::<PartialObjectMeta<Namespace>>::all(client(&server));
        let mut events = pin!(watcher::watcher(api, config));
        assert_eq!(next(&mut events, 3).await, ["init", "init shop", "done"]);
        let note = json!({"metadata": {"annotations": {"a": "b"}}});
        server.patch(Kind::Namespace, "", "shop", &note).unwrap();
        let Event::Apply(shop) = events.try_next().await.unwrap().unwrap() else {
            panic!("an event of another kind");
        };
        assert_eq!(shop.annotations()["a"], "b");
        let all = server.requests().entries();
        assert!(all.iter().all(|seen| {
            seen.accept
                .as_ref()
                .unwrap()
                .contains("PartialObjectMetadata")
        }));
    }
}

#[tokio::test]
async fn a_watcher_hears_what_is_refused() {
    let (server, _) = start_with(Config {
        streaming_lists: StreamingLists::Refused,
        ..Config::default()
    });
    server
        .rules()
        .add(Rule::status(403).for_verb(Verb::List).times(1));
    let pods = || Api::<Pod>::all(client(&server));
    let mut events = pin!(watcher::watcher(pods(), watcher::Config::default()));
    let expected = ["init", "no list 403", "init", "done"];
    assert_eq!(next(&mut events, 4).await, expected);
    let streaming = watcher::Config::default().streaming_lists();
    let mut events = pin!(watcher::watcher(pods(), streaming));
    assert_eq!(next(&mut events, 1).await, ["no watch 422"]);
}

#[tokio::test]
async fn a_client_sees_faults_as_faults() {
    let (server, _) = start();
    let pods = Api::<Pod>::all(client(&server));
    let list = async || pods.list(&ListParams::default()).await;
    assert!(list().await.is_ok());
    for effect in [Effect::Cut, Effect::Close, Effect::Garbage] {
        server.rules().add(Rule::always(effect.clone()).times(1));
        assert!(list().await.is_err(), "{effect:?}");
        assert!(list().await.is_ok(), "{effect:?}");
    }
    server.bearers().require(["t"]);
    let Err(kube::Error::Api(status)) = list().await else {
        panic!("nobody asked for the token");
    };
    assert_eq!(status.code, 403, "who has no token is anonymous");
}

#[tokio::test]
async fn a_client_gets_a_token_for_a_pod() {
    let (server, _) = start();
    server.put(account("shop", "web")).unwrap();
    server.put(pod("shop", "web-1", "n")).unwrap();
    let uid = server.get(Kind::Pod, "shop", "web-1").unwrap()["metadata"]["uid"].clone();
    let request: TokenRequest = serde_json::from_value(json!({
        "spec": {
            "audiences": ["sts.amazonaws.com"],
            "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "web-1", "uid": uid},
        },
    }))
    .unwrap();
    let api = Api::<ServiceAccount>::namespaced(client(&server), "shop");
    let defaults = PostParams::default();
    let answer = api.create_token_request("web", &defaults, &request).await;
    let status = answer.unwrap().status.unwrap();
    assert_eq!(status.token.unwrap().split('.').count(), 3);
}

#[tokio::test]
async fn a_client_sends_events_that_are_kept() {
    let (server, _) = start();
    server.put(pod("shop", "web", "n")).unwrap();
    let pod: Pod = serde_json::from_value(server.get(Kind::Pod, "shop", "web").unwrap()).unwrap();
    let recorder = Recorder::new(
        client(&server),
        Reporter {
            controller: "bpf2iam.io/agent".to_owned(),
            instance: Some("node-1".to_owned()),
        },
    );
    let incident = Incident {
        type_: EventType::Warning,
        reason: "RoleRefused".to_owned(),
        note: Some("why".to_owned()),
        action: "AssumeRole".to_owned(),
        secondary: None,
    };
    for _ in 0..2 {
        recorder
            .publish(&incident, &pod.object_ref(&()))
            .await
            .unwrap();
    }
    let events = server.objects(Kind::Event);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["note"], "why");
    assert_eq!(events[0]["series"]["count"], 2);
}
