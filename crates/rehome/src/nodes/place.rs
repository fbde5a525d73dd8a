//! Where what nodes share is: a quorum folder, or etcd.

use std::path::Path;

use rehome_cluster::{Cluster, ClusterConfig, ClusterError, CoordinatorError};

use crate::error::Error;

/// How a place in etcd begins.
#[cfg(not(feature = "etcd"))]
const ETCD_SCHEMES: [&str; 2] = ["etcd:/", "etcds:/"];

/// Opens the cluster there.
pub(super) fn open(place: &Path) -> Result<Cluster, Error> {
    #[cfg(feature = "etcd")]
    if rehome_etcd::EtcdPlace::is_meant(place) {
        let etcd = rehome_etcd::EtcdPlace::parse(place).map_err(Error::bad_input)?;
        let etcd = rehome_etcd::Etcd::open(&etcd).map_err(unusable)?;
        return Ok(Cluster::through(std::sync::Arc::new(etcd)));
    }
    check_etcd(place)?;
    Cluster::open(place).map_err(refused)
}

/// Makes a cluster there.
pub(super) fn create(place: &Path, config: ClusterConfig) -> Result<Cluster, Error> {
    #[cfg(feature = "etcd")]
    if rehome_etcd::EtcdPlace::is_meant(place) {
        let first = rehome_cluster::Configuration::new(config).map_err(Error::bad_input)?;
        let etcd = rehome_etcd::EtcdPlace::parse(place).map_err(Error::bad_input)?;
        let etcd = rehome_etcd::Etcd::create(&etcd, &first).map_err(unusable)?;
        return Ok(Cluster::through(std::sync::Arc::new(etcd)));
    }
    check_etcd(place)?;
    Cluster::create(place, config).map_err(refused)
}

/// A program without etcd says so, rather than making a folder of that name.
#[cfg(not(feature = "etcd"))]
fn check_etcd(place: &Path) -> Result<(), Error> {
    let text = place.to_string_lossy();
    if ETCD_SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
        return Err(Error::BadInput {
            message: format!(
                "{text}: this program was built without etcd, so nothing was done; build it with \
                 --features etcd, or give a quorum folder"
            ),
        });
    }
    Ok(())
}

#[cfg(feature = "etcd")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it refuses")]
fn check_etcd(_: &Path) -> Result<(), Error> {
    Ok(())
}

/// What an order that was not carried out means: what does not answer may answer later.
pub(super) fn refused(error: ClusterError) -> Error {
    match error {
        ClusterError::Coordinator(error) => unusable(error),
        other => Error::bad_input(other),
    }
}

fn unusable(error: CoordinatorError) -> Error {
    match error {
        CoordinatorError::Unreachable { .. } => {
            Error::PreconditionOpen { message: error.to_string() }
        }
        other => Error::bad_input(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_none_is_bad_input_and_one_that_does_not_answer_may_answer_later() {
        let code = |place: &str| open(Path::new(place)).err().map(|error| error.exit_code());
        assert_eq!(code("/nowhere/at/all"), Some(65));
        assert_eq!(code("etcd://127.0.0.1:9"), Some(65));
        let closed = if cfg!(feature = "etcd") { 3 } else { 65 };
        assert_eq!(code("etcd://127.0.0.1:9/office"), Some(closed));
    }
}
