//! A role as STS knows it, by its ARN.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::random::BASE32;

/// The parts of `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) partition: String,
    pub(super) account: String,
    pub(super) name: String,
}

impl Role {
    /// Reads an ARN; `None` if it is none of a role.
    pub(super) fn parse(arn: &str) -> Option<Self> {
        let fields: Vec<_> = arn.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, resource] = fields[..] else {
            return None;
        };
        let (kind, path) = resource.split_once('/')?;
        let name = path.rsplit('/').next()?;
        let is_role = kind == "role"
            && (partition == "aws" || partition.starts_with("aws-"))
            && account.len() == 12
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && path.bytes().all(|byte| byte.is_ascii_graphic())
            && (1..=64).contains(&name.len())
            && name.chars().all(is_word);
        is_role.then(|| Self {
            arn: arn.to_owned(),
            partition: partition.to_owned(),
            account: account.to_owned(),
            name: name.to_owned(),
        })
    }

    /// What a session of this role is called. The role's path is not in it.
    pub(super) fn session_arn(&self, session: &str) -> String {
        let Self {
            partition,
            account,
            name,
            ..
        } = self;
        format!("arn:{partition}:sts::{account}:assumed-role/{name}/{session}")
    }

    /// `AROA` and 17 characters, always the same for a role.
    pub(super) fn id(&self) -> String {
        let letters = (0_u8..17).filter_map(|place| {
            let mut hasher = DefaultHasher::new();
            (&self.arn, place).hash(&mut hasher);
            let index = hasher.finish().to_le_bytes()[0] % 32;
            BASE32.get(usize::from(index)).copied().map(char::from)
        });
        ["AROA".to_owned(), letters.collect()].concat()
    }
}

/// `[\w+=,.@-]`, of which names of roles and sessions consist.
pub(super) fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_without_the_path() {
        let role = Role::parse("arn:aws-cn:iam::123456789012:role/team/a/my.role+=,@_-x").unwrap();
        assert_eq!(
            role.session_arn("s"),
            "arn:aws-cn:sts::123456789012:assumed-role/my.role+=,@_-x/s"
        );
    }

    #[test]
    fn an_id_belongs_to_one_role() {
        let id = |name| {
            Role::parse(&format!("arn:aws:iam::123456789012:role/{name}"))
                .unwrap()
                .id()
        };
        assert_eq!(id("a").len(), 21);
        assert_eq!(id("a"), id("a"));
        assert_ne!(id("a"), id("b"));
    }

    #[test]
    fn what_is_no_role_is_refused() {
        for arn in [
            "",
            "role",
            "arn:aws:iam::123456789012:user/u",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/path/",
            "arn:aws:iam::123456789012:role/a:b",
            "arn:aws:iam::123456789012:role/a b",
            "arn:aws:iam::12345678901:role/r",
            "arn:aws:iam:eu-west-1:123456789012:role/r",
            "arn:aws:sts::123456789012:role/r",
            "arn:gcp:iam::123456789012:role/r",
        ] {
            assert_eq!(Role::parse(arn), None, "{arn}");
        }
        let long = format!("arn:aws:iam::123456789012:role/{}", "r".repeat(65));
        assert_eq!(Role::parse(&long), None);
    }
}
