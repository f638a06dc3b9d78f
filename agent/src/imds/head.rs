//! What may be the head of a request: a strict reading of RFC 9112, before anything lenient sees the bytes.
//!
//! Whatever two readers could take for two different requests is refused: a length that is told twice or in
//! two ways, folded lines, line ends that are none. hyper is strict about some of this and lenient about the
//! rest (the tests say which); what pods can rely on must not change with its version. So hyper gets only
//! heads that were found right here, and no byte beyond the one request.
//!
//! Pure. The bytes may come in any portions; each is looked at once.

use std::mem;

use hyper::StatusCode;

/// How large a head may be, its last line included. The longest real ones have 500 bytes.
pub const HEAD: usize = 16 * 1024;
/// How many fields there may be: hyper's own bound. Real requests have fewer than ten.
const FIELDS: usize = 100;

/// A head that is whole and right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many bytes it has, with the empty line at its end.
    pub length: usize,
    /// What comes after it.
    pub body: Body,
}

/// What comes after a head, and belongs to the same request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// So many bytes. None, where the head does not say (RFC 9112, section 6.3): curl and others send a PUT so.
    Length(u64),
    /// Chunks, up to an empty one.
    Chunked,
}

/// Why something is no head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// More empty lines before the request than the one that RFC 9112 (section 2.2) lets pass.
    #[error("empty lines before the request")]
    EmptyLines,
    /// Not a method, a target and a version with one space between them.
    #[error("no request line")]
    RequestLine,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    #[error("not a version of HTTP that is spoken here")]
    Version,
    /// LF without CR.
    #[error("a line ends in a bare LF")]
    BareLf,
    /// CR without LF.
    #[error("a bare CR")]
    BareCr,
    /// Another control character.
    #[error("a control character")]
    Control,
    /// A line that goes on with the one before it.
    #[error("a folded line")]
    Folded,
    /// No colon, or something before it that is no name: white space counts.
    #[error("a field without a right name")]
    FieldName,
    /// [`FIELDS`] are enough.
    #[error("too many fields")]
    TooManyFields,
    /// [`HEAD`] is enough.
    #[error("too large a head")]
    TooLarge,
    /// Two names for one server.
    #[error("more than one Host")]
    TwoHosts,
    /// No number, or a list of them.
    #[error("a Content-Length that is no number")]
    ContentLength,
    /// Even when they are equal.
    #[error("more than one Content-Length")]
    TwoLengths,
    /// Something else than one `chunked`, or in HTTP/1.0.
    #[error("a Transfer-Encoding that is not chunked")]
    TransferEncoding,
    /// Two ends for one body.
    #[error("both Content-Length and Transfer-Encoding")]
    TwoFramings,
}

impl Malformed {
    /// The status that says so.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::TooManyFields | Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::EmptyLines
            | Self::RequestLine
            | Self::Version
            | Self::BareLf
            | Self::BareCr
            | Self::Control
            | Self::Folded
            | Self::FieldName
            | Self::TwoHosts
            | Self::ContentLength
            | Self::TwoLengths
            | Self::TransferEncoding
            | Self::TwoFramings => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads one head, in as many portions as it comes in.
#[derive(Debug, Default)]
pub struct Scanner {
    /// How many bytes were looked at.
    seen: usize,
    /// Where the line begins that is not whole yet.
    line: usize,
    /// Whether there was an empty line before the request.
    blank: bool,
    /// From the request line on.
    request: Option<Request>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

/// What is to be known about a request in order to find its end.
#[derive(Debug)]
struct Request {
    version: Version,
    fields: usize,
    host: bool,
    length: Option<u64>,
    chunked: bool,
}

impl Scanner {
    /// Goes on with `bytes`: all there is from the beginning, so what it was given before and perhaps more.
    /// `None` while the head is right so far and not at its end.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Option<Head>, Malformed> {
        while let Some(line) = self.next_line(bytes)? {
            if self.line > HEAD {
                break;
            }
            if let Some(body) = self.take(line)? {
                let length = self.line;
                return Ok(Some(Head { length, body }));
            }
        }
        if bytes.len() < HEAD {
            Ok(None)
        } else {
            Err(Malformed::TooLarge)
        }
    }

