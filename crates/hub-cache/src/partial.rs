//! A partial file and who owns it: found where another process has left it, claimed, gone on with.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::error::Result;
use crate::fault;
use crate::layout;
use crate::lock::{self, Claim};

/// A partial file that this process owns.
///
/// It keeps what it has when it is dropped, for the next process to go on with; one that has nothing goes.
#[derive(Debug)]
pub(crate) struct Partial {
    path: PathBuf,
    _claim: Option<Claim>,
}

impl Partial {
    /// Claims a partial file in `dir` whose name starts with `prefix` and whose process has died, and gives it the name
    /// `fresh`; where there is none, makes one. Only the first is worth anything; other dead ones go.
    ///
    /// Worth something is what has a journal, and a small file of the wanted `size`, which never has one: the engine
    /// looks at its hash. With `anew`, nothing that is there is gone on with.
    pub(crate) fn claim(dir: &Path, prefix: &str, fresh: PathBuf, size: Option<u64>, anew: bool) -> Result<Self> {
        let mut found = None;
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if !name.to_str().is_some_and(|name| layout::is_partial_of(name, prefix)) {
                continue;
            }
            let path = entry.path();
            let Some(claim) = lock::claim(&path) else { continue };
            let has_journal = journal(&path).exists();
            let whole = entry
                .metadata()
                .is_ok_and(|meta| meta.len() > 0 && Some(meta.len()) == size);
            if anew || found.is_some() || !(has_journal || whole) {
                remove(&path);
                continue;
            }
            // The rename is what makes it ours where locks are granted to everyone: only one succeeds. The journal is
            // under both names meanwhile, so that the bytes have one wherever this process dies.
            if has_journal && fs::copy(journal(&path), journal(&fresh)).is_err() {
                continue;
            }
            fault::step("a journal is taken over");
            if fs::rename(&path, &fresh).is_ok() {
                fault::step("a partial file is taken over");
                let _ = fs::remove_file(journal(&path));
                tracing::debug!(partial = %fresh.display(), "going on with a download that another process has begun");
                found = Some(claim);
            } else {
                let _ = fs::remove_file(journal(&fresh));
            }
        }
        let claim = match found {
            Some(claim) => Some(claim),
            None => {
                match fs::OpenOptions::new().write(true).create_new(true).open(&fresh) {
                    Err(err) if err.kind() != ErrorKind::AlreadyExists => return Err(err.into()),
                    _ => {}
                }
                fault::step("a partial file is made");
                lock::claim(&fresh)
            }
        };
        Ok(Self {
            path: fresh,
            _claim: claim,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// It has been given its name: its journal goes.
    pub(crate) fn done(&self) {
        let _ = fs::remove_file(journal(&self.path));
    }

    /// Removes it with all that it has.
    pub(crate) fn discard(self) {
        remove(&self.path);
    }

    /// Bytes that it takes already, be they written or set aside.
    pub(crate) fn taken(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |meta| meta.len())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // The engine notes what a cancelled transfer had a moment later, so only an empty file is sure to be worth
        // nothing. One that has bytes and never gets a journal is removed by whoever claims it next.
        if self.taken() == 0 && !journal(&self.path).exists() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn remove(path: &Path) {
    let _ = fs::remove_file(journal(path));
    let _ = fs::remove_file(path);
}

/// Where the transfer engine notes which bytes are there.
fn journal(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".journal");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(dir: &Path, tag: &str) -> PathBuf {
        dir.join(format!("abc.r1-{tag}.incomplete"))
    }

    #[test]
    fn c_042_w_002_an_orphan_with_a_journal_is_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let orphan = name(dir.path(), "00000001");
        fs::write(&orphan, b"half").unwrap();
        fs::write(journal(&orphan), b"{}").unwrap();
        let fresh = name(dir.path(), "00000002");
        let partial = Partial::claim(dir.path(), "abc", fresh.clone(), None, false).unwrap();
        assert_eq!(fs::read(partial.path()).unwrap(), b"half");
        assert!(!orphan.exists() && journal(&fresh).exists());
        // While it is owned, nobody else takes it.
        if cfg!(unix) {
            let other = Partial::claim(dir.path(), "abc", name(dir.path(), "00000003"), None, false).unwrap();
            assert_eq!(fs::read(other.path()).unwrap(), b"");
        }
        drop(partial);
        assert!(fresh.exists(), "what it has stays");
        let other = Partial::claim(dir.path(), "abc", name(dir.path(), "00000004"), None, true).unwrap();
        assert!(!fresh.exists(), "a forced download begins anew");
        drop(other);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn c_032_pythons_partials_are_never_touched() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["abc.incomplete", "abc.0123abcd.incomplete"] {
            fs::write(dir.path().join(name), b"theirs").unwrap();
        }
        let partial = Partial::claim(dir.path(), "abc", name(dir.path(), "00000001"), None, true).unwrap();
        assert_eq!(fs::read(partial.path()).unwrap(), b"");
        partial.discard();
        for name in ["abc.incomplete", "abc.0123abcd.incomplete"] {
            assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"theirs");
        }
    }
}
