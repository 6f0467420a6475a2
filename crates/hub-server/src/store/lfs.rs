//! Large files: the pointers that git holds in their place, and which repository has which.

use hub_types::Sha256;
use rusqlite::{OptionalExtension as _, params};

use crate::clock;
use crate::error::{Error, Result};
use crate::store::blobs::Incoming;
use crate::store::{Db, Repo, Store, hold};

/// The text that git holds instead of a large file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pointer {
    pub(crate) sha256: Sha256,
    pub(crate) size: u64,
}

impl Pointer {
    /// The pointer, if this is one (LFS specification: `version` first, then keys in order).
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.lines();
        let version = lines.next()?.strip_prefix("version ")?;
        if !matches!(
            version,
            "https://git-lfs.github.com/spec/v1" | "http://git-media.io/v/2" | "https://hawser.github.com/spec/v1"
        ) {
            return None;
        }
        let (mut sha256, mut size) = (None, None);
        for line in lines {
            match line.split_once(' ')? {
                ("oid", oid) => sha256 = Some(oid.strip_prefix("sha256:")?.parse().ok()?),
                ("size", digits) => size = Some(digits.parse().ok()?),
                _ => {}
            }
        }
        Some(Self {
            sha256: sha256?,
            size: size?,
        })
    }

    pub(crate) fn text(&self) -> String {
        format!(
            "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n",
            self.sha256, self.size
        )
    }
}

/// A large file that was pushed to a repository.
#[derive(Debug, Clone)]
pub(crate) struct LfsFile {
    pub(crate) sha256: Sha256,
    pub(crate) size: u64,
    pub(crate) pushed: String,
}

impl Db {
    /// The size of a large file that the repository has.
    ///
    /// A file in the store that only other repositories have does not count: who knows a hash need not know the bytes.
    pub(crate) fn lfs_size(&self, repo: &Repo, sha256: &Sha256) -> Result<Option<u64>> {
        let size: Option<i64> = self
            .lock()
            .prepare_cached("SELECT size FROM lfs_files WHERE repo = ?1 AND sha256 = ?2")?
            .query_row(params![repo.row, sha256.to_string()], |row| row.get(0))
            .optional()?;
        Ok(size.and_then(|size| u64::try_from(size).ok()))
    }

    /// Notes that the repository (by its row) has a large file.
    pub(crate) fn put_lfs(&self, repo: i64, sha256: &Sha256, size: u64) -> Result<()> {
        let size = i64::try_from(size).map_err(|_| Error::bad_request("size is too large"))?;
        let db = self.lock();
        // A repository that was deleted meanwhile gets nothing.
        db.prepare_cached(
            "INSERT INTO lfs_files (repo, sha256, size, pushed)
             SELECT id, ?2, ?3, ?4 FROM repos WHERE id = ?1 ON CONFLICT DO NOTHING",
        )?
        .execute(params![repo, sha256.to_string(), size, clock::now().to_string()])?;
        Ok(())
    }

    /// Gives `to` all large files of `from`.
    fn copy_lfs(&self, from: &Repo, to: &Repo) -> Result<()> {
        self.lock().execute(
            "INSERT INTO lfs_files (repo, sha256, size, pushed)
             SELECT ?2, sha256, size, pushed FROM lfs_files WHERE repo = ?1 ON CONFLICT DO NOTHING",
            [from.row, to.row],
        )?;
        Ok(())
    }

