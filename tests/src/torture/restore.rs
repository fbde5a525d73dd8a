//! A restore that is cut short never opens; one that was finished opens with its marker however
//! often its first opening is cut short.

use std::collections::BTreeMap;
use std::sync::Arc;

use rehome::parts::log::SplitMix64;
use rehome::parts::store::{
    ContentId, Flags, FolderName, IncomingFolder, IncomingMailbox, MailboxState, Message, Modseq,
    OpenOptions, RestoreMarker, RestoreWriter, Store, StoreError, Uid, UidValidity,
};

use super::keeper::{Keeper, clock, honest, options};
use super::model::{Folder, Mailbox, Model, Row};
use super::rig::{Rig, Site, Trouble};
use super::steps::{append, index, name, text};
use super::{Failure, Tally};

/// One crash of a restore, and some of the opening after one that was not disturbed.
pub(super) fn point(
    lie: Option<Site>,
    random: &mut SplitMix64,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let (options, texts) = (options(random), texts(random));
    cut_short(Arc::new(Rig::new(lie)), &options, &texts, random, tally)?;
    let mut rig = Arc::new(Rig::new(lie));
    let marker = write(&rig, &options, &texts).map_err(Failure::of("restoring"))?;
    let with = OpenOptions { restore_marker: Some(marker), ..options.clone() };
    while random.chance(70) {
        let trouble = Trouble::ALL[index(random, Trouble::ALL.len())];
        rig.plan(trouble, random.below(250), random);
        if let Err(error) = Store::open(rig.clone(), clock(), with.clone()) {
            honest(&error)?;
        }
        tally.crash(trouble);
        rig = crash(&rig, trouble, random);
    }
    let store = Store::open(rig.clone(), clock(), with);
    let store = store.map_err(Failure::of("the first opening of a restored store"))?;
    let mut keeper = Keeper::of(rig, store, options);
    keeper.certain = expected(&texts);
    keeper.compare()?;
    keeper.work(5, random)?;
    keeper.close_and_compare()
}

fn crash(rig: &Rig, trouble: Trouble, random: &mut SplitMix64) -> Arc<Rig> {
    let cut = trouble == Trouble::PowerCut || random.chance(50);
    let left = if cut { rig.crash(random.next_u64()) } else { rig.restart() };
    left.heal();
    Arc::new(left)
}

fn cut_short(
    rig: Arc<Rig>,
    options: &OpenOptions,
    texts: &[String],
    random: &mut SplitMix64,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let trouble = Trouble::ALL[index(random, Trouble::ALL.len())];
    rig.plan(trouble, random.below(120), random);
    let written = write(&rig, options, texts);
    tally.crash(trouble);
    let rig = crash(&rig, trouble, random);
    match (Store::open(rig.clone(), clock(), options.clone()), written) {
        (Ok(_), _) => Err(Failure::new("a restored store opens without its marker".to_owned())),
        (Err(StoreError::NoStore { .. }), Err(_)) => Ok(()),
        (Err(StoreError::RestoreInProgress { .. }), Err(_)) => Ok(()),
        (Err(error), Err(_)) => Err(Failure::new(format!("half a restore is told as {error}"))),
        (Err(_), Ok(marker)) => {
            let with = OpenOptions { restore_marker: Some(marker), ..options.clone() };
            let store = Store::open(rig.clone(), clock(), with);
            let store = store.map_err(Failure::of("opening a restored store"))?;
            let mut keeper = Keeper::of(rig, store, options.clone());
            keeper.certain = expected(texts);
            keeper.compare()
        }
    }
}

fn texts(random: &mut SplitMix64) -> Vec<String> {
    (0..5 + index(random, 60)).map(|_| text(random)).collect()
}

fn message(uid: u32, text: &str) -> Message {
    let body = append(text).body;
    Message {
        uid: Uid(uid),
        modseq: Modseq(u64::from(uid) + 1),
        content: ContentId::of(&body),
        size_bytes: body.len() as u64,
        internal_date_seconds: 0,
        flags: Flags::SEEN,
        keywords: vec![],
        origin: None,
    }
}

/// Each text with the UID that it gets.
fn numbered(texts: &[String]) -> impl Iterator<Item = (u32, &String)> {
    (1..).zip(texts)
}

fn write(
    rig: &Arc<Rig>,
    options: &OpenOptions,
    texts: &[String],
) -> Result<RestoreMarker, StoreError> {
    let mut writer = RestoreWriter::create(rig.clone(), clock(), options.clone())?;
    for text in texts {
        writer.put_body(&append(text).body)?;
    }
    let folder = IncomingFolder {
        name: FolderName::inbox(),
        uidvalidity: UidValidity(5),
        uidnext: Uid(400),
        attributes: [].into(),
        modseq: Modseq(1),
    };
    let messages = numbered(texts).map(|(uid, text)| (FolderName::inbox(), message(uid, text)));
    writer.put_mailbox(IncomingMailbox {
        name: name("m0"),
        attributes: [].into(),
        subscriptions: vec!["INBOX".to_owned()],
        folders: vec![folder],
        messages: messages.collect(),
        expunges: vec![],
        cursor: Modseq(500),
    })?;
    writer.finish()
}

fn expected(texts: &[String]) -> Model {
    let row = |(uid, text): (u32, &String)| {
        let Message { content, flags, modseq, .. } = message(uid, text);
        (uid, Row { content, flags, modseq: modseq.0 })
    };
    let inbox = Folder { uidnext: 400, messages: numbered(texts).map(row).collect() };
    let mailbox = Mailbox {
        state: MailboxState::Active,
        modseq: 500,
        subscriptions: vec!["INBOX".to_owned()],
        folders: BTreeMap::from([("INBOX".to_owned(), inbox)]),
    };
    Model { mailboxes: BTreeMap::from([("m0".to_owned(), mailbox)]) }
}
