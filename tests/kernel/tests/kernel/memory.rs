//! A cgroup with a limit on memory: the kernel ends who needs more in it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bpf2iam_kernel::objects::wait_until;
use bpf2iam_support::{privilege::not_tried, stage::Stage};

use crate::scene::{PATIENCE, text};

/// Where the controller of version 1 is.
const VERSION_1: &str = "/sys/fs/cgroup/memory";

/// What the files are called: to enter, the limit, what is in use, and how many were killed for it.
struct Files {
    limit: &'static str,
    usage: &'static str,
    events: &'static str,
}

const FILES: [Files; 2] = [
    Files {
        limit: "memory.limit_in_bytes",
        usage: "memory.usage_in_bytes",
        events: "memory.oom_control",
    },
    Files {
        limit: "memory.max",
        usage: "memory.current",
        events: "memory.events",
    },
];

/// The cgroup. It is removed on drop, when the last process in it is gone.
pub(crate) struct Memory {
    cgroup: PathBuf,
    files: &'static Files,
}

impl Memory {
    /// A cgroup of version 1, or of version 2 where the controller is that one's. None, and a word about it, where there is
    /// none to be had.
    pub(crate) fn limited(stage: &Stage, bytes: u64) -> Option<Self> {
        let (cgroup, files) = match in_version_1(stage) {
            Some(cgroup) => (cgroup, &FILES[0]),
            None => (in_version_2(stage)?, &FILES[1]),
        };
        let memory = Self { cgroup, files };
        memory.limit(bytes).unwrap();
        Some(memory)
    }

    /// From now on there may be so much. The kernel may say that there is more already.
    pub(crate) fn limit(&self, bytes: u64) -> io::Result<()> {
        fs::write(self.cgroup.join(self.files.limit), bytes.to_string())
    }

    /// How much is in use.
    pub(crate) fn usage(&self) -> u64 {
        self.read(self.files.usage).trim().parse().unwrap()
    }

    /// How many processes the kernel has killed for it.
    pub(crate) fn kills(&self) -> u64 {
        let events = self.read(self.files.events);
        let mut lines = events.lines();
        let kills = lines.find_map(|line| line.strip_prefix("oom_kill "));
        kills.unwrap().parse().unwrap()
    }

    /// Words that start a program in it.
    pub(crate) fn launcher(&self) -> [String; 4] {
        let enter = format!(
            "echo $$ >{}/cgroup.procs && exec \"$@\"",
            self.cgroup.display()
        );
        ["sh", "-c", &enter, "sh"].map(str::to_owned)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.cgroup.join(file)).unwrap()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // The last process in it may be on its way out.
        let removed = wait_until(PATIENCE, || Ok(fs::remove_dir(&self.cgroup).is_ok()));
        assert!(matches!(removed, Ok(true)), "{}", self.cgroup.display());
    }
}

fn in_version_1(stage: &Stage) -> Option<PathBuf> {
    let root = Path::new(VERSION_1);
    if !root.join(FILES[0].limit).exists() {
        return None;
    }
    let cgroup = root.join(stage.node().name());
    fs::create_dir(&cgroup).unwrap();
    Some(cgroup)
}

/// Beside the pods, so that it goes with the stage, however that ends.
fn in_version_2(stage: &Stage) -> Option<PathBuf> {
    let host = stage.node().host();
    let tree = host.cgroup().parent()?;
    let cgroup = tree.join("limited");
    for above in [stage.node().cgroup_root(), tree] {
        if let Err(error) = fs::write(above.join("cgroup.subtree_control"), "+memory") {
            not_tried("a limit on memory", &format!("{}: {error}", text(above)));
            return None;
        }
    }
    fs::create_dir(&cgroup).unwrap();
    Some(cgroup)
}
