//! One of the two slots of the epoch file.

use crate::crc::crc32c;

/// Bytes of a slot; what it holds fits in the first 512 of them, which a disk writes whole.
pub(super) const SLOT_SIZE: usize = 4096;
const USED_SIZE: usize = 512;
const MAGIC: &[u8; 8] = b"RHEPOCH\n";
const VERSION: u32 = 2;
/// Slots of this version hold as a token whatever the epoch was to be at least.
const VERSION_WITHOUT_TOKENS: u32 = 1;
const OWNER_AT: usize = 36;
const OWNER_SIZE_MAX: usize = 255;

/// An epoch and who took it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) epoch: u64,
    pub(super) token: u64,
    pub(super) owner: String,
}

/// What a slot's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SlotState {
    /// Zeros: never written.
    Empty,
    /// Neither zeros nor a slot.
    Damaged,
    /// A slot.
    Written(Slot),
}

impl Slot {
    /// A slot with as much of the owner's name as fits.
    pub(super) fn new(epoch: u64, token: u64, owner: &str) -> Slot {
        let owner = &owner[..owner.floor_char_boundary(OWNER_SIZE_MAX)];
        Slot { epoch, token, owner: owner.to_owned() }
    }

    pub(super) fn encode(&self) -> [u8; SLOT_SIZE] {
        let owner = self.owner.as_str();
        let mut bytes = [0; SLOT_SIZE];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[12..16].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.token.to_le_bytes());
        let owner_len = u32::try_from(owner.len()).expect("at most OWNER_SIZE_MAX");
        bytes[32..OWNER_AT].copy_from_slice(&owner_len.to_le_bytes());
        bytes[OWNER_AT..OWNER_AT + owner.len()].copy_from_slice(owner.as_bytes());
        let crc = crc32c(&bytes[12..USED_SIZE]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; SLOT_SIZE]) -> SlotState {
        if bytes.iter().all(|byte| *byte == 0) {
            return SlotState::Empty;
        }
        Slot::decode_written(bytes).map_or(SlotState::Damaged, SlotState::Written)
    }

    fn decode_written(bytes: &[u8; SLOT_SIZE]) -> Option<Slot> {
        let u32_at = |at: usize| Some(u32::from_le_bytes(bytes[at..at + 4].try_into().ok()?));
        let u64_at = |at: usize| Some(u64::from_le_bytes(bytes[at..at + 8].try_into().ok()?));
        if bytes[..8] != *MAGIC || u32_at(8)? != crc32c(&bytes[12..USED_SIZE]) {
            return None;
        }
        let token = match u32_at(12)? {
            VERSION => u64_at(24)?,
            VERSION_WITHOUT_TOKENS => 0,
            _ => return None,
        };
        let owner_len = usize::try_from(u32_at(32)?).ok()?;
        let owner = bytes.get(OWNER_AT..OWNER_AT.checked_add(owner_len)?)?;
        let owner = std::str::from_utf8(owner).ok()?.to_owned();
        Some(Slot { epoch: u64_at(16)?, token, owner })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8; SLOT_SIZE], expected: SlotState) {
        assert_eq!(Slot::decode(bytes), expected);
    }

    fn slot() -> Slot {
        Slot::new(7, 3, "node-a")
    }

    #[test]
    fn a_slot_gives_back_what_was_written() {
        check(&[0; SLOT_SIZE], SlotState::Empty);
        check(&slot().encode(), SlotState::Written(slot()));
    }

    #[test]
    fn the_token_of_an_older_version_is_none() {
        let mut bytes = slot().encode();
        bytes[12..16].copy_from_slice(&VERSION_WITHOUT_TOKENS.to_le_bytes());
        let crc = crc32c(&bytes[12..USED_SIZE]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        check(&bytes, SlotState::Written(Slot { token: 0, ..slot() }));
    }

    #[test]
    fn a_long_owner_is_cut_at_a_character() {
        let long = Slot::new(7, 3, &"é".repeat(200));
        assert_eq!(long, Slot { owner: "é".repeat(127), ..slot() });
        check(&long.encode(), SlotState::Written(long));
    }

    #[test]
    fn a_flipped_bit_anywhere_in_use_is_seen() {
        for bit in 0..USED_SIZE * 8 {
            let mut bytes = slot().encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            check(&bytes, SlotState::Damaged);
        }
    }
}
