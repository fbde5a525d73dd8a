//! Questions over a real socket, and what the work does about them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rehome_executor::Progress;
use rehome_planner::{Action, Estimate, Owner, Step, Undo};

use super::*;
use crate::error::Error;
use crate::session::Session;
use crate::work::Work;

/// A folder so deep that its path is too long for a socket.
fn deep() -> (tempfile::TempDir, Work) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path().join("a".repeat(120));
    std::fs::create_dir(&root).expect("writable");
    let work = Work::new(root);
    (scratch, work)
}

fn step(action: Action) -> Step {
    Step {
        id: "M1".into(),
        page_ref: String::new(),
        title: "move".to_owned(),
        action,
        preconditions: Vec::new(),
        postconditions: Vec::new(),
        undo: Undo::NotNeeded,
        depends_on: Vec::new(),
        owner: Owner::Machine,
        estimate_seconds: Estimate::default(),
        past_point_of_no_return: false,
        why: None,
    }
}

#[test]
fn wishes_arrive_and_a_status_tells_of_them() {
    let (_scratch, work) = deep();
    let session = Session::new("rehome".into(), Arc::default());
    let client = ControlClient::new(&work);
    let nobody = client.status().expect_err("nobody listens");
    assert!(matches!(&nobody, Error::PreconditionOpen { .. }), "{nobody}");
    let listening = Listening::begin(work.control(), Arc::clone(&session.control)).expect("one");
    assert_eq!(client.status().expect("an answer").state, "working");
    let tuned = Retune { bytes_per_second_max: Some(7), lanes: Some(3) };
    let now = client.retune(tuned).expect("an answer");
    assert_eq!((now.bytes_per_second_max, now.lanes), (Some(7), Some(3)));
    let now = client.retune(Retune { lanes: Some(0), ..Retune::default() }).expect("an answer");
    assert_eq!((now.bytes_per_second_max, now.lanes), (Some(7), None), "what is not named stays");
    session.control.pause("backup");
    let now = client.status().expect("an answer");
    assert_eq!((now.state.as_str(), now.why.as_deref()), ("pausing", Some("backup")));
    session.control.is_resting(Some("backup"));
    assert_eq!(client.pause(&session, "backup").expect("it rests").state, "resting");
    assert_eq!(client.resume().expect("an answer").state, "working");
    assert_eq!(client.stop().expect("an answer").state, "stopping");
    assert!(session.stopping());
    drop(listening);
    assert!(!work.control().exists());
    assert!(client.status().is_err());
}

#[test]
fn what_is_no_question_is_refused_and_a_killed_runs_socket_is_replaced() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let work = Work::new(scratch.path());
    std::fs::write(work.control(), "left behind").expect("writable");
    let session = Session::new("rehome".into(), Arc::default());
    let _listening = Listening::begin(work.control(), Arc::clone(&session.control)).expect("one");
    for line in ["", "x", "{\"do\":\"erase\"}", "{\"do\":\"retune\",\"speed\":1}"] {
        let mut stream = UnixStream::connect(work.control()).expect("somebody listens");
        stream.write_all(format!("{line}\n").as_bytes()).expect("written");
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).expect("an answer");
        assert!(answer.contains("error") && answer.contains("nothing was changed"), "{answer}");
    }
}

#[test]
fn the_work_rests_only_where_no_mailbox_can_be_locked() {
    let session = Session::new("rehome".into(), Arc::default());
    let control = &session.control;
    control.pause("noon");
    let (from, to) = ("EX1".to_owned(), "EXCL1".to_owned());
    let moving = step(Action::MoveMailboxes { from, to, mailboxes: Vec::new() });
    let unit = "bytes".to_owned();
    let progress = Progress { what: "moving".to_owned(), done: 1, total: 2, unit };
    let notice = Notice::Progress { step: &moving, progress: &progress };
    let mut rested = 0;
    assert!(control.note(&notice, &mut |_| panic!("it rests in a move")));
    let begins = Notice::Begins { step: &moving, attempt: 1 };
    let go_on = control.note(&begins, &mut |event| {
        rested += 1;
        assert_eq!(event, Event::Note { text: "resting: noon".to_owned() });
        assert_eq!(control.running().state, "resting");
        control.resume();
        true
    });
    assert!(go_on && rested == 1);
    assert_eq!(control.running().state, "working");
    control.pause("noon");
    assert!(!control.note(&begins, &mut |_| false), "it stops out of a rest");
}
