use std::collections::BTreeMap;

use super::*;
use crate::{
    id::PodRef,
    pods::{
        Few,
        annotation::{DEFAULT_ROLE, ROLE, ROLE_ARN},
    },
};

const HASH: &str = "aabbccddeeff00112233445566778899";

fn uid(number: u8) -> PodUid {
    let uid = format!("00000000-0000-0000-0000-0000000000{number:02x}");
    uid.parse().unwrap()
}

fn version(number: u64) -> Version {
    Version::parse(&number.to_string()).unwrap()
}

fn annotations(key: &str, value: &str) -> BTreeMap<String, String> {
    [(key.to_owned(), value.to_owned())].into()
}

/// The pod `shop/cart` in its life number `life`, with this role.
fn cart(life: u8, role: &str, at: u64) -> Seen {
    let mut pod = Pod::new(uid(life), PodRef::new("shop", "cart"));
    pod.service_account = Some("till".to_owned());
    pod.annotations = annotations(ROLE, role);
    Seen {
        uid: uid(life),
        version: version(at),
        pod: Some(Arc::new(pod)),
    }
}

/// The same, of no interest (any more).
fn gone(life: u8, at: u64) -> Seen {
    Seen {
        pod: None,
        ..cart(life, "", at)
    }
}

/// The mirror pod, number `life` at the API server, of the static pod with [`HASH`].
fn mirror(life: u8, at: u64) -> Seen {
    let mut seen = cart(life, "proxy", at);
    if let Some(pod) = seen.pod.as_mut().and_then(Arc::get_mut) {
        pod.uid = HASH.parse().unwrap();
        pod.api_uid = uid(life);
        pod.service_account = None;
    }
    seen
}

fn shop(role: &str) -> Named<Box<Namespace>> {
    Named {
        name: PodRef::new("", "shop"),
        object: Namespace::new(annotations(DEFAULT_ROLE, role)).into(),
    }
}

fn till(role: &str) -> Named<ServiceAccount> {
    Named {
        name: PodRef::new("shop", "till"),
        object: ServiceAccount {
            annotations: annotations(ROLE_ARN, role).into(),
        },
    }
}

fn applied(seen: Seen) -> Event<Seen> {
    let version = seen.version;
    Event::Applied(seen, version)
}

fn deleted(seen: Seen) -> Event<Seen> {
    let version = seen.version;
    Event::Deleted(seen, version)
}

/// A world that knows all there is, which is nothing, as of version 10.
fn empty() -> World {
    let mut world = World::default();
    for change in [
        Change::Pods(Event::Restarted),
        Change::Pods(Event::Complete(version(10))),
        Change::Namespaces(Event::Restarted),
        Change::Namespaces(Event::Complete(version(10))),
        Change::ServiceAccounts(Event::Restarted),
        Change::ServiceAccounts(Event::Complete(version(10))),
    ] {
        world.apply(change);
    }
    assert!(world.is_synced());
    world
}

/// The pods that are known, by the last digits of their UIDs, with the roles they ask for.
fn roles(world: &mut World) -> Vec<(String, String)> {
    let subjects = world.subjects().expect("all pods are known");
    let mut roles: Vec<_> = subjects
        .iter()
        .map(|subject| {
            let uid = subject.pod.uid.to_string();
            let role = subject.pod.annotations.get(ROLE);
            let last = uid.chars().skip(uid.len() - 2).collect();
            (last, role.unwrap().clone())
        })
        .collect();
    roles.sort_unstable();
    roles
}

fn apply_pods(world: &mut World, events: impl IntoIterator<Item = Event<Seen>>) {
    for event in events {
        world.apply(Change::Pods(event));
    }
}

/// What happened, and the pods that are known in the end.
type Case<'a> = (&'a str, Vec<Event<Seen>>, &'a [(&'a str, &'a str)]);

