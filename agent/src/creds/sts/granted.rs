//! The keys in an answer of STS, which may be half of one; and when they end by our clock, which may be wrong.

use aws_sdk_sts::{primitives::DateTime, types};
use jiff::{SignedDuration, Timestamp};

use super::super::{Credentials, Derived, Secret, SessionLength, schedule::Life};

/// A session that STS granted.
pub(super) struct Granted {
    /// What its answer has.
    pub(super) keys: Option<types::Credentials>,
    /// How long it was asked to be.
    pub(super) length: SessionLength,
    /// When, by our clock.
    pub(super) asked: Timestamp,
}

/// Why an answer is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    /// Something is not there, or is empty. To the SDK an answer that broke off halfway is a good one, and what did not
    /// come is empty.
    #[error("its answer has no {0}")]
    Lack(&'static str),
    /// The keys have ended.
    #[error("the keys that it gave end at {expires}, and this node's clock says {now}")]
    Ended {
        /// As STS says.
        expires: Timestamp,
        /// By our clock.
        now: Timestamp,
    },
}

impl Granted {
    /// The keys, which came at `now`.
    pub(super) fn credentials(self, now: Timestamp) -> Result<Credentials, Unusable> {
        let latest = self.latest(now);
        let keys = self.keys.ok_or(Unusable::Lack("credentials"))?;
        let told = timestamp(&keys.expiration).ok_or(Unusable::Lack("expiration"))?;
        let keys = Credentials {
            access_key_id: whole(keys.access_key_id, "access key")?,
            secret_access_key: Secret::new(whole(keys.secret_access_key, "secret key")?),
            session_token: Secret::new(whole(keys.session_token, "session token")?),
            issued: now,
            expires: told.min(latest),
            document: Derived::default(),
        };
        if Life::from(&keys).left(now).is_zero() {
            return Err(Unusable::Ended { expires: told, now });
        }
        Ok(keys)
    }

    /// When the session ends at the latest, in whole seconds as STS tells it. What STS tells is of its own clock; by one
    /// that is behind it we would give out keys that are dead.
    fn latest(&self, now: Timestamp) -> Timestamp {
        let asked = self.asked.min(now); // the clock may have been put back meanwhile
        let length = SignedDuration::from_secs(self.length.as_secs().into());
        let end = asked.saturating_add(length).unwrap_or(Timestamp::MAX);
        Timestamp::from_second(end.as_second()).unwrap_or(end)
    }
}

/// `text`, unless there is none: then the name of it.
fn whole(text: String, name: &'static str) -> Result<String, Unusable> {
    if text.is_empty() {
        Err(Unusable::Lack(name))
    } else {
        Ok(text)
    }
}

fn timestamp(time: &DateTime) -> Option<Timestamp> {
    let nanoseconds = i32::try_from(time.subsec_nanos()).ok()?;
    Timestamp::new(time.secs(), nanoseconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        format!("2026-01-01T{time}Z").parse().unwrap()
    }

    /// A session that was asked for at noon, and whose keys end at `told` as STS says.
    fn granted(told: &str) -> Granted {
        let keys = types::Credentials::builder()
            .access_key_id("ASIAEXAMPLE")
            .secret_access_key("secret")
            .session_token("token")
            .expiration(DateTime::from_secs(at(told).as_second()));
        Granted {
            keys: Some(keys.build().unwrap()),
            length: SessionLength::HOUR,
            asked: at("12:00:00.5"),
        }
    }

    #[test]
    fn keys_end_when_sts_says_but_never_later_than_was_asked_for() {
        for (told, now, expected) in [
            ("13:00:00", "12:00:01", "13:00:00"),
            ("12:45:00", "12:00:01", "12:45:00"), // our clock is ahead, or STS gives less
            ("13:00:01", "12:00:01", "13:00:00"),
            ("13:10:00", "12:00:01", "13:00:00"), // our clock is behind
            ("23:59:59", "12:00:08", "13:00:00"),
            ("13:00:00", "11:50:00", "12:50:00"), // ... and was put back
        ] {
            let keys = granted(told).credentials(at(now)).unwrap();
            assert_eq!(keys.expires, at(expected), "{told} at {now}");
        }
    }

    #[test]
    fn keys_that_have_ended_or_are_about_to_are_none() {
        for (told, now) in [
            ("12:00:00", "12:00:01"),
            ("11:00:00", "12:00:01"),
            ("12:00:20", "12:00:01"),
            ("13:00:00", "14:00:00"),
        ] {
            let error = granted(told).credentials(at(now)).unwrap_err();
            assert!(matches!(error, Unusable::Ended { .. }), "{told} at {now}");
            assert!(error.to_string().contains(told), "{error}");
            assert!(error.to_string().contains(now), "{error}");
        }
        assert!(granted("12:01:00").credentials(at("12:00:01")).is_ok());
    }
}
