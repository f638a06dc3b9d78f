//! Session policies: they take rights away from a session, and never give any.

use std::sync::Arc;

use serde_json::Value;

use crate::id::{Excerpt, RoleArn};

/// Characters of the inline policy and of all ARNs together that STS takes.
const CHARACTERS: usize = 2048;

/// So many managed policies a session has at the most.
const MOST: usize = 10;

/// The policies of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Policies {
    inline: Option<Arc<str>>,
    arns: Option<Arc<[Arc<str>]>>,
}

/// Policies that STS does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicies {
    /// No JSON object.
    #[error("the session policy is no JSON object: {0}")]
    Json(String),
    /// No `Statement` in it.
    #[error("the session policy has no Statement")]
    NoStatement,
    /// A character beyond U+00FF, or a control character.
    #[error("a session policy has a character that STS does not take: {char}", char = .0.escape_default())]
    Character(char),
    /// Longer than STS takes.
    #[error(
        "session policies of {0} characters are longer than the {CHARACTERS} that STS takes, their ARNs included"
    )]
    TooLong(usize),
    /// Longer than STS takes, and nobody knows by how much: the end is not here.
    #[error(
        "session policies of more than {CHARACTERS} characters, which STS does not take, their ARNs included"
    )]
    Cut,
    /// More managed policies than there may be.
    #[error("{0} managed session policies are more than the {MOST} that STS takes")]
    TooMany(usize),
    /// Commas and nothing between them.
    #[error("it names no managed policy; give ARNs such as arn:aws:iam::123456789012:policy/NAME")]
    NoArn,
    /// No ARN of a managed policy.
    #[error("{0} is no ARN of a managed policy, such as arn:aws:iam::123456789012:policy/NAME")]
    Arn(Excerpt),
    /// A policy of somebody else.
    #[error(
        "{arn} is a policy of account {account}; STS takes those of the role's account and of AWS only"
    )]
    Account {
        /// The policy.
        arn: Excerpt,
        /// Its account.
        account: Excerpt,
    },
}

impl Policies {
    /// Checks what a pod says: an inline policy in JSON, and ARNs of managed policies with commas or blanks between
    /// them. `role` is what they are for. An empty text says nothing.
    pub fn new(
        inline: Option<&str>,
        arns: Option<&str>,
        role: &RoleArn,
    ) -> Result<Self, InvalidPolicies> {
        let said = |text: Option<&str>| {
            text.map(str::to_owned)
                .filter(|text| !text.trim().is_empty())
        };
        let (inline, arns) = (said(inline), said(arns).unwrap_or_default());
        if let Some(inline) = &inline {
            check_inline(inline)?;
        }
        let arns = match arns.as_str() {
            "" => Vec::new(),
            arns => checked_arns(arns, role)?,
        };
        let all = inline
            .iter()
            .map(String::as_str)
            .chain(arns.iter().copied());
        let length = all.map(|text| text.chars().count()).sum();
        if length > CHARACTERS {
            return Err(InvalidPolicies::TooLong(length));
        }
        Ok(Self {
            inline: inline.map(Arc::from),
            arns: (!arns.is_empty()).then(|| arns.into_iter().map(Arc::from).collect()),
        })
    }

    /// What is wrong with `text`, the beginning of one that is longer than STS takes.
    pub fn refusal_of_cut(text: &str) -> InvalidPolicies {
        check_characters(text).err().unwrap_or(InvalidPolicies::Cut)
    }

    /// The inline policy.
    pub fn inline(&self) -> Option<&str> {
        self.inline.as_deref()
    }

    /// The managed policies.
    pub fn arns(&self) -> impl ExactSizeIterator<Item = &str> {
        self.arns
            .as_deref()
            .unwrap_or_default()
            .iter()
            .map(|arn| &**arn)
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.inline.is_none() && self.arns.is_none()
    }
}

fn check_inline(policy: &str) -> Result<(), InvalidPolicies> {
    check_characters(policy)?;
    let length = policy.chars().count();
    if length > CHARACTERS {
        return Err(InvalidPolicies::TooLong(length));
    }
    match serde_json::from_str::<Value>(policy) {
        // How it is spelt, and what stands in it, STS decides.
        Ok(Value::Object(policy)) => policy
            .keys()
            .any(|key| key.eq_ignore_ascii_case("Statement"))
            .then_some(())
            .ok_or(InvalidPolicies::NoStatement),
        Ok(_) => Err(InvalidPolicies::Json(
            "it is another kind of value".to_owned(),
        )),
        Err(error) => Err(InvalidPolicies::Json(error.to_string())),
    }
}

/// spec: STS's API reference, `Policy`: tab, line feed, carriage return, and U+0020 to U+00FF.
fn check_characters(text: &str) -> Result<(), InvalidPolicies> {
    let is_legal = |letter: char| matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{ff}');
    match text.chars().find(|letter| !is_legal(*letter)) {
        Some(letter) => Err(InvalidPolicies::Character(letter)),
        None => Ok(()),
    }
}

/// The ARNs in `text`, which is more than blanks.
fn checked_arns<'a>(text: &'a str, role: &RoleArn) -> Result<Vec<&'a str>, InvalidPolicies> {
    let arns: Vec<_> = text
        .split(|letter: char| letter == ',' || letter.is_ascii_whitespace())
        .filter(|arn| !arn.is_empty())
        .collect();
    match arns.len() {
        0 => return Err(InvalidPolicies::NoArn),
        1..=MOST => {}
        many => return Err(InvalidPolicies::TooMany(many)),
    }
    for arn in &arns {
        check_arn(arn, role)?;
    }
    Ok(arns)
}

