//! The engine that moves file bytes: downloads in ranges, uploads in parts.

use std::fmt;

use hub_types::buckets::BucketId;
use hub_types::resolve::XetFileData;
use hub_types::{CommitHash, Etag, RepoId, RepoPath, Revision, Sha256};

use crate::api::resolve::resolve_path;
use crate::error::without_query;
use crate::progress::ProgressHandle;

mod body;
pub(crate) mod commit;
pub(crate) mod connections;
mod fetch;
pub(crate) mod folder;
mod growth;
mod journal;
pub(crate) mod lfs;
pub(crate) mod origin;
mod plan;
pub(crate) mod preupload;
mod remote;
mod session;
pub(crate) mod source;
pub(crate) mod stream;
mod verify;
mod write;
pub(crate) mod xet;

pub use fetch::SMALL;
#[cfg(feature = "blocking")]
pub use remote::BlockingReader;
pub use remote::{RemoteFile, RemoteReader};
pub use source::UploadSource;

#[cfg(test)]
mod tests;

/// A file to fetch, and what is known of it beforehand.
///
/// With `etag` and `size` (a tree listing has both) a file takes one request. What is known is what is expected: a
/// reply that says otherwise is an error, and nothing of it is kept.
#[derive(Clone)]
pub struct FileSource {
    /// What the file is in.
    pub place: FilePlace,
    /// The file's path there.
    pub path: RepoPath,
    /// Where the bytes are, as [`FileMetadata`](hub_types::resolve::FileMetadata) has it. Used where `etag` is known too.
    pub location: Option<String>,
    /// Where the content is in Xet storage, as [`FileMetadata`](hub_types::resolve::FileMetadata) has it, or
    /// [`HfApi::xet_file`](crate::HfApi::xet_file) for a listing's hash. With the size it comes from there in builds with
    /// the feature `xet`, and over plain HTTP where that fails.
    pub xet: Option<XetFileData>,
    /// The content's id.
    pub etag: Option<Etag>,
    /// The content's size in bytes.
    pub size: Option<u64>,
    /// The commit, where it is known and the revision is not one.
    pub commit_hash: Option<CommitHash>,
}

impl FileSource {
    /// A file of a repository, of which nothing is known beforehand.
    pub fn new(repo: RepoId, revision: Revision, path: RepoPath) -> Self {
        Self::at(FilePlace::Repo { repo, revision }, path)
    }

    /// A file of a bucket, of which nothing is known beforehand.
    pub fn in_bucket(bucket: BucketId, path: RepoPath) -> Self {
        Self::at(FilePlace::Bucket(bucket), path)
    }

    fn at(place: FilePlace, path: RepoPath) -> Self {
        Self {
            place,
            path,
            location: None,
            xet: None,
            etag: None,
            size: None,
            commit_hash: None,
        }
    }
}

impl fmt::Debug for FileSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSource")
            .field("place", &self.place)
            .field("path", &self.path)
            .field("location", &self.location.as_deref().map(without_query))
            .field("xet", &self.xet)
            .field("etag", &self.etag)
            .field("size", &self.size)
            .field("commit_hash", &self.commit_hash)
            .finish()
    }
}

/// What a file is in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FilePlace {
    /// A repository, at a revision.
    Repo {
        /// The repository.
        repo: RepoId,
        /// The revision; a commit where it is known.
        revision: Revision,
    },
    /// A bucket.
    Bucket(BucketId),
}

impl FilePlace {
    /// Where the Hub gives the file: a path on its endpoint.
    fn resolve_path(&self, path: &RepoPath) -> String {
        match self {
            Self::Repo { repo, revision } => resolve_path(repo, revision, path),
            Self::Bucket(bucket) => format!("/buckets/{bucket}/resolve/{}", path.encoded_as_segment()),
        }
    }

    /// The commit, where the revision is one.
    fn as_commit_hash(&self) -> Option<CommitHash> {
        match self {
            Self::Repo { revision, .. } => revision.as_commit_hash(),
            Self::Bucket(_) => None,
        }
    }
}

/// How a file is fetched.
#[derive(Debug, Clone, Default)]
pub struct FetchOptions {
    /// Whether the bytes are checked against the hash that the etag is. By default as the client is set.
    pub verify: Option<bool>,
    /// Goes on where an earlier fetch into the same file ended, as far as its journal tells. A file of up to 1 MiB never
    /// has one: it is taken as it is if it is whole and its hash is the expected one.
    pub resume: bool,
    /// Leaves the journal (`<partial>.journal`), which then says that all is there: for a caller that does more before
    /// the file gets its name, and would find it again should the process end meanwhile. It is the caller's to remove.
    pub keep_journal: bool,
    /// Takes [`FileSource::etag`] for what a listing said: where the file's own headers contradict it they count, and
    /// the content is checked against them. By default that is an error.
    pub listed: bool,
    /// The most connections to use. By default as the client is set.
    pub max_connections: Option<usize>,
    /// Who is told how far it is.
    pub progress: ProgressHandle,
}

/// What [`HfApi::fetch_to_file`](crate::HfApi::fetch_to_file) did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// The file's size.
    pub bytes: u64,
    /// How many of them were there already.
    pub resumed_from: u64,
    /// The content's id: the expected one, else the one that the Hub sent.
    pub etag: Option<Etag>,
    /// The commit, where it is known.
    pub commit_hash: Option<CommitHash>,
    /// The content's SHA-256, if it was computed.
    pub sha256: Option<Sha256>,
    /// Whether bytes came by Xet. Where that failed, the rest came over plain HTTP.
    pub by_xet: bool,
}

/// Removes a partial file and its journal. Blocks.
pub(crate) fn remove_partial(partial: &std::path::Path) -> std::io::Result<()> {
    journal::Journal::remove(partial)?;
    fs_err::remove_file(partial)
}
