//! Where an archive set is: in a folder, or in a bucket.

use std::path::Path;
use std::sync::Arc;

use rehome_archive::{DiskTarget, Target};

use crate::error::Error;

/// How the place of a set in a bucket begins.
const BUCKET: &str = "s3://";

/// The target at `place`: `s3://BUCKET/PREFIX`, or a folder.
///
/// # Errors
///
/// [`Error::BadInput`] if the bucket cannot be named or reached so, or this program has no client
/// for one.
pub(crate) fn target(place: &Path) -> Result<Arc<dyn Target>, Error> {
    match place.to_str().filter(|text| text.starts_with(BUCKET)) {
        Some(url) => bucket(url),
        None => Ok(Arc::new(DiskTarget::at(place))),
    }
}

#[cfg(feature = "s3")]
fn bucket(url: &str) -> Result<Arc<dyn Target>, Error> {
    use std::hash::{BuildHasher as _, RandomState};

    let settings = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("AWS_"))
        .collect();
    // Each state hashes with keys that the system's randomness gave this process.
    let nonce = RandomState::new().hash_one(std::process::id());
    let nonce = format!("{nonce:016x}-{}", std::process::id());
    let options = rehome_archive::S3Options::new(settings, nonce);
    let target = rehome_archive::S3Target::open(url, &options);
    Ok(Arc::new(target.map_err(|error| Error::bad_input(format!("{url}: {error}")))?))
}

#[cfg(not(feature = "s3"))]
fn bucket(url: &str) -> Result<Arc<dyn Target>, Error> {
    Err(Error::bad_input(format!(
        "{url}: this program was built without a client for buckets, so nothing was done; name a \
         folder, or build it with --features s3"
    )))
}
