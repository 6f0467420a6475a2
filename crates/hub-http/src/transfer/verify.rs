//! The hash of what arrives, computed in order on a thread of its own.
//!
//! What has just been written and is next in order is hashed from the buffers that it was written from: whoever brings more
//! of it than this thread can hash waits, for the file is not there before its hash is. What arrived out of order is read
//! back from the file when its turn comes, from the page cache as a rule, and nobody waits. So memory is bounded.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hub_types::{Etag, GitOid, GitOidHasher, Sha256, Sha256Hasher};
use tokio::sync::oneshot;

use super::plan::Ranges;
use super::write::{BATCH, Batch, Partial};

/// A content hash: expected or found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentHash {
    Sha256(Sha256),
    GitOid(GitOid),
}

impl ContentHash {
    /// The hash that an etag is, if it is one.
    pub(super) fn of_etag(etag: &Etag) -> Option<Self> {
        (etag.as_sha256().map(Self::Sha256)).or_else(|| etag.as_git_oid().map(Self::GitOid))
    }

    pub(super) fn as_sha256(&self) -> Option<Sha256> {
        match self {
            Self::Sha256(hash) => Some(*hash),
            Self::GitOid(_) => None,
        }
    }
}

impl std::fmt::Display for ContentHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sha256(hash) => write!(f, "sha256 {hash}"),
            Self::GitOid(oid) => write!(f, "git blob {oid}"),
        }
    }
}

/// Computes a hash of the kind that is expected.
pub(super) enum Hasher {
    Sha256(Sha256Hasher),
    GitOid(GitOidHasher),
}

impl Hasher {
    pub(super) fn new(expected: ContentHash, size: u64) -> Self {
        match expected {
            ContentHash::Sha256(_) => Self::Sha256(Sha256Hasher::new()),
            ContentHash::GitOid(_) => Self::GitOid(GitOidHasher::new(size)),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::GitOid(hasher) => hasher.update(bytes),
        }
    }

    pub(super) fn finish(self) -> ContentHash {
        match self {
            Self::Sha256(hasher) => ContentHash::Sha256(hasher.finish()),
            Self::GitOid(hasher) => ContentHash::GitOid(hasher.finish()),
        }
    }
}

/// How much may lie in memory, waiting to be hashed.
const MOST_WAITING: u64 = 16 << 20;
/// Down to how much it is hashed before more is taken, once it was too much.
const LITTLE_WAITING: u64 = 8 << 20;
/// How much is read back from the file at a time.
const READ_BACK: u64 = 1 << 20;

#[derive(Default)]
struct State {
    /// What is in the file.
    written: Ranges,
    /// What is in memory too, by its offset.
    waiting: BTreeMap<u64, Batch>,
    waiting_bytes: u64,
    /// How far the hash is.
    position: u64,
    stopped: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// There is room for more in memory.
    room: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of another thread while it had the lock leaves plain numbers behind, each valid by itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is hashed any more, and nobody waits for that.
    fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
        self.room.notify_all();
    }
}

/// Ends the waiting of others however the thread ends.
struct Stop<'a>(&'a Shared);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// The thread that hashes one file. Dropping it ends the thread.
pub(super) struct Verifier {
    shared: Arc<Shared>,
    result: Mutex<Option<oneshot::Receiver<io::Result<ContentHash>>>>,
}

