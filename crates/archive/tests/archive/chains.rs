//! Backups of changes: base and increments together show exactly what the store held.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use rehome_archive::{
    ArchiveError, BackupHeader, BackupId, BackupKind, BackupWriter, CheckLevel, ContentId, Cursors,
    ExpungeOutline, FolderOutline, MailboxOutline, Manifest, MessageOutline, OutlineChanges, Set,
    SetId, Target, Until, WriterOptions,
};
use rehome_log::{Lsn, SplitMix64};

use crate::fixture::{header, options, text};
use crate::memory::Memory;

/// A store that remembers what changed when, as far as backups ask.
#[derive(Clone, Default)]
pub(crate) struct Model {
    mailboxes: BTreeMap<String, MailboxOutline>,
    numbers: BTreeMap<String, u32>,
    bodies: BTreeMap<ContentId, Vec<u8>>,
    expunges: BTreeMap<String, Vec<ExpungeOutline>>,
    lsn: u32,
    last_number: u32,
}

impl Model {
    fn add_mailbox(&mut self, name: &str) {
        self.last_number += 1;
        self.numbers.insert(name.to_owned(), self.last_number);
        self.expunges.insert(name.to_owned(), Vec::new());
        let inbox = FolderOutline {
            name: "INBOX".to_owned(),
            uidvalidity: self.last_number,
            uidnext: 1,
            modseq: 1,
            ..FolderOutline::default()
        };
        let outline = MailboxOutline {
            name: name.to_owned(),
            highest_modseq: 1,
            folders: vec![inbox],
            ..MailboxOutline::default()
        };
        self.mailboxes.insert(name.to_owned(), outline);
    }

    /// One random change of one random mailbox.
    pub(crate) fn step(&mut self, random: &mut SplitMix64) {
        self.lsn += 1;
        let names: Vec<String> = self.mailboxes.keys().cloned().collect();
        let pick = |random: &mut SplitMix64, len: usize| {
            usize::try_from(random.below(u64::try_from(len).unwrap())).unwrap()
        };
        if names.len() < 2 || random.chance(3) {
            let name = format!("user{}", random.below(6));
            if !self.mailboxes.contains_key(&name) {
                self.add_mailbox(&name);
            }
            return;
        }
        let name = names[pick(random, names.len())].clone();
        if random.chance(2) {
            self.mailboxes.remove(&name);
            return;
        }
        self.change(&name, random);
    }

    /// One random change of this mailbox.
    fn change(&mut self, name: &str, random: &mut SplitMix64) {
        let pick = |random: &mut SplitMix64, len: usize| {
            usize::try_from(random.below(u64::try_from(len).unwrap())).unwrap()
        };
        let seed = random.next_u64();
        let mailbox = self.mailboxes.get_mut(name).unwrap();
        mailbox.highest_modseq += 1;
        let modseq = mailbox.highest_modseq;
        let at = pick(random, mailbox.folders.len());
        let messages = mailbox.folders[at].messages.len();
        let what = random.below(10);
        if what < 3 && self.change_folders(name, (what, at, seed), modseq) {
            return;
        }
        let mailbox = self.mailboxes.get_mut(name).unwrap();
        match what {
            3 | 4 if messages > 0 => {
                let folder = &mut mailbox.folders[at];
                let message = pick(random, messages);
                let uid = folder.messages.remove(message).uid;
                let folder = folder.name.clone();
                let entry = ExpungeOutline { folder, uid, modseq };
                self.expunges.get_mut(name).unwrap().push(entry);
            }
            5 | 6 if messages > 0 => {
                let folder = &mut mailbox.folders[at];
                let message = pick(random, messages);
                folder.messages[message].flags ^= 1;
                folder.messages[message].modseq = modseq;
            }
            _ => {
                let body = text(seed % 50, 150);
                let content = ContentId::of(&body);
                let size_bytes = body.len() as u64;
                self.bodies.insert(content, body);
                let folder = &mut mailbox.folders[at];
                folder.messages.push(MessageOutline {
                    uid: folder.uidnext,
                    modseq,
                    flags: 0,
                    keywords: Vec::new(),
                    internal_date_seconds: 5,
                    size_bytes,
                    content,
                    origin: None,
                });
                folder.uidnext += 1;
            }
        }
    }

