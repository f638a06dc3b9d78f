//! IAM roles by their ARN, `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`, checked as IAM would.

use std::{borrow::Cow, fmt, ops::Range, str::FromStr, sync::Arc};

use super::Excerpt;

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
    #[error("{0} is not an IAM role ARN (arn:PARTITION:iam::ACCOUNT:role/NAME)")]
    Shape(Excerpt),
    /// The partition is none of AWS's form.
    #[error("{0} names no AWS partition (aws, aws-cn, aws-us-gov, ...)")]
    Partition(Excerpt),
    /// The account is not 12 digits.
    #[error("{0} has no account of 12 digits")]
    Account(Excerpt),
    /// The path has characters that IAM does not take, or too many.
    #[error("{0} has a path that IAM does not take (printable ASCII, at most 512 characters)")]
    Path(Excerpt),
    /// The name is empty, too long, or has characters that IAM does not take.
    #[error("{0} has no role name that IAM takes (1 to 64 of letters, digits and _+=,.@-)")]
    Name(Excerpt),
    /// It is a name without an ARN, and there is no base ARN to put before it.
    #[error("{0} is a role name; give the whole ARN, or --base-role-arn")]
    NoBase(Excerpt),
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
        let arn = Arn::split(text).ok_or_else(|| InvalidRole::Shape(Excerpt::of(text)))?;
        let (path, name) = arn.resource.rsplit_once('/').unwrap_or(("", arn.resource));
        if !is_partition(arn.partition) {
            return Err(InvalidRole::Partition(Excerpt::of(text)));
        }
        if !is_account(arn.account) {
            return Err(InvalidRole::Account(Excerpt::of(text)));
        }
        if arn.resource.starts_with('/') || !is_path(path) {
            return Err(InvalidRole::Path(Excerpt::of(text)));
        }
        if !is_name(name) {
            return Err(InvalidRole::Name(Excerpt::of(text)));
        }
        let partition = 4..4 + arn.partition.len();
        let account = partition.end + 6..partition.end + 6 + arn.account.len();
        let name = text.len() - name.len()..text.len();
        // The rest is left as written.
        let text = lower_arn_prefix(text).map_or_else(|| text.into(), Arc::from);
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
        let base = base.ok_or_else(|| InvalidRole::NoBase(Excerpt::of(role)))?;
        // kiam's users write a leading slash; no role's path may begin with two.
        format!("{}{}", base.0, role.strip_prefix('/').unwrap_or(role)).parse()
    }

    /// The ARN's text, which ends with `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 12 digits of the account.
    pub fn account(&self) -> &str {
        self.0.split(':').nth(4).unwrap_or_default()
    }

    /// What comes after it in the ARN of `role`, if that is below it.
    pub fn strip<'a>(&self, role: &'a RoleArn) -> Option<&'a str> {
        role.as_str().strip_prefix(self.as_str())
    }
}

impl FromStr for BaseArn {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        // As in kube2iam the final slash may be left out.
        let base = format!("{}/", text.strip_suffix('/').unwrap_or(text));
        if !base.contains(":role/") {
            return Err(InvalidRole::Shape(Excerpt::of(text)));
        }
        let below = format!("{base}x").parse::<RoleArn>();
        let below = below.map_err(|error| error.about(text))?;
        Ok(Self(below.as_str().trim_end_matches('x').to_owned()))
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
        let text = Excerpt::of(text);
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
    lower_arn_prefix(text).is_some()
}

/// `text` with `arn:` in lower case, if that is how it begins: kube2iam's users may write it in any.
pub(crate) fn lower_arn_prefix(text: &str) -> Option<Cow<'_, str>> {
    let (prefix, rest) = text.split_at_checked("arn:".len())?;
    match prefix {
        "arn:" => Some(Cow::Borrowed(text)),
        _ if prefix.eq_ignore_ascii_case("arn:") => Some(Cow::Owned(format!("arn:{rest}"))),
        _ => None,
    }
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
mod tests;
