//! What is going to happen, in the order in which it does.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    time::Duration,
};

use bpf2iam::creds::pace::Moment;

/// Events, the earliest first. Of those of one moment, the one that was entered first.
#[derive(Debug)]
pub(crate) struct Agenda<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    entered: u64,
}

/// Nanoseconds rather than a [`Moment`]: there are hundreds of thousands of these.
#[derive(Debug)]
struct Entry<E> {
    nanos: u64,
    number: u64,
    event: E,
}

impl<E> Agenda<E> {
    pub(crate) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            entered: 0,
        }
    }

    /// Enters `event`.
    pub(crate) fn enter(&mut self, at: Moment, event: E) {
        self.heap.push(Reverse(Entry {
            nanos: u64::try_from(at.as_nanos()).unwrap_or(u64::MAX),
            number: self.entered,
            event,
        }));
        self.entered += 1;
    }

    /// Takes the next one, if it comes before `end`.
    pub(crate) fn next_before(&mut self, end: Moment) -> Option<(Moment, E)> {
        let next = self.heap.peek()?;
        if Duration::from_nanos(next.0.nanos) >= end {
            return None;
        }
        let Reverse(entry) = self.heap.pop()?;
        Some((Duration::from_nanos(entry.nanos), entry.event))
    }
}

impl<E> Entry<E> {
    const fn key(&self) -> (u64, u64) {
        (self.nanos, self.number)
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for Entry<E> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_those_of_one_moment_as_they_were_entered() {
        let second = Duration::from_secs(1);
        let mut agenda = Agenda::new();
        for (seconds, event) in [(3, 'e'), (1, 'a'), (2, 'c'), (1, 'b'), (2, 'd')] {
            agenda.enter(second * seconds, event);
        }
        let mut came = String::new();
        while let Some((_, event)) = agenda.next_before(second * 4) {
            came.push(event);
        }
        assert_eq!(came, "abcde");
    }

    #[test]
    fn what_comes_at_the_end_or_later_stays() {
        let second = Duration::from_secs(1);
        let mut agenda = Agenda::new();
        agenda.enter(second, ());
        assert_eq!(agenda.next_before(second), None);
        assert_eq!(agenda.next_before(second * 2), Some((second, ())));
        assert_eq!(agenda.next_before(second * 2), None);
    }
}