    /// Makes, removes or renames a folder; false if there is nothing to do.
    fn change_folders(
        &mut self,
        name: &str,
        (what, at, seed): (u64, usize, u64),
        modseq: u64,
    ) -> bool {
        let mailbox = self.mailboxes.get_mut(name).unwrap();
        let log = self.expunges.get_mut(name).unwrap();
        let taken = |to: &String| mailbox.folders.iter().any(|one| one.name == *to);
        let (made, renamed) = (format!("f{}", seed % 5), format!("g{}", seed % 7));
        match what {
            0 if !taken(&made) => {
                mailbox.folders.push(FolderOutline {
                    name: made,
                    uidvalidity: 9,
                    uidnext: 1,
                    modseq,
                    ..FolderOutline::default()
                });
            }
            1 if at > 0 => {
                let gone = mailbox.folders.remove(at);
                log.retain(|entry| entry.uid == 0 || entry.folder != gone.name);
                log.push(ExpungeOutline { folder: gone.name, uid: 0, modseq });
            }
            2 if at > 0 && !taken(&renamed) => {
                let folder = &mut mailbox.folders[at];
                let from = std::mem::replace(&mut folder.name, renamed.clone());
                folder.modseq = modseq;
                for entry in log.iter_mut().filter(|entry| entry.uid != 0 && entry.folder == from) {
                    entry.folder.clone_from(&renamed);
                }
                log.push(ExpungeOutline { folder: from, uid: 0, modseq });
                log.push(ExpungeOutline { folder: renamed, uid: 0, modseq });
            }
            _ => return false,
        }
        true
    }

    pub(crate) fn header(&self, kind: BackupKind) -> BackupHeader {
        let lsn_end = Lsn::new(1, 4096 + self.lsn);
        let wall_us = 1_700_000_000_000_000 + i64::from(self.lsn) * 1_000_000;
        BackupHeader { kind, lsn_begin: lsn_end, lsn_end, wall_us, ..header() }
    }

    fn cursors(&self, set: SetId) -> Cursors {
        let mut cursors = Cursors::new(set);
        for (name, outline) in &self.mailboxes {
            let folders = outline.folders.iter().map(|one| (one.name.as_str(), one.uidnext));
            cursors.insert(name, self.numbers[name], outline.highest_modseq, folders);
        }
        cursors
    }

    /// What of a mailbox is to be written upon a base with these cursors.
    fn outline_since(&self, name: &str, base: Option<&Cursors>) -> Option<MailboxOutline> {
        let whole = &self.mailboxes[name];
        let known = base.and_then(|base| base.mailbox(name));
        let Some(known) = known.filter(|known| known.number == self.numbers[name]) else {
            return Some(whole.clone());
        };
        let since = known.highest_modseq;
        if since == whole.highest_modseq {
            return None;
        }
        let mut outline = whole.clone();
        for folder in &mut outline.folders {
            folder.messages.retain(|message| message.modseq > since);
        }
        let live: HashSet<&str> = whole.folders.iter().map(|one| one.name.as_str()).collect();
        let expunges = self.expunges[name].iter().filter(|entry| entry.modseq > since);
        let expunges = expunges.filter(|one| one.uid == 0 || live.contains(one.folder.as_str()));
        let expunges = expunges.cloned().collect();
        outline.changes = Some(OutlineChanges { since, expunges });
        Some(outline)
    }

    pub(crate) fn back_up(
        &self,
        target: &Arc<dyn Target>,
        kind: BackupKind,
    ) -> Result<Manifest, ArchiveError> {
        self.back_up_as(target, kind, options(4 << 10))
    }

