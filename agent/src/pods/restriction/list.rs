//! The entries of one annotation, ready to be held against roles.

use regex::bytes::RegexSet;

use crate::id::{BaseArn, Excerpt, RoleArn};

use super::{
    Annotation, Invalid, Rules,
    glob::Glob,
    invalid::{LONGEST, MOST},
    pattern::{Matcher, Pattern, compile_all},
};

/// The entries of one annotation.
#[derive(Clone, Debug)]
pub(super) struct List {
    entries: Box<[Box<str>]>,
    base: Option<BaseArn>,
    below: Patterns,
    whole: Patterns,
}

/// What is held against the same text. Entries are known by their numbers.
#[derive(Clone, Debug, Default)]
struct Patterns {
    globs: Box<[(usize, Glob)]>,
    numbers: Box<[usize]>,
    expressions: Option<RegexSet>,
}

impl List {
    /// kube2iam's list of allowed roles.
    pub(super) fn allowed(text: &str, rules: &Rules) -> Result<Self, Invalid> {
        let entries = parse(text)?;
        let patterns = entries
            .iter()
            .map(|entry| Pattern::allowed(entry, rules))
            .collect::<Result<Vec<_>, _>>()?;
        Self::new(Annotation::Allowed, entries, patterns, rules)
    }

    /// kiam's expression of permitted roles.
    pub(super) fn permitted(text: &str, rules: &Rules) -> Result<Self, Invalid> {
        bounded(Annotation::Permitted, text)?;
        let entries = match text {
            "" => Vec::new(),
            _ => vec![text.to_owned()],
        };
        let patterns = entries
            .iter()
            .map(|text| Pattern::permitted(text, rules.compat).map(Some))
            .collect::<Result<Vec<_>, _>>()?;
        Self::new(Annotation::Permitted, entries, patterns, rules)
    }

    fn new(
        annotation: Annotation,
        entries: Vec<String>,
        patterns: Vec<Option<Pattern>>,
        rules: &Rules,
    ) -> Result<Self, Invalid> {
        let (mut below, mut whole) = (Vec::new(), Vec::new());
        for (number, pattern) in patterns.into_iter().enumerate() {
            match pattern {
                Some(Pattern::Below(matcher)) => below.push((number, matcher)),
                Some(Pattern::Whole(matcher)) => whole.push((number, matcher)),
                None => {}
            }
        }
        let too_much = || Invalid::TooMuch(annotation);
        Ok(Self {
            below: Patterns::new(below).ok_or_else(too_much)?,
            whole: Patterns::new(whole).ok_or_else(too_much)?,
            base: rules.base_arn.clone(),
            entries: entries.into_iter().map(String::into_boxed_str).collect(),
        })
    }

    /// The entries as they were written.
    pub(super) fn entries(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(Box::as_ref)
    }

    /// An entry that matches `role`, as it was written.
    pub(super) fn find(&self, role: &RoleArn) -> Option<&str> {
        let below = self.base.as_ref().and_then(|base| base.strip(role));
        let number = below
            .and_then(|name| self.below.find(name))
            .or_else(|| self.whole.find(role.as_str()))?;
        self.entries.get(number).map(Box::as_ref)
    }
}

impl Patterns {
    /// All of `matchers`, if there is room for their expressions.
    fn new(matchers: Vec<(usize, Matcher)>) -> Option<Self> {
        let (mut globs, mut numbers, mut expressions) = (Vec::new(), Vec::new(), Vec::new());
        for (number, matcher) in matchers {
            match matcher {
                Matcher::Glob(glob) => globs.push((number, glob)),
                Matcher::Expression(expression) => {
                    numbers.push(number);
                    expressions.push(expression);
                }
            }
        }
        let expressions = match expressions.as_slice() {
            [] => None,
            some => Some(compile_all(some)?),
        };
        Some(Self {
            globs: globs.into(),
            numbers: numbers.into(),
            expressions,
        })
    }

    /// The number of an entry that matches `text`.
    fn find(&self, text: &str) -> Option<usize> {
        let mut globs = self.globs.iter();
        if let Some((number, _)) = globs.find(|(_, glob)| glob.matches(text)) {
            return Some(*number);
        }
        let matches = self.expressions.as_ref()?.matches(text.as_bytes());
        let place = matches.iter().next()?;
        self.numbers.get(place).copied()
    }
}

/// The strings of a JSON list. As in kube2iam, an empty text is an empty list.
fn parse(text: &str) -> Result<Vec<String>, Invalid> {
    bounded(Annotation::Allowed, text)?;
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let entries: Vec<String> = serde_json::from_str(text).map_err(|error| Invalid::Json {
        text: Excerpt::of(text),
        line: error.line(),
        column: error.column(),
    })?;
    match entries.len() {
        0..=MOST => Ok(entries),
        many => Err(Invalid::TooMany(many)),
    }
}

fn bounded(annotation: Annotation, text: &str) -> Result<(), Invalid> {
    if text.len() > LONGEST {
        return Err(Invalid::TooLong(annotation));
    }
    Ok(())
}
