//! Where the kubelet puts a pod's cgroup and the runtime a container's, relative to their root.
//!
//! As seen with kubelet 1.37 and containerd 2.4, with both cgroup drivers.

use std::path::{Path, PathBuf};

/// Who makes cgroups: the kubelet's `cgroupDriver`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Driver {
    /// The kubelet itself, by mkdir.
    #[default]
    Cgroupfs,
    /// systemd, as slices and scopes.
    Systemd,
}

/// A pod's quality of service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Qos {
    /// Requests equal limits: right below the root.
    Guaranteed,
    /// Some requests.
    Burstable,
    /// None.
    #[default]
    BestEffort,
}

impl Qos {
    /// As the pod's status spells it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }

    /// As cgroups spell it.
    const fn level(self) -> Option<&'static str> {
        match self {
            Self::Guaranteed => None,
            Self::Burstable => Some("burstable"),
            Self::BestEffort => Some("besteffort"),
        }
    }
}

impl Driver {
    /// Below which all pods are.
    pub(crate) fn kubepods(self) -> &'static Path {
        Path::new(match self {
            Self::Cgroupfs => "kubepods",
            Self::Systemd => "kubepods.slice",
        })
    }

    /// A pod's own.
    pub(crate) fn pod(self, qos: Qos, uid: &str) -> PathBuf {
        let kubepods = self.kubepods();
        match (self, qos.level()) {
            (Self::Cgroupfs, None) => kubepods.join(format!("pod{uid}")),
            (Self::Cgroupfs, Some(level)) => kubepods.join(level).join(format!("pod{uid}")),
            (Self::Systemd, None) => kubepods.join(format!("kubepods-pod{}.slice", escape(uid))),
            (Self::Systemd, Some(level)) => kubepods
                .join(format!("kubepods-{level}.slice"))
                .join(format!("kubepods-{level}-pod{}.slice", escape(uid))),
        }
    }

    /// A container's, below its pod's.
    pub(crate) fn container(self, id: &str) -> PathBuf {
        PathBuf::from(match self {
            Self::Cgroupfs => id.to_owned(),
            Self::Systemd => format!("cri-containerd-{id}.scope"),
        })
    }
}

/// A dash in a slice's name would be a level.
fn escape(uid: &str) -> String {
    uid.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

    #[test]
    fn a_pods_cgroup_is_where_the_kubelet_puts_it() {
        for (driver, qos, path) in [
            (
                Driver::Cgroupfs,
                Qos::Guaranteed,
                "kubepods/pod0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
            ),
            (
                Driver::Cgroupfs,
                Qos::Burstable,
                "kubepods/burstable/pod0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
            ),
            (
                Driver::Systemd,
                Qos::Guaranteed,
                "kubepods.slice/kubepods-pod0f1e2d3c_4b5a_6978_8796_a5b4c3d2e1f0.slice",
            ),
            (
                Driver::Systemd,
                Qos::BestEffort,
                "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod0f1e2d3c_4b5a_6978_8796_a5b4c3d2e1f0.slice",
            ),
        ] {
            assert_eq!(driver.pod(qos, UID), PathBuf::from(path));
        }
    }

    #[test]
    fn a_containers_cgroup_is_where_containerd_puts_it() {
        assert_eq!(Driver::Cgroupfs.container("ab12"), PathBuf::from("ab12"));
        assert_eq!(
            Driver::Systemd.container("ab12"),
            PathBuf::from("cri-containerd-ab12.scope")
        );
    }
}