    /// The next whole line, without its end. What is in none yet has no control character in it either.
    fn next_line<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
        let new = bytes.get(self.seen..).unwrap_or_default();
        let Some(at) = new.iter().position(|byte| is_control(*byte)) else {
            self.seen = bytes.len();
            return Ok(None);
        };
        let end = self.seen + at;
        match new.get(at..).unwrap_or_default() {
            [b'\r', b'\n', ..] => {
                let line = bytes.get(self.line..end).unwrap_or_default();
                self.seen = end + 2;
                self.line = self.seen;
                Ok(Some(line))
            }
            // Its LF may still come.
            [b'\r'] => {
                self.seen = end;
                Ok(None)
            }
            [b'\r', ..] => Err(Malformed::BareCr),
            [b'\n', ..] => Err(Malformed::BareLf),
            _ => Err(Malformed::Control),
        }
    }

    /// Understands one line. After the last one, says what follows.
    fn take(&mut self, line: &[u8]) -> Result<Option<Body>, Malformed> {
        match (&mut self.request, line) {
            (Some(request), []) => return Ok(Some(request.body())),
            (Some(request), line) => request.field(line)?,
            (None, []) if self.blank => return Err(Malformed::EmptyLines),
            (None, []) => self.blank = true,
            (None, line) => self.request = Some(Request::parse(line)?),
        }
        Ok(None)
    }
}

impl Request {
    /// From the request line (RFC 9112, section 3).
    fn parse(line: &[u8]) -> Result<Self, Malformed> {
        let mut words = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Malformed::RequestLine);
        };
        if !is_token(method) || !is_target(target) {
            return Err(Malformed::RequestLine);
        }
        let version = match version {
            b"HTTP/1.1" => Version::Http11,
            b"HTTP/1.0" => Version::Http10,
            _ => return Err(Malformed::Version),
        };
        Ok(Self {
            version,
            fields: 0,
            host: false,
            length: None,
            chunked: false,
        })
    }

    /// Takes a field in (RFC 9112, section 5). Of the values only those matter that say where the request ends.
    fn field(&mut self, line: &[u8]) -> Result<(), Malformed> {
        if line.first().is_some_and(|byte| is_white(*byte)) {
            return Err(Malformed::Folded);
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = colon
            .and_then(|colon| line.split_at_checked(colon))
            .filter(|(name, _)| is_token(name))
            .ok_or(Malformed::FieldName)?;
        self.fields += 1;
        if self.fields > FIELDS {
            return Err(Malformed::TooManyFields);
        }
        let value = value.get(1..).unwrap_or_default();
        if name.eq_ignore_ascii_case(b"content-length") {
            self.content_length(value)
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.transfer_encoding(value)
        } else if name.eq_ignore_ascii_case(b"host") && mem::replace(&mut self.host, true) {
            Err(Malformed::TwoHosts)
        } else {
            Ok(())
        }
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Malformed> {
        let digits = value.trim_ascii();
        // A number would be parsed with a sign as well.
        let length = Some(digits)
            .filter(|digits| digits.iter().all(u8::is_ascii_digit))
            .and_then(|digits| str::from_utf8(digits).ok()?.parse().ok())
            .ok_or(Malformed::ContentLength)?;
        if self.chunked {
            Err(Malformed::TwoFramings)
        } else if self.length.replace(length).is_some() {
            Err(Malformed::TwoLengths)
        } else {
            Ok(())
        }
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Malformed> {
        let only = value.trim_ascii().eq_ignore_ascii_case(b"chunked") && !self.chunked;
        if !only || self.version == Version::Http10 {
            Err(Malformed::TransferEncoding)
        } else if self.length.is_some() {
            Err(Malformed::TwoFramings)
        } else {
            self.chunked = true;
            Ok(())
        }
    }

    fn body(&self) -> Body {
        if self.chunked {
            Body::Chunked
        } else {
            Body::Length(self.length.unwrap_or(0))
        }
    }
}

/// Space and tab: `OWS` of RFC 9110. (No other byte that `trim_ascii` takes away is ever in a line.)
const fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Control characters but for the tab, which is white space.
const fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

/// Visible characters. No target has a fragment (RFC 9112, section 3.2), and who takes it off reads another path.
fn is_target(text: &[u8]) -> bool {
    let visible = |byte: &u8| byte.is_ascii_graphic() && *byte != b'#';
    !text.is_empty() && text.iter().all(visible)
}

/// `token` of RFC 9110, section 5.6.2.
fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

#[cfg(test)]
mod tests;
