//! The cases of kube2iam (its tests of restrictions: table E; of reading annotations: table F) and of kiam, then our own.
//!
//! Rows of table E that are not here, because what decides them is where roles are bound to pods: restrictions that are
//! off, a role that is the default role, a namespace that is not known, a pod's annotation that is empty.

use proptest::prelude::*;

use super::*;
use crate::id::Excerpt;

const B: &str = "arn:aws:iam::123456789012:role/";
const OTHER: &str = "arn:aws:iam::999999999999:role/";

fn rules(format: Format, compat: Compat) -> Rules {
    Rules {
        format,
        compat,
        base_arn: Some(B.parse().unwrap()),
    }
}

fn glob() -> Rules {
    rules(Format::Glob, Compat::None)
}

fn regexp() -> Rules {
    rules(Format::Regexp, Compat::None)
}

fn kube2iam() -> Rules {
    rules(Format::Regexp, Compat::Kube2iam)
}

fn role(name: &str) -> RoleArn {
    BaseArn::resolve(Some(&B.parse().unwrap()), name).unwrap()
}

fn list(entries: &[&str]) -> String {
    serde_json::to_string(entries).unwrap()
}

fn allows(entries: &[&str], rules: &Rules, name: &str) -> bool {
    let restriction = Restriction::compile(Some(&list(entries)), None, rules).unwrap();
    restriction.refusal(&role(name)).is_none()
}

fn permits(expression: &str, compat: Compat, name: &str) -> bool {
    let rules = rules(Format::Glob, compat);
    let restriction = Restriction::compile(None, Some(expression), &rules).unwrap();
    restriction.refusal(&role(name)).is_none()
}

fn invalid(entries: &[&str], rules: &Rules) -> Invalid {
    Restriction::compile(Some(&list(entries)), None, rules).unwrap_err()
}

/// The rows that are the same in both formats.
fn table_e(rules: &Rules) {
    let explicit = &format!("{B}explicit-role");
    let second = &format!("{B}second-role");
    for (entries, name, expected) in [
        (vec!["explicit-role"], "explicit-role", true),
        (vec![explicit], "explicit-role", true),
        (vec![explicit], "test-role", false),
        (vec![], "explicit-role", false),
        (vec![explicit, second], "test-role", false),
        (vec![explicit, second], "explicit-role", true),
        (vec![second, explicit], "explicit-role", true),
    ] {
        assert_eq!(allows(&entries, rules, name), expected, "{entries:?}");
    }
}

#[test]
fn table_e_glob() {
    table_e(&glob());
    let full = &format!("{B}path/*-role");
    for (entries, name, expected) in [
        (vec!["path/*"], "path/explicit-role", true),
        (vec![full], "path/explicit-role", true),
        (vec!["glob-*", "explicit-role"], "glob-role", true),
        (vec!["explicit-role", "glob-*"], "glob-role", true),
    ] {
        assert_eq!(allows(&entries, &glob(), name), expected, "{entries:?}");
    }
}

#[test]
fn table_e_regexp() {
    for rules in [regexp(), kube2iam()] {
        table_e(&rules);
        let full = &format!("{B}path/.*-role");
        for (entries, name, expected) in [
            (vec!["path/.*"], "path/explicit-role", true),
            (vec![full], "path/explicit-role", true),
            (vec!["glob-.*", "explicit-role"], "glob-role", true),
            (vec!["explicit-role", "glob-.*"], "glob-role", true),
        ] {
            assert_eq!(allows(&entries, &rules, name), expected, "{entries:?}");
        }
    }
}

