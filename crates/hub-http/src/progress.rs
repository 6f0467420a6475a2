//! How far a transfer is, for whoever wants to show it. Libraries never draw.

mod tally;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::error::Error;

pub use tally::{__Skipped, __Watched, JobProgress};

/// Names one file of a transfer in the calls of a [`Progress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ProgressId(pub u64);

/// How one file of a transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// All bytes are where they belong.
    Done,
    /// Nothing had to be sent: the bytes were there already.
    Skipped,
    /// It failed or was cancelled.
    Failed,
}

/// What a transfer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Listing files.
    Listing,
    /// Reading local files to know their hashes.
    Hashing,
    /// Moving bytes.
    Transferring,
    /// Making the commit.
    Committing,
}

/// Receives what happens during a transfer. Every method does nothing by default.
///
/// Called from any task, also from several at once; it must not block.
pub trait Progress: Send + Sync {
    /// The transfer enters a phase; `files` and `bytes` are what lies before it, where known.
    fn phase(&self, phase: Phase, files: Option<u64>, bytes: Option<u64>) {
        let _ = (phase, files, bytes);
    }

    /// A file begins; `size` in bytes, where known. The id that is given back names it from here on.
    fn started(&self, path: &str, size: Option<u64>) -> ProgressId {
        let _ = (path, size);
        ProgressId::default()
    }

    /// `bytes` more of the file are done.
    fn advanced(&self, id: ProgressId, bytes: u64) {
        let _ = (id, bytes);
    }

    /// The file goes on from `bytes`: an earlier run left them, or what had come was not usable.
    fn restarted(&self, id: ProgressId, bytes: u64) {
        let _ = (id, bytes);
    }

    /// `bytes` that were reported are to be done again: an attempt of several failed.
    fn taken_back(&self, id: ProgressId, bytes: u64) {
        let _ = (id, bytes);
    }

    /// `bytes` of the file were not sent: the storage had them already. They count as done all the same.
    fn deduplicated(&self, id: ProgressId, bytes: u64) {
        let _ = (id, bytes);
    }

    /// Something failed with `cause` and is tried again after `wait`: the `retry`th time (1 for the first) since it last
    /// got further. `id` is the file's, and `None` where it is a request of no single file: a listing, a batch, a commit.
    fn retrying(&self, id: Option<ProgressId>, retry: u32, wait: Duration, cause: &Error) {
        let _ = (id, retry, wait, cause);
    }

    /// The file is through.
    fn finished(&self, id: ProgressId, outcome: Outcome) {
        let _ = (id, outcome);
    }
}

/// A shared [`Progress`], or none.
#[derive(Clone, Default)]
pub struct ProgressHandle(Option<Arc<dyn Progress>>);

impl ProgressHandle {
    /// A handle that calls `progress`.
    pub fn new(progress: impl Progress + 'static) -> Self {
        Self(Some(Arc::new(progress)))
    }

    /// Whether anybody listens.
    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// See [`Progress::phase`].
    pub fn phase(&self, phase: Phase, files: Option<u64>, bytes: Option<u64>) {
        if let Some(progress) = &self.0 {
            progress.phase(phase, files, bytes);
        }
    }

    /// See [`Progress::retrying`]: what is tried again is of no single file.
    pub(crate) fn retrying(&self, retry: u32, wait: Duration, cause: &Error) {
        if let Some(progress) = &self.0 {
            progress.retrying(None, retry, wait, cause);
        }
    }

    /// A file begins. The guard reports it as failed unless [`FileProgress::finish`] says otherwise, so that a dropped
    /// transfer never leaves a bar behind.
    pub fn start(&self, path: &str, size: Option<u64>) -> FileProgress {
        let id = self
            .0
            .as_ref()
            .map(|progress| progress.started(path, size))
            .unwrap_or_default();
        FileProgress {
            progress: self.0.clone(),
            id,
            ended: AtomicBool::new(false),
        }
    }
}

impl From<Arc<dyn Progress>> for ProgressHandle {
    fn from(progress: Arc<dyn Progress>) -> Self {
        Self(Some(progress))
    }
}

impl fmt::Debug for ProgressHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Progress" } else { "no progress" })
    }
}

hub_types::argument!(ProgressHandle: from Arc<dyn Progress>);

/// One file of a transfer, as it is reported.
pub struct FileProgress {
    progress: Option<Arc<dyn Progress>>,
    id: ProgressId,
    ended: AtomicBool,
}

impl FileProgress {
    /// `bytes` more are done.
    pub fn advance(&self, bytes: u64) {
        if let Some(progress) = self.running() {
            progress.advanced(self.id, bytes);
        }
    }

    /// It goes on from `bytes`.
    pub fn restart(&self, bytes: u64) {
        if let Some(progress) = self.running() {
            progress.restarted(self.id, bytes);
        }
    }

    /// `bytes` that were reported are to be done again.
    pub fn take_back(&self, bytes: u64) {
        if bytes > 0
            && let Some(progress) = self.running()
        {
            progress.taken_back(self.id, bytes);
        }
    }

    /// `bytes` of it were not sent, since the storage had them already.
    pub fn deduplicated(&self, bytes: u64) {
        if bytes > 0
            && let Some(progress) = self.running()
        {
            progress.deduplicated(self.id, bytes);
        }
    }

    /// What failed with `cause` is tried again after `wait`, for the `retry`th time.
    pub fn retrying(&self, retry: u32, wait: Duration, cause: &Error) {
        if let Some(progress) = self.running() {
            progress.retrying(Some(self.id), retry, wait, cause);
        }
    }

    /// It is through.
    pub fn finish(self, outcome: Outcome) {
        self.end(outcome);
    }

    /// It is through, also where a connection still holds on to it; only the first end counts.
    pub(crate) fn end(&self, outcome: Outcome) {
        if let Some(progress) = &self.progress
            && !self.ended.swap(true, Ordering::Relaxed)
        {
            progress.finished(self.id, outcome);
        }
    }

    fn running(&self) -> Option<&dyn Progress> {
        self.progress.as_deref().filter(|_| !self.ended.load(Ordering::Relaxed))
    }
}

impl Drop for FileProgress {
    fn drop(&mut self) {
        self.end(Outcome::Failed);
    }
}

impl fmt::Debug for FileProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileProgress")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