fn assert_pods<const N: usize>(cases: [Case<'_>; N]) {
    for (what, events, expected) in cases {
        let mut world = empty();
        apply_pods(&mut world, events);
        let roles = roles(&mut world);
        let roles: Vec<_> = roles.iter().map(|(uid, role)| (&**uid, &**role)).collect();
        assert_eq!(roles, expected, "{what}");
    }
}

#[test]
fn pods_are_what_the_events_say_in_their_order() {
    let cases: [Case<'_>; 8] = [
        (
            "a pod comes",
            vec![applied(cart(1, "a", 11))],
            &[("01", "a")],
        ),
        (
            "the same twice",
            vec![applied(cart(1, "a", 11)), applied(cart(1, "a", 11))],
            &[("01", "a")],
        ),
        (
            "an annotation changes",
            vec![applied(cart(1, "a", 11)), applied(cart(1, "b", 12))],
            &[("01", "b")],
        ),
        (
            "a pod goes",
            vec![applied(cart(1, "a", 11)), deleted(cart(1, "a", 12))],
            &[],
        ),
        (
            "a pod that nobody knew goes",
            vec![deleted(cart(1, "a", 11)), applied(cart(2, "b", 12))],
            &[("02", "b")],
        ),
        (
            "a pod ends",
            vec![applied(cart(1, "a", 11)), applied(gone(1, 12))],
            &[],
        ),
        (
            "the same name in another life",
            vec![
                applied(cart(1, "a", 11)),
                deleted(cart(1, "a", 12)),
                applied(cart(2, "b", 13)),
            ],
            &[("02", "b")],
        ),
        (
            "its first life ends late",
            vec![
                applied(cart(1, "a", 11)),
                applied(cart(2, "b", 12)),
                deleted(cart(1, "a", 13)),
            ],
            &[("02", "b")],
        ),
    ];
    assert_pods(cases);
}

#[test]
fn a_static_pod_is_known_by_its_hash_whoever_stands_for_it() {
    let cases: [Case<'_>; 3] = [
        (
            "its mirror pod comes",
            vec![applied(mirror(1, 11))],
            &[("99", "proxy")],
        ),
        (
            "its mirror pod is made anew",
            vec![
                applied(mirror(1, 11)),
                deleted(mirror(1, 12)),
                applied(mirror(2, 13)),
            ],
            &[("99", "proxy")],
        ),
        (
            "two claim to be the same static pod",
            vec![
                applied(mirror(1, 11)),
                applied(mirror(2, 12)),
                applied(cart(3, "a", 13)),
            ],
            &[("03", "a")],
        ),
    ];
    assert_pods(cases);
}

#[test]
fn nothing_is_said_before_the_first_list_is_at_its_end() {
    let mut world = World::default();
    for event in [
        Event::Restarted,
        Event::Listed(cart(1, "a", 5)),
        // The connection is lost, and the next list no longer has it.
        Event::Restarted,
        Event::Listed(cart(2, "b", 6)),
    ] {
        world.apply(Change::Pods(event));
        assert!(world.subjects().is_none());
    }
    apply_pods(&mut world, [Event::Complete(version(7))]);
    assert_eq!(roles(&mut world), [("02".to_owned(), "b".to_owned())]);
    assert!(!world.is_synced(), "namespaces are not");
}

#[test]
fn a_list_shows_what_is_new_at_once_and_what_is_gone_at_its_end() {
    let mut world = empty();
    apply_pods(
        &mut world,
        [
            applied(cart(1, "a", 11)),
            applied(cart(2, "a", 12)),
            applied(cart(3, "a", 13)),
            Event::Restarted,
            Event::Listed(cart(2, "b", 20)),
            Event::Listed(gone(3, 21)),
        ],
    );
    let named = |roles: &[(&str, &str)]| -> Vec<_> {
        let owned = |(uid, role): &(&str, &str)| ((*uid).to_owned(), (*role).to_owned());
        roles.iter().map(owned).collect()
    };
    assert_eq!(roles(&mut world), named(&[("01", "a"), ("02", "b")]));
    apply_pods(&mut world, [Event::Listed(cart(4, "a", 22))]);
    apply_pods(&mut world, [Event::Complete(version(30))]);
    assert_eq!(roles(&mut world), named(&[("02", "b"), ("04", "a")]));
}

/// The only pod, whose namespace and ServiceAccount say these roles; nothing; or are not known.
fn around(world: &mut World) -> (Option<String>, Option<String>) {
    let subjects = world.subjects().expect("all pods are known");
    let [subject] = &subjects[..] else {
        panic!("{subjects:?}")
    };
    let said = |annotations: &Few, key| annotations.get(key).cloned().unwrap_or_default();
    let namespace = subject.namespace.as_ref();
    let account = subject.service_account.as_ref();
    (
        namespace.map(|namespace| said(namespace.annotations(), DEFAULT_ROLE)),
        account.map(|account| said(&account.annotations, ROLE_ARN)),
    )
}

fn namespaces(events: &[Event<Named<Box<Namespace>>>]) -> Vec<Change> {
    events.iter().map(copied).map(Change::Namespaces).collect()
}

/// Namespaces are no `Clone`.
fn copied(event: &Event<Named<Box<Namespace>>>) -> Event<Named<Box<Namespace>>> {
    match event {
        Event::Restarted => Event::Restarted,
        Event::Lost => Event::Lost,
        Event::Complete(version) => Event::Complete(*version),
        Event::Reached(version) => Event::Reached(*version),
        Event::Listed(named) => Event::Listed(copy(named)),
        Event::Applied(named, version) => Event::Applied(copy(named), *version),
        Event::Deleted(named, version) => Event::Deleted(copy(named), *version),
    }
}

fn accounts(events: &[Event<Named<ServiceAccount>>]) -> Vec<Change> {
    events
        .iter()
        .cloned()
        .map(Change::ServiceAccounts)
        .collect()
}

/// What the ServiceAccount of a pod that came at version 20 says in the end, when all was known as of version 10.
#[track_caller]
fn assert_account(what: &str, events: &[Event<Named<ServiceAccount>>], expected: Option<&str>) {
    let mut world = empty();
    apply_pods(&mut world, [applied(cart(1, "", 20))]);
    for change in accounts(events) {
        world.apply(change);
    }
    let expected = expected.map(ToOwned::to_owned);
    assert_eq!(around(&mut world), (None, expected), "{what}");
}

#[test]
fn a_service_account_that_is_not_there_is_not_known() {
    let put = |role, at| Event::Applied(till(role), version(at));
    let remove = |at| Event::Deleted(till(""), version(at));
    let reached = |at| Event::Reached(version(at));
    let other = Named {
        name: PodRef::new("bank", "till"),
        ..till("a")
    };
    for (what, events, expected) in [
        ("nobody told", vec![], None),
        ("we are behind", vec![reached(19)], None),
        ("we are not", vec![reached(20)], None),
        (
            "another one came later",
            vec![Event::Applied(other, version(21))],
            None,
        ),
        ("it comes", vec![put("a", 19)], Some("a")),
        ("it changes", vec![put("a", 19), put("b", 21)], Some("b")),
        ("it goes", vec![put("a", 19), remove(21)], None),
        (
            "it is made anew",
            vec![put("a", 19), remove(21), put("b", 22)],
            Some("b"),
        ),
    ] {
        assert_account(what, &events, expected);
    }
}

#[test]
fn what_is_gone_from_a_list_is_not_known_at_its_end() {
    let (put, end) = (
        Event::Applied(till("a"), version(21)),
        Event::Complete(version(30)),
    );
    let listed = Event::Listed(till("b"));
    for (what, events, expected) in [
        ("it begins", vec![put.clone(), Event::Restarted], Some("a")),
        (
            "it ends without it",
            vec![put.clone(), Event::Restarted, end.clone()],
            None,
        ),
        (
            "it has it",
            vec![put.clone(), Event::Restarted, listed.clone()],
            Some("b"),
        ),
        (
            "it ends with it",
            vec![put, Event::Restarted, listed, end],
            Some("b"),
        ),
    ] {
        assert_account(what, &events, expected);
    }
}

#[test]
fn what_only_a_first_list_had_that_came_to_no_end_is_not_there() {
    let mut world = World::default();
    let pods = [
        Event::Restarted,
        Event::Listed(cart(1, "", 5)),
        Event::Complete(version(10)),
    ];
    apply_pods(&mut world, pods);
    let broken = [
        namespaces(&[Event::Restarted, Event::Listed(shop("a")), Event::Lost]),
        accounts(&[Event::Restarted, Event::Listed(till("a")), Event::Lost]),
    ];
    for change in broken.into_iter().flatten() {
        world.apply(change);
        assert_eq!(around(&mut world), (None, None), "who knows");
    }
    let whole = [
        namespaces(&[Event::Restarted, Event::Complete(version(30))]),
        accounts(&[Event::Restarted, Event::Complete(version(30))]),
    ];
    for change in whole.into_iter().flatten() {
        world.apply(change);
    }
    assert_eq!(around(&mut world), (Some(String::new()), None));
}

/// What was told of ServiceAccounts before a pod came at version 20, and after; and what its own says in the end.
type Lost<'a> = (
    &'a str,
    Vec<Event<Named<ServiceAccount>>>,
    Vec<Event<Named<ServiceAccount>>>,
    Option<&'a str>,
);

