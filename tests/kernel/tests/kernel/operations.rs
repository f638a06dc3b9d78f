//! The table of events in docs/operations.md is backed by tests that there are.

use std::{collections::BTreeSet, fs};

const PAGE: &str = include_str!("../../../../docs/operations.md");

/// The lines of the list of tests: a mark, and the tests behind it.
fn list() -> impl Iterator<Item = (&'static str, &'static str)> {
    let list = PAGE.split_once("## The tests").expect("a list of tests").1;
    list.lines().filter_map(|line| {
        let (mark, tests) = line.strip_prefix("| ")?.split_once(" | ")?;
        tests.contains("::").then_some((mark, tests))
    })
}

/// The marks in brackets, which follow what they back.
fn marks(page: &str) -> BTreeSet<String> {
    let brackets = page.split('[').skip(1).filter_map(|rest| {
        let (inside, behind) = rest.split_once(']')?;
        (!behind.starts_with('(')).then_some(inside)
    });
    brackets
        .flat_map(|inside| inside.split([',', ' ']))
        .filter(|word| !word.is_empty() && *word != "to")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_test_that_is_named_is_there() {
    let mut count = 0;
    for (mark, tests) in list() {
        let tier = if tests.starts_with("api") {
            "api"
        } else {
            "kernel"
        };
        for name in tests.split('`').filter(|part| part.contains("::")) {
            let (module, test) = name.split_once("::").unwrap();
            let path = format!(
                "{}/../{tier}/tests/{tier}/{module}.rs",
                env!("CARGO_MANIFEST_DIR")
            );
            let source = fs::read_to_string(&path).unwrap_or_default();
            assert!(source.contains(&format!("fn {test}(")), "{mark}: {name}");
            count += 1;
        }
    }
    assert!(count > 25, "{count}");
}

#[test]
fn every_mark_has_a_test() {
    let table = PAGE.split_once("## Install").expect("a table first").0;
    let listed: BTreeSet<_> = list().map(|(mark, _)| mark.to_owned()).collect();
    let used = marks(table);
    assert!(used.len() > 20, "{used:?}");
    assert_eq!(
        used.difference(&listed).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
}
