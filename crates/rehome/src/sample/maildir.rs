//! A mailbox as a Maildir++ tree, as Dovecot would have left it.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::message::{Letter, modified_utf7};
use super::people::Person;
use super::random::Random;
use super::{NOW_SECONDS, SampleError, SampleReport, at, write_file};

/// A folder of a mailbox; components are joined by a dot, the inbox has none.
struct Folder {
    name: &'static str,
    /// How often a mailbox has it, of a hundred.
    percent: usize,
    /// Its share of the letters that somebody else wrote.
    received: usize,
    /// Its share of the letters that the owner wrote.
    sent: usize,
}

/// `Projects` has no folder of its own; `Later` stays empty.
const FOLDERS: [Folder; 10] = [
    Folder { name: "", percent: 100, received: 55, sent: 0 },
    Folder { name: "Sent", percent: 100, received: 0, sent: 90 },
    Folder { name: "Archive", percent: 100, received: 14, sent: 0 },
    Folder { name: "Archive.2023", percent: 70, received: 10, sent: 0 },
    Folder { name: "Entwürfe", percent: 60, received: 0, sent: 10 },
    Folder { name: "Projects.Nord", percent: 60, received: 8, sent: 0 },
    Folder { name: "Projects.Süd & West", percent: 40, received: 6, sent: 0 },
    Folder { name: "日本語", percent: 25, received: 4, sent: 0 },
    Folder { name: "Trash", percent: 60, received: 4, sent: 0 },
    Folder { name: "Later", percent: 40, received: 0, sent: 0 },
];

/// Names behind the letters `a` and `b` of a file name.
const KEYWORDS: [&str; 2] = ["$Label1", "project-north"];

/// A message file that has been given its name.
struct Filed {
    base: String,
    keyword: bool,
}

/// Writes a mailbox. The first one of a sample has every folder.
pub(super) fn write(
    root: &Path,
    owner: usize,
    people: &[Person],
    letters: &[Letter],
    random: &mut Random,
    report: &mut SampleReport,
) -> Result<(), SampleError> {
    let own: Vec<&Folder> =
        FOLDERS.iter().filter(|one| random.chance(one.percent) || owner == 0).collect();
    let with_uids = random.chance(40) || owner == 0;
    let mut filed: Vec<Vec<Filed>> = own.iter().map(|_| Vec::new()).collect();
    for folder in &own {
        create_folder(root, folder)?;
    }
    report.folders += own.len();
    for (number, letter) in letters.iter().enumerate() {
        let from_owner = letter.sender == owner && !letter.is_shared();
        let chosen = choose(&own, from_owner, random);
        let text = letter.text(people);
        let path = folder_path(root, own[chosen]);
        let drafts = own[chosen].name == "Entwürfe";
        let file = write_message(&path, letter, number, &text, drafts, random)?;
        report.messages += 1;
        report.bytes += text.len() as u64;
        filed[chosen].push(file);
    }
    for (folder, files) in own.iter().zip(&filed) {
        let path = folder_path(root, folder);
        if files.iter().any(|file| file.keyword) {
            let lines = format!("0 {}\n1 {}\n", KEYWORDS[0], KEYWORDS[1]);
            write_file(&path.join("dovecot-keywords"), lines.as_bytes(), NOW_SECONDS)?;
        }
        if with_uids {
            let list = uid_list(files, random);
            write_file(&path.join("dovecot-uidlist"), list.as_bytes(), NOW_SECONDS)?;
        }
    }
    write_subscriptions(root, &own, random)
}

/// Where a folder lies.
fn folder_path(root: &Path, folder: &Folder) -> std::path::PathBuf {
    match folder.name {
        "" => root.to_owned(),
        name => root.join(format!(".{}", modified_utf7(name))),
    }
}

/// Creates the three directories of a folder.
fn create_folder(root: &Path, folder: &Folder) -> Result<(), SampleError> {
    let path = folder_path(root, folder);
    for part in ["cur", "new", "tmp"] {
        let part = path.join(part);
        fs::create_dir_all(&part).map_err(at(&part))?;
    }
    match folder.name {
        "" => Ok(()),
        _ => write_file(&path.join("maildirfolder"), b"", NOW_SECONDS),
    }
}

/// Chooses a folder by its share; the inbox if no folder of the mailbox has one.
fn choose(own: &[&Folder], from_owner: bool, random: &mut Random) -> usize {
    let share = |folder: &&Folder| if from_owner { folder.sent } else { folder.received };
    let total: usize = own.iter().map(share).sum();
    let mut left = random.below(total.max(1));
    for (index, folder) in own.iter().enumerate() {
        if left < share(folder) {
            return index;
        }
        left -= share(folder);
    }
    0
}

/// Writes a message into `new` or `cur`, under a name with its flags.
fn write_message(
    folder: &Path,
    letter: &Letter,
    number: usize,
    text: &str,
    draft: bool,
    random: &mut Random,
) -> Result<Filed, SampleError> {
    let delivered = letter.seconds + 5;
    let micros = random.below(1_000_000);
    let mut base = format!("{delivered}.M{micros:06}P{}Q{number}.ex1", 1000 + random.below(30_000));
    if random.chance(85) {
        let with_cr = text.len() + text.bytes().filter(|byte| *byte == b'\n').count();
        let _ = write!(base, ",S={},W={with_cr}", text.len());
    }
    if !draft && random.chance(8) {
        write_file(&folder.join("new").join(&base), text.as_bytes(), delivered)?;
        return Ok(Filed { base, keyword: false });
    }
    let flags = flags(draft, random);
    let keyword = flags.contains(['a', 'b']);
    let path = folder.join("cur").join(format!("{base}:2,{flags}"));
    write_file(&path, text.as_bytes(), delivered)?;
    Ok(Filed { base, keyword })
}

/// Letters in the order of the alphabet, capitals first, as the Maildir convention wants.
fn flags(draft: bool, random: &mut Random) -> String {
    let chances = [('F', 6), ('P', 3), ('R', 18), ('S', 85), ('T', 2), ('a', 5), ('b', 4)];
    let mut flags = String::from(if draft { "D" } else { "" });
    for (flag, percent) in chances {
        if random.chance(percent) {
            flags.push(flag);
        }
    }
    flags
}

/// `dovecot-uidlist`, version 3. Numbers are left out here and there, as if messages were deleted.
fn uid_list(files: &[Filed], random: &mut Random) -> String {
    let mut uid = 0;
    let mut lines = String::new();
    for file in files {
        uid += if random.chance(10) { 2 + random.below(5) } else { 1 };
        let _ = writeln!(lines, "{uid} :{}", file.base);
    }
    let validity = 1_600_000_000 + random.below(100_000_000);
    let guid = format!("{:016x}{:016x}", random.next(), random.next());
    format!("3 V{validity} N{} G{guid}\n{lines}", uid + 1 + random.below(3))
}

/// `subscriptions`: most of the folders.
fn write_subscriptions(
    root: &Path,
    own: &[&Folder],
    random: &mut Random,
) -> Result<(), SampleError> {
    let mut lines = String::new();
    for folder in own.iter().filter(|folder| !folder.name.is_empty()) {
        if random.chance(85) {
            let _ = writeln!(lines, "{}", modified_utf7(folder.name));
        }
    }
    write_file(&root.join("subscriptions"), lines.as_bytes(), NOW_SECONDS)
}
