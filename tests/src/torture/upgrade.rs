//! Stores that older versions of the program have written, which stay in the tree for ever.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rehome::parts::log::{FileName, SplitMix64};
use rehome::parts::store::{ContentId, OpenOptions, Store};

use super::keeper::{Keeper, clock, honest};
use super::model::Model;
use super::rig::{Rig, Site, Trouble};
use super::steps::index;
use super::{Failure, Tally};

/// A store of an old version.
#[derive(Clone, Copy, Debug)]
pub struct OldStore {
    /// Its format version.
    pub version: u32,
    /// Its files, packed by [`pack`].
    pub packed: &'static [u8],
    /// What [`digest`] says of it, found out when it was made.
    pub digest: &'static str,
}

/// One of each version: a sample site's mailboxes, imported by the program of that time.
pub const OLD_STORES: &[OldStore] = &[OldStore {
    version: 1,
    packed: include_bytes!("../../data/store-v1.zst"),
    digest: include_str!("../../data/store-v1.digest"),
}];

/// Packs the files of a store's folder.
///
/// # Panics
///
/// If a name is no text.
#[must_use]
pub fn pack(files: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<u8> {
    let mut plain = Vec::new();
    for (path, bytes) in files {
        let path = path.to_str().expect("a store's names are plain");
        plain.extend_from_slice(format!("{path}\n{}\n", bytes.len()).as_bytes());
        plain.extend_from_slice(bytes);
    }
    zstd::encode_all(&*plain, 19).expect("memory takes a small store")
}

/// The files that [`pack`] packed.
///
/// # Panics
///
/// If they are damaged.
#[must_use]
pub fn unpack(packed: &[u8]) -> BTreeMap<PathBuf, Vec<u8>> {
    let plain = zstd::decode_all(packed).expect("the fixture is whole");
    let mut rest = &plain[..];
    let mut files = BTreeMap::new();
    let line = |rest: &mut &[u8]| -> Option<String> {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = String::from_utf8(rest[..end].to_vec()).ok()?;
        *rest = &rest[end + 1..];
        Some(line)
    };
    while let Some(path) = line(&mut rest) {
        let len = line(&mut rest).and_then(|len| len.parse().ok());
        let (bytes, behind) = rest.split_at(len.expect("the fixture is whole"));
        files.insert(PathBuf::from(path), bytes.to_vec());
        rest = behind;
    }
    files
}

/// What a packed store holds, as one digest: each mailbox with its folders, rows and bodies.
///
/// # Panics
///
/// If the store does not open.
#[must_use]
pub fn digest(packed: &[u8]) -> String {
    let rig = Arc::new(on_disk(packed, None));
    let store = Store::open(rig, clock(), OpenOptions::default()).expect("an old store opens");
    let model = Model::of(&store).expect("an old store can be read");
    ContentId::of(format!("{model:?}").as_bytes()).to_string()
}

fn on_disk(packed: &[u8], lie: Option<Site>) -> Rig {
    let rig = Rig::new(lie);
    for (path, bytes) in unpack(packed) {
        let name = Path::to_str(&path).expect("a store's names are plain");
        rig.put(&FileName::new(name).expect("a plain name"), bytes);
    }
    rig
}

/// Crashes of the first opening of an old store by the program of today.
pub(super) fn point(
    lie: Option<Site>,
    random: &mut SplitMix64,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let old = &OLD_STORES[index(random, OLD_STORES.len())];
    let options = OpenOptions { cache_bytes: 1 << 20, ..OpenOptions::default() };
    let undisturbed = Arc::new(on_disk(old.packed, None));
    let before = Store::open(undisturbed.clone(), clock(), options.clone());
    let before = before.map_err(Failure::of("opening an old store"))?;
    let expected = Model::of(&before).map_err(Failure::of("reading an old store"))?;
    let mut rig = Arc::new(on_disk(old.packed, lie));
    loop {
        let trouble = Trouble::ALL[index(random, Trouble::ALL.len())];
        rig.plan(trouble, random.below(undisturbed.ops() + 20), random);
        if let Err(error) = Store::open(rig.clone(), clock(), options.clone()) {
            honest(&error)?;
        }
        tally.crash(trouble);
        let cut = trouble == Trouble::PowerCut || random.chance(50);
        let left = if cut { rig.crash(random.next_u64()) } else { rig.restart() };
        left.heal();
        rig = Arc::new(left);
        if random.chance(40) {
            break;
        }
    }
    let store = Store::open(rig.clone(), clock(), options.clone());
    let store = store.map_err(Failure::of("opening an old store after a crash"))?;
    let mut keeper = Keeper::of(rig, store, options);
    keeper.certain = expected;
    keeper.compare()?;
    keeper.work(5, random)?;
    keeper.close_and_compare()
}
