//! Trying a restore before it is needed, and saving what a damaged backup still has.

use std::path::Path;

use rehome_archive::{
    BackupInfo, ContentId, Fate, MailboxOutline, RestorePlan, Salvage, Set, State, Until,
};
use rehome_store::{
    CheckReport, Frame, LocalSource, MailboxName, MoveSource as _, OpenOptions, Store,
    TransferError,
};

use super::keys::SetAccess;
use super::restore::{Attempt, beside, lay_down, point, write_files_once};
use super::{ExportFormat, expect_free};
use crate::error::Error;
use crate::event::Observe;
use crate::fate::fate_line;
use crate::outline::OutlineBuilder;
use crate::report::JobReport;
use crate::restore::{Chosen, Selection, Source, unreadable};
use crate::summary::bytes;

/// Restores the newest state of a set into a scratch store in folder `scratch`, compares the store
/// with what the outlines say, reads every content of it back, and removes it again.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no set or the scratch folder is not empty;
/// [`Error::Interrupted`] if `observe` says so; [`Error::NeedsHuman`] if the backup cannot be
/// restored. A difference is the report's problem.
pub fn archive_drill<'a>(
    set: impl Into<SetAccess<'a>>,
    scratch: &Path,
    observe: Observe<'_>,
) -> Result<JobReport, Error> {
    let opened = set.into().open()?;
    let plan = opened.plan_restore(Until::Latest).map_err(Error::refused)?;
    expect_free(scratch, "a drill touches nothing that is there")?;
    let latest = opened.latest().map_err(Error::chain)?;
    let id = latest.ok_or_else(|| Error::needs_human("a plan without a backup"))?.id;
    let state = opened.state(id, None).map_err(unreadable)?;
    let chosen = Chosen::of(&state, &Selection::default())?;
    let amount = chosen.amount();
    let store = beside(scratch, "drill")?;
    lay_down(Source::of(&state), chosen, &store, Attempt::Only, observe)?;
    let found = compare(&state, &store);
    std::fs::remove_dir_all(&store)
        .map_err(|error| Error::needs_human(format!("{}: {error}", store.display())))?;
    let mut found = found?;
    let replayed = plan.has_catalog().then(|| replay(&opened, &plan, &store, observe));
    let (replayed, differences) = replayed.transpose()?.unzip();
    found.extend(differences.into_iter().flatten());
    let text = format!(
        "drill of backup {id}: {} mailboxes and {} messages ({}) restored; {}{}{}",
        amount.mailboxes,
        amount.messages,
        bytes(amount.content_bytes),
        if found.is_empty() { "all as the outlines say" } else { "NOT as the outlines say" },
        replayed.as_deref().unwrap_or_default(),
        if plan.gaps.is_empty() { "" } else { "; there is log behind a GAP: see check" }
    );
    let document = serde_json::json!({
        "backup": id.to_string(), "amount": amount, "plan": plan, "differences": found,
    });
    let problem = (!found.is_empty()).then(|| found.join("; "));
    Ok(JobReport::good(&document, text)?.with_problem(problem))
}

/// Replays the log into a store at `path`, checks all of it and removes it again; says how far the
/// log came, and what is wrong.
fn replay(
    set: &Set,
    plan: &RestorePlan,
    path: &Path,
    observe: Observe<'_>,
) -> Result<(String, Vec<String>), Error> {
    let reached = point::lay_down(set, plan, path, Attempt::Only, observe)?.reached;
    let store = Store::open_at(path, OpenOptions::default()).map_err(Error::chain)?;
    let checked = store.check(&mut |_| {}).map_err(Error::chain);
    let counts = store.statistics().map_err(Error::chain);
    store.close().map_err(Error::chain)?;
    std::fs::remove_dir_all(path)
        .map_err(|error| Error::needs_human(format!("{}: {error}", path.display())))?;
    let (checked, counts) = (checked?, counts?);
    let (mailboxes, messages) = (counts.mailboxes, counts.messages);
    let said =
        format!("; with the log up to {reached}: {mailboxes} mailboxes, {messages} messages");
    Ok((said, faults(&checked)))
}

/// What a check of a restored store found.
fn faults(checked: &CheckReport) -> Vec<String> {
    if checked.is_clean() {
        return Vec::new();
    }
    let (damaged, faults) = (checked.damaged.len(), checked.faults.join("; "));
    vec![format!("{damaged} damaged messages in the restored store; {faults}")]
}

/// What is different between a state and the store that was made of it.
fn compare(state: &State, path: &Path) -> Result<Vec<String>, Error> {
    let store = Store::open_at(path, OpenOptions::default()).map_err(Error::chain)?;
    let checked = store.check(&mut |_| {}).map_err(Error::chain)?;
    let mut found = faults(&checked);
    let restored = outlines(&store)?;
    store.close().map_err(Error::chain)?;
    let mut restored = restored.into_iter().peekable();
    for expected in state.mailboxes() {
        match restored.next_if(|one| one.name == expected.name) {
            None => found.push(format!("mailbox {:?} is not there", expected.name)),
            Some(one) if one != *expected => found.push(difference(expected, &one)),
            Some(_) => {}
        }
    }
    found.extend(restored.map(|one| format!("mailbox {:?} is there besides", one.name)));
    Ok(found)
}

