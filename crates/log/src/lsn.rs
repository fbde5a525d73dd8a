//! Log sequence numbers: where a record is, and when it came.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Bits of an [`Lsn`] that hold the byte offset; a generation is at most `1 << OFFSET_BITS` long.
const OFFSET_BITS: u32 = 24;

/// The highest generation number an [`Lsn`] can name.
pub(crate) const GENERATION_MAX: u64 = (1 << (64 - OFFSET_BITS)) - 1;

/// The place of a record in the log: generation number and byte offset in its file.
///
/// Later records have higher numbers, and no number is used twice. Text and JSON carry
/// `generation:offset` in hexadecimal (`0000000001:001000`), binary formats the 64-bit number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(u64);

impl Lsn {
    /// Below every record.
    pub const ZERO: Lsn = Lsn(0);

    /// The position `offset` bytes into generation `generation`.
    ///
    /// # Panics
    ///
    /// If `generation` takes more than 40 bits or `offset` more than 24.
    #[must_use]
    pub const fn new(generation: u64, offset: u32) -> Lsn {
        assert!(generation <= GENERATION_MAX && offset < (1 << OFFSET_BITS));
        Lsn((generation << OFFSET_BITS) | offset as u64)
    }

    /// The number as formats store it.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        self.0
    }

    /// The position that [`Lsn::to_u64`] gave as `number`.
    #[must_use]
    pub const fn from_u64(number: u64) -> Lsn {
        Lsn(number)
    }

    /// Number of the generation.
    #[must_use]
    pub const fn generation(self) -> u64 {
        self.0 >> OFFSET_BITS
    }

    /// Byte offset in the generation's file.
    #[must_use]
    pub const fn offset(self) -> u32 {
        (self.0 & ((1 << OFFSET_BITS) - 1)) as u32
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010x}:{:06x}", self.generation(), self.offset())
    }
}

/// The text is not an [`Lsn`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no log position: expected 10 and 6 hexadecimal digits, as 0000000001:001000")]
pub struct LsnParseError {
    /// What was given.
    pub text: String,
}

impl FromStr for Lsn {
    type Err = LsnParseError;

    fn from_str(text: &str) -> Result<Lsn, LsnParseError> {
        let fail = || LsnParseError { text: text.to_owned() };
        let (generation, offset) = text.split_once(':').ok_or_else(fail)?;
        let whole = generation.len() == 10 && offset.len() == 6;
        if !whole || !text.bytes().all(|b| b == b':' || b.is_ascii_hexdigit()) {
            return Err(fail());
        }
        let generation = u64::from_str_radix(generation, 16).map_err(|_| fail())?;
        let offset = u32::from_str_radix(offset, 16).map_err(|_| fail())?;
        Ok(Lsn::new(generation, offset))
    }
}

impl Serialize for Lsn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Lsn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Lsn, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            u64::deserialize(deserializer).map(Lsn)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lsn: Lsn, text: &str) {
        assert_eq!(lsn.to_string(), text);
        assert_eq!(text.parse(), Ok(lsn));
        assert_eq!(Lsn::from_u64(lsn.to_u64()), lsn);
    }

    #[test]
    fn text_and_number_give_back_the_position() {
        check(Lsn::ZERO, "0000000000:000000");
        check(Lsn::new(1, 4096), "0000000001:001000");
        check(Lsn::new(GENERATION_MAX, 0xff_ffff), "ffffffffff:ffffff");
    }

    #[test]
    fn a_later_generation_is_above_every_offset_of_an_earlier_one() {
        assert!(Lsn::new(2, 0) > Lsn::new(1, 0xff_ffff));
        assert!(Lsn::new(2, 4104) > Lsn::new(2, 4096));
    }

    #[test]
    fn text_that_is_no_position_is_refused() {
        for text in ["", "1:1", "0000000001-001000", "+000000001:001000", "00000000001:01000"] {
            assert!(text.parse::<Lsn>().is_err(), "{text}");
        }
    }
}
