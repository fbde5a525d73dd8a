//! Bringing an outline up to date with the outline of changes that follows it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{ExpungeOutline, FolderOutline, MailboxOutline, MessageOutline};

/// The mailbox `base` after what `next` says, which may be the whole mailbox.
///
/// # Errors
///
/// What keeps `next` from following `base`.
pub(crate) fn apply(
    base: Option<MailboxOutline>,
    next: MailboxOutline,
) -> Result<MailboxOutline, String> {
    let Some(changes) = next.changes else { return Ok(next) };
    let name = next.name;
    let base = base.ok_or_else(|| format!("changes of mailbox {name:?}, which its base lacks"))?;
    if base.highest_modseq != changes.since {
        return Err(format!(
            "changes of mailbox {name:?} after {}, and its base has it up to {}",
            changes.since, base.highest_modseq
        ));
    }
    let mut before: HashMap<String, FolderOutline> =
        base.folders.into_iter().map(|folder| (folder.name.clone(), folder)).collect();
    for step in steps(&changes.expunges) {
        take_step(&mut before, step);
    }
    let mut gone: HashMap<&str, HashSet<u32>> = HashMap::new();
    for expunge in changes.expunges.iter().filter(|expunge| expunge.uid != 0) {
        gone.entry(&expunge.folder).or_default().insert(expunge.uid);
    }
    let folders = next.folders.into_iter().map(|folder| {
        let known = before.remove(&folder.name).map(|known| known.messages).unwrap_or_default();
        let gone = gone.remove(folder.name.as_str()).unwrap_or_default();
        let messages = merge(known, folder.messages, &gone);
        FolderOutline { messages, ..folder }
    });
    Ok(MailboxOutline { name, folders: folders.collect(), changes: None, ..next })
}

/// A folder's old name, and its new one if it has one.
struct Step<'a> {
    from: &'a str,
    to: Option<&'a str>,
}

/// What became of folders' names, in order.
fn steps(expunges: &[ExpungeOutline]) -> Vec<Step<'_>> {
    let mut of_folders: Vec<_> = expunges.iter().filter(|expunge| expunge.uid == 0).collect();
    of_folders.sort_by_key(|expunge| expunge.modseq);
    let mut steps: Vec<(u64, Step<'_>)> = Vec::new();
    for expunge in of_folders {
        match steps.last_mut() {
            Some((modseq, step)) if *modseq == expunge.modseq && step.to.is_none() => {
                step.to = Some(&expunge.folder);
            }
            _ => steps.push((expunge.modseq, Step { from: &expunge.folder, to: None })),
        }
    }
    steps.into_iter().map(|(_, step)| step).collect()
}

fn take_step(folders: &mut HashMap<String, FolderOutline>, step: Step<'_>) {
    if step.to.is_some_and(|to| folders.contains_key(to)) {
        return;
    }
    if let (Some(folder), Some(to)) = (folders.remove(step.from), step.to) {
        folders.insert(to.to_owned(), folder);
    }
}

/// `known` with `changed` in place of its own and without `gone`, by UID.
fn merge(
    mut known: Vec<MessageOutline>,
    changed: Vec<MessageOutline>,
    gone: &HashSet<u32>,
) -> Vec<MessageOutline> {
    if !gone.is_empty() {
        known.retain(|message| !gone.contains(&message.uid));
    }
    if changed.is_empty() {
        return known;
    }
    let all = known.into_iter().chain(changed);
    let by_uid: BTreeMap<u32, MessageOutline> = all.map(|row| (row.uid, row)).collect();
    by_uid.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ContentId;
    use crate::outline::OutlineChanges;

    fn message(uid: u32, modseq: u64) -> MessageOutline {
        MessageOutline {
            uid,
            modseq,
            flags: 0,
            keywords: Vec::new(),
            internal_date_seconds: 0,
            size_bytes: 1,
            content: ContentId([1; 32]),
            origin: None,
        }
    }

    fn mailbox(folders: &[(&str, &[(u32, u64)])], highest_modseq: u64) -> MailboxOutline {
        let folder = |(name, rows): &(&str, &[(u32, u64)])| FolderOutline {
            name: (*name).to_owned(),
            messages: rows.iter().map(|(uid, modseq)| message(*uid, *modseq)).collect(),
            ..FolderOutline::default()
        };
        let folders = folders.iter().map(folder).collect();
        MailboxOutline { highest_modseq, folders, ..MailboxOutline::default() }
    }

    fn changes(of: MailboxOutline, since: u64, gone: &[(&str, u32, u64)]) -> MailboxOutline {
        let expunge = |(folder, uid, modseq): &(&str, u32, u64)| ExpungeOutline {
            folder: (*folder).to_owned(),
            uid: *uid,
            modseq: *modseq,
        };
        let expunges = gone.iter().map(expunge).collect();
        MailboxOutline { changes: Some(OutlineChanges { since, expunges }), ..of }
    }

    #[track_caller]
    fn check(base: &MailboxOutline, next: MailboxOutline, expected: &MailboxOutline) {
        assert_eq!(apply(Some(base.clone()), next).as_ref(), Ok(expected));
    }

    #[test]
    fn rows_replace_rows_and_expunges_remove_them() {
        let base = mailbox(&[("INBOX", &[(1, 1), (2, 2), (3, 3)]), ("Sent", &[(1, 4)])], 4);
        let next = mailbox(&[("INBOX", &[(2, 5), (4, 7)]), ("Sent", &[])], 7);
        let after = mailbox(&[("INBOX", &[(2, 5), (3, 3), (4, 7)]), ("Sent", &[(1, 4)])], 7);
        check(&base, changes(next, 4, &[("INBOX", 1, 6)]), &after);
    }

    #[test]
    fn a_folder_keeps_its_messages_under_its_new_name_and_goes_with_them() {
        let base = mailbox(&[("a", &[(1, 1)]), ("b", &[(1, 2)]), ("c", &[(1, 3)])], 3);
        let next = mailbox(&[("b", &[]), ("c", &[])], 6);
        let steps = [("b", 0, 4), ("a", 0, 5), ("b", 0, 5)];
        let after = mailbox(&[("b", &[(1, 1)]), ("c", &[(1, 3)])], 6);
        check(&base, changes(next, 3, &steps), &after);
        let next = mailbox(&[("a", &[]), ("b", &[(9, 7)])], 7);
        let after = mailbox(&[("a", &[(1, 1)]), ("b", &[(9, 7)])], 7);
        check(&base, changes(next, 3, &[("b", 0, 4), ("c", 0, 5)]), &after);
    }

    #[test]
    fn a_whole_mailbox_replaces_what_was_there() {
        let base = mailbox(&[("INBOX", &[(1, 1)])], 1);
        let whole = mailbox(&[("INBOX", &[(7, 1)])], 1);
        check(&base, whole.clone(), &whole);
        assert_eq!(apply(None, whole.clone()), Ok(whole));
    }

    #[test]
    fn changes_after_another_moment_than_the_base_shows_are_refused() {
        let base = mailbox(&[], 4);
        for since in [3, 5] {
            apply(Some(base.clone()), changes(mailbox(&[], 9), since, &[])).unwrap_err();
        }
        apply(None, changes(mailbox(&[], 9), 4, &[])).unwrap_err();
    }
}
