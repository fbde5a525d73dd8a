//! Changes of place on two disks, cut anywhere.

use std::collections::BTreeMap;

use rehome_log::{Fault, SimDisk};

use super::*;

/// The store's disk and another one.
#[derive(Clone)]
struct Disks {
    home: Arc<SimDisk>,
    away: Arc<SimDisk>,
}

type Files = BTreeMap<String, Vec<u8>>;

fn files(disk: &SimDisk, folder: &FileName) -> Files {
    let names = disk.list(folder).unwrap_or_default();
    let bytes = |name: &String| disk.contents(&folder.join(name).unwrap()).unwrap();
    names.iter().map(|name| (name.clone(), bytes(name))).collect()
}

impl Disks {
    /// Three files in the store's folder of segments.
    fn new() -> Disks {
        let disks = Disks { home: Arc::default(), away: Arc::default() };
        let folder = StorePart::Segments.folder();
        disks.home.create_dir(&folder).unwrap();
        for (index, len) in [5_usize, 0, PIECE_BYTES + 9].into_iter().enumerate() {
            let bytes = (0..len).map(|at| (at % 251) as u8).collect();
            let file = folder.join(&format!("s{index}")).unwrap();
            disks.home.set_contents(&file, bytes);
        }
        disks
    }

    fn place(&self, to: Option<&str>) -> Result<bool, StoreError> {
        self.place_until(to, u64::MAX)
    }

    fn place_until(&self, to: Option<&str>, stop_at: u64) -> Result<bool, StoreError> {
        let at = |folder: &Option<String>| -> Side {
            match folder {
                None => Side { disk: self.home.clone(), folder: StorePart::Segments.folder() },
                Some(_) => Side { disk: self.away.clone(), folder: FileName::root() },
            }
        };
        let to = to.map(str::to_owned);
        let mut told = 0;
        change(&*self.home, StorePart::Segments, to, &at, &mut |_| {
            told += 1;
            if told == stop_at { Flow::Stop } else { Flow::Continue }
        })
    }

    fn crash(&self, seed: u64) -> Disks {
        let crashed = |disk: &SimDisk| Arc::new(disk.crash(seed));
        Disks { home: crashed(&self.home), away: crashed(&self.away) }
    }

    /// Everything is at one place, the settings name it, and nothing is under way.
    #[track_caller]
    fn check(&self, to: Option<&str>, whole: &Files, context: &str) {
        let (home, away) = (
            files(&self.home, &StorePart::Segments.folder()),
            files(&self.away, &FileName::root()),
        );
        let (there, empty) = if to.is_some() { (away, home) } else { (home, away) };
        assert!(there == *whole, "{context}: {:?}", there.keys());
        assert!(empty.is_empty(), "{context}: {:?}", empty.keys());
        let settings = StoreSettings::read(&*self.home).unwrap().unwrap_or_default();
        assert_eq!(settings.segment_folder.as_deref(), to, "{context}");
        refuse_unfinished(&*self.home).expect(context);
    }
}

#[test]
fn a_part_goes_elsewhere_and_comes_home() {
    let disks = Disks::new();
    let whole = files(&disks.home, &StorePart::Segments.folder());
    assert!(disks.place(Some("/away")).unwrap());
    disks.check(Some("/away"), &whole, "there");
    assert!(!disks.place(Some("/away")).unwrap(), "it is there already");
    assert!(disks.place(None).unwrap());
    disks.check(None, &whole, "home");
}

#[test]
fn a_place_with_files_of_something_else_is_refused_and_left_alone() {
    let disks = Disks::new();
    let whole = files(&disks.home, &StorePart::Segments.folder());
    disks.away.set_contents(&name("letter"), b"precious".to_vec());
    let refused = disks.place(Some("/away")).unwrap_err();
    assert!(matches!(refused, StoreError::StoreExists { .. }), "{refused}");
    assert_eq!(files(&disks.away, &FileName::root()).len(), 1);
    disks.away.remove(&name("letter")).unwrap();
    disks.check(None, &whole, "nothing was changed");
}

/// Cuts the power of both disks after so many calls of one, and does the same again; returns
/// whether the cut came before the end.
#[track_caller]
fn check_cut(back: bool, cut_home: bool, calls: u64) -> bool {
    let context = format!("back {back}, home {cut_home}, call and seed {calls}");
    let disks = Disks::new();
    let whole = files(&disks.home, &StorePart::Segments.folder());
    let to = if back { None } else { Some("/away") };
    if back {
        disks.place(Some("/away")).unwrap();
    }
    let cut = if cut_home { &disks.home } else { &disks.away };
    cut.fail_after(calls, Fault::PowerCut);
    let ended = disks.place(to).is_ok();
    let disks = disks.crash(calls);
    let under_way = refuse_unfinished(&*disks.home).is_err();
    assert!(!(ended && under_way), "{context}");
    disks.place(to).unwrap_or_else(|error| panic!("{context}: {error}"));
    disks.check(to, &whole, &context);
    !ended
}

#[test]
fn cut_anywhere_the_same_call_goes_on_and_loses_nothing() {
    for (back, cut_home) in [(false, false), (false, true), (true, false), (true, true)] {
        let cuts = (0..).take_while(|calls| check_cut(back, cut_home, *calls)).count();
        assert!(cuts > 10, "{cuts} calls are too few to prove anything");
    }
}

#[test]
fn stopped_anywhere_the_store_is_refused_and_either_way_leads_on() {
    for stop_at in 1..6 {
        for to in [Some("/away"), None] {
            let disks = Disks::new();
            let whole = files(&disks.home, &StorePart::Segments.folder());
            let stopped = disks.place_until(Some("/away"), stop_at);
            assert!(matches!(stopped, Err(StoreError::Stopped)), "{stop_at}: {stopped:?}");
            let refused = refuse_unfinished(&*disks.home).unwrap_err().to_string();
            assert!(refused.contains("/away") && refused.contains("store place"), "{refused}");
            let elsewhere = disks.place(Some("/third")).unwrap_err();
            assert!(matches!(elsewhere, StoreError::Damaged { .. }), "{elsewhere}");
            disks.place(to).unwrap();
            disks.check(to, &whole, &format!("stop {stop_at}, to {to:?}"));
        }
    }
}
