//! The only place that makes a [`Client`].
//!
//! Nothing is asked of the server here, so that the agent starts while it is away. Proxies in the environment are
//! for what leaves the cluster, and do not count. A token that comes from a file is read anew for each request: files
//! are exchanged while we run, and there are few requests.

use std::{fs, io, path::PathBuf, time::Duration};

use hyper::{
    HeaderMap, Request,
    header::{AUTHORIZATION, HeaderValue, InvalidHeaderValue, USER_AGENT},
};
use hyper_util::{
    client::legacy::{Builder, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{
    Config,
    client::{Body, ConfigExt as _},
    config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use tower::{BoxError, ServiceBuilder};

use super::{Client, Server, Settings, Trust};

/// How we call ourselves.
const NAME: &str = concat!("bpf2iam/", env!("CARGO_PKG_VERSION"));

/// A server that does not even answer a SYN in this time is away.
const CONNECT: Duration = Duration::from_secs(5);

/// How soon the kernel asks whether the other machine is still there: watches are quiet for long.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Connections that nobody uses are kept for the next look-up, so many and so long.
const IDLE: (usize, Duration) = (4, Duration::from_mins(1));

/// Why there is no connection to an API server. Nothing of this goes away by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// We are no pod, or not one with a ServiceAccount.
    #[error(
        "this is no pod with a ServiceAccount; give --kubeconfig, or --api-server and --api-token"
    )]
    InCluster(#[source] InClusterError),
    /// The file is not there, or says nothing sensible.
    #[error("--kubeconfig {}: it says no API server", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: KubeconfigError,
    },
    /// The file wants a proxy.
    #[error("--kubeconfig {}: it asks for a proxy, which is not supported", path.display())]
    Proxy {
        /// The file.
        path: PathBuf,
    },
    /// It could trust nobody.
    #[error("--kubeconfig {}: its certificate authority has no certificate", path.display())]
    NoAuthority {
        /// The file.
        path: PathBuf,
    },
    /// The file that has the token cannot be read.
    #[error("cannot read the token for the API server, {}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Who we are, or who the server has to be, cannot be used: a certificate, a plugin, a token.
    #[error("what proves who is who at the API server cannot be used")]
    Proof(#[source] Box<kube::Error>),
}

/// Makes ready to ask the API server that `settings` names.
pub async fn connect(settings: &Settings) -> Result<Client, Error> {
    // Whoever was first decided the same.
    let _first = rustls::crypto::ring::default_provider()
        .install_default()
        .is_ok();
    let mut config = config(settings).await?;
    config
        .headers
        .push((USER_AGENT, HeaderValue::from_static(NAME)));
    let token = take_token_file(&mut config)?;
    client(&config, token).map_err(|error| Error::Proof(Box::new(error)))
}

async fn config(settings: &Settings) -> Result<Config, Error> {
    match settings {
        Settings::InCluster => Config::incluster().map_err(Error::InCluster),
        Settings::Kubeconfig { path, trust } => {
            let mut config = kubeconfig(path.clone()).await?;
            if config.root_cert.as_ref().is_some_and(Vec::is_empty) {
                return Err(Error::NoAuthority { path: path.clone() });
            }
            config.accept_invalid_certs |= *trust == Trust::Anybody;
            Ok(config)
        }
        Settings::Server(server) => Ok(given(server)),
    }
}

fn given(server: &Server) -> Config {
    let mut config = Config::new(server.url().clone());
    config.accept_invalid_certs = server.trust() == Trust::Anybody;
    config.auth_info.token = server.token().map(|token| token.expose().to_owned().into());
    config
}

async fn kubeconfig(path: PathBuf) -> Result<Config, Error> {
    let read = Kubeconfig::read_from(&path);
    let config = match read {
        Ok(file) if asks_for_proxy(&file) => return Err(Error::Proxy { path }),
        Ok(file) => Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await,
        Err(error) => Err(error),
    };
    config.map_err(|source| Error::Kubeconfig { path, source })
}

fn asks_for_proxy(file: &Kubeconfig) -> bool {
    let contexts = file.contexts.iter();
    let current = contexts
        .filter(|context| Some(&context.name) == file.current_context.as_ref())
        .find_map(|context| context.context.as_ref());
    let clusters = file.clusters.iter();
    clusters
        .filter(|cluster| current.is_some_and(|context| context.cluster == cluster.name))
        .filter_map(|cluster| cluster.cluster.as_ref()?.proxy_url.as_deref())
        .any(|proxy| !proxy.is_empty())
}

/// The file that has our token, if there is one, as something we see to ourselves.
fn take_token_file(config: &mut Config) -> Result<Option<TokenFile>, Error> {
    let said = &mut config.auth_info;
    if said.token.is_some() {
        return Ok(None);
    }
    let Some(path) = said.token_file.take() else {
        return Ok(None);
    };
    let file = TokenFile(path.into());
    match file.read() {
        Ok(_) => Ok(Some(file)),
        Err(source) => Err(Error::Token {
            path: file.0,
            source,
        }),
    }
}

fn client(config: &Config, token: Option<TokenFile>) -> kube::Result<Client> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    tcp.set_nodelay(true);
    let (most, longest) = IDLE;
    let http = Builder::new(TokioExecutor::new())
        .pool_max_idle_per_host(most)
        .pool_idle_timeout(longest)
        .build::<_, Body>(config.rustls_https_connector_with_connector(tcp)?);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_request(move |mut request: Request<Body>| {
            if let Some(token) = &token {
                token.prove(request.headers_mut());
            }
            request
        })
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace.clone()))
}

/// A file that has our token now.
#[derive(Clone, Debug)]
struct TokenFile(PathBuf);

impl TokenFile {
    fn read(&self) -> io::Result<HeaderValue> {
        let token = fs::read_to_string(&self.0)?;
        let value = HeaderValue::try_from(format!("Bearer {}", token.trim()));
        let mut value = value.map_err(|error: InvalidHeaderValue| {
            io::Error::new(io::ErrorKind::InvalidData, error)
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Without the file there is no proof, and the server says so.
    fn prove(&self, headers: &mut HeaderMap) {
        match self.read() {
            Ok(value) => drop(headers.insert(AUTHORIZATION, value)),
            Err(error) => tracing::debug!(%error, "cannot read the token for the API server"),
        }
    }
}

#[cfg(test)]
mod tests;
