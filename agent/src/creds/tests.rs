//! Of keys that are held somewhere, nothing is printed: whoever logs a value logs no secret.

use bytes::Bytes;

use crate::clock::Clock;

use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG";
const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLE";

/// Gives everybody the same keys.
#[derive(Debug)]
struct Giving(Credentials);

impl Source for Giving {
    async fn fetch(&self, _identity: &Identity) -> Result<Credentials, SourceError> {
        Ok(self.0.clone())
    }
}

/// Keys that somebody was given already.
fn keys() -> Credentials {
    let issued: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let keys = Credentials {
        access_key_id: "ASIAEXAMPLE".to_owned(),
        secret_access_key: Secret::new(SECRET),
        session_token: Secret::new(TOKEN),
        issued,
        expires: issued + jiff::SignedDuration::from_hours(1),
        document: Derived::default(),
    };
    keys.document.get_or_make(|| {
        let mut draft = Draft::with_capacity(0);
        let written = std::io::Write::write_all(&mut draft, [SECRET, TOKEN].concat().as_bytes());
        written.unwrap();
        draft
    });
    keys
}

#[track_caller]
fn assert_printed(value: &impl fmt::Debug, expected: &str) {
    for printed in [format!("{value:?}"), format!("{value:#?}")] {
        assert!(printed.contains(expected), "{printed}");
        for secret in [SECRET, TOKEN] {
            assert!(!printed.contains(secret), "{printed}");
            // As bytes they would be as good.
            let bytes = format!("{:?}", Bytes::copy_from_slice(secret.as_bytes()));
            assert!(
                !printed.contains(bytes.trim_matches(['b', '"'])),
                "{printed}"
            );
            assert!(
                !printed.contains(&format!("{:?}", secret.as_bytes())),
                "{printed}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_prints_what_holds_keys_prints_none() {
    assert_printed(&keys(), "ASIAEXAMPLE");
    assert_printed(&State::Ready(Arc::new(keys())), "ASIAEXAMPLE");
    assert_printed(&Giving(keys()), "ASIAEXAMPLE");

    let (clock, _) = Clock::jumping(keys().issued);
    let cache = Cache::new(Giving(keys()), clock, Metrics::new());
    let identity = Identity::new("arn:aws:iam::123456789012:role/r".parse().unwrap(), "s");
    let mut states = cache.watch(&identity);
    let ready = states
        .wait_for(|state| matches!(state, State::Ready(_)))
        .await;
    drop(ready.unwrap());
    assert_printed(&states, "ASIAEXAMPLE");
    assert_printed(&cache, "ASIAEXAMPLE");
    assert_printed(&cache.snapshot(), "ASIAEXAMPLE");
}
