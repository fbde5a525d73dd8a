//! Rates as people write them.

/// Reads bytes a second: a whole number, a unit if any, and `/s` if anybody wants it.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    rehome::parse_bytes(text.trim().trim_end_matches("/s"))
        .ok_or_else(|| "give bytes a second, such as 50MB/s, 8MiB or 1000000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(parse(text).ok(), expected, "{text}");
    }

    #[test]
    fn a_rate_is_an_amount_a_second() {
        check("1000", Some(1000));
        check("50MB/s", Some(50_000_000));
        check("8MiB", Some(8 << 20));
        check("fast", None);
    }
}
