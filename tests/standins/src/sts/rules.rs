//! How STS shall misbehave: rules for all calls or some, for a while or for ever.

use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as spelled;
use serde::{Deserialize, Serialize};

use super::{code::Code, protocol::Action};

/// One rule. As JSON all but `do` may be left out:
///
/// ```json
/// {"action": "AssumeRole", "role": "arn:...", "times": 3, "do": {"fault": {"error": "Throttling"}}}
/// ```
///
/// Only calls that are right otherwise come to the rules, so that no mistake of a caller hides behind one.
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
    /// The session is as long as this, whatever was asked: `{"session": "2s"}`.
    #[serde(with = "spelled")]
    Session(Duration),
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

    fn fits(&self, action: Action, role: Option<&str>) -> bool {
        self.times != Some(0)
            && self.action.is_none_or(|only| only == action)
            && self.role.as_deref().is_none_or(|only| Some(only) == role)
    }
}

/// The rules in force.
pub type Rules = crate::rules::Rules<Rule>;

/// What the rules say about one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) delay: Duration,
    pub(super) session: Option<Duration>,
    pub(super) fault: Option<Fault>,
}

impl Rules {
    /// What becomes of a call. Counts it.
    pub(super) fn play(&self, action: Action, role: Option<&str>) -> Script {
        self.with(|rules| {
            let mut script = Script::default();
            for rule in rules.iter_mut().filter(|rule| rule.fits(action, role)) {
                rule.times = rule.times.map(|times| times.saturating_sub(1));
                match rule.effect {
                    Effect::Latency(delay) => script.delay += delay,
                    Effect::Session(length) => script.session = Some(length),
                    Effect::Fault(fault) => {
                        script.fault = Some(fault);
                        break;
                    }
                }
            }
            rules.retain(|rule| rule.times != Some(0));
            script
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::123456789012:role/app";

    fn play(rules: &Rules) -> Script {
        rules.play(Action::AssumeRole, Some(ROLE))
    }

    #[test]
    fn a_rule_for_the_next_calls_ends_after_them() {
        let rules = Rules::new(vec![Rule::error(Code::Throttling).times(2)]);
        let fault = Some(Fault::Error(Code::Throttling));
        let faults = [(); 3].map(|()| play(&rules).fault);
        assert_eq!(faults, [fault, fault, None]);
        assert!(rules.entries().is_empty());
    }

    #[test]
    fn a_rule_is_for_its_role_and_action_only() {
        let rules = Rules::new(vec![
            Rule::error(Code::AccessDenied)
                .for_role(ROLE)
                .for_action(Action::AssumeRole)
                .times(1),
        ]);
        let fault = |action, role| rules.play(action, role).fault;
        assert_eq!(
            fault(
                Action::AssumeRole,
                Some("arn:aws:iam::123456789012:role/other")
            ),
            None
        );
        assert_eq!(fault(Action::AssumeRoleWithWebIdentity, Some(ROLE)), None);
        assert_eq!(fault(Action::GetCallerIdentity, None), None);
        assert!(fault(Action::AssumeRole, Some(ROLE)).is_some());
    }

    #[test]
    fn delays_add_up_and_the_first_fault_decides() {
        let delay = Effect::Latency(Duration::from_millis(200));
        let rules = Rules::new(vec![
            Rule::always(delay),
            Rule::always(Effect::Session(Duration::from_secs(2))),
            Rule::always(delay),
            Rule::always(Effect::Fault(Fault::Hang)),
            Rule::error(Code::AccessDenied).times(1),
        ]);
        let script = Script {
            delay: Duration::from_millis(400),
            session: Some(Duration::from_secs(2)),
            fault: Some(Fault::Hang),
        };
        assert_eq!(play(&rules), script);
        assert_eq!(
            rules.entries().len(),
            5,
            "what did not happen is not counted"
        );
    }

    #[test]
    fn rules_are_written_as_json() {
        for (json, rule) in [
            (
                r#"{"do":{"latency":"200ms"}}"#,
                Rule::always(Effect::Latency(Duration::from_millis(200))),
            ),
            (
                r#"{"do":{"fault":"hang"}}"#,
                Rule::always(Effect::Fault(Fault::Hang)),
            ),
            (
                r#"{"action":"AssumeRole","role":"r","times":3,"do":{"fault":{"error":"IDPRejectedClaim"}}}"#,
                Rule::error(Code::IdpRejectedClaim)
                    .for_action(Action::AssumeRole)
                    .for_role("r")
                    .times(3),
            ),
        ] {
            assert_eq!(serde_json::from_str::<Rule>(json).unwrap(), rule);
            assert_eq!(serde_json::to_string(&rule).unwrap(), json);
        }
    }

    #[test]
    fn wrong_rules_are_refused() {
        for json in [
            "{}",
            r#"{"do":"hang"}"#,
            r#"{"do":{"latency":"soon"}}"#,
            r#"{"do":{"latency":-1}}"#,
            r#"{"do":{"fault":{"error":"Nonsense"}}}"#,
            r#"{"do":{"fault":"hang"},"time":1}"#,
            r#"{"do":{"fault":"hang"},"action":"Assume"}"#,
        ] {
            assert!(serde_json::from_str::<Rule>(json).is_err(), "{json}");
        }
    }
}
