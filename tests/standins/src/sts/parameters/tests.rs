use super::*;

const ROLE: &str = "arn:aws:iam::123456789012:role/app";

/// A good call, with some fields put in or changed; an empty value takes a field out.
fn read(changes: &[(&str, &str)]) -> Result<Wanted, Refusal> {
    let good = [("RoleArn", ROLE), ("RoleSessionName", "session")];
    let mut fields: BTreeMap<_, _> = good.into_iter().chain(changes.iter().copied()).collect();
    fields.retain(|_, value| !value.is_empty());
    let fields: Vec<_> = fields.into_iter().collect();
    Wanted::read(Action::AssumeRole, &Form::of(&fields))
}

fn code(changes: &[(&str, &str)]) -> Option<Code> {
    read(changes).err().map(|refusal| refusal.code)
}

#[test]
fn what_is_asked_for_is_read() {
    let wanted = read(&[
        ("DurationSeconds", "900"),
        ("ExternalId", "id:/1"),
        ("SourceIdentity", "me"),
        ("Tags.member.1.Key", "kubernetes-namespace"),
        ("Tags.member.1.Value", "shop"),
        ("TransitiveTagKeys.member.1", "kubernetes-namespace"),
        ("MinimumSessionTokenSize", "4096"),
    ])
    .unwrap();
    assert_eq!(wanted.role.name, "app");
    assert_eq!(wanted.session_name, "session");
    assert_eq!(wanted.duration, Duration::from_mins(15));
    assert_eq!(wanted.external_id.as_deref(), Some("id:/1"));
    assert_eq!(wanted.source_identity.as_deref(), Some("me"));
    assert_eq!(wanted.tags["kubernetes-namespace"], "shop");
    assert_eq!(wanted.transitive_tag_keys, ["kubernetes-namespace"]);
    assert_eq!(wanted.token_size, 4096);
}

#[test]
fn a_session_lasts_an_hour_unless_something_else_is_asked() {
    assert_eq!(read(&[]).unwrap().duration, Duration::from_hours(1));
}

#[test]
fn values_out_of_bounds_are_refused() {
    let long = |length| "x".repeat(length);
    for (name, value) in [
        ("RoleArn", ""),
        ("RoleArn", "arn:aws:iam::1:role/a"),
        ("RoleArn", "arn:aws:iam::123456789012:user/somebody"),
        ("RoleArn", &format!("{ROLE}/{}", long(2048))),
        ("RoleSessionName", ""),
        ("RoleSessionName", "x"),
        ("RoleSessionName", &long(65)),
        ("RoleSessionName", "system:serviceaccount:a:b"),
        ("RoleSessionName", "a/b"),
        ("RoleSessionName", "a b"),
        ("DurationSeconds", "899"),
        ("DurationSeconds", "43201"),
        ("DurationSeconds", "-900"),
        ("DurationSeconds", "99999999999"),
        ("DurationSeconds", "1h"),
        ("ExternalId", "x"),
        ("ExternalId", &long(1225)),
        ("ExternalId", "a b"),
        ("SourceIdentity", "x"),
        ("SourceIdentity", "a:b"),
        ("MinimumSessionTokenSize", "4097"),
        ("MinimumSessionTokenSize", "-1"),
        ("Policy", "{\"a\":\"\u{20ac}\"}"),
        ("Policy", &long(2049)),
        ("TransitiveTagKeys.member.1", "unknown"),
    ] {
        assert_eq!(
            code(&[(name, value)]),
            Some(Code::ValidationError),
            "{name}: {value}"
        );
    }
}

#[test]
fn the_refusal_says_what_was_wrong() {
    let message = |changes| read(changes).unwrap_err().message;
    assert_eq!(
        message(&[("RoleSessionName", "")]),
        "1 validation error detected: Value null at 'roleSessionName' failed to satisfy constraint: \
         Member must not be null"
    );
    assert_eq!(
        message(&[("DurationSeconds", "60")]),
        "1 validation error detected: Value '60' at 'durationSeconds' failed to satisfy constraint: \
         Member must have value greater than or equal to 900"
    );
    assert_eq!(
        message(&[("RoleArn", "a-role-without-its-arn")]),
        "a-role-without-its-arn is invalid"
    );
}

#[test]
fn tags_have_rules_of_their_own() {
    let tag = |key, value| code(&[("Tags.member.1.Key", key), ("Tags.member.1.Value", value)]);
    assert_eq!(tag("kubernetes-pod-name", "web-0"), None);
    assert_eq!(tag("with space", ""), None);
    for (key, value) in [
        ("", "value"),
        ("aws:reserved", "value"),
        ("semi;colon", "value"),
        ("key", "star*"),
        ("key", &"x".repeat(257)),
        (&"x".repeat(129), "value"),
    ] {
        assert_eq!(
            tag(key, value),
            Some(Code::ValidationError),
            "{key}: {value}"
        );
    }
    let twice = [("Tags.member.1.Key", "Team"), ("Tags.member.2.Key", "team")];
    assert_eq!(code(&twice), Some(Code::ValidationError));
}

#[test]
fn lists_have_an_end() {
    let many = |list: &str, count: usize| {
        let name = |number| {
            (
                format!("{list}.member.{number}.Key"),
                format!("key-{number}"),
            )
        };
        let fields: Vec<_> = (1..=count).map(name).collect();
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        code(&fields)
    };
    for (list, most) in [("Tags", 50), ("PolicyArns", 10), ("ProvidedContexts", 5)] {
        assert_eq!(many(list, most), None, "{list}");
        assert_eq!(many(list, most + 1), Some(Code::ValidationError), "{list}");
    }
}

#[test]
fn policies_are_json_and_not_too_long_together() {
    assert_eq!(code(&[("Policy", "{}")]), None);
    assert_eq!(
        code(&[("Policy", "{")]),
        Some(Code::MalformedPolicyDocument)
    );
    let arn = format!("arn:aws:iam::aws:policy/{}", "x".repeat(2030));
    assert_eq!(
        code(&[("PolicyArns.member.1.arn", &arn)]),
        Some(Code::PackedPolicyTooLarge)
    );
}

#[test]
fn web_identity_takes_no_tags_and_needs_a_token() {
    let form = Form::of(&[
        ("RoleArn", ROLE),
        ("RoleSessionName", "session"),
        ("Tags.member.1.Key", "team"),
        ("WebIdentityToken", "abc"),
    ]);
    let wanted = Wanted::read(Action::AssumeRoleWithWebIdentity, &form).unwrap();
    assert!(wanted.tags.is_empty());
    for form in [
        form,
        Form::default(),
        Form::of(&[("WebIdentityToken", &"x".repeat(20_001))]),
    ] {
        let code = web_identity_token(&form).unwrap_err().code;
        assert_eq!(code, Code::ValidationError);
    }
}
