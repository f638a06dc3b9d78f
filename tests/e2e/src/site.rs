//! The cluster that the environment names, and one test's own part of it.

use std::{
    env,
    path::PathBuf,
    process::{Command, Output},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use bpf2iam_api::{Cluster, helm};
use bpf2iam_support::process::output;

use crate::{Outside, wait};

/// The directory of the cluster's scripts.
const SCRIPTS: &str = "BPF2IAM_CLUSTER_SCRIPTS";
/// The directory of one cluster.
const WORK: &str = "WORK";
/// How long a restart may take: longer than the script waits for all that it restarts.
const RESTART: Duration = Duration::from_mins(5);

/// The cluster, for one test alone as long as it has this.
#[derive(Debug)]
pub struct Site {
    /// Its API server.
    pub cluster: Cluster,
    /// What is installed with: `helm` of the version that renders the manifests.
    pub(crate) helm: PathBuf,
    /// What is around it.
    pub outside: Outside,
    /// A namespace for this test's pods. It is taken away at the end.
    pub namespace: String,
    scripts: PathBuf,
    state: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

impl Site {
    /// For the test that asks, with the agent installed and ready. Where there is no cluster the test is skipped, and says
    /// so; in CI it fails then.
    ///
    /// # Panics
    ///
    /// If the cluster is not as it should be.
    #[must_use]
    pub fn find_or_skip(stem: &str) -> Option<Self> {
        let site = Self::bare_or_skip(stem)?;
        site.install(&[]).expect("the agent is installed");
        Some(site)
    }

    /// The same, with whatever agent there is, or none.
    ///
    /// # Panics
    ///
    /// If the cluster is not as it should be.
    #[must_use]
    pub fn bare_or_skip(stem: &str) -> Option<Self> {
        let cluster = Cluster::find_or_skip()?;
        Some(Self::on(cluster, stem).expect("whoever brings up a cluster says where all of it is"))
    }

    fn on(cluster: Cluster, stem: &str) -> Result<Self> {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let state = path(WORK)?.join("run");
        let site = Self {
            namespace: cluster.add_namespace(stem)?,
            helm: helm::program()?,
            outside: Outside {
                state: state.clone(),
            },
            scripts: path(SCRIPTS)?,
            cluster,
            state,
            _alone: alone,
        };
        site.remove_leftovers()?;
        Ok(site)
    }

    /// The files of the cluster.
    pub fn state(&self) -> &PathBuf {
        &self.state
    }

    /// What one of the cluster's scripts prints.
    pub fn script(&self, name: &str, args: &[&str]) -> Result<String> {
        self.script_within(wait::PATIENCE, name, args)
    }

    /// Kills daemons of the node, and starts them again.
    pub fn restart(&self, daemons: &[&str]) -> Result<()> {
        self.script_within(RESTART, "restart.sh", daemons).map(drop)
    }

    fn script_within(&self, patience: Duration, name: &str, args: &[&str]) -> Result<String> {
        let mut command = Command::new(self.scripts.join(name));
        let what = format!("{name} {}", args.join(" "));
        said(&what, command.args(args), patience)
    }

    /// What a command prints on the node, outside any pod.
    pub fn node(&self, args: &[&str]) -> Result<String> {
        self.script("node.sh", args)
    }

    /// What a shell script prints there.
    pub fn node_shell(&self, script: &str) -> Result<String> {
        self.node(&["sh", "-euc", script])
    }
}

impl Drop for Site {
    /// Nobody waits for it.
    fn drop(&mut self) {
        let delete = ["delete", "namespace", &self.namespace, "--wait=false"];
        let _kept = self.cluster.kubectl(&delete).err();
    }
}

/// What a command prints; fails if it does, with what it said, or takes longer.
pub(crate) fn said(what: &str, command: &mut Command, patience: Duration) -> Result<String> {
    let Output {
        status,
        stdout,
        stderr,
    } = output(command, patience).with_context(|| what.to_owned())?;
    let said = String::from_utf8_lossy(&stderr);
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    ensure!(
        status.success(),
        "{what}: {status}: {} {stdout}",
        said.trim()
    );
    Ok(stdout)
}

fn path(name: &str) -> Result<PathBuf> {
    Ok(env::var_os(name).with_context(|| name.to_owned())?.into())
}
