use proptest::prelude::*;

use super::*;

fn glob(text: &str) -> Glob {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn it_matches_segment_by_segment() {
    for (pattern, path, expected) in [
        ("meta-data/mac", "meta-data/mac", true),
        ("meta-data/mac", "meta-data/mac/x", false),
        ("meta-data/mac", "meta-data", false),
        ("meta-data/mac", "meta-data/MAC", false),
        ("meta-data/mac", "meta-data/machine", false),
        ("meta-data/*", "meta-data/mac", true),
        ("meta-data/*", "meta-data", false),
        ("meta-data/*", "meta-data/spot/x", false),
        ("meta-data/local-*", "meta-data/local-ipv4", true),
        ("meta-data/local-*", "meta-data/local-", true),
        ("meta-data/local-*", "meta-data/public-ipv4", false),
        ("meta-data/*-ipv*", "meta-data/local-ipv4", true),
        ("meta-data/*-ipv*", "meta-data/local-ip", false),
        ("meta-data/*a*a", "meta-data/aa", true),
        ("meta-data/*a*a", "meta-data/a", false),
        ("meta-data/a.c", "meta-data/abc", false),
        ("meta-data/network/**", "meta-data/network", true),
        ("meta-data/network/**", "meta-data/network/interfaces", true),
        (
            "meta-data/network/**",
            "meta-data/network/interfaces/macs/0a:ff/mac",
            true,
        ),
        ("meta-data/network/**", "meta-data/networks", false),
        ("meta-data/**/mac", "meta-data/mac", true),
        (
            "meta-data/**/mac",
            "meta-data/network/interfaces/macs/0a:ff/mac",
            true,
        ),
        ("meta-data/**/mac", "meta-data/network/mac/x", false),
        ("**", "", true),
        ("**", "meta-data/mac", true),
        ("**/**", "meta-data", true),
        ("*", "", false),
    ] {
        assert_eq!(glob(pattern).matches(path), expected, "{pattern} {path:?}");
    }
}

#[test]
fn it_reaches_what_is_on_the_way_to_what_it_matches_and_no_leaf() {
    for (pattern, directory, expected) in [
        ("meta-data/mac", "", true),
        ("meta-data/mac", "meta-data", true),
        ("meta-data/mac", "meta-data/mac", false),
        ("meta-data/mac", "meta-data/mac/x", false),
        ("meta-data/mac", "dynamic", false),
        ("meta-data/*/x", "meta-data/y", true),
        ("meta-data/*/x", "meta-data/y/x", false),
        ("meta-data/network/**", "meta-data", true),
        ("meta-data/network/**", "meta-data/network", true),
        (
            "meta-data/network/**",
            "meta-data/network/interfaces/macs",
            true,
        ),
        ("meta-data/network/**", "meta-data/spot", false),
        ("**/mac", "dynamic/mac", true),
        ("**", "", true),
    ] {
        let reaches = glob(pattern).reaches(directory);
        assert_eq!(reaches, expected, "{pattern} {directory:?}");
    }
}

#[test]
fn spellings_of_one_pattern_are_one_pattern() {
    for text in [
        "meta-data/x/**",
        "/meta-data/x/**",
        "meta-data/x/**/",
        "//meta-data//x/**//",
        "latest/meta-data/x/**",
        "/latest/meta-data/x/**/",
        "/1.0/meta-data/x/**",
        "/2021-03-23/meta-data/x/**",
        "/latest/1.0/meta-data/x/**",
    ] {
        assert_eq!(glob(text).to_string(), "meta-data/x/**", "{text}");
    }
    // Neither is a version.
    assert_eq!(glob("/1.1/x").to_string(), "1.1/x");
    assert_eq!(glob("/2021-3-23/x").to_string(), "2021-3-23/x");
}

#[test]
fn what_is_no_pattern_is_refused_with_what_to_write() {
    for (text, told) in [
        ("", "it names no path; write one as meta-data/network/**"),
        ("/", "it names no path"),
        ("/latest/", "it names no path"),
        ("2021-03-23", "it names no path"),
        ("meta-data/%69am", "\"%\" is in no path"),
        ("meta-data/x?y", "\"?\" is in no path"),
        ("meta-data/x#y", "\"#\" is in no path"),
        ("meta-data/a b", "\" \" is in no path"),
        ("meta-data/\u{0}", "\"\\u{0}\" is in no path"),
        ("meta-data/\u{1b}[0m", "\"\\u{1b}\" is in no path"),
        ("meta-data/caf\u{e9}", "\"\\u{e9}\" is in no path"),
        ("meta-data\\x", "\"\\\\\" is in no path"),
        ("meta-data/(a|b)", "\"(\" is in no path"),
        ("meta-data/{a,b}", "\"{\" is in no path"),
        ("meta-data/[ab]", "\"[\" is in no path"),
        ("meta-data/./x", "the segment \".\"; write the path"),
        ("../meta-data/x", "the segment \"..\"; write the path"),
        ("meta-data/x**", "the segment \"x**\"; write ** alone"),
        ("meta-data/**x", "the segment \"**x\"; write ** alone"),
        ("meta-data/***", "the segment \"***\"; write ** alone"),
        (
            "meta-data/.*",
            "the segment \".*\", as in a regular expression; write *",
        ),
    ] {
        let error = text.parse::<Glob>().unwrap_err().to_string();
        assert!(error.contains(told), "{text:?}: {error}");
    }
}

#[test]
fn a_pattern_has_at_most_256_characters() {
    let longest = "x".repeat(LONGEST);
    assert!(longest.parse::<Glob>().is_ok());
    let longer = format!("{longest}x").parse::<Glob>();
    assert_eq!(longer, Err(InvalidGlob::TooLong));
}

#[test]
fn its_literal_beginning_ends_before_the_first_wildcard() {
    for (pattern, literal) in [
        ("meta-data/iam/info", "meta-data/iam/info"),
        ("meta-data/iam/*", "meta-data/iam"),
        ("meta-data/iam/**/x", "meta-data/iam"),
        ("meta-data/ia*/info", "meta-data"),
        ("**/info", ""),
    ] {
        assert_eq!(glob(pattern).literal(), literal, "{pattern}");
    }
}

#[test]
fn patterns_that_try_everything_are_quick() {
    let segments = glob(&format!("{}c", "**/a*/".repeat(40)));
    assert!(!segments.matches(&"aa/".repeat(170)));
    let stars = glob(&format!("{}b", "*a".repeat(120)));
    assert!(!stars.matches(&"a".repeat(500)));
}

/// By the definition, trying everything.
fn naive(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        (["**", rest @ ..], []) => naive(rest, &[]),
        (["**", rest @ ..], [_, below @ ..]) => naive(rest, path) || naive(pattern, below),
        ([first, rest @ ..], [name, below @ ..]) => {
            naive_name(first.as_bytes(), name.as_bytes()) && naive(rest, below)
        }
        _ => false,
    }
}

