//! Moves that are whole, stopped, killed, raced and contradicted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rehome_log::{Disk, FileName, ManualClock, OpenMode, SplitMix64};

use super::testing::*;
use super::*;
use crate::{Flow, FolderName, MailboxName, MailboxState, Modseq, StoreError, Uid};

#[test]
fn all_mailboxes_arrive_as_they_were_and_shared_contents_travel_once() {
    let world = World::new(4, 24);
    let report = world.move_all();
    world.check_all_moved();
    let statistics = world.source.statistics().unwrap();
    assert_eq!(report.moved.len(), 4);
    assert_eq!(report.contents_sent, statistics.contents - statistics.dead_contents);
    assert_eq!(report.messages, statistics.messages);
    assert_eq!(report.bytes, statistics.message_bytes);
    assert!(report.lock_ms.max > 0.0 && report.lock_ms.max >= report.lock_ms.p50);
}

#[test]
fn one_mailbox_moves_alone() {
    let world = World::new(3, 12);
    let one = world.mailboxes[1].clone();
    let job = MoveJob::new(vec![one.clone()], "EX1", "EX2");
    world.carry_out(&job, &mut |_| Flow::Continue).unwrap();
    world.check_moved(&one);
    for other in [&world.mailboxes[0], &world.mailboxes[2]] {
        assert_eq!(World::state(&world.source, other), Some(MailboxState::Active));
        assert_eq!(World::state(&world.target, other), None);
    }
}

#[test]
fn a_mailbox_that_has_moved_is_skipped() {
    let world = World::new(2, 6);
    world.move_all();
    let again = world.move_all();
    assert_eq!(again.moved_before, world.mailboxes);
    assert_eq!((again.moved.len(), again.rows_sent, again.contents_sent), (0, 0, 0));
    world.check_all_moved();
}

#[test]
fn a_job_in_parts_does_the_same() {
    let world = World::new(5, 9);
    let job = MoveJob { part_messages_max: 20, ..world.job() };
    world.carry_out(&job, &mut |_| Flow::Continue).unwrap();
    world.check_all_moved();
}

/// Moves with offers of so few changes of one mailbox, while one change more comes in each round.
#[track_caller]
fn check_small_offers(rows_max: u64, more: usize) {
    let world = World::new(3, 24);
    let (mut source, mut target) = (
        LocalSource::new(world.source.clone()).with_offered_rows_max(rows_max),
        LocalTarget::with_small_bytes(world.target.clone(), 2048),
    );
    let job = MoveJob { delta_rows_max: 2, lock_rows_max: 3, rounds_max: 100, ..world.job() };
    let busy = world.source.mailbox(&world.mailboxes[1]).unwrap().unwrap().id;
    let mut rounds = 0;
    let mut observe = |event| {
        if let MoveEvent::Offered { round: 1.., .. } = event {
            rounds += 1;
            if rounds <= more {
                deliver(&world.source, busy, &format!("late {rounds}")).unwrap();
            }
        }
        Flow::Continue
    };
    let (clock, mut homes) = (ManualClock::new(0), world.homes.clone());
    let moved = bulk_move(&mut source, &mut target, &mut homes, &job, &clock, &mut observe);
    let report = moved.unwrap();
    assert_eq!((report.moved.len(), report.backed_out), (3, 0), "{rows_max} rows");
    assert!(rounds as u64 > 24 / rows_max, "{rounds} rounds of {rows_max} rows");
    world.check_all_moved();
}

#[test]
fn a_mailbox_that_is_too_large_for_one_offer_moves_in_several() {
    for rows_max in [4, 5, 7, 11] {
        check_small_offers(rows_max, 0);
        check_small_offers(rows_max, 6);
    }
}

#[test]
fn empty_mailboxes_and_mailboxes_without_folders_move() {
    let world = World::new(1, 3);
    let empty = name("nobody");
    world.source.create_mailbox(&empty, MailboxState::Active).unwrap();
    world.homes.0.lock().unwrap().insert(empty.clone(), "EX1".to_owned());
    let job = MoveJob::new(vec![empty.clone()], "EX1", "EX2");
    world.carry_out(&job, &mut |_| Flow::Continue).unwrap();
    world.check_moved(&empty);
}

