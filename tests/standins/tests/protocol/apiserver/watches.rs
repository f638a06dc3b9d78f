use std::time::Duration;

use bpf2iam_standins::apiserver::{
    ApiServer, Change, Config, Interrupt, Kind, Mangle, Rule, StreamingLists, Version,
};
use serde_json::{Value, json};

use super::{
    account,
    client::{Client, Lines, METADATA},
    namespace, pod, start, start_with,
};

const WATCH: &str = "/api/v1/pods?watch=true&allowWatchBookmarks=true";

fn since(version: Version) -> String {
    format!("{WATCH}&resourceVersion={version}")
}

/// A watch of pods from now on.
async fn watch(server: &ApiServer, client: &Client) -> Lines {
    client.watch(&since(server.version())).await
}

#[tokio::test]
async fn a_watch_goes_on_where_a_list_ended() {
    let (server, client) = start();
    server.put(pod("shop", "old", "n")).unwrap();
    let version = server.version();
    let created = server.put(pod("shop", "web", "n")).unwrap();
    let mut lines = client.watch(&since(version)).await;
    let labels = json!({"metadata": {"labels": {"a": "b"}}});
    let changed = server.patch(Kind::Pod, "shop", "web", &labels).unwrap();
    server.put(account("shop", "web")).unwrap();
    let deleted = server.delete(Kind::Pod, "shop", "web").unwrap();
    for (what, version) in [
        ("ADDED", created),
        ("MODIFIED", changed),
        ("DELETED", deleted),
    ] {
        let event = lines.event().await;
        assert_eq!(event["type"], what);
        assert_eq!(event["object"]["kind"], "Pod");
        assert_eq!(event["object"]["metadata"]["name"], "web");
        assert_eq!(
            event["object"]["metadata"]["resourceVersion"],
            version.to_string()
        );
    }
    assert!(lines.is_silent().await);
}

#[tokio::test]
async fn a_pod_enters_and_leaves_the_watch_of_a_node() {
    let (server, client) = start();
    let path = format!(
        "{}&fieldSelector=spec.nodeName%3Dhere",
        since(server.version())
    );
    let mut lines = client.watch(&path).await;
    for node in ["there", "here", "here", "there", "here"] {
        server.put(pod("shop", "web", node)).unwrap();
    }
    let last = server.delete(Kind::Pod, "shop", "web").unwrap();
    let expected = ["ADDED web", "MODIFIED web", "DELETED web", "ADDED web"];
    assert_eq!(lines.briefs(4).await, expected);
    let deleted = lines.event().await;
    assert_eq!(deleted["type"], "DELETED");
    assert_eq!(
        deleted["object"]["metadata"]["resourceVersion"],
        last.to_string()
    );
}

#[tokio::test]
async fn a_pod_of_another_uid_is_another_pod() {
    let (server, client) = start();
    let mut lines = watch(&server, &client).await;
    for uid in ["1", "2"] {
        let mut pod = pod("shop", "web", "n");
        pod["metadata"]["uid"] = json!(uid);
        server.put(pod).unwrap();
    }
    let uids = [
        lines.event().await,
        lines.event().await,
        lines.event().await,
    ];
    let uids = uids.map(|event| {
        let uid = event["object"]["metadata"]["uid"].as_str().unwrap();
        format!("{} {uid}", event["type"].as_str().unwrap())
    });
    assert_eq!(uids, ["ADDED 1", "DELETED 1", "ADDED 2"]);
}

#[tokio::test]
async fn a_streaming_list_says_where_it_ends() {
    let (server, client) = start();
    for name in ["a", "b"] {
        server.put(pod("shop", name, "n")).unwrap();
    }
    let list = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    for version in ["0", "", "1001"] {
        let now = server.version();
        let path = format!("{WATCH}&{list}&resourceVersion={version}");
        let mut lines = client.watch(&path).await;
        assert_eq!(lines.briefs(2).await, ["ADDED a", "ADDED b"], "{version}");
        let mark = lines.event().await;
        assert_eq!(mark["type"], "BOOKMARK");
        let metadata = &mark["object"]["metadata"];
        assert_eq!(
            metadata["annotations"],
            json!({"k8s.io/initial-events-end": "true"})
        );
        assert_eq!(metadata["resourceVersion"], now.to_string());
        assert_eq!(mark["object"]["kind"], "Pod");
        server.put(pod("shop", "b", "n")).unwrap();
        assert_eq!(lines.brief().await, "MODIFIED b");
    }
    let path = format!("{WATCH}&{list}&resourceVersion=99999");
    assert_eq!(client.watch(&path).await.brief().await, "ERROR 504");
}

