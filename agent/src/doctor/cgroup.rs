//! Whether there are cgroups of version 2, and the pods' among them.

use std::path::{Path, PathBuf};

use crate::{
    cgroup::{self, FindError},
    chain::chain,
    id::CgroupId,
};

use super::{Check, Finding, Pods, mounts};

/// The id of the root of all cgroups: a mount in a cgroup namespace of its own begins further down.
const WHOLE: CgroupId = CgroupId::new(1);

/// Mounting it while the node runs would take those of version 1 away from the kubelet.
const NEEDS_BOOT: &str = "boot the node with systemd.unified_cgroup_hierarchy=1, or give it an image with cgroups of \
                          version 2 only, such as Amazon Linux 2023 or Bottlerocket";

/// How a pod is given the node's.
const VOLUME: &str = "in the DaemonSet, mount the node's /sys/fs/cgroup: a hostPath volume";

/// The tree of cgroups.
#[derive(Debug)]
pub(super) struct Facts {
    /// Its root, without links.
    pub(super) root: Result<PathBuf, FindError>,
    /// Where a tree of version 2 is mounted.
    mounted: Vec<PathBuf>,
}

pub(super) fn gather(root: &Path) -> Facts {
    let mounts = mounts::own().unwrap_or_default();
    let version2 = mounts.into_iter().filter(|mount| mount.kind == "cgroup2");
    Facts {
        root: cgroup::open_root(root).map(|(_fd, path)| path),
        mounted: version2.map(|mount| mount.point).collect(),
    }
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let fix = match (facts.mounted.first(), &facts.root) {
        (Some(point), _) => format!(
            "give the agent, and this command, --cgroup-root {}",
            point.display()
        ),
        (None, Err(FindError::NotMounted(_))) => VOLUME.to_owned(),
        (None, _) => NEEDS_BOOT.to_owned(),
    };
    vec![match &facts.root {
        Ok(root) => Finding::ok(
            Check::Cgroup,
            format!("{} has cgroups of version 2", root.display()),
        ),
        Err(error) => Finding::problem(Check::Cgroup, chain(error), fix),
    }]
}

/// The pods' part of the tree.
#[derive(Debug)]
pub(super) struct PodsFacts {
    root: PathBuf,
    /// Whether the root is that of all cgroups of this machine.
    whole: bool,
    /// The pods' cgroup, if there is one.
    pub(super) found: Result<Option<Pods>, FindError>,
}

pub(super) fn gather_pods(root: PathBuf, given: Option<&Path>) -> PodsFacts {
    let found = cgroup::find_kubepods(&root, given).map(|found| {
        let kubepods = found?;
        let id = cgroup::id_of(&kubepods).ok()?.get();
        Some(Pods {
            root: root.clone(),
            kubepods,
            id,
        })
    });
    PodsFacts {
        whole: cgroup::id_of(&root).is_ok_and(|id| id == WHOLE),
        root,
        found,
    }
}

pub(super) fn judge_pods(facts: &PodsFacts) -> Vec<Finding> {
    let root = facts.root.display();
    vec![match &facts.found {
        Ok(Some(pods)) => {
            let what = format!(
                "the pods' cgroup is {} (id {})",
                pods.kubepods.display(),
                pods.id
            );
            Finding::ok(Check::Kubepods, what)
        }
        Ok(None) if facts.whole => Finding::problem(
            Check::Kubepods,
            format!(
                "there is no cgroup of pods below {root}: no kubelet has made one, or it has another name"
            ),
            "systemctl start kubelet; or give the agent the path of the pods' cgroup: --kubepods PATH",
        ),
        Ok(None) => Finding::problem(
            Check::Kubepods,
            format!(
                "there is no cgroup of pods below {root}, which is only a part of the node's cgroups"
            ),
            VOLUME,
        ),
        Err(error @ FindError::OwnContainer(_)) => {
            Finding::problem(Check::Kubepods, chain(error), VOLUME)
        }
        Err(error) => Finding::problem(
            Check::Kubepods,
            chain(error),
            "give the agent, and this command, --kubepods PATH",
        ),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn a_tree_of_version_1_is_a_problem_and_where_version_2_is_is_told() {
        let not = || Err(FindError::NotCgroup2("/sys/fs/cgroup".into()));
        let nothing = || Err(FindError::NotMounted("/sys/fs/cgroup".into()));
        for (root, mounted, verdict, fix) in [
            (Ok("/sys/fs/cgroup".into()), &[][..], Verdict::Ok, None),
            (
                not(),
                &["/sys/fs/cgroup/unified"][..],
                Verdict::Problem,
                Some("give the agent, and this command, --cgroup-root /sys/fs/cgroup/unified"),
            ),
            (not(), &[], Verdict::Problem, Some(NEEDS_BOOT)),
            (nothing(), &[], Verdict::Problem, Some(VOLUME)),
        ] {
            let mounted = mounted.iter().map(PathBuf::from).collect();
            let found = judge(&Facts { root, mounted });
            assert_eq!((found.len(), found[0].verdict), (1, verdict));
            let told = found[0].fix.as_deref();
            assert_eq!(told.is_some(), fix.is_some());
            assert!(
                told.unwrap_or_default()
                    .starts_with(fix.unwrap_or_default()),
                "{told:?}"
            );
        }
    }

    #[test]
    fn the_pods_must_have_one_cgroup() {
        let pods = Pods {
            root: "/c".into(),
            kubepods: "/c/kubepods".into(),
            id: 7,
        };
        let two = FindError::Ambiguous("/c/a/kubepods".into(), "/c/b/kubepods".into());
        for (whole, found, verdict, says) in [
            (true, Ok(Some(pods)), Verdict::Ok, "/c/kubepods (id 7)"),
            (true, Ok(None), Verdict::Problem, "no kubelet has made one"),
            (false, Ok(None), Verdict::Problem, "only a part"),
            (
                false,
                Err(FindError::OwnContainer("/c".into())),
                Verdict::Problem,
                "/c shows this container's own cgroup only",
            ),
            (
                true,
                Err(two),
                Verdict::Problem,
                "could both be the pods' cgroup",
            ),
        ] {
            let root = "/c".into();
            let found = judge_pods(&PodsFacts { root, whole, found });
            assert_eq!((found.len(), found[0].verdict), (1, verdict));
            assert!(found[0].what.contains(says), "{found:?}");
        }
    }
}
