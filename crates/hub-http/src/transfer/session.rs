//! What the connections of one download share, and what each of them does.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::RuntimeFlavor;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, spawn_blocking};

use super::body::Body;
use super::growth::Seen;
use super::journal::{self, Journal};
use super::origin::{Origin, Trouble};
use super::plan::{Plan, Ranges, Segment};
use super::verify::Verifier;
use super::write::{BATCH, Batch, Partial, Pool};
use crate::error::{Error, Result};
use crate::fault;
use crate::progress::FileProgress;

/// The first range of a file that is asked for; the next ones take about as long as [`PIECE_SECONDS`].
pub(super) const FIRST_PIECE: u64 = 16 << 20;
const PIECE_SECONDS: f64 = 2.0;
/// How many times longer than its wait for the first byte a range takes, at least.
const PIECE_LATENCIES: f64 = 50.0;
const LEAST_PIECE: u64 = 8 << 20;
const MOST_PIECE: u64 = 256 << 20;
/// A journal is written after the first bytes, and then after so long: a process that ends in any way has lost no more.
const JOURNAL_TIME: Duration = Duration::from_millis(100);
/// How often bytes that no hash vouches for are synced: a loss of power takes no more.
const SYNC_TIME: Duration = Duration::from_secs(5);
/// The same, or after so many bytes, where a later process cannot tell whether the system has been started since.
const BLIND_SYNC_TIME: Duration = Duration::from_secs(2);
const BLIND_SYNC_BYTES: u64 = 64 << 20;
/// What has been gathered for so long is written, be it less than a batch.
const FLUSH_TIME: Duration = Duration::from_millis(500);
/// A write that takes longer than this is the disk's, not the page cache's: then other threads wait for it.
const SLOW_WRITE: Duration = Duration::from_millis(20);
/// So many batches are written by other threads then, before it is tried again.
const AFTER_SLOW_WRITE: u32 = 256;

pub(super) fn too_long(origin: &Origin, size: u64) -> Trouble {
    Trouble::Wrong(origin.integrity(format!("{size} bytes"), "more"))
}

pub(super) fn too_short(origin: &Origin, size: u64, received: u64) -> Trouble {
    Trouble::Again(origin.integrity(format!("{size} bytes"), format!("{received} bytes")))
}

/// One connection: fetches ranges until none is left for it.
pub(super) async fn lane(
    session: Arc<Session>,
    first: Option<(Arc<Segment>, Body)>,
    permit: Option<OwnedSemaphorePermit>,
) -> Result<(), Trouble> {
    let _count = LaneCount::new(session.clone());
    let mut first = first;
    let mut most = session.piece(None);
    loop {
        let (segment, mut body) = match first.take() {
            Some(first) => first,
            None => {
                let too_many = session.lanes.load(Ordering::Relaxed) > session.target.load(Ordering::Relaxed);
                if permit.is_some() && (too_many || session.origin.api.shared.connections.is_wanted()) {
                    return Ok(());
                }
                let segment = session.plan().take(most, true);
                let Some(segment) = segment else { return Ok(()) };
                let range = segment.start()..segment.end();
                match session.origin.open(Some(range)).await {
                    Ok(opened) if opened.body.whole => {
                        session.plan().leave(&segment);
                        let problem = "all of the file where a range was asked for";
                        return Err(Trouble::NoRanges(Error::malformed("the server", problem)));
                    }
                    Ok(opened) => (segment, opened.body),
                    Err(trouble) => {
                        session.plan().leave(&segment);
                        return Err(trouble);
                    }
                }
            }
        };
        let began = Instant::now();
        let result = session.pump(&segment, &mut body).await;
        session.plan().leave(&segment);
        result?;
        let rate = (segment.position() - segment.start()) as f64 / began.elapsed().as_secs_f64().max(0.001);
        most = session.piece(Some(rate));
    }
}

