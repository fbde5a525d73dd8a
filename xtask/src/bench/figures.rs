//! Figures and what they come to: medians, percentiles, goals.

use serde_json::{Value, json};

/// The middle and the ends of some figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) count: usize,
}

impl Spread {
    pub(crate) fn of(values: &[f64]) -> Spread {
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Spread { median: median(values), min, max, count: values.len() }
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "median": self.median, "min": self.min, "max": self.max, "count": self.count })
    }
}

/// The middle of some figures; the mean of the middle two if their number is even; not a number
/// if there are none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

/// Some ranks of many times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ranks {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    pub(crate) count: usize,
}

impl Ranks {
    /// Ranks without interpolation; not numbers if there are no values.
    pub(crate) fn of(values: &[f64]) -> Ranks {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        let count = values.len();
        let at = |hundredth: usize| match count {
            0 => f64::NAN,
            count => values[(count * hundredth).div_ceil(100).clamp(1, count) - 1],
        };
        Ranks { p50: at(50), p99: at(99), max: at(100), count }
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "p50": self.p50, "p99": self.p99, "max": self.max, "count": self.count })
    }
}

/// A goal, and what was reached.
pub(crate) struct Goal {
    pub(crate) text: String,
    pub(crate) bound: f64,
    pub(crate) reached: f64,
    /// Whether more is better.
    pub(crate) at_least: bool,
}

impl Goal {
    pub(crate) fn at_most(text: impl Into<String>, bound: f64, reached: f64) -> Goal {
        Goal { text: text.into(), bound, reached, at_least: false }
    }

    pub(crate) fn at_least(text: impl Into<String>, bound: f64, reached: f64) -> Goal {
        Goal { text: text.into(), bound, reached, at_least: true }
    }

    /// `None` if what it takes was not measured.
    pub(crate) fn met(&self) -> Option<bool> {
        let met =
            if self.at_least { self.reached >= self.bound } else { self.reached <= self.bound };
        self.reached.is_finite().then_some(met)
    }

    pub(crate) fn verdict(&self) -> &'static str {
        match self.met() {
            Some(true) => "met",
            Some(false) => "missed",
            None => "not measured",
        }
    }

    pub(crate) fn json(&self) -> Value {
        let kind = if self.at_least { "at least" } else { "at most" };
        json!({ "goal": self.text, "kind": kind, "bound": self.bound, "reached": self.reached,
            "met": self.met() })
    }
}

/// A figure as people read it: as many places as say something, `-` if it is none.
pub(crate) fn shown(value: f64) -> String {
    match value.abs() {
        size if !size.is_finite() => "-".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[f64], expected: f64) {
        assert_eq!(median(values), expected);
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        check(&[3.0, 1.0, 9.0], 3.0);
        check(&[4.0, 1.0, 2.0, 9.0], 3.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn ranks_are_values_that_were_measured() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let Ranks { p50, p99, max, count } = Ranks::of(&hundred);
        assert_eq!((p50, p99, max, count), (50.0, 99.0, 100.0, 100));
        assert!(Ranks::of(&[]).p99.is_nan());
    }

    #[test]
    fn a_goal_at_its_bound_is_met_and_one_without_figure_is_neither() {
        let most = |reached| Goal::at_most("", 1.0, reached).met();
        assert_eq!([1.0, 1.01, f64::NAN].map(most), [Some(true), Some(false), None]);
        let least = |reached| Goal::at_least("", 1.0, reached).met();
        assert_eq!([1.0, 0.99, f64::NAN].map(least), [Some(true), Some(false), None]);
    }

    #[test]
    fn a_figure_has_as_many_places_as_say_something() {
        let figures = [0.0, 0.0123, 0.5, 12.34, 1234.5, f64::NAN].map(shown);
        assert_eq!(figures, ["0.00", "0.0123", "0.50", "12.3", "1234", "-"]);
    }
}
