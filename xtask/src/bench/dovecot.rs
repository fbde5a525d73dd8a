//! Dovecot as a peer: a server of its own below the scratch folder, with its default durability.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::bench::child::Running;
use crate::bench::disk;

/// The account that owns the mail: Dovecot refuses to work as root.
const MAIL_ID: &str = "5000";

/// A running Dovecot.
pub(crate) struct Dovecot {
    folder: PathBuf,
    server: Running,
}

impl Dovecot {
    /// Why Dovecot cannot be measured here; `None` if it can.
    pub(crate) fn missing() -> Option<&'static str> {
        if !disk::is_installed("dovecot") || !disk::is_installed("doveadm") {
            return Some("Dovecot is not installed here");
        }
        (disk::ask("id", &["-u"]) != "0").then_some("Dovecot needs root to be started")
    }

    /// Starts one in a new folder.
    pub(crate) fn start(folder: &Path) -> Result<Dovecot, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        for below in ["run", "state", "mail"] {
            fs::create_dir_all(folder.join(below)).map_err(failed)?;
        }
        // The mail account goes through the folders above.
        let above = folder.ancestors().take_while(|above| *above != std::env::temp_dir());
        for path in above.take(3) {
            let open = fs::Permissions::from_mode(0o755);
            fs::set_permissions(path, open).map_err(failed)?;
        }
        give(&folder.join("mail"))?;
        let configuration = folder.join("dovecot.conf");
        fs::write(&configuration, configuration_of(folder)).map_err(failed)?;
        let mut command = Command::new("dovecot");
        command.arg("-F").arg("-c").arg(&configuration);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Running::start(&mut command)?;
        let dovecot = Dovecot { folder: folder.to_owned(), server };
        dovecot.wait_until_up().map(|()| dovecot)
    }

    fn wait_until_up(&self) -> Result<(), String> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            let greeted = std::os::unix::net::UnixStream::connect(self.lmtp());
            if greeted.is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("Dovecot does not come up; see {}", self.folder.join("log").display()))
    }

    /// The socket that takes LMTP.
    pub(crate) fn lmtp(&self) -> PathBuf {
        self.folder.join("run").join("lmtp")
    }

    /// A new folder for mail, owned by the mail account.
    pub(crate) fn mail_folder(&self, path: &Path) -> Result<(), String> {
        fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))?;
        give(path)
    }

    /// A `doveadm` that works on a user's mail at a place, such as `mdbox:/path`.
    pub(crate) fn doveadm(&self, location: &str, options: &[&str]) -> Command {
        let mut command = Command::new("doveadm");
        command.arg("-c").arg(self.folder.join("dovecot.conf"));
        command.args(options).arg("-o").arg(format!("mail_location={location}"));
        command
    }

    /// Copies Maildirs, one a user, into mdboxes below a folder, without syncs.
    pub(crate) fn stage(&self, users: &[String], maildirs: &Path, to: &Path) -> Result<(), String> {
        give(maildirs)?;
        self.mail_folder(to)?;
        for user in users {
            let from = format!("maildir:{}", maildirs.join(user).display());
            let mut command = self.doveadm(&from, &["-o", "mail_fsync=never"]);
            let target = format!("mdbox:{}", to.join(user).display());
            disk::finish(command.args(["backup", "-u", user]).arg(target))?;
        }
        disk::sync_folder(to)
    }

    /// The commands that back up each user's mdbox below a folder to another, with default syncs.
    pub(crate) fn backups(&self, users: &[String], from: &Path, to: &Path) -> Vec<Command> {
        let backup = |user: &String| {
            let source = format!("mdbox:{}", from.join(user).display());
            let mut command = self.doveadm(&source, &[]);
            command.args(["backup", "-u", user]);
            command.arg(format!("mdbox:{}", to.join(user).display()));
            command
        };
        users.iter().map(backup).collect()
    }

    /// Messages in all folders of a user's mdbox.
    pub(crate) fn messages(&self, user: &str, folder: &Path) -> Result<u64, String> {
        let location = format!("mdbox:{}", folder.join(user).display());
        let mut command = self.doveadm(&location, &[]);
        command.args(["mailbox", "status", "-t", "-u", user, "messages", "*"]);
        let output = command.output().map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let count = text.trim().rsplit_once("messages=").and_then(|(_, count)| count.parse().ok());
        count.ok_or_else(|| format!("doveadm says {text:?} about {user}"))
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // The master ends its children when it is told to stop; a kill would leave them.
        let configuration = self.folder.join("dovecot.conf");
        let _told = disk::finish(Command::new("doveadm").arg("-c").arg(configuration).arg("stop"));
        self.server.kill();
    }
}

/// Makes the mail account the owner of everything below a folder.
fn give(folder: &Path) -> Result<(), String> {
    let owner = format!("{MAIL_ID}:{MAIL_ID}");
    disk::finish(Command::new("chown").arg("-R").arg(owner).arg(folder))
}

fn configuration_of(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "base_dir = {folder}/run\nstate_dir = {folder}/state\nlog_path = {folder}/log\n\
         instance_name = rehome-bench\nprotocols = lmtp\nlisten = 127.0.0.1\nssl = no\n\
         first_valid_uid = 100\nmail_location = mdbox:~/mdbox\n\
         passdb {{\n  driver = static\n  args = nopassword=y\n}}\n\
         userdb {{\n  driver = static\n  args = uid={MAIL_ID} gid={MAIL_ID} \
         home={folder}/mail/%u allow_all_users=yes\n}}\n\
         namespace inbox {{\n  inbox = yes\n  separator = /\n}}\n\
         service lmtp {{\n  unix_listener lmtp {{\n    mode = 0600\n  }}\n  \
         process_limit = 200\n}}\n\
         service anvil {{\n  chroot =\n}}\nservice stats {{\n  chroot =\n}}\n"
    )
}
