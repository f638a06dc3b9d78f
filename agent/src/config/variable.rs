//! Environment variables that look like a flag of ours and are none: nobody would notice the misspelt one.

use clap::{Command, CommandFactory as _};

use crate::{args::Args, id::Excerpt};

use super::Warning;

/// How the variables of flags begin.
pub(super) const PREFIX: &str = "BPF2IAM_";

/// Warns of those that no flag has, by their names alone.
pub(super) fn warnings(names: &[String]) -> impl Iterator<Item = Warning> {
    let known = known();
    let unknown = move |name: &&String| {
        name.starts_with(PREFIX) && !known.contains(name) && !is_of_service(name, names)
    };
    let names = names.iter().filter(unknown);
    names.map(|name| Warning::Variable(Excerpt::of(name)))
}

fn known() -> Vec<String> {
    let args = Args::command();
    let flags = args.get_subcommands().flat_map(Command::get_arguments);
    let variables = flags.filter_map(|flag| flag.get_env()?.to_str());
    variables.map(ToOwned::to_owned).collect()
}

/// Whether it is of those that a pod has for each Service of its namespace, as one that is called like us.
/// (Kubernetes, `pkg/kubelet/envvars`.)
fn is_of_service(name: &str, names: &[String]) -> bool {
    let is_of = |service: &str| {
        let rest = name.strip_prefix(service);
        rest.is_some_and(|rest| {
            rest == "_PORT" || rest.starts_with("_PORT_") || rest.starts_with("_SERVICE_")
        })
    };
    let hosts = names
        .iter()
        .filter_map(|name| name.strip_suffix("_SERVICE_HOST"));
    is_of(PREFIX.trim_end_matches('_')) || hosts.into_iter().any(is_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(names: &[&str]) -> Vec<String> {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        warnings(&names)
            .map(|warning| warning.to_string())
            .collect()
    }

    #[test]
    fn a_variable_that_no_flag_has_is_told_by_its_name() {
        assert_eq!(
            warned(&["BPF2IAM_DEFAULT_ROLL", "BPF2IAM_DEFAULT_ROLE", "PATH"]),
            ["the variable \"BPF2IAM_DEFAULT_ROLL\" is of no flag, and changes nothing"]
        );
        assert_eq!(warned(&["BPF2IAM_", "BPF2IAM_NODE"]).len(), 2);
    }

    #[test]
    fn what_kubernetes_sets_for_services_is_not_told() {
        for names in [
            &[
                "BPF2IAM_SERVICE_HOST",
                "BPF2IAM_SERVICE_PORT_METRICS",
                "BPF2IAM_PORT",
                "BPF2IAM_PORT_9998_TCP_ADDR",
            ] as &[_],
            &["BPF2IAM_SERVICE_HOST"],
            &["BPF2IAM_PORT"],
            &[
                "BPF2IAM_X_SERVICE_HOST",
                "BPF2IAM_X_SERVICE_PORT",
                "BPF2IAM_X_PORT",
            ],
        ] {
            assert_eq!(warned(names), [""; 0], "{names:?}");
        }
        assert_eq!(
            warned(&["BPF2IAM_APP_PORT"]).len(),
            1,
            "of kube2iam's --app-port"
        );
    }
}
