//! The answers to requests that the rules let through.

use bytes::Bytes;
use hyper::{
    Request, StatusCode,
    header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Map, Value, json};

use crate::{
    random,
    serve::{Reply, Response},
};

use super::{
    ask::{Ask, Target, Verb},
    events,
    format::{Format, Shape},
    json_patch,
    kind::{Key, Kind},
    mangle::Mangle,
    object::Object,
    options::Options,
    refusal::Refusal,
    scope::Scope,
    service::State,
    token::Mint,
};

impl State {
    /// The answer to a request that the rules let through.
    pub(super) fn answer(
        &self,
        ask: &Ask,
        request: &Request<Bytes>,
        mangles: Vec<Mangle>,
    ) -> Result<Reply, Refusal> {
        let answer = match (&ask.target, ask.verb) {
            (Target::Unknown, _) => return nowhere(&ask.path),
            (Target::Collection(kind, namespace), Verb::Watch) => {
                return self.watch(*kind, namespace, request, mangles);
            }
            (Target::Collection(kind, namespace), Verb::List) => {
                self.list(*kind, namespace, request)?
            }
            (Target::Collection(Kind::Event, namespace), Verb::Create) if !namespace.is_empty() => {
                let event = events::new(namespace, request.body())?;
                let event = self.store.create(event)?;
                object(StatusCode::CREATED, Format::Full, &event)
            }
            (Target::Object(kind, key), Verb::Get) => self.get(*kind, key, request)?,
            (Target::Object(Kind::Event, key), Verb::Patch) => self.patch_event(key, request)?,
            (Target::Object(Kind::Node, key), Verb::Patch) => self.patch_node(key, request)?,
            (Target::Token(key), Verb::Create) => whole(
                StatusCode::CREATED,
                &self.mint().answer(key, request.body())?,
            ),
            (Target::Keys, Verb::Get) => self.keys(request)?,
            (Target::Discovery, Verb::Get) => {
                whole(StatusCode::OK, &self.discovery(request.headers()))
            }
            (Target::Release, Verb::Get) => whole(StatusCode::OK, &release()),
            (Target::Health, Verb::Get) => Response::new(Bytes::from_static(b"ok")),
            _ => return Err(Refusal::method_not_allowed()),
        };
        Ok(Reply::Answer(answer))
    }

