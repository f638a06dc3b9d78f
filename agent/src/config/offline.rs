//! The policy of flags alone, where no agent runs and no node can be asked.

use crate::{
    args,
    pods::{binding::Policy, restriction},
};

use super::{Error, access, restrictions, roles, sessions};

/// In place of the node: no agent runs, so that nobody says which one it is.
const NODE: &str = "NODE";

/// By what would be decided with these flags. Nothing can be discovered: what was to be, has to be given.
pub fn policy(
    args: &args::Roles,
    sessions: &args::Sessions,
    metadata: &args::Access,
) -> Result<Policy, Error> {
    let (named, discover) = roles::Roles::new(args)?;
    if discover.is_some() {
        return Err(Error::DiscoverOffline);
    }
    let rules = |format| restriction::Rules {
        format,
        compat: args.compat,
        base_arn: named.base.clone(),
    };
    Ok(Policy {
        restrictions: restrictions(args).map(rules),
        base_arn: named.base.clone(),
        default_role: named.default,
        node_role: access::node_role(args)?,
        tokens: metadata.imds_tokens,
        allow: access::allow(metadata)?,
        keys: roles::keys(args)?,
        compat: args.compat,
        exchange: args.credentials,
        sessions: sessions::sessions(sessions, NODE)?,
    })
}
