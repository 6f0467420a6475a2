//! A reply's body as it is wanted: decoded, and held against what was announced.

use std::collections::VecDeque;
use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;

use crate::error::{Error, Result, without_query};
use crate::request::Response;
use crate::transfer::xet;

/// Compressed input is given to the decoder in pieces of this size, so that a small one cannot fill the memory.
const PIECE: usize = 4096;

/// The bytes of a file, or of a range of it, as they arrive.
pub(super) struct Body {
    from: From,
    gzip: Option<MultiGzDecoder<Vec<u8>>>,
    input: Bytes,
    ready: VecDeque<Bytes>,
    /// Where the reply ends, if it said so.
    pub(super) end: Option<u64>,
    /// Whether it is the whole file, not a range that was asked for.
    pub(super) whole: bool,
}

/// Where bytes come from.
#[cfg_attr(
    not(feature = "xet"),
    expect(
        clippy::large_enum_variant,
        reason = "a build without Xet has one variant that can be made"
    )
)]
enum From {
    Reply(Response),
    Xet(xet::Stream),
}

impl From {
    async fn chunk(&mut self) -> Result<Option<Bytes>> {
        match self {
            Self::Reply(response) => response.chunk().await,
            Self::Xet(stream) => stream.next().await,
        }
    }
}

impl Body {
    /// What comes by Xet, up to `end`.
    pub(super) fn by_xet(stream: xet::Stream, end: u64, whole: bool) -> Self {
        Self {
            from: From::Xet(stream),
            gzip: None,
            input: Bytes::new(),
            ready: VecDeque::new(),
            end: Some(end),
            whole,
        }
    }

    pub(super) fn is_by_xet(&self) -> bool {
        matches!(self.from, From::Xet(_))
    }

    pub(super) fn new(response: Response, end: Option<u64>, whole: bool, gzip: bool) -> Self {
        Self {
            from: From::Reply(response),
            gzip: gzip.then(|| MultiGzDecoder::new(Vec::new())),
            input: Bytes::new(),
            ready: VecDeque::new(),
            end,
            whole,
        }
    }

    /// The next bytes, never none; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Ok(Some(bytes));
            }
            if self.gzip.is_some() && !self.input.is_empty() {
                let piece = self.input.split_to(self.input.len().min(PIECE));
                self.decode(Some(&piece))?;
                continue;
            }
            match self.from.chunk().await? {
                Some(bytes) if bytes.is_empty() => {}
                Some(bytes) if self.gzip.is_some() => self.input = bytes,
                Some(bytes) => return Ok(Some(bytes)),
                None if self.gzip.is_some() => {
                    self.decode(None)?;
                    self.gzip = None;
                }
                None => return Ok(self.ready.pop_front()),
            }
        }
    }

    /// Decodes a piece, or the end.
    fn decode(&mut self, piece: Option<&[u8]>) -> Result<()> {
        let Some(decoder) = &mut self.gzip else { return Ok(()) };
        let decoded = match piece {
            Some(piece) => decoder.write_all(piece),
            None => decoder.try_finish(),
        };
        let output = std::mem::take(decoder.get_mut());
        if !output.is_empty() {
            self.ready.push_back(output.into());
        }
        let url = match &self.from {
            From::Reply(response) => without_query(response.url()),
            From::Xet(_) => String::new(),
        };
        decoded.map_err(|err: io::Error| Error::Transport {
            url,
            source: err.into(),
        })
    }
}
