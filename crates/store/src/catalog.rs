//! The catalog: what the log's operations have made of the mailboxes.

mod apply;
mod keys;
mod rows;
mod stage;
mod view;
mod writer;

pub(crate) use rows::{ContentRow, MetaRow, RetiredRow, SegmentRow, pack, unpack};
pub(crate) use view::View;
pub(crate) use writer::Writer;

pub(crate) use apply::apply_groups;
