//! The archived log: every damage is noticed, and no log record is ever given out wrong.

use std::sync::Arc;

use rehome_archive::{
    ArchiveError, ArchiverOptions, BackupKind, CheckLevel, ContentId, LogArchiver, LogEntry,
    LogHeader, LogInfo, StoreId, Target, Until, WriterOptions,
};
use rehome_log::{Lsn, SplitMix64};

use crate::chains::Model;
use crate::fixture::{header, text};
use crate::memory::Memory;

fn log_header() -> LogHeader {
    LogHeader {
        store_id: header().store_id,
        store_epoch: 3,
        software: "rehome 0.1.0".to_owned(),
        account: "root@here".to_owned(),
    }
}

fn options(segment_bytes: usize) -> ArchiverOptions {
    ArchiverOptions { segment_bytes, ..ArchiverOptions::default() }
}

type Brought = Vec<(ContentId, Vec<u8>)>;

/// `count` log records after `after`, with what each brings into the store.
fn entries(after: Lsn, count: u64, seed: u64) -> Vec<(LogEntry, Brought)> {
    let mut random = SplitMix64::new(seed);
    let mut previous = after;
    let mut entries = Vec::new();
    for number in 0..count {
        let lsn = Lsn::from_u64(previous.to_u64() + 1 + random.below(200));
        let body = text(number, 100);
        let id = ContentId::of(&body);
        let brought = if random.chance(40) { vec![(id, body)] } else { Vec::new() };
        let contents = brought.iter().map(|(id, _)| *id).collect();
        let wall_us = 1_700_001_000_000_000 + i64::try_from(number).unwrap() * 1_000_000;
        let payload = text(random.next_u64(), usize::try_from(random.below(400)).unwrap());
        entries.push((LogEntry { lsn, previous, wall_us, contents, payload }, brought));
        previous = lsn;
    }
    entries
}

/// A set with a full backup; the state that it shows.
fn with_backup() -> (Arc<Memory>, Lsn) {
    let (memory, _, lsn) = with_model();
    (memory, lsn)
}

/// The same, and what the store holds.
fn with_model() -> (Arc<Memory>, Model, Lsn) {
    let memory = Arc::new(Memory::default());
    let mut model = Model::default();
    let lsn = back_up(&memory, &mut model, 40, BackupKind::Full);
    (memory, model, lsn)
}

/// A backup after so many steps, with the catalog if it is a full one; the state that it shows.
fn back_up(memory: &Arc<Memory>, model: &mut Model, steps: u64, kind: BackupKind) -> Lsn {
    let target: Arc<dyn Target> = memory.clone();
    let mut random = SplitMix64::new(steps);
    (0..steps).for_each(|_| model.step(&mut random));
    let catalog = kind == BackupKind::Full;
    let options = WriterOptions { catalog, ..crate::fixture::options(4 << 10) };
    model.back_up_as(&target, kind, options).unwrap().header.lsn_end
}

fn archiver(memory: &Arc<Memory>, segment_bytes: usize) -> Result<LogArchiver, ArchiveError> {
    LogArchiver::begin(memory.clone(), log_header(), options(segment_bytes))
}

/// A set with a backup and a log in several segments.
fn archived(segment_bytes: usize) -> (Arc<Memory>, Vec<(LogEntry, Brought)>) {
    let (memory, after) = with_backup();
    let all = archive(&memory, after, segment_bytes);
    (memory, all)
}

/// Archives a log after the backup that shows `after`.
fn archive(memory: &Arc<Memory>, after: Lsn, segment_bytes: usize) -> Vec<(LogEntry, Brought)> {
    let all = entries(after, 60, 1);
    let mut archiver = archiver(memory, segment_bytes).unwrap();
    assert_eq!(archiver.archived(), after);
    for (entry, brought) in &all {
        archiver.entry(entry.clone(), brought.clone()).unwrap();
    }
    archiver.flush().unwrap();
    assert_eq!(archiver.archived(), all.last().unwrap().0.lsn);
    all
}

