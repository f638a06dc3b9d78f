//! What a check has found.

use std::fmt;

use serde::Serialize;

/// What is checked, in the order of dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Whether the kernel is new enough, and takes our kinds of programs and maps.
    Kernel,
    /// Whether it describes its own types.
    Btf,
    /// Whether this process may do what the agent must.
    Capabilities,
    /// Whether pins last where they are made.
    Bpffs,
    /// Whether cgroups of version 2 are there.
    Cgroup,
    /// Whether the pods' cgroup is.
    Kubepods,
    /// Whether an agent answers, and is ready.
    Agent,
    /// Whether its programs are attached.
    Programs,
    /// Whether programs of others are in the way.
    Conflicts,
    /// Whether the programs trust the agent.
    Lease,
    /// Whether the node's metadata service answers.
    Metadata,
    /// Whether STS answers.
    Sts,
    /// Whether the clock is right.
    Clock,
    /// Whether pods reach the agent.
    Listener,
    /// What kube2iam or kiam left.
    Leftovers,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, or could not be looked at; somebody should look.
    Warning,
    /// Pods do not get their roles, or get more than these.
    Problem,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked.
    pub check: Check,
    /// How bad it is.
    pub verdict: Verdict,
    /// What was found.
    pub what: String,
    /// The command that mends it, or what to do; nothing where all is well.
    pub fix: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: Check, what: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, what.into(), None)
    }

    pub(super) fn warning(check: Check, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(check, Verdict::Warning, what.into(), Some(fix.into()))
    }

    pub(super) fn problem(check: Check, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(check, Verdict::Problem, what.into(), Some(fix.into()))
    }

    const fn new(check: Check, verdict: Verdict, what: String, fix: Option<String>) -> Self {
        Self {
            check,
            verdict,
            what,
            fix,
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_printed_as_programs_read_them() {
        assert_eq!(Check::Btf.to_string(), "btf");
        assert_eq!(Verdict::Problem.to_string(), "problem");
        let finding = Finding::ok(Check::Kubepods, "there");
        let json = serde_json::to_value(finding).unwrap();
        let expected =
            serde_json::json!({"check": "kubepods", "verdict": "ok", "what": "there", "fix": null});
        assert_eq!(json, expected);
    }
}
