//! Maildir++ names: what the name of a message file and of a folder say.

pub(crate) mod folder_name;
pub(crate) mod os_name;
pub(crate) mod tree;

use crate::Flags;
use std::ffi::OsStr;

/// The upper-case letters of the info part, in the order in which they must be written.
const LETTERS: [(u8, Flags); 6] = [
    (b'D', Flags::DRAFT),
    (b'F', Flags::FLAGGED),
    (b'P', Flags::FORWARDED),
    (b'R', Flags::ANSWERED),
    (b'S', Flags::SEEN),
    (b'T', Flags::DELETED),
];

/// A keyword that stands for a letter whose meaning the folder does not state.
pub(crate) const LETTER_KEYWORD: &str = "maildir-";

/// What the name of a message file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileInfo {
    /// The text of the name without the info part: the same for the whole life of the message.
    pub base: String,
    /// Flags of the upper-case letters; never `RECENT`.
    pub flags: Flags,
    /// Letters that are not flags: keywords of the folder (`a` to `z`) and unknown ones.
    pub letters: Vec<char>,
    /// Characters of the info part that mean nothing and are not kept.
    pub dropped: String,
}

impl FileInfo {
    /// Reads a file name.
    pub(crate) fn parse(name: &OsStr) -> Self {
        let bytes = name.as_encoded_bytes();
        let colon = bytes.iter().position(|byte| *byte == b':');
        let (base, info) = bytes.split_at(colon.unwrap_or(bytes.len()));
        let info = String::from_utf8_lossy(info);
        let info = info.strip_prefix(':').unwrap_or_default();
        let base = os_name::bytes_to_text(base);
        let mut read =
            Self { base, flags: Flags::NONE, letters: Vec::new(), dropped: String::new() };
        // Only the second version of the info part has a meaning; the first was experimental.
        let Some(letters) = info.strip_prefix("2,") else {
            read.dropped.push_str(info);
            return read;
        };
        for character in letters.chars() {
            let known = LETTERS.iter().find(|(letter, _)| char::from(*letter) == character);
            if let Some((_, flag)) = known {
                read.flags.insert(*flag);
            } else if !character.is_ascii_alphanumeric() {
                read.dropped.push(character);
            } else if !read.letters.contains(&character) {
                read.letters.push(character);
            }
        }
        read
    }
}

/// The size that a base name states in its `S=` field.
pub(crate) fn stated_size(base: &str) -> Option<u64> {
    base.split(',').skip(1).find_map(|field| field.strip_prefix("S=")?.parse().ok())
}

/// Writes the info part of a file name; `letters` are those of keywords.
pub(crate) fn info(flags: Flags, letters: &[char]) -> String {
    let mut all: Vec<char> = LETTERS
        .iter()
        .filter(|(_, flag)| flags.contains(*flag))
        .map(|(letter, _)| char::from(*letter))
        .chain(letters.iter().copied())
        .collect();
    all.sort_unstable();
    all.dedup();
    let mut text = String::from(":2,");
    text.extend(all);
    text
}

/// The keyword that keeps a letter without a name.
pub(crate) fn letter_keyword(letter: char) -> String {
    format!("{LETTER_KEYWORD}{letter}")
}

/// The letter that a keyword keeps, if it is one of [`letter_keyword`].
pub(crate) fn keyword_letter(keyword: &str) -> Option<char> {
    let mut characters = keyword.strip_prefix(LETTER_KEYWORD)?.chars();
    let letter = characters.next()?;
    let flag = LETTERS.iter().any(|(known, _)| char::from(*known) == letter);
    (characters.next().is_none() && letter.is_ascii_alphanumeric() && !flag).then_some(letter)
}

#[cfg(test)]
mod tests {
    use super::{FileInfo, info, keyword_letter, letter_keyword, stated_size};
    use crate::Flags;
    use std::ffi::OsStr;

    fn flags(all: &[Flags]) -> Flags {
        let mut flags = Flags::default();
        all.iter().for_each(|flag| flags.insert(*flag));
        flags
    }

    #[track_caller]
    fn check(name: &str, base: &str, all: &[Flags], letters: &str, dropped: &str) {
        let expected = FileInfo {
            base: base.to_owned(),
            flags: flags(all),
            letters: letters.chars().collect(),
            dropped: dropped.to_owned(),
        };
        assert_eq!(FileInfo::parse(OsStr::new(name)), expected);
    }

    #[test]
    fn file_names_are_taken_apart() {
        check("1.M2P3.host", "1.M2P3.host", &[], "", "");
        check("1.M2P3.host,S=5,W=6:2,", "1.M2P3.host,S=5,W=6", &[], "", "");
        check("1.x:2,S", "1.x", &[Flags::SEEN], "", "");
        check(
            "1.x:2,DFPRST",
            "1.x",
            &[
                Flags::DRAFT,
                Flags::FLAGGED,
                Flags::FORWARDED,
                Flags::ANSWERED,
                Flags::SEEN,
                Flags::DELETED,
            ],
            "",
            "",
        );
        check("1.x:2,TSaXc", "1.x", &[Flags::SEEN, Flags::DELETED], "aXc", "");
        check("1.x:2,S,a-", "1.x", &[Flags::SEEN], "a", ",-");
        check("1.x:1,abc", "1.x", &[], "", "1,abc");
        check("1.x:", "1.x", &[], "", "");
        check(":2,S", "", &[Flags::SEEN], "", "");
    }

    #[test]
    fn the_info_part_is_written_in_order() {
        assert_eq!(info(flags(&[]), &[]), ":2,");
        assert_eq!(info(flags(&[Flags::SEEN, Flags::RECENT]), &[]), ":2,S");
        let all = flags(&[Flags::SEEN, Flags::ANSWERED, Flags::FLAGGED]);
        assert_eq!(info(all, &['c', 'X', 'a']), ":2,FRSXac");
    }

    #[test]
    fn the_size_stands_in_a_field_of_its_own() {
        assert_eq!(stated_size("1.M2P3.host,S=517,W=600"), Some(517));
        assert_eq!(stated_size("1.M2P3.host,W=600,S=517"), Some(517));
        assert_eq!(stated_size("1.M2P3.S=5"), None);
        assert_eq!(stated_size("1.M2P3.host,S=x"), None);
    }

    #[test]
    fn a_letter_without_a_name_survives_as_a_keyword() {
        assert_eq!(letter_keyword('q'), "maildir-q");
        assert_eq!(keyword_letter("maildir-q"), Some('q'));
        for keyword in ["maildir-", "maildir-qq", "maildir-S", "maildir-,", "Work"] {
            assert_eq!(keyword_letter(keyword), None, "{keyword}");
        }
    }
}
