//! The file `SET`: what a set is, written once.

use std::io;

use crate::error::ArchiveError;
use crate::feature::{Feature, Features};
use crate::ids::{SetId, StoreId};
use crate::manifest::{BackupHeader, FORMAT_VERSION};
use crate::target::{Target, read_small};
use crate::text;

/// The file's name.
pub(crate) const NAME: &str = "SET";
/// No `SET` is larger.
pub(crate) const SIZE_MAX: u64 = 64 << 10;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetFile {
    pub(crate) set_id: SetId,
    pub(crate) store_id: StoreId,
    pub(crate) created_us: i64,
    pub(crate) software: String,
    pub(crate) features: Features,
    /// Whether everything in it is encrypted.
    pub(crate) is_encrypted: bool,
}

impl SetFile {
    /// The set that a first backup with this header makes.
    fn new(header: &BackupHeader, is_encrypted: bool) -> SetFile {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"rehome backup set").update(&header.store_id.0);
        hasher.update(&header.wall_us.to_le_bytes()).update(header.account.as_bytes());
        let mut set_id = [0; 16];
        set_id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        SetFile {
            set_id: SetId(set_id),
            store_id: header.store_id,
            created_us: header.wall_us,
            software: header.software.clone(),
            features: match is_encrypted {
                true => Features::default().with_age(),
                false => Features::default(),
            },
            is_encrypted,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let one_line = |text: &str| text.replace(char::is_control, " ");
        text::seal(format!(
            "MBARSET {FORMAT_VERSION}\nset {}\nstore {}\ncreated {}\nsoftware {}\n\
             features{}{}{}\nkeys {}\n",
            self.set_id,
            self.store_id,
            self.created_us,
            one_line(&self.software),
            words("compat", &self.features.compat),
            words("ro_compat", &self.features.ro_compat),
            words("incompat", &self.features.incompat),
            if self.is_encrypted { "age" } else { "none" },
        ))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<SetFile, ArchiveError> {
        let bad = |what: &str| ArchiveError::file_damaged(NAME, what);
        let text = text::unseal(NAME, bytes)?;
        let mut lines = text.lines();
        let mut line = |label: &str| {
            let rest = lines.next().and_then(|line| line.strip_prefix(label));
            rest.ok_or_else(|| bad(&format!("its line {label:?} is missing")))
        };
        let version: u16 = line("MBARSET ")?.parse().map_err(|_| bad("its version is bad"))?;
        if version > FORMAT_VERSION {
            let file = NAME.to_owned();
            return Err(ArchiveError::FutureVersion { file, version, known: FORMAT_VERSION });
        }
        let set_id = line("set ")?.parse().map_err(|_| bad("its set id is bad"))?;
        let store_id = line("store ")?.parse().map_err(|_| bad("its store id is bad"))?;
        let created_us = line("created ")?.parse().map_err(|_| bad("its time is bad"))?;
        let software = line("software ")?.to_owned();
        let features = features(line("features")?).ok_or_else(|| bad("its features are bad"))?;
        features.may_read(NAME)?;
        let is_encrypted = match line("keys ")? {
            "none" => false,
            "age" => true,
            keys => {
                let what = format!("reading a set with keys of the kind {keys:?}");
                return Err(ArchiveError::Unsupported { what });
            }
        };
        Ok(SetFile { set_id, store_id, created_us, software, features, is_encrypted })
    }

    /// Reads the file.
    pub(crate) fn read(target: &dyn Target) -> Result<SetFile, ArchiveError> {
        match read_small(target, NAME, SIZE_MAX) {
            Ok(bytes) => SetFile::decode(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ArchiveError::NoSet),
            Err(error) => Err(ArchiveError::target(NAME, "read it")(error)),
        }
    }

    /// # Errors
    ///
    /// [`ArchiveError::MustEncrypt`] if what is added must be encrypted and is not.
    pub(crate) fn may_hold(&self, encrypted: bool) -> Result<(), ArchiveError> {
        if self.is_encrypted && !encrypted { Err(ArchiveError::MustEncrypt) } else { Ok(()) }
    }

    /// Reads the file, or writes it if there is none; in the end the set is the header's store's.
    pub(crate) fn read_or_make(
        target: &dyn Target,
        header: &BackupHeader,
        encrypts: bool,
    ) -> Result<SetFile, ArchiveError> {
        let set = match SetFile::read(target) {
            Err(ArchiveError::NoSet) => {
                let set = SetFile::new(header, encrypts);
                match write(target, NAME, &set.encode()) {
                    Ok(()) => set,
                    Err(ArchiveError::Target { source, .. })
                        if source.kind() == io::ErrorKind::AlreadyExists =>
                    {
                        SetFile::read(target)?
                    }
                    Err(error) => return Err(error),
                }
            }
            read => read?,
        };
        target.settle(NAME).map_err(ArchiveError::target(NAME, "make it durable"))?;
        set.features.may_write(NAME)?;
        if set.store_id != header.store_id {
            let (set, store) = (set.store_id, header.store_id);
            return Err(ArchiveError::OtherStore { set, store });
        }
        set.may_hold(encrypts)?;
        Ok(set)
    }
}

/// Writes the whole of a small file.
pub(crate) fn write(target: &dyn Target, name: &str, bytes: &[u8]) -> Result<(), ArchiveError> {
    let mut file = target.create(name).map_err(ArchiveError::target(name, "create it"))?;
    file.append(bytes).map_err(ArchiveError::target(name, "write to it"))?;
    file.finish().map_err(ArchiveError::target(name, "finish it"))
}

fn words(class: &str, features: &[Feature]) -> String {
    let word = |f: &Feature| format!(" {class}:{}:{}:{}", f.bit, f.name, f.since);
    features.iter().map(word).collect()
}

fn features(words: &str) -> Option<Features> {
    let mut features = Features::default();
    for word in words.split_ascii_whitespace() {
        let mut parts = word.splitn(4, ':');
        let list = match parts.next()? {
            "compat" => &mut features.compat,
            "ro_compat" => &mut features.ro_compat,
            "incompat" => &mut features.incompat,
            _ => return None,
        };
        let bit = parts.next()?.parse().ok()?;
        let (name, since) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        list.push(Feature { bit, name, since });
    }
    Some(features)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(features: Features) -> SetFile {
        SetFile {
            set_id: SetId([1; 16]),
            store_id: StoreId([2; 16]),
            created_us: -3,
            software: "rehome 0.1.0".to_owned(),
            features,
            is_encrypted: false,
        }
    }

    fn feature() -> Vec<Feature> {
        vec![Feature { bit: 5, name: "age".to_owned(), since: "0.9.0".to_owned() }]
    }

    #[test]
    fn the_file_has_eight_lines_and_gives_back_what_was_written() {
        let features = Features { compat: feature(), ..Features::default() };
        let bytes = set(features.clone()).encode();
        assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 8);
        assert_eq!(SetFile::decode(&bytes).unwrap(), set(features));
    }

