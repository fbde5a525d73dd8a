//! Finding and reading the site that a person names: a site.toml, its folder, or a bare folder of
//! Maildir++ trees.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rehome_planner::{Inventory, Measured, Size};
use rehome_site::{
    Count, Diagnostic, Dialect, Key, Merged, Place, Roster, RosterOptions, ServerName, Site,
    SiteKind, render,
};
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
    /// Whether there is no site file: a bare folder of Maildir++ trees, or a bare export.
    pub bare: bool,
    /// What the directory export held, if there is one.
    pub export: Option<ExportRead>,
}

/// What a directory export held, and what deserves a look.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ExportRead {
    /// The file as messages name it.
    pub file: String,
    /// Its form.
    pub dialect: Dialect,
    /// How many rows were what.
    pub count: Count,
    /// What came of putting it together with the site file.
    pub merged: Merged,
    /// What deserves a look.
    pub warnings: Vec<Diagnostic>,
}

impl SiteFile {
    /// Reads the site at `path` and looks at its mail folders.
    ///
    /// # Errors
    ///
    /// [`Error::BadInput`] with every problem and its place: no such file, not a site, a key that
    /// is wrong, a mail folder that is missing. Nothing is written.
    pub fn read(path: &Path) -> Result<Self, Error> {
        if is_export(path) {
            return of_export(path, &ExportOptions::default());
        }
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
        let mut read = SiteFile { site, base, shown, bare: false, export: None };
        read.take_in_export()?;
        if read.site.kind == SiteKind::Rehome {
            read.find_mailboxes()?;
        }
        Ok(read)
    }

    /// Takes over the directory export that the site file names.
    fn take_in_export(&mut self) -> Result<(), Error> {
        let Some(file) = self.site.inventory.directory.clone() else { return Ok(()) };
        let options = RosterOptions {
            code_page: self.site.inventory.encoding.clone(),
            unknown_column_warns: self.site.inventory.unknown_column_warns,
            home: Some(self.site.old_server().name.clone()),
        };
        let path = self.base.join(&file);
        let bytes = std::fs::read(&path).map_err(|error| {
            let place = self.place("inventory.directory");
            let message = format!("the directory export cannot be read: {error}");
            bad(&[Diagnostic::error("E031", place, message)
                .why("nobody would know which mailboxes there are")
                .fix("name the file that the directory was exported to")])
        })?;
        let roster = Roster::read(&bytes, &path.display().to_string(), &options);
        let roster = roster.map_err(|found| bad(&found))?;
        self.merge(&path, &roster)
    }

    /// Puts an export and the site together.
    fn merge(&mut self, path: &Path, roster: &Roster) -> Result<(), Error> {
        let merged = self.site.take_in(roster).map_err(|found| bad(&found))?;
        self.export = Some(ExportRead {
            file: path.display().to_string(),
            dialect: roster.dialect,
            count: roster.count,
            merged,
            warnings: roster.warnings.clone(),
        });
        Ok(())
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

    /// Measures the mail without reading it whole, or takes its sizes from where the site file
    /// says, and makes the planner's inventory.
    ///
    /// # Errors
    ///
    /// [`Error::BadInput`] for a mailbox whose folder cannot be read, or sizes that cannot.
    pub fn inventory(&self) -> Result<Inventory, Error> {
        let mut measured = match &self.site.inventory.sizes {
            Some(sizes) => crate::sizes::from(&self.base.join(sizes), &self.site)?,
            None => self.sizes_of_folders()?,
        };
        measured.export = self.export.as_ref().map_or_else(String::new, ExportRead::sentence);
        Ok(Inventory::from_site(&self.site, &measured))
    }

    /// Counts the messages in the folders of mail, and finds how much of them is shared.
    fn sizes_of_folders(&self) -> Result<Measured, Error> {
        let mut mailboxes = BTreeMap::new();
        if self.site.kind == SiteKind::Exchange55 {
            return Ok(Measured::default());
        }
        for (name, folder) in self.mail_folders() {
            let scan = scan_source(&folder).map_err(Error::bad_input)?;
            let size = scan.mailboxes.iter().fold(Size::default(), |size, one| Size {
                messages: size.messages + one.messages,
                bytes: size.bytes + one.bytes,
                ..size
            });
            mailboxes.insert(name, size);
        }
        let trees: Vec<PathBuf> = self.mail_folders().into_iter().map(|(_, tree)| tree).collect();
        let unique_bytes = crate::sharing::kept_once_bytes(&trees).map_err(|error| {
            Error::bad_input(format!("{}: {error}", self.mail_root().display()))
        })?;
        Ok(Measured { mailboxes, unique_bytes: Some(unique_bytes), ..Measured::default() })
    }
}

impl ExportRead {
    /// What it held, in a sentence.
    fn sentence(&self) -> String {
        let Count { rows, mailboxes, servers, lists, foreign, .. } = self.count;
        let rest = rows - mailboxes - servers - lists - foreign;
        format!(
            "{}: {rows} rows: {mailboxes} mailboxes, {servers} servers, {lists} lists, {foreign} \
             recipients elsewhere, {rest} others",
            self.file
        )
    }
}

/// How a bare export is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportOptions {
    /// Label of its code page.
    pub code_page: Option<String>,
    /// Whether a column that is not known is a warning and no error.
    pub unknown_column_warns: bool,
    /// The server that goes into the cluster: that with the most mailboxes if none is named.
    pub server: Option<ServerName>,
    /// The table with the sizes of the mailboxes.
    pub sizes: Option<PathBuf>,
    /// Whether the mailboxes of all servers move.
    pub all_servers: bool,
}

