//! One download, from the first request to the checked file.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinSet;

use super::body::Body;
use super::growth::Growth;
use super::journal::Journal;
use super::origin::{Opened, Origin, Trouble};
use super::plan::{Ranges, Segment};
use super::session::{FIRST_PIECE, Session, first_piece, lane, too_long, too_short};
use super::verify::{self, Verifier};
use super::write::Partial;
use super::{FetchOptions, Fetched, FileSource};
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::fault;
use crate::progress::{FileProgress, Outcome, ProgressHandle};
use crate::runtime::blocking;

/// Files up to this size, in bytes, are gathered in memory, checked there and written at once.
pub const SMALL: u64 = 1 << 20;
/// Up to this size a hash takes less time than to have another thread compute it.
const TINY: u64 = 32 << 10;
/// Files up to this size are asked for as a whole: one plain request.
const WHOLE: u64 = 16 << 20;
/// How often it is looked whether more connections would help.
const TICK: Duration = Duration::from_millis(25);
/// For how long no other connection is tried once one was refused.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);

impl HfApi {
    /// Fetches a file's bytes into `partial`, checks them, and leaves the rest to the caller: giving the file its name.
    ///
    /// `partial` is created, or resumed as far as the journal beside it (`<partial>.journal`) tells and
    /// [`FetchOptions::resume`] allows; otherwise what is in it is lost. One call at a time may have it: the caller sees
    /// to that.
    ///
    /// On success all bytes are in the file, their number is the announced one, their hash is the one that the etag is
    /// (a SHA-256 or a git blob id; another etag leaves only the size to check), and the journal is gone. The file has
    /// not been synced: whoever needs it to survive a loss of power syncs it before the rename.
    ///
    /// After an error, or when the future is dropped, the file holds what had arrived and the journal says so; where
    /// nothing usable had arrived, there is no journal, and the file is empty, or gone if this call had made it.
    ///
    /// A small file of which etag and size are known takes one request. A large one is fetched in ranges, over as many
    /// connections as make it faster. A connection that is cut, stalls for the download timeout, or is told to come
    /// back later goes on where it stopped; only so many failures without a byte between them end the call. A server
    /// that ignores ranges, hides the size, compresses or lets an address expire is coped with; what turns out not to be
    /// the file is dropped and fetched once more from nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Integrity`] when what arrived is not what was announced; [`Error::Io`] when the file cannot be written;
    /// those of a request.
    pub async fn fetch_to_file(&self, source: &FileSource, partial: &Path, options: &FetchOptions) -> Result<Fetched> {
        let mut fetch = Box::new(Fetch::new(self, source, Target::File(partial.to_owned()), options));
        Box::pin(fetch.run(options.resume)).await
    }

    /// Fetches a small file into memory and checks it there: the chunks that it came in, and what is known of it.
    ///
    /// [`FileSource::size`] has to be known, and at most [`SMALL`] bytes. All else is as [`HfApi::fetch_to_file`] does it, but
    /// that a reply that is cut is asked for once more as a whole; nothing is kept after an error, and
    /// [`FetchOptions::resume`] and [`FetchOptions::keep_journal`] have no meaning.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a size that is not known or too large; [`Error::Integrity`] when what arrived is not what
    /// was announced; those of a request.
    pub async fn fetch_to_memory(&self, source: &FileSource, options: &FetchOptions) -> Result<(Fetched, Vec<Bytes>)> {
        if source.size.is_none_or(|size| size > SMALL) {
            let rule = format!("must be known and at most {SMALL} bytes for a fetch into memory");
            let shown = source
                .size
                .map_or_else(|| "unknown".to_owned(), |size| size.to_string());
            return Err(hub_types::ValidationError::new("size", shown, rule).into());
        }
        let mut fetch = Box::new(Fetch::new(self, source, Target::Memory(Vec::new()), options));
        let fetched = Box::pin(fetch.run(false)).await?;
        match fetch.target {
            Target::Memory(chunks) => Ok((fetched, chunks)),
            Target::File(_) => unreachable!("it was made for memory"),
        }
    }
}

/// Where the bytes go.
enum Target {
    /// Into this partial file.
    File(PathBuf),
    /// Here, once they are checked.
    Memory(Vec<Bytes>),
}