#[test]
fn not_tested_upstream_glob() {
    let other = &format!("{OTHER}explicit-role");
    for (entry, name, expected) in [
        // `*` does not cross accounts: the base ARN is before it.
        ("*", "explicit-role", true),
        ("*", "path/explicit-role", true),
        ("*", other, false),
        (&format!("{OTHER}*"), other, true),
        (&format!("{OTHER}*"), "explicit-role", false),
        ("arn:aws:iam::*:role/explicit-role", other, true),
        ("arn:*", other, true),
        // `/` and `:` are characters as any other.
        ("path/*", "path/to/explicit-role", true),
        ("*-role", "path/to/explicit-role", true),
        ("path/*/x", "path/x", false),
        // Case.
        ("Explicit-role", "explicit-role", false),
        (
            "ARN:aws:iam::123456789012:role/explicit-role",
            "explicit-role",
            true,
        ),
        (
            "arn:AWS:iam::123456789012:role/explicit-role",
            "explicit-role",
            false,
        ),
        // Both ends are anchored.
        ("explicit-role", "explicit-role-admin", false),
        ("explicit-role", "path/explicit-role", false),
        ("explicit", "explicit-role", false),
        // As the annotation of a pod, an entry may begin with a slash.
        ("/explicit-role", "explicit-role", true),
        ("//explicit-role", "explicit-role", false),
        // Nothing else is special.
        ("explicit.role", "explicit-role", false),
        ("explicit?role", "explicit-role", false),
        ("explicit-role|x", "explicit-role", false),
        ("^explicit-role$", "explicit-role", false),
        ("", "explicit-role", false),
        (B, "explicit-role", false),
        (" explicit-role", "explicit-role", false),
        ("explicit-role\n", "explicit-role", false),
        ("r\u{f4}le", "role", false),
    ] {
        assert_eq!(allows(&[entry], &glob(), name), expected, "{entry} {name}");
    }
}

#[test]
fn not_tested_upstream_regexp() {
    let other = &format!("{OTHER}explicit-role");
    let both = &format!("^({B}a|{OTHER}explicit-role)$");
    for (entry, name, expected) in [
        // Prefix over-match.
        ("explicit-role", "explicit-role-admin", false),
        ("explicit-role", "path/explicit-role", false),
        ("explicit", "explicit-role", false),
        ("admin|explicit", "explicit-role", false),
        ("admin|explicit", "my-admin", false),
        ("admin|explicit-role", "explicit-role", true),
        ("admin|explicit-role", "admin", true),
        ("a{0}", "explicit-role", false),
        ("(?:)", "explicit-role", false),
        ("", "explicit-role", false),
        // Accounts and slashes.
        (".*", "path/explicit-role", true),
        (".*", other, false),
        ("(.*)", other, false),
        (&format!("{OTHER}.*"), other, true),
        (&format!("{OTHER}(.*)"), "explicit-role", false),
        ("[^/]*", "path/explicit-role", false),
        // The dots of the base ARN, or of an entry that escapes them, are dots.
        (r"my\.role", "my.role", true),
        (r"my\.role", "my-role", false),
        ("my.role", "my-role", true),
        // Case.
        ("Explicit-role", "explicit-role", false),
        ("(?i)Explicit-role", "explicit-role", true),
        (
            "ARN:aws:iam::123456789012:role/explicit-.*",
            "explicit-role",
            true,
        ),
        // Whoever anchors says what holds anyway; an anchored ARN is an ARN all the same.
        ("^explicit-role$", "explicit-role", true),
        ("^explicit-role$", "explicit-role-admin", false),
        ("^(?:explicit|test)-role$", "test-role", true),
        (r"^explicit-role\$", "explicit-role", false),
        (&format!("^{B}explicit-role$"), "explicit-role", true),
        (&format!("^{B}explicit-role$"), "explicit-role-admin", false),
        (&format!("^{B}explicit-[a-z]+$"), "explicit-role", true),
        (&format!("^{B}explicit-[a-z]+$"), "explicit-role9", false),
        (both, other, true),
        (both, "a", true),
        (both, "explicit-role", false),
        (&format!("(?:{B}a|explicit-role)"), "explicit-role", false),
        // Go's classes are ASCII.
        (r"\w+-\w+", "explicit-role", true),
        (r"v\d", "v1", true),
        ("[[:alpha:]]+-role", "explicit-role", true),
        ("/explicit-role", "explicit-role", true),
        ("r\u{f4}le", "role", false),
    ] {
        assert_eq!(
            allows(&[entry], &regexp(), name),
            expected,
            "{entry} {name}"
        );
    }
}

