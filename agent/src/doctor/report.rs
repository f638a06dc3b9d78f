//! All findings, for people and for programs.

use crate::{
    table::{Cell, Tone, paint, table},
    terminal::Colour,
};

use super::{Finding, Verdict};

/// All findings, in the order of dependency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report(Vec<Finding>);

impl Report {
    pub(super) const fn new(findings: Vec<Finding>) -> Self {
        Self(findings)
    }

    /// All of them.
    pub fn findings(&self) -> &[Finding] {
        &self.0
    }

    /// The worst of them.
    pub fn verdict(&self) -> Verdict {
        let verdicts = self.0.iter().map(|finding| finding.verdict);
        verdicts.max().unwrap_or(Verdict::Ok)
    }

    /// For programs: a list. Fields are added, not renamed.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let mut json = serde_json::to_string_pretty(&self.0)?;
        json.push('\n');
        Ok(json)
    }

    /// For people: what is to be done stands below what was found.
    pub fn to_text(&self, colour: Colour) -> String {
        let rows = self.0.iter().flat_map(rows).collect();
        let table = table(["VERDICT", "CHECK", "WHAT"], rows, colour);
        let summary = paint(&self.summary(), tone(self.verdict()), colour);
        format!("{table}\n{summary}\n")
    }

    fn summary(&self) -> String {
        let count = |verdict| {
            let with = self.0.iter().filter(|finding| finding.verdict == verdict);
            (with.count(), verdict)
        };
        let bad = [count(Verdict::Problem), count(Verdict::Warning)];
        let bad = bad.into_iter().filter(|(count, _)| *count > 0);
        let words: Vec<_> = bad
            .map(|(count, verdict)| match count {
                1 => format!("1 {verdict}"),
                _ => format!("{count} {verdict}s"),
            })
            .collect();
        if words.is_empty() {
            return "all is well".to_owned();
        }
        words.join(", ")
    }
}

fn rows(finding: &Finding) -> impl Iterator<Item = [Cell; 3]> {
    let verdict = Cell::new(&finding.verdict.to_string(), tone(finding.verdict));
    let check = Cell::from(finding.check.to_string());
    let fix = finding.fix.as_ref().map(|fix| {
        let fix = Cell::from(format!("fix: {fix}"));
        [Cell::from(""), Cell::from(""), fix]
    });
    std::iter::once([verdict, check, Cell::from(&finding.what)]).chain(fix)
}

const fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Ok => Tone::Good,
        Verdict::Warning => Tone::Waiting,
        Verdict::Problem => Tone::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Check;

    fn report(findings: &[Finding]) -> Report {
        Report::new(findings.to_vec())
    }

    #[test]
    fn the_worst_finding_counts_and_all_are_counted() {
        let ok = Finding::ok(Check::Btf, "there");
        let warning = Finding::warning(Check::Clock, "late", "be on time");
        let problem = Finding::problem(Check::Agent, "gone", "start it");
        for (findings, verdict, summary) in [
            (&[][..], Verdict::Ok, "all is well"),
            (std::slice::from_ref(&ok), Verdict::Ok, "all is well"),
            (
                &[ok.clone(), warning.clone()],
                Verdict::Warning,
                "1 warning",
            ),
            (
                &[problem.clone(), warning, problem, ok.clone()],
                Verdict::Problem,
                "2 problems, 1 warning",
            ),
        ] {
            let report = report(findings);
            assert_eq!((report.verdict(), &*report.summary()), (verdict, summary));
        }
    }

    #[test]
    fn people_see_what_to_do_below_what_was_found() {
        let report = report(&[
            Finding::ok(Check::Btf, "there"),
            Finding::problem(Check::Agent, "gone\x1b[2J", "start it"),
        ]);
        assert_eq!(
            report.to_text(Colour::Off),
            "VERDICT  CHECK  WHAT\n\
             ok       btf    there\n\
             problem  agent  gone [2J\n\
             \x20               fix: start it\n\
             \n\
             1 problem\n"
        );
        let colours = report.to_text(Colour::On);
        assert!(colours.contains("\x1b[31mproblem\x1b[0m"), "{colours}");
    }

    #[test]
    fn programs_get_a_list() {
        let report = report(&[Finding::warning(Check::Sts, "slow", "wait")]);
        let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
        let one = serde_json::json!(
            {"check": "sts", "verdict": "warning", "what": "slow", "fix": "wait"}
        );
        assert_eq!(json, serde_json::json!([one]));
    }
}
