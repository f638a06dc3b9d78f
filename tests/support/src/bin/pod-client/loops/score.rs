//! Counting as cheaply as it can be done, for the time of a loop.

use std::{
    collections::BTreeMap,
    io,
    time::{Duration, Instant},
};

use bpf2iam_support::client::{Latency, Tally};

use crate::errno;

/// So many wrong answers are kept to be looked at.
const SAMPLES: usize = 3;

/// What a loop has counted so far.
#[derive(Debug)]
pub(super) struct Score {
    start: Instant,
    ok: u64,
    wrong: u64,
    errors: BTreeMap<String, u64>,
    samples: Vec<String>,
    /// In nanoseconds.
    connects: Vec<u32>,
    /// In nanoseconds.
    answers: Vec<u32>,
}

impl Score {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            ok: 0,
            wrong: 0,
            errors: BTreeMap::new(),
            samples: Vec::new(),
            connects: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// A `connect` that succeeded took so long.
    pub(super) fn connected(&mut self, after: Duration) {
        self.connects.push(nanoseconds(after));
    }

    /// The end of an answer came so long after the start of its connection.
    pub(super) fn answered(&mut self, after: Duration) {
        self.answers.push(nanoseconds(after));
    }

    /// An attempt came to what it should.
    pub(super) const fn good(&mut self) {
        self.ok += 1;
    }

    /// An attempt came to something else.
    pub(super) fn bad(&mut self, answer: String) {
        self.wrong += 1;
        self.samples.push(answer);
        self.samples.truncate(SAMPLES);
    }

    /// An attempt came to nothing.
    pub(super) fn failed(&mut self, error: &io::Error) {
        *self.errors.entry(errno::name(error)).or_default() += 1;
    }

    /// Adds what another thread has counted.
    pub(super) fn add(&mut self, other: Self) {
        self.ok += other.ok;
        self.wrong += other.wrong;
        for (name, count) in other.errors {
            *self.errors.entry(name).or_default() += count;
        }
        self.samples.extend(other.samples);
        self.samples.truncate(SAMPLES);
        self.connects.extend(other.connects);
        self.answers.extend(other.answers);
    }

    /// The end of the loop.
    pub(super) fn tally(mut self) -> Tally {
        let seconds = self.start.elapsed().as_secs_f64();
        self.connects.sort_unstable();
        self.answers.sort_unstable();
        Tally {
            attempt: String::new(),
            ok: self.ok,
            wrong: self.wrong,
            errors: self.errors,
            samples: self.samples,
            seconds,
            connect: latency(&self.connects),
            answer: latency(&self.answers),
            changes: Vec::new(),
        }
    }
}

fn nanoseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_nanos()).unwrap_or(u32::MAX)
}

fn latency(sorted: &[u32]) -> Option<Latency> {
    let percentile = |percent: usize| sorted.get(sorted.len() * percent / 100).copied();
    Some(Latency {
        min: percentile(0)?,
        p50: percentile(50)?,
        p99: percentile(99)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_measured() {
        let all: Vec<_> = (1..=200).collect();
        let latency = latency(&all).unwrap();
        assert_eq!((latency.min, latency.p50, latency.p99), (1, 101, 199));
        assert_eq!(super::latency(&[]), None);
        assert_eq!(super::latency(&[7]).unwrap().p99, 7);
    }

    #[test]
    fn threads_add_up() {
        let mut score = Score::new();
        score.good();
        for _ in 0..5 {
            let mut other = Score::new();
            other.bad("who?".to_owned());
            other.failed(&io::Error::from_raw_os_error(1));
            score.add(other);
        }
        let tally = score.tally();
        assert_eq!((tally.ok, tally.wrong, tally.errors["EPERM"]), (1, 5, 5));
        assert_eq!((tally.total(), tally.samples.len()), (11, 3));
    }
}
