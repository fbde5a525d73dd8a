//! A machine is measured, plans rest on it, and what is not of this machine is told.

use std::path::Path;

use rehome_tests::{run, tree};
use serde_json::Value;

use crate::{REHOME, sample};

/// Plans a site with `options` and returns the plan.
#[track_caller]
fn check(site: &str, work: &str, options: &[&str]) -> Value {
    let args = [&["plan", site, "--work", work, "--json"][..], options].concat();
    let planned = run(REHOME, &args);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    serde_json::from_str(&planned.stdout).expect("a plan")
}

fn said(plan: &Value) -> String {
    plan["forecast"]["grade"]["reasons"].to_string()
}

#[test]
fn a_plan_rests_on_what_was_measured_here_and_on_nothing_else() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = sample(scratch.path(), 61, 4, 10);
    let before = tree(Path::new(&site));
    let work = scratch.path().join("work").display().to_string();
    let guessed = check(&site, &work, &["--answered"]);
    assert!(said(&guessed).contains("not measured"), "{}", said(&guessed));
    let few = ["--sites", "2", "--scale", "10", "--json"];
    let measured = run(REHOME, &[&["calibrate", &site, "--work", &work][..], &few].concat());
    assert_eq!(measured.code, Some(0), "{measured:?}");
    let file = Path::new(&work).join("calibration.json");
    let written: Value = serde_json::from_slice(&std::fs::read(&file).expect("it was written"))
        .expect("a calibration is JSON");
    assert_eq!(written["seconds"].as_array().expect("one for each").len(), 4);
    assert!(!Path::new(&work).join("calibrating").exists(), "what was made to measure is left");
    assert_eq!(tree(Path::new(&site)), before, "the site was changed");
    let plan = check(&site, &work, &["--answered"]);
    assert!(!said(&plan).contains("measured"), "{}", said(&plan));
    let p80_us = |plan: &Value| {
        let ended_us = plan["forecast"]["ended_us"]["p80"].as_i64().expect("a moment");
        ended_us - plan["made_us"].as_i64().expect("a moment")
    };
    assert_ne!(p80_us(&plan), p80_us(&guessed));
    assert_eq!(plan["inventory_hash"], guessed["inventory_hash"], "speeds are no part of it");
    foreign(&site, scratch.path(), written);
}

/// A calibration of another machine is told and not used; damage is refused.
#[track_caller]
fn foreign(site: &str, scratch: &Path, mut written: Value) {
    let work = scratch.join("other").display().to_string();
    let file = scratch.join("foreign.json");
    let named = ["--calibration", &file.display().to_string()].map(ToOwned::to_owned);
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    written["host"]["name"] = "elsewhere".into();
    std::fs::write(&file, written.to_string()).expect("writable");
    let plan = check(site, &work, &named);
    assert!(said(&plan).contains("host elsewhere"), "{}", said(&plan));
    assert!(said(&plan).contains("speeds were not measured"), "{}", said(&plan));
    let shown = std::fs::read_to_string(Path::new(&work).join("plan.txt")).expect("a report");
    assert!(shown.contains("of another machine (host elsewhere"), "{shown}");
    let before = tree(scratch);
    std::fs::write(&file, "{").expect("writable");
    let refused = run(REHOME, &[&["plan", site, "--work", &work][..], &named].concat());
    assert_eq!(refused.code, Some(65), "{refused:?}");
    assert!(refused.stderr.contains("rehome calibrate"), "{refused:?}");
    std::fs::write(&file, written.to_string()).expect("writable");
    assert_eq!(tree(scratch), before, "something was planned");
}

#[test]
fn measuring_with_one_site_or_for_people_is_refused() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = sample(scratch.path(), 62, 3, 4);
    let before = tree(scratch.path());
    let one = run(REHOME, &["calibrate", &site, "--sites", "1"]);
    assert_eq!(one.code, Some(65), "{one:?}");
    let export = scratch.path().join("export").display().to_string();
    assert_eq!(tree(scratch.path()), before, "something was written");
    let made = run(REHOME, &["sample", &export, "--export", "csv", "--mailboxes", "20"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let named = run(REHOME, &["plan", &export, "--calibration", "calibration.json"]);
    assert_eq!(named.code, Some(65), "{named:?}");
    assert!(named.stderr.contains("without effect"), "{named:?}");
}

#[test]
fn the_waves_that_are_over_say_how_long_the_rest_takes() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = sample(scratch.path(), 63, 3, 5);
    let file = Path::new(&site).join("site.toml");
    let text = std::fs::read_to_string(&file).expect("a site.toml");
    let waves = "\n[waves]\nmailboxes_max = 2\n";
    std::fs::write(&file, text + waves).expect("writable");
    let work = scratch.path().join("work").display().to_string();
    let args = ["migrate", &site, "--work", &work, "--route", "move-users"];
    let waits = run(REHOME, &args);
    assert_eq!(waits.code, Some(4), "it waits for a person: {waits:?}");
    let status = run(REHOME, &["status", &work, "--json"]).json();
    assert_eq!(status["left"]["waves"], 2, "{status}");
    assert!(status["left"]["pace"].as_f64() > Some(0.0), "{status}");
    let shown = run(REHOME, &["status", &work]);
    assert!(shown.stdout.contains("the first 2 moves took"), "{shown:?}");
    let done = run(REHOME, &[&args[..], &["--confirm", "all"]].concat());
    assert_eq!(done.code, Some(0), "{done:?}");
    let status = run(REHOME, &["status", &work, "--json"]).json();
    assert_eq!(status["left"], Value::Null, "{status}");
}
