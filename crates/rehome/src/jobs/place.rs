//! Letting a store's log or segments lie on another disk.

use std::path::{Path, PathBuf};

use rehome_store::{StoreError, StorePart, place_part};

use super::{flow, require_known, store_error};
use crate::error::Error;
use crate::event::{Event, Observe};
use crate::machine::{free_bytes, is_memory};
use crate::report::JobReport;

/// Where the parts of a store are to lie. The store's own folder brings a part home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceRequest {
    /// The store, which must be closed.
    pub store: PathBuf,
    /// The folder below which the log gets a folder of its own.
    pub log_dir: Option<PathBuf>,
    /// The same for the segments.
    pub segment_dir: Option<PathBuf>,
}

/// Lets log and segments of a store lie where they should. Stopped or killed, the same call goes
/// on.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no such store or folder, the store is open, or the place holds
/// something else; [`Error::Interrupted`] if `observe` says so; [`Error::NeedsHuman`] if a disk
/// fails or is full. Nothing is removed before its copy was compared.
pub fn store_place(request: &PlaceRequest, observe: Observe<'_>) -> Result<JobReport, Error> {
    require_known(&request.store)?;
    let wanted = [(StorePart::Log, &request.log_dir), (StorePart::Segments, &request.segment_dir)];
    let mut lines = Vec::new();
    let mut placed = serde_json::Map::new();
    for (part, dir) in wanted {
        let Some(dir) = dir else { continue };
        let changed = place_one(&request.store, part, dir, observe)?;
        let state = if changed { "now" } else { "already" };
        lines.push(format!("place of the {part}: {}, {state}", dir.display()));
        placed.insert(part.to_string(), serde_json::json!({ "at": dir, "changed": changed }));
    }
    if lines.is_empty() {
        let message = "nothing to place; give --log-dir, --segment-dir or both".to_owned();
        return Err(Error::BadInput { message });
    }
    JobReport::good(&serde_json::Value::Object(placed), lines.join("\n"))
}

/// Places one part; returns whether anything had to be done.
pub(super) fn place_one(
    store: &Path,
    part: StorePart,
    dir: &Path,
    observe: Observe<'_>,
) -> Result<bool, Error> {
    if !dir.is_dir() {
        let message = format!(
            "{}: there is no such folder, and nothing was changed; mount its disk, or make it",
            dir.display()
        );
        return Err(Error::BadInput { message });
    }
    if is_memory(dir)? && !is_memory(store)? {
        let message = format!(
            "{}: it is memory, and nothing there survives a power cut; nothing was changed; give a \
             folder on a disk",
            dir.display()
        );
        return Err(Error::BadInput { message });
    }
    let whole = |path: &Path| std::fs::canonicalize(path).map_err(Error::needs_human);
    let home = whole(dir)? == whole(store)?;
    let (mut refused, mut looked) = (None, false);
    let placed = place_part(store, part, (!home).then_some(dir), &mut |progress| {
        if !std::mem::replace(&mut looked, true) {
            refused = no_room(dir, progress.total_bytes - progress.done_bytes).err();
        }
        if refused.is_some() {
            return rehome_store::Flow::Stop;
        }
        flow(observe(Event::Progress {
            what: format!("copying the {part}"),
            done: progress.done_bytes,
            total: progress.total_bytes,
            unit: "bytes".to_owned(),
        }))
    });
    if let Some(error) = refused {
        return Err(error);
    }
    placed.map_err(|error| match error {
        StoreError::Stopped => Error::stopped("the change of place was asked to stop"),
        StoreError::StoreExists { .. } => {
            Error::BadInput { message: format!("{}: {error}; nothing was changed", dir.display()) }
        }
        other => store_error(store, other),
    })
}

/// Refuses a disk without room for so much.
fn no_room(dir: &Path, needed: u64) -> Result<(), Error> {
    let free = free_bytes(dir)?;
    if free >= needed {
        return Ok(());
    }
    let (free, needed) = (crate::summary::bytes(free), crate::summary::bytes(needed));
    let message = format!(
        "{}: {free} are free, and {needed} are to come there; the old files are all there; make \
         room and run the same command again, or name the old place",
        dir.display()
    );
    Err(Error::PreconditionOpen { message })
}