/// Runs a move that stops at an event, checks that nothing is locked, and runs it again.
#[track_caller]
fn check_stop(stop_at: usize) -> bool {
    let world = World::new(5, 9);
    let mut events = 0;
    let stopped = world.carry_out(&world.job(), &mut |_| {
        events += 1;
        if events == stop_at { Flow::Stop } else { Flow::Continue }
    });
    if events < stop_at {
        return false;
    }
    assert!(matches!(stopped, Err(MoveError::Stopped)), "event {stop_at}: {stopped:?}");
    for mailbox in &world.mailboxes {
        let writers = [&world.source, &world.target]
            .into_iter()
            .filter(|store| World::state(store, mailbox) == Some(MailboxState::Active));
        assert_eq!(writers.count(), 1, "event {stop_at}: {mailbox}");
    }
    let durable = world.target.statistics().unwrap().contents;
    let report = world.move_all();
    world.check_all_moved();
    let statistics = world.source.statistics().unwrap();
    let needed = statistics.contents - statistics.dead_contents;
    assert_eq!(report.contents_sent + durable, needed, "event {stop_at}: something went twice");
    true
}

#[test]
fn stopped_at_any_event_the_same_move_goes_on() {
    let stops = (1..).take_while(|stop_at| check_stop(*stop_at)).count();
    assert!(stops > 20, "{stops} events are too few to prove anything");
}

/// Kills a move at a call of any side, with or without the power of both, and runs it again.
#[track_caller]
fn check_kill(calls: u64, failing: Failing, power_cut: bool) -> bool {
    let world = World::new(3, 7);
    let fuse = Fuse::new(calls, failing);
    let mut source = Fused(LocalSource::new(world.source.clone()), fuse.clone());
    let target = LocalTarget::with_small_bytes(world.target.clone(), 512);
    let mut target = Fused(target, fuse.clone());
    let mut homes = Fused(world.homes.clone(), fuse.clone());
    let (job, clock) = (world.job(), ManualClock::new(0));
    let killed =
        bulk_move(&mut source, &mut target, &mut homes, &job, &clock, &mut |_| Flow::Continue);
    let context = format!("call {calls} {failing:?}, power cut: {power_cut}, seed {calls}");
    let world = if power_cut { world.after_power_cut(calls) } else { world };
    if fuse.calls() <= calls {
        killed.expect(&context);
        world.check_all_moved();
        return false;
    }
    killed.expect_err(&context);
    for mailbox in &world.mailboxes {
        let both = [&world.source, &world.target]
            .into_iter()
            .all(|store| World::state(store, mailbox) == Some(MailboxState::Active));
        assert!(!both, "{context}: {mailbox} has two homes");
    }
    let report = world.move_all();
    let all = report.moved.len() + report.moved_before.len();
    assert_eq!(all, world.mailboxes.len(), "{context}");
    world.check_all_moved();
    true
}

#[test]
fn killed_before_any_call_the_same_move_goes_on() {
    let kills = (0..).take_while(|calls| check_kill(*calls, Failing::Before, false)).count();
    assert!(kills > 50, "{kills} calls are too few to prove anything");
}

#[test]
fn killed_after_any_call_the_same_move_goes_on() {
    let kills = (0..).take_while(|calls| check_kill(*calls, Failing::After, false)).count();
    assert!(kills > 50, "{kills} calls are too few to prove anything");
}

#[test]
fn after_a_power_cut_at_any_call_the_same_move_goes_on() {
    let kills = (0..).take_while(|calls| check_kill(*calls, Failing::After, true)).count();
    assert!(kills > 50, "{kills} calls are too few to prove anything");
}

/// A job above the size from which on the source has a thread of its own.
fn large_world() -> World {
    let world = World::new(5, 3);
    for mailbox in &world.mailboxes {
        let id = world.source.mailbox(mailbox).unwrap().unwrap().id;
        for number in 0..12 {
            deliver(&world.source, id, &format!("{mailbox} {number} {}", "long ".repeat(800)))
                .unwrap();
        }
    }
    assert!(world.source.statistics().unwrap().content_bytes > 1 << 20);
    world
}

