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

use super::{hooks::HOOKS, sys};

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
        let first = attached.programs.first();
        let id = *first.filter(|_| excludes(attached.flags, above))?;
        Some(Conflict {
            name: name_of(id),
            id,
            cgroup: cgroup.to_owned(),
        })
    })
}

/// Whether a program that was attached with `flags`, so many levels above a cgroup, keeps others away from it.
const fn excludes(flags: u32, above: usize) -> bool {
    match flags {
        sys::EXCLUSIVE => true,
        sys::ALLOW_OVERRIDE => above == 0,
        _ => false,
    }
}

/// A program of somebody else at one of our hooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its name.
    pub name: String,
    /// Its id in the kernel.
    pub id: u32,
    /// The cgroup that it is attached to.
    pub cgroup: PathBuf,
    /// The hook, as `bpftool` calls it.
    pub place: &'static str,
    /// Whether it keeps ours from being attached.
    pub excludes: bool,
}

/// All programs but `ours` that are attached to our hooks, at the cgroup `kubepods` or above it, `root` at most.
pub fn neighbours(kubepods: &Path, root: &Path, ours: &[u32]) -> io::Result<Vec<Neighbour>> {
    let mut found = Vec::new();
    let within = |cgroup: &&Path| cgroup.starts_with(root);
    for (above, cgroup) in kubepods.ancestors().take_while(within).enumerate() {
        let dir = File::open(cgroup)?;
        for hook in &HOOKS {
            let attached = sys::query(dir.as_fd(), hook.attach_type)?;
            let others = attached.programs.iter().filter(|id| !ours.contains(id));
            found.extend(others.map(|&id| Neighbour {
                name: name_of(id),
                id,
                cgroup: cgroup.to_owned(),
                place: hook.place,
                excludes: excludes(attached.flags, above),
            }));
        }
    }
    Ok(found)
}

fn is_eperm(error: &ProgramError) -> bool {
    let ProgramError::SyscallError(error) = error else {
        return false;
    };
    error.io_error.kind() == io::ErrorKind::PermissionDenied
}

fn name_of(id: u32) -> String {
    let name = find_name(id).filter(|name| !name.is_empty());
    name.unwrap_or_else(|| "without a name".to_owned())
}

/// What the program with this id is called, if that can be told: it takes `CAP_SYS_ADMIN`.
pub(super) fn find_name(id: u32) -> Option<String> {
    let mut programs = loaded_programs().filter_map(Result::ok);
    let program = programs.find(|program| program.id() == id)?;
    Some(program.name_as_str().unwrap_or_default().to_owned())
}
