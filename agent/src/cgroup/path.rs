//! Reads a cgroup's path. Pure.
//!
//! | driver   | below the root of the pods                                                              |
//! |----------|-----------------------------------------------------------------------------------------|
//! | cgroupfs | `[QOS/]podUID/ID`                                                                       |
//! | systemd  | `[ROOT-QOS.slice/]ROOT[-QOS]-podUID_.slice/RUNTIME-ID.scope`, ROOT without its `.slice` |
//!
//! QOS is `burstable` or `besteffort`; a Guaranteed pod has none. `UID_` has underscores for dashes. RUNTIME is
//! `cri-containerd`, `crio` or `docker`.

use std::path::Path;

use crate::id::{ContainerId, PodUid};

use super::Owner;

/// Whose cgroup `path` is; `None` when it is not in a pod below `kubepods`.
pub(super) fn owner(kubepods: &Path, path: &Path) -> Option<Owner> {
    let root = kubepods.file_name()?.to_str()?;
    let mut names = path
        .strip_prefix(kubepods)
        .ok()?
        .iter()
        .map(|name| name.to_str());
    let naming = Naming::of(root);
    let mut name = names.next()??;
    let qos = naming.qos(name);
    if qos.is_some() {
        name = names.next()??;
    }
    let pod = naming.pod(qos, name)?;
    let container = names
        .next()
        .flatten()
        .and_then(|name| naming.container(name));
    Some(Owner { pod, container })
}

/// How the kubelet's cgroup driver names things.
enum Naming<'a> {
    Cgroupfs,
    Systemd {
        /// The root's name without `.slice`; kind puts a prefix before `kubepods`.
        root: &'a str,
    },
}

/// The levels that the kubelet makes for pods that are not Guaranteed.
const QOS: [&str; 2] = ["burstable", "besteffort"];

/// What runtimes put before a container's id in a scope's name.
const RUNTIMES: [&str; 3] = ["cri-containerd-", "crio-", "docker-"];

impl<'a> Naming<'a> {
    fn of(root: &'a str) -> Self {
        root.strip_suffix(".slice")
            .map_or(Self::Cgroupfs, |root| Self::Systemd { root })
    }