/// Reads the whole log after `after`; what is handed out must be what was archived. Gives the
/// number of log records read and whether an error came up.
fn read(memory: &Arc<Memory>, all: &[(LogEntry, Brought)], after: Lsn) -> (usize, bool) {
    let Ok(set) = memory.set() else { return (0, true) };
    let mut expected = all.iter().filter(|(entry, _)| entry.lsn > after);
    let (mut count, mut reached) = (0, after);
    for info in set.logs().unwrap() {
        if info.last <= reached {
            continue;
        }
        if info.after > reached {
            return (count, true);
        }
        let Ok(segment) = set.log(&info) else { return (count, true) };
        for entry in segment.entries(reached) {
            let Ok(entry) = entry else { return (count, true) };
            let (known, brought) = expected.next().unwrap();
            assert_eq!(entry, *known);
            for (id, body) in brought {
                match segment.content(id) {
                    Ok(found) => assert_eq!(&found, body),
                    Err(_) => return (count, true),
                }
            }
            reached = entry.lsn;
            count += 1;
        }
    }
    (count, expected.next().is_some())
}

#[test]
fn a_log_comes_back_from_any_place_on() {
    for segment_bytes in [1, 3000, 1 << 20] {
        let (memory, all) = archived(segment_bytes);
        let set = memory.set().unwrap();
        let segments = set.logs().unwrap().len();
        assert_eq!(segments == 1, segment_bytes > 100_000, "{segments}");
        let begin = all[0].0.previous;
        for after in [begin].into_iter().chain(all.iter().map(|(entry, _)| entry.lsn)) {
            let left = all.iter().filter(|(entry, _)| entry.lsn > after).count();
            assert_eq!(read(&memory, &all, after), (left, false));
        }
        let report = set.check_logs(CheckLevel::Deep, &mut |_| {}).unwrap();
        assert!(report.damage.is_empty() && report.segments == segments as u64, "{report:?}");
        let until = all[33].0.lsn;
        let plan = set.plan_restore(Until::Lsn(until)).unwrap();
        assert!(plan.is_complete() && plan.reaches == until, "{plan:?}");
    }
}

#[test]
fn archiving_goes_on_where_it_stopped() {
    let (memory, after) = with_backup();
    let all = entries(after, 40, 2);
    for part in all.chunks(7) {
        let mut archiver = archiver(&memory, 1 << 20).unwrap();
        assert_eq!(archiver.archived(), part[0].0.previous);
        for (entry, brought) in part {
            archiver.entry(entry.clone(), brought.clone()).unwrap();
        }
        archiver.flush().unwrap();
        // A writer that dies with something unwritten leaves no trace of it.
        let mut dies = LogArchiver::begin(memory.clone(), log_header(), options(1 << 20)).unwrap();
        let previous = dies.archived();
        let lsn = Lsn::from_u64(previous.to_u64() + 1);
        let (wall_us, contents, payload) = (0, Vec::new(), Vec::new());
        let entry = LogEntry { lsn, previous, wall_us, contents, payload };
        dies.entry(entry, Vec::new()).unwrap();
    }
    assert_eq!(read(&memory, &all, after), (40, false));
    let report = memory.set().unwrap().check_logs(CheckLevel::Deep, &mut |_| {}).unwrap();
    assert!(report.damage.is_empty(), "{report:?}");
}

#[test]
fn a_log_record_that_does_not_follow_is_refused() {
    let (memory, all) = archived(3000);
    let mut archiver = archiver(&memory, 3000).unwrap();
    let (next, _) = &entries(Lsn::from_u64(all[59].0.lsn.to_u64() + 5), 1, 9)[0];
    for entry in [next.clone(), all[59].0.clone(), all[0].0.clone()] {
        let error = archiver.entry(entry, Vec::new()).unwrap_err();
        assert!(matches!(error, ArchiveError::LogGap { .. }), "{error}");
    }
    let error = archiver.pass_to(next.previous).unwrap_err();
    assert!(matches!(error, ArchiveError::LogGap { .. }), "no backup bridges this: {error}");
}