#[test]
fn a_large_job_can_be_stopped_at_any_event() {
    for stop_at in (1..).step_by(5) {
        let world = large_world();
        let mut events = 0;
        let stopped = world.carry_out(&world.job(), &mut |_| {
            events += 1;
            if events == stop_at { Flow::Stop } else { Flow::Continue }
        });
        if events >= stop_at {
            assert!(matches!(stopped, Err(MoveError::Stopped)), "event {stop_at}: {stopped:?}");
            world.move_all();
        }
        world.check_all_moved();
        if events < stop_at {
            assert!(stop_at > 20, "{events} events are too few to prove anything");
            return;
        }
    }
}

#[test]
fn a_large_job_survives_the_death_of_either_side() {
    for calls in (0..).step_by(7) {
        let world = large_world();
        let fuse = Fuse::new(calls, Failing::Before);
        let mut source = Fused(LocalSource::new(world.source.clone()), fuse.clone());
        let mut target = Fused(LocalTarget::new(world.target.clone()), fuse.clone());
        let (job, clock) = (world.job(), ManualClock::new(0));
        let go = &mut |_: MoveEvent| Flow::Continue;
        let mut homes = world.homes.clone();
        let killed = bulk_move(&mut source, &mut target, &mut homes, &job, &clock, go).is_err();
        world.move_all();
        world.check_all_moved();
        if !killed {
            assert!(calls > 30, "{calls} calls are too few to prove anything");
            return;
        }
    }
}

#[test]
fn a_bound_on_the_rate_slows_the_contents_down() {
    let world = World::new(1, 9);
    let job = MoveJob { bytes_per_second_max: Some(20_000), ..world.job() };
    let begun = std::time::Instant::now();
    let report = world.carry_out(&job, &mut |_| Flow::Continue).unwrap();
    let least = report.bytes_sent as f64 / 20_000.0;
    assert!(begun.elapsed().as_secs_f64() >= least * 0.99, "{} bytes", report.bytes_sent);
    world.check_all_moved();
}

#[test]
fn a_decision_that_arrives_late_loses_nothing_that_came_meanwhile() {
    let world = World::new(1, 6);
    let mailbox = world.mailboxes[0].clone();
    let target = || LocalTarget::new(world.target.clone());
    struct Deaf(Homes);
    impl HomeDirectory for Deaf {
        fn home(&mut self, mailbox: &MailboxName) -> Result<String, TransferError> {
            self.0.home(mailbox)
        }
        fn set_home(&mut self, _: &MailboxName, _: &str, _: &str) -> Result<(), TransferError> {
            let (peer, source) = ("directory".to_owned(), std::io::Error::other("no answer"));
            Err(TransferError::Unreachable { peer, source })
        }
    }
    let (job, clock) = (world.job(), ManualClock::new(0));
    let mut source = LocalSource::new(world.source.clone());
    let mut deaf = Deaf(world.homes.clone());
    let go = &mut |_: MoveEvent| Flow::Continue;
    bulk_move(&mut source, &mut target(), &mut deaf, &job, &clock, go).unwrap_err();
    let fenced = MailboxState::Fenced { to: "EX2".to_owned() };
    assert_eq!(World::state(&world.source, &mailbox), Some(fenced), "the outcome is unknown");
    // The next run finds that nothing was decided, gives the mailbox back, and fails again.
    let stop = &mut |_: MoveEvent| Flow::Stop;
    bulk_move(&mut source, &mut target(), &mut deaf, &job, &clock, stop).unwrap_err();
    assert_eq!(World::state(&world.source, &mailbox), Some(MailboxState::Active));
    let id = world.source.mailbox(&mailbox).unwrap().unwrap().id;
    deliver(&world.source, id, "in between").unwrap();
    world.homes.clone().set_home(&mailbox, "EX1", "EX2").unwrap();
    let report = world.move_all();
    assert_eq!(report.moved_before, [mailbox]);
    world.check_all_moved();
}

/// A source on which something happens just before each fence.
struct Busy {
    source: LocalSource,
    store: crate::Store,
    fences: u32,
    busy_fences: u32,
}

