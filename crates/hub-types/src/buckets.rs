//! Models of the `buckets` area: object storage without history.

use serde::{Deserialize, Serialize};

use crate::model::{open_enum, reply};
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

open_enum! {
    /// What a synchronisation does with one file.
    SyncAction {
        /// It goes into the bucket.
        Upload = "upload",
        /// It comes out of the bucket.
        Download = "download",
        /// It goes away at the destination.
        Delete = "delete",
        /// It stays as it is.
        Skip = "skip",
    }
}

/// One line of a [`SyncPlan`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SyncOperation {
    /// What is done.
    pub action: SyncAction,
    /// The file, relative to what is synchronised.
    pub path: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Bytes in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When the local file was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_mtime: Option<Timestamp>,
    /// When the bucket's file was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_mtime: Option<Timestamp>,
    /// The bucket's file, where a listing has told of it. Not part of a saved plan.
    #[serde(skip)]
    pub bucket_file: Option<BucketFile>,
}

impl SyncOperation {
    /// An operation without sizes and times.
    pub fn new(action: SyncAction, path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            action,
            path: path.into(),
            reason: reason.into(),
            size: None,
            local_mtime: None,
            remote_mtime: None,
            bucket_file: None,
        }
    }
}

/// What a [`SyncPlan`] comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SyncSummary {
    /// Files that go into the bucket.
    pub uploads: usize,
    /// Files that come out of it.
    pub downloads: usize,
    /// Files that go away.
    pub deletes: usize,
    /// Files that stay as they are.
    pub skips: usize,
    /// Bytes of the uploads and downloads.
    pub total_size: u64,
}

/// What a synchronisation of a folder with a bucket will do, or has done.
///
/// Saved as JSON lines ([`SyncPlan::to_jsonl`]), the form that the Python client writes and reads.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SyncPlan {
    /// What is read: a folder, or `hf://buckets/…`.
    pub source: String,
    /// What is changed: a folder, or `hf://buckets/…`.
    pub dest: String,
    /// When the plan was made.
    pub timestamp: String,
    /// What is done, sorted by path.
    pub operations: Vec<SyncOperation>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum PlanLine<'a> {
    Header {
        source: std::borrow::Cow<'a, str>,
        dest: std::borrow::Cow<'a, str>,
        timestamp: std::borrow::Cow<'a, str>,
        #[serde(default)]
        summary: SyncSummary,
    },
    Operation(std::borrow::Cow<'a, SyncOperation>),
    #[serde(other)]
    Other,
}

impl SyncPlan {
    /// A plan that does nothing yet.
    pub fn new(source: impl Into<String>, dest: impl Into<String>, timestamp: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            dest: dest.into(),
            timestamp: timestamp.into(),
            operations: Vec::new(),
        }
    }

    /// What it comes to.
    pub fn summary(&self) -> SyncSummary {
        let mut summary = SyncSummary::default();
        for operation in &self.operations {
            let size = operation.size.unwrap_or_default();
            match operation.action {
                SyncAction::Upload => {
                    summary.uploads += 1;
                    summary.total_size += size;
                }
                SyncAction::Download => {
                    summary.downloads += 1;
                    summary.total_size += size;
                }
                SyncAction::Delete => summary.deletes += 1,
                _ => summary.skips += 1,
            }
        }
        summary
    }

    /// The plan as JSON lines: a header with the summary, then a line for each operation.
    pub fn to_jsonl(&self) -> String {
        let header = PlanLine::Header {
            source: self.source.as_str().into(),
            dest: self.dest.as_str().into(),
            timestamp: self.timestamp.as_str().into(),
            summary: self.summary(),
        };
        let operations = self
            .operations
            .iter()
            .map(|operation| PlanLine::Operation(std::borrow::Cow::Borrowed(operation)));
        let mut text = String::new();
        for line in std::iter::once(header).chain(operations) {
            text += &serde_json::to_string(&line).expect("text, numbers and times are always JSON");
            text.push('\n');
        }
        text
    }

    /// Reads what [`SyncPlan::to_jsonl`] or the Python client has written. Every path is checked: a plan comes from a
    /// file that others may have changed.
    ///
    /// # Errors
    ///
    /// When it is no plan, or a path in it would leave the folder.
    pub fn from_jsonl(text: &str) -> Result<Self, ValidationError> {
        let mut plan = None;
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let refuse = |rule: String| ValidationError::new("sync plan", format!("line {}", number + 1), rule);
            let line: PlanLine<'_> =
                serde_json::from_str(line).map_err(|err| refuse(format!("must be JSON: {err}")))?;
            match (line, &mut plan) {
                (
                    PlanLine::Header {
                        source,
                        dest,
                        timestamp,
                        ..
                    },
                    None,
                ) => plan = Some(Self::new(source, dest, timestamp)),
                (_, None) => return Err(refuse("must be the plan's header".to_owned())),
                (PlanLine::Operation(operation), Some(plan)) => {
                    operation.path.parse::<crate::RepoPath>()?;
                    plan.operations.push(operation.into_owned());
                }
                (_, Some(_)) => {}
            }
        }
        plan.ok_or_else(|| ValidationError::new("sync plan", "nothing", "must begin with a header"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_reads_back_and_sums_up() {
        let mut plan = SyncPlan::new("./data", "hf://buckets/ada/box", "2026-01-02T03:04:05+00:00");
        let mut upload = SyncOperation::new(SyncAction::Upload, "a/b.txt", "new file");
        upload.size = Some(5);
        upload.local_mtime = Some("2026-01-02T03:04:05.678Z".parse().unwrap());
        plan.operations = vec![
            upload,
            SyncOperation::new(SyncAction::Delete, "c", "not in source (--delete)"),
        ];
        let summary = plan.summary();
        assert_eq!((summary.uploads, summary.deletes, summary.total_size), (1, 1, 5));
        assert_eq!(SyncPlan::from_jsonl(&plan.to_jsonl()).unwrap(), plan);
    }

    #[test]
    fn plans_of_the_python_client_are_read() {
        let text = r#"{"type": "header", "source": "hf://buckets/ada/box", "dest": "/tmp/x", "timestamp": "2026-01-02T03:04:05.123456+00:00", "summary": {"uploads": 0, "downloads": 1, "deletes": 0, "skips": 0, "total_size": 3}}
{"type": "operation", "action": "download", "path": "a.txt", "reason": "new file", "size": 3, "remote_mtime": "2026-01-02T03:04:05.500000+00:00"}
{"type": "comment"}
"#;
        let plan = SyncPlan::from_jsonl(text).unwrap();
        assert_eq!(plan.operations.len(), 1);
        assert_eq!(plan.operations[0].action, SyncAction::Download);
    }

    #[test]
    fn what_is_no_plan_and_what_leaves_the_folder_is_refused() {
        let header = r#"{"type":"header","source":"a","dest":"b","timestamp":"t"}"#;
        let operation =
            |path: &str| format!("{header}\n{{\"type\":\"operation\",\"action\":\"delete\",\"path\":\"{path}\"}}");
        assert!(SyncPlan::from_jsonl("").is_err());
        assert!(SyncPlan::from_jsonl("{}").is_err());
        assert!(SyncPlan::from_jsonl(operation("a").split_once('\n').unwrap().1).is_err());
        assert!(SyncPlan::from_jsonl(&operation("a/b")).is_ok());
        for path in ["../a", "/etc/passwd", "a/../../b"] {
            assert!(SyncPlan::from_jsonl(&operation(path)).is_err(), "{path}");
        }
    }
}
