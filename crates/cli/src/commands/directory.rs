//! The verbs that read directory exports and write changes for them.

use rehome::{ChangesForm, Error, ExportOptions, ExportRead, Work, directory_changes, read_export};

use super::answer;
use crate::args::{ChangesArg, DirectoryCommand, ExportReadArgs};
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
