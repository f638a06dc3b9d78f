//! `AssumeRole` at STS, with the credentials of the node.
//!
//! The AWS SDK finds region, credentials and endpoint as it does for every program: standard variables,
//! profiles, the node's metadata. Always the regional endpoint: the tokens of the global one are not taken
//! everywhere, and not at once. No key, token or signature leaves this module but inside
//! [`Credentials`].

mod https;
mod partition;
mod refusal;

use std::{fmt, path::PathBuf, time::Duration};

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_sts::{
    Client,
    config::{Builder, IdentityCache, http::HttpResponse},
    error::SdkError,
    operation::assume_role::{
        AssumeRoleError, AssumeRoleOutput, builders::AssumeRoleFluentBuilder,
    },
    primitives::DateTime,
};
use jiff::Timestamp;

use crate::clock::Clock;

use super::{Credentials, Derived, Identity, Secret, Source, SourceError};

pub use https::BundleError;

/// How the SDK behaves. Named, so that an update of it changes nothing unseen.
fn behaviour() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// Of a session, in seconds. The node's role assumes the pod's: that is role chaining, for which STS takes
/// no more than an hour.
const DURATION: i32 = 3600;

/// STS answers in a tenth of this, the look-up of the node's keys included.
const ATTEMPT: Duration = Duration::from_secs(3);
const CONNECT: Duration = Duration::from_secs(2);
/// Two attempts, and the pause between them that STS may ask for.
const CALL: Duration = Duration::from_secs(8);

/// Of the SDK. Everything slower than that is the schedule's business.
const ATTEMPTS: u32 = 2;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(200);

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
    /// `AWS_CA_BUNDLE` is of no use.
    #[error("cannot trust the certificates of AWS_CA_BUNDLE")]
    Bundle(#[from] BundleError),
}

/// Credentials from `AssumeRole`.
pub struct Sts {
    client: Client,
    region: String,
    clock: Clock,
}

type Answer = Result<AssumeRoleOutput, SdkError<AssumeRoleError, HttpResponse>>;

impl Sts {
    /// STS as environment, profile and instance metadata describe it.
    pub async fn from_env(clock: Clock) -> Result<Self, Error> {
        let bundle = std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty());
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
        })
    }

    /// The region whose STS is called.
    pub fn region(&self) -> &str {
        &self.region
    }

    fn request(&self, identity: &Identity) -> AssumeRoleFluentBuilder {
        self.client
            .assume_role()
            .role_arn(identity.role.as_str())
            .role_session_name(&*identity.session_name)
            .set_external_id(identity.external_id.as_ref().map(ToString::to_string))
            .duration_seconds(DURATION)
    }

    /// Calls once more with keys that are looked up anew: the SDK would sign with the old ones until it
    /// thinks that they end.
    async fn call_afresh(&self, identity: &Identity) -> Answer {
        let settings = Builder::new().identity_cache(IdentityCache::no_cache());
        let request = self.request(identity).customize();
        request.config_override(settings).send().await
    }

    /// The keys in `answer`, or the name of what it lacks. To the SDK an answer that broke off halfway is a good one,
    /// and what did not come is empty.
    fn credentials(&self, answer: &AssumeRoleOutput) -> Result<Credentials, &'static str> {
        let keys = answer.credentials().ok_or("credentials")?;
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
        let mut answer = self.request(identity).send().await;
        if answer.as_ref().is_err_and(refusal::is_of_expired_keys) {
            answer = self.call_afresh(identity).await;
        }
        let answer = answer.map_err(|error| refusal::source_error(&error, role))?;
        self.credentials(&answer)
            .map_err(|lack| SourceError::Unavailable {
                role: role.clone(),
                message: format!("its answer has no {lack}"),
            })
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
