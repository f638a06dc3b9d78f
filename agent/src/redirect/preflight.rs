//! What this node must have, asked before anything is changed on it.

use std::path::Path;

use aya::{
    maps::MapType,
    programs::ProgramType,
    sys::{BpfHelper, is_helper_supported, is_map_supported, is_program_supported},
    util::KernelVersion,
};
use caps::{CapSet, Capability, CapsHashSet};

/// Where a kernel with BTF shows its own.
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// What is missing on this node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// We may not do what we must.
    #[error(
        "this process lacks {}; run it as root, or grant them to its container (in a pod: \
         securityContext.capabilities.add, or privileged: true)",
        .0.join(", ")
    )]
    Capabilities(Vec<String>),
    /// The kernel is too old.
    #[error("this kernel is {0}; Linux 5.15 or newer is needed")]
    Kernel(String),
    /// The kernel has no type information of its own.
    #[error("this kernel has no BTF ({BTF}); it needs CONFIG_DEBUG_INFO_BTF=y")]
    Btf,
    /// The kernel does not take a kind of program or map.
    #[error(
        "this kernel has no {0}; it needs CONFIG_CGROUP_BPF=y, CONFIG_BPF_SYSCALL=y and CONFIG_INET=y"
    )]
    Feature(&'static str),
    /// The kernel does not let a kind of program call a function of its own.
    #[error(
        "this kernel has no bpf_{helper} for {programs}; it needs CONFIG_CGROUP_BPF=y and CONFIG_INET=y"
    )]
    Helper {
        /// The function.
        helper: &'static str,
        /// What would call it.
        programs: &'static str,
    },
}

/// Checks this node. The first thing that is missing is said.
pub fn check() -> Result<(), Missing> {
    capabilities()?;
    kernel()?;
    btf()?;
    features()
}

/// Whether this process may do what the agent must.
pub fn capabilities() -> Result<(), Missing> {
    sufficient(&caps::read(None, CapSet::Effective).unwrap_or_default())
}

/// Whether the kernel describes its own types.
pub fn btf() -> Result<(), Missing> {
    if Path::new(BTF).exists() {
        Ok(())
    } else {
        Err(Missing::Btf)
    }
}

/// How this kernel calls itself.
pub fn release() -> String {
    let uname = rustix::system::uname();
    uname.release().to_string_lossy().into_owned()
}

/// `CAP_SYS_ADMIN` contains the first two (`bpf_capable`, `perfmon_capable`, Linux 5.8).
const NEEDED: [(Capability, bool); 4] = [
    (Capability::CAP_BPF, true),
    (Capability::CAP_PERFMON, true),
    (Capability::CAP_NET_ADMIN, false),
    (Capability::CAP_DAC_READ_SEARCH, false),
];

fn sufficient(effective: &CapsHashSet) -> Result<(), Missing> {
    let admin = effective.contains(&Capability::CAP_SYS_ADMIN);
    let missing: Vec<_> = NEEDED
        .iter()
        .filter(|(needed, by_admin)| !(effective.contains(needed) || admin && *by_admin))
        .map(|(needed, _)| needed.to_string())
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Missing::Capabilities(missing))
    }
}

/// Whether it is as new as the oldest kernel that the programs were tried on. What they lean on is of 5.10 or older.
pub fn kernel() -> Result<(), Missing> {
    if KernelVersion::current().is_ok_and(|version| version >= KernelVersion::new(5, 15, 0)) {
        return Ok(());
    }
    Err(Missing::Kernel(release()))
}

