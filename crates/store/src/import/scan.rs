//! Counts and bytes of a source, for plans; message files are not opened.

use super::detect::{SourceKind, detect_source};
use super::error::{ImportError, unreadable};
use super::report::Skipped;
use super::{mbox, site};
use crate::eml::listing;
use crate::maildir::os_name;
use crate::maildir::tree::{self, skip};
use serde::Serialize;
use std::path::Path;

/// What a site or source holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ScanReport {
    /// Each mailbox, sorted by name; a single source is one.
    pub mailboxes: Vec<ScannedMailbox>,
    /// What an import would not take.
    pub skipped: Vec<Skipped>,
}

/// What one mailbox holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ScannedMailbox {
    /// Its name: that of its folder or file.
    pub name: String,
    /// Folders, empty ones as well.
    pub folders: u64,
    /// Messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of the largest.
    pub largest_bytes: u64,
}

impl ScannedMailbox {
    fn add(&mut self, size_bytes: u64) {
        self.messages += 1;
        self.bytes += size_bytes;
        self.largest_bytes = self.largest_bytes.max(size_bytes);
    }
}

/// Counts what [`import_site`](crate::import_site) would find. Names and sizes of files are read,
/// nothing else.
///
/// # Errors
///
/// As [`import_site`](crate::import_site), without those of a store.
pub fn scan_site(root: &Path) -> Result<ScanReport, ImportError> {
    let (mailboxes, skipped) = site::mailboxes(root, None)?;
    let mut report = ScanReport { skipped, ..ScanReport::default() };
    for (name, path) in mailboxes {
        let mut mailbox = ScannedMailbox { name: name.into(), ..ScannedMailbox::default() };
        scan_maildir(&path, &mut mailbox, &mut report.skipped)?;
        report.mailboxes.push(mailbox);
    }
    Ok(report)
}

/// Counts what [`import_source`](crate::import_source) would find. An mbox is read from end to end,
/// because nothing else says how many messages it has.
///
/// # Errors
///
/// As [`import_source`](crate::import_source), without those of a store.
pub fn scan_source(path: &Path) -> Result<ScanReport, ImportError> {
    let kind = detect_source(path)?;
    let mut report = ScanReport::default();
    let name = os_name::to_text(path.file_name().unwrap_or(path.as_os_str()));
    let mut mailbox = ScannedMailbox { name, ..ScannedMailbox::default() };
    match kind {
        SourceKind::Maildir => scan_maildir(path, &mut mailbox, &mut report.skipped)?,
        SourceKind::MessageFolder => scan_tree(path, &mut mailbox, &mut report.skipped)?,
        SourceKind::Mbox => scan_mbox(path, &mut mailbox)?,
        SourceKind::Outlook => {
            let mut folders = 0;
            let skipped = super::pst::scan(path, || folders += 1, |size| mailbox.add(size))?;
            mailbox.folders += folders;
            report.skipped.extend(skipped);
        }
        SourceKind::Message => {
            mailbox.folders += 1;
            scan_file(path, &mut mailbox, &mut report.skipped);
        }
    }
    report.mailboxes.push(mailbox);
    Ok(report)
}

fn scan_maildir(
    path: &Path,
    mailbox: &mut ScannedMailbox,
    skipped: &mut Vec<Skipped>,
) -> Result<(), ImportError> {
    let tree = tree::read(path)?;
    skipped.extend(tree.skipped);
    for (index, folder) in tree.folders.iter().enumerate() {
        mailbox.folders += 1;
        for entry in tree::entries(&folder.path, index == 0, skipped)? {
            scan_file(&entry.path(&folder.path), mailbox, skipped);
        }
    }
    Ok(())
}

fn scan_file(path: &Path, mailbox: &mut ScannedMailbox, skipped: &mut Vec<Skipped>) {
    match std::fs::metadata(path) {
        Ok(metadata) => mailbox.add(metadata.len()),
        Err(error) => skipped.push(skip(path, format!("looking at it failed: {error}"), true)),
    }
}

fn scan_mbox(path: &Path, mailbox: &mut ScannedMailbox) -> Result<(), ImportError> {
    let mut reader = mbox::open(path, 0)?;
    mailbox.folders += 1;
    while let Some(message) = reader.next().map_err(unreadable(path, "reading this file"))? {
        mailbox.add(message.size_bytes);
    }
    Ok(())
}

fn scan_tree(
    path: &Path,
    mailbox: &mut ScannedMailbox,
    skipped: &mut Vec<Skipped>,
) -> Result<(), ImportError> {
    let mut left = vec![path.to_owned()];
    while let Some(path) = left.pop() {
        let listing = listing(&path)?;
        skipped.extend(listing.skipped);
        mailbox.folders += 1;
        for file in listing.messages {
            scan_file(&path.join(file), mailbox, skipped);
        }
        for file in listing.mboxes {
            scan_mbox(&path.join(file), mailbox)?;
        }
        left.extend(listing.folders.into_iter().rev().map(|below| path.join(below)));
    }
    Ok(())
}
