//! Outlook files (PST): their items as plain values, and those as messages.

mod address;
pub(crate) mod compose;
pub(crate) mod item;
mod mime;
mod properties;
pub(crate) mod reader;
mod source;
mod value;
pub(crate) mod walk;

#[cfg(test)]
mod tests;
