//! What a client did: run in its pod, alone or with others at the same time.

use std::{
    os::unix::process::ExitStatusExt as _,
    panic::resume_unwind,
    process::{Command, ExitStatus, Output},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use bpf2iam_support::{process::output, stage::NODE_KEY};

/// No client takes that long, whatever it meets.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// A shell says with 128 and more that a signal ended what it ran.
const SIGNALLED: i32 = 128;

/// What a client did.
#[derive(Clone, Debug, Default)]
pub(super) struct Ran {
    status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) took: Duration,
}

impl Ran {
    pub(super) fn new(output: &Output, took: Duration) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
        Self {
            status: output.status,
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            took,
        }
    }

    pub(super) fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// Whether a signal ended it, rather than itself.
    pub(super) fn crashed(&self) -> bool {
        let by_signal = |code| code >= SIGNALLED;
        self.status.signal().is_some() || self.status.code().is_some_and(by_signal)
    }

    /// Both, one after the other. The first failure counts.
    pub(super) fn then(self, next: &Self) -> Self {
        let join = |one: String, other: &str| format!("{one}\n{other}").trim().to_owned();
        Self {
            status: if self.succeeded() {
                next.status
            } else {
                self.status
            },
            stdout: join(self.stdout, &next.stdout),
            stderr: join(self.stderr, &next.stderr),
            took: self.took + next.took,
        }
    }

    /// The access key and the ARN that it printed.
    pub(super) fn caller(&self) -> Option<(&str, &str)> {
        let caller = self.stdout.split_once(' ');
        caller.filter(|_| self.succeeded())
    }

    pub(super) fn is_node(&self) -> bool {
        self.stdout.contains(NODE_KEY) || self.stderr.contains(NODE_KEY)
    }

    pub(super) fn all_it_said(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
            .trim()
            .to_owned()
    }
}

/// Runs a client to its end.
pub(super) fn run(command: &mut Command, patience: Duration) -> Result<Ran> {
    let started = Instant::now();
    let output = output(command, patience)?;
    Ok(Ran::new(&output, started.elapsed()))
}

/// Runs all of them at the same time; each has a label.
pub(super) fn at_once<T: Send>(commands: Vec<(T, Command)>) -> Vec<(T, Result<Ran>)> {
    thread::scope(|scope| {
        let start = |(label, mut command): (T, Command)| {
            (label, scope.spawn(move || run(&mut command, PATIENCE)))
        };
        let running: Vec<_> = commands.into_iter().map(start).collect();
        let ended = running.into_iter().map(|(label, thread)| {
            let ran = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            (label, ran)
        });
        ended.collect()
    })
}

/// How long those took that succeeded.
pub(super) fn slowest<T>(all: &[(T, Result<Ran>)]) -> Duration {
    let good = all.iter().flat_map(|(_, ran)| ran);
    let good = good.filter(|ran| ran.succeeded());
    good.map(|ran| ran.took).max().unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// As of a program that ended by itself.
    pub(in crate::clients) fn ended(code: i32, stdout: &str, stderr: &str) -> Ran {
        Ran {
            status: ExitStatus::from_raw(code << 8),
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
            took: Duration::ZERO,
        }
    }

    #[test]
    fn an_end_by_a_signal_is_told_from_a_failure() {
        for (code, crashed) in [
            (0, false),
            (1, false),
            (101, false),
            (134, true),
            (139, true),
        ] {
            assert_eq!(ended(code, "", "").crashed(), crashed, "{code}");
        }
        let killed = Ran {
            status: ExitStatus::from_raw(6),
            ..Ran::default()
        };
        assert!(killed.crashed() && !killed.succeeded());
    }

    #[test]
    fn only_who_succeeds_is_somebody() {
        assert_eq!(ended(0, "K arn", "").caller(), Some(("K", "arn")));
        assert_eq!(ended(1, "K arn", "").caller(), None);
        assert_eq!(ended(0, "arn", "").caller(), None);
    }

    #[test]
    fn of_two_in_a_row_the_first_failure_counts() {
        let both = ended(0, "one", "a").then(&ended(0, "two", ""));
        assert_eq!((&*both.stdout, &*both.stderr), ("one\ntwo", "a"));
        for (first, second, expected) in [(0, 0, 0), (1, 0, 1), (0, 2, 2), (1, 2, 1)] {
            let both = ended(first, "", "").then(&ended(second, "", ""));
            assert_eq!(both.status.code(), Some(expected));
        }
    }

    #[test]
    fn who_fails_is_no_measure_of_time() {
        let ran = |code, seconds| -> ((), Result<Ran>) {
            let took = Duration::from_secs(seconds);
            let ran = Ran {
                took,
                ..ended(code, "", "")
            };
            ((), Ok(ran))
        };
        let all = [
            ran(0, 1),
            ran(0, 2),
            ran(1, 3),
            ((), Err(anyhow::anyhow!("late"))),
        ];
        assert_eq!(slowest(&all), Duration::from_secs(2));
        assert_eq!(slowest(&all[2..]), Duration::ZERO);
    }

    #[test]
    fn programs_run_at_the_same_time_and_keep_their_labels() {
        let sleep = |label: u8| {
            let mut sh = Command::new("sh");
            sh.args(["-c", "sleep 0.2; exit $0", &label.to_string()]);
            (label, sh)
        };
        let started = Instant::now();
        let ran = at_once((0..5).map(sleep).collect());
        assert!(started.elapsed() < Duration::from_millis(900));
        for (label, ran) in ran {
            assert_eq!(ran.unwrap().status.code(), Some(label.into()));
        }
    }
}