#[test]
fn a_log_of_another_store_or_without_a_backup_is_refused() {
    let (memory, _) = archived(3000);
    let other = LogHeader { store_id: StoreId([9; 16]), ..log_header() };
    let error = LogArchiver::begin(memory, other, options(1)).err().unwrap();
    assert!(matches!(error, ArchiveError::OtherStore { .. }), "{error}");
    let empty = Arc::new(Memory::default());
    assert!(matches!(archiver(&empty, 1).err().unwrap(), ArchiveError::NoSet));
}

fn log_files(memory: &Memory) -> Vec<String> {
    memory.names().into_iter().filter(|name| name.ends_with(".mlog")).collect()
}

/// The damage is noticed by a check, and reading gives out nothing wrong.
#[track_caller]
fn check(bad: &Arc<Memory>, all: &[(LogEntry, Brought)], context: &str) {
    let set = bad.set().unwrap();
    for level in [CheckLevel::Hashes, CheckLevel::Deep] {
        let report = set.check_logs(level, &mut |_| {}).unwrap();
        assert!(!report.damage.is_empty(), "{context}: a check at {level:?} notices nothing");
    }
    read(bad, all, all[0].0.previous);
}

#[test]
fn every_flipped_byte_and_every_cut_of_a_segment_is_noticed() {
    let (memory, all) = archived(6000);
    let name = log_files(&memory).remove(1);
    let bytes = memory.get(&name);
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        check(&memory.with(&name, Some(bad)), &all, &format!("byte {at}"));
    }
    let grid = (0..bytes.len()).step_by(64).flat_map(|at| [at.saturating_sub(1), at, at + 1]);
    for cut in grid.chain([bytes.len() - 1]) {
        let bad = memory.with(&name, Some(bytes[..cut].to_vec()));
        check(&bad, &all, &format!("cut at {cut}"));
        // A cut that took nothing but index and trailer leaves every log record.
        let (count, failed) = read(&bad, &all, all[0].0.previous);
        assert_eq!(count < all.len(), failed, "cut at {cut}");
    }
}

#[test]
fn a_segment_that_is_missing_or_not_its_own_is_noticed() {
    let (memory, all) = archived(3000);
    let names = log_files(&memory);
    assert!(names.len() > 3);
    let begin = all[0].0.previous;
    for (number, name) in names.iter().enumerate() {
        let bad = memory.with(name, None);
        assert!(read(&bad, &all, begin).1, "{name} is missing");
        let is_inner = number > 0 && number + 1 < names.len();
        if is_inner {
            check(&bad, &all, &format!("{name} is missing"));
            let plan = bad.set().unwrap().plan_restore(Until::Latest).unwrap();
            assert_eq!(plan.gaps.len(), 1, "{plan:?}");
        }
        for other in names.iter().filter(|other| *other != name) {
            let bad = memory.with(name, Some(memory.get(other)));
            check(&bad, &all, &format!("{other} in place of {name}"));
            assert!(read(&bad, &all, begin).1, "{other} in place of {name}");
        }
    }
}

