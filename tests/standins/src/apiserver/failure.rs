//! A status that a rule answers with, in the words of the API server.

use hyper::StatusCode;
use serde::{Deserialize, Serialize};

use super::{
    ask::{Ask, Target},
    kind::Kind,
    refusal::Refusal,
};

/// A status with its message. What is left out is as the API server would have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Failure {
    /// 400 to 599.
    #[serde(deserialize_with = "error_code")]
    pub code: u16,
    /// `Forbidden` and the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// In seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

fn error_code<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let code = u16::deserialize(deserializer)?;
    if (400..600).contains(&code) {
        return Ok(code);
    }
    Err(serde::de::Error::custom(
        "a failure has a status from 400 to 599",
    ))
}

impl Failure {
    /// This status, with the message that belongs to it.
    pub const fn new(code: u16) -> Self {
        Self {
            code,
            reason: None,
            message: None,
            retry_after: None,
        }
    }

    /// The same with another message.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// The same with another reason.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// The same, and the client shall wait so many seconds.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The refusal of `ask`, which `user` sent.
    pub(super) fn refusal(&self, ask: &Ask, user: &str) -> Refusal {
        let mut refusal = usual(self.code, ask, user);
        if let Some(reason) = &self.reason {
            refusal.reason.clone_from(reason);
        }
        if let Some(message) = &self.message {
            refusal.message.clone_from(message);
        }
        refusal.retry_after = self.retry_after.or(refusal.retry_after);
        refusal
    }
}

fn usual(code: u16, ask: &Ask, user: &str) -> Refusal {
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (reason, message, retry_after) = match code {
        StatusCode::UNAUTHORIZED => return Refusal::unauthorized(),
        StatusCode::FORBIDDEN => return Refusal::forbidden(user, ask),
        StatusCode::NOT_FOUND => return not_found(ask),
        StatusCode::CONFLICT => (
            "Conflict",
            "Operation cannot be fulfilled: the object has been modified; please apply your changes to the \
             latest version and try again",
            None,
        ),
        StatusCode::GONE => (
            "Expired",
            "The resourceVersion for the provided list is too old.",
            None,
        ),
        StatusCode::TOO_MANY_REQUESTS => (
            "TooManyRequests",
            "Too many requests, please try again later.",
            Some(1),
        ),
        StatusCode::INTERNAL_SERVER_ERROR => (
            "InternalError",
            "Internal error occurred: etcdserver: request timed out",
            None,
        ),
        StatusCode::SERVICE_UNAVAILABLE => (
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
            None,
        ),
        StatusCode::GATEWAY_TIMEOUT => (
            "Timeout",
            "Timeout: request did not complete within the allotted timeout",
            None,
        ),
        _ => ("", code.canonical_reason().unwrap_or_default(), None),
    };
    let mut refusal = Refusal::new(code, reason, message);
    refusal.retry_after = retry_after;
    refusal
}

fn not_found(ask: &Ask) -> Refusal {
    match &ask.target {
        Target::Object(kind, key) => Refusal::not_found(*kind, &key.name),
        Target::Token(key) => Refusal::not_found(Kind::ServiceAccount, &key.name),
        Target::Collection(..)
        | Target::Keys
        | Target::Discovery
        | Target::Release
        | Target::Health
        | Target::Unknown => Refusal::unknown(),
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn message(code: u16, method: &str, uri: &str) -> String {
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        let ask = Ask::read(&request).unwrap();
        Failure::new(code).refusal(&ask, "system:node").message
    }

    #[test]
    fn a_missing_permission_is_told_as_rbac_tells_it() {
        for (method, uri, expected) in [
            (
                "GET",
                "/api/v1/pods?watch=true",
                "pods is forbidden: User \"system:node\" cannot watch resource \"pods\" in API group \"\" at the cluster scope",
            ),
            (
                "GET",
                "/api/v1/namespaces/shop/pods/web",
                "pods \"web\" is forbidden: User \"system:node\" cannot get resource \"pods\" in API group \"\" in the namespace \"shop\"",
            ),
            (
                "POST",
                "/api/v1/namespaces/shop/serviceaccounts/web/token",
                "serviceaccounts \"web\" is forbidden: User \"system:node\" cannot create resource \"serviceaccounts/token\" in API group \"\" in the namespace \"shop\"",
            ),
            (
                "POST",
                "/apis/events.k8s.io/v1/namespaces/shop/events",
                "events.events.k8s.io is forbidden: User \"system:node\" cannot create resource \"events\" in API group \"events.k8s.io\" in the namespace \"shop\"",
            ),
            (
                "GET",
                "/openid/v1/jwks",
                "forbidden: User \"system:node\" cannot get path \"/openid/v1/jwks\"",
            ),
        ] {
            assert_eq!(message(403, method, uri), expected);
        }
    }

    #[test]
    fn what_is_not_found_is_named() {
        for (uri, expected) in [
            ("/api/v1/namespaces/shop", "namespaces \"shop\" not found"),
            ("/api/v1/namespaces/shop/pods/web", "pods \"web\" not found"),
            (
                "/api/v1/pods",
                "the server could not find the requested resource",
            ),
        ] {
            assert_eq!(message(404, "GET", uri), expected);
        }
    }

    #[test]
    fn what_the_rule_says_comes_first() {
        let request = Request::builder().uri("/api/v1/pods").body(()).unwrap();
        let ask = Ask::read(&request).unwrap();
        let failure = Failure::new(429).message("slow down").retry_after(7);
        let status = failure.refusal(&ask, "u").status();
        assert_eq!(status["message"], "slow down");
        assert_eq!(status["reason"], "TooManyRequests");
        assert_eq!(status["details"]["retryAfterSeconds"], 7);
        assert_eq!(status["code"], 429);
    }
}
