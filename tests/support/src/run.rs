//! Names of what a node, or another thing for tests, is made of. They say who made it, so that what the dead left behind can be told
//! from what is in use.

use std::{
    fmt, fs, process,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result};

/// What every name begins with.
const PREFIX: &str = "bpf2iam";

/// One node, or whatever else a test needs, of one process. Its `Display` is unique on the machine since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    creator: u32,
    /// In clock ticks since boot: a process id comes back, the two together do not.
    started: u64,
    serial: u32,
}

impl Run {
    /// The next one of this process.
    pub fn next() -> Result<Self> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let creator = process::id();
        Ok(Self {
            creator,
            started: start_time(creator).context("this process is not in /proc")?,
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// The one that `name` belongs to: its own name, or that followed by a dash and a part's name.
    pub fn of(name: &str) -> Option<Self> {
        let rest = name.strip_prefix(PREFIX)?.strip_prefix('-')?;
        let mut fields = rest.splitn(4, '-');
        Some(Self {
            creator: fields.next()?.parse().ok()?,
            started: fields.next()?.parse().ok()?,
            serial: fields.next()?.parse().ok()?,
        })
    }

    /// Whether this process made it.
    pub fn is_ours(self) -> bool {
        self.creator == process::id() && self.creator_lives()
    }

    /// Whether the process that made it still runs. The answer is wrong for a process of another
    /// PID namespace.
    pub fn creator_lives(self) -> bool {
        start_time(self.creator) == Some(self.started)
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            creator,
            started,
            serial,
        } = self;
        write!(f, "{PREFIX}-{creator}-{started}-{serial}")
    }
}

/// Field 22 of /proc/PID/stat; none when there is no such process.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything.
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_creator() {
        let run = Run::next().unwrap();
        assert_eq!(Run::of(&run.to_string()), Some(run));
        assert_eq!(Run::of(&format!("{run}-pod-1")), Some(run));
        assert!(run.creator_lives());
    }

    #[test]
    fn two_nodes_have_two_names() {
        assert_ne!(Run::next().unwrap(), Run::next().unwrap());
    }

    #[test]
    fn a_later_process_of_the_same_number_is_somebody_else() {
        let run = Run::next().unwrap();
        let earlier = Run {
            started: run.started - 1,
            ..run
        };
        assert!(!earlier.creator_lives());
    }

    #[test]
    fn other_names_are_not_ours() {
        for name in [
            "",
            "cni-5b1f",
            "bpf2iam",
            "bpf2iam-",
            "bpf2iam-1-2",
            "bpf2iam-a-2-3",
            "bpf2iam1-2-3",
        ] {
            assert_eq!(Run::of(name), None, "{name}");
        }
    }
}
