//! The files that Dovecot keeps beside the messages of a Maildir: keywords, UIDs, subscriptions.

use crate::maildir::folder_name::{component_from_disk, component_to_disk};
use crate::maildir::os_name::bytes_to_text;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

/// Keywords by letter, `a` to `z`: the file `dovecot-keywords`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Keywords(BTreeMap<char, String>);

impl Keywords {
    /// How many letters there are.
    const LETTERS: u8 = 26;

    /// Reads lines `NUMBER NAME`; what is not such a line is left out.
    pub(crate) fn parse(text: &str) -> Self {
        let mut keywords = Self::default();
        for line in text.lines() {
            let Some((number, name)) = line.split_once(' ') else { continue };
            // A line end that the last line has half would be whole when it is written.
            let name = name.trim_end_matches('\r');
            let number = number.parse::<u8>().ok().filter(|number| *number < Self::LETTERS);
            if let (Some(number), false) = (number, name.is_empty()) {
                keywords.0.insert(char::from(b'a' + number), name.to_owned());
            }
        }
        keywords
    }

    /// The file's text.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        for (letter, name) in &self.0 {
            let number = u32::from(*letter) - u32::from('a');
            writeln!(text, "{number} {name}").expect("a string takes everything");
        }
        text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keyword of a letter.
    pub(crate) fn name(&self, letter: char) -> Option<&str> {
        self.0.get(&letter).map(String::as_str)
    }

    /// The letter of a keyword; a new one if it has none yet, and `None` if all are taken or the
    /// name does not fit on a line. `reserved` letters are not given away.
    pub(crate) fn letter(&mut self, name: &str, reserved: &[char]) -> Option<char> {
        if let Some((letter, _)) = self.0.iter().find(|(_, known)| *known == name) {
            return Some(*letter);
        }
        if name.is_empty() || name.contains(['\n', '\r', '\0']) {
            return None;
        }
        let free = |letter: &char| !self.0.contains_key(letter) && !reserved.contains(letter);
        let letter = ('a'..='z').find(free)?;
        self.0.insert(letter, name.to_owned());
        Some(letter)
    }
}

/// The UIDs of a folder: the file `dovecot-uidlist`, versions 1 and 3.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UidList {
    /// UIDVALIDITY, never 0.
    pub uidvalidity: u32,
    /// The next UID, higher than all in `uids`.
    pub uidnext: u32,
    /// The folder's GUID (`G`).
    pub guid: Option<String>,
    /// UIDs by base name.
    pub uids: HashMap<String, u32>,
}

impl UidList {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// What is wrong, with the line: nothing of a file that contradicts itself is used.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let header = lines.next().and_then(|line| std::str::from_utf8(line).ok());
        let (version, mut list) =
            header.and_then(Self::header).ok_or("line 1 is no header of version 1 or 3")?;
        let mut last = 0;
        for (index, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
            let number = index + 2;
            let (uid, base) = Self::entry(version, line)
                .ok_or_else(|| format!("line {number} is no entry of version {version}"))?;
            if uid <= last {
                return Err(format!("line {number}: UID {uid} does not come after {last}"));
            }
            last = uid;
            if list.uids.insert(base, uid).is_some() {
                return Err(format!("line {number}: the file has another UID already"));
            }
        }
        let after_last = last.checked_add(1).ok_or("the last UID leaves no room for another")?;
        list.uidnext = list.uidnext.max(after_last);
        Ok(list)
    }

    /// Reads the first line: the version and an empty list.
    fn header(line: &str) -> Option<(u32, Self)> {
        let mut fields = line.split(' ');
        let version = fields.next()?.parse().ok()?;
        let (mut uidvalidity, mut uidnext, mut guid) = (0, 0, None);
        match version {
            1 => {
                uidvalidity = fields.next()?.parse().ok()?;
                uidnext = fields.next()?.parse().ok()?;
            }
            3 => {
                for field in fields {
                    match field.split_at_checked(1) {
                        Some(("V", value)) => uidvalidity = value.parse().ok()?,
                        Some(("N", value)) => uidnext = value.parse().ok()?,
                        Some(("G", value)) => guid = Some(value.to_owned()),
                        _ => {}
                    }
                }
            }
            _ => return None,
        }
        let list = Self { uidvalidity, uidnext, guid, uids: HashMap::new() };
        (uidvalidity > 0).then_some((version, list))
    }

    /// Reads a line: `UID NAME` in version 1, `UID FIELD… :NAME` in version 3.
    fn entry(version: u32, line: &[u8]) -> Option<(u32, String)> {
        let after = |text: &[u8], byte| text.iter().position(|other| *other == byte);
        let space = after(line, b' ')?;
        let uid = std::str::from_utf8(&line[..space]).ok()?.parse().ok()?;
        let mut name = &line[space + 1..];
        if version == 3 {
            let colon = name.windows(2).position(|pair| pair == b" :").map(|at| at + 1);
            name = name.strip_prefix(b":").or_else(|| name.get(colon? + 1..))?;
        }
        let base = after(name, b':').map_or(name, |end| &name[..end]);
        Some((uid, bytes_to_text(base)))
    }

    /// The first line of a file of version 3.
    pub(crate) fn header_line(uidvalidity: u32, uidnext: u32, guid: Option<&str>) -> String {
        let guid = guid.map_or_else(String::new, |guid| format!(" G{guid}"));
        format!("3 V{uidvalidity} N{uidnext}{guid}\n")
    }
}

/// How a `subscriptions` file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SubscriptionsForm {
    /// `V<tab>2`, an empty line, then one folder a line with tabs between components.
    Version2,
    /// One folder a line with dots between components.
    Plain,
}

impl SubscriptionsForm {
    const HEADER: &str = "V\t2\n\n";

    /// The name that the mailbox attribute keeps.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Version2 => "dovecot-2",
            Self::Plain => "plain",
        }
    }

    /// The form with that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Version2, Self::Plain].into_iter().find(|form| form.name() == name)
    }

    /// Reads a file: its form, and the folders as "A/B".
    pub(crate) fn parse(text: &str) -> (Self, Vec<String>) {
        let (form, body) = match text.strip_prefix("V\t2\n") {
            Some(body) => (Self::Version2, body),
            None => (Self::Plain, text),
        };
        let lines = body.lines().filter(|line| !line.is_empty());
        (form, lines.map(|line| form.folder(line)).collect())
    }

    fn folder(self, line: &str) -> String {
        let parts: Vec<String> = match self {
            Self::Version2 => {
                line.split('\t').map(|part| component_from_disk(&tab_unescape(part))).collect()
            }
            Self::Plain => line.split('.').map(component_from_disk).collect(),
        };
        parts.join("/")
    }

    /// Writes a file.
    pub(crate) fn to_text(self, folders: &[String]) -> String {
        let (mut text, between) = match self {
            Self::Version2 => (Self::HEADER.to_owned(), "\t"),
            Self::Plain => (String::new(), "."),
        };
        for folder in folders {
            let parts: Vec<String> = folder.split('/').map(component_to_disk).collect();
            text.push_str(&parts.join(between));
            text.push('\n');
        }
        text
    }
}

/// Undoes Dovecot's escape of tab, line ends and NUL by the control character 1.
fn tab_unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\u{1}' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('0') => plain.push('\0'),
            Some('1') => plain.push('\u{1}'),
            other => plain.extend(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests;
