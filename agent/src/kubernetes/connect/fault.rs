//! What is wrong with a kubeconfig, its certificates or its plugin, each said once and in one line.
//!
//! The texts of [`kube`]'s errors do not leave this module: those of parsers quote the lines around the mistake, and
//! those of plugins all that a plugin printed. Either may have a token in it.

use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

use hyper::http::uri::InvalidUri;
use kube::{
    client::AuthError,
    config::{KubeconfigError, LoadDataError},
};

use crate::{chain::chain, id::Excerpt};

use super::token::InvalidToken;

/// What is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Nothing is to be had of the file.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    /// It is no YAML, or one of its values has another type.
    #[error("it is no kubeconfig{0}; its text is not repeated, as it may have secrets in it")]
    Unreadable(Place),
    /// It is several things.
    #[error("it has documents of several kinds or versions; give one kubeconfig")]
    Mixed,
    /// It says nothing of what is current.
    #[error(
        "it has no current-context; choose one with `kubectl config use-context`, or --api-server"
    )]
    NoContext,
    /// What is current is not there.
    #[error("its current-context {0} is not in it; the contexts in it have other names")]
    Context(Excerpt),
    /// Where is that?
    #[error("the cluster {0} of its current-context is not in it")]
    Cluster(Excerpt),
    /// Who is that?
    #[error("the user {0} of its current-context is not in it")]
    User(Excerpt),
    /// The cluster is nowhere.
    #[error("the cluster of its current-context has no server")]
    NoServer,
    /// The cluster is somewhere else than at a URL.
    #[error("the server of its cluster is no URL")]
    Server(#[source] InvalidUri),
    /// We ask nobody through others.
    #[error("it asks for a proxy, which is not supported")]
    Proxy,
    /// A proxy that nobody could ask.
    #[error("the proxy in it, or in $HTTPS_PROXY, is no URL; take it away, proxies are not used")]
    ProxyUrl,
    /// Another file that it names.
    #[error("its {what} cannot be read from {}", path.display())]
    File {
        /// What should be in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Data in it.
    #[error("its {0} is no base64")]
    Base64(&'static str),
    /// Half of two that belong together.
    #[error("its {0} is missing; give the certificate and the key of a client, or neither")]
    Missing(&'static str),
    /// It could trust nobody.
    #[error("its certificate authority has no certificate in PEM")]
    NoAuthority,
    /// What proves who we are.
    #[error("the token of its user cannot be used")]
    Token(#[source] InvalidToken),
    /// There is no plugin.
    #[error("its user has a plugin without a command")]
    NoCommand,
    /// There is no such plugin, or it is no program.
    #[error("the plugin {0} of its user cannot be started")]
    Start(Excerpt, #[source] io::Error),
    /// It did not end well.
    #[error("the plugin {0} of its user failed ({1}); run it by hand to see why")]
    Failed(Excerpt, ExitStatus),
    /// It did not end at all.
    #[error("the plugin {0} of its user has not ended after {1:?}; run it by hand to see why")]
    TimedOut(Excerpt, Duration),
    /// It said something else.
    #[error("what the plugin {0} of its user prints is no ExecCredential that can be used{1}")]
    NoCredential(Excerpt, Place),
    /// The system has no thread for it.
    #[error("the plugin of its user cannot be waited for")]
    Thread(#[source] io::Error),
    /// Certificates and keys.
    #[error("its certificates or what proves who we are cannot be used: {0}")]
    Proof(String),
}

/// Where in a text the mistake is, if that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(Option<(u64, u64)>);

impl Place {
    pub(super) const UNKNOWN: Self = Self(None);

    fn of(error: &serde_saphyr::Error) -> Self {
        let location = error.location();
        Self(location.map(|location| (location.line(), location.column())))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some((line, column)) => write!(f, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}

impl From<KubeconfigError> for Fault {
    fn from(error: KubeconfigError) -> Self {
        match error {
            KubeconfigError::CurrentContextNotSet => Self::NoContext,
            KubeconfigError::KindMismatch | KubeconfigError::ApiVersionMismatch => Self::Mixed,
            KubeconfigError::LoadContext(name) => Self::Context(Excerpt::of(&name)),
            KubeconfigError::LoadClusterOfContext(name) => Self::Cluster(Excerpt::of(&name)),
            KubeconfigError::FindPath => Self::Read(io::ErrorKind::NotFound.into()),
            KubeconfigError::ReadConfig(source, _path) => Self::Read(source),
            KubeconfigError::Parse(error) => Self::Unreadable(Place::of(&error)),
            KubeconfigError::MissingClusterUrl => Self::NoServer,
            KubeconfigError::ParseClusterUrl(source) => Self::Server(source),
            KubeconfigError::ParseProxyUrl(_) => Self::ProxyUrl,
            KubeconfigError::LoadCertificateAuthority(error) => {
                of_data("certificate authority", error)
            }
            KubeconfigError::LoadClientCertificate(error) => of_data("client certificate", error),
            KubeconfigError::LoadClientKey(error) => of_data("client key", error),
            KubeconfigError::ParseCertificates(_) => Self::NoAuthority,
        }
    }
}

fn of_data(what: &'static str, error: LoadDataError) -> Fault {
    match error {
        LoadDataError::DecodeBase64(_) => Fault::Base64(what),
        LoadDataError::ReadFile(source, path) => Fault::File { what, path, source },
        LoadDataError::NoBase64DataOrFile => Fault::Missing(what),
    }
}

impl Fault {
    /// Of the layers that a connection is made of, where `plugin` is what our proof comes from, if it comes from one.
    pub(super) fn of(error: kube::Error, plugin: &Excerpt) -> Self {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "errors of requests, of which there are none yet"
        )]
        match error {
            kube::Error::Auth(error) => Self::of_proof(error, plugin),
            kube::Error::InferKubeconfig(error) => error.into(),
            kube::Error::RustlsTls(error) => Self::Proof(chain(&error)),
            kube::Error::HttpError(error) => Self::Proof(chain(&error)),
            _ => Self::Proof("for no reason that is known".to_owned()),
        }
    }

    /// Of what proves who we are.
    pub(super) fn of_proof(error: AuthError, plugin: &Excerpt) -> Self {
        let plugin = plugin.clone();
        match error {
            AuthError::MissingCommand => Self::NoCommand,
            AuthError::AuthExecStart(source) => Self::Start(plugin, source),
            AuthError::AuthExecRun { out, .. } => Self::Failed(plugin, out.status),
            AuthError::AuthExecParse(error) => Self::NoCredential(plugin, Place::of(&error)),
            AuthError::InvalidBearerToken(_) => Self::Token(InvalidToken::Character),
            AuthError::ReadTokenFile(source, path) => Self::File {
                what: "token",
                path,
                source,
            },
            AuthError::NoValidNativeRootCA(source) => Self::Proof(source.to_string()),
            AuthError::ExecPluginFailed
            | AuthError::UnrefreshableTokenResponse
            | AuthError::MalformedTokenExpirationDate(_)
            | AuthError::AuthExecSerialize(_)
            | AuthError::AuthExec(_)
            | AuthError::ParseTokenKey(_)
            | AuthError::InvalidBasicAuth(_)
            | AuthError::ExecMissingClusterInfo => Self::NoCredential(plugin, Place::UNKNOWN),
        }
    }
}
