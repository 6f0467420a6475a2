//! A plain folder that files are downloaded into, and what is noted about them below `.cache/huggingface`.
//!
//! Files and grammar are the Python client's, so that either client goes on where the other stopped.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine as _;
use fs_err as fs;
use hub_types::{CommitHash, Etag, RepoPath};
use sha1::Digest as _;

use crate::cache::write_tag;
use crate::disk;
use crate::error::Result;
use crate::layout::{PARTIAL, joined};

/// A plain folder with files of a repository.
#[derive(Debug, Clone)]
pub struct LocalDir {
    root: PathBuf,
}

/// What is noted about one file of a plain folder.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalMetadata {
    /// The commit that the file was fetched at. As it was read: nobody checks what lies there.
    pub commit: String,
    /// The file's etag, as it was read.
    pub etag: String,
    /// When this was noted, in seconds since 1970.
    pub timestamp: f64,
}

impl LocalDir {
    /// The folder at `root`. Nothing is touched.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file in the folder.
    pub fn file(&self, path: &RepoPath) -> PathBuf {
        joined(self.root.clone(), path.as_str())
    }

    /// `.cache/huggingface`, where notes lie.
    pub fn notes(&self) -> PathBuf {
        self.root.join(".cache").join("huggingface")
    }

    fn downloads(&self) -> PathBuf {
        self.notes().join("download")
    }

    /// Where the listing of a commit is cached.
    pub fn tree_file(&self, commit: &CommitHash) -> PathBuf {
        self.notes().join("trees").join(format!("{commit}.json"))
    }

    /// The file that holds what is noted about `path`.
    pub fn metadata_file(&self, path: &RepoPath) -> PathBuf {
        joined(self.downloads(), &format!("{path}.metadata"))
    }

    /// The file that is locked while `path` is fetched.
    pub fn lock_file(&self, path: &RepoPath) -> PathBuf {
        joined(self.downloads(), &format!("{path}.lock"))
    }

    /// What the name of a partial file of `path` with this etag starts with, and the folder where it lies.
    pub(crate) fn partial_prefix(&self, path: &RepoPath, etag: &Etag) -> (PathBuf, String) {
        let dir = self
            .metadata_file(path)
            .parent()
            .map(Path::to_owned)
            .unwrap_or_default();
        let name = format!("{}.metadata", path.file_name());
        let short = base64::engine::general_purpose::URL_SAFE.encode(sha1::Sha1::digest(name.as_bytes()));
        (dir, format!("{short}.{etag}"))
    }

    /// A partial file's name; as in the cache, one that no Python version takes for its own.
    pub(crate) fn partial(&self, path: &RepoPath, etag: &Etag, tag: &str) -> PathBuf {
        let (dir, prefix) = self.partial_prefix(path, etag);
        dir.join(format!("{prefix}.{PARTIAL}{tag}.incomplete"))
    }

    /// Makes the folders that `path` needs, and the files that keep git and backups away from the notes.
    ///
    /// # Errors
    ///
    /// When a folder cannot be made, or one on the way is a link that leads out of this folder.
    pub(crate) fn prepare(&self, path: &RepoPath) -> Result<()> {
        disk::create_parents_below(&self.root, path.as_str())?;
        let noted = format!(".cache/huggingface/download/{path}.metadata");
        disk::create_parents_below(&self.root, &noted)?;
        self.tag();
        Ok(())
    }

    /// Writes `.gitignore` and `CACHEDIR.TAG` among the notes, where they are missing. Best effort.
    pub(crate) fn tag(&self) {
        let notes = self.notes();
        let tag = notes.join("CACHEDIR.TAG");
        if fs::symlink_metadata(&tag).is_err() {
            write_tag(&tag, &disk::beside(&tag, "new"));
        }
        let ignore = notes.join(".gitignore");
        if fs::symlink_metadata(&ignore).is_err()
            && let Err(err) = disk::write_atomically(&ignore, &disk::beside(&ignore, "new"), b"*")
        {
            tracing::debug!(%err, "cannot write .gitignore");
        }
    }

