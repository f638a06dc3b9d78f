//! Which API server, and as whom.

use std::{fmt, path::PathBuf};

use hyper::{
    Uri,
    http::uri::{Authority, Scheme},
};

use crate::creds::Secret;

/// Where the API server is, and what proves who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settings {
    /// The cluster whose pod we are, as our ServiceAccount.
    InCluster,
    /// What this file says is current.
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Who may pass for the server, unless the file says that anybody may.
        trust: Trust,
    },
    /// This one.
    Server(Server),
}

/// Who may pass for the API server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Who has a certificate from an authority that is trusted.
    #[default]
    Authorities,
    /// Anybody (`--insecure`).
    Anybody,
}

/// An API server that was given by its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    url: Uri,
    token: Option<Secret>,
    trust: Trust,
}

/// Why a text is no address of an API server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// It is something else.
    #[error("{0:?} is no URL of an API server, such as https://10.0.0.1:6443")]
    NoUrl(String),
    /// It has an `@`, or a `?`. Who knows which part of it is secret: nothing of it is repeated.
    #[error(
        "the URL of an API server has no user, password or query in it, but is such as https://10.0.0.1:6443"
    )]
    Secret,
}

impl InvalidUrl {
    fn of(text: &str) -> Self {
        if text.contains(['@', '?']) {
            Self::Secret
        } else {
            Self::NoUrl(text.to_owned())
        }
    }
}

impl Server {
    /// The server at `url`, where `token` proves who we are.
    pub fn parse(url: &str, token: Option<Secret>, trust: Trust) -> Result<Self, InvalidUrl> {
        let invalid = || InvalidUrl::of(url);
        let parsed: Uri = url.parse().map_err(|_no_uri| invalid())?;
        let known = [Scheme::HTTP, Scheme::HTTPS];
        let is_known = parsed.scheme().is_some_and(|scheme| known.contains(scheme));
        if !is_known || !parsed.authority().is_some_and(is_host) || parsed.query().is_some() {
            return Err(invalid());
        }
        Ok(Self {
            url: parsed,
            token,
            trust,
        })
    }

    pub(super) const fn url(&self) -> &Uri {
        &self.url
    }

    pub(super) const fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    pub(super) const fn trust(&self) -> Trust {
        self.trust
    }
}

/// Whether it is a host, and perhaps a port. A password there would be printed.
fn is_host(authority: &Authority) -> bool {
    let bare = authority.as_str() == authority.host();
    bare || (authority.port_u16().is_some() && !authority.as_str().contains('@'))
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InCluster => f.write_str("in-cluster"),
            Self::Kubeconfig { path, .. } => write!(f, "{}", path.display()),
            Self::Server(server) => write!(f, "{}", server.url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_of_a_server_is_refused() {
        for text in [
            "",
            "10.0.0.1:6443",
            "api.example.com",
            "ftp://10.0.0.1",
            "https://",
            "https://10.0.0.1:port",
            "file:///etc/kubernetes/admin.conf",
        ] {
            let refused = Server::parse(text, None, Trust::Authorities).unwrap_err();
            assert_eq!(refused, InvalidUrl::NoUrl(text.to_owned()));
        }
        for text in [
            "https://10.0.0.1:6443",
            "https://[fd00::1]",
            "http://127.0.0.1:8080/prefix",
        ] {
            assert!(
                Server::parse(text, None, Trust::Authorities).is_ok(),
                "{text}"
            );
        }
    }

    #[test]
    fn what_may_be_a_secret_in_a_url_is_refused_and_not_repeated() {
        for text in [
            "https://user:hunter2@10.0.0.1",
            "https://hunter2@10.0.0.1:6443/",
            "https://user:@hunter2@10.0.0.1",
            "https://user:hunter2/@10.0.0.1",
            "https://user:hunter2 @10.0.0.1",
            "https://10.0.0.1@hunter2",
            "user:hunter2@10.0.0.1",
            "ftp://user:hunter2@10.0.0.1",
            "https://10.0.0.1/?token=hunter2",
            "10.0.0.1:6443?token=hunter2",
        ] {
            let refused = Server::parse(text, None, Trust::Authorities).unwrap_err();
            assert_eq!(refused, InvalidUrl::Secret, "{text}");
            let told = format!("{refused} {refused:?}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn settings_print_without_the_token() {
        let token = Some(Secret::new("c2VjcmV0"));
        let server = Server::parse("https://10.0.0.1:6443", token, Trust::Anybody).unwrap();
        let kubeconfig = Settings::Kubeconfig {
            path: "/etc/kubeconfig".into(),
            trust: Trust::Authorities,
        };
        for (settings, printed) in [
            (Settings::InCluster, "in-cluster"),
            (kubeconfig, "/etc/kubeconfig"),
            (Settings::Server(server), "https://10.0.0.1:6443/"),
        ] {
            assert_eq!(settings.to_string(), printed);
            assert!(!format!("{settings:?}").contains("c2VjcmV0"));
        }
    }
}
