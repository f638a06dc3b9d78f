//! What we show the API server: `Authorization: Bearer TOKEN`.

use std::{fs, io, path::PathBuf};

use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderValue},
};

use crate::creds::Secret;

/// Why a text is no token. The text is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// There is nothing but blanks.
    #[error("it is empty")]
    Empty,
    /// No HTTP header can have it.
    #[error("it has a line break or another character in it that no HTTP header takes")]
    Character,
}

/// The token in `text`, without the blanks and line breaks around it.
pub fn parse_token(text: &str) -> Result<Secret, InvalidToken> {
    header(text).map(|_taken| Secret::new(text.trim()))
}

fn header(text: &str) -> Result<HeaderValue, InvalidToken> {
    let token = text.trim();
    if token.is_empty() {
        return Err(InvalidToken::Empty);
    }
    let value = HeaderValue::try_from(format!("Bearer {token}"));
    let mut value = value.map_err(|_why| InvalidToken::Character)?;
    value.set_sensitive(true);
    Ok(value)
}

/// A file that has our token now.
#[derive(Clone, Debug)]
pub(super) struct TokenFile(pub(super) PathBuf);

impl TokenFile {
    pub(super) fn read(&self) -> io::Result<HeaderValue> {
        let text = fs::read_to_string(&self.0)?;
        header(&text).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))
    }

    /// Without the file there is no proof, and the server says so.
    pub(super) fn prove(&self, headers: &mut HeaderMap) {
        match self.read() {
            Ok(value) => drop(headers.insert(AUTHORIZATION, value)),
            Err(error) => tracing::debug!(%error, "cannot read the token for the API server"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_without_the_blanks_around_it_and_not_printed() {
        let dir = tempfile::tempdir().unwrap();
        let file = TokenFile(dir.path().join("token"));
        assert!(file.read().is_err());
        for (text, value) in [("abc", "Bearer abc"), (" abc\n", "Bearer abc")] {
            fs::write(&file.0, text).unwrap();
            let read = file.read().unwrap();
            assert_eq!(read.to_str().unwrap(), value);
            assert!(read.is_sensitive());
            assert!(!format!("{read:?}").contains("abc"));
        }
        for text in ["a\nb", "", " \n"] {
            fs::write(&file.0, text).unwrap();
            assert!(file.read().is_err(), "{text:?}");
        }
        fs::remove_file(&file.0).unwrap();
        let mut headers = HeaderMap::new();
        file.prove(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn what_no_header_takes_is_no_token_and_not_repeated() {
        for (text, why) in [
            ("", InvalidToken::Empty),
            (" \t\r\n", InvalidToken::Empty),
            ("hunter2\nhunter2", InvalidToken::Character),
            ("hunter2\0", InvalidToken::Character),
            ("hun\x7fter2", InvalidToken::Character),
        ] {
            assert_eq!(parse_token(text), Err(why), "{text:?}");
            assert!(!format!("{why} {why:?}").contains("hunter2"));
        }
        assert_eq!(parse_token("hunter2\n"), Ok(Secret::new("hunter2")));
    }
}
