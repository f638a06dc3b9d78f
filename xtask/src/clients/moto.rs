//! moto's server as STS: it hands out sessions, and knows them again when their bearer asks who it is.

use std::time::Duration;

use anyhow::Result;
use bpf2iam_support::{
    process::Process,
    stage::{STS, Stage},
};

use super::venv::Venv;

/// What it calls everybody whose keys it has not made, such as the node.
pub(super) const STRANGER: &str = "arn:aws:sts::123456789012:user/moto";

/// How long it may take to start: Python reads much of moto before.
const START: Duration = Duration::from_mins(1);

/// Starts it where the stage has its stand-in for STS.
pub(super) fn instead_of_stand_in(stage: &mut Stage, venv: &Venv) -> Result<Process> {
    stage.stop_sts();
    let mut command = stage.node().host().command(venv.python())?;
    command
        .env_clear()
        .args(["-m", "moto.server", "--host", &STS.ip().to_string()])
        .args(["--port", &STS.port().to_string()]);
    let process = Process::spawn("moto", command)?;
    process.wait_for_line(|line| line.contains("Running on"), START)?;
    Ok(process)
}
