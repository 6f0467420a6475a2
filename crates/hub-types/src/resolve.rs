//! Models of the `resolve` area: what is known of one file before its bytes are fetched.

use std::fmt;

use crate::{CommitHash, Etag, XetHash};

/// What the Hub says of one file: the headers of its resolve address.
///
/// `Debug` shows no signed address.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileMetadata {
    /// The commit that the revision resolved to.
    pub commit_hash: CommitHash,
    /// The content's id: the SHA-256 of a large file, the git blob id of a small one.
    pub etag: Etag,
    /// Where the bytes are. It may be signed: it is a secret for as long as it is valid.
    pub location: String,
    /// The content's size in bytes, where the server tells it.
    pub size: Option<u64>,
    /// Where the content is in Xet storage, if it is there.
    pub xet: Option<XetFileData>,
}

impl FileMetadata {
    /// Metadata without Xet storage.
    pub fn new(commit_hash: CommitHash, etag: Etag, location: impl Into<String>, size: Option<u64>) -> Self {
        Self {
            commit_hash,
            etag,
            location: location.into(),
            size,
            xet: None,
        }
    }
}

impl fmt::Debug for FileMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let location = self.location.split(['?', '#']).next().unwrap_or_default();
        f.debug_struct("FileMetadata")
            .field("commit_hash", &self.commit_hash)
            .field("etag", &self.etag)
            .field("location", &location)
            .field("size", &self.size)
            .field("xet", &self.xet)
            .finish()
    }
}

/// Where a file is in Xet storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XetFileData {
    /// The content's hash there.
    pub file_hash: XetHash,
    /// Where a token to read it is to be had.
    pub refresh_route: String,
}