#[test]
fn while_a_watch_is_lost_what_it_told_counts_for_the_pods_that_were_there() {
    let known = || Event::Applied(till("a"), version(11));
    let reached = |at| Event::Reached(version(at));
    let cases: [Lost<'_>; 9] = [
        ("it lags", vec![known()], vec![], Some("a")),
        ("it was there", vec![known()], vec![Event::Lost], Some("a")),
        ("it comes", vec![known(), Event::Lost], vec![], None),
        (
            "it is lost again",
            vec![known(), Event::Lost],
            vec![Event::Lost],
            None,
        ),
        (
            "the watch has come further than the pod",
            vec![known(), reached(25), Event::Lost],
            vec![],
            Some("a"),
        ),
        (
            "it is told again",
            vec![known(), Event::Lost],
            vec![reached(15)],
            Some("a"),
        ),
        (
            "something else is told",
            vec![known(), Event::Lost],
            vec![Event::Applied(till("b"), version(15))],
            Some("b"),
        ),
        (
            "a list begins",
            vec![known(), Event::Lost, Event::Restarted],
            vec![Event::Listed(till("b"))],
            None,
        ),
        (
            "a list ends",
            vec![known(), Event::Lost, Event::Restarted],
            vec![Event::Listed(till("b")), Event::Complete(version(30))],
            Some("b"),
        ),
    ];
    for (what, before, after, expected) in cases {
        let mut world = empty();
        for change in accounts(&before) {
            world.apply(change);
        }
        apply_pods(&mut world, [applied(cart(1, "", 20))]);
        for change in accounts(&after) {
            world.apply(change);
        }
        let expected = expected.map(ToOwned::to_owned);
        assert_eq!(around(&mut world), (None, expected), "{what}");
    }
}

