//! What was told, and when. Pure.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use crate::id::PodUid;

use super::{Notice, Reason};

/// What lasts is told again after this time. An Event is forgotten by the API server after an hour.
const AGAIN: Duration = Duration::from_mins(10);

/// The notices that are out. What went a short while ago counts among them: what comes and goes is not told each time.
#[derive(Debug, Default)]
pub(super) struct Told(HashMap<Topic, Telling>);

type Topic = (PodUid, Reason, Arc<str>);

#[derive(Debug)]
struct Telling {
    last: Instant,
    times: u32,
}

impl Told {
    /// Those of the `present` notices that are to be told now. Nothing is remembered of pods that are not `alive`.
    pub(super) fn due(
        &mut self,
        present: Vec<Notice>,
        alive: &HashSet<PodUid>,
        now: Instant,
    ) -> Vec<Notice> {
        let recent = |telling: &Telling| now.duration_since(telling.last) < AGAIN;
        let lasting: HashSet<Topic> = present.iter().map(topic).collect();
        self.0.retain(|topic, telling| {
            alive.contains(&topic.0) && (lasting.contains(topic) || recent(telling))
        });
        let due = present
            .into_iter()
            .filter_map(|notice| self.tell(notice, now));
        due.collect()
    }

    fn tell(&mut self, notice: Notice, now: Instant) -> Option<Notice> {
        let telling = self.0.entry(topic(&notice)).or_insert(Telling {
            last: now,
            times: 0,
        });
        let due = telling.times == 0 || now.duration_since(telling.last) >= AGAIN;
        due.then(|| {
            telling.last = now;
            telling.times = telling.times.saturating_add(1);
            let times = telling.times;
            Notice { times, ..notice }
        })
    }
}

fn topic(notice: &Notice) -> Topic {
    (notice.uid, notice.reason, Arc::clone(&notice.note))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(pod: u8) -> PodUid {
        format!("00000000-0000-0000-0000-0000000000{pod:02x}")
            .parse()
            .unwrap()
    }

    fn notice(pod: u8, note: &str) -> Notice {
        Notice {
            pod: format!("shop/cart-{pod}").parse().unwrap(),
            uid: uid(pod),
            reason: Reason::RoleForbidden,
            note: note.into(),
            times: 1,
        }
    }

    /// What is told, as `NOTE xTIMES`, at the minutes at which something is present.
    fn told(script: &[(u64, &[(u8, &str)])]) -> Vec<Vec<String>> {
        let (start, mut told) = (Instant::now(), Told::default());
        let alive = [uid(1), uid(2)].into();
        let step = |(minute, present): &(u64, &[(u8, &str)])| {
            let present = present
                .iter()
                .map(|(pod, note)| notice(*pod, note))
                .collect();
            let now = start + Duration::from_mins(*minute);
            let due = told.due(present, &alive, now);
            due.iter()
                .map(|notice| format!("{} x{}", notice.note, notice.times))
                .collect()
        };
        script.iter().map(step).collect()
    }

    #[test]
    fn what_appears_or_changes_is_told_at_once_and_what_lasts_every_ten_minutes() {
        for (script, expected) in [
            (
                &[
                    (0, &[(1, "a")][..]),
                    (1, &[(1, "a")]),
                    (9, &[(1, "a")]),
                    (10, &[(1, "a")]),
                ][..],
                &[&["a x1"][..], &[], &[], &["a x2"]][..],
            ),
            (
                &[
                    (0, &[(1, "a")]),
                    (10, &[(1, "a")]),
                    (19, &[(1, "a")]),
                    (20, &[(1, "a")]),
                ],
                &[&["a x1"], &["a x2"], &[], &["a x3"]],
            ),
            (
                &[(0, &[(1, "a")]), (1, &[(1, "b")]), (2, &[(1, "b")])],
                &[&["a x1"], &["b x1"], &[]],
            ),
            (
                &[(0, &[(1, "a"), (1, "b"), (2, "a")]), (1, &[(1, "b")])],
                &[&["a x1", "b x1", "a x1"], &[]],
            ),
            (
                &[(0, &[]), (1, &[(1, "a")]), (2, &[])],
                &[&[], &["a x1"], &[]],
            ),
        ] {
            assert_eq!(told(script), expected, "{script:?}");
        }
    }

    #[test]
    fn what_comes_and_goes_is_not_told_each_time() {
        let script: &[(u64, &[(u8, &str)])] = &[
            (0, &[(1, "a")]),
            (1, &[]),
            (2, &[(1, "a")]),
            (3, &[(1, "b")]),
            (4, &[(1, "a")]),
            (5, &[]),
            (30, &[]),
            (31, &[(1, "a")]),
        ];
        let expected: &[&[&str]] = &[&["a x1"], &[], &[], &["b x1"], &[], &[], &[], &["a x1"]];
        assert_eq!(told(script), expected);
    }

    #[test]
    fn nothing_is_remembered_of_pods_that_are_gone() {
        let (now, mut told) = (Instant::now(), Told::default());
        let both = [uid(1), uid(2)].into();
        told.due(vec![notice(1, "a"), notice(2, "a")], &both, now);
        assert_eq!(told.0.len(), 2);
        told.due(Vec::new(), &[uid(2)].into(), now);
        assert_eq!(told.0.len(), 1);
        told.due(Vec::new(), &both, now + AGAIN);
        assert!(told.0.is_empty());
    }
}
