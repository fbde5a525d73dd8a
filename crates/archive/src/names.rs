//! How files and folders of a set are called.

use rehome_log::Lsn;

use crate::ids::{BackupId, SegmentId, unhex};
use crate::kind::BackupKind;

/// Folder of the backups.
pub(crate) const BASE: &str = "base";
/// Folder of the log segments.
pub(crate) const LOG: &str = "log";
/// Folder of the parity of backups.
pub(crate) const PARITY: &str = "parity";
/// Folder of the notes.
pub(crate) const NOTE: &str = "note";
/// Folder of the reports of checks.
pub(crate) const VERIFY: &str = "verify";
/// The stream with a store's catalog.
pub(crate) const CATALOG: &str = "catalog";
/// The last file of a backup.
pub(crate) const MANIFEST: &str = "MANIFEST";
/// The name of a backup's folder below [`BASE`].
pub(crate) fn folder_name(lsn_end: Lsn, kind: BackupKind, id: BackupId) -> String {
    format!("{:016x}-{}-{id}", lsn_end.to_u64(), kind.folder_word())
}

/// What [`folder_name`] made `name` of; `None` for other names.
pub(crate) fn parse_folder_name(name: &str) -> Option<(Lsn, BackupKind, BackupId)> {
    let mut parts = name.splitn(3, '-');
    let (lsn, word, id) = (parts.next()?, parts.next()?, parts.next()?);
    let lsn = Lsn::from_u64(u64::from_be_bytes(unhex(lsn)?));
    Some((lsn, BackupKind::from_folder_word(word)?, id.parse().ok()?))
}

/// The name of a log segment below [`LOG`].
pub(crate) fn segment_name(after: Lsn, last: Lsn, id: SegmentId) -> String {
    format!("{:016x}-{:016x}-{id}.mlog", after.to_u64(), last.to_u64())
}

/// What [`segment_name`] made `name` of; `None` for other names.
pub(crate) fn parse_segment_name(name: &str) -> Option<(Lsn, Lsn, SegmentId)> {
    let mut parts = name.strip_suffix(".mlog")?.splitn(3, '-');
    let (after, last, id) = (parts.next()?, parts.next()?, parts.next()?);
    let lsn = |text| Some(Lsn::from_u64(u64::from_be_bytes(unhex(text)?)));
    let (after, last) = (lsn(after)?, lsn(last)?);
    (after < last).then_some((after, last, id.parse().ok()?))
}

/// What a note's name ends with if it is encrypted.
pub(crate) const NOTE_SEALED: &str = ".age";

/// The name of a note below [`NOTE`].
pub(crate) fn note_name(lsn: Lsn, number: u32, what: &str, is_sealed: bool) -> String {
    let end = if is_sealed { NOTE_SEALED } else { "" };
    format!("{:016x}-{number:08x}-{what}{end}", lsn.to_u64())
}

/// What [`note_name`] made `name` of; `None` for other names.
pub(crate) fn parse_note_name(name: &str) -> Option<(Lsn, u32, &str)> {
    let mut parts = name.splitn(3, '-');
    let (lsn, number, what) = (parts.next()?, parts.next()?, parts.next()?);
    let lsn = Lsn::from_u64(u64::from_be_bytes(unhex(lsn)?));
    let what = what.strip_suffix(NOTE_SEALED).unwrap_or(what);
    let plain = !what.is_empty() && what.bytes().all(|byte| byte.is_ascii_lowercase());
    plain.then_some((lsn, u32::from_be_bytes(unhex(number)?), what))
}

/// The file with the parity of volume `file` in backup folder `folder`.
pub(crate) fn parity_name(folder: &str, file: &str) -> String {
    let folder = folder.rsplit('/').next().unwrap_or(folder);
    let file = file.strip_suffix(".mbar").unwrap_or(file);
    format!("{PARITY}/{folder}/{file}.mpar")
}

/// A volume's file name.
pub(crate) fn volume_name(number: u16) -> String {
    format!("v{number:05}.mbar")
}

/// The number in a volume's file name, finished or not.
pub(crate) fn volume_number(name: &str) -> Option<u16> {
    let digits = name.strip_suffix(".part").unwrap_or(name);
    let digits = digits.strip_prefix('v')?.strip_suffix(".mbar")?;
    let plain = digits.len() == 5 && digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, good: bool) {
        assert_eq!(parse_folder_name(name).is_some(), good, "{name}");
    }

    #[test]
    fn a_folder_name_is_taken_apart_as_it_was_made() {
        check("0000000001001000-full-00112233445566ff", true);
        check("0000000001001000-incr-00112233445566ff", true);
        check("0000000001001000-other-00112233445566ff", false);
        check("0000000001001000-full-00112233445566FF", false);
        check("1-full-00112233445566ff", false);
        check("lost+found", false);
    }

    #[test]
    fn a_segment_name_is_taken_apart_as_it_was_made() {
        let id = SegmentId([0xab; 8]);
        let (after, last) = (Lsn::new(1, 0), Lsn::new(2, 4096));
        let name = segment_name(after, last, id);
        assert_eq!(parse_segment_name(&name), Some((after, last, id)));
        for name in [segment_name(last, after, id), format!("{name}.part"), name.to_uppercase()] {
            assert_eq!(parse_segment_name(&name), None, "{name}");
        }
    }
}
