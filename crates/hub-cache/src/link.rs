//! How a file gets into a snapshot: a relative link to its content, or a copy where links are refused.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fs_err as fs;
use hub_types::{Etag, RepoPath};

use crate::disk;
use crate::error::Result;
use crate::fault;
use crate::layout;

/// What was done to bring a file into a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It was there and led to the wanted content: nothing was touched.
    Kept,
    /// A link was made.
    Linked,
    /// The content was moved into the snapshot.
    Moved,
    /// The content was copied into the snapshot.
    Copied,
}

/// Whether links can be made in a folder. Tried once for each folder and remembered for the process.
pub(crate) fn works_in(dir: &Path) -> bool {
    static KNOWN: Mutex<Option<HashMap<PathBuf, bool>>> = Mutex::new(None);
    // The lock is held while trying, so that nobody acts on an answer that is not known yet.
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(works) = known.get(dir) {
        return *works;
    }
    let works = probe(dir);
    if !works {
        tracing::warn!(
            dir = %dir.display(),
            "links cannot be made here, so each snapshot holds copies and takes more room"
        );
    }
    known.insert(dir.to_owned(), works);
    works
}

/// Makes a file and a link to it, under names of temporary files, and reads through the link.
fn probe(dir: &Path) -> bool {
    let name = disk::temporary_name("new");
    let (file, link) = (dir.join(&name), dir.join(disk::temporary_name("link")));
    let works = || -> std::io::Result<bool> {
        fs::write(&file, b"x")?;
        fault::step("links are tried");
        symlink(Path::new(&name), &link)?;
        Ok(fs::read(&link)? == b"x")
    };
    let works = works().unwrap_or(false);
    let _ = fs::remove_file(&link);
    let _ = fs::remove_file(&file);
    works
}

/// Brings the content at `blob` into the snapshot as `pointer`, which replaces whatever was there in one step.
///
/// A pointer that leads to the content already is not touched, so that nobody who reads it is disturbed. `fresh` says
/// that the content was fetched just now for this pointer: where links are refused it is then moved, else copied.
pub(crate) fn place(
    blob: &Path,
    pointer: &Path,
    path: &RepoPath,
    etag: &Etag,
    links: bool,
    fresh: bool,
) -> Result<Placed> {
    if links {
        let text = layout::link_text(path, etag);
        // As a rule nothing is there.
        if symlink(&text, pointer).is_ok() {
            fault::step("a link has its name");
            if pointer.exists() {
                return Ok(Placed::Linked);
            }
        }
        if fs::read_link(pointer).is_ok_and(|present| present == text) && pointer.exists() {
            return Ok(Placed::Kept);
        }
        if !fresh && same_file(blob, pointer) {
            return Ok(Placed::Kept);
        }
        // Made among the contents, under a name that nothing scans, and put in its place by rename.
        let temporary = blob.with_file_name(disk::temporary_name("link"));
        match symlink(&text, &temporary) {
            Ok(()) => {
                fault::step("a link is made");
                disk::rename_over(&temporary, pointer).inspect_err(|_| {
                    let _ = fs::remove_file(&temporary);
                })?;
                fault::step("a link has its name");
                if pointer.exists() {
                    return Ok(Placed::Linked);
                }
                tracing::warn!(pointer = %pointer.display(), "a link was made that cannot be opened; copying instead");
            }
            Err(err) if refused(&err) => {
                tracing::warn!(pointer = %pointer.display(), %err, "a link was refused; copying instead");
            }
            Err(err) => return Err(err.into()),
        }
    }
    let is_link = fs::symlink_metadata(blob).is_ok_and(|meta| meta.is_symlink());
    if fresh && !is_link {
        disk::rename_over(blob, pointer)?;
        fault::step("a content is moved");
        return Ok(Placed::Moved);
    }
    // Written among the contents: half a copy in a snapshot would be a file of it.
    let temporary = blob.with_file_name(disk::temporary_name("new"));
    disk::copy_atomically(blob, &temporary, pointer)?;
    Ok(Placed::Copied)
}

/// The name of the content that a file of a snapshot is a link to.
pub(crate) fn etag_of(pointer: &Path) -> Option<Etag> {
    let target = fs::read_link(pointer).ok()?;
    target.file_name()?.to_str()?.parse().ok()
}

