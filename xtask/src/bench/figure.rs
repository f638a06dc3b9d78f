//! What was measured, and what is wanted of it.

use std::fmt;

/// A number, and the most or the least that it should be.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    /// What it is.
    pub(super) name: &'static str,
    /// How much.
    pub(super) value: f64,
    /// What is wanted.
    pub(super) wanted: Wanted,
    /// Of what.
    pub(super) unit: &'static str,
    /// How it came about.
    pub(super) detail: String,
}

/// What a number should be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

impl Figure {
    /// Whether it is what is wanted. What is no number is not.
    pub(super) fn holds(&self) -> bool {
        match self.wanted {
            Wanted::AtLeast(least) => self.value >= least,
            Wanted::AtMost(most) => self.value <= most,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            value,
            wanted,
            unit,
            detail,
        } = self;
        let verdict = if self.holds() { "holds" } else { "MISSED" };
        write!(
            f,
            "{verdict:8}{name}: {value:.2}{unit} (wanted: {wanted}{unit}); {detail}"
        )
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "at least {least}"),
            Self::AtMost(most) => write!(f, "at most {most}"),
        }
    }
}

/// The same measured over and over again.
#[derive(Clone, Debug)]
pub(super) struct Series(Vec<f64>);

impl Series {
    /// Of at least one number.
    pub(super) fn new(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut numbers: Vec<_> = numbers.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        Self(numbers)
    }

    /// The one in the middle, which no single disturbance moves far.
    pub(super) fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        match self.0.as_slice() {
            [] => f64::NAN,
            numbers if numbers.len().is_multiple_of(2) => {
                f64::midpoint(numbers[middle - 1], numbers[middle])
            }
            numbers => numbers[middle],
        }
    }

    /// The least.
    pub(super) fn min(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    /// The greatest.
    pub(super) fn max(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    /// From the least to the greatest.
    pub(super) fn range(&self) -> String {
        format!("{:.2} to {:.2}", self.min(), self.max())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_however_many_there_are() {
        for (numbers, median) in [
            (vec![3.0], 3.0),
            (vec![9.0, 1.0], 5.0),
            (vec![100.0, 1.0, 2.0], 2.0),
            (vec![4.0, 1.0, 100.0, 2.0], 3.0),
        ] {
            let series = Series::new(numbers.clone());
            assert!((series.median() - median).abs() < 1e-9, "{numbers:?}");
        }
        assert!(Series::new([]).median().is_nan());
    }

    #[test]
    fn a_figure_holds_on_its_bound_and_fails_beyond_it_or_without_a_number() {
        for (value, wanted, holds) in [
            (0.85, Wanted::AtLeast(0.85), true),
            (0.84, Wanted::AtLeast(0.85), false),
            (1.5, Wanted::AtMost(1.5), true),
            (1.51, Wanted::AtMost(1.5), false),
            (f64::NAN, Wanted::AtMost(1.5), false),
            (f64::NAN, Wanted::AtLeast(1.5), false),
        ] {
            let figure = Figure {
                name: "x",
                value,
                wanted,
                unit: "",
                detail: String::new(),
            };
            assert_eq!(figure.holds(), holds, "{figure}");
        }
    }
}
