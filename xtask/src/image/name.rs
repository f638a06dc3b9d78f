//! What an image is called: `NAME:TAG`.

use std::{fmt, str::FromStr};

use anyhow::{Error, ensure};

/// The host of a name without one.
const HUB: &str = "docker.io";

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

impl Name {
    /// As it is looked up for a kubelet: with the host, and there the directory, that are meant where a name has none. By the
    /// rules of docker's references, which containerd's CRI follows (github.com/distribution/reference, `ParseDockerRef`).
    pub(super) fn canonical(&self) -> String {
        let name = self.0.as_str();
        let (host, path) = match name.split_once('/') {
            Some((first, rest)) if is_host(first) => (first, rest),
            _ => (HUB, name),
        };
        let directory = if host == HUB && !path.contains('/') {
            "library/"
        } else {
            ""
        };
        format!("{host}/{directory}{path}")
    }
}

/// The first part of a name is that of a host if it can be nothing else.
fn is_host(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':'])
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

    #[test]
    fn a_name_without_a_host_is_looked_up_at_dockers() {
        for (text, canonical) in [
            ("bpf2iam:0.1.0", "docker.io/library/bpf2iam:0.1.0"),
            ("team/bpf2iam:1", "docker.io/team/bpf2iam:1"),
            ("docker.io/bpf2iam:1", "docker.io/library/bpf2iam:1"),
            ("docker.io/team/bpf2iam:1", "docker.io/team/bpf2iam:1"),
            ("localhost/bpf2iam:1", "localhost/bpf2iam:1"),
            ("localhost:5000/bpf2iam:1", "localhost:5000/bpf2iam:1"),
            (
                "mirror.example/team/bpf2iam:1",
                "mirror.example/team/bpf2iam:1",
            ),
            ("mirror:5000/bpf2iam:1", "mirror:5000/bpf2iam:1"),
        ] {
            let name: Name = text.parse().expect(text);
            assert_eq!(name.canonical(), canonical, "{text}");
        }
    }
}
