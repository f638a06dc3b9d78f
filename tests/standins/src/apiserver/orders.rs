//! The control listener of the API server: what it was asked, and what it shall be and do.

use bytes::Bytes;
use hyper::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{control::Control, json, listen::ListenError, serve::Response};

use super::{
    desk::{Desk, missing},
    kind::{Key, Kind},
    log::{Change, Interrupt},
    object::{ObjectError, Version},
    rules::Rule,
    seen,
    shelf::Announce,
};

/// An event that running watches get as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    r#type: Change,
    object: Value,
}

/// What becomes of running watches, of one kind or of all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    kind: Option<Kind>,
    r#do: Interrupt,
}

/// Whether anybody is let in.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DoorState {
    Open,
    Closed,
}

/// Why an order is not carried out.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Unreadable(#[from] serde_json::Error),
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// What comes of an order; `None` where there is no such path.
type Outcome = Result<Option<Response>, Refused>;

impl Control for Desk {
    async fn control(&self, request: &Request<Bytes>) -> Option<Response> {
        let outcome = match request.uri().path().strip_prefix("/objects/") {
            Some(path) => self.object(request, path),
            None => self.order(request).await,
        };
        outcome.unwrap_or_else(|refused| Some(refused.response()))
    }
}

impl Desk {
    async fn order(&self, request: &Request<Bytes>) -> Outcome {
        let path = request.uri().path();
        match *request.method() {
            Method::GET => Ok(self.ask(path)),
            Method::DELETE => Ok(self.forget(path)),
            Method::PUT => self.set(request).await,
            Method::POST => self.say(request),
            _ => Ok(None),
        }
    }

    /// An order about one object, `PLURAL/[NAMESPACE/]NAME`.
    fn object(&self, request: &Request<Bytes>, path: &str) -> Outcome {
        let parts: Vec<_> = path.split('/').collect();
        let (plural, key) = match parts[..] {
            [plural, name] => (plural, Key::new("", name)),
            [plural, namespace, name] => (plural, Key::new(namespace, name)),
            _ => return Ok(None),
        };
        let mut kinds = Kind::ALL.into_iter();
        let Some(kind) = kinds.find(|kind| kind.plural() == plural) else {
            return Ok(None);
        };
        Ok(Some(match *request.method() {
            Method::GET => {
                let found = self.state.store.get(kind, &key);
                json::answer(&found.ok_or_else(|| missing(kind, &key))?.value())
            }
            Method::DELETE => versioned(self.delete(kind, &key, announce(request))?),
            Method::PATCH => {
                let patch: Value = serde_json::from_slice(request.body())?;
                versioned(self.patch(kind, &key, &patch)?)
            }
            _ => return Ok(None),
        }))
    }

    fn ask(&self, path: &str) -> Option<Response> {
        let state = &self.state;
        match path {
            "/requests" => Some(json::answer(&state.requests.entries())),
            "/counts" => Some(json::answer(&seen::counts(&state.requests.entries()))),
            "/rules" => Some(json::answer(&state.rules.entries())),
            "/watches" => Some(json::answer(&state.watches.all())),
            _ => None,
        }
    }

    fn forget(&self, path: &str) -> Option<Response> {
        match path {
            "/requests" => self.state.requests.clear(),
            "/rules" => self.state.rules.clear(),
            "/tokens" => self.state.bearers.waive(),
            "/objects" => self.reset(),
            "/history" => self.compact(),
            _ => return None,
        }
        Some(json::done())
    }

    async fn set(&self, request: &Request<Bytes>) -> Outcome {
        let body = request.body();
        match request.uri().path() {
            "/objects" => {
                let objects = objects(serde_json::from_slice(body)?);
                return self.put_all(objects, announce(request)).map(Some);
            }
            "/door" => self.set_door(serde_json::from_slice(body)?).await?,
            "/rules" => {
                let rules: Vec<Rule> = serde_json::from_slice(body)?;
                self.state.rules.set(rules);
            }
            "/tokens" => {
                let tokens: Vec<String> = serde_json::from_slice(body)?;
                self.state.bearers.require(tokens);
            }
            _ => return Ok(None),
        }
        Ok(Some(json::done()))
    }

    fn say(&self, request: &Request<Bytes>) -> Outcome {
        let body = request.body();
        match request.uri().path() {
            "/watches" => self.interrupt_all(&serde_json::from_slice(body)?),
            "/told" => {
                let told: Told = serde_json::from_slice(body)?;
                self.tell(told.r#type, told.object)?;
            }
            _ => return Ok(None),
        }
        Ok(Some(json::done()))
    }

    /// Puts objects in their order, up to the first that is none.
    fn put_all(&self, objects: Vec<Value>, announce: Announce) -> Result<Response, Refused> {
        let mut version = self.state.store.version();
        for object in objects {
            version = self.put(object, announce)?;
        }
        Ok(versioned(version))
    }

    fn interrupt_all(&self, order: &Order) {
        for kind in Kind::ALL {
            if order.kind.is_none_or(|only| only == kind) {
                self.interrupt(kind, order.r#do);
            }
        }
    }

    async fn set_door(&self, door: DoorState) -> Result<(), ListenError> {
        match door {
            DoorState::Open => self.door.open(&self.state),
            DoorState::Closed => {
                self.door.close().await;
                Ok(())
            }
        }
    }
}

impl Refused {
    fn response(&self) -> Response {
        let status = match self {
            Self::Object(ObjectError::Missing { .. }) => StatusCode::NOT_FOUND,
            Self::Unreadable(_) | Self::Object(_) => StatusCode::BAD_REQUEST,
            Self::Listen(_) => StatusCode::CONFLICT,
        };
        json::refuse(status, &self.to_string())
    }
}

/// One object, an array of them, or a list as `kubectl` prints it.
fn objects(mut value: Value) -> Vec<Value> {
    let items = value.get_mut("items").map(Value::take);
    let value = items.unwrap_or(value);
    if let Value::Array(objects) = value {
        return objects;
    }
    vec![value]
}

fn announce(request: &Request<Bytes>) -> Announce {
    match request.uri().query() {
        Some("quiet") => Announce::No,
        _ => Announce::Yes,
    }
}

fn versioned(version: Version) -> Response {
    json::answer(&json!({"resourceVersion": version.to_string()}))
}