    pub(crate) fn back_up_as(
        &self,
        target: &Arc<dyn Target>,
        kind: BackupKind,
        options: WriterOptions,
    ) -> Result<Manifest, ArchiveError> {
        let base = match kind {
            BackupKind::Full | BackupKind::Copy => None,
            _ => Some(Set::open(Arc::clone(target))?.base_for(kind)?),
        };
        let (reference, cursors) = base.map(|base| (base.reference, base.cursors)).unzip();
        let header = self.header(kind);
        let has_catalog = options.catalog;
        let mut writer = BackupWriter::begin_upon(Arc::clone(target), header, reference, options)?;
        let mut contents: BTreeMap<ContentId, Vec<u32>> = BTreeMap::new();
        for name in self.mailboxes.keys() {
            let Some(outline) = self.outline_since(name, cursors.as_ref()) else { continue };
            let number = writer.outline(&outline)?;
            for folder in &outline.folders {
                let shown = cursors.as_ref();
                let shown = shown.map_or(0, |shown| shown.shown_below(&outline, &folder.name));
                for message in &folder.messages {
                    if message.uid >= shown {
                        contents.entry(message.content).or_default().push(number);
                    } else {
                        writer.in_base(message.content)?;
                    }
                }
            }
        }
        for (id, owners) in contents {
            writer.content(id, &owners, &self.bodies[&id])?;
        }
        writer.cursors(&self.cursors(writer.set_id()))?;
        if has_catalog {
            writer.catalog(b"rows")?;
        }
        writer.finish()
    }

    /// The bytes of a content that it has ever held.
    pub(crate) fn body(&self, id: &ContentId) -> Option<&Vec<u8>> {
        self.bodies.get(id)
    }

    /// What it holds, by name.
    pub(crate) fn outlines(&self) -> Vec<MailboxOutline> {
        self.mailboxes.values().cloned().collect()
    }

    /// The state that `id` shows is this one, and every content is there.
    #[track_caller]
    pub(crate) fn check(&self, set: &Set, id: BackupId, context: &str) {
        let state = set.state(id, None).unwrap();
        let expected = self.outlines();
        assert_eq!(state.mailboxes(), expected, "{context}");
        let folders = expected.iter().flat_map(|outline| &outline.folders);
        let ids: HashSet<ContentId> =
            folders.flat_map(|folder| &folder.messages).map(|message| message.content).collect();
        let mut found = HashSet::new();
        for content in state.contents(ids.iter().copied()) {
            let content = content.unwrap();
            assert_eq!(content.bytes, self.bodies[&content.id], "{context}");
            assert!(found.insert(content.id), "{context}: a content twice");
        }
        assert_eq!(found, ids, "{context}");
        let report = set.check(id, CheckLevel::Deep, &mut |_| {}).unwrap();
        assert!(report.is_whole() && report.mailboxes.is_empty(), "{context}: {report:?}");
    }
}

/// A history with a backup after every few steps; each shows what the model held then.
#[track_caller]
fn check(seed: u64) {
    let mut random = SplitMix64::new(seed);
    let memory = Arc::new(Memory::default());
    let target: Arc<dyn Target> = memory.clone();
    let mut model = Model::default();
    let mut taken = Vec::new();
    for round in 0..8 {
        for _ in 0..=random.below(25) {
            model.step(&mut random);
        }
        let kind = match random.below(8) {
            _ if round == 0 => BackupKind::Full,
            0 => BackupKind::Full,
            1 => BackupKind::Copy,
            2 | 3 => BackupKind::Differential,
            _ => BackupKind::Incremental,
        };
        let manifest = model.back_up(&target, kind).unwrap();
        taken.push((manifest.backup_id, model.clone()));
    }
    let set = memory.set().unwrap();
    for (id, model) in &taken {
        model.check(&set, *id, &format!("seed {seed}, backup {id}"));
        let until = Until::Lsn(model.header(BackupKind::Full).lsn_end);
        let plan = set.plan_restore(until).unwrap();
        assert!(plan.is_complete() && plan.logs.is_empty(), "seed {seed}: {plan:?}");
    }
}

#[test]
fn base_and_changes_show_exactly_what_the_store_held() {
    for seed in 0..40 {
        check(seed);
    }
}

/// A set with a full backup, a differential one and two incremental ones.
fn chain() -> (Arc<Memory>, Vec<BackupId>) {
    let (differential, incremental) = (BackupKind::Differential, BackupKind::Incremental);
    chain_of(60, &[BackupKind::Full, differential, incremental, incremental])
}

