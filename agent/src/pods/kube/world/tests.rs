use std::collections::BTreeMap;

use super::*;
use crate::pods::annotation::{DEFAULT_ROLE, ROLE, ROLE_ARN};

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
        object: Some(Namespace::new(annotations(DEFAULT_ROLE, role)).into()),
    }
}

fn till(role: &str) -> Named<ServiceAccount> {
    Named {
        name: PodRef::new("shop", "till"),
        object: Some(ServiceAccount {
            annotations: annotations(ROLE_ARN, role),
        }),
    }
}

fn unreadable<T>(named: Named<T>) -> Named<T> {
    Named {
        object: None,
        ..named
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
    let said = |annotations: &BTreeMap<String, String>, key| {
        annotations.get(key).cloned().unwrap_or_default()
    };
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

const NOTHING: Option<&str> = Some("");

#[test]
fn what_is_not_there_says_nothing_only_if_we_would_know() {
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
        ("we are not", vec![reached(20)], NOTHING),
        (
            "another one came later",
            vec![Event::Applied(other, version(21))],
            NOTHING,
        ),
        ("it comes", vec![put("a", 19)], Some("a")),
        ("it changes", vec![put("a", 19), put("b", 21)], Some("b")),
        ("it goes", vec![put("a", 19), remove(21)], NOTHING),
        (
            "one of the same name went before",
            vec![put("a", 11), remove(12)],
            None,
        ),
    ] {
        assert_account(what, &events, expected);
    }
}

#[test]
fn what_is_gone_from_a_list_says_nothing_at_its_end() {
    let (put, end) = (
        Event::Applied(till("a"), version(19)),
        Event::Complete(version(30)),
    );
    let listed = Event::Listed(till("b"));
    for (what, events, expected) in [
        ("it begins", vec![put.clone(), Event::Restarted], Some("a")),
        (
            "it ends without it",
            vec![put.clone(), Event::Restarted, end.clone()],
            NOTHING,
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
fn what_only_a_first_list_had_that_came_to_no_end_says_nothing() {
    let mut world = World::default();
    let pods = [
        Event::Restarted,
        Event::Listed(cart(1, "", 5)),
        Event::Complete(version(10)),
    ];
    apply_pods(&mut world, pods);
    let (began, ended) = (Event::Restarted, Event::Complete(version(30)));
    let broken = [
        namespaces(&[Event::Restarted, Event::Listed(shop("a"))]),
        accounts(&[began.clone(), Event::Listed(till("a"))]),
    ];
    let whole = [
        namespaces(&[Event::Restarted, Event::Complete(version(30))]),
        accounts(&[began, ended]),
    ];
    for change in broken.into_iter().chain(whole).flatten() {
        world.apply(change);
    }
    let nothing = Some(String::new());
    assert_eq!(around(&mut world), (nothing.clone(), nothing));
}

#[test]
fn what_cannot_be_understood_says_not_nothing() {
    let wrong = Event::Applied(unreadable(till("")), version(25));
    let later = Event::Reached(version(30));
    assert_account("at first", &[wrong.clone(), later.clone()], None);
    let before = Event::Applied(till("a"), version(19));
    assert_account("since a change", &[before, wrong.clone(), later], None);
    let mended = Event::Applied(till("c"), version(26));
    assert_account("it can again", &[wrong.clone(), mended], Some("c"));
    let gone = Event::Deleted(unreadable(till("")), version(26));
    assert_account("it is gone", &[wrong, gone], NOTHING);
}

#[test]
fn namespaces_follow_the_same_rules() {
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
            "it cannot be understood",
            namespaces(&[
                Event::Restarted,
                Event::Listed(unreadable(shop(""))),
                Event::Complete(version(30)),
            ]),
            None,
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
fn a_pod_that_does_not_say_when_it_came_may_be_newer_than_all_we_know() {
    let mut world = empty();
    let seen = Seen {
        version: Version::END,
        ..cart(1, "", 0)
    };
    apply_pods(&mut world, [Event::Applied(seen, Version::START)]);
    for change in accounts(&[Event::Reached(version(1 << 40))]) {
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
