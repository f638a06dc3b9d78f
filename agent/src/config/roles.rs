//! Which role a pod may have, as far as flags say it.

use crate::{
    args::{self, Switch},
    id::{BaseArn, InvalidRole, RoleArn},
    pods::annotation::Keys,
};

use super::{Error, given};

/// The roles that the operator names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// What is put before role names that are no ARN.
    pub base: Option<BaseArn>,
    /// The role of pods that name none.
    pub default: Option<RoleArn>,
}

/// What the node has to be asked before [`Roles`] are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discover {
    /// The base ARN. If there is a default role, it is this one below it.
    Base(Option<String>),
    /// The node's own role, to be the default. The base ARN too, unless one was given.
    DefaultRole,
}

/// What the node says about its role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// The base ARN of the account that its instance profile belongs to.
    pub base: BaseArn,
    /// The name of its role, where it was asked for.
    pub role: Option<String>,
}

impl Roles {
    /// What was typed, and what is to be found out.
    pub(super) fn new(args: &args::Roles) -> Result<(Self, Option<Discover>), Error> {
        let typed = |text: &Option<String>| given(text.clone());
        let is_on = |switch: Option<Switch>| switch.is_some_and(Switch::is_on);
        let (base, default) = (typed(&args.base_role_arn), typed(&args.default_role));
        let base = base.map(|text| text.parse::<BaseArn>()).transpose();
        let base = base.map_err(refused("--base-role-arn"))?;
        let (find_base, find_default) = (
            is_on(args.auto_discover_base_arn),
            is_on(args.auto_discover_default_role),
        );
        if find_base && base.is_some() {
            return Err(Error::Both("--auto-discover-base-arn", "--base-role-arn"));
        }
        if find_default && default.is_some() {
            return Err(Error::Both(
                "--auto-discover-default-role",
                "--default-role",
            ));
        }
        if find_default {
            let default = None;
            return Ok((Self { base, default }, Some(Discover::DefaultRole)));
        }
        if find_base {
            let default = default.map(checked).transpose()?;
            return Ok((Self::default(), Some(Discover::Base(default))));
        }
        let resolved = default.map(|role| BaseArn::resolve(base.as_ref(), &role));
        let default = resolved.transpose().map_err(refused("--default-role"))?;
        Ok((Self { base, default }, None))
    }

    /// With what the node said. A base ARN that was given stays: the node's own role is in the node's account anyway.
    pub(super) fn and(self, discover: Discover, found: Discovered) -> Result<Self, Error> {
        let below = |role: String| BaseArn::resolve(Some(&found.base), &role);
        let (default, flag) = match discover {
            Discover::Base(default) => (default, "--default-role"),
            Discover::DefaultRole => (found.role, "--auto-discover-default-role"),
        };
        let default = default.map(below).transpose().map_err(refused(flag))?;
        Ok(Self {
            base: self.base.or(Some(found.base)),
            default,
        })
    }
}

fn refused(flag: &'static str) -> impl Fn(InvalidRole) -> Error {
    move |source| Error::Role { flag, source }
}

/// `role`, if it is one below any base ARN.
fn checked(role: String) -> Result<String, Error> {
    let any = "arn:aws:iam::000000000000:role/".parse().ok();
    BaseArn::resolve(any.as_ref(), &role).map_err(refused("--default-role"))?;
    Ok(role)
}

/// What the annotations are called.
pub(super) fn keys(args: &args::Roles) -> Result<Keys, Error> {
    let keys = Keys {
        role: key("--iam-role-key", &args.iam_role_key)?,
        external_id: key("--iam-external-id", &args.iam_external_id)?,
        allowed_roles: key("--namespace-key", &args.namespace_key)?,
    };
    if keys.role == keys.external_id {
        return Err(Error::SameKey(keys.role));
    }
    Ok(keys)
}

fn key(flag: &'static str, value: &str) -> Result<String, Error> {
    if is_annotation_key(value) {
        Ok(value.to_owned())
    } else {
        let value = value.to_owned();
        Err(Error::Key { flag, value })
    }
}

/// Whether the API server takes it as the key of an annotation: a name of 1 to 63 letters, digits, `-`, `_` and `.`
/// that begins and ends with a letter or digit, perhaps after a DNS subdomain and `/`.
fn is_annotation_key(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    // The API server compares the prefix in lower case.
    prefix.is_none_or(|prefix| crate::id::is_dns_subdomain(&prefix.to_ascii_lowercase()))
        && name.len() <= 63
        && name.bytes().all(inner)
        && edge(name.bytes().next())
        && edge(name.bytes().next_back())
}

#[cfg(test)]
mod tests;
