//! One lock file a content: the very file that the Python client locks, in the very way.
//!
//! `flock` on Unix, `LockFileEx` on Windows, through the standard library. The lock saves bandwidth and is never trusted
//! for correctness: some network file systems grant it to everyone. A file system that has no locks at all is worked
//! with, after one warning. Lock files stay for ever and stay empty: a removed one would be locked twice.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Once;
use std::time::{Duration, Instant};

use fs_err as fs;

use crate::disk;
use crate::error::{Result, seconds};

/// How often a lock that somebody else holds is tried again: half of them within this time, as in Python's `filelock`.
pub(crate) const POLL: Duration = Duration::from_millis(50);
/// How often the wait for a lock is reported.
const REPORT: Duration = Duration::from_secs(10);

/// A held lock, or the knowledge that there is none to be had. Dropping it lets go.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: Option<File>,
}

impl FileLock {
    /// Whether anybody is kept out; false where the file system has no locks.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.file.is_some()
    }
}

/// What one attempt gave.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// The lock is ours, or there is none to be had.
    Held(FileLock),
    /// Somebody else holds it.
    Busy,
}

/// Tries to lock the file at `path` once, creating it and its folder where they are missing.
///
/// # Errors
///
/// What creating the folder may give, unless it is a read-only or forbidden place: there, nobody is kept out.
pub(crate) fn try_lock(path: &Path) -> Result<Attempt> {
    // As filelock does: members of the cache's group must be able to lock it too, whatever the umask.
    try_lock_as(path, 0o664)
}

fn try_lock_as(path: &Path, mode: u32) -> Result<Attempt> {
    loop {
        let file = match open(path, mode) {
            Ok(file) => file,
            Err(err) if unavailable(&err) => return Ok(without(path, &err)),
            Err(err) => return Err(err.into()),
        };
        match flock(&file, path) {
            Ok(()) if is_still(&file, path) => {
                return Ok(Attempt::Held(FileLock { file: Some(file) }));
            }
            // Somebody removed the file between open and lock: what we hold, nobody else looks at.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Attempt::Busy),
            Err(TryLockError::Error(err)) if err.kind() == ErrorKind::Interrupted => {}
            Err(TryLockError::Error(err)) => return Ok(without(path, &err)),
        }
    }
}

/// Locks the file at `path`, blocking this thread; after `limit`, goes on without the lock, which costs bandwidth only.
///
/// # Errors
///
/// See [`try_lock`].
#[cfg(test)]
pub(crate) fn lock(path: &Path, limit: Option<Duration>) -> Result<FileLock> {
    lock_as(path, 0o664, limit)
}

/// As `lock`, with the mode of the shared store's lock files: every user of the cache locks those.
pub(crate) fn lock_shared(path: &Path, limit: Option<Duration>) -> Result<FileLock> {
    lock_as(path, 0o666, limit)
}

fn lock_as(path: &Path, mode: u32, limit: Option<Duration>) -> Result<FileLock> {
    let mut wait = Wait::new(path, limit);
    loop {
        match try_lock_as(path, mode)? {
            Attempt::Held(lock) => return Ok(lock),
            Attempt::Busy => match wait.pause() {
                Some(pause) => std::thread::sleep(pause),
                None => return Ok(wait.give_up()),
            },
        }
    }
}

/// As [`lock`], without blocking the thread: dropping the future ends the wait, and nothing takes the lock later.
#[cfg(feature = "download")]
pub(crate) async fn lock_async(path: &Path, limit: Option<Duration>) -> Result<FileLock> {
    let mut wait = Wait::new(path, limit);
    loop {
        match try_lock(path)? {
            Attempt::Held(lock) => return Ok(lock),
            Attempt::Busy => match wait.pause() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Ok(wait.give_up()),
            },
        }
    }
}

/// How long a wait for a lock has lasted, and when to say so.
struct Wait<'a> {
    path: &'a Path,
    limit: Option<Duration>,
    since: Instant,
    reported: Duration,
}

impl<'a> Wait<'a> {
    fn new(path: &'a Path, limit: Option<Duration>) -> Self {
        Self {
            path,
            limit,
            since: Instant::now(),
            reported: Duration::ZERO,
        }
    }

    /// How long to pause before the next attempt, or none when the limit is reached.
    fn pause(&mut self) -> Option<Duration> {
        let elapsed = self.since.elapsed();
        if self.limit.is_some_and(|limit| elapsed >= limit) {
            return None;
        }
        if self.is_report_due(elapsed) {
            tracing::warn!(
                lock = %self.path.display(),
                waited = %seconds(elapsed),
                "waiting for another process that downloads the same file{}",
                holder(self.path)
            );
        }
        // Quick at first: most holders only link a file.
        Some(if elapsed < POLL { Duration::from_millis(5) } else { POLL })
    }