/// `arn:PARTITION:iam::ACCOUNT:policy/NAME`, of the role's account or AWS's own (`aws`).
fn check_arn(arn: &str, role: &RoleArn) -> Result<(), InvalidPolicies> {
    let invalid = || InvalidPolicies::Arn(Excerpt::of(arn));
    let mut parts = arn.splitn(6, ':');
    let mut next = || parts.next().ok_or_else(invalid);
    let head = [next()?, next()?, next()?, next()?];
    let (account, resource) = (next()?, next()?);
    let name = resource.strip_prefix("policy/").unwrap_or_default();
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_/-".contains(&byte);
    if head != ["arn", role.partition(), "iam", ""]
        || name.is_empty()
        || !name.bytes().all(is_legal)
    {
        return Err(invalid());
    }
    if account != "aws" && account != role.account() {
        return Err(InvalidPolicies::Account {
            arn: Excerpt::of(arn),
            account: Excerpt::of(account),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;
    const ARN: &str = "arn:aws:iam::123456789012:policy/team/read-only";

    fn role() -> RoleArn {
        "arn:aws:iam::123456789012:role/app".parse().unwrap()
    }

    fn refused(inline: Option<&str>, arns: Option<&str>) -> InvalidPolicies {
        Policies::new(inline, arns, &role()).unwrap_err()
    }

    #[test]
    fn nothing_and_blanks_say_nothing() {
        for text in [None, Some(""), Some("  \n")] {
            let policies = Policies::new(text, text, &role()).unwrap();
            assert!(policies.is_empty(), "{text:?}");
            assert_eq!(policies, Policies::default());
        }
    }

    #[test]
    fn policies_are_passed_on_as_they_are_written() {
        let arns = format!(" {ARN},arn:aws:iam::aws:policy/ReadOnlyAccess\n");
        let policies = Policies::new(Some(POLICY), Some(&arns), &role()).unwrap();
        assert_eq!(policies.inline(), Some(POLICY));
        let arns: Vec<_> = policies.arns().collect();
        assert_eq!(arns, [ARN, "arn:aws:iam::aws:policy/ReadOnlyAccess"]);
        assert!(!policies.is_empty());
    }

    #[test]
    fn what_is_no_policy_is_refused_before_sts_sees_it() {
        for text in [
            "{",
            "[]",
            "\"x\"",
            "{} {}",
            "null",
            "{a}",
            "[".repeat(2000).as_str(),
        ] {
            let refused = refused(Some(text), None);
            assert!(
                matches!(refused, InvalidPolicies::Json(_)),
                "{text}: {refused}"
            );
        }
        for text in [
            "{}",
            r#"{"Version":"2012-10-17"}"#,
            r#"{"a":{"Statement":[]}}"#,
        ] {
            assert_eq!(refused(Some(text), None), InvalidPolicies::NoStatement);
        }
        // What is wrong in itself comes before what is too long.
        for text in ["{\"Sid\":\"\u{20ac}\"}", &"\u{20ac}".repeat(3000)] {
            let refused = refused(Some(text), None);
            assert_eq!(refused, InvalidPolicies::Character('\u{20ac}'));
            assert!(refused.to_string().is_ascii(), "{refused}");
        }
    }

    #[test]
    fn a_text_of_commas_is_no_text_that_says_nothing() {
        for text in [",", " , ", ",\n,"] {
            let refused = refused(Some(POLICY), Some(text));
            assert_eq!(refused, InvalidPolicies::NoArn, "{text:?}");
        }
    }

    #[test]
    fn what_was_cut_is_too_long_or_wrong_anyway() {
        for (text, reason) in [
            ("x".repeat(4097), InvalidPolicies::Cut),
            ("\u{e9}".repeat(2049), InvalidPolicies::Cut),
            (
                "\u{20ac}".repeat(1366),
                InvalidPolicies::Character('\u{20ac}'),
            ),
        ] {
            assert_eq!(Policies::refusal_of_cut(&text), reason);
        }
    }

    #[test]
    fn what_is_no_managed_policy_of_the_roles_account_is_refused() {
        for arn in [
            "ReadOnlyAccess",
            "arn:aws:iam::123456789012:role/app",
            "arn:aws:iam::123456789012:policy/",
            "arn:aws-cn:iam::123456789012:policy/p",
            "arn:aws:iam:eu-west-1:123456789012:policy/p",
            "arn:aws:iam::123456789012:policy/a*",
        ] {
            assert_eq!(
                refused(None, Some(arn)),
                InvalidPolicies::Arn(Excerpt::of(arn))
            );
        }
        let foreign = "arn:aws:iam::999999999999:policy/p";
        assert!(matches!(
            refused(None, Some(foreign)),
            InvalidPolicies::Account { .. }
        ));
    }

    #[test]
    fn the_limits_of_sts_hold_for_all_together() {
        let arns = [ARN; 11].join(",");
        assert_eq!(refused(None, Some(&arns)), InvalidPolicies::TooMany(11));
        let long = |length: usize| format!("{POLICY}{}", " ".repeat(length - POLICY.len()));
        assert!(Policies::new(Some(&long(2048)), None, &role()).is_ok());
        assert_eq!(
            refused(Some(&long(2049)), None),
            InvalidPolicies::TooLong(2049)
        );
        let both = refused(Some(&long(2048)), Some(ARN));
        assert_eq!(both, InvalidPolicies::TooLong(2048 + ARN.len()));
    }
}