/// How much the first request of a connection asks for. What comes by Xet is all asked for at once: how many connections
/// that takes is for its library to say.
pub(super) fn first_piece(by_xet: bool) -> u64 {
    if by_xet { u64::MAX } else { FIRST_PIECE }
}

/// Counts the connections of a session.
struct LaneCount(Arc<Session>);

impl LaneCount {
    fn new(session: Arc<Session>) -> Self {
        session.lanes.fetch_add(1, Ordering::Relaxed);
        Self(session)
    }
}

impl Drop for LaneCount {
    fn drop(&mut self) {
        self.0.lanes.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What all connections of a download share: the file, its plan, its hash.
pub(super) struct Session {
    origin: Arc<Origin>,
    /// From a request to its reply.
    latency: Duration,
    path: PathBuf,
    pub(super) partial: Arc<Partial>,
    pool: Arc<Pool>,
    plan: Mutex<Plan>,
    pub(super) verifier: Option<Verifier>,
    pub(super) progress: Arc<FileProgress>,
    /// One permit for each write that may be under way.
    writes: Arc<Semaphore>,
    most_writes: u32,
    /// Whose turn it is to write where it has been received: the system lets one at a time into a file anyway, and who
    /// waits for that there keeps a processor busy.
    turn: tokio::sync::Mutex<()>,
    /// Whether there are other threads to go on while the one that receives writes.
    may_block: bool,
    /// How many batches are left to other threads, since writing was slow.
    elsewhere: AtomicU32,
    received: AtomicU64,
    /// For how long connections have waited for the file, in nanoseconds.
    held: AtomicU64,
    lanes: AtomicUsize,
    pub(super) target: AtomicUsize,
    journal: Mutex<Saved>,
}

/// The journal on disk.
pub(super) struct Saved {
    at: Option<Instant>,
    bytes: u64,
    synced: Ranges,
    synced_at: Instant,
    /// Whether there is to be one.
    wanted: bool,
}

impl Session {
    /// Opens the file. Blocks.
    pub(super) fn open(
        origin: Arc<Origin>,
        latency: Duration,
        path: PathBuf,
        total: Option<u64>,
        done: Ranges,
        progress: Arc<FileProgress>,
        connections: usize,
    ) -> std::io::Result<Self> {
        if done.is_empty() {
            Journal::remove(&path)?;
        }
        let partial = Arc::new(Partial::open(&path, !done.is_empty())?);
        if let Some(total) = total {
            partial.allocate(total)?;
        }
        fault::step("a partial file has its space");
        let verifier = match (origin.expected_hash(), total) {
            (Some(expected), Some(total)) => Some(Verifier::start(partial.clone(), expected, total, done.clone())?),
            _ => None,
        };
        // Another worker goes on meanwhile with what this one has to do.
        let runtime = tokio::runtime::Handle::current();
        let may_block = runtime.runtime_flavor() != RuntimeFlavor::CurrentThread && runtime.metrics().num_workers() > 1;
        let most_writes = u32::try_from(connections.saturating_mul(2))
            .unwrap_or(u32::MAX)
            .min(1024);
        let saved = Saved {
            // The first bytes are noted at once, unless that has to wait for the disk.
            at: (verifier.is_none() && journal::boot().is_none()).then(Instant::now),
            bytes: done.covered(),
            synced: Ranges::default(),
            synced_at: Instant::now(),
            wanted: true,
        };
        Ok(Self {
            origin,
            latency,
            path,
            partial,
            pool: Arc::default(),
            plan: Plan::new(total, done).into(),
            verifier,
            progress,
            writes: Arc::new(Semaphore::new(most_writes as usize)),
            most_writes,
            turn: ().into(),
            may_block,
            elsewhere: 0.into(),
            received: 0.into(),
            held: 0.into(),
            lanes: 0.into(),
            target: 1.into(),
            journal: saved.into(),
        })
    }

    /// How much a connection should ask for next, which brought `rate` bytes a second, or is to bring what others do.
    fn piece(&self, rate: Option<f64>) -> u64 {
        let by_xet = self.origin.is_by_xet();
        match rate.or_else(|| self.plan().rate()).filter(|_| !by_xet) {
            Some(rate) => {
                let seconds = PIECE_SECONDS.max(PIECE_LATENCIES * self.latency.as_secs_f64());
                ((rate * seconds) as u64).clamp(LEAST_PIECE, MOST_PIECE) / BATCH * BATCH
            }
            None => first_piece(by_xet),
        }
    }

    pub(super) fn plan(&self) -> MutexGuard<'_, Plan> {
        // Whoever panicked with the lock held had changed one field of plain data: it is still a plan.
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves bytes from a reply to the file, up to the segment's end.
    async fn pump(self: &Arc<Self>, segment: &Arc<Segment>, body: &mut Body) -> Result<(), Trouble> {
        let mut batch = Batch::new(segment.position(), &self.pool);
        let mut writing = None;
        let result = self.read(segment, body, &mut batch, &mut writing).await;
        if body.is_by_xet() && batch.end() > segment.start() {
            self.origin.came_by_xet();
        }
        if batch.len() > 0 {
            let last = self.submit(batch).await;
            wait_for(&mut writing).await?;
            writing = Some(last);
        }
        wait_for(&mut writing).await?;
        result
    }

    async fn read(
        self: &Arc<Self>,
        segment: &Arc<Segment>,
        body: &mut Body,
        batch: &mut Batch,
        writing: &mut Option<Writing>,
    ) -> Result<(), Trouble> {
        loop {
            let (at, end) = (batch.end(), segment.end());
            if at >= end {
                break;
            }
            match body.next().await.map_err(Trouble::from)? {
                Some(mut bytes) => {
                    let room = segment.end().saturating_sub(at);
                    if bytes.len() as u64 > room {
                        if body.whole && self.plan().total() == Some(segment.end()) {
                            return Err(too_long(&self.origin, segment.end()));
                        }
                        bytes.truncate(room as usize);
                    }
                    self.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    self.gather(&bytes, batch, writing).await?;
                    segment.arrived(batch.end());
                    if batch.len() > 0 && batch.age() >= FLUSH_TIME {
                        wait_for(writing).await?;
                        *writing = Some(self.submit(batch.take()).await);
                    }
                }
                None if end == u64::MAX => {
                    self.plan().ends_at(at);
                    return Ok(());
                }
                // The server gave less than was asked for, and said so.
                None if body.end == Some(at) && at > segment.start() => return Ok(()),
                None => return Err(too_short(&self.origin, end, at)),
            }
        }
        let all = body.whole && self.plan().total() == Some(batch.end());
        if all && body.next().await.map_err(Trouble::from)?.is_some() {
            return Err(too_long(&self.origin, batch.end()));
        }
        Ok(())
    }

    /// Adds bytes to the batch, and sends it off at each boundary.
    async fn gather(
        self: &Arc<Self>,
        mut bytes: &[u8],
        batch: &mut Batch,
        writing: &mut Option<Writing>,
    ) -> Result<(), Trouble> {
        while !bytes.is_empty() {
            let boundary = (batch.offset / BATCH + 1) * BATCH;
            let room = boundary - batch.end();
            let (now, later) = bytes.split_at(room.min(bytes.len() as u64) as usize);
            bytes = later;
            if (now.len() as u64) < room {
                batch.push(now);
                break;
            }
            let since = Instant::now();
            let is_quick = self.is_quick();
            if is_quick && batch.len() == 0 && self.verifier.is_none() {
                // Straight from where it lies: nobody needs a copy.
                self.write_here(writing, || self.put(now, batch.offset)).await?;
                batch.skip(room);
            } else {
                batch.push(now);
                let full = batch.take();
                match is_quick {
                    true => self.write_here(writing, || self.put_batch(full)).await?,
                    false => self.hand_over(full, writing).await?,
                }
            }
            self.held
                .fetch_add(since.elapsed().as_nanos() as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Has another thread write a full batch.
    async fn hand_over(self: &Arc<Self>, batch: Batch, writing: &mut Option<Writing>) -> Result<(), Trouble> {
        // Another connection may have counted meanwhile: it is about so many.
        let elsewhere = self.elsewhere.load(Ordering::Relaxed);
        self.elsewhere.store(elsewhere.saturating_sub(1), Ordering::Relaxed);
        // The one before is under way while this one was gathered: two at a time for each connection.
        wait_for(writing).await?;
        *writing = Some(self.submit(batch).await);
        Ok(())
    }

    /// Whether to write takes less time than to tell another thread, whose processor would have to fetch the bytes from
    /// this one. Into the page cache it does: 1 GiB over loopback takes 0.5 s instead of 0.8 s. Where the hash is behind,
    /// a write waits for it, and a journal may have to wait for the disk.
    fn is_quick(&self) -> bool {
        self.may_block
            && self.elsewhere.load(Ordering::Relaxed) == 0
            && self.verifier.as_ref().is_none_or(Verifier::has_room)
            && !self.is_journal_due()
    }

    /// Writes on this thread, in turn with others.
    async fn write_here(
        &self,
        writing: &mut Option<Writing>,
        write: impl FnOnce() -> std::io::Result<()>,
    ) -> Result<(), Trouble> {
        wait_for(writing).await?;
        let _turn = self.turn.lock().await;
        let began = Instant::now();
        write()?;
        if began.elapsed() > SLOW_WRITE {
            self.elsewhere.store(AFTER_SLOW_WRITE, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn submit(self: &Arc<Self>, batch: Batch) -> Writing {
        let permit = self.writes.clone().acquire_owned().await;
        let session = self.clone();
        spawn_blocking(move || {
            let _permit = permit;
            session.write(batch)
        })
    }

    /// Bytes for the file, from `offset` on.
    pub(super) fn batch(&self, offset: u64, chunks: &[Bytes]) -> Batch {
        let mut batch = Batch::new(offset, &self.pool);
        for chunk in chunks {
            batch.push(chunk);
        }
        batch
    }

    /// Writes a batch, tells everyone, and notes it in the journal if it is time to. Blocks.
    pub(super) fn write(&self, batch: Batch) -> std::io::Result<()> {
        self.put_batch(batch)?;
        self.save_if_due()
    }

    /// Writes a batch and tells everyone. Blocks.
    fn put_batch(&self, batch: Batch) -> std::io::Result<()> {
        self.put(&batch.bytes, batch.offset)?;
        if let Some(verifier) = &self.verifier {
            verifier.written(batch);
        }
        Ok(())
    }

    /// Writes bytes and tells everyone but the hash. Blocks.
    fn put(&self, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        self.partial.write(bytes, offset)?;
        let new = self.plan().written(offset..offset + bytes.len() as u64);
        self.progress.advance(new);
        fault::step("bytes are written");
        Ok(())
    }

    /// What has been done so far.
    pub(super) fn seen(&self) -> Seen {
        Seen {
            received: self.received.load(Ordering::Relaxed),
            held: Duration::from_nanos(self.held.load(Ordering::Relaxed)),
        }
    }

    /// Writes the journal if it is time to. Blocks.
    fn save_if_due(&self) -> std::io::Result<()> {
        // Another writer is saving: it will do.
        let Ok(mut saved) = self.journal.try_lock() else {
            return Ok(());
        };
        if self.is_due(&saved) {
            self.save(&mut saved, false)?;
        }
        Ok(())
    }

    fn is_due(&self, saved: &Saved) -> bool {
        let new = self.plan().done().covered().saturating_sub(saved.bytes);
        let (time, bytes) = match (&self.verifier, journal::boot()) {
            (None, None) => (BLIND_SYNC_TIME, BLIND_SYNC_BYTES),
            _ => (JOURNAL_TIME, u64::MAX),
        };
        saved.wanted && new > 0 && (new >= bytes || saved.at.is_none_or(|at| at.elapsed() >= time))
    }

    /// Whether it is time to write the journal, and nobody does.
    fn is_journal_due(&self) -> bool {
        self.journal.try_lock().is_ok_and(|saved| self.is_due(&saved))
    }

    /// Sees to it that the journal is written if it is time to and no write will do so.
    pub(super) fn save_behind(self: &Arc<Self>) {
        if self.is_journal_due() {
            let session = self.clone();
            spawn_blocking(move || {
                if let Err(err) = session.save_if_due() {
                    tracing::warn!(error = %err, "the journal of a download could not be written");
                }
            });
        }
    }

    /// Writes the journal; before the `last` one, which is for a later process, what no hash vouches for is synced.
    pub(super) fn save(&self, saved: &mut Saved, last: bool) -> std::io::Result<()> {
        let (total, done) = {
            let plan = self.plan();
            (plan.total(), plan.done().clone())
        };
        let Some(total) = total.filter(|_| !done.is_empty()) else {
            return Ok(());
        };
        if self.verifier.is_none() && (last || journal::boot().is_none() || saved.synced_at.elapsed() >= SYNC_TIME) {
            // Nothing but the disk itself vouches for these bytes.
            self.partial.sync()?;
            saved.synced = done.clone();
            saved.synced_at = Instant::now();
        }
        let known = self.origin.known();
        let etag = known.etag.map(|etag| etag.to_string());
        Journal::new(etag, known.validator, total, &done, &saved.synced).save(&self.path)?;
        fault::step("a journal is saved");
        saved.at = Some(Instant::now());
        saved.bytes = done.covered();
        Ok(())
    }

    pub(super) fn saved(&self) -> MutexGuard<'_, Saved> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for all writes that are under way.
    pub(super) async fn settle(&self) {
        // The semaphore is never closed, so this cannot fail.
        let _ = self.writes.acquire_many(self.most_writes).await;
    }

    /// The file is right and whole. Blocks.
    pub(super) fn complete(&self, total: u64, keep_journal: bool) -> std::io::Result<()> {
        self.saved().wanted = false;
        self.partial.set_len(total)?;
        match keep_journal {
            true => Ok(()),
            false => Journal::remove(&self.path),
        }
    }

    /// What has arrived is wrong, or of no use. Blocks.
    pub(super) fn discard(&self) -> std::io::Result<()> {
        self.saved().wanted = false;
        Journal::remove(&self.path)?;
        self.partial.discard()
    }

    /// Keeps what has arrived for later, if anything has. Blocks.
    pub(super) fn keep(&self) -> std::io::Result<()> {
        self.keep_synced(true)
    }

    fn keep_synced(&self, sync: bool) -> std::io::Result<()> {
        let useful = {
            let plan = self.plan();
            plan.total().is_some() && !plan.done().is_empty()
        };
        if !useful {
            return self.discard();
        }
        let mut saved = self.saved();
        self.save(&mut saved, sync)?;
        saved.wanted = false;
        Ok(())
    }
}

impl Drop for Session {
    /// A download that was dropped midway leaves its journal; a few hundred bytes. It is as a rule dropped on a thread that
    /// must not wait for the disk, so that nothing is synced now.
    fn drop(&mut self) {
        let wanted = self.saved().wanted;
        if wanted && let Err(err) = self.keep_synced(false) {
            tracing::warn!(error = %err, "the journal of an interrupted download could not be written");
        }
    }
}

type Writing = JoinHandle<std::io::Result<()>>;

async fn wait_for(writing: &mut Option<Writing>) -> Result<(), Trouble> {
    match writing.take() {
        None => Ok(()),
        Some(task) => match task.await {
            Ok(result) => Ok(result?),
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Err(_) => Err(Trouble::Fatal(Error::Aborted)),
        },
    }
}
