use bytes::Bytes;
use jiff::Timestamp;

use super::*;
use crate::metadata::Freshness as F;

const PINNED: &[&str] = &["pinned"];

fn item() -> Item {
    Item {
        text: Bytes::from_static(b"x"),
        modified: Timestamp::UNIX_EPOCH,
    }
}

fn failed() -> Result<Option<Item>, Arc<Failure>> {
    Err(Arc::new(Failure::Connect(
        std::io::ErrorKind::TimedOut.into(),
    )))
}

/// What somebody who asks gets.
fn look(store: &mut Store, path: &str, now: Instant) -> String {
    match store.look(path, now) {
        Look::Good(item) => format!("{:?}", item.map(|item| item.text)),
        Look::Failing(_) => "failing".to_owned(),
        Look::Nothing => "nothing".to_owned(),
    }
}

#[test]
fn who_was_asked_for_longest_ago_goes_first_and_what_is_pinned_never() {
    let (mut store, now) = (Store::new(PINNED), Instant::now());
    store.learn(&"pinned".into(), F::Lasting, &Ok(Some(item())), now);
    let path = |number: usize| Arc::<str>::from(format!("{number}"));
    for number in 0..MOST {
        store.learn(&path(number), F::Brief, &Ok(Some(item())), now);
    }
    assert_eq!(look(&mut store, "0", now), "Some(b\"x\")");
    for number in MOST..MOST + 10 {
        store.learn(&path(number), F::Brief, &Ok(Some(item())), now);
        assert_eq!(store.len(), MOST + 1);
    }
    for (number, there) in [
        (0, true),
        (1, false),
        (10, false),
        (11, true),
        (MOST + 9, true),
    ] {
        let found = look(&mut store, &path(number), now) != "nothing";
        assert_eq!(found, there, "{number}");
    }
    assert_eq!(look(&mut store, "pinned", now), "Some(b\"x\")");
}

#[test]
fn what_is_of_no_use_goes_before_what_is() {
    let (mut store, start) = (Store::new(PINNED), Instant::now());
    let path = |number: usize| Arc::<str>::from(format!("{number}"));
    store.learn(&"lasting".into(), F::Lasting, &Ok(Some(item())), start);
    for number in 0..MOST - 2 {
        store.learn(&path(number), F::Brief, &Ok(None), start);
    }
    store.learn(&"failed".into(), F::Lasting, &failed(), start);
    let now = start + LASTING * 2;
    for number in 0..MOST - 1 {
        store.learn(
            &format!("new {number}").into(),
            F::Brief,
            &Ok(Some(item())),
            now,
        );
    }
    assert_eq!(store.len(), MOST);
    assert!(store.old("lasting").is_some(), "it is as good as new");
    for gone in ["0", "failed"] {
        assert_eq!(look(&mut store, gone, now), "nothing");
    }
}

#[test]
fn a_failure_hides_nothing_that_is_good_and_is_over_with_a_success() {
    let (mut store, now) = (Store::new(PINNED), Instant::now());
    let path = "a".into();
    store.learn(&path, F::Brief, &Ok(Some(item())), now);
    store.learn(&path, F::Brief, &failed(), now);
    assert_eq!(look(&mut store, "a", now), "Some(b\"x\")");
    assert_eq!(
        look(&mut store, "a", now + BRIEF),
        "nothing",
        "the pause is over"
    );
    store.learn(&path, F::Brief, &failed(), now + BRIEF);
    assert_eq!(look(&mut store, "a", now + BRIEF), "failing");
    assert!(store.old("a").is_none(), "it may be something else by now");
    store.learn(&path, F::Brief, &Ok(None), now + BRIEF);
    assert_eq!(look(&mut store, "a", now + BRIEF), "None");
}

#[test]
fn what_says_nothing_about_the_service_is_not_remembered() {
    let (mut store, now) = (Store::new(PINNED), Instant::now());
    for failure in [Failure::Busy, Failure::Lost] {
        store.learn(&"a".into(), F::Brief, &Err(Arc::new(failure)), now);
        assert_eq!(look(&mut store, "a", now), "nothing");
    }
    store.learn(&"a".into(), F::Never, &Ok(Some(item())), now);
    assert_eq!(
        (store.len(), look(&mut store, "a", now).as_str()),
        (0, "nothing")
    );
    store.learn(&"a".into(), F::Never, &failed(), now);
    assert_eq!(look(&mut store, "a", now), "failing");
    store.learn(&"a".into(), F::Never, &Ok(Some(item())), now);
    assert_eq!(store.len(), 0);
}

#[test]
fn old_is_only_what_never_changes_and_was_there() {
    let (mut store, now) = (Store::new(PINNED), Instant::now());
    for (freshness, answer, there) in [
        (F::Lasting, Some(item()), true),
        (F::Lasting, None, false),
        (F::Brief, Some(item()), false),
    ] {
        store.learn(&"a".into(), freshness, &Ok(answer), now);
        assert_eq!(store.old("a").is_some(), there, "{freshness:?}");
    }
}
