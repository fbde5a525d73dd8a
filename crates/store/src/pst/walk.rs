//! Walks the folders of an Outlook file and reads each item by itself.

use super::item::Item;
use super::properties::{item, rows};
use super::source::{Progress, Source};
use super::value::text;
use outlook_pst::messaging::folder::Folder;
use std::collections::HashSet;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The node of the root folder (MS-PST, 2.4.1). It is asked for as any other, because the library
/// waits for itself for ever when it is asked for its root table.
const ROOT: u32 = 0x122;

/// What the walk comes upon, in order.
#[derive(Debug)]
pub(crate) enum Found {
    /// A folder begins: its names, outermost first; none for the root.
    Folder(Vec<String>),
    /// An item of that folder, with the number of its node.
    Item(u32, Box<Item>),
    /// Something that is not read: where, why, and whether it may be mail.
    Skipped(String, String, bool),
}

/// Hears what is found; says whether to go on.
pub(super) type Tell<'a> = &'a mut dyn FnMut(Found) -> bool;

/// Why a walk ended early.
pub(super) enum Stop {
    /// The listener said so.
    Told,
    /// Nothing more can be read.
    Damaged(String),
}

/// Walks the whole file. `open` gives a new handle of it: after a panic of the reader nothing of
/// its state is used any more.
pub(super) fn walk(
    open: &dyn Fn() -> std::io::Result<File>,
    progress: &Progress,
    tell: Tell<'_>,
) -> Result<(), Stop> {
    let mut walk =
        Walk { source: reopen(open, progress)?, open, progress, seen: HashSet::new(), tell };
    let root = walk.source.mail_root().map_err(|error| Stop::Damaged(error.to_string()))?;
    let mut left = vec![(root, Vec::new())];
    while let Some((node, path)) = left.pop() {
        if walk.seen.insert(node) {
            left.extend(walk.folder(node, path)?);
        }
    }
    walk.outside()
}

fn reopen(open: &dyn Fn() -> std::io::Result<File>, progress: &Progress) -> Result<Source, Stop> {
    let file = open().map_err(|error| Stop::Damaged(error.to_string()))?;
    guarded(|| Source::open(file, progress.clone())).map_err(Stop::Damaged)
}

/// Runs the reader. What it takes for impossible is damage of the file, and no more.
fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let contradiction = |_| Err("its parts contradict each other".to_owned());
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(contradiction)
}

struct Walk<'a> {
    source: Source,
    open: &'a dyn Fn() -> std::io::Result<File>,
    progress: &'a Progress,
    seen: HashSet<u32>,
    tell: Tell<'a>,
}

/// What a folder holds.
struct Contents {
    items: Vec<u32>,
    hidden: usize,
    folders: Vec<(u32, String)>,
    troubles: Vec<String>,
}

impl Walk<'_> {
    fn tell(&mut self, found: Found) -> Result<(), Stop> {
        if (self.tell)(found) { Ok(()) } else { Err(Stop::Told) }
    }

    /// Reads something. After a failure the file is opened again, because a reader that has failed
    /// in the middle may answer wrongly from then on.
    fn read<T>(
        &mut self,
        read: impl FnOnce(&Source) -> std::io::Result<T>,
    ) -> Result<Result<T, String>, Stop> {
        self.source.refill();
        let source = &self.source;
        let result = guarded(|| read(source).map_err(|error| error.to_string()));
        if result.is_err() {
            self.source = reopen(self.open, self.progress)?;
        }
        Ok(result)
    }

    /// Reads a folder's items; returns the folders in it, the first last.
    fn folder(&mut self, node: u32, path: Vec<String>) -> Result<Vec<(u32, Vec<String>)>, Stop> {
        let place = format!("folder {:?} (node {node:#X})", path.join("/"));
        let contents = match self.read(|source| contents(&*source.folder(node)?))? {
            Ok(contents) => contents,
            Err(cause) => {
                self.tell(Found::Skipped(place, damaged(&cause), true))?;
                return Ok(Vec::new());
            }
        };
        self.tell(Found::Folder(path.clone()))?;
        for cause in contents.troubles {
            self.tell(Found::Skipped(place.clone(), damaged(&cause), true))?;
        }
        if contents.hidden > 0 {
            let reason = format!("{} hidden items: settings and views", contents.hidden);
            self.tell(Found::Skipped(place.clone(), reason, false))?;
        }
        for node in contents.items {
            if !self.seen.insert(node) {
                continue;
            }
            let found = match self.read(|source| item(&source.message(node)?))? {
                Ok(item) => Found::Item(node, Box::new(item)),
                Err(cause) => {
                    let place = format!("item {node:#X} in {place}");
                    Found::Skipped(place, damaged(&cause), true)
                }
            };
            self.tell(found)?;
        }
        let below = contents.folders.into_iter().rev();
        let below = below.map(|(node, name)| {
            let path = path.iter().cloned().chain([name]).collect();
            (node, path)
        });
        Ok(below.collect())
    }

    /// Lists folders with items that lie outside of what people see.
    fn outside(mut self) -> Result<(), Stop> {
        let tops = self.read(|source| contents(&*source.folder(ROOT)?))?;
        for (node, name) in tops.map(|contents| contents.folders).unwrap_or_default() {
            if self.seen.contains(&node) || !self.seen.insert(node) {
                continue;
            }
            if let Ok(contents) = self.read(|source| contents(&*source.folder(node)?))?
                && !contents.items.is_empty()
            {
                let reason = format!("{} items outside of the mail folders", contents.items.len());
                self.tell(Found::Skipped(
                    format!("folder {name:?} (node {node:#X})"),
                    reason,
                    true,
                ))?;
            }
        }
        Ok(())
    }
}

/// Whether a node is a search folder, which has what is elsewhere.
fn is_search(node: u32) -> bool {
    node & 0x1F == 0x03
}

fn damaged(cause: &str) -> String {
    // The library reads no item without a table of recipients; such are sound otherwise.
    if cause.contains("Missing Sub-Node Tree") {
        return "it has neither recipients nor attachments, and such items are not read; save it \
                out of Outlook and import that"
            .to_owned();
    }
    format!("damaged: {cause}; repair a copy of the file with scanpst and import it again")
}

/// The numbers of what a folder holds; search folders have nothing of their own.
fn contents(folder: &dyn Folder) -> std::io::Result<Contents> {
    let mut troubles = Vec::new();
    let hidden = folder.associated_table().map_or(0, |table| table.rows_matrix().count());
    let items = match folder.contents_table() {
        Some(table) => table.rows_matrix().map(|row| u32::from(row.id())).collect(),
        None => Vec::new(),
    };
    let declared = folder.properties().content_count().unwrap_or(0);
    if usize::try_from(declared).is_ok_and(|declared| declared > items.len()) {
        troubles.push(format!("it states {declared} items and lists {}", items.len()));
    }
    let below = folder.hierarchy_table().map(|table| rows(&**table)).transpose()?;
    let name = |values: &std::collections::BTreeMap<u16, _>| {
        values.get(&0x3001).and_then(text).unwrap_or_default()
    };
    let below = below.unwrap_or_default().into_iter();
    let folders = below.filter(|(node, _)| !is_search(*node));
    let folders = folders.map(|(node, values)| (node, name(&values))).collect();
    Ok(Contents { items, hidden, folders, troubles })
}
