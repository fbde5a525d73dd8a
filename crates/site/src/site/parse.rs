//! Reads `site.toml`.
use super::Site;
use crate::diagnostic::Diagnostic;
pub(super) fn parse(_text: &str, _file: &str) -> Result<Site, Vec<Diagnostic>> {
    Err(Vec::new())
}
