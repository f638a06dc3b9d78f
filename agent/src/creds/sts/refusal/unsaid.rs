//! What there is to say when STS said nothing. Neither keys nor the request are in it.

use std::error::Error;

use aws_config::meta::ProviderChainError;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::{config::http::HttpResponse, error::SdkError};

use crate::chain::{chain, one_line};

/// What happened instead of an answer of STS; `status` is that of whoever answered in its place.
pub(super) fn told<E: Error + 'static>(
    failure: &SdkError<E, HttpResponse>,
    status: Option<u16>,
) -> String {
    let why = if is_unsent(failure) {
        // The SDK's causes repeat the request, with the token or the external id in it.
        format!("{failure}; is the endpoint of STS right (AWS_ENDPOINT_URL_STS, AWS_REGION)?")
    } else {
        // It is the connection or the answer, and neither has the request in it.
        chain(failure)
    };
    match status {
        None => why,
        Some(status) => format!("HTTP {status}, and not in STS's words: {why}"),
    }
}

fn is_unsent<E>(failure: &SdkError<E, HttpResponse>) -> bool {
    matches!(failure, SdkError::ConstructionFailure(_))
        || matches!(failure, SdkError::DispatchFailure(why) if why.is_user() || why.is_other())
}

/// Why nothing was sent, if that is because there are no keys of the node to sign with.
pub(super) fn without_keys<E: Error + 'static>(
    failure: &SdkError<E, HttpResponse>,
) -> Option<String> {
    let error = is_unsent(failure).then(|| cause::<CredentialsError>(failure));
    let why = lack(error.flatten()?);
    Some(format!("no keys of the node to sign with: {why}"))
}

/// Why there are no keys: what each provider said where all were asked, else what the one said that should have had
/// some. Of that one the SDK gives the name to the log only.
fn lack(error: &CredentialsError) -> String {
    let Some(providers) = cause::<ProviderChainError<CredentialsError>>(error) else {
        let why = without_request(error);
        return format!("{why} (a warning in the log says which provider it is)");
    };
    let mut said = Vec::new();
    for attempt in providers.attempts() {
        let error = attempt.error();
        let why = error
            .source()
            .map_or_else(|| without_request(error), without_request);
        said.push(format!("{}: {why}", attempt.name()));
    }
    one_line(&said.join("; "))
}

/// The first of the causes that is a `T`.
fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// What an error says, up to a request that it repeats: keys of the node may come from STS, too.
fn without_request(error: &(dyn Error + 'static)) -> String {
    let told = chain(error);
    let before = told.split_once("to request `");
    before.map_or(told.clone(), |(before, _request)| {
        before.trim_end().to_owned()
    })
}
