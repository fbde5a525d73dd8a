//! One function for each verb: arguments in, the facade's call, its answer shown.

pub(crate) mod cluster;
pub(crate) mod directory;
pub(crate) mod mail;
pub(crate) mod migration;
pub(crate) mod service;

use rehome::Error;
use serde::Serialize;

use crate::view::{print, print_json, say, say_json};

/// Shows an answer: the document with `--json`, the text for people otherwise.
fn answer<T: Serialize>(json: bool, document: &T, text: &str) -> Result<(), Error> {
    if json {
        print_json(document);
    } else {
        print(text);
    }
    Ok(())
}

/// Shows an answer on standard error, because standard output carries something else.
fn answer_aside<T: Serialize>(json: bool, document: &T, text: &str) -> Result<(), Error> {
    if json {
        say_json(document);
    } else {
        say(text);
    }
    Ok(())
}