#[test]
fn a_pod_without_a_service_account_needs_no_watch_of_them() {
    let mut world = empty();
    for change in accounts(&[Event::Lost]) {
        world.apply(change);
    }
    apply_pods(&mut world, [applied(mirror(1, 20))]);
    assert_eq!(around(&mut world), (None, Some(String::new())));
}

#[test]
fn a_namespace_that_is_not_there_says_nothing_only_if_we_would_know() {
    let nothing = || Some(String::new());
    for (what, changes, expected) in [
        ("nobody told", vec![], None),
        (
            "we would know",
            namespaces(&[Event::Reached(version(20))]),
            nothing(),
        ),
        (
            "it comes",
            namespaces(&[Event::Applied(shop("a"), version(12))]),
            Some("a".to_owned()),
        ),
        (
            "it goes",
            namespaces(&[
                Event::Applied(shop("a"), version(12)),
                Event::Deleted(shop("a"), version(21)),
            ]),
            nothing(),
        ),
        (
            "it is gone from the next list",
            namespaces(&[
                Event::Applied(shop("a"), version(12)),
                Event::Restarted,
                Event::Complete(version(21)),
            ]),
            nothing(),
        ),
        (
            "we are behind",
            namespaces(&[Event::Reached(version(19))]),
            None,
        ),
        (
            "one of the same name went before",
            namespaces(&[
                Event::Applied(shop("a"), version(11)),
                Event::Deleted(shop("a"), version(12)),
            ]),
            None,
        ),
        (
            "it was there when the watch was lost",
            namespaces(&[Event::Applied(shop("a"), version(12)), Event::Lost]),
            Some("a".to_owned()),
        ),
    ] {
        let mut world = empty();
        apply_pods(&mut world, [applied(cart(1, "", 20))]);
        for change in changes {
            world.apply(change);
        }
        assert_eq!(around(&mut world), (expected, None), "{what}");
    }
}

#[test]
fn a_namespace_of_a_lost_watch_does_not_count_for_a_pod_that_comes() {
    let mut world = empty();
    let before = [Event::Applied(shop("a"), version(12)), Event::Lost];
    for change in namespaces(&before) {
        world.apply(change);
    }
    apply_pods(&mut world, [applied(cart(1, "", 20))]);
    assert_eq!(around(&mut world), (None, None));
    for change in namespaces(&[Event::Reached(version(13))]) {
        world.apply(change);
    }
    assert_eq!(around(&mut world), (Some("a".to_owned()), None));
}

#[test]
fn a_pod_that_does_not_say_when_it_came_may_be_newer_than_all_we_know() {
    let mut world = empty();
    let seen = Seen {
        version: Version::END,
        ..cart(1, "", 0)
    };
    apply_pods(&mut world, [Event::Applied(seen, Version::START)]);
    for change in namespaces(&[Event::Reached(version(1 << 40))]) {
        world.apply(change);
    }
    assert_eq!(around(&mut world), (None, None));
}

#[test]
fn what_did_not_change_stays_the_same_object() {
    let mut world = empty();
    let known = [
        Change::Namespaces(Event::Applied(shop("a"), version(11))),
        Change::ServiceAccounts(Event::Applied(till("a"), version(11))),
    ];
    for change in known {
        world.apply(change);
    }
    apply_pods(
        &mut world,
        [applied(cart(1, "a", 12)), applied(cart(2, "a", 12))],
    );
    let by_uid = |subjects: Vec<Arc<Subject>>| -> HashMap<_, _> {
        subjects.into_iter().map(|one| (one.pod.uid, one)).collect()
    };
    let before = by_uid(world.subjects().unwrap());
    world.apply(Change::Namespaces(Event::Applied(shop("a"), version(13))));
    apply_pods(
        &mut world,
        [applied(cart(1, "a", 14)), applied(cart(2, "b", 14))],
    );
    let after = by_uid(world.subjects().unwrap());
    assert!(Arc::ptr_eq(&before[&uid(1)], &after[&uid(1)]));
    assert!(!Arc::ptr_eq(&before[&uid(2)], &after[&uid(2)]));
    assert_eq!(
        world.counts(),
        Counts {
            pods: 2,
            namespaces: 1,
            service_accounts: 1
        }
    );
}
