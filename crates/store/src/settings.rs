//! The settings of a store: what was measured on its machine, and what follows from it.
#![doc = include_str!("../../../docs/format/settings.md")]

use std::io;
use std::path::Path;
use std::sync::Arc;

use rehome_log::{Disk, FileName, OpenMode};
use serde::{Deserialize, Serialize};

use crate::buffered::BufferedDisk;
use crate::error::StoreError;
use crate::identity::{name, write_json};
use crate::measure::DiskFigures;
use crate::options::OpenOptions;

const FORMAT: &str = "rehome-settings";
/// The version of the file.
const VERSION: u32 = 1;
/// A longer file is none of ours, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// How transfers, compaction, and groups of 256 KiB and more write their segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CopyMethod {
    /// Past the page cache.
    #[default]
    Direct,
    /// Through the page cache.
    Buffered,
}

impl std::fmt::Display for CopyMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            CopyMethod::Direct => "direct",
            CopyMethod::Buffered => "buffered",
        })
    }
}

/// What a store is run with on its machine. Each opening uses it for those of its
/// [`OpenOptions`] that have their default value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    pub(crate) format: String,
    pub(crate) version: u32,
    /// Memory for the catalog's cache.
    pub cache_bytes: u64,
    /// A segment is sealed when it has reached this length.
    pub segment_bytes: u64,
    /// Length of a log generation.
    pub log_generation_bytes: u32,
    /// Log generations prepared ahead.
    pub log_generations_ahead: u32,
    /// A checkpoint is made after so many changed rows.
    pub checkpoint_rows: u64,
    /// A checkpoint is made after so many bytes of log.
    pub checkpoint_bytes: u64,
    /// How transfers write their segments.
    pub copy_method: CopyMethod,
    /// How many threads read the source of a move.
    pub move_lanes: u32,
    /// The folder that the log lies in, if that is not the store's own; see
    /// [`place_part`](crate::place_part).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_folder: Option<String>,
    /// The folder that the segments lie in, if that is not the store's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment_folder: Option<String>,
    /// What was measured, if these are not the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

/// What settings were derived from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// When, in microseconds since 1970.
    pub wall_us: i64,
    /// Memory of the machine.
    pub memory_bytes: u64,
    /// Processor cores that the program may use.
    pub cores: u32,
    /// The disk.
    pub disk: DiskFigures,
}

/// Why settings cannot be used. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// They cannot be read as what they should be.
    #[error(
        "{place} is damaged: {cause}; its settings are not used; write them anew with `rehome \
         store tune`"
    )]
    Damaged {
        /// The file.
        place: String,
        /// What is wrong there.
        cause: String,
    },
    /// A later version of the program wrote them.
    #[error(
        "{place} has version {found}, and this program knows versions up to {known}; its settings \
         are not used; use a program that knows it, or write them anew with `rehome store tune`"
    )]
    UnsupportedVersion {
        /// The file.
        place: String,
        /// The version there.
        found: u32,
        /// The highest version known.
        known: u32,
    },
    /// Reading failed.
    #[error("reading {place} failed: {source}; see to the disk and retry")]
    Io {
        /// The file.
        place: String,
        /// What the disk says.
        source: io::Error,
    },
}

/// What is read before the rest: any version has it.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

impl Default for StoreSettings {
    /// The values of [`OpenOptions::default`]; nothing was measured.
    fn default() -> StoreSettings {
        let options = OpenOptions::default();
        StoreSettings {
            format: FORMAT.to_owned(),
            version: VERSION,
            cache_bytes: options.cache_bytes as u64,
            segment_bytes: options.segment_bytes,
            log_generation_bytes: options.log_generation_bytes,
            log_generations_ahead: u32::try_from(options.log_generations_ahead).unwrap_or(3),
            checkpoint_rows: options.checkpoint_rows,
            checkpoint_bytes: options.checkpoint_bytes,
            copy_method: options.copy_method,
            move_lanes: options.move_lanes,
            log_folder: None,
            segment_folder: None,
            measured: None,
        }
    }
}

/// The file of the settings.
pub(crate) fn settings_name() -> FileName {
    name("settings.json")
}

