//! How the SDK is set up, and what of its settings STS cannot be used with.

use std::{path::PathBuf, sync::Arc, time::Duration};

use aws_config::{
    BehaviorVersion, ConfigLoader, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_sdk_sts::config::Builder;

use crate::clock::Clock;

use super::{
    BundleError, Sts, endpoint, https,
    lengths::Lengths,
    node::{Chain, Node},
    partition,
    skew::Skew,
};

/// How the SDK behaves. Named, so that an update of it changes nothing unseen.
pub(super) fn behaviour() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// STS answers in a tenth of this, the look-up of the node's keys included.
pub(super) const CALL: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(2);

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
        let chain = move || aws_config::defaults(behaviour()).http_client(http.clone());
        Self::from_chain(chain, clock).await
    }

    /// STS as the SDK finds it along `chain`, where the node's keys are looked up again when they have changed.
    pub(super) async fn from_chain(
        chain: impl Fn() -> ConfigLoader + Send + Sync + 'static,
        clock: Clock,
    ) -> Result<Self, Error> {
        let config = chain().load().await;
        Self::with_chain(&config, Some(Arc::new(chain)), clock)
    }

    /// STS as `config` describes it. Timeouts and retries are ours.
    pub fn new(config: &SdkConfig, clock: Clock) -> Result<Self, Error> {
        Self::with_chain(config, None, clock)
    }

    fn with_chain(config: &SdkConfig, chain: Option<Chain>, clock: Clock) -> Result<Self, Error> {
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
        let skew = Skew::new(clock);
        let config = Builder::from(config)
            .interceptor(skew.clone())
            // When to ask again is the schedule's business: it knows what STS said to all others.
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT)
                    .operation_timeout(CALL)
                    .build(),
            )
            .build();
        Ok(Self {
            node: Node::new(config, chain),
            region,
            clock,
            skew,
            lengths: Lengths::default(),
            tokens: None,
        })
    }
}
