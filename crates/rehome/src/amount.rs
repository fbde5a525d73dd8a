//! Amounts of bytes as people write them.

/// Units and what they stand for, in bytes.
const UNITS: [(&str, u64); 11] = [
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
    ("TIB", 1 << 40),
];

/// Reads a whole number of bytes with a unit if any, such as `5GiB`, `50 MB` or `1000`; `None` if
/// it is none, or 0.
#[must_use]
pub fn parse_bytes(text: &str) -> Option<u64> {
    let plain = text.trim();
    let digits = plain.find(|c: char| !c.is_ascii_digit()).unwrap_or(plain.len());
    let (number, unit) = plain.split_at(digits);
    let unit = unit.trim().to_ascii_uppercase();
    let bytes = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, bytes)| *bytes);
    let amount = number.parse::<u64>().ok().zip(bytes).and_then(|(n, unit)| n.checked_mul(unit));
    amount.filter(|amount| *amount > 0)
}

#[cfg(test)]
mod tests {
    use super::parse_bytes;

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(parse_bytes(text), expected, "{text}");
    }

    #[test]
    fn an_amount_is_a_number_with_a_unit() {
        check("1000", Some(1000));
        check("50 mb", Some(50_000_000));
        check("8MiB", Some(8 << 20));
        check("2TiB", Some(2 << 40));
        check("3G", None);
        check("0", None);
        check("-1", None);
        check("much", None);
        check("99999999999999999999", None);
        check("99999999999GB", None);
    }
}
