//! What `bpftool` says. A test takes its word against the agent's.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use bpf2iam_support::process::output;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A loaded program.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Program {
    /// Its id.
    pub id: u32,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// How many bytes of it are left after the verifier has removed what cannot run.
    pub bytes_xlated: u64,
    /// The maps that it uses.
    #[serde(default)]
    pub map_ids: Vec<u32>,
}

/// A map.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Map {
    /// Its id.
    pub id: u32,
    /// Its name.
    #[serde(default)]
    pub name: String,
}

/// A link, which holds a program to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Link {
    /// Its id.
    pub id: u32,
}

/// A program at a cgroup.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Attached {
    /// The program's id.
    pub id: u32,
    /// The hook.
    pub attach_type: String,
    /// `multi`, `override`, or nothing.
    pub attach_flags: String,
    /// The program's name.
    pub name: String,
}

/// All programs on the machine.
pub fn programs() -> Result<Vec<Program>> {
    ask(&["prog", "show"])
}

/// All maps on the machine.
pub fn maps() -> Result<Vec<Map>> {
    ask(&["map", "show"])
}

/// All links on the machine.
pub fn links() -> Result<Vec<Link>> {
    ask(&["link", "show"])
}

/// What is attached to a cgroup itself.
pub fn attached(cgroup: &Path) -> Result<Vec<Attached>> {
    let path = cgroup.to_str().context("the cgroup's path is no text")?;
    ask(&["cgroup", "show", path])
}

/// The entries of a map as its BTF spells them: `key` and `value`, or `values` of each CPU.
pub fn dump(map: u32) -> Result<Vec<Value>> {
    let entries: Vec<Value> = ask(&["map", "dump", "id", &map.to_string()])?;
    // What is removed while it is read has no value.
    let spelled = entries
        .into_iter()
        .filter_map(|mut entry| entry.get_mut("formatted").map(Value::take));
    Ok(spelled.collect())
}

fn ask<T: DeserializeOwned>(args: &[&str]) -> Result<Vec<T>> {
    let what = format!("bpftool {}", args.join(" "));
    let mut command = Command::new("bpftool");
    let output = output(command.arg("-j").args(args), PATIENCE)?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{what}: {}", said.trim());
    if said.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(&said).with_context(|| format!("{what} said {said}"))
}
