//! moto's server as STS: it hands out sessions, and knows them again when their bearer asks who it is. It keeps a
//! recording of all that it is asked.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};
use bpf2iam_support::{
    process::Process,
    stage::{STS, Stage},
};
use serde::Deserialize;
use serde_json::Value;

use crate::exec;

use super::kit::Kit;

/// What it calls everybody whose keys it has not made, such as the node.
pub(super) const STRANGER: &str = "arn:aws:sts::123456789012:user/moto";

/// How long it may take to start: Python reads much of moto before.
const START: Duration = Duration::from_mins(1);

/// The server.
pub(super) struct Moto {
    process: Process,
    recording: PathBuf,
    python: PathBuf,
    reader: PathBuf,
}

/// What it was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Call {
    pub(super) action: String,
    pub(super) role: Option<String>,
    /// The header with the signature.
    pub(super) authorization: Option<String>,
    /// What the web identity claims to be.
    pub(super) claims: Option<Value>,
}

impl Moto {
    /// Starts it where the stage has its stand-in for STS.
    pub(super) fn instead_of_stand_in(stage: &mut Stage, kit: &Kit) -> Result<Self> {
        stage.stop_sts();
        let recording = stage.scratch().join("moto.jsonl");
        let python = kit.venv.python();
        let mut command = stage.node().host().command(&python)?;
        command
            .env_clear()
            .env("MOTO_ENABLE_RECORDING", "true")
            .env("MOTO_RECORDER_FILEPATH", &recording)
            .args(["-m", "moto.server", "--host", &STS.ip().to_string()])
            .args(["--port", &STS.port().to_string()]);
        let process = Process::spawn("moto", command)?;
        process.wait_for_line(|line| line.contains("Running on"), START)?;
        Ok(Self {
            process,
            recording,
            python,
            reader: kit.scripts.join("recorded_by_moto.py"),
        })
    }

    pub(super) const fn process(&self) -> &Process {
        &self.process
    }

    /// Forgets what it was asked.
    pub(super) fn forget(&self) -> Result<()> {
        write_nothing(&self.recording)
    }

    /// What it was asked since.
    pub(super) fn calls(&self) -> Result<Vec<Call>> {
        let mut reader = Command::new(&self.python);
        reader.arg("-I").arg(&self.reader).arg(&self.recording);
        let text = exec::capture(&mut reader)?;
        serde_json::from_str(&text).context("what moto has recorded")
    }
}

/// moto opens the file anew for each request.
fn write_nothing(recording: &Path) -> Result<()> {
    fs::write(recording, "").with_context(|| recording.display().to_string())
}
