//! IAM roles by their ARN, `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`, checked as IAM would.

use std::{fmt, ops::Range, str::FromStr, sync::Arc};

/// A role's whole ARN.
///
/// Limits are IAM's: a name of 1 to 64 characters of letters, digits and `_+=,.@-`; a path of at most
/// 512 printable ASCII characters; 12 digits of account.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RoleArn {
    text: Arc<str>,
    partition: Range<usize>,
    account: Range<usize>,
    name: Range<usize>,
}

/// Why a text is no role's ARN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRole {
    /// It is no ARN of a role at all.
    #[error("{0:?} is not an IAM role ARN (arn:PARTITION:iam::ACCOUNT:role/NAME)")]
    Shape(String),
    /// The partition is none of AWS's form.
    #[error("{0:?} names no AWS partition (aws, aws-cn, aws-us-gov, ...)")]
    Partition(String),
    /// The account is not 12 digits.
    #[error("{0:?} has no account of 12 digits")]
    Account(String),
    /// The path has characters that IAM does not take, or too many.
    #[error("{0:?} has a path that IAM does not take (printable ASCII, at most 512 characters)")]
    Path(String),
    /// The name is empty, too long, or has characters that IAM does not take.
    #[error("{0:?} has no role name that IAM takes (1 to 64 of letters, digits and _+=,.@-)")]
    Name(String),
    /// It is a name without an ARN, and there is no base ARN to put before it.
    #[error("{0:?} is a role name; give the whole ARN, or --base-role-arn")]
    NoBase(String),
}

impl RoleArn {
    /// The ARN, whole.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The partition: `aws`, `aws-cn`, and so on.
    pub fn partition(&self) -> &str {
        self.part(&self.partition)
    }

    /// The 12 digits of the account that owns the role.
    pub fn account(&self) -> &str {
        self.part(&self.account)
    }

    /// The name without its path: what the metadata service lists.
    pub fn name(&self) -> &str {
        self.part(&self.name)
    }

    fn part(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }
}

impl FromStr for RoleArn {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        let arn = Arn::split(text).ok_or_else(|| InvalidRole::Shape(text.to_owned()))?;
        let (path, name) = arn.resource.rsplit_once('/').unwrap_or(("", arn.resource));
        if !is_partition(arn.partition) {
            return Err(InvalidRole::Partition(text.to_owned()));
        }
        if !is_account(arn.account) {
            return Err(InvalidRole::Account(text.to_owned()));
        }
        if arn.resource.starts_with('/') || !is_path(path) {
            return Err(InvalidRole::Path(text.to_owned()));
        }
        if !is_name(name) {
            return Err(InvalidRole::Name(text.to_owned()));
        }
        let partition = 4..4 + arn.partition.len();
        let account = partition.end + 6..partition.end + 6 + arn.account.len();
        let name = text.len() - name.len()..text.len();
        // IAM takes the prefix in any case (kube2iam passes it on); the rest is left as written.
        let text = match text.split_at_checked(4) {
            Some((prefix, rest)) if prefix != "arn:" => format!("arn:{rest}").into(),
            _ => text.into(),
        };
        Ok(Self {
            text,
            partition,
            account,
            name,
        })
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What `--base-role-arn` gives: everything of an ARN before the role's name, `/` included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseArn(String);

impl BaseArn {
    /// The role that `role` names: an ARN as it is, else a name (with or without a path) below `base`.
    pub fn resolve(base: Option<&Self>, role: &str) -> Result<RoleArn, InvalidRole> {
        if has_arn_prefix(role) {
            return role.parse();
        }
        let base = base.ok_or_else(|| InvalidRole::NoBase(role.to_owned()))?;
        // kiam's users write a leading slash; no role's path may begin with two.
        format!("{}{}", base.0, role.strip_prefix('/').unwrap_or(role)).parse()
    }
}

impl FromStr for BaseArn {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        // As in kube2iam the final slash may be left out.
        let base = format!("{}/", text.strip_suffix('/').unwrap_or(text));
        let with_slash = match base.strip_suffix(":role/") {
            Some(_) => base.clone(),
            None if base.contains(":role/") => base.clone(),
            None => return Err(InvalidRole::Shape(text.to_owned())),
        };
        format!("{with_slash}x")
            .parse::<RoleArn>()
            .map_err(|error| error.about(text))?;
        Ok(Self(with_slash))
    }
}

impl fmt::Display for BaseArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl InvalidRole {
    /// The same reason, about the text that somebody wrote.
    fn about(self, text: &str) -> Self {
        let text = text.to_owned();
        match self {
            Self::Shape(_) => Self::Shape(text),
            Self::Partition(_) => Self::Partition(text),
            Self::Account(_) => Self::Account(text),
            Self::Path(_) => Self::Path(text),
            Self::Name(_) => Self::Name(text),
            Self::NoBase(_) => Self::NoBase(text),
        }
    }
}

struct Arn<'a> {
    partition: &'a str,
    account: &'a str,
    resource: &'a str,
}

impl<'a> Arn<'a> {
    fn split(text: &'a str) -> Option<Self> {
        if !has_arn_prefix(text) {
            return None;
        }
        let mut fields = text.splitn(6, ':').skip(1);
        let partition = fields.next()?;
        let ("iam", "") = (fields.next()?, fields.next()?) else {
            return None;
        };
        let account = fields.next()?;
        let resource = fields.next()?.strip_prefix("role/")?;
        Some(Self {
            partition,
            account,
            resource,
        })
    }
}

fn has_arn_prefix(text: &str) -> bool {
    text.get(..4)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("arn:"))
}

fn is_partition(text: &str) -> bool {
    text.split('-').next() == Some("aws")
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        && !text.ends_with('-')
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_path(text: &str) -> bool {
    text.len() <= 510 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_base_arn_may_lack_its_slash_and_may_have_a_path() {
        for (text, printed) in [
            (BASE, BASE),
            ("arn:aws:iam::123456789012:role", BASE),
            (
                "arn:aws:iam::123456789012:role/path/to",
                "arn:aws:iam::123456789012:role/path/to/",
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
        ] {
            assert_eq!(text.parse::<BaseArn>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn what_is_no_base_arn_is_refused() {
        for text in [
            "",
            "my-role",
            "arn:aws:s3:::bucket",
            "arn:aws:iam::123456789012:user/u",
            "arn:aws:iam:eu-west-1:123456789012:role/",
            "arn:aws:iam::123456789012:rolefoo",
        ] {
            assert!(text.parse::<BaseArn>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_go_below_the_base_and_arns_stay() {
        let base: BaseArn = BASE.parse().unwrap();
        let resolve = |role: &str| BaseArn::resolve(Some(&base), role).map(|role| role.to_string());
        assert_eq!(resolve("r").unwrap(), format!("{BASE}r"));
        assert_eq!(resolve("/r").unwrap(), format!("{BASE}r"));
        assert_eq!(resolve("path/r").unwrap(), format!("{BASE}path/r"));
        let other = "arn:aws:iam::999999999999:role/r";
        assert_eq!(resolve(other).unwrap(), other);
        assert_eq!(resolve("ARN:aws:iam::999999999999:role/r").unwrap(), other);
        assert!(matches!(resolve(""), Err(InvalidRole::Name(_))));
        assert!(matches!(
            BaseArn::resolve(None, "r"),
            Err(InvalidRole::NoBase(_))
        ));
    }
}
