//! What there is to say about a scenario.

use std::fmt;

/// It, for people.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    title: String,
    lines: Vec<String>,
    goals: Vec<Goal>,
}

/// A number that should not be larger, or smaller, than another.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) wanted: Wanted,
}

/// What a number should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    AtMost(f64),
    AtLeast(f64),
}

impl Report {
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            lines: Vec::new(),
            goals: Vec::new(),
        }
    }

    pub(crate) fn line(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    pub(crate) fn goal(&mut self, goal: Goal) {
        self.goals.push(goal);
    }

    /// Whether nothing is missed.
    pub(crate) fn holds(&self) -> bool {
        self.goals.iter().all(Goal::holds)
    }
}

impl Goal {
    /// Whether it is reached. What is no number does not reach it.
    fn holds(&self) -> bool {
        match self.wanted {
            Wanted::AtMost(most) => self.value <= most,
            Wanted::AtLeast(least) => self.value >= least,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        for line in &self.lines {
            writeln!(f, "  {line}")?;
        }
        for goal in &self.goals {
            writeln!(f, "  {goal}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name, value, unit, ..
        } = self;
        let verdict = if self.holds() { "ok" } else { "MISSED" };
        let (how, bound) = match self.wanted {
            Wanted::AtMost(most) => ("at most", most),
            Wanted::AtLeast(least) => ("at least", least),
        };
        write!(
            f,
            "{verdict}: {name}: {value:.3}{unit} (goal: {how} {bound}{unit})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(value: f64, wanted: Wanted) -> Goal {
        Goal {
            name: "x",
            value,
            unit: " s",
            wanted,
        }
    }

    #[test]
    fn a_goal_is_reached_on_its_bound_and_missed_beyond_it_or_without_a_number() {
        for (value, wanted, holds) in [
            (1.1, Wanted::AtMost(1.1), true),
            (1.1001, Wanted::AtMost(1.1), false),
            (f64::NAN, Wanted::AtMost(1.1), false),
            (25.0, Wanted::AtLeast(25.0), true),
            (24.9, Wanted::AtLeast(25.0), false),
            (f64::NAN, Wanted::AtLeast(25.0), false),
        ] {
            let goal = goal(value, wanted);
            assert_eq!(goal.holds(), holds, "{goal}");
        }
    }

    #[test]
    fn one_goal_that_is_missed_is_enough() {
        let mut report = Report::new("a scenario");
        assert!(report.holds());
        report.goal(goal(2.0, Wanted::AtMost(1.0)));
        report.goal(goal(1.0, Wanted::AtMost(1.0)));
        assert!(!report.holds());
        assert_eq!(
            report.to_string(),
            "a scenario\n  MISSED: x: 2.000 s (goal: at most 1 s)\n  ok: x: 1.000 s (goal: at most 1 s)\n"
        );
    }
}
