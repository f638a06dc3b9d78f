//! The agent's image in the node's containerd.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{cx::Cx, exec, image, kube::Cluster};

/// Its names there: what is installed, and what it is upgraded to. A kubelet takes a name without a host for one of a registry.
const AGENT: [&str; 2] = ["localhost/bpf2iam:0.1.0", "localhost/bpf2iam:0.2.0"];

/// Makes it, as it is shipped.
pub(super) fn archive(cx: &Cx) -> Result<PathBuf> {
    let names: Result<Vec<_>, _> = AGENT.iter().map(|name| name.parse()).collect();
    image::archive(cx, &names?, None)
}

/// Loads it, as a node has it after a pull.
pub(super) fn load(cluster: &Cluster, archive: &Path) -> Result<()> {
    let mut import = cluster.script("node.sh");
    import.args(["ctr", "--namespace", "k8s.io", "images", "import"]);
    exec::capture(import.arg(archive)).map(drop)
}
