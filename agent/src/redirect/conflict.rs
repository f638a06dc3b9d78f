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

mod sys {
    //! `BPF_PROG_QUERY`, which aya keeps to itself.
    #![expect(unsafe_code, reason = "aya 0.14 does not export BPF_PROG_QUERY")]

    use std::{
        io,
        os::fd::{AsRawFd as _, BorrowedFd},
    };

    /// Attach flags of a program that excludes all others.
    pub(super) const EXCLUSIVE: u32 = 0;
    /// `BPF_F_ALLOW_OVERRIDE`: cgroups below may have their own.
    pub(super) const ALLOW_OVERRIDE: u32 = 1;

    /// `BPF_PROG_QUERY` of `enum bpf_cmd`.
    const PROG_QUERY: libc::c_int = 16;

    /// The `query` member of `union bpf_attr`, as of Linux 4.16; later kernels take the shorter one.
    #[repr(C)]
    #[derive(Default)]
    struct Query {
        target_fd: u32,
        attach_type: u32,
        flags: u32,
        attach_flags: u32,
        programs: u64,
        count: u32,
        pad: u32,
    }

    /// What is attached to a cgroup itself.
    pub(super) struct Attachment {
        pub(super) flags: u32,
        pub(super) program: Option<u32>,
    }

    pub(super) fn query(cgroup: BorrowedFd<'_>, attach_type: u32) -> io::Result<Attachment> {
        let mut ids = [0_u32; 64];
        let mut query = Query {
            target_fd: u32::try_from(cgroup.as_raw_fd()).map_err(io::Error::other)?,
            attach_type,
            programs: (&raw mut ids).addr() as u64,
            count: 64,
            ..Query::default()
        };
        let (attr, size) = (&raw mut query, size_of::<Query>());
        // SAFETY: `query` is laid out as bpf(2) wants it, and `ids` has room for as many ids as it says.
        if unsafe { libc::syscall(libc::SYS_bpf, PROG_QUERY, attr, size) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let program = (query.count > 0).then_some(ids[0]);
        Ok(Attachment {
            flags: query.attach_flags,
            program,
        })
    }
}
