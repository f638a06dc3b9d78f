//! What the API server was asked, for assertions.

use std::collections::BTreeMap;

use hyper::{
    Request,
    header::{ACCEPT, HeaderName, USER_AGENT},
};
use jiff::Timestamp;
use serde::Serialize;

use super::{ask::Verb, bearers::Bearer};

/// A request that came, and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// When.
    pub at: Timestamp,
    /// `GET` and the like.
    pub method: String,
    /// What was asked for; `None` for a method that no verb stands for.
    pub verb: Option<Verb>,
    /// The path as it was spelled, without a query.
    pub path: String,
    /// The query as it was spelled.
    pub query: String,
    /// Whether a token came, and whether it was good.
    pub bearer: Bearer,
    /// Who says that it asks.
    pub user_agent: Option<String>,
    /// What is wanted: metadata only, or all.
    pub accept: Option<String>,
    /// The status of the answer; `None` if there was none.
    pub status: Option<u16>,
}

/// How often the same was asked and answered alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// What was asked for.
    pub verb: Option<Verb>,
    /// The path as it was spelled.
    pub path: String,
    /// The status of the answers.
    pub status: Option<u16>,
    /// How often.
    pub requests: usize,
}

impl Seen {
    /// A request that is not answered yet.
    pub(super) fn new<B>(
        at: Timestamp,
        request: &Request<B>,
        verb: Option<Verb>,
        bearer: Bearer,
    ) -> Self {
        let header = |name: HeaderName| {
            let value = request.headers().get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        Self {
            at,
            method: request.method().to_string(),
            verb,
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            bearer,
            user_agent: header(USER_AGENT),
            accept: header(ACCEPT),
            status: None,
        }
    }

    /// The value of a parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut parameters = form_urlencoded::parse(self.query.as_bytes());
        let found = parameters.find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned())
    }
}

pub(super) fn counts(seen: &[Seen]) -> Vec<Count> {
    let mut counts = BTreeMap::<_, usize>::new();
    for seen in seen {
        let kind = (&seen.path, seen.verb, seen.status);
        *counts.entry(kind).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|((path, verb, status), requests)| Count {
            verb,
            path: path.clone(),
            status,
            requests,
        })
        .collect()
}
