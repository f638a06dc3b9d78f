//! Programs of somebody else, attached as people did before there were links: with flags that say who else may.
//!
//! They see IPv4 connects. An attachment goes with its cgroup.

#![expect(unsafe_code, reason = "aya loads objects; these programs have none")]

use std::{
    fs::File,
    io,
    net::SocketAddrV4,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    path::Path,
};

use anyhow::{Context as _, Result};

/// `BPF_PROG_LOAD` and `BPF_PROG_ATTACH` of `enum bpf_cmd`.
const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
/// `BPF_PROG_TYPE_CGROUP_SOCK_ADDR`.
const SOCK_ADDR: u32 = 18;
/// `BPF_CGROUP_INET4_CONNECT`.
const CONNECT4: u32 = 10;

/// Who else may be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Sharing {
    /// Nobody, here and below.
    Exclusive = 0,
    /// Others below, instead of it.
    Override = 1,
    /// Others, besides it.
    Multi = 2,
}

/// A loaded program.
#[derive(Debug)]
pub struct Foreign(OwnedFd);

impl Foreign {
    /// Lets every connect pass.
    pub fn onlooker(name: &str) -> Result<Self> {
        Self::load(name, &[MOV.set(0, 1), EXIT])
    }

    /// Turns connects for `from` into connects for `to`.
    pub fn rewriting(name: &str, from: SocketAddrV4, to: SocketAddrV4) -> Result<Self> {
        let (from, to) = (words(from), words(to));
        Self::load(
            name,
            &[
                LOAD.field(IP),
                UNLESS.jump(6, from[0]),
                LOAD.field(PORT),
                UNLESS.jump(4, from[1]),
                MOV.set(2, to[0]),
                STORE.field(IP),
                MOV.set(2, to[1]),
                STORE.field(PORT),
                MOV.set(0, 1),
                EXIT,
            ],
        )
    }

    /// Attaches it to `cgroup`.
    pub fn attach(&self, cgroup: &Path, sharing: Sharing) -> Result<()> {
        let what = || format!("cannot attach a program to {}", cgroup.display());
        let directory = File::open(cgroup).with_context(what)?;
        let attach = Attach {
            target_fd: u32::try_from(directory.as_raw_fd())?,
            program_fd: u32::try_from(self.0.as_raw_fd())?,
            hook: CONNECT4,
            flags: sharing as u32,
        };
        // SAFETY: the struct is laid out as bpf(2) wants it, and both descriptors are open.
        unsafe { bpf(PROG_ATTACH, &attach) }.with_context(what)?;
        Ok(())
    }

    fn load(name: &str, program: &[Instruction]) -> Result<Self> {
        let mut load = Load {
            kind: SOCK_ADDR,
            count: u32::try_from(program.len())?,
            program: program.as_ptr().addr() as u64,
            licence: c"GPL".as_ptr().addr() as u64,
            hook: CONNECT4,
            ..Load::default()
        };
        // The last byte stays zero.
        for (room, byte) in load.name.iter_mut().zip(name.bytes().take(15)) {
            *room = byte;
        }
        // SAFETY: the struct is laid out as bpf(2) wants it, and program and licence live until the call returns.
        let fd = unsafe { bpf(PROG_LOAD, &load) }.context("cannot load a program")?;
        // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }
}

/// An address and a port, as the context has them: network order.
fn words(address: SocketAddrV4) -> [i32; 2] {
    let port = u32::from(address.port().to_be());
    [
        i32::from_ne_bytes(address.ip().octets()),
        port.cast_signed(),
    ]
}

/// Fields of `struct bpf_sock_addr`.
const IP: i16 = 4;
const PORT: i16 = 24;

/// Operations on 32 bits, of `linux/bpf_common.h` and `linux/bpf.h`.
const LOAD: Operation = Operation(0x61);
const STORE: Operation = Operation(0x63);
const MOV: Operation = Operation(0xb4);
const UNLESS: Operation = Operation(0x56);
const EXIT: Instruction = Operation(0x95).with(0, 0, 0);

#[derive(Clone, Copy)]
struct Operation(u8);

/// `struct bpf_insn`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Instruction {
    operation: u8,
    registers: u8,
    offset: i16,
    value: i32,
}

impl Operation {
    const fn with(self, registers: u8, offset: i16, value: i32) -> Instruction {
        Instruction {
            operation: self.0,
            registers,
            offset,
            value,
        }
    }

    /// Puts `value` into a register.
    const fn set(self, register: u8, value: i32) -> Instruction {
        self.with(register, 0, value)
    }

    /// Between register 2 and a field of the context, which is in register 1.
    const fn field(self, offset: i16) -> Instruction {
        let registers = if self.0 == STORE.0 { 0x21 } else { 0x12 };
        self.with(registers, offset, 0)
    }

    /// Goes on `distance` instructions later unless register 2 is `value`.
    const fn jump(self, distance: i16, value: i32) -> Instruction {
        self.with(2, distance, value)
    }
}

/// `union bpf_attr` for `BPF_PROG_LOAD`.
#[derive(Default)]
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    program: u64,
    licence: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    ifindex: u32,
    hook: u32,
}

/// `union bpf_attr` for `BPF_PROG_ATTACH`.
#[repr(C)]
struct Attach {
    target_fd: u32,
    program_fd: u32,
    hook: u32,
    flags: u32,
}

/// # Safety
///
/// `attr` must be what `command` wants, and what it points to must live as long as the call.
unsafe fn bpf<T>(command: libc::c_int, attr: &T) -> io::Result<libc::c_int> {
    let attr: *const T = attr;
    // SAFETY: by the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of::<T>()) };
    match libc::c_int::try_from(result) {
        Ok(result) if result >= 0 => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}
