//! Whether our programs are attached to the pods' cgroup, all of them, by links that are pinned; and what other versions
//! have left.

use std::path::{Path, PathBuf};

use bpf2iam_ebpf::abi;

use crate::{
    chain::chain,
    redirect::{
        Pins,
        look::{self, Held, Pinned},
        pins,
    },
};

use super::{Check, Finding, RESTART};

/// What is pinned.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    root: PathBuf,
    /// The pods' cgroup.
    cgroup: Option<u64>,
    /// Whether an agent answers.
    answers: bool,
    /// The versions that have pinned something.
    versions: Result<Vec<u32>, String>,
    links: Vec<Pinned>,
    map_faults: Vec<String>,
}

impl Facts {
    /// Whether all programs are where they should be.
    pub(super) fn is_attached(&self) -> bool {
        let right = |pinned: &Pinned| fault(pinned, self.cgroup).is_none();
        self.cgroup.is_some() && self.links.iter().all(right)
    }
}

pub(super) fn gather(root: &Path, cgroup: Option<u64>, answers: bool) -> Facts {
    let pins = Pins::at(root);
    Facts {
        root: root.to_owned(),
        cgroup,
        answers,
        versions: pins::versions(root).map_err(|error| chain(&error)),
        links: look::links(&pins),
        map_faults: look::map_faults(&pins),
    }
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let versions = match &facts.versions {
        Ok(versions) => versions,
        Err(error) => {
            let fix = "sudo bpf2iam doctor";
            return vec![Finding::warning(Check::Programs, error, fix)];
        }
    };
    let mut findings = if versions.contains(&abi::VERSION) {
        of_our_version(facts)
    } else {
        vec![nothing(facts, versions)]
    };
    let others = versions.iter().filter(|version| **version != abi::VERSION);
    findings.extend(others.map(|version| other(&facts.root, *version)));
    findings
}

fn nothing(facts: &Facts, versions: &[u32]) -> Finding {
    let root = facts.root.display();
    if facts.answers {
        let what = format!("an agent answers, but nothing of this version is pinned at {root}");
        let fix = "bpf2iam doctor --pin-dir DIR, as the agent has it; or wait until it is ready";
        return Finding::problem(Check::Programs, what, fix);
    }
    if versions.is_empty() {
        let what = format!(
            "nothing is pinned at {root}, and no agent answers: pods reach the real metadata service, and get the node's role"
        );
        return Finding::problem(Check::Programs, what, RESTART);
    }
    let what = format!("nothing of this version is pinned at {root}");
    Finding::problem(Check::Programs, what, RESTART)
}

fn of_our_version(facts: &Facts) -> Vec<Finding> {
    if let Some(error) = facts.links.iter().find_map(unreadable) {
        let what = format!(
            "what is pinned at {} cannot be looked at: {error}",
            facts.root.display()
        );
        return vec![Finding::warning(
            Check::Programs,
            what,
            "sudo bpf2iam doctor",
        )];
    }
    let problem = |what| Finding::problem(Check::Programs, what, RESTART);
    let faults = facts.links.iter();
    let faults = faults.filter_map(|pinned| fault(pinned, facts.cgroup));
    let mut findings: Vec<_> = faults.map(problem).collect();
    let maps = facts.map_faults.iter();
    findings.extend(maps.map(|fault| problem(format!("a map cannot be used: {fault}"))));
    if !findings.is_empty() {
        return findings;
    }
    let (count, root) = (facts.links.len(), facts.root.display());
    let Some(cgroup) = facts.cgroup else {
        let what = format!(
            "all {count} programs are pinned at {root}; where they are attached cannot be told without the pods' cgroup"
        );
        return vec![Finding::warning(
            Check::Programs,
            what,
            "see above: cgroup, kubepods",
        )];
    };
    let what = format!(
        "all {count} programs are attached to the pods' cgroup (id {cgroup}), pinned at {root}"
    );
    let nameless = |one: &Pinned| matches!(one.held, Held::Link { runs: None, .. });
    let what = if facts.links.iter().any(nameless) {
        format!("{what}; their names cannot be told without CAP_SYS_ADMIN")
    } else {
        what
    };
    vec![Finding::ok(Check::Programs, what)]
}

/// Why nothing can be said of a link, and then of no other.
fn unreadable(pinned: &Pinned) -> Option<&str> {
    match &pinned.held {
        Held::Unreadable(error) => Some(error),
        Held::Missing | Held::Foreign | Held::Link { .. } => None,
    }
}

/// What is wrong with a link, if anything is.
fn fault(pinned: &Pinned, cgroup: Option<u64>) -> Option<String> {
    let (name, pin) = (pinned.name, pinned.pin.display());
    match &pinned.held {
        Held::Missing => Some(format!("{name} is not attached: there is no link at {pin}")),
        Held::Unreadable(error) => Some(format!("the link at {pin} cannot be looked at: {error}")),
        Held::Foreign => Some(format!("what is pinned at {pin} is no link of {name}")),
        Held::Link {
            runs: Some(runs),
            program,
            ..
        } if runs != name => Some(format!(
            "the link at {pin} runs another program than {name}: {runs} (id {program})"
        )),
        Held::Link { id, cgroup: 0, .. } => Some(format!(
            "{name} is not attached: its link (id {id}) was detached, or its cgroup is gone"
        )),
        Held::Link { cgroup: at, .. } => {
            let elsewhere = cgroup.is_some_and(|cgroup| cgroup != *at);
            elsewhere.then(|| {
                format!(
                    "{name} is attached to another cgroup than the pods' one: that with the id {at}"
                )
            })
        }
    }
}

