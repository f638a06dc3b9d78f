//! How STS shall misbehave: rules for all calls or some, for a while or for ever.

use std::{ops::ControlFlow, time::Duration};

use jiff::{
    SignedDuration, Timestamp,
    fmt::serde::{
        duration::friendly::compact::required as signed,
        unsigned_duration::friendly::compact::required as spelled,
    },
};
use serde::{Deserialize, Serialize};

use crate::rules::Counted;

use super::{bucket::Bucket, code::Code, protocol::Action};

/// One rule. As JSON all but `do` may be left out:
///
/// ```json
/// {"action": "AssumeRole", "role": "arn:...", "times": 3, "do": {"fault": {"error": "Throttling"}}}
/// ```
///
/// Most rules see only calls that are right otherwise, so that no mistake of a caller hides behind one. Those about
/// what STS holds to be right see all: `clock`, `max-session` and `no-tag-session`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Only for this action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Only for calls that ask for the role with this ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Only for the next calls, so many of them; then the rule is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// What happens.
    #[serde(rename = "do")]
    pub effect: Effect,
}

/// What a rule does to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The answer comes later: `{"latency": "200ms"}`. Several add up.
    #[serde(with = "spelled")]
    Latency(Duration),
    /// The session is as long as this, whatever was asked: `{"session": "2s"}`. With `0s` it has ended already.
    #[serde(with = "spelled")]
    Session(Duration),
    /// The session's token has at least so many characters: `{"token": 4096}`.
    Token(usize),
    /// STS's clock is ahead by so much, or behind: `{"clock": "-10m"}`. It is in the `Date` of the answers, decides
    /// about signatures and tokens, and says when sessions end. Several add up.
    #[serde(serialize_with = "signed")]
    Clock(SignedDuration),
    /// No session may be longer, as a role's `MaxSessionDuration`: `{"max-session": "1h"}`. The last one counts.
    #[serde(with = "spelled")]
    MaxSession(Duration),
    /// Tags are not allowed, as where a trust policy lacks `sts:TagSession`: `"no-tag-session"`.
    NoTagSession,
    /// Calls are limited by a token bucket: `{"throttle": {"rate": 600, "burst": 600}}`.
    Throttle(Bucket),
    /// The call fails.
    Fault(Fault),
}

/// How a call fails. The first rule that says so decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// STS answers with an error: `{"fault": {"error": "AccessDenied"}}`.
    Error(Code),
    /// The answer is 200, and nonsense: `{"fault": "garbage"}`.
    Garbage,
    /// The answer is 200, and ends before the first secret: `{"fault": "cut"}`.
    Cut,
    /// The connection is closed without an answer: `{"fault": "close"}`.
    Close,
    /// No answer ever comes: `{"fault": "hang"}`.
    Hang,
}

impl Rule {
    /// For all calls, for ever.
    pub const fn always(effect: Effect) -> Self {
        Self {
            action: None,
            role: None,
            times: None,
            effect,
        }
    }

    /// All calls fail with an error, for ever.
    pub const fn error(code: Code) -> Self {
        Self::always(Effect::Fault(Fault::Error(code)))
    }

    /// The same, but only for calls that ask for `role`.
    #[must_use]
    pub fn for_role(mut self, role: impl Into<String>) -> Self {
        self.role = Some(role.into());
        self
    }

    /// The same, but only for this action.
    #[must_use]
    pub const fn for_action(mut self, action: Action) -> Self {
        self.action = Some(action);
        self
    }

    /// The same, but only for the next `times` calls.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    fn fits(&self, action: Option<Action>, role: Option<&str>) -> bool {
        self.action.is_none_or(|only| Some(only) == action)
            && self.role.as_deref().is_none_or(|only| Some(only) == role)
    }
}

impl Effect {
    /// Whether it is about what is right, rather than about what becomes of it.
    const fn is_condition(&self) -> bool {
        matches!(
            self,
            Self::Clock(_) | Self::MaxSession(_) | Self::NoTagSession
        )
    }
}

impl Counted for Rule {
    fn times(&mut self) -> &mut Option<u32> {
        &mut self.times
    }
}

/// The rules in force.
pub type Rules = crate::rules::Rules<Rule>;

/// What the rules say about one call that is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) delay: Duration,
    pub(super) session: Option<Duration>,
    pub(super) token: usize,
    pub(super) fault: Option<Fault>,
}

/// What the rules say is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    /// How far STS's clock is ahead.
    pub(super) clock: SignedDuration,
    pub(super) longest: Option<Duration>,
    pub(super) tags: Tagging,
}

/// Whether sessions may have tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tagging {
    #[default]
    Allowed,
    Refused,
}

impl Rules {
    /// What is right for a call that may be wrong. Counts it.
    pub(super) fn conditions(&self, action: Option<Action>, role: Option<&str>) -> Conditions {
        let mut conditions = Conditions::default();
        let fits = |rule: &Rule| rule.effect.is_condition() && rule.fits(action, role);
        self.play(fits, |rule| {
            conditions.add(&rule.effect);
            ControlFlow::Continue(())
        });
        conditions
    }

    /// What becomes of a call that comes at `now`. Counts it.
    pub(super) fn script(&self, action: Action, role: Option<&str>, now: Timestamp) -> Script {
        let mut script = Script::default();
        let fits = |rule: &Rule| !rule.effect.is_condition() && rule.fits(Some(action), role);
        self.play(fits, |rule| {
            script.add(&mut rule.effect, now);
            match script.fault {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            }
        });
        script
    }
}

impl Conditions {
    fn add(&mut self, effect: &Effect) {
        match effect {
            Effect::Clock(ahead) => self.clock = self.clock.saturating_add(*ahead),
            Effect::MaxSession(longest) => self.longest = Some(*longest),
            Effect::NoTagSession => self.tags = Tagging::Refused,
            Effect::Latency(_)
            | Effect::Session(_)
            | Effect::Token(_)
            | Effect::Throttle(_)
            | Effect::Fault(_) => {}
        }
    }
}

impl Script {
    fn add(&mut self, effect: &mut Effect, now: Timestamp) {
        match effect {
            Effect::Latency(delay) => self.delay += *delay,
            Effect::Session(length) => self.session = Some(*length),
            Effect::Token(size) => self.token = *size,
            Effect::Throttle(bucket) => {
                self.fault = (!bucket.take(now)).then_some(Fault::Error(Code::Throttling));
            }
            Effect::Fault(fault) => self.fault = Some(*fault),
            Effect::Clock(_) | Effect::MaxSession(_) | Effect::NoTagSession => {}
        }
    }
}

#[cfg(test)]
mod tests;
