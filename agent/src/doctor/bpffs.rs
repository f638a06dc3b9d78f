//! Whether pins last where they are made: on a bpf file system that can be written to, and that is the node's.
//!
//! One that was mounted inside the container goes with it, and everything that is pinned there too.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Access, access},
    io::Errno,
};

use crate::{chain::chain, redirect::pins};

use super::{
    Check, Finding, Verdict,
    mounts::{self, Mount},
    remedy::more_rights,
};

/// The place of the pins.
#[derive(Debug)]
pub(super) struct Facts {
    pin_dir: PathBuf,
    /// The bpf file system that they are on, or are to be.
    mount: PathBuf,
    usable: Result<(), pins::Error>,
    writable: Result<(), Unwritable>,
    sharing: Sharing,
    /// Whether what is mounted here is mounted on the node.
    on_node: bool,
}

/// Why nothing can be pinned there.
#[derive(Debug)]
struct Unwritable {
    existing: PathBuf,
    errno: Errno,
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

/// Where the node has its bpf file system.
const USUAL: &str = "/sys/fs/bpf";

pub(super) fn gather(pin_dir: &Path) -> Facts {
    let existing = pin_dir.ancestors().find(|path| path.exists());
    let existing = existing.unwrap_or(Path::new("/"));
    let mounts = mounts::own().unwrap_or_default();
    let real = fs::canonicalize(existing).unwrap_or_else(|_gone| existing.to_owned());
    let mount = mounts::at(&mounts, &real);
    let same = mounts::are_the_nodes();
    Facts {
        pin_dir: pin_dir.to_owned(),
        mount: mount.map_or_else(|| USUAL.into(), |mount| mount.point.clone()),
        usable: pins::on_bpf_fs(pin_dir),
        writable: access(existing, Access::WRITE_OK).map_err(|errno| Unwritable {
            existing: existing.to_owned(),
            errno,
        }),
        sharing: mount.map_or(Sharing::Unknown, |mount| {
            sharing(mount, same, mounts::of_node().as_deref())
        }),
        on_node: same,
    }
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

/// How a pod is given the node's.
const VOLUME: &str = "in the DaemonSet, mount the node's /sys/fs/bpf: a hostPath volume, with mountPropagation: HostToContainer";

/// As the agent says it, but for what it says to do.
fn what(error: &pins::Error) -> String {
    match error {
        pins::Error::NotBpfFs(dir) => {
            format!("{} is on no bpf file system (--pin-dir)", dir.display())
        }
        pins::Error::Mount(_)
        | pins::Error::Directory { .. }
        | pins::Error::Owner { .. }
        | pins::Error::NoDirectory(_)
        | pins::Error::Foreign { .. } => chain(error),
    }
}

/// What makes a place for pins. What hides other pins, or is gone with a container, is none.
fn place_for_pins(facts: &Facts, error: &pins::Error) -> String {
    match error {
        pins::Error::NotBpfFs(dir) if !dir.starts_with(USUAL) => {
            format!("give the agent, and this command, --pin-dir {USUAL}/bpf2iam")
        }
        pins::Error::NotBpfFs(_) if facts.on_node => format!("mount -t bpf bpf {USUAL}"),
        pins::Error::NotBpfFs(_) => VOLUME.to_owned(),
        pins::Error::Mount(dir) => {
            let below = dir.join("bpf2iam");
            format!(
                "give the agent, and this command, --pin-dir {}",
                below.display()
            )
        }
        pins::Error::Directory { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            more_rights().to_owned()
        }
        pins::Error::Directory { path, .. }
        | pins::Error::Owner { path, .. }
        | pins::Error::NoDirectory(path)
        | pins::Error::Foreign { path, .. } => format!("ls -ld {}", path.display()),
    }
}

/// What lets us write there.
fn way_to_write(facts: &Facts, why: &Unwritable) -> String {
    match why.errno {
        Errno::ROFS if facts.on_node => format!("mount -o remount,rw {}", facts.mount.display()),
        Errno::ROFS => format!(
            "in the DaemonSet, take readOnly from the volume mount of {}",
            facts.mount.display()
        ),
        Errno::ACCESS | Errno::PERM => more_rights().to_owned(),
        _ => format!("ls -ld {}", why.existing.display()),
    }
}

/// What the agent itself says when it starts, where pins may go with its container. Whatever else is wrong there, it finds out
/// when it pins.
pub fn pins_may_not_last(pin_dir: &Path) -> Option<Finding> {
    let facts = gather(pin_dir);
    if facts.usable.is_err() || facts.writable.is_err() {
        return None;
    }
    let mut found = judge(&facts).into_iter();
    found.find(|one| one.verdict != Verdict::Ok)
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let dir = facts.pin_dir.display();
    if let Err(error) = &facts.usable {
        let fix = place_for_pins(facts, error);
        return vec![Finding::problem(Check::Bpffs, what(error), fix)];
    }
    if let Err(why) = &facts.writable {
        let error = io::Error::from(why.errno);
        let what = format!("{} cannot be written to: {error}", why.existing.display());
        let fix = way_to_write(facts, why);
        return vec![Finding::problem(Check::Bpffs, what, fix)];
    }
    let on = format!("{dir} is on a bpf file system that can be written to");
    vec![match facts.sharing {
        Sharing::Node => Finding::ok(Check::Bpffs, format!("{on}, the node's own")),
        Sharing::Shared => Finding::ok(Check::Bpffs, format!("{on}, which the node shares")),
        Sharing::Private => Finding::problem(
            Check::Bpffs,
            format!("{on}, which is this container's own: what is pinned goes with it"),
            VOLUME,
        ),
        Sharing::Unknown => Finding::warning(
            Check::Bpffs,
            format!("{on}; from inside this container it cannot be told whether it is the node's"),
            "in the DaemonSet, set mountPropagation: HostToContainer where /sys/fs/bpf is mounted; or run `bpf2iam \
             doctor` on the node",
        ),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn facts(sharing: Sharing) -> Facts {
        Facts {
            pin_dir: "/pins".into(),
            mount: "/sys/fs/bpf".into(),
            usable: Ok(()),
            writable: Ok(()),
            sharing,
            on_node: true,
        }
    }

    #[track_caller]
    fn assert_found(facts: &Facts, verdict: Verdict, says: &str, fix: &str) {
        let found = judge(facts);
        assert_eq!((found.len(), found[0].verdict), (1, verdict), "{found:?}");
        assert!(found[0].what.contains(says), "{found:?}");
        let told = found[0].fix.as_deref().unwrap_or_default();
        assert!(told.starts_with(fix), "{told}");
    }

    #[test]
    fn pins_must_last() {
        use Verdict::{Ok, Problem, Warning};
        for (sharing, verdict, says, fix) in [
            (Sharing::Node, Ok, "/pins is on a bpf file system", ""),
            (Sharing::Shared, Ok, "shares", ""),
            (Sharing::Private, Problem, "goes with it", VOLUME),
            (
                Sharing::Unknown,
                Warning,
                "cannot be told",
                "in the DaemonSet, set mountPropagation",
            ),
        ] {
            assert_found(&facts(sharing), verdict, says, fix);
        }
    }

    #[test]
    fn nothing_is_mounted_over_what_is_there() {
        let no = |dir: &str| pins::Error::NotBpfFs(dir.into());
        for (error, on_node, fix) in [
            (no("/sys/fs/bpf/x"), true, "mount -t bpf bpf /sys/fs/bpf"),
            (no("/sys/fs/bpf/x"), false, VOLUME),
            (
                no("/data"),
                true,
                "give the agent, and this command, --pin-dir /sys/fs/bpf/bpf2iam",
            ),
            (
                pins::Error::Mount("/bpf".into()),
                true,
                "give the agent, and this command, --pin-dir /bpf/bpf2iam",
            ),
        ] {
            let says = what(&error);
            let facts = Facts {
                usable: Err(error),
                on_node,
                ..facts(Sharing::Node)
            };
            assert_found(&facts, Verdict::Problem, &says, fix);
        }
    }

    #[test]
    fn only_what_is_read_only_is_mounted_anew() {
        for (errno, on_node, fix) in [
            (Errno::ROFS, true, "mount -o remount,rw /sys/fs/bpf"),
            (Errno::ROFS, false, "in the DaemonSet, take readOnly"),
            (Errno::ACCESS, true, more_rights()),
        ] {
            let existing = "/sys/fs/bpf".into();
            let facts = Facts {
                writable: Err(Unwritable { existing, errno }),
                on_node,
                ..facts(Sharing::Node)
            };
            let says = "/sys/fs/bpf cannot be written to: ";
            assert_found(&facts, Verdict::Problem, says, fix);
        }
    }
}
