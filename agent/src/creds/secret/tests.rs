use std::{hint, io::Write as _, process};

use bpf2iam_support::memory::{self, Needle};

use super::*;

const LENGTH: usize = 256;

/// A text that nobody else has, and what to find each part of it with.
fn unheard_of() -> (String, Vec<Needle>) {
    let letters = (0..LENGTH).map(|_| char::from(rand::random_range(b'a'..=b'z')));
    let mut text = String::with_capacity(4 * LENGTH);
    text.extend(letters);
    let needles = text.as_bytes().chunks(64).map(Needle::new).collect();
    (text, needles)
}

/// Where this process has one of `needles`.
fn found(needles: &[Needle]) -> Vec<String> {
    let find = |needle| memory::find(process::id(), needle).unwrap();
    needles.iter().flat_map(find).collect()
}

#[track_caller]
fn assert_once(needles: &[Needle]) {
    assert_eq!(found(needles).len(), needles.len(), "one copy of each part");
}

#[track_caller]
fn assert_gone(needles: &[Needle]) {
    assert_eq!(found(needles), Vec::<String>::new());
}

fn draft(text: &str) -> Draft {
    let mut draft = Draft::with_capacity(16);
    draft.write_all(text.as_bytes()).unwrap();
    draft
}

#[test]
fn a_secret_is_not_printed() {
    let text = "wJalrXUtnFEMI";
    assert_eq!(format!("{:?}", Secret::new(text)), "<secret>");
    assert_eq!(format!("{:?}", draft(text)), "<secret>");
    let derived = Derived::default();
    derived.get_or_make(|| draft(text));
    assert_eq!(format!("{derived:?}"), "<secret>");
}

#[test]
fn a_secret_and_all_that_it_was_made_of_are_wiped_when_the_last_clone_goes() {
    let (text, needles) = unheard_of();
    assert!(text.len() < text.capacity(), "to make it fit would copy it");
    let secret = Secret::new(text);
    let clone = secret.clone();
    drop(secret);
    assert_once(&needles);
    assert_eq!(clone.expose().len(), LENGTH);
    drop(clone);
    assert_gone(&needles);
}

#[test]
fn a_draft_that_grows_leaves_nothing_behind() {
    let (text, needles) = unheard_of();
    let text = Zeroizing::new(text);
    let mut draft = Draft::with_capacity(0);
    let mut neighbours = Vec::new(); // so that it does not grow where it is
    for part in text.as_bytes().chunks(20) {
        draft.write_all(part).unwrap();
        neighbours.push(vec![0_u8; 2000]);
    }
    drop(text);
    assert_once(&needles);
    drop(draft);
    assert_gone(&needles);
}

#[test]
fn what_is_derived_is_not_copied_and_goes_with_the_last_one_who_has_it() {
    let (text, needles) = unheard_of();
    let text = Zeroizing::new(text);
    let derived = Derived::default();
    let held = derived.get_or_make(|| draft(&text));
    drop(text);
    drop(derived);
    let part = held.slice(1..);
    drop(held);
    assert_once(&needles);
    hint::black_box(&part);
    drop(part);
    assert_gone(&needles);
}

#[test]
fn what_is_derived_is_made_once_and_makes_no_difference() {
    let derived = Derived::default();
    assert_eq!(derived.get_or_make(|| draft("first")), "first");
    assert_eq!(derived.get_or_make(|| draft("second")), "first");
    assert_eq!(derived, Derived::default());
}
