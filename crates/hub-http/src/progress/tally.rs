//! How far a job is, counted from what its operation reports.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Outcome, Phase, Progress, ProgressHandle, ProgressId};
use crate::error::Error;

/// How far an operation in the background is ([`Job::progress`](crate::Job::progress)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct JobProgress {
    /// What it is doing; `None` before it has told, and where nothing is transferred.
    pub phase: Option<Phase>,
    /// How many files are through, those of which nothing had to be moved among them.
    pub files_done: u64,
    /// How many files there are, as far as that is known by now.
    pub files: u64,
    /// How many bytes are through, those that were there already among them.
    pub bytes_done: u64,
    /// How many bytes there are, as far as that is known by now.
    pub bytes: u64,
}

/// Counts what is reported, and hands it on to whoever listens besides.
pub(crate) struct Tally {
    state: Mutex<State>,
    inner: Option<Arc<dyn Progress>>,
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.progress().fmt(f)
    }
}

#[derive(Default)]
struct State {
    phase: Option<Phase>,
    /// Files that are on their way, by the id that was given out.
    running: HashMap<u64, File>,
    next_id: u64,
    files_done: u64,
    bytes_done: u64,
    /// Bytes of what is on its way or through, where the size was told.
    bytes_seen: u64,
    /// Files and bytes that were announced.
    announced: (u64, u64),
}

struct File {
    size: Option<u64>,
    done: u64,
    inner: ProgressId,
}

impl Tally {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere is no reason to stop counting.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it is.
    pub(crate) fn progress(&self) -> JobProgress {
        let state = self.lock();
        JobProgress {
            phase: state.phase,
            files_done: state.files_done,
            files: (state.files_done + state.running.len() as u64).max(state.announced.0),
            bytes_done: state.bytes_done,
            bytes: state.bytes_seen.max(state.announced.1).max(state.bytes_done),
        }
    }

    /// Changes what is counted of a file, and tells whoever listens.
    fn change(&self, id: ProgressId, change: impl FnOnce(&mut File), tell: impl FnOnce(&dyn Progress, ProgressId)) {
        let mut state = self.lock();
        let Some(file) = state.running.get_mut(&id.0) else {
            return;
        };
        let before = file.done;
        change(file);
        let (after, inner) = (file.done, file.inner);
        state.bytes_done = state.bytes_done - before + after;
        drop(state);
        if let Some(progress) = &self.inner {
            tell(&**progress, inner);
        }
    }
}

impl Progress for Tally {
    fn phase(&self, phase: Phase, files: Option<u64>, bytes: Option<u64>) {
        let mut state = self.lock();
        state.phase = Some(phase);
        if phase == Phase::Transferring {
            state.announced = (files.unwrap_or(state.announced.0), bytes.unwrap_or(state.announced.1));
        }
        drop(state);
        if let Some(progress) = &self.inner {
            progress.phase(phase, files, bytes);
        }
    }

    fn started(&self, path: &str, size: Option<u64>) -> ProgressId {
        let inner = self.inner.as_ref().map(|progress| progress.started(path, size));
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.bytes_seen += size.unwrap_or(0);
        let file = File {
            size,
            done: 0,
            inner: inner.unwrap_or_default(),
        };
        state.running.insert(id, file);
        ProgressId(id)
    }

    fn advanced(&self, id: ProgressId, bytes: u64) {
        self.change(
            id,
            |file| file.done += bytes,
            |progress, id| progress.advanced(id, bytes),
        );
    }

    fn restarted(&self, id: ProgressId, bytes: u64) {
        self.change(
            id,
            |file| file.done = bytes,
            |progress, id| progress.restarted(id, bytes),
        );
    }

    fn taken_back(&self, id: ProgressId, bytes: u64) {
        let take_back = |file: &mut File| file.done = file.done.saturating_sub(bytes);
        self.change(id, take_back, |progress, id| progress.taken_back(id, bytes));
    }

    fn deduplicated(&self, id: ProgressId, bytes: u64) {
        self.change(id, |_| {}, |progress, id| progress.deduplicated(id, bytes));
    }

    fn retrying(&self, id: Option<ProgressId>, retry: u32, wait: Duration, cause: &Error) {
        match id {
            Some(id) => self.change(
                id,
                |_| {},
                |progress, id| progress.retrying(Some(id), retry, wait, cause),
            ),
            None => {
                if let Some(progress) = &self.inner {
                    progress.retrying(None, retry, wait, cause);
                }
            }
        }
    }

