//! The Hugging Face cache on this disk, shared with the Python client: looked up, downloaded into, scanned, verified and
//! cleaned.
//!
//! ```no_run
//! # #[cfg(feature = "download")]
//! # async fn example() -> hub_cache::Result<()> {
//! use hub_cache::HubCache;
//!
//! let cache = HubCache::from_env()?;
//! let config = cache.download_file("ada/demo", "config.json").await?;
//! let folder = cache.snapshot_download("ada/demo").allow_patterns(["*.json"]).await?;
//! println!("{} {}", config.display(), folder.display());
//! # Ok(()) }
//! ```
//!
//! What lives here: which files are wanted, where they lie, who else is writing them, what leads to them. What does not:
//! how bytes are fetched, which is `hub-http`'s.
//!
//! Features: `download` (on by default) adds [`HubCache`]; without it this crate has no HTTP below it and opens, scans
//! and cleans what is there. `blocking` adds `.wait()` to its operations.
//!
//! Invariants:
//!
//! - Layout, names, locks and modes are the Python client's: both may work in one cache at one time. What is ours alone
//!   (partial files that another process can go on with) has names that no Python version takes for its own.
//! - A file has its final name only when it is whole and its hash was compared with what the Hub said. Every change is
//!   one rename; a process may die at any point.
//! - Locks save bandwidth and are never trusted.
//! - A ref names a commit whose snapshot folder is there.
//! - No name that came from a server, or from the disk, leads out of the cache.

#![cfg_attr(
    not(feature = "download"),
    allow(
        dead_code,
        reason = "what only a download uses is not worth a gate on each of its parts"
    )
)]

mod cache;
mod disk;
mod error;
mod fault;
mod layout;
mod link;
mod local_dir;
mod lock;
mod prune;
mod scan;
mod store;
mod system;
mod tree;
mod verify;

#[cfg(feature = "download")]
mod download;
#[cfg(feature = "download")]
mod hub;
#[cfg(test)]
mod numbers;
#[cfg(feature = "download")]
mod partial;
#[cfg(feature = "download")]
mod resolve;
#[cfg(feature = "download")]
mod snapshot;
#[cfg(test)]
#[cfg(all(unix, feature = "download"))]
mod testing;

pub use cache::{Cache, Lookup, Snapshot, SnapshotState};
pub use error::{Error, NotFetched, Result};
pub use layout::{Layout, RepoLayout, check_local, link_text, repo_of_folder};
pub use local_dir::{LocalDir, LocalMetadata};
pub use prune::{Deleted, DeletionPlan, PlannedFile, PlannedRepo, PlannedRevision, PruneOptions, Target};
pub use scan::{
    CacheReport, CachedFile, CachedRepo, CachedRevision, DanglingLink, Leftover, Oddity, SharedBlob, Warning,
    human_size, scan,
};
pub use store::{Unshared, unshare};
pub use tree::{Tree, TreeFile};
pub use verify::{Algorithm, Mismatch, Verification, git_oid_of, sha256_of, verify};

#[cfg(feature = "download")]
pub use download::{DownloadFile, DownloadFileArgs, FilePlan};
#[cfg(feature = "download")]
pub use hub::HubCache;
#[cfg(feature = "download")]
pub use resolve::{ResolveRevision, ResolveRevisionArgs};
#[cfg(feature = "download")]
pub use snapshot::{
    SnapshotDownload, SnapshotDownloadArgs, SnapshotPlan, VerifyRepoChecksums, VerifyRepoChecksumsArgs,
};
