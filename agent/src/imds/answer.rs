//! What a request is answered: a pure function of what it asks for and what the pod may have.
//!
//! Bodies are EC2's to the byte. Where there are no keys to give and that is known, the role
//! list says so already, for some SDKs break on a keyless answer to the request for credentials itself.
//! Keys that are about to end are not given to anybody. The reason of a refusal stays inside: the pod
//! learns a status, and of its role no more than its name.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::{
    creds::{Credentials, Draft, SourceError, State},
    id::RoleArn,
};

use super::{
    document::{self, WholeSeconds},
    outcome::Outcome,
    response::Answer,
    route::{self, Resource},
};

/// Keys with less time left count as none: the AWS SDK for JavaScript v2 hangs on them.
const LEAST_LIFE: SignedDuration = SignedDuration::from_secs(15);

/// What the caller may have.
#[derive(Clone, Copy, Debug)]
pub enum Standing<'a> {
    /// Something that decides about it is not known: nothing is decided.
    Unknown,
    /// No role.
    Nothing,
    /// No role, for clients that expect an empty list of roles rather than none (kube2iam).
    Nameless,
    /// A role that its namespace does not let it have.
    Forbidden,
    /// Something that cannot be meant.
    Invalid,
    /// This role, and what there is for it.
    Role(&'a RoleArn, &'a State),
}

/// A role, and what there is for it.
type Held<'a> = (&'a RoleArn, &'a State);

impl<'a> Standing<'a> {
    fn role(self) -> Result<Held<'a>, Outcome> {
        match self {
            Self::Unknown => Err(Outcome::PodUnknown),
            Self::Nothing | Self::Nameless => Err(Outcome::NoRole),
            Self::Forbidden => Err(Outcome::Forbidden),
            Self::Invalid => Err(Outcome::InvalidRole),
            Self::Role(role, state) => Ok((role, state)),
        }
    }
}

/// Answers a request for `resource`, by somebody whose standing is `standing`.
pub fn answer(resource: &Resource, standing: Standing<'_>, now: Timestamp) -> Answer {
    let answer = match resource {
        // What of the tree there is, the real service says.
        Resource::Absent | Resource::Tree(_) => Err(Outcome::Path),
        Resource::Versions => Ok(Answer::served(route::versions(), now)),
        Resource::Iam => standing.role().map(|_| Answer::served(iam(), now)),
        Resource::RoleList if matches!(standing, Standing::Nameless) => {
            Ok(Answer::served(Bytes::new(), now))
        }
        Resource::RoleList => standing.role().and_then(|held| role_list(held, now)),
        Resource::RoleCredentials(name) => standing
            .role()
            .and_then(|held| role_credentials(name, held, now)),
        Resource::IamInfo => standing.role().map(|held| iam_info(held, now)),
    };
    answer.unwrap_or_else(Answer::refused)
}

/// Whether it makes no sense to wait for another state: there are keys, or STS has refused.
pub(super) fn settled(state: &State, now: Timestamp) -> bool {
    matches!(keys(state, now), Ok(_) | Err(Outcome::Denied))
}

/// The keys in `state` that may be given away now; or why there are none.
fn keys(state: &State, now: Timestamp) -> Result<&Credentials, Outcome> {
    match state {
        State::Ready(keys) if keys.expires.duration_since(now) >= LEAST_LIFE => Ok(keys),
        State::Ready(_) => Err(Outcome::Expiring),
        State::Fetching => Err(Outcome::Fetching),
        State::Failed(error) if error.is_final() => Err(Outcome::Denied),
        State::Failed(_) => Err(Outcome::Unavailable),
    }
}

fn role_list((role, state): Held<'_>, now: Timestamp) -> Result<Answer, Outcome> {
    let keys = keys(state, now)?;
    let name = Bytes::copy_from_slice(role.name().as_bytes());
    Ok(Answer::served(name, keys.issued))
}

fn role_credentials(
    name: &str,
    (role, state): Held<'_>,
    now: Timestamp,
) -> Result<Answer, Outcome> {
    if name != role.name() {
        return Err(Outcome::OtherRole);
    }
    match keys(state, now) {
        Ok(keys) => Ok(Answer::served(
            keys.document.get_or_make(|| success(keys)),
            keys.issued,
        )),
        Err(Outcome::Denied) => Ok(Answer::explained(
            Outcome::Denied,
            failure(role, code(state), now),
            now,
        )),
        Err(lack) => Err(lack),
    }
}

fn success(keys: &Credentials) -> Draft {
    document::draft(&document::Keys {
        code: "Success",
        last_updated: WholeSeconds(keys.issued),
        r#type: "AWS-HMAC",
        access_key_id: &keys.access_key_id,
        secret_access_key: keys.secret_access_key.expose(),
        token: keys.session_token.expose(),
        expiration: WholeSeconds(keys.expires),
    })
}

/// As EC2 says why there are no keys. SDKs explain the first of these to their users: it is about the trust policy.
fn code(state: &State) -> &'static str {
    match state {
        State::Failed(error) if matches!(**error, SourceError::Denied { .. }) => {
            "AssumeRoleUnauthorizedAccess"
        }
        State::Fetching | State::Ready(_) | State::Failed(_) => "Failed",
    }
}

/// STS's own words name the node's role and instance; they are for the operator.
fn failure(role: &RoleArn, code: &'static str, now: Timestamp) -> Bytes {
    document::write(&document::Failure {
        code,
        message: format!("The role {} cannot be assumed for this pod.", role.name()),
        last_updated: WholeSeconds(now),
    })
}

/// What is in the iam tree of an instance that has a role.
const fn iam() -> Bytes {
    Bytes::from_static(b"info\nsecurity-credentials/")
}

/// Made up for the pod's role: Terraform takes account and partition from it. It needs no keys.
fn iam_info((role, state): Held<'_>, now: Timestamp) -> Answer {
    let updated = match state {
        State::Ready(keys) => keys.issued,
        State::Fetching | State::Failed(_) => now,
    };
    let arn = format!(
        "arn:{}:iam::{}:instance-profile/{}",
        role.partition(),
        role.account(),
        role.name()
    );
    let profile = document::Profile {
        code: "Success",
        last_updated: WholeSeconds(updated),
        instance_profile_id: profile_id(&arn),
        instance_profile_arn: arn,
    };
    Answer::served(document::write(&profile), updated)
}

/// An id as IAM gives one to an instance profile, always the same for the same ARN.
fn profile_id(arn: &str) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = Sha256::digest(arn);
    let digits = digest.iter().take(17);
    let digits = digits.map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    "AIPA".chars().chain(digits).collect()
}

#[cfg(test)]
mod tests;
