//! STS: `AssumeRole` with the credentials of the node, and `AssumeRoleWithWebIdentity` with a token of the pod.
//!
//! The AWS SDK finds region, credentials and endpoint as it does for every program: standard variables,
//! profiles, the node's metadata. Always the regional endpoint: the tokens of the global one are not taken
//! everywhere, and not at once. Where STS gives no session as long as is wished, one of an hour is asked for in the
//! same fetch; and no keys are said to live longer than what was asked for, whatever the clocks say. No key, token
//! or signature leaves this module but inside [`Credentials`].

mod assume_role;
mod endpoint;
mod granted;
mod https;
mod lengths;
mod node;
mod partition;
mod policies;
mod reach;
mod refusal;
mod setup;
mod skew;
mod web_identity;

use std::{fmt, sync::Arc};

use crate::clock::Clock;

use super::{
    Credentials, Identity, SessionLength, Source, SourceError, Wanted, web_identity::TokenSource,
};

pub use https::BundleError;
pub use reach::{Answer, Look};
pub use setup::Error;
pub(crate) use skew::{TOLERATED, ahead};

use granted::{Granted, Unusable};
use lengths::{Lengths, Limit, News};
use node::Node;
use refusal::{Circumstances, Refusal};
use skew::Skew;

/// Credentials from STS.
pub struct Sts {
    node: Node,
    region: String,
    clock: Clock,
    skew: Skew,
    lengths: Lengths,
    tokens: Option<Arc<dyn TokenSource>>,
}

/// Why a call gave no session.
enum Failure {
    NoToken(SourceError),
    Refused(Refusal),
}

impl Sts {
    /// The same, with `tokens` for those who show their own.
    #[must_use]
    pub fn with_tokens(self, tokens: Arc<dyn TokenSource>) -> Self {
        Self {
            tokens: Some(tokens),
            ..self
        }
    }

    /// The region whose STS is called.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// A session of `identity`; a shorter one where STS says that it is too long.
    async fn session(&self, identity: &Identity) -> Result<Granted, Failure> {
        let length = self.lengths.of(identity);
        let refusal = match self.call(identity, length).await {
            Err(Failure::Refused(refusal)) => refusal,
            answer => return answer,
        };
        let Some(limit) = refusal.limit().filter(|_| length > SessionLength::HOUR) else {
            return Err(Failure::Refused(refusal));
        };
        if self.lengths.refuse(limit, identity, length) == News::New {
            warn(limit, identity, length);
        }
        self.call(identity, SessionLength::HOUR).await
    }

    /// One call, and what comes with it.
    async fn call(&self, identity: &Identity, length: SessionLength) -> Result<Granted, Failure> {
        let asked = self.clock.now();
        let keys = match &identity.web_identity {
            None => assume_role::call(&self.node, identity, length).await?,
            Some(whose) => {
                let (client, tokens) = (self.node.client(), self.tokens.as_deref());
                web_identity::call(&client, identity, length, whose, tokens).await?
            }
        };
        self.lengths.grant(identity, length);
        Ok(Granted {
            keys,
            length,
            asked,
        })
    }

    fn refused(&self, identity: &Identity, refusal: Refusal) -> SourceError {
        refusal.into_error(&Circumstances {
            identity,
            region: &self.region,
            skew: &self.skew,
        })
    }

    fn unusable(&self, identity: &Identity, why: &Unusable) -> SourceError {
        let clock = match why {
            Unusable::Lack(_) => None,
            Unusable::Ended { .. } => self.skew.told(),
        };
        let clock = clock.map(|told| format!("; {told}")).unwrap_or_default();
        SourceError::Unavailable {
            role: identity.role.clone(),
            message: format!("{why}{clock}"),
        }
    }
}

impl Source for Sts {
    async fn fetch(&self, identity: &Identity) -> Result<Credentials, SourceError> {
        partition::check(&identity.role, &self.region)?;
        match self.session(identity).await {
            Ok(granted) => granted
                .credentials(self.clock.now())
                .map_err(|why| self.unusable(identity, &why)),
            Err(Failure::NoToken(error)) => Err(error),
            Err(Failure::Refused(refusal)) => Err(self.refused(identity, refusal)),
        }
    }

    fn retain(&self, wanted: &Wanted) {
        let roles = wanted.keys().map(|identity| &identity.role);
        self.lengths.retain(&roles.collect());
        if let Some(tokens) = &self.tokens {
            let wanted = wanted.keys();
            tokens.retain(&wanted.filter_map(|one| one.web_identity.as_ref()).collect());
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Says once what nobody would see otherwise: the sessions are fine, and shorter than somebody wished.
fn warn(limit: Limit, identity: &Identity, length: SessionLength) {
    match limit {
        Limit::Chaining => tracing::warn!(
            wish = %length,
            "sessions last an hour: the agent's own keys are a role's, and STS gives no more where one role assumes \
             another (role chaining); for longer ones use --credentials web-identity, or an IAM user for the agent"
        ),
        Limit::Role => tracing::warn!(
            role = %identity.role,
            wish = %length,
            "sessions of this role last an hour: raise its MaxSessionDuration, or wish for less (--session-duration, \
             bpf2iam.io/session-duration)"
        ),
    }
}

impl fmt::Debug for Sts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sts")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
