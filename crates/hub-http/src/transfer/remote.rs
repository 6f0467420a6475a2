//! A file on the Hub that is read in place: any part of it, in any order, without downloading the rest.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::stream::{self, TryStreamExt as _};
use hub_types::{CommitHash, Etag, RepoPath};
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};

use super::origin::Origin;
use super::stream::{ByteReader, check_range};
use crate::error::{Error, Result};
use crate::operation::BoxFuture;

/// What the first request of a reader asks for; each further one in a row asks for twice as much.
const FIRST_WINDOW: u64 = 128 << 10;
const LARGEST_WINDOW: u64 = 64 << 20;
/// What has been read and stays at hand for small steps back.
const KEPT: u64 = 1 << 20;
/// What lies between two places is read and dropped up to this size: that is faster than another request.
const GAP: u64 = 256 << 10;
/// Ranges that are fetched side by side.
const AT_ONCE: usize = 4;

/// A file on the Hub, opened by [`HfApi::open_file`](crate::HfApi::open_file). Cheap to clone.
///
/// It stays the file that was opened: the commit is settled then, and content that turns out to be another is an
/// error. A signed address is used for all reads until it expires, and is then asked for anew.
#[derive(Clone)]
pub struct RemoteFile {
    origin: Arc<Origin>,
    facts: Arc<Facts>,
}

struct Facts {
    size: u64,
    etag: Etag,
    commit_hash: CommitHash,
}

impl fmt::Debug for RemoteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteFile")
            .field("path", &self.path().as_str())
            .field("size", &self.size())
            .field("etag", self.etag())
            .field("commit_hash", self.commit_hash())
            .finish_non_exhaustive()
    }
}

impl RemoteFile {
    pub(crate) fn new(origin: Origin, size: u64, etag: Etag, commit_hash: CommitHash) -> Self {
        let facts = Facts {
            size,
            etag,
            commit_hash,
        };
        Self {
            origin: Arc::new(origin),
            facts: Arc::new(facts),
        }
    }

    /// The file's path in its repository.
    pub fn path(&self) -> &RepoPath {
        &self.origin.source.path
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.facts.size
    }

    /// Its content's id.
    pub fn etag(&self) -> &Etag {
        &self.facts.etag
    }

    /// The commit that the revision was when the file was opened.
    pub fn commit_hash(&self) -> &CommitHash {
        &self.facts.commit_hash
    }

    /// Reads `length` bytes from `offset` on; fewer where the file ends before. One request.
    ///
    /// # Errors
    ///
    /// Those of a request, and [`Error::Integrity`] when the file is no longer the one that was opened.
    pub async fn read_at(&self, offset: u64, length: u64) -> Result<Bytes> {
        let end = offset.saturating_add(length).min(self.size());
        if offset >= end {
            return Ok(Bytes::new());
        }
        let bytes = ByteReader::of(self.origin.clone(), offset, Some(end))
            .read_all()
            .await?;
        if (bytes.len() as u64) < end - offset {
            return Err(self.ended(offset + bytes.len() as u64));
        }
        Ok(bytes)
    }

    /// The file ended before its size says.
    fn ended(&self, position: u64) -> Error {
        self.origin
            .integrity(format!("{} bytes", self.size()), format!("{position} bytes"))
    }

    /// Reads several ranges. Those that lie close together come by one request, and a few requests run side by side.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a range that ends before its start or behind the file's end; as for
    /// [`RemoteFile::read_at`].
    pub async fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        for range in ranges {
            check_range(range.start, Some(range.end))?;
            if range.end > self.size() {
                let rule = format!("must end within the file's {} bytes", self.size());
                let shown = format!("{}..{}", range.start, range.end);
                return Err(hub_types::ValidationError::new("byte range", shown, rule).into());
            }
        }
        let fetched: Vec<(Range<u64>, Bytes)> = stream::iter(merged(ranges).into_iter().map(Ok::<_, Error>))
            .map_ok(|range| self.fetch(range))
            .try_buffered(AT_ONCE)
            .try_collect()
            .await?;
        let part = |range: &Range<u64>| {
            let found = fetched
                .iter()
                .find(|(whole, _)| whole.start <= range.start && range.end <= whole.end);
            let (whole, bytes) = found.expect("every range is part of a merged one");
            bytes.slice((range.start - whole.start) as usize..(range.end - whole.start) as usize)
        };
        Ok(ranges.iter().map(part).collect())
    }

    fn fetch(&self, range: Range<u64>) -> BoxFuture<Result<(Range<u64>, Bytes)>> {
        let file = self.clone();
        Box::pin(async move {
            let bytes = file.read_at(range.start, range.end - range.start).await?;
            Ok((range, bytes))
        })
    }

    /// A reader that begins at the file's start.
    pub fn reader(&self) -> RemoteReader {
        RemoteReader {
            file: self.clone(),
            position: 0,
            kept: VecDeque::new(),
            stream: None,
            window: FIRST_WINDOW,
            fetching: None,
        }
    }

    /// A reader for code that blocks. Safe inside an async runtime too, where it blocks the calling thread.
    #[cfg(feature = "blocking")]
    pub fn blocking_reader(&self) -> BlockingReader {
        BlockingReader {
            reader: Some(self.reader()),
        }
    }
}

