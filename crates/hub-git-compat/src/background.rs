//! A push that goes on in the background: what it is doing, what it said, how it ended.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use hub_types::Token;

use crate::git::kill_group;
use crate::pipe::Kept;
use crate::redact::redact;
use crate::{Error, Result};

/// Where a background command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It has not ended.
    Running,
    /// It has ended with this code; 0 is success.
    Exited(i32),
    /// A signal of this number ended it.
    Signalled(i32),
}

/// How far git-lfs is with the file that it is at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LfsProgress {
    /// What it does: `upload`, `download` or `checkout`.
    pub state: String,
    /// The number of this file, from 1 on.
    pub file: u64,
    /// How many files there are.
    pub files: u64,
    /// How many bytes of this file are through.
    pub bytes: u64,
    /// The file's size in bytes.
    pub total: u64,
    /// The file's name, spaces and all.
    pub name: String,
}

impl LfsProgress {
    /// Reads a line `upload 1/3 1024/2048 a name`.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(4, ' ');
        let state = fields.next()?.to_owned();
        let mut pair = || {
            let (left, right) = fields.next()?.split_once('/')?;
            Some((left.parse().ok()?, right.parse().ok()?))
        };
        let ((file, files), (bytes, total)) = (pair()?, pair()?);
        Some(Self {
            state,
            file,
            files,
            bytes,
            total,
            name: fields.next()?.to_owned(),
        })
    }
}

/// A command that goes on in the background, from [`Repository::start_push`](crate::Repository::start_push).
///
/// A clone stands for the same command. What it prints is read from the start, so that it never waits for a reader.
#[derive(Clone)]
pub struct CommandInProgress {
    shared: Arc<Shared>,
}

struct Shared {
    title: &'static str,
    watch: Arc<Watch>,
    secret: Option<Token>,
    progress: PathBuf,
    outcome: Mutex<Option<Result<String, Arc<Error>>>>,
    done: Condvar,
}

impl CommandInProgress {
    /// Runs `work` on a thread of its own. Every run of git in it must be watched by the watch that it is given.
    pub(crate) fn start(
        title: &'static str,
        secret: Option<Token>,
        progress: PathBuf,
        work: impl FnOnce(&Arc<Watch>) -> Result<String> + Send + 'static,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            title,
            watch: Arc::default(),
            secret,
            progress,
            outcome: Mutex::new(None),
            done: Condvar::new(),
        });
        let ends = Ends(Arc::clone(&shared));
        thread::Builder::new().name(format!("git-{title}")).spawn(move || {
            let outcome = work(&ends.0.watch).map_err(Arc::new);
            ends.0.end(outcome);
        })?;
        Ok(Self { shared })
    }

    /// What it is: `push`.
    pub fn title(&self) -> &'static str {
        self.shared.title
    }

    /// The process that runs right now. There may be none for a moment: a push is several, one after the other.
    pub fn pid(&self) -> Option<u32> {
        self.shared.watch.state().child
    }

    /// Whether it has ended, well or not.
    pub fn is_done(&self) -> bool {
        self.shared.outcome().is_some()
    }

    /// Whether it has ended and not done what it should.
    pub fn failed(&self) -> bool {
        matches!(&*self.shared.outcome(), Some(Err(_)))
    }

    /// Whether it runs, and how it ended: with the code of the last process, or with 1 where what failed was no process.
    pub fn status(&self) -> Status {
        let outcome = self.shared.outcome();
        match (&*outcome, self.shared.watch.state().last) {
            (None, _) => Status::Running,
            (Some(Ok(_)), _) => Status::Exited(0),
            (Some(Err(_)), Some(status)) if !status.success() => of(status),
            (Some(Err(err)), _) if matches!(**err, Error::Killed { .. }) => Status::Signalled(9),
            (Some(Err(_)), _) => Status::Exited(1),
        }
    }

    /// What it has printed on its standard output so far, without secrets. Never waits.
    pub fn stdout(&self) -> String {
        self.shared.said(&self.shared.watch.stdout)
    }

    /// What it has printed on its standard error so far, without secrets. Never waits.
    pub fn stderr(&self) -> String {
        self.shared.said(&self.shared.watch.stderr)
    }

    /// How far git-lfs is; `None` before it has begun and where no file goes through it.
    pub fn progress(&self) -> Option<LfsProgress> {
        let bytes = fs_err::read(&self.shared.progress).ok()?;
        // The last line may be half written.
        let whole = &bytes[..=bytes.iter().rposition(|byte| *byte == b'\n')?];
        let text = String::from_utf8_lossy(whole);
        text.lines().rev().find_map(LfsProgress::parse)
    }

    /// Ends it, and all that it started, at once. Nothing happens when it has ended.
    ///
    /// What was pushed by then stays: a repeated push goes on from there.
    pub fn kill(&self) {
        self.shared.watch.kill();
    }

    /// Waits for its end and gives what a blocking push gives: the address of the newest commit.
    ///
    /// # Errors
    ///
    /// Those of [`Repository::git_push`](crate::Repository::git_push), and [`Error::Killed`].
    pub fn wait(&self) -> Result<String, Arc<Error>> {
        let mut outcome = self.shared.outcome();
        loop {
            if let Some(outcome) = &*outcome {
                return outcome.clone();
            }
            outcome = self.shared.done.wait(outcome).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Shared {
    fn outcome(&self) -> MutexGuard<'_, Option<Result<String, Arc<Error>>>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, ended: Result<String, Arc<Error>>) {
        self.outcome().get_or_insert(ended);
        self.done.notify_all();
    }

    fn said(&self, kept: &Mutex<Kept>) -> String {
        let bytes = kept.lock().unwrap_or_else(PoisonError::into_inner).clone().into_bytes();
        redact(&String::from_utf8_lossy(&bytes), self.secret.as_ref())
    }
}

/// Says that the work has ended even if it panics: whoever waits must not wait forever.
struct Ends(Arc<Shared>);

impl Drop for Ends {
    fn drop(&mut self) {
        if self.0.outcome().is_none() {
            let err = io::Error::other("the thread of a background command panicked");
            self.0.end(Err(Arc::new(Error::Io(err))));
        }
    }
}

fn of(status: ExitStatus) -> Status {
    if let Some(code) = status.code() {
        return Status::Exited(code);
    }
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if let Some(signal) = status.signal() {
            return Status::Signalled(signal);
        }
    }
    Status::Exited(1)
}

