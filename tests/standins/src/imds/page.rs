//! Answers as EC2 sends them: which headers go with which kind of body.

use bytes::Bytes;
use hyper::{
    StatusCode,
    header::{
        ACCEPT_RANGES, ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue,
        LAST_MODIFIED, SERVER,
    },
};
use jiff::Timestamp;

use crate::serve::Response;

use super::token::TTL;

/// A body with the type that EC2 gives to its kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A leaf, a list, a token; JSON too.
    Text,
    /// User data.
    Octets,
    /// An error page.
    Html,
}

/// A resource: 200 with the time of its last change.
pub(super) fn resource(kind: Kind, body: String, modified: Timestamp) -> Response {
    let mut response = answer(StatusCode::OK, kind, body);
    set(&mut response, ACCEPT_RANGES, "none");
    set(&mut response, LAST_MODIFIED, &http_date(modified));
    response
}

/// A time as HTTP spells it.
pub(super) fn http_date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A token: 200 with its lifetime.
pub(super) fn token(token: String, ttl: u32) -> Response {
    with_ttl(answer(StatusCode::OK, Kind::Text, token), ttl)
}

/// An error that has a page: 404 as captured, others in its likeness.
pub(super) fn error(status: StatusCode) -> Response {
    answer(status, Kind::Html, page(status))
}

/// An error without a body: 401, 403, 405.
pub(super) fn empty(status: StatusCode) -> Response {
    answer(status, Kind::Text, String::new())
}

/// 405, with the methods that would have been right.
pub(super) fn not_allowed(allowed: &str) -> Response {
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    set(&mut response, ALLOW, allowed);
    response
}

/// The same answer, with the seconds that a token has left.
pub(super) fn with_ttl(mut response: Response, ttl: u32) -> Response {
    let name = HeaderName::from_static(TTL);
    response.headers_mut().insert(name, ttl.into());
    response
}

/// The same answer, and the connection stays: EC2 does this where the token's path is nearly right.
pub(super) fn kept_open(mut response: Response) -> Response {
    response.headers_mut().remove(CONNECTION);
    response
}

fn answer(status: StatusCode, kind: Kind, body: String) -> Response {
    let length = body.len();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    set(&mut response, CONTENT_TYPE, kind.name());
    set(&mut response, SERVER, "EC2ws");
    set(&mut response, CONNECTION, "close");
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length.into());
    response
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    // Only values of this file come here, and all are legal.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn page(status: StatusCode) -> String {
    let title = format!(
        "{} - {}",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default()
    );
    format!(
        r#"<?xml version="1.0" encoding="iso-8859-1"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
{TAB}{TAB} "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head>
  <title>{title}</title>
 </head>
 <body>
  <h1>{title}</h1>
 </body>
</html>
"#
    )
}

/// Twice in the page, where no editor shall replace it.
const TAB: char = '\t';

impl Kind {
    /// As in `Content-Type`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Text => "text/plain",
            Self::Octets => "application/octet-stream",
            Self::Html => "text/html",
        }
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_404_page_is_the_real_one() {
        let page = page(StatusCode::NOT_FOUND);
        assert_eq!(page.len(), 339);
        let expected = [
            0x3f92_bfc0_961a_4bf4_e839_38c7_08af_b562_u128,
            0x018c_698f_4a27_75ac_c4d5_9879_c33a_a39c,
        ];
        let digest: [u8; 32] = Sha256::digest(page).into();
        assert_eq!(digest.as_slice(), expected.map(u128::to_be_bytes).concat());
    }
}
