//! What is there of an unfinished download, written beside it so that another process can go on.
//!
//! A file of JSON at `<partial>.journal`: the format's version, the content's id and size, and the ranges of bytes that
//! have been written. It is replaced by a rename, so it is whole or the one before. It lags behind the file, never
//! ahead of it. After a loss of power it may name bytes that never reached the disk: the content's hash finds that out;
//! where there is no hash to check, the file is synced before each journal.

use std::io;
use std::path::{Path, PathBuf};

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
    done: Vec<(u64, u64)>,
}

impl Journal {
    pub(super) fn new(etag: Option<String>, validator: Option<String>, size: u64, done: &Ranges) -> Self {
        Self {
            version: VERSION,
            etag,
            validator,
            size,
            done: done.iter().map(|range| (range.start, range.end)).collect(),
        }
    }

    /// What is there.
    pub(super) fn done(&self) -> Ranges {
        let mut ranges = Ranges::default();
        for (start, end) in &self.done {
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
            && journal
                .done
                .iter()
                .all(|(start, end)| start < end && *end <= journal.size)
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
        let journal = Journal::new(Some("abc".into()), None, 200, &done);
        journal.save(&partial).unwrap();
        assert_eq!(Journal::load(&partial), Some(journal.clone()));
        assert_eq!(journal.done(), done);

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
}
