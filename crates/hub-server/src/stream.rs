//! Bytes on their way: between the network, which waits, and files, which block.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use tokio::sync::mpsc;

use crate::app::App;
use crate::error::{Error, Result};
use crate::store::blobs::CHUNK;
use crate::store::{Store, hold};

/// How much of a body that no one wants is read, and for how long.
const DRAIN_BYTES: usize = 256 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(20);

/// Which bytes of a file were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    /// From the first number up to, without, the second.
    Part(u64, u64),
    /// None that there are (status 416).
    Nothing,
}

/// Reads a `Range` for a file of `size` bytes and this etag (in quotes).
///
/// Several ranges, and what is no range at all, count as none: RFC 9110 lets a server ignore them.
pub(crate) fn wanted(headers: &HeaderMap, size: u64, etag: &str) -> Wanted {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &http::HeaderValue| value.to_str().ok())
    };
    if text(header::IF_RANGE).is_some_and(|tag| tag != etag) {
        return Wanted::All;
    }
    let Some(range) = text(header::RANGE).and_then(|value| value.strip_prefix("bytes=")) else {
        return Wanted::All;
    };
    let Some((from, to)) = range.trim().split_once('-') else {
        return Wanted::All;
    };
    let (from, to) = (from.trim(), to.trim());
    if from.is_empty() {
        return match to.parse::<u64>() {
            Ok(0) => Wanted::Nothing,
            Ok(_) if size == 0 => Wanted::Nothing,
            Ok(last) => Wanted::Part(size.saturating_sub(last), size),
            Err(_) => Wanted::All,
        };
    }
    let Ok(from) = from.parse::<u64>() else {
        return Wanted::All;
    };
    let end = if to.is_empty() {
        size
    } else {
        match to.parse::<u64>() {
            Ok(to) if to < from => return Wanted::All,
            Ok(to) => size.min(to.saturating_add(1)),
            Err(_) => return Wanted::All,
        }
    };
    if from >= size {
        Wanted::Nothing
    } else {
        Wanted::Part(from, end)
    }
}

/// The bytes of a file from `from` up to, without, `to`.
pub(crate) fn file_body(path: PathBuf, from: u64, to: u64) -> Body {
    let (chunks, arriving) = mpsc::channel::<std::io::Result<Bytes>>(2);
    tokio::task::spawn_blocking(move || {
        let read = || -> std::io::Result<()> {
            let mut file = fs_err::File::open(&path)?;
            file.seek(SeekFrom::Start(from))?;
            let mut left = to - from;
            while left > 0 {
                let size = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
                let mut chunk = vec![0; size];
                file.read_exact(&mut chunk)?;
                left -= size as u64;
                if chunks.blocking_send(Ok(chunk.into())).is_err() {
                    // The client has gone.
                    break;
                }
            }
            Ok(())
        };
        if let Err(err) = read() {
            tracing::warn!(error = &err as &dyn std::error::Error, "a file could not be sent whole");
            let _ = chunks.blocking_send(Err(err));
        }
    });
    Body::from_stream(stream::unfold(arriving, async |mut arriving| {
        arriving.recv().await.map(|chunk| (chunk, arriving))
    }))
}

/// A body of up to this many bytes is taken whole before any of it is written.
const SMALL: u64 = 256 << 10;

/// Gives a body's bytes, as they arrive, to `sink` on a thread that may block; `end` is run when all have.
///
/// A body that breaks off is an error, and `end` is not run.
pub(crate) async fn receive<S: Send + 'static, T: Send + 'static>(
    app: &App,
    mut body: Body,
    size: u64,
    start: impl FnOnce(&Store) -> Result<S> + Send + 'static,
    mut write: impl FnMut(&mut S, &[u8]) -> Result<()> + Send + 'static,
    end: impl FnOnce(&Store, S) -> Result<T> + Send + 'static,
) -> Result<T> {
    if size <= SMALL {
        let broken = |_| Error::bad_request("the body broke off");
        let bytes = body.collect().await.map_err(broken)?.to_bytes();
        return app
            .run(move |store| {
                let mut sink = start(store)?;
                write(&mut sink, &bytes)?;
                end(store, sink)
            })
            .await;
    }
    let (chunks, mut arriving) = mpsc::channel::<Option<Bytes>>(4);
    let store = Arc::clone(app.store());
    let worker = crate::server::blocking(move || {
        let mut sink = start(&store)?;
        loop {
            match arriving.blocking_recv() {
                Some(Some(chunk)) => write(&mut sink, &chunk)?,
                Some(None) => return end(&store, sink),
                None => return Err(Error::bad_request("the body broke off")),
            }
        }
    });
    let sender = async move {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return };
            if let Ok(data) = frame.into_data()
                && chunks.send(Some(data)).await.is_err()
            {
                return;
            }
        }
        let _ = chunks.send(None).await;
    };
    let ((), done) = tokio::join!(sender, worker);
    done
}

/// A body that a handler may leave unread, and what is left of it.
pub(crate) fn shared(body: Body) -> (Body, Rest) {
    let body = Arc::new(Mutex::new(body));
    (Body::new(Shared(Arc::clone(&body))), Rest(body))
}

/// The body as the handler has it.
struct Shared(Arc<Mutex<Body>>);

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *hold(&self.0)).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        hold(&self.0).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        hold(&self.0).size_hint()
    }
}

/// What a handler has left of a body.
pub(crate) struct Rest(Arc<Mutex<Body>>);

impl Rest {
    /// Reads on to the end, within limits.
    ///
    /// Many clients send all of a body before they look for the reply. Were the connection closed on them in the middle,
    /// they would report that, and never see why the request was refused.
    pub(crate) async fn drain(self) {
        let mut left = DRAIN_BYTES;
        let mut body = Shared(self.0);
        let read = async {
            while let Some(Ok(frame)) = body.frame().await {
                let length = frame.data_ref().map_or(0, Bytes::len);
                match left.checked_sub(length) {
                    Some(less) => left = less,
                    None => break,
                }
            }
        };
        let _ = tokio::time::timeout(DRAIN_TIME, read).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_in_rfc_9110() {
        for (range, expected) in [
            ("bytes=0-0", Wanted::Part(0, 1)),
            ("bytes=5-", Wanted::Part(5, 10)),
            ("bytes=5-99", Wanted::Part(5, 10)),
            ("bytes=-3", Wanted::Part(7, 10)),
            ("bytes=-99", Wanted::Part(0, 10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-4", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=x", Wanted::All),
            ("lines=1-2", Wanted::All),
            ("bytes=0-18446744073709551615", Wanted::Part(0, 10)),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, range.parse().unwrap());
            assert_eq!(wanted(&headers, 10, "\"x\""), expected, "{range}");
            headers.insert(header::IF_RANGE, "\"other\"".parse().unwrap());
            assert_eq!(wanted(&headers, 10, "\"x\""), Wanted::All, "{range}");
        }
    }
}
