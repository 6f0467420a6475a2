//! What is there of an unfinished download, written beside it so that another process can go on.
//!
//! A file of JSON at `<partial>.journal`: the format's version, the content's id and size, and the ranges of bytes that
//! have been written. It is replaced by a rename, so it is whole or the one before. It lags behind the file, never
//! ahead of it. After a loss of power it may name bytes that never reached the disk. Where the content's hash is checked,
//! that finds it out; where it is not, only what had been synced counts once the system has started anew.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::plan::Ranges;
use crate::fault;

const VERSION: u32 = 1;
/// Larger ones are not ours.
const MOST_BYTES: u64 = 16 << 20;

/// An unfinished download.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    version: u32,
    /// The content's id, from the Hub.
    pub(super) etag: Option<String>,
    /// The store's own `ETag`.
    pub(super) validator: Option<String>,
    pub(super) size: u64,
    /// What has been written.
    done: Vec<(u64, u64)>,
    /// What of it is on the disk for certain.
    #[serde(default)]
    synced: Vec<(u64, u64)>,
    /// The start of the system in which it was written.
    #[serde(default)]
    boot: Option<String>,
}

impl Journal {
    pub(super) fn new(
        etag: Option<String>,
        validator: Option<String>,
        size: u64,
        done: &Ranges,
        synced: &Ranges,
    ) -> Self {
        let pairs = |ranges: &Ranges| ranges.iter().map(|range| (range.start, range.end)).collect();
        Self {
            version: VERSION,
            etag,
            validator,
            size,
            done: pairs(done),
            synced: pairs(synced),
            boot: boot().map(str::to_owned),
        }
    }

    /// What is there. Where nobody checks the bytes later, and the system has been started since, a loss of power may
    /// have taken what was not synced.
    pub(super) fn done(&self, checked_later: bool) -> Ranges {
        let same_boot = self.boot.is_some() && self.boot.as_deref() == boot();
        let mut ranges = Ranges::default();
        for (start, end) in if checked_later || same_boot {
            &self.done
        } else {
            &self.synced
        } {
            ranges.insert(*start..*end);
        }
        ranges
    }

    /// The journal of `partial`; `None` when there is none, or none that fits the file. What cannot be read is no
    /// journal: the download begins again.
    pub(super) fn load(partial: &Path) -> Option<Self> {
        let path = path(partial);
        let length = fs_err::metadata(&path).ok()?.len();
        if length > MOST_BYTES {
            return None;
        }
        let journal: Self = serde_json::from_slice(&fs_err::read(&path).ok()?).ok()?;
        let fits = journal.version == VERSION
            && (journal.done.iter().chain(&journal.synced)).all(|(start, end)| start < end && *end <= journal.size)
            && journal.done.iter().map(|(_, end)| *end).max()? <= fs_err::metadata(partial).ok()?.len();
        fits.then_some(journal)
    }

    /// Puts it beside `partial`.
    pub(super) fn save(&self, partial: &Path) -> io::Result<()> {
        let path = path(partial);
        let new = with_suffix(&path, ".new");
        let json = serde_json::to_vec(self).map_err(io::Error::other)?;
        fs_err::write(&new, json)?;
        fault::step("a journal is written");
        fs_err::rename(&new, &path)
    }

    /// Removes the journal of `partial`.
    pub(super) fn remove(partial: &Path) -> io::Result<()> {
        let path = path(partial);
        for path in [with_suffix(&path, ".new"), path] {
            match fs_err::remove_file(path) {
                Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Names the current start of the system, where it tells (Linux): as long as it runs, what was written can be read, synced
/// or not.
pub(super) fn boot() -> Option<&'static str> {
    static BOOT: OnceLock<Option<String>> = OnceLock::new();
    let read = || {
        let text = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(text.trim().to_owned()).filter(|id| !id.is_empty())
    };
    BOOT.get_or_init(read).as_deref()
}

/// Where the journal of `partial` is.
pub(super) fn path(partial: &Path) -> PathBuf {
    with_suffix(partial, ".journal")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_and_what_does_not_fit_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let partial = dir.path().join("x.incomplete");
        fs_err::write(&partial, [0; 100]).unwrap();
        assert_eq!(Journal::load(&partial), None);
        let mut done = Ranges::default();
        done.insert(0..10);
        done.insert(50..100);
        let journal = Journal::new(Some("abc".into()), None, 200, &done, &Ranges::default());
        journal.save(&partial).unwrap();
        assert_eq!(Journal::load(&partial), Some(journal.clone()));
        assert_eq!(journal.done(true), done);

        fs_err::write(&partial, [0; 99]).unwrap();
        assert_eq!(
            Journal::load(&partial),
            None,
            "the file is shorter than its journal says"
        );
        for bad in [
            "",
            "{",
            r#"{"version":2,"etag":null,"validator":null,"size":200,"done":[[0,10]]}"#,
            r#"{"version":1,"etag":null,"validator":null,"size":5,"done":[[0,10]]}"#,
            r#"{"version":1,"etag":null,"validator":null,"size":200,"done":[[10,0]]}"#,
            r#"{"version":1,"etag":null,"validator":null,"size":200,"done":[]}"#,
        ] {
            fs_err::write(path(&partial), bad).unwrap();
            assert_eq!(Journal::load(&partial), None, "{bad}");
        }
        Journal::remove(&partial).unwrap();
        Journal::remove(&partial).unwrap();
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn after_a_restart_only_synced_bytes_count_unless_all_are_checked() {
        let (mut done, mut synced) = (Ranges::default(), Ranges::default());
        done.insert(0..100);
        synced.insert(0..40);
        let mut journal = Journal::new(None, None, 200, &done, &synced);
        for boot in [Some("another".to_owned()), None] {
            journal.boot = boot;
            assert_eq!(
                (journal.done(true), journal.done(false)),
                (done.clone(), synced.clone())
            );
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn as_long_as_the_system_runs_all_bytes_count() {
        let mut done = Ranges::default();
        done.insert(0..100);
        let journal = Journal::new(None, None, 200, &done, &Ranges::default());
        assert_eq!(journal.done(false), done);
    }
}
