//! Waiting for a value, never for a time.

use std::{
    fmt::Debug,
    ops::Range,
    time::{Duration, Instant},
};

/// How long anything may take that comes by itself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What is in memory takes less, on however busy a machine; whoever has to wait for somebody's end waits longer.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(2);

/// How long a request waits for what is not there yet: the agent's 900 ms, and what a busy machine adds.
pub(crate) const HELD: Range<Duration> = Duration::from_millis(850)..Duration::from_millis(1900);

/// How often is looked.
const INTERVAL: Duration = Duration::from_millis(10);

/// What `look` sees, as soon as it is `wanted`. By the machine's clock: tests put that of the runtime ahead.
pub(crate) async fn until<T: Debug>(
    mut look: impl AsyncFnMut() -> T,
    wanted: impl Fn(&T) -> bool,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = look().await;
        if wanted(&seen) {
            return seen;
        }
        assert!(Instant::now() < deadline, "it never came; last: {seen:?}");
        tokio::time::sleep(INTERVAL).await;
    }
}

/// What comes of `work`, which must not take long.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    let Ok(done) = tokio::time::timeout(PATIENCE, work).await else {
        panic!("it takes longer than {PATIENCE:?}");
    };
    done
}

/// What comes of `work`, and how long that took by the machine's clock.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    (work.await, start.elapsed())
}

/// Puts the clock of the runtime ahead. What is under way meanwhile has its timeouts.
pub(crate) async fn leap(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
