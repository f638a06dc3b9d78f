//! The identity provider whose tokens stand for roles, as the account knows it.

use jiff::Timestamp;

use super::{
    code::{Code, Refusal},
    jwt::{Claims, Token},
    keys::{KeySet, KeySource},
    trust::{self, Trust},
};

/// What the account knows of its provider.
pub(super) struct Provider {
    pub(super) keys: Option<KeySource>,
    pub(super) issuer: Option<String>,
    pub(super) audience: String,
    pub(super) trust: Vec<Trust>,
}

impl Provider {
    /// The provider's keys at this moment; none where no signature is checked.
    pub(super) async fn keys(&self) -> Result<Option<KeySet>, Refusal> {
        let Some(source) = &self.keys else {
            return Ok(None);
        };
        let unreachable = |error| Refusal::new(Code::IdpCommunicationError, format!("{error}"));
        source.load().await.map(Some).map_err(unreachable)
    }

    /// Whom `token` stands for, if it may assume `role`.
    pub(super) fn check(
        &self,
        token: &str,
        role: &str,
        keys: Option<&KeySet>,
        now: Timestamp,
    ) -> Result<Claims, Refusal> {
        let token = Token::parse(token)?;
        if let Some(keys) = keys {
            keys.check(&token)?;
        }
        let claims = Claims::check(&token, &self.audience, now)?;
        let known = self
            .issuer
            .as_ref()
            .is_none_or(|known| *known == claims.issuer);
        if !known {
            let issuer = &claims.issuer;
            let message = format!("No OpenIDConnect provider found in your account for {issuer}");
            return Err(Refusal::new(Code::InvalidIdentityToken, message));
        }
        if !trust::allows(&self.trust, role, &claims.subject) {
            return Err(not_authorized());
        }
        Ok(claims)
    }
}

/// The role does not trust whoever asks.
pub(super) fn not_authorized() -> Refusal {
    let message = "Not authorized to perform sts:AssumeRoleWithWebIdentity";
    Refusal::new(Code::AccessDenied, message)
}
