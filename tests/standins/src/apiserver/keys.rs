//! The key that tokens of ServiceAccounts are signed with. It is made at start, and nobody else has it. Another may take
//! its place.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use crate::shared::Shared;

/// What is before the point in the DER of a P-256 public key.
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Signs tokens, with one key at a time.
pub(super) struct Signer(Shared<Key>);

impl Signer {
    /// Makes a new key.
    pub(super) fn new() -> Self {
        Self(Shared::new(Key::new()))
    }

    /// From now on there is another key, and the old one is nobody's.
    pub(super) fn rotate(&self) {
        self.0.with(|key| *key = Key::new());
    }

    /// The token with these claims.
    pub(super) fn sign(&self, claims: &Value) -> String {
        self.0.with(|key| key.sign(claims))
    }

    /// The public key, as a set of keys.
    pub(super) fn jwks(&self) -> Value {
        self.0.with(|key| key.jwks())
    }
}

/// A key for ES256.
struct Key {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    id: String,
}

impl Key {
    fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::generate_pkcs8(algorithm, &random)
            .ok()
            .and_then(|key| EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).ok())
            .expect("a key that was just made is a good one");
        // As Kubernetes names its keys: the hash of the public key's DER.
        let der = [&SPKI, pair.public_key().as_ref()].concat();
        let id = URL_SAFE_NO_PAD.encode(digest(&SHA256, &der));
        Self { pair, random, id }
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "kid": self.id});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self
            .pair
            .sign(&self.random, signed.as_bytes())
            .expect("a P-256 key signs everything while the system has randomness");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn jwks(&self) -> Value {
        // A point is 4, then x and y in 32 bytes each.
        let point = self.pair.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at(32);
        json!({"keys": [{
            "use": "sig", "kty": "EC", "alg": "ES256", "crv": "P-256", "kid": self.id,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        }]})
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0.with(|key| key.id.clone());
        let mut fields = f.debug_struct("Signer");
        fields.field("id", &id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key that a token names.
    fn key_of(token: &str) -> Value {
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap());
        serde_json::from_slice::<Value>(&header.unwrap()).unwrap()["kid"].take()
    }

    #[test]
    fn a_key_that_was_replaced_is_in_no_set_and_signs_nothing_any_more() {
        let signer = Signer::new();
        let (old, token) = (signer.jwks(), signer.sign(&json!({})));
        assert_eq!(key_of(&token), old["keys"][0]["kid"]);
        signer.rotate();
        let (new, token) = (signer.jwks(), signer.sign(&json!({})));
        assert_eq!(key_of(&token), new["keys"][0]["kid"]);
        assert_ne!(old["keys"][0]["kid"], new["keys"][0]["kid"]);
        assert_eq!(new["keys"].as_array().unwrap().len(), 1);
    }
}