    #[test]
    fn an_encrypted_set_takes_nothing_else() {
        let file = SetFile { is_encrypted: true, ..set(Features::default().with_age()) };
        let read = SetFile::decode(&file.encode()).unwrap();
        assert_eq!(read, file);
        assert!(matches!(read.may_hold(false), Err(ArchiveError::MustEncrypt)));
        read.may_hold(true).unwrap();
        set(Features::default()).may_hold(true).unwrap();
    }

    #[test]
    fn an_unknown_incompat_feature_is_refused_by_name() {
        let features = Features { incompat: feature(), ..Features::default() };
        let error = SetFile::decode(&set(features).encode()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("incompat feature 5 (age)") && text.contains("0.9.0"), "{text}");
    }

    #[test]
    fn an_unknown_ro_compat_feature_keeps_writers_out_and_lets_readers_in() {
        let features = Features { ro_compat: feature(), ..Features::default() };
        let set = SetFile::decode(&set(features).encode()).unwrap();
        assert!(set.features.may_write(NAME).is_err());
    }

    #[test]
    fn a_later_version_is_refused() {
        let later = String::from_utf8(set(Features::default()).encode()).unwrap();
        let text = later.replace("MBARSET 1", "MBARSET 2");
        let text = text.split("blake3 ").next().unwrap().to_owned();
        let error = SetFile::decode(&text::seal(text)).unwrap_err();
        assert!(matches!(error, ArchiveError::FutureVersion { version: 2, .. }), "{error}");
    }
}
