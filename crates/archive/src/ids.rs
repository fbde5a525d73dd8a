//! Names of contents, backups, sets and stores, written as lower-case hexadecimal.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The text is not the identifier asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}: expected {digits} lower-case hexadecimal digits")]
pub struct IdParseError {
    /// What was given.
    pub text: String,
    /// What it should have been.
    pub what: &'static str,
    /// How many digits that takes.
    pub digits: usize,
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    text
}

/// The bytes that [`hex`] gave as `text`; `None` for any other text.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdParseError;

            fn from_str(text: &str) -> Result<$name, IdParseError> {
                let fail =
                    || IdParseError { text: text.to_owned(), what: $what, digits: $bytes * 2 };
                unhex(text).map($name).ok_or_else(fail)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

identifier!(
    /// Names a content: the BLAKE3 hash of its bytes.
    ContentId, 32, "content id"
);
identifier!(
    /// Names a backup within the sets of one store.
    BackupId, 8, "backup id"
);
identifier!(
    /// Names a log segment within the sets of one store.
    SegmentId, 8, "segment id"
);
identifier!(
    /// Names a backup set.
    SetId, 16, "set id"
);
identifier!(
    /// Names the store that a set belongs to.
    StoreId, 16, "store id"
);

impl ContentId {
    /// The name of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> ContentId {
        ContentId(*blake3::hash(bytes).as_bytes())
    }

    /// The first eight bytes as a number: what indexes and counts keep in memory.
    pub(crate) fn prefix(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0[..8]);
        u64::from_be_bytes(first)
    }
}

impl BackupId {
    /// What every record of this backup carries to tell it from records of others.
    pub(crate) fn tag(self) -> u32 {
        u32::from_be_bytes([self.0[0], self.0[1], self.0[2], self.0[3]])
    }
}

impl SegmentId {
    /// What every record of this segment carries to tell it from records of others.
    pub(crate) fn tag(self) -> u32 {
        BackupId(self.0).tag()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<[u8; 8]>) {
        assert_eq!(text.parse().ok(), expected.map(BackupId));
    }

    #[test]
    fn an_id_has_exactly_one_text() {
        let id = BackupId([0, 1, 2, 0xab, 0xcd, 0xef, 0x10, 0xff]);
        check(&id.to_string(), Some(id.0));
        check(&id.to_string().to_uppercase(), None);
        check("00", None);
        check("00010203040506070", None);
        check("000102030405060g", None);
    }
}
