//! Sizes and software levels as people write them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number of bytes; written as `80GiB`, `61.2 GB` or a bare number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteSize(u64);

/// Why a text is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SizeError {
    #[error("\"{0}\" is no size")]
    NoNumber(String),
    #[error("\"{0}\" is no unit")]
    Unit(String),
    #[error("the size is larger than 16 EiB")]
    TooLarge,
}

/// Units and their bytes; the words of an error message come from here, too.
pub(crate) const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

impl ByteSize {
    /// Makes a size of a number of bytes.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Reads a size; a fraction is rounded down to a byte.
    pub(crate) fn parse(text: &str) -> Result<Self, SizeError> {
        let trimmed = text.trim();
        let split = trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.'));
        let (number, unit) = trimmed.split_at(split.unwrap_or(trimmed.len()));
        let no_number = || SizeError::NoNumber(text.to_owned());
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let bad = whole.is_empty() || fraction.contains('.') || number.ends_with('.');
        if bad || fraction.len() > 6 {
            return Err(no_number());
        }
        let unit = unit.trim();
        let unit_bytes = UNITS
            .iter()
            .find(|(word, _)| unit.eq_ignore_ascii_case(word) || (unit.is_empty() && *word == "B"))
            .map(|(_, bytes)| u128::from(*bytes))
            .ok_or_else(|| SizeError::Unit(unit.to_owned()))?;
        let scale = 10u128.pow(u32::try_from(fraction.len()).map_err(|_| no_number())?);
        let digits: u128 = format!("{whole}{fraction}").parse().map_err(|_| SizeError::TooLarge)?;
        let bytes = digits.checked_mul(unit_bytes).ok_or(SizeError::TooLarge)? / scale;
        u64::try_from(bytes).map(Self).map_err(|_| SizeError::TooLarge)
    }
}

/// The largest binary unit that leaves at least 1, with one decimal place if it is not whole.
impl fmt::Display for ByteSize {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = UNITS[..5].iter().rev();
        let (unit, size) = binary.copied().find(|(_, size)| self.0 >= *size).unwrap_or(UNITS[0]);
        let tenths = u128::from(self.0) * 10 / u128::from(size);
        let text = match self.0 % size {
            0 => format!("{} {unit}", self.0 / size),
            _ => format!("{}.{} {unit}", tenths / 10, tenths % 10),
        };
        out.pad(&text)
    }
}

/// A level of software such as `5.0` or `5.5.2`; missing parts count as 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SoftwareVersion([u16; 3]);

impl SoftwareVersion {
    /// The level that everything has unless the site says otherwise.
    pub const CURRENT: Self = Self([5, 5, 0]);

    /// Makes a level of its parts.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self([major, minor, patch])
    }
}

impl std::str::FromStr for SoftwareVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = [0u16; 3];
        for (count, part) in text.split('.').enumerate() {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            let value = part.parse().ok().filter(|_| digits && count < parts.len());
            parts[count.min(2)] = value.ok_or_else(|| format!("\"{text}\" is no version"))?;
        }
        Ok(Self(parts))
    }
}

impl TryFrom<String> for SoftwareVersion {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<SoftwareVersion> for String {
    fn from(version: SoftwareVersion) -> Self {
        version.to_string()
    }
}

impl fmt::Display for SoftwareVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        match patch {
            0 => out.pad(&format!("{major}.{minor}")),
            _ => out.pad(&format!("{major}.{minor}.{patch}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(u64, &str), SizeError>) {
        let read = ByteSize::parse(text).map(|size| (size.bytes(), size.to_string()));
        assert_eq!(read, expected.map(|(bytes, shown)| (bytes, shown.to_owned())), "{text:?}");
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        check("80GiB", Ok((80 << 30, "80 GiB")));
        check("61.2 GB", Ok((61_200_000_000, "56.9 GiB")));
        check("1.5kib", Ok((1536, "1.5 KiB")));
        check("12", Ok((12, "12 B")));
        check("0", Ok((0, "0 B")));
        check("18446744073709551615", Ok((u64::MAX, "16777215.9 TiB")));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        check("GiB", Err(SizeError::NoNumber("GiB".to_owned())));
        check("1.2.3 GB", Err(SizeError::NoNumber("1.2.3 GB".to_owned())));
        check("1. GB", Err(SizeError::NoNumber("1. GB".to_owned())));
        check("-1", Err(SizeError::NoNumber("-1".to_owned())));
        check("10 GIGS", Err(SizeError::Unit("GIGS".to_owned())));
        check("99999999 TiB", Err(SizeError::TooLarge));
        check(&"9".repeat(60), Err(SizeError::TooLarge));
    }

    #[test]
    fn versions_compare_part_by_part() {
        let version = |text: &str| text.parse::<SoftwareVersion>().unwrap();
        assert!(version("5.0") < version("5.5"));
        assert!(version("5.10") > version("5.5.1"));
        assert_eq!(version("5.5"), version("5.5.0"));
        for wrong in ["", "5.", "five", "5.5.1.0", "+5", "99999"] {
            assert!(wrong.parse::<SoftwareVersion>().is_err(), "{wrong:?}");
        }
    }
}
