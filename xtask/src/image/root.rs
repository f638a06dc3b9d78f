//! The root directory of the image: everything that is in it.
//!
//! The agent is linked with the C library of the machine that built it, which goes with it. A static one would need that
//! library's plug-ins at run time all the same, to look names up; another C library looks them up in other ways.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail, ensure};

use super::{licences, tree::Tree};
use crate::{cx::Cx, exec, install};

/// Where the agent is in it.
pub(super) const AGENT: &str = "usr/bin/bpf2iam";
/// The certificates of public authorities: where the TLS library looks for them on every distribution like this one.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// What the certificates come with.
const CA_CERTIFICATES: install::Package = install::Package::file("ca-certificates", CERTIFICATES);
/// From this version on the C library looks names up without plug-ins.
const GLIBC: (u32, u32) = (2, 34);

/// What would be mounted over, or is expected by any program. A container engine that keeps the root read-only mounts what
/// is there; not all make what is missing.
const DIRECTORIES: [(&str, u32); 8] = [
    ("dev", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run/bpf2iam", 0o700),
    ("run/netns", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("var/run/secrets", 0o755),
];

/// What is the same whoever builds it.
const TEXTS: [(&str, &str); 3] = [
    ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    (
        "etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files dns\n",
    ),
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
    ),
];

/// Writes it to `dir`, which must not exist.
pub(super) fn write(cx: &Cx, agent: &Path, dir: &Path) -> Result<()> {
    ensure!(!dir.exists(), "{} exists already", dir.display());
    install::debian(cx, &[CA_CERTIFICATES])?;
    looks_names_up_alone(&exec::capture(
        Command::new("getconf").arg("GNU_LIBC_VERSION"),
    )?)?;
    let root = Tree::new(dir);
    root.copy(agent, AGENT, 0o755)?;
    // Which function it was stays in backtraces; the lines are three quarters of the file.
    exec::run(
        Command::new("strip")
            .arg("--strip-debug")
            .arg(dir.join(AGENT)),
    )?;
    for library in libraries(&exec::capture(Command::new("ldd").arg(agent))?)? {
        root.copy(&library, below(&library), 0o755)?;
    }
    root.copy(
        Path::new(CERTIFICATES),
        below(Path::new(CERTIFICATES)),
        0o644,
    )?;
    for (path, text) in TEXTS {
        root.file(path, text.as_bytes(), 0o644)?;
    }
    licences::write(cx, &root)?;
    for (path, mode) in DIRECTORIES {
        root.directory(path, mode)?;
    }
    Ok(())
}

/// An absolute path as one of the image.
fn below(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// The files that `ldd` names: libraries, and the program that loads them.
fn libraries(ldd: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for line in ldd.lines() {
        if line.contains("not found") {
            bail!(
                "the agent is linked with a library that is not here: {}",
                line.trim()
            );
        }
        found.extend(
            line.split_whitespace()
                .find(|word| word.starts_with('/'))
                .map(PathBuf::from),
        );
    }
    ensure!(!found.is_empty(), "ldd names no library of the agent");
    Ok(found)
}

/// An old C library would load plug-ins that `ldd` knows nothing of.
fn looks_names_up_alone(version: &str) -> Result<()> {
    let number = version.trim().strip_prefix("glibc ").unwrap_or_default();
    let parts: Option<Vec<u32>> = number.split('.').map(|part| part.parse().ok()).collect();
    if let Some([major, minor, ..]) = parts.as_deref()
        && (*major, *minor) >= GLIBC
    {
        return Ok(());
    }
    bail!(
        "the C library here is `{}`, and the image needs glibc {}.{} or newer; build it by deploy/Dockerfile",
        version.trim(),
        GLIBC.0,
        GLIBC.1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_agent_is_linked_with_is_what_ldd_names() {
        let said = "\tlinux-vdso.so.1 (0x00007ffd)\n\
             \tlibgcc_s.so.1 => /lib/x86_64-linux-gnu/libgcc_s.so.1 (0x00007f01)\n\
             \t/lib64/ld-linux-x86-64.so.2 (0x00007f02)\n";
        let expected = [
            "/lib/x86_64-linux-gnu/libgcc_s.so.1",
            "/lib64/ld-linux-x86-64.so.2",
        ];
        assert_eq!(
            libraries(said).expect("all are there"),
            expected.map(PathBuf::from)
        );
        for wrong in ["\tlibm.so.6 => not found\n", "\tstatically linked\n", ""] {
            assert!(libraries(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_c_library_with_plug_ins_is_refused() {
        for (version, good) in [
            ("glibc 2.36\n", true),
            ("glibc 2.34\n", true),
            ("glibc 3.0\n", true),
            ("glibc 2.33\n", false),
            ("glibc 2.4\n", false),
            ("musl 1.2.5\n", false),
            ("", false),
        ] {
            assert_eq!(looks_names_up_alone(version).is_ok(), good, "{version}");
        }
    }
}
