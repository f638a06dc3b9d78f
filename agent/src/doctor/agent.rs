//! Whether an agent answers on the control socket, and is ready.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use crate::{
    chain::chain,
    clock::Clock,
    control::{Client, ClientError},
    status::Status,
};

use super::{
    Check, Finding, bounded, lease,
    remedy::{INSIDE, LOGS, RESTART, SUDO},
};

/// An agent that is not ready after so long does not only start.
const START: SignedDuration = SignedDuration::from_secs(60);

/// Who answers.
#[derive(Debug)]
pub(super) struct Facts {
    dir: PathBuf,
    now: Timestamp,
    status: Result<Status, ClientError>,
    /// Whether somebody renews the lease: then there is an agent, whoever answers here.
    lives: bool,
}

impl Facts {
    /// What the agent says, if one answers.
    pub(super) fn into_status(self) -> Option<Status> {
        self.status.ok()
    }
}

pub(super) fn gather(dir: &Path, pin_dir: &Path) -> Facts {
    let status = bounded::wait(Client::new(dir).status());
    let nobody = matches!(status, Err(ClientError::NotRunning { .. }));
    Facts {
        dir: dir.to_owned(),
        lives: nobody && lease::is_renewed(pin_dir),
        status,
        now: Clock::system().now(),
    }
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let status = match &facts.status {
        Ok(status) => status,
        Err(error @ ClientError::Forbidden { .. }) => {
            return vec![Finding::problem(Check::Agent, chain(error), SUDO)];
        }
        Err(error) if facts.lives => {
            let what = format!("{}; there is one, as the lease is renewed", chain(error));
            return vec![Finding::warning(Check::Agent, what, INSIDE)];
        }
        Err(error) => return vec![Finding::problem(Check::Agent, chain(error), RESTART)],
    };
    let who = format!(
        "bpf2iam {} of the node {} answers in {}",
        status.version,
        status.node,
        facts.dir.display()
    );
    if status.pending.is_empty() {
        return vec![Finding::ok(Check::Agent, format!("{who} and is ready"))];
    }
    let what = format!("{who}, and waits for {}", status.pending.join(", "));
    let finding = if facts.now.duration_since(status.since) < START {
        Finding::warning
    } else {
        Finding::problem
    };
    vec![finding(Check::Agent, what, LOGS)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{doctor::Verdict, status::tests::example};

    fn status(pending: &[&str]) -> Status {
        Status {
            version: "1.2.3".to_owned(),
            node: "node-1".to_owned(),
            since: Timestamp::UNIX_EPOCH,
            pending: pending.iter().map(ToString::to_string).collect(),
            ..example()
        }
    }

    #[test]
    fn an_agent_must_answer_and_be_ready_in_time() {
        let nobody = || ClientError::NotRunning { path: "/s".into() };
        let forbidden = || ClientError::Forbidden { path: "/s".into() };
        for (status, seconds, verdict, says, fix) in [
            (
                Ok(status(&[])),
                999,
                Verdict::Ok,
                "bpf2iam 1.2.3 of the node node-1 answers in /run/x and is ready",
                None,
            ),
            (
                Ok(status(&["pods", "keys"])),
                59,
                Verdict::Warning,
                "waits for pods, keys",
                Some(LOGS),
            ),
            (
                Ok(status(&["pods"])),
                60,
                Verdict::Problem,
                "waits for pods",
                Some(LOGS),
            ),
            (
                Err(nobody()),
                0,
                Verdict::Problem,
                "no agent answers at /s",
                Some(RESTART),
            ),
            (
                Err(forbidden()),
                0,
                Verdict::Problem,
                "may not open /s",
                Some(SUDO),
            ),
        ] {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
            let dir = "/run/x".into();
            let lives = false;
            let found = judge(&Facts {
                dir,
                now,
                status,
                lives,
            });
            assert_eq!((found.len(), found[0].verdict), (1, verdict), "{found:?}");
            assert!(found[0].what.contains(says), "{found:?}");
            assert_eq!(found[0].fix.as_deref(), fix);
        }
    }

    #[test]
    fn an_agent_that_answers_elsewhere_is_no_problem() {
        let found = judge(&Facts {
            dir: "/run/x".into(),
            now: Timestamp::UNIX_EPOCH,
            status: Err(ClientError::NotRunning { path: "/s".into() }),
            lives: true,
        });
        assert_eq!((found.len(), found[0].verdict), (1, Verdict::Warning));
        assert!(found[0].what.contains("the lease is renewed"), "{found:?}");
        let fix = found[0].fix.as_deref().unwrap();
        assert!(fix.starts_with("bpf2iam doctor --runtime-dir "), "{fix}");
    }
}
