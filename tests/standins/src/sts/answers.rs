//! Answers in XML, as STS sends them.

use bytes::Bytes;
use hyper::{
    StatusCode,
    header::{CONTENT_TYPE, DATE, HeaderName, HeaderValue},
};
use jiff::Timestamp;

use crate::{clock::spelled, random, serve::Response};

use super::{code::Refusal, jwt::Claims, service::Identity, sessions::Session};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Keys for a role.
pub(super) fn assumed_role(session: &Session) -> Response {
    result("AssumeRole", &granted(session).concat())
}

/// Keys for a role, for a web identity.
pub(super) fn assumed_role_with_web_identity(session: &Session, claims: &Claims) -> Response {
    let about = [
        text("SubjectFromWebIdentityToken", &claims.subject),
        text("Audience", &claims.audience),
        text("Provider", &claims.issuer),
    ];
    let all = [about.concat(), granted(session).concat()].concat();
    result("AssumeRoleWithWebIdentity", &all)
}

/// Who signs.
pub(super) fn caller_identity(identity: &Identity) -> Response {
    let fields = [
        text("Arn", &identity.arn),
        text("UserId", &identity.user_id),
        text("Account", &identity.account),
    ];
    result("GetCallerIdentity", &fields.concat())
}

/// A refusal, with its HTTP status.
pub(super) fn refusal(refusal: &Refusal) -> Response {
    let status = refusal.code.status();
    let blame = if status.is_server_error() {
        "Receiver"
    } else {
        "Sender"
    };
    let fields = [
        text("Type", blame),
        text("Code", refusal.code.name()),
        text("Message", &refusal.message),
    ];
    let id = random::request_id();
    let body = [element("Error", &fields.concat()), text("RequestId", &id)];
    answer(status, &root("ErrorResponse", &body.concat()), &id)
}

/// The same, at this time.
pub(super) fn dated(mut answer: Response, now: Timestamp) -> Response {
    let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::try_from(date) {
        answer.headers_mut().insert(DATE, date);
    }
    answer
}

/// The beginning of an answer: up to its first secret, or half.
pub(super) fn cut(answer: Response) -> Response {
    answer.map(|body| {
        let secret = b"<SecretAccessKey>";
        let mut places = body.windows(secret.len());
        let end = places.position(|place| place == secret);
        body.slice(..end.unwrap_or(body.len() / 2))
    })
}

/// What is no answer of STS: the page of some proxy.
pub(super) fn garbage() -> Response {
    let body = "<html><body><h1>It works!</h1></body></html>";
    answer(StatusCode::OK, body, &random::request_id())
}

fn granted(session: &Session) -> Vec<String> {
    let issued = &session.issued;
    let user = [
        text("AssumedRoleId", &session.user_id),
        text("Arn", &issued.arn),
    ];
    let keys = [
        text("AccessKeyId", &issued.access_key_id),
        text("SecretAccessKey", &session.secret),
        text("SessionToken", &session.token),
        text("Expiration", &spelled(issued.expires)),
    ];
    let source = issued.source_identity.as_deref();
    let mut fields = vec![
        element("AssumedRoleUser", &user.concat()),
        element("Credentials", &keys.concat()),
    ];
    fields.extend(source.map(|source| text("SourceIdentity", source)));
    if !issued.tags.is_empty() {
        // In per cent of what is allowed; the true packing is AWS's secret.
        fields.push(text(
            "PackedPolicySize",
            &(2 * issued.tags.len()).to_string(),
        ));
    }
    fields
}

fn result(action: &str, fields: &str) -> Response {
    let id = random::request_id();
    let body = [
        element(&format!("{action}Result"), fields),
        element("ResponseMetadata", &text("RequestId", &id)),
    ];
    let body = root(&format!("{action}Response"), &body.concat());
    answer(StatusCode::OK, &body, &id)
}

fn answer(status: StatusCode, body: &str, request_id: &str) -> Response {
    let mut response = Response::new(Bytes::from(body.to_owned()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static("x-amzn-requestid"), id);
    }
    response
}

fn root(name: &str, content: &str) -> String {
    format!("<{name} xmlns=\"{NAMESPACE}\">\n{content}</{name}>\n")
}

fn element(name: &str, content: &str) -> String {
    format!("<{name}>\n{content}</{name}>\n")
}

fn text(name: &str, text: &str) -> String {
    let escaped = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!("<{name}>{escaped}</{name}>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_sent_cannot_change_the_answer() {
        assert_eq!(
            text("Message", "</Message><Code>&"),
            "<Message>&lt;/Message&gt;&lt;Code&gt;&amp;</Message>\n"
        );
    }
}