    /// What is noted about a file, if that still holds: the file is there and was not changed since (by more than the
    /// second that some file systems round to).
    pub fn read_metadata(&self, path: &RepoPath) -> Option<LocalMetadata> {
        let file = self.metadata_file(path);
        let noted = match fs::read_to_string(&file) {
            Ok(text) => parse(&text),
            Err(err) if matches!(err.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return None,
            Err(_) => None,
        };
        let Some(noted) = noted else {
            tracing::warn!(file = %file.display(), "removing a damaged note about a file");
            let _ = fs::remove_file(&file);
            return None;
        };
        let modified = fs::metadata(self.file(path)).and_then(|meta| meta.modified()).ok()?;
        // Written so that a time that is not a number never holds.
        (disk::unix_seconds(modified) - 1.0 <= noted.timestamp).then_some(noted)
    }

    /// Notes the commit and etag of a file, as of now.
    ///
    /// # Errors
    ///
    /// When the note cannot be written.
    pub fn write_metadata(&self, path: &RepoPath, commit: &CommitHash, etag: &Etag) -> Result<()> {
        let now = disk::unix_seconds(SystemTime::now());
        let file = self.metadata_file(path);
        disk::create_parents_below(&self.root, &format!(".cache/huggingface/download/{path}.metadata"))?;
        let text = format!("{commit}\n{etag}\n{}\n", python_float(now));
        disk::write_atomically(&file, &disk::beside(&file, "tmp"), text.as_bytes())
    }
}

/// Three lines: commit, etag, seconds.
fn parse(text: &str) -> Option<LocalMetadata> {
    let mut lines = text.lines().map(str::trim);
    let (commit, etag, timestamp) = (lines.next()?, lines.next()?, lines.next()?);
    Some(LocalMetadata {
        commit: commit.to_owned(),
        etag: etag.to_owned(),
        timestamp: timestamp.replace('_', "").parse().ok()?,
    })
}

/// A float as Python's `repr` has it.
fn python_float(value: f64) -> String {
    let text = format!("{value:?}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
    const ETAG: &str = "b45ef6fec89518d314f546fd6c3025367b721684";

    fn fixture() -> (tempfile::TempDir, LocalDir, RepoPath) {
        let dir = tempfile::tempdir().unwrap();
        let local = LocalDir::new(dir.path());
        (dir, local, "d/file.txt".parse().unwrap())
    }

    fn write(local: &LocalDir, path: &RepoPath) {
        local.prepare(path).unwrap();
        fs::write(local.file(path), b"x").unwrap();
        local
            .write_metadata(path, &COMMIT.parse().unwrap(), &ETAG.parse().unwrap())
            .unwrap();
    }

    #[test]
    fn c_074_the_layout_is_pythons() {
        let (dir, local, path) = fixture();
        write(&local, &path);
        let notes = dir.path().join(".cache/huggingface");
        assert_eq!(fs::read(notes.join(".gitignore")).unwrap(), b"*");
        assert_eq!(fs::metadata(notes.join("CACHEDIR.TAG")).unwrap().len(), 191);
        assert!(notes.join("download/d/file.txt.metadata").is_file());
        assert_eq!(local.lock_file(&path), notes.join("download/d/file.txt.lock"));
    }

    #[test]
    fn c_075_three_lines_with_pythons_float() {
        let (_dir, local, path) = fixture();
        write(&local, &path);
        let text = fs::read_to_string(local.metadata_file(&path)).unwrap();
        let lines: Vec<&str> = text.split('\n').collect();
        assert_eq!((lines[0], lines[1], lines.len(), lines[3]), (COMMIT, ETAG, 4, ""));
        assert!(lines[2].contains('.'), "{text}");
        for (value, text) in [
            (1712656091.0, "1712656091.0"),
            (1795409038.643366, "1795409038.643366"),
            (1e16, "1e+16"),
        ] {
            assert_eq!(python_float(value), text);
        }
    }

    #[test]
    fn c_077_a_file_touched_later_is_not_vouched_for() {
        let (_dir, local, path) = fixture();
        write(&local, &path);
        assert_eq!(local.read_metadata(&path).unwrap().commit, COMMIT);
        let file = std::fs::File::options().write(true).open(local.file(&path)).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(2)).unwrap();
        assert_eq!(local.read_metadata(&path), None);
        assert!(
            local.metadata_file(&path).exists(),
            "an outdated note stays on the disk"
        );
        fs::remove_file(local.file(&path)).unwrap();
        assert_eq!(local.read_metadata(&path), None);
    }

    #[test]
    fn c_078_a_damaged_note_is_removed() {
        let (_dir, local, path) = fixture();
        for bad in [
            "",
            "only one line",
            &format!("{COMMIT}\n{ETAG}\nsoon\n"),
            &format!("{COMMIT}\n{ETAG}\n"),
        ] {
            write(&local, &path);
            fs::write(local.metadata_file(&path), bad).unwrap();
            assert_eq!(local.read_metadata(&path), None, "{bad}");
            assert!(!local.metadata_file(&path).exists(), "{bad}");
        }
        write(&local, &path);
        fs::write(
            local.metadata_file(&path),
            format!("{COMMIT} \r\n{ETAG}\r\n1e+16\r\nmore\r\n"),
        )
        .unwrap();
        assert_eq!(local.read_metadata(&path).unwrap().etag, ETAG);
        fs::write(local.metadata_file(&path), format!("{COMMIT}\n{ETAG}\nnan\n")).unwrap();
        assert_eq!(local.read_metadata(&path), None);
    }

    #[test]
    fn c_082_a_partials_name_has_the_hash_of_the_notes_name() {
        let (dir, local, _) = fixture();
        let path: RepoPath = "file.txt".parse().unwrap();
        let partial = local.partial(&path, &ETAG.parse().unwrap(), "0123abcd");
        let name = format!("-cBLXcT-p5K-naX2rfKJhBZ6mEc=.{ETAG}.r1-0123abcd.incomplete");
        assert_eq!(partial, dir.path().join(".cache/huggingface/download").join(name));
    }

    #[cfg(unix)]
    #[test]
    fn c_104_a_linked_folder_is_not_written_through() {
        let (dir, local, path) = fixture();
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("d")).unwrap();
        assert!(local.prepare(&path).is_err());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
