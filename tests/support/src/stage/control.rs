//! The control socket of a stand-in: what it has seen, and what it shall do, as JSON.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::process::output;

use super::ANSWER;

/// Asks and tells one stand-in.
#[derive(Clone, Debug)]
pub struct Control {
    name: &'static str,
    socket: PathBuf,
}

impl Control {
    /// Of the stand-in `name`, which has not started yet, by a socket in `directory`. What one that was killed has
    /// left there is removed.
    pub fn prepare(name: &'static str, directory: &Path) -> Result<Self> {
        let socket = directory.join(format!("{name}.sock"));
        match fs::remove_file(&socket) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
        .with_context(|| format!("the control socket of {name}"))?;
        Ok(Self { name, socket })
    }

    /// What the stand-in is told of it, as `--control`.
    pub fn address(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    /// Asks: `GET` of this path.
    pub fn ask(&self, path: &str) -> Result<Value> {
        self.exchange(&[&url(path)])
    }

    /// Tells: `PUT` to this path.
    pub fn tell(&self, path: &str, what: &Value) -> Result<()> {
        let what = what.to_string();
        self.exchange(&["-X", "PUT", "-d", &what, &url(path)])
            .map(drop)
    }

    fn exchange(&self, args: &[&str]) -> Result<Value> {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--fail-with-body", "--unix-socket"])
            .arg(&self.socket)
            .args(args);
        let output = output(&mut curl, ANSWER)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let name = self.name;
        ensure!(output.status.success(), "{name}: {} {text}", output.status);
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("{name} said {text}"))
    }
}

fn url(path: &str) -> String {
    format!("http://control{path}")
}
