//! Sizes of mailboxes: from a table, from a store, or from mail that is looked at.

use std::collections::BTreeMap;
use std::path::Path;

use rehome_planner::{Measured, Share, Size};
use rehome_site::{Site, SizeTable};
use rehome_store::{SourceKind, detect_source, scan_site, scan_source};

use crate::error::Error;
use crate::jobs::open;
use crate::site_file::bad;

/// Reads the sizes of a site's mailboxes. What names no mailbox is listed, not dropped.
///
/// # Errors
///
/// [`Error::BadInput`] for a table, a store or mail that cannot be read.
pub(crate) fn from(path: &Path, site: &Site) -> Result<Measured, Error> {
    let ending = path.extension().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
    if path.is_file() && ["csv", "txt", "tsv"].iter().any(|one| ending.eq_ignore_ascii_case(one)) {
        return of_table(path, site);
    }
    if path.join("store.id").exists() {
        return of_store(path);
    }
    of_mail(path)
}

fn of_table(path: &Path, site: &Site) -> Result<Measured, Error> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path)
        .map_err(|error| Error::BadInput { message: format!("{shown}: {error}") })?;
    let mut table = SizeTable::read(&bytes, &shown).map_err(|found| bad(&found))?;
    let mut mailboxes = BTreeMap::new();
    for mailbox in &site.mailboxes {
        let Some(size) = table.take(&mailbox.name, mailbox.display_name.as_deref()) else {
            continue;
        };
        let share = size.share.map(|(group, bytes)| Share { group, bytes });
        let size = Size {
            // Nobody counts messages in a table that has no such column: 30 KiB is usual.
            messages: size.messages.unwrap_or(size.bytes / (30 << 10)),
            bytes: size.bytes,
            share,
            bytes_a_day: size.bytes_a_day.unwrap_or(0),
        };
        mailboxes.insert(mailbox.name.to_string(), size);
    }
    let left = table.left().into_iter();
    let unmatched_rows = left.map(|(line, name)| format!("{shown}:{line} {name}")).collect();
    Ok(Measured { mailboxes, unmatched_rows, ..Measured::default() })
}

fn of_store(path: &Path) -> Result<Measured, Error> {
    let store = open(path)?;
    let statistics = store.statistics().map_err(Error::chain)?;
    let mut mailboxes = BTreeMap::new();
    for one in store.mailboxes().map_err(Error::chain)? {
        let size = Size { messages: one.messages, bytes: one.bytes, ..Size::default() };
        mailboxes.insert(one.name.to_string(), size);
    }
    store.close().map_err(Error::chain)?;
    let unique_bytes = Some(statistics.content_bytes);
    Ok(Measured { mailboxes, unique_bytes, ..Measured::default() })
}

fn of_mail(path: &Path) -> Result<Measured, Error> {
    let single = detect_source(path).is_ok_and(|kind| kind != SourceKind::MessageFolder);
    let scan = if single { scan_source(path) } else { scan_site(path) };
    let scan = scan.map_err(Error::bad_input)?;
    let size = |one: &rehome_store::ScannedMailbox| Size {
        messages: one.messages,
        bytes: one.bytes,
        ..Size::default()
    };
    let mailboxes = scan.mailboxes.iter().map(|one| (one.name.clone(), size(one))).collect();
    Ok(Measured { mailboxes, ..Measured::default() })
}
