//! Whether what a client said is what it had to say.

use std::{process::Output, time::Duration};

use bpf2iam_support::stage::NODE_KEY;

/// How long a client may take to find out that there are no credentials. All of them give up at the first 404; what
/// takes time is Python. One that had to wait for an answer would go on to ask in other ways.
const TIME_TO_REFUSE: Duration = Duration::from_secs(5);

/// Who a client has to be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected<'a> {
    /// The node, by the beginning of its access keys.
    Node { key: &'a str, arn: &'a str },
    /// The session of a role, and never the node.
    Role { arn: &'a str },
    /// Nobody, and never the node.
    Nobody,
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
        Expected::Node { key, arn } => match ran.caller() {
            Some((seen, seen_arn)) if seen.starts_with(key) && seen_arn == arn => {
                Ok(format!("{seen} {seen_arn}"))
            }
            _ => Err(format!("is not the node: {}", ran.all_it_said())),
        },
        _ if ran.is_node() => Err(format!("THE NODE'S KEY: {}", ran.all_it_said())),
        Expected::Role { arn } => match ran.caller() {
            Some((key, seen)) if seen == arn => Ok(format!("{key} {seen}")),
            _ => Err(format!("is not {arn}: {}", ran.all_it_said())),
        },
        Expected::Nobody => refused(lament, ran),
    }
}

fn refused(lament: &str, ran: &Ran) -> Result<String, String> {
    let line = ran.stderr.lines().find(|line| line.contains(lament));
    let took = ran.took.as_secs_f64();
    match line {
        _ if ran.succeeded => Err(format!("is somebody: {}", ran.all_it_said())),
        None => Err(format!("fails otherwise: {}", ran.all_it_said())),
        Some(_) if ran.took > TIME_TO_REFUSE => Err(format!("took {took:.1} s to give up")),
        Some(line) => Ok(format!("nobody after {took:.1} s: {}", line.trim())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:sts::123456789012:assumed-role/a/shop.web";
    const NODE: Expected<'_> = Expected::Node {
        key: NODE_KEY,
        arn: "node",
    };
    const ROLE: Expected<'_> = Expected::Role { arn: ARN };

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
            verdict(
                &Expected::Nobody,
                &fails("Traceback\nError: no credentials", 1)
            ),
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
            (ROLE, prints(&format!("ASIA1 {ARN}2")), "is not arn:"),
            (ROLE, prints(ARN), "is not arn:"),
            (ROLE, fails("no credentials", 0), "is not arn:"),
            (ROLE, failed_late, "is not arn:"),
            (ROLE, prints(&format!("AKIDNODE1 {ARN}")), "THE NODE'S KEY"),
            (Expected::Nobody, prints("ASIA1 arn"), "is somebody"),
            (Expected::Nobody, prints(""), "is somebody"),
            (Expected::Nobody, fails("timed out", 1), "fails otherwise"),
            (Expected::Nobody, fails("no credentials", 6), "took 6.0 s"),
            (
                Expected::Nobody,
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