    fn finished(&self, id: ProgressId, outcome: Outcome) {
        let mut state = self.lock();
        let Some(file) = state.running.remove(&id.0) else {
            return;
        };
        state.bytes_done -= file.done;
        match outcome {
            // It begins anew, if at all.
            Outcome::Failed => state.bytes_seen -= file.size.unwrap_or(0),
            Outcome::Done | Outcome::Skipped => {
                state.files_done += 1;
                state.bytes_done += file.size.unwrap_or(file.done);
            }
        }
        drop(state);
        if let Some(progress) = &self.inner {
            progress.finished(file.inner, outcome);
        }
    }
}

/// What an operation is given that is no data.
#[doc(hidden)]
pub trait __Skipped {
    /// Has what is reported counted too, if this is what reports.
    fn watch(&mut self, _: &mut __Watched) {}
}

impl __Skipped for Duration {}

impl __Skipped for ProgressHandle {
    fn watch(&mut self, watched: &mut __Watched) {
        let tally = Arc::new(Tally {
            state: Mutex::default(),
            inner: self.0.take(),
        });
        watched.0 = Some(tally.clone());
        self.0 = Some(tally);
    }
}

/// What counts for a job, if anything does.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct __Watched(pub(crate) Option<Arc<Tally>>);

impl __Watched {
    /// Of what an operation is given.
    pub fn of(skipped: &mut [&mut dyn __Skipped]) -> Self {
        let mut watched = Self::default();
        for skipped in skipped {
            skipped.watch(&mut watched);
        }
        watched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives ids of its own, and keeps what it is told.
    #[derive(Default)]
    struct Listener(Mutex<Vec<String>>);

    impl Listener {
        fn told(&self, what: String) {
            self.0.lock().unwrap().push(what);
        }
    }

    impl Progress for Arc<Listener> {
        fn started(&self, path: &str, _: Option<u64>) -> ProgressId {
            self.told(format!("started {path}"));
            ProgressId(70)
        }

        fn advanced(&self, id: ProgressId, bytes: u64) {
            self.told(format!("{} advanced {bytes}", id.0));
        }

        fn finished(&self, id: ProgressId, outcome: Outcome) {
            self.told(format!("{} {outcome:?}", id.0));
        }
    }

    fn counts(progress: JobProgress) -> (u64, u64, u64, u64) {
        (progress.files_done, progress.files, progress.bytes_done, progress.bytes)
    }

    #[test]
    fn what_is_reported_is_counted_and_handed_on() {
        let listener = Arc::new(Listener::default());
        let mut handle = ProgressHandle::new(listener.clone());
        let mut timeout = Duration::ZERO;
        let tally = __Watched::of(&mut [&mut timeout, &mut handle]).0.unwrap();
        assert_eq!(tally.progress(), JobProgress::default());
        handle.phase(Phase::Transferring, Some(3), Some(60));
        let (first, second) = (handle.start("a", Some(10)), handle.start("b", Some(20)));
        assert_eq!(counts(tally.progress()), (0, 3, 0, 60));
        first.advance(4);
        second.restart(12);
        second.take_back(2);
        assert_eq!(counts(tally.progress()), (0, 3, 14, 60));
        first.finish(Outcome::Skipped);
        assert_eq!(counts(tally.progress()), (1, 3, 20, 60));
        // It fails, and comes with its second attempt.
        drop(second);
        assert_eq!(counts(tally.progress()), (1, 3, 10, 60));
        let again = handle.start("b", None);
        again.advance(21);
        again.finish(Outcome::Done);
        assert_eq!(counts(tally.progress()), (2, 3, 31, 60));
        handle.phase(Phase::Committing, None, None);
        assert_eq!(tally.progress().phase, Some(Phase::Committing));
        let told = [
            "started a",
            "started b",
            "70 advanced 4",
            "70 Skipped",
            "70 Failed",
            "started b",
            "70 advanced 21",
            "70 Done",
        ];
        assert_eq!(*listener.0.lock().unwrap(), told);
    }

    #[test]
    fn more_than_was_announced_is_no_surprise() {
        let mut handle = ProgressHandle::default();
        let tally = __Watched::of(&mut [&mut handle]).0.unwrap();
        handle.phase(Phase::Transferring, Some(1), Some(5));
        let files = [handle.start("a", Some(5)), handle.start("b", None)];
        files[1].advance(9);
        assert_eq!(counts(tally.progress()), (0, 2, 9, 9));
        for file in files {
            file.finish(Outcome::Done);
        }
        assert_eq!(counts(tally.progress()), (2, 2, 14, 14));
    }
}