/// One call of [`HfApi::fetch_to_file`] or [`HfApi::fetch_to_memory`].
struct Fetch {
    api: HfApi,
    origin: Arc<Origin>,
    target: Target,
    connections: usize,
    handle: ProgressHandle,
    keep_journal: bool,
    progress: Option<Arc<FileProgress>>,
    session: Option<Arc<Session>>,
    /// Whether ranges may be asked for.
    ranges: bool,
    /// Whether it has begun from nothing once, because what had arrived was wrong.
    was_wrong: bool,
    /// Failures since a byte arrived that had not been there before.
    failures: u32,
    best: u64,
    resumed_from: u64,
    /// From the last request to its reply.
    latency: Duration,
}

impl Fetch {
    fn new(api: &HfApi, source: &FileSource, target: Target, options: &FetchOptions) -> Self {
        let api = api.telling(&options.progress);
        let config = &api.shared.config;
        let verify = options.verify.unwrap_or(config.verify);
        Self {
            origin: Arc::new(Origin::new(api.clone(), source.clone(), verify, options.listed)),
            target,
            connections: options.max_connections.unwrap_or(config.max_connections).max(1),
            api,
            handle: options.progress.clone(),
            keep_journal: options.keep_journal,
            progress: None,
            session: None,
            ranges: true,
            was_wrong: false,
            failures: 0,
            best: 0,
            resumed_from: 0,
            latency: Duration::ZERO,
        }
    }

    async fn run(&mut self, resume: bool) -> Result<Fetched> {
        let shared = self.api.shared.clone();
        let _permit = shared.connections.first().await;
        let mut there = match resume {
            true => self.resume().await?,
            false => None,
        };
        loop {
            let result = match there.take() {
                Some(fetched) => Ok(fetched),
                None => self.round().await,
            };
            let trouble = match result {
                Ok(fetched) => {
                    self.session = None;
                    if let Some(progress) = self.progress.take().and_then(Arc::into_inner) {
                        progress.finish(Outcome::Done);
                    }
                    return Ok(fetched);
                }
                Err(trouble) => trouble,
            };
            match trouble {
                Trouble::Again(err) => {
                    let covered = self.session.as_ref().map_or(0, |s| s.plan().done().covered());
                    if covered > self.best {
                        self.best = covered;
                        self.failures = 0;
                    }
                    self.failures += 1;
                    let Some(wait) = self.api.shared.config.retry.wait_after(self.failures, &err) else {
                        return self.give_up(err).await;
                    };
                    tracing::warn!(path = %self.origin.source.path, error = %err, at = covered, wait_ms = wait.as_millis() as u64, "the download was interrupted, going on");
                    match (&self.progress, self.origin.known().size) {
                        (Some(progress), _) => progress.retrying(self.failures, wait, &err),
                        (None, Some(size)) => self.report_start(Some(size)).retrying(self.failures, wait, &err),
                        (None, None) => self.handle.retrying(self.failures, wait, &err),
                    }
                    tokio::time::sleep(wait).await;
                }
                Trouble::NoRanges(err) if self.ranges => {
                    tracing::warn!(path = %self.origin.source.path, error = %err, "asking for the whole file instead of ranges");
                    self.ranges = false;
                    self.forget().await?;
                }
                Trouble::NotByXet(err) => {
                    self.origin.leave_xet();
                    let at = self.session.as_ref().map_or(0, |s| s.plan().done().covered());
                    tracing::warn!(path = %self.origin.source.path, error = %err, cause = %innermost(&err), at, "Xet has failed, going on over plain HTTP");
                }
                Trouble::Wrong(err) => {
                    self.origin.leave_xet();
                    self.forget().await?;
                    if std::mem::replace(&mut self.was_wrong, true) {
                        return Err(err);
                    }
                    tracing::warn!(path = %self.origin.source.path, error = %err, "fetching the file once more from nothing");
                }
                Trouble::NoRanges(err) | Trouble::Fatal(err) => return self.give_up(err).await,
            }
        }
    }

    /// Goes on from an earlier call's journal, if there is one of the same content. Gives the file where it is small and
    /// there already.
    async fn resume(&mut self) -> Result<Option<Fetched>> {
        let Target::File(path) = &self.target else {
            return Ok(None);
        };
        let path = path.clone();
        let partial = path.clone();
        let Some(journal) = blocking(move || Ok(Journal::load(&partial))).await? else {
            return self.small_and_there(path).await;
        };
        let etag = journal.etag.as_deref().and_then(|etag| etag.parse().ok());
        let source = &self.origin.source;
        let same_etag = match &source.etag {
            Some(expected) => etag.as_ref() == Some(expected),
            None => etag.is_some(),
        };
        if !same_etag || source.size.is_some_and(|size| size != journal.size) {
            return Ok(None);
        }
        self.origin.expect(etag, journal.validator.clone(), journal.size);
        let done = journal.done(self.origin.expected_hash().is_some());
        self.resumed_from = done.covered();
        self.best = self.resumed_from;
        self.begin(path, Some(journal.size), done).await?;
        Ok(None)
    }

