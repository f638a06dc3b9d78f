//! The query protocol: a form in the body of a POST, with an action, a version, and flat parameters.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::{Method, Request, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize};

use super::code::{Code, Refusal};

/// The version of the STS API: the only one there is.
const VERSION: &str = "2011-06-15";

/// Parameters that are secrets.
const SECRETS: &[&str] = &["TokenCode", "WebIdentityToken"];

/// What STS can be asked to do here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Action {
    /// Keys for a role, for whoever signs.
    AssumeRole,
    /// Keys for a role, for whoever has a token of an identity provider.
    AssumeRoleWithWebIdentity,
    /// Who signs.
    GetCallerIdentity,
}

impl Action {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "AssumeRole" => Some(Self::AssumeRole),
            "AssumeRoleWithWebIdentity" => Some(Self::AssumeRoleWithWebIdentity),
            "GetCallerIdentity" => Some(Self::GetCallerIdentity),
            _ => None,
        }
    }

    /// As it stands on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AssumeRole => "AssumeRole",
            Self::AssumeRoleWithWebIdentity => "AssumeRoleWithWebIdentity",
            Self::GetCallerIdentity => "GetCallerIdentity",
        }
    }
}

/// The fields of a form.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads a request's body. What is no form has no fields.
    pub(super) fn read(request: &Request<Bytes>) -> Self {
        if request.method() != Method::POST || !is_form(request) {
            return Self::default();
        }
        let fields = form_urlencoded::parse(request.body()).into_owned();
        Self(fields.collect())
    }

    /// What shall be done; refused where that is not clear.
    pub(super) fn action(&self) -> Result<Action, Refusal> {
        let name = self.get("Action").unwrap_or_default();
        let version = self.get("Version").unwrap_or_default();
        if version != VERSION {
            let message =
                format!("The requested version ({version}) of service STS does not exist");
            return Err(Refusal::new(Code::NoSuchVersion, message));
        }
        Action::parse(name).ok_or_else(|| {
            let message = format!("Could not find operation {name} for version {version}");
            Refusal::new(Code::InvalidAction, message)
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The members of a list, each by what its names begin with: `Tags.member.1`.
    pub(super) fn members<'a>(&'a self, list: &'a str) -> impl Iterator<Item = String> + 'a {
        let names = (1..).map(move |number| format!("{list}.member.{number}"));
        names.take_while(|name| self.has(name))
    }

    fn has(&self, member: &str) -> bool {
        let below = format!("{member}.");
        self.0
            .keys()
            .any(|name| name == member || name.starts_with(&below))
    }

    /// All fields, for the record: without what nobody may read.
    pub(super) fn redacted(&self) -> BTreeMap<String, String> {
        let redact = |(name, value): (&String, &String)| {
            let value = if SECRETS.contains(&name.as_str()) {
                format!("<secret of {} characters>", value.len())
            } else {
                value.clone()
            };
            (name.clone(), value)
        };
        self.0.iter().map(redact).collect()
    }

    #[cfg(test)]
    pub(super) fn of(fields: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self(fields.iter().map(owned).collect())
    }
}

fn is_form(request: &Request<Bytes>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| {
        kind.as_bytes()
            .starts_with(b"application/x-www-form-urlencoded")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_needs_a_name_and_the_version() {
        let action = |name, version| {
            let form = Form::of(&[("Action", name), ("Version", version)]);
            form.action().map_err(|refusal| refusal.code)
        };
        assert_eq!(action("AssumeRole", VERSION), Ok(Action::AssumeRole));
        assert_eq!(action("AssumeRole", "2012-01-01"), Err(Code::NoSuchVersion));
        assert_eq!(action("assumeRole", VERSION), Err(Code::InvalidAction));
        assert_eq!(action("GetSessionToken", VERSION), Err(Code::InvalidAction));
        assert!(Form::default().action().is_err());
    }

    #[test]
    fn actions_read_and_print_the_same() {
        for action in [
            Action::AssumeRole,
            Action::AssumeRoleWithWebIdentity,
            Action::GetCallerIdentity,
        ] {
            assert_eq!(Action::parse(action.name()), Some(action));
            assert_eq!(serde_json::to_value(action).unwrap(), action.name());
        }
    }

    #[test]
    fn lists_are_counted_from_one_without_gaps() {
        let form = Form::of(&[
            ("Tags.member.1.Key", "a"),
            ("Tags.member.2.Key", "b"),
            ("Tags.member.4.Key", "d"),
            ("TransitiveTagKeys.member.1", "a"),
        ]);
        let members = |list| form.members(list).collect::<Vec<_>>();
        assert_eq!(members("Tags"), ["Tags.member.1", "Tags.member.2"]);
        assert_eq!(members("TransitiveTagKeys"), ["TransitiveTagKeys.member.1"]);
        assert!(members("PolicyArns").is_empty());
    }

    #[test]
    fn the_record_shows_no_token() {
        let form = Form::of(&[("WebIdentityToken", "ey.secret"), ("RoleArn", "arn")]);
        let redacted = form.redacted();
        assert_eq!(redacted["RoleArn"], "arn");
        assert_eq!(redacted["WebIdentityToken"], "<secret of 9 characters>");
    }

    #[test]
    fn what_is_no_form_has_no_fields() {
        for (method, kind) in [
            ("GET", "application/x-www-form-urlencoded"),
            ("POST", "text/plain"),
        ] {
            let request = Request::builder()
                .method(method)
                .header(CONTENT_TYPE, kind)
                .body(Bytes::from_static(b"Action=AssumeRole"))
                .unwrap();
            assert_eq!(Form::read(&request).get("Action"), None, "{method} {kind}");
        }
    }
}
