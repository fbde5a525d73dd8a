//! Service processes: what they print, read, keep and give back.

use std::io::{BufRead as _, BufReader, PipeWriter, Read, Write, pipe};
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rehome_log::{RealDisk, SystemClock};
use rehome_server::{
    AttendantClient, AttendantOptions, DirectoryServiceOptions, Ended, ErrorCode, Recipient,
    ServerError, ServiceOptions, StandaloneOptions, StoreClient, StoreServiceOptions,
    read_restore_marker, run_attendant, run_directory, run_standalone, run_store,
    write_restore_marker,
};
use rehome_store::{IncomingMailbox, MailboxState, Modseq, OpenOptions, RestoreWriter, StoreError};
use serde_json::Value;

use crate::world::{directory_of, name};

/// A service in a thread, as if it were a process.
struct Running {
    thread: JoinHandle<Result<Ended, ServerError>>,
    stdin: Option<PipeWriter>,
    ready: Value,
}

impl Running {
    /// Starts it and waits for the ready line.
    fn start(
        run: impl FnOnce(&mut dyn Write, Box<dyn Read + Send>) -> Result<Ended, ServerError>
        + Send
        + 'static,
    ) -> Self {
        let (stdin_read, stdin) = pipe().unwrap();
        let (stdout, mut stdout_write) = pipe().unwrap();
        let thread = thread::spawn(move || run(&mut stdout_write, Box::new(stdin_read)));
        let mut ready = Value::Null;
        for line in BufReader::new(stdout).lines() {
            let line = line.unwrap();
            if let Some(json) = line.strip_prefix("ready ") {
                ready = serde_json::from_str(json).unwrap();
                break;
            }
            assert!(line.starts_with("progress {"), "{line}");
        }
        if ready.is_null() {
            panic!("ended before it was ready: {:?}", thread.join().unwrap());
        }
        Self { thread, stdin: Some(stdin), ready }
    }

    fn address(&self) -> &str {
        self.ready["address"].as_str().unwrap()
    }

    fn say(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    fn end(mut self) -> Ended {
        self.stdin = None;
        self.thread.join().unwrap().unwrap()
    }

    fn quit(mut self) -> Ended {
        self.say("quit");
        self.thread.join().unwrap().unwrap()
    }
}

fn options(folder: &Path) -> StoreServiceOptions {
    StoreServiceOptions {
        create: true,
        registry: Some(folder.join("registry")),
        ..StoreServiceOptions::new(ServiceOptions::new("EX1"), folder.join("store"))
    }
}

fn start_store(options: &StoreServiceOptions) -> Running {
    let options = options.clone();
    Running::start(move |out, input| run_store(&options, out, input))
}

#[test]
fn a_store_keeps_what_it_answered_over_its_ends_of_all_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    options.service.while_stdin = true;
    let mut epoch = 0;
    let ends = [Ended::Quit, Ended::StdinClosed, Ended::Shutdown, Ended::Quit];
    for (messages, end) in (0..).zip(ends) {
        let running = start_store(&options);
        let next = running.ready["epoch"].as_u64().unwrap();
        assert!(next > epoch, "each opening has a higher epoch");
        epoch = next;
        let mut client = StoreClient::new(running.address());
        client.create_mailbox(&name("alice")).unwrap();
        assert_eq!(client.statistics().unwrap().messages, messages);
        client.deliver(&Recipient::new(name("alice")), b"mail").unwrap();
        let ended = match end {
            Ended::Quit => running.quit(),
            Ended::StdinClosed => running.end(),
            Ended::Shutdown => {
                client.shutdown().unwrap();
                running.thread.join().unwrap().unwrap()
            }
        };
        assert_eq!(ended, end);
    }
}

#[test]
fn a_leased_store_commits_only_while_its_lease_lasts() {
    let folder = tempfile::tempdir().unwrap();
    let free = start_store(&options(folder.path()));
    StoreClient::new(free.address()).create_mailbox(&name("alice")).unwrap();
    free.quit();
    let leased = StoreServiceOptions { leased: true, ..options(folder.path()) };
    let running = start_store(&leased);
    let mut client = StoreClient::new(running.address());
    let recipient = Recipient::new(name("alice"));
    let refused = client.deliver(&recipient, b"mail").unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::LeaseExpired));
    running.quit();
    let mut running = start_store(&leased);
    running.say("lease 600000");
    let mut client = StoreClient::new(running.address());
    let begun = Instant::now();
    while let Err(error) = client.deliver(&recipient, b"mail") {
        assert!(begun.elapsed() < Duration::from_secs(20), "{error}");
        thread::park_timeout(Duration::from_millis(5));
        if error.code() != Some(ErrorCode::LeaseExpired) {
            // A commit after the deadline stops the store; it has to be opened again.
            running.quit();
            running = start_store(&leased);
            running.say("lease 600000");
            client = StoreClient::new(running.address());
        }
    }
    running.quit();
}