#[test]
fn a_segment_of_another_stores_log_is_refused_with_the_reason() {
    let (memory, _) = archived(1 << 20);
    let other = Arc::new(Memory::default());
    let target: Arc<dyn Target> = other.clone();
    let mut foreign = header();
    foreign.store_id = StoreId([9; 16]);
    let truth = crate::fixture::truth(1, 2, 50);
    let catalog = WriterOptions { catalog: true, ..crate::fixture::options(1 << 20) };
    crate::fixture::write(&target, &truth, foreign, catalog).unwrap();
    let head = LogHeader { store_id: StoreId([9; 16]), ..log_header() };
    let mut archiver = LogArchiver::begin(target, head, options(1 << 20)).unwrap();
    for (entry, brought) in entries(archiver.archived(), 5, 3) {
        archiver.entry(entry, brought).unwrap();
    }
    archiver.flush().unwrap();
    let name = log_files(&other).remove(0);
    let set = memory.with(&name, Some(other.get(&name))).set().unwrap();
    let info: LogInfo = set.logs().unwrap().into_iter().find(|one| one.file == name).unwrap();
    let error = set.log(&info).err().unwrap();
    assert!(error.to_string().contains("of the log of store 0909"), "{error}");
    let report = set.check_logs(CheckLevel::Hashes, &mut |_| {}).unwrap();
    assert!(report.damage.iter().any(|damage| damage.what.contains("0909")), "{report:?}");
}

#[test]
fn a_time_ends_the_plan_with_the_segment_in_which_log_records_are_later() {
    let (memory, all) = archived(3000);
    let set = memory.set().unwrap();
    let segments = set.logs().unwrap();
    let plan_of = |number: usize| set.plan_restore(Until::WallUs(all[number].0.wall_us)).unwrap();
    for number in [0, 17, 40] {
        let (plan, lsn) = (plan_of(number), all[number + 1].0.lsn);
        let holds = segments.iter().position(|one| one.last >= lsn).unwrap();
        assert_eq!(plan.logs.len(), holds + 1, "{number}");
        assert!(plan.is_complete() && plan.log_wall_us > Some(all[number].0.wall_us));
    }
    let plan = plan_of(59);
    assert_eq!((plan.logs.len(), plan.log_wall_us), (segments.len(), Some(all[59].0.wall_us)));
}

#[test]
fn what_a_damaged_or_missing_segment_costs_is_named_by_plan_and_check() {
    let (memory, all) = archived(3000);
    let segments = memory.set().unwrap().logs().unwrap();
    let (bad, end) = (&segments[2], all[59].0.lsn);
    let cut = memory.get(&bad.file)[..40].to_vec();
    for broken in [Some(cut), None] {
        let set = memory.with(&bad.file, broken).set().unwrap();
        for until in [Until::Latest, Until::Lsn(end), Until::WallUs(i64::MAX)] {
            let plan = set.plan_restore(until).unwrap();
            assert_eq!((plan.logs.len(), plan.reaches), (2, bad.after), "{plan:?}");
            assert_eq!(plan.gaps[0].after, bad.after, "{plan:?}");
        }
        let lost = set.check_logs(CheckLevel::Hashes, &mut |_| {}).unwrap().lost;
        let parts: Vec<_> = lost.iter().map(|one| (one.after, one.last)).collect();
        assert_eq!(parts, [(bad.after, bad.last)]);
        assert_eq!(lost[0].until_backup, None);
    }
}

#[test]
fn a_damaged_segment_is_passed_over_for_a_backup_that_comes_further() {
    let (memory, mut model, after) = with_model();
    let all = archive(&memory, after, 3000);
    let segments = memory.set().unwrap().logs().unwrap();
    let (bad, end) = (&segments[1], all[59].0.lsn);
    let steps = u64::from((bad.last.to_u64() - after.to_u64()) as u32) + 5;
    let shown = back_up(&memory, &mut model, steps, BackupKind::Incremental);
    assert!(bad.last < shown && shown < end, "{shown} lies in the log behind {}", bad.last);
    let cut = memory.get(&bad.file)[..40].to_vec();
    for broken in [Some(cut), None] {
        let set = memory.with(&bad.file, broken.clone()).set().unwrap();
        for until in [Until::Latest, Until::Lsn(end), Until::WallUs(i64::MAX)] {
            let plan = set.plan_restore(until).unwrap();
            assert_eq!((plan.logs.len(), plan.reaches), (0, shown), "{plan:?}");
            assert_eq!(plan.backups.len(), 2, "{plan:?}");
            assert_eq!(plan.passed_over.len(), usize::from(broken.is_some()), "{plan:?}");
            assert_eq!(plan.gaps[0].after, shown, "{plan:?}");
        }
    }
}