impl MailboxEnd for Busy {
    fn info(&mut self, mailbox: &MailboxName) -> Result<Option<crate::MailboxInfo>, TransferError> {
        self.source.info(mailbox)
    }
    fn set_state(
        &mut self,
        mailbox: &MailboxName,
        state: &MailboxState,
    ) -> Result<(), TransferError> {
        if matches!(state, MailboxState::Fenced { .. }) {
            self.fences += 1;
            let id = self.store.mailbox(mailbox).unwrap().unwrap().id;
            for number in 0..if self.fences <= self.busy_fences { 5 } else { 0 } {
                deliver(&self.store, id, &format!("rush {} {number}", self.fences)).unwrap();
            }
        }
        self.source.set_state(mailbox, state)
    }
    fn digest(&mut self, mailbox: &MailboxName) -> Result<crate::MailboxDigest, TransferError> {
        self.source.digest(mailbox)
    }
    fn rows(
        &mut self,
        mailbox: &MailboxName,
        after: Modseq,
    ) -> Result<crate::IncomingMailbox, TransferError> {
        self.source.rows(mailbox, after)
    }
}

impl MoveSource for Busy {
    fn offer(&mut self, since: &[(MailboxName, Option<Modseq>)]) -> Result<Offer, TransferError> {
        self.source.offer(since)
    }
    fn offer_all(
        &mut self,
        since: &[(MailboxName, Option<Modseq>)],
    ) -> Result<Offer, TransferError> {
        self.source.offer_all(since)
    }
    fn send(
        &mut self,
        offer: &Offer,
        wanted: &[bool],
        sink: &mut dyn FnMut(crate::Frame) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        self.source.send(offer, wanted, sink)
    }
    fn send_base(
        &mut self,
        offer: &Offer,
        sink: &mut dyn FnMut(crate::Frame) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        self.source.send_base(offer, sink)
    }
}

#[track_caller]
fn check_busy(busy_fences: u32, lock_rows_max: u64) -> (World, MoveReport) {
    let world = World::new(1, 5);
    let (source, store) = (LocalSource::new(world.source.clone()), world.source.clone());
    let mut busy = Busy { source, store, fences: 0, busy_fences };
    let mut target = LocalTarget::new(world.target.clone());
    let job = MoveJob { lock_rows_max, delta_rows_max: 0, cutovers_max: 3, ..world.job() };
    let clock = ManualClock::new(0);
    let go = &mut |_: MoveEvent| Flow::Continue;
    let report =
        bulk_move(&mut busy, &mut target, &mut world.homes.clone(), &job, &clock, go).unwrap();
    (world, report)
}

#[test]
fn what_comes_just_before_the_fence_goes_with_the_last_delta() {
    let (world, report) = check_busy(1, 1000);
    assert_eq!((report.backed_out, report.moved.len()), (0, 1));
    world.check_all_moved();
}

#[test]
fn too_much_for_the_lock_backs_out_and_another_round_follows() {
    let (world, report) = check_busy(2, 4);
    assert_eq!((report.backed_out, report.moved.len()), (2, 1));
    world.check_all_moved();
}

#[test]
fn a_mailbox_that_never_comes_to_rest_is_left_behind_in_use() {
    let (world, report) = check_busy(100, 4);
    assert_eq!((report.backed_out, report.left_behind.len()), (3, 1));
    assert!(report.left_behind[0].reason.starts_with("3 cutovers were backed out"));
    let state = World::state(&world.source, &world.mailboxes[0]);
    assert_eq!(state, Some(MailboxState::Active));
}

#[test]
fn a_message_that_cannot_be_read_leaves_its_mailbox_behind_and_no_other() {
    let world = World::new(3, 10);
    let bad = world.mailboxes[1].clone();
    let info = world.source.mailbox(&bad).unwrap().unwrap();
    let inbox = world.source.folder(info.id, &FolderName::inbox()).unwrap().unwrap();
    let rows = world.source.messages(info.id, inbox.id, Uid(0), 100).unwrap();
    let own = rows.iter().find(|row| {
        let body = world.source.body(&row.content).unwrap();
        String::from_utf8_lossy(&body).contains(bad.as_str())
    });
    let content = own.unwrap().content;
    let extent = world.source.snapshot().unwrap().locate(&content).unwrap().unwrap();
    flip(&world, extent.segment, extent.offset + 80);
    let report = world.move_all();
    assert_eq!(report.left_behind.len(), 1);
    assert_eq!(report.left_behind[0].mailbox, bad);
    assert_eq!(report.left_behind[0].content, Some(content));
    assert_eq!(World::state(&world.source, &bad), Some(MailboxState::Active));
    world.check_moved(&world.mailboxes[0]);
    world.check_moved(&world.mailboxes[2]);
}