/// The outlines of all mailboxes of a store, by name.
pub(super) fn outlines(store: &Store) -> Result<Vec<MailboxOutline>, Error> {
    let mut names: Vec<MailboxName> =
        store.mailboxes().map_err(Error::chain)?.into_iter().map(|one| one.name).collect();
    names.sort();
    let mut source = LocalSource::new(store.clone());
    let mut outlines = Vec::new();
    for name in names {
        let offer = source.offer_all(&[(name, None)]).map_err(Error::chain)?;
        let none = vec![false; offer.contents.len()];
        let mut builder = OutlineBuilder::default();
        let mut take = |frame| -> Result<(), TransferError> {
            if let Frame::Mailbox(batch) = frame {
                builder.add(batch);
            }
            Ok(())
        };
        source.send(&offer, &none, &mut take).map_err(Error::chain)?;
        outlines.extend(builder.finish(None));
    }
    Ok(outlines)
}

fn difference(expected: &MailboxOutline, found: &MailboxOutline) -> String {
    let name = &expected.name;
    if expected.highest_modseq != found.highest_modseq {
        let (had, has) = (expected.highest_modseq, found.highest_modseq);
        return format!("mailbox {name:?} has highest modseq {has}, not {had}");
    }
    let mut pairs = expected.folders.iter().zip(&found.folders);
    if let Some((one, other)) = pairs.find(|(one, other)| one != other) {
        return format!(
            "mailbox {name:?}, folder {:?}: {} messages, UIDVALIDITY {}, UIDNEXT {}; restored \
             {:?}: {}, {}, {}",
            one.name,
            one.messages.len(),
            one.uidvalidity,
            one.uidnext,
            other.name,
            other.messages.len(),
            other.uidvalidity,
            other.uidnext
        );
    }
    format!("mailbox {name:?}: its settings or its folders are different")
}

/// Writes what a damaged or unfinished backup still has as Maildir++ trees, and says what became of
/// each mailbox.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no such set or backup, or the folder is not empty;
/// [`Error::Interrupted`] if `observe` says so; [`Error::NeedsHuman`] if nothing can be read.
/// Losses are the report's problem.
pub fn archive_salvage<'a>(
    set: impl Into<SetAccess<'a>>,
    backup: Option<&str>,
    to: &Path,
    observe: Observe<'_>,
) -> Result<JobReport, Error> {
    let opened = set.into().open()?;
    let id = match backup {
        Some(id) => id.parse().map_err(Error::bad_input)?,
        None => newest(&opened)?.id,
    };
    expect_free(to, "mail is not mixed with other files")?;
    let salvage = opened.salvage(id, &mut |_| {}).map_err(Error::refused)?;
    let outlines = readable(&salvage);
    let Salvage { backup, mailboxes, damage, .. } = salvage;
    let chosen = Chosen::these(outlines);
    let amount = chosen.amount();
    let state = State::of_one(backup);
    write_files_once(Source::of(&state), chosen, to, ExportFormat::Maildir, observe)?;
    let lines: Vec<String> = mailboxes.iter().map(fate_line).collect();
    let lost = mailboxes.iter().filter(|one| one.fate != Fate::Whole).count();
    let text = format!(
        "salvaged {} messages of {} mailboxes ({}) from backup {id} to {}\n{}",
        amount.messages,
        amount.mailboxes,
        bytes(amount.content_bytes),
        to.display(),
        lines.join("\n")
    );
    let document = serde_json::json!({
        "backup": id.to_string(), "amount": amount, "mailboxes": mailboxes, "damage": damage,
    });
    let problem = (lost > 0 || !damage.is_empty()).then(|| {
        format!("backup {id}: {lost} mailboxes are not whole, {} damaged places", damage.len())
    });
    Ok(JobReport::good(&document, text)?.with_problem(problem))
}

fn newest(set: &Set) -> Result<BackupInfo, Error> {
    let newest = set.list().map_err(Error::chain)?.pop();
    newest.ok_or_else(|| Error::bad_input("the set has no backup, so there is nothing to salvage"))
}

/// The outlines that can be read, with those of their messages whose contents can.
fn readable(salvage: &Salvage) -> Vec<MailboxOutline> {
    let mut outlines: Vec<MailboxOutline> = Vec::new();
    for part in salvage.backup.outline_parts().flatten() {
        match outlines.last_mut().filter(|last| last.name == part.outline.name) {
            Some(last) => last.folders.extend(part.outline.folders),
            None => outlines.push(part.outline),
        }
    }
    let there: std::collections::HashSet<ContentId> =
        salvage.backup.contents().flatten().map(|content| content.id).collect();
    for outline in &mut outlines {
        outline.changes = None;
        join_folders(outline);
        for folder in &mut outline.folders {
            folder.messages.retain(|message| there.contains(&message.content));
        }
    }
    outlines
}

/// A folder that goes on in the next part of an outline comes again there.
fn join_folders(outline: &mut MailboxOutline) {
    let mut joined: Vec<rehome_archive::FolderOutline> = Vec::new();
    for mut folder in std::mem::take(&mut outline.folders) {
        match joined.last_mut().filter(|last| last.name == folder.name) {
            Some(last) => last.messages.append(&mut folder.messages),
            None => joined.push(folder),
        }
    }
    outline.folders = joined;
}
