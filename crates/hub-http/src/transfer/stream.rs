//! A file's bytes in order, handed over as they come.

use std::sync::Arc;

use bytes::Bytes;

use super::FileSource;
use super::body::Body;
use super::origin::{Origin, Trouble};
use super::verify::{ContentHash, Hasher};
use crate::client::HfApi;
use crate::error::{Error, Result};

/// Reads from one offset to another, or to the file's end. A failure is met by asking again for what is missing.
///
/// A whole file is checked against its hash: what has been handed over cannot be taken back, but where it was wrong the
/// end is an error.
pub(crate) struct ByteReader {
    origin: Arc<Origin>,
    start: u64,
    position: u64,
    end: u64,
    total: Option<u64>,
    body: Option<Body>,
    /// What a reply holds in front of the position.
    skip: u64,
    failures: u32,
    done: bool,
    /// What the hash should be and is so far, where it is checked.
    hash: Option<(ContentHash, Hasher)>,
}

impl ByteReader {
    /// Begins at `start` and ends before `end`, or where the file does.
    pub(crate) fn new(api: &HfApi, source: FileSource, start: u64, end: Option<u64>) -> Self {
        // Its hash tells only at the end: that the file has changed meanwhile is told by the store's own word.
        let origin = Origin::new(api.clone(), source, false, false);
        Self::of(Arc::new(origin), start, end)
    }

    /// The same of a file that others read too: what one reply tells, all know.
    pub(crate) fn of(origin: Arc<Origin>, start: u64, end: Option<u64>) -> Self {
        Self {
            origin,
            start,
            position: start,
            end: end.unwrap_or(u64::MAX),
            total: None,
            body: None,
            skip: 0,
            failures: 0,
            done: false,
            hash: None,
        }
    }

    /// Before which place it ends; the largest number for the file's end.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The next bytes, `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        while !self.done && self.position < self.end {
            match self.step().await {
                Ok(Some(bytes)) => {
                    self.failures = 0;
                    return Ok(Some(bytes));
                }
                Ok(None) => {}
                Err(Trouble::Again(err)) => {
                    self.body = None;
                    self.failures += 1;
                    let Some(wait) = self.origin.api.shared.config.retry.wait_after(self.failures, &err) else {
                        return Err(err);
                    };
                    tracing::warn!(path = %self.origin.source.path, error = %err, at = self.position, "the download was interrupted, going on");
                    tokio::time::sleep(wait).await;
                }
                Err(Trouble::NotByXet(err)) => {
                    tracing::warn!(path = %self.origin.source.path, error = %err, at = self.position, "Xet has failed, going on over plain HTTP");
                    self.origin.leave_xet();
                    self.body = None;
                }
                Err(Trouble::Wrong(err)) if err.status() == Some(416) => {
                    let size = self.total.or_else(|| self.origin.known().size);
                    // Behind the last byte there is none. Anywhere else the file is no longer what it was.
                    if size.map_or(self.position > self.start, |size| self.position < size) {
                        let expected = size.map_or("more".to_owned(), |size| format!("{size} bytes"));
                        return Err(self.origin.integrity(expected, format!("{} bytes", self.position)));
                    }
                    self.finish()?;
                }
                Err(Trouble::Wrong(err) | Trouble::NoRanges(err) | Trouble::Fatal(err)) => return Err(err),
            }
        }
        Ok(None)
    }

    async fn step(&mut self) -> Result<Option<Bytes>, Trouble> {
        let body = match &mut self.body {
            Some(body) => body,
            None => {
                let all = self.position == 0 && self.end == u64::MAX;
                let range = (!all).then_some(self.position..self.end);
                let opened = self.origin.open(range).await?;
                self.total = self.total.or(opened.total);
                // A server that ignores ranges begins at the beginning.
                self.skip = if opened.body.whole { self.position } else { 0 };
                if all && self.origin.api.shared.config.verify {
                    self.hash = match (self.origin.content_hash(), self.total) {
                        (Some(expected), Some(total)) => Some((expected, Hasher::new(expected, total))),
                        _ => None,
                    };
                }
                self.body.insert(opened.body)
            }
        };
        let Some(mut bytes) = body.next().await? else {
            let expected = self.total.map_or(self.position, |total| total.min(self.end));
            if self.position >= expected {
                self.finish().map_err(Trouble::Wrong)?;
            } else if self.skip > 0 || body.end != Some(self.position) {
                return Err(Trouble::Again(
                    self.origin
                        .integrity(format!("{expected} bytes"), format!("{} bytes", self.position)),
                ));
            }
            self.body = None;
            return Ok(None);
        };
        let skipped = self.skip.min(bytes.len() as u64);
        self.skip -= skipped;
        let mut bytes = bytes.split_off(skipped as usize);
        let length = bytes.len() as u64;
        if let Some(total) = self.total
            && length > total.saturating_sub(self.position)
        {
            let expected = format!("{total} bytes");
            return Err(Trouble::Wrong(self.origin.integrity(expected, "more")));
        }
        let room = self.end - self.position;
        if length > room {
            bytes.truncate(room as usize);
        }
        self.position += bytes.len() as u64;
        if let Some((_, hasher)) = &mut self.hash {
            hasher.update(&bytes);
        }
        Ok((!bytes.is_empty()).then_some(bytes))
    }

    /// All bytes are there.
    fn finish(&mut self) -> Result<()> {
        self.done = true;
        self.body = None;
        if let Some((expected, hasher)) = self.hash.take() {
            let found = hasher.finish();
            if found != expected {
                return Err(self.origin.integrity(expected, found));
            }
        }
        Ok(())
    }

    /// Everything to the end.
    pub(crate) async fn read_all(mut self) -> Result<Bytes> {
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        let mut all: Option<Vec<u8>> = None;
        while let Some(bytes) = self.next().await? {
            all.get_or_insert_with(|| first.to_vec()).extend_from_slice(&bytes);
        }
        Ok(all.map_or(first, Bytes::from))
    }
}

/// Checks a half-open range.
pub(crate) fn check_range(start: u64, end: Option<u64>) -> Result<()> {
    match end {
        Some(end) if start >= end => Err(Error::from(hub_types::ValidationError::new(
            "byte range",
            format!("{start}..{end}"),
            "must end behind its start",
        ))),
        _ => Ok(()),
    }
}
