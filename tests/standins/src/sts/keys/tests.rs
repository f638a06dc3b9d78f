use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use super::*;

/// Of an RSA key that nobody has any more: its public half, and a token that it signed.
const MODULUS: &str = concat!(
    "gbSHggNKphhLYLSPJlYWEEXLI9SOBJWE7nL5_iwzxz_hTwL09xkZ_XsxBKSDEaDBy57p00tRSn2Bb9p75xGPS2P42p",
    "H3nrzqB_pxE2d0IHBxTdZy0by_FdxDWCmH-gil3n1C9Y752LaHa71C2Dw0yBv0TeTo-eLHf3u53uwebAsbhJitDXt3",
    "XUauLjVG45Iq-Yn6E7ZYtzr2VAwaZODaxv0fhZbHDCEylTI76R4ZqSBSmGeFNJFbfXBH7egoX2m4wr_EqtyCIUoCsV",
    "0Hg9NcLvtuzmOi-fq51JRf393WnpqJfD6thgD_L-Qp27twftaampKTa5JQta5P0ixnXgc2vQ",
);

const RS256: &str = concat!(
    "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSJ9.eyJpc3MiOiJodHRwczovL29pZGMiLCJzdWIiOiJzIiwiYXVkIjpbI",
    "nN0cy5hbWF6b25hd3MuY29tIl0sImV4cCI6MTc2NzMyNjY0NX0.FtXqtMavYUJHu299IVpNFY7Q-LqfmWjdn8eoqzn",
    "SOqyK-9ySPQ5MLKrLe9Iiv5JVisNAGrUko6YpfeaG1K4nD17nqB6nVFmzJaaKEUd-Yp9eRhZKn1TYOW9VaWLOP3vNF",
    "UphLU0iHK5A5Sh3jDjl8Bd1OBbnYVCvRYLSkSU77nogMZQqNj6l0kO1d8ftByFoIRGndIeDhiegTH5ZLHzDmQSxEgw",
    "VQIY3fbE5IucZE_oC_PWCtRfZJe-eAoUqIfx2bnw3uCamXnX4zJ5Bt5bA2pEGIuIZjvkjb5VuX3zKHxy9VmRsQmkQg",
    "6oTTBtTV-VOnCXyqlZ8USXRGAFA28JxtQ",
);

fn keys(value: &Value) -> KeySet {
    serde_json::from_value(json!({ "keys": [value] })).unwrap()
}

fn rsa(kid: &str) -> KeySet {
    keys(
        &json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": MODULUS, "e": "AQAB"}),
    )
}

fn check(keys: &KeySet, token: &str) -> Result<(), (Code, String)> {
    let checked = Token::parse(token).and_then(|token| keys.check(&token));
    checked.map_err(|refusal| (refusal.code, refusal.message))
}

/// A token in ES256, and the key that signed it.
fn ec() -> (KeySet, String) {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!(
        "{}.{}",
        part(json!({"alg": "ES256"})),
        part(json!({"iss": "i"}))
    );
    let signature = pair.sign(&random, signed.as_bytes()).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    let keys = keys(&json!({"kty": "EC", "crv": "P-256", "kid": "ec", "x": x, "y": y}));
    (
        keys,
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)),
    )
}

#[test]
fn a_token_is_proved_by_the_key_that_signed_it() {
    assert_eq!(check(&rsa("rsa"), RS256), Ok(()));
    let (keys, token) = ec();
    assert_eq!(check(&keys, &token), Ok(()), "a token that names no key");
}

#[test]
fn a_token_that_was_changed_is_refused() {
    let (keys, token) = ec();
    for (keys, token) in [(rsa("rsa"), RS256.to_owned()), (keys, token)] {
        let mut parts: Vec<_> = token.split('.').collect();
        let claims = URL_SAFE_NO_PAD.encode(json!({"iss": "i", "sub": "root"}).to_string());
        parts[1] = &claims;
        let (code, message) = check(&keys, &parts.join(".")).unwrap_err();
        assert_eq!(code, Code::InvalidIdentityToken);
        assert_eq!(message, "The ID Token provided is not a valid JWT");
    }
}

#[test]
fn no_other_key_and_no_other_algorithm_proves_a_token() {
    let header = |header: Value| {
        let (_, rest) = RS256.split_once('.').unwrap();
        format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
    };
    for token in [
        header(json!({"alg": "none"})),
        header(json!({"alg": "HS256", "kid": "rsa"})),
        header(json!({"alg": "ES256", "kid": "rsa"})),
        header(json!({"alg": "RS256"})),
    ] {
        assert!(check(&rsa("rsa"), &token).is_err(), "{token}");
    }
    for keys in [
        ec().0,
        rsa("other"),
        keys(&json!({"kty": "oct", "k": "c2VjcmV0"})),
    ] {
        let (code, message) = check(&keys, RS256).unwrap_err();
        assert_eq!(code, Code::InvalidIdentityToken);
        assert!(
            message.starts_with("Couldn't retrieve verification key"),
            "{message}"
        );
    }
}

#[test]
fn keys_are_named_by_url_by_file_or_by_themselves() {
    let json = json!({"keys": [{"kty": "oct"}]}).to_string();
    for (text, expected) in [
        ("http://127.0.0.1:1/openid/v1/jwks", "Url("),
        ("/run/keys.json", "File("),
        (json.as_str(), "Json("),
    ] {
        let source: KeySource = text.parse().unwrap();
        assert!(format!("{source:?}").starts_with(expected), "{source:?}");
    }
    for text in ["{", "{}", "https://oidc", "http://"] {
        assert!(text.parse::<KeySource>().is_err(), "{text}");
    }
}
