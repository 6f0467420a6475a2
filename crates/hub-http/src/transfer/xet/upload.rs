//! Bytes into the storage: cut into chunks, of which those that are not there yet are sent.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::FutureExt as _;
use futures_util::stream::{StreamExt as _, TryStreamExt as _};
use hub_types::Sha256;
use xet::xet_session::{Sha256Policy, XetFileMetadata, XetStreamUpload, XetUploadCommit};

use super::session::{Access, access, failed, permitted};
use super::{Hashing, Stored, Upload};
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::progress::FileProgress;
use crate::transfer::source::Opened;

const WHAT: &str = "an upload";
/// How many files are read at once: what cuts them into chunks takes a core for each.
const AT_ONCE: usize = 4;
/// How many pieces of a file lie between the disk and the library.
const PIECES_AHEAD: usize = 4;
/// How often it is looked how far the storage is.
const TICK: Duration = Duration::from_millis(200);

/// Stores bytes, all or none: only what [`Uploader::send`] has given may be referred to.
pub(crate) struct Uploader {
    api: HfApi,
    commit: XetUploadCommit,
}

impl fmt::Debug for Uploader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uploader").finish_non_exhaustive()
    }
}

/// Ends what is under way when the upload is dropped or fails.
struct Guard(Option<XetUploadCommit>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(commit) = self.0.take() {
            // Where that is not possible any more, nothing is under way.
            let _ = commit.abort();
        }
    }
}

/// A file that is on its way.
struct Sending {
    handle: XetStreamUpload,
    bar: Arc<FileProgress>,
    size: u64,
    shown: u64,
}

impl Sending {
    /// Reports what came to be there since the last look.
    fn look(&mut self) {
        let done = self.handle.progress().map_or(0, |report| report.bytes_completed);
        self.show(done.min(self.size));
    }

    fn show(&mut self, done: u64) {
        if done > self.shown {
            self.bar.advance(done - self.shown);
            self.shown = done;
        }
    }
}

impl Uploader {
    /// Asks at `route` for a permission to write; `None` where the Hub gives none: what it has against it, the way
    /// through LFS will tell.
    pub(crate) async fn open(api: &HfApi, route: &str) -> Result<Option<Self>> {
        let state = &api.shared.xet;
        if state.is_without(route) {
            return Ok(None);
        }
        match Self::open_only(api, route).await {
            Err(err) if super::has_other_way(&err) => {
                tracing::debug!(
                    error = &err as &dyn std::error::Error,
                    "no Xet here, large files go through LFS"
                );
                if matches!(err.status(), Some(400 | 404 | 405 | 410 | 501)) {
                    state.note_without(route);
                }
                Ok(None)
            }
            opened => opened.map(Some),
        }
    }

    /// The same where there is no other way.
    pub(crate) async fn open_only(api: &HfApi, route: &str) -> Result<Self> {
        let access = access(api, route).await?;
        let session = api.shared.xet.session(&api.shared.config)?;
        let commit = permitted!(session.new_upload_commit(), access, WHAT)?;
        Ok(Self {
            api: api.clone(),
            commit,
        })
    }