/// The ranges in order, those with little between them as one.
fn merged(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut sorted = ranges.to_vec();
    sorted.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP) => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// Reads a [`RemoteFile`] as a file: [`AsyncRead`] and [`AsyncSeek`].
///
/// Bytes are handed over as they come, so that a reader takes a megabyte or two of memory whatever the file's size.
/// Reading on asks for more and more at a time; a step back of up to a megabyte, and a small step forward, cost no
/// request.
pub struct RemoteReader {
    file: RemoteFile,
    position: u64,
    /// What was read last, each piece with its place, one behind the other.
    kept: VecDeque<(u64, Bytes)>,
    /// The reply that is being read, and its place.
    stream: Option<(u64, ByteReader)>,
    window: u64,
    fetching: Option<BoxFuture<Fetched>>,
}

/// The reply with its place behind what came, and what came, each piece with its place.
type Fetched = (Option<(u64, ByteReader)>, Result<Vec<(u64, Bytes)>>);

impl fmt::Debug for RemoteReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteReader")
            .field("file", &self.file)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl RemoteReader {
    /// Where the next byte comes from.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The bytes at the position that are at hand.
    fn at_hand(&self) -> Option<Bytes> {
        let (at, bytes) = self
            .kept
            .iter()
            .find(|(at, bytes)| (*at..at + bytes.len() as u64).contains(&self.position))?;
        Some(bytes.slice((self.position - at) as usize..))
    }

    /// Moves bytes that are at hand; nothing where none are, and at the file's end.
    fn take(&mut self, room: usize) -> Option<Bytes> {
        if self.position >= self.file.size() || room == 0 {
            return Some(Bytes::new());
        }
        let bytes = self.at_hand()?;
        let bytes = bytes.slice(..bytes.len().min(room));
        self.position += bytes.len() as u64;
        Some(bytes)
    }

    /// Keeps what came for steps back, as much as fits.
    fn keep(&mut self, at: u64, bytes: Bytes) {
        let follows = self
            .kept
            .back()
            .is_some_and(|(last, kept)| last + kept.len() as u64 == at);
        if !follows {
            self.kept.clear();
        }
        self.kept.push_back((at, bytes));
        let total = |kept: &VecDeque<(u64, Bytes)>| kept.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
        while self.kept.len() > 1 && total(&self.kept) > KEPT {
            self.kept.pop_front();
        }
    }

    /// The next piece at the position, from the reply that is open or from a new one.
    fn fetch(&mut self) -> BoxFuture<Fetched> {
        let position = self.position;
        let open = self
            .stream
            .take()
            .filter(|(at, _)| *at <= position && position - at <= GAP);
        let stream = match open {
            Some(open) => open,
            None => {
                let reads_on = self
                    .kept
                    .back()
                    .is_some_and(|(at, bytes)| at + bytes.len() as u64 == position);
                self.window = match reads_on {
                    true => self.window.saturating_mul(2).min(LARGEST_WINDOW),
                    false => FIRST_WINDOW,
                };
                let end = position.saturating_add(self.window).min(self.file.size());
                (position, ByteReader::of(self.file.origin.clone(), position, Some(end)))
            }
        };
        let file = self.file.clone();
        Box::pin(async move {
            let (mut at, mut reader) = stream;
            // What is passed over on the way is kept too: a step back may want it.
            let mut pieces = Vec::new();
            while at <= position {
                match reader.next().await {
                    Ok(Some(bytes)) => {
                        let next = at + bytes.len() as u64;
                        pieces.push((at, bytes));
                        at = next;
                    }
                    // What was asked for ends here, or the file does, too early.
                    Ok(None) if at >= reader.end() => return (None, Ok(pieces)),
                    Ok(None) => return (None, Err(file.ended(at))),
                    Err(err) => return (None, Err(err)),
                }
            }
            (Some((at, reader)), Ok(pieces))
        })
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut fetching = match self.fetching.take() {
            Some(fetching) => fetching,
            None => self.fetch(),
        };
        let Poll::Ready((stream, came)) = fetching.as_mut().poll(cx) else {
            self.fetching = Some(fetching);
            return Poll::Pending;
        };
        self.stream = stream;
        Poll::Ready(came.map(|pieces| {
            for (at, bytes) in pieces {
                self.keep(at, bytes);
            }
        }))
    }
}

