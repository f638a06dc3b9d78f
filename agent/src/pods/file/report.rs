//! What a look at the directory comes to: the index, the numbers and the log.

use std::collections::BTreeSet;

use crate::{
    clock::Clock,
    pods::{Subject, index, metrics::Metrics},
};

use super::{Error, Look};

/// So many complaints are logged at once; a file of nonsense has thousands.
const MAX_LOGGED: usize = 20;

/// Keeps track of what was said already.
#[derive(Debug)]
pub(super) struct Report {
    metrics: Metrics,
    clock: Clock,
    complaints: BTreeSet<String>,
}

/// What is different from the last time.
#[derive(Debug, PartialEq, Eq)]
struct News {
    wrong: Vec<String>,
    mended: usize,
}

impl Report {
    pub(super) const fn new(metrics: Metrics, clock: Clock) -> Self {
        Self {
            metrics,
            clock,
            complaints: BTreeSet::new(),
        }
    }

    /// Makes `index` what `look` found: no pods at all if the directory is not there to be read. As long as the machine
    /// is at its limits, the index stays as it is.
    pub(super) fn publish(&mut self, look: Look, index: &index::Writer) {
        let (pods, complaints) = self.count(look);
        let News { wrong, mended } = self.news(complaints);
        for complaint in wrong.iter().take(MAX_LOGGED) {
            tracing::warn!("{complaint}");
        }
        if wrong.len() > MAX_LOGGED {
            tracing::warn!("and {} more", wrong.len() - MAX_LOGGED);
        }
        let Some(pods) = pods else { return };
        let pods_known = pods.len();
        let index::Changes {
            added,
            removed,
            changed,
        } = index.reset(pods);
        if added + removed + changed + mended > 0 {
            tracing::info!(
                pods_known,
                added,
                removed,
                changed,
                mended,
                "the manifests changed"
            );
        }
    }

    /// The pods that there are, if that can be told, and what is wrong.
    fn count(&self, look: Look) -> (Option<Vec<Subject>>, BTreeSet<String>) {
        let Look { reading, watched } = look;
        match reading {
            Ok(reading) => {
                let (known, wrong) = (reading.pods.len(), reading.errors.len());
                self.metrics.read(known, wrong, self.clock.now());
                let errors = reading.errors.iter().map(ToString::to_string);
                let complaints = errors.chain(watched.err().map(whole)).collect();
                (Some(reading.pods), complaints)
            }
            Err(error) if error.is_exhaustion() => (None, BTreeSet::from([whole(error)])),
            Err(error) => {
                self.metrics.failed();
                (Some(Vec::new()), BTreeSet::from([whole(error)]))
            }
        }
    }

    fn news(&mut self, complaints: BTreeSet<String>) -> News {
        let news = News {
            wrong: complaints.difference(&self.complaints).cloned().collect(),
            mended: self.complaints.difference(&complaints).count(),
        };
        self.complaints = complaints;
        news
    }
}

/// An error with all its causes in one line.
fn whole(error: Error) -> String {
    format!("{:#}", anyhow::Error::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(complaints: &[&str]) -> BTreeSet<String> {
        complaints.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn pods_are_forgotten_with_their_directory_and_not_for_want_of_files() {
        for (code, known) in [
            (libc::EMFILE, None),
            (libc::ENFILE, None),
            (libc::EIO, None),
            (libc::ENOENT, Some(0)),
            (libc::ENOTDIR, Some(0)),
        ] {
            let source = std::io::Error::from_raw_os_error(code);
            let look = Look {
                reading: Err(Error::Read {
                    dir: "/pods".into(),
                    source,
                }),
                watched: Ok(()),
            };
            let (pods, wrong) = Report::new(Metrics::new(), Clock::system()).count(look);
            assert_eq!((pods.map(|pods| pods.len()), wrong.len()), (known, 1));
        }
    }

    #[test]
    fn what_is_wrong_is_said_once_and_again_only_after_it_was_mended() {
        let mut report = Report::new(Metrics::new(), Clock::system());
        for (complaints, wrong, mended) in [
            (&["a", "b"][..], &["a", "b"][..], 0),
            (&["b", "a"], &[], 0),
            (&["b", "c"], &["c"], 1),
            (&[], &[], 2),
            (&["a"], &["a"], 0),
        ] {
            let news = report.news(set(complaints));
            let wrong = wrong.iter().map(ToString::to_string).collect();
            assert_eq!(news, News { wrong, mended }, "{complaints:?}");
        }
    }
}
