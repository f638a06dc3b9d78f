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

use super::{
    Check, Finding,
    remedy::{FOREIGN, INSIDE, RESTART, more_rights},
};

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
            return vec![Finding::warning(Check::Programs, error, more_rights())];
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
    if !versions.is_empty() {
        // Which is one that this command knows nothing of: it may well be as it should.
        let what = format!(
            "nothing of this command's version ({}) is pinned at {root}",
            abi::VERSION
        );
        return Finding::warning(Check::Programs, what, INSIDE);
    }
    if facts.answers {
        let what = format!("an agent answers, but nothing is pinned at {root}");
        let fix = "bpf2iam doctor --pin-dir DIR, as the agent has it; or wait until it is ready";
        return Finding::problem(Check::Programs, what, fix);
    }
    let what = format!(
        "nothing is pinned at {root}, and no agent answers: pods reach the real metadata service, and get the node's role"
    );
    Finding::problem(Check::Programs, what, RESTART)
}

fn of_our_version(facts: &Facts) -> Vec<Finding> {
    if let Some(error) = facts.links.iter().find_map(unreadable) {
        let what = format!(
            "what is pinned at {} cannot be looked at: {error}",
            facts.root.display()
        );
        return vec![Finding::warning(Check::Programs, what, more_rights())];
    }
    let findings = faults(facts);
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

/// What is wrong with links and maps. An agent that starts mends all of it, but does not touch what is not ours.
fn faults(facts: &Facts) -> Vec<Finding> {
    let links = facts.links.iter().filter_map(|pinned| {
        let fix = match pinned.held {
            Held::Foreign => FOREIGN,
            Held::Missing | Held::Unreadable(_) | Held::Link { .. } => RESTART,
        };
        Some((fault(pinned, facts.cgroup)?, fix))
    });
    let maps = facts.map_faults.iter().map(|fault| {
        let fix = if fault.ends_with("is not there") {
            RESTART
        } else {
            FOREIGN
        };
        (format!("a map cannot be used: {fault}"), fix)
    });
    let problem = |(what, fix)| Finding::problem(Check::Programs, what, fix);
    links.chain(maps).map(problem).collect()
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
    // An agent that starts takes the place of what it finds.
    let fix = format!("nothing, while an upgrade is under way; else {RESTART}");
    Finding::warning(Check::Programs, what, fix)
}

#[cfg(test)]
mod tests;
