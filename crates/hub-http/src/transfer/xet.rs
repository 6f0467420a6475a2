//! The Hub's storage protocol for large files, by its official library: chunks that are there already are neither sent
//! nor fetched again.
//!
//! The library adds about 110 packages and minutes to a build, so that it is a feature. This file is what the rest of
//! the crate sees of it, in builds with it and without; none of the library's types goes further than the files below.

#![cfg_attr(
    not(feature = "xet"),
    expect(
        dead_code,
        reason = "callers tell the same in builds without Xet, which look at less of it"
    )
)]

use std::path::PathBuf;
use std::sync::Arc;

use hub_types::resolve::XetFileData;
use hub_types::{Sha256, XetHash};

use super::FilePlace;
use super::source::Opened;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::progress::FileProgress;

#[cfg(feature = "xet")]
mod download;
#[cfg(feature = "xet")]
mod session;
#[cfg(feature = "xet")]
mod upload;

#[cfg(not(feature = "xet"))]
mod without;
#[cfg(not(feature = "xet"))]
use without as imp;

#[cfg(feature = "xet")]
mod imp {
    pub(crate) use super::download::Stream;
    pub(crate) use super::session::State;
    pub(crate) use super::upload::Uploader;
}

pub(crate) use imp::{State, Stream, Uploader};

/// How a client uses Xet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// Whether it does not.
    pub(crate) disabled: bool,
    /// Whether the library's own variables (`HF_XET_…`) count.
    pub(crate) from_env: bool,
    pub(crate) high_performance: bool,
    /// The folder of its caches.
    pub(crate) cache: Option<PathBuf>,
}

/// Bytes to store.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) opened: Arc<Opened>,
    pub(crate) hash: Hashing,
    pub(crate) bar: Arc<FileProgress>,
}

/// Where the SHA-256 comes from under which a repository knows a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hashing {
    /// It is computed while the bytes are read.
    Compute,
    /// It is known.
    Known(Sha256),
    /// Nobody needs it: buckets know files by their Xet hash.
    Skip,
}

/// What the storage calls bytes that were put there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) hash: XetHash,
    /// Unless nobody needs it.
    pub(crate) sha256: Option<Sha256>,
}

/// Whether files of repositories go and come by Xet. Where a proxy or certificates were given to this client they do
/// not: the library knows the environment's only.
pub(crate) fn is_on(api: &HfApi) -> bool {
    let config = &api.shared.config;
    // The unit tests of this crate have no storage; those that have one are the workspace's `tests/xet`.
    cfg!(feature = "xet") && !cfg!(test) && !config.xet.disabled && !config.has_own_network()
}

/// Whether this client can store bytes for which there is no other way. Asked before anything is changed.
pub(crate) fn available(api: &HfApi) -> Result<()> {
    const WHAT: &str = "putting bytes into a bucket";
    if !cfg!(feature = "xet") {
        return Err(Error::MissingFeature {
            what: WHAT,
            feature: "xet",
        });
    }
    if api.shared.config.xet.disabled {
        return Err(Error::XetDisabled { what: WHAT });
    }
    Ok(())
}

/// Whether a failure is of Xet and not of the network: then the other way may still work.
pub(crate) fn has_other_way(err: &Error) -> bool {
    let unusable = matches!(
        err,
        Error::Xet { .. } | Error::MalformedReply { .. } | Error::Setup { .. }
    );
    unusable || err.reply().is_some()
}

impl HfApi {
    /// Where a file of this Xet hash is: its hash, and the address at which a token to read it is to be had. A listing
    /// tells the hash alone.
    ///
    /// Endpoint: `GET /api/{types}/{id}/xet-read-token/{revision}`, or that of a bucket; nothing is sent here.
    pub fn xet_file(&self, place: &FilePlace, file_hash: XetHash) -> XetFileData {
        let route = match place {
            FilePlace::Repo { repo, revision } => {
                format!("/api/{}/xet-read-token/{}", repo.api_path(), revision.encoded())
            }
            FilePlace::Bucket(bucket) => format!("/api/buckets/{bucket}/xet-read-token"),
        };
        XetFileData {
            file_hash,
            refresh_route: format!("{}{route}", self.endpoint()),
        }
    }
}