    /// A small file that an earlier call has written whole: its hash tells.
    async fn small_and_there(&mut self, path: PathBuf) -> Result<Option<Fetched>> {
        let known = self.origin.known();
        let (Some(size), Some(expected)) = (known.size, self.origin.expected_hash()) else {
            return Ok(None);
        };
        if size == 0 || size > SMALL {
            return Ok(None);
        }
        let found = blocking(move || {
            if !fs_err::metadata(&path).is_ok_and(|meta| meta.len() == size) {
                return Ok(None);
            }
            let bytes = fs_err::read(&path).ok();
            Ok(bytes.map(|bytes| verify::of_chunks(expected, size, &[bytes.into()])))
        });
        let found = found.await?.filter(|found| *found == expected);
        if found.is_some() {
            self.resumed_from = size;
            self.report_start(Some(size)).restart(size);
        }
        Ok(found.map(|found| self.fetched(size, Some(found))))
    }

    /// Opens the file and starts what works on it.
    async fn begin(&mut self, path: PathBuf, total: Option<u64>, done: Ranges) -> Result<Arc<Session>> {
        let there = done.covered();
        let progress = match &self.progress {
            Some(progress) => progress.clone(),
            None => self.report_start(total),
        };
        if there > 0 {
            // Told apart from what comes in this run: a rate is of bytes that moved.
            progress.restart(there);
        }
        let (origin, connections) = (self.origin.clone(), self.connections);
        let latency = self.latency;
        let open = move || {
            Ok(Session::open(
                origin,
                latency,
                path,
                total,
                done,
                progress,
                connections,
            )?)
        };
        let session = blocking(open).await?;
        let session = Arc::new(session);
        self.session = Some(session.clone());
        Ok(session)
    }

    fn report_start(&mut self, total: Option<u64>) -> Arc<FileProgress> {
        let progress = Arc::new(self.handle.start(self.origin.source.path.as_str(), total));
        self.progress = Some(progress.clone());
        progress
    }

    /// Drops what has arrived.
    async fn forget(&mut self) -> Result<()> {
        if let Some(session) = self.session.take() {
            session.settle().await;
            blocking(move || Ok(session.discard()?)).await?;
        } else if let Target::File(path) = &self.target {
            let path = path.clone();
            blocking(move || Ok(Journal::remove(&path)?)).await?;
        }
        self.origin.forget();
        self.resumed_from = 0;
        if let Some(progress) = &self.progress {
            progress.restart(0);
        }
        Ok(())
    }

    /// Keeps what has arrived for a later call, and fails.
    async fn give_up(&mut self, err: Error) -> Result<Fetched> {
        if let Some(session) = self.session.take() {
            session.settle().await;
            blocking(move || Ok(session.keep()?)).await?;
        }
        Err(err)
    }

    async fn open(&mut self, range: Option<Range<u64>>) -> Result<Opened, Trouble> {
        // Made before the clock runs: how long that takes says nothing of the server.
        self.api.client(true).map_err(Trouble::Fatal)?;
        let asked = Instant::now();
        let opened = self.origin.open(range).await;
        self.latency = asked.elapsed();
        opened
    }

    /// From the next request to the end of the file, or to the next trouble.
    async fn round(&mut self) -> Result<Fetched, Trouble> {
        let restart = self.session.as_ref().is_some_and(|session| {
            // Without ranges, or without an end to name, nothing can be continued.
            let plan = session.plan();
            !plan.is_complete() && (!self.ranges || plan.total().is_none())
        });
        if restart {
            self.forget().await.map_err(Trouble::Fatal)?;
        }
        let Some(session) = self.session.clone() else {
            return self.fresh().await;
        };
        let by_xet = self.origin.is_by_xet();
        let next = session.plan().take(first_piece(by_xet), true);
        if let Some(segment) = next {
            let range = segment.start()..segment.end();
            let opened = match self.open(Some(range)).await {
                Ok(opened) => opened,
                Err(trouble) => {
                    session.plan().leave(&segment);
                    return Err(trouble);
                }
            };
            if opened.body.whole {
                // The server has ignored the range.
                self.ranges = false;
                self.forget().await.map_err(Trouble::Fatal)?;
                return self.whole(opened).await;
            }
            self.drive(&session, segment, opened.body, opened.ranges).await?;
        }
        self.finish(session).await
    }

