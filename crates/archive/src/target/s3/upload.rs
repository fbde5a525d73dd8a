//! A file on its way into a bucket: in one request if it is small, in parts if not.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use object_store::multipart::PartId;
use object_store::path::Path;

use super::bucket::Bucket;
use super::worker::Job;
use crate::target::TargetFile;

/// Dropped unfinished, it takes back what it sent.
pub(super) struct Upload {
    bucket: Arc<Bucket>,
    path: Path,
    buffer: Vec<u8>,
    bytes: u64,
    hasher: blake3::Hasher,
    /// The id of the upload in parts, if it is one.
    id: Option<String>,
    sent: Vec<PartId>,
    sending: VecDeque<Job<object_store::Result<PartId>>>,
}

impl Upload {
    pub(super) fn new(bucket: Arc<Bucket>, path: Path) -> Upload {
        Upload {
            bucket,
            path,
            buffer: Vec::new(),
            bytes: 0,
            hasher: blake3::Hasher::new(),
            id: None,
            sent: Vec::new(),
            sending: VecDeque::new(),
        }
    }

    /// Sends the first `len` bytes of the buffer as a part.
    fn send(&mut self, len: usize) -> io::Result<()> {
        if self.sending.len() >= self.bucket.parts_in_flight {
            self.wait_for_one()?;
        }
        let id = match &self.id {
            Some(id) => id,
            None => self.id.insert(self.bucket.begin_upload(&self.path)?),
        };
        let rest = self.buffer.split_off(len);
        let part = std::mem::replace(&mut self.buffer, rest);
        let number = self.sent.len() + self.sending.len();
        self.sending.push_back(self.bucket.send_part(&self.path, id, number, part));
        Ok(())
    }

    fn wait_for_one(&mut self) -> io::Result<()> {
        if let Some(job) = self.sending.pop_front() {
            self.sent.push(job.wait()?.map_err(io::Error::other)?);
        }
        Ok(())
    }
}

impl TargetFile for Upload {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        while self.buffer.len() > self.bucket.part_bytes {
            self.send(self.bucket.part_bytes)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        if self.id.is_none() {
            return self.bucket.create(&self.path, std::mem::take(&mut self.buffer));
        }
        self.send(self.buffer.len())?;
        while !self.sending.is_empty() {
            self.wait_for_one()?;
        }
        let Some(id) = &self.id else { return Ok(()) };
        let (parts, hash) = (std::mem::take(&mut self.sent), self.hasher.finalize());
        self.bucket.complete(&self.path, id, parts, self.bytes, hash)?;
        self.id = None;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.bucket.abort(&self.path, &id);
        }
    }
}
