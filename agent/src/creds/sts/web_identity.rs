//! `AssumeRoleWithWebIdentity`, which nobody signs: it takes no credentials of the node.

use aws_sdk_sts::{
    Client,
    operation::assume_role_with_web_identity::{
        AssumeRoleWithWebIdentityError, AssumeRoleWithWebIdentityOutput,
    },
    types::Credentials,
};

use super::{
    super::{
        Identity, Secret, SourceError, WebIdentity,
        web_identity::{TokenError, TokenSource},
    },
    Answer, DURATION, refusal,
};

/// Asks for the session of `identity`, with a token of `whose`.
pub(super) async fn call(
    client: &Client,
    identity: &Identity,
    whose: &WebIdentity,
    tokens: Option<&dyn TokenSource>,
) -> Result<Option<Credentials>, SourceError> {
    let no_token = |reason| SourceError::NoToken {
        role: identity.role.clone(),
        whose: Box::new(whose.clone()),
        reason,
    };
    let tokens = tokens.ok_or_else(|| no_token(TokenError::NoSource))?;
    let token = tokens.token(whose).await.map_err(no_token)?;
    let mut answer = send(client, identity, &token).await;
    if answer.as_ref().is_err_and(refusal::is_of_the_token) {
        tokens.refused(whose, &token);
        let another = tokens.token(whose).await.map_err(no_token)?;
        answer = send(client, identity, &another).await;
    }
    match answer {
        Ok(answer) => Ok(answer.credentials),
        Err(error) => Err(refusal::source_error(&error, identity)),
    }
}

async fn send(
    client: &Client,
    identity: &Identity,
    token: &Secret,
) -> Answer<AssumeRoleWithWebIdentityOutput, AssumeRoleWithWebIdentityError> {
    let request = client.assume_role_with_web_identity();
    request
        .role_arn(identity.role.as_str())
        .role_session_name(&*identity.session_name)
        .web_identity_token(token.expose())
        .duration_seconds(DURATION)
        .send()
        .await
}
