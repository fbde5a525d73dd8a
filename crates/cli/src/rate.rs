//! Rates as people write them.

/// Reads bytes a second: a whole number, a unit if any, and `/s` if anybody wants it.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    rehome::parse_bytes(text.trim().trim_end_matches("/s"))
        .ok_or_else(|| "give bytes a second, such as 50MB/s, 8MiB or 1000000".to_owned())
}

/// The same, or `none`, which is 0: no bound.
pub(crate) fn parse_or_none(text: &str) -> Result<u64, String> {
    if text.trim() == "none" { Ok(0) } else { parse(text) }
}

#[cfg(test)]
mod tests {
    use super::{parse, parse_or_none};

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
        check("none", None);
        assert_eq!(parse_or_none(" none"), Ok(0));
        assert_eq!(parse_or_none("5KiB/s"), Ok(5 << 10));
    }
}