impl AsyncRead for RemoteReader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Some(bytes) = self.take(buf.remaining()) {
                buf.put_slice(&bytes);
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_more(cx)).map_err(io::Error::other)?;
        }
    }
}

impl AsyncSeek for RemoteReader {
    fn start_seek(mut self: Pin<&mut Self>, to: SeekFrom) -> io::Result<()> {
        // What was asked for at the old place is not wanted any more.
        self.fetching = None;
        self.position = sought(to, self.position, self.file.size())?;
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Ok(self.position))
    }
}

/// A place behind the end is allowed, as in any file; one before the start is not.
fn sought(to: SeekFrom, position: u64, size: u64) -> io::Result<u64> {
    let place = match to {
        SeekFrom::Start(place) => Some(place),
        SeekFrom::End(step) => size.checked_add_signed(step),
        SeekFrom::Current(step) => position.checked_add_signed(step),
    };
    place.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a place before the file's start"))
}

/// Reads a [`RemoteFile`] as a file, for code that blocks: [`Read`](io::Read) and [`Seek`](io::Seek).
#[cfg(feature = "blocking")]
#[derive(Debug)]
pub struct BlockingReader {
    /// Away only while a read is under way.
    reader: Option<RemoteReader>,
}

#[cfg(feature = "blocking")]
impl BlockingReader {
    fn reader(&mut self) -> io::Result<&mut RemoteReader> {
        self.reader
            .as_mut()
            .ok_or_else(|| io::Error::other("an earlier read of this file ended with a panic"))
    }
}

#[cfg(feature = "blocking")]
impl io::Read for BlockingReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let reader = self.reader()?;
            if let Some(bytes) = reader.take(buf.len()) {
                buf[..bytes.len()].copy_from_slice(&bytes);
                return Ok(bytes.len());
            }
            let Some(mut reader) = self.reader.take() else { continue };
            let (reader, more) = crate::runtime::wait(async move {
                let more = std::future::poll_fn(|cx| reader.poll_more(cx)).await;
                (reader, more)
            });
            self.reader = Some(reader);
            more.map_err(io::Error::other)?;
        }
    }
}

