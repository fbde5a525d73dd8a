//! A bar chart of the medians, with a line for the range.

use crate::bench::Cache;
use crate::bench::figures::{Measured, Row};

const LABEL_WIDTH: f64 = 230.0;
const BAR_WIDTH: f64 = 430.0;
const BAR_HEIGHT: f64 = 18.0;
const STEP: f64 = 26.0;
const WIDTH: f64 = 760.0;
const TOP: f64 = 34.0;

/// Draws the chart. A bar longer than four times the longest move ends in an arrow.
pub(crate) fn svg(measured: &Measured) -> String {
    let rows = measured.rows();
    let moves = rows.iter().filter(|row| row.syncs.is_some()).map(|row| row.seconds.max);
    let longest = rows.iter().map(|row| row.seconds.max).fold(0.0, f64::max);
    let shown = moves.fold(0.0, f64::max) * 4.0;
    let full = if shown > 0.0 { longest.min(shown) } else { longest.max(f64::MIN_POSITIVE) };
    let height = TOP + STEP * rows.len() as f64 + 10.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"8\" y=\"20\" font-weight=\"bold\">Seconds, median and range of {} runs; \
         shorter is better</text>\n",
        measured.rounds
    );
    for (index, row) in rows.iter().enumerate() {
        text.push_str(&bar(row, TOP + STEP * index as f64, full));
    }
    text.push_str("</svg>\n");
    text
}

fn bar(row: &Row, top: f64, full: f64) -> String {
    let at = |seconds: f64| LABEL_WIDTH + BAR_WIDTH * (seconds / full).min(1.0);
    let colour = match (row.syncs.is_some(), row.cache) {
        (true, Cache::Warm) => "#d9822b",
        (true, Cache::Cold) => "#9a5a17",
        (false, Cache::Warm) => "#a9b8c6",
        (false, Cache::Cold) => "#6f8294",
    };
    let (median, low, high) = (at(row.seconds.median), at(row.seconds.min), at(row.seconds.max));
    let (middle, base) = (top + BAR_HEIGHT / 2.0, top + 13.0);
    let cut = if row.seconds.median > full { " \u{2192}" } else { "" };
    format!(
        "<text x=\"8\" y=\"{base}\">{}, {}</text>\n\
         <rect x=\"{LABEL_WIDTH}\" y=\"{top}\" width=\"{:.1}\" height=\"{BAR_HEIGHT}\" \
         fill=\"{colour}\"/>\n\
         <line x1=\"{low:.1}\" y1=\"{middle}\" x2=\"{high:.1}\" y2=\"{middle}\" \
         stroke=\"#222\"/>\n\
         <text x=\"{:.1}\" y=\"{base}\">{:.2}{cut}</text>\n",
        row.contender.name(),
        row.cache.name(),
        median - LABEL_WIDTH,
        high.max(median) + 6.0,
        row.seconds.median
    )
}
