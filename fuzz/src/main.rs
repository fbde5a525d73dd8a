//! One fuzzer for all targets: `REHOME_FUZZ_TARGET` names one, `REHOME_FUZZ_SEEDS` is the folder
//! that gets its valid inputs. Run it with `cargo xtask fuzz`.
#![no_main]

use std::sync::OnceLock;

static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: choose(),
    |bytes: &[u8]| {
        if let Some(target) = TARGET.get() {
            target(bytes);
        }
    }
);

/// Chooses the target and writes its seeds.
fn choose() {
    let name = std::env::var("REHOME_FUZZ_TARGET").unwrap_or_default();
    let ours = rehome_archive::fuzzing::TARGETS.into_iter();
    let stores = rehome_store::fuzzing::TARGETS.into_iter();
    let find = |(known, _): &(&str, fn(&[u8]))| *known == name;
    let (target, seeds) = match (name.as_str(), ours.clone().find(find), stores.clone().find(find))
    {
        ("log", ..) => (rehome_log::fuzzing::log as fn(&[u8]), rehome_log::fuzzing::log_seeds()),
        (_, Some((_, target)), _) => (target, rehome_archive::fuzzing::seeds(&name)),
        (_, None, Some((_, target))) => (target, rehome_store::fuzzing::seeds(&name)),
        (_, None, None) => {
            let known: Vec<&str> = ours.chain(stores).map(|(name, _)| name).collect();
            panic!("{name:?} is no target; there are log and {known:?}");
        }
    };
    let folder = std::env::var("REHOME_FUZZ_SEEDS").expect("REHOME_FUZZ_SEEDS names a folder");
    for (index, seed) in seeds.iter().enumerate() {
        let path = format!("{folder}/seed-{index}");
        std::fs::write(&path, seed).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    TARGET.set(target).expect("it is chosen once");
}
