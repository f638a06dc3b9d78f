//! What was answered a moment ago, and is not asked again.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::id::PodUid;

use super::Answer;

/// The last answers. As there are only so many questions a second, these are few.
#[derive(Debug, Default)]
pub(super) struct Recent(HashMap<PodUid, Last>);

#[derive(Debug)]
struct Last {
    answer: Answer,
    until: Instant,
}

impl Recent {
    /// The last answer about this pod, if it still counts.
    pub(super) fn get(&self, uid: PodUid) -> Option<Answer> {
        let last = self.0.get(&uid)?;
        (Instant::now() < last.until).then(|| last.answer.clone())
    }

    /// From now on this is the answer, for a time.
    pub(super) fn put(&mut self, uid: PodUid, answer: Answer, time: Duration) {
        let now = Instant::now();
        self.0.retain(|_, last| now < last.until);
        let until = now + time;
        self.0.insert(uid, Last { answer, until });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time;

    use super::*;
    use crate::pods::{kube::testing::uid, resolve::Unanswered};

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_for_its_time_and_is_then_forgotten() {
        let (mut recent, second) = (Recent::default(), Duration::from_secs(1));
        recent.put(uid(1), Ok(None), second);
        recent.put(uid(2), Err(Unanswered), second * 2);
        assert_eq!(recent.get(uid(1)), Some(Ok(None)));
        assert_eq!(recent.get(uid(3)), None);
        time::advance(second).await;
        assert_eq!(recent.get(uid(1)), None);
        assert_eq!(recent.get(uid(2)), Some(Err(Unanswered)));
        recent.put(uid(2), Ok(None), second);
        assert_eq!(recent.get(uid(2)), Some(Ok(None)));
        assert_eq!(recent.0.len(), 1);
    }
}
