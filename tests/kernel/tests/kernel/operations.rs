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

/// The marks in brackets, which follow what they back. `[k1 to k3]` stands for three.
fn marks(text: &str) -> Vec<String> {
    let brackets = text.split('[').skip(1).filter_map(|rest| {
        let (inside, behind) = rest.split_once(']')?;
        (!behind.starts_with('(')).then_some(inside)
    });
    let parts = brackets.flat_map(|inside| inside.split(", "));
    parts.flat_map(expanded).collect()
}

fn expanded(part: &str) -> Vec<String> {
    let Some((first, last)) = part.split_once(" to ") else {
        return vec![part.to_owned()];
    };
    let letters = first.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = |mark: &str| -> u32 { mark.strip_prefix(letters).unwrap().parse().unwrap() };
    let all = number(first)..=number(last);
    all.map(|number| format!("{letters}{number}")).collect()
}

/// The rows of the table of events: what happens, what pods get, what is on the node.
fn events() -> Vec<[&'static str; 3]> {
    let table = PAGE.split_once("## Install").expect("a table first").0;
    let rows = table.lines().filter_map(|line| {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
        let cells: Vec<_> = cells.collect();
        Some(<[&str; 3]>::try_from(cells).expect("three cells"))
    });
    rows.filter(|[event, ..]| *event != "event").collect()
}

#[test]
fn every_test_that_is_named_is_there() {
    let mut count = 0;
    let of_tiers = list().flat_map(|(mark, tests)| {
        let tiers = tests.split("; ");
        tiers.map(move |tests| (mark, tests.split_once(": ").expect("a tier and its tests")))
    });
    for (mark, (tier, tests)) in of_tiers {
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
fn every_cell_has_a_mark_and_every_mark_a_test() {
    let listed: BTreeSet<_> = list().map(|(mark, _)| mark.to_owned()).collect();
    let mut used = BTreeSet::new();
    for [event, pods, node] in events() {
        used.extend(marks(event));
        for cell in [pods, node] {
            let marks = marks(cell);
            assert!(!marks.is_empty(), "{event}: {cell}");
            used.extend(marks);
        }
    }
    assert_eq!(used, listed);
}

#[test]
fn a_range_of_marks_is_all_of_them() {
    let text = "a [k9 to k11, l1], [a link](b), b [e2]";
    assert_eq!(marks(text), ["k9", "k10", "k11", "l1", "e2"]);
}
