//! Restoring to a moment between backups: a whole store, or what is wanted of it by way of one.

use std::path::Path;

use rehome_archive::{ArchiveError, Content, ContentId, RestorePlan, Set};
use rehome_log::Lsn;
use rehome_store::{OpenOptions, Store};

use super::{
    Attempt, Begun, Made, RestoreRequest, RestoreTo, beside, into_place, lay_down_by, make,
};
use crate::error::Error;
use crate::event::Observe;
use crate::jobs::drill::outlines;
use crate::replay;
use crate::restore::{Amount, Chosen, ContentIter, Laid, Source};

/// Restores what `request` asks for.
pub(super) fn restore(
    set: &Set,
    plan: &RestorePlan,
    request: &RestoreRequest,
    begun: &Begun,
    observe: Observe<'_>,
) -> Result<Made, Error> {
    match (&request.to, &request.mailbox) {
        (RestoreTo::Store(place), None) => whole(set, plan, place, begun, observe),
        _ => part(set, plan, request, begun, observe),
    }
}

/// Lays a whole store down.
pub(in crate::jobs) fn lay_down(
    set: &Set,
    plan: &RestorePlan,
    store: &Path,
    attempt: Attempt,
    observe: Observe<'_>,
) -> Result<Laid<Lsn>, Error> {
    // A store that an earlier attempt has finished says itself how much it holds.
    let whole = Laid { reached: plan.reaches, there_bytes: u64::MAX };
    lay_down_by(store, attempt, whole, |marker| replay::lay_down(set, plan, store, marker, observe))
}

/// Makes a whole store.
fn whole(
    set: &Set,
    plan: &RestorePlan,
    place: &Path,
    begun: &Begun,
    observe: Observe<'_>,
) -> Result<Made, Error> {
    let scratch = beside(place, "restoring")?;
    let laid = lay_down(set, plan, &scratch, Attempt::GoesOn, observe)?;
    let store = Store::open_at(&scratch, OpenOptions::default()).map_err(Error::chain)?;
    let counts = store.statistics().map_err(Error::chain)?;
    store.close().map_err(Error::chain)?;
    let amount = Amount {
        mailboxes: counts.mailboxes,
        messages: counts.messages,
        content_bytes: counts.content_bytes,
    };
    let there_bytes = laid.there_bytes.min(counts.content_bytes);
    let made = Made { amount, reached: laid.reached, there_bytes };
    begun.set_made(made)?;
    into_place(&scratch, place)?;
    Ok(made)
}

/// Restores a part by way of a passing store of all.
fn part(
    set: &Set,
    plan: &RestorePlan,
    request: &RestoreRequest,
    begun: &Begun,
    observe: Observe<'_>,
) -> Result<Made, Error> {
    let passing = beside(request.to.place(), "moment")?;
    let laid = lay_down(set, plan, &passing, Attempt::GoesOn, observe)?;
    let store = Store::open_at(&passing, OpenOptions::default()).map_err(Error::chain)?;
    let all = store.statistics().map(|counts| counts.content_bytes).map_err(Error::chain);
    let made = from_store(&store, request, (begun, laid.reached), observe);
    store.close().map_err(Error::chain)?;
    Ok(Made { there_bytes: laid.there_bytes.min(all?), ..made? })
}

fn from_store(
    store: &Store,
    request: &RestoreRequest,
    begun: (&Begun, Lsn),
    observe: Observe<'_>,
) -> Result<Made, Error> {
    let chosen = Chosen::from_all(outlines(store)?, &request.selection())?;
    let content = |id: ContentId| {
        let bytes = store.body(&rehome_store::ContentId(id.0)).map_err(|error| {
            let (file, action) = (format!("content {id} of the passing store"), "read it");
            ArchiveError::Target { file, action, source: std::io::Error::other(error) }
        })?;
        Ok(Content { id, owners: Vec::new(), bytes, zstd_frame: None })
    };
    let contents =
        move |ids: Vec<ContentId>| -> ContentIter<'_> { Box::new(ids.into_iter().map(content)) };
    make(Source { contents: Box::new(contents) }, chosen, request, Some(begun), observe)
}

#[cfg(test)]
mod tests;
