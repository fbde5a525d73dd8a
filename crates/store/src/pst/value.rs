//! Values of properties as text, numbers and times.

use outlook_pst::ltp::prop_context::PropertyValue;

/// Seconds from 1601, where Windows counts from, to 1970.
const SECONDS_1601_TO_1970: i64 = 11_644_473_600;

/// What Windows-1252 has at 0x80 to 0x9F, where Latin 1 has control characters.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// A text; `None` for a value of another kind.
pub(super) fn text(value: &PropertyValue) -> Option<String> {
    let text = match value {
        PropertyValue::Unicode(text) => String::from_utf16_lossy(text.buffer()),
        PropertyValue::String8(text) => from_bytes(text.buffer()),
        _ => return None,
    };
    Some(text.trim_end_matches('\0').to_owned())
}

/// Text whose charset is not stated: UTF-8 if it is that, else Windows-1252.
pub(super) fn from_bytes(bytes: &[u8]) -> String {
    let one = |byte: &u8| match byte {
        0x80..=0x9F => WINDOWS_1252[usize::from(byte - 0x80)],
        _ => char::from(*byte),
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(one).collect(),
    }
}

/// A number; `None` for a value of another kind.
pub(super) fn number(value: &PropertyValue) -> Option<i32> {
    match value {
        PropertyValue::Integer32(number) => Some(*number),
        PropertyValue::Integer16(number) => Some(i32::from(*number)),
        _ => None,
    }
}

/// A time in seconds since 1970; `None` for a value of another kind, or before 1601.
pub(super) fn seconds(value: &PropertyValue) -> Option<i64> {
    match value {
        PropertyValue::Time(ticks) if *ticks > 0 => {
            Some(ticks.div_euclid(10_000_000) - SECONDS_1601_TO_1970)
        }
        _ => None,
    }
}

/// Bytes; `None` for a value of another kind.
pub(super) fn bytes(value: &PropertyValue) -> Option<&[u8]> {
    match value {
        PropertyValue::Binary(bytes) => Some(bytes.buffer()),
        PropertyValue::String8(text) => Some(text.buffer()),
        _ => None,
    }
}

/// The charset of a Windows code page; `None` if it has no common name.
pub(super) fn charset(code_page: i32) -> Option<String> {
    Some(match code_page {
        65001 => "utf-8".to_owned(),
        20127 => "us-ascii".to_owned(),
        932 => "shift_jis".to_owned(),
        936 => "gb2312".to_owned(),
        949 => "ks_c_5601-1987".to_owned(),
        950 => "big5".to_owned(),
        874 | 1250..=1258 => format!("windows-{code_page}"),
        28591..=28605 => format!("iso-8859-{}", code_page - 28590),
        20866 => "koi8-r".to_owned(),
        21866 => "koi8-u".to_owned(),
        50220..=50222 => "iso-2022-jp".to_owned(),
        51932 => "euc-jp".to_owned(),
        51949 => "euc-kr".to_owned(),
        54936 => "gb18030".to_owned(),
        _ => return None,
    })
}