#[cfg(feature = "blocking")]
impl io::Seek for BlockingReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let reader = self.reader()?;
        Pin::new(&mut *reader).start_seek(to)?;
        Ok(reader.position)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
    use wiremock::matchers::any;
    use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

    use super::*;
    use crate::client::HfApi;

    const COMMIT: &str = "8f1f7d9c3f7f2a0f4e5b6c7d8e9fa0b1c2d3e4f5";

    /// A Hub with one file, which can be changed.
    #[derive(Clone)]
    struct Hub {
        content: Arc<Mutex<Vec<u8>>>,
        asked: Arc<Mutex<Vec<String>>>,
        changed: Arc<AtomicBool>,
    }

    impl Respond for Hub {
        fn respond(&self, request: &Request) -> ResponseTemplate {
            let content = self.content.lock().unwrap();
            let range = request
                .headers
                .get("range")
                .map(|value| value.to_str().unwrap().to_owned());
            let shown = range.as_deref().unwrap_or("all").to_owned();
            self.asked.lock().unwrap().push(format!("{} {shown}", request.method));
            let etag = match self.changed.load(Ordering::Relaxed) {
                true => "\"other\"",
                false => "\"one\"",
            };
            let reply = ResponseTemplate::new(if range.is_some() { 206 } else { 200 })
                .insert_header("etag", etag)
                .insert_header("accept-ranges", "bytes")
                .insert_header("x-repo-commit", COMMIT);
            if request.method.as_str() == "HEAD" {
                return reply.insert_header("x-linked-size", content.len().to_string().as_str());
            }
            let Some(range) = range else {
                return reply.set_body_bytes(content.clone());
            };
            let (start, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            let (start, last): (usize, usize) = (start.parse().unwrap(), last.parse().unwrap());
            let part = format!("bytes {start}-{last}/{}", content.len());
            reply
                .insert_header("content-range", part.as_str())
                .set_body_bytes(content[start..=last].to_vec())
        }
    }

    impl Hub {
        fn asked(&self) -> Vec<String> {
            std::mem::take(&mut *self.asked.lock().unwrap())
        }
    }

    fn bytes(size: usize) -> Vec<u8> {
        (0..size as u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect()
    }

    async fn open(content: &[u8]) -> (MockServer, Hub, RemoteFile) {
        let hub = Hub {
            content: Arc::new(Mutex::new(content.to_vec())),
            asked: Arc::default(),
            changed: Arc::default(),
        };
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(hub.clone()).mount(&server).await;
        let api = HfApi::builder().endpoint(server.uri()).build().unwrap();
        let file = api.open_file("ada/demo", "a.bin").await.unwrap();
        assert_eq!(hub.asked(), ["HEAD all"]);
        (server, hub, file)
    }

    #[tokio::test]
    async fn reading_on_asks_for_more_and_more_at_a_time() {
        let content = bytes(5_000_000);
        let (_server, hub, file) = open(&content).await;
        assert_eq!((file.size(), file.commit_hash().as_str()), (5_000_000, COMMIT));
        let mut all = Vec::new();
        file.reader().read_to_end(&mut all).await.unwrap();
        assert!(all == content);
        let asked = hub.asked();
        assert_eq!(asked[0], "GET bytes=0-131071");
        assert_eq!(asked[1], "GET bytes=131072-393215");
        // 128 KiB, and twice as much each time: 128 * (2^6 - 1) KiB is more than all of it.
        assert_eq!(asked.len(), 6, "{asked:?}");
    }

    #[tokio::test]
    async fn small_steps_cost_no_request_and_large_ones_one() {
        let content = bytes(3_000_000);
        let (_server, hub, file) = open(&content).await;
        let mut reader = file.reader();
        let mut piece = [0; 1000];
        reader.read_exact(&mut piece).await.unwrap();
        for place in [500_u64, 0, 60_000, 100_000, 2000] {
            reader.seek(SeekFrom::Start(place)).await.unwrap();
            reader.read_exact(&mut piece).await.unwrap();
            assert_eq!(piece[..], content[place as usize..][..1000]);
        }
        assert_eq!(hub.asked().len(), 1);
        reader.seek(SeekFrom::End(-1000)).await.unwrap();
        reader.read_exact(&mut piece).await.unwrap();
        assert_eq!(piece[..], content[2_999_000..]);
        assert_eq!(hub.asked(), ["GET bytes=2999000-2999999"]);
        assert_eq!(reader.read(&mut piece).await.unwrap(), 0);
        reader.seek(SeekFrom::Start(9_000_000)).await.unwrap();
        assert_eq!(reader.read(&mut piece).await.unwrap(), 0);
        assert!(reader.seek(SeekFrom::Current(-9_000_001)).await.is_err());
        assert!(hub.asked().is_empty());
    }

    #[tokio::test]
    async fn ranges_that_lie_close_come_by_one_request() {
        let content = bytes(2_000_000);
        let (_server, hub, file) = open(&content).await;
        let ranges = [1_900_000..1_900_010, 0..4, 100_000..100_004, 2..8];
        let found = file.read_ranges(&ranges).await.unwrap();
        for (range, found) in ranges.iter().zip(&found) {
            assert_eq!(found[..], content[range.start as usize..range.end as usize]);
        }
        let mut asked = hub.asked();
        asked.sort();
        assert_eq!(asked, ["GET bytes=0-100003", "GET bytes=1900000-1900009"]);
        assert_eq!(file.read_at(1_999_999, 500).await.unwrap()[..], content[1_999_999..]);
        assert_eq!(file.read_at(2_000_000, 5).await.unwrap().len(), 0);
        for bad in [5..5, Range { start: 9, end: 3 }, 0..2_000_001] {
            assert!(matches!(file.read_ranges(&[bad]).await, Err(Error::Invalid(_))));
        }
    }

    #[tokio::test]
    async fn a_file_that_changes_is_an_error() {
        let (_server, hub, file) = open(&bytes(1_000_000)).await;
        let mut reader = file.reader();
        let mut piece = vec![0; 200_000];
        reader.read_exact(&mut piece).await.unwrap();
        hub.changed.store(true, Ordering::Relaxed);
        let err = file.read_at(0, 10).await.unwrap_err();
        assert!(matches!(err, Error::Integrity { .. }), "{err}");
        let err = reader.read_to_end(&mut piece).await.unwrap_err();
        let err = err.get_ref().unwrap().downcast_ref::<Error>().unwrap();
        assert!(matches!(err, Error::Integrity { .. }), "{err}");
    }

    #[tokio::test]
    async fn an_empty_file_is_read_without_a_request() {
        let (_server, hub, file) = open(b"").await;
        let mut all = Vec::new();
        file.reader().read_to_end(&mut all).await.unwrap();
        assert!(all.is_empty() && hub.asked().is_empty());
    }

    #[cfg(feature = "blocking")]
    #[tokio::test(flavor = "multi_thread")]
    async fn blocking_code_reads_the_same() {
        let content = bytes(1_000_000);
        let (_server, _hub, file) = open(&content).await;
        let found = tokio::task::spawn_blocking(move || {
            let mut reader = file.blocking_reader();
            let mut all = Vec::new();
            reader.read_to_end(&mut all).unwrap();
            reader.seek(SeekFrom::Start(10)).unwrap();
            let mut piece = [0; 5];
            reader.read_exact(&mut piece).unwrap();
            assert_eq!(piece[..], all[10..15]);
            all
        });
        assert!(found.await.unwrap() == content);
    }
}