    fn qos(&self, name: &str) -> Option<&'static str> {
        let qos = match self {
            Self::Cgroupfs => name,
            Self::Systemd { root } => name
                .strip_suffix(".slice")?
                .strip_prefix(root)?
                .strip_prefix('-')?,
        };
        QOS.into_iter().find(|known| *known == qos)
    }

    fn pod(&self, qos: Option<&str>, name: &str) -> Option<PodUid> {
        match self {
            Self::Cgroupfs => name.strip_prefix("pod")?.parse().ok(),
            Self::Systemd { root } => {
                let mut rest = name.strip_suffix(".slice")?.strip_prefix(root)?;
                if let Some(qos) = qos {
                    rest = rest.strip_prefix('-')?.strip_prefix(qos)?;
                }
                let uid = rest.strip_prefix("-pod")?;
                // A dash would be a level of its own in a slice's name.
                (!uid.contains('-')).then(|| uid.replace('_', "-").parse().ok())?
            }
        }
    }

    fn container(&self, name: &str) -> Option<ContainerId> {
        match self {
            Self::Cgroupfs => name.parse().ok(),
            Self::Systemd { .. } => {
                let name = name.strip_suffix(".scope")?;
                let id = RUNTIMES
                    .iter()
                    .find_map(|runtime| name.strip_prefix(runtime))?;
                id.parse().ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
    const UID_: &str = "0f1e2d3c_4b5a_6978_8796_a5b4c3d2e1f0";
    const HASH: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    const OTHER: &str = "ffffffff-4b5a-6978-8796-a5b4c3d2e1f0";
    const OTHER_: &str = "ffffffff_4b5a_6978_8796_a5b4c3d2e1f0";

    fn id() -> String {
        "0a".repeat(32)
    }

    fn read(kubepods: &str, path: &str) -> Option<(String, bool)> {
        let owner = owner(Path::new(kubepods), Path::new(path))?;
        Some((owner.pod.to_string(), owner.container.is_some()))
    }

    #[test]
    fn pods_and_containers_of_every_driver_and_runtime() {
        let id = id();
        let (fs, sd) = ("/sys/fs/cgroup/kubepods", "/sys/fs/cgroup/kubepods.slice");
        let kind = "/sys/fs/cgroup/kubelet.slice/kubelet-kubepods.slice";
        for (root, below, uid, container) in [
            (fs, format!("pod{UID}/{id}"), UID, true),
            (fs, format!("burstable/pod{UID}/{id}"), UID, true),
            (
                fs,
                format!("besteffort/pod{UID}/{id}/inner/deeper"),
                UID,
                true,
            ),
            (fs, format!("pod{UID}"), UID, false),
            (fs, format!("pod{HASH}/{id}"), HASH, true),
            (fs, format!("pod{UID}/made-by-the-pod"), UID, false),
            (fs, format!("pod{UID}/pod{OTHER}/{id}"), UID, false),
            (
                fs,
                format!("pod{UID}/{id}/kubepods/pod{OTHER}/{id}"),
                UID,
                true,
            ),
            (
                sd,
                format!("kubepods-pod{UID_}.slice/cri-containerd-{id}.scope"),
                UID,
                true,
            ),
            (
                sd,
                format!(
                    "kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/crio-{id}.scope"
                ),
                UID,
                true,
            ),
            (
                sd,
                format!(
                    "kubepods-besteffort.slice/kubepods-besteffort-pod{UID_}.slice/docker-{id}.scope/x"
                ),
                UID,
                true,
            ),
            (
                sd,
                format!("kubepods-pod{HASH}.slice/crio-conmon-{id}.scope"),
                HASH,
                false,
            ),
            (
                sd,
                format!("kubepods-pod{UID_}.slice/kubepods-pod{OTHER_}.slice"),
                UID,
                false,
            ),
            (
                kind,
                format!(
                    "kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{UID_}.slice/cri-containerd-{id}.scope"
                ),
                UID,
                true,
            ),
        ] {
            let path = format!("{root}/{below}");
            assert_eq!(
                read(root, &path),
                Some((uid.to_owned(), container)),
                "{path}"
            );
        }
    }

    #[test]
    fn whatever_else_is_no_pods() {
        let id = id();
        let (fs, sd) = ("/sys/fs/cgroup/kubepods", "/sys/fs/cgroup/kubepods.slice");
        for (root, path) in [
            (fs, fs.to_owned()),
            (fs, "/".to_owned()),
            (fs, format!("{fs}/burstable")),
            (fs, format!("{fs}/besteffort/burstable/pod{UID}/{id}")),
            (fs, format!("{fs}/guaranteed/pod{UID}/{id}")),
            (fs, format!("{fs}/x/pod{UID}/{id}")),
            (fs, format!("{fs}/pod{UID_}/{id}")),
            (fs, format!("{fs}/pod/{id}")),
            (fs, format!("{fs}/pod{UID}.slice/{id}")),
            (fs, format!("/sys/fs/cgroup/kubepods2/pod{UID}/{id}")),
            (fs, format!("/sys/fs/cgroup/x/kubepods/pod{UID}/{id}")),
            (sd, format!("{sd}/pod{UID}/{id}")),
            (
                sd,
                format!("{sd}/kubepods-pod{UID}.slice/cri-containerd-{id}.scope"),
            ),
            (
                sd,
                format!("{sd}/kubepods-burstable-pod{UID_}.slice/cri-containerd-{id}.scope"),
            ),
            (
                sd,
                format!("{sd}/kubepods-burstable.slice/kubepods-pod{UID_}.slice/x.scope"),
            ),
            (
                sd,
                format!("{sd}/kubepods-burstable.slice/kubepods-besteffort-pod{UID_}.slice"),
            ),
            (
                sd,
                format!("{sd}/kubepods-pod{UID_}.slice.d/cri-containerd-{id}.scope"),
            ),
        ] {
            assert_eq!(read(root, &path), None, "{path}");
        }
    }
}
