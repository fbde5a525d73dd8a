//! Sets in memory, to be damaged.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use rehome_archive::{Manifest, Set, SourceFile, Target, TargetFile};

use crate::fixture::{Truth, header, options, write};

/// A set in memory with one backup of `truth`.
pub(crate) fn archive(truth: &Truth, volume_bytes: u64) -> (Arc<Memory>, Manifest) {
    let memory = Arc::new(Memory::default());
    let target: Arc<dyn Target> = memory.clone();
    let manifest = write(&target, truth, header(), options(volume_bytes)).unwrap();
    (memory, manifest)
}

/// Files in memory.
#[derive(Default)]
pub(crate) struct Memory {
    files: Arc<Mutex<Files>>,
}

type Files = BTreeMap<String, Arc<Vec<u8>>>;

impl Memory {
    pub(crate) fn get(&self, name: &str) -> Vec<u8> {
        self.files.lock().unwrap()[name].to_vec()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.files.lock().unwrap().keys().cloned().collect()
    }

    /// The same files with `name` changed, or gone.
    pub(crate) fn with(&self, name: &str, bytes: Option<Vec<u8>>) -> Arc<Memory> {
        let mut files = self.files.lock().unwrap().clone();
        match bytes {
            Some(bytes) => files.insert(name.to_owned(), Arc::new(bytes)),
            None => files.remove(name),
        };
        Arc::new(Memory { files: Arc::new(Mutex::new(files)) })
    }

    pub(crate) fn set(self: &Arc<Memory>) -> Result<Set, rehome_archive::ArchiveError> {
        Set::open(self.clone())
    }
}

impl Target for Memory {
    fn create(&self, name: &str) -> io::Result<Box<dyn TargetFile>> {
        if self.files.lock().unwrap().contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let files = Arc::clone(&self.files);
        Ok(Box::new(Growing { name: name.to_owned(), bytes: Vec::new(), files }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn SourceFile>> {
        let files = self.files.lock().unwrap();
        let bytes = files.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Whole(Arc::clone(bytes))))
    }

    fn settle(&self, _name: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let removed = self.files.lock().unwrap().remove(name);
        removed.map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let files = self.files.lock().unwrap();
        let below = files.keys().filter_map(|name| name.strip_prefix(&prefix));
        let mut names: Vec<String> =
            below.map(|rest| rest.split('/').next().unwrap().to_owned()).collect();
        names.dedup();
        Ok(names)
    }
}

struct Growing {
    name: String,
    bytes: Vec<u8>,
    files: Arc<Mutex<Files>>,
}

impl TargetFile for Growing {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        let Growing { name, bytes, files } = *self;
        files.lock().unwrap().insert(name, Arc::new(bytes));
        Ok(())
    }
}

struct Whole(Arc<Vec<u8>>);

impl SourceFile for Whole {
    fn size_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let bytes = self.0.get(start..start + buf.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }
}
