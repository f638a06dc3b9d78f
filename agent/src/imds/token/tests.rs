use jiff::{SignedDuration, ToSpan as _};
use proptest::prelude::*;

use super::*;

const UID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
/// The same digits: the UID that a static pod may have.
const HASH: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

fn authority() -> Authority {
    Authority::new(&Key::new([7; 32]))
}

fn pod() -> PodUid {
    UID.parse().unwrap()
}

fn now() -> Timestamp {
    "2026-01-02T03:04:05.678Z".parse().unwrap()
}

fn ttl(seconds: u16) -> Ttl {
    seconds.to_string().parse().unwrap()
}

fn verify(token: &str, at: Timestamp) -> Result<u16, Invalid> {
    authority().verify(pod(), token.as_bytes(), at)
}

#[test]
fn a_token_looks_like_one_of_ec2s() {
    let token = authority().issue(pod(), Ttl::MAX, now());
    assert_eq!(token.len(), 56);
    assert!(
        token.starts_with("AQAAA") && token.ends_with("=="),
        "{token}"
    );
    assert!(
        token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte)),
        "{token}"
    );
}

#[test]
fn no_two_tokens_are_equal() {
    assert_ne!(
        authority().issue(pod(), Ttl::MAX, now()),
        authority().issue(pod(), Ttl::MAX, now())
    );
}

#[test]
fn a_token_tells_how_long_it_still_lives_and_then_is_dead() {
    let token = authority().issue(pod(), ttl(60), now());
    for (later, expected) in [
        (0.seconds(), Ok(60)),
        (1.seconds(), Ok(59)),
        (59.seconds(), Ok(1)),
        (60.seconds(), Err(Invalid::Expired)),
        (21_600.seconds(), Err(Invalid::Expired)),
        // A clock that went back gives no life beyond EC2's longest.
        (-10.seconds(), Ok(70)),
        (-100_000.seconds(), Ok(21_600)),
    ] {
        assert_eq!(verify(&token, now() + later), expected, "{later}");
    }
}

#[test]
fn an_authority_with_the_same_key_knows_the_token_and_no_other_does() {
    let token = authority().issue(pod(), Ttl::MAX, now());
    assert_eq!(verify(&token, now()), Ok(21_600));
    let other = Authority::new(&Key::new([8; 32]));
    let refused = other.verify(pod(), token.as_bytes(), now());
    assert_eq!(refused, Err(Invalid::Forged));
}

#[test]
fn a_token_is_worth_nothing_in_another_pod() {
    let token = authority().issue(pod(), Ttl::MAX, now());
    for other in [HASH, "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f1"] {
        let other = other.parse().unwrap();
        let refused = authority().verify(other, token.as_bytes(), now());
        assert_eq!(refused, Err(Invalid::Forged));
    }
}

#[test]
fn what_has_not_the_form_of_a_token_is_malformed() {
    let token = authority().issue(pod(), Ttl::MAX, now());
    for wrong in [
        String::new(),
        "x".to_owned(),
        "A".repeat(56),
        "A".repeat(100_000),
        token.replace('=', ""),
        token.replace('=', "A"),
        format!("{token}="),
        format!(" {token}"),
        token.replacen('A', " ", 1),
        // Another version.
        token.replacen("AQ", "Ag", 1),
    ] {
        assert_eq!(verify(&wrong, now()), Err(Invalid::Malformed), "{wrong}");
    }
    assert_eq!(
        authority().verify(pod(), &[0xff; 56], now()),
        Err(Invalid::Malformed)
    );
}

#[test]
fn a_new_key_is_not_the_one_before_and_is_not_printed() {
    let (one, two) = (Key::generate().unwrap(), Key::generate().unwrap());
    assert_ne!(one.expose(), two.expose());
    assert_eq!(
        format!("{one:?} {:?}", Authority::new(&one)),
        "<key> Authority"
    );
}

/// The last character has bits that belong to no byte; a sloppy decoder takes them as they come.
#[test]
fn a_token_has_one_spelling() {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let token = authority().issue(pod(), Ttl::MAX, now());
    let accepted = LETTERS.chars().filter(|letter| {
        let mut spelling = token.clone();
        spelling.replace_range(53..54, &letter.to_string());
        verify(&spelling, now()).is_ok()
    });
    assert_eq!(accepted.count(), 1);
}

/// Tokens outlive the agent. This one was made by other means, from the description in the module's head.
#[test]
fn the_format_has_not_changed() {
    let token = "AQAAAGlXigRub25jZTY3OBPtkMaJ8iEKJwdYlZM5JkDoC44C0DXqDA==";
    assert_eq!(verify(token, now()), Ok(21_599));
}

proptest! {
    #[test]
    fn what_was_issued_is_accepted(seconds in 1_u16..=21_600, start in 0_i64..1 << 40, passed in 0_u16..21_600) {
        let start = Timestamp::from_second(start % 250_000_000_000).unwrap();
        let token = authority().issue(pod(), ttl(seconds), start);
        let at = start + SignedDuration::from_secs(passed.into());
        let expected = seconds.checked_sub(passed).filter(|left| *left > 0).ok_or(Invalid::Expired);
        prop_assert_eq!(verify(&token, at), expected);
    }

    #[test]
    fn any_flipped_bit_is_refused(bit in 0_usize..BYTES * 8) {
        let token = authority().issue(pod(), Ttl::MAX, now());
        let mut bytes = URL_SAFE.decode(&token).unwrap();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verify(&URL_SAFE.encode(bytes), now()).is_err());
    }

    #[test]
    fn any_other_character_is_refused(at in 0_usize..CHARACTERS, other in any::<u8>()) {
        let token = authority().issue(pod(), Ttl::MAX, now());
        let mut bytes = token.into_bytes();
        prop_assume!(bytes[at] != other);
        bytes[at] = other;
        prop_assert!(authority().verify(pod(), &bytes, now()).is_err());
    }

    #[test]
    fn nonsense_is_refused(nonsense in prop::collection::vec(any::<u8>(), 0..80)) {
        prop_assert!(authority().verify(pod(), &nonsense, now()).is_err());
    }
}