    /// Whether it is time for another word: a little before ten seconds are over, then every ten.
    fn is_report_due(&mut self, elapsed: Duration) -> bool {
        let soon = elapsed + Duration::from_secs(1);
        let due = soon >= self.reported + REPORT;
        if due {
            self.reported = soon;
        }
        due
    }

    fn give_up(&self) -> FileLock {
        tracing::warn!(lock = %self.path.display(), "going on without the lock after {}", seconds(self.since.elapsed()));
        FileLock { file: None }
    }
}

/// Who may hold the lock, as far as the file tells: clients without `flock` write their process and host into it.
fn holder(path: &Path) -> String {
    match fs::read_to_string(path) {
        Ok(text) if !text.is_empty() => {
            let mut lines = text.lines();
            let pid = lines.next().unwrap_or_default();
            let host = lines.next().unwrap_or("an unknown host");
            format!(" (process {pid} on {host})")
        }
        _ => String::new(),
    }
}

fn open(path: &Path, mode: u32) -> std::io::Result<File> {
    let existing = |path: &Path| match options().read(true).write(true).open(path) {
        // Another user's file that only they may write: `flock` needs no more than an open file.
        Err(err) if err.kind() == ErrorKind::PermissionDenied => options().read(true).open(path),
        other => other,
    };
    let create = || options().read(true).write(true).create_new(true).open(path);
    // As a rule it is the first time, and one look less.
    let created = match create() {
        Err(err) if err.kind() == ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            create()
        }
        other => other,
    };
    match created {
        Ok(file) => {
            disk::set_mode(&file, mode);
            Ok(file)
        }
        Err(err) if err.kind() == ErrorKind::AlreadyExists => named(path, existing(path)),
        Err(err) => named(path, Err(err)),
    }
}

fn named(path: &Path, result: std::io::Result<File>) -> std::io::Result<File> {
    result.map_err(|err| match err.raw_os_error() {
        // Kept as it is, so that its number can be looked at.
        Some(_) => {
            tracing::debug!(lock = %path.display(), %err, "cannot open a lock file");
            err
        }
        None => err,
    })
}

pub(crate) fn options() -> std::fs::OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has flags to set"))]
    let mut options = File::options();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
    }
    options
}

/// Whether an error means that there are no locks here, rather than that something is wrong with this one.
fn unavailable(err: &std::io::Error) -> bool {
    matches!(
        err.kind(),
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied | ErrorKind::Unsupported
    )
}

fn without(path: &Path, err: &std::io::Error) -> Attempt {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        tracing::warn!(lock = %path.display(), %err, "files cannot be locked here; processes may fetch a file twice");
    });
    Attempt::Held(FileLock { file: None })
}

