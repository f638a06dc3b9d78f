//! Which system calls are steps, and what is known of one.

use std::{
    fmt,
    fs::{self, File},
    os::unix::fs::FileExt as _,
};

use libc::c_long;

use super::seccomp::Call;

/// Calls on files and sockets that others see the effect of: number, name, and which argument is a path.
const CALLS: &[(c_long, &str, Option<usize>)] = &[
    (libc::SYS_mkdirat, "mkdir", Some(1)),
    (libc::SYS_fchmod, "chmod", None),
    (libc::SYS_fchmodat, "chmod", Some(1)),
    (libc::SYS_unlinkat, "unlink", Some(1)),
    (libc::SYS_renameat, "rename", Some(1)),
    (libc::SYS_renameat2, "rename", Some(1)),
    (libc::SYS_flock, "flock", None),
    (libc::SYS_bind, "bind", None),
    (libc::SYS_listen, "listen", None),
];

/// What newer machines do not have.
#[cfg(target_arch = "x86_64")]
const OLD_CALLS: &[(c_long, &str, Option<usize>)] = &[
    (libc::SYS_mkdir, "mkdir", Some(0)),
    (libc::SYS_chmod, "chmod", Some(0)),
    (libc::SYS_unlink, "unlink", Some(0)),
    (libc::SYS_rmdir, "rmdir", Some(0)),
    (libc::SYS_rename, "rename", Some(0)),
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_CALLS: &[(c_long, &str, Option<usize>)] = &[];

/// Of `enum bpf_cmd`, those that change something.
const COMMANDS: [(u64, &str); 10] = [
    (0, "bpf map-create"),
    (MAP_UPDATE, "bpf map-update"),
    (3, "bpf map-delete"),
    (5, "bpf prog-load"),
    (OBJ_PIN, "bpf obj-pin"),
    (8, "bpf prog-attach"),
    (18, "bpf btf-load"),
    (28, "bpf link-create"),
    (29, "bpf link-update"),
    (34, "bpf link-detach"),
];
const MAP_UPDATE: u64 = 2;
const OBJ_PIN: u64 = 6;

/// Longer than any path that we look for.
const LONGEST: usize = 512;

/// A system call that changes something for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    call: &'static str,
    path: Option<String>,
    value_size: Option<usize>,
}

/// The calls that the kernel has to ask us about.
pub(super) fn numbers() -> Vec<c_long> {
    let calls = CALLS.iter().chain(OLD_CALLS).map(|(number, ..)| *number);
    calls.chain([libc::SYS_bpf]).collect()
}

impl Step {
    /// Its name: as that of the command (`mkdir`), or `bpf` with what it does (`bpf link-create`).
    pub const fn call(&self) -> &'static str {
        self.call
    }

    /// What it is done to, where that is known.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// Of a map that is written: how many bytes a value has.
    pub const fn value_size(&self) -> Option<usize> {
        self.value_size
    }

    /// None for a call that changes nothing.
    pub(super) fn of(call: &Call) -> Option<Self> {
        if call.number == libc::SYS_bpf {
            return Self::of_bpf(call);
        }
        let mut known = CALLS.iter().chain(OLD_CALLS);
        let (_, name, path) = known.find(|(number, ..)| *number == call.number)?;
        Some(Self {
            call: name,
            path: path.and_then(|at| string(call, call.arguments[at])),
            value_size: None,
        })
    }

    fn of_bpf(call: &Call) -> Option<Self> {
        let command = call.arguments[0];
        let (_, name) = COMMANDS.iter().find(|(known, _)| *known == command)?;
        // What it is about comes first: where to pin, or the map's descriptor.
        let first = word(call, call.arguments[1]);
        let path = first.filter(|_| command == OBJ_PIN);
        let map = first.filter(|_| command == MAP_UPDATE);
        Some(Self {
            call: name,
            path: path.and_then(|at| string(call, at)),
            value_size: map.and_then(|map| value_size(call, map)),
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.call)?;
        if let Some(size) = self.value_size {
            write!(f, " ({size} bytes)")?;
        }
        self.path.iter().try_for_each(|path| write!(f, " {path}"))
    }
}

/// What is in the caller's memory: at most so much as fits.
fn read(call: &Call, at: u64, into: &mut [u8]) -> Option<usize> {
    let memory = File::open(format!("/proc/{}/mem", call.thread)).ok()?;
    memory.read_at(into, at).ok()
}

fn word(call: &Call, at: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    (read(call, at, &mut bytes)? == bytes.len()).then(|| u64::from_ne_bytes(bytes))
}

/// As the kernel shows the caller's descriptor, which is the lower half of `map`.
fn value_size(call: &Call, map: u64) -> Option<usize> {
    let (map, thread) = (map & u64::from(u32::MAX), call.thread);
    let shown = fs::read_to_string(format!("/proc/{thread}/fdinfo/{map}")).ok()?;
    let mut lines = shown.lines();
    let size = lines.find_map(|line| line.strip_prefix("value_size:"))?;
    size.trim().parse().ok()
}

fn string(call: &Call, at: u64) -> Option<String> {
    let mut bytes = [0; LONGEST];
    let read = read(call, at, &mut bytes)?;
    let end = bytes[..read].iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
}
