//! What the machine must have, asked before anything is built.

use std::path::Path;

use anyhow::{Result, bail};
use bpf2iam_support::cgroup;
use rustix::thread::CapabilitySet;

const NOT_ROOT: &str = "only root can: the demo makes network namespaces and cgroups, and loads BPF programs\n  \
     run it with: sudo -E env \"PATH=$PATH\" cargo xtask demo";

/// The oldest kernel that has all that the programs lean on.
const KERNEL: (u32, u32) = (5, 15);
/// Where a kernel with BTF shows its own.
const BTF: &str = "/sys/kernel/btf/vmlinux";
/// Where a kernel that can do IPv6 has its settings.
const IPV6: &str = "/proc/sys/net/ipv6";

/// What root may do where it has all its power; in a container it may lack some.
const CAPABILITIES: [(CapabilitySet, &str); 5] = [
    (CapabilitySet::SYS_ADMIN, "SYS_ADMIN"),
    (CapabilitySet::NET_ADMIN, "NET_ADMIN"),
    (CapabilitySet::NET_RAW, "NET_RAW"),
    (CapabilitySet::BPF, "BPF"),
    (CapabilitySet::PERFMON, "PERFMON"),
];

/// Fails with all that is missing.
pub(super) fn check() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!(NOT_ROOT);
    }
    let release = rustix::system::uname();
    let release = release.release().to_string_lossy();
    let found = [
        kernel(&release),
        file(BTF, "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)"),
        file(IPV6, "IPv6 is switched off in the kernel"),
        cgroups(),
        capabilities(rustix::thread::capabilities(None)?.effective),
    ];
    let missing: Vec<_> = found.into_iter().flatten().collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "this machine cannot run the demo:\n  {}",
        missing.join("\n  ")
    )
}

fn kernel(release: &str) -> Option<String> {
    let (major, minor) = KERNEL;
    let old = version(release).is_some_and(|version| version < KERNEL);
    old.then(|| format!("the kernel is {release}; Linux {major}.{minor} or newer is needed"))
}

/// The first two numbers of `6.1.0-13-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn file(path: &str, missing: &str) -> Option<String> {
    (!Path::new(path).exists()).then(|| format!("{missing}: there is no {path}"))
}

fn cgroups() -> Option<String> {
    let error = cgroup::mount_point().err()?;
    Some(format!("cgroups of version 2 are needed: {error}"))
}

fn capabilities(effective: CapabilitySet) -> Option<String> {
    let missing: Vec<_> = CAPABILITIES
        .iter()
        .filter(|(capability, _)| !effective.contains(*capability))
        .map(|(_, name)| *name)
        .collect();
    (!missing.is_empty()).then(|| {
        format!(
            "root lacks the capabilities {}: in a container, run it with --privileged",
            missing.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_kernel_is_named_and_one_that_cannot_be_read_is_tried() {
        for (release, refused) in [
            ("5.14.0-427.el9.x86_64", true),
            ("4.19.0", true),
            ("5.15.0", false),
            ("5.15-rc1", false),
            ("6.1.0-13-amd64", false),
            ("10.0", false),
            ("", false),
            ("unknown", false),
        ] {
            assert_eq!(kernel(release).is_some(), refused, "{release:?}");
        }
    }

    #[test]
    fn missing_capabilities_are_named() {
        assert_eq!(capabilities(CapabilitySet::all()), None);
        let some = CapabilitySet::all() - CapabilitySet::SYS_ADMIN - CapabilitySet::BPF;
        let said = capabilities(some).expect("two are missing");
        assert!(said.contains("SYS_ADMIN, BPF:"), "{said}");
    }
}
