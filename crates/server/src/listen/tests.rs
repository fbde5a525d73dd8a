//! Hostile bytes end their own connection; everybody else is served.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use rehome_log::{ManualClock, SimDisk, SplitMix64};
use rehome_site::{Directory, OrganizationName, ServerName, SiteName};

use super::{Listening, Signal, serve};
use crate::client::DirectoryClient;
use crate::directory_service::{DirectoryService, DurableDirectory};
use crate::wire::{ErrorCode, LINE_SIZE_MAX};

/// A directory on a disk in memory, which answers at an address.
fn start(connections_max: usize) -> (Listening, String) {
    start_with(connections_max, Signal::new(|| {}))
}

/// The same; `shutdown` is raised when somebody asks for the end.
fn start_with(connections_max: usize, shutdown: Signal) -> (Listening, String) {
    let directory = Directory::new(
        ServerName::new("EX1").unwrap(),
        1,
        OrganizationName::new("Example").unwrap(),
        SiteName::new("HQ").unwrap(),
    );
    let (disk, clock) = (Arc::new(SimDisk::new()), Arc::new(ManualClock::new(0)));
    let durable = DurableDirectory::create(disk, clock, "test", 0, directory).unwrap();
    let service = Arc::new(DirectoryService::new(durable, shutdown));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let listening = serve(listener, connections_max, service).unwrap();
    let address = listening.address().to_string();
    (listening, address)
}

#[test]
fn who_asks_for_the_end_has_the_answer_before_it_begins() {
    let (answered, was_answered) = mpsc::channel();
    let (told, end) = (Mutex::new(was_answered), Duration::from_secs(10));
    let (raised, was_raised) = mpsc::channel();
    let shutdown = Signal::new(move || {
        let in_time = told.lock().unwrap().recv_timeout(end).is_ok();
        raised.send(in_time).unwrap();
    });
    let (_listening, address) = start_with(8, shutdown);
    DirectoryClient::new(&address).shutdown().unwrap();
    answered.send(()).unwrap();
    assert!(was_raised.recv().unwrap(), "the end began while the answer was waited for");
}

/// Sends bytes, ends the sending, and reads all that comes.
fn converse(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // A service that closes before it has read everything is right, too.
    drop(stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write)));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

/// `bytes` are answered with a text, and the service still answers others.
#[track_caller]
fn check(bytes: &[u8], expected: &str) {
    let (_listening, address) = start(8);
    let answer = converse(&address, bytes);
    assert!(answer.contains(expected), "answered {answer:?}, expected {expected:?}");
    let hello = DirectoryClient::new(&address).hello().unwrap();
    assert_eq!(hello.server, "EX1");
}

#[test]
fn what_is_no_request_is_refused() {
    check(b"GET / HTTP/1.1\r\n\r\n", "the line is no JSON");
    check(b"[1,2]\n", "the line is no JSON object");
    check(b"\n", "the line is no JSON");
    check(b"{\"op\":\"hello\"", "the connection ended in a line");
    check(b"\xff\xfe\x00\n", "bad_request");
    check(b"{}\n", "bad_request");
    check(b"{\"op\":\"fly\"}\n", "bad_request");
    check(b"{\"op\":\"home\",\"mailbox\":7}\n", "bad_request");
    check(b"{\"op\":\"home\",\"mailbox\":\"../x\"}\n", "bad_request");
    check(b"{\"op\":\"hello\",\"long\":true,\"body\":4}\nnull", "bad_request");
}

#[test]
fn a_line_without_end_is_cut_at_its_limit() {
    check(&vec![b'x'; LINE_SIZE_MAX], "a line of more than 65536 bytes");
    check(&vec![b'{'; 4 * LINE_SIZE_MAX], "");
}

#[test]
fn a_deep_nest_is_refused_and_does_not_exhaust_the_stack() {
    let mut nest = vec![b'['; LINE_SIZE_MAX - 1];
    nest.push(b'\n');
    check(&nest, "bad_request");
}

#[test]
fn a_body_that_lies_about_its_length_is_refused() {
    check(b"{\"op\":\"hello\",\"body\":134217729}\n", "134217728 allowed");
    check(b"{\"op\":\"hello\",\"body\":-1}\n", "134217728 allowed");
    check(b"{\"op\":\"hello\",\"body\":1e99}\n", "134217728 allowed");
    check(b"{\"op\":\"hello\",\"body\":100000000}\nshort", "100000000 bytes stated, 5 came");
}

#[test]
fn a_request_after_a_wrong_one_is_answered_if_its_beginning_is_known() {
    check(b"{\"op\":\"fly\",\"body\":3}\nabc{\"op\":\"hello\"}\n", "\"role\":\"directory\"");
}

#[test]
fn garbage_of_any_kind_harms_nobody() {
    let (_listening, address) = start(64);
    let seed = 20_241_122;
    let mut random = SplitMix64::new(seed);
    for round in 0..200 {
        let len = usize::try_from(random.next_u64() % 300).unwrap();
        let mut bytes: Vec<u8> = (0..len).map(|_| random.next_u64().to_le_bytes()[0]).collect();
        if round % 2 == 0 {
            let mut line = b"{\"op\":\"home\",\"mailbox\":\"".to_vec();
            line.append(&mut bytes);
            bytes = line;
        }
        bytes.push(b'\n');
        let answer = converse(&address, &bytes);
        assert!(
            answer.is_empty() || answer.starts_with("{\"error\""),
            "seed {seed}, round {round}: {answer}"
        );
    }
    assert_eq!(DirectoryClient::new(&address).hello().unwrap().server, "EX1");
}

#[test]
fn connections_beyond_the_bound_are_told_so() {
    let (_listening, address) = start(1);
    let mut first = DirectoryClient::new(&address);
    first.hello().unwrap();
    let refused = DirectoryClient::new(&address).hello().unwrap_err();
    // The refusal may be lost when the service closes on bytes that it has not read.
    assert!(refused.code() == Some(ErrorCode::Busy) || refused.code().is_none(), "{refused}");
    first.hello().unwrap();
}

#[test]
fn after_stopping_nothing_is_answered_and_a_client_finds_the_next_service() {
    let (mut listening, address) = start(8);
    let mut client = DirectoryClient::new(&address);
    client.hello().unwrap();
    listening.stop();
    assert!(client.hello().is_err());
    assert!(TcpStream::connect(&address).is_err());
}
