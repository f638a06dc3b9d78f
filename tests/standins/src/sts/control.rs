//! The control listener of STS: its calls, its sessions without their secrets, its rules.

use bytes::Bytes;
use hyper::{Method, Request, StatusCode};

use crate::{control::Control, json, serve::Response};

use super::{State, call, rules::Rule};

impl Control for State {
    async fn control(&self, request: &Request<Bytes>) -> Option<Response> {
        let path = request.uri().path();
        match (request.method(), path) {
            (&Method::GET, "/calls") => Some(json::answer(&self.calls.entries())),
            (&Method::GET, "/counts") => Some(json::answer(&call::counts(&self.calls.entries()))),
            (&Method::GET, "/issued") => Some(json::answer(&self.service.sessions.issued())),
            (&Method::GET, "/rules") => Some(json::answer(&self.service.rules.entries())),
            (&Method::PUT, "/rules") => Some(self.set_rules(request.body())),
            (&Method::DELETE, "/rules") => {
                self.service.rules.clear();
                Some(json::done())
            }
            (&Method::DELETE, "/calls") => {
                self.calls.clear();
                Some(json::done())
            }
            (&Method::GET, _) => self.issued(path.strip_prefix("/issued/")?),
            _ => None,
        }
    }
}

impl State {
    fn issued(&self, access_key_id: &str) -> Option<Response> {
        let session = self.service.sessions.find(access_key_id)?;
        Some(json::answer(&session.issued))
    }

    fn set_rules(&self, body: &Bytes) -> Response {
        match serde_json::from_slice::<Vec<Rule>>(body) {
            Ok(rules) => {
                self.service.rules.set(rules);
                json::done()
            }
            Err(error) => json::refuse(StatusCode::BAD_REQUEST, &error.to_string()),
        }
    }
}
