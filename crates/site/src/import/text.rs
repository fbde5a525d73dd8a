//! Bytes to text: UTF-8, the ANSI code page of the time, and base64.

/// What the bytes 0x80 to 0x9f mean in Windows-1252; the five holes stand for themselves.
const HIGH: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Reads UTF-8, with or without a byte-order mark; what is none is read as Windows-1252.
pub(super) fn decode(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(decode_byte).collect(),
    }
}

/// One byte of Windows-1252.
fn decode_byte(byte: u8) -> char {
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        other => char::from(other),
    }
}

/// Reads base64; blanks are passed over, the padding may be missing. `None` if it is none.
pub(super) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let padding = digits.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = &digits[..digits.len() - padding];
    if padding > 2 || digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for chunk in digits.chunks(4) {
        let mut bits = 0u32;
        for digit in chunk {
            bits = bits << 6 | value_of(*digit)?;
        }
        bits <<= 6 * (4 - chunk.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    Some(bytes)
}

/// The value of a digit of base64.
fn value_of(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(decode_base64(text), expected.map(|text| text.as_bytes().to_vec()), "{text}");
    }

    #[test]
    fn base64_is_read_with_and_without_padding() {
        check("", Some(""));
        check("Zg==", Some("f"));
        check("Zm8", Some("fo"));
        check("Zm9v YmFy", Some("foobar"));
        check("Z", None);
        check("Zg=v", None);
        check("Zm9v====", None);
        check("Zü", None);
    }

    #[test]
    fn what_is_no_utf8_is_read_as_the_code_page_of_the_time() {
        assert_eq!(decode(b"\xef\xbb\xbfJ\xc3\xbcrgen"), "Jürgen");
        assert_eq!(decode(b"J\xfcrgen \x80"), "Jürgen €");
    }
}
