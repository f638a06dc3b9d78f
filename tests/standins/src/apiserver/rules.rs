//! How the API server shall misbehave: rules for all requests or some, for a while or for ever.

use std::{ops::ControlFlow, time::Duration};

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as spelled;
use serde::{Deserialize, Serialize};

use crate::{pattern::looks_like, rules::Counted};

use super::{ask::Verb, failure::Failure, mangle::Mangle};

/// One rule. As JSON all but `do` may be left out:
///
/// ```json
/// {"verb": "list", "path": "/api/v1/*pods", "times": 3, "do": {"status": {"code": 403}}}
/// ```
///
/// Rules that are for so many requests make a script: the first that fits is used up, then the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Only for this verb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verb: Option<Verb>,
    /// Only for paths that look like this; `*` stands for anything. The query is not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Only for the next requests, so many of them; then the rule is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// What happens.
    #[serde(rename = "do")]
    pub effect: Effect,
}

/// What a rule does to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The answer comes later: `{"latency": "200ms"}`. It is as old then. Several add up.
    #[serde(with = "spelled")]
    Latency(Duration),
    /// A watch goes wrong: `{"watch": {"drop": 2}}`. Several add up.
    Watch(Mangle),
    /// Nothing more goes wrong, whatever the rules after this one say: `"pass"`.
    Pass,
    /// The request fails: `{"status": {"code": 429}}`.
    Status(Failure),
    /// The second half of the answer comes later: `{"slow": "1s"}`.
    #[serde(with = "spelled")]
    Slow(Duration),
    /// The request is done, and the connection is closed in the middle of the answer: `"cut"`.
    Cut,
    /// The answer is 200, and the page of some proxy: `"garbage"`.
    Garbage,
    /// The connection is closed without an answer: `"close"`.
    Close,
    /// No answer ever comes: `"hang"`.
    Hang,
}

impl Rule {
    /// For all requests, for ever.
    pub const fn always(effect: Effect) -> Self {
        Self {
            verb: None,
            path: None,
            times: None,
            effect,
        }
    }

    /// All requests fail with this status, for ever.
    pub const fn status(code: u16) -> Self {
        Self::always(Effect::Status(Failure::new(code)))
    }

    /// All watches go wrong like this, for ever.
    pub const fn watch(mangle: Mangle) -> Self {
        Self::always(Effect::Watch(mangle))
    }

    /// The same, but only for this verb.
    #[must_use]
    pub const fn for_verb(mut self, verb: Verb) -> Self {
        self.verb = Some(verb);
        self
    }

    /// The same, but only for paths that look like this.
    #[must_use]
    pub fn for_path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// The same, but only for the next `times` requests.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    fn fits(&self, verb: Option<Verb>, path: &str) -> bool {
        let for_verb = self.verb.is_none() || self.verb == verb;
        let for_path = self.path.as_ref().is_none_or(|only| looks_like(only, path));
        // A watch can only go wrong where there is one.
        let for_kind = !matches!(self.effect, Effect::Watch(_)) || verb == Some(Verb::Watch);
        for_verb && for_path && for_kind
    }
}

impl Counted for Rule {
    fn times(&mut self) -> &mut Option<u32> {
        &mut self.times
    }
}

/// The rules in force.
pub type Rules = crate::rules::Rules<Rule>;

/// What the rules say about one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) delay: Duration,
    pub(super) mangles: Vec<Mangle>,
    /// What decides, if anything does; never a delay or a mangle.
    pub(super) fault: Option<Effect>,
}

impl Rules {
    /// What becomes of a request. Counts it.
    pub(super) fn script(&self, verb: Option<Verb>, path: &str) -> Script {
        let mut script = Script::default();
        self.play(
            |rule| rule.fits(verb, path),
            |rule| {
                match &rule.effect {
                    Effect::Latency(delay) => script.delay += *delay,
                    Effect::Watch(mangle) => script.mangles.push(*mangle),
                    Effect::Pass => return ControlFlow::Break(()),
                    fault @ (Effect::Status(_)
                    | Effect::Slow(_)
                    | Effect::Cut
                    | Effect::Garbage
                    | Effect::Close
                    | Effect::Hang) => {
                        script.fault = Some(fault.clone());
                        return ControlFlow::Break(());
                    }
                }
                ControlFlow::Continue(())
            },
        );
        script
    }
}

#[cfg(test)]
mod tests;