#[cfg(unix)]
fn is_still(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => ours.dev() == there.dev() && ours.ino() == there.ino(),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_still(_file: &File, _path: &Path) -> bool {
    true
}

/// Tries for the lock once.
fn flock(file: &File, _path: &Path) -> Result<(), TryLockError> {
    #[cfg(test)]
    if let Some(answer) = faults::answer(_path) {
        return answer;
    }
    file.try_lock()
}

/// A claim on a partial file: while it is held, no other process of ours takes the file for an orphan.
///
/// Only Unix has it: on Windows a lock keeps the writer itself out too, and the content's lock must do.
#[derive(Debug)]
pub(crate) struct Claim {
    _file: Option<File>,
}

/// Claims a partial file that exists, or none when a living process has it.
pub(crate) fn claim(path: &Path) -> Option<Claim> {
    if cfg!(not(unix)) {
        return Some(Claim { _file: None });
    }
    let file = options().read(true).write(true).open(path).ok()?;
    match flock(&file, path) {
        Ok(()) if keeps_out(path) => Some(Claim { _file: Some(file) }),
        Err(TryLockError::WouldBlock) => None,
        // No locks here, or locks for everyone: whoever has written to it lately is taken to be alive.
        Ok(()) | Err(TryLockError::Error(_)) => {
            let modified = file.metadata().and_then(|meta| meta.modified()).ok()?;
            let idle = modified.elapsed().unwrap_or_default();
            (idle > Duration::from_secs(600)).then_some(Claim { _file: None })
        }
    }
}

/// Whether a lock that is held here keeps others out. Some network file systems grant it to everyone.
fn keeps_out(path: &Path) -> bool {
    let other = options().read(true).write(true).open(path);
    other.is_ok_and(|other| matches!(flock(&other, path), Err(TryLockError::WouldBlock)))
}

/// Folders of a test whose locks behave as on another file system.
#[cfg(test)]
pub(crate) mod faults {
    use std::fs::TryLockError;
    use std::path::{Path, PathBuf};
    use std::sync::Mutex;

    #[derive(Debug, Clone, Copy)]
    pub(crate) enum Fault {
        /// Everyone gets every lock.
        GrantedToAll,
        /// Locking fails with this error of the system.
        Fails(i32),
    }

    static FAULTS: Mutex<Vec<(PathBuf, Fault)>> = Mutex::new(Vec::new());

    pub(crate) fn below(dir: &Path, fault: Fault) {
        FAULTS.lock().unwrap().push((dir.to_owned(), fault));
    }

    pub(super) fn answer(path: &Path) -> Option<Result<(), TryLockError>> {
        let faults = FAULTS.lock().unwrap();
        let (_, fault) = faults.iter().find(|(dir, _)| path.starts_with(dir))?;
        Some(match fault {
            Fault::GrantedToAll => Ok(()),
            Fault::Fails(number) => Err(TryLockError::Error(std::io::Error::from_raw_os_error(*number))),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn c_034_the_file_stays_empty_and_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".locks/models--o--n/abc.lock");
        let held = lock(&path, None).unwrap();
        assert!(held.is_exclusive());
        assert!(matches!(try_lock(&path).unwrap(), Attempt::Busy));
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path).unwrap());
        drop(held);
        drop(lock(&path, None).unwrap());
        let meta = fs::metadata(&path).unwrap();
        assert_eq!(meta.len(), 0);
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, PermissionsExt};
            assert_eq!(meta.ino(), inode);
            assert_eq!(meta.permissions().mode() & 0o777, 0o664);
        }
    }

    #[test]
    fn two_threads_exclude_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let inside = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        let held = lock(&path, None).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(held);
                    }
                });
            }
        });
    }

    /// A second process, with a lock of its own kind: the `flock` program of util-linux.
    #[cfg(target_os = "linux")]
    #[test]
    fn c_033_w_004_another_process_is_waited_for_and_the_limit_ends_the_wait() {
        use std::io::{BufRead, BufReader, Write};

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        fs::write(&path, b"").unwrap();
        let mut child = Command::new("flock")
            .arg("-x")
            .arg(&path)
            .args(["sh", "-c", "echo held; read line"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "held\n");
        assert!(matches!(try_lock(&path).unwrap(), Attempt::Busy));
        let without = lock(&path, Some(Duration::from_millis(60))).unwrap();
        assert!(!without.is_exclusive());
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        let held = lock(&path, None).unwrap();
        assert!(held.is_exclusive());
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn c_033_a_wait_is_told_of_before_ten_seconds_are_over_and_then_every_ten() {
        let mut wait = Wait::new(Path::new("/x.lock"), None);
        let told: Vec<u64> = (0..40)
            .filter(|elapsed| wait.is_report_due(Duration::from_secs(*elapsed)))
            .collect();
        assert_eq!(told, [9, 19, 29, 39]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        fs::write(&path, "77\nhost\ntoken\n").unwrap();
        assert_eq!(holder(&path), " (process 77 on host)");
    }

    #[test]
    fn c_035_where_nothing_can_be_locked_the_work_goes_on() {
        for kind in [
            ErrorKind::ReadOnlyFilesystem,
            ErrorKind::PermissionDenied,
            ErrorKind::Unsupported,
        ] {
            assert!(unavailable(&kind.into()));
        }
        let Attempt::Held(lock) = without(Path::new("/x.lock"), &ErrorKind::Unsupported.into()) else {
            panic!("nobody holds a lock that cannot be had");
        };
        assert!(!lock.is_exclusive());
    }

    #[cfg(unix)]
    #[test]
    fn a_planted_link_is_not_locked_through() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("precious");
        fs::write(&target, b"x").unwrap();
        let path = dir.path().join("x.lock");
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(try_lock(&path).is_err());
        assert_eq!(fs::read(&target).unwrap(), b"x");
    }

    #[cfg(unix)]
    #[test]
    fn c_031_where_everyone_gets_the_lock_only_age_tells_that_a_writer_is_dead() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        fs::write(&path, b"x").unwrap();
        faults::below(dir.path(), faults::Fault::GrantedToAll);
        assert!(claim(&path).is_none(), "it was written just now");
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(3600))
            .unwrap();
        assert!(claim(&path).is_some());
    }

    #[test]
    fn a_claim_excludes_a_second_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        assert!(claim(&path).is_none(), "there is nothing to claim");
        fs::write(&path, b"x").unwrap();
        let first = claim(&path).unwrap();
        if cfg!(unix) {
            assert!(claim(&path).is_none());
        }
        drop(first);
        assert!(claim(&path).is_some());
    }
}
