//! What users and those who deliver to them ask for.

use std::collections::BTreeMap;

use rehome_store::{
    Append, FlagChange, FolderInfo, FolderName, MailboxInfo, MailboxName, MailboxState, NewFolder,
    Uid,
};

use super::StoreService;
use crate::wire::{
    Answer, ErrorCode, Logon, MessagesPage, Recipient, Refusal, Reply, Stored, of_state,
};

/// The mailbox attribute that says when its user first logged on, and at which server.
pub const FIRST_LOGON: &str = "first-logon";

/// How far back a delivery that is tried again is looked for, in UIDs.
const LOOK_BACK_MAX: u32 = 20_000;

/// The most rows in an answer.
const PAGE_ROWS_MAX: usize = 10_000;

impl StoreService {
    pub(super) fn deliver(&self, recipient: Recipient, body: Vec<u8>) -> Answer<Reply> {
        let info = self.active(&recipient.mailbox)?;
        let name = recipient.folder.unwrap_or_else(FolderName::inbox);
        let folder = match self.store.folder(info.id, &name)? {
            Some(folder) => folder,
            None => self.store.create_folder(info.id, &name, NewFolder::default())?,
        };
        if let (true, Some(token)) = (recipient.again, &recipient.token)
            && let Some(uid) = self.find_delivery(&info, &folder, token)?
        {
            return Reply::of(&Stored { folder: name, uid, before: true });
        }
        let append = Append {
            body,
            internal_date_seconds: recipient
                .date_seconds
                .unwrap_or_else(|| self.clock.wall_us().div_euclid(1_000_000)),
            flags: recipient.flags,
            keywords: recipient.keywords,
            uid: None,
            origin: recipient.token,
        };
        let uids = self.store.deliver(&[(info.id, folder.id)], append)?;
        match uids.first() {
            Some(uid) => Reply::of(&Stored { folder: name, uid: *uid, before: false }),
            None => Err(Refusal::unavailable("the store gave the message no UID")),
        }
    }

    /// Looks for the message of a delivery whose answer was lost.
    fn find_delivery(
        &self,
        info: &MailboxInfo,
        folder: &FolderInfo,
        token: &str,
    ) -> Answer<Option<Uid>> {
        let mut after = Uid(folder.uidnext.0.saturating_sub(LOOK_BACK_MAX));
        loop {
            let page = self.store.messages(info.id, folder.id, after, PAGE_ROWS_MAX)?;
            let found = page.iter().find(|message| message.origin.as_deref() == Some(token));
            if let Some(message) = found {
                return Ok(Some(message.uid));
            }
            match page.last() {
                Some(last) if page.len() == PAGE_ROWS_MAX => after = last.uid,
                _ => return Ok(None),
            }
        }
    }

    pub(super) fn logon(&self, mailbox: &MailboxName) -> Answer<Reply> {
        let info = self.active(mailbox)?;
        let first = !has_logged_on(&info, &self.server);
        if first {
            let value = format!("{} {}", self.server, self.clock.wall_us().div_euclid(1_000_000));
            self.store.set_attribute(info.id, FIRST_LOGON, Some(&value))?;
        }
        Reply::of(&Logon { server: self.server.clone(), first })
    }

    pub(super) fn folders(&self, mailbox: &MailboxName) -> Answer<Reply> {
        let info = self.readable(mailbox)?;
        Reply::of(&self.store.folders(info.id)?)
    }

    pub(super) fn create_folder(
        &self,
        mailbox: &MailboxName,
        folder: &FolderName,
        attributes: BTreeMap<String, String>,
    ) -> Answer<Reply> {
        let info = self.active(mailbox)?;
        let new = NewFolder { attributes, ..NewFolder::default() };
        Reply::of(&self.store.create_folder(info.id, folder, new)?)
    }

    pub(super) fn subscribe(
        &self,
        mailbox: &MailboxName,
        subscriptions: Vec<String>,
    ) -> Answer<Reply> {
        let info = self.active(mailbox)?;
        Reply::of(&self.store.set_subscriptions(info.id, subscriptions)?)
    }

