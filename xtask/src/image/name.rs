//! What an image is called: `NAME:TAG`.

use std::{fmt, str::FromStr};

use anyhow::{Error, ensure};

/// A name with a tag, as container engines take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(String);

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, tag) = text.rsplit_once(':').unwrap_or((text, ""));
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let of_name = |byte: u8| plain(byte) || b"._-/:".contains(&byte);
        let of_tag = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        ensure!(
            name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
                && name.bytes().all(of_name)
                && !tag.is_empty()
                && tag.bytes().all(of_tag),
            "`{text}` is no name of an image; NAME:TAG is expected, as in bpf2iam:1.0"
        );
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_tag() {
        for (text, good) in [
            ("bpf2iam:0.1.0", true),
            ("localhost/bpf2iam:v2", true),
            ("localhost:5000/team/bpf2iam:RC_1", true),
            ("bpf2iam", false),
            ("bpf2iam:", false),
            (":1", false),
            ("localhost:5000/bpf2iam", false),
            ("Bpf2iam:1", false),
            ("bpf2iam@sha256:00", false),
            ("bpf2iam:1 ", false),
            ("", false),
        ] {
            let parsed = text.parse::<Name>();
            assert_eq!(parsed.is_ok(), good, "{text}");
            assert!(parsed.is_err() || parsed.expect("it is good").to_string() == text);
        }
    }
}
