//! Which answer a request gets. The order is EC2's: method and path of the token, proxies, token, content.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::{Method, Request, StatusCode, header::HeaderMap};
use jiff::Timestamp;

use crate::{clock::Clock, serve::Response, shared::Shared};

use super::{
    TokenPolicy,
    instance::Instance,
    keys::{NodeKeys, Rotation},
    page::{self, Kind},
    target::{Target, VERSIONS, target_of},
    token::{self, TOKEN, Tokens},
    tree::{Leaves, Tree},
};

/// The service without its sockets.
pub(super) struct Metadata {
    pub(super) instance: Instance,
    /// Leaves that are otherwise than the instance has them, or gone.
    pub(super) changes: Shared<BTreeMap<String, Option<String>>>,
    pub(super) policy: TokenPolicy,
    pub(super) clock: Clock,
    pub(super) started: Timestamp,
    pub(super) tokens: Tokens,
    pub(super) rotation: Rotation,
}

impl Metadata {
    pub(super) fn answer(&self, request: &Request<Bytes>) -> Response {
        let target = target_of(request.uri().path());
        match (target, request.method()) {
            (Target::Token, &Method::PUT) => self.give_token(request.headers()),
            (Target::Token, _) => page::not_allowed("OPTIONS, PUT"),
            (Target::AlmostToken, &Method::PUT) => {
                page::kept_open(page::empty(StatusCode::FORBIDDEN))
            }
            (target, method) => self.read(&target, method, request.headers()),
        }
    }

    /// The keys of the node's role at this moment.
    pub(super) fn keys(&self) -> NodeKeys {
        self.rotation.at(self.clock.now())
    }

    /// Every leaf that there is at this moment.
    pub(super) fn leaves(&self) -> Leaves {
        self.tree().leaves()
    }

    /// From now on there is this leaf, or none.
    pub(super) fn change(&self, leaf: &str, text: Option<String>) {
        self.changes
            .with(|changes| changes.insert(leaf.to_owned(), text));
    }

    fn tree(&self) -> Tree {
        let tree = Tree::new(&self.instance, &self.keys());
        self.changes.with(|changes| tree.changed(changes))
    }

    fn give_token(&self, headers: &HeaderMap) -> Response {
        if is_forwarded(headers) {
            return page::empty(StatusCode::FORBIDDEN);
        }
        match token::asked(headers) {
            Some(ttl) => page::token(self.tokens.issue(self.clock.now(), ttl), ttl),
            None => page::error(StatusCode::BAD_REQUEST),
        }
    }

    fn read(&self, target: &Target, method: &Method, headers: &HeaderMap) -> Response {
        let ttl = match self.admit(headers) {
            Ok(ttl) => ttl,
            Err(refused) => return page::empty(refused),
        };
        if method != Method::GET && method != Method::HEAD {
            return page::not_allowed("GET, HEAD");
        }
        let response = match self.content(target) {
            Some((kind, text)) => page::resource(kind, text, self.started),
            None => page::error(StatusCode::NOT_FOUND),
        };
        match ttl {
            Some(ttl) => page::with_ttl(response, ttl),
            None => response,
        }
    }

    /// Whether a client may read, and what its token has left. A bad token is never taken for none.
    fn admit(&self, headers: &HeaderMap) -> Result<Option<u32>, StatusCode> {
        match headers.get(TOKEN) {
            Some(_) if is_forwarded(headers) => Err(StatusCode::FORBIDDEN),
            Some(token) => self
                .tokens
                .remaining(token.as_bytes(), self.clock.now())
                .map(Some)
                .ok_or(StatusCode::UNAUTHORIZED),
            None => match self.policy {
                TokenPolicy::Optional => Ok(None),
                TokenPolicy::Required => Err(StatusCode::UNAUTHORIZED),
            },
        }
    }

    fn content(&self, target: &Target) -> Option<(Kind, String)> {
        match target {
            Target::Versions => Some((Kind::Text, VERSIONS.join("\n"))),
            Target::Tree(path) => {
                let text = self.tree().read(path)?;
                Some((kind(path), text))
            }
            Target::Token | Target::AlmostToken | Target::Nothing => None,
        }
    }
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key("x-forwarded-for")
}

fn kind(path: &str) -> Kind {
    match path {
        "user-data" => Kind::Octets,
        _ => Kind::Text,
    }
}
