//! A check may hang or break, and the others are made all the same.

use std::time::Duration;

use tokio::{task, time};

use super::{Check, Finding};

/// How long one check may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(12);

/// A check that has not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// It takes too long.
    Late,
    /// It panicked: a fault of ours.
    Broken,
}

/// Does `work` on a thread of its own. One that hangs is left behind.
pub(super) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Lost> {
    match time::timeout(PATIENCE, task::spawn_blocking(work)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_panic)) => Err(Lost::Broken),
        Err(_elapsed) => Err(Lost::Late),
    }
}

/// Waits for what is asynchronous, on a thread of [`run`].
pub(super) fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Handle::current().block_on(work)
}

impl Lost {
    /// What is said of it.
    pub(super) fn told(self, check: Check) -> Finding {
        match self {
            Self::Late => Finding::warning(
                check,
                format!("could not be looked at within {} s", PATIENCE.as_secs()),
                "something on this node hangs; see `dmesg`, and try again",
            ),
            Self::Broken => Finding::warning(
                check,
                "could not be looked at: the check itself broke".to_owned(),
                "report it, with what was written to standard error",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_check_that_breaks_is_told_of() {
        let broken = run(|| -> u8 { panic!("as it is meant to") }).await;
        assert_eq!(broken, Err(Lost::Broken));
        assert_eq!(run(|| 7).await, Ok(7));
        let told = Lost::Broken.told(Check::Lease);
        assert!(told.what.contains("broke"), "{told:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_is_left_behind() {
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let late = run(move || held.recv().is_ok());
        // Blocking threads keep paused time from going on by itself.
        let time = async {
            task::yield_now().await;
            time::advance(PATIENCE).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            late = late => assert_eq!(late, Err(Lost::Late)),
            () = time => unreachable!("it has no end"),
        }
        drop(hold);
    }
}
