//! Reading one backup.
use crate::error::ArchiveError;
use crate::ids::ContentId;
use crate::manifest::Manifest;
use crate::outline::{MailboxOutline, OutlinePart};
use crate::stream::{StreamInfo, StreamReader};
/// One backup, or what is left of it, for reading.
pub struct Backup { manifest: Option<Manifest> }
/// A content and what it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its name, checked against its bytes.
    pub id: ContentId,
    /// Numbers of the mailboxes that hold it.
    pub owners: Vec<u32>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}
/// Iterator of [`Backup::contents`] and [`Backup::contents_of`].
pub struct Contents<'a> { _b: &'a Backup }
impl Iterator for Contents<'_> { type Item = Result<Content, ArchiveError>; fn next(&mut self) -> Option<Self::Item> { unimplemented!() } }
/// Iterator of [`Backup::outlines`].
pub struct Outlines<'a> { _b: &'a Backup }
impl Iterator for Outlines<'_> { type Item = Result<(u32, MailboxOutline), ArchiveError>; fn next(&mut self) -> Option<Self::Item> { unimplemented!() } }
/// Iterator of [`Backup::outline_parts`].
pub struct OutlineParts<'a> { _b: &'a Backup }
impl Iterator for OutlineParts<'_> { type Item = Result<OutlinePart, ArchiveError>; fn next(&mut self) -> Option<Self::Item> { unimplemented!() } }
impl Backup {
    /// Its manifest; a salvaged backup may have none.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> { self.manifest.as_ref() }
    /// The outlines of all mailboxes, whole, each with its number.
    pub fn outlines(&self) -> Result<Outlines<'_>, ArchiveError> { Ok(Outlines { _b: self }) }
    /// The outlines, record by record.
    pub fn outline_parts(&self) -> Result<OutlineParts<'_>, ArchiveError> { Ok(OutlineParts { _b: self }) }
    /// All contents, in the order they lie in the volumes.
    pub fn contents(&self) -> Result<Contents<'_>, ArchiveError> { Ok(Contents { _b: self }) }
    /// The contents named by `ids`, in the order they lie in the volumes, each frame read once.
    pub fn contents_of(&self, ids: impl IntoIterator<Item = ContentId>) -> Result<Contents<'_>, ArchiveError> { drop(ids.into_iter()); Ok(Contents { _b: self }) }
    /// One content.
    pub fn content(&self, id: &ContentId) -> Result<Vec<u8>, ArchiveError> { let _ = id; unimplemented!() }
    /// The named streams.
    pub fn streams(&self) -> Result<Vec<StreamInfo>, ArchiveError> { unimplemented!() }
    /// One stream.
    pub fn stream(&self, name: &str) -> Result<StreamReader, ArchiveError> { let _ = name; unimplemented!() }
}
