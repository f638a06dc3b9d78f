//! Pods from a directory of manifests, for a machine without a cluster.
//!
//! The index follows the directory within a moment: the system tells of changes there, and everything is
//! read anew. What it may not tell of (a change behind a symbolic link, a lost event) is found by reading
//! now and then anyway. Files that are written in place are read once nothing happens to them for a while;
//! a file that has to appear whole is written under another name and renamed.
//!
//! If the directory goes away, so do its pods, until it comes back. What is wrong is said once, when it
//! appears.

mod report;

use std::{path::PathBuf, sync::Arc, time::Duration};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode},
};
use tokio::{sync::Notify, task, time};

use crate::clock::Clock;

use super::{
    Source,
    annotation::Keys,
    directory::{self, Reading},
    index,
    manifest::Reads,
    metrics::Metrics,
};
use report::Report;

pub use directory::Error;

/// A change is read when nothing more happened for this time: most files are written in several steps, ...
const QUIET: Duration = Duration::from_millis(50);

/// ... but after this time in any case.
const IMPATIENCE: Duration = Duration::from_millis(500);

/// Everything is read again after this time, should the system have told us of no change.
const REREAD: Duration = Duration::from_secs(30);

/// While the directory is not to be read or not to be watched, we look this often.
const RETRY: Duration = Duration::from_secs(1);

/// The pods that a directory describes.
#[derive(Debug)]
pub struct FileSource {
    directory: Directory,
    changed: Arc<Notify>,
    first: Reading,
    report: Report,
}

impl FileSource {
    /// Reads the manifests in `dir` for the agent of `node` a first time, and begins to watch it.
    pub fn open(
        dir: PathBuf,
        node: &str,
        keys: Keys,
        metrics: Metrics,
        clock: Clock,
    ) -> Result<Self, Error> {
        let changed = Arc::new(Notify::new());
        let watcher = watcher(&changed).map_err(|source| Error::Watch {
            dir: dir.clone(),
            source,
        })?;
        let mut directory = Directory {
            path: dir,
            reads: Reads {
                node: Some(node.to_owned()),
                keys,
            },
            watcher,
        };
        let look = directory.look();
        let first = look.reading?;
        look.watched?;
        Ok(Self {
            directory,
            changed,
            first,
            report: Report::new(metrics, clock),
        })
    }
}

impl Source for FileSource {
    async fn run(self, index: index::Writer) -> anyhow::Error {
        let Self {
            mut directory,
            changed,
            first,
            mut report,
        } = self;
        let mut look = Look {
            reading: Ok(first),
            watched: Ok(()),
        };
        loop {
            let pause = look.pause();
            report.publish(look, &index);
            wait(&changed, pause).await;
            // Reading files may take its time, and no other task may have to wait for that.
            let looked = task::spawn_blocking(move || {
                let look = directory.look();
                (directory, look)
            });
            (directory, look) = match looked.await {
                Ok(looked) => looked,
                Err(error) => {
                    return anyhow::Error::new(error).context("cannot read the manifests");
                }
            };
        }
    }
}

/// Waits for a change to come to its end, or for `pause`.
async fn wait(changed: &Notify, pause: Duration) {
    if time::timeout(pause, changed.notified()).await.is_err() {
        return;
    }
    let quiet = async { while time::timeout(QUIET, changed.notified()).await.is_ok() {} };
    // Either way it is time to read.
    let _settled = time::timeout(IMPATIENCE, quiet).await.is_ok();
}

fn watcher(changed: &Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let changed = Arc::clone(changed);
    notify::recommended_watcher(move |event: notify::Result<Event>| {
        // An error may hide a change.
        if event.map_or(true, |event| is_change(event.kind)) {
            changed.notify_one();
        }
    })
}

/// Whether an event is more than somebody's reading: ours would call for the next one for ever.
fn is_change(event: EventKind) -> bool {
    !event.is_access() || event == EventKind::Access(AccessKind::Close(AccessMode::Write))
}

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    reads: Reads,
    watcher: RecommendedWatcher,
}

/// What a look at the directory gave.
#[derive(Debug)]
struct Look {
    reading: Result<Reading, Error>,
    watched: Result<(), Error>,
}

impl Look {
    /// How long until the next.
    const fn pause(&self) -> Duration {
        if self.reading.is_ok() && self.watched.is_ok() {
            REREAD
        } else {
            RETRY
        }
    }
}

impl Directory {
    /// Watches first and reads then, so that no change falls between.
    fn look(&mut self) -> Look {
        let watched = self.watch();
        let reading = directory::read(&self.path, &self.reads);
        Look { reading, watched }
    }

    /// Watches what bears the name now: it may be another directory than the last time.
    fn watch(&mut self) -> Result<(), Error> {
        // An error says that it was not watched, which is as good.
        let _unwatched = self.watcher.unwatch(&self.path).is_ok();
        self.watcher
            .watch(&self.path, RecursiveMode::NonRecursive)
            .map_err(|source| Error::Watch {
                dir: self.path.clone(),
                source,
            })
    }
}

#[cfg(test)]
mod tests;
