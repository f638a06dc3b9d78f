//! What `bpftool` says. A test takes its word against the agent's.

use std::{
    io::{self, BufWriter, Write},
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use bpf2iam_support::process::output;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tempfile::NamedTempFile;

/// How long it may take.
const PATIENCE: Duration = Duration::from_mins(1);

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

/// The map that is pinned there.
pub fn pinned_map(pin: &Path) -> Result<Map> {
    let path = pin.to_str().context("the pin's path is no text")?;
    let args = ["map", "show", "pinned", path];
    let said = say(&args)?;
    serde_json::from_str(&said).with_context(|| format!("{} said {said}", spelled(&args)))
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

/// Puts entries into a map.
pub fn fill<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    map: u32,
    entries: impl IntoIterator<Item = (K, V)>,
) -> Result<()> {
    let mut batch = NamedTempFile::new()?;
    let mut lines = BufWriter::new(&mut batch);
    for (key, value) in entries {
        write!(lines, "map update id {map} key hex")?;
        write_hex(&mut lines, key.as_ref())?;
        write!(lines, " value hex")?;
        write_hex(&mut lines, value.as_ref())?;
        writeln!(lines)?;
    }
    lines.flush()?;
    drop(lines);
    let mut command = Command::new("bpftool");
    let output = output(command.args(["batch", "file"]).arg(batch.path()), PATIENCE)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "bpftool batch: {}", said.trim());
    Ok(())
}

/// Bytes as bpftool reads them, with a space before each.
fn write_hex(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    bytes.iter().try_for_each(|byte| write!(to, " {byte:02x}"))
}

fn ask<T: DeserializeOwned>(args: &[&str]) -> Result<Vec<T>> {
    let said = say(args)?;
    if said.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(&said).with_context(|| format!("{} said {said}", spelled(args)))
}

/// What it says.
fn say(args: &[&str]) -> Result<String> {
    let mut command = Command::new("bpftool");
    let output = output(command.arg("-j").args(args), PATIENCE)?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(output.status.success(), "{}: {said}", spelled(args));
    Ok(said)
}

fn spelled(args: &[&str]) -> String {
    format!("bpftool {}", args.join(" "))
}
