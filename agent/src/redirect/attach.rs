//! Attaches the programs, as pinned links in mode Single: no other link is touched, and none touches ours.
//!
//! In the order of the hooks: what is there at any moment is right by itself.

use std::{
    fs,
    io::{self, ErrorKind},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    time::Instant,
};

use aya::{
    Ebpf,
    programs::{
        CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSockAddr, ProgramError, SockOps,
        links::{FdLink, LinkError},
    },
};

use super::{
    Error, conflict,
    hooks::{HOOKS, Hook, Kind},
    pins::{self, Pins},
    sys::{self, LinkInfo},
};

/// A program that is attached, and stays so when we end: the link is pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The program's name.
    pub name: &'static str,
    /// The hook, as `bpftool` calls it.
    pub place: &'static str,
    /// The program's id in the kernel.
    pub program_id: u32,
    /// The link's id in the kernel.
    pub link_id: u32,
}

/// Whether what was attached still is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// All of it.
    Whole,
    /// The cgroup is gone or another one, and the links with it.
    CgroupGone,
    /// Somebody took pins away.
    Released,
    /// The maps are another agent's.
    Replaced,
}

impl Hook {
    const fn attached(&self, program_id: u32, link_id: u32) -> Attached {
        Attached {
            name: self.name,
            place: self.place,
            program_id,
            link_id,
        }
    }
}

/// What becomes of the programs that were attached just now when one cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// They are detached again: a node is not half ours.
    Undo,
    /// They stay, and as many as can be are attached: the node was ours, and each of them keeps pods from the real service.
    Keep,
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

/// Attaches all programs to a cgroup at a path, and pins the links. A link that is pinned already and leads there gets the
/// new program, and no connect falls between the two.
pub(super) fn attach_all(
    ebpf: &mut Ebpf,
    (cgroup, path): (BorrowedFd<'_>, &Path),
    pins: &Pins,
    failing: Failing,
) -> Result<Vec<Attached>, Error> {
    let (id, begin) = (cgroup_id(cgroup, path)?, Instant::now());
    let (mut fresh, mut attached, mut failed) = (Fresh::default(), Vec::new(), None);
    for hook in &HOOKS {
        let pin = pins.link(hook.name);
        let found = pinned(hook, &pin, id).and_then(|link| match link {
            Some(link) => update(ebpf, hook, link.as_fd(), &pin),
            None => attach(ebpf, hook, (cgroup, path), &pin, &mut fresh),
        });
        match (found, failing) {
            (Ok(found), _) => attached.push(found),
            (Err(error), Failing::Undo) => return Err(error),
            (Err(error), Failing::Keep) => failed = failed.or(Some(error)),
        }
    }
    if let Some(error) = failed {
        fresh.0.clear();
        return Err(error);
    }
    tracing::info!(
        new = fresh.0.len(),
        updated = attached.len() - fresh.0.len(),
        seconds = begin.elapsed().as_secs_f64(),
        "the links run our programs"
    );
    fresh.0.clear();
    Ok(attached)
}

/// Detaches what is pinned under the name of one of our links. That it is unpinned takes effect a moment later only.
pub(super) fn detach(pin: &Path) -> io::Result<()> {
    let ours = |name| HOOKS.iter().any(|hook| name == hook.name);
    if !pin.file_name().is_some_and(ours) {
        return Ok(());
    }
    let link = sys::object_at(pin)?;
    if sys::kind(link.as_fd())? == Some(sys::Kind::Link) {
        sys::detach(link.as_fd())?;
    }
    Ok(())
}

/// Whether all links are pinned, and lead to the cgroup with this id. Where no bpf file system is any more, that is an error:
/// somebody has unmounted it, and it lives on with what is pinned there for as long as we do.
pub(super) fn hold(pins: &Pins, cgroup: u64) -> io::Result<Hold> {
    let mut missing = false;
    for hook in &HOOKS {
        let link = match sys::object_at(&pins.link(hook.name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                missing = true;
                continue;
            }
            link => link?,
        };
        if sys::link_info(link.as_fd())?.cgroup_id != cgroup {
            // Another agent may have tried to attach there, and have taken away what it had done.
            return Ok(Hold::CgroupGone);
        }
    }
    if missing {
        pins::is_on_bpf_fs(pins.root()).map_err(io::Error::other)?;
        return Ok(Hold::Released);
    }
    Ok(Hold::Whole)
}

/// Pins that are taken away again, unless all went well.
#[derive(Default)]
struct Fresh(Vec<PathBuf>);

impl Drop for Fresh {
    fn drop(&mut self) {
        for pin in self.0.iter().rev() {
            if let Err(error) = fs::remove_file(pin) {
                tracing::warn!(%error, pin = %pin.display(), "cannot take the link away again");
            }
        }
    }
}

/// The link that is pinned for `hook`, if it leads to the cgroup with this id. Others of ours are as good as none.
fn pinned(hook: &Hook, pin: &Path, cgroup: u64) -> Result<Option<OwnedFd>, Error> {
    let link = match sys::object_at(pin) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        link => link.map_err(|source| pins::failed("look at", pin, source))?,
    };
    let failed = |source| pins::failed("look at", pin, source);
    if sys::kind(link.as_fd()).map_err(failed)? != Some(sys::Kind::Link) {
        return Err(pins::foreign(pin, "it is no link"));
    }
    let info = sys::link_info(link.as_fd()).map_err(failed)?;
    if info.kind != LinkInfo::CGROUP || info.attach_type != hook.attach_type {
        return Err(pins::foreign(pin, "the link leads to another kind of hook"));
    }
    Ok((info.cgroup_id == cgroup).then_some(link))
}

