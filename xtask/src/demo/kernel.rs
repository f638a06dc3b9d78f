//! What is loaded in the kernel, as bpftool sees it.

use std::{
    collections::BTreeSet, fs, os::unix::fs::MetadataExt as _, path::Path, process::Command,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::exec;

/// Ids of links, programs and maps. The kernel does not give an id again soon.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Loaded {
    /// What holds a program at a cgroup.
    pub(super) links: BTreeSet<u64>,
    /// Programs.
    pub(super) programs: BTreeSet<u64>,
    /// What they remember.
    pub(super) maps: BTreeSet<u64>,
}

impl Loaded {
    /// What is attached to `cgroup` itself, and what that needs.
    pub(super) fn at(cgroup: &Path) -> Result<Self> {
        let inode = fs::metadata(cgroup).with_context(|| cgroup.display().to_string())?;
        let all = show("link")?;
        // A cgroup's id is the number of its inode.
        let here = all.iter().filter(|link| link["cgroup_id"] == inode.ino());
        let (links, programs) = here
            .filter_map(|link| Some((link["id"].as_u64()?, link["prog_id"].as_u64()?)))
            .unzip();
        Ok(Self {
            maps: maps_of(&programs)?,
            links,
            programs,
        })
    }

    /// Where its programs are attached, by links: each cgroup's id.
    pub(super) fn cgroups(&self) -> Result<BTreeSet<u64>> {
        let links = show("link")?;
        let ours = links.iter().filter(|link| {
            let program = link["prog_id"].as_u64();
            program.is_some_and(|program| self.programs.contains(&program))
        });
        Ok(ours.filter_map(|link| link["cgroup_id"].as_u64()).collect())
    }

    /// What of it is still there.
    pub(super) fn left(&self) -> Result<Self> {
        let left = |kind, mine: &BTreeSet<u64>| -> Result<BTreeSet<u64>> {
            Ok(ids(&show(kind)?).intersection(mine).copied().collect())
        };
        Ok(Self {
            links: left("link", &self.links)?,
            programs: left("prog", &self.programs)?,
            maps: left("map", &self.maps)?,
        })
    }
}

/// Fails where bpftool is there but cannot run: Ubuntu has one for each kernel, and one that looks for it.
pub(super) fn check() -> Result<()> {
    exec::capture(bpftool()?.arg("version")).map(drop)
}

/// `bpftool cgroup tree`, as it prints it.
pub(super) fn tree(cgroup: &Path) -> Result<String> {
    exec::capture(bpftool()?.args(["cgroup", "tree"]).arg(cgroup))
}

fn maps_of(programs: &BTreeSet<u64>) -> Result<BTreeSet<u64>> {
    let all = show("prog")?;
    let ours = all.iter().filter(|program| {
        let id = program["id"].as_u64();
        id.is_some_and(|id| programs.contains(&id))
    });
    let maps = ours.filter_map(|program| program["map_ids"].as_array());
    Ok(maps.flatten().filter_map(Value::as_u64).collect())
}

fn ids(things: &[Value]) -> BTreeSet<u64> {
    let ids = things.iter().filter_map(|thing| thing["id"].as_u64());
    ids.collect()
}

/// All links, programs or maps of the kernel.
fn show(kind: &str) -> Result<Vec<Value>> {
    let text = exec::capture(bpftool()?.args(["-j", kind, "show"]))?;
    serde_json::from_str(&text).with_context(|| format!("what bpftool {kind} show says"))
}

fn bpftool() -> Result<Command> {
    let program = exec::find("bpftool").context("there is no bpftool")?;
    Ok(Command::new(program))
}
