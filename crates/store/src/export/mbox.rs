//! Writes a mailbox as mboxes.

use super::error::{ExportError, unwritable};
use super::job::{Job, tree_path};
use super::names::{Taken, component};
use super::target::create_folders;
use crate::mbox::writer::{Altered, write};
use crate::mbox::{separator, separator_of_origin};
use crate::{FolderInfo, MailboxInfo, Message};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Writes one mailbox into its folder.
pub(super) fn export_mailbox(
    job: &mut Job<'_>,
    mailbox: &MailboxInfo,
    path: &Path,
) -> Result<(), ExportError> {
    let mut taken: HashMap<PathBuf, Taken> = HashMap::new();
    for folder in job.folders(mailbox)? {
        let components: Vec<&str> = folder.name.components().collect();
        let (last, above) = components.split_last().expect("a folder's name has a component");
        let above = tree_path(path, above);
        create_folders(&above)?;
        let taken = taken.entry(above.clone()).or_default();
        let name = taken.take_numbered(&component(last), ".mbox");
        export_folder(job, mailbox, &folder, &above.join(name))?;
    }
    Ok(())
}

/// Writes one folder into one file. A message is written when it is known whether one follows.
fn export_folder(
    job: &mut Job<'_>,
    mailbox: &MailboxInfo,
    folder: &FolderInfo,
    path: &Path,
) -> Result<(), ExportError> {
    let file = File::create_new(path).map_err(unwritable(path, "creating this file"))?;
    let mut to = BufWriter::with_capacity(256 * 1024, file);
    let quoting = job.options.quoting;
    let mut waiting: Option<(String, Vec<u8>)> = None;
    let mut altered = 0;
    let mut put = |message: Option<(String, Vec<u8>)>, last| {
        let Some((line, body)) = message else { return Ok(()) };
        let done = write(&mut to, &line, &body, quoting, last);
        let done = done.map_err(unwritable(path, "writing this file"))?;
        altered += u64::from(done != Altered::default());
        Ok(())
    };
    job.each_message(mailbox, folder, |_, message, body| {
        put(waiting.replace((separator_line(message), body.to_vec())), false)
    })?;
    put(waiting.take(), true)?;
    job.counts().altered += altered;
    to.flush().map_err(unwritable(path, "writing this file"))
}

/// The separator line a message came with, or one of its own.
fn separator_line(message: &Message) -> String {
    let line = message.origin.as_deref().and_then(separator_of_origin);
    line.map_or_else(|| separator::format(message.internal_date_seconds), str::to_owned)
}