/// Tells whether a path names a directory export.
#[must_use]
pub fn is_export(path: &Path) -> bool {
    let ending = path.extension().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
    ["csv", "ldif", "ldf"].iter().any(|known| ending.eq_ignore_ascii_case(known)) && path.is_file()
}

/// The site of a bare directory export: people move it, and everything else is by default.
///
/// # Errors
///
/// [`Error::BadInput`] with everything that is wrong in the export and its place.
pub fn of_export(path: &Path, options: &ExportOptions) -> Result<SiteFile, Error> {
    let roster = read_roster(path, options)?;
    if roster.mailboxes.is_empty() {
        return Err(bad(&roster.warnings));
    }
    let mut site = Site::of_export(&roster, options.server.as_ref());
    site.route.all_servers = options.all_servers;
    let sizes = options.sizes.as_deref().map(std::path::absolute);
    site.inventory.sizes = sizes.and_then(Result::ok).map(|path| path.display().to_string());
    let (base, shown) = (PathBuf::from("."), path.display().to_string());
    let mut file = SiteFile { site, base, shown, bare: true, export: None };
    file.merge(path, &roster)?;
    Ok(file)
}

/// Reads a directory export and says what each of its rows is.
///
/// # Errors
///
/// [`Error::BadInput`] with everything that is wrong in it and its place.
pub fn read_export(path: &Path, options: &ExportOptions) -> Result<ExportRead, Error> {
    let roster = read_roster(path, options)?;
    Ok(ExportRead {
        file: path.display().to_string(),
        dialect: roster.dialect,
        count: roster.count,
        merged: Merged::default(),
        warnings: roster.warnings,
    })
}

fn read_roster(path: &Path, options: &ExportOptions) -> Result<Roster, Error> {
    let bytes = std::fs::read(path).map_err(|error| Error::BadInput {
        message: format!("{}: the export cannot be read: {error}", path.display()),
    })?;
    let roster_options = RosterOptions {
        code_page: options.code_page.clone(),
        unknown_column_warns: options.unknown_column_warns,
        home: options.server.clone().or_else(|| ServerName::new("MAIL1").ok()),
    };
    let shown = path.display().to_string();
    Roster::read(&bytes, &shown, &roster_options).map_err(|found| bad(&found))
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
    let (base, shown) = (root.to_owned(), root.display().to_string());
    Ok(SiteFile { site, base, shown, bare: true, export: None })
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

/// How many diagnostics are shown; the rest is counted.
const SHOWN_MAX: usize = 20;

/// The error that some diagnostics are.
pub(crate) fn bad(found: &[Diagnostic]) -> Error {
    let shown = &found[..found.len().min(SHOWN_MAX)];
    let mut message = render(shown);
    if found.len() > shown.len() {
        message.push_str(&format!("\n… and {} more of the kind", found.len() - shown.len()));
    }
    Error::BadInput { message }
}
