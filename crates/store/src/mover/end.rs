//! The two ends of a move and the directory between them, as traits.

use rehome_log::Lsn;
use serde::{Deserialize, Serialize};

use super::error::TransferError;
use crate::transfer::{Frame, MailboxDigest};
use crate::{ContentId, Extent, IncomingMailbox, MailboxInfo, MailboxName, MailboxState, Modseq};

/// An offer has at most so many changes of one mailbox, so that memory is bounded; what comes after
/// them is in the next.
pub(super) const OFFERED_ROWS_MAX: u64 = 250_000;

/// What some mailboxes have and the target may lack, seen at one moment: everything, unless it is
/// a great deal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The moment.
    pub lsn: Lsn,
    /// The place in the log after which records follow a base of the moment.
    pub base_lsn: Lsn,
    /// The mailboxes and the modseq after which their changes are offered.
    pub mailboxes: Vec<(MailboxName, Option<Modseq>)>,
    /// The contents that the changed messages have, each once, by segment and offset.
    pub contents: Vec<(ContentId, Extent)>,
    /// Changes of messages and folders.
    pub rows: u64,
    /// Bytes of all contents.
    pub bytes: u64,
}

/// What both ends of a move can say and do about a mailbox.
///
/// All calls block. After an error the end can be used again, except for what the error says.
pub trait MailboxEnd: Send {
    /// Describes a mailbox; `None` if it is not here.
    ///
    /// # Errors
    ///
    /// [`TransferError`] if the store cannot be asked.
    fn info(&mut self, mailbox: &MailboxName) -> Result<Option<MailboxInfo>, TransferError>;

    /// Sets the state of a mailbox, durably.
    ///
    /// # Errors
    ///
    /// [`TransferError`] if there is no such mailbox or the change is not durable.
    fn set_state(
        &mut self,
        mailbox: &MailboxName,
        state: &MailboxState,
    ) -> Result<(), TransferError>;

    /// Digests what the mailbox holds now.
    ///
    /// # Errors
    ///
    /// [`TransferError`] if there is no such mailbox or it cannot be read.
    fn digest(&mut self, mailbox: &MailboxName) -> Result<MailboxDigest, TransferError>;

    /// Reads the next rows after a modseq, as they would travel. The batch's cursor is where the
    /// next call goes on; a batch with the cursor that was asked for is the last.
    ///
    /// # Errors
    ///
    /// [`TransferError`] if there is no such mailbox or it cannot be read.
    fn rows(
        &mut self,
        mailbox: &MailboxName,
        after: Modseq,
    ) -> Result<IncomingMailbox, TransferError>;
}

/// The store that mailboxes leave.
pub trait MoveSource: MailboxEnd {
    /// Looks at some mailboxes at one moment and lists what has changed after the given modseqs.
    /// The moment is kept until the next offer.
    ///
    /// # Errors
    ///
    /// [`TransferError::NoMailbox`] if one of them is not here.
    fn offer(&mut self, since: &[(MailboxName, Option<Modseq>)]) -> Result<Offer, TransferError>;

    /// As [`MoveSource::offer`], and everything is in it, however much that is: for a backup, which
    /// shows one moment.
    ///
    /// # Errors
    ///
    /// As [`MoveSource::offer`].
    fn offer_all(
        &mut self,
        since: &[(MailboxName, Option<Modseq>)],
    ) -> Result<Offer, TransferError>;

    /// Sends the wanted contents of the last offer in its order, then all its rows.
    ///
    /// `wanted[i]` is about `offer.contents[i]`. An error of `sink` ends the sending and is
    /// returned.
    ///
    /// # Errors
    ///
    /// [`TransferError::StaleOffer`] if `offer` is not the last one.
    fn send(
        &mut self,
        offer: &Offer,
        wanted: &[bool],
        sink: &mut dyn FnMut(Frame) -> Result<(), TransferError>,
    ) -> Result<(), TransferError>;

    /// Sends what makes of the last offer a base that archived log can follow: all contents of its
    /// moment that it does not list, then the catalog's rows.
    ///
    /// # Errors
    ///
    /// [`TransferError::StaleOffer`] if `offer` is not the last one, and what `sink` says.
    fn send_base(
        &mut self,
        offer: &Offer,
        sink: &mut dyn FnMut(Frame) -> Result<(), TransferError>,
    ) -> Result<(), TransferError>;
}

/// The store that mailboxes come to.
pub trait MoveTarget: MailboxEnd {
    /// How far an incoming mailbox has durably come; `None` if nothing of it is here.
    ///
    /// # Errors
    ///
    /// [`TransferError`] if the store cannot be asked.
    fn cursor(&mut self, mailbox: &MailboxName) -> Result<Option<Modseq>, TransferError>;

    /// Tells for each content whether it is not here; `missing[i]` is about `contents[i]`.
    ///
    /// # Errors
    ///
    /// [`TransferError`] if the store cannot be asked.
    fn missing(&mut self, contents: &[ContentId]) -> Result<Vec<bool>, TransferError>;

    /// Takes the next frame. What it holds is durable at the latest after [`MoveTarget::flush`].
    ///
    /// # Errors
    ///
    /// [`TransferError`] if the store refused the batch that the frame completed.
    fn receive(&mut self, frame: Frame) -> Result<(), TransferError>;

    /// Makes everything received durable.
    ///
    /// # Errors
    ///
    /// As [`MoveTarget::receive`].
    fn flush(&mut self) -> Result<(), TransferError>;

    /// Forgets what was received and is not durable yet, after a stream that broke off.
    fn discard(&mut self);
}

/// Who decides where a mailbox lives.
pub trait HomeDirectory: Send {
    /// The home server of a mailbox.
    ///
    /// # Errors
    ///
    /// [`TransferError::NoMailbox`] if the directory does not know it.
    fn home(&mut self, mailbox: &MailboxName) -> Result<String, TransferError>;

    /// Makes `to` the home, durably, if it is `from` or already `to`.
    ///
    /// # Errors
    ///
    /// [`TransferError`] if the home is another one or the change may not be durable.
    fn set_home(
        &mut self,
        mailbox: &MailboxName,
        from: &str,
        to: &str,
    ) -> Result<(), TransferError>;
}
