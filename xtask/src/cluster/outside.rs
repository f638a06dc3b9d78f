//! What is beyond the node's gateway: stand-ins for the metadata service and STS, in a network that nothing else reaches.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};
use bpf2iam_support::process::Process;

use crate::{exec, kube::Cluster, programs};

/// The metadata service, where it always is.
const IMDS: &str = "169.254.169.254";
/// STS, at the gateway's address.
const STS: &str = "10.77.0.1:9001";
/// How long STS takes for an answer, as in a Region.
const STS_LATENCY: &str = "80ms";
/// How long a stand-in may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// Those that run, until this is dropped.
pub(super) struct Outside {
    _standins: [Process; 2],
}

/// Starts them. What they have seen can be asked at sockets among the cluster's files.
pub(super) fn start(cluster: &Cluster, programs: &programs::Built) -> Result<Outside> {
    let address = format!("{IMDS}/32");
    exec::capture(
        cluster
            .script("wan.sh")
            .args(["ip", "addr", "add", &address, "dev", "lo"]),
    )?;
    let control = |name: &str| format!("unix:{}", cluster.state().join(name).display());
    let imds = [format!("{IMDS}:80"), control("imds.sock")];
    let sts = [STS.to_owned(), control("sts.sock")];
    let programs = &programs.programs;
    Ok(Outside {
        _standins: [
            standin(cluster, &programs.imds, &imds, &[])?,
            standin(cluster, &programs.sts, &sts, &["--latency", STS_LATENCY])?,
        ],
    })
}

fn standin(
    cluster: &Cluster,
    program: &Path,
    [listen, control]: &[String; 2],
    args: &[&str],
) -> Result<Process> {
    let mut command = cluster.script("wan.sh");
    command.arg(program);
    command
        .args(["--listen", listen, "--control", control])
        .args(args);
    let name = program.display().to_string();
    let process = Process::spawn(name, command)?;
    process
        .wait_for_line(|line| line.contains("ready"), PATIENCE)
        .context("a stand-in")?;
    Ok(process)
}
