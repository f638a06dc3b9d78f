//! What is said of sessions at STS, as far as flags say it.

use crate::{
    args,
    pods::binding::{Cluster, InvalidCluster, SessionTags, Sessions, Template},
};

use super::{Error, Warning, given};

/// SDKs want 25 minutes of life in what they are served; sessions are replaced at half of theirs, shorter ones earlier.
const ENOUGH: u16 = 50 * 60;

/// What was typed. All pods are on `node`.
pub(super) fn sessions(args: &args::Sessions, node: &str) -> Result<Sessions, Error> {
    let name = match &*args.session_name {
        "" => Template::USUAL,
        text => text,
    };
    let tags = args.session_tags.as_deref().unwrap_or_default();
    Ok(Sessions {
        name: Template::new(name, node).map_err(|source| Error::SessionName {
            value: name.to_owned(),
            source,
        })?,
        tags: SessionTags::new(tags, &cluster(args)?).map_err(|source| Error::SessionTags {
            value: tags.to_owned(),
            source,
        })?,
        length: args.session_duration,
    })
}

fn cluster(args: &args::Sessions) -> Result<Cluster, InvalidCluster> {
    Cluster::new(
        given(args.cluster_name.clone()),
        given(args.cluster_arn.clone()),
    )
}

/// What was typed and does not do what one may think.
pub(super) fn warnings(
    args: &args::Sessions,
    sessions: &Sessions,
) -> impl Iterator<Item = Warning> {
    let unused =
        |said: &Option<String>, tag| given(said.clone()).is_some() && !sessions.tags.has(tag);
    [
        (
            unused(&args.cluster_name, "eks-cluster-name"),
            Warning::new(
                "cluster-name",
                "not used, as --session-tags has no eks-cluster-name",
            ),
        ),
        (
            unused(&args.cluster_arn, "eks-cluster-arn"),
            Warning::new(
                "cluster-arn",
                "not used, as --session-tags has no eks-cluster-arn",
            ),
        ),
        (
            sessions.length.as_secs() < ENOUGH,
            Warning::new(
                "session-duration",
                "SDKs ask again and again, or use keys that have expired, where less than 25 minutes are \
                 left: shorter sessions cost more calls to STS, and below 28m it is so; give at least 50m",
            ),
        ),
    ]
    .into_iter()
    .filter_map(|(applies, warning)| applies.then_some(warning))
}

/// Every setting by its flag, for people.
pub(super) fn settings(sessions: &Sessions) -> [(&'static str, String); 3] {
    let Sessions { name, tags, length } = sessions;
    [
        ("session-name", name.to_string()),
        ("session-tags", tags.to_string()),
        ("session-duration", length.to_string()),
    ]
}

#[cfg(test)]
mod tests;