#[test]
fn with_compat_kube2iam_an_expression_is_a_prefix_as_there() {
    for (entry, name, expected) in [
        ("explicit-role", "explicit-role-admin", true),
        ("explicit", "explicit-role", true),
        ("explicit-role", "path/explicit-role", false),
        ("admin|explicit", "path/explicit", true),
        ("^explicit-role$", "explicit-role", false),
        (&format!("^{B}explicit-role$"), "explicit-role", false),
        (&format!("{B}explicit"), "explicit-role", true),
        ("/explicit-role", "explicit-role", false),
        ("", "explicit-role", true),
    ] {
        assert_eq!(allows(&[entry], &kube2iam(), name), expected, "{entry}");
    }
}

#[test]
fn only_with_compat_kube2iam_an_entry_that_is_no_expression_is_left_out() {
    let entries = ["(", "explicit-role"];
    assert!(allows(&entries, &kube2iam(), "explicit-role"));
    assert!(!allows(&["("], &kube2iam(), "explicit-role"));
    for compat in [Compat::None, Compat::Kiam] {
        let invalid = invalid(&entries, &rules(Format::Regexp, compat));
        assert_eq!(
            invalid.to_string(),
            r#""(" in the list of allowed roles is no regular expression: unclosed group"#
        );
    }
}

#[test]
fn compat_changes_what_it_names_and_nothing_else() {
    for compat in [Compat::Kube2iam, Compat::Kiam] {
        let glob = rules(Format::Glob, compat);
        assert!(!allows(&["explicit"], &glob, "explicit-role"));
    }
    let kiam = rules(Format::Regexp, Compat::Kiam);
    assert!(!allows(&["explicit"], &kiam, "explicit-role"));
    assert!(!permits("explicit", Compat::Kube2iam, "explicit-role"));
}

#[test]
fn no_expression_gets_out_of_its_anchors() {
    for entry in [
        "a)|(?:explicit-role",
        "a)|(explicit",
        ")(",
        "(?x)a #",
        r"a\",
        "[a",
        "(?P<a",
    ] {
        let found = invalid(&[entry], &regexp());
        assert!(
            matches!(found, Invalid::Expression { .. }),
            "{entry}: {found}"
        );
    }
}

#[test]
fn what_is_no_arn_needs_a_base_arn() {
    for format in [Format::Glob, Format::Regexp] {
        let rules = Rules {
            format,
            ..Rules::default()
        };
        for entry in ["explicit-role", "*", ".*:role/x", "", "/a", "arn-role"] {
            let found = invalid(&[&format!("{B}a"), entry], &rules);
            assert_eq!(found, Invalid::NoBase(Excerpt::of(entry)));
        }
        assert!(allows(&[&format!("{B}a")], &rules, "a"));
    }
    // kube2iam puts nothing before it.
    let rules = Rules {
        base_arn: None,
        ..kube2iam()
    };
    assert!(allows(&["explicit"], &rules, "explicit-role"));
}

#[test]
fn a_base_arn_is_no_expression_and_no_glob() {
    let role: RoleArn = "arn:aws:iam::123456789012:role/team-a/x".parse().unwrap();
    for base in ["team.a/", "team*a/", "(team-a)/", "team-a|/", "*"] {
        for format in [Format::Glob, Format::Regexp] {
            let rules = Rules {
                base_arn: Some(format!("{B}{base}").parse().unwrap()),
                format,
                ..Rules::default()
            };
            let restriction = Restriction::compile(Some(&list(&["x"])), None, &rules).unwrap();
            assert!(restriction.refusal(&role).is_some(), "{base}");
        }
    }
}

