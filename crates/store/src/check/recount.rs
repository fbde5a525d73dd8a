//! Messages, folders and references, counted again.

use std::collections::BTreeMap;

use super::{CheckReport, Damage, DamagedMessage};
use crate::catalog::View;
use crate::error::StoreError;
use crate::model::{FolderId, FolderInfo, MailboxId, Message};
use crate::tree::Scan;

/// Contents whose references are counted in one pass over the messages.
const PASS_CONTENTS: usize = 4 << 20;

/// A folder being counted.
struct Counted {
    mailbox: MailboxId,
    folder: FolderId,
    messages: u64,
    bytes: u64,
}

/// Counts the messages of every folder, and lists those with damaged content.
pub(super) fn messages(
    view: &View,
    damaged: &BTreeMap<u64, Damage>,
    report: &mut CheckReport,
) -> Result<(), StoreError> {
    let mut current: Option<Counted> = None;
    let mut with_messages = 0;
    let mut removed = 0;
    view.every_message(&mut |mailbox, folder, message, number| {
        report.messages += 1;
        let same = |counted: &Counted| (counted.mailbox, counted.folder) == (mailbox, folder);
        if !current.as_ref().is_some_and(same) {
            if let Some(counted) = current.take() {
                removed += compare(view, &counted, report)?;
            }
            with_messages += 1;
            current = Some(Counted { mailbox, folder, messages: 0, bytes: 0 });
        }
        if let Some(counted) = &mut current {
            counted.messages += 1;
            counted.bytes += message.size_bytes;
        }
        if !view.is_indexed(mailbox, folder, &message)? {
            report.faults.push(format!(
                "message {} of folder {folder} of mailbox {mailbox} is not in the change index",
                message.uid
            ));
        }
        match damaged.get(&number) {
            Some(damage) => {
                report.damaged.push(name_damaged(view, (mailbox, folder), &message, damage)?);
                Ok(())
            }
            None => Ok(()),
        }
    })?;
    if let Some(counted) = current {
        removed += compare(view, &counted, report)?;
    }
    totals(view, with_messages, removed, report)
}

/// Names the message that has a damaged content.
pub(super) fn name_damaged(
    view: &View,
    at: (MailboxId, FolderId),
    message: &Message,
    damage: &Damage,
) -> Result<DamagedMessage, StoreError> {
    let mailbox = view.mailbox(at.0)?.map_or_else(|| view.removed_mailbox(at.0), |m| Ok(Some(m)));
    let mailbox = mailbox?.ok_or(StoreError::NoSuchMailbox { mailbox: at.0 })?;
    let missing = StoreError::NoSuchFolder { mailbox: at.0, folder: at.1 };
    let folder = view.folder(at.0, at.1)?;
    let folder = folder.map_or_else(|| view.removed_folder(at.0, at.1), |f| Ok(Some(f)));
    let folder = folder?.ok_or(missing)?;
    Ok(DamagedMessage {
        mailbox: mailbox.name,
        folder: folder.name,
        uid: message.uid,
        content: message.content,
        extent: Some(damage.extent),
        cause: damage.cause.clone(),
    })
}

/// Compares the counters of a folder; returns how many messages it has if it was removed.
fn compare(view: &View, counted: &Counted, report: &mut CheckReport) -> Result<u64, StoreError> {
    let Counted { mailbox, folder, messages, bytes } = counted;
    let live = view.folder(*mailbox, *folder)?;
    let removed = if live.is_some() { 0 } else { *messages };
    let info = live.map_or_else(|| view.removed_folder(*mailbox, *folder), |info| Ok(Some(info)));
    let Some(info) = info? else {
        report
            .faults
            .push(format!("messages are in folder {folder} of mailbox {mailbox}, unknown"));
        return Ok(0);
    };
    if (info.messages, info.bytes) != (*messages, *bytes) {
        report.faults.push(format!(
            "folder {} of mailbox {mailbox} counts {} messages of {} bytes, and there are \
             {messages} of {bytes}",
            info.name, info.messages, info.bytes
        ));
    }
    Ok(removed)
}

/// Mailboxes against the sums of their folders, and the store against the sums of these.
fn totals(
    view: &View,
    with_messages: u64,
    removed: u64,
    report: &mut CheckReport,
) -> Result<(), StoreError> {
    let meta = view.meta()?;
    let (mut folders_count, mut filled) = (0, removed_with_messages(view)?);
    let mailboxes = view.mailboxes()?;
    for mailbox in &mailboxes {
        let folders = view.folders(mailbox.id)?;
        folders_count += folders.len() as u64;
        filled += folders.iter().filter(|folder| folder.messages > 0).count() as u64;
        let sum = |of: fn(&FolderInfo) -> u64| folders.iter().map(of).sum::<u64>();
        let sums = (sum(|folder| folder.messages), sum(|folder| folder.bytes));
        if sums != (mailbox.messages, mailbox.bytes) {
            report
                .faults
                .push(format!("mailbox {} does not count what its folders do", mailbox.name));
        }
    }
    if filled != with_messages {
        report
            .faults
            .push(format!("{filled} folders count messages, and {with_messages} have any"));
    }
    let counted = (mailboxes.len() as u64, folders_count, report.messages - removed);
    if counted != (meta.mailboxes, meta.folders, meta.messages) {
        report.faults.push(format!(
            "the store counts {:?} mailboxes, folders and messages, and there are {counted:?}",
            (meta.mailboxes, meta.folders, meta.messages)
        ));
    }
    Ok(())
}

/// How many removed folders have messages.
fn removed_with_messages(view: &View) -> Result<u64, StoreError> {
    let gone = view.removed_mailboxes()?.into_iter().map(|gone| gone.mailbox.id);
    let there = view.mailboxes()?.into_iter().map(|mailbox| mailbox.id);
    let mut filled = 0;
    for id in gone.chain(there) {
        for with_mailbox in [false, true] {
            let folders = view.removed_folders(id, with_mailbox)?;
            filled += folders.iter().filter(|removed| removed.folder.messages > 0).count() as u64;
        }
    }
    Ok(filled)
}

/// Counts how many messages have each content, so many contents at a time.
pub(super) fn references(view: &View, report: &mut CheckReport) -> Result<(), StoreError> {
    let end = view.meta()?.next_content;
    let mut dead = 0;
    let mut first = 0;
    while first < end {
        let len = usize::try_from(end - first).unwrap_or(usize::MAX).min(PASS_CONTENTS);
        let mut counts = vec![0_u32; len];
        let slot = |number: u64| usize::try_from(number.checked_sub(first)?).ok();
        let mut refer = |number: u64| {
            if let Some(count) = slot(number).and_then(|slot| counts.get_mut(slot)) {
                *count += 1;
            }
            Ok(())
        };
        view.every_message(&mut |_, _, _, number| refer(number))?;
        view.every_removed(&mut refer)?;
        view.contents(first, &mut |number, row| {
            let Some(count) = slot(number).and_then(|slot| counts.get(slot)) else {
                return Ok(Scan::Stop);
            };
            dead += u64::from(*count == 0);
            if u64::from(*count) != row.refs || (row.refs == 0) != row.dead_since.is_some() {
                report.faults.push(format!(
                    "content {number} counts {} messages, and {count} have it",
                    row.refs
                ));
            }
            Ok(Scan::Next)
        })?;
        first += len as u64;
    }
    let counted = view.meta()?.dead_contents;
    if dead != counted {
        report
            .faults
            .push(format!("the store counts {counted} dead contents, and there are {dead}"));
    }
    Ok(())
}
