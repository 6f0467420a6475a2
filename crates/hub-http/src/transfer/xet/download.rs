//! A file's bytes, put together from the storage's chunks.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use hub_types::resolve::XetFileData;
use xet::xet_session::{XetDownloadStream, XetFileInfo};

use super::session::{failed, forget_reader, reader};
use crate::client::HfApi;
use crate::error::{Error, Result};

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
        let opened = match tokio::time::timeout(patience, opening).await {
            Ok(opened) => opened,
            Err(elapsed) => Err(stalled(route, elapsed)),
        };
        match opened {
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
            let next = tokio::time::timeout(self.patience, self.inner.next()).await;
            let next = next.map_err(|elapsed| stalled(&self.route, elapsed))?;
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

fn stalled(route: &str, elapsed: tokio::time::error::Elapsed) -> Error {
    failed(
        WHAT,
        Error::Timeout {
            url: crate::error::without_query(route),
            source: elapsed.into(),
        },
    )
}
