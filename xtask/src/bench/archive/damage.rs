//! What is left of a damaged backup: of each contender the same four kinds of damage, what its
//! check says, and how many messages come back right, wrong or not at all.

mod harm;
mod table;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rehome::parts::archive::ContentId;

use super::contender::Contender;
use super::stage::{Stage, message_files};
use super::step::{Step, make, remove};
use super::work::ArchiveWork;
use crate::bench::child::{self, Running};
use crate::bench::disk;
use crate::bench::setting::Setting;
use crate::commands::say;
use harm::Harm;

/// Nobody is waited for longer: restic asks for what is missing again and again.
const PATIENCE: Duration = Duration::from_secs(120);

/// What became of the messages of a restore.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    right: usize,
    wrong: usize,
    missing: usize,
}

/// One damage to one contender's backup.
struct Case {
    contender: Contender,
    harm: Harm,
    /// What was done, and to which file.
    what: String,
    /// Whether its check said that something is wrong; `None` if it did not end.
    reported: Option<bool>,
    /// Whether it named every message that does not come back.
    named: Option<bool>,
    as_it_is: Tally,
    /// After repair as its manual says; ours: salvage.
    repaired: Tally,
}

/// Damages the backups of all contenders and writes the page.
pub(super) fn run(stage: &Stage, setting: &Setting, command: String) -> Result<(), String> {
    let (contenders, skipped) = Contender::installed();
    let source = contents_of(&stage.maildirs())?;
    let mut cases = Vec::new();
    for contender in contenders.into_iter().filter(|one| *one != Contender::BorgZstd) {
        let place = setting.folder(contender.word())?;
        make(&place.join("set"))?;
        contender.prepare(stage, &place)?;
        finish(contender.command(stage, Step::Full, &place, &place)?)?;
        for harm in Harm::ALL {
            let case = one_case(stage, contender, harm, &place, &source)?;
            if let Some(case) = case {
                say(&case.line());
                cases.push(case);
            }
        }
        remove(&place)?;
    }
    setting.end();
    table::page(stage, command, skipped, &cases).publish(setting)
}

fn one_case(
    stage: &Stage,
    contender: Contender,
    harm: Harm,
    place: &Path,
    source: &Contents,
) -> Result<Option<Case>, String> {
    // The damaged one has the place that its programs know; the whole one waits beside it.
    let (set, whole) = (place.join("set"), place.join("whole"));
    rename(&set, &whole)?;
    disk::finish(Command::new("cp").arg("-r").arg(&whole).arg(&set))?;
    let case = match harm.apply(contender, &set)? {
        None => None,
        Some(what) => Some(judge(stage, contender, harm, what, place, source)?),
    };
    remove(&set)?;
    rename(&whole, &set)?;
    Ok(case)
}

fn rename(from: &Path, to: &Path) -> Result<(), String> {
    std::fs::rename(from, to).map_err(|error| format!("{}: {error}", from.display()))
}

fn judge(
    stage: &Stage,
    contender: Contender,
    harm: Harm,
    what: String,
    place: &Path,
    source: &Contents,
) -> Result<Case, String> {
    let to = place.join("to");
    let (verdict, said) = ask(contender.command(stage, Step::Verify, place, &to)?)?;
    let restored = |step: Command| -> Result<Tally, String> {
        if !contender.is_ours() {
            make(&to)?;
        }
        let _whatever_it_says = ask(step)?;
        let tally = compare(source, &to)?;
        if to.exists() {
            remove(&to)?;
        }
        Ok(tally)
    };
    let as_it_is = restored(contender.command(stage, Step::RestoreFiles, place, &to)?)?;
    let repaired = match contender.repair(place) {
        Some(repair) => {
            let _whatever_it_says = ask(repair)?;
            restored(contender.command(stage, Step::RestoreFiles, place, &to)?)?
        }
        None if contender.is_ours() => {
            let set = place.join("set");
            restored(ArchiveWork::Salvage { set, to: to.clone() }.command()?)?
        }
        None => as_it_is,
    };
    let lost = source.count - repaired.right.min(source.count);
    let named = contender.is_ours().then(|| names_as_many(&said, lost));
    let reported = verdict.map(|good| !good);
    Ok(Case { contender, harm, what, reported, named, as_it_is, repaired })
}

