//! One `TokenRequest`, and what its answer means.

use std::{fmt, time::Duration};

use k8s_openapi::api::{
    authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{
    Client, Resource as _,
    api::PostParams,
    core::{Request, Status},
};

use crate::{
    chain::chain,
    clock::Clock,
    creds::{Secret, WebIdentity, web_identity::TokenError},
};

use super::{
    super::refusal::{self, Manifest},
    life::Life,
};

/// What the agent has to be allowed.
const TOKENS: &str = "create serviceaccounts/token";

/// The server makes a token in 10 ms.
const PATIENCE: Duration = Duration::from_secs(3);

/// Has the server make a token.
pub(super) async fn mint(
    client: &Client,
    whose: &WebIdentity,
    clock: Clock,
) -> Result<(Secret, Life), TokenError> {
    let request = request(whose)?;
    // Not `request`, which logs an answer that it does not understand.
    let answer = tokio::time::timeout(PATIENCE, client.request_text(request)).await;
    match answer {
        Ok(Ok(text)) => read(&text, clock),
        Ok(Err(error)) => Err(token_error(&error, whose)),
        Err(_) => Err(TokenError::Unavailable(format!(
            "nothing within {PATIENCE:?}"
        ))),
    }
}

fn request(whose: &WebIdentity) -> Result<hyper::Request<Vec<u8>>, TokenError> {
    let spec = TokenRequestSpec {
        audiences: Some(vec![whose.audience.to_string()]),
        bound_object_ref: Some(BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(whose.pod.name().to_owned()),
            uid: Some(whose.uid.to_string()),
        }),
        expiration_seconds: Some(i64::from(whose.life)),
        ..TokenRequestSpec::default()
    };
    let body = TokenRequest {
        spec: Some(spec),
        ..TokenRequest::default()
    };
    let body = serde_json::to_vec(&body).map_err(cannot_be_asked)?;
    let accounts = ServiceAccount::url_path(&(), Some(whose.pod.namespace()));
    let params = PostParams::default();
    Request::new(accounts)
        .create_subresource("token", &whose.service_account, &params, body)
        .map_err(cannot_be_asked)
}

fn cannot_be_asked(error: impl fmt::Display) -> TokenError {
    TokenError::Refused(error.to_string())
}

/// The token in `text`. Nothing of what is wrong with it is repeated: it may be the token.
fn read(text: &str, clock: Clock) -> Result<(Secret, Life), TokenError> {
    let lacks = |what| TokenError::Unavailable(format!("its answer has no {what}"));
    let answer: TokenRequest =
        serde_json::from_str(text).map_err(|_secret| lacks("token in it"))?;
    let status = answer.status.unwrap_or_default();
    let token = status.token.filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| lacks("token"))?;
    let expires = status.expiration_timestamp.map(|time| time.0);
    let life = Life::of(&token, expires, clock.now()).ok_or_else(|| lacks("end in the future"))?;
    Ok((Secret::new(token), life))
}

fn token_error(error: &kube::Error, whose: &WebIdentity) -> TokenError {
    if let kube::Error::Api(status) = error {
        of_status(status, whose)
    } else {
        TokenError::Unavailable(chain(error))
    }
}

