//! The payload of outline records.

use std::collections::BTreeMap;

use super::{
    ExpungeOutline, FolderOutline, MailboxOutline, MessageOutline, OutlineChanges, OutlinePart,
};
use crate::bytes::{Fields, Malformed, put_item, put_len, put_text, put_u16, put_u32, put_u64};
use crate::ids::ContentId;

const MAILBOX: u8 = 1;
const ATTRIBUTE: u8 = 2;
const SUBSCRIPTION: u8 = 3;
const FOLDER: u8 = 4;
const FOLDER_ATTRIBUTE: u8 = 5;
const MESSAGE: u8 = 6;
const CHANGES: u8 = 7;
const EXPUNGE: u8 = 8;

/// A part is closed when it has grown to this many bytes.
const PART_SIZE_TARGET: usize = 1 << 20;

/// What the index and the totals keep of a finished part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EncodedPart {
    pub(crate) payload: Vec<u8>,
    pub(crate) mailbox: u32,
    pub(crate) part: u32,
    pub(crate) last: bool,
    pub(crate) messages: u32,
    pub(crate) name: String,
}

/// Turns a mailbox's outline into payloads of bounded size.
pub(crate) struct OutlineEncoder {
    mailbox: u32,
    name: String,
    highest_modseq: u64,
    part: u32,
    messages_before: u64,
    messages: u32,
    items: Vec<u8>,
    folder: Option<Vec<u8>>,
    folder_name: String,
}

impl OutlineEncoder {
    pub(crate) fn new(mailbox: u32, outline: &MailboxOutline) -> OutlineEncoder {
        OutlineEncoder {
            mailbox,
            name: outline.name.clone(),
            highest_modseq: outline.highest_modseq,
            part: 0,
            messages_before: 0,
            messages: 0,
            items: Vec::new(),
            folder: None,
            folder_name: String::new(),
        }
    }