/// Whether a check named that many messages that are lost, or says that a mailbox is not there.
fn names_as_many(said: &str, lost: usize) -> bool {
    let words: Vec<&str> = said.split_whitespace().collect();
    let named: usize = words
        .windows(4)
        .filter(|four| four[1] == "of" && four[3].starts_with("lost"))
        .filter_map(|four| four[0].parse::<usize>().ok())
        .sum();
    named >= lost || said.contains("nothing names")
}

/// Runs a program to its end, or until patience ends; whether it was content, and all it said.
fn ask(mut command: Command) -> Result<(Option<bool>, String), String> {
    let said = std::env::temp_dir().join(format!("rehome-bench-said-{}", std::process::id()));
    let failed = |error: std::io::Error| format!("{}: {error}", said.display());
    let file = std::fs::File::create(&said).map_err(failed)?;
    let also = file.try_clone().map_err(failed)?;
    let mut running = Running::start(command.stdin(Stdio::null()).stdout(file).stderr(also))?;
    let begun = Instant::now();
    let verdict = loop {
        match running.0.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break Some(status.success()),
            None if begun.elapsed() > PATIENCE => break None,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    drop(running);
    let text = std::fs::read(&said).map_err(failed)?;
    std::fs::remove_file(&said).map_err(failed)?;
    Ok((verdict, String::from_utf8_lossy(&text).into_owned()))
}

fn finish(mut command: Command) -> Result<(), String> {
    if command.get_args().any(|argument| argument == "child") {
        return child::figures(&mut command).map(drop);
    }
    disk::finish(&mut command)
}

/// How often each content is in each mailbox.
struct Contents {
    count: usize,
    each: HashMap<(String, ContentId), usize>,
}

fn contents_of(maildirs: &Path) -> Result<Contents, String> {
    let mut contents = Contents { count: 0, each: HashMap::new() };
    for file in message_files(maildirs)? {
        *contents.each.entry(key_of(maildirs, &file)?).or_default() += 1;
        contents.count += 1;
    }
    Ok(contents)
}

/// The mailbox that a message file is in, and its content.
fn key_of(maildirs: &Path, file: &PathBuf) -> Result<(String, ContentId), String> {
    let below = file.strip_prefix(maildirs).map_err(|error| error.to_string())?;
    let mailbox = below.components().next().map(|name| name.as_os_str().to_string_lossy());
    let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok((mailbox.unwrap_or_default().into_owned(), ContentId::of(&bytes)))
}

/// What of the source came back to a folder.
fn compare(source: &Contents, to: &Path) -> Result<Tally, String> {
    let mut left = source.each.clone();
    let mut tally = Tally::default();
    for file in if to.exists() { message_files(to)? } else { Vec::new() } {
        match left.get_mut(&key_of(to, &file)?) {
            Some(count) if *count > 0 => {
                *count -= 1;
                tally.right += 1;
            }
            _ => tally.wrong += 1,
        }
    }
    tally.missing = source.count - (tally.right + tally.wrong).min(source.count);
    Ok(tally)
}

impl Case {
    fn line(&self) -> String {
        let Tally { right, wrong, missing } = self.repaired;
        let said = match self.reported {
            Some(true) => "error",
            Some(false) => "NO ERROR",
            None => "no end",
        };
        let (who, harm) = (self.contender.name(), self.harm.name());
        format!("  {who:<26} {harm:<20} {said:<9} {right} right, {wrong} wrong, {missing} missing")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_that_a_check_names_are_counted() {
        let said = "user1: partly, 3 of 250 lost; INBOX UIDs 1,2,3\n  user2: partly, 2 of 9 lost;";
        assert!(names_as_many(said, 5));
        assert!(!names_as_many(said, 6));
        assert!(!names_as_many("everything is fine", 1));
        assert!(names_as_many("everything is fine", 0));
    }
}