    /// The keys have a type of their own, and no other.
    fn keys(&self, request: &Request<Bytes>) -> Result<Response, Refusal> {
        const TYPE: &str = "application/jwk-set+json";
        let accept = request.headers().get(ACCEPT).map(HeaderValue::as_bytes);
        if !matches!(accept, None | Some(b"*/*")) && accept != Some(TYPE.as_bytes()) {
            let message = format!("406: Not Acceptable\n\nAvailable representations: {TYPE}");
            return Err(Refusal::not_acceptable(&message));
        }
        let mut response = whole(StatusCode::OK, &self.signer.jwks());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(TYPE));
        Ok(response)
    }

    fn get(&self, kind: Kind, key: &Key, request: &Request<Bytes>) -> Result<Response, Refusal> {
        let format = Format::wanted(request, Shape::Single)?;
        let found = self.store.get(kind, key);
        let found = found.ok_or_else(|| Refusal::not_found(kind, &key.name))?;
        Ok(object(StatusCode::OK, format, &found))
    }

    fn list(
        &self,
        kind: Kind,
        namespace: &str,
        request: &Request<Bytes>,
    ) -> Result<Response, Refusal> {
        let format = Format::wanted(request, Shape::List)?;
        let options = Options::read(kind, Verb::List, query(request))?;
        let scope = scope(namespace, &options);
        let json = self
            .pages
            .list(&self.store, kind, &scope, &options, format)?;
        Ok(json_response(StatusCode::OK, json))
    }

    fn patch_event(&self, key: &Key, request: &Request<Bytes>) -> Result<Response, Refusal> {
        if !matches!(
            media(request),
            Some(b"application/merge-patch+json" | b"application/strategic-merge-patch+json")
        ) {
            return Err(Refusal::unsupported_patch());
        }
        let Ok(Value::Object(patch)) = serde_json::from_slice(request.body()) else {
            return Err(Refusal::bad_request("a patch must be a JSON object"));
        };
        let check = events::check_change;
        let patched = self.store.patch(Kind::Event, key, &patch, check);
        let patched = patched.ok_or_else(|| Refusal::not_found(Kind::Event, &key.name))??;
        Ok(object(StatusCode::OK, Format::Full, &patched))
    }

    /// By a JSON patch only: that is how the agent changes nodes.
    fn patch_node(&self, key: &Key, request: &Request<Bytes>) -> Result<Response, Refusal> {
        if media(request) != Some(b"application/json-patch+json") {
            return Err(Refusal::unsupported_patch());
        }
        let Ok(Value::Array(patch)) = serde_json::from_slice(request.body()) else {
            return Err(Refusal::bad_request("error decoding patch: it is no list"));
        };
        let edit = |fields: &mut Map<String, Value>| json_patch::apply(fields, &patch);
        let patched = self.store.edit(Kind::Node, key, edit, |_, _| Ok(()));
        let patched = patched.ok_or_else(|| Refusal::not_found(Kind::Node, &key.name))??;
        Ok(object(StatusCode::OK, Format::Full, &patched))
    }

    fn mint(&self) -> Mint<'_> {
        Mint {
            store: &self.store,
            signer: &self.signer,
            issuer: &self.issuer,
            longest: self.longest_token,
            now: self.clock.now(),
        }
    }

    fn discovery(&self, headers: &HeaderMap) -> Value {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        json!({
            "issuer": self.issuer,
            "jwks_uri": format!("http://{}/openid/v1/jwks", host.unwrap_or_default()),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
    }
}

/// Groups that are served know which resources they have; of anything else there is not even a `Status`.
fn nowhere(path: &str) -> Result<Reply, Refusal> {
    if path.starts_with("/api/v1/") || path.starts_with("/apis/events.k8s.io/v1/") {
        return Err(Refusal::unknown());
    }
    let mut response = Response::new(Bytes::from_static(b"404 page not found\n"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    Ok(Reply::Answer(response))
}

/// What the body is, as the client says.
fn media(request: &Request<Bytes>) -> Option<&[u8]> {
    let media = request.headers().get(CONTENT_TYPE);
    media.map(HeaderValue::as_bytes)
}

pub(super) fn query(request: &Request<Bytes>) -> &str {
    request.uri().query().unwrap_or_default()
}

pub(super) fn scope(namespace: &str, options: &Options) -> Scope {
    Scope {
        namespace: namespace.to_owned(),
        selector: options.selector.clone(),
    }
}

fn object(status: StatusCode, format: Format, object: &Object) -> Response {
    let mut json = Vec::new();
    object.write(format, &mut json);
    json_response(status, json)
}

fn whole(status: StatusCode, value: &Value) -> Response {
    json_response(status, value.to_string())
}

pub(super) fn json_response(status: StatusCode, json: impl Into<Bytes>) -> Response {
    let mut response = with_headers(json.into());
    *response.status_mut() = status;
    response
}

pub(super) fn with_headers<B>(body: B) -> hyper::Response<B> {
    let mut response = hyper::Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    if let Ok(id) = HeaderValue::from_str(&random::request_id()) {
        headers.insert(HeaderName::from_static("audit-id"), id);
    }
    response
}

fn release() -> Value {
    json!({
        "major": "1", "minor": "37", "gitVersion": "v1.37.2", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z", "goVersion": "go1.26", "compiler": "gc", "platform": "linux/amd64",
        "emulationMajor": "1", "emulationMinor": "37",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "36",
    })
}
