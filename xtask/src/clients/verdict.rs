//! Whether what a client said is what it had to say.

use std::time::Duration;

use bpf2iam_support::stage::NODE_KEY;

use super::ran::Ran;

/// How much is shown of what it says.
const SHOWN: usize = 120;

/// What a client has to be, or to find.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected<'a> {
    /// The node, by its access key. `arn` is what STS calls it.
    Node { arn: &'a str },
    /// A role, by what the ARNs of its sessions begin with, and never the node.
    Role { sessions: &'a str },
    /// Nobody, and never the node. It says so in its own words, within its own time.
    Nobody { lament: &'a str, limit: Duration },
    /// This Region.
    Region { name: &'a str },
}

/// What was seen, if it is as `expected`; else what is wrong.
pub(super) fn judge(expected: &Expected<'_>, ran: &Ran) -> Result<String, String> {
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
        Expected::Nobody { lament, limit } => refused(lament, limit, ran),
        Expected::Region { name } if ran.succeeded() && ran.stdout == name => Ok(name.to_owned()),
        Expected::Region { name } => Err(format!("is not in {name}: {}", ran.all_it_said())),
    }
}

fn refused(lament: &str, limit: Duration, ran: &Ran) -> Result<String, String> {
    let line = ran.stderr.lines().find(|line| line.contains(lament));
    let (took, limit_in_s) = (ran.took.as_secs_f64(), limit.as_secs_f64());
    match line {
        _ if ran.succeeded() => Err(format!("is somebody: {}", ran.all_it_said())),
        _ if ran.crashed() => Err(format!("crashes: {}", ran.all_it_said())),
        None => Err(format!("fails otherwise: {}", ran.all_it_said())),
        Some(_) if ran.took > limit => Err(format!(
            "took {took:.1} s to give up, not {limit_in_s:.1} s"
        )),
        Some(line) => {
            let said: String = line.trim().chars().take(SHOWN).collect();
            Ok(format!("nobody after {took:.1} s: {said}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::ran::tests::ended;

    const ARN: &str = "arn:aws:sts::123456789012:assumed-role/a/shop.web";
    const NODE: Expected<'_> = Expected::Node { arn: "node" };
    const NOBODY: Expected<'_> = Expected::Nobody {
        lament: "no credentials",
        limit: Duration::from_secs(2),
    };
    const ROLE: Expected<'_> = Expected::Role {
        sessions: "arn:aws:sts::123456789012:assumed-role/a/",
    };
    const REGION: Expected<'_> = Expected::Region { name: "eu-west-1" };

    fn prints(stdout: &str) -> Ran {
        ended(0, stdout, "")
    }

    fn fails(stderr: &str, seconds: u64) -> Ran {
        let mut ran = ended(1, "", stderr);
        ran.took = Duration::from_secs(seconds);
        ran
    }

    #[test]
    fn what_was_expected_is_shown() {
        let role = format!("ASIA1 {ARN}");
        assert_eq!(judge(&ROLE, &prints(&role)), Ok(role));
        let node = "AKIDNODE1 node".to_owned();
        assert_eq!(judge(&NODE, &prints(&node)), Ok(node));
        let region = judge(&REGION, &prints("eu-west-1"));
        assert_eq!(region, Ok("eu-west-1".to_owned()));
        assert_eq!(
            judge(&NOBODY, &fails("Traceback\nError: no credentials", 1)),
            Ok("nobody after 1.0 s: Error: no credentials".to_owned())
        );
    }

    #[test]
    fn whoever_is_not_as_expected_is_named() {
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
            (ROLE, ended(1, &format!("ASIA1 {ARN}"), ""), "is not arn:"),
            (ROLE, prints(&format!("AKIDNODE1 {ARN}")), "THE NODE'S KEY"),
            (NOBODY, prints("ASIA1 arn"), "is somebody"),
            (NOBODY, prints(""), "is somebody"),
            (NOBODY, fails("timed out", 1), "fails otherwise"),
            (NOBODY, fails("no credentials", 3), "took 3.0 s"),
            (NOBODY, ended(134, "", "no credentials"), "crashes"),
            (
                NOBODY,
                fails("no credentials, but AKIDNODE1", 0),
                "THE NODE'S KEY",
            ),
            (REGION, prints("eu-west-1a"), "is not in eu-west-1"),
            (REGION, ended(1, "eu-west-1", ""), "is not in eu-west-1"),
            (REGION, prints("AKIDNODE1"), "THE NODE'S KEY"),
        ] {
            let error = judge(&expected, &ran).expect_err(complaint);
            assert!(
                error.starts_with(complaint),
                "{expected:?} {ran:?}: {error}"
            );
        }
    }
}
