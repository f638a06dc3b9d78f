//! IMDSv2 tokens: 56 characters that are good until their time is over.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use hyper::header::HeaderMap;
use jiff::Timestamp;
use serde::Serialize;

use crate::{clock::after, shared::Shared};

/// The header by which a client asks for a lifetime, and in which it hears what is left of it.
pub(super) const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";

/// The header that carries a token.
pub(super) const TOKEN: &str = "x-aws-ec2-metadata-token";

/// Six hours, in seconds: the longest life of a token that EC2 gives.
const MAX_TTL: u32 = 21_600;

/// Whether a request brings a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bearing {
    /// It brings none.
    None,
    /// One that was given out here and is good.
    Good,
    /// Something else.
    Bad,
}

/// The tokens that were given out, each with its end.
pub(super) struct Tokens(Shared<HashMap<String, Timestamp>>);

impl Tokens {
    pub(super) fn new() -> Self {
        Self(Shared::default())
    }

    /// A new token that lives `ttl` seconds from `now`.
    pub(super) fn issue(&self, now: Timestamp, ttl: u32) -> String {
        let token = fresh();
        let ends = after(now, std::time::Duration::from_secs(ttl.into()));
        self.0.with(|tokens| {
            tokens.retain(|_, ends| now < *ends);
            tokens.insert(token.clone(), ends);
        });
        token
    }

    /// From now on no token is good that was given out before.
    pub(super) fn expire(&self) {
        self.0.with(HashMap::clear);
    }

    /// Whether a request with these headers brings a token.
    pub(super) fn bearing(&self, headers: &HeaderMap, now: Timestamp) -> Bearing {
        match headers.get(TOKEN) {
            None => Bearing::None,
            Some(token) if self.remaining(token.as_bytes(), now).is_some() => Bearing::Good,
            Some(_) => Bearing::Bad,
        }
    }

    /// The whole seconds that `token` has left; `None` if it is none of ours, or over.
    pub(super) fn remaining(&self, token: &[u8], now: Timestamp) -> Option<u32> {
        let token = std::str::from_utf8(token).ok()?;
        let ends = self.0.with(|tokens| tokens.get(token).copied())?;
        let left = ends.duration_since(now);
        left.is_positive()
            .then(|| u32::try_from(left.as_secs()).unwrap_or(MAX_TTL))
    }
}

/// The lifetime that a client asks for, if EC2 gives such a one. There is no default.
pub(super) fn asked(headers: &HeaderMap) -> Option<u32> {
    let text = headers.get(TTL)?.to_str().ok()?;
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let ttl = text.parse().ok().filter(|_| digits)?;
    (1..=MAX_TTL).contains(&ttl).then_some(ttl)
}

/// As captured: `AQA` at the beginning, `==` at the end, 56 characters that a header may hold.
fn fresh() -> String {
    let mut bytes: [u8; 40] = rand::random();
    let [version, reserved, first, ..] = &mut bytes;
    (*version, *reserved) = (1, 0);
    *first &= 0x3f;
    URL_SAFE.encode(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_token_looks_like_a_real_one_and_is_never_the_same() {
        let token = fresh();
        assert_eq!(token.len(), 56);
        assert!(token.starts_with("AQA") && token.ends_with("=="), "{token}");
        assert_ne!(token, fresh());
    }

    #[test]
    fn a_token_counts_down_and_ends() {
        let tokens = Tokens::new();
        let start = Timestamp::UNIX_EPOCH;
        let token = tokens.issue(start, 60);
        let left = |millis| {
            let now = after(start, Duration::from_millis(millis));
            tokens.remaining(token.as_bytes(), now)
        };
        assert_eq!(left(0), Some(60));
        assert_eq!(left(500), Some(59));
        assert_eq!(left(59_500), Some(0));
        assert_eq!(left(60_000), None);
    }

    #[test]
    fn what_was_not_given_out_is_no_token() {
        let tokens = Tokens::new();
        let token = tokens.issue(Timestamp::UNIX_EPOCH, 60);
        let prefix = token.get(..55).unwrap();
        for wrong in ["", "AQAEAA==", prefix, &fresh()] {
            let left = tokens.remaining(wrong.as_bytes(), Timestamp::UNIX_EPOCH);
            assert_eq!(left, None, "{wrong}");
        }
    }

    #[test]
    fn lifetimes_are_whole_seconds_up_to_six_hours() {
        for (text, ttl) in [
            ("1", Some(1)),
            ("21600", Some(21_600)),
            ("0", None),
            ("21601", None),
            ("-1", None),
            ("+60", None),
            ("60.0", None),
            ("1h", None),
            ("", None),
            ("99999999999999999999", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(TTL, text.parse().unwrap());
            assert_eq!(asked(&headers), ttl, "{text:?}");
        }
        assert_eq!(asked(&HeaderMap::new()), None);
    }
}