#[test]
fn table_f_parsing() {
    for text in [None, Some(""), Some("[]"), Some(" [ ] ")] {
        let restriction = Restriction::compile(text, None, &glob()).unwrap();
        assert_eq!(restriction.entries(Annotation::Allowed).count(), 0);
        let expected = match text {
            None => Refusal::Unannotated,
            Some(_) => Refusal::Empty(Annotation::Allowed),
        };
        assert_eq!(restriction.refusal(&role("a")), Some(expected));
    }
    for entries in [vec!["my-role"], vec!["my-role", "b", "a"]] {
        let restriction = Restriction::compile(Some(&list(&entries)), None, &glob()).unwrap();
        let read: Vec<_> = restriction.entries(Annotation::Allowed).collect();
        assert_eq!(read, entries);
    }
}

#[test]
fn what_is_no_json_list_of_strings_is_refused() {
    for text in [
        " ",
        "my-role",
        "\"my-role\"",
        "[\"my-role\"",
        "[\"my-role\",]",
        "['my-role']",
        "[my-role]",
        "{\"my-role\": true}",
        "[\"my-role\", 1]",
        "[\"my-role\", null]",
        "[[\"my-role\"]]",
        "[\"my-role\"] [\"b\"]",
        "[\"\\ud800\"]",
        "null",
        "caf\u{e9}\n",
    ] {
        let found = Restriction::compile(Some(text), None, &glob()).unwrap_err();
        assert!(matches!(found, Invalid::Json { .. }), "{text}: {found}");
        assert_eq!(found.annotation(), Annotation::Allowed);
    }
}

#[test]
fn kiam_permitted_expressions() {
    // `^red.*$|^.red.*$` allows red_role there only because the role it is held against is no ARN.
    let subpath = "subpath/role";
    let exact = &format!("{B}subpath/role");
    for (expression, name, strict, loose) in [
        ("^red.*$|^.red.*$", "red_role", false, false),
        ("^.*/red.*$|^.*/.red.*$", "red_role", true, true),
        ("^.*/red.*$|^.*/.red.*$", "orange_role", false, false),
        ("o", "red_role", false, true),
        ("role", "red_role", false, true),
        (".*role", "red_role", true, true),
        (&format!("{B}.*"), "red_role", true, true),
        (&format!("{B}*"), "red_role", false, true),
        (".*/subpath/.*", subpath, true, true),
        (exact, subpath, true, true),
        ("role/red.*", "blue_role", false, false),
        // Without a group around it, `a|b` would be `^a|b$` and allow this.
        (&format!("{B}a|{B}b"), "a-admin", false, true),
        (&format!("{B}a|{B}b"), "a", true, true),
        (&format!("{B}a|{B}b"), "b", true, true),
        // It is not a name below the base ARN, and no glob.
        ("red_role", "red_role", false, true),
        ("", "red_role", false, false),
    ] {
        for (compat, expected) in [(Compat::None, strict), (Compat::Kiam, loose)] {
            assert_eq!(
                permits(expression, compat, name),
                expected,
                "{expression} {name}"
            );
        }
    }
    // Its rows about requests, empty roles, ARNs, instance profiles, proxying and regions are no policy of a namespace.
}

#[test]
fn an_expression_of_permitted_roles_that_is_none_is_refused_in_every_mode() {
    for compat in [Compat::None, Compat::Kube2iam, Compat::Kiam] {
        for expression in ["*", "(", "a)|(?:b", "[", r"\"] {
            let rules = rules(Format::Glob, compat);
            let found = Restriction::compile(None, Some(expression), &rules).unwrap_err();
            assert!(matches!(found, Invalid::Expression { .. }), "{expression}");
            assert_eq!(found.annotation(), Annotation::Permitted);
        }
    }
}

