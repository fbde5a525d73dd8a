//! Who makes backups, and how each is asked for what.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::stage::Stage;
use super::step::Step;
use super::work::ArchiveWork;
use crate::bench::disk;

/// Who makes backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contender {
    /// Ours, as it is without any option.
    Ours,
    /// Ours without parity, which no peer has.
    OursBare,
    Restic,
    /// borg with its default compression, lz4.
    Borg,
    /// borg with zstd,3.
    BorgZstd,
    Tar,
}

impl Contender {
    pub(super) const ALL: [Contender; 6] = [
        Contender::Ours,
        Contender::OursBare,
        Contender::Restic,
        Contender::Borg,
        Contender::BorgZstd,
        Contender::Tar,
    ];

    /// Those that can be run here, and why the others cannot.
    pub(super) fn installed() -> (Vec<Contender>, Vec<String>) {
        let missing = |one: &Contender| one.programs().iter().find(|one| !disk::is_installed(one));
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            Contender::ALL.into_iter().partition(|one| missing(one).is_none());
        let skip = |one: &Contender| {
            format!("{}: {} is not installed", one.name(), missing(one).unwrap_or(&""))
        };
        (here, elsewhere.iter().map(skip).collect())
    }

    fn programs(self) -> &'static [&'static str] {
        match self {
            Contender::Ours | Contender::OursBare => &[],
            Contender::Restic => &["restic"],
            Contender::Borg | Contender::BorgZstd => &["borg"],
            Contender::Tar => &["tar", "zstd"],
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Contender::Ours => "rehome",
            Contender::OursBare => "rehome --no-parity",
            Contender::Restic => "restic",
            Contender::Borg => "borg (lz4, its default)",
            Contender::BorgZstd => "borg --compression zstd,3",
            Contender::Tar => "tar | zstd -3",
        }
    }

    /// For names of folders.
    pub(super) fn word(self) -> &'static str {
        match self {
            Contender::Ours => "ours",
            Contender::OursBare => "bare",
            Contender::Restic => "restic",
            Contender::Borg => "borg",
            Contender::BorgZstd => "borg-zstd",
            Contender::Tar => "tar",
        }
    }

    pub(super) fn is_ours(self) -> bool {
        matches!(self, Contender::Ours | Contender::OursBare)
    }

    /// A repository of messages, to be compared with.
    pub(super) fn is_rival(self) -> bool {
        matches!(self, Contender::Restic | Contender::Borg | Contender::BorgZstd)
    }

    /// What it does in a round, in this order.
    pub(super) fn steps(self) -> &'static [Step] {
        match self {
            Contender::Ours => &Step::ALL,
            Contender::OursBare => &[Step::Full, Step::Second, Step::Verify],
            Contender::BorgZstd => &[Step::Full, Step::Second],
            Contender::Restic | Contender::Borg | Contender::Tar => &Step::OF_PEERS,
        }
    }

    /// What has to be there before the first step.
    pub(super) fn prepare(self, stage: &Stage, place: &Path) -> Result<(), String> {
        match self {
            Contender::Ours | Contender::OursBare => {
                let mut copy = Command::new("cp");
                disk::finish(copy.arg("-r").arg(stage.store()).arg(place.join("store")))
            }
            Contender::Restic => disk::finish(&mut self.restic(place, &["init"])),
            Contender::Borg | Contender::BorgZstd => {
                let mut init = self.borg(place, &["init", "--encryption", "none"]);
                disk::finish(init.arg(place.join("set")))
            }
            Contender::Tar => Ok(()),
        }
    }

    /// The program that does a step; what it restores goes to `to`.
    pub(super) fn command(
        self,
        stage: &Stage,
        step: Step,
        place: &Path,
        to: &Path,
    ) -> Result<Command, String> {
        match self {
            Contender::Ours | Contender::OursBare => self.ours(stage, step, place, to).command(),
            Contender::Restic => Ok(self.restic_step(stage, step, place, to)),
            Contender::Borg | Contender::BorgZstd => Ok(self.borg_step(stage, step, place, to)),
            Contender::Tar => Ok(tar_step(stage, step, place, to)),
        }
    }

    /// The repair that its manual knows.
    pub(super) fn repair(self, place: &Path) -> Option<Command> {
        match self {
            Contender::Restic => Some(self.restic(place, &["rebuild-index"])),
            Contender::Borg | Contender::BorgZstd => {
                let mut repair = self.borg(place, &["check", "--repair"]);
                repair.env("BORG_CHECK_I_KNOW_WHAT_I_AM_DOING", "YES").arg(place.join("set"));
                Some(repair)
            }
            Contender::Ours | Contender::OursBare | Contender::Tar => None,
        }
    }

    fn ours(self, stage: &Stage, step: Step, place: &Path, to: &Path) -> ArchiveWork {
        let (store, set) = (place.join("store"), place.join("set"));
        let parity = self == Contender::Ours;
        let to = to.to_owned();
        match step {
            Step::Full | Step::Second => {
                ArchiveWork::Backup { store, set, changes: step == Step::Second, parity }
            }
            Step::Verify | Step::VerifyCold => ArchiveWork::Check { set },
            Step::Restore => ArchiveWork::Restore { set, to, files: false, mailbox: None },
            Step::RestoreFiles => ArchiveWork::Restore { set, to, files: true, mailbox: None },
            Step::RestoreOne => {
                let mailbox = Some(stage.mailbox().to_owned());
                ArchiveWork::Restore { set, to, files: true, mailbox }
            }
        }
    }

    fn restic(self, place: &Path, args: &[&str]) -> Command {
        let mut command = Command::new("restic");
        command.env("RESTIC_PASSWORD", "bench").env("RESTIC_CACHE_DIR", place.join("cache"));
        command.arg("--quiet").arg("--repo").arg(place.join("set")).args(args);
        command
    }

    fn restic_step(self, stage: &Stage, step: Step, place: &Path, to: &Path) -> Command {
        let mut command = match step {
            Step::Full | Step::Second => self.restic(place, &["backup", "."]),
            Step::Verify | Step::VerifyCold => self.restic(place, &["check", "--read-data"]),
            Step::Restore | Step::RestoreFiles => {
                self.restic(place, &["restore", "latest", "--target"])
            }
            Step::RestoreOne => {
                self.restic(place, &["restore", "latest", "--include", stage.mailbox(), "--target"])
            }
        };
        if step.restores() {
            command.arg(to);
        }
        command.current_dir(stage.maildirs());
        command
    }

    fn borg(self, place: &Path, args: &[&str]) -> Command {
        let mut command = Command::new("borg");
        command.env("BORG_BASE_DIR", place.join("base"));
        command.env("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes");
        command.args(args);
        command
    }

    fn borg_step(self, stage: &Stage, step: Step, place: &Path, to: &Path) -> Command {
        let set = place.join("set");
        let archive = |name: &str| -> PathBuf {
            let mut archive = set.clone().into_os_string();
            archive.push(format!("::{name}"));
            archive.into()
        };
        let create: &[&str] = match self {
            Contender::BorgZstd => &["create", "--compression", "zstd,3"],
            _ => &["create"],
        };
        let mut command = match step {
            Step::Full | Step::Second | Step::Verify | Step::VerifyCold => Command::new("true"),
            Step::Restore | Step::RestoreFiles | Step::RestoreOne => self.borg(place, &["extract"]),
        };
        match step {
            Step::Full | Step::Second => {
                command = self.borg(place, create);
                let name = if step == Step::Full { "full" } else { "second" };
                command.arg(archive(name)).arg(".").current_dir(stage.maildirs());
            }
            Step::Verify | Step::VerifyCold => {
                command = self.borg(place, &["check", "--verify-data"]);
                command.arg(&set);
            }
            Step::Restore | Step::RestoreFiles | Step::RestoreOne => {
                let name = if step == Step::RestoreFiles { "full" } else { "second" };
                command.arg(archive(name)).current_dir(to);
                if step == Step::RestoreOne {
                    command.arg(stage.mailbox());
                }
            }
        }
        command
    }
}

/// tar's snapshot file tells the second backup what is new.
fn tar_step(stage: &Stage, step: Step, place: &Path, to: &Path) -> Command {
    let only = if step == Step::RestoreOne { format!("./{}", stage.mailbox()) } else { ".".into() };
    let script = match step {
        Step::Full => "tar --listed-incremental=$P/names -c . | zstd -q -3 > $P/set/0.tar.zst",
        Step::Second => "tar --listed-incremental=$P/names -c . | zstd -q -3 > $P/set/1.tar.zst",
        Step::Verify | Step::VerifyCold => "zstd -q -t $P/set/*.tar.zst",
        Step::RestoreFiles => "zstd -q -d -c $P/set/0.tar.zst | tar -x -C $T",
        Step::Restore | Step::RestoreOne => {
            "for one in 0 1; do zstd -q -d -c $P/set/$one.tar.zst | tar -x -C $T \"$ONLY\"; done"
        }
    };
    let mut command = Command::new("sh");
    command.args(["-e", "-c", script]).current_dir(stage.maildirs());
    command.env("P", place).env("T", to).env("ONLY", only);
    command
}
