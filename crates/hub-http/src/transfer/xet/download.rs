//! A file's bytes, put together from the storage's chunks.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use hub_types::resolve::XetFileData;
use xet::xet_session::{XetDownloadStream, XetFileInfo};

use super::session::{failed, forget_reader, reader};
use crate::client::HfApi;
use crate::error::Result;
use crate::request::within;

const WHAT: &str = "a download";

/// The bytes of a file, or of a range of it, in order. Dropped, it fetches no more.
pub(crate) struct Stream {
    api: HfApi,
    route: String,
    inner: XetDownloadStream,
    /// What has come and was not handed over yet.
    ready: Bytes,
    /// What is still to come.
    left: u64,
    /// Without a byte for so long it has stalled.
    patience: Duration,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Stream {
    /// Opens a range of a file that has `size` bytes.
    pub(crate) async fn open(api: &HfApi, file: &XetFileData, size: u64, range: Range<u64>) -> Result<Self> {
        let route = &file.refresh_route;
        // Bytes come in lumps of up to 64 MiB, so that a slow link is silent for longer than plain HTTP is.
        let patience = api.shared.config.download_timeout.saturating_mul(6);
        let left = range.end - range.start;
        let opening = async {
            let reader = reader(api, route).await?;
            let info = XetFileInfo::new(file.file_hash.to_string(), size);
            let part = (left < size).then_some(range);
            reader
                .download_stream(info, part)
                .await
                .map_err(|err| failed(WHAT, err))
        };
        match in_time(patience, route, opening).await.flatten() {
            Ok(inner) => Ok(Self {
                api: api.clone(),
                route: route.clone(),
                inner,
                ready: Bytes::new(),
                left,
                patience,
            }),
            Err(err) => {
                forget_reader(api, route).await;
                Err(err)
            }
        }
    }

    /// The next bytes, never none; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let result = self.step().await;
        if result.is_err() {
            forget_reader(&self.api, &self.route).await;
        }
        result
    }

    async fn step(&mut self) -> Result<Option<Bytes>> {
        let limit = &self.api.shared.config.downward;
        loop {
            if !self.ready.is_empty() {
                let piece = limit.next_piece(&mut self.ready);
                limit.take(piece.len()).await;
                return Ok(Some(piece));
            }
            let next = in_time(self.patience, &self.route, self.inner.next()).await?;
            match next.map_err(|err| failed(WHAT, err))? {
                Some(bytes) => {
                    let received = bytes.len() as u64;
                    if received > self.left {
                        return Err(failed(WHAT, std::io::Error::other("more bytes came than the file has")));
                    }
                    self.left -= received;
                    self.ready = bytes;
                }
                None if self.left > 0 => {
                    let ended = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the file ended early");
                    return Err(failed(WHAT, ended));
                }
                None => return Ok(None),
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.inner.cancel();
    }
}

/// A stall of Xet is one of its failures.
async fn in_time<T>(patience: Duration, route: &str, work: impl Future<Output = T>) -> Result<T> {
    within(patience, route, work).await.map_err(|err| failed(WHAT, err))
}