/// spec: what `pkg/registry/core/serviceaccount/storage/token.go` of Kubernetes says no with.
fn of_status(status: &Status, whose: &WebIdentity) -> TokenError {
    let said = refusal::words(status);
    if refusal::is_of_policy(status) {
        return TokenError::Forbidden(format!("an admission policy forbids it: {said}"));
    }
    if status.is_forbidden() {
        let namespace = whose.pod.namespace();
        let lack = refusal::lack(TOKENS, Manifest::WebIdentity, namespace, &said);
        return TokenError::Forbidden(lack);
    }
    match status.code {
        404 if refusal::is_of_kind(status, "pods") => TokenError::NoPod(said),
        404 => TokenError::NoServiceAccount(said),
        409 => TokenError::OtherPod(said),
        400 | 405 | 422 => TokenError::Refused(said),
        _ => TokenError::Unavailable(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose() -> WebIdentity {
        WebIdentity {
            pod: "shop/cart-0".parse().unwrap(),
            uid: "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0".parse().unwrap(),
            service_account: "cart".into(),
            audience: "sts.amazonaws.com".into(),
            life: 86_400,
        }
    }

    const RBAC: &str = "serviceaccounts \"cart\" is forbidden: User \"system:serviceaccount:a:b\" cannot create \
                        resource \"serviceaccounts/token\" in API group \"\" in the namespace \"shop\"";
    const POLICY: &str = "ValidatingAdmissionPolicy 'a' with binding 'b' denied request: audience";
    const UID: &str = "the UID in the bound object reference (a) does not match the UID in record";
    const ACCOUNT: &str = "cannot bind token for serviceaccount \"a\" to pod running with different \
                           serviceaccount name.";

    const fn kind(error: &TokenError) -> &'static str {
        match error {
            TokenError::NoSource => "no source",
            TokenError::Forbidden(_) => "forbidden",
            TokenError::OtherPod(_) => "other pod",
            TokenError::NoPod(_) => "no pod",
            TokenError::NoServiceAccount(_) => "no account",
            TokenError::Refused(_) => "refused",
            TokenError::Unavailable(_) => "unavailable",
        }
    }

    #[test]
    fn each_refusal_of_the_server_is_what_it_says() {
        for (code, reason, message, expected, told) in [
            (
                403,
                "Forbidden",
                RBAC,
                "forbidden",
                "create serviceaccounts/token",
            ),
            (422, "Invalid", POLICY, "forbidden", "admission policy"),
            (403, "Forbidden", POLICY, "forbidden", "admission policy"),
            (409, "Conflict", UID, "other pod", "does not match"),
            (404, "NotFound", "missing", "no account", "missing"),
            (
                400,
                "BadRequest",
                ACCOUNT,
                "refused",
                "different serviceaccount",
            ),
            (422, "Invalid", "too short", "refused", "too short"),
            (
                401,
                "Unauthorized",
                "Unauthorized",
                "unavailable",
                "Unauthorized",
            ),
            (429, "TooManyRequests", "later", "unavailable", "later"),
            (500, "InternalError", "etcd", "unavailable", "etcd"),
            (504, "Timeout", "slow", "unavailable", "slow"),
        ] {
            let status = Status::failure(message, reason).with_code(code);
            let error = of_status(&status, &whose());
            assert_eq!(kind(&error), expected, "{code} {message}: {error}");
            assert!(error.to_string().contains(told), "{error}");
        }
    }

    #[test]
    fn a_pod_that_is_not_there_is_told_from_an_account() {
        for (plural, expected) in [("pods", "no pod"), ("serviceaccounts", "no account")] {
            let details = serde_json::json!({"name": "cart", "kind": plural});
            let status = Status::failure("not found", "NotFound")
                .with_code(404)
                .with_details(serde_json::from_value(details).unwrap());
            assert_eq!(kind(&of_status(&status, &whose())), expected);
        }
    }

    #[test]
    fn an_answer_that_is_not_understood_is_not_repeated() {
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
        for text in [
            "eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
            r#""eyJhbGciOiJSUzI1NiJ9.e30.c2ln""#,
            r#"{"spec":"eyJhbGciOiJSUzI1NiJ9"}"#,
            r#"{"status":{"token":"eyJhbGciOiJSUzI1NiJ9","expirationTimestamp":"soon"}}"#,
            r#"{"status":{"token":"eyJhbGciOiJSUzI1NiJ9","expirationTimestamp":"2025-12-31T23:59:59Z"}}"#,
            r#"{"status":{"token":"","expirationTimestamp":"2026-01-02T00:00:00Z"}}"#,
            r#"{"status":{"token":"eyJhbGciOiJSUzI1NiJ9"}}"#,
            "{}",
            "",
        ] {
            let error = read(text, clock).unwrap_err();
            assert!(
                matches!(error, TokenError::Unavailable(_)),
                "{text}: {error}"
            );
            assert!(!error.to_string().contains("eyJ"), "{error}");
        }
    }
}
