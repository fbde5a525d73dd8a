//! Bytes to text: UTF-8, UTF-16, the code pages of the time, and base64.

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// How many bytes are looked at to tell UTF-16 without a mark.
const GUESS_BYTES: usize = 64;

/// Finds a code page by its label, such as `windows-1250` or `koi8-r`.
pub(super) fn code_page(label: &str) -> Option<&'static Encoding> {
    Encoding::for_label(label.as_bytes())
}

/// Reads text: UTF-8 or UTF-16 by its byte-order mark, UTF-16 without one, UTF-8, else the code
/// page, which is Windows-1252 if none is named.
pub(super) fn decode(bytes: &[u8], code_page: Option<&'static Encoding>) -> String {
    if let Some((encoding, mark_size)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[mark_size..]).0.into_owned();
    }
    if let Some(wide) = wide(bytes) {
        return wide.decode_without_bom_handling(bytes).0.into_owned();
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => {
            let encoding = code_page.unwrap_or(WINDOWS_1252);
            encoding.decode_without_bom_handling(bytes).0.into_owned()
        }
    }
}

/// Which byte order a text of UTF-16 has that begins with ASCII; nothing if it is none.
fn wide(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(GUESS_BYTES) & !1];
    let zero_at = |offset: usize| head.chunks(2).filter(|pair| pair[offset] == 0).count();
    let (high, low, pairs) = (zero_at(0), zero_at(1), head.len() / 2);
    match pairs {
        0 => None,
        _ if low == pairs && high == 0 => Some(UTF_16LE),
        _ if high == pairs && low == 0 => Some(UTF_16BE),
        _ => None,
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

/// The digits of base64.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes base64 with its padding.
pub(super) fn encode_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut three = [0_u8; 3];
        three[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            let pads = digit > chunk.len();
            text.push(if pads { '=' } else { char::from(DIGITS[value as usize]) });
        }
    }
    text
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
        for text in ["", "f", "fo", "foo", "Jürgen Öl"] {
            check(&encode_base64(text.as_bytes()), Some(text));
        }
    }

    #[test]
    fn what_is_no_utf8_is_read_as_the_code_page_of_the_time() {
        assert_eq!(decode(b"\xef\xbb\xbfJ\xc3\xbcrgen", None), "Jürgen");
        assert_eq!(decode(b"J\xfcrgen \x80", None), "Jürgen €");
        let polish = code_page("windows-1250");
        assert_eq!(decode(b"\xa3\xf3d\x9f", polish), "Łódź");
        let russian = code_page("koi8-r");
        assert_eq!(decode(b"\xed\xc9\xd2", russian), "Мир");
        assert!(code_page("windows-9999").is_none());
    }

    #[test]
    fn utf16_is_known_by_its_mark_and_without_one() {
        let wide = |text: &str, big: bool| -> Vec<u8> {
            let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            text.encode_utf16().flat_map(bytes).collect()
        };
        for big in [false, true] {
            assert_eq!(decode(&wide("\u{feff}dn: cn=Jürgen", big), None), "dn: cn=Jürgen");
            assert_eq!(decode(&wide("dn: cn=Juergen", big), None), "dn: cn=Juergen");
        }
        assert_eq!(decode(b"", None), "");
    }
}
