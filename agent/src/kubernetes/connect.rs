//! The only place that makes a [`Client`].
//!
//! Nothing is asked of the server here, so that the agent starts while it is away. Proxies in the environment are
//! for what leaves the cluster, and do not count. A token that comes from a file is read anew for each request: files
//! are exchanged while we run, and there are few requests.
//!
//! A kubeconfig may name a plugin. It runs on a thread of its own, for a bounded time, and nobody waits for it when the
//! agent is told to end. When its token nears its end, [`kube`] runs it again, while a request is under way: that
//! request has its own patience, and a plugin that hangs then holds a thread of the runtime, for which the end of the
//! agent must not wait either.

mod fault;
mod kubeconfig;
mod tcp;
mod token;

use std::{fmt, io, path::PathBuf, sync::Arc, thread, time::Duration};

use hyper::{
    Request, Uri,
    header::{HeaderValue, USER_AGENT},
};
use hyper_util::{
    client::legacy::Builder,
    rt::{TokioExecutor, TokioTimer},
};
use kube::{
    Config,
    client::{AuthError, Body, ConfigExt as _},
    config::InClusterError,
};
use secrecy::ExposeSecret as _;
use tokio::{runtime::Handle, sync::oneshot, time};
use tower::{BoxError, ServiceBuilder};

use crate::{chain::chain, id::Excerpt};

use super::{Client, Server, Settings, Trust};

use fault::Place;
use token::TokenFile;

pub use fault::Fault;
pub use token::{InvalidToken, parse_token};

/// How we call ourselves.
const NAME: &str = concat!("bpf2iam/", env!("CARGO_PKG_VERSION"));

/// Connections that nobody uses are kept for the next look-up, so many and so long. Their buffers may have the last answer
/// in them, and with it a token.
const IDLE: (usize, Duration) = (4, Duration::from_mins(1));

/// So much of an answer is read at a time. A list that is long would make hyper take 400 KiB for each watch, and keep it.
const BUFFER: usize = 32 << 10;

/// A plugin that has not proved who we are in this time, does not.
const PLUGIN: Duration = Duration::from_secs(15);

/// Why there is no connection to an API server. Nothing of this goes away by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// We are no pod, or not one with a ServiceAccount.
    #[error(
        "this is no pod with a ServiceAccount ({}); give --kubeconfig, or --api-server and --api-token; or, on a \
         machine without a cluster, --pods file:DIR", chain(.0)
    )]
    InCluster(InClusterError),
    /// The file is not there, or says nothing that can be used.
    #[error("--kubeconfig {} cannot be used", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Fault,
    },
    /// The file that has the token cannot be read.
    #[error("cannot read the token for the API server from {}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Who we are, or who the server has to be, cannot be used.
    #[error("what proves who is who at the API server cannot be used")]
    Proof(#[source] Fault),
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
    check_token(&mut config).map_err(|fault| error(settings, fault))?;
    let token = take_token_file(&mut config)?;
    tracing::info!(server = %Address::of(&config.cluster_url), "this is the API server");
    let made = match kubeconfig::plugin(&config.auth_info) {
        Some(plugin) => in_time(config, token, plugin).await,
        None => client(&config, token, &Excerpt::of("")),
    };
    made.map_err(|fault| error(settings, fault))
}

fn error(settings: &Settings, source: Fault) -> Error {
    match settings {
        Settings::Kubeconfig { path, .. } => Error::Kubeconfig {
            path: path.clone(),
            source,
        },
        Settings::InCluster | Settings::Server(_) => Error::Proof(source),
    }
}

async fn config(settings: &Settings) -> Result<Config, Error> {
    match settings {
        Settings::InCluster => Config::incluster().map_err(Error::InCluster),
        Settings::Kubeconfig { path, trust } => {
            let read = kubeconfig::read(path).await;
            let mut config = read.map_err(|fault| error(settings, fault))?;
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

/// Sees to it that a token which was written down is one: [`kube`] would panic. An empty one is none, as for kubectl.
fn check_token(config: &mut Config) -> Result<(), Fault> {
    let said = &mut config.auth_info.token;
    let Some(text) = said.take() else {
        return Ok(());
    };
    *said = match parse_token(text.expose_secret()) {
        Ok(token) => Some(token.expose().to_owned().into()),
        Err(InvalidToken::Empty) => None,
        Err(why) => return Err(Fault::Token(why)),
    };
    Ok(())
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

/// The client, where `plugin` runs to make it. The thread is left to itself if that takes too long: what it waits for
/// may never end, and the runtime would wait for its own threads.
async fn in_time(
    config: Config,
    token: Option<TokenFile>,
    plugin: Excerpt,
) -> Result<Client, Fault> {
    let (done, made) = oneshot::channel();
    let (runtime, name) = (Handle::current(), plugin.clone());
    let thread = thread::Builder::new().name("plugin".to_owned());
    let started = thread.spawn(move || {
        let _in_runtime = runtime.enter();
        // Nobody waits for it if it was too late.
        let _taken = done.send(client(&config, token, &name)).is_ok();
    });
    drop(started.map_err(Fault::Thread)?);
    match time::timeout(PLUGIN, made).await {
        Ok(Ok(made)) => made,
        // It panicked, as `kube` does over a token that no header takes.
        Ok(Err(_panicked)) => Err(Fault::NoCredential(plugin, Place::UNKNOWN)),
        Err(_late) => Err(Fault::TimedOut(plugin, PLUGIN)),
    }
}

fn client(config: &Config, token: Option<TokenFile>, plugin: &Excerpt) -> Result<Client, Fault> {
    layers(config, token, plugin).map_err(|error| Fault::of(error, plugin))
}

fn layers(config: &Config, token: Option<TokenFile>, plugin: &Excerpt) -> kube::Result<Client> {
    let (most, longest) = IDLE;
    let proof = config.auth_layer()?; // first: its errors say what is wrong with a plugin
    let http = Builder::new(TokioExecutor::new())
        .pool_max_idle_per_host(most)
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(longest)
        .http1_max_buf_size(BUFFER)
        .build::<_, Body>(config.rustls_https_connector_with_connector(tcp::connector())?);
    let (server, plugin) = (Address::of(&config.cluster_url), plugin.clone());
    let service = ServiceBuilder::new()
        .map_err(move |error| told(error, &server, &plugin))
        .layer(config.base_uri_layer())
        .option_layer(proof)
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

/// An error as it may be printed: with the server, and without what a plugin printed.
fn told(error: BoxError, server: &Address, plugin: &Excerpt) -> BoxError {
    match error.downcast::<AuthError>() {
        Ok(error) => Fault::of_proof(*error, plugin).into(),
        Err(source) => Away(server.clone(), source).into(),
    }
}

/// There is no answer of the server.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Away(Address, #[source] BoxError);

/// Where a server is, without what may be secret in a URL.
#[derive(Clone, Debug)]
struct Address(Arc<str>);

impl Address {
    fn of(url: &Uri) -> Self {
        let scheme = url.scheme_str().unwrap_or("https");
        let host = url.host().unwrap_or_default();
        let port = url.port_u16().map(|port| format!(":{port}"));
        Self(format!("{scheme}://{host}{}", port.unwrap_or_default()).into())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
