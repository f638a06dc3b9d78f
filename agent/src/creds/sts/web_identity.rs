//! `AssumeRoleWithWebIdentity`, which nobody signs: it takes no credentials of the node.

use aws_sdk_sts::{Client, types::Credentials};

use super::{
    super::{
        Identity, Secret, SessionLength, SourceError, WebIdentity,
        web_identity::{TokenError, TokenSource},
    },
    Failure, policies,
    refusal::Refusal,
};

/// Asks for a session of `identity` that is so long, with a token of `whose`.
pub(super) async fn call(
    client: &Client,
    identity: &Identity,
    length: SessionLength,
    whose: &WebIdentity,
    tokens: Option<&dyn TokenSource>,
) -> Result<Option<Credentials>, Failure> {
    let no_token = |reason| {
        Failure::NoToken(SourceError::NoToken {
            role: identity.role.clone(),
            whose: Box::new(whose.clone()),
            reason,
        })
    };
    let tokens = tokens.ok_or_else(|| no_token(TokenError::NoSource))?;
    let token = tokens.token(whose).await.map_err(no_token)?;
    let mut answer = send(client, identity, length, &token).await;
    if answer.as_ref().is_err_and(Refusal::is_of_the_token) {
        tokens.refused(whose, &token);
        let another = tokens.token(whose).await.map_err(no_token)?;
        answer = send(client, identity, length, &another).await;
    }
    Ok(answer?)
}

async fn send(
    client: &Client,
    identity: &Identity,
    length: SessionLength,
    token: &Secret,
) -> Result<Option<Credentials>, Refusal> {
    let request = client.assume_role_with_web_identity();
    let answer = request
        .role_arn(identity.role.as_str())
        .role_session_name(&*identity.session_name)
        .duration_seconds(length.as_secs().into())
        .set_policy(identity.policies.inline().map(ToOwned::to_owned))
        .set_policy_arns(policies::arns(&identity.policies))
        .web_identity_token(token.expose())
        .send()
        .await;
    match answer {
        Ok(answer) => Ok(answer.credentials),
        Err(failure) => Err(Refusal::of(&failure)),
    }
}
