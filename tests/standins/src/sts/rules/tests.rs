use super::*;

const ROLE: &str = "arn:aws:iam::123456789012:role/app";

fn play(rules: &Rules) -> Script {
    rules.script(Action::AssumeRole, Some(ROLE), Timestamp::UNIX_EPOCH)
}

fn conditions(rules: &Rules) -> Conditions {
    rules.conditions(Some(Action::AssumeRole), Some(ROLE))
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
    let fault = |action, role| rules.script(action, role, Timestamp::UNIX_EPOCH).fault;
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
        token: 0,
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
fn what_is_right_is_said_to_all_calls_and_nothing_else_is() {
    let hour = Duration::from_hours(1);
    let rules = Rules::new(vec![
        Rule::error(Code::Throttling).times(1),
        Rule::always(Effect::Clock(SignedDuration::from_mins(-10))),
        Rule::always(Effect::Clock(SignedDuration::from_mins(3))).times(1),
        Rule::always(Effect::MaxSession(hour)).for_role(ROLE),
        Rule::always(Effect::NoTagSession).for_action(Action::AssumeRole),
    ]);
    let expected = Conditions {
        clock: SignedDuration::from_mins(-7),
        longest: Some(hour),
        tags: Tagging::Refused,
    };
    assert_eq!(conditions(&rules), expected);
    let unknown = rules.conditions(None, None);
    let expected = Conditions {
        clock: SignedDuration::from_mins(-10),
        ..Conditions::default()
    };
    assert_eq!(unknown, expected);
    assert_eq!(rules.entries().len(), 4);
    assert!(play(&rules).fault.is_some());
    assert_eq!(play(&rules), Script::default());
}

#[test]
fn a_bucket_keeps_its_level_among_the_rules() {
    let bucket =
        r#"{"role":"arn:aws:iam::123456789012:role/app","do":{"throttle":{"rate":1,"burst":2}}}"#;
    let rule: Rule = serde_json::from_str(bucket).unwrap();
    assert_eq!(serde_json::to_string(&rule).unwrap(), bucket);
    let rules = Rules::new(vec![rule]);
    let throttled = Some(Fault::Error(Code::Throttling));
    let faults = [(); 4].map(|()| play(&rules).fault);
    assert_eq!(faults, [None, None, throttled, throttled]);
    let later = Timestamp::from_second(1).unwrap();
    let fault = |now| rules.script(Action::AssumeRole, Some(ROLE), now).fault;
    assert_eq!([fault(later), fault(later)], [None, throttled]);
}

#[test]
fn rules_are_written_as_json() {
    for (json, rule) in [
        (
            r#"{"do":{"latency":"200ms"}}"#,
            Rule::always(Effect::Latency(Duration::from_millis(200))),
        ),
        (
            r#"{"do":{"clock":"10m ago"}}"#,
            Rule::always(Effect::Clock(SignedDuration::from_mins(-10))),
        ),
        (
            r#"{"do":{"max-session":"1h"}}"#,
            Rule::always(Effect::MaxSession(Duration::from_hours(1))),
        ),
        (
            r#"{"do":"no-tag-session"}"#,
            Rule::always(Effect::NoTagSession),
        ),
        (
            r#"{"do":{"token":4096}}"#,
            Rule::always(Effect::Token(4096)),
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
        r#"{"do":{"max-session":"-1h"}}"#,
        r#"{"do":{"throttle":{"rate":0,"burst":1}}}"#,
        r#"{"do":{"fault":{"error":"Nonsense"}}}"#,
        r#"{"do":{"fault":"hang"},"time":1}"#,
        r#"{"do":{"fault":"hang"},"action":"Assume"}"#,
    ] {
        assert!(serde_json::from_str::<Rule>(json).is_err(), "{json}");
    }
}
