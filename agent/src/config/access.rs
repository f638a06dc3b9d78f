//! What pods see of the metadata service, and who of them is the node itself.

use crate::{
    args,
    metadata::Allow,
    pods::node_role::{NOBODY, NodeRoleFor},
};

use super::{Error, MetadataAddr, Warning};

/// The entries in `values`: a flag may be repeated, and its variable has them with commas or blanks.
fn entries(values: &[String]) -> Vec<&str> {
    let between = |char: char| char == ',' || char.is_whitespace();
    let all = values.iter().flat_map(|value| value.split(between));
    all.filter(|entry| !entry.is_empty()).collect()
}

/// What pods may read beside what all may.
pub(super) fn allow(args: &args::Access) -> Result<Allow, Error> {
    Allow::parse(entries(&args.allow_path)).map_err(Error::AllowPath)
}

/// What whoever allowed it should know.
pub(super) fn allowed(allow: &Allow, metadata: Option<&MetadataAddr>) -> Option<Warning> {
    let says = match metadata {
        None if !allow.is_empty() => NOTHING_MORE,
        Some(_) if allow.covers_proofs() => PROOFS,
        None | Some(_) => return None,
    };
    Some(Warning::new("allow-path", says))
}

const NOTHING_MORE: &str =
    "not used, as without a metadata service (--metadata-addr) there is nothing more to read";
const PROOFS: &str = "its wildcards also give all pods the signed proofs of who the node is \
                      (dynamic/instance-identity/pkcs7, rsa2048 and signature)";

/// Who keeps the node's own identity, with what whoever named them should know. Where there is no metadata service there
/// is no such identity: nobody has it, and the rules after this one say what they get.
pub(super) fn nodes(
    args: &args::Roles,
    metadata: Option<&MetadataAddr>,
) -> Result<(NodeRoleFor, Option<Warning>), Error> {
    let named = node_role(args)?;
    if metadata.is_some() {
        return Ok((named, None));
    }
    let somebody = !entries(&args.node_role_for).is_empty() && named != NodeRoleFor::default();
    let warning = somebody.then(|| Warning::new("node-role-for", NOWHERE));
    Ok((NodeRoleFor::default(), warning))
}

const NOWHERE: &str =
    "not used, as there is no metadata service to pass requests on to (--metadata-addr)";

/// Who is named by the flag.
pub(super) fn node_role(args: &args::Roles) -> Result<NodeRoleFor, Error> {
    let entries = entries(&args.node_role_for);
    match &*entries {
        [] => Ok(NodeRoleFor::usual()),
        [NOBODY] => Ok(NodeRoleFor::default()),
        all if all.contains(&NOBODY) => Err(Error::NobodyAndOthers(all.join(","))),
        all => all
            .iter()
            .map(|entry| entry.parse().map_err(Error::NodeRoleFor))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{config, refusal};

    use super::*;

    fn nodes_of(flags: &[&str]) -> String {
        config(flags).unwrap().node_role_for.to_string()
    }

    #[test]
    fn who_is_named_counts_instead_of_the_usual_ones() {
        for (flags, nodes) in [
            (&[] as &[_], "kube-system/hostNetwork"),
            (&["--node-role-for= ,"], "kube-system/hostNetwork"),
            (&["--node-role-for=none"], "none"),
            (&["--node-role-for=net"], "net"),
            (
                &[
                    "--node-role-for=net/cni, csi/hostNetwork\n\tlogs",
                    "--node-role-for=a/b.c",
                ],
                "net/cni,csi/hostNetwork,logs,a/b.c",
            ),
        ] {
            assert_eq!(nodes_of(flags), nodes, "{flags:?}");
        }
    }

    #[test]
    fn what_names_nobody_is_refused_and_so_is_nobody_beside_somebody() {
        for (value, entry) in [
            ("kube-system/", "kube-system/"),
            ("/cni", "/cni"),
            ("net, kube_system", "kube_system"),
            ("Net", "Net"),
            ("net/Cni", "net/Cni"),
            ("net/hostnetwork/x", "net/hostnetwork/x"),
            ("net/HostNetwork", "net/HostNetwork"),
            ("net/hostnetwork", "net/hostnetwork"),
            ("*", "*"),
        ] {
            assert_eq!(
                refusal(&["--node-role-for", value]),
                format!(
                    "--node-role-for cannot be used: {entry:?} is no NAMESPACE, \
                     NAMESPACE/SERVICEACCOUNT or NAMESPACE/hostNetwork"
                )
            );
        }
        for flags in [
            &["--node-role-for=none,net"] as &[_],
            &["--node-role-for=net", "--node-role-for=none"],
            &["--node-role-for=none none"],
        ] {
            let says = refusal(flags);
            assert!(says.contains("; give none alone, or those who"), "{says}");
        }
    }

    #[test]
    fn without_a_metadata_service_nobody_has_its_identity() {
        let warnings = |flag: &[&str]| {
            let config = config(&[&["--metadata-addr=off"], flag].concat()).unwrap();
            assert_eq!(config.node_role_for, NodeRoleFor::default(), "{flag:?}");
            let told = config.warnings.iter().map(ToString::to_string);
            told.filter(|warning| warning.contains("node-role-for"))
                .collect::<Vec<_>>()
        };
        for silent in [
            &[] as &[_],
            &["--node-role-for="],
            &["--node-role-for=none"],
        ] {
            assert_eq!(warnings(silent), [""; 0], "{silent:?}");
        }
        for named in ["net/cni", "kube-system/hostNetwork"] {
            let flag = format!("--node-role-for={named}");
            assert_eq!(warnings(&[&flag]), [format!("--node-role-for: {NOWHERE}")]);
        }
        assert!(refusal(&["--metadata-addr=off", "--node-role-for=*"]).contains("cannot be used"));
    }

    #[test]
    fn paths_are_given_one_by_one_or_together() {
        let flags = [
            "--allow-path=meta-data/mac",
            "--allow-path=meta-data/spot/**,/latest/meta-data/tags/**\n meta-data/ami-id",
        ];
        assert_eq!(
            config(&flags).unwrap().allow_paths.to_string(),
            "meta-data/mac, meta-data/spot/**, meta-data/tags/**, meta-data/ami-id"
        );
    }

    #[test]
    fn what_is_allowed_in_vain_or_by_accident_is_told() {
        let (off, real) = ("--metadata-addr=off", "--metadata-addr=127.0.0.1:9");
        for (metadata, path, told) in [
            (off, "meta-data/mac", Some(NOTHING_MORE)),
            (off, "", None),
            (real, "**", Some(PROOFS)),
            (real, "dynamic/instance-identity/*", Some(PROOFS)),
            (real, "dynamic/instance-identity/pkcs7", None),
            (real, "meta-data/**", None),
        ] {
            let warnings = config(&[metadata, "--pods=kube", "--allow-path", path])
                .unwrap()
                .warnings;
            let told = told.map(|says| Warning::new("allow-path", says));
            assert_eq!(warnings, Vec::from_iter(told), "{path} {metadata}");
        }
    }

    #[test]
    fn what_no_pod_may_read_cannot_be_allowed() {
        for path in ["user-data", "/latest/meta-data/iam/info"] {
            let says = refusal(&["--allow-path=meta-data/mac", "--allow-path", path]);
            let begin = format!("--allow-path cannot be used: {path:?}: no pod gets it");
            assert!(says.starts_with(&begin), "{says}");
        }
    }
}
