//! What a verb needs from the machine: Debian packages, installed where that is allowed, listed where it is not.

use std::{
    io,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Result, bail};

use crate::{
    cache,
    cx::{Cx, Install},
    exec, say,
};

/// `bpftool`.
pub(crate) const BPFTOOL: Package = Package::program("bpftool", "bpftool");
/// `curl`.
pub(crate) const CURL: Package = Package::program("curl", "curl");
/// `ip`, `ss`.
pub(crate) const IPROUTE2: Package = Package::program("iproute2", "ip");
/// `iptables-legacy` and `iptables-nft`.
pub(crate) const IPTABLES: Package = Package::program("iptables", "iptables-nft");
/// `nft`.
pub(crate) const NFTABLES: Package = Package::program("nftables", "nft");

/// A Debian package and what shows that its content is there, however it came there.
#[derive(Clone, Copy)]
pub(crate) struct Package {
    name: &'static str,
    proof: Proof,
}

#[derive(Clone, Copy)]
enum Proof {
    Program(&'static str),
    File(&'static str),
    /// The caller has looked: it is missing.
    Missing,
}

impl Package {
    /// A package that is wanted for a program.
    pub(crate) const fn program(name: &'static str, program: &'static str) -> Self {
        Self {
            name,
            proof: Proof::Program(program),
        }
    }

    /// A package that is wanted for a file.
    pub(crate) const fn file(name: &'static str, path: &'static str) -> Self {
        Self {
            name,
            proof: Proof::File(path),
        }
    }

    /// A package that the caller knows to be missing.
    pub(crate) const fn missing(name: &'static str) -> Self {
        Self {
            name,
            proof: Proof::Missing,
        }
    }

    fn is_there(&self) -> bool {
        match self.proof {
            Proof::Program(program) => exec::find(program).is_some(),
            Proof::File(path) => Path::new(path).exists(),
            Proof::Missing => false,
        }
    }
}

/// Sees to it that all these packages' content is there; fails with the list of what is missing where it may not
/// install.
pub(crate) fn debian(cx: &Cx, wanted: &[Package]) -> Result<()> {
    let missing: Vec<_> = wanted
        .iter()
        .filter(|package| !package.is_there())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|package| package.name).collect();
    if let Some(reason) = obstacle(cx.install) {
        bail!("{}", advice(&names, reason));
    }
    let _lock = cache::lock(cx, "apt")?;
    apt(&names)?;
    let absent: Vec<_> = missing
        .iter()
        .filter(|package| absent_after_install(package))
        .map(|p| p.name)
        .collect();
    if !absent.is_empty() {
        bail!(
            "installed, but what they are wanted for is not there: {}",
            absent.join(" ")
        );
    }
    Ok(())
}

/// Why this process cannot install packages.
fn obstacle(install: Install) -> Option<&'static str> {
    if install == Install::Forbidden {
        Some("--no-install forbids it")
    } else if exec::find("apt-get").is_none() {
        Some("there is no apt-get here")
    } else if !rustix::process::geteuid().is_root() {
        Some("only root can")
    } else {
        None
    }
}

fn advice(names: &[&str], reason: &str) -> String {
    format!(
        "missing Debian packages: {names}\n  install them with: apt-get install --no-install-recommends {names}\n  \
         (xtask installs them itself where it can: {reason})",
        names = names.join(" "),
    )
}

fn absent_after_install(package: &Package) -> bool {
    !matches!(package.proof, Proof::Missing) && !package.is_there()
}

/// Installs; the package lists are fetched where they do not know a package, or know one that is no longer served.
fn apt(names: &[&str]) -> Result<()> {
    say::step(format!("install {}", names.join(" ")));
    let known = |name: &&str| exec::works(Command::new("apt-cache").args(["show", *name]));
    if names.iter().all(known) && apt_get("install", names).is_ok() {
        return Ok(());
    }
    apt_get("update", &[])?;
    apt_get("install", names)
}

fn apt_get(verb: &str, names: &[&str]) -> Result<()> {
    let mut apt = Command::new("apt-get");
    apt.args([
        "-qq",
        "-y",
        "--no-install-recommends",
        "-o",
        "DPkg::Lock::Timeout=600",
    ]);
    apt.arg(verb)
        .args(names)
        .env("DEBIAN_FRONTEND", "noninteractive");
    exec::run(apt.stdin(Stdio::null()).stdout(io::stderr())) // no result of ours
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cx() -> Cx {
        Cx {
            root: "/".into(),
            cache: "/nowhere".into(),
            install: Install::Forbidden,
        }
    }

    #[test]
    fn what_is_there_needs_no_package() {
        let there = [
            Package::program("dash", "sh"),
            Package::file("base-files", "/etc"),
        ];
        assert!(debian(&cx(), &there).is_ok());
        assert!(debian(&cx(), &[]).is_ok());
    }

    #[test]
    fn the_list_names_every_missing_package_and_no_other() {
        let wanted = [
            Package::program("dash", "sh"),
            Package::program("no-program", "no-such-program-anywhere"),
            Package::file("no-file", "/no/such/file"),
            Package::missing("seen-missing"),
        ];
        let error = debian(&cx(), &wanted)
            .expect_err("three are missing")
            .to_string();
        assert_eq!(
            error,
            "missing Debian packages: no-program no-file seen-missing\n  \
             install them with: apt-get install --no-install-recommends no-program no-file seen-missing\n  \
             (xtask installs them itself where it can: --no-install forbids it)",
        );
    }
}
