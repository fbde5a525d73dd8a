//! The program behind `cargo xtask torture store` and `cargo xtask torture kill`.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use rehome_tests::torture::{Plan, Scenario, Site, run};

/// What each of the options stands for.
const USAGE: &str = "store --seed S (--points N | --point P [--times N]) [--only SCENARIO] \
                     [--lie SITE] [--json]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.first().map(String::as_str) {
        Some("store") => store(&args[1..]),
        Some("pack") => pack(&args[1..]),
        _ => Err(format!("usage: {USAGE}")),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            say(&message);
            ExitCode::from(64)
        }
    }
}

/// Writes a line for people.
fn say(line: &str) {
    let _told = writeln!(std::io::stderr().lock(), "{line}");
}

/// Writes a line for the next program.
fn tell(line: &str) {
    let _told = writeln!(std::io::stdout().lock(), "{line}");
}

/// The value after an option.
fn value(args: &[String], option: &str) -> Option<String> {
    let at = args.iter().position(|arg| arg == option)?;
    args.get(at + 1).cloned()
}

fn number(args: &[String], option: &str, default: u64) -> Result<u64, String> {
    match value(args, option) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| format!("{option} {text}: not a number; {USAGE}")),
    }
}

fn store(args: &[String]) -> Result<bool, String> {
    let point = number(args, "--point", u64::MAX)?;
    let (first, points) = match point {
        u64::MAX => (0, number(args, "--points", 10_000)?),
        point => (point, 1),
    };
    let only = match value(args, "--only") {
        None => None,
        Some(name) => Some(Scenario::named(&name).ok_or(format!("no scenario {name}; {USAGE}"))?),
    };
    let lie = match value(args, "--lie") {
        None => None,
        Some(name) => {
            let named = Site::ALL.into_iter().find(|site| format!("{site:?}") == name);
            Some(named.ok_or_else(|| format!("no site {name} among {:?}", Site::ALL))?)
        }
    };
    let plan =
        Plan { lie, seed: number(args, "--seed", 1)?, first, points, only, ..Plan::default() };
    say(&format!("seed {}, {points} points from {first}", plan.seed));
    let times = number(args, "--times", 1)?;
    Ok((0..times).all(|_| once(&plan, args.iter().any(|arg| arg == "--json"))))
}

/// Packs the folder of a closed store into one small file, for the old stores that stay.
fn pack(args: &[String]) -> Result<bool, String> {
    let [folder, file] = args else { return Err("usage: pack STORE FILE".to_owned()) };
    let packed = rehome_tests::torture::pack(&rehome_tests::tree(folder.as_ref()));
    std::fs::write(file, &packed).map_err(|error| format!("{file}: {error}"))?;
    let digest = rehome_tests::torture::digest(&packed);
    tell(&format!("{} bytes, digest {digest}", packed.len()));
    Ok(true)
}

/// One run of a plan; whether nothing failed.
fn once(plan: &Plan, json: bool) -> bool {
    let begun = Instant::now();
    let mut told = 0;
    let tally = run(plan, &mut |tally| {
        if let Some(failed) = tally.failed.get(told) {
            told += 1;
            let repeat = rehome_tests::torture::repeat(plan, failed);
            say(&format!("point {} failed: {}\nagain: {repeat}", failed.point, failed.text));
        }
        if tally.points % 1000 == 0 {
            say(&format!("{} points, {} failed", tally.points, tally.failed.len()));
        }
    });
    let summary = tally.json(plan, begun.elapsed().as_secs_f64());
    if json {
        tell(&summary.to_string());
    } else {
        tell(&format!("{summary:#}"));
    }
    tally.failed.is_empty()
}
