//! Models of the `buckets` area: object storage without history.

use serde::{Deserialize, Serialize};

use crate::model::reply;
use crate::{Timestamp, ValidationError, XetHash};

/// A bucket's id: `namespace/name`. The Hub itself checks what is in the parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BucketId(Box<str>);

impl BucketId {
    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The user or organisation.
    pub fn namespace(&self) -> &str {
        self.0.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// The part behind the slash.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }

    fn parse(text: &str) -> Result<Self, ValidationError> {
        let refuse = |rule: &str| Err(ValidationError::new("bucket id", text, rule));
        let Some((namespace, name)) = text.split_once('/') else {
            return refuse("must be 'namespace/name'");
        };
        for part in [namespace, name] {
            if part.is_empty() || part.contains('/') || matches!(part, "." | "..") {
                return refuse("must be 'namespace/name', with one slash");
            }
            if part
                .chars()
                .any(|c| c.is_whitespace() || c.is_control() || "?#%\\@".contains(c))
            {
                return refuse("must not contain blanks or any of ?#%\\@");
            }
        }
        Ok(Self(text.into()))
    }
}

crate::validation::string_type!(BucketId);

reply! {
    /// A bucket.
    BucketInfo {
        /// Its id.
        id: String,
        /// Whether it is private.
        private = bool,
        /// When it was made.
        created_at?: Timestamp,
        /// When it was last changed.
        updated_at?: Timestamp,
        /// Bytes in it.
        size = u64,
        /// Files in it.
        total_files = u64,
    }

    /// Where a bucket is.
    BucketUrl {
        /// Its page.
        url: String,
        /// Its id.
        id?: String,
    }

    /// A file of a bucket.
    BucketFile {
        /// Its path.
        path: String,
        /// Bytes in it.
        size = u64,
        /// What its content is called.
        xet_hash?: XetHash,
        /// When its source was changed.
        mtime?: Timestamp,
        /// When it was uploaded.
        uploaded_at?: Timestamp,
    }

    /// A folder of a bucket.
    BucketFolder {
        /// Its path.
        path: String,
        /// When its newest file was uploaded.
        uploaded_at?: Timestamp,
    }

    /// A change of a batch that failed.
    BatchFailure {
        /// Of which file.
        path: String,
        /// Why.
        error = String,
    }

    /// What became of a batch of changes.
    BatchReport {
        /// How many were looked at.
        processed?: u64,
        /// How many were made.
        succeeded?: u64,
        /// Those that failed.
        failed = Vec<BatchFailure>,
    }
}

/// An entry of a bucket's listing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[non_exhaustive]
pub enum BucketEntry {
    /// A file.
    File(BucketFile),
    /// A folder.
    Directory(BucketFolder),
    /// Something that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What is known of a bucket's file without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BucketFileMetadata {
    /// Bytes in it.
    pub size: u64,
    /// What its content is called.
    pub xet_hash: XetHash,
    /// Where a token to read it is had.
    pub refresh_route: String,
}
