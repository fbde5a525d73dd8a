//! Moves between two servers, with users at work and connections that break.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use rehome_log::SystemClock;
use rehome_server::{
    DirectoryClient, ErrorCode, RemoteTarget, StoreClient, has_logged_on, replicate,
};
use rehome_store::{
    Flow, FolderName, HomeDirectory, MailboxEnd, MailboxName, MailboxState, MoveError, MoveJob,
    MoveReport, MoveSource, MoveTarget, TransferError, bulk_move, compare_mailbox,
};

use crate::world::{World, server_name};

fn move_all(world: &World) -> MoveReport {
    let (mut source, mut target, mut directory) = world.ends();
    carry_out(world, &mut source, &mut target, &mut directory).unwrap()
}

fn carry_out(
    world: &World,
    source: &mut dyn MoveSource,
    target: &mut dyn MoveTarget,
    directory: &mut dyn HomeDirectory,
) -> Result<MoveReport, MoveError> {
    let job = MoveJob::new(world.mailboxes.clone(), "EX1", "EX2");
    bulk_move(source, target, directory, &job, &SystemClock, &mut |_| Flow::Continue)
}

/// Short enough that the store does not pack it: the breaks are counted in bytes.
fn body(text: &str) -> Vec<u8> {
    format!("Subject: {text}\r\n\r\n{}\r\n", "x".repeat(4000)).into_bytes()
}

/// Every mailbox is at EX2 as it was at EX1, but for what came later.
#[track_caller]
fn check_moved(world: &World) {
    let (mut source, mut target, mut directory) = world.ends();
    for mailbox in &world.mailboxes {
        assert_eq!(directory.home(mailbox).unwrap(), "EX2");
        let compared = compare_mailbox(&mut source, &mut target, mailbox).unwrap();
        assert!(compared.is_equal(), "{mailbox}: {compared:?}");
        let state = source.info(mailbox).unwrap().unwrap().state;
        assert_eq!(state, MailboxState::Moved { to: "EX2".to_owned() });
    }
}

/// What a user has at the home server: the first lines of all messages.
fn subjects(world: &World, mailbox: &MailboxName) -> Vec<String> {
    let mut client = world.client(mailbox);
    let inbox = FolderName::inbox();
    let rows = client.messages(&inbox).unwrap();
    rows.iter()
        .map(|row| {
            let (_, body) = client.fetch(&inbox, row.uid).unwrap();
            let text = String::from_utf8(body).unwrap();
            text.lines().next().unwrap().to_owned()
        })
        .collect()
}

/// Delivers as a user's client does until told to end; returns the subjects answered for.
fn deliver_until(world: &World, mailbox: &MailboxName, end: &AtomicBool) -> Vec<String> {
    let mut client = world.client(mailbox);
    let mut subjects = Vec::new();
    while !end.load(Ordering::SeqCst) || subjects.len() < 10 {
        let text = format!("{mailbox} {}", subjects.len());
        client.deliver(&body(&text)).unwrap();
        subjects.push(format!("Subject: {text}"));
    }
    assert_eq!(client.logon().unwrap().server, client.profile().server);
    subjects
}

#[test]
fn users_work_on_while_their_mailboxes_move_to_another_server() {
    let world = World::new(3);
    for mailbox in &world.mailboxes {
        let mut client = world.client(mailbox);
        for number in 0..40 {
            client.deliver(&body(&format!("before {number}"))).unwrap();
        }
    }
    let end = AtomicBool::new(false);
    let delivered = thread::scope(|scope| {
        let writers: Vec<_> = world
            .mailboxes
            .iter()
            .map(|mailbox| scope.spawn(|| deliver_until(&world, mailbox, &end)))
            .collect();
        let report = move_all(&world);
        end.store(true, Ordering::SeqCst);
        assert_eq!((report.moved.len(), report.left_behind.len()), (3, 0));
        writers.into_iter().map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
    });
    check_moved(&world);
    for (mailbox, delivered) in world.mailboxes.iter().zip(delivered) {
        let found = subjects(&world, mailbox);
        assert_eq!(found.len(), 40 + delivered.len(), "{mailbox}");
        let different: BTreeSet<&String> = found.iter().collect();
        assert_eq!(different.len(), found.len(), "{mailbox}: something is there twice");
        assert!(delivered.iter().all(|subject| different.contains(subject)));
    }
}

#[test]
fn a_profile_follows_its_mailbox_and_the_first_logon_is_kept() {
    let world = World::new(1);
    let mailbox = &world.mailboxes[0];
    let mut client = world.client(mailbox);
    assert!(client.logon().unwrap().first);
    assert!(!client.logon().unwrap().first);
    move_all(&world);
    let mut second = StoreClient::new(world.second.store_address());
    let info = second.info(mailbox).unwrap().unwrap();
    assert!(!has_logged_on(&info, "EX2"), "{:?}", info.attributes);
    // EX1 refuses and names EX2, whose own directory does not know of the move yet.
    let logon = client.logon().unwrap();
    assert_eq!((logon.server.as_str(), logon.first), ("EX2", true));
    assert_eq!(client.profile().server, "EX2");
    let info = second.info(mailbox).unwrap().unwrap();
    assert!(has_logged_on(&info, "ex2"), "{:?}", info.attributes);
    let mut first = StoreClient::new(world.first.store_address());
    let refused = first.logon(mailbox).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Moved));
}

