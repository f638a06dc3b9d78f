//! Attaches the programs, as links in mode Single: no other link is touched, and none touches ours.
//!
//! The order matters. What records a connection is there before anything is redirected, and packets are dropped
//! only when connects no longer make them.

use std::{fmt, os::fd::BorrowedFd, path::Path};

use aya::{
    Ebpf,
    programs::{
        CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSockAddr, ProgramError, SockOps,
        links::{FdLink, LinkError},
    },
};

use super::{Error, conflict};

/// One of our programs.
struct Hook {
    /// Its name in the object and in `bpftool`.
    name: &'static str,
    kind: Kind,
    /// `enum bpf_attach_type`.
    attach_type: u32,
    /// As `bpftool` calls the place.
    place: &'static str,
}

/// The type of a program.
#[derive(Clone, Copy)]
enum Kind {
    SockAddr,
    SockOps,
    Egress,
}

const fn hook(name: &'static str, kind: Kind, attach_type: u32, place: &'static str) -> Hook {
    Hook {
        name,
        kind,
        attach_type,
        place,
    }
}

/// All programs, in the order in which they are attached.
const HOOKS: [Hook; 8] = [
    hook("imds_sockops", Kind::SockOps, 3, "cgroup_sock_ops"),
    hook(
        "imds_getpeer4",
        Kind::SockAddr,
        29,
        "cgroup_inet4_getpeername",
    ),
    hook(
        "imds_getpeer6",
        Kind::SockAddr,
        30,
        "cgroup_inet6_getpeername",
    ),
    hook("imds_connect4", Kind::SockAddr, 10, "cgroup_inet4_connect"),
    hook("imds_connect6", Kind::SockAddr, 11, "cgroup_inet6_connect"),
    hook("imds_sendmsg4", Kind::SockAddr, 14, "cgroup_udp4_sendmsg"),
    hook("imds_sendmsg6", Kind::SockAddr, 15, "cgroup_udp6_sendmsg"),
    hook("imds_egress", Kind::Egress, 1, "cgroup_inet_egress"),
];

/// A program that is attached as long as this lives.
pub struct Attached {
    /// The program's name.
    pub name: &'static str,
    /// The hook, as `bpftool` calls it.
    pub place: &'static str,
    /// The program's id in the kernel.
    pub program_id: u32,
    /// The link's id in the kernel.
    pub link_id: u32,
    _link: FdLink,
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.place)
    }
}

/// Loads all programs into the kernel.
pub(super) fn load_all(ebpf: &mut Ebpf) -> Result<(), Error> {
    HOOKS.iter().try_for_each(|hook| load(ebpf, hook))
}

fn load(ebpf: &mut Ebpf, hook: &Hook) -> Result<(), Error> {
    let program = ebpf
        .program_mut(hook.name)
        .ok_or(Error::Missing(hook.name))?;
    let loaded = match hook.kind {
        Kind::SockAddr => <&mut CgroupSockAddr>::try_from(program).and_then(CgroupSockAddr::load),
        Kind::SockOps => <&mut SockOps>::try_from(program).and_then(SockOps::load),
        Kind::Egress => <&mut CgroupSkb>::try_from(program).and_then(CgroupSkb::load),
    };
    loaded.map_err(|source| Error::Program {
        name: hook.name,
        source: Box::new(source),
    })
}

/// Attaches all programs to `cgroup`, which is at `path`. When one cannot be attached, those before it are
/// detached again.
pub(super) fn attach_all(
    ebpf: &mut Ebpf,
    cgroup: BorrowedFd<'_>,
    path: &Path,
) -> Result<Vec<Attached>, Error> {
    HOOKS
        .iter()
        .map(|hook| attach(ebpf, hook, cgroup).map_err(|error| explained(error, hook, path)))
        .collect()
}

/// Why an attachment failed.
enum Failure {
    Program(ProgramError),
    Link(LinkError),
    Missing,
}

impl From<ProgramError> for Failure {
    fn from(error: ProgramError) -> Self {
        Self::Program(error)
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

fn attach(ebpf: &mut Ebpf, hook: &Hook, cgroup: BorrowedFd<'_>) -> Result<Attached, Failure> {
    let program = ebpf.program_mut(hook.name).ok_or(Failure::Missing)?;
    let link = match hook.kind {
        Kind::SockAddr => sock_addr(program.try_into()?, cgroup)?,
        Kind::SockOps => sock_ops(program.try_into()?, cgroup)?,
        Kind::Egress => skb(program.try_into()?, cgroup)?,
    };
    let info = link.info()?;
    Ok(Attached {
        name: hook.name,
        place: hook.place,
        program_id: info.program_id(),
        link_id: info.id(),
        _link: link,
    })
}

fn sock_addr(program: &mut CgroupSockAddr, cgroup: BorrowedFd<'_>) -> Result<FdLink, Failure> {
    let link = program.attach(cgroup, CgroupAttachMode::Single)?;
    Ok(program.take_link(link)?.try_into()?)
}

fn sock_ops(program: &mut SockOps, cgroup: BorrowedFd<'_>) -> Result<FdLink, Failure> {
    let link = program.attach(cgroup, CgroupAttachMode::Single)?;
    Ok(program.take_link(link)?.try_into()?)
}

fn skb(program: &mut CgroupSkb, cgroup: BorrowedFd<'_>) -> Result<FdLink, Failure> {
    let link = program.attach(
        cgroup,
        CgroupSkbAttachType::Egress,
        CgroupAttachMode::Single,
    )?;
    Ok(program.take_link(link)?.try_into()?)
}

/// The failure with what an operator can do about it.
fn explained(failure: Failure, hook: &Hook, path: &Path) -> Error {
    let (name, cgroup) = (hook.name, path.to_owned());
    let source = match failure {
        Failure::Program(error) => error,
        Failure::Link(LinkError::SyscallError(error)) => error.into(),
        Failure::Link(_) | Failure::Missing => return Error::Missing(name),
    };
    match conflict::find(path, hook.attach_type, &source) {
        Some(conflict) => Error::Excluded {
            name,
            cgroup,
            conflict,
        },
        None => Error::Attach {
            name,
            cgroup,
            source: Box::new(source),
        },
    }
}
