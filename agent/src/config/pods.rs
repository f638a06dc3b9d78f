//! Where pods come from, and how the API server is found.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::{
    args,
    creds::Secret,
    kubernetes::{Server, Settings, Trust, parse_token},
    pods::binding::Exchange,
};

use super::{Error, Warning, directory, given};

/// Where pods come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pods {
    /// The Kubernetes API.
    Kube(Settings),
    /// A directory of manifests.
    Files(PathBuf),
}

impl Pods {
    /// What was typed.
    pub(super) fn new(args: &args::Kubernetes, exchange: Exchange) -> Result<Self, Error> {
        let (server, token) = server(args);
        // A file's last line break, as `$(cat FILE)` would take it away, is none of the token's.
        let token = token.map(|token| parse_token(token.expose()));
        let token = token.transpose().map_err(Error::ApiToken)?;
        if token.is_some() && server.is_none() {
            return Err(Error::TokenWithoutServer);
        }
        match args.pods.parse()? {
            Place::Files(_) if exchange == Exchange::WebIdentity => Err(Error::WebIdentityOfFiles),
            Place::Files(dir) => Ok(Self::Files(directory("--pods", dir)?)),
            Place::Kube => Ok(Self::Kube(settings(args, server, token)?)),
        }
    }

    /// How it would be typed.
    pub(super) fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![("pods", self.to_string())];
        settings.extend(match self {
            Self::Files(_) | Self::Kube(Settings::InCluster) => None,
            Self::Kube(api @ Settings::Kubeconfig { .. }) => Some(("kubeconfig", api.to_string())),
            Self::Kube(api @ Settings::Server(_)) => Some(("api-server", api.to_string())),
        });
        settings
    }
}

/// As in kube2iam, a kubeconfig comes before a server.
fn settings(
    args: &args::Kubernetes,
    server: Option<String>,
    token: Option<Secret>,
) -> Result<Settings, Error> {
    let trust = if is_insecure(args) {
        Trust::Anybody
    } else {
        Trust::Authorities
    };
    if let Some(path) = kubeconfig(args) {
        return Ok(Settings::Kubeconfig { path, trust });
    }
    match server {
        Some(url) => {
            let server = Server::parse(&url, token, trust).map_err(Error::ApiServer)?;
            Ok(Settings::Server(server))
        }
        None => Ok(Settings::InCluster),
    }
}

/// What whoever typed these flags should know.
pub(super) fn warnings(args: &args::Kubernetes, pods: &Pods) -> Vec<Warning> {
    let (server, token) = server(args);
    let (file, insecure) = (kubeconfig(args).is_some(), is_insecure(args));
    let mut given = Vec::new();
    let mut warn = |is_given: bool, flag, says| {
        if is_given {
            given.push(Warning::new(flag, says));
        }
    };
    match pods {
        Pods::Files(_) => {
            let says = "not used, as --pods is a directory";
            warn(file, "kubeconfig", says);
            warn(server.is_some(), "api-server", says);
            warn(insecure, "insecure", says);
        }
        Pods::Kube(Settings::InCluster) => {
            let says = "not used, as a cluster's pods know the certificate of its API server";
            warn(insecure, "insecure", says);
        }
        Pods::Kube(Settings::Kubeconfig { .. }) => {
            warn(
                server.is_some(),
                "api-server",
                "not used, as --kubeconfig is given",
            );
            warn(insecure, "insecure", INSECURE);
        }
        Pods::Kube(Settings::Server(_)) => {
            let says = "it is asked without a token, as --api-token is not given; kube2iam \
                        would have asked the cluster's own";
            warn(token.is_none(), "api-server", says);
            warn(
                token.is_some() && is_plain(server.as_deref()),
                "api-server",
                PLAIN,
            );
            warn(insecure, "insecure", INSECURE);
        }
    }
    given
}

const INSECURE: &str = "WHOEVER PASSES FOR THE API SERVER DECIDES WHICH POD GETS WHICH ROLE, AND GETS OUR \
                        TOKEN; this is for tests only";

const PLAIN: &str = "http:// is not encrypted: WHOEVER IS ON THE WAY READS OUR TOKEN, and decides which pod gets \
                     which role; give https://";

fn is_plain(server: Option<&str>) -> bool {
    let scheme = server.and_then(|url| url.split_once("://"));
    scheme.is_some_and(|(scheme, _rest)| scheme.eq_ignore_ascii_case("http"))
}

fn server(args: &args::Kubernetes) -> (Option<String>, Option<Secret>) {
    let token = args.api_token.clone();
    (
        given(args.api_server.clone()),
        token.filter(|token| !token.expose().trim().is_empty()),
    )
}

fn kubeconfig(args: &args::Kubernetes) -> Option<PathBuf> {
    given(args.kubeconfig.clone()).map(PathBuf::from)
}

fn is_insecure(args: &args::Kubernetes) -> bool {
    args.insecure.is_some_and(args::Switch::is_on)
}

/// What `--pods` says.
enum Place {
    Kube,
    Files(PathBuf),
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.strip_prefix("file:") {
            Some(dir) if !dir.is_empty() => Ok(Self::Files(dir.into())),
            _ if text == "kube" => Ok(Self::Kube),
            _ => Err(Error::Pods(text.to_owned())),
        }
    }
}

impl fmt::Display for Pods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kube(_) => f.write_str("kube"),
            Self::Files(dir) => write!(f, "file:{}", dir.display()),
        }
    }
}

#[cfg(test)]
mod tests;
