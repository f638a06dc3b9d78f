//! Session tokens: whatever bytes a pod takes for one.
//!
//! None is accepted but one that was issued, in the pod that it was issued for, before its end. That one is accepted by every
//! later agent too: the form of tokens is a contract between them.

use std::sync::LazyLock;

use bpf2iam::{
    id::PodUid,
    imds::token::{Authority, BootId, Key, Ttl},
};
use jiff::Timestamp;

/// The key of [`ISSUED`].
const KEY: [u8; 32] = *b"a key that only these tests have";
/// The key of tokens that are issued in a check. A fuzzer sees what is compared: it gets to know them, and shows them.
const OTHER_KEY: [u8; 32] = *b"another key that these tests use";
/// The boot.
const BOOT: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
/// When tokens are shown.
const NOW: i64 = 1_800_000_000;
/// Issued with [`KEY`] in [`BOOT`] for the first of [`Pods`], at [`NOW`], for a minute.
const ISSUED: &str = "AQAAAGtJ0jxhIGNoYW5jZU23OTjpZVDIY_4RuQjQ1dcR-ykk7mbdLw==";

struct Pods {
    first: PodUid,
    others: [PodUid; 2],
}

static PODS: LazyLock<Pods> = LazyLock::new(|| Pods {
    first: pod("7c9e6679-7425-40de-944b-e07fc1f90ae7"),
    others: [
        pod("7c9e6679742540de944be07fc1f90ae7"), // the same number, but a static pod's
        pod("7c9e6679-7425-40de-944b-e07fc1f90ae8"),
    ],
});

fn pod(uid: &str) -> PodUid {
    uid.parse().expect("it is a UID")
}

/// Shows the input as a token, and then a token that was issued and changed by it.
///
/// # Panics
///
/// If something else than an issued token is accepted, or an issued one is not.
pub fn check(input: &[u8]) {
    let boot: BootId = BOOT.parse().expect("it is a UUID");
    let [authority, issuer] = [KEY, OTHER_KEY].map(|key| Authority::new(&Key::new(key), boot));
    let now = at(NOW);
    let genuine = input == ISSUED.as_bytes();
    let left = authority.verify(PODS.first, input, now).ok();
    assert_eq!(left, genuine.then_some(60), "{input:?}");
    refused(&authority, &PODS.others, input, now);
    refused(&authority, &[stranger(input)], input, now);
    check_changed(&issuer, input);
}

/// Issues a token for a while that the input tells, and changes it by the input.
fn check_changed(authority: &Authority, input: &[u8]) {
    let Pods { first, others } = &*PODS;
    let seconds = 1 + input.iter().map(|byte| i64::from(*byte)).sum::<i64>() % 21_600;
    let ttl: Ttl = seconds.to_string().parse().expect("within six hours");
    let token = authority.issue(*first, ttl, at(NOW)).into_bytes();
    let left = |token: &[u8], now| authority.verify(*first, token, at(now)).ok();
    assert_eq!(left(&token, NOW), Some(ttl.seconds()));
    assert_eq!(left(&token, NOW + seconds - 1), Some(1));
    assert_eq!(left(&token, NOW + seconds), None);
    refused(authority, others, &token, at(NOW));

    let mut changed = token.clone();
    for (byte, change) in changed.iter_mut().zip(input) {
        *byte ^= change;
    }
    if changed != token {
        assert_eq!(
            left(&changed, NOW),
            None,
            "{token:?} was changed by {input:?}"
        );
        refused(authority, others, &changed, at(NOW));
    }
    let shorter = token.split_at(input.len() % token.len()).0;
    assert_eq!(left(shorter, NOW), None);
    let longer = [&token, input].concat();
    assert_eq!(left(&longer, NOW).is_some(), input.is_empty());
}

fn refused(authority: &Authority, pods: &[PodUid], token: &[u8], now: Timestamp) {
    for pod in pods {
        assert!(
            authority.verify(*pod, token, now).is_err(),
            "{pod}: {token:?}"
        );
    }
}

/// The pod whose UID the input begins with.
fn stranger(input: &[u8]) -> PodUid {
    let begin = input.first_chunk().copied().unwrap_or_default();
    pod(&format!("{:032x}", u128::from_be_bytes(begin)))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in this century")
}