/// Whether the kernel takes our kinds of programs and maps. Without `CAP_BPF` nothing can be told, and it seems so.
pub fn features() -> Result<(), Missing> {
    for (kind, name) in [
        (ProgramType::CgroupSockAddr, "cgroup/connect programs"),
        (ProgramType::SockOps, "sock_ops programs"),
        (ProgramType::CgroupSkb, "cgroup_skb programs"),
    ] {
        // A probe that fails otherwise proves nothing; loading will tell.
        if let Ok(false) = is_program_supported(kind) {
            return Err(Missing::Feature(name));
        }
    }
    for (kind, name) in [
        (MapType::SkStorage, "socket storage maps"),
        (MapType::LruHash, "LRU hash maps"),
    ] {
        if let Ok(false) = is_map_supported(kind) {
            return Err(Missing::Feature(name));
        }
    }
    Ok(())
}

/// What the programs call, as far as it is newer than their kinds.
const HELPERS: [(ProgramType, &str, BpfHelper, &str); 11] = {
    use BpfHelper as H;
    use ProgramType as P;
    const CONNECT: &str = "cgroup/connect programs";
    const SOCK_OPS: &str = "sock_ops programs";
    const SKB: &str = "cgroup_skb programs";
    [
        (
            P::CgroupSockAddr,
            CONNECT,
            H::BPF_FUNC_get_current_cgroup_id,
            "get_current_cgroup_id",
        ),
        (
            P::CgroupSockAddr,
            CONNECT,
            H::BPF_FUNC_get_current_ancestor_cgroup_id,
            "get_current_ancestor_cgroup_id",
        ),
        (
            P::CgroupSockAddr,
            CONNECT,
            H::BPF_FUNC_get_netns_cookie,
            "get_netns_cookie",
        ),
        (
            P::CgroupSockAddr,
            CONNECT,
            H::BPF_FUNC_sk_storage_get,
            "sk_storage_get",
        ),
        (
            P::SockOps,
            SOCK_OPS,
            H::BPF_FUNC_get_socket_cookie,
            "get_socket_cookie",
        ),
        (
            P::SockOps,
            SOCK_OPS,
            H::BPF_FUNC_sk_storage_get,
            "sk_storage_get",
        ),
        (
            P::SockOps,
            SOCK_OPS,
            H::BPF_FUNC_sock_ops_cb_flags_set,
            "sock_ops_cb_flags_set",
        ),
        (
            P::SockOps,
            SOCK_OPS,
            H::BPF_FUNC_reserve_hdr_opt,
            "reserve_hdr_opt",
        ),
        (
            P::SockOps,
            SOCK_OPS,
            H::BPF_FUNC_store_hdr_opt,
            "store_hdr_opt",
        ),
        (
            P::CgroupSkb,
            SKB,
            H::BPF_FUNC_skb_cgroup_id,
            "skb_cgroup_id",
        ),
        (
            P::CgroupSkb,
            SKB,
            H::BPF_FUNC_skb_ancestor_cgroup_id,
            "skb_ancestor_cgroup_id",
        ),
    ]
};

/// Whether the kernel has the functions that the programs call: for those who only look, as loading tells it too. Without
/// `CAP_BPF` nothing can be told, and it seems so.
pub fn helpers() -> Result<(), Missing> {
    for (kind, programs, id, helper) in HELPERS {
        // A probe that fails otherwise proves nothing.
        if let Ok(false) = is_helper_supported(kind, id) {
            return Err(Missing::Helper { helper, programs });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_capabilities_are_named() {
        let said = |set: &[Capability]| {
            let set = set.iter().copied().collect();
            sufficient(&set).map_err(|missing| missing.to_string())
        };
        let error = said(&[Capability::CAP_BPF, Capability::CAP_NET_ADMIN]).unwrap_err();
        assert!(
            error.contains("lacks CAP_PERFMON, CAP_DAC_READ_SEARCH;"),
            "{error}"
        );
        let error = said(&[Capability::CAP_SYS_ADMIN, Capability::CAP_NET_ADMIN]).unwrap_err();
        assert!(error.contains("lacks CAP_DAC_READ_SEARCH;"), "{error}");
        assert!(said(&[]).is_err());
        let all: Vec<_> = NEEDED.iter().map(|(needed, _)| *needed).collect();
        assert_eq!(said(&all), Ok(()));
    }
}
