//! The requests that a target makes, and what to think of their answers.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, Error, ObjectStore as _, ObjectStoreExt as _, PutMode,
    PutOptions, PutPayload, RetryConfig,
};
use reqwest::header::{HeaderMap, HeaderValue, IF_NONE_MATCH};

use super::worker::{Job, Worker};
use super::{PART_BYTES_MIN, S3Options};

/// How often a request with an uncertain outcome is made in all.
const ATTEMPTS: u32 = 3;
/// How long a dropped upload waits for its abort to be heard.
const ABORT_MAX: Duration = Duration::from_secs(5);
/// The longest pause before a request is repeated.
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// A bucket and the thread that talks to it.
pub(super) struct Bucket {
    store: Arc<AmazonS3>,
    /// The same, with the condition that the object does not exist in every request: it completes
    /// uploads.
    creating: Arc<AmazonS3>,
    worker: Worker,
    pub(super) part_bytes: usize,
    pub(super) parts_in_flight: usize,
}

/// What became of a request whose answer is not known.
enum Outcome {
    /// The object is there with the bytes that were sent.
    Ours,
    /// It is there with other bytes.
    Other,
    /// It is not there.
    Missing,
}

impl Bucket {
    pub(super) fn connect(bucket: &str, options: &S3Options) -> io::Result<Bucket> {
        // Whoever installed a provider before knows better.
        _ = rustls::crypto::ring::default_provider().install_default();
        let condition = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static("*"))]);
        Ok(Bucket {
            store: Arc::new(client(bucket, options, HeaderMap::new())?),
            creating: Arc::new(client(bucket, options, condition)?),
            worker: Worker::start()?,
            part_bytes: options.part_bytes.max(PART_BYTES_MIN),
            parts_in_flight: options.parts_in_flight.max(1),
        })
    }

    /// The object's size; `None` if there is none.
    pub(super) fn size(&self, path: &Path) -> io::Result<Option<u64>> {
        let (store, path) = (Arc::clone(&self.store), path.clone());
        match self.worker.run(async move { store.head(&path).await })? {
            Ok(meta) => Ok(Some(meta.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(io_error(error)),
        }
    }

    /// Bytes of an object.
    pub(super) fn read(&self, path: &Path, range: Range<u64>) -> io::Result<Vec<u8>> {
        let (store, path) = (Arc::clone(&self.store), path.clone());
        let read = self.worker.run(async move { store.get_range(&path, range).await })?;
        read.map(Vec::from).map_err(io_error)
    }

    /// Names directly below `dir`, sorted.
    pub(super) fn list(&self, dir: Path) -> io::Result<Vec<String>> {
        let store = Arc::clone(&self.store);
        let listed = self.worker.run(async move {
            let prefix = (!dir.as_ref().is_empty()).then_some(dir);
            store.list_with_delimiter(prefix.as_ref()).await
        })?;
        let listed = listed.map_err(io_error)?;
        let objects = listed.objects.iter().map(|object| &object.location);
        let paths = objects.chain(&listed.common_prefixes);
        let mut names: Vec<String> =
            paths.filter_map(|path| path.filename().map(ToOwned::to_owned)).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Removes an object; one that is gone already is as good.
    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        let (store, path) = (Arc::clone(&self.store), path.clone());
        match self.worker.run(async move { store.delete(&path).await })? {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(io_error(error)),
        }
    }

    /// Creates an object of one request. An answer that got lost is made up for by a look at what
    /// is there, so that a repetition is not taken for somebody else's object.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if it is there with other bytes.
    pub(super) fn create(&self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        let (len, hash) = (bytes.len() as u64, blake3::hash(&bytes));
        let payload = PutPayload::from(bytes);
        let mut last = None;
        for _attempt in 0..ATTEMPTS {
            let (store, to, payload) = (Arc::clone(&self.store), path.clone(), payload.clone());
            let options = PutOptions::from(PutMode::Create);
            let put =
                self.worker.run(async move { store.put_opts(&to, payload, options).await })?;
            let Err(error) = put else { return Ok(()) };
            let error = io_error(error);
            if is_certain(&error) {
                return Err(error);
            }
            match self.outcome(path, len, hash)? {
                Outcome::Ours => return Ok(()),
                Outcome::Other => return Err(io::ErrorKind::AlreadyExists.into()),
                Outcome::Missing => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::other("it was not tried")))
    }

    /// Begins an upload in parts.
    pub(super) fn begin_upload(&self, path: &Path) -> io::Result<String> {
        let (store, path) = (Arc::clone(&self.store), path.clone());
        let begun = self.worker.run(async move { store.create_multipart(&path).await })?;
        begun.map_err(io_error)
    }

    /// Begins to send part `number` of an upload.
    pub(super) fn send_part(
        &self,
        path: &Path,
        upload: &str,
        number: usize,
        bytes: Vec<u8>,
    ) -> Job<Result<PartId, Error>> {
        let (store, path, upload) = (Arc::clone(&self.store), path.clone(), upload.to_owned());
        let payload = PutPayload::from(bytes);
        self.worker.begin(async move { store.put_part(&path, &upload, number, payload).await })
    }

    /// Makes an object of the parts of an upload.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if it is there with other bytes.
    pub(super) fn complete(
        &self,
        path: &Path,
        upload: &str,
        parts: Vec<PartId>,
        len: u64,
        hash: blake3::Hash,
    ) -> io::Result<()> {
        let (store, to, id) = (Arc::clone(&self.creating), path.clone(), upload.to_owned());
        let completed =
            self.worker.run(async move { store.complete_multipart(&to, &id, parts).await })?;
        let Err(error) = completed else { return Ok(()) };
        // Whatever it says: the upload may have been completed by a request whose answer got lost.
        match self.outcome(path, len, hash) {
            Ok(Outcome::Ours) => Ok(()),
            Ok(Outcome::Other) => Err(io::ErrorKind::AlreadyExists.into()),
            Ok(Outcome::Missing) | Err(_) => Err(io_error(error)),
        }
    }

    /// Gives an upload up; if that is not heard, the bucket's own rule has to do it.
    pub(super) fn abort(&self, path: &Path, upload: &str) {
        let (store, path, upload) = (Arc::clone(&self.store), path.clone(), upload.to_owned());
        let abort = async move { store.abort_multipart(&path, &upload).await };
        _ = self.worker.run(async move { tokio::time::timeout(ABORT_MAX, abort).await });
    }

    /// Whether the object at `path` has `len` bytes with this hash.
    fn outcome(&self, path: &Path, len: u64, hash: blake3::Hash) -> io::Result<Outcome> {
        match self.size(path)? {
            None => return Ok(Outcome::Missing),
            Some(size) if size != len => return Ok(Outcome::Other),
            Some(_) => {}
        }
        let mut hasher = blake3::Hasher::new();
        let mut at = 0;
        while at < len {
            let end = (at + self.part_bytes as u64).min(len);
            hasher.update(&self.read(path, at..end)?);
            at = end;
        }
        Ok(if hasher.finalize() == hash { Outcome::Ours } else { Outcome::Other })
    }
}

fn client(bucket: &str, options: &S3Options, headers: HeaderMap) -> io::Result<AmazonS3> {
    let mut builder = AmazonS3Builder::new();
    let mut over_http = false;
    for (name, value) in &options.settings {
        let name = name.to_ascii_lowercase();
        if name.starts_with("aws_endpoint") {
            over_http |= value.starts_with("http://");
        }
        if let Ok(key) = name.parse() {
            builder = builder.with_config(key, value);
        }
    }
    let client_options = ClientOptions::new()
        .with_default_headers(headers)
        .with_allow_http(over_http)
        .with_timeout(Duration::from_millis(options.request_ms_max));
    let pause = Duration::from_millis(options.retry_pause_ms);
    let retry = RetryConfig {
        backoff: BackoffConfig { init_backoff: pause, max_backoff: PAUSE_MAX, base: 2.0 },
        max_retries: usize::MAX,
        retry_timeout: Duration::from_millis(options.retry_ms_max),
    };
    let builder = builder.with_client_options(client_options).with_retry(retry);
    builder.with_bucket_name(bucket).build().map_err(io_error)
}

/// Whether the store has said that nothing was done.
fn is_certain(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, NotFound, PermissionDenied, Unsupported};
    matches!(error.kind(), NotFound | PermissionDenied | Unsupported | InvalidInput)
}

fn io_error(error: Error) -> io::Error {
    let kind = match &error {
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        Error::AlreadyExists { .. } | Error::Precondition { .. } => io::ErrorKind::AlreadyExists,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            io::ErrorKind::PermissionDenied
        }
        Error::NotSupported { .. } | Error::NotImplemented { .. } => io::ErrorKind::Unsupported,
        Error::InvalidPath { .. } | Error::UnknownConfigurationKey { .. } => {
            io::ErrorKind::InvalidInput
        }
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
