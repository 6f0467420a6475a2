//! What goes into the Hub's storage by Xet. Its library adds 81 crates and minutes to a build, so that it is a feature.

use hub_types::XetHash;

use super::UploadSource;
use crate::client::HfApi;
use crate::error::{Error, Result};

/// What the storage calls the bytes that were put there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) hash: XetHash,
}

/// Whether this build can store bytes. Asked before anything is changed.
pub(crate) fn available() -> Result<()> {
    Err(Error::MissingFeature {
        what: "putting bytes into a bucket",
        feature: "xet",
    })
}

/// Stores bytes, and gives what they are called, in order. `route` is where the token for it is had.
pub(crate) async fn store(_api: &HfApi, _route: &str, _sources: &[UploadSource]) -> Result<Vec<Stored>> {
    available()?;
    Ok(Vec::new())
}
