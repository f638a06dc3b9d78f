//! Whether STS can be reached, for those who only look.
//!
//! The request goes where the agent's calls go, by the same connector and with the same trust, but it is a GET of
//! nothing: nobody signs it, no keys are looked up for it, and STS counts no call.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_sdk_sts::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        http::HttpRequest,
        interceptors::{
            BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
        },
    },
    error::BoxError,
};
use hyper::Uri;
use jiff::SignedDuration;
use tokio::time::Instant;

use crate::{chain::chain, clock::Clock};

use super::{Sts, skew};

/// What came of a look at STS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Where STS is; none when that could not be found out.
    pub url: Option<String>,
    /// Its answer, or why there is none.
    pub answer: Result<Answer, String>,
}

/// That somebody answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status. Whatever it is, somebody is there.
    pub status: u16,
    /// How far our clock is ahead of theirs, if they say the time.
    pub ahead: Option<SignedDuration>,
    /// How long it took.
    pub took: Duration,
}

impl Sts {
    /// Looks whether STS answers.
    pub async fn look(&self) -> Look {
        let watch = Watch {
            clock: self.clock,
            start: Instant::now(),
            seen: Arc::default(),
        };
        let call = self.node.client().assume_role_with_web_identity();
        let sent = call.customize().interceptor(watch.clone()).send().await;
        let Seen { url, answer } = watch.seen().clone();
        let error = sent.err().map(|error| chain(&error)).unwrap_or_default();
        Look {
            url,
            answer: answer.ok_or(error),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Seen {
    url: Option<String>,
    answer: Option<Answer>,
}

/// Turns the call into a GET of nothing, and sees what comes back. The SDK cannot make anything of that.
#[derive(Clone, Debug)]
struct Watch {
    clock: Clock,
    start: Instant,
    seen: Arc<Mutex<Seen>>,
}

impl Watch {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "Watch"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let url = request.uri().to_owned();
        *request = HttpRequest::get(&url)?;
        self.seen().url = shown(&url);
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let headers = response.headers();
        let is_from_a_cache = headers.contains_key("age"); // then the date is of long ago
        let date = headers.get("date").filter(|_| !is_from_a_cache);
        self.seen().answer = Some(Answer {
            status: response.status().as_u16(),
            ahead: date.and_then(|date| skew::ahead(date, self.clock.now())),
            took: self.start.elapsed(),
        });
        Ok(())
    }
}

/// Host and port: what is before and behind these may be secret.
fn shown(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let port = uri.port().map(|port| format!(":{port}"));
    let (scheme, host) = (uri.scheme_str()?, uri.host()?);
    Some(format!("{scheme}://{host}{}/", port.unwrap_or_default()))
}