    pub(super) fn messages(
        &self,
        mailbox: &MailboxName,
        folder: &FolderName,
        after: Uid,
        limit: usize,
    ) -> Answer<Reply> {
        let (info, folder) = self.readable_folder(mailbox, folder)?;
        let limit = limit.clamp(1, PAGE_ROWS_MAX);
        let messages = self.store.messages(info.id, folder.id, after, limit)?;
        let more = messages.len() == limit;
        Reply::of(&MessagesPage { messages, more })
    }

    pub(super) fn fetch(
        &self,
        mailbox: &MailboxName,
        folder: &FolderName,
        uid: Uid,
    ) -> Answer<Reply> {
        let (info, folder) = self.readable_folder(mailbox, folder)?;
        let (message, body) = self.store.read(info.id, folder.id, uid)?;
        Reply::of(&message)?.with_body(body)
    }

    pub(super) fn flags(
        &self,
        mailbox: &MailboxName,
        folder: &FolderName,
        uid: Uid,
        change: FlagChange,
    ) -> Answer<Reply> {
        let (info, folder) = self.readable_folder(mailbox, folder)?;
        Reply::of(&self.store.store_flags(info.id, folder.id, uid, change)?)
    }

    pub(super) fn expunge(
        &self,
        mailbox: &MailboxName,
        folder: &FolderName,
        uids: &[Uid],
    ) -> Answer<Reply> {
        let (info, folder) = self.readable_folder(mailbox, folder)?;
        Reply::of(&self.store.expunge(info.id, folder.id, uids)?)
    }

    /// Finds a mailbox that takes writes here.
    fn active(&self, mailbox: &MailboxName) -> Answer<MailboxInfo> {
        let info = self.require(mailbox)?;
        if info.state == MailboxState::Active { Ok(info) } else { Err(elsewhere(&info)) }
    }

    /// Finds a mailbox that may be read here: its home is here, even if it is fenced.
    fn readable(&self, mailbox: &MailboxName) -> Answer<MailboxInfo> {
        let info = self.require(mailbox)?;
        match info.state {
            MailboxState::Active | MailboxState::Fenced { .. } => Ok(info),
            MailboxState::Incoming | MailboxState::Moved { .. } => Err(elsewhere(&info)),
        }
    }

    fn readable_folder(
        &self,
        mailbox: &MailboxName,
        folder: &FolderName,
    ) -> Answer<(MailboxInfo, FolderInfo)> {
        let info = self.readable(mailbox)?;
        let found = self.store.folder(info.id, folder)?;
        let found = found.ok_or_else(|| {
            Refusal::not_found(format!("mailbox {mailbox} has no folder {folder}"))
        })?;
        Ok((info, found))
    }

    /// Finds a mailbox in whatever state.
    pub(super) fn require(&self, mailbox: &MailboxName) -> Answer<MailboxInfo> {
        self.store.mailbox(mailbox)?.ok_or_else(|| {
            let server = &self.server;
            Refusal::not_found(format!("{server} has no mailbox {mailbox}; ask the directory"))
        })
    }
}

/// Says where to go with a mailbox that is not to be used here.
fn elsewhere(info: &MailboxInfo) -> Refusal {
    let (code, to) = of_state(&info.state);
    let help = match code {
        ErrorCode::Moved => "go there",
        ErrorCode::Fenced => "try again in a moment",
        _ => "ask the directory for its home",
    };
    Refusal { code, text: format!("mailbox {} is {}; {help}", info.name, info.state), to }
}

/// Tells whether a mailbox's user has logged on at a server since the mailbox came there.
#[must_use]
pub fn has_logged_on(info: &MailboxInfo, server: &str) -> bool {
    let value = info.attributes.get(FIRST_LOGON);
    let at = value.and_then(|value| value.split_whitespace().next());
    at.is_some_and(|at| at.eq_ignore_ascii_case(server))
}
