//! Whether pins last where they are made: on a bpf file system that can be written to, and that is the node's.
//!
//! One that was mounted inside the container goes with it, and everything that is pinned there too.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

use crate::{chain::chain, redirect::pins};

use super::{
    Check, Finding,
    mounts::{self, Mount},
};

/// The place of the pins.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pin_dir: PathBuf,
    usable: Result<(), String>,
    writable: Result<(), String>,
    sharing: Sharing,
}

/// Whose file system it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sharing {
    /// We see what the node sees.
    Node,
    /// The node sees it too.
    Shared,
    /// The node does not see it.
    Private,
    /// It cannot be told.
    Unknown,
}

pub(super) fn gather(pin_dir: &Path) -> Facts {
    let existing = pin_dir.ancestors().find(|path| path.exists());
    let existing = existing.unwrap_or(Path::new("/"));
    let writable = access(existing, Access::WRITE_OK).map_err(|errno| {
        let error = io::Error::from(errno);
        format!("{} cannot be written to: {error}", existing.display())
    });
    Facts {
        pin_dir: pin_dir.to_owned(),
        usable: pins::on_bpf_fs(pin_dir).map_err(|error| chain(&error)),
        writable,
        sharing: whose(existing),
    }
}

fn whose(existing: &Path) -> Sharing {
    let real = fs::canonicalize(existing).unwrap_or_else(|_gone| existing.to_owned());
    let mounts = mounts::own().unwrap_or_default();
    let mount = mounts::at(&mounts, &real);
    mount.map_or(Sharing::Unknown, |mount| {
        sharing(mount, mounts::are_the_nodes(), mounts::of_node().as_deref())
    })
}

/// Whose file system `mount` is. The kernel numbers file systems for all namespaces alike.
fn sharing(mount: &Mount, same: bool, node: Option<&[Mount]>) -> Sharing {
    if same {
        return Sharing::Node;
    }
    if let Some(node) = node {
        let seen = node.iter().any(|other| other.device == mount.device);
        return if seen {
            Sharing::Shared
        } else {
            Sharing::Private
        };
    }
    // What is a copy of another mount, or a part of a file system only, came from outside.
    if mount.follows || mount.root != Path::new("/") {
        Sharing::Shared
    } else {
        Sharing::Unknown
    }
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let dir = facts.pin_dir.display();
    if let Err(error) = &facts.usable {
        let fix = "mount -t bpf bpf /sys/fs/bpf";
        return vec![Finding::problem(Check::Bpffs, error, fix)];
    }
    if let Err(error) = &facts.writable {
        let fix = "mount -o remount,rw /sys/fs/bpf";
        return vec![Finding::problem(Check::Bpffs, error, fix)];
    }
    let on = format!("{dir} is on a bpf file system that can be written to");
    vec![match facts.sharing {
        Sharing::Node => Finding::ok(Check::Bpffs, format!("{on}, the node's own")),
        Sharing::Shared => Finding::ok(Check::Bpffs, format!("{on}, which the node shares")),
        Sharing::Private => Finding::problem(
            Check::Bpffs,
            format!("{on}, which is this container's own: what is pinned goes with it"),
            "in the DaemonSet, mount the node's /sys/fs/bpf: a hostPath volume, with mountPropagation: HostToContainer",
        ),
        Sharing::Unknown => Finding::warning(
            Check::Bpffs,
            format!("{on}; from inside this container it cannot be told whether it is the node's"),
            "in the DaemonSet, set mountPropagation: HostToContainer where /sys/fs/bpf is mounted; or run this command \
             on the node",
        ),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    fn mount(text: &str) -> Mount {
        let line = format!("43 23 {text} - bpf bpf rw");
        mounts::parse(&line).remove(0)
    }

    #[test]
    fn a_file_system_is_the_nodes_if_the_node_sees_it() {
        let plain = "0:39 / /sys/fs/bpf rw,relatime";
        let node = [mount("0:38 / /sys rw"), mount("0:39 / /sys/fs/bpf rw")];
        let other = [mount("0:38 / /sys/fs/bpf rw")];
        for (text, same, node, expected) in [
            (plain, true, None, Sharing::Node),
            (plain, true, Some(&other[..]), Sharing::Node),
            (plain, false, Some(&node[..]), Sharing::Shared),
            (plain, false, Some(&other[..]), Sharing::Private),
            (plain, false, None, Sharing::Unknown),
            (
                "0:39 / /sys/fs/bpf rw shared:7",
                false,
                None,
                Sharing::Unknown,
            ),
            (
                "0:39 / /sys/fs/bpf rw master:7",
                false,
                None,
                Sharing::Shared,
            ),
            ("0:39 /bpf2iam /pins rw", false, None, Sharing::Shared),
        ] {
            assert_eq!(sharing(&mount(text), same, node), expected, "{text}");
        }
    }

    #[test]
    fn pins_must_last() {
        let facts = |usable: Result<(), &str>, writable: Result<(), &str>, sharing| Facts {
            pin_dir: "/pins".into(),
            usable: usable.map_err(ToOwned::to_owned),
            writable: writable.map_err(ToOwned::to_owned),
            sharing,
        };
        for (facts, verdict, says) in [
            (
                facts(Ok(()), Ok(()), Sharing::Node),
                Verdict::Ok,
                "/pins is on a bpf file system",
            ),
            (
                facts(Ok(()), Ok(()), Sharing::Shared),
                Verdict::Ok,
                "shares",
            ),
            (
                facts(Ok(()), Ok(()), Sharing::Private),
                Verdict::Problem,
                "goes with it",
            ),
            (
                facts(Ok(()), Ok(()), Sharing::Unknown),
                Verdict::Warning,
                "cannot be told",
            ),
            (
                facts(Err("no bpf"), Err("read-only"), Sharing::Node),
                Verdict::Problem,
                "no bpf",
            ),
            (
                facts(Ok(()), Err("read-only"), Sharing::Node),
                Verdict::Problem,
                "read-only",
            ),
        ] {
            let found = judge(&facts);
            assert_eq!((found.len(), found[0].verdict), (1, verdict), "{found:?}");
            assert!(found[0].what.contains(says), "{found:?}");
        }
    }
}
