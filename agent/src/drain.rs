//! How the agent ends: everybody hears of it at once, finishes what it began, and is waited for a bounded time.
//!
//! Whoever must not be cut off in the middle of something holds a [`Watch`] while it works.

use std::time::Duration;

use tokio::sync::watch;

/// Makes a pair: the one that says that the end has come, and the one that hears it.
pub fn channel() -> (Signal, Watch) {
    let (signal, watch) = watch::channel(false);
    (Signal(signal), Watch(watch))
}

/// Says that the end has come.
#[derive(Debug)]
pub struct Signal(watch::Sender<bool>);

impl Signal {
    /// Tells every [`Watch`], and waits until all of them are dropped, at most `patience`. Says whether they were.
    pub async fn drain(self, patience: Duration) -> bool {
        self.0.send_replace(true);
        tokio::time::timeout(patience, self.0.closed())
            .await
            .is_ok()
    }
}

/// Hears that the end has come. As long as one is held, the process waits for its holder.
#[derive(Clone, Debug)]
pub struct Watch(watch::Receiver<bool>);

impl Watch {
    /// Returns when the end has come; at once if it has already.
    pub async fn signaled(&mut self) {
        // An error says that the signal itself is gone: the end as well.
        let _ended = self.0.wait_for(|ended| *ended).await.is_ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_whoever_is_at_work() {
        let (signal, mut watch) = channel();
        let work = tokio::spawn(async move {
            watch.signaled().await;
            tokio::time::sleep(PATIENCE / 2).await;
        });
        assert!(signal.drain(PATIENCE).await);
        assert!(work.is_finished() || work.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_does_not_wait_for_ever() {
        let (signal, watch) = channel();
        assert!(!signal.drain(PATIENCE).await);
        drop(watch);
    }

    #[tokio::test]
    async fn a_lost_signal_is_the_end_too() {
        let (signal, mut watch) = channel();
        drop(signal);
        watch.signaled().await;
    }
}