/// Passes bytes on in both directions until so many have come from the client.
fn proxy(target: &str, bytes_max: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let target = target.to_owned();
    let passed = Arc::new(AtomicU64::new(0));
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(&target) else { return };
            let (back, forth) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || pass(server, back, None));
            let passed = Arc::clone(&passed);
            thread::spawn(move || pass(client, forth, Some((&passed, bytes_max))));
        }
    });
    address
}

fn pass(mut from: TcpStream, mut to: TcpStream, limit: Option<(&AtomicU64, u64)>) {
    let mut buffer = [0; 1024];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        if let Some((passed, most)) = limit
            && passed.fetch_add(len as u64, Ordering::SeqCst) > most
        {
            break;
        }
        if to.write_all(&buffer[..len]).is_err() {
            break;
        }
    }
    // The other direction may have ended the connection already.
    drop(from.shutdown(std::net::Shutdown::Both));
    drop(to.shutdown(std::net::Shutdown::Both));
}

/// The connection to the target breaks after so many bytes; the same move over another one
/// finishes the job. Returns whether it broke.
#[track_caller]
fn check_break(bytes_max: u64) -> bool {
    let world = World::new(2);
    for mailbox in &world.mailboxes {
        let mut client = world.client(mailbox);
        for number in 0..8 {
            client.deliver(&body(&format!("{mailbox} {number}"))).unwrap();
        }
    }
    let (mut source, _, mut directory) = world.ends();
    let weak = StoreClient::new(proxy(world.second.store_address(), bytes_max));
    let mut target = RemoteTarget::new(weak);
    let broken = carry_out(&world, &mut source, &mut target, &mut directory);
    if let Err(error) = &broken {
        assert!(matches!(error, MoveError::Target { .. }), "{bytes_max} bytes: {error}");
    }
    move_all(&world);
    check_moved(&world);
    for mailbox in &world.mailboxes {
        let found = subjects(&world, mailbox);
        assert_eq!(found.len(), 8, "{bytes_max} bytes: {found:?}");
    }
    broken.is_err()
}

#[test]
fn a_connection_that_breaks_anywhere_costs_nothing_but_another_run() {
    let broke = (0..).map(|step| check_break(step * 7000)).take_while(|broke| *broke).count();
    assert!(broke >= 8, "{broke} breaks are too few to prove anything");
}

#[test]
fn a_lost_connection_makes_an_offer_stale() {
    let world = World::new(1);
    world.client(&world.mailboxes[0]).deliver(&body("one")).unwrap();
    let (mut source, _, _) = world.ends();
    let offer = source.offer(&[(world.mailboxes[0].clone(), None)]).unwrap();
    assert_eq!(offer.contents.len(), 1);
    source.client().disconnect();
    let error = source.send(&offer, &[true], &mut |_| Ok(())).unwrap_err();
    assert!(matches!(error, TransferError::StaleOffer { .. }), "{error}");
    let offer = source.offer(&[(world.mailboxes[0].clone(), None)]).unwrap();
    let mut frames = 0;
    source
        .send(&offer, &[true], &mut |_| {
            frames += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(frames, 4, "begin, content, mailbox, end");
}

#[test]
fn the_directory_compares_before_it_sets_and_replicas_learn_of_it() {
    let world = World::new(2);
    let mut remote = world.ends().2;
    let mailbox = &world.mailboxes[0];
    remote.set_home(mailbox, "EX1", "EX2").unwrap();
    remote.set_home(mailbox, "EX1", "EX2").unwrap();
    let error = remote.set_home(mailbox, "EX1", "EX1").unwrap_err();
    assert!(
        matches!(&error, TransferError::HomeConflict { found, .. } if found == "EX2"),
        "{error}"
    );
    let (mut first, mut second) =
        (world.directory(), DirectoryClient::new(world.second.directory_address()));
    let site_name = rehome_site::MailboxName::new(mailbox.as_str()).unwrap();
    assert_eq!(second.home(&site_name).unwrap(), server_name("EX1"));
    assert!(!first.pending(&server_name("EX2")).unwrap().replicated);
    replicate(&mut first, &mut second).unwrap();
    assert_eq!(second.home(&site_name).unwrap(), server_name("EX2"));
    let pending = first.pending(&server_name("EX2")).unwrap();
    assert_eq!((pending.pending, pending.replicated), (0, true));
    let error =
        first.change(&rehome_server::DirectoryOp::RemoveServer { server: server_name("EX1") });
    assert_eq!(error.unwrap_err().code(), Some(ErrorCode::InUse));
}
