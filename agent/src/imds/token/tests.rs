use jiff::{SignedDuration, ToSpan as _};
use proptest::prelude::*;

use super::*;

const UID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
/// The same digits: the UID that a static pod may have.
const HASH: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

const KEY: Key = Key::new([7; 32]);
const BOOT: BootId = BootId::new([1; 16]);

fn authority() -> Authority {
    Authority::new(&KEY, BOOT)
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
    // Issued at 5.678 s; it lives to 66 s, since less than 60 s is not what was asked for.
    let token = authority().issue(pod(), ttl(60), now());
    for (later, expected) in [
        (0.milliseconds(), Ok(60)),
        (322.milliseconds(), Ok(60)),
        (323.milliseconds(), Ok(59)),
        (1_000.milliseconds(), Ok(59)),
        (59_000.milliseconds(), Ok(1)),
        (60_000.milliseconds(), Ok(1)),
        (60_321.milliseconds(), Ok(1)),
        (60_322.milliseconds(), Err(Invalid::Expired)),
        (21_600_000.milliseconds(), Err(Invalid::Expired)),
        // A clock that went back gives no life beyond EC2's longest.
        (-10_000.milliseconds(), Ok(70)),
        (-100_000_000.milliseconds(), Ok(21_600)),
    ] {
        assert_eq!(verify(&token, now() + later), expected, "{later}");
    }
}

#[test]
fn an_authority_with_the_same_key_in_the_same_boot_knows_the_token_and_no_other_does() {
    let token = authority().issue(pod(), Ttl::MAX, now());
    assert_eq!(verify(&token, now()), Ok(21_600));
    let (other_key, other_boot) = (Key::new([8; 32]), BootId::new([2; 16]));
    for other in [
        Authority::new(&other_key, BOOT),
        Authority::new(&KEY, other_boot),
        Authority::new(&other_key, other_boot),
    ] {
        let refused = other.verify(pod(), token.as_bytes(), now());
        assert_eq!(refused, Err(Invalid::Forged));
    }
}

#[test]
fn a_forged_token_is_told_from_one_that_has_expired() {
    let token = authority().issue(pod(), ttl(1), now());
    let later = now() + 1.hour();
    assert_eq!(verify(&token, later), Err(Invalid::Expired));
    let other = Authority::new(&KEY, BootId::new([2; 16]));
    let refused = other.verify(pod(), token.as_bytes(), later);
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
        format!("{one:?} {:?}", Authority::new(&one, BOOT)),
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

/// Tokens are to outlive the agent. This one was made by other means, from the description in the module's head.
#[test]
fn the_format_has_not_changed() {
    let token = "AQAAAGlXigRub25jZTY3OMVqPCsAjnuDLsyfSBtZ3teYCFJ-mlag8A==";
    assert_eq!(verify(token, now()), Ok(21_598));
}

#[test]
fn a_life_is_a_number_from_1_to_21600() {
    for (text, seconds) in [("1", 1), ("60", 60), ("21600", 21_600), ("0060", 60)] {
        assert_eq!(text.parse().map(Ttl::seconds), Ok(seconds), "{text}");
    }
    for text in [
        "",
        "0",
        "00",
        "-1",
        "+60",
        "21601",
        "65536",
        "65596",
        "60.0",
        "60s",
        " 60",
        "60 ",
        "6 0",
        "1e3",
        "0x3c",
        "soon",
        "\u{666}\u{660}",
        "99999999999999999999",
    ] {
        assert_eq!(text.parse::<Ttl>(), Err(InvalidTtl), "{text}");
    }
}

/// Any moment up to the year 9000, to the nanosecond.
fn any_time() -> impl Strategy<Value = Timestamp> {
    (0_i64..220_000_000_000, 0_i32..1_000_000_000)
        .prop_map(|(second, nanosecond)| Timestamp::new(second, nanosecond).unwrap())
}

proptest! {
    #[test]
    fn a_token_lives_as_long_as_was_asked_and_less_than_a_second_more(
        seconds in 1_u16..=21_600,
        start in any_time(),
        passed in 0_i64..21_600_000_000_000,
    ) {
        let token = authority().issue(pod(), ttl(seconds), start);
        let asked = SignedDuration::from_secs(seconds.into());
        let after = |passed| verify(&token, start + passed);
        let short = SignedDuration::from_nanos(1);
        prop_assert_eq!(after(SignedDuration::ZERO), Ok(seconds));
        prop_assert_eq!(after(asked - short), Ok(1));
        prop_assert_eq!(after(asked + SignedDuration::from_secs(1)), Err(Invalid::Expired));

        let passed = SignedDuration::from_nanos(passed);
        let at_least = asked.saturating_sub(passed);
        match after(passed) {
            Ok(left) => {
                let told = SignedDuration::from_secs(left.into());
                let second = SignedDuration::from_secs(1);
                prop_assert!(told > at_least - second && told < at_least + second + second, "{told} {at_least}");
            }
            Err(error) => {
                prop_assert_eq!(error, Invalid::Expired);
                prop_assert!(at_least <= SignedDuration::ZERO);
            }
        }
    }

    #[test]
    fn any_flipped_bit_is_refused(bit in 0_usize..BYTES * 8) {
        let token = authority().issue(pod(), Ttl::MAX, now());
        let mut bytes = URL_SAFE.decode(&token).unwrap();
        bytes[bit / 8] ^= 1 << (bit % 8);
        // Another first byte is another version.
        let expected = if bit < 8 { Invalid::Malformed } else { Invalid::Forged };
        prop_assert_eq!(verify(&URL_SAFE.encode(bytes), now()), Err(expected));
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
    fn of_another_pod_another_boot_or_another_key_it_is_forged(
        key in any::<[u8; 32]>(),
        boot in any::<[u8; 16]>(),
        pod_bytes in any::<u128>(),
        which in 0_usize..3,
    ) {
        let token = authority().issue(pod(), Ttl::MAX, now());
        let mut authority = authority();
        let mut caller = pod();
        match which {
            0 => authority = Authority::new(&Key::new(key), BOOT),
            1 => authority = Authority::new(&KEY, BootId::new(boot)),
            _ => caller = format!("{pod_bytes:032x}").parse().unwrap(),
        }
        prop_assert_eq!(authority.verify(caller, token.as_bytes(), now()), Err(Invalid::Forged));
    }

    /// With the right form, and all the rest by chance.
    #[test]
    fn what_looks_like_a_token_is_forged(bytes in prop::collection::vec(any::<u8>(), BYTES)) {
        let mut bytes = bytes;
        bytes[0] = VERSION;
        prop_assert_eq!(verify(&URL_SAFE.encode(bytes), now()), Err(Invalid::Forged));
    }

    #[test]
    fn nonsense_is_refused(nonsense in prop::collection::vec(any::<u8>(), 0..80)) {
        prop_assert!(authority().verify(pod(), &nonsense, now()).is_err());
    }
}
