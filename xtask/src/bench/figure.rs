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
    /// Not more, not less.
    Exactly(f64),
    /// It is good to know.
    Nothing,
}

impl Figure {
    /// Whether it is what is wanted. What is no number is not.
    pub(super) fn holds(&self) -> bool {
        match self.wanted {
            Wanted::AtLeast(least) => self.value >= least,
            Wanted::AtMost(most) => self.value <= most,
            Wanted::Exactly(wanted) => (self.value - wanted).abs() < f64::EPSILON,
            Wanted::Nothing => true,
        }
    }

    /// Whether another machine may have another one: all but what is counted one by one.
    pub(super) const fn depends_on_the_machine(&self) -> bool {
        !matches!(self.wanted, Wanted::Exactly(_))
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
        if let Wanted::Nothing = wanted {
            return write!(f, "{:8}{name}: {value:.2}{unit}; {detail}", "");
        }
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
            Self::Exactly(wanted) => wanted.fmt(f),
            Self::Nothing => f.write_str("nothing"),
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

    /// All but one in a hundred are not greater.
    pub(super) fn p99(&self) -> f64 {
        let place = (self.0.len() * 99).div_ceil(100);
        let place = place.checked_sub(1).and_then(|place| self.0.get(place));
        place.copied().unwrap_or(f64::NAN)
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
    fn one_in_a_hundred_is_above_the_99th_percentile() {
        for (numbers, p99) in [(1..=1, 1), (1..=99, 99), (1..=100, 99), (1..=250, 248)] {
            let series = Series::new(numbers.clone().map(f64::from));
            assert!((series.p99() - f64::from(p99)).abs() < 1e-9, "{numbers:?}");
        }
        assert!(Series::new([]).p99().is_nan());
    }

    #[test]
    fn a_figure_holds_on_its_bound_and_fails_beyond_it_or_without_a_number() {
        for (value, wanted, holds) in [
            (0.85, Wanted::AtLeast(0.85), true),
            (0.84, Wanted::AtLeast(0.85), false),
            (1.5, Wanted::AtMost(1.5), true),
            (1.51, Wanted::AtMost(1.5), false),
            (250.0, Wanted::Exactly(250.0), true),
            (251.0, Wanted::Exactly(250.0), false),
            (249.0, Wanted::Exactly(250.0), false),
            (1e9, Wanted::Nothing, true),
            (f64::NAN, Wanted::AtMost(1.5), false),
            (f64::NAN, Wanted::Exactly(1.5), false),
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
