//! The file that says how the log is given up.

use rehome_log::{Disk, FileName, Log, Lsn, crc32c};
use serde::{Deserialize, Serialize};

use super::EVERY;
use crate::error::StoreError;
use crate::identity::{Identity, hex, identity_name, name, read_json, write_json};

const FORMAT: &str = "rehome-log-policy";
const VERSION: u32 = 1;
const REMEDY: &str = "restore log.json from a copy, or end the archive of this log: write the file \
     anew with a circular log, as docs/format/log-policy.md shows, and take a full backup";

/// How the log is given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "policy", rename_all = "lowercase")]
pub enum LogPolicy {
    /// As soon as the store itself does not need it: behind a checkpoint and a base of the catalog.
    #[default]
    Circular,
    /// When, besides, an archive has it.
    Archived {
        /// No record above this one has been given up without the archive's word.
        whole_after: Lsn,
        /// The archive has everything up to here, and has read it back.
        archived_until: Lsn,
    },
}

impl LogPolicy {
    /// What an archive has; above every record if there is none to wait for.
    pub(super) fn archived(self) -> Lsn {
        match self {
            LogPolicy::Circular => EVERY,
            LogPolicy::Archived { archived_until, .. } => archived_until,
        }
    }

    /// Records below may be given up, as far as the archive is concerned.
    pub(crate) fn release_limit(self) -> Lsn {
        Lsn::from_u64(self.archived().to_u64().saturating_add(1))
    }
}

/// What `log.json` holds.
#[derive(Serialize, Deserialize)]
struct PolicyFile {
    format: String,
    version: u32,
    /// Identity of the store, in hexadecimal.
    store: String,
    log: LogPolicy,
    /// CRC32C of `store` and of the digits of the policy's LSNs, in hexadecimal.
    check: String,
}

fn file_name() -> FileName {
    name("log.json")
}

fn check_of(store: &str, policy: LogPolicy) -> String {
    let policy = match policy {
        LogPolicy::Circular => "circular".to_owned(),
        LogPolicy::Archived { whole_after, archived_until } => {
            format!("archived {whole_after} {archived_until}")
        }
    };
    format!("{:08x}", crc32c(format!("{store} {policy}").as_bytes()))
}

fn damaged(cause: impl Into<String>) -> StoreError {
    StoreError::Damaged { place: file_name().to_string(), cause: cause.into(), remedy: REMEDY }
}

/// The policy of the store `identity`.
///
/// # Errors
///
/// [`StoreError::Damaged`], [`StoreError::UnsupportedVersion`], [`StoreError::Io`].
pub(crate) fn read(disk: &dyn Disk, identity: &Identity) -> Result<LogPolicy, StoreError> {
    let Some(file) = read_json::<PolicyFile>(disk, &file_name())? else {
        if identity.knows_policies() {
            return Err(damaged("the file is missing, and the log's archive may need it"));
        }
        return Ok(LogPolicy::Circular);
    };
    if file.version > VERSION {
        let (found, known) = (file.version, VERSION);
        return Err(StoreError::UnsupportedVersion { found, known });
    }
    if file.format != FORMAT || file.store != identity.id {
        return Err(damaged("it is of another store or program"));
    }
    if file.check != check_of(&file.store, file.log) {
        return Err(damaged("its checksum is wrong"));
    }
    Ok(file.log)
}

/// Refuses a policy that says of records that they were archived which `log` does not have.
pub(crate) fn lost(policy: LogPolicy, log: &Log) -> Result<Lsn, StoreError> {
    let closed = log.closed_generations();
    let settled = closed.last().map_or(Lsn::ZERO, |generation| generation.last);
    match policy {
        LogPolicy::Archived { archived_until, .. } if archived_until > settled => {
            Err(damaged(format!("{archived_until} was archived, and the log ends at {settled}")))
        }
        _ => Ok(settled),
    }
}

/// Writes the file, durably.
pub(super) fn write(
    disk: &dyn Disk,
    store_id: [u8; 16],
    policy: &LogPolicy,
) -> Result<(), StoreError> {
    let store = hex(store_id);
    let check = check_of(&store, *policy);
    let format = FORMAT.to_owned();
    let file = PolicyFile { format, version: VERSION, store, log: *policy, check };
    write_json(disk, &file_name(), &file)
}

/// Lets the log of a store be given up as it needs itself, when the log that was archived is not
/// there any more.
pub(crate) fn forget_archive(
    disk: &dyn Disk,
    store_id: [u8; 16],
    identity: &Identity,
) -> Result<(), StoreError> {
    if identity.knows_policies() { write(disk, store_id, &LogPolicy::Circular) } else { Ok(()) }
}

/// Makes the store one that programs do not open which know nothing of policies.
pub(super) fn prepare(disk: &dyn Disk, store_id: [u8; 16]) -> Result<(), StoreError> {
    let known = Identity::read(disk)?.is_some_and(|identity| identity.knows_policies());
    if known {
        return Ok(());
    }
    write(disk, store_id, &LogPolicy::Circular)?;
    write_json(disk, &identity_name(), &Identity::with_policy(store_id))
}

#[cfg(test)]
mod tests {
    use rehome_log::SimDisk;

    use super::*;

    const ID: [u8; 16] = [7; 16];

    fn archived(whole_after: u64, archived_until: u64) -> LogPolicy {
        let (whole_after, archived_until) =
            (Lsn::from_u64(whole_after), Lsn::from_u64(archived_until));
        LogPolicy::Archived { whole_after, archived_until }
    }

    /// What is read back after `change` was done to the file of `policy`; none if it is damaged.
    #[track_caller]
    fn check(policy: LogPolicy, change: impl Fn(&mut String), expected: Option<LogPolicy>) {
        let disk = SimDisk::new();
        write(&disk, ID, &policy).unwrap();
        let mut text = String::from_utf8(disk.contents(&file_name()).unwrap()).unwrap();
        change(&mut text);
        disk.set_contents(&file_name(), text.into_bytes());
        match (read(&disk, &Identity::with_policy(ID)), expected) {
            (Ok(found), expected) => assert_eq!(Some(found), expected),
            (Err(error), expected) => {
                assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
                assert_eq!(expected, None);
            }
        }
    }

    #[test]
    fn a_policy_comes_back_and_a_changed_one_does_not() {
        check(LogPolicy::Circular, |_| {}, Some(LogPolicy::Circular));
        check(archived(9, 17), |_| {}, Some(archived(9, 17)));
        check(archived(9, 17), |text| *text = text.replace("000011", "000012"), None);
        check(archived(9, 17), |text| *text = text.replace("0707", "0708"), None);
        check(archived(9, 17), |text| text.truncate(40), None);
    }

    #[test]
    fn a_missing_file_is_missed_only_where_there_was_one() {
        let disk = SimDisk::new();
        assert_eq!(read(&disk, &Identity::new(ID)).unwrap(), LogPolicy::Circular);
        let missing = read(&disk, &Identity::with_policy(ID)).unwrap_err();
        assert!(matches!(missing, StoreError::Damaged { .. }), "{missing}");
    }

    #[test]
    fn the_format_page_shows_a_file_as_it_is_written() {
        let disk = SimDisk::new();
        write(&disk, ID, &archived(0x0100_1000, 0x0200_1040)).unwrap();
        let text = String::from_utf8(disk.contents(&file_name()).unwrap()).unwrap();
        let page = include_str!("../../../../docs/format/log-policy.md");
        assert!(page.contains(text.trim()), "{text}");
    }
}
