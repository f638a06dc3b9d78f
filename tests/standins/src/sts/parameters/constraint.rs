//! Constraints of single parameters, and what STS says when one is not met.

use std::{fmt::Display, ops::RangeInclusive};

use crate::sts::{
    code::{Code, Refusal},
    protocol::Form,
};

/// What a text must be like.
pub(super) struct Text {
    name: &'static str,
    shortest: usize,
    longest: usize,
    letter: fn(char) -> bool,
    pattern: &'static str,
}

impl Text {
    /// Any text of this length, in characters.
    pub(super) const fn any(name: &'static str, shortest: usize, longest: usize) -> Self {
        Self::of(name, shortest, longest, |_| true, "")
    }

    /// A text of this length that consists of such letters.
    pub(super) const fn of(
        name: &'static str,
        shortest: usize,
        longest: usize,
        letter: fn(char) -> bool,
        pattern: &'static str,
    ) -> Self {
        Self {
            name,
            shortest,
            longest,
            letter,
            pattern,
        }
    }

    /// The parameter, which must be there.
    pub(super) fn required<'a>(&self, form: &'a Form) -> Result<&'a str, Refusal> {
        let value = self.optional(form)?;
        value.ok_or_else(|| refuse("null", self.name, "Member must not be null"))
    }

    /// The parameter, if it is there.
    pub(super) fn optional<'a>(&self, form: &'a Form) -> Result<Option<&'a str>, Refusal> {
        let value = form.get(self.name);
        value.map(|value| self.check(value)).transpose()
    }

    /// A value of this kind.
    pub(super) fn check<'a>(&self, value: &'a str) -> Result<&'a str, Refusal> {
        let refuse = |must: String| Err(refuse(&format!("'{value}'"), self.name, &must));
        let length = value.chars().count();
        if length < self.shortest {
            let least = self.shortest;
            return refuse(format!(
                "Member must have length greater than or equal to {least}"
            ));
        }
        if length > self.longest {
            let most = self.longest;
            return refuse(format!(
                "Member must have length less than or equal to {most}"
            ));
        }
        if !value.chars().all(self.letter) {
            let pattern = self.pattern;
            return refuse(format!(
                "Member must satisfy regular expression pattern: {pattern}"
            ));
        }
        Ok(value)
    }
}

/// A whole number within `range`, if it is there.
pub(super) fn number(
    form: &Form,
    name: &str,
    range: RangeInclusive<u32>,
) -> Result<Option<u32>, Refusal> {
    let Some(text) = form.get(name) else {
        return Ok(None);
    };
    let refuse = |must: String| refuse(&format!("'{text}'"), name, &must);
    let number: i64 = text
        .parse()
        .map_err(|_no_number| refuse("Member must be an integer".to_owned()))?;
    let (least, most) = (range.start(), range.end());
    if number < i64::from(*least) {
        return Err(refuse(format!(
            "Member must have value greater than or equal to {least}"
        )));
    }
    match u32::try_from(number) {
        Ok(number) if range.contains(&number) => Ok(Some(number)),
        _ => Err(refuse(format!(
            "Member must have value less than or equal to {most}"
        ))),
    }
}

/// A list that is too long.
pub(super) fn too_many(list: &str, most: impl Display) -> Refusal {
    refuse(
        "[...]",
        list,
        &format!("Member must have length less than or equal to {most}"),
    )
}

fn refuse(value: &str, name: &str, must: &str) -> Refusal {
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    let name: String = first.into_iter().chain(letters).collect();
    let message = format!(
        "1 validation error detected: Value {value} at '{name}' failed to satisfy constraint: {must}"
    );
    Refusal::new(Code::ValidationError, message)
}
