//! What kind of mail is at a path.

use super::error::{ImportError, unreadable};
use super::files::{self, Kind};
use crate::maildir::tree;
use crate::mbox::separator;
use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;

/// What kind of mail a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// A Maildir++ with its folders.
    Maildir,
    /// One mbox file.
    Mbox,
    /// A folder of `.eml` files (and mboxes), with the folders in it.
    MessageFolder,
    /// An Outlook file (PST).
    Outlook,
    /// One message in a file.
    Message,
}

/// How many bytes of a file are looked at to tell what it is.
const HEAD_BYTES: u64 = 8 * 1024;

/// Says what kind of mail is at `path`; a symbolic link given by name is followed, no other.
///
/// # Errors
///
/// [`ImportError::Missing`] if nothing is there, [`ImportError::NotMail`] if it is none of the
/// kinds, [`ImportError::Unreadable`] if it cannot be told.
pub fn detect_source(path: &Path) -> Result<SourceKind, ImportError> {
    let metadata = std::fs::metadata(path).map_err(unreadable(path, "looking at this"))?;
    if metadata.is_dir() {
        return detect_folder(path);
    }
    if !metadata.is_file() {
        let remedy = "give a Maildir, an mbox, a folder of .eml files or one .eml file";
        return Err(not_mail(path, Kind::Other.reason(), remedy));
    }
    match by_extension(path.as_os_str()) {
        Some(FileKind::Message) => Ok(SourceKind::Message),
        Some(FileKind::Mbox) => Ok(SourceKind::Mbox),
        None => detect_head(path),
    }
}

fn not_mail(path: &Path, found: &'static str, remedy: &'static str) -> ImportError {
    ImportError::NotMail { path: path.to_owned(), found, remedy }
}

fn detect_folder(path: &Path) -> Result<SourceKind, ImportError> {
    if tree::is_maildir(path)? {
        return Ok(SourceKind::Maildir);
    }
    if holds_messages(path)? {
        return Ok(SourceKind::MessageFolder);
    }
    for (name, kind) in files::list(path)? {
        if kind == Kind::Folder && tree::is_maildir(&path.join(name))? {
            let remedy = "import it as a site, or give one of the Maildirs in it";
            return Err(not_mail(path, "a folder of Maildirs", remedy));
        }
    }
    let remedy = "give a folder with cur and new in it, or one with .eml or .mbox files";
    Err(not_mail(path, "a folder without mail", remedy))
}

/// Whether the folder, or one below it, holds a file that counts as mail by its name.
fn holds_messages(path: &Path) -> Result<bool, ImportError> {
    let mut left = vec![path.to_owned()];
    while let Some(path) = left.pop() {
        for (name, kind) in files::list(&path)? {
            match kind {
                Kind::File if by_name(&name).is_some() => return Ok(true),
                Kind::Folder => {
                    let below = path.join(name);
                    if !tree::is_maildir(&below)? {
                        left.push(below);
                    }
                }
                Kind::File | Kind::Link | Kind::Other => {}
            }
        }
    }
    Ok(false)
}

/// What a file is by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// One message.
    Message,
    /// An mbox.
    Mbox,
}

/// What a file in a folder of messages is: `.eml`, `.mbox`, or a number as in MH.
pub(crate) fn by_name(name: &OsStr) -> Option<FileKind> {
    let number = name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    if number { Some(FileKind::Message) } else { by_extension(name) }
}

fn by_extension(name: &OsStr) -> Option<FileKind> {
    let extension = Path::new(name).extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "eml" => Some(FileKind::Message),
        "mbox" | "mbx" => Some(FileKind::Mbox),
        _ => None,
    }
}

/// Tells an mbox from a message by how the file begins.
fn detect_head(path: &Path) -> Result<SourceKind, ImportError> {
    let mut head = Vec::new();
    let file = files::open(path, true).map_err(unreadable(path, "opening this file"))?;
    let read = file.take(HEAD_BYTES).read_to_end(&mut head);
    read.map_err(unreadable(path, "reading this file"))?;
    if head.starts_with(b"!BDN") {
        return Ok(SourceKind::Outlook);
    }
    let lines =
        head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    match lines.into_iter().find(|line| !line.is_empty()) {
        Some(line) if separator::parse(line).is_some() => Ok(SourceKind::Mbox),
        Some(line) if is_header(line) => Ok(SourceKind::Message),
        _ => {
            let remedy = "give it the extension .eml or .mbox if it is mail all the same";
            Err(not_mail(path, "a file that begins neither as an mbox nor as a message", remedy))
        }
    }
}

/// Whether a line is the first of a header: a name of printable ASCII, then a colon.
fn is_header(line: &[u8]) -> bool {
    let colon = line.iter().position(|byte| *byte == b':');
    colon.is_some_and(|end| end > 0 && line[..end].iter().all(u8::is_ascii_graphic))
}
