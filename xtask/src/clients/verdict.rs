//! Whether what a client said is what it had to say.

use std::{process::Output, time::Duration};

use bpf2iam_support::stage::NODE_KEY;

/// By how much a client without credentials may be later than the same client that found some, and had more to ask.
/// One that was left without an answer would be: every SDK waits a second, and then asks in another way.
const MARGIN: Duration = Duration::from_millis(1500);

/// Who a client has to be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected<'a> {
    /// The node, by its access key. `arn` is what STS calls it.
    Node { arn: &'a str },
    /// A role, by what the ARNs of its sessions begin with, and never the node.
    Role { sessions: &'a str },
    /// Nobody, and never the node. `slowest` is how long the others took.
    Nobody { slowest: Duration },
}

/// What a client did.
#[derive(Clone, Debug, Default)]
pub(super) struct Ran {
    succeeded: bool,
    stdout: String,
    stderr: String,
    took: Duration,
}

impl Ran {
    pub(super) fn new(output: &Output, took: Duration) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
        Self {
            succeeded: output.status.success(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            took,
        }
    }

    /// The access key and the ARN that it printed.
    fn caller(&self) -> Option<(&str, &str)> {
        let caller = self.stdout.split_once(' ');
        caller.filter(|_| self.succeeded)
    }

    /// How long it took to find credentials.
    pub(super) fn time_to_success(&self) -> Option<Duration> {
        self.succeeded.then_some(self.took)
    }

    fn is_node(&self) -> bool {
        self.stdout.contains(NODE_KEY) || self.stderr.contains(NODE_KEY)
    }

    fn all_it_said(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
            .trim()
            .to_owned()
    }
}

/// What was seen, if it is as `expected`; else what is wrong. `lament` is what this client says where there are no
/// credentials.
pub(super) fn judge(expected: &Expected<'_>, lament: &str, ran: &Ran) -> Result<String, String> {
    match *expected {
        Expected::Node { arn } => match ran.caller() {
            Some((key, seen)) if key.starts_with(NODE_KEY) && seen == arn => {
                Ok(format!("{key} {seen}"))
            }
            _ => Err(format!("is not the node: {}", ran.all_it_said())),
        },
        _ if ran.is_node() => Err(format!("THE NODE'S KEY: {}", ran.all_it_said())),
        Expected::Role { sessions } => match ran.caller() {
            Some((key, seen)) if seen.starts_with(sessions) => Ok(format!("{key} {seen}")),
            _ => Err(format!("is not {sessions}: {}", ran.all_it_said())),
        },
        Expected::Nobody { slowest } => refused(lament, slowest + MARGIN, ran),
    }
}

fn refused(lament: &str, limit: Duration, ran: &Ran) -> Result<String, String> {
    let line = ran.stderr.lines().find(|line| line.contains(lament));
    let took = ran.took.as_secs_f64();
    match line {
        _ if ran.succeeded => Err(format!("is somebody: {}", ran.all_it_said())),
        None => Err(format!("fails otherwise: {}", ran.all_it_said())),
        Some(_) if ran.took > limit => Err(format!("took {took:.1} s to give up")),
        Some(line) => Ok(format!("nobody after {took:.1} s: {}", line.trim())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:sts::123456789012:assumed-role/a/shop.web";
    const NODE: Expected<'_> = Expected::Node { arn: "node" };
    const NOBODY: Expected<'_> = Expected::Nobody {
        slowest: Duration::from_secs(1),
    };
    const ROLE: Expected<'_> = Expected::Role {
        sessions: "arn:aws:sts::123456789012:assumed-role/a/",
    };

    fn prints(stdout: &str) -> Ran {
        Ran {
            succeeded: true,
            stdout: stdout.to_owned(),
            ..Ran::default()
        }
    }

    fn fails(stderr: &str, seconds: u64) -> Ran {
        Ran {
            stderr: stderr.to_owned(),
            took: Duration::from_secs(seconds),
            ..Ran::default()
        }
    }

    fn verdict(expected: &Expected<'_>, ran: &Ran) -> Result<String, String> {
        judge(expected, "no credentials", ran)
    }

    #[test]
    fn what_was_expected_is_shown() {
        let role = format!("ASIA1 {ARN}");
        assert_eq!(verdict(&ROLE, &prints(&role)), Ok(role));
        let node = "AKIDNODE1 node".to_owned();
        assert_eq!(verdict(&NODE, &prints(&node)), Ok(node));
        assert_eq!(
            verdict(&NOBODY, &fails("Traceback\nError: no credentials", 1)),
            Ok("nobody after 1.0 s: Error: no credentials".to_owned())
        );
    }

    #[test]
    fn whoever_is_not_as_expected_is_named() {
        let failed_late = Ran {
            succeeded: false,
            ..prints(&format!("ASIA1 {ARN}"))
        };
        for (expected, ran, complaint) in [
            (NODE, prints("ASIA1 node"), "is not the node"),
            (NODE, prints("AKIDNODE1 another"), "is not the node"),
            (NODE, fails("no credentials", 0), "is not the node"),
            (
                ROLE,
                prints(&format!("ASIA1 {}", ARN.replace("/a/", "/ab/"))),
                "is not arn:",
            ),
            (ROLE, prints(ARN), "is not arn:"),
            (ROLE, fails("no credentials", 0), "is not arn:"),
            (ROLE, failed_late, "is not arn:"),
            (ROLE, prints(&format!("AKIDNODE1 {ARN}")), "THE NODE'S KEY"),
            (NOBODY, prints("ASIA1 arn"), "is somebody"),
            (NOBODY, prints(""), "is somebody"),
            (NOBODY, fails("timed out", 1), "fails otherwise"),
            (NOBODY, fails("no credentials", 3), "took 3.0 s"),
            (
                NOBODY,
                fails("no credentials, but AKIDNODE1", 0),
                "THE NODE'S KEY",
            ),
        ] {
            let error = verdict(&expected, &ran).expect_err(complaint);
            assert!(
                error.starts_with(complaint),
                "{expected:?} {ran:?}: {error}"
            );
        }
    }
}