    /// A download that has nothing yet.
    async fn fresh(&mut self) -> Result<Fetched, Trouble> {
        let size = self.origin.known().size;
        if size == Some(0) {
            self.report_start(size);
            return self.small(Vec::new(), 0).await;
        }
        let in_pieces = self.ranges && !self.origin.is_by_xet();
        let range = size.filter(|size| in_pieces && *size > WHOLE).map(|_| 0..FIRST_PIECE);
        let opened = self.open(range.clone()).await?;
        if opened.body.whole {
            if range.is_some() {
                self.ranges = false;
            }
            return self.whole(opened).await;
        }
        let session = self.begin_anew(&opened).await?;
        let segment = session
            .plan()
            .take(FIRST_PIECE, false)
            .expect("a range of a file that has bytes");
        self.drive(&session, segment, opened.body, opened.ranges).await?;
        self.finish(session).await
    }

    /// Opens the file for a reply that nothing has come of yet.
    async fn begin_anew(&mut self, opened: &Opened) -> Result<Arc<Session>, Trouble> {
        match &self.target {
            Target::File(path) => {
                let path = path.clone();
                let session = self.begin(path, opened.total, Ranges::default()).await;
                session.map_err(Trouble::Fatal)
            }
            // Each reply is held against the size that is known, so this one has none.
            Target::Memory(_) => Err(Trouble::Wrong(
                self.origin.integrity("a small file", "a reply of unknown size"),
            )),
        }
    }

    /// A reply that holds the whole file.
    async fn whole(&mut self, mut opened: Opened) -> Result<Fetched, Trouble> {
        if let Some(size) = opened.total.filter(|size| *size <= SMALL) {
            if self.progress.is_none() {
                self.report_start(Some(size));
            }
            let (mut chunks, mut length) = (Vec::new(), 0);
            let trouble = loop {
                match opened.body.next().await {
                    Ok(Some(bytes)) => {
                        length += bytes.len() as u64;
                        chunks.push(bytes);
                        if length > size {
                            return Err(self.too_long(size));
                        }
                    }
                    Ok(None) if length == size => {
                        if opened.body.is_by_xet() {
                            self.origin.came_by_xet();
                        }
                        return self.small(chunks, size).await;
                    }
                    Ok(None) => break self.too_short(size, length),
                    Err(err) => break err.into(),
                }
            };
            if let Target::Memory(_) = self.target {
                return Err(trouble);
            }
            let session = self.begin_anew(&opened).await?;
            if length > 0 {
                let work = session.clone();
                blocking(move || Ok(work.write(work.batch(0, &chunks))?))
                    .await
                    .map_err(Trouble::Fatal)?;
            }
            return Err(trouble);
        }
        let session = self.begin_anew(&opened).await?;
        let segment = session.plan().take(u64::MAX, false);
        if let Some(segment) = segment {
            let ranges = opened.ranges && self.ranges;
            self.drive(&session, segment, opened.body, ranges).await?;
        }
        self.finish(session).await
    }

    /// Checks a file that is in memory, and writes it where it is to lie in a file.
    async fn small(&mut self, arrived: Vec<Bytes>, size: u64) -> Result<Fetched, Trouble> {
        let expected = self.origin.expected_hash();
        let found = match &mut self.target {
            Target::Memory(chunks) if size <= TINY => {
                *chunks = arrived;
                expected.map(|expected| verify::of_chunks(expected, size, chunks))
            }
            Target::Memory(chunks) => {
                let work = blocking(move || {
                    let found = expected.map(|expected| verify::of_chunks(expected, size, &arrived));
                    Ok((arrived, found))
                });
                let found;
                (*chunks, found) = work.await.map_err(Trouble::Fatal)?;
                found
            }
            Target::File(path) => {
                let path = path.clone();
                let work = blocking(move || {
                    let found = expected.map(|expected| verify::of_chunks(expected, size, &arrived));
                    if expected == found {
                        let partial = Partial::open(&path, false)?;
                        partial.write(&arrived.concat(), 0)?;
                        fault::step("a small file is whole");
                        Journal::remove(&path)?;
                    }
                    Ok(found)
                });
                work.await.map_err(Trouble::Fatal)?
            }
        };
        if let (Some(expected), Some(found)) = (expected, found)
            && expected != found
        {
            return Err(Trouble::Wrong(self.origin.integrity(expected, found)));
        }
        if let Some(progress) = &self.progress {
            progress.advance(size);
        }
        Ok(self.fetched(size, found))
    }

