//! Finding and reading the site that a person names: a site.toml, its folder, or a bare folder of
//! Maildir++ trees.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rehome_planner::{Inventory, Measured, Size};
use rehome_site::{Diagnostic, Key, Place, Site, render};
use rehome_store::{SourceKind, detect_source, scan_source};

use crate::error::Error;
use crate::work::Work;

/// The mailbox that holds the public folders, if the site has a folder `mail-public`.
pub(crate) const PUBLIC_MAILBOX: &str = "public folders";

/// A site with the folder it was read from.
#[derive(Debug, Clone)]
pub struct SiteFile {
    /// What site.toml says, with the mailboxes that were found in the mail folder.
    pub site: Site,
    /// The folder that paths in the site are relative to.
    pub base: PathBuf,
    /// The file as messages name it.
    pub shown: String,
    /// Whether there is no site file: a bare folder of Maildir++ trees.
    pub bare: bool,
}

impl SiteFile {
    /// Reads the site at `path` and looks at its mail folders.
    ///
    /// # Errors
    ///
    /// [`Error::BadInput`] with every problem and its place: no such file, not a site, a key that
    /// is wrong, a mail folder that is missing. Nothing is written.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let file = if path.is_dir() { path.join("site.toml") } else { path.to_owned() };
        if path.is_dir() && !file.exists() {
            return implicit(path);
        }
        let text = std::fs::read_to_string(&file).map_err(|error| Error::BadInput {
            message: format!(
                "{}: the site cannot be read: {error}; give a site.toml, the folder that holds \
                 one, or a folder of Maildir++ trees",
                file.display()
            ),
        })?;
        let shown = file.display().to_string();
        let site = Site::parse(&text, &shown).map_err(|found| bad(&found))?;
        let base = file.parent().filter(|parent| !parent.as_os_str().is_empty());
        let base = base.unwrap_or(Path::new(".")).to_owned();
        let mut read = SiteFile { site, base, shown, bare: false };
        read.find_mailboxes()?;
        Ok(read)
    }

    /// The folder of the old server's Maildir++ trees.
    #[must_use]
    pub fn mail_root(&self) -> PathBuf {
        self.base.join(&self.site.old_server().mail)
    }

    /// The Maildir++ tree of each mailbox of the old server, in the order of the site.
    #[must_use]
    pub fn mail_folders(&self) -> Vec<(String, PathBuf)> {
        let old = &self.site.old_server().name;
        let folder = |folder: &str| self.mail_root().join(folder);
        let of = self.site.mailboxes_of(old);
        of.map(|mailbox| (mailbox.name.to_string(), folder(&mailbox.folder))).collect()
    }

    /// The folder in which the migration of this site works unless another is given: beside
    /// site.toml; in the present folder for a bare folder of mail, which is left as it is.
    #[must_use]
    pub fn default_work(&self) -> Work {
        let folder = Path::new("rehome-work");
        Work::new(if self.bare { folder.to_owned() } else { self.base.join(folder) })
    }

    /// Points at a key of the site file.
    #[must_use]
    pub fn place(&self, key: &str) -> Place {
        let place = self.site.place(&Key::new(key));
        if place.file.is_empty() { Place::of_file(&self.shown) } else { place }
    }

    /// Takes over the sub-folders of the mail folder, and sees that each listed one is there.
    fn find_mailboxes(&mut self) -> Result<(), Error> {
        let root = self.mail_root();
        let found = sub_folders(&root).map_err(|error| {
            let place = self.place("server[0].mail");
            let message = format!("mail folder {} cannot be read: {error}", root.display());
            bad(&[Diagnostic::error("E031", place, message)
                .why("the mailboxes of this server would be left behind")
                .fix("name the folder that holds one Maildir++ tree for each mailbox")])
        })?;
        let old = self.site.old_server().name.clone();
        self.site.add_found_mailboxes(&old, &found).map_err(|problems| {
            let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Error::BadInput { message: format!("{}: {}", root.display(), texts.join("\n")) }
        })?;
        self.missing_folders()
    }

    fn missing_folders(&self) -> Result<(), Error> {
        let mut found = Vec::new();
        for (index, mailbox) in self.site.mailboxes.iter().enumerate() {
            let folder = self.mail_root().join(&mailbox.folder);
            if mailbox.server != self.site.old_server().name || folder.is_dir() {
                continue;
            }
            let place = self.place(Key::mailbox(index, "folder").as_str());
            let message =
                format!("mailbox \"{}\" has no folder {}", mailbox.name, folder.display());
            found.push(
                Diagnostic::error("E032", place, message)
                    .why("its mail would be left behind")
                    .fix("correct `folder` or `name`, or take the mailbox out of the site"),
            );
        }
        if found.is_empty() { Ok(()) } else { Err(bad(&found)) }
    }

    /// Measures the mail without reading its bytes, and makes the planner's inventory.
    ///
    /// # Errors
    ///
    /// [`Error::BadInput`] for a mailbox whose folder cannot be read.
    pub fn inventory(&self) -> Result<Inventory, Error> {
        let mut mailboxes = BTreeMap::new();
        for (name, folder) in self.mail_folders() {
            let scan = scan_source(&folder).map_err(Error::bad_input)?;
            let size = scan.mailboxes.iter().fold(Size::default(), |size, one| Size {
                messages: size.messages + one.messages,
                bytes: size.bytes + one.bytes,
            });
            mailboxes.insert(name, size);
        }
        let measured = Measured { mailboxes, ..Measured::default() };
        Ok(Inventory::from_site(&self.site, &measured))
    }
}

/// The site of a bare folder of Maildir++ trees.
fn implicit(root: &Path) -> Result<SiteFile, Error> {
    let found = sub_folders(root).map_err(|error| Error::BadInput {
        message: format!("{}: the folder cannot be read: {error}", root.display()),
    })?;
    let is_maildir = |name: &String| {
        detect_source(&root.join(name)).is_ok_and(|kind| kind == SourceKind::Maildir)
    };
    if found.is_empty() || !found.iter().all(is_maildir) {
        let odd = found.iter().find(|name| !is_maildir(name));
        let odd = odd.map_or_else(String::new, |name| format!(" (\"{name}\" is none)"));
        return Err(Error::BadInput {
            message: format!(
                "{}: neither a site.toml nor a folder of Maildir++ trees{odd}; give one of the \
                 two, or make a sample with `rehome sample`",
                root.display()
            ),
        });
    }
    let site = Site::implicit(".", &found).map_err(|problems| {
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Error::BadInput { message: format!("{}: {}", root.display(), texts.join("\n")) }
    })?;
    Ok(SiteFile { site, base: root.to_owned(), shown: root.display().to_string(), bare: true })
}

/// The names of the folders in a folder, sorted; hidden ones and links are left out.
fn sub_folders(root: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() && !name.starts_with('.') && name != "rehome-work" {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn bad(found: &[Diagnostic]) -> Error {
    Error::BadInput { message: render(found) }
}
