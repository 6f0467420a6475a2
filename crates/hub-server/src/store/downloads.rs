//! How often files were downloaded, by day.

use rusqlite::params;

use crate::store::Db;

pub(crate) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS downloads (
    repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    day TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (repo, day)
) STRICT, WITHOUT ROWID;
";

impl Db {
    /// Notes that a file of the repository (by its row) was downloaded.
    ///
    /// A download must not fail because it cannot be counted, on a full disk, say: that is logged and no more.
    pub(crate) fn count_download(&self, repo: i64) {
        // A repository that was deleted meanwhile gets nothing.
        let counted = self.lock().execute(
            "INSERT INTO downloads (repo, day, count) SELECT id, date('now'), 1 FROM repos WHERE id = ?1
             ON CONFLICT (repo, day) DO UPDATE SET count = count + 1",
            params![repo],
        );
        if let Err(err) = counted {
            tracing::warn!(error = &err as &dyn std::error::Error, "a download was not counted");
        }
    }
}
