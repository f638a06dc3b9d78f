//! Trust policies of roles, as far as web identities go: which subjects may assume which role.

use std::{fmt, str::FromStr};

use crate::pattern::looks_like;

/// Subjects that may assume a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The role's ARN.
    pub role: String,
    /// The subject of the token; `*` stands for anything.
    pub subject: String,
}

/// A text that is not `ROLE_ARN=SUBJECT`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not ROLE_ARN=SUBJECT")]
pub struct InvalidTrust(String);

impl Trust {
    /// `subject` may assume `role`.
    pub fn new(role: impl Into<String>, subject: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            subject: subject.into(),
        }
    }
}

/// Whether `subject` may assume `role`.
pub(super) fn allows(policies: &[Trust], role: &str, subject: &str) -> bool {
    let mut of_role = policies
        .iter()
        .filter(|trust| trust.role == role)
        .peekable();
    of_role.peek().is_none() || of_role.any(|trust| looks_like(&trust.subject, subject))
}

impl FromStr for Trust {
    type Err = InvalidTrust;

    fn from_str(text: &str) -> Result<Self, InvalidTrust> {
        // A role's name may have an equals sign in it; a subject of Kubernetes has none.
        match text.rsplit_once('=') {
            Some((role, subject)) if !role.is_empty() && !subject.is_empty() => {
                Ok(Self::new(role, subject))
            }
            _ => Err(InvalidTrust(text.to_owned())),
        }
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.role, self.subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_is_named_is_for_its_subjects_only() {
        let policies = [
            Trust::new("app", "system:serviceaccount:shop:web"),
            Trust::new("app", "system:serviceaccount:dev:*"),
        ];
        for (role, subject, allowed) in [
            ("app", "system:serviceaccount:shop:web", true),
            ("app", "system:serviceaccount:shop:web2", false),
            ("app", "system:serviceaccount:dev:any", true),
            ("app", "system:serviceaccount:dev", false),
            ("other", "anybody", true),
        ] {
            assert_eq!(
                allows(&policies, role, subject),
                allowed,
                "{role} {subject}"
            );
        }
    }

    #[test]
    fn trust_prints_as_it_is_written() {
        let text = "arn:aws:iam::123456789012:role/a=b=system:serviceaccount:shop:web";
        let trust: Trust = text.parse().unwrap();
        assert_eq!(trust.role, "arn:aws:iam::123456789012:role/a=b");
        assert_eq!(trust.to_string(), text);
        for wrong in ["", "role", "=subject", "role="] {
            assert!(wrong.parse::<Trust>().is_err(), "{wrong}");
        }
    }
}
