//! How the metadata service shall misbehave: rules for all requests or some, for a while or for ever.

use std::{ops::ControlFlow, time::Duration};

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as spelled;
use serde::{Deserialize, Serialize};

use crate::{pattern::looks_like, rules::Counted};

use super::token::Bearing;

/// One rule. As JSON all but `do` may be left out:
///
/// ```json
/// {"method": "GET", "path": "/latest/meta-data/placement/*", "times": 3, "do": {"status": 503}}
/// ```
///
/// Rules that are for so many requests make a script: the first that fits is used up, then the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Only for this method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only for paths that look like this as they came; `*` stands for anything. The query is not looked at.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The answer comes later: `{"latency": "200ms"}`. Several add up.
    #[serde(with = "spelled")]
    Latency(Duration),
    /// Nothing more goes wrong, whatever the rules after this one say: `"pass"`.
    Pass,
    /// Tokens are refused, also good ones: `"refuse-tokens"`. Only for requests that bring one.
    RefuseTokens,
    /// This status, with the page that belongs to it: `{"status": 503}`.
    Status(u16),
    /// 301 to the same path with a slash behind it, as an absolute URL: `"redirect"`. Old instance types did this to
    /// directories.
    Redirect,
    /// 302 to the user data, as an absolute URL: `"astray"`.
    Astray,
    /// 200 without a body: `"empty"`.
    Empty,
    /// 200, and the page of some proxy: `"garbage"`.
    Garbage,
    /// Bytes that are no HTTP: `"noise"`.
    Noise,
    /// 200, and a text of so many bytes: `{"oversized": 1048576}`.
    Oversized(usize),
    /// The answer, and a `Content-Length` that is not its own: `{"length": 4}`. What there is less is never sent, what
    /// there is more is.
    Length(usize),
    /// The answer in chunks, without a `Content-Length`: `"chunked"`.
    Chunked,
    /// The connection is closed in the middle of the answer: `"cut"`.
    Cut,
    /// The second half of the answer comes later: `{"slow": "1s"}`.
    #[serde(with = "spelled")]
    Slow(Duration),
    /// The connection is closed without an answer: `"close"`.
    Close,
    /// The connection is reset without an answer: `"reset"`.
    Reset,
    /// No answer ever comes: `"hang"`.
    Hang,
}

impl Rule {
    /// For all requests, for ever.
    pub const fn always(effect: Effect) -> Self {
        Self {
            method: None,
            path: None,
            times: None,
            effect,
        }
    }

    /// There are no tokens: PUT is answered with this status.
    pub fn no_tokens(status: u16) -> Self {
        Self::always(Effect::Status(status)).for_method("PUT")
    }

    /// The same, but only for this method.
    #[must_use]
    pub fn for_method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
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

    fn fits(&self, method: &str, path: &str, bearing: Bearing) -> bool {
        let for_method = self.method.as_ref().is_none_or(|only| only == method);
        let for_path = self.path.as_ref().is_none_or(|only| looks_like(only, path));
        let for_bearer = self.effect != Effect::RefuseTokens || bearing != Bearing::None;
        for_method && for_path && for_bearer
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) delay: Duration,
    /// What decides, if anything does; never a delay.
    pub(super) fault: Option<Effect>,
}

impl Rules {
    /// What becomes of a request. Counts it.
    pub(super) fn script(&self, method: &str, path: &str, bearing: Bearing) -> Script {
        let mut script = Script::default();
        let fits = |rule: &Rule| rule.fits(method, path, bearing);
        self.play(fits, |rule| {
            if let Effect::Latency(delay) = rule.effect {
                script.delay += delay;
                return ControlFlow::Continue(());
            }
            script.fault = Some(rule.effect).filter(|effect| *effect != Effect::Pass);
            ControlFlow::Break(())
        });
        script
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/latest/meta-data/placement/region";

    fn fault(rules: &Rules, method: &str, path: &str) -> Option<Effect> {
        rules.script(method, path, Bearing::None).fault
    }

    #[test]
    fn a_rule_is_for_its_method_and_path_and_ends_after_its_times() {
        let hang = Rule::always(Effect::Hang);
        let rule = hang.for_method("GET").for_path("*/placement/*").times(2);
        let rules = Rules::new(vec![rule]);
        assert_eq!(fault(&rules, "PUT", PATH), None);
        assert_eq!(fault(&rules, "GET", "/latest/user-data"), None);
        let faults = [(); 3].map(|()| fault(&rules, "GET", PATH));
        assert_eq!(faults, [Some(Effect::Hang), Some(Effect::Hang), None]);
        assert!(rules.entries().is_empty());
    }

    #[test]
    fn delays_add_up_until_something_decides() {
        let delay = Rule::always(Effect::Latency(Duration::from_millis(200)));
        for (decides, fault) in [
            (Effect::Status(503), Some(Effect::Status(503))),
            (Effect::Pass, None),
        ] {
            let rules = Rules::new(vec![
                delay.clone(),
                delay.clone(),
                Rule::always(decides),
                delay.clone(),
                Rule::always(Effect::Hang),
            ]);
            let delay = Duration::from_millis(400);
            let script = rules.script("GET", PATH, Bearing::None);
            assert_eq!(script, Script { delay, fault });
        }
    }

    #[test]
    fn only_who_brings_a_token_has_it_refused() {
        let rules = Rules::new(vec![Rule::always(Effect::RefuseTokens)]);
        for (bearing, fault) in [
            (Bearing::None, None),
            (Bearing::Good, Some(Effect::RefuseTokens)),
            (Bearing::Bad, Some(Effect::RefuseTokens)),
        ] {
            assert_eq!(rules.script("GET", PATH, bearing).fault, fault);
        }
    }

    #[test]
    fn rules_are_written_as_json() {
        for (json, rule) in [
            (
                r#"{"do":{"latency":"200ms"}}"#,
                Rule::always(Effect::Latency(Duration::from_millis(200))),
            ),
            (
                r#"{"method":"PUT","do":{"status":403}}"#,
                Rule::no_tokens(403),
            ),
            (
                r#"{"path":"/latest/*","times":3,"do":"redirect"}"#,
                Rule::always(Effect::Redirect)
                    .for_path("/latest/*")
                    .times(3),
            ),
            (
                r#"{"do":{"oversized":4096}}"#,
                Rule::always(Effect::Oversized(4096)),
            ),
        ] {
            assert_eq!(serde_json::from_str::<Rule>(json).unwrap(), rule);
            assert_eq!(serde_json::to_string(&rule).unwrap(), json);
        }
        for wrong in [
            "{}",
            r#"{"do":"explode"}"#,
            r#"{"do":{"latency":"soon"}}"#,
            r#"{"do":"hang","verb":"GET"}"#,
        ] {
            assert!(serde_json::from_str::<Rule>(wrong).is_err(), "{wrong}");
        }
    }
}
