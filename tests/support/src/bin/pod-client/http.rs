//! As much of HTTP/1 as a client needs that asks once.

use std::collections::BTreeMap;

/// How an IMDSv2 client asks for a token: as long as there is.
const TOKEN_LIFE: &str = "X-aws-ec2-metadata-token-ttl-seconds: 21600";

/// A request whose answer ends with the connection.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Whole lines, `Name: value`.
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

impl Request {
    /// A GET without headers.
    pub(crate) fn get(path: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// As an IMDSv2 client asks for a token.
    pub(crate) fn token() -> Self {
        Self {
            method: "PUT".to_owned(),
            headers: vec![TOKEN_LIFE.to_owned()],
            ..Self::get("/latest/api/token")
        }
    }

    /// The same, to be answered in the session of `token`.
    pub(crate) fn in_session(mut self, token: &str) -> Self {
        self.headers
            .push(format!("X-aws-ec2-metadata-token: {token}"));
        self
    }

    /// As it goes over the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let Self {
            method,
            path,
            headers,
            body,
        } = self;
        let mut lines = vec![
            format!("{method} {path} HTTP/1.1"),
            "Host: 169.254.169.254".to_owned(),
            "Connection: close".to_owned(),
        ];
        if !body.is_empty() || method == "PUT" || method == "POST" {
            lines.push(format!("Content-Length: {}", body.len()));
        }
        lines.extend(headers.iter().cloned());
        format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes()
    }
}

/// An answer. What is no HTTP is all body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: Option<u16>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let no_http = || Self {
            status: None,
            headers: BTreeMap::new(),
            body: text.clone().into_owned(),
        };
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            return no_http();
        };
        let mut lines = head.split("\r\n");
        let Some(status) = lines.next().and_then(status) else {
            return no_http();
        };
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        Self {
            status: Some(status),
            headers: headers.collect(),
            body: body.to_owned(),
        }
    }
}

/// Of a first line, `HTTP/1.1 404 Not Found`.
fn status(line: &str) -> Option<u16> {
    let (_version, rest) = line.strip_prefix("HTTP/")?.split_once(' ')?;
    rest.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_its_headers_and_the_length_of_its_body() {
        let mut request = Request::get("/latest/");
        assert_eq!(
            request.bytes(),
            b"GET /latest/ HTTP/1.1\r\nHost: 169.254.169.254\r\nConnection: close\r\n\r\n"
        );
        request.method = "PUT".to_owned();
        request.headers.push("X: 1".to_owned());
        let text = String::from_utf8(request.bytes()).unwrap();
        assert!(
            text.ends_with("\r\nContent-Length: 0\r\nX: 1\r\n\r\n"),
            "{text}"
        );
    }

    #[test]
    fn an_answer_is_taken_apart() {
        let answer =
            Response::parse(b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n<html>");
        assert_eq!(answer.status, Some(404));
        assert_eq!(answer.headers["content-type"], "text/html");
        assert_eq!(answer.body, "<html>");
    }

    #[test]
    fn what_is_no_http_is_all_body() {
        for text in [
            "",
            "SSH-2.0-x",
            "HTTP/1.1 abc\r\n\r\nx",
            "220 hello\r\n\r\n",
        ] {
            let answer = Response::parse(text.as_bytes());
            assert_eq!((answer.status, answer.body.as_str()), (None, text));
        }
    }
}