fn update(
    ebpf: &mut Ebpf,
    hook: &Hook,
    link: BorrowedFd<'_>,
    pin: &Path,
) -> Result<Attached, Error> {
    let program = ebpf.program(hook.name).ok_or(Error::Missing(hook.name))?;
    let program = program.fd().map_err(|source| Error::Program {
        name: hook.name,
        source: Box::new(source),
    })?;
    let failed = |source| pins::failed("update the link", pin, source);
    sys::update(link, program.as_fd()).map_err(failed)?;
    let info = sys::link_info(link).map_err(failed)?;
    Ok(hook.attached(info.program_id, info.id))
}

fn attach(
    ebpf: &mut Ebpf,
    hook: &Hook,
    (cgroup, path): (BorrowedFd<'_>, &Path),
    pin: &Path,
    fresh: &mut Fresh,
) -> Result<Attached, Error> {
    let link = link(ebpf, hook, cgroup).map_err(|error| explained(error, hook, path))?;
    let info = link
        .info()
        .map_err(|error| explained(error.into(), hook, path))?;
    let attached = hook.attached(info.program_id(), info.id());
    match fs::remove_file(pin) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(pins::failed("replace", pin, error));
        }
        Ok(()) | Err(_) => {}
    }
    let pinned = link.pin(pin);
    pinned.map_err(|error| pins::failed("pin a link at", pin, io::Error::other(error)))?;
    fresh.0.push(pin.to_owned());
    Ok(attached)
}

fn cgroup_id(cgroup: BorrowedFd<'_>, path: &Path) -> Result<u64, Error> {
    let found = rustix::fs::fstat(cgroup).map_err(|errno| Error::Cgroup {
        cgroup: path.to_owned(),
        source: errno.into(),
    })?;
    Ok(found.st_ino)
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

fn link(ebpf: &mut Ebpf, hook: &Hook, cgroup: BorrowedFd<'_>) -> Result<FdLink, Failure> {
    let program = ebpf.program_mut(hook.name).ok_or(Failure::Missing)?;
    match hook.kind {
        Kind::SockAddr => sock_addr(program.try_into()?, cgroup),
        Kind::SockOps => sock_ops(program.try_into()?, cgroup),
        Kind::Egress => skb(program.try_into()?, cgroup),
    }
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
