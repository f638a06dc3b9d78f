use super::*;

const PODS: &str = "/api/v1/pods";

fn list(rules: &Rules) -> Option<Effect> {
    rules.script(Some(Verb::List), PODS).fault
}

#[test]
fn rules_for_so_many_requests_make_a_script() {
    let rules = Rules::new(vec![
        Rule::always(Effect::Pass).times(1),
        Rule::status(500).times(2),
        Rule::always(Effect::Close).times(1),
    ]);
    let seen = [(); 5].map(|()| list(&rules));
    let failed = Some(Effect::Status(Failure::new(500)));
    assert_eq!(
        seen,
        [None, failed.clone(), failed, Some(Effect::Close), None]
    );
    assert!(rules.entries().is_empty());
}

#[test]
fn a_rule_is_for_its_verb_and_path_only() {
    let rules = Rules::new(vec![
        Rule::status(403)
            .for_verb(Verb::List)
            .for_path("/api/v1/*pods"),
    ]);
    for (verb, path, fails) in [
        (Some(Verb::List), PODS, true),
        (Some(Verb::List), "/api/v1/namespaces/shop/pods", true),
        (Some(Verb::Watch), PODS, false),
        (Some(Verb::List), "/api/v1/pods/web", false),
        (Some(Verb::List), "/api/v1/namespaces", false),
        (None, PODS, false),
    ] {
        let fault = rules.script(verb, path).fault;
        assert_eq!(fault.is_some(), fails, "{verb:?} {path}");
    }
}

#[test]
fn mangles_are_for_watches_and_add_up() {
    let rules = Rules::new(vec![
        Rule::watch(Mangle::Drop(1)).times(1),
        Rule::watch(Mangle::Repeat(3)),
        Rule::always(Effect::Latency(Duration::from_secs(1))),
    ]);
    let script = rules.script(Some(Verb::List), PODS);
    assert_eq!(script.mangles, []);
    assert_eq!(script.delay, Duration::from_secs(1));
    let mangles = || rules.script(Some(Verb::Watch), PODS).mangles;
    assert_eq!(mangles(), [Mangle::Drop(1), Mangle::Repeat(3)]);
    assert_eq!(mangles(), [Mangle::Repeat(3)]);
}

#[test]
fn rules_are_written_as_json() {
    for (json, rule) in [
        (r#"{"do":"hang"}"#, Rule::always(Effect::Hang)),
        (
            r#"{"do":{"slow":"1s"}}"#,
            Rule::always(Effect::Slow(Duration::from_secs(1))),
        ),
        (
            r#"{"verb":"watch","do":{"watch":{"end-after":0}}}"#,
            Rule::watch(Mangle::EndAfter(0)).for_verb(Verb::Watch),
        ),
        (
            r#"{"path":"*/token","times":2,"do":{"status":{"code":429,"retry-after":3}}}"#,
            Rule::always(Effect::Status(Failure::new(429).retry_after(3)))
                .for_path("*/token")
                .times(2),
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
        r#"{"do":"explode"}"#,
        r#"{"do":{"status":{}}}"#,
        r#"{"do":{"status":{"code":200}}}"#,
        r#"{"do":{"status":{"code":99}}}"#,
        r#"{"do":{"status":{"code":403,"mesage":"x"}}}"#,
        r#"{"do":{"watch":{"drop":"2"}}}"#,
        r#"{"do":"hang","verb":"look"}"#,
        r#"{"do":"hang","time":1}"#,
    ] {
        assert!(serde_json::from_str::<Rule>(json).is_err(), "{json}");
    }
}