/// A set with backups of these kinds, each after so many steps.
pub(crate) fn chain_of(steps: u32, kinds: &[BackupKind]) -> (Arc<Memory>, Vec<BackupId>) {
    let mut random = SplitMix64::new(99);
    let memory = Arc::new(Memory::default());
    let target: Arc<dyn Target> = memory.clone();
    let mut model = Model::default();
    let ids = kinds.iter().map(|kind| {
        (0..steps).for_each(|_| model.step(&mut random));
        model.back_up(&target, *kind).unwrap().backup_id
    });
    let ids = ids.collect();
    (memory, ids)
}

#[test]
fn every_flipped_byte_of_a_chain_is_noticed_and_nothing_wrong_is_shown() {
    let (memory, ids) = chain_of(6, &[BackupKind::Full, BackupKind::Incremental]);
    let good = memory.set().unwrap().state(ids[1], None).unwrap();
    let rows = good.mailboxes().iter().flat_map(|one| &one.folders);
    let all: Vec<ContentId> =
        rows.flat_map(|folder| &folder.messages).map(|message| message.content).collect();
    for name in memory.names().into_iter().filter(|name| !name.starts_with("verify/")) {
        let owner = ids.iter().find(|id| name.contains(&id.to_string()));
        let bytes = memory.get(&name);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (at % 8);
            let context = format!("{name}, byte {at}");
            let Ok(set) = memory.with(&name, Some(bad)).set() else { continue };
            let checked = set.check(*owner.unwrap(), CheckLevel::Hashes, &mut |_| {});
            assert!(!checked.is_ok_and(|report| report.is_whole()), "{context}");
            let Ok(state) = set.state(ids[1], None) else { continue };
            assert_eq!(state.mailboxes(), good.mailboxes(), "{context}");
            for content in state.contents(all.iter().copied()).flatten() {
                assert_eq!(ContentId::of(&content.bytes), content.id, "{context}");
            }
        }
    }
}

#[test]
fn a_chain_with_a_missing_or_exchanged_manifest_is_refused_with_the_place() {
    let (memory, ids) = chain();
    for missing in &ids[..3] {
        let manifest = memory
            .names()
            .into_iter()
            .find(|name| name.contains(&missing.to_string()) && name.ends_with("MANIFEST"));
        let set = memory.with(&manifest.unwrap(), None).set().unwrap();
        let error = set.state(ids[3], None).err().unwrap();
        assert!(matches!(error, ArchiveError::BrokenChain { .. }), "{error}");
        assert!(error.to_string().contains(&missing.to_string()), "{error}");
        let report = set.check(ids[3], CheckLevel::Hashes, &mut |_| {}).unwrap();
        assert!(!report.is_whole(), "{report:?}");
        match set.plan_restore(Until::Latest) {
            Ok(plan) => assert!(!plan.passed_over.is_empty(), "{plan:?}"),
            Err(error) => assert_eq!(*missing, ids[0], "{error}"),
        }
    }
}

#[test]
fn a_backup_of_changes_needs_a_base_and_one_of_everything_has_none() {
    let target: Arc<dyn Target> = Arc::new(Memory::default());
    let mut model = Model::default();
    model.step(&mut SplitMix64::new(1));
    let error = BackupWriter::begin(
        Arc::clone(&target),
        model.header(BackupKind::Incremental),
        options(1 << 20),
    );
    assert!(matches!(error, Err(ArchiveError::Misuse { .. })));
    model.back_up(&target, BackupKind::Copy).unwrap();
    let error = model.back_up(&target, BackupKind::Incremental).unwrap_err();
    assert!(matches!(error, ArchiveError::NoBase { kind: "incremental", .. }), "{error}");
}

#[test]
fn changes_take_the_room_of_what_changed() {
    let mut random = SplitMix64::new(7);
    let target: Arc<dyn Target> = Arc::new(Memory::default());
    let mut model = Model::default();
    (0..3000).for_each(|_| model.step(&mut random));
    let full = model.back_up(&target, BackupKind::Full).unwrap();
    (0..3).for_each(|_| model.step(&mut random));
    let changes = model.back_up(&target, BackupKind::Incremental).unwrap();
    assert!(changes.totals.messages <= 3, "{:?}", changes.totals);
    assert!(changes.totals.contents <= 3, "{:?}", changes.totals);
    assert!(changes.totals.content_bytes * 5 < full.totals.content_bytes, "{:?}", full.totals);
}
