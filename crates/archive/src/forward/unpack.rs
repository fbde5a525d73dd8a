//! Laying a backup that comes out of a pipe into a set.

use std::io::{self, Read};

use super::files::{Files, PIPE};
use crate::check::CheckLevel;
use crate::error::ArchiveError;
use crate::layout::MANIFEST_SIZE_MAX;
use crate::manifest::Manifest;
use crate::names::{self, BASE, MANIFEST, volume_number};
use crate::set_file::{self, SetFile, write};
use crate::survey::Progress;
use crate::target::{Target, read_small};
use crate::verify;

/// Bytes copied at a time.
const PIECE_SIZE: usize = 1 << 20;

/// Lays the backup that comes out of `source` into the set at `target`, which is made if there is
/// none, reads it back, and writes its manifest last. Interrupted, it leaves an incomplete backup;
/// the same pipe, sent again, completes it. `observe` learns how much of the pipe came, without a
/// total, then how much was read back.
///
/// # Errors
///
/// As [`PipeReader::open`](super::PipeReader::open); [`ArchiveError::OtherSet`] if the target
/// holds another set; [`ArchiveError::Damaged`] and [`ArchiveError::PipeCut`] if not everything
/// came; [`ArchiveError::NotVerified`] if it does not read back; the target's errors. There is no
/// manifest then.
pub fn unpack_pipe<'a>(
    source: impl Read + 'a,
    target: &dyn Target,
    observe: &mut dyn FnMut(Progress),
) -> Result<Manifest, ArchiveError> {
    let mut files = Files::new(source);
    let pipe_set = super::read_set(&mut files)?;
    let set = settle_set(target, &pipe_set)?;
    let mut folder: Option<String> = None;
    let mut manifest = None;
    while let Some(name) = files.next_file()? {
        let parts = name.strip_prefix(BASE).and_then(|rest| rest.strip_prefix('/'));
        // Only names that a set has are written: nothing leaves the target.
        let Some((own, file)) = parts.and_then(|rest| rest.split_once('/')) else { continue };
        if names::parse_folder_name(own).is_none() {
            continue;
        }
        let own = format!("{BASE}/{own}");
        if folder.get_or_insert_with(|| own.clone()) != &own {
            return Err(files.damaged("it carries two backups"));
        }
        if file == MANIFEST {
            let bytes = files.read_small(MANIFEST_SIZE_MAX)?;
            manifest = Some((Manifest::decode(&name, &bytes)?, bytes));
        } else if volume_number(file).is_some() && !file.ends_with(".part") {
            copy(&mut files, target, &name, observe)?;
        }
    }
    let none = || ArchiveError::file_damaged(PIPE, "it carries no MANIFEST");
    let (folder, (manifest, bytes)) = folder.zip(manifest).ok_or_else(none)?;
    let header = &manifest.header;
    let own_name = names::folder_name(header.lsn_end, header.kind, manifest.backup_id);
    let is_ours = manifest.set_id == set.set_id
        && header.store_id == set.store_id
        && folder.ends_with(&own_name);
    if !is_ours {
        let what = "it is the manifest of another backup or set";
        return Err(ArchiveError::file_damaged(&format!("{folder}/{MANIFEST}"), what));
    }
    complete(target, &folder, &manifest, &bytes, observe)?;
    Ok(manifest)
}

/// Writes `SET`, or makes sure that the target's is the same one.
fn settle_set(target: &dyn Target, pipe: &SetFile) -> Result<SetFile, ArchiveError> {
    let found = match SetFile::read(target) {
        Err(ArchiveError::NoSet) => {
            let written = write(target, set_file::NAME, &pipe.encode());
            written.or_else(allow_existing)?;
            SetFile::read(target)?
        }
        read => read?,
    };
    target.settle(set_file::NAME).map_err(ArchiveError::target(set_file::NAME, "settle it"))?;
    found.features.may_write(set_file::NAME)?;
    if found.set_id != pipe.set_id {
        return Err(ArchiveError::OtherSet { pipe: pipe.set_id, target: found.set_id });
    }
    Ok(found)
}

fn allow_existing(error: ArchiveError) -> Result<(), ArchiveError> {
    match error {
        ArchiveError::Target { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
            Ok(())
        }
        error => Err(error),
    }
}

/// Copies the present file of the pipe; one that is there already must have the same bytes.
fn copy(
    files: &mut Files<'_>,
    target: &dyn Target,
    name: &str,
    observe: &mut dyn FnMut(Progress),
) -> Result<(), ArchiveError> {
    // To create a file that is there would leave an empty beginning of it in a folder.
    match target.open(name) {
        Ok(_) => return compare(files, target, name),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(ArchiveError::target(name, "open it")(error)),
    }
    let mut file = target.create(name).map_err(ArchiveError::target(name, "create it"))?;
    let mut piece = vec![0; PIECE_SIZE];
    loop {
        let len = files.read_full(&mut piece)?;
        if len == 0 {
            return file.finish().map_err(ArchiveError::target(name, "finish it"));
        }
        file.append(&piece[..len]).map_err(ArchiveError::target(name, "write to it"))?;
        observe(Progress { done_bytes: files.offset(), total_bytes: 0 });
    }
}

fn compare(files: &mut Files<'_>, target: &dyn Target, name: &str) -> Result<(), ArchiveError> {
    let file = target.open(name).map_err(ArchiveError::target(name, "open it"))?;
    let other =
        || ArchiveError::file_damaged(name, "it is there, with other bytes than the pipe's");
    let (mut piece, mut there) = (vec![0; PIECE_SIZE], vec![0; PIECE_SIZE]);
    let mut offset = 0;
    loop {
        let len = files.read_full(&mut piece)?;
        if len == 0 {
            return (file.size_bytes() == offset).then_some(()).ok_or_else(other);
        }
        match file.read_at(offset, &mut there[..len]) {
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                return Err(ArchiveError::target(name, "read it")(error));
            }
            Ok(()) if piece[..len] == there[..len] => {}
            _ => return Err(other()),
        }
        offset += len as u64;
    }
}

/// Reads the volumes back and writes report and manifest.
fn complete(
    target: &dyn Target,
    folder: &str,
    manifest: &Manifest,
    bytes: &[u8],
    observe: &mut dyn FnMut(Progress),
) -> Result<(), ArchiveError> {
    let name = format!("{folder}/{MANIFEST}");
    let level = CheckLevel::Hashes;
    let report = verify::check_volumes(target, folder, manifest, level, (&[], None), observe);
    if let Some(first) = report.damage.first() {
        return Err(ArchiveError::NotVerified { first: first.clone() });
    }
    let header = &manifest.header;
    let kept = verify::encode(&report, header.wall_us, &header.account)?;
    write(target, &verify::report_name(header.wall_us, &report), &kept).or_else(allow_existing)?;
    write(target, &name, bytes).or_else(allow_existing)?;
    let read = read_small(target, &name, MANIFEST_SIZE_MAX);
    if read.map_err(ArchiveError::target(&name, "read it"))? != bytes {
        return Err(ArchiveError::file_damaged(&name, "it is there with other bytes"));
    }
    Ok(())
}
