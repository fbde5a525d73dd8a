//! "Did you mean": the nearest of a few known words.

/// Counts the edits (insert, delete, replace, swap of neighbours) from `a` to `b`, ignoring case.
#[must_use]
pub fn edit_distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// Finds the known word nearest to `word`, if one is near enough to be what was meant.
///
/// Of words at the same distance the first one given wins. At most a third of the longer word may
/// differ, and at least one edit is always allowed.
#[must_use]
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in known {
        let distance = edit_distance(word, candidate);
        let longer = word.chars().count().max(candidate.chars().count());
        let near = distance <= (longer / 3).max(1) && distance < longer;
        if near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expected: Option<&str>) {
        let known = ["name", "nodes", "network_name", "server", "service_account", "version"];
        assert_eq!(did_you_mean(word, known), expected, "{word}");
    }

    #[test]
    fn the_nearest_known_word_is_suggested() {
        check("nme", Some("name"));
        check("naem", Some("name"));
        check("Server", Some("server"));
        check("serivce_account", Some("service_account"));
        check("networkname", Some("network_name"));
    }

    #[test]
    fn a_word_far_from_all_known_ones_gets_no_suggestion() {
        check("x", None);
        check("colour", None);
        check("", None);
    }

    #[test]
    fn a_swap_of_neighbours_is_one_edit() {
        assert_eq!(edit_distance("ab", "ba"), 1);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
    }
}
