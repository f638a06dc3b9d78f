//! What the metadata service was asked.

use std::{collections::BTreeMap, net::SocketAddr};

use bytes::Bytes;
use hyper::Request;
use jiff::Timestamp;
use serde::Serialize;

use super::token::Bearing;

/// A request that came, and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// When.
    pub at: Timestamp,
    /// From where.
    pub peer: Option<SocketAddr>,
    /// `GET` and the like.
    pub method: String,
    /// The path as it was spelled, without a query.
    pub path: String,
    /// What was behind the question mark.
    pub query: Option<String>,
    /// The names of its headers, in lower case.
    pub headers: Vec<String>,
    /// Whether it brought a token.
    pub token: Bearing,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
}

/// How often the same was asked and answered alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// `GET` and the like.
    pub method: String,
    /// The path as it was spelled.
    pub path: String,
    /// The status of the answers, if there were any.
    pub status: Option<u16>,
    /// How often.
    pub requests: usize,
}

impl Seen {
    pub(super) fn new(
        at: Timestamp,
        peer: Option<SocketAddr>,
        request: &Request<Bytes>,
        token: Bearing,
        status: Option<u16>,
    ) -> Self {
        Self {
            at,
            peer,
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().map(ToOwned::to_owned),
            headers: request.headers().keys().map(ToString::to_string).collect(),
            token,
            status,
        }
    }
}

pub(super) fn counts(seen: &[Seen]) -> Vec<Count> {
    let mut counts = BTreeMap::<_, usize>::new();
    for seen in seen {
        let kind = (&seen.path, &seen.method, seen.status);
        *counts.entry(kind).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|((path, method, status), requests)| Count {
            method: method.clone(),
            path: path.clone(),
            status,
            requests,
        })
        .collect()
}
