//! Contents and their references.

use rehome_log::Lsn;

use super::{Applier, HeldContent, contradiction};
use crate::catalog::keys;
use crate::catalog::rows::{ContentRow, pack, unpack};
use crate::error::StoreError;
use crate::model::{ContentId, Extent};
use crate::tree::Table;

impl Applier<'_> {
    /// A content that nobody refers to yet, unless the catalog has it.
    pub(super) fn put_content(
        &mut self,
        lsn: Lsn,
        number: u64,
        content: ContentId,
        extent: Extent,
        size_bytes: u64,
    ) -> Result<(), StoreError> {
        self.meta.next_content = self.meta.next_content.max(number + 1);
        self.meta.next_segment = self.meta.next_segment.max(extent.segment.saturating_add(1));
        let segment = self.segment(extent.segment)?;
        segment.len_bytes = segment.len_bytes.max(extent.offset + u64::from(extent.len));
        segment.records += 1;
        if let Some(there) = self.find_number(&content)? {
            return self.keep_content(lsn, there);
        }
        self.tree.put(Table::Hash, &content.short(), &pack(&number));
        let row = ContentRow { content, extent, size_bytes, refs: 0, dead_since: Some(lsn) };
        self.contents.insert(number, HeldContent { row, was_dead_since: None });
        self.meta.contents += 1;
        self.meta.content_bytes += size_bytes;
        self.meta.dead_contents += 1;
        self.meta.dead_bytes += size_bytes;
        Ok(())
    }

    pub(super) fn seal_segment(&mut self, id: u32, len_bytes: u64) -> Result<(), StoreError> {
        let segment = self.segment(id)?;
        segment.sealed = true;
        segment.len_bytes = len_bytes;
        self.meta.next_segment = self.meta.next_segment.max(id.saturating_add(1));
        Ok(())
    }

    /// Number of the content of that name.
    pub(super) fn find_number(&mut self, content: &ContentId) -> Result<Option<u64>, StoreError> {
        let key = content.short();
        let Some(row) = self.tree.get(Table::Hash, &key)? else { return Ok(None) };
        let number = unpack(Table::Hash, &key, &row)?;
        let same = self.content(number)?.is_some_and(|row| row.content == *content);
        Ok(same.then_some(number))
    }

    /// One more message has the content.
    pub(super) fn refer(&mut self, lsn: Lsn, number: u64) -> Result<(), StoreError> {
        let Some(row) = self.content(number)? else {
            return Err(contradiction(
                lsn,
                format!("it names content {number}, unknown to the catalog"),
            ));
        };
        row.refs += 1;
        let (extent, size_bytes) = (row.extent, row.size_bytes);
        if row.dead_since.take().is_some() {
            self.meta.dead_contents = self.meta.dead_contents.saturating_sub(1);
            self.meta.dead_bytes = self.meta.dead_bytes.saturating_sub(size_bytes);
            self.segment(extent.segment)?.live_bytes += u64::from(extent.len);
        }
        Ok(())
    }

    /// One message less has the content.
    pub(super) fn release(&mut self, lsn: Lsn, number: u64) -> Result<(), StoreError> {
        let Some(row) = self.content(number)? else {
            return Err(contradiction(
                lsn,
                format!("it releases content {number}, unknown to the catalog"),
            ));
        };
        row.refs = row.refs.saturating_sub(1);
        if row.refs > 0 || row.dead_since.is_some() {
            return Ok(());
        }
        row.dead_since = Some(lsn);
        let (extent, size_bytes) = (row.extent, row.size_bytes);
        self.meta.dead_contents += 1;
        self.meta.dead_bytes += size_bytes;
        let segment = self.segment(extent.segment)?;
        segment.live_bytes = segment.live_bytes.saturating_sub(u64::from(extent.len));
        Ok(())
    }

    /// A content without messages counts as put by this group: it is about to get some.
    pub(super) fn keep_content(&mut self, lsn: Lsn, number: u64) -> Result<(), StoreError> {
        let Some(row) = self.content(number)? else { return Ok(()) };
        row.dead_since = row.dead_since.map(|_| lsn);
        Ok(())
    }

    /// The record lies at `extent` now; a content that is gone stays gone.
    pub(super) fn move_content(&mut self, number: u64, extent: Extent) -> Result<(), StoreError> {
        let Some(row) = self.content(number)? else { return Ok(()) };
        let old = std::mem::replace(&mut row.extent, extent);
        let live = row.dead_since.is_none();
        let len = |extent: Extent| if live { u64::from(extent.len) } else { 0 };
        let from = self.segment(old.segment)?;
        from.live_bytes = from.live_bytes.saturating_sub(len(old));
        self.meta.next_segment = self.meta.next_segment.max(extent.segment.saturating_add(1));
        let to = self.segment(extent.segment)?;
        to.live_bytes += len(extent);
        to.records += 1;
        to.len_bytes = to.len_bytes.max(extent.offset + u64::from(extent.len));
        Ok(())
    }

    /// Forgets a content that no message has.
    pub(super) fn free_content(&mut self, number: u64) -> Result<(), StoreError> {
        if self.content(number)?.is_none_or(|row| row.dead_since.is_none()) {
            return Ok(());
        }
        let Some(held) = self.contents.remove(&number) else { return Ok(()) };
        let (short, size_bytes) = (held.row.content.short(), held.row.size_bytes);
        self.tree.remove(Table::Content, &keys::content(number));
        self.tree.remove(Table::Hash, &short);
        if let Some(since) = held.was_dead_since {
            self.tree.remove(Table::Dead, &keys::dead(since, number));
        }
        self.meta.contents = self.meta.contents.saturating_sub(1);
        self.meta.content_bytes = self.meta.content_bytes.saturating_sub(size_bytes);
        self.meta.dead_contents = self.meta.dead_contents.saturating_sub(1);
        self.meta.dead_bytes = self.meta.dead_bytes.saturating_sub(size_bytes);
        Ok(())
    }

    /// Forgets a segment; its file is of no use any more.
    pub(super) fn drop_segment(&mut self, id: u32) -> Result<(), StoreError> {
        self.segments.remove(&id);
        self.tree.remove(Table::Segment, &keys::segment(id));
        Ok(())
    }

    /// The content, to be changed.
    fn content(&mut self, number: u64) -> Result<Option<&mut ContentRow>, StoreError> {
        if !self.contents.contains_key(&number) {
            let key = keys::content(number);
            let Some(row) = self.tree.get(Table::Content, &key)? else { return Ok(None) };
            let row: ContentRow = unpack(Table::Content, &key, &row)?;
            let was_dead_since = row.dead_since;
            self.contents.insert(number, HeldContent { row, was_dead_since });
        }
        Ok(self.contents.get_mut(&number).map(|held| &mut held.row))
    }

    /// The segment, to be changed; an unknown one begins empty.
    fn segment(&mut self, id: u32) -> Result<&mut crate::catalog::rows::SegmentRow, StoreError> {
        if !self.segments.contains_key(&id) {
            let key = keys::segment(id);
            let row = self.tree.get(Table::Segment, &key)?;
            let row = row.map(|row| unpack(Table::Segment, &key, &row)).transpose()?;
            self.segments.insert(id, row.unwrap_or_default());
        }
        Ok(self.segments.get_mut(&id).expect("it was put there"))
    }
}