impl Verifier {
    /// Starts the thread for a file of `size` bytes, of which `written` are there.
    pub(super) fn start(partial: Arc<Partial>, expected: ContentHash, size: u64, written: Ranges) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                written,
                ..State::default()
            }),
            changed: Condvar::new(),
            room: Condvar::new(),
        });
        let (sender, result) = oneshot::channel();
        let work = shared.clone();
        std::thread::Builder::new().name("hub-hash".to_owned()).spawn(move || {
            if let Some(found) = hash(&work, &partial, Hasher::new(expected, size), size).transpose() {
                // Nobody waits for it any more when the download has failed meanwhile.
                let _ = sender.send(found);
            }
        })?;
        Ok(Self {
            shared,
            result: Mutex::new(Some(result)),
        })
    }

    /// The batch has been written. Blocks while it is next in order and there is no room for it.
    pub(super) fn written(&self, batch: Batch) {
        let mut state = self.shared.lock();
        state.written.insert(batch.offset..batch.end());
        // Once it is full, much of it is to be hashed before more comes: threads that wake each other for every batch take
        // turns at the pace of a busy machine.
        let full = state.waiting_bytes + batch.room() > MOST_WAITING;
        while full
            && state.waiting_bytes > LITTLE_WAITING
            && state
                .written
                .run_end(state.position)
                .is_some_and(|end| end >= batch.end())
            && batch.offset >= state.position
            && !state.stopped
        {
            self.shared.changed.notify_one();
            state = self.shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let next = state.position + MOST_WAITING;
        if batch.offset >= state.position && batch.end() <= next && state.waiting_bytes + batch.room() <= MOST_WAITING {
            state.waiting_bytes += batch.room();
            if let Some(old) = state.waiting.insert(batch.offset, batch) {
                state.waiting_bytes -= old.room();
            }
        }
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Whether the next batch would be taken without a wait.
    pub(super) fn has_room(&self) -> bool {
        self.shared.lock().waiting_bytes + BATCH <= MOST_WAITING
    }

    /// Waits for the hash of the whole file. All of it must have been written.
    pub(super) async fn finish(&self) -> io::Result<ContentHash> {
        let ended = || io::Error::other("the thread that hashes has ended unexpectedly");
        let result = self.result.lock().ok().and_then(|mut result| result.take());
        result.ok_or_else(ended)?.await.map_err(|_| ended())?
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

enum Next {
    Memory(Batch),
    File(u64),
}

/// The thread's work; `None` when it was stopped.
fn hash(shared: &Shared, partial: &Partial, mut hasher: Hasher, size: u64) -> io::Result<Option<ContentHash>> {
    let _stop = Stop(shared);
    let mut buffer = Vec::new();
    let mut position = 0;
    while position < size {
        match next(shared, position) {
            None => return Ok(None),
            Some(Next::Memory(batch)) => {
                hasher.update(&batch.bytes);
                position = batch.end();
            }
            Some(Next::File(end)) => {
                let length = (end.min(size) - position).min(READ_BACK) as usize;
                buffer.resize(length, 0);
                partial.read(&mut buffer, position)?;
                hasher.update(&buffer);
                position += length as u64;
            }
        }
    }
    Ok(Some(hasher.finish()))
}

/// Waits until the bytes at `position` are there; `None` when it is stopped.
fn next(shared: &Shared, position: u64) -> Option<Next> {
    let mut state = shared.lock();
    state.position = position;
    loop {
        if state.stopped {
            return None;
        }
        while let Some(entry) = state.waiting.first_entry() {
            if *entry.key() > position {
                break;
            }
            let (offset, batch) = entry.remove_entry();
            state.waiting_bytes -= batch.room();
            if state.waiting_bytes <= LITTLE_WAITING {
                shared.room.notify_all();
            }
            if offset == position {
                return Some(Next::Memory(batch));
            }
        }
        if let Some(mut end) = state.written.run_end(position) {
            // Up to what lies in memory, which is cheaper.
            if let Some((offset, _)) = state.waiting.first_key_value() {
                end = end.min(*offset);
            }
            return Some(Next::File(end));
        }
        // What lies in memory is behind a gap, which somebody who waits for room may be about to fill.
        shared.room.notify_all();
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Hashes what is in memory. For small files, before they are written.
pub(super) fn of_chunks(expected: ContentHash, size: u64, chunks: &[Bytes]) -> ContentHash {
    let mut hasher = Hasher::new(expected, size);
    for chunk in chunks {
        hasher.update(chunk);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn order_and_overlap_do_not_matter(length in 1usize..50_000, parts in prop::collection::vec((0usize..50_000, 1usize..20_000), 0..20), resumed in 0usize..50_000) {
            let content: Vec<u8> = (0..length).map(|n| (n * 7 + n / 251) as u8).collect();
            let dir = tempfile::tempdir().unwrap();
            let partial = Arc::new(Partial::open(&dir.path().join("x"), false).unwrap());
            let pool = Arc::default();
            let batch = |start: usize, end: usize| {
                let (start, end) = (start.min(length), end.min(length));
                let mut batch = Batch::new(start as u64, &pool);
                batch.push(&content[start..end]);
                partial.write(&batch.bytes, batch.offset).unwrap();
                batch
            };
            let resumed = resumed.min(length);
            batch(0, resumed);
            let mut written = Ranges::default();
            written.insert(0..resumed as u64);
            let expected = ContentHash::Sha256(Sha256::of(&content));
            let verifier = Verifier::start(partial.clone(), expected, length as u64, written).unwrap();
            for (start, size) in parts {
                verifier.written(batch(start, start + size));
            }
            verifier.written(batch(0, length));
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            prop_assert_eq!(runtime.block_on(verifier.finish()).unwrap(), expected);
        }
    }

    #[test]
    fn connections_that_are_faster_than_the_hash_wait_and_end() {
        const LANE: usize = 10 << 20;
        const STEP: usize = 256 << 10;
        let content: Vec<u8> = (0..4 * LANE as u64).flat_map(|n| [(n ^ (n >> 9)) as u8]).collect();
        let expected = ContentHash::Sha256(Sha256::of(&content));
        for lanes in [1, 4] {
            let dir = tempfile::tempdir().unwrap();
            let partial = Arc::new(Partial::open(&dir.path().join("x"), false).unwrap());
            let size = content.len() as u64;
            let verifier = Verifier::start(partial.clone(), expected, size, Ranges::default()).unwrap();
            let pool = Arc::default();
            std::thread::scope(|scope| {
                for lane in content.chunks(content.len() / lanes).enumerate() {
                    let (verifier, partial, pool, (number, bytes)) = (&verifier, &partial, &pool, lane);
                    scope.spawn(move || {
                        for (step, bytes) in bytes.chunks(STEP).enumerate() {
                            let offset = number * (4 * LANE / lanes) + step * STEP;
                            let mut batch = Batch::new(offset as u64, pool);
                            batch.push(bytes);
                            partial.write(&batch.bytes, batch.offset).unwrap();
                            verifier.written(batch);
                        }
                    });
                }
            });
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            let found = runtime
                .block_on(async { tokio::time::timeout(std::time::Duration::from_secs(20), verifier.finish()).await });
            assert_eq!(found.expect("nobody waits for ever").unwrap(), expected, "{lanes}");
        }
    }

    #[test]
    fn a_dropped_verifier_ends_its_thread() {
        let dir = tempfile::tempdir().unwrap();
        let partial = Arc::new(Partial::open(&dir.path().join("x"), false).unwrap());
        let expected = ContentHash::GitOid(GitOid::of(b""));
        let verifier = Verifier::start(partial.clone(), expected, 10, Ranges::default()).unwrap();
        let result = verifier.result.lock().unwrap().take().unwrap();
        drop(verifier);
        assert!(result.blocking_recv().is_err());
    }
}
