use serde_json::json;

use super::*;

fn store(history: usize) -> Store {
    Store::new(Clock::system(), history)
}

fn pod(name: &str) -> Object {
    let pod = json!({"kind": "Pod", "metadata": {"namespace": "shop", "name": name}});
    Object::parse(pod).unwrap()
}

#[tokio::test]
async fn whoever_waits_is_woken_by_changes_of_its_kind_only() {
    let store = store(10);
    let (_, mut place) = store.join(Kind::Pod, "");
    let account = json!({"kind": "ServiceAccount", "metadata": {"namespace": "shop", "name": "a"}});
    store.put(Object::parse(account).unwrap(), Announce::Yes);
    assert!(is_pending(place.wait()).await);
    store.put(pod("a"), Announce::Yes);
    place.wait().await;
    assert_eq!(store.news(&mut place).unwrap().entries.len(), 1);
    assert!(is_pending(place.wait()).await);
}

/// Whether nothing comes of `future` at once.
async fn is_pending(future: impl Future<Output = ()>) -> bool {
    tokio::select! {
        biased;
        () = future => false,
        () = std::future::ready(()) => true,
    }
}

#[test]
fn whoever_is_too_slow_is_told_so() {
    let store = store(2);
    let (_, mut place) = store.join(Kind::Pod, "");
    for name in ["a", "b", "c"] {
        store.put(pod(name), Announce::Yes);
    }
    assert!(store.news(&mut place).is_none());
}

#[test]
fn everything_is_known_up_to_the_newest_version_of_any_kind() {
    let store = store(10);
    let (_, mut place) = store.join(Kind::Pod, "");
    store.put(pod("a"), Announce::Yes);
    let namespace = json!({"kind": "Namespace", "metadata": {"name": "shop"}});
    let last = store.put(Object::parse(namespace).unwrap(), Announce::Yes);
    let news = store.news(&mut place).unwrap();
    assert_eq!((news.entries.len(), news.version), (1, last));
}

#[test]
fn a_patch_that_is_not_liked_changes_nothing() {
    let store = store(10);
    let version = store.put(pod("a"), Announce::Yes);
    let key = Key::new("shop", "a");
    let patch = json!({"spec": {"nodeName": "n"}});
    let patch = patch.as_object().unwrap();
    let refused = store.patch(Kind::Pod, &key, patch, |_, _| Err(ObjectError::NotAnObject));
    assert!(refused.unwrap().is_err());
    let moved = json!({"metadata": {"name": null}});
    let moved = store.patch(Kind::Pod, &key, moved.as_object().unwrap(), |_, _| {
        Ok::<_, ObjectError>(())
    });
    assert!(moved.unwrap().is_err());
    assert_eq!(store.version(), version);
}
