//! The agent's image in the node's containerd.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{cx::Cx, exec, image, kube::Cluster};

/// Its names there: what is installed, by the name that it has if nothing else is said, and what it is upgraded to.
const AGENT: [&str; 2] = ["bpf2iam:0.1.0", "bpf2iam:0.2.0"];
/// Where the archive goes, among the images: not where somebody looks for the one to ship.
const ARCHIVE: &str = "image/cluster.oci.tar";

/// Makes it, as it is shipped.
pub(super) fn archive(cx: &Cx) -> Result<PathBuf> {
    let names: Result<Vec<_>, _> = AGENT.iter().map(|name| name.parse()).collect();
    image::archive(cx, &names?, Some(&cx.target_dir().join(ARCHIVE)))
}

/// Loads it, as a node has it after a pull.
pub(super) fn load(cluster: &Cluster, archive: &Path) -> Result<()> {
    let mut import = cluster.script("node.sh");
    import.args(["ctr", "--namespace", "k8s.io", "images", "import"]);
    exec::capture(import.arg(archive)).map(drop)
}