fn other(root: &Path, version: u32) -> Finding {
    let dir = root.join(version.to_string());
    let what = format!(
        "there is something of another version of the agent at {}: it serves, or nobody has cleaned up after it",
        dir.display()
    );
    Finding::warning(
        Check::Programs,
        what,
        "nothing, while an upgrade is under way; else, without an agent: bpf2iam uninstall",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    const NAMES: [&str; 2] = ["imds_connect4", "imds_egress"];

    fn link(runs: &str, cgroup: u64) -> Held {
        Held::Link {
            id: 4,
            program: 5,
            runs: Some(runs.to_owned()).filter(|runs| !runs.is_empty()),
            cgroup,
        }
    }

    fn facts(versions: &[u32], first: Held) -> Facts {
        let pinned = |name: &'static str, held| Pinned {
            name,
            pin: Path::new("/p").join(name),
            held,
        };
        Facts {
            root: "/pins".into(),
            cgroup: Some(7),
            answers: false,
            versions: Ok(versions.to_vec()),
            links: vec![pinned(NAMES[0], first), pinned(NAMES[1], link(NAMES[1], 7))],
            map_faults: Vec::new(),
        }
    }

    fn ours(first: Held) -> Facts {
        facts(&[abi::VERSION], first)
    }

    fn right() -> Held {
        link(NAMES[0], 7)
    }

    #[test]
    fn every_link_must_run_its_program_at_the_pods_cgroup() {
        for (held, verdict, says) in [
            (
                right(),
                Verdict::Ok,
                "all 2 programs are attached to the pods' cgroup (id 7), pinned at /pins",
            ),
            (
                link("", 7),
                Verdict::Ok,
                "their names cannot be told without CAP_SYS_ADMIN",
            ),
            (
                Held::Missing,
                Verdict::Problem,
                "imds_connect4 is not attached: there is no link at /p/imds_connect4",
            ),
            (
                Held::Foreign,
                Verdict::Problem,
                "is no link of imds_connect4",
            ),
            (
                Held::Unreadable("EIO".to_owned()),
                Verdict::Warning,
                "cannot be looked at: EIO",
            ),
            (
                link("stranger", 7),
                Verdict::Problem,
                "runs another program than imds_connect4: stranger (id 5)",
            ),
            (
                link(NAMES[0], 0),
                Verdict::Problem,
                "its link (id 4) was detached",
            ),
            (
                link(NAMES[0], 9),
                Verdict::Problem,
                "another cgroup than the pods' one: that with the id 9",
            ),
        ] {
            let facts = ours(held);
            assert_eq!(facts.is_attached(), verdict == Verdict::Ok);
            let found = judge(&facts);
            assert_eq!((found.len(), found[0].verdict), (1, verdict), "{found:?}");
            assert!(found[0].what.contains(says), "{found:?}");
        }
    }

    #[test]
    fn what_is_not_there_and_what_others_left_is_told() {
        let none = |answers| Facts {
            answers,
            ..facts(&[], Held::Missing)
        };
        let broken_map = Facts {
            map_faults: vec!["/m is not there".to_owned()],
            ..ours(right())
        };
        let no_pods = Facts {
            cgroup: None,
            ..ours(right())
        };
        let unreadable = Facts {
            versions: Err("cannot read /pins".to_owned()),
            ..ours(right())
        };
        for (facts, expected) in [
            (
                none(false),
                &[(Verdict::Problem, "pods reach the real metadata service")][..],
            ),
            (
                none(true),
                &[(Verdict::Problem, "an agent answers, but nothing")],
            ),
            (
                broken_map,
                &[(Verdict::Problem, "a map cannot be used: /m is not there")],
            ),
            (
                no_pods,
                &[(Verdict::Warning, "cannot be told without the pods' cgroup")],
            ),
            (unreadable, &[(Verdict::Warning, "cannot read /pins")]),
            (
                facts(&[abi::VERSION, 77], right()),
                &[(Verdict::Ok, "all 2"), (Verdict::Warning, "/pins/77")],
            ),
            (
                facts(&[77], Held::Missing),
                &[
                    (Verdict::Problem, "nothing of this version"),
                    (Verdict::Warning, "/pins/77"),
                ],
            ),
        ] {
            let found = judge(&facts);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (found, (verdict, says)) in found.iter().zip(expected) {
                assert_eq!(found.verdict, *verdict, "{found:?}");
                assert!(found.what.contains(says), "{found:?}");
                assert_eq!(found.fix.is_none(), *verdict == Verdict::Ok);
            }
        }
    }
}
