//! How much there is room for in the log.

use std::time::Duration;

use tokio::time::Instant;

use super::AGAIN;

/// So many lines at once, ...
const BURST: u32 = 30;

/// ... and one more after each such time.
const EVERY: Duration = Duration::from_secs(30);

/// Keeps the rate. (A bucket that leaks, as one moment in time.)
#[derive(Debug, Default)]
pub(super) struct Room {
    /// When all that was taken will have come back.
    whole: Option<Instant>,
    /// When it was last said that there is none.
    complained: Option<Instant>,
}

impl Room {
    /// Takes room for a line, if there is any.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let whole = self.whole.map_or(now, |whole| whole.max(now)) + EVERY;
        let is_room = whole.duration_since(now) <= EVERY * BURST;
        if is_room {
            self.whole = Some(whole);
        }
        is_room
    }

    /// Whether it is to be said now that there is none.
    pub(super) fn complain(&mut self, now: Instant) -> bool {
        let recently = |said| now.duration_since(said) < AGAIN;
        if self.complained.is_some_and(recently) {
            return false;
        }
        self.complained = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_some_at_once_and_then_for_one_after_another() {
        let (start, mut room) = (Instant::now(), Room::default());
        let mut taken = |seconds| {
            let now = start + Duration::from_secs(seconds);
            (0..100).filter(|_| room.take(now)).count()
        };
        let seconds = [0, 29, 30, 59, 60, 150, 5000];
        assert_eq!(seconds.map(&mut taken), [30, 0, 1, 0, 1, 3, 30]);
    }

    #[test]
    fn that_there_is_none_is_said_from_time_to_time() {
        let (start, mut room) = (Instant::now(), Room::default());
        let mut said = |seconds| room.complain(start + Duration::from_secs(seconds));
        assert_eq!(
            [0, 1, 599, 600, 601].map(&mut said),
            [true, false, false, true, false]
        );
    }
}
