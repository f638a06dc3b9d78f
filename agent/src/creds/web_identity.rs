//! The token that proves to STS who a pod is. Who makes it is somebody else's business.
//!
//! It is a [`Secret`] from the moment it is read to the moment it is sent to STS.

use std::{collections::HashSet, fmt, pin::Pin};

use crate::id::{Excerpt, RoleArn};

use super::{Secret, WebIdentity};

/// Makes tokens, and keeps them while they are good.
pub trait TokenSource: fmt::Debug + Send + Sync + 'static {
    /// A token of `whose` that STS should take. It ends by itself within a few seconds.
    fn token<'a>(&'a self, whose: &'a WebIdentity) -> Minting<'a>;

    /// STS did not take `token`: whoever asks next gets another.
    fn refused(&self, whose: &WebIdentity, token: &Secret);

    /// From now on only tokens of `wanted` are needed.
    fn retain(&self, wanted: &HashSet<&WebIdentity>);
}

/// A token, in a while.
pub type Minting<'a> = Pin<Box<dyn Future<Output = Result<Secret, TokenError>> + Send + 'a>>;

/// Why there is no token. In the server's words where it said something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is nobody who makes any.
    #[error("pods come from files here; tokens come from an API server (--pods kube)")]
    NoSource,
    /// We are not allowed to ask for it.
    #[error("{0}")]
    Forbidden(String),
    /// There is another pod of this name by now.
    #[error("the pod is gone, and another one has its name: {0}")]
    OtherPod(String),
    /// There is no such pod any more.
    #[error("the pod is gone: {0}")]
    NoPod(String),
    /// There is no such ServiceAccount.
    #[error("the ServiceAccount does not exist: {0}")]
    NoServiceAccount(String),
    /// The API server does not make such a token: not for this ServiceAccount, audience or life.
    #[error("the API server does not make it: {0}")]
    Refused(String),
    /// The API server was not reached, gave no answer in time, or one that is none.
    #[error("no answer from the API server: {0}")]
    Unavailable(String),
}

impl TokenError {
    /// Whether it will be the same until somebody changes something.
    pub const fn is_final(&self) -> bool {
        match self {
            Self::NoSource
            | Self::Forbidden(_)
            | Self::OtherPod(_)
            | Self::NoPod(_)
            | Self::NoServiceAccount(_)
            | Self::Refused(_) => true,
            Self::Unavailable(_) => false,
        }
    }
}

impl WebIdentity {
    /// What its tokens are about, as trust policies name it.
    pub fn subject(&self) -> String {
        let namespace = self.pod.namespace();
        format!("system:serviceaccount:{namespace}:{}", self.service_account)
    }

    /// What to look at where STS answers an exchange of its token for `role` with the error `code`.
    pub(crate) fn advice(&self, code: &str, role: &RoleArn) -> Option<String> {
        let audience = Excerpt::of(&self.audience);
        match code {
            "AccessDenied" | "AccessDeniedException" | "IDPRejectedClaim" => Some(format!(
                "the role's trust policy must allow sts:AssumeRoleWithWebIdentity to the cluster's OIDC provider, \
                 with sub \"{}\" and aud {audience}",
                self.subject()
            )),
            "InvalidIdentityToken" => Some(format!(
                "account {} needs an IAM OIDC provider for the cluster's issuer, with the audience {audience}, \
                 and the issuer's keys must be public",
                role.account()
            )),
            "ExpiredToken" | "ExpiredTokenException" => Some(
                "a new token was not taken either: compare the API server's clock with STS's"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}
