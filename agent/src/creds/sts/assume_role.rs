//! `AssumeRole`, signed with the node's credentials.

use aws_sdk_sts::{
    Client,
    types::{Credentials, Tag},
};

use super::{
    super::{Identity, SessionLength, Tags},
    node::Node,
    policies,
    refusal::Refusal,
};

/// Asks for a session of `identity` that is so long. Once more where the keys of the node have ended or changed.
pub(super) async fn call(
    node: &Node,
    identity: &Identity,
    length: SessionLength,
) -> Result<Option<Credentials>, Refusal> {
    let (client, keys) = node.signer().await;
    let refusal = match send(&client, identity, length).await {
        Ok(answer) => return Ok(answer),
        Err(refusal) => refusal,
    };
    if refusal.is_for_want_of_keys() {
        node.lacks(keys);
    }
    if refusal.is_of_our_keys()
        && let Some(client) = node.afresh(keys).await
    {
        return send(&client, identity, length).await;
    }
    Err(refusal)
}

async fn send(
    client: &Client,
    identity: &Identity,
    length: SessionLength,
) -> Result<Option<Credentials>, Refusal> {
    let request = client.assume_role();
    let answer = request
        .role_arn(identity.role.as_str())
        .role_session_name(&*identity.session_name)
        .duration_seconds(length.as_secs().into())
        .set_external_id(identity.external_id.as_ref().map(ToString::to_string))
        .set_policy(identity.policies.inline().map(ToOwned::to_owned))
        .set_policy_arns(policies::arns(&identity.policies))
        .set_tags(tags(&identity.tags))
        .set_transitive_tag_keys(keys(&identity.tags))
        .send()
        .await;
    match answer {
        Ok(answer) => Ok(answer.credentials),
        Err(failure) => Err(Refusal::of(&failure)),
    }
}

fn tags(tags: &Tags) -> Option<Vec<Tag>> {
    let tag = |(key, value)| {
        let tag = Tag::builder().key(key).value(value).build();
        tag.expect("it has both a key and a value")
    };
    (!tags.is_empty()).then(|| tags.iter().map(tag).collect())
}

/// All of them: whoever is assumed with the session has its tags, too.
fn keys(tags: &Tags) -> Option<Vec<String>> {
    (!tags.is_empty()).then(|| tags.iter().map(|(key, _)| key.to_owned()).collect())
}
