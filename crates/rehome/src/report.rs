//! What a command on one store or one archive set has to say.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::error::Error;

/// A document for the next program, a text for people, and whether all is well.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct JobReport {
    /// The document.
    pub document: Value,
    /// The text.
    #[serde(skip)]
    pub text: String,
    /// What is wrong, if anything.
    #[serde(skip)]
    pub problem: Option<String>,
}

impl JobReport {
    /// A report of work that went well.
    pub(crate) fn good(document: &impl Serialize, text: impl Into<String>) -> Result<Self, Error> {
        let document = serde_json::to_value(document).map_err(Error::needs_human)?;
        Ok(JobReport { document, text: text.into(), problem: None })
    }

    /// The same, with a problem if there is one.
    pub(crate) fn with_problem(self, problem: Option<String>) -> Self {
        JobReport { problem, ..self }
    }

    /// Says no when something is wrong.
    ///
    /// # Errors
    ///
    /// [`Error::Differences`] with the problem.
    pub fn verdict(&self) -> Result<(), Error> {
        let Some(message) = self.problem.clone() else { return Ok(()) };
        Err(Error::Differences { message })
    }
}

impl fmt::Display for JobReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