/// `[push command, status: running, PID: 7]`
impl fmt::Display for CommandInProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} command, status: ", self.title())?;
        match self.status() {
            Status::Running => f.write_str("running")?,
            Status::Exited(code) => write!(f, "ended with {code}")?,
            Status::Signalled(signal) => write!(f, "ended by signal {signal}")?,
        }
        if let Some(pid) = self.pid() {
            write!(f, ", PID: {pid}")?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for CommandInProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandInProgress")
            .field("title", &self.title())
            .field("status", &self.status())
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}

/// What others may see of, and do to, the runs of git that make up one command.
pub(crate) struct Watch {
    state: Mutex<State>,
    stdout: Arc<Mutex<Kept>>,
    stderr: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct State {
    /// Runs and is not collected: its id is nobody else's.
    child: Option<u32>,
    killed: bool,
    last: Option<ExitStatus>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            stdout: Arc::new(Mutex::new(Kept::ends())),
            stderr: Arc::new(Mutex::new(Kept::ends())),
        }
    }
}

impl Watch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a child, unless the command was ended before.
    pub(crate) fn begin(&self, name: &str, spawn: impl FnOnce() -> Result<Child>) -> Result<Child> {
        let mut state = self.state();
        if state.killed {
            return Err(Error::Killed {
                command: name.to_owned(),
            });
        }
        let child = spawn()?;
        state.child = Some(child.id());
        Ok(child)
    }

    /// Collects the child if it has ended. Under the lock, so that nobody kills what then has its id.
    pub(crate) fn collect(&self, child: &mut Child) -> io::Result<Option<ExitStatus>> {
        let mut state = self.state();
        let ended = child.try_wait()?;
        if ended.is_some() {
            state.child = None;
            state.last = ended;
        }
        Ok(ended)
    }

    /// The child is about to be ended and collected by someone else.
    pub(crate) fn let_go(&self) {
        self.state().child = None;
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.state().killed
    }

    fn kill(&self) {
        let mut state = self.state();
        state.killed = true;
        if let Some(id) = state.child {
            kill_group(id);
        }
    }

    pub(crate) fn stdout(&self) -> Arc<Mutex<Kept>> {
        Arc::clone(&self.stdout)
    }

    pub(crate) fn stderr(&self) -> Arc<Mutex<Kept>> {
        Arc::clone(&self.stderr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_is_one_name() {
        let progress = LfsProgress::parse("upload 1/3 1024/2048 sub dir/a name.bin").unwrap();
        assert_eq!(
            (progress.file, progress.files, progress.bytes, progress.total),
            (1, 3, 1024, 2048)
        );
        assert_eq!((&*progress.state, &*progress.name), ("upload", "sub dir/a name.bin"));
        for bad in ["", "upload", "upload 1/3 x/2048 a", "upload 1/3 1/2", "upload 1 2 a"] {
            assert_eq!(LfsProgress::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn who_waits_for_a_panic_is_told() {
        let command = CommandInProgress::start("push", None, PathBuf::new(), |_| panic!("on purpose")).unwrap();
        let err = command.wait().unwrap_err();
        assert_eq!(err.to_string(), "the thread of a background command panicked");
        assert!(command.is_done() && command.failed());
        assert_eq!(command.status(), Status::Exited(1));
    }
}
