//! What is mounted where, as `/proc/PID/mountinfo` says it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The inode number of the first PID namespace: `PROC_PID_INIT_INO` of `linux/proc_ns.h` (Linux 3.8).
const FIRST_PIDS: &str = "pid:[4026531836]";
/// That of the first mount namespace: `MNT_NS_INIT_INO` of `linux/nsfs.h` (Linux 6.18). Before that the number was
/// nobody's.
const FIRST_MOUNTS: &str = "mnt:[4026531832]";

/// A file system at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// The device, as `major:minor`.
    pub(super) device: String,
    /// What of the file system is there.
    pub(super) root: PathBuf,
    /// Where it is.
    pub(super) point: PathBuf,
    /// Whether mounts made elsewhere come to be here too: then it is a copy of one that is elsewhere.
    pub(super) follows: bool,
    /// What kind of file system.
    pub(super) kind: String,
}

/// All mounts that this process sees.
pub(super) fn own() -> io::Result<Vec<Mount>> {
    read("self")
}

/// All mounts of the node: those that its first process sees, or its first kernel thread. `None` where the node's
/// processes are not to be seen.
pub(super) fn of_node() -> Option<Vec<Mount>> {
    is_namespace("self", "pid", FIRST_PIDS).then_some(())?;
    ["1", "2"].into_iter().find_map(|pid| read(pid).ok())
}

/// Whether this process sees what the node itself sees.
pub(super) fn are_the_nodes() -> bool {
    if is_namespace("self", "mnt", FIRST_MOUNTS) {
        return true;
    }
    let first = || {
        let mut known = ["1", "2"].into_iter();
        known.find_map(|pid| namespace(pid, "mnt"))
    };
    is_namespace("self", "pid", FIRST_PIDS)
        && first().is_some_and(|is| is_namespace("self", "mnt", &is))
}

fn namespace(pid: &str, kind: &str) -> Option<String> {
    let link = fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok()?;
    link.into_os_string().into_string().ok()
}

fn is_namespace(pid: &str, kind: &str, which: &str) -> bool {
    namespace(pid, kind).as_deref() == Some(which)
}

fn read(pid: &str) -> io::Result<Vec<Mount>> {
    Ok(parse(&fs::read_to_string(format!(
        "/proc/{pid}/mountinfo"
    ))?))
}

/// The mount that `path` is on: the last one of those nearest to it, which lies above the others.
pub(super) fn at<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let above = mounts.iter().filter(|mount| path.starts_with(&mount.point));
    above.max_by_key(|mount| mount.point.components().count())
}

pub(super) fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(line).collect()
}

/// A line as proc(5) describes it: six fields, optional ones, a dash, the kind.
fn line(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(2);
    let device = fields.next()?.to_owned();
    let (root, point) = (path(fields.next()?), path(fields.next()?));
    let follows = fields.skip(1).any(|tag| tag.starts_with("master:"));
    let kind = after.split(' ').next()?.to_owned();
    Some(Mount {
        device,
        root,
        point,
        follows,
        kind,
    })
}

/// Blanks, and what else would be mistaken for the end of a field, are written in octal.
fn path(field: &str) -> PathBuf {
    let written = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    let plain = |text: String, (code, is): (&str, &str)| text.replace(code, is);
    written.into_iter().fold(field.to_owned(), plain).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
        23 27 0:22 / /sys rw,relatime - sysfs sysfs rw\n\
        31 23 0:28 / /sys/fs/bpf rw shared:9 - bpf bpf rw,mode=700\n\
        32 23 0:29 /a\\040b /sys/fs/bpf rw,relatime shared:3 master:9 - bpf bpf rw\n\
        broken\n\
        33 23 0:30 / /sys/fs/bpf2 rw - tmpfs none rw\n";

    #[test]
    fn a_line_is_read_as_proc_writes_it() {
        let mounts = parse(TEXT);
        assert_eq!(mounts.len(), 4);
        assert!(!mounts[1].follows);
        let expected = Mount {
            device: "0:29".to_owned(),
            root: "/a b".into(),
            point: "/sys/fs/bpf".into(),
            follows: true,
            kind: "bpf".to_owned(),
        };
        assert_eq!(mounts[2], expected);
    }

    #[test]
    fn a_path_is_on_the_uppermost_of_the_nearest_mounts() {
        let mounts = parse(TEXT);
        for (path, device) in [
            ("/sys/fs/bpf/bpf2iam", Some("0:29")),
            ("/sys/fs/bpf", Some("0:29")),
            ("/sys/fs/bpf2/x", Some("0:30")),
            ("/sys/fs", Some("0:22")),
            ("/run", None),
        ] {
            let found = at(&mounts, Path::new(path)).map(|mount| &*mount.device);
            assert_eq!(found, device, "{path}");
        }
    }

    #[test]
    fn our_own_mounts_can_be_read() {
        let mounts = own().unwrap();
        assert!(at(&mounts, Path::new("/proc/self")).is_some());
    }
}
