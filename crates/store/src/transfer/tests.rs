//! Streams that are whole, cut, flipped and made up.

use std::collections::BTreeMap;

use rehome_log::Lsn;

use super::*;
use crate::{
    ContentId, ContentRun, Flags, FolderName, IncomingFolder, IncomingMailbox, MailboxName,
    Message, Modseq, Uid, UidValidity,
};

fn message(uid: u32, flags: Flags, keywords: &[&str]) -> Message {
    Message {
        uid: Uid(uid),
        modseq: Modseq(u64::from(uid)),
        content: ContentId([7; 32]),
        size_bytes: 40,
        internal_date_seconds: -1,
        flags,
        keywords: keywords.iter().map(ToString::to_string).collect(),
        origin: Some("1.M2P3Q4.host".to_owned()),
    }
}

fn mailbox() -> IncomingMailbox {
    let inbox = FolderName::inbox();
    IncomingMailbox {
        name: MailboxName::try_from("alice").unwrap(),
        attributes: BTreeMap::from([("quota".to_owned(), "5".to_owned())]),
        subscriptions: vec!["INBOX".to_owned()],
        folders: vec![IncomingFolder {
            name: inbox.clone(),
            uidvalidity: UidValidity(9),
            uidnext: Uid(4),
            attributes: BTreeMap::new(),
            modseq: Modseq(1),
        }],
        messages: vec![(inbox.clone(), message(2, Flags::SEEN, &["a"]))],
        expunges: vec![(inbox, Uid(1), Modseq(3))],
        cursor: Modseq(3),
    }
}

fn run(body: &[u8]) -> ContentRun {
    ContentRun::check(&crate::record::encode(body).bytes).unwrap()
}

fn frames() -> Vec<Frame> {
    let begin = Begin { version: TRANSFER_VERSION, store_id: [5; 16], lsn: Lsn::new(3, 4096) };
    let left = LeftBehind {
        mailbox: MailboxName::try_from("bob").unwrap(),
        content: Some(ContentId([1; 32])),
        reason: "rot".to_owned(),
    };
    vec![
        Frame::Begin(begin),
        Frame::Content(run(b"a message")),
        Frame::Mailbox(mailbox()),
        Frame::LeftBehind(left),
        Frame::Base(b"rows".to_vec()),
    ]
}

fn written(frames: &[Frame]) -> Vec<u8> {
    let mut writer = FrameWriter::new(Vec::new());
    frames.iter().for_each(|frame| writer.write(frame).unwrap());
    writer.finish().unwrap()
}

/// Reads until the end or the first error; gives the frames before it, too.
fn read(stream: &[u8]) -> (Vec<Frame>, Result<(), StreamError>) {
    let mut reader = FrameReader::new(stream);
    let mut frames = Vec::new();
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return (frames, Ok(())),
            Err(error) => return (frames, Err(error)),
        }
    }
}

/// A stream that is not whole gives an error, and before it nothing but frames that were written.
#[track_caller]
fn check_error(stream: &[u8], what: &str) -> StreamError {
    let (got, end) = read(stream);
    let written = frames();
    assert!(got.len() <= written.len(), "{what}: more frames than were written");
    assert_eq!(got, written[..got.len()], "{what}: other frames than were written");
    end.expect_err(what)
}

#[test]
fn what_is_written_is_read_and_counted() {
    let (got, end) = read(&written(&frames()));
    end.unwrap();
    let mut expected = frames();
    // The four bytes of the base count with the contents.
    let counts =
        End { content_frames: 2, content_bytes: 76, mailbox_frames: 1, rows: 3, left_behind: 1 };
    expected.push(Frame::End(counts));
    assert_eq!(got, expected);
}

#[test]
fn a_stream_cut_at_any_byte_is_cut() {
    let stream = written(&frames());
    for cut in 0..stream.len() {
        let error = check_error(&stream[..cut], &format!("cut at {cut}"));
        assert!(matches!(error, StreamError::Cut { .. }), "cut at {cut}: {error}");
    }
}

