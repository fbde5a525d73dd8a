//! What is known of groups that a salvage gives up.

use std::collections::BTreeMap;

use rehome_log::{Lsn, Record};

use crate::catalog::View;
use crate::error::StoreError;
use crate::model::{MailboxId, MailboxName};
use crate::op::Group;
use crate::subscribe::{ChangeKind, events};

/// What was done in a mailbox and is not kept, as far as whole records tell.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct GivenUp {
    /// Number of the mailbox.
    pub mailbox: MailboxId,
    /// Its name, if it is known.
    pub name: Option<MailboxName>,
    /// Messages that came into it: delivered, copied or received.
    pub messages: u64,
    /// Other changes.
    pub changes: u64,
    /// When the first of all was written, in microseconds since 1970.
    pub first_wall_us: i64,
    /// And the last.
    pub last_wall_us: i64,
}

/// Gathers them.
#[derive(Default)]
pub(super) struct Ledger {
    mailboxes: BTreeMap<MailboxId, GivenUp>,
}

impl Ledger {
    /// Notes a whole record that is given up.
    pub(super) fn note(&mut self, record: &Record<'_>) {
        // A record of a later version tells nothing here.
        let Ok(group) = Group::decode(record.payload) else { return };
        for event in events(Lsn::ZERO, record.lsn, record.wall_us, &group) {
            let mailbox = event.mailbox;
            let entry = self.mailboxes.entry(mailbox).or_insert(GivenUp {
                mailbox,
                name: None,
                messages: 0,
                changes: 0,
                first_wall_us: event.wall_us,
                last_wall_us: event.wall_us,
            });
            entry.last_wall_us = event.wall_us;
            match event.what {
                ChangeKind::Delivered { .. } => entry.messages += 1,
                ChangeKind::MailboxMade { name } | ChangeKind::MailboxRenamed { name } => {
                    entry.changes += 1;
                    entry.name = Some(name);
                }
                _ => entry.changes += 1,
            }
        }
    }

    /// All of it, by mailbox; those that the catalog knows by its name for them.
    pub(super) fn by_mailbox(self, view: &View) -> Result<Vec<GivenUp>, StoreError> {
        let named = self.mailboxes.into_values().map(|given_up| {
            let known = view.mailbox(given_up.mailbox)?.map(|mailbox| mailbox.name);
            Ok(GivenUp { name: known.or(given_up.name.clone()), ..given_up })
        });
        named.collect()
    }
}
