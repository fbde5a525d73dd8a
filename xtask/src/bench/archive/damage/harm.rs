//! Damage to the files of a backup.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::bench::archive::contender::Contender;
use crate::bench::disk;

/// A kind of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Harm {
    /// A bit in the middle of the largest file of data.
    Flip,
    /// The last tenth of all bytes, in the order in which files were written.
    Cut,
    /// The middle one of the files of data, in that order.
    Volume,
    /// What names the backup: manifest, snapshot, last segment.
    Manifest,
}

impl Harm {
    pub(super) const ALL: [Harm; 4] = [Harm::Flip, Harm::Cut, Harm::Volume, Harm::Manifest];

    pub(super) fn name(self) -> &'static str {
        match self {
            Harm::Flip => "one bit flipped",
            Harm::Cut => "last 10 % cut",
            Harm::Volume => "one volume deleted",
            Harm::Manifest => "manifest deleted",
        }
    }

    /// Does it to the files in `set`, and says what; `None` if there is no such file.
    pub(super) fn apply(self, contender: Contender, set: &Path) -> Result<Option<String>, String> {
        let all = in_order(set)?;
        let data: Vec<&Written> = all.iter().filter(|one| is_data(contender, one, set)).collect();
        let named =
            |one: &Written| one.path.strip_prefix(set).unwrap_or(&one.path).display().to_string();
        match self {
            Harm::Flip => {
                let Some(one) = data.iter().max_by_key(|one| one.size) else { return Ok(None) };
                flip(&one.path, one.size / 2)?;
                Ok(Some(format!("bit 2 of byte {} of {}", one.size / 2, named(one))))
            }
            Harm::Cut => cut(&all).map(Some),
            Harm::Volume => {
                let Some(one) = data.get(data.len() / 2) else { return Ok(None) };
                if data.len() < 2 {
                    return Ok(None);
                }
                delete(&one.path)?;
                Ok(Some(format!("{}, {} of {} bytes", named(one), one.size, total(&all))))
            }
            Harm::Manifest => {
                let Some(one) = all.iter().rev().find(|one| is_manifest(contender, one)) else {
                    return Ok(None);
                };
                delete(&one.path)?;
                Ok(Some(named(one)))
            }
        }
    }
}

/// A file of a set.
struct Written {
    path: PathBuf,
    size: u64,
    at: std::time::SystemTime,
}

impl Written {
    fn has(&self, part: &str) -> bool {
        self.path.to_string_lossy().contains(part)
    }
}

/// The files of a set in the order in which they were written. Copies have that order, too.
fn in_order(set: &Path) -> Result<Vec<Written>, String> {
    let mut all = Vec::new();
    for path in disk::files_below(set)? {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let about = fs::metadata(&path).map_err(failed)?;
        let at = about.modified().map_err(failed)?;
        all.push(Written { size: about.len(), at, path });
    }
    all.sort_by(|one, other| (one.at, &one.path).cmp(&(other.at, &other.path)));
    Ok(all)
}

fn total(all: &[Written]) -> u64 {
    all.iter().map(|one| one.size).sum()
}

/// Whether a file holds messages.
fn is_data(contender: Contender, one: &Written, set: &Path) -> bool {
    let below = one.path.strip_prefix(set).unwrap_or(&one.path).to_string_lossy().into_owned();
    match contender {
        Contender::Ours | Contender::OursBare => below.ends_with(".mbar"),
        Contender::Restic | Contender::Borg | Contender::BorgZstd => below.starts_with("data/"),
        Contender::Tar => below.ends_with(".zst"),
    }
}

fn is_manifest(contender: Contender, one: &Written) -> bool {
    match contender {
        Contender::Ours | Contender::OursBare => one.has("/MANIFEST"),
        Contender::Restic => one.has("/snapshots/"),
        Contender::Borg | Contender::BorgZstd => one.has("/data/"),
        Contender::Tar => false,
    }
}

fn flip(path: &Path, at: u64) -> Result<(), String> {
    let attempt = || {
        let file = File::options().read(true).write(true).open(path)?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at)?;
        file.write_all_at(&[byte[0] ^ 4], at)
    };
    attempt().map_err(|error: std::io::Error| format!("{}: {error}", path.display()))
}

fn delete(path: &Path) -> Result<(), String> {
    fs::remove_file(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Takes the last tenth of all bytes away.
fn cut(all: &[Written]) -> Result<String, String> {
    let mut left = total(all) / 10;
    let (mut deleted, mut shortened) = (0, 0);
    for one in all.iter().rev() {
        if left == 0 {
            break;
        }
        if one.size <= left {
            delete(&one.path)?;
            deleted += 1;
            left -= one.size;
            continue;
        }
        let attempt = File::options().write(true).open(&one.path);
        attempt
            .and_then(|file| file.set_len(one.size - left))
            .map_err(|error| format!("{}: {error}", one.path.display()))?;
        shortened += 1;
        left = 0;
    }
    Ok(format!("{} bytes: {deleted} files deleted, {shortened} cut", total(all) / 10))
}