#[test]
fn any_flipped_bit_is_an_error() {
    let stream = written(&frames());
    for byte in 0..stream.len() {
        for bit in 0..8 {
            let mut flipped = stream.clone();
            flipped[byte] ^= 1 << bit;
            check_error(&flipped, &format!("bit {bit} of byte {byte} flipped"));
        }
    }
}

#[test]
fn a_length_above_the_limit_is_refused_before_memory_is_taken() {
    let mut stream = written(&frames());
    stream[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = check_error(&stream, "a length of 4 GiB");
    assert_eq!(
        error.to_string(),
        "transfer stream is damaged in the frame at byte 0: 4294967295 bytes stated, at most \
         67108864 allowed; send again"
    );
}

/// Frames are whole and stand in an order that the format does not allow.
#[track_caller]
fn check_order(frames: &[Frame], expected: &str) {
    let mut writer = FrameWriter::new(Vec::new());
    frames.iter().for_each(|frame| writer.write(frame).unwrap());
    let error = read(&writer.finish().unwrap()).1.expect_err(expected);
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn frames_out_of_order_are_damage() {
    let all = frames();
    check_order(&all[1..], "no opening frame");
    check_order(&[all[0].clone(), all[0].clone()], "a second opening frame");
    check_order(&[all[0].clone(), Frame::End(End { rows: 1, ..End::default() })], "stated");
    let later = Begin { version: 2, store_id: [0; 16], lsn: Lsn::ZERO };
    check_order(&[Frame::Begin(later)], "has version 2, this program reads 1");
}

#[test]
fn a_record_longer_than_a_frame_goes_in_parts() {
    let body: Vec<u8> = (0..FRAME_SIZE_MAX + 5).map(|at| (at % 251) as u8).collect();
    let sent = [frames().remove(0), Frame::Content(run(&body))];
    let stream = written(&sent);
    let (got, end) = read(&stream);
    end.unwrap();
    assert!(got[..2] == sent, "the run is not the one that was written");
    let (got, end) = read(&stream[..FRAME_SIZE_MAX + 20]);
    assert_eq!(got.len(), 1, "half a run is none");
    assert!(matches!(end, Err(StreamError::Cut { .. })));
}

#[test]
fn the_closing_frame_has_the_bytes_that_the_format_page_shows() {
    let end =
        End { content_frames: 1, content_bytes: 48, mailbox_frames: 1, rows: 2, left_behind: 0 };
    let mut writer = FrameWriter::new(Vec::new());
    writer.write(&Frame::End(end)).unwrap();
    let finished = writer.finish().unwrap();
    let hex = |bytes: &[u8]| {
        let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.join(" ")
    };
    let page = include_str!("../../../../docs/format/transfer.md");
    for part in [&finished[..4], &finished[4..8], &finished[8..9], &finished[9..14]] {
        let begins = page.lines().any(|line| line.starts_with(&hex(part)));
        assert!(begins, "no line of the page begins with {}", hex(part));
    }
}

#[track_caller]
fn check_digest(messages: &[Message], lines: &str) {
    let mut builder = DigestBuilder::new();
    builder.folder(FolderName::inbox(), UidValidity(9));
    messages.iter().for_each(|message| builder.message(message));
    let digest = builder.finish(&["b".to_owned(), "INBOX".to_owned()]);
    let folder = blake3::hash(lines.as_bytes()).to_hex();
    assert_eq!(digest.folders[0].digest, folder.as_str());
    let count = messages.len();
    let whole = format!("folder 9 {count} {folder} INBOX\nsubscription INBOX\nsubscription b\n");
    assert_eq!(digest.digest, blake3::hash(whole.as_bytes()).to_hex().as_str());
    assert_eq!(digest.messages, count as u64);
}

#[test]
fn a_digest_can_be_recomputed_from_lines_of_text() {
    let sevens = "07".repeat(32);
    check_digest(&[], "");
    check_digest(
        &[
            message(2, Flags::SEEN.union(Flags::ANSWERED).union(Flags::DRAFT), &["b", "a"]),
            message(5, Flags::RECENT, &[]),
            message(6, Flags::NONE, &[]),
        ],
        &format!("2 DRS a,b -1 {sevens}\n5 N - -1 {sevens}\n6 - - -1 {sevens}\n"),
    );
}
