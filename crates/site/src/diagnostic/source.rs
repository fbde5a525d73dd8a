//! A text whose places are asked for often.

use std::ops::Range;

use super::Place;

/// A text file in memory, with the beginning of each line known.
#[derive(Debug, Clone, Default)]
pub struct Source {
    file: String,
    text: String,
    line_starts: Vec<usize>,
}

impl Source {
    /// Keeps a text under the name that messages give it.
    #[must_use]
    pub fn new(file: &str, text: &str) -> Self {
        Self::of(file, text.to_owned())
    }

    /// Keeps a text that nobody else needs.
    #[must_use]
    pub fn of(file: &str, text: String) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(after_breaks).collect();
        Self { file: file.to_owned(), text, line_starts }
    }

    /// The name of the file.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The place of a range of bytes; one over several lines is cut at the end of the first.
    #[must_use]
    pub fn place(&self, span: Range<usize>) -> Place {
        let start = self.floor(span.start);
        let line = self.line_starts.partition_point(|at| *at <= start).max(1);
        let line_start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let next = self.line_starts.get(line).map_or(self.text.len(), |next| next - 1);
        let excerpt = self.text[line_start..next].trim_end_matches('\r');
        let end = self.floor(span.end).clamp(start, (line_start + excerpt.len()).max(start));
        Place {
            file: self.file.clone(),
            line,
            column: self.text[line_start..start].chars().count() + 1,
            width: self.text[start..end].chars().count().max(1),
            excerpt: excerpt.replace(|c: char| c.is_control() && c != '\t', "\u{fffd}"),
        }
    }

    /// The nearest character boundary at or below `at`.
    fn floor(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, span: Range<usize>, expected: (usize, usize, usize, &str)) {
        let place = Source::new("f", text).place(span);
        let Place { line, column, width, ref excerpt, .. } = place;
        assert_eq!((line, column, width, excerpt.as_str()), expected);
    }

    #[test]
    fn places_count_lines_and_characters_from_one() {
        check("a = 1\nb = 22\n", 10..12, (2, 5, 2, "b = 22"));
        check("ü = \"ä\"\r\n", 5..9, (1, 5, 3, "ü = \"ä\""));
        check("", 0..0, (1, 1, 1, ""));
        check("a\n", 2..2, (2, 1, 1, ""));
        check("a\nb", 99..120, (2, 2, 1, "b"));
    }

    #[test]
    fn a_range_over_several_lines_is_cut_at_the_first() {
        check("x = [\n1,\n]", 4..10, (1, 5, 1, "x = ["));
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        check("a\u{1b}[31m", 0..1, (1, 1, 1, "a\u{fffd}[31m"));
    }
}
