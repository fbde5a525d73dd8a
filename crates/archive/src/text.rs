//! Text files whose last line is the hash of the lines before it.

use serde::Serialize;

use crate::error::ArchiveError;
use crate::ids::hex;

/// How the last line begins.
const LABEL: &str = "blake3 ";

/// `text` (whole lines) with its hash line.
pub(crate) fn seal(mut text: String) -> Vec<u8> {
    let hash = hex(blake3::hash(text.as_bytes()).as_bytes());
    text.push_str(LABEL);
    text.push_str(&hash);
    text.push('\n');
    text.into_bytes()
}

/// The hash on the last line of a sealed text that was unsealed before.
pub(crate) fn hash(sealed: &[u8]) -> String {
    let line = sealed.get(sealed.len().saturating_sub(65)..).unwrap_or_default();
    String::from_utf8_lossy(line).trim_end().to_owned()
}

/// `value` as JSON in the order of its fields, two blanks a level, with its hash line.
pub(crate) fn seal_json<T: Serialize>(value: &T) -> Result<Vec<u8>, ArchiveError> {
    let mut json = serde_json::to_string_pretty(value)
        .map_err(|error| ArchiveError::Misuse { what: format!("no JSON: {error}") })?;
    json.push('\n');
    Ok(seal(json))
}

/// The lines before the hash line, if their hash is what that line says.
pub(crate) fn unseal<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, ArchiveError> {
    let fail = |what: &str| ArchiveError::file_damaged(file, what);
    let line_len = LABEL.len() + 64 + 1;
    let start = bytes.len().checked_sub(line_len).ok_or_else(|| fail("it is cut off"))?;
    let (text, line) = bytes.split_at(start);
    let hash = hex(blake3::hash(text).as_bytes());
    if line != format!("{LABEL}{hash}\n").as_bytes() {
        return Err(fail("the hash on its last line does not fit the lines before it"));
    }
    std::str::from_utf8(text).map_err(|_| fail("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_byte_of_a_sealed_text_is_noticed() {
        let sealed = seal("MBARSET 1\nset 00\n".to_owned());
        assert_eq!(unseal("f", &sealed).unwrap(), "MBARSET 1\nset 00\n");
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut bad = sealed.clone();
                bad[at] ^= 1 << bit;
                assert!(unseal("f", &bad).is_err(), "byte {at}, bit {bit}");
            }
            assert!(unseal("f", &sealed[..at]).is_err(), "cut at {at}");
        }
    }
}
