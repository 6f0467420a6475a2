//! Which large files came by Xet, and what the storage calls them.

use hub_types::Sha256;
use rusqlite::{OptionalExtension as _, params};

use crate::error::{Error, Result};
use crate::store::{Db, Repo, Store, hold};
use crate::xet::XetFile;

pub(crate) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS xet_files (
    sha256 TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    size INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

impl Db {
    /// What the storage calls a content.
    pub(crate) fn xet_file(&self, sha256: &Sha256) -> Result<Option<XetFile>> {
        let found: Option<(String, i64)> = self
            .lock()
            .prepare_cached("SELECT hash, size FROM xet_files WHERE sha256 = ?1")?
            .query_row([sha256.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((hash, size)) = found else { return Ok(None) };
        Ok(Some(XetFile {
            sha256: *sha256,
            hash: hash.parse()?,
            size: u64::try_from(size).unwrap_or_default(),
        }))
    }

    /// Notes what the storage calls a content. The first name stays: a content has one.
    pub(crate) fn put_xet(&self, file: &XetFile) -> Result<()> {
        let size = i64::try_from(file.size).map_err(|_| Error::bad_request("size is too large"))?;
        self.lock().execute(
            "INSERT INTO xet_files (sha256, hash, size) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![file.sha256.to_string(), file.hash.to_string(), size],
        )?;
        Ok(())
    }
}

impl Store {
    /// The size of a large file that the repository has, or that has come by Xet and is the repository's from here on.
    pub(crate) fn large_size(&self, repo: &Repo, sha256: &Sha256) -> Result<Option<u64>> {
        if let Some(size) = self.db.lfs_size(repo, sha256)? {
            return Ok(Some(size));
        }
        let Some(storage) = &self.xet else { return Ok(None) };
        let Some(file) = storage.find(&self.db, sha256)? else {
            return Ok(None);
        };
        let _held = hold(&self.blobs);
        self.db.put_lfs(repo.row, sha256, file.size)?;
        Ok(Some(file.size))
    }
}
