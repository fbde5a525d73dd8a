//! Rates as people write them.

/// Units and what they stand for, in bytes.
const UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("B", 1),
    ("K", 1_000),
    ("KB", 1_000),
    ("M", 1_000_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KIB", 1 << 10),
    ("MIB", 1 << 20),
    ("GIB", 1 << 30),
];

/// Reads bytes a second: a whole number, a unit if any, and `/s` if anybody wants it.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let plain = text.trim().trim_end_matches("/s");
    let digits = plain.find(|c: char| !c.is_ascii_digit()).unwrap_or(plain.len());
    let (number, unit) = plain.split_at(digits);
    let unit = unit.trim().to_ascii_uppercase();
    let bytes = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, bytes)| *bytes);
    let rate = number.parse::<u64>().ok().zip(bytes).and_then(|(n, unit)| n.checked_mul(unit));
    rate.filter(|rate| *rate > 0)
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
    fn a_rate_is_a_number_with_a_unit() {
        check("1000", Some(1000));
        check("50MB/s", Some(50_000_000));
        check("50 mb", Some(50_000_000));
        check("8MiB", Some(8 << 20));
        check("3G", None);
        check("0", None);
        check("-1", None);
        check("fast", None);
        check("99999999999999999999", None);
        check("99999999999GB", None);
    }
}