    pub(crate) fn mailbox(&self) -> u32 {
        self.mailbox
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Adds what `outline` holds; each part that gets full goes to `emit`.
    pub(crate) fn add<E>(
        &mut self,
        outline: &MailboxOutline,
        emit: &mut dyn FnMut(EncodedPart) -> Result<(), E>,
    ) -> Result<(), E> {
        self.highest_modseq = self.highest_modseq.max(outline.highest_modseq);
        put_attributes(&mut self.items, ATTRIBUTE, &outline.attributes);
        for name in &outline.subscriptions {
            put_item(&mut self.items, SUBSCRIPTION, |to| put_text(to, name));
        }
        if let Some(changes) = &outline.changes {
            self.add_changes(changes, emit)?;
        }
        for folder in &outline.folders {
            self.begin_folder(folder);
            for message in &folder.messages {
                put_item(&mut self.items, MESSAGE, |to| put_message(to, message));
                self.messages += 1;
                if self.items.len() >= PART_SIZE_TARGET {
                    emit(self.take(false))?;
                }
            }
        }
        Ok(())
    }

    fn add_changes<E>(
        &mut self,
        changes: &OutlineChanges,
        emit: &mut dyn FnMut(EncodedPart) -> Result<(), E>,
    ) -> Result<(), E> {
        put_item(&mut self.items, CHANGES, |to| put_u64(to, changes.since));
        for expunge in &changes.expunges {
            put_item(&mut self.items, EXPUNGE, |to| {
                put_u32(to, expunge.uid);
                put_u64(to, expunge.modseq);
                put_text(to, &expunge.folder);
            });
            if self.items.len() >= PART_SIZE_TARGET {
                emit(self.take(false))?;
                // Each part says that it is of changes.
                put_item(&mut self.items, CHANGES, |to| put_u64(to, changes.since));
            }
        }
        Ok(())
    }

    /// The last part.
    pub(crate) fn finish(mut self) -> EncodedPart {
        self.take(true)
    }

    fn begin_folder(&mut self, folder: &FolderOutline) {
        if self.folder.is_some() && self.folder_name == folder.name {
            return;
        }
        let mut item = Vec::new();
        put_item(&mut item, FOLDER, |to| {
            put_u32(to, folder.uidvalidity);
            put_u32(to, folder.uidnext);
            put_u64(to, folder.modseq);
            put_text(to, &folder.name);
        });
        put_attributes(&mut item, FOLDER_ATTRIBUTE, &folder.attributes);
        self.items.extend_from_slice(&item);
        self.folder = Some(item);
        self.folder_name.clone_from(&folder.name);
    }

    fn take(&mut self, last: bool) -> EncodedPart {
        let mut payload = Vec::with_capacity(self.items.len() + 64);
        put_item(&mut payload, MAILBOX, |to| {
            put_u32(to, self.mailbox);
            put_u32(to, self.part);
            to.push(u8::from(last));
            put_u64(to, self.messages_before);
            put_u64(to, self.highest_modseq);
            put_text(to, &self.name);
        });
        payload.append(&mut self.items);
        self.items = self.folder.clone().unwrap_or_default();
        let messages = std::mem::take(&mut self.messages);
        let part = self.part;
        self.part += 1;
        self.messages_before += u64::from(messages);
        let name = self.name.clone();
        EncodedPart { payload, mailbox: self.mailbox, part, last, messages, name }
    }
}

fn put_attributes(to: &mut Vec<u8>, tag: u8, attributes: &BTreeMap<String, String>) {
    for (key, value) in attributes {
        put_item(to, tag, |to| {
            put_text(to, key);
            put_text(to, value);
        });
    }
}

fn put_message(to: &mut Vec<u8>, message: &MessageOutline) {
    put_u32(to, message.uid);
    put_u64(to, message.modseq);
    put_u16(to, message.flags);
    to.extend_from_slice(&message.internal_date_seconds.to_le_bytes());
    put_u64(to, message.size_bytes);
    to.extend_from_slice(&message.content.0);
    put_len(to, message.keywords.len());
    for keyword in &message.keywords {
        put_text(to, keyword);
    }
    to.push(u8::from(message.origin.is_some()));
    if let Some(origin) = &message.origin {
        put_text(to, origin);
    }
}

/// Reads the payload of an outline record.
pub(crate) fn decode_part(payload: &[u8]) -> Result<OutlinePart, Malformed> {
    let mut items = Fields(payload);
    let (tag, mailbox) = items.item()?;
    if tag != MAILBOX {
        return Err("an outline does not begin with its mailbox");
    }
    let mut part = take_mailbox(mailbox)?;
    while !items.is_empty() {
        let (tag, body) = items.item()?;
        take_item(&mut part.outline, tag, body)?;
    }
    Ok(part)
}

fn take_mailbox(mut body: Fields<'_>) -> Result<OutlinePart, Malformed> {
    let (mailbox, part, last) = (body.u32()?, body.u32()?, body.flag()?);
    let (messages_before, highest_modseq) = (body.u64()?, body.u64()?);
    let name = body.text()?;
    let outline = MailboxOutline { name, highest_modseq, ..MailboxOutline::default() };
    Ok(OutlinePart { mailbox, part, last, messages_before, outline })
}

fn take_item(outline: &mut MailboxOutline, tag: u8, mut body: Fields<'_>) -> Result<(), Malformed> {
    const NO_FOLDER: Malformed = "an item of a folder comes before any folder";
    match tag {
        ATTRIBUTE => _ = outline.attributes.insert(body.text()?, body.text()?),
        SUBSCRIPTION => outline.subscriptions.push(body.text()?),
        FOLDER => outline.folders.push(take_folder(body)?),
        CHANGES => outline.changes = Some(OutlineChanges { since: body.u64()?, expunges: vec![] }),
        EXPUNGE => {
            const NO_CHANGES: Malformed = "an expunge comes before what it is a change of";
            let (uid, modseq, folder) = (body.u32()?, body.u64()?, body.text()?);
            let changes = outline.changes.as_mut().ok_or(NO_CHANGES)?;
            changes.expunges.push(ExpungeOutline { folder, uid, modseq });
        }
        FOLDER_ATTRIBUTE => {
            let folder = outline.folders.last_mut().ok_or(NO_FOLDER)?;
            folder.attributes.insert(body.text()?, body.text()?);
        }
        MESSAGE => {
            let folder = outline.folders.last_mut().ok_or(NO_FOLDER)?;
            folder.messages.push(take_message(body)?);
        }
        // An item of a later version that may be ignored; others come with a feature bit.
        _ => {}
    }
    Ok(())
}

fn take_folder(mut body: Fields<'_>) -> Result<FolderOutline, Malformed> {
    let (uidvalidity, uidnext, modseq) = (body.u32()?, body.u32()?, body.u64()?);
    let name = body.text()?;
    let (attributes, messages) = (BTreeMap::new(), Vec::new());
    Ok(FolderOutline { name, uidvalidity, uidnext, modseq, attributes, messages })
}

fn take_message(mut body: Fields<'_>) -> Result<MessageOutline, Malformed> {
    let (uid, modseq, flags) = (body.u32()?, body.u64()?, body.u16()?);
    let internal_date_seconds = i64::from_le_bytes(body.array()?);
    let size_bytes = body.u64()?;
    let content = ContentId(body.array()?);
    let mut keywords = Vec::new();
    for _ in 0..body.u32()? {
        keywords.push(body.text()?);
    }
    let origin = if body.flag()? { Some(body.text()?) } else { None };
    Ok(MessageOutline {
        uid,
        modseq,
        flags,
        keywords,
        internal_date_seconds,
        size_bytes,
        content,
        origin,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(uid: u32) -> MessageOutline {
        MessageOutline {
            uid,
            modseq: 7,
            flags: 0x8001,
            keywords: vec!["$junk".to_owned(), "ö".to_owned()],
            internal_date_seconds: -5,
            size_bytes: 1 << 40,
            content: ContentId([uid.to_le_bytes()[0]; 32]),
            origin: uid.is_multiple_of(2).then(|| format!("{uid}.host")),
        }
    }

    fn mailbox(messages: u32) -> MailboxOutline {
        let attributes = BTreeMap::from([("quota".to_owned(), "1".to_owned())]);
        let folder = |name: &str, from: u32| FolderOutline {
            name: name.to_owned(),
            uidvalidity: 3,
            uidnext: 99,
            modseq: 12,
            attributes: attributes.clone(),
            messages: (from..from + messages).map(message).collect(),
        };
        MailboxOutline {
            name: "anna".to_owned(),
            attributes: attributes.clone(),
            subscriptions: vec!["INBOX".to_owned()],
            highest_modseq: 40,
            folders: vec![folder("INBOX", 1), folder("empty", 1), folder("Sent", 7)],
            changes: None,
        }
    }

    fn changed(expunges: u32, messages: u32) -> MailboxOutline {
        let expunge = |uid| ExpungeOutline { folder: "INBOX".to_owned(), uid, modseq: 39 };
        let expunges = (1..=expunges).map(expunge).collect();
        let changes = Some(OutlineChanges { since: 7, expunges });
        MailboxOutline { changes, ..mailbox(messages) }
    }

    fn encode(outline: &MailboxOutline) -> Vec<EncodedPart> {
        let mut parts = Vec::new();
        let mut encoder = OutlineEncoder::new(4, outline);
        let mut emit = |part| {
            parts.push(part);
            Ok::<(), ()>(())
        };
        encoder.add(outline, &mut emit).unwrap();
        parts.push(encoder.finish());
        parts
    }

    #[track_caller]
    fn check(outline: &MailboxOutline) -> usize {
        let parts = encode(outline);
        let mut whole: Option<MailboxOutline> = None;
        for (number, part) in (0..).zip(&parts) {
            let read = decode_part(&part.payload).unwrap();
            assert_eq!((read.mailbox, read.part), (4, number));
            assert_eq!(read.last, part.payload == parts.last().unwrap().payload);
            assert_eq!(read.messages_before, whole.as_ref().map_or(0, MailboxOutline::messages));
            match &mut whole {
                None => whole = Some(read.outline),
                Some(whole) => whole.extend(read.outline),
            }
        }
        assert_eq!(whole.as_ref(), Some(outline));
        parts.len()
    }

    #[test]
    fn an_outline_comes_back_from_one_part_or_several() {
        assert_eq!(check(&MailboxOutline::default()), 1);
        assert_eq!(check(&mailbox(3)), 1);
        assert!(check(&mailbox(8000)) > 1);
        assert_eq!(check(&changed(3, 3)), 1);
        assert!(check(&changed(80_000, 8000)) > 2);
    }

    #[test]
    fn an_outline_cut_anywhere_is_refused_or_shorter() {
        let outline = mailbox(2);
        let payload = encode(&outline).remove(0).payload;
        for cut in 0..payload.len() {
            if let Ok(part) = decode_part(&payload[..cut]) {
                assert_ne!(part.outline, outline, "cut at {cut}");
            }
        }
    }
}
