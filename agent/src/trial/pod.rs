//! What the process of the trial does: as a pod would.

use std::{
    fs,
    io::Read as _,
    net::{SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use anyhow::Context as _;

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Moves this process into `cgroup`, connects to `address`, and waits until it is hung up on: a connection that its client
/// has closed is no longer known.
pub fn be_a_pod(cgroup: &Path, address: SocketAddr) -> anyhow::Result<()> {
    fs::write(cgroup.join("cgroup.procs"), "0").with_context(|| {
        format!(
            "cannot move a process into the cgroup {} (is the agent, with a cgroup namespace of its own, in no pod? run it privileged)",
            cgroup.display()
        )
    })?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)
        .with_context(|| format!("cannot connect to {address}"))?;
    stream
        .set_read_timeout(Some(PATIENCE))
        .context("cannot wait for an end")?;
    // Nothing is said to it, and how it ends does not matter.
    let _ended = stream.read(&mut [0]).is_ok();
    Ok(())
}