impl StoreSettings {
    /// Reads the settings of the store in the disk's root folder; nothing if it has none.
    ///
    /// # Errors
    ///
    /// [`SettingsError`].
    pub fn read(disk: &dyn Disk) -> Result<Option<StoreSettings>, SettingsError> {
        let place = settings_name().to_string();
        let file = match disk.open(&settings_name(), OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(SettingsError::Io { place, source }),
        };
        let read = disk.len(file).and_then(|len| {
            let mut bytes = vec![0; usize::try_from(len.min(FILE_BYTES_MAX)).unwrap_or(0)];
            disk.read_at(file, 0, &mut bytes).map(|()| bytes)
        });
        disk.close(file);
        match read {
            Ok(bytes) => StoreSettings::from_json(&place, &bytes).map(Some),
            Err(source) => Err(SettingsError::Io { place, source }),
        }
    }

    /// Writes the settings of the store in the disk's root folder, durably. Its next opening uses
    /// them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn write(&self, disk: &dyn Disk) -> Result<(), StoreError> {
        write_json(disk, &settings_name(), self)
    }

    /// Reads settings from the bytes of a file; messages call it `place`.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Damaged`] or [`SettingsError::UnsupportedVersion`].
    pub fn from_json(place: &str, bytes: &[u8]) -> Result<StoreSettings, SettingsError> {
        let damaged = |cause: String| SettingsError::Damaged { place: place.to_owned(), cause };
        let head: Head =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if head.format != FORMAT {
            return Err(damaged(format!("its format is {:?}, not {FORMAT:?}", head.format)));
        }
        if head.version > VERSION {
            let (place, found) = (place.to_owned(), head.version);
            return Err(SettingsError::UnsupportedVersion { place, found, known: VERSION });
        }
        let settings: StoreSettings =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        settings.check().map_err(damaged)?;
        Ok(settings)
    }

    /// Whether each value is in its range.
    fn check(&self) -> Result<(), String> {
        let ranges = [
            ("version", u64::from(self.version), 1, u64::from(VERSION)),
            ("cache_bytes", self.cache_bytes, 1 << 20, 1 << 40),
            ("segment_bytes", self.segment_bytes, 1 << 20, 1 << 30),
            ("log_generation_bytes", self.log_generation_bytes.into(), 1 << 20, 16 << 20),
            ("log_generations_ahead", self.log_generations_ahead.into(), 1, 64),
            ("checkpoint_rows", self.checkpoint_rows, 1_000, 1_000_000_000),
            ("checkpoint_bytes", self.checkpoint_bytes, 1 << 20, 1 << 34),
            ("move_lanes", self.move_lanes.into(), 1, 64),
        ];
        for (name, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(format!("{name} is {value}; it must be from {least} to {most}"));
            }
        }
        for folder in [&self.log_folder, &self.segment_folder].into_iter().flatten() {
            if !Path::new(folder).is_absolute() {
                return Err(format!("{folder:?} is no absolute path of a folder"));
            }
        }
        if !self.log_generation_bytes.is_multiple_of(8) {
            return Err("log_generation_bytes must be a multiple of 8".to_owned());
        }
        Ok(())
    }

    /// `options` with these settings in place of default values. What has another value than the
    /// default was chosen for this opening and stays.
    pub(crate) fn fill(&self, options: OpenOptions) -> OpenOptions {
        fn pick<T: PartialEq>(chosen: T, default: T, setting: T) -> T {
            if chosen == default { setting } else { chosen }
        }
        let default = OpenOptions::default();
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        OpenOptions {
            cache_bytes: pick(options.cache_bytes, default.cache_bytes, size(self.cache_bytes)),
            segment_bytes: pick(options.segment_bytes, default.segment_bytes, self.segment_bytes),
            log_generation_bytes: pick(
                options.log_generation_bytes,
                default.log_generation_bytes,
                self.log_generation_bytes,
            ),
            log_generations_ahead: pick(
                options.log_generations_ahead,
                default.log_generations_ahead,
                size(self.log_generations_ahead.into()),
            ),
            checkpoint_rows: pick(
                options.checkpoint_rows,
                default.checkpoint_rows,
                self.checkpoint_rows,
            ),
            checkpoint_bytes: pick(
                options.checkpoint_bytes,
                default.checkpoint_bytes,
                self.checkpoint_bytes,
            ),
            copy_method: pick(options.copy_method, default.copy_method, self.copy_method),
            move_lanes: pick(options.move_lanes, default.move_lanes, self.move_lanes),
            ..options
        }
    }
}

