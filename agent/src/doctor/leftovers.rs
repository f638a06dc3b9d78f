//! What kube2iam or kiam left on this node: rules that turn connections to the metadata address elsewhere.
//!
//! Both add them to the `nat` table, with whatever `iptables` they find, and leave them there when they end. Rules of both
//! back ends count, and none is seen by the tools of the other.

mod iptables;
mod nft;
mod rule;
mod tool;

use std::time::Duration;

use super::{Check, Finding};

use rule::Rule;
use tool::{Backend, Tools};

/// How long all tools together may take: less than a check, whose lines would be lost otherwise.
const TOOLS: Duration = Duration::from_secs(10);

/// Whether a back end of the firewall could be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    backend: Backend,
    /// What was run.
    tools: Vec<&'static str>,
    rules: Result<Vec<Rule>, String>,
}

/// What is in the firewall.
#[derive(Clone, Debug)]
pub(super) struct Facts(Vec<Look>);

pub(super) fn gather() -> Facts {
    let tools = Tools::within(TOOLS);
    Facts(vec![legacy(tools), nftables(tools)])
}

/// The tables of the old back end. Where the kernel has none, none is made by looking.
fn legacy(tools: Tools) -> Look {
    let names = [
        ("iptables-legacy-save", "iptables-save"),
        ("ip6tables-legacy-save", "ip6tables-save"),
    ];
    iptables::look(tools, Backend::Legacy, names)
}

/// The tables of the new one: all of them by `nft`, else those of iptables.
fn nftables(tools: Tools) -> Look {
    let by_nft = Look {
        backend: Backend::Nft,
        tools: vec![nft::TOOL],
        rules: nft::rules(tools).map_err(|error| error.to_string()),
    };
    if by_nft.rules.is_ok() {
        return by_nft;
    }
    let names = [
        ("iptables-nft-save", "iptables-save"),
        ("ip6tables-nft-save", "ip6tables-save"),
    ];
    let by_iptables = iptables::look(tools, Backend::Nft, names);
    if by_iptables.rules.is_ok() {
        by_iptables
    } else {
        by_nft
    }
}

pub(super) fn judge(Facts(looks): &Facts) -> Vec<Finding> {
    let rules = looks.iter().filter_map(|look| look.rules.as_ref().ok());
    let mut findings: Vec<_> = rules.flatten().map(left).collect();
    findings.extend(looks.iter().filter_map(unseen));
    if findings.is_empty() {
        let tools: Vec<_> = looks.iter().flat_map(|look| look.tools.clone()).collect();
        let tools = match &*tools.join(", ") {
            "" => String::new(),
            tools => format!(" (looked with {tools})"),
        };
        let what = format!("no rule turns connections to the metadata address elsewhere{tools}");
        findings.push(Finding::ok(Check::Leftovers, what));
    }
    findings
}

fn left(rule: &Rule) -> Finding {
    let what = format!(
        "a rule in {} turns connections to the metadata address elsewhere, as kube2iam and kiam do: {}",
        rule.place, rule.text
    );
    Finding::problem(Check::Leftovers, what, &*rule.delete)
}

fn unseen(look: &Look) -> Option<Finding> {
    let why = look.rules.as_ref().err()?;
    let (what, fix) = match look.backend {
        Backend::Legacy => (
            "iptables (legacy)",
            "iptables-legacy-save | grep -F 169.254.169.254",
        ),
        Backend::Nft => ("nftables", "nft -a list ruleset | grep -F 169.254.169.254"),
    };
    let what = format!("rules of {what} were not looked at: {why}");
    Some(Finding::warning(
        Check::Leftovers,
        what,
        format!("on the node, as root: {fix}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    fn look(backend: Backend, tools: &[&'static str], rules: Result<usize, &str>) -> Look {
        let rule = Rule {
            place: "the chain PREROUTING".to_owned(),
            text: "-d 169.254.169.254/32 -j DNAT".to_owned(),
            delete: "iptables -t nat -D PREROUTING 1".to_owned(),
        };
        Look {
            backend,
            tools: tools.to_vec(),
            rules: rules
                .map(|count| vec![rule; count])
                .map_err(ToOwned::to_owned),
        }
    }

    #[test]
    fn each_rule_that_was_left_is_a_problem_with_its_command() {
        use Backend::{Legacy, Nft};
        for (looks, verdicts, says) in [
            (
                [
                    look(Legacy, &["iptables-save"], Ok(0)),
                    look(Nft, &["nft"], Ok(0)),
                ],
                &[Verdict::Ok][..],
                "(looked with iptables-save, nft)",
            ),
            (
                [look(Legacy, &[], Ok(0)), look(Nft, &["nft"], Ok(2))],
                &[Verdict::Problem; 2],
                "a rule in the chain PREROUTING turns",
            ),
            (
                [
                    look(Legacy, &[], Err("no iptables here")),
                    look(Nft, &["nft"], Ok(1)),
                ],
                &[Verdict::Problem, Verdict::Warning],
                "-d 169.254.169.254/32 -j DNAT",
            ),
            (
                [look(Legacy, &[], Ok(0)), look(Nft, &[], Err("no nft here"))],
                &[Verdict::Warning],
                "rules of nftables were not looked at: no nft here",
            ),
        ] {
            let found = judge(&Facts(looks.to_vec()));
            let found_verdicts: Vec<_> = found.iter().map(|one| one.verdict).collect();
            assert_eq!(found_verdicts, verdicts, "{found:?}");
            assert!(found[0].what.contains(says), "{found:?}");
            if found[0].verdict == Verdict::Problem {
                let fix = found[0].fix.as_deref();
                assert_eq!(fix, Some("iptables -t nat -D PREROUTING 1"));
            }
        }
    }
}
