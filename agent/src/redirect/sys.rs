//! The few calls of bpf(2) that aya 0.14 keeps to itself: objects behind pins, links that change their program, and what
//! is attached to a cgroup.
//!
//! All that is `unsafe` about the kernel side is here. Each struct is the member of `union bpf_attr`, or of what
//! `BPF_OBJ_GET_INFO_BY_FD` fills in, as far as it was in the Linux that is named; later kernels take the shorter one.
#![expect(unsafe_code, reason = "aya 0.14 does not export these calls")]

use std::{
    ffi::CString,
    fs, io,
    mem::zeroed,
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

/// Attach flags of a program that excludes all others.
pub(super) const EXCLUSIVE: u32 = 0;
/// `BPF_F_ALLOW_OVERRIDE`: cgroups below may have their own.
pub(super) const ALLOW_OVERRIDE: u32 = 1;

/// What a descriptor of bpf(2) stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Map,
    Program,
    Link,
}

/// A map, as the kernel describes it (Linux 4.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct MapInfo {
    /// `enum bpf_map_type`.
    pub(super) kind: u32,
    pub(super) id: u32,
    pub(super) key_size: u32,
    pub(super) value_size: u32,
    pub(super) max_entries: u32,
    pub(super) flags: u32,
}

/// A link to a cgroup, as the kernel describes it (Linux 5.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct LinkInfo {
    /// `enum bpf_link_type`.
    pub(super) kind: u32,
    pub(super) id: u32,
    pub(super) program_id: u32,
    pad: u32,
    /// 0 when the cgroup is gone.
    pub(super) cgroup_id: u64,
    /// `enum bpf_attach_type`.
    pub(super) attach_type: u32,
    pad_end: u32,
}

impl LinkInfo {
    /// `BPF_LINK_TYPE_CGROUP`.
    pub(super) const CGROUP: u32 = 3;
}

/// What is attached to a cgroup itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attachment {
    pub(super) flags: u32,
    /// The ids of all programs.
    pub(super) programs: Vec<u32>,
}

/// `enum bpf_cmd`.
#[derive(Clone, Copy)]
#[repr(i32)]
enum Command {
    ObjectGet = 7,
    ObjectInfo = 15,
    ProgramQuery = 16,
    LinkUpdate = 29,
    LinkDetach = 34,
}

/// `BPF_OBJ_GET` (Linux 4.4).
#[repr(C)]
struct Object {
    path: u64,
    fd: u32,
    flags: u32,
}

/// `BPF_OBJ_GET_INFO_BY_FD` (Linux 4.13).
#[repr(C)]
struct Info {
    fd: u32,
    length: u32,
    room: u64,
}

/// `BPF_PROG_QUERY` (Linux 4.16).
#[repr(C)]
#[derive(Default)]
struct Query {
    target: u32,
    attach_type: u32,
    flags: u32,
    attach_flags: u32,
    programs: u64,
    count: u32,
    pad: u32,
}

/// `BPF_LINK_UPDATE` (Linux 5.7).
#[repr(C)]
struct Update {
    link: u32,
    program: u32,
    flags: u32,
    old_program: u32,
}

/// `BPF_LINK_DETACH` (Linux 5.9).
#[repr(C)]
struct Detach {
    link: u32,
}

/// What is pinned at `path`.
pub(super) fn object_at(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut object = Object {
        path: path.as_ptr().expose_provenance() as u64,
        fd: 0,
        flags: 0,
    };
    // SAFETY: `path` is a C string that lives until the call returns.
    let fd = unsafe { call(Command::ObjectGet, &mut object) }?;
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What `object` stands for. The kernel tells it by the name of its anonymous inode only.
pub(super) fn kind(object: BorrowedFd<'_>) -> io::Result<Option<Kind>> {
    let name = fs::read_link(format!("/proc/self/fd/{}", object.as_raw_fd()))?;
    Ok(match name.as_os_str().as_bytes() {
        b"anon_inode:bpf-map" => Some(Kind::Map),
        b"anon_inode:bpf-prog" => Some(Kind::Program),
        b"anon_inode:bpf_link" | b"anon_inode:bpf-link" => Some(Kind::Link),
        _ => None,
    })
}

/// Describes a map.
pub(super) fn map_info(map: BorrowedFd<'_>) -> io::Result<MapInfo> {
    // SAFETY: it begins as `struct bpf_map_info` does, of which any bytes are one: plain numbers.
    unsafe { info(map) }
}

/// Describes a link to a cgroup. Of another link the last fields mean something else.
pub(super) fn link_info(link: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    // SAFETY: it begins as `struct bpf_link_info` does, of which any bytes are one: plain numbers.
    unsafe { info(link) }
}

/// From now on the link runs `program`. No call falls between the two.
pub(super) fn update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut update = Update {
        link: number(link)?,
        program: number(program)?,
        flags: 0,
        old_program: 0,
    };
    // SAFETY: the struct has no pointer in it.
    unsafe { call(Command::LinkUpdate, &mut update) }.map(|_zero| ())
}

/// From now on the link runs nothing, whoever holds it. When the last of them lets it go, the kernel takes its time.
pub(super) fn detach(link: BorrowedFd<'_>) -> io::Result<()> {
    let mut detach = Detach {
        link: number(link)?,
    };
    // SAFETY: the struct has no pointer in it.
    unsafe { call(Command::LinkDetach, &mut detach) }.map(|_zero| ())
}

/// What is attached to a cgroup itself.
pub(super) fn query(cgroup: BorrowedFd<'_>, attach_type: u32) -> io::Result<Attachment> {
    let mut ids = [0_u32; 64];
    let mut query = Query {
        target: number(cgroup)?,
        attach_type,
        programs: (&raw mut ids).expose_provenance() as u64,
        count: 64,
        ..Query::default()
    };
    // SAFETY: `ids` has room for as many ids as the query says.
    unsafe { call(Command::ProgramQuery, &mut query) }?;
    let count = usize::try_from(query.count).map_err(io::Error::other)?;
    Ok(Attachment {
        flags: query.attach_flags,
        programs: ids.into_iter().take(count).collect(),
    })
}

/// # Safety
///
/// `T` must be the beginning of what the kernel tells about such an object, and any bytes must be one.
unsafe fn info<T>(object: BorrowedFd<'_>) -> io::Result<T> {
    // SAFETY: the caller says that any bytes are a `T`.
    let mut told: T = unsafe { zeroed() };
    let mut info = Info {
        fd: number(object)?,
        length: u32::try_from(size_of::<T>()).map_err(io::Error::other)?,
        room: (&raw mut told).expose_provenance() as u64,
    };
    // SAFETY: `told` has room for as many bytes as `info` says.
    unsafe { call(Command::ObjectInfo, &mut info) }?;
    Ok(told)
}

/// # Safety
///
/// `attr` must be laid out as bpf(2) wants it for `command`, and its pointers must be good for what the kernel does.
unsafe fn call<T>(command: Command, attr: &mut T) -> io::Result<i32> {
    let (attr, size) = (&raw mut *attr, size_of::<T>());
    // SAFETY: by what the caller says.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command as libc::c_int, attr, size) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(result).map_err(io::Error::other)
}

fn number(fd: impl AsFd) -> io::Result<u32> {
    u32::try_from(fd.as_fd().as_raw_fd()).map_err(io::Error::other)
}
