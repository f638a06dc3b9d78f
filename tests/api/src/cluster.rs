//! Where the control plane is, and how to run things beside it.

use std::{
    env,
    ffi::OsStr,
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Context as _, Result};
use bpf2iam_support::{Place, netns::Netns};

use crate::line::Line;

/// The API server's URL. Whoever sets it has brought up a control plane, and sets the others too.
const API: &str = "BPF2IAM_CLUSTER_API";
/// The certificate of the authority that the API server's is from.
const CA: &str = "BPF2IAM_CLUSTER_CA";
/// A kubeconfig of the cluster's administrator.
const KUBECONFIG: &str = "BPF2IAM_CLUSTER_KUBECONFIG";
/// `kubectl` of the cluster's version.
const KUBECTL: &str = "BPF2IAM_CLUSTER_KUBECTL";
/// The network namespace of the control plane.
const NETNS: &str = "BPF2IAM_CLUSTER_NETNS";
/// A cgroup that goes with the cluster.
const CGROUP: &str = "BPF2IAM_CLUSTER_CGROUP";

/// Where the API server listens in its namespace, at any address.
const PORT: u16 = 6443;

/// A control plane that is up: etcd, API server and controllers.
#[derive(Clone, Debug)]
pub struct Cluster {
    url: String,
    ca: PathBuf,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) kubectl: PathBuf,
    place: Place,
}

impl Cluster {
    /// The cluster for the test that asks. Where there is none the test is skipped, and says so past the test
    /// harness's capture.
    ///
    /// # Panics
    ///
    /// Where there is no cluster and `CI` is `true`: there a skipped test is a failed one. Where there is half of one.
    #[must_use]
    pub fn find_or_skip() -> Option<Self> {
        if env::var_os(API).is_some() {
            return Some(
                Self::find().expect("whoever brings up a cluster says where all of it is"),
            );
        }
        let ci = env::var("CI").is_ok_and(|ci| ci == "true");
        let thread = thread::current();
        let name = thread.name().unwrap_or("a test");
        assert!(!ci, "{name} needs a cluster, and in CI no test is skipped");
        let line = format!("SKIPPED: {name} needs a cluster: cargo xtask api, cargo xtask cluster");
        let _closed = writeln!(io::stderr(), "{line}").err();
        None
    }

    /// The cluster that the environment names.
    pub fn find() -> Result<Self> {
        Ok(Self {
            url: env::var(API).context(API)?,
            ca: path(CA)?,
            kubeconfig: path(KUBECONFIG)?,
            kubectl: path(KUBECTL)?,
            place: Place::new(path(CGROUP)?, path(NETNS)?),
        })
    }

    /// The API server's URL, for whoever is in the cluster's network.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The file with the certificate that the API server is known by.
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// Beside the control plane: its network, and a cgroup that goes with it.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// A program beside the control plane. It gets SIGKILL when the thread that starts it ends.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        self.place.command(program)
    }

    /// A line to the API server from another network, such as a node's: there it is at
    /// `https://127.0.0.1:6443`.
    pub fn line_from(&self, network: &Netns) -> Result<Line> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        Line::lay((network, address), (self.place.netns(), address))
    }
}

fn path(name: &str) -> Result<PathBuf> {
    Ok(env::var_os(name).context(name.to_owned())?.into())
}
