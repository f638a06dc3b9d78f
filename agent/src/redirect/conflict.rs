//! Which other program keeps ours from being attached.
//!
//! A program that was attached without `BPF_F_ALLOW_MULTI` excludes all others from its cgroup and, without
//! `BPF_F_ALLOW_OVERRIDE` too, from every cgroup below. The kernel only says EPERM.

use std::{
    fmt,
    fs::File,
    io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use aya::programs::{ProgramError, loaded_programs};

use super::sys;

/// A program in our way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    name: String,
    id: u32,
    cgroup: PathBuf,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, id, cgroup) = (&self.name, self.id, self.cgroup.display());
        write!(
            f,
            "the program {name} (id {id}) is attached to {cgroup} so that no other may be. Have its owner attach it with the \
             flag `multi` or as a link; to see it: `bpftool cgroup show {cgroup}`"
        )
    }
}

/// The program that makes attaching to the cgroup at `path` fail with `error`.
pub(super) fn find(path: &Path, attach_type: u32, error: &ProgramError) -> Option<Conflict> {
    if !is_eperm(error) {
        return None;
    }
    path.ancestors().enumerate().find_map(|(above, cgroup)| {
        let attached = File::open(cgroup)
            .and_then(|dir| sys::query(dir.as_fd(), attach_type))
            .ok()?;
        let excludes = match attached.flags {
            sys::EXCLUSIVE => true,
            sys::ALLOW_OVERRIDE => above == 0,
            _ => false,
        };
        let id = attached.program.filter(|_| excludes)?;
        Some(Conflict {
            name: name_of(id),
            id,
            cgroup: cgroup.to_owned(),
        })
    })
}

fn is_eperm(error: &ProgramError) -> bool {
    let ProgramError::SyscallError(error) = error else {
        return false;
    };
    error.io_error.kind() == io::ErrorKind::PermissionDenied
}

fn name_of(id: u32) -> String {
    let mut programs = loaded_programs().filter_map(Result::ok);
    let program = programs.find(|program| program.id() == id);
    let name = program.as_ref().and_then(|program| program.name_as_str());
    name.filter(|name| !name.is_empty())
        .unwrap_or("without a name")
        .to_owned()
}
