//! Imports an mbox.

use super::error::{ImportError, unreadable};
use super::files;
use super::known::KnownContents;
use super::run::Run;
use crate::maildir::os_name;
use crate::mbox::reader::{MboxMessage, MboxNotes, MboxReader};
use crate::mbox::writer::unquote;
use crate::mbox::{Quoting, origin};
use crate::{Append, FolderId, FolderName, NewFolder};
use std::fs::File;
use std::path::Path;

/// Opens the mbox at `path`; messages above `body_bytes_max` are only measured.
pub(super) fn open(
    path: &Path,
    body_bytes_max: u64,
) -> Result<MboxReader<File, File>, ImportError> {
    let open = || files::open(path, true).map_err(unreadable(path, "opening this file"));
    Ok(MboxReader::new(open()?, open()?, body_bytes_max))
}

/// Imports the mbox at `path` into a folder of the mailbox begun.
pub(super) fn import(
    run: &mut Run<'_>,
    path: &Path,
    folder: &FolderName,
) -> Result<(), ImportError> {
    let file_name = os_name::to_text(path.file_name().unwrap_or(path.as_os_str()));
    let info = run.folder(folder, NewFolder::default())?;
    let mut known = KnownContents::load(run, &info, &file_name)?;
    let mut reader = open(path, run.options.message_bytes_max)?;
    let mut messages = 0u64;
    while let Some(message) = reader.next().map_err(unreadable(path, "reading this file"))? {
        messages += 1;
        take(run, path, info.id, &file_name, &mut known, message)?;
    }
    note(run, path, messages, reader.notes());
    Ok(())
}

/// Takes one message.
fn take(
    run: &mut Run<'_>,
    path: &Path,
    folder: FolderId,
    file_name: &str,
    known: &mut KnownContents,
    message: MboxMessage,
) -> Result<(), ImportError> {
    let Some(body) = message.body else {
        let place = format!("the message at byte {} has ", message.offset);
        run.is_too_large(path, &place, message.size_bytes);
        return Ok(());
    };
    let body = match run.options.mbox_quoting {
        Quoting::AsStored => body,
        Quoting::Mboxrd => unquote(&body),
    };
    if known.is_known(&body) {
        return run.present();
    }
    let append = Append {
        body,
        internal_date_seconds: message.date_seconds,
        origin: Some(origin(file_name, message.offset, &message.separator)),
        ..Append::default()
    };
    run.add(folder, append)
}

/// Puts what the file holds besides messages into the report.
fn note(run: &mut Run<'_>, path: &Path, messages: u64, notes: &MboxNotes) {
    let MboxNotes { leading_bytes, unseparated, covered } = *notes;
    let name = path.display();
    if leading_bytes > 0 {
        let where_ =
            if messages > 0 { "before the first separator" } else { "without a separator" };
        run.skip(path, format!("{leading_bytes} bytes {where_} belong to no message"), true);
    }
    let mut warn = |text| run.report.warnings.push(format!("{name}: {text}"));
    if unseparated > 0 {
        warn(format!(
            "{unseparated} lines read as separators but follow no empty line; they are part of \
             the message before"
        ));
    }
    if covered > 0 {
        warn(format!(
            "{covered} separators lie inside a message by its Content-Length; they are part of it"
        ));
    }
}
