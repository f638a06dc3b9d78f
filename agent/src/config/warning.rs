//! What the operator should know about the flags that were given, said once at the start.

use std::fmt;

use crate::{
    args::{Kube2iam, Switch},
    id::Excerpt,
};

/// Something that was given and does not do what whoever gave it may think.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A flag.
    Flag {
        /// The flag, without dashes.
        flag: &'static str,
        /// What there is to know.
        says: &'static str,
    },
    /// An environment variable that no flag has.
    Variable(Excerpt),
}

impl Warning {
    pub(super) const fn new(flag: &'static str, says: &'static str) -> Self {
        Self::Flag { flag, says }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag { flag, says } => write!(f, "--{flag}: {says}"),
            Self::Variable(name) => {
                write!(f, "the variable {name} is of no flag, and changes nothing")
            }
        }
    }
}

/// What kube2iam's flags would change there, and why they change nothing here. A switch that is off says nothing.
pub(super) fn of_kube2iam(args: &Kube2iam) -> impl Iterator<Item = Warning> {
    let is_on = |switch: Option<Switch>| switch.is_some_and(Switch::is_on);
    [
        (
            is_on(args.iptables),
            Warning::new(
                "iptables",
                "no rule is needed, the kernel redirects by the caller's cgroup; a rule that \
                 kube2iam left on this node should be removed",
            ),
        ),
        (
            args.host_interface.is_some(),
            Warning::new(
                "host-interface",
                "not needed, pods are found on whatever interface",
            ),
        ),
        (
            is_on(args.use_regional_sts_endpoint),
            Warning::new(
                "use-regional-sts-endpoint",
                "not needed, no other than the regional endpoint is ever called",
            ),
        ),
        (
            args.cache_resync_period.is_some(),
            Warning::new(
                "cache-resync-period",
                "not needed, the watch on pods is resumed where it ended and misses nothing",
            ),
        ),
        (
            is_on(args.resolve_duplicate_cache_ips),
            Warning::new(
                "resolve-duplicate-cache-ips",
                "not needed, pods are told apart by their cgroups and not by their addresses",
            ),
        ),
        (
            args.backoff_max_elapsed_time.is_some(),
            Warning::new(
                "backoff-max-elapsed-time",
                "not needed, a request waits at most 900 ms for what decides about its pod",
            ),
        ),
        (
            args.backoff_max_interval.is_some(),
            Warning::new(
                "backoff-max-interval",
                "not needed, a request that waits goes on as soon as its pod is known",
            ),
        ),
        (
            args.iam_role_session_ttl.is_some(),
            Warning::new(
                "iam-role-session-ttl",
                "not used, sessions last as long as --session-duration says, and are replaced at half of \
                 it",
            ),
        ),
        (
            args.iam_role_error_ttl.is_some(),
            Warning::new(
                "iam-role-error-ttl",
                "not needed, requests of pods never call STS, and a role that STS refuses is \
                 asked for again after 30 s to a minute",
            ),
        ),
        (
            is_on(args.debug),
            Warning::new(
                "debug",
                "there is no /debug/store, `bpf2iam status` shows what it did",
            ),
        ),
    ]
    .into_iter()
    .filter_map(|(given, warning)| given.then_some(warning))
}

#[cfg(test)]
mod tests;