/// What an opening works with once settings have been looked at.
pub(crate) struct Settled {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) options: OpenOptions,
    /// What a person should know.
    pub(crate) notes: Vec<String>,
}

/// Fills the options of an opening in: from the settings given, else from the file if `has_file`.
pub(crate) fn settle(disk: Arc<dyn Disk>, options: OpenOptions, has_file: bool) -> Settled {
    let (mut settings, mut notes) = (options.settings.clone(), Vec::new());
    if settings.is_none() && has_file {
        // Where the parts lie was looked at before: without the rest the store is only slower.
        settings = StoreSettings::read(&*disk).unwrap_or_else(|error| {
            notes.push(error.to_string());
            None
        });
    }
    let options = match settings {
        Some(settings) => settings.fill(options),
        None => options,
    };
    let disk = match options.copy_method {
        CopyMethod::Direct => disk,
        CopyMethod::Buffered => Arc::new(BufferedDisk(disk)),
    };
    Settled { disk, options, notes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rehome_log::SimDisk;

    /// Reads settings with one piece of their text replaced.
    #[track_caller]
    fn check(from: &str, to: &str, words: &[&str]) {
        let text = serde_json::to_string(&StoreSettings::default()).unwrap();
        let spoiled = text.replacen(from, to, 1);
        assert_ne!(spoiled, text, "{from} is not in {text}");
        let error = StoreSettings::from_json("settings.json", spoiled.as_bytes()).unwrap_err();
        let error = error.to_string();
        for word in [&["settings.json", "store tune"], words].concat() {
            assert!(error.contains(word), "no {word:?} in {error}");
        }
    }

    #[test]
    fn damaged_and_later_settings_are_refused_with_place_cause_and_remedy() {
        check("\"version\":1", "\"version\":2", &["version 2", "up to 1"]);
        check("\"version\":1", "\"version\":0", &["version is 0"]);
        check("rehome-settings", "other", &["other"]);
        check("\"direct\"", "\"sideways\"", &["sideways"]);
        check("\"move_lanes\":2", "\"move_lanes\":1000", &["move_lanes", "from 1 to 64"]);
        check("\"move_lanes\":2", "\"move_lane\":1", &["move_lane"]);
        check("\"cache_bytes\":67108864", "\"cache_bytes\":-1", &["-1"]);
        check("16777216", "1048577", &["multiple of 8"]);
        check("\"move_lanes\":2", "\"move_lanes\":1,\"log_folder\":\"x\"", &["absolute"]);
        check("{", "", &[]);
    }

    #[test]
    fn settings_come_back_from_the_disk() {
        let disk = SimDisk::new();
        assert_eq!(StoreSettings::read(&disk).unwrap(), None);
        let figures = DiskFigures::default();
        let measured = Measured { wall_us: 5, memory_bytes: 1 << 30, cores: 2, disk: figures };
        let settings = StoreSettings {
            move_lanes: 2,
            copy_method: CopyMethod::Buffered,
            measured: Some(measured),
            ..StoreSettings::default()
        };
        settings.write(&disk).unwrap();
        assert_eq!(StoreSettings::read(&disk).unwrap(), Some(settings));
    }

    #[test]
    fn a_chosen_option_beats_a_setting_and_a_default_does_not() {
        let settings = StoreSettings {
            cache_bytes: 5 << 20,
            segment_bytes: 6 << 20,
            log_generation_bytes: 7 << 20,
            log_generations_ahead: 8,
            checkpoint_rows: 9_000,
            checkpoint_bytes: 10 << 20,
            copy_method: CopyMethod::Buffered,
            move_lanes: 11,
            ..StoreSettings::default()
        };
        let chosen = OpenOptions { segment_bytes: 1 << 16, move_lanes: 3, ..Default::default() };
        let filled = settings.fill(chosen);
        assert_eq!((filled.segment_bytes, filled.move_lanes), (1 << 16, 3));
        assert_eq!((filled.cache_bytes, filled.checkpoint_bytes), (5 << 20, 10 << 20));
        assert_eq!((filled.log_generation_bytes, filled.log_generations_ahead), (7 << 20, 8));
        assert_eq!(filled.checkpoint_rows, 9_000);
        assert_eq!(filled.copy_method, CopyMethod::Buffered);
    }
}