/// Flips a bit of a segment.
fn flip(world: &World, segment: u32, offset: u64) {
    let folder = FileName::new("seg").unwrap();
    let wanted = format!("{segment:08x}");
    let files = world.source_disk.list(&folder).unwrap();
    let file = files.iter().find(|file| file.contains(&wanted)).unwrap();
    let file = folder.join(file).unwrap();
    let open = world.source_disk.open(&file, OpenMode::ReadWrite).unwrap();
    let mut byte = [0];
    world.source_disk.read_at(open, offset, &mut byte).unwrap();
    world.source_disk.write_at(open, offset, &[byte[0] ^ 4]).unwrap();
    world.source_disk.close(open);
}

#[test]
fn a_mailbox_moves_back_with_what_came_meanwhile() {
    let world = World::new(2, 8);
    world.move_all();
    let mailbox = world.mailboxes[0].clone();
    let id = world.target.mailbox(&mailbox).unwrap().unwrap().id;
    deliver(&world.target, id, "at the new home").unwrap();
    let inbox = world.target.folder(id, &FolderName::inbox()).unwrap().unwrap();
    world.target.expunge(id, inbox.id, &[Uid(1)]).unwrap();
    let back = World {
        source: world.target.clone(),
        target: world.source.clone(),
        homes: world.homes.clone(),
        source_disk: Arc::clone(&world.target_disk),
        target_disk: Arc::clone(&world.source_disk),
        mailboxes: vec![mailbox.clone()],
    };
    let job = MoveJob::new(vec![mailbox.clone()], "EX2", "EX1");
    let report = back.carry_out(&job, &mut |_| Flow::Continue).unwrap();
    assert_eq!(report.contents_sent, 1, "all others are there already");
    assert_eq!(world.homes.clone().home(&mailbox).unwrap(), "EX1");
    assert_eq!(content_of(&world.source, &mailbox), content_of(&world.target, &mailbox));
    assert_eq!(World::state(&world.source, &mailbox), Some(MailboxState::Active));
}

