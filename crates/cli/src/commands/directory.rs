//! The verbs that read directory exports and write changes for them.

use std::path::Path;

use rehome::parts::site::ExportDifferences;
use rehome::{
    ChangesForm, DirectoryAccess, Error, ExportOptions, ExportRead, Work,
    compare_directory_exports, directory_changes, fetch_directory, read_export,
};

use super::answer;
use crate::args::{ChangesArg, DirectoryCommand, ExportReadArgs, FetchArgs};
use crate::view::View;

pub(crate) fn directory(
    command: &DirectoryCommand,
    view: &mut View,
    json: bool,
) -> Result<(), Error> {
    match command {
        DirectoryCommand::Read { file, export } => {
            let export = read_export(file, &options(export))?;
            view.end();
            answer(json, &export, &sentences(&export))
        }
        DirectoryCommand::Fetch(args) => fetch(args, view, json),
        DirectoryCommand::Compare { before, now } => {
            let found = compare_directory_exports(before, now)?;
            view.end();
            answer(json, &found, &differences(&found))
        }
        DirectoryCommand::Changes { work, format } => {
            let form = match format {
                ChangesArg::Ldif => ChangesForm::Ldif,
                ChangesArg::Csv => ChangesForm::Csv,
            };
            let text = directory_changes(&Work::new(work), form)?;
            view.end();
            answer(json, &text, text.trim_end())
        }
    }
}

fn fetch(args: &FetchArgs, view: &mut View, json: bool) -> Result<(), Error> {
    let password = args.password_file.as_ref().map(|file| password_in(file)).transpose()?;
    let access = DirectoryAccess {
        credentials: args.bind.clone().zip(password),
        filter: args.filter.clone(),
        starttls: args.starttls,
        ca_file: args.ca_file.clone(),
    };
    let observe = &mut |event| view.show(&event);
    let fetched = fetch_directory(&args.place, &access, &args.to, observe)?;
    view.end();
    let mut text = format!("wrote {} entries to {}", fetched.entries, fetched.file);
    if let Some(since) = &fetched.since {
        text.push_str(&format!("\n{}", differences(since)));
    }
    answer(json, &fetched, &text)
}

/// The first line of a file.
fn password_in(file: &Path) -> Result<String, Error> {
    let text = std::fs::read_to_string(file).map_err(|error| Error::BadInput {
        message: format!("{}: the password cannot be read: {error}", file.display()),
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// What has changed, for people: every entry that is not the same.
fn differences(found: &ExportDifferences) -> String {
    let mut text = format!(
        "{} entries before, {} now: {} the same, {} added, {} removed, {} changed",
        found.before,
        found.now,
        found.same,
        found.added.len(),
        found.removed.len(),
        found.changed.len()
    );
    let plain = |sign: &str, names: &[String]| -> String {
        names.iter().map(|name| format!("\n  {sign} {name}")).collect()
    };
    text.push_str(&plain("+", &found.added));
    text.push_str(&plain("-", &found.removed));
    for row in &found.changed {
        text.push_str(&format!("\n  ~ {}: {}", row.name, row.attributes.join(", ")));
    }
    text
}

/// How an export is read.
pub(crate) fn options(args: &ExportReadArgs) -> ExportOptions {
    ExportOptions {
        code_page: args.encoding.clone(),
        unknown_column_warns: args.allow_unknown_columns,
        ..ExportOptions::default()
    }
}

/// What an export held, for people.
fn sentences(export: &ExportRead) -> String {
    let count = &export.count;
    let mut text = format!("{}: {} rows, all accounted for", export.file, count.rows);
    for (number, what) in [
        (count.mailboxes, "mailboxes"),
        (count.servers, "servers"),
        (count.public_folders, "public folders"),
        (count.lists, "distribution lists, which belong to the site and need no move"),
        (count.foreign, "recipients elsewhere, which belong to the site and need no move"),
        (count.services, "mailboxes of services, which stay with their server"),
        (count.other, "entries without mail, and changes"),
    ] {
        text.push_str(&format!("\n  {number:>7}  {what}"));
    }
    for warning in &export.warnings {
        text.push_str(&format!("\n\n{warning}"));
    }
    text
}