    /// Stores files, and gives what they are called, in order. Their bars are ended by the caller: what has failed may
    /// go on in another way.
    pub(crate) async fn send(self, files: Vec<Upload>) -> Result<Vec<Stored>> {
        let mut guard = Guard(Some(self.commit.clone()));
        let sending = Mutex::new(Vec::new());
        let work = async {
            let reading = files.iter().enumerate().map(|(at, file)| {
                let (uploader, sending) = (&self, &sending);
                let reading = async move { Ok::<_, Error>((at, uploader.read(file, sending).await?)) };
                reading.boxed()
            });
            let mut read: Vec<(usize, XetFileMetadata)> = futures_util::stream::iter(reading.collect::<Vec<_>>())
                .buffer_unordered(AT_ONCE)
                .try_collect()
                .await?;
            read.sort_unstable_by_key(|(at, _)| *at);
            let report = self.commit.commit().await.map_err(|err| failed(WHAT, err))?;
            let sum = report.dedup_metrics;
            tracing::debug!(
                bytes = sum.total_bytes,
                deduplicated = sum.deduped_bytes,
                sent = sum.total_bytes_uploaded,
                "stored by Xet"
            );
            Ok::<_, Error>(read)
        };
        let read = self.watched(work.boxed(), &sending).await?;
        guard.0 = None;
        for sent in sending.into_inner().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            sent.show(sent.size);
        }
        files
            .iter()
            .zip(read)
            .map(|(file, (_, read))| stored(file, &read))
            .collect()
    }

    /// Waits for an upload, tells how far it is, and ends it when nothing has moved for too long.
    async fn watched<T>(
        &self,
        mut work: impl Future<Output = Result<T>> + Unpin,
        sending: &Mutex<Vec<Sending>>,
    ) -> Result<T> {
        let patience = self.api.shared.config.upload_timeout;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut before, mut since) = (None, Instant::now());
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => {
                    for sent in sending.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
                        sent.look();
                    }
                    let report = self.commit.progress();
                    let steps = report.shard.map(|shard| {
                        (shard.total_shard_bytes_upload_completed, shard.total_shard_validation_entries_completed, shard.total_shards_completed)
                    });
                    let now = Some((report.total_bytes, report.total_bytes_completed, report.total_transfer_bytes_completed, steps));
                    if now != before {
                        (before, since) = (now, Instant::now());
                    } else if since.elapsed() > patience {
                        let words = format!("nothing moved for {} seconds", patience.as_secs());
                        return Err(failed(WHAT, std::io::Error::new(std::io::ErrorKind::TimedOut, words)));
                    }
                }
            }
        }
    }

    /// Reads a file and gives its bytes to the library.
    async fn read(&self, file: &Upload, sending: &Mutex<Vec<Sending>>) -> Result<XetFileMetadata> {
        let policy = match &file.hash {
            Hashing::Compute => Sha256Policy::Compute,
            Hashing::Known(sha256) => Sha256Policy::from_hex(&sha256.to_string()),
            Hashing::Skip => Sha256Policy::Skip,
        };
        let handle = self
            .commit
            .upload_stream(None, policy)
            .await
            .map_err(|err| failed(WHAT, err))?;
        sending.lock().unwrap_or_else(PoisonError::into_inner).push(Sending {
            handle: handle.clone(),
            bar: file.bar.clone(),
            size: file.opened.size,
            shown: 0,
        });
        let mut pieces = pieces(file.opened.clone());
        let mut given = 0;
        while let Some(piece) = pieces.recv().await {
            let piece = piece?;
            given += piece.len() as u64;
            self.api.shared.config.upward.take(piece.len()).await;
            handle.write(piece).await.map_err(|err| failed(WHAT, err))?;
        }
        if given != file.opened.size {
            // The thread has ended with a panic, which is no end of the file.
            return Err(Error::Panicked {
                message: "a file to upload was not read to its end".to_owned(),
            });
        }
        handle.finish().await.map_err(|err| failed(WHAT, err))
    }
}

/// Reads a source on a thread for that, a few pieces ahead.
fn pieces(opened: Arc<Opened>) -> tokio::sync::mpsc::Receiver<Result<Bytes>> {
    let (sender, receiver) = tokio::sync::mpsc::channel(PIECES_AHEAD);
    tokio::task::spawn_blocking(move || {
        let read = opened
            .check_unchanged()
            .and_then(|()| opened.pieces(0, opened.size, |piece| Ok(sender.blocking_send(Ok(piece)).is_ok())));
        if let Err(err) = read {
            // Nobody waits any more where the upload has failed already.
            let _ = sender.blocking_send(Err(err));
        }
    });
    receiver
}

/// What the library says of a file that it has, held against what was read.
fn stored(file: &Upload, read: &XetFileMetadata) -> Result<Stored> {
    let info = &read.xet_info;
    if info.file_size.is_some_and(|size| size != file.opened.size) {
        return Err(Error::Integrity {
            path: "an upload".to_owned(),
            expected: format!("{} bytes", file.opened.size),
            received: format!("{} bytes", info.file_size.unwrap_or_default()),
        });
    }
    let malformed = |what: &str| failed(WHAT, std::io::Error::other(format!("the library gave no {what}")));
    let sha256 = match file.hash {
        Hashing::Skip => None,
        Hashing::Known(sha256) => Some(sha256),
        Hashing::Compute => {
            let text = info.sha256.as_deref().ok_or_else(|| malformed("SHA-256"))?;
            Some(text.parse::<Sha256>()?)
        }
    };
    file.bar.deduplicated(read.dedup_metrics.deduped_bytes);
    Ok(Stored {
        hash: info.hash.parse().map_err(|_| malformed("hash"))?,
        sha256,
    })
}
