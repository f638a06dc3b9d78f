//! What a pod can make for itself without asking anybody: namespaces and, if it may write there, cgroups.

#![expect(unsafe_code, reason = "unshare can separate descriptors of threads")]

use std::{fs, path::Path};

use bpf2iam_support::{cgroup as support, client::Report};
use rustix::{
    io::Errno,
    process::{getegid, geteuid},
    thread::{UnshareFlags, unshare_unsafe},
};

use crate::{
    args::Args,
    trouble::{During as _, Trouble},
};

use super::tcp;

/// From a network namespace inside a user namespace: a way out leads nowhere.
pub(super) fn netns(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    enter_own_network()?;
    tcp::connect(args, report)
}

/// From a cgroup below the container's, with any `--name`.
pub(super) fn cgroup(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let own = support::of_this_process();
    let own = own.map_err(|error| Trouble::Refused(format!("{error:#}")))?;
    let child = own.join(args.required::<String>("--name")?);
    fs::create_dir(&child).during("mkdir")?;
    enter_cgroup(&child).during("enter")?;
    let result = tcp::connect(args, report);
    enter_cgroup(&own).during("leave")?;
    fs::remove_dir(&child).during("rmdir")?;
    result
}

/// Becomes root of a user namespace with a network of its own, without any privilege.
pub(crate) fn enter_own_network() -> Result<(), Trouble> {
    let (user, group) = (geteuid(), getegid());
    // SAFETY: file descriptors stay shared, so no other part of this process can miss one.
    let unshared = unsafe { unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNET) };
    match unshared {
        Err(Errno::NOSYS | Errno::NOSPC | Errno::INVAL) => {
            return Err(Trouble::Unsupported("user namespaces"));
        }
        result => result.during("unshare")?,
    }
    fs::write("/proc/self/setgroups", "deny").during("setgroups")?;
    let (user, group) = (user.as_raw(), group.as_raw());
    fs::write("/proc/self/uid_map", format!("0 {user} 1")).during("uid_map")?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1")).during("gid_map")
}

/// Zero is the writer itself.
fn enter_cgroup(cgroup: &Path) -> std::io::Result<()> {
    fs::write(cgroup.join("cgroup.procs"), "0")
}
