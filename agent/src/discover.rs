//! What this node's metadata service says about the node's own role, asked once at the start.
//!
//! IMDSv2 only. Where the service does not answer, it is asked again for a while: on a young instance it may come later
//! than we do. Nothing that it says is taken unchecked.

mod session;

use std::time::Duration;

use serde::Deserialize;
use tokio::time::{self, Instant};

use crate::{
    config::{Discover, Discovered, MetadataAddr},
    id::{BaseArn, Excerpt, InvalidRole},
    upstream::Failure,
};

use session::Session;

/// How long we ask.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause after the first failure; each further one is twice as long, ...
const PAUSE: Duration = Duration::from_millis(200);
/// ... up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Where the ARN of the instance profile is.
const INFO: &str = "/latest/meta-data/iam/info";
/// Where the name of the node's role is.
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// The node's role cannot be found out.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot find out this node's role from {addr}; give --base-role-arn, and --default-role if there \
     is to be one"
)]
pub struct Error {
    addr: MetadataAddr,
    #[source]
    reason: Reason,
}

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// The service did not answer, or not with what was asked for.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The node has no role.
    #[error("this node has no instance profile")]
    NoProfile,
    /// The answer is none.
    #[error("cannot understand what it says of the instance profile")]
    Info(#[source] serde_json::Error),
    /// It is the ARN of something else.
    #[error("{0} is no ARN of an instance profile; no base ARN follows from it")]
    Profile(Excerpt),
    /// It is no role's name.
    #[error("it says that this node's role is {name}")]
    Role {
        /// What it says.
        name: Excerpt,
        /// What is wrong with that.
        #[source]
        source: InvalidRole,
    },
}

impl Reason {
    /// Whether the answer will be the same next time.
    const fn is_final(&self) -> bool {
        match self {
            Self::Failure(_) | Self::NoProfile | Self::Info(_) => false,
            Self::Profile(_) | Self::Role { .. } => true,
        }
    }
}

/// Asks for what is to be discovered, for at most half a minute.
pub async fn ask(addr: &MetadataAddr, what: &Discover) -> Result<Discovered, Error> {
    let end = Instant::now() + PATIENCE;
    let mut pause = PAUSE;
    loop {
        let reason = match attempt(addr, what).await {
            Ok(found) => return Ok(found),
            Err(reason) => reason,
        };
        if reason.is_final() || Instant::now() + pause > end {
            let addr = addr.clone();
            return Err(Error { addr, reason });
        }
        let error = anyhow::Error::new(reason);
        tracing::warn!(%addr, error = format!("{error:#}"), "cannot find out this node's role yet");
        time::sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

async fn attempt(addr: &MetadataAddr, what: &Discover) -> Result<Discovered, Reason> {
    let session = Session::open(addr).await?;
    let info = session.get(INFO).await?.ok_or(Reason::NoProfile)?;
    let base = base(&info)?;
    let role = match what {
        Discover::Base(_) => None,
        Discover::DefaultRole => {
            let list = session.get(ROLES).await?.ok_or(Reason::NoProfile)?;
            Some(role(&list, &base)?)
        }
    };
    Ok(Discovered { base, role })
}

/// What `iam/info` says, as far as we ask.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    instance_profile_arn: String,
}

/// The roles of the instance profile's account. Paths of profiles say nothing about paths of roles.
fn base(info: &[u8]) -> Result<BaseArn, Reason> {
    let info: Info = serde_json::from_slice(info).map_err(Reason::Info)?;
    let profile = info.instance_profile_arn;
    let base = match profile.split_once(":instance-profile/") {
        Some((account, name)) if !name.is_empty() => format!("{account}:role/").parse().ok(),
        Some(_) | None => None,
    };
    base.ok_or_else(|| Reason::Profile(Excerpt::of(&profile)))
}

/// The name in the list of roles, which has one.
fn role(list: &[u8], base: &BaseArn) -> Result<String, Reason> {
    let list = String::from_utf8_lossy(list);
    let name = list.lines().next().unwrap_or_default().trim_end();
    let wrong = |source| Reason::Role {
        name: Excerpt::of(name),
        source,
    };
    let role = BaseArn::resolve(Some(base), name).map_err(wrong)?;
    if role.name() == name {
        Ok(name.to_owned())
    } else {
        Err(wrong(InvalidRole::Name(Excerpt::of(name))))
    }
}

#[cfg(test)]
mod tests;
