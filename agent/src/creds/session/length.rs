//! How long a session lasts.

use std::{fmt, str::FromStr, time::Duration};

use crate::duration;

/// How long a session is asked to last, in whole seconds that STS takes (`DurationSeconds`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionLength(u16);

/// A length that STS does not take, or a text that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session lasts from 15 minutes to 12 hours: give whole seconds, or such as 50m or 1h30m")]
pub struct InvalidLength;

impl SessionLength {
    /// One hour. Every role allows it, and STS gives no more where one role assumes another (role chaining).
    pub const HOUR: Self = Self(3600);

    /// The shortest that STS gives.
    pub const LEAST: Self = Self(900);

    /// The longest that STS gives, to a role that allows it.
    pub const MOST: Self = Self(43_200);

    /// That many seconds.
    pub fn from_secs(seconds: u64) -> Result<Self, InvalidLength> {
        let seconds = u16::try_from(seconds).map_err(|_too_many| InvalidLength)?;
        let length = Self(seconds);
        if (Self::LEAST..=Self::MOST).contains(&length) {
            Ok(length)
        } else {
            Err(InvalidLength)
        }
    }

    /// In seconds.
    pub const fn as_secs(self) -> u16 {
        self.0
    }
}

/// A number of seconds, or a duration as Go takes it.
impl FromStr for SessionLength {
    type Err = InvalidLength;

    fn from_str(text: &str) -> Result<Self, InvalidLength> {
        if let Ok(seconds) = text.parse() {
            return Self::from_secs(seconds);
        }
        match duration::parse(text) {
            Ok(length) if length.subsec_nanos() == 0 => Self::from_secs(length.as_secs()),
            Ok(_) | Err(_) => Err(InvalidLength),
        }
    }
}

impl From<SessionLength> for Duration {
    fn from(length: SessionLength) -> Self {
        Self::from_secs(length.0.into())
    }
}

/// In seconds, as `3600s`.
impl fmt::Display for SessionLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_one_that_sts_takes() {
        for (seconds, taken) in [
            (0, false),
            (899, false),
            (900, true),
            (3600, true),
            (43_200, true),
            (43_201, false),
            (65_536 + 3600, false),
            (u64::MAX, false),
        ] {
            assert_eq!(
                SessionLength::from_secs(seconds).is_ok(),
                taken,
                "{seconds}"
            );
        }
        let hour = SessionLength::from_secs(3600).unwrap();
        assert_eq!(hour, SessionLength::HOUR);
        assert_eq!(hour.to_string(), "3600s");
    }
    #[test]
    fn a_length_is_written_in_seconds_or_as_for_go() {
        for (text, seconds) in [
            ("900", 900),
            ("15m", 900),
            ("899s", 0),
            ("899.999s", 0),
            ("1800.5s", 0),
            ("0.5h", 1800),
            ("1h30m", 5400),
            ("+1h", 3600),
            ("12h", 43_200),
            ("43200", 43_200),
            ("12h0m1s", 0),
            ("720m1s", 0),
            ("", 0),
            ("0", 0),
            ("-1800", 0),
            ("-30m", 0),
            (" 30m", 0),
            ("30m ", 0),
            ("1800 s", 0),
            ("half an hour", 0),
            ("1e3", 0),
            ("99999999999999999999", 0),
        ] {
            let length = text.parse::<SessionLength>();
            assert_eq!(
                length.map_or(0, SessionLength::as_secs),
                seconds,
                "{text:?}"
            );
        }
    }
}
