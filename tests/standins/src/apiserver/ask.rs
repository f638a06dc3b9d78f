//! What a request asks for: a verb, as RBAC knows it, and what it is about.

use hyper::{Method, Request};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::kind::{Key, Kind};

/// What is asked for, in the words of RBAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are those of RBAC")]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
}

impl Verb {
    /// As it stands in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// All objects of a kind, or those of a namespace.
    Collection(Kind, String),
    /// One object.
    Object(Kind, Key),
    /// The tokens of a `ServiceAccount`.
    Token(Key),
    /// The keys that tokens are signed with.
    Keys,
    /// Where these are.
    Discovery,
    /// Which Kubernetes this is.
    Release,
    /// Whether it is well.
    Health,
    /// Nothing that is here.
    Unknown,
}

/// A request, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) verb: Verb,
    pub(super) target: Target,
    pub(super) path: String,
}

impl Ask {
    /// Reads a request. `None` for a method that no verb stands for.
    pub(super) fn read<B>(request: &Request<B>) -> Option<Self> {
        let path = request.uri().path();
        let target = Target::parse(path);
        let verb = match *request.method() {
            Method::GET => reading(&target, request.uri().query().unwrap_or_default()),
            Method::POST => Verb::Create,
            Method::PUT => Verb::Update,
            Method::PATCH => Verb::Patch,
            Method::DELETE => Verb::Delete,
            _ => return None,
        };
        let path = path.to_owned();
        Some(Self { verb, target, path })
    }
}

fn reading(target: &Target, query: &str) -> Verb {
    if !matches!(target, Target::Collection(..)) {
        return Verb::Get;
    }
    let mut parameters = form_urlencoded::parse(query.as_bytes());
    let watch = parameters.any(|(name, value)| name == "watch" && is_true(&value));
    if watch { Verb::Watch } else { Verb::List }
}

/// As Kubernetes reads truth in a query.
pub(super) fn is_true(value: &str) -> bool {
    !matches!(value, "false" | "0")
}

impl Target {
    /// Whether strangers may see it.
    pub(super) const fn is_public(&self) -> bool {
        matches!(self, Self::Health | Self::Release)
    }

    fn parse(path: &str) -> Self {
        match path {
            "/openid/v1/jwks" => return Self::Keys,
            "/.well-known/openid-configuration" => return Self::Discovery,
            "/version" => return Self::Release,
            "/healthz" | "/livez" | "/readyz" => return Self::Health,
            _ => {}
        }
        Self::resource(path).unwrap_or(Self::Unknown)
    }

    fn resource(path: &str) -> Option<Self> {
        let segments = path.strip_prefix('/')?.split('/').map(|segment| {
            let decoded = percent_decode_str(segment).decode_utf8().ok()?;
            (!decoded.is_empty()).then(|| decoded.into_owned())
        });
        let segments: Vec<_> = segments.collect::<Option<_>>()?;
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        match segments[..] {
            ["api", "v1", ref rest @ ..] => Self::below("v1", rest),
            ["apis", group, version, ref rest @ ..] => {
                Self::below(&format!("{group}/{version}"), rest)
            }
            _ => None,
        }
    }

    fn below(api_version: &str, rest: &[&str]) -> Option<Self> {
        let kind = |plural| Kind::at(api_version, plural);
        match *rest {
            [plural] => Some(Self::Collection(kind(plural)?, String::new())),
            [plural, name] => {
                let kind = kind(plural).filter(|kind| !kind.is_namespaced())?;
                Some(Self::Object(kind, Key::new("", name)))
            }
            ["namespaces", namespace, plural] => Some(Self::Collection(
                namespaced(kind(plural)?)?,
                namespace.into(),
            )),
            ["namespaces", namespace, plural, name] => {
                let key = Key::new(namespace, name);
                Some(Self::Object(namespaced(kind(plural)?)?, key))
            }
            [
                "namespaces",
                namespace,
                plural @ "serviceaccounts",
                name,
                "token",
            ] => {
                kind(plural)?;
                Some(Self::Token(Key::new(namespace, name)))
            }
            _ => None,
        }
    }
}

fn namespaced(kind: Kind) -> Option<Kind> {
    kind.is_namespaced().then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &str, uri: &str) -> Option<Ask> {
        Ask::read(&Request::builder().method(method).uri(uri).body(()).unwrap())
    }

    #[test]
    fn paths_and_methods_become_verbs_and_targets() {
        let all = |kind| Target::Collection(kind, String::new());
        let web = Key::new("shop", "web");
        for (method, uri, verb, target) in [
            ("GET", "/api/v1/pods", Verb::List, all(Kind::Pod)),
            (
                "GET",
                "/api/v1/pods?watch=true&x=y",
                Verb::Watch,
                all(Kind::Pod),
            ),
            ("GET", "/api/v1/pods?watch=1", Verb::Watch, all(Kind::Pod)),
            (
                "GET",
                "/api/v1/pods?watch=false",
                Verb::List,
                all(Kind::Pod),
            ),
            (
                "GET",
                "/api/v1/namespaces?",
                Verb::List,
                all(Kind::Namespace),
            ),
            (
                "GET",
                "/api/v1/namespaces/shop/pods?watch",
                Verb::Watch,
                Target::Collection(Kind::Pod, "shop".into()),
            ),
            (
                "GET",
                "/api/v1/namespaces/sh%6Fp/pods/web",
                Verb::Get,
                Target::Object(Kind::Pod, web.clone()),
            ),
            (
                "GET",
                "/api/v1/namespaces/shop?watch=true",
                Verb::Get,
                Target::Object(Kind::Namespace, Key::new("", "shop")),
            ),
            (
                "GET",
                "/api/v1/nodes/node-1",
                Verb::Get,
                Target::Object(Kind::Node, Key::new("", "node-1")),
            ),
            (
                "POST",
                "/api/v1/namespaces/shop/serviceaccounts/web/token?",
                Verb::Create,
                Target::Token(web.clone()),
            ),
            (
                "POST",
                "/apis/events.k8s.io/v1/namespaces/shop/events",
                Verb::Create,
                Target::Collection(Kind::Event, "shop".into()),
            ),
            (
                "PATCH",
                "/apis/events.k8s.io/v1/namespaces/shop/events/web",
                Verb::Patch,
                Target::Object(Kind::Event, web),
            ),
            ("GET", "/version", Verb::Get, Target::Release),
        ] {
            let ask = ask(method, uri).unwrap();
            assert_eq!((ask.verb, ask.target), (verb, target), "{method} {uri}");
        }
    }

    #[test]
    fn what_is_not_here_is_unknown() {
        for uri in [
            "/",
            "/api/v1",
            "/api/v1/secrets",
            "/api/v1/namespaces/shop/nodes",
            "/api/v1/pods/web",
            "/api/v1/pods/",
            "/api/v2/pods",
            "/apis/events.k8s.io/v1/pods",
            "/api/v1/events",
            "/api/v1/namespaces/shop/pods/web/token",
            "/api/v1/namespaces/shop/namespaces",
            "/apis/events.k8s.io/v1/namespaces/shop",
            "/api/v1/namespaces/%ff/pods",
        ] {
            assert_eq!(ask("GET", uri).unwrap().target, Target::Unknown, "{uri}");
        }
        assert_eq!(ask("OPTIONS", "/api/v1/pods"), None);
    }
}
