//! A bucket of S3-compatible object storage as a target.

mod bucket;
mod download;
mod upload;
mod worker;

use std::io;
use std::sync::Arc;

use object_store::path::Path;

use super::{SourceFile, Target, TargetFile};
use crate::target::s3::bucket::Bucket;
use crate::target::s3::download::Download;
use crate::target::s3::upload::Upload;

/// The smallest part that S3 takes, unless it is the last one.
const PART_BYTES_MIN: usize = 5 << 20;

/// How a bucket is reached and written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Options {
    /// Settings under the names of the usual environment variables: `AWS_ENDPOINT_URL`,
    /// `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` and the
    /// other ones that begin with `AWS_`. Names that mean nothing here are passed over.
    pub settings: Vec<(String, String)>,
    /// Something that no other writer has, so that this one knows its own claims again.
    pub nonce: String,
    /// Bytes of a part; less than 5 MiB counts as 5 MiB. A volume has at most 10,000 parts.
    pub part_bytes: usize,
    /// Parts that are on their way at a time. Memory is this plus one, times the size of a part.
    pub parts_in_flight: usize,
    /// After how many milliseconds a request that was not answered counts as failed.
    pub request_ms_max: u64,
    /// For how many milliseconds a request that failed is repeated.
    pub retry_ms_max: u64,
    /// The first pause before a request is repeated, in milliseconds; later ones grow to 15 s.
    pub retry_pause_ms: u64,
}

impl S3Options {
    /// The usual ones: parts of 8 MiB, three on their way, a minute for a request, three minutes
    /// of repetition.
    #[must_use]
    pub fn new(settings: Vec<(String, String)>, nonce: String) -> S3Options {
        S3Options {
            settings,
            nonce,
            part_bytes: 8 << 20,
            parts_in_flight: 3,
            request_ms_max: 60_000,
            retry_ms_max: 180_000,
            retry_pause_ms: 100,
        }
    }
}

/// A set below a prefix of a bucket.
///
/// Objects are never written twice: each one is created on the condition that it does not exist,
/// which the store must honour (`If-None-Match`). A file is seen when it is whole. What a writer
/// that died had sent of a file is no object; the bucket's rule for incomplete uploads removes it.
pub struct S3Target {
    bucket: Arc<Bucket>,
    prefix: String,
    nonce: String,
}

impl S3Target {
    /// The set at `url`, which is `s3://BUCKET` or `s3://BUCKET/PREFIX`. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `url` or a setting cannot be used.
    pub fn open(url: &str, options: &S3Options) -> io::Result<S3Target> {
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
        let rest = url.strip_prefix("s3://").unwrap_or_default();
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(invalid(format!("{url}: give s3://BUCKET/PREFIX")));
        }
        let prefix = prefix.trim_matches('/').to_owned();
        Path::parse(&prefix).map_err(|error| invalid(format!("{url}: {error}")))?;
        let bucket = Arc::new(Bucket::connect(bucket, options)?);
        Ok(S3Target { bucket, prefix, nonce: options.nonce.clone() })
    }

    fn path(&self, name: &str) -> io::Result<Path> {
        let whole = [self.prefix.as_str(), name];
        let whole: Vec<&str> = whole.into_iter().filter(|part| !part.is_empty()).collect();
        Path::parse(whole.join("/"))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }
}

impl Target for S3Target {
    fn claim(&self, dir: &str) -> io::Result<()> {
        let claim = format!("writer {}\n", self.nonce);
        self.bucket.create(&self.path(&format!("claims/{dir}"))?, claim.into_bytes())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn TargetFile>> {
        let path = self.path(name)?;
        if self.bucket.size(&path)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(Box::new(Upload::new(Arc::clone(&self.bucket), path)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn SourceFile>> {
        let path = self.path(name)?;
        let size_bytes = self.bucket.size(&path)?.ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Download::new(Arc::clone(&self.bucket), path, size_bytes)))
    }

    fn settle(&self, _name: &str) -> io::Result<()> {
        // What the store has answered for is durable.
        Ok(())
    }

    /// A bucket keeps its objects whole by itself.
    fn takes_parity(&self) -> bool {
        false
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.bucket.list(self.path(dir)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path(name)?;
        // A bucket answers alike whether there was such an object or not.
        self.bucket.size(&path)?.ok_or(io::ErrorKind::NotFound)?;
        self.bucket.remove(&path)
    }
}
