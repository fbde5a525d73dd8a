//! Restoring to a moment between backups: a whole store, or what is wanted of it by way of one.

use std::collections::HashSet;
use std::path::Path;

use rehome_archive::{ArchiveError, Content, ContentId, RestorePlan, Set};
use rehome_log::Lsn;
use rehome_store::{OpenOptions, Store};

use super::{RestoreRequest, RestoreTo, beside, into_place, lay_down_by, make};
use crate::error::Error;
use crate::event::Observe;
use crate::jobs::drill::outlines;
use crate::replay;
use crate::restore::{Amount, Chosen, Source};

/// Restores what `request` asks for; returns how much it is and the last record of the log in it.
pub(super) fn restore(
    set: &Set,
    plan: &RestorePlan,
    request: &RestoreRequest,
    observe: Observe<'_>,
) -> Result<(Amount, Lsn), Error> {
    match (&request.to, &request.mailbox) {
        (RestoreTo::Store(place), None) => whole(set, plan, place, observe),
        _ => part(set, plan, request, observe),
    }
}

/// Lays a whole store down.
pub(in crate::jobs) fn lay_down(
    set: &Set,
    plan: &RestorePlan,
    store: &Path,
    observe: Observe<'_>,
) -> Result<Lsn, Error> {
    lay_down_by(store, |marker| replay::lay_down(set, plan, store, marker, observe))
}

/// Makes a whole store.
fn whole(
    set: &Set,
    plan: &RestorePlan,
    place: &Path,
    observe: Observe<'_>,
) -> Result<(Amount, Lsn), Error> {
    let scratch = beside(place, "restoring")?;
    let reached = lay_down(set, plan, &scratch, observe)?;
    let store = Store::open_at(&scratch, OpenOptions::default()).map_err(Error::chain)?;
    let counts = store.statistics().map_err(Error::chain)?;
    store.close().map_err(Error::chain)?;
    into_place(&scratch, place)?;
    let amount = Amount {
        mailboxes: counts.mailboxes,
        messages: counts.messages,
        content_bytes: counts.content_bytes,
    };
    Ok((amount, reached))
}

/// Restores a part by way of a passing store of all.
fn part(
    set: &Set,
    plan: &RestorePlan,
    request: &RestoreRequest,
    observe: Observe<'_>,
) -> Result<(Amount, Lsn), Error> {
    let passing = beside(request.to.place(), "moment")?;
    let reached = lay_down(set, plan, &passing, observe)?;
    let store = Store::open_at(&passing, OpenOptions::default()).map_err(Error::chain)?;
    let made = from_store(&store, request, observe);
    store.close().map_err(Error::chain)?;
    std::fs::remove_dir_all(&passing)
        .map_err(|error| Error::needs_human(format!("{}: {error}", passing.display())))?;
    Ok((made?, reached))
}

fn from_store(
    store: &Store,
    request: &RestoreRequest,
    observe: Observe<'_>,
) -> Result<Amount, Error> {
    let chosen = Chosen::from_all(outlines(store)?, &request.selection())?;
    let amount = chosen.amount();
    let wanted: HashSet<ContentId> = chosen.content_ids().collect();
    let contents = wanted.into_iter().map(|id| {
        let bytes = store.body(&rehome_store::ContentId(id.0)).map_err(|error| {
            let (file, action) = (format!("content {id} of the passing store"), "read it");
            ArchiveError::Target { file, action, source: std::io::Error::other(error) }
        })?;
        Ok(Content { id, owners: Vec::new(), bytes })
    });
    let source = Source { contents: Box::new(contents) };
    make(source, chosen, request, observe)?;
    Ok(amount)
}

#[cfg(test)]
mod tests;
