//! `AssumeRole`, signed with the node's credentials.

use aws_sdk_sts::{
    Client,
    config::{Builder, IdentityCache},
    operation::assume_role::{
        AssumeRoleError, AssumeRoleOutput, builders::AssumeRoleFluentBuilder,
    },
    types::Credentials,
};

use super::{
    super::{Identity, SourceError},
    Answer, DURATION, refusal,
};

/// Asks for the session of `identity`.
pub(super) async fn call(
    client: &Client,
    identity: &Identity,
) -> Result<Option<Credentials>, SourceError> {
    let mut answer = request(client, identity).send().await;
    if answer.as_ref().is_err_and(refusal::is_of_expired_keys) {
        answer = afresh(client, identity).await;
    }
    match answer {
        Ok(answer) => Ok(answer.credentials),
        Err(error) => Err(refusal::source_error(&error, identity)),
    }
}

fn request(client: &Client, identity: &Identity) -> AssumeRoleFluentBuilder {
    client
        .assume_role()
        .role_arn(identity.role.as_str())
        .role_session_name(&*identity.session_name)
        .set_external_id(identity.external_id.as_ref().map(ToString::to_string))
        .duration_seconds(DURATION)
}

/// Calls once more with keys that are looked up anew: the SDK would sign with the old ones until it
/// thinks that they end.
async fn afresh(client: &Client, identity: &Identity) -> Answer<AssumeRoleOutput, AssumeRoleError> {
    let settings = Builder::new().identity_cache(IdentityCache::no_cache());
    let request = request(client, identity).customize();
    request.config_override(settings).send().await
}
