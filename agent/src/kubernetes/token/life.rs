//! How long a token lives, as the server that made it says.
//!
//! Both ends are read off the token where that is possible, so that a clock of ours that is off changes nothing.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::Deserialize;

/// It is replaced after this part of its life, as a kubelet does it with projected tokens.
const RENEWAL: f64 = 0.8;

/// STS shall get it with so much life left: calls take seconds, and clocks differ.
const MARGIN: Duration = Duration::from_secs(30);

/// From when a token was made to when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life(Duration);

#[derive(Deserialize)]
struct Claims {
    iat: i64,
    exp: i64,
}

impl Life {
    /// That of `token`, which was made just now; `expires` is what the server says beside it.
    pub(super) fn of(token: &str, expires: Option<Timestamp>, now: Timestamp) -> Option<Self> {
        let beside = || Duration::try_from(expires?.duration_since(now)).ok();
        let life = claimed(token).or_else(beside)?;
        (!life.is_zero()).then_some(Self(life))
    }

    pub(super) fn until_renewal(self) -> Duration {
        self.0.mul_f64(RENEWAL).min(self.until_useless())
    }

    pub(super) const fn until_useless(self) -> Duration {
        self.0.saturating_sub(MARGIN)
    }
}

/// Between the times in the token itself.
fn claimed(token: &str) -> Option<Duration> {
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    let seconds = claims.exp.checked_sub(claims.iat)?;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_767_225_600;

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn the_life_is_the_tokens_own_whatever_our_clock_says() {
        let day = token(&format!(r#"{{"iat":{NOW},"exp":{}}}"#, NOW + 86_400));
        let now = Timestamp::from_second(NOW).unwrap();
        let elsewhere = Timestamp::from_second(NOW - 900_000).unwrap();
        let beside = Timestamp::from_second(NOW + 600).ok();
        for (token, beside, now, seconds) in [
            (day.as_str(), None, now, Some(86_400)),
            (&day, beside, now, Some(86_400)),
            (&day, None, elsewhere, Some(86_400)),
            ("opaque", beside, now, Some(600)),
            (&token(r#"{"exp":1}"#), beside, now, Some(600)),
            (&token(r#"{"iat":"a","exp":"b"}"#), beside, now, Some(600)),
            (&token(r#"{"iat":1,"exp":1}"#), None, now, None),
            (&token(r#"{"iat":2,"exp":1}"#), None, now, None),
            (
                &token(r#"{"iat":-9223372036854775808,"exp":9}"#),
                None,
                now,
                None,
            ),
            ("opaque", None, now, None),
            ("", None, now, None),
            ("opaque", Timestamp::from_second(NOW - 1).ok(), now, None),
        ] {
            let life = Life::of(token, beside, now);
            assert_eq!(life, seconds.map(Duration::from_secs).map(Life), "{token}");
        }
    }

    #[test]
    fn it_is_renewed_at_80_percent_and_not_used_to_the_last_second() {
        for (life, renewal, useless) in
            [(3600, 2880, 3570), (600, 480, 570), (60, 30, 30), (9, 0, 0)]
        {
            let life = Life(Duration::from_secs(life));
            assert_eq!(life.until_renewal(), Duration::from_secs(renewal));
            assert_eq!(life.until_useless(), Duration::from_secs(useless));
        }
    }
}
