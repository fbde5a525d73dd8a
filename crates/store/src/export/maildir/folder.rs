//! Writes one folder of a Maildir++.

use crate::dovecot::{Keywords, UidList};
use crate::export::error::{ExportError, unwritable};
use crate::export::job::Job;
use crate::export::names::{Taken, is_maildir_base};
use crate::export::target::{create_folders, write_file};
use crate::import::{GUID, KEYWORDS};
use crate::maildir::{info, keyword_letter, os_name};
use crate::{Flags, FolderInfo, MailboxInfo, Message};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

/// Writes a folder with its messages, UIDs and keywords.
pub(super) fn export(
    job: &mut Job<'_>,
    mailbox: &MailboxInfo,
    folder: &FolderInfo,
    path: &Path,
) -> Result<(), ExportError> {
    create_message_folders(path)?;
    if !folder.name.is_inbox() {
        write_file(&path.join("maildirfolder"), b"", None)?;
    }
    let keywords = keywords(job, mailbox, folder, path)?;
    if !keywords.is_empty() {
        write_file(&path.join("dovecot-keywords"), keywords.to_text().as_bytes(), None)?;
    }
    let guid =
        folder.attributes.get(GUID).filter(|guid| guid.bytes().all(|b| b.is_ascii_graphic()));
    let list_path = path.join("dovecot-uidlist");
    let file =
        File::create_new(&list_path).map_err(unwritable(&list_path, "creating this file"))?;
    let mut writer = Writer { path, keywords, taken: Taken::default(), list: BufWriter::new(file) };
    let header =
        UidList::header_line(folder.uidvalidity.0, folder.uidnext.0, guid.map(String::as_str));
    writer.list(header.as_bytes())?;
    job.each_message(mailbox, folder, |_, message, body| writer.write(message, body))?;
    writer.list.flush().map_err(unwritable(&list_path, "writing this file"))
}

/// Creates `cur`, `new` and `tmp`.
pub(super) fn create_message_folders(path: &Path) -> Result<(), ExportError> {
    ["cur", "new", "tmp"].iter().try_for_each(|name| create_folders(&path.join(name)))
}

/// Gives letters to the keywords in use: those that the folder came with first.
fn keywords(
    job: &mut Job<'_>,
    mailbox: &MailboxInfo,
    folder: &FolderInfo,
    path: &Path,
) -> Result<Keywords, ExportError> {
    let mut used = BTreeSet::new();
    job.each_row(mailbox, folder, |_, message| {
        used.extend(message.keywords);
        Ok(())
    })?;
    let mut keywords = folder
        .attributes
        .get(KEYWORDS)
        .map_or_else(Keywords::default, |text| Keywords::parse(text));
    let own: Vec<char> = used.iter().filter_map(|keyword| keyword_letter(keyword)).collect();
    for keyword in &used {
        if !keeps_letter(keyword, &keywords) && keywords.letter(keyword, &own).is_none() {
            job.warn(
                path,
                &format!("there is no letter for keyword {keyword:?}, which is left out"),
            );
        }
    }
    Ok(keywords)
}

/// Whether a keyword stands for a letter that has no other meaning here.
fn keeps_letter(keyword: &str, keywords: &Keywords) -> bool {
    keyword_letter(keyword).is_some_and(|letter| keywords.name(letter).is_none())
}

/// Writes the messages of a folder.
struct Writer<'p> {
    path: &'p Path,
    keywords: Keywords,
    taken: Taken,
    list: BufWriter<File>,
}

impl Writer<'_> {
    /// Writes a message into `tmp`, moves it to its place and lists its UID.
    fn write(&mut self, message: &Message, body: &[u8]) -> Result<(), ExportError> {
        let base = self.base(message);
        let recent = message.flags.contains(Flags::RECENT);
        let mut name = base.clone();
        let info = info(message.flags, &self.letters(message));
        if !recent || info != ":2," {
            name.push(&info);
        }
        let tmp = self.path.join("tmp").join(&base);
        write_file(&tmp, body, Some(message.internal_date_seconds))?;
        let to = self.path.join(if recent { "new" } else { "cur" }).join(name);
        fs::rename(&tmp, &to).map_err(unwritable(&to, "moving this file to its place"))?;
        let uid = message.uid;
        self.list(&[format!("{uid} :").as_bytes(), base.as_encoded_bytes(), b"\n"].concat())
    }

    fn list(&mut self, line: &[u8]) -> Result<(), ExportError> {
        let path = self.path.join("dovecot-uidlist");
        self.list.write_all(line).map_err(unwritable(&path, "writing this file"))
    }

    /// The name without the info part: that of the import if there was one and it is free and
    /// safe, else one of its own.
    fn base(&mut self, message: &Message) -> OsString {
        let origin = message.origin.as_deref().map(os_name::from_text);
        if let Some(name) = origin.filter(|name| is_maildir_base(name))
            && self.taken.take(&name)
        {
            return name;
        }
        let Message { uid, size_bytes, internal_date_seconds: date, .. } = message;
        let stem = format!("{date}.R{uid}P0.rehome");
        let name = OsString::from(format!("{stem},S={size_bytes}"));
        if self.taken.take(&name) {
            return name;
        }
        self.taken.take_numbered(&stem, &format!(",S={size_bytes}"))
    }

    fn letters(&self, message: &Message) -> Vec<char> {
        let letter = |keyword: &String| match keeps_letter(keyword, &self.keywords) {
            true => keyword_letter(keyword),
            false => self.keywords.clone().letter(keyword, &('a'..='z').collect::<Vec<_>>()),
        };
        message.keywords.iter().filter_map(letter).collect()
    }
}
