//! STS: `AssumeRole` with the credentials of the node, and `AssumeRoleWithWebIdentity` with a token of the pod.
//!
//! The AWS SDK finds region, credentials and endpoint as it does for every program: standard variables,
//! profiles, the node's metadata. Always the regional endpoint: the tokens of the global one are not taken
//! everywhere, and not at once. No key, token or signature leaves this module but inside
//! [`Credentials`].

mod assume_role;
mod endpoint;
mod https;
mod partition;
mod refusal;
mod web_identity;

use std::{collections::HashSet, fmt, path::PathBuf, sync::Arc, time::Duration};

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_sts::{
    Client,
    config::{Builder, http::HttpResponse},
    error::SdkError,
    primitives::DateTime,
    types,
};
use jiff::Timestamp;

use crate::clock::Clock;

use super::{
    Credentials, Derived, Identity, Secret, Source, SourceError, web_identity::TokenSource,
};

pub use https::BundleError;

/// How the SDK behaves. Named, so that an update of it changes nothing unseen.
fn behaviour() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// Of a session, in seconds. The node's role assumes the pod's: that is role chaining, for which STS takes
/// no more than an hour. With a web identity it may be longer where the role says so; an hour every role allows.
const DURATION: i32 = 3600;

/// STS answers in a tenth of this, the look-up of the node's keys included.
const ATTEMPT: Duration = Duration::from_secs(3);
const CONNECT: Duration = Duration::from_secs(2);
/// Two attempts, and the pause between them that STS may ask for.
const CALL: Duration = Duration::from_secs(8);

/// Of the SDK. Everything slower than that is the schedule's business.
const ATTEMPTS: u32 = 2;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(200);

/// Where STS is, if not where it is for all.
const ENDPOINT: &str = "AWS_ENDPOINT_URL_STS";

/// STS cannot be used as this node is set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither the environment nor a profile nor the node's metadata name a region.
    #[error(
        "no AWS region is known: set AWS_REGION (profile and instance metadata name none either)"
    )]
    NoRegion,
    /// The region means the global endpoint.
    #[error("{0} is no region with an STS of its own: set AWS_REGION to where this node is")]
    GlobalRegion(String),
    /// No region is called so.
    #[error(
        "{0:?} is no name of an AWS region, such as eu-west-1: set AWS_REGION to where this node is"
    )]
    Region(String),
    /// STS is said to be where nothing can be.
    #[error("{0} is {1:?}, which is no URL; give one such as https://sts.eu-west-1.amazonaws.com")]
    Endpoint(&'static str, String),
    /// The URL has an `@`, or a `?`. Who knows which part of it is secret: nothing of it is repeated.
    #[error(
        "{0} has a user, a password or a query in it; give a URL such as https://sts.eu-west-1.amazonaws.com"
    )]
    EndpointWithSecret(&'static str),
    /// `AWS_CA_BUNDLE` is of no use.
    #[error("cannot trust the certificates of AWS_CA_BUNDLE")]
    Bundle(#[from] BundleError),
}

/// Credentials from STS.
pub struct Sts {
    client: Client,
    region: String,
    clock: Clock,
    tokens: Option<Arc<dyn TokenSource>>,
}

/// What a call gives.
type Answer<T, E> = Result<T, SdkError<E, HttpResponse>>;

impl Sts {
    /// STS as environment, profile and instance metadata describe it.
    pub async fn from_env(clock: Clock) -> Result<Self, Error> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let is_ignored = variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if let Some(url) = variable(ENDPOINT).filter(|_| !is_ignored) {
            endpoint::check(ENDPOINT, &url.to_string_lossy())?;
        }
        let bundle = variable("AWS_CA_BUNDLE");
        let http = https::client(bundle.map(PathBuf::from).as_deref())?;
        let config = aws_config::defaults(behaviour()).http_client(http);
        Self::new(&config.load().await, clock)
    }

    /// STS as `config` describes it. Timeouts and retries are ours.
    pub fn new(config: &SdkConfig, clock: Clock) -> Result<Self, Error> {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        if region.is_empty() {
            return Err(Error::NoRegion);
        }
        if partition::is_global(&region) {
            return Err(Error::GlobalRegion(region));
        }
        if !endpoint::is_region(&region) {
            return Err(Error::Region(region));
        }
        if let Some(url) = config.endpoint_url() {
            endpoint::check("AWS_ENDPOINT_URL (or endpoint_url in the profile)", url)?;
        }
        let config = Builder::from(config)
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(ATTEMPTS)
                    .with_initial_backoff(BETWEEN_ATTEMPTS),
            )
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT)
                    .operation_attempt_timeout(ATTEMPT)
                    .operation_timeout(CALL)
                    .build(),
            )
            .build();
        Ok(Self {
            client: Client::from_conf(config),
            region,
            clock,
            tokens: None,
        })
    }

    /// The same, with `tokens` for those who show their own.
    #[must_use]
    pub fn with_tokens(self, tokens: Arc<dyn TokenSource>) -> Self {
        Self {
            tokens: Some(tokens),
            ..self
        }
    }

    /// The region whose STS is called.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The keys that an answer has, or the name of what it lacks. To the SDK an answer that broke off halfway is a
    /// good one, and what did not come is empty.
    fn credentials(&self, keys: Option<&types::Credentials>) -> Result<Credentials, &'static str> {
        let keys = keys.ok_or("credentials")?;
        Ok(Credentials {
            access_key_id: whole(keys.access_key_id(), "access key")?.to_owned(),
            secret_access_key: Secret::new(whole(keys.secret_access_key(), "secret key")?),
            session_token: Secret::new(whole(keys.session_token(), "session token")?),
            issued: self.clock.now(),
            expires: timestamp(keys.expiration()).ok_or("expiration")?,
            document: Derived::default(),
        })
    }
}

impl Source for Sts {
    async fn fetch(&self, identity: &Identity) -> Result<Credentials, SourceError> {
        let role = &identity.role;
        partition::check(role, &self.region)?;
        let keys = match &identity.web_identity {
            None => assume_role::call(&self.client, identity).await?,
            Some(whose) => {
                let tokens = self.tokens.as_deref();
                web_identity::call(&self.client, identity, whose, tokens).await?
            }
        };
        self.credentials(keys.as_ref())
            .map_err(|lack| SourceError::Unavailable {
                role: role.clone(),
                message: format!("its answer has no {lack}"),
            })
    }

    fn retain(&self, wanted: &HashSet<Identity>) {
        if let Some(tokens) = &self.tokens {
            let wanted = wanted.iter();
            tokens.retain(&wanted.filter_map(|one| one.web_identity.as_ref()).collect());
        }
    }
}

/// `text`, unless there is none: then the name of it.
fn whole<'a>(text: &'a str, name: &'static str) -> Result<&'a str, &'static str> {
    if text.is_empty() { Err(name) } else { Ok(text) }
}

fn timestamp(time: &DateTime) -> Option<Timestamp> {
    let nanoseconds = i32::try_from(time.subsec_nanos()).ok()?;
    Timestamp::new(time.secs(), nanoseconds).ok()
}

impl fmt::Debug for Sts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sts")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