#[test]
fn log_that_expired_is_not_missed() {
    let (memory, mut model, after) = with_model();
    let all = archive(&memory, after, 3000);
    let set = memory.set().unwrap();
    for (lsn, text) in [(after, "oldest"), (all[5].0.lsn, "old"), (all[50].0.lsn, "new")] {
        set.keep_note(lsn, "directory", text, None).unwrap();
    }
    let shown = back_up(&memory, &mut model, 4000, BackupKind::Full);
    assert!(all[5].0.lsn < shown && shown < all[50].0.lsn, "{shown} lies in the log");
    let segments = set.logs().unwrap().len();
    let plan = set.expire(1, "root", 1_800_000_000_000_000).unwrap();
    assert_eq!(plan.backups.len(), 1, "{plan:?}");
    let left = set.logs().unwrap();
    assert!(left.len() < segments && left[0].after < shown, "{left:?}");
    let report = set.check_logs(CheckLevel::Deep, &mut |_| {}).unwrap();
    assert_eq!((report.damage, report.lost), (Vec::new(), Vec::new()));
    let plan = set.plan_restore(Until::Latest).unwrap();
    assert!(plan.is_complete() && plan.reaches == all[59].0.lsn, "{plan:?}");
    // The first segment that is left is missed.
    let set = memory.with(&left[0].file, None).set().unwrap();
    let report = set.check_logs(CheckLevel::Hashes, &mut |_| {}).unwrap();
    assert!(!report.damage.is_empty() && !report.lost.is_empty(), "{report:?}");
    // What was said last before the moments that are left still counts for them.
    let set = memory.set().unwrap();
    let note = |until| set.note("directory", until).unwrap().map(|(_, text)| text);
    assert_eq!(note(shown).unwrap(), "old");
    assert_eq!(note(all[59].0.lsn).unwrap(), "new");
    assert_eq!(memory.names().iter().filter(|name| name.starts_with("note/")).count(), 2);
}

#[test]
fn the_newest_note_at_or_before_a_moment_is_the_one_that_counts() {
    let (memory, all) = archived(3000);
    let set = memory.set().unwrap();
    let [early, late] = [all[10].0.lsn, all[50].0.lsn];
    set.keep_note(late, "directory", "late", None).unwrap();
    set.keep_note(early, "directory", "early", None).unwrap();
    set.keep_note(early, "directory", "early, again\n", None).unwrap();
    let note = |until| set.note("directory", until).unwrap().map(|(_, text)| text);
    assert_eq!(note(all[9].0.lsn), None);
    assert_eq!(note(early).unwrap(), "early, again\n");
    assert_eq!(note(all[49].0.lsn).unwrap(), "early, again\n");
    assert_eq!(note(late).unwrap(), "late");
    assert_eq!(set.note("other", late).unwrap(), None);
    assert!(set.keep_note(late, "../x", "", None).is_err());
    let name = memory.names().into_iter().find(|name| name.starts_with("note/")).unwrap();
    let mut bytes = memory.get(&name);
    bytes[2] ^= 1;
    let bad = memory.with(&name, Some(bytes)).set().unwrap();
    assert!(bad.note("directory", all[9].0.lsn).unwrap().is_none());
    // Behind the highest number there is none.
    let last = format!("note/{:016x}-ffffffff-directory", late.to_u64());
    let set = memory.with(&last, Some(memory.get(&name))).set().unwrap();
    let refused = set.keep_note(late, "directory", "later", None).unwrap_err();
    assert!(matches!(refused, ArchiveError::Busy { .. }), "{refused}");
}