#[tokio::test]
async fn a_watch_without_a_version_begins_with_what_there_is() {
    let (server, client) = start();
    server.put(namespace("shop")).unwrap();
    let path = "/api/v1/namespaces?watch=true";
    let mut lines = client.watch(path).await;
    assert_eq!(lines.brief().await, "ADDED shop");
    assert!(lines.is_silent().await, "and does not say where that ends");
    let unwanted = "&sendInitialEvents=false&resourceVersionMatch=NotOlderThan";
    let mut lines = client.watch(&format!("{path}{unwanted}")).await;
    server.put(namespace("other")).unwrap();
    assert_eq!(lines.brief().await, "ADDED other");
}

#[tokio::test]
async fn an_older_server_knows_no_streaming_lists() {
    let (_server, client) = start_with(Config {
        streaming_lists: StreamingLists::Refused,
        ..Config::default()
    });
    let path = format!("{WATCH}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan");
    let refused = client.get(&path).await.refusal();
    assert_eq!((refused.0, refused.1.as_str()), (422, "Invalid"));
    assert!(
        refused.2.contains("sendInitialEvents: Forbidden"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn what_is_too_old_is_expired_within_the_watch() {
    let (server, client) = start_with(Config {
        history: 3,
        ..Config::default()
    });
    let start = server.version();
    let versions: Vec<_> = ["a", "b", "c", "d"]
        .map(|name| server.put(pod("shop", name, "n")).unwrap())
        .into();
    let mut lines = client.watch(&since(start)).await;
    let expired = lines.event().await;
    assert_eq!(expired["type"], "ERROR");
    assert_eq!(expired["object"]["kind"], "Status");
    assert_eq!(
        (&expired["object"]["code"], &expired["object"]["reason"]),
        (&json!(410), &json!("Expired"))
    );
    assert!(lines.next().await.unwrap().is_none());

    let mut lines = client.watch(&since(versions[0])).await;
    assert_eq!(lines.briefs(3).await, ["ADDED b", "ADDED c", "ADDED d"]);
    server.compact();
    let mut late = client.watch(&since(versions[2])).await;
    assert_eq!(late.brief().await, "ERROR 410");
    server.put(pod("shop", "e", "n")).unwrap();
    assert_eq!(
        lines.brief().await,
        "ADDED e",
        "who is there already goes on"
    );
}

#[tokio::test]
async fn a_watch_ends_when_its_time_is_over() {
    let (server, client) = start();
    let path = format!("{}&timeoutSeconds=1", since(server.version()));
    let mut lines = client.watch(&path).await;
    assert!(lines.next().await.unwrap().is_none());
    server.watches().wait_for(Kind::Pod, 0).await;
}

#[tokio::test]
async fn bookmarks_come_to_who_asked_for_them() {
    let (server, client) = start_with(Config {
        bookmarks: Duration::from_millis(20),
        ..Config::default()
    });
    let mut with = watch(&server, &client).await;
    let without = since(server.version()).replace("allowWatchBookmarks=true", "");
    let mut without = client.watch(&without).await;
    let version = server.put(namespace("shop")).unwrap();
    let newest = format!("BOOKMARK \"{version}\"");
    while with.brief().await != newest {}
    assert!(without.is_silent().await);
}

#[tokio::test]
async fn metadata_alone_can_be_watched() {
    let (server, client) = start();
    let mut lines = client.with("accept", METADATA).watch(WATCH).await;
    server.put(pod("shop", "web", "n")).unwrap();
    server.interrupt(Kind::Pod, Interrupt::Bookmark);
    for what in ["ADDED", "BOOKMARK"] {
        let event = lines.event().await;
        assert_eq!(event["type"], what);
        assert_eq!(event["object"]["kind"], "PartialObjectMetadata");
        assert_eq!(event["object"].get("spec"), None);
    }
}

#[tokio::test]
async fn changes_can_be_kept_from_watches() {
    let (server, client) = start();
    let mut lines = watch(&server, &client).await;
    server.put(pod("shop", "a", "n")).unwrap();
    server.put_quietly(pod("shop", "b", "n")).unwrap();
    server.delete_quietly(Kind::Pod, "shop", "a").unwrap();
    server.put(pod("shop", "c", "n")).unwrap();
    assert_eq!(lines.briefs(2).await, ["ADDED a", "ADDED c"]);
    let list = client.get("/api/v1/pods").await.json();
    let names: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pod| &pod["metadata"]["name"])
        .collect();
    assert_eq!(names, ["b", "c"]);
}

#[tokio::test]
async fn watches_can_be_told_what_is_not_so() {
    let (server, client) = start();
    let before = server.version();
    let mut lines = watch(&server, &client).await;
    server.put(pod("shop", "a", "n")).unwrap();
    let old = server.get(Kind::Pod, "shop", "a").unwrap();
    server.put(pod("shop", "a", "n2")).unwrap();
    server.tell(Change::Modified, old.clone()).unwrap();
    server.tell(Change::Deleted, old.clone()).unwrap();
    server.put(pod("shop", "b", "n")).unwrap();
    let expected = ["ADDED a", "MODIFIED a"];
    assert_eq!(lines.briefs(2).await, expected);
    let again = lines.event().await;
    assert_eq!(
        (&again["type"], &again["object"]),
        (&json!("MODIFIED"), &old)
    );
    assert_eq!(lines.briefs(2).await, ["DELETED a", "ADDED b"]);

    let mut later = client.watch(&since(before)).await;
    assert_eq!(later.briefs(3).await, ["ADDED a", "MODIFIED a", "ADDED b"]);
}

#[tokio::test]
async fn running_watches_can_be_interrupted() {
    let (server, client) = start();
    for (interrupt, last) in [
        (Interrupt::Bookmark, Some("BOOKMARK")),
        (Interrupt::Expire, Some("ERROR")),
        (Interrupt::End, None),
    ] {
        let mut lines = watch(&server, &client).await;
        server.put(pod("shop", "a", "n")).unwrap();
        server.interrupt(Kind::Pod, interrupt);
        lines.event().await;
        let event = lines.next().await.unwrap();
        let seen = event.as_ref().map(|event| event["type"].as_str().unwrap());
        assert_eq!(seen, last, "{interrupt:?}");
        if interrupt != Interrupt::Bookmark {
            assert!(lines.next().await.unwrap().is_none(), "{interrupt:?}");
        }
    }
    let mut lines = watch(&server, &client).await;
    server.put(pod("shop", "b", "n")).unwrap();
    server.interrupt(Kind::Pod, Interrupt::Break);
    lines.event().await;
    assert!(lines.next().await.is_err());
}

#[tokio::test]
async fn watches_go_wrong_as_the_rules_say() {
    for (mangle, seen, end) in [
        (Mangle::EndAfter(0), "", "end"),
        (Mangle::EndAfter(2), "ab", "end"),
        (Mangle::ExpireAfter(1), "a!", "end"),
        (Mangle::BreakAfter(2), "ab", "broken"),
        (Mangle::SilentAfter(1), "a", "silent"),
        (Mangle::Drop(2), "acd", "silent"),
        (Mangle::Repeat(1), "aabcd", "silent"),
        (Mangle::Swap(2), "acbd", "silent"),
        (Mangle::Lag(Duration::from_millis(5)), "abcd", "silent"),
    ] {
        let (server, client) = start();
        server.put(pod("shop", "a", "n")).unwrap();
        server.rules().add(Rule::watch(mangle).times(1));
        let mut lines = client.watch(WATCH).await;
        for name in ["b", "c", "d"] {
            server.put(pod("shop", name, "n")).unwrap();
        }
        let mut names = String::new();
        while names.len() < seen.len() {
            names += &letter(&lines.event().await);
        }
        assert_eq!(names, seen, "{mangle:?}");
        let ended = match end {
            "end" => lines.next().await.unwrap().is_none(),
            "broken" => lines.next().await.is_err(),
            _ => lines.is_silent().await,
        };
        assert!(ended, "{mangle:?}");
        let mut next = client.watch(WATCH).await;
        assert_eq!(next.briefs(4).await.len(), 4, "the rule was for one watch");
    }
}

/// The name of the object, or `!` for an error.
fn letter(event: &Value) -> String {
    let name = event["object"]["metadata"]["name"].as_str();
    name.unwrap_or("!").to_owned()
}

#[tokio::test]
async fn a_lost_etcd_breaks_watches_and_begins_anew() {
    let (server, client) = start();
    let start = server.version();
    server.put(pod("shop", "a", "n")).unwrap();
    let version = server.version();
    let mut lines = watch(&server, &client).await;
    server.reset();
    assert!(lines.next().await.is_err());
    assert_eq!(server.version(), start);
    let list = client.get("/api/v1/pods").await.json();
    assert_eq!(list["items"], json!([]));
    assert!(version > start);
    let mut lines = watch(&server, &client).await;
    server.put(pod("shop", "b", "n")).unwrap();
    assert_eq!(lines.brief().await, "ADDED b");
}

#[tokio::test]
async fn many_events_come_to_every_watch_in_their_order() {
    const CHANGES: usize = 3000;
    let (server, client) = start();
    for number in 0..100 {
        server
            .put(pod("shop", &format!("pod-{number}"), "n"))
            .unwrap();
    }
    let version = server.version();
    let mut watches = [
        client.watch(&since(version)).await,
        client.with("accept", METADATA).watch(&since(version)).await,
        client
            .watch(&format!("{}&fieldSelector=spec.nodeName=n", since(version)))
            .await,
    ];
    server.watches().wait_for(Kind::Pod, 3).await;
    let mut versions = Vec::new();
    for number in 0..CHANGES {
        let name = format!("pod-{}", number % 100);
        let patch = json!({"metadata": {"annotations": {"number": number.to_string()}}});
        versions.push(
            server
                .patch(Kind::Pod, "shop", &name, &patch)
                .unwrap()
                .to_string(),
        );
    }
    for lines in &mut watches {
        for version in &versions {
            let event = lines.event().await;
            assert_eq!(&event["object"]["metadata"]["resourceVersion"], version);
        }
    }
}
