//! A bar chart with a line for the range of each bar.

use crate::bench::figures::{Spread, shown};

const LABEL_WIDTH: f64 = 250.0;
const BAR_WIDTH: f64 = 430.0;
const BAR_HEIGHT: f64 = 18.0;
const STEP: f64 = 26.0;
const WIDTH: f64 = 780.0;
const TOP: f64 = 34.0;

/// Whose bar it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Ours,
    OursDark,
    Other,
    OtherDark,
}

impl Tone {
    fn colour(self) -> &'static str {
        match self {
            Tone::Ours => "#d9822b",
            Tone::OursDark => "#9a5a17",
            Tone::Other => "#a9b8c6",
            Tone::OtherDark => "#6f8294",
        }
    }
}

/// A bar.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) spread: Spread,
    pub(crate) tone: Tone,
}

impl Bar {
    /// A bar of a single figure.
    pub(crate) fn of(label: impl Into<String>, value: f64, tone: Tone) -> Bar {
        Bar { label: label.into(), spread: Spread::of(&[value]), tone }
    }
}

/// A chart.
pub(crate) struct Chart {
    /// What is drawn, in which unit, and whether more is better.
    pub(crate) heading: String,
    pub(crate) bars: Vec<Bar>,
    /// Bars longer than this end in an arrow.
    pub(crate) longest: f64,
}

impl Chart {
    pub(crate) fn svg(&self) -> String {
        let longest = self.bars.iter().map(|bar| bar.spread.max).filter(|max| max.is_finite());
        let full = longest.fold(0.0, f64::max).min(self.longest).max(f64::MIN_POSITIVE);
        let height = TOP + STEP * self.bars.len() as f64 + 10.0;
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
             <text x=\"8\" y=\"20\" font-weight=\"bold\">{}</text>\n",
            self.heading
        );
        for (index, bar) in self.bars.iter().enumerate() {
            text.push_str(&svg_of(bar, TOP + STEP * index as f64, full));
        }
        text.push_str("</svg>\n");
        text
    }
}

fn svg_of(bar: &Bar, top: f64, full: f64) -> String {
    let Spread { median, min, max, .. } = bar.spread;
    let place = |value: f64| LABEL_WIDTH + BAR_WIDTH * (value / full).clamp(0.0, 1.0);
    let at = |value: f64| if value.is_finite() { place(value) } else { LABEL_WIDTH };
    let (middle, base) = (top + BAR_HEIGHT / 2.0, top + 13.0);
    let cut = if median > full { " \u{2192}" } else { "" };
    format!(
        "<text x=\"8\" y=\"{base}\">{}</text>\n\
         <rect x=\"{LABEL_WIDTH}\" y=\"{top}\" width=\"{:.1}\" height=\"{BAR_HEIGHT}\" \
         fill=\"{}\"/>\n\
         <line x1=\"{:.1}\" y1=\"{middle}\" x2=\"{:.1}\" y2=\"{middle}\" stroke=\"#222\"/>\n\
         <text x=\"{:.1}\" y=\"{base}\">{}{cut}</text>\n",
        bar.label,
        at(median) - LABEL_WIDTH,
        bar.tone.colour(),
        at(min),
        at(max),
        at(max).max(at(median)) + 6.0,
        shown(median),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[f64], longest: f64, expected: &[&str]) {
        let bars = values.iter().map(|value| Bar::of("bar", *value, Tone::Ours)).collect();
        let svg = Chart { heading: "bars".to_owned(), bars, longest }.svg();
        for part in expected {
            assert!(svg.contains(part), "{part:?} is not in\n{svg}");
        }
    }

    #[test]
    fn the_longest_bar_fills_the_chart() {
        check(&[2.0, 1.0], f64::INFINITY, &["width=\"430.0\"", "width=\"215.0\""]);
    }

    #[test]
    fn a_bar_beyond_the_bound_ends_in_an_arrow() {
        check(&[2.0, 1.0], 1.0, &[">2.00 \u{2192}<", ">1.00<"]);
    }

    #[test]
    fn what_was_not_measured_has_no_bar() {
        check(&[f64::NAN, 1.0], f64::INFINITY, &["width=\"0.0\"", ">-<"]);
    }
}
