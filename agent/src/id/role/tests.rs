use super::*;

const BASE: &str = "arn:aws:iam::123456789012:role/";

#[test]
fn an_arn_gives_its_parts_and_prints_as_it_was_written() {
    let text = "arn:aws-cn:iam::123456789012:role/team/a/my.role+=,@_-x";
    let role: RoleArn = text.parse().unwrap();
    assert_eq!(role.to_string(), text);
    assert_eq!(
        (role.partition(), role.account(), role.name()),
        ("aws-cn", "123456789012", "my.role+=,@_-x")
    );
}

#[test]
fn what_is_no_role_is_refused_with_its_reason() {
    let wrong = |text: &str| text.parse::<RoleArn>().unwrap_err();
    for text in [
        "",
        "role",
        "arn:aws:s3:::bucket",
        "arn:aws:iam::123456789012:user/u",
    ] {
        assert!(matches!(wrong(text), InvalidRole::Shape(_)), "{text}");
    }
    assert!(matches!(
        wrong("arn:aws:iam:eu-west-1:123456789012:role/r"),
        InvalidRole::Shape(_)
    ));
    assert!(matches!(
        wrong("arn:gcp:iam::123456789012:role/r"),
        InvalidRole::Partition(_)
    ));
    assert!(matches!(
        wrong("arn:aws:iam::12345678901:role/r"),
        InvalidRole::Account(_)
    ));
    assert!(matches!(
        wrong(&format!("{BASE}a b/r")),
        InvalidRole::Path(_)
    ));
    assert!(matches!(wrong(&format!("{BASE}/r")), InvalidRole::Path(_)));
    assert!(matches!(wrong(BASE), InvalidRole::Name(_)));
    assert!(matches!(wrong(&format!("{BASE}a:b")), InvalidRole::Name(_)));
    assert!(matches!(
        wrong(&format!("{BASE}{}", "r".repeat(65))),
        InvalidRole::Name(_)
    ));
}

/// Table A of kube2iam's cases, what it takes; then what it does not know of.
#[test]
fn table_a_a_base_arn_may_lack_its_slash_and_may_have_a_path() {
    for (text, printed) in [
        (BASE, BASE),
        (
            "arn:aws:iam::123456789012:role/path/to/role",
            "arn:aws:iam::123456789012:role/path/to/role/",
        ),
        (
            "arn:aws:iam::123456789012:role/my-role",
            "arn:aws:iam::123456789012:role/my-role/",
        ),
        (
            "arn:aws:iam::123456789012:role/my.role",
            "arn:aws:iam::123456789012:role/my.role/",
        ),
        (
            "arn:aws-cn:iam::123456789012:role/my-role",
            "arn:aws-cn:iam::123456789012:role/my-role/",
        ),
        ("arn:aws:iam::123456789012:role", BASE),
        ("ARN:aws:iam::123456789012:role/", BASE),
        (
            "arn:aws:iam::123456789012:role/a+b=c,d@e/xx",
            "arn:aws:iam::123456789012:role/a+b=c,d@e/xx/",
        ),
    ] {
        assert_eq!(text.parse::<BaseArn>().unwrap().to_string(), printed);
    }
}

/// Table A, what it refuses; then what it takes and is none.
#[test]
fn table_a_what_is_no_base_arn_is_refused() {
    for text in [
        "",
        "some free text",
        "arn:aws:s3:::bucket",
        "arn:aws:iam::123456789012:user/u",
        "arn:aws:iam:eu-west-1:123456789012:role/",
        "arn:aws:iam::123456789012:rolefoo",
    ] {
        assert!(text.parse::<BaseArn>().is_err(), "{text}");
    }
}

/// Table B of kube2iam's cases, and kiam's about the role of a pod. Where there is no base ARN, kube2iam asks STS
/// for a name that is no ARN; kiam has an ARN's path in the name.
#[test]
fn table_b_names_go_below_the_base_and_arns_stay() {
    let base: BaseArn = BASE.parse().unwrap();
    let resolve = |role: &str| BaseArn::resolve(Some(&base), role);
    let other = "arn:aws:iam::999999999999:role/path/my-role";
    for (role, arn, name) in [
        ("my-role", format!("{BASE}my-role"), "my-role"),
        ("/my-role", format!("{BASE}my-role"), "my-role"),
        ("path/r", format!("{BASE}path/r"), "r"),
        (other, other.to_owned(), "my-role"),
        (&other.replace("arn:", "ARN:"), other.to_owned(), "my-role"),
        (&other.replace("arn:", "aRn:"), other.to_owned(), "my-role"),
    ] {
        let role = resolve(role).unwrap();
        assert_eq!((role.as_str(), role.name()), (arn.as_str(), name));
    }
    assert!(matches!(resolve(""), Err(InvalidRole::Name(_))));
    assert!(matches!(resolve("//r"), Err(InvalidRole::Path(_))));
    let without = BaseArn::resolve(None, "my-role");
    assert_eq!(without, Err(InvalidRole::NoBase(Excerpt::of("my-role"))));
}

#[test]
fn only_roles_below_a_base_have_something_after_it() {
    let base: BaseArn = format!("{BASE}team").parse().unwrap();
    let role = |text: &str| BaseArn::resolve(Some(&base), text).unwrap();
    assert_eq!(base.strip(&role("a/r")), Some("a/r"));
    for other in [
        "123456789012:role/r",
        "123456789012:role/teams/r",
        "999999999999:role/team/r",
    ] {
        assert_eq!(base.strip(&role(&format!("arn:aws:iam::{other}"))), None);
    }
}

#[test]
fn what_is_wrong_is_repeated_in_few_words() {
    let long = "r\u{e9}\n".repeat(50_000);
    let base = BASE.parse().unwrap();
    for error in [
        long.parse::<RoleArn>().unwrap_err(),
        long.parse::<BaseArn>().unwrap_err(),
        format!("arn:gcp{long}:iam::1:role/r")
            .parse::<RoleArn>()
            .unwrap_err(),
        format!("arn:aws:iam::{long}:role/r")
            .parse::<RoleArn>()
            .unwrap_err(),
        format!("{BASE}{long}/r").parse::<RoleArn>().unwrap_err(),
        format!("{BASE}{long}/r").parse::<BaseArn>().unwrap_err(),
        BaseArn::resolve(Some(&base), &long).unwrap_err(),
        BaseArn::resolve(None, &long).unwrap_err(),
    ] {
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(
                text.len() < 200 && text.is_ascii() && !text.contains('\n'),
                "{text}"
            );
        }
    }
}
