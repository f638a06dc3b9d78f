//! After a failure nobody tries the same again for a moment: a service that hangs would hold every request.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::http::Failure;

/// The pause after the first failure; each further one is twice as long, ...
const FIRST: Duration = Duration::from_millis(250);
/// ... up to this.
const LONGEST: Duration = Duration::from_secs(1);

/// What failed, and until when that is the answer.
#[derive(Clone, Debug)]
pub(super) struct Pause {
    failure: Arc<Failure>,
    length: Duration,
    until: Instant,
}

impl Pause {
    /// The pause after `failure`; `before` is the one that was over.
    pub(super) fn after(failure: Arc<Failure>, before: Option<&Self>, now: Instant) -> Self {
        let length = before.map_or(FIRST, |before| LONGEST.min(before.length * 2));
        Self {
            failure,
            length,
            until: now + length,
        }
    }

    /// What to answer, while it lasts.
    pub(super) fn answer(&self, now: Instant) -> Option<Arc<Failure>> {
        (now < self.until).then(|| Arc::clone(&self.failure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_grows_to_a_second_and_ends() {
        let mut now = Instant::now();
        let mut pause: Option<Pause> = None;
        for length in [250, 500, 1000, 1000] {
            let next = Pause::after(Arc::new(Failure::Busy), pause.as_ref(), now);
            let end = now + Duration::from_millis(length);
            assert!(next.answer(end - Duration::from_millis(1)).is_some());
            assert!(next.answer(end).is_none());
            (pause, now) = (Some(next), end);
        }
    }
}
