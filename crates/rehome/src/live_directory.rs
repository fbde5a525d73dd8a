//! A directory that is read over LDAP, and what has changed in it since it was read before.

use std::path::Path;

use rehome_site::{ExportDifferences, compare_exports, read_csv, read_ldif};
use serde::Serialize;

use crate::error::Error;
use crate::event::Observe;

/// How a directory is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirectoryAccess {
    /// Who logs on, with the password; nobody if there is none.
    pub credentials: Option<(String, String)>,
    /// Which entries; all if there is no filter.
    pub filter: Option<String>,
    /// Change over to TLS before anything is said (`ldaps://` has it from the first byte).
    pub starttls: bool,
    /// Those who may have signed the server's certificate; whom the computer believes if none.
    pub ca_file: Option<std::path::PathBuf>,
}

/// What was written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FetchedDirectory {
    /// The server and where it began.
    pub place: String,
    /// The export.
    pub file: String,
    /// Entries in it.
    pub entries: u64,
    /// What has changed since the export that was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<ExportDifferences>,
}

/// Reads a directory and writes it as an LDIF export. If `file` is there already, says what has
/// changed since, and replaces it only then.
///
/// # Errors
///
/// [`Error::BadInput`] if the place is none, the server refuses or breaks off;
/// [`Error::PreconditionOpen`] if it does not answer: the file stays as it was.
#[cfg(feature = "ldap")]
pub fn fetch_directory(
    place: &str,
    access: &DirectoryAccess,
    file: &Path,
    observe: Observe<'_>,
) -> Result<FetchedDirectory, Error> {
    use rehome_ldap::{Credentials, FetchOptions, LdapError, LdapPlace, TlsOptions};

    let before = if file.exists() { Some(std::fs::read(file)) } else { None };
    let before = before.transpose().map_err(|error| unreadable(file, &error))?;
    let place = LdapPlace::parse(place).map_err(Error::bad_input)?;
    let tls = TlsOptions { starttls: access.starttls, ca_file: access.ca_file.clone() };
    let mut options = FetchOptions { tls, ..FetchOptions::default() };
    let credentials = access.credentials.clone();
    options.credentials = credentials.map(|(name, password)| Credentials { name, password });
    if let Some(filter) = &access.filter {
        options.filter.clone_from(filter);
    }
    let fetched = rehome_ldap::fetch(&place, &options, &mut |done| {
        let (what, unit) = ("reading the directory".to_owned(), "entries".to_owned());
        let event = crate::event::Event::Progress { what, done, total: 0, unit };
        done % 100 != 0 || observe(event) == crate::event::Flow::Continue
    });
    let fetched = fetched.map_err(|error| match error {
        LdapError::Stopped { .. } => Error::stopped(&error.to_string()),
        LdapError::Unreachable { .. } => Error::PreconditionOpen { message: error.to_string() },
        other => Error::refused(other),
    })?;
    let now = read_ldif(fetched.ldif.as_bytes());
    let since = before.map(|bytes| compare_exports(&read(&bytes), &now));
    crate::memory::write_durably(file, fetched.ldif.as_bytes())?;
    let (place, file) = (place.to_string(), file.display().to_string());
    Ok(FetchedDirectory { place, file, entries: fetched.entries, since })
}

/// Says that this program cannot read a directory over LDAP.
///
/// # Errors
///
/// [`Error::BadInput`], always.
#[cfg(not(feature = "ldap"))]
pub fn fetch_directory(
    place: &str,
    _access: &DirectoryAccess,
    _file: &Path,
    _observe: Observe<'_>,
) -> Result<FetchedDirectory, Error> {
    Err(Error::BadInput {
        message: format!(
            "{place}: this program was built without LDAP, so nothing was read; build it with \
             --features ldap, or export the directory with ldapsearch or ldifde and give that file"
        ),
    })
}

/// What has changed from one export to a later one.
///
/// # Errors
///
/// [`Error::BadInput`] if one of them cannot be read, or has a row that cannot.
pub fn compare_directory_exports(before: &Path, now: &Path) -> Result<ExportDifferences, Error> {
    let bytes = |path: &Path| std::fs::read(path).map_err(|error| unreadable(path, &error));
    let (one, other) = (read(&bytes(before)?), read(&bytes(now)?));
    for (path, export) in [(before, &one), (now, &other)] {
        if let Some((line, reason)) = export.damaged.first() {
            let message = format!(
                "{}:{line}: this row cannot be read: {reason}; nothing was compared; mend it, or \
                 export again",
                path.display()
            );
            return Err(Error::BadInput { message });
        }
    }
    Ok(compare_exports(&one, &other))
}

/// Reads an export of either form.
fn read(bytes: &[u8]) -> rehome_site::Export {
    let head = bytes.get(..9).unwrap_or_default();
    let csv = head.eq_ignore_ascii_case(b"Obj-Class").then(|| read_csv(bytes).ok()).flatten();
    csv.unwrap_or_else(|| read_ldif(bytes))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let message =
        format!("{}: the export cannot be read: {error}; nothing was read", path.display());
    Error::BadInput { message }
}

#[cfg(all(test, feature = "ldap"))]
mod tests {
    use super::*;

    /// Fetches and expects this exit code; what was there before stays.
    #[track_caller]
    fn check(place: &str, code: u8) {
        check_as(&DirectoryAccess::default(), place, code);
    }

    #[track_caller]
    fn check_as(access: &DirectoryAccess, place: &str, code: u8) {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let file = scratch.path().join("export.ldif");
        std::fs::write(&file, "before").expect("writable");
        let error = fetch_directory(place, access, &file, &mut |_| crate::event::Flow::Continue)
            .expect_err("no directory");
        assert_eq!(error.exit_code(), code, "{error}");
        assert_eq!(std::fs::read(&file).expect("readable"), b"before");
    }

    #[test]
    fn a_server_that_does_not_answer_is_no_wrong_input() {
        check("ldap://127.0.0.1:1/o=Example", 3);
        check("ldap://127.0.0.1:1", 65);
        check("ldap://127.0.0.1:99999/o=Example", 65);
        check("ldaps://[::1/o=Example", 65);
    }

    #[test]
    fn a_name_without_a_password_is_not_taken_for_nobody() {
        let credentials = Some(("cn=reader".to_owned(), String::new()));
        let access = DirectoryAccess { credentials, ..DirectoryAccess::default() };
        check_as(&access, "ldap://127.0.0.1:1/o=Example", 65);
    }
}
