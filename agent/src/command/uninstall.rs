//! `bpf2iam uninstall`: takes away what agents have left on this node. Not while one serves: it would be back, or its pods
//! without keys.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};

use crate::{
    args::{Cgroups, Uninstall},
    cgroup, config, control,
    redirect::{
        Busy, Pins, Sole,
        pins::{self, Left},
    },
    terminal, trial,
};

use super::print;

/// Removes it, or only lists it.
pub(super) fn uninstall(args: &Uninstall) -> anyhow::Result<()> {
    let root = config::pin_dir(&args.pin_dir.path)?;
    if args.dry_run {
        let left = all(args, pins(&root)?)?;
        let lines = left
            .iter()
            .map(|one| format!("would remove {}\n", one.path().display()));
        return said(&lines.collect::<String>(), &root);
    }
    // What is there is looked at when nobody can add to it.
    let free = Free::take(&root)?;
    let made = |pin: &Left| free.as_ref().is_some_and(|free| free.has_made(pin.path()));
    let pins = pins(&root)?.into_iter().filter(|pin| !made(pin));
    let left = all(args, pins)?;
    if left.is_empty() {
        return said("", &root);
    }
    remove(&left)
}

fn pins(root: &Path) -> anyhow::Result<Vec<Left>> {
    pins::list(root).context("nothing is removed")
}

fn said(page: &str, root: &Path) -> anyhow::Result<()> {
    if page.is_empty() {
        return print(&format!("nothing is pinned at {}\n", root.display()));
    }
    print(page)
}

/// Something that an agent has left.
#[derive(Debug)]
enum Item {
    /// The cgroup of one that was killed while it started.
    Cgroup(PathBuf),
    /// The control socket, or its directory.
    File(PathBuf),
    /// What keeps the pods from the real service.
    Pin(Left),
}

impl Item {
    fn path(&self) -> &Path {
        match self {
            Self::Cgroup(path) | Self::File(path) => path,
            Self::Pin(left) => left.path(),
        }
    }

    fn remove(&self) -> anyhow::Result<()> {
        let removed = match self {
            Self::Cgroup(path) => trial::remove(path),
            Self::File(path) => control::remove_leftover(path),
            Self::Pin(left) => return Ok(left.remove()?),
        };
        removed.with_context(|| format!("cannot remove {}", self.path().display()))
    }
}

/// All that is left, in the order in which it is removed: the directory of the pins, by which agents keep out of each
/// other's way, is the last.
fn all(args: &Uninstall, pins: impl IntoIterator<Item = Left>) -> anyhow::Result<Vec<Item>> {
    let cgroups = throwaways(&args.cgroups)?.into_iter().map(Item::Cgroup);
    let files = control::leftovers(&args.runtime.dir).into_iter();
    let pins = pins.into_iter().map(Item::Pin);
    Ok(cgroups.chain(files.map(Item::File)).chain(pins).collect())
}

/// The cgroups that an agent has left which was killed while it started.
fn throwaways(args: &Cgroups) -> anyhow::Result<Vec<PathBuf>> {
    let given = config::kubepods(args)?;
    // Where there are no pods, there are none of these.
    let Ok((_open, root)) = cgroup::open_root(&args.root) else {
        return Ok(Vec::new());
    };
    let kubepods = cgroup::find_kubepods(&root, given.as_deref());
    Ok(kubepods
        .ok()
        .flatten()
        .map_or_else(Vec::new, |path| trial::left(&path)))
}

/// Says of each thing at once that it is gone: whatever comes then, that has been said. A pin that stays keeps the others,
/// anything else that stays keeps nothing.
fn remove(items: &[Item]) -> anyhow::Result<()> {
    let mut ended = Ok(());
    for item in items {
        let Err(error) = item.remove() else {
            print(&format!("removed {}\n", item.path().display()))?;
            continue;
        };
        if matches!(item, Item::Pin(_)) {
            return Err(error);
        }
        terminal::warn(&format!("{error:#}"));
        ended = Err(error.context("not everything could be removed"));
    }
    ended
}

/// No agent of any version serves, and none starts, as long as this is held.
#[derive(Debug)]
struct Free {
    /// The directory of the pins, if there was none.
    made: Option<PathBuf>,
    _sole: Sole,
}

impl Free {
    /// None is needed where no agent could start: there is no bpf file system.
    fn take(root: &Path) -> anyhow::Result<Option<Self>> {
        let there = fs::symlink_metadata(root).is_ok();
        if there {
            // Or it is somebody else's.
            pins(root)?;
        } else if let Err(error) = Pins::make_root(root) {
            let nowhere = matches!(error, pins::Error::NotBpfFs(_));
            return if nowhere { Ok(None) } else { Err(error.into()) };
        }
        let sole = Sole::try_be(root)?.map_err(|busy| anyhow!("{busy}; {}", advice(busy)))?;
        Ok(Some(Self {
            made: (!there).then(|| root.to_owned()),
            _sole: sole,
        }))
    }

    fn has_made(&self, path: &Path) -> bool {
        self.made.as_deref() == Some(path)
    }
}

impl Drop for Free {
    fn drop(&mut self) {
        if let Some(made) = &self.made {
            let _others_use_it = fs::remove_dir(made).is_err();
        }
    }
}

const fn advice(busy: Busy) -> &'static str {
    match busy {
        Busy::Starting => "end it first",
        Busy::Serving => {
            "end it first (delete its DaemonSet, or stop its service), and what it leaves can be removed"
        }
        Busy::StandingBy => "end it first (delete its DaemonSet, or stop its service)",
    }
}
