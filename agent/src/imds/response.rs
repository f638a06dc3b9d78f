//! An answer, and how it looks as HTTP: statuses, headers and fixed pages as EC2 sends them.

use std::fmt;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Response, StatusCode,
    ext::ReasonPhrase,
    header::{
        ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LAST_MODIFIED,
        SERVER,
    },
};
use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};

use super::{outcome::Outcome, route::TOKEN_TTL, token::Ttl};

/// The page that EC2 shows for what does not exist, to the byte.
const PAGE: &str = concat!(
    "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n",
    "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\"\n",
    "\t\t \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n",
    "<html xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\" lang=\"en\">\n",
    " <head>\n",
    "  <title>404 - Not Found</title>\n",
    " </head>\n",
    " <body>\n",
    "  <h1>404 - Not Found</h1>\n",
    " </body>\n",
    "</html>\n",
);

/// The statuses that we answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// 200
    Ok,
    /// 400
    BadRequest,
    /// 401: makes clients fetch a token.
    Unauthorized,
    /// 403
    Forbidden,
    /// 404
    NotFound,
    /// 405
    NotAllowed,
    /// 413
    TooLarge,
    /// 503: makes some clients try again.
    Unavailable,
    /// Any other, of an answer that is passed on.
    Other,
}

impl Status {
    /// How many there are. The last one counts.
    pub(super) const COUNT: usize = Self::Other as usize + 1;

    /// Those that have a name here.
    const KNOWN: [Self; Self::Other as usize] = [
        Self::Ok,
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::NotAllowed,
        Self::TooLarge,
        Self::Unavailable,
    ];

    /// As HTTP has it.
    pub const fn code(self) -> StatusCode {
        match self {
            Self::Ok => StatusCode::OK,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Other => StatusCode::BAD_GATEWAY,
        }
    }

    /// The word in labels.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Ok => "200",
            Self::BadRequest => "400",
            Self::Unauthorized => "401",
            Self::Forbidden => "403",
            Self::NotFound => "404",
            Self::NotAllowed => "405",
            Self::TooLarge => "413",
            Self::Unavailable => "503",
            Self::Other => "other",
        }
    }

    /// The one with this number.
    fn of(code: StatusCode) -> Self {
        let known = Self::KNOWN.into_iter().find(|status| status.code() == code);
        known.unwrap_or(Self::Other)
    }
}

/// An answer, before it becomes HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: Status,
    /// How the request ended.
    pub outcome: Outcome,
    body: Body,
    /// The life of the token that this answer gives, or what is left of the one that came.
    ttl: Option<u16>,
}

#[derive(Clone, PartialEq, Eq)]
enum Body {
    Empty,
    /// [`PAGE`].
    Page,
    /// A new token.
    Token(String),
    /// Something that was read, with the time of its last change.
    Text(Bytes, Timestamp),
    /// The real service's answer, as it is.
    Passed(Box<(HeaderMap, StatusCode, Bytes)>),
}

/// Bodies have keys and tokens in them.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Page => "Page",
            Self::Token(_) => "Token",
            Self::Text(..) => "Text",
            Self::Passed(_) => "Passed",
        })
    }
}

impl Answer {
    /// A new token.
    pub(super) fn token(token: String, ttl: Ttl) -> Self {
        Self {
            ttl: Some(ttl.seconds()),
            ..Self::new(Status::Ok, Outcome::Served, Body::Token(token))
        }
    }

    /// What everybody gets who is refused because of `why`: the one place that says so.
    pub(super) fn refused(why: Outcome) -> Self {
        use Outcome as O;
        let (status, body) = match why {
            O::TokenTtl | O::BodyBroken => (Status::BadRequest, Body::Empty),
            O::TokenMissing | O::TokenMalformed | O::TokenForged | O::TokenExpired => {
                (Status::Unauthorized, Body::Empty)
            }
            O::TokenPath | O::Forwarded => (Status::Forbidden, Body::Empty),
            O::TokenMethod | O::Method => (Status::NotAllowed, Body::Empty),
            O::BodySize => (Status::TooLarge, Body::Empty),
            // Without a body: clients that do not look at the status take one for a role's name.
            O::Fetching | O::Unavailable | O::Expiring | O::PodUnknown | O::Upstream => {
                (Status::Unavailable, Body::Empty)
            }
            // `Served` and `Passed` are no reasons; if they were ever given for one, nothing would be shown.
            O::Path
            | O::Missing
            | O::Passed
            | O::PodElsewhere
            | O::OtherAddress
            | O::NoRole
            | O::Forbidden
            | O::InvalidRole
            | O::OtherRole
            | O::Denied
            | O::Served => (Status::NotFound, Body::Page),
        };
        Self::new(status, why, body)
    }