fn naive_name(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], [_, after @ ..]) => {
            naive_name(rest, name) || naive_name(pattern, after)
        }
        ([b'*', rest @ ..], []) => naive_name(rest, &[]),
        ([a, rest @ ..], [b, after @ ..]) => a == b && naive_name(rest, after),
        _ => false,
    }
}

/// All paths of one to three names that the patterns below tell apart.
fn suffixes() -> Vec<Vec<&'static str>> {
    let mut all = vec![vec![]];
    for _ in 0..3 {
        let longer = all.iter().flat_map(|path: &Vec<_>| {
            ["a", "b", "aa", "ab", "ba", "bb"].map(|name| [&path[..], &[name]].concat())
        });
        all = [longer.collect(), all].concat();
    }
    all.retain(|path| !path.is_empty());
    all
}

proptest! {
    #[test]
    fn matching_agrees_with_the_definition(
        pattern in "(\\*\\*|[ab*]{1,4}|a)(/(\\*\\*|[ab*]{1,4}|b)){0,5}",
        path in "([ab]{1,5}(/[ab]{1,5}){0,6})?",
    ) {
        if let Ok(glob) = pattern.parse::<Glob>() {
            let pattern: Vec<_> = pattern.split('/').collect();
            let names: Vec<_> = segments(&path).collect();
            prop_assert_eq!(glob.matches(&path), naive(&pattern, &names));
        }
    }

    #[test]
    fn reaching_is_that_something_below_matches(
        pattern in "(\\*\\*|[ab]|[ab*]{1,2})(/(\\*\\*|[ab]|[ab*]{1,2})){0,2}",
        directory in "([ab]{1,2}(/[ab]{1,2}){0,3})?",
    ) {
        if let Ok(glob) = pattern.parse::<Glob>() {
            let pattern: Vec<_> = pattern.split('/').collect();
            let names: Vec<_> = segments(&directory).collect();
            let below = suffixes().into_iter().any(|suffix| naive(&pattern, &[&names[..], &suffix].concat()));
            prop_assert_eq!(glob.reaches(&directory), below);
        }
    }

    #[test]
    fn what_is_printed_is_the_same_pattern(text in "(/|//|\\*|\\*\\*|latest|meta-data|\\.|[ -~]|\\PC){0,12}") {
        if let Ok(glob) = text.parse::<Glob>() {
            prop_assert_eq!(glob.to_string().parse::<Glob>(), Ok(glob));
        }
    }
}
