//! Compares files on this disk with what they should be, by their hashes.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use fs_err as fs;
use hub_types::{Etag, GitOidHasher, RepoPath, Sha256Hasher};

use crate::error::Result;
use crate::layout::joined;
use crate::scan::in_parallel;
use crate::tree::Tree;

/// What a comparison gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Verification {
    /// The folder that was looked at.
    pub root: PathBuf,
    /// How many files were compared.
    pub checked: usize,
    /// Files with other bytes than they should have.
    pub mismatches: Vec<Mismatch>,
    /// Files that should be there and are not.
    pub missing: Vec<String>,
    /// Files that are there and should not be.
    pub extra: Vec<String>,
}

/// A file with other bytes than it should have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// Its path, with `/`.
    pub path: String,
    /// The hash that it should have, in hex.
    pub expected: String,
    /// The hash that it has, in hex.
    pub actual: String,
    /// Which hash.
    pub algorithm: Algorithm,
}

/// How a content is hashed: large files as they are, others as git does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-256 of the bytes.
    Sha256,
    /// SHA-1 of `blob <length>\0` and the bytes.
    GitSha1,
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "sha256",
            Self::GitSha1 => "git-sha1",
        })
    }
}

/// Compares the files below `root` with a listing (`verify_repo_checksums`), several at a time.
///
/// Links are followed. What lies in `.git` and `.cache/huggingface`, at any depth, is passed over.
///
/// # Errors
///
/// When a folder or file cannot be read.
pub fn verify(root: &Path, expected: &Tree) -> Result<Verification> {
    let local = local_files(root)?;
    let mut result = Verification {
        root: root.to_owned(),
        ..Verification::default()
    };
    let mut both = Vec::new();
    for (path, file) in &expected.files {
        match local.get(path.as_str()) {
            Some(local) => both.push((path, file.etag(), local)),
            None => result.missing.push(path.to_string()),
        }
    }
    result.extra = local
        .keys()
        .filter(|path| {
            path.parse::<RepoPath>()
                .map_or(true, |path| !expected.files.contains_key(&path))
        })
        .cloned()
        .collect();
    result.checked = both.len();
    let compared = in_parallel(&both, |(path, etag, local)| -> Result<Option<Mismatch>> {
        Ok(mismatch(local, etag)?.map(|found| Mismatch {
            path: path.to_string(),
            ..found
        }))
    });
    for found in compared {
        result.mismatches.extend(found?);
    }
    Ok(result)
}

/// Compares one file with its etag: none where they agree, or where the etag is no hash of the content.
pub(crate) fn mismatch(file: &Path, etag: &Etag) -> Result<Option<Mismatch>> {
    let (algorithm, expected, actual) = if let Some(sha256) = etag.as_sha256() {
        (Algorithm::Sha256, sha256.to_string(), sha256_of(file)?.to_string())
    } else if let Some(oid) = etag.as_git_oid() {
        (Algorithm::GitSha1, oid.to_string(), git_oid_of(file)?.to_string())
    } else {
        return Ok(None);
    };
    Ok((expected != actual).then(|| Mismatch {
        path: file.display().to_string(),
        expected,
        actual,
        algorithm,
    }))
}

/// The SHA-256 of a file's bytes.
///
/// # Errors
///
/// When it cannot be read.
pub fn sha256_of(file: &Path) -> Result<hub_types::Sha256> {
    let mut hasher = Sha256Hasher::new();
    read_through(file, |_| {}, |bytes| hasher.update(bytes))?;
    Ok(hasher.finish())
}

/// The git object id of a file's bytes.
///
/// # Errors
///
/// When it cannot be read.
pub fn git_oid_of(file: &Path) -> Result<hub_types::GitOid> {
    let hasher = std::cell::RefCell::new(GitOidHasher::new(0));
    read_through(
        file,
        |length| *hasher.borrow_mut() = GitOidHasher::new(length),
        |bytes| hasher.borrow_mut().update(bytes),
    )?;
    Ok(hasher.into_inner().finish())
}

fn read_through(file: &Path, begin: impl FnOnce(u64), mut take: impl FnMut(&[u8])) -> Result<()> {
    let mut file = fs::File::open(file)?;
    begin(file.metadata()?.len());
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            read => take(&buffer[..read]),
        }
    }
}

fn local_files(root: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    let mut dirs = vec![String::new()];
    while let Some(prefix) = dirs.pop() {
        let dir = if prefix.is_empty() {
            root.to_owned()
        } else {
            joined(root.to_owned(), &prefix)
        };
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if prefix.is_empty() {
                name
            } else {
                format!("{prefix}/{name}")
            };
            if is_skipped(&path) {
                continue;
            }
            // A link to a folder is not followed: it could lead anywhere, or in a circle.
            if entry.file_type()?.is_dir() {
                dirs.push(path);
            } else if entry.path().is_file() {
                files.insert(path, entry.path());
            }
        }
    }
    Ok(files)
}

/// What no listing has: git's own folder and our notes.
fn is_skipped(path: &str) -> bool {
    let ends = |name: &str| path == name || path.ends_with(&format!("/{name}"));
    ends(".git") || ends(".cache/huggingface")
}

#[cfg(test)]
mod tests {
    use hub_types::{GitOid, Sha256};

    use super::*;
    use crate::tree::TreeFile;

    fn tree(files: &[(&str, &str, bool)]) -> Tree {
        let file = |text: &str, lfs: bool| {
            let bytes = text.as_bytes();
            let size = bytes.len() as u64;
            TreeFile::new(size, GitOid::of(bytes), lfs.then(|| (Sha256::of(bytes), size)), None)
        };
        Tree {
            files: files
                .iter()
                .map(|(path, text, lfs)| (path.parse().unwrap(), file(text, *lfs)))
                .collect(),
        }
    }

    #[test]
    fn c_099_each_file_by_its_own_hash() {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("plain", "same"),
            ("d/large", "same"),
            ("d/bad", "other"),
            ("large-bad", "other"),
            ("extra", ""),
            (".git/config", ""),
            ("d/.git", ""),
            (".cache/huggingface/x", ""),
            ("d/.cache/huggingface/download/y", ""),
            (".cache/kept", ""),
        ] {
            let file = joined(dir.path().to_owned(), path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let expected = tree(&[
            ("plain", "same", false),
            ("d/large", "same", true),
            ("d/bad", "right", false),
            ("large-bad", "right", true),
            ("gone", "x", false),
        ]);
        let found = verify(dir.path(), &expected).unwrap();
        assert_eq!(found.checked, 4);
        assert_eq!(found.missing, ["gone"]);
        assert_eq!(found.extra, [".cache/kept", "extra"]);
        let wrong: Vec<_> = found
            .mismatches
            .iter()
            .map(|m| (m.path.as_str(), m.algorithm.to_string()))
            .collect();
        assert_eq!(
            wrong,
            [("d/bad", "git-sha1".to_owned()), ("large-bad", "sha256".to_owned())]
        );
        assert_eq!(found.mismatches[0].expected, GitOid::of(b"right").to_string());
        assert_eq!(found.mismatches[0].actual, GitOid::of(b"other").to_string());
    }

    #[test]
    fn an_etag_that_is_no_hash_proves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        fs::write(&file, "x").unwrap();
        assert_eq!(mismatch(&file, &"mirror-1".parse().unwrap()).unwrap(), None);
        assert!(mismatch(&dir.path().join("none"), &"0".repeat(40).parse().unwrap()).is_err());
    }
}
