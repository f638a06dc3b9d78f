//! The control listener of the metadata service: what was asked, and how it shall change or misbehave.

use bytes::Bytes;
use hyper::{Method, Request, StatusCode};

use crate::{control::Control, json, serve::Response};

use super::{rules::Rule, seen, state::State};

impl Control for State {
    async fn control(&self, request: &Request<Bytes>) -> Option<Response> {
        let path = request.uri().path();
        match (request.method(), path) {
            (&Method::GET, "/requests") => Some(json::answer(&self.requests.entries())),
            (&Method::GET, "/counts") => {
                Some(json::answer(&seen::counts(&self.requests.entries())))
            }
            (&Method::DELETE, "/requests") => {
                self.requests.clear();
                Some(json::done())
            }
            (&Method::GET, "/rules") => Some(json::answer(&self.rules.entries())),
            (&Method::PUT, "/rules") => Some(self.set_rules(request.body())),
            (&Method::DELETE, "/rules") => {
                self.rules.clear();
                Some(json::done())
            }
            (&Method::DELETE, "/tokens") => {
                self.metadata.tokens.expire();
                Some(json::done())
            }
            (&Method::GET, "/leaves") => Some(json::answer(&self.metadata.leaves())),
            (method, path) => self.change(method, path.strip_prefix("/leaves/")?, request.body()),
        }
    }
}

impl State {
    fn set_rules(&self, body: &Bytes) -> Response {
        match serde_json::from_slice::<Vec<Rule>>(body) {
            Ok(rules) => {
                self.rules.set(rules);
                json::done()
            }
            Err(error) => json::refuse(StatusCode::BAD_REQUEST, &error.to_string()),
        }
    }

    fn change(&self, method: &Method, leaf: &str, body: &Bytes) -> Option<Response> {
        let text = match *method {
            Method::PUT => Some(String::from_utf8_lossy(body).into_owned()),
            Method::DELETE => None,
            _ => return None,
        };
        self.metadata.change(leaf, text);
        Some(json::done())
    }
}
