//! The token of an identity provider: its parts, and what its claims must say.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::clock::spelled;

use super::code::{Code, Refusal};

/// A token, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// With which algorithm it is signed.
    pub(super) algorithm: String,
    /// With which key, if it says so.
    pub(super) key_id: Option<String>,
    /// What is signed.
    pub(super) signed: String,
    pub(super) signature: Vec<u8>,
    claims: Map<String, Value>,
}

impl Token {
    /// Reads a token in compact form: header, claims and signature, with dots between them.
    pub(super) fn parse(token: &str) -> Result<Self, Refusal> {
        Self::read(token).ok_or_else(|| Code::InvalidIdentityToken.into())
    }

    fn read(token: &str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let (header, claims) = (object(header)?, object(claims)?);
        let text = |name| header.get(name).and_then(Value::as_str);
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let token = Self {
            algorithm: text("alg")?.to_owned(),
            key_id: text("kid").map(ToOwned::to_owned),
            signed: signed.to_owned(),
            signature,
            claims,
        };
        (!token.signature.is_empty()).then_some(token)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Token");
        fields.field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// What a token says that is good here and now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) audience: String,
}

impl Claims {
    /// Reads the claims of `token`, which must be for `audience` and not be over at `now`.
    pub(super) fn check(token: &Token, audience: &str, now: Timestamp) -> Result<Self, Refusal> {
        let claims = &token.claims;
        let text = |name: &str| {
            let claim = claims.get(name).and_then(Value::as_str);
            claim.map(ToOwned::to_owned).ok_or_else(|| missing(name))
        };
        let (issuer, subject) = (text("iss")?, text("sub")?);
        check_audience(claims, audience)?;
        check_end(claims, now)?;
        Ok(Self {
            issuer,
            subject,
            audience: audience.to_owned(),
        })
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

fn check_audience(claims: &Map<String, Value>, wanted: &str) -> Result<(), Refusal> {
    let fits = match claims.get("aud").ok_or_else(|| missing("aud"))? {
        Value::String(audience) => audience == wanted,
        Value::Array(audiences) => audiences.iter().any(|audience| audience == wanted),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    };
    let wrong = || Refusal::new(Code::InvalidIdentityToken, "Incorrect token audience");
    fits.then_some(()).ok_or_else(wrong)
}

fn check_end(claims: &Map<String, Value>, now: Timestamp) -> Result<(), Refusal> {
    let ends = claims.get("exp").and_then(Value::as_i64);
    let ends = ends.and_then(|ends| Timestamp::from_second(ends).ok());
    let ends = ends.ok_or_else(|| missing("exp"))?;
    if now < ends {
        return Ok(());
    }
    let message = format!(
        "Token expired: current date/time {} must be before the expiration date/time {}",
        spelled(now),
        spelled(ends)
    );
    Err(Refusal::new(Code::ExpiredTokenException, message))
}

fn missing(claim: &str) -> Refusal {
    let message = format!("Missing a required claim: {claim}");
    Refusal::new(Code::InvalidIdentityToken, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_767_322_800;

    fn token(claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(&json!({"alg": "RS256"})), part(claims))
    }

    fn check(token: &str) -> Result<Claims, Refusal> {
        let now = Timestamp::constant(NOW, 0);
        Claims::check(&Token::parse(token)?, "sts.amazonaws.com", now)
    }

    #[test]
    fn an_audience_may_be_one_or_one_of_several() {
        for audience in [
            json!("sts.amazonaws.com"),
            json!(["other", "sts.amazonaws.com"]),
        ] {
            let claims =
                json!({"iss": "https://oidc", "sub": "system:sa", "aud": audience, "exp": NOW + 1});
            let claims = check(&token(&claims)).unwrap();
            assert_eq!(claims.subject, "system:sa");
            assert_eq!(claims.audience, "sts.amazonaws.com");
        }
    }

    #[test]
    fn wrong_claims_are_refused() {
        let with = |name: &str, value: Value| {
            let mut claims =
                json!({"iss": "i", "sub": "s", "aud": "sts.amazonaws.com", "exp": NOW + 60});
            claims[name] = value;
            check(&token(&claims)).unwrap_err().code
        };
        for (name, value, code) in [
            ("aud", json!("kubernetes"), Code::InvalidIdentityToken),
            ("aud", json!([]), Code::InvalidIdentityToken),
            ("aud", Value::Null, Code::InvalidIdentityToken),
            ("exp", json!(NOW), Code::ExpiredTokenException),
            ("exp", json!("soon"), Code::InvalidIdentityToken),
            ("iss", Value::Null, Code::InvalidIdentityToken),
            ("sub", json!(1), Code::InvalidIdentityToken),
        ] {
            assert_eq!(with(name, value.clone()), code, "{name}: {value}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let good = token(&json!({"iss": "i"}));
        let unsigned = good.strip_suffix("c2ln").unwrap();
        for token in [
            "",
            "abcd",
            "a.b.c",
            "e30.e30.c2ln",
            unsigned,
            &format!("{good}.x"),
        ] {
            let code = check(token).unwrap_err().code;
            assert_eq!(code, Code::InvalidIdentityToken, "{token}");
        }
    }
}