    /// All bytes are there: are they the right ones?
    async fn finish(&mut self, session: Arc<Session>) -> Result<Fetched, Trouble> {
        session.settle().await;
        fault::step("all bytes are there");
        let keep = self.keep_journal;
        if keep && self.origin.expected_hash().is_some() {
            // Before the hash, which may take long: it is compared again if this process ends meanwhile.
            let work = session.clone();
            blocking(move || Ok(work.save(&mut work.saved(), false)?))
                .await
                .map_err(Trouble::Fatal)?;
        }
        let total = session.plan().total().unwrap_or_default();
        let expected = self.origin.expected_hash();
        let found = match (&session.verifier, expected) {
            (Some(verifier), _) => Some(verifier.finish().await?),
            // The size was not known before, and git hashes it first.
            (None, Some(expected)) => {
                let done = session.plan().done().clone();
                Some(
                    Verifier::start(session.partial.clone(), expected, total, done)?
                        .finish()
                        .await?,
                )
            }
            (None, None) => None,
        };
        if let (Some(expected), Some(found)) = (expected, found)
            && expected != found
        {
            return Err(Trouble::Wrong(self.origin.integrity(expected, found)));
        }
        let work = session.clone();
        blocking(move || Ok(work.complete(total, keep)?))
            .await
            .map_err(Trouble::Fatal)?;
        fault::step("the bytes are right");
        Ok(self.fetched(total, found))
    }

    fn fetched(&self, bytes: u64, found: Option<verify::ContentHash>) -> Fetched {
        let known = self.origin.known();
        Fetched {
            bytes,
            resumed_from: self.resumed_from,
            etag: known.etag,
            commit_hash: known.commit_hash,
            sha256: found.and_then(|hash| hash.as_sha256()),
            by_xet: known.by_xet,
        }
    }

    fn too_long(&self, size: u64) -> Trouble {
        too_long(&self.origin, size)
    }

    fn too_short(&self, size: u64, received: u64) -> Trouble {
        too_short(&self.origin, size, received)
    }

    /// Lets connections work until all bytes are there, or the last of them has failed.
    async fn drive(
        &mut self,
        session: &Arc<Session>,
        segment: Arc<Segment>,
        body: Body,
        ranges: bool,
    ) -> Result<(), Trouble> {
        let mut lanes = JoinSet::new();
        lanes.spawn(lane(session.clone(), Some((segment, body)), None));
        let mut growth = Growth::new(if ranges { self.connections } else { 1 }, self.latency);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        ticks.reset();
        loop {
            tokio::select! {
                ended = lanes.join_next() => {
                    let result = match ended {
                        Some(Ok(result)) => result,
                        Some(Err(panic)) if panic.is_panic() => std::panic::resume_unwind(panic.into_panic()),
                        Some(Err(_)) | None => Ok(()),
                    };
                    // Once all bytes are there it does not matter how a connection ended, unless it says that they are wrong.
                    if session.plan().is_complete() && !matches!(result, Err(Trouble::Wrong(_))) {
                        lanes.shutdown().await;
                        return Ok(());
                    }
                    match result {
                        Ok(()) if lanes.is_empty() => {
                            lanes.spawn(lane(session.clone(), None, None));
                        }
                        Ok(()) => {}
                        Err(Trouble::Again(err)) if !lanes.is_empty() => {
                            tracing::debug!(path = %self.origin.source.path, error = %err, left = lanes.len(), "a connection failed");
                            let wait = self.api.shared.config.retry.wait_after(1, &err).unwrap_or_default();
                            session.progress.retrying(1, wait, &err);
                            growth.retreat(lanes.len(), wait, Instant::now());
                        }
                        // A store may refuse so many connections while it serves those that are there.
                        Err(Trouble::Fatal(err)) if !lanes.is_empty() && err.status().is_some() => {
                            tracing::debug!(path = %self.origin.source.path, error = %err, left = lanes.len(), "a connection was refused");
                            growth.retreat(lanes.len(), AFTER_REFUSAL, Instant::now());
                        }
                        Err(trouble) => {
                            lanes.shutdown().await;
                            return Err(trouble);
                        }
                    }
                }
                _ = ticks.tick() => {
                    // The last bytes before a connection stalls are noted too.
                    session.save_behind();
                    if !ranges {
                        continue;
                    }
                    let target = growth.tick(session.seen(), Instant::now());
                    session.target.store(target, Ordering::Relaxed);
                    while lanes.len() < target && session.plan().has_work() {
                        let Some(permit) = self.api.shared.connections.more() else { break };
                        lanes.spawn(lane(session.clone(), None, Some(permit)));
                    }
                }
            }
        }
    }
}

/// The cause below all others.
fn innermost(err: &Error) -> String {
    let mut cause: &dyn std::error::Error = err;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