#[test]
fn with_both_annotations_both_have_to_permit() {
    use Annotation::{Allowed, Permitted};
    use Refusal::{Empty, Unannotated, Unmatched};
    let name = |text| Some(text);
    for (allowed, permitted, expected) in [
        (None, None, Some(Unannotated)),
        (name(r#"["a"]"#), None, None),
        (None, name(".*/a"), None),
        (name(r#"["a"]"#), name(".*/a"), None),
        (name(r#"["a"]"#), name(".*/b"), Some(Unmatched(Permitted))),
        (name(r#"["b"]"#), name(".*/a"), Some(Unmatched(Allowed))),
        (name(r#"["b"]"#), name(".*/b"), Some(Unmatched(Allowed))),
        (name(r#"["a"]"#), name(""), Some(Empty(Permitted))),
        (name(""), name(".*/a"), Some(Empty(Allowed))),
        (None, name(""), Some(Empty(Permitted))),
    ] {
        let restriction = Restriction::compile(allowed, permitted, &glob()).unwrap();
        let found = restriction.refusal(&role("a"));
        assert_eq!(found, expected, "{allowed:?} {permitted:?}");
    }
    for (allowed, permitted) in [("[", ".*"), (r#"["*"]"#, "(")] {
        assert!(Restriction::compile(Some(allowed), Some(permitted), &glob()).is_err());
    }
}

#[test]
fn who_permits_says_by_which_entry() {
    let full = format!("{B}c");
    let text = list(&["a", "b.*x?", &full, "[d]"]);
    let restriction = Restriction::compile(Some(&text), Some(".*/.+"), &regexp()).unwrap();
    for (name, entry) in [
        ("a", "a"),
        ("bx", "b.*x?"),
        ("c", full.as_str()),
        ("d", "[d]"),
    ] {
        let expected = Verdict::Permitted {
            allowed: Some(entry),
            permitted: Some(".*/.+"),
        };
        assert_eq!(restriction.permits(&role(name)), expected);
    }
    let refused = Verdict::Refused(Refusal::Unmatched(Annotation::Allowed));
    assert_eq!(restriction.permits(&role("e")), refused);
    let permitted: Vec<_> = restriction.entries(Annotation::Permitted).collect();
    assert_eq!(permitted, [".*/.+"]);
}

#[test]
fn annotations_have_bounds() {
    let long = format!("[\"{}\"]", "a".repeat(16 << 10));
    for (allowed, permitted, expected) in [
        (Some(long.as_str()), None, Annotation::Allowed),
        (None, Some(long.as_str()), Annotation::Permitted),
    ] {
        let found = Restriction::compile(allowed, permitted, &glob()).unwrap_err();
        assert_eq!(found, Invalid::TooLong(expected));
    }
    let most = vec!["a"; 256];
    assert!(allows(&most, &glob(), "a"));
    assert_eq!(invalid(&vec!["a"; 257], &glob()), Invalid::TooMany(257));
    let longest = "a".repeat((16 << 10) - r#"[""]"#.len());
    assert!(!allows(&[&longest], &glob(), "a"));
    let simple: Vec<_> = (0..200)
        .map(|number| format!("{B}role-{number}.*"))
        .collect();
    let simple: Vec<_> = simple.iter().map(String::as_str).collect();
    assert!(allows(&simple, &regexp(), "role-199-x"));
}

#[test]
fn an_expression_that_explodes_is_refused_and_no_memory_taken() {
    for entry in [
        "((a{1,50}){1,50}){1,50}",
        "(?:a?){4000}",
        r"(\w{100}){1000}",
        "((((.+){99}){99}){99}){99}",
    ] {
        for rules in [regexp(), rules(Format::Regexp, Compat::Kiam)] {
            let found = invalid(&[entry], &rules);
            assert!(
                matches!(found, Invalid::TooLarge { .. }),
                "{entry}: {found}"
            );
        }
        assert!(!allows(&[entry], &kube2iam(), "explicit-role"), "{entry}");
    }
    let many: Vec<_> = (0..200)
        .map(|number| format!("{B}role-{number}-[a-z]+"))
        .collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert_eq!(
        invalid(&many, &regexp()),
        Invalid::TooMuch(Annotation::Allowed)
    );
    // Nothing in it, four milliards of times.
    assert!(!allows(&["(?:){4294967295}"], &regexp(), "explicit-role"));
    let deep = format!("{}a{}", "(".repeat(4_000), ")".repeat(4_000));
    assert!(matches!(
        invalid(&[&deep], &regexp()),
        Invalid::Expression { .. }
    ));
}

#[test]
fn an_expression_that_makes_others_go_back_is_decided() {
    let name = format!("{}b", "a".repeat(63));
    assert!(!allows(&["(a|aa|a*)*c"], &regexp(), &name));
    assert!(allows(&["(a|aa|a*)*b"], &regexp(), &name));
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let format = prop_oneof![Just(Format::Glob), Just(Format::Regexp)];
    let compat = prop_oneof![
        Just(Compat::None),
        Just(Compat::Kube2iam),
        Just(Compat::Kiam)
    ];
    (format, compat).prop_map(|(format, compat)| rules(format, compat))
}

/// Texts of characters that mean something in one of the formats.
fn odd_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        r"[ab/:*.+?^$|()\[\]{}\\#x1-3,-]{0,20}",
        r"(arn:|ARN:|\^|\(\?|\(|\)|a|\||\.\*|\$|\{9\}|\n| ){0,12}",
    ]
}

proptest! {
    #[test]
    fn an_entry_without_special_characters_covers_one_role_and_no_longer_one(
        name in "[A-Za-z0-9_=,@-]{1,20}",
        more in "[A-Za-z0-9_=,@-]{1,20}",
        path in "[a-z]{1,5}",
        whole in any::<bool>(),
        format in prop_oneof![Just(Format::Glob), Just(Format::Regexp)],
    ) {
        let rules = rules(format, Compat::None);
        let entry = if whole { format!("{B}{name}") } else { name.clone() };
        prop_assert!(allows(&[&entry], &rules, &name));
        for other in [format!("{name}{more}"), format!("{more}{name}"), format!("{path}/{name}"), format!("{OTHER}{name}")] {
            prop_assert!(!allows(&[&entry], &rules, &other), "{}", other);
        }
    }

    #[test]
    fn an_expression_covers_a_whole_role_or_none(text in r"[ab|()?:*+.^$-]{0,10}", name in "[ab-]{1,6}") {
        let allowed = list(&[&text]);
        let Ok(restriction) = Restriction::compile(Some(&allowed), None, &regexp()) else {
            return Ok(());
        };
        // Nothing else in it stands for a `Z`.
        if !text.contains('.') {
            for other in [format!("{name}Z"), format!("Z{name}"), format!("Z/{name}")] {
                prop_assert!(restriction.refusal(&role(&other)).is_some(), "{} {}", text, other);
            }
        }
    }

    #[test]
    fn whatever_is_written_is_decided_and_what_is_wrong_is_told_in_one_short_line(
        entries in proptest::collection::vec(odd_text(), 0..4),
        raw in odd_text(),
        rules in any_rules(),
    ) {
        for (allowed, permitted) in [
            (Some(serde_json::to_string(&entries).unwrap()), None),
            (Some(raw.clone()), None),
            (None, Some(raw)),
        ] {
            match Restriction::compile(allowed.as_deref(), permitted.as_deref(), &rules) {
                Ok(restriction) => {
                    for name in ["a/b", "b"] {
                        let _decided = restriction.refusal(&role(name));
                    }
                }
                Err(invalid) => {
                    let text = invalid.to_string();
                    prop_assert!(text.len() < 300, "{}", text);
                    prop_assert!(text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{}", text);
                }
            }
        }
    }
}
