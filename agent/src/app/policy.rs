//! What the operator wants, as the rules that decide about pods.

use anyhow::Context as _;

use crate::{
    config::{Config, Pods, Roles},
    discover,
    pods::{
        binding::{Exchange, Policy},
        restriction,
    },
};

/// The same, with what the node's metadata service had to be asked for.
pub(super) async fn discover(config: Config) -> anyhow::Result<Config> {
    let Some(what) = &config.discover else {
        return Ok(config);
    };
    // Where there is no such service, the configuration is refused.
    let addr = config
        .metadata
        .as_ref()
        .context("there is no metadata service to ask")?;
    let found = discover::ask(addr, what).await?;
    let config = config.with(found)?;
    let Roles { base, default } = &config.roles;
    let (base, default) = (
        base.as_ref().map(ToString::to_string),
        default.as_ref().map(ToString::to_string),
    );
    tracing::info!(base, default, "found out this node's role");
    Ok(config)
}

/// The rules for all pods of this node. What was to be discovered is known by now.
pub(super) fn policy(config: &Config) -> Policy {
    let (base_arn, compat) = (config.roles.base.clone(), config.compat);
    let rules = |format| restriction::Rules {
        format,
        compat,
        base_arn: base_arn.clone(),
    };
    Policy {
        restrictions: config.restrictions.map(rules),
        base_arn,
        default_role: config.roles.default.clone(),
        node_role: config.node_role_for.clone(),
        tokens: config.imds_tokens,
        allow: config.allow_paths.clone(),
        sessions: config.sessions.clone(),
        keys: config.keys.clone(),
        compat,
        exchange: exchange(config),
    }
}

/// Where there is no API server, nobody mints tokens.
fn exchange(config: &Config) -> Exchange {
    match (&config.pods, config.credentials) {
        (Pods::Files(_), Exchange::Auto) => Exchange::AssumeRole,
        (Pods::Files(_) | Pods::Kube(_), chosen) => chosen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{BASE, config};

    #[test]
    fn files_have_no_tokens_to_exchange() {
        for (flags, exchange) in [
            (&["--pods=file:/"] as &[_], Exchange::AssumeRole),
            (
                &["--pods=file:/", "--credentials=assume-role"],
                Exchange::AssumeRole,
            ),
            (&["--pods=kube"], Exchange::Auto),
            (
                &["--pods=kube", "--credentials=assume-role"],
                Exchange::AssumeRole,
            ),
            (
                &["--pods=kube", "--credentials=web-identity"],
                Exchange::WebIdentity,
            ),
        ] {
            assert_eq!(
                policy(&config(flags).unwrap()).exchange,
                exchange,
                "{flags:?}"
            );
        }
    }

    #[test]
    fn namespaces_restrict_roles_only_where_the_operator_says_so() {
        let base = format!("--base-role-arn={BASE}");
        let restrictions =
            |flags: &[&str]| policy(&config(&[&[&*base], flags].concat()).unwrap()).restrictions;
        assert_eq!(restrictions(&[]), None);
        assert_eq!(
            restrictions(&["--namespace-restriction-format=regexp"]),
            None
        );
        assert_eq!(restrictions(&["--namespace-restrictions=false"]), None);
        let rules = restriction::Rules {
            format: restriction::Format::Glob,
            compat: crate::pods::compat::Compat::Kube2iam,
            base_arn: Some(BASE.parse().unwrap()),
        };
        let flags = ["--namespace-restrictions", "--compat=kube2iam"];
        assert_eq!(restrictions(&flags), Some(rules));
        let flags = [
            "--namespace-restrictions=true",
            "--namespace-restriction-format=regexp",
        ];
        let format = restrictions(&flags).map(|rules| rules.format);
        assert_eq!(format, Some(restriction::Format::Regexp));
    }

    #[test]
    fn what_was_discovered_is_the_base_of_everything() {
        let flags = [
            "--auto-discover-base-arn",
            "--namespace-restrictions",
            "--default-role=d",
        ];
        let found = crate::config::Discovered {
            base: BASE.parse().unwrap(),
            role: None,
        };
        let policy = policy(&config(&flags).unwrap().with(found).unwrap());
        let base = Some(BASE.parse().unwrap());
        assert_eq!(policy.restrictions.unwrap().base_arn, base);
        assert_eq!(policy.base_arn, base);
        assert_eq!(policy.default_role.unwrap().as_str(), format!("{BASE}d"));
    }

    #[test]
    fn names_and_keys_are_passed_on() {
        let flags = [
            "--iam-role-key=a/b",
            "--iam-external-id=c",
            "--namespace-key=d.e/f",
            "--session-name={node}-{pod}",
            "--session-tags=team=pay",
            "--session-duration=2h",
        ];
        let config = config(&flags).unwrap();
        let policy = policy(&config);
        assert_eq!(policy.sessions, config.sessions);
        let keys = policy.keys;
        assert_eq!(
            [keys.role, keys.external_id, keys.allowed_roles],
            ["a/b", "c", "d.e/f"]
        );
    }
}