#[test]
fn a_restored_store_is_opened_with_its_marker_which_is_then_removed() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    std::fs::create_dir_all(&options.folder).unwrap();
    let disk = Arc::new(RealDisk::new(&options.folder));
    let mut writer =
        RestoreWriter::create(disk, Arc::new(SystemClock), OpenOptions::default()).unwrap();
    writer
        .put_mailbox(IncomingMailbox {
            name: name("alice"),
            attributes: [].into(),
            subscriptions: Vec::new(),
            folders: Vec::new(),
            messages: Vec::new(),
            expunges: Vec::new(),
            cursor: Modseq(1),
        })
        .unwrap();
    let marker = writer.finish().unwrap();
    let refused = run_store(&options, &mut std::io::sink(), Box::new(std::io::empty()));
    assert!(
        matches!(&refused, Err(ServerError::Store { source, .. })
            if matches!(**source, StoreError::RestoreInProgress { .. })),
        "{refused:?}"
    );
    let registry = options.registry.clone().unwrap();
    write_restore_marker(&registry, &marker).unwrap();
    let running = start_store(&options);
    assert_eq!(read_restore_marker(&registry).unwrap(), None);
    let mut client = StoreClient::new(running.address());
    let info = client.info(&name("alice")).unwrap().unwrap();
    assert_eq!(info.state, MailboxState::Active);
    running.quit();
    // A crash between recovery and removal leaves the marker; it does no harm then.
    write_restore_marker(&registry, &marker).unwrap();
    start_store(&options).quit();
    assert_eq!(read_restore_marker(&registry).unwrap(), None);
}

#[test]
fn the_fence_over_a_store_lasts_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    std::fs::create_dir_all(options.registry.as_ref().unwrap()).unwrap();
    let running = start_store(&options);
    let mut client = StoreClient::new(running.address());
    client.create_mailbox(&name("alice")).unwrap();
    client.fence_all("disaster recovery").unwrap();
    running.quit();
    let running = start_store(&options);
    let mut client = StoreClient::new(running.address());
    let refused = client.deliver(&Recipient::new(name("alice")), b"mail").unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Fenced));
    client.resume_all().unwrap();
    client.deliver(&Recipient::new(name("alice")), b"mail").unwrap();
    running.quit();
    let running = start_store(&options);
    let mut client = StoreClient::new(running.address());
    client.deliver(&Recipient::new(name("alice")), b"mail").unwrap();
    running.quit();
}

#[test]
fn an_attendant_finds_services_that_start_after_it_on_any_port() {
    let folder = tempfile::tempdir().unwrap();
    let service = ServiceOptions {
        endpoints: Some(folder.path().join("endpoints")),
        ..ServiceOptions::new("EX1")
    };
    let attendant = AttendantOptions {
        service: service.clone(),
        organization: "Example".to_owned(),
        site: "HQ".to_owned(),
        epoch: 7,
        directory: None,
        store: None,
    };
    let attendant = Running::start(move |out, input| run_attendant(&attendant, out, input));
    let mut client = AttendantClient::new(attendant.address());
    let identity = client.who().unwrap();
    assert_eq!((identity.epoch, identity.directory, identity.store), (7, None, None));
    let directory = DirectoryServiceOptions {
        create: Some(directory_of("EX1")),
        ..DirectoryServiceOptions::new(service.clone(), folder.path().join("directory"))
    };
    let directory = Running::start(move |out, input| run_directory(&directory, out, input));
    let mut store = options(folder.path());
    store.service = service;
    let store = start_store(&store);
    let identity = client.who().unwrap();
    assert_eq!(identity.directory.as_deref(), Some(directory.address()));
    assert_eq!(identity.store.as_deref(), Some(store.address()));
    for running in [attendant, directory, store] {
        running.quit();
    }
}

#[test]
fn a_standalone_server_is_all_three_in_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let options = StandaloneOptions {
        create_directory: Some(directory_of("EX1")),
        ..StandaloneOptions::new("EX1", "Example", "HQ", folder.path())
    };
    let running = Running::start(move |out, input| run_standalone(&options, out, input));
    let identity = AttendantClient::new(running.address()).who().unwrap();
    assert_eq!(identity.store.as_deref(), running.ready["store"].as_str());
    assert_eq!(identity.directory.as_deref(), running.ready["directory"].as_str());
    assert_eq!((identity.organization.as_str(), identity.site.as_str()), ("Example", "HQ"));
    assert_eq!(running.quit(), Ended::Quit);
}