/// Whether both are one file, links followed.
pub(crate) fn same_file(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

fn refused(err: &std::io::Error) -> bool {
    matches!(err.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported)
        // ERROR_PRIVILEGE_NOT_HELD and ERROR_NOT_SUPPORTED
        || (cfg!(windows) && matches!(err.raw_os_error(), Some(1314 | 50)))
}

#[cfg(unix)]
pub(crate) fn symlink(text: &Path, link: &Path) -> std::io::Result<()> {
    #[cfg(test)]
    let text = faults::text(text, link)?;
    fs_err::os::unix::fs::symlink(text, link)
}

#[cfg(windows)]
pub(crate) fn symlink(text: &Path, link: &Path) -> std::io::Result<()> {
    fs_err::os::windows::fs::symlink_file(text, link)
}

/// Folders of a test where links behave as on another file system.
#[cfg(all(test, unix))]
pub(crate) mod faults {
    use std::path::{Path, PathBuf};
    use std::sync::Mutex;

    #[derive(Debug, Clone, Copy)]
    pub(crate) enum Fault {
        /// Links are refused, as Windows does without the privilege.
        Refused,
        /// Links are made and cannot be opened.
        Dangling,
    }

    struct Folder {
        dir: PathBuf,
        fault: Fault,
        /// How many links are made as they should be before.
        good: usize,
    }

    static FOLDERS: Mutex<Vec<Folder>> = Mutex::new(Vec::new());

    pub(crate) fn below(dir: &Path, fault: Fault, good: usize) {
        let dir = dir.to_owned();
        FOLDERS
            .lock()
            .expect("no test panics while it holds this")
            .push(Folder { dir, fault, good });
    }

    pub(super) fn text(text: &Path, link: &Path) -> std::io::Result<PathBuf> {
        let mut folders = FOLDERS.lock().expect("no test panics while it holds this");
        let Some(folder) = folders.iter_mut().find(|folder| link.starts_with(&folder.dir)) else {
            return Ok(text.to_owned());
        };
        if folder.good > 0 {
            folder.good -= 1;
            return Ok(text.to_owned());
        }
        match folder.fault {
            Fault::Refused => Err(std::io::ErrorKind::PermissionDenied.into()),
            Fault::Dangling => Ok("nowhere".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Repo {
        _dir: tempfile::TempDir,
        blob: PathBuf,
        pointer: PathBuf,
        path: RepoPath,
        etag: Etag,
    }

    fn repo() -> Repo {
        let dir = tempfile::tempdir().unwrap();
        let etag: Etag = "b45ef6fec89518d314f546fd6c3025367b721684".parse().unwrap();
        let blob = dir.path().join("blobs").join(etag.as_str());
        let pointer = dir.path().join("snapshots/c/d/f");
        fs::create_dir_all(blob.parent().unwrap()).unwrap();
        fs::create_dir_all(pointer.parent().unwrap()).unwrap();
        fs::write(&blob, b"content").unwrap();
        Repo {
            _dir: dir,
            blob,
            pointer,
            path: "d/f".parse().unwrap(),
            etag,
        }
    }

    impl Repo {
        fn place(&self, links: bool, fresh: bool) -> Placed {
            place(&self.blob, &self.pointer, &self.path, &self.etag, links, fresh).unwrap()
        }
    }

    #[cfg(unix)]
    #[test]
    fn c_013_c_021_a_link_is_relative_and_replaces_a_dangling_one() {
        let repo = repo();
        symlink(Path::new("../../../blobs/gone"), &repo.pointer).unwrap();
        assert_eq!(repo.place(true, false), Placed::Linked);
        let text = fs::read_link(&repo.pointer).unwrap();
        assert_eq!(
            text,
            Path::new("../../../blobs/b45ef6fec89518d314f546fd6c3025367b721684")
        );
        assert_eq!(fs::read(&repo.pointer).unwrap(), b"content");
        assert_eq!(repo.place(true, true), Placed::Kept);
        assert_eq!(fs::read_dir(repo.blob.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn c_048_a_fresh_content_is_moved_where_links_are_refused() {
        let repo = repo();
        assert_eq!(repo.place(false, true), Placed::Moved);
        assert!(!repo.blob.exists());
        assert_eq!(fs::read(&repo.pointer).unwrap(), b"content");
    }

    #[test]
    fn c_049_an_older_content_is_copied_where_links_are_refused() {
        let repo = repo();
        assert_eq!(repo.place(false, false), Placed::Copied);
        assert!(repo.blob.exists());
        assert_eq!(fs::read(&repo.pointer).unwrap(), b"content");
        assert!(!fs::symlink_metadata(&repo.pointer).unwrap().is_symlink());
    }

    #[test]
    fn c_050_a_regular_pointer_is_replaced_by_a_fresh_content() {
        let repo = repo();
        fs::write(&repo.pointer, b"old").unwrap();
        assert_eq!(repo.place(false, true), Placed::Moved);
        assert_eq!(fs::read(&repo.pointer).unwrap(), b"content");
    }

    #[cfg(unix)]
    #[test]
    fn w_011_a_pointer_is_replaced_in_one_step_and_a_link_that_does_not_open_by_a_copy() {
        for fault in [faults::Fault::Refused, faults::Fault::Dangling] {
            let repo = repo();
            fs::write(&repo.pointer, b"old").unwrap();
            faults::below(repo._dir.path(), fault, 0);
            assert_eq!(repo.place(true, false), Placed::Copied, "{fault:?}");
            assert_eq!(fs::read(&repo.pointer).unwrap(), b"content");
            assert!(!fs::symlink_metadata(&repo.pointer).unwrap().is_symlink());
            assert_eq!(fs::read_dir(repo.blob.parent().unwrap()).unwrap().count(), 1);
        }
        // Whoever looks meanwhile sees the old or the new content, never nothing.
        let repo = repo();
        symlink(Path::new("../../../blobs/other"), &repo.pointer).unwrap();
        fs::write(repo.blob.with_file_name("other"), b"old").unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::SeqCst) {
                    let seen = fs::read(&repo.pointer).unwrap();
                    assert!(seen == b"old" || seen == b"content", "{seen:?}");
                }
            });
            for _ in 0..200 {
                repo.place(true, false);
                let other = repo.blob.with_file_name(".o.link");
                symlink(Path::new("../../../blobs/other"), &other).unwrap();
                fs::rename(&other, &repo.pointer).unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::SeqCst);
            reader.join().unwrap();
        });
    }

    #[test]
    fn the_probe_is_remembered_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(works_in(dir.path()), cfg!(unix) || probe(dir.path()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
