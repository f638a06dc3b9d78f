//! Who asks, as far as it matters for what is asked; and whether the token that came is good.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    attest::Caller,
    imds::{
        outcome::Outcome,
        route::{Resource, Route},
        token::Invalid,
    },
    metadata::{Allow, TokenUse, View},
    pods::{
        Subject,
        binding::{Binding, Missing},
        resolve::{Need, Resolution},
    },
};

use super::{Asked, Seen, Service, Supply};

/// How long a request for a token waits for its pod to become known: whoever has the node's own identity gets a token
/// of the real service. All others get theirs without being known.
const TOKEN_PATIENCE: Duration = Duration::from_millis(300);

impl<S: Supply> Service<S> {
    /// Who asks, after waiting for it as long as the answer may depend on it.
    pub(super) async fn who(&self, asked: Asked<'_>, seen: &mut Seen) -> Resolution {
        let (pod, container) = (asked.caller.pod, asked.caller.container);
        if !matches!(asked.route, Route::Read { .. })
            && let Some(anybody) = self.anybody(seen.pod.as_ref())
        {
            return anybody;
        }
        let (deadline, need) = match asked.route {
            Route::Refused { .. } => (Instant::now(), Need::Role),
            Route::Token(_) => (
                asked.deadline.min(Instant::now() + TOKEN_PATIENCE),
                Need::Role,
            ),
            Route::Read {
                resource, token, ..
            } => (asked.deadline, self.need(resource, *token)),
        };
        let who = self.pods.resolve(pod, container, need, deadline).await;
        match &who {
            Resolution::Decided(subject, _) => seen.pod = Some(Arc::clone(subject)),
            Resolution::Unsure(subject, missing) => {
                seen.pod.clone_from(subject);
                seen.error = Some(missing.to_string());
            }
            Resolution::NotHere => seen.pod = None,
        }
        who
    }

    /// Tokens, and refusals that are the same for all, are everybody's who has not the node's own identity.
    fn anybody(&self, known: Option<&Arc<Subject>>) -> Option<Resolution> {
        let node_role = &self.pods.policy().node_role;
        match known {
            Some(known) if node_role.find(&known.pod).is_none() => {
                let binding = Binding::Nothing(None);
                Some(Resolution::Decided(Arc::clone(known), binding))
            }
            None if node_role.is_nobody() => Some(Resolution::Unsure(None, Missing::Pod)),
            Some(_) | None => None,
        }
    }

    /// What must be known for this. A namespace may want tokens, and may allow paths.
    fn need(&self, resource: &Resource, token: Option<&[u8]>) -> Need {
        let without = View {
            operator: &self.pods.policy().allow,
            namespace: &Allow::default(),
        };
        let must_be_allowed = matches!(resource, Resource::Tree(path) if !without.may_read(path));
        if token.is_none() || must_be_allowed {
            Need::Namespace
        } else {
            Need::Role
        }
    }

    /// Checks the token of a request; says how long it still lives, if there is one.
    pub(super) fn session(
        &self,
        caller: &Caller,
        token: Option<&[u8]>,
        who: &Resolution,
    ) -> Result<Option<u16>, Outcome> {
        let Some(token) = token else {
            return match (self.token_use(who), who) {
                (TokenUse::Optional, _) => Ok(None),
                // Its namespace may not want what the operator wants.
                (TokenUse::Required, Resolution::Unsure(..)) => Err(Outcome::PodUnknown),
                (TokenUse::Required, Resolution::Decided(..) | Resolution::NotHere) => {
                    Err(Outcome::TokenMissing)
                }
            };
        };
        let remaining = self.tokens.verify(caller.pod, token, self.clock.now());
        remaining.map(Some).map_err(|invalid| match (who, invalid) {
            // It may be the real service's token, of a pod that has the node's own identity.
            (Resolution::Unsure(..), _) => Outcome::PodUnknown,
            (_, Invalid::Malformed) => Outcome::TokenMalformed,
            (_, Invalid::Forged) => Outcome::TokenForged,
            (_, Invalid::Expired) => Outcome::TokenExpired,
        })
    }

    /// Whether it needs one. About a pod that is not known nothing is decided.
    fn token_use(&self, who: &Resolution) -> TokenUse {
        let said = match who {
            Resolution::Decided(subject, _) => wants_tokens(subject),
            Resolution::Unsure(..) | Resolution::NotHere => None,
        };
        said.unwrap_or(self.pods.policy().tokens)
    }
}

fn wants_tokens(subject: &Subject) -> Option<TokenUse> {
    subject.namespace.as_ref()?.said().tokens
}