#[track_caller]
fn check_conflict(world: &World, expected: &str) {
    let error = world.carry_out(&world.job(), &mut |_| Flow::Continue).unwrap_err();
    assert!(matches!(error, MoveError::Conflict { .. }), "{error}");
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn contradictions_between_stores_and_directory_are_left_to_a_human() {
    let world = World::new(1, 3);
    let mailbox = world.mailboxes[0].clone();
    world.target.create_mailbox(&mailbox, MailboxState::Active).unwrap();
    check_conflict(&world, "the directory names EX1 as its home, and EX2 holds it as active");
    world.homes.0.lock().unwrap().insert(mailbox.clone(), "EX2".to_owned());
    check_conflict(&world, "the directory names EX2 as its home, and EX2 holds it as active");
    world.homes.0.lock().unwrap().insert(mailbox, "EX3".to_owned());
    check_conflict(&world, "its home is EX3, neither EX1 nor EX2");
    let world = World::new(1, 3);
    world.homes.0.lock().unwrap().insert(world.mailboxes[0].clone(), "EX2".to_owned());
    check_conflict(&world, "which has no such mailbox");
}

#[test]
fn a_mailbox_that_the_source_does_not_have_is_left_behind() {
    let mut world = World::new(1, 3);
    let ghost = name("ghost");
    world.homes.0.lock().unwrap().insert(ghost.clone(), "EX1".to_owned());
    world.mailboxes.push(ghost.clone());
    let report = world.move_all();
    assert_eq!((report.moved.len(), report.left_behind.len()), (1, 1));
    assert_eq!(report.left_behind[0].mailbox, ghost);
}

/// Delivers to whichever store takes the message, until told to end; returns what was taken.
fn deliver_until(world: &World, mailbox: &MailboxName, end: &AtomicBool) -> Vec<String> {
    let mut taken = Vec::new();
    let mut number = 0;
    while !end.load(Ordering::SeqCst) || number < 20 {
        let text = format!("{mailbox} live {number}");
        let taken_by = [&world.source, &world.target].into_iter().find(|store| {
            let Some(info) = store.mailbox(mailbox).unwrap() else { return false };
            match deliver(store, info.id, &text) {
                Ok(_) => true,
                Err(StoreError::NotActive { .. }) => false,
                Err(error) => panic!("{error}"),
            }
        });
        if taken_by.is_some() {
            taken.push(text);
            number += 1;
        }
        thread::park_timeout(std::time::Duration::from_micros(200));
    }
    taken
}

#[test]
fn deliveries_during_the_move_are_neither_lost_nor_doubled() {
    let world = World::new(3, 30);
    let end = AtomicBool::new(false);
    let taken = thread::scope(|scope| {
        let writers: Vec<_> = world
            .mailboxes
            .iter()
            .map(|mailbox| scope.spawn(|| deliver_until(&world, mailbox, &end)))
            .collect();
        let reader = scope.spawn(|| {
            let mut readings = 0_u64;
            while !end.load(Ordering::SeqCst) {
                for mailbox in &world.mailboxes {
                    readings += content_of(&world.source, mailbox).len() as u64;
                }
            }
            readings
        });
        let moved = world.carry_out(&world.job(), &mut |_| Flow::Continue);
        end.store(true, Ordering::SeqCst);
        let taken: Vec<Vec<String>> =
            writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        assert!(reader.join().unwrap() > 0);
        assert_eq!(moved.unwrap().moved.len(), 3);
        taken
    });
    for (mailbox, taken) in world.mailboxes.iter().zip(taken) {
        let lines = content_of(&world.target, mailbox);
        for text in &taken {
            let subject = format!("Subject: {text}\r\n");
            let count = lines.iter().filter(|line| line.contains(&subject)).count();
            assert_eq!(count, 1, "{text} is there {count} times");
        }
        let info = world.target.mailbox(mailbox).unwrap().unwrap();
        let inbox = world.target.folder(info.id, &FolderName::inbox()).unwrap().unwrap();
        let rows = world.target.messages(info.id, inbox.id, Uid(0), usize::MAX).unwrap();
        let uids: BTreeSet<Uid> = rows.iter().map(|row| row.uid).collect();
        assert_eq!(uids.len(), rows.len());
        let mut ends =
            (LocalSource::new(world.source.clone()), LocalTarget::new(world.target.clone()));
        let compared = compare_mailbox(&mut ends.0, &mut ends.1, mailbox).unwrap();
        assert!(compared.is_equal(), "{mailbox}: {compared:?}");
    }
}

#[test]
fn a_comparison_finds_what_is_lost_altered_and_doubled() {
    let world = World::new(1, 8);
    world.move_all();
    let mailbox = &world.mailboxes[0];
    let (_, other) = new_store();
    let mut source = LocalSource::new(world.source.clone());
    let mut batch = source.rows(mailbox, Modseq(0)).unwrap();
    let lost = batch.messages.pop().unwrap();
    batch.messages[0].1.internal_date_seconds += 1;
    let mut double = batch.messages[1].clone();
    double.1.uid = Uid(90);
    double.1.modseq = lost.1.modseq;
    batch.messages.push(double);
    let extents = world.source.snapshot().unwrap();
    let mut runs = Vec::new();
    for (_, message) in &batch.messages {
        let extent = extents.locate(&message.content).unwrap().unwrap();
        runs.push(world.source.read_records(&[extent]).unwrap());
    }
    let mailboxes = vec![batch];
    other.apply(crate::ApplyBatch { runs, mailboxes }).unwrap();
    let compared = compare_mailbox(&mut source, &mut LocalTarget::new(other), mailbox).unwrap();
    assert_eq!((compared.lost, compared.altered, compared.duplicated), (1, 1, 1), "{lost:?}");
    assert!(!compared.is_equal());
}

#[test]
fn folders_that_users_rename_or_delete_after_the_move_are_no_difference() {
    let world = World::new(2, 9);
    world.move_all();
    let compare = |mailbox: &MailboxName| {
        let mut source = LocalSource::new(world.source.clone());
        let mut target = LocalTarget::new(world.target.clone());
        compare_mailbox(&mut source, &mut target, mailbox).unwrap()
    };
    let of = |mailbox: &MailboxName| {
        let id = world.target.mailbox(mailbox).unwrap().unwrap().id;
        let mut folders = world.target.folders(id).unwrap();
        folders.sort_by_key(|folder| !folder.name.is_inbox());
        (id, folders)
    };
    let [one, other] = &world.mailboxes[..] else { panic!("two mailboxes") };
    let (id, folders) = of(one);
    assert!(folders.len() > 1 && folders.iter().all(|folder| folder.messages > 0));
    let sum: u64 = folders.iter().map(|folder| folder.messages).sum();
    for (number, folder) in folders.iter().enumerate() {
        let name = folder_name(&format!("kept-{number}"));
        world.target.rename_folder(id, folder.id, &name).unwrap();
    }
    let compared = compare(one);
    assert!(compared.is_equal(), "{compared:?}");
    assert_eq!((compared.expunged_since, compared.newer), (sum, sum), "{compared:?}");
    let (id, folders) = of(other);
    world.target.delete_folder(id, folders[1].id).unwrap();
    // Another one of the same name has UIDs of its own.
    let again = world.target.create_folder(id, &folders[1].name, crate::NewFolder::default());
    let new = crate::Append { body: b"new".to_vec(), ..crate::Append::default() };
    world.target.append_batch(vec![(id, again.unwrap().id, new)]).unwrap();
    let compared = compare(other);
    assert!(compared.is_equal(), "{compared:?}");
    assert_eq!((compared.expunged_since, compared.newer), (folders[1].messages, 1));
}

/// Does something to the folders of a mailbox, if it takes writes and the folders are there.
fn stir(store: &crate::Store, mailbox: &MailboxName, random: &mut SplitMix64) {
    let id = store.mailbox(mailbox).unwrap().unwrap().id;
    let folders = store.folders(id).unwrap();
    let mut pick = || folders[usize::try_from(random.below(folders.len() as u64)).unwrap()].clone();
    let (one, other) = (pick(), pick());
    let name = ["a", "a/b", "c", "INBOX"][usize::try_from(random.below(4)).unwrap()];
    let name = folder_name(name);
    let uids = store.messages(id, one.id, crate::Uid(0), 2).unwrap();
    let uids: Vec<_> = uids.iter().map(|message| message.uid).collect();
    let done = match random.below(6) {
        0 => store.create_folder(id, &name, crate::NewFolder::default()).map(drop),
        1 => store.delete_folder(id, one.id),
        2 => store.move_messages((id, one.id), &uids, (id, other.id)).map(drop),
        3 => match store.recoverable_folders(id).unwrap().first() {
            Some(gone) => store.undelete_folder(id, gone.folder.id, &name).map(drop),
            None => Ok(()),
        },
        _ => store.rename_folder(id, one.id, &name),
    };
    let refused = done.err().filter(|error| {
        let expected = crate::StoreError::FolderExists { mailbox: id, folder: name.clone() };
        let same = std::mem::discriminant(error) == std::mem::discriminant(&expected);
        !same
            && !matches!(error, crate::StoreError::FolderStays { .. })
            && !matches!(error, crate::StoreError::NotActive { .. })
    });
    assert!(refused.is_none(), "{refused:?}");
}

#[test]
fn folders_that_change_their_names_or_go_during_the_move_do_so_at_the_target() {
    for seed in 0..60 {
        println!("seed {seed}");
        let mut random = SplitMix64::new(seed);
        let world = World::new(2, 6);
        let (source, mailboxes) = (world.source.clone(), world.mailboxes.clone());
        let mut left = 12;
        let killed = random.below(2) == 0;
        let mut stirring = |_: MoveEvent| {
            if left == 0 {
                return Flow::Continue;
            }
            left -= 1;
            let which = usize::try_from(random.below(2)).unwrap();
            stir(&source, &mailboxes[which], &mut random);
            if killed && left == 6 { Flow::Stop } else { Flow::Continue }
        };
        let job = MoveJob { delta_rows_max: 0, ..world.job() };
        let outcome = world.carry_out(&job, &mut stirring);
        if killed || outcome.is_err() {
            world.move_all();
        }
        for store in [&world.source, &world.target] {
            store.purge_expired(i64::from(u32::MAX)).unwrap();
        }
        world.check_all_moved();
        for store in [&world.source, &world.target] {
            let report = store.check(&mut |_| {}).unwrap();
            assert!(report.is_clean(), "{report:?}");
        }
    }
}