    /// The same answer, to a client that came with a token: it is told how long that still lives.
    pub(super) fn for_session(self, remaining: Option<u16>) -> Self {
        Self {
            ttl: remaining,
            ..self
        }
    }

    /// What was asked for; it last changed at `modified`.
    pub(super) fn served(text: Bytes, modified: Timestamp) -> Self {
        Self::explained(Outcome::Served, text, modified)
    }

    /// A document that says why there is not what was asked for. To EC2 that is a success.
    pub(super) fn explained(outcome: Outcome, text: Bytes, modified: Timestamp) -> Self {
        Self::new(Status::Ok, outcome, Body::Text(text, modified))
    }

    /// The real service's answer, for a pod that has the node's own identity.
    pub(super) fn passed(response: Response<Bytes>) -> Self {
        let (head, text) = response.into_parts();
        let status = Status::of(head.status);
        let body = Body::Passed(Box::new((head.headers, head.status, text)));
        Self::new(status, Outcome::Passed, body)
    }

    /// The number that the client is told. Of an answer that is passed on, [`Answer::status`] may not have it.
    pub(super) fn code(&self) -> StatusCode {
        match &self.body {
            Body::Passed(passed) => passed.1,
            Body::Empty | Body::Page | Body::Token(_) | Body::Text(..) => self.status.code(),
        }
    }

    fn new(status: Status, outcome: Outcome, body: Body) -> Self {
        Self {
            status,
            outcome,
            body,
            ttl: None,
        }
    }

    /// As HTTP. The connection adds what belongs to it: `Date`, `Content-Length`, `Connection`.
    pub fn into_response(self) -> Response<Full<Bytes>> {
        match self.body {
            Body::Passed(passed) => as_it_came(*passed, self.ttl),
            Body::Empty | Body::Page | Body::Token(_) | Body::Text(..) => self.our_own(),
        }
    }

    fn our_own(self) -> Response<Full<Bytes>> {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, content_type(&self.body));
        if let Body::Text(_, modified) = &self.body {
            headers.insert(ACCEPT_RANGES, HeaderValue::from_static("none"));
            headers.extend(last_modified(*modified));
        }
        headers.insert(SERVER, HeaderValue::from_static("EC2ws"));
        if let Some(ttl) = self.ttl {
            headers.insert(HeaderName::from_static(TOKEN_TTL), ttl.into());
        }
        let body = match self.body {
            Body::Empty | Body::Passed(_) => Bytes::new(),
            Body::Page => Bytes::from_static(PAGE.as_bytes()),
            Body::Token(token) => Bytes::from(token),
            Body::Text(text, _) => text,
        };
        if body.is_empty() {
            // hyper says it itself, but not to HEAD.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = self.status.code();
        *response.headers_mut() = headers;
        if self.status == Status::NotAllowed {
            not_allowed(&mut response, self.outcome);
        }
        response
    }
}

fn content_type(body: &Body) -> HeaderValue {
    HeaderValue::from_static(match body {
        Body::Page => "text/html",
        Body::Empty | Body::Token(_) | Body::Text(..) | Body::Passed(_) => "text/plain",
    })
}

/// The real service's answer. What it tells of a token is about the agent's own, where that stood in for one of ours.
fn as_it_came(
    (mut headers, status, text): (HeaderMap, StatusCode, Bytes),
    left_of_ours: Option<u16>,
) -> Response<Full<Bytes>> {
    if let Some(left) = left_of_ours
        && headers.contains_key(TOKEN_TTL)
    {
        headers.insert(TOKEN_TTL, left.into());
    }
    let mut response = Response::new(Full::new(text));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn last_modified(time: Timestamp) -> Option<(HeaderName, HeaderValue)> {
    // Only times before the year 0 have no such form.
    let text = DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&time)
        .ok()?;
    Some((LAST_MODIFIED, HeaderValue::try_from(text).ok()?))
}

/// What 405 says beside its number; EC2 has its own words for it.
fn not_allowed(response: &mut Response<Full<Bytes>>, why: Outcome) {
    const PHRASE: ReasonPhrase = ReasonPhrase::from_static(b"Not Allowed");
    let methods = if why == Outcome::TokenMethod {
        "OPTIONS, PUT"
    } else {
        "GET, HEAD"
    };
    response.extensions_mut().insert(PHRASE);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(methods));
}

#[cfg(test)]
mod tests;
