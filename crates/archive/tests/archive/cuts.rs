//! Cuts at every record boundary and beside it: of a chain with parity, and of an encrypted one.

use std::sync::Arc;

use rehome_archive::{
    BackupId, BackupKind, CheckLevel, Encryption, Identities, Target, WriterOptions,
};
use rehome_log::SplitMix64;

use crate::chains::Model;
use crate::fixture::options;
use crate::memory::Memory;

const RECIPIENT: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
const KEY: &str = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";

type Taken = Vec<(BackupId, Model)>;

/// A set with a chain, and what the store held at each backup.
fn chain(encryption: Option<&Encryption>, parity: bool) -> (Arc<Memory>, Taken) {
    let memory = Arc::new(Memory::default());
    let target: Arc<dyn Target> = memory.clone();
    let mut random = SplitMix64::new(77);
    let mut model = Model::default();
    let mut taken = Vec::new();
    for kind in [BackupKind::Full, BackupKind::Differential, BackupKind::Incremental] {
        (0..12).for_each(|_| model.step(&mut random));
        let encryption = encryption.cloned();
        let options = WriterOptions { parity, encryption, ..options(2 << 10) };
        let manifest = model.back_up_as(&target, kind, options).unwrap();
        taken.push((manifest.backup_id, model.clone()));
    }
    (memory, taken)
}

/// Where records begin, and the end.
fn boundaries(bytes: &[u8]) -> Vec<usize> {
    let begins = |at: &usize| bytes[*at..].starts_with(b"MBARREC1");
    (0..bytes.len()).step_by(64).filter(begins).chain([bytes.len()]).collect()
}

/// What is read of every backup is right, or refused.
fn check_states(memory: &Arc<Memory>, taken: &Taken, context: &str) {
    let set = memory.set().unwrap().with_identities(Identities::parse(KEY).unwrap());
    for (id, model) in taken {
        let Ok(state) = set.state(*id, None) else { continue };
        assert_eq!(state.mailboxes(), model.outlines(), "{context}: backup {id}");
        let folders = state.mailboxes().iter().flat_map(|one| &one.folders);
        let ids: Vec<_> = folders.flat_map(|one| &one.messages).map(|one| one.content).collect();
        for content in state.contents(ids).flatten() {
            assert_eq!(Some(&content.bytes), model.body(&content.id), "{context}: backup {id}");
        }
    }
}

#[track_caller]
fn check(encryption: Option<&Encryption>, parity: bool) {
    let (memory, taken) = chain(encryption, parity);
    let (mut cuts, is_file) =
        (0, |name: &&String| name.ends_with(".mbar") || name.ends_with(".mpar"));
    for name in memory.names().iter().filter(is_file) {
        let bytes = memory.get(name);
        let (id, _) = taken.iter().find(|(id, _)| name.contains(&id.to_string())).unwrap();
        let beside =
            boundaries(&bytes).into_iter().flat_map(|at| [at.saturating_sub(1), at, at + 1]);
        for cut in beside.filter(|cut| *cut < bytes.len()) {
            let context = format!("{name}, cut at {cut}, encrypted: {}", encryption.is_some());
            let bad = memory.with(name, Some(bytes[..cut].to_vec()));
            let set = bad.set().unwrap();
            let report = set.check(*id, CheckLevel::Hashes, &mut |_| {}).unwrap();
            assert!(!report.is_whole(), "{context}: not noticed without a key");
            let set = set.with_identities(Identities::parse(KEY).unwrap());
            let report = set.check(*id, CheckLevel::Deep, &mut |_| {}).unwrap();
            assert!(!report.is_whole(), "{context}: not noticed");
            if parity {
                assert!(report.mailboxes.is_empty(), "{context}: parity brings it back");
            }
            check_states(&bad, &taken, &context);
            cuts += 1;
        }
    }
    assert!(cuts > 60, "{cuts}");
}

#[test]
fn a_chain_without_parity_cut_at_any_record_or_beside_one_gives_nothing_wrong() {
    check(None, false);
}

#[test]
fn a_chain_with_parity_cut_at_any_record_or_beside_one_loses_nothing() {
    check(None, true);
}

#[test]
fn an_encrypted_chain_cut_at_any_record_or_beside_one_gives_nothing_wrong() {
    let encryption = Encryption::new(vec![RECIPIENT.to_owned()], [3; 32]).unwrap();
    check(Some(&encryption), true);
}
