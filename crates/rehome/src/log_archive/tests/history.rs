//! Seeded histories of deliveries, flags, moves, deletes and returns, archived while they go on,
//! and restored through the archive to random moments.

use rehome_archive::Until;
use rehome_log::{Lsn, SplitMix64};
use rehome_store::{FlagChange, Flags, FolderId, MailboxId, MailboxState, Modseq, NewFolder, Uid};

use super::{Scene, Seen, restore, seen, set};
use crate::backup::{self, BackupRequest};
use crate::testing::{append, folder, letter, mailbox, quiet};

/// Moments of each history that are restored.
const MOMENTS: usize = 20;

/// Seeds of a run; `REHOME_POINT_SEEDS=1000` asks for more.
fn seeds() -> u64 {
    std::env::var("REHOME_POINT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(50)
}

fn below(random: &mut SplitMix64, end: usize) -> usize {
    usize::try_from(random.below(end as u64)).expect("it is below a length")
}

fn one_of<'a, T>(random: &mut SplitMix64, all: &'a [T]) -> Option<&'a T> {
    if all.is_empty() { None } else { Some(&all[below(random, all.len())]) }
}

/// A mailbox of the store, one of its folders, and the UIDs there.
fn place(scene: &Scene, random: &mut SplitMix64) -> Option<(MailboxId, FolderId, Vec<Uid>)> {
    let mailboxes = scene.store.mailboxes().expect("readable");
    let at = one_of(random, &mailboxes)?;
    let folders = scene.store.folders(at.id).expect("readable");
    let Some(one) = one_of(random, &folders) else {
        let inbox = scene.store.create_folder(at.id, &folder("INBOX"), NewFolder::default());
        return Some((at.id, inbox.expect("a new one").id, Vec::new()));
    };
    let rows = scene.store.messages(at.id, one.id, Uid(0), usize::MAX).expect("readable");
    Some((at.id, one.id, rows.iter().map(|row| row.uid).collect()))
}

/// One change at random; some change nothing.
fn step(scene: &Scene, random: &mut SplitMix64, number: usize) {
    let store = &scene.store;
    let Some((mailbox_id, folder_id, uids)) = place(scene, random) else {
        scene.make(&format!("first{number}"));
        return;
    };
    let uid = one_of(random, &uids).copied();
    match (random.below(20), uid) {
        (0..8, _) => {
            // A text that comes again is a content that is there already, or was.
            let text = format!("letter {}", random.below(30));
            let names = ["INBOX", "Sent", "Projects/2026"];
            let name = one_of(random, &names).copied().expect("some");
            append(store, (mailbox_id, name), &letter(&text), Flags::NONE);
        }
        (8..11, Some(uid)) => {
            let change = FlagChange { add: Flags::SEEN, ..FlagChange::default() };
            store.store_flags(mailbox_id, folder_id, uid, change).expect("it is there");
        }
        (11..14, Some(uid)) => drop(store.expunge(mailbox_id, folder_id, &[uid]).expect("there")),
        (14, Some(uid)) => {
            let to = store.create_folder(mailbox_id, &folder("Kept"), NewFolder::default());
            let to = (mailbox_id, to.expect("a folder").id);
            drop(store.move_messages((mailbox_id, folder_id), &[uid], to).expect("there"));
        }
        (15, _) => give_back(scene, mailbox_id, folder_id),
        (16, _) => {
            let kept = store.folder(mailbox_id, &folder("Kept")).expect("readable");
            if let Some(kept) = kept {
                store.delete_folder(mailbox_id, kept.id).expect("deletable");
            }
        }
        (17, _) if store.mailboxes().expect("readable").len() > 2 => {
            store.delete_mailbox(mailbox_id).expect("deletable");
        }
        (18, _) => {
            let name = mailbox(&format!("user{number}"));
            store.create_mailbox(&name, MailboxState::Active).expect("a new one");
        }
        _ => drop(store.checkpoint().expect("room")),
    }
}

/// Gives back what went first from a mailbox.
fn give_back(scene: &Scene, mailbox: MailboxId, to: FolderId) {
    let gone = scene.store.recoverable(mailbox, Modseq(0), 1).expect("readable");
    if let Some(first) = gone.first() {
        scene.store.undelete(mailbox, &[first.removed], to).expect("recoverable");
    }
}

/// Works and archives at random; what was seen after each step, from the first base on.
fn work(scene: &Scene, random: &mut SplitMix64) -> Vec<(Lsn, Seen)> {
    let base_at = below(random, 12);
    let mut moments = Vec::new();
    for number in 0..40 {
        scene.clock.advance_ms(random.below(5_000));
        step(scene, random, number);
        if number == base_at || number > base_at && random.chance(15) {
            scene.archive().expect("room");
        }
        if number > base_at && random.chance(4) {
            base(scene);
        }
        if number >= base_at {
            moments.push((scene.store.lsn(), seen(&scene.store)));
        }
    }
    scene.archive().expect("room");
    moments
}

/// A full backup that log can follow, in the middle of a log.
fn base(scene: &Scene) {
    let request = BackupRequest {
        set: std::path::PathBuf::new(),
        account: "tester".to_owned(),
        directory: None,
        options: rehome_archive::BackupKind::Full.into(),
        catalog: true,
        encryption: None,
        clock: scene.clock.clone(),
    };
    let names = scene.store.mailboxes().expect("readable");
    let names: Vec<_> = names.into_iter().map(|one| one.name).collect();
    let mut source = rehome_store::LocalSource::new(scene.store.clone());
    let target = super::target(&scene.set);
    backup::back_up_into(target, &mut source, &names, &request, &mut quiet).expect("room");
}

#[track_caller]
fn check(seed: u64) {
    let scene = Scene::new();
    let mut random = SplitMix64::new(seed);
    let moments = work(&scene, &mut random);
    let set = set(&scene.set);
    for _ in 0..MOMENTS {
        let (lsn, expected) = &moments[below(&mut random, moments.len())];
        let (store, reached) = restore(&set, Until::Lsn(*lsn))
            .unwrap_or_else(|error| panic!("seed {seed}, to {lsn}: {error}"));
        assert_eq!(seen(&store), *expected, "seed {seed}, to {lsn}, reached {reached}");
        let checked = store.check(&mut |_| {}).expect("readable");
        assert!(checked.is_clean(), "seed {seed}, to {lsn}: {checked:?}");
    }
}

#[test]
fn through_the_archive_a_store_comes_back_as_it_was_at_any_moment() {
    let seeds = seeds();
    for seed in 0..seeds {
        check(seed);
    }
    println!("seeds 0 to {}, {MOMENTS} moments each", seeds - 1);
}