    /// The repository's large files, newest first.
    pub(crate) fn lfs_files(&self, repo: &Repo) -> Result<Vec<LfsFile>> {
        let db = self.lock();
        let mut statement = db.prepare_cached(
            "SELECT sha256, size, pushed FROM lfs_files WHERE repo = ?1 ORDER BY pushed DESC, sha256",
        )?;
        let rows = statement.query_map([repo.row], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get(2)?))
        })?;
        let mut files = Vec::new();
        for row in rows {
            let (sha256, size, pushed) = row?;
            files.push(LfsFile {
                sha256: sha256.parse()?,
                size: u64::try_from(size).unwrap_or_default(),
                pushed,
            });
        }
        Ok(files)
    }

    /// Takes a large file away from the repository.
    fn drop_lfs(&self, repo: &Repo, sha256: &Sha256) -> Result<bool> {
        let dropped = self.lock().execute(
            "DELETE FROM lfs_files WHERE repo = ?1 AND sha256 = ?2",
            params![repo.row, sha256.to_string()],
        )?;
        Ok(dropped > 0)
    }

    /// Whether any repository has the large file.
    fn has_lfs(&self, sha256: &Sha256) -> Result<bool> {
        Ok(self
            .lock()
            .prepare_cached("SELECT 1 FROM lfs_files WHERE sha256 = ?1 LIMIT 1")?
            .exists([sha256.to_string()])?)
    }

    /// The bytes that the repository's large files take.
    pub(crate) fn lfs_total(&self, repo: &Repo) -> Result<u64> {
        let total: i64 = self
            .lock()
            .prepare_cached("SELECT coalesce(sum(size), 0) FROM lfs_files WHERE repo = ?1")?
            .query_row([repo.row], |row| row.get(0))?;
        Ok(u64::try_from(total).unwrap_or_default())
    }
}

/// The database says who has a file, the content store has it. Both change under one lock, so that no file is deleted
/// while another repository is being given it.
impl Store {
    /// Gives a file that has arrived its name, if it is what it was said to be, and notes that the repository (by its row)
    /// has it.
    pub(crate) fn keep_blob(&self, repo: i64, incoming: Incoming, sha256: &Sha256, size: u64) -> Result<()> {
        let checked = incoming.check(sha256, size)?;
        let _held = hold(&self.blobs);
        self.name_blob(checked, sha256)?;
        self.db.put_lfs(repo, sha256, size)
    }

    /// The same for one that has arrived in parts.
    pub(crate) fn keep_parts(&self, repo: i64, upload: &str, sha256: &Sha256, size: u64) -> Result<()> {
        let checked = self.check_parts(upload, sha256, size)?;
        let _held = hold(&self.blobs);
        self.name_blob(checked, sha256)?;
        self.db.put_lfs(repo, sha256, size)?;
        self.forget_parts(upload)
    }

    /// Gives `to` a large file of `from`; whether `from` has it.
    pub(crate) fn give_blob(&self, from: &Repo, to: &Repo, sha256: &Sha256) -> Result<bool> {
        let _held = hold(&self.blobs);
        let Some(size) = self.db.lfs_size(from, sha256)? else {
            return Ok(false);
        };
        self.db.put_lfs(to.row, sha256, size)?;
        Ok(true)
    }

    /// Gives `to` all large files of `from`.
    pub(crate) fn copy_blobs(&self, from: &Repo, to: &Repo) -> Result<()> {
        let _held = hold(&self.blobs);
        self.db.copy_lfs(from, to)
    }

    /// Takes large files away from a repository; how many of them it had.
    pub(crate) fn drop_blobs(&self, repo: &Repo, files: &[Sha256]) -> Result<usize> {
        self.without_orphans(repo, || {
            let mut dropped = 0;
            for sha256 in files {
                dropped += usize::from(self.db.drop_lfs(repo, sha256)?);
            }
            Ok(dropped)
        })
    }

    /// Runs `work`, which takes large files away from a repository, and deletes those that then no one has.
    pub(crate) fn without_orphans<T>(&self, repo: &Repo, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let _held = hold(&self.blobs);
        let before = self.db.lfs_files(repo)?;
        let done = work()?;
        for file in before {
            if !self.db.has_lfs(&file.sha256)? {
                match fs_err::remove_file(self.blob_path(&file.sha256)) {
                    Ok(()) => {}
                    Err(err) if err.kind() == std::io::ErrorKind::NotFound => {}
                    Err(err) => return Err(err.into()),
                }
            }
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_read_back() {
        let pointer = Pointer {
            sha256: Sha256::of(b"x"),
            size: 1,
        };
        assert_eq!(Pointer::parse(pointer.text().as_bytes()), Some(pointer));
    }

    #[test]
    fn what_only_looks_like_a_pointer_is_none() {
        let good = Pointer {
            sha256: Sha256::of(b"x"),
            size: 1,
        }
        .text();
        for bad in [
            "",
            "version https://git-lfs.github.com/spec/v1\n",
            &good.replace("sha256:", "md5:"),
            &good.replace("size 1", "size -1"),
            &good.replace("spec/v1", "spec/v9"),
            &format!("# {good}"),
        ] {
            assert_eq!(Pointer::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
