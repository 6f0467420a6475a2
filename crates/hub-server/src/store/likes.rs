//! Who likes which repository.

use rusqlite::params;

use crate::auth::Account;
use crate::clock;
use crate::error::Result;
use crate::store::{Db, Repo};

pub(crate) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS likes (
    repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    user INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
    created TEXT NOT NULL,
    PRIMARY KEY (repo, user)
) STRICT, WITHOUT ROWID;
";

impl Db {
    pub(crate) fn like(&self, repo: &Repo, user: &Account) -> Result<()> {
        self.lock().execute(
            "INSERT INTO likes (repo, user, created) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![repo.row, user.row, clock::now().to_string()],
        )?;
        Ok(())
    }

    pub(crate) fn unlike(&self, repo: &Repo, user: &Account) -> Result<()> {
        self.lock()
            .execute("DELETE FROM likes WHERE repo = ?1 AND user = ?2", [repo.row, user.row])?;
        Ok(())
    }

    /// Who likes a repository, by name, the latest first.
    pub(crate) fn likers(&self, repo: &Repo) -> Result<Vec<String>> {
        let db = self.lock();
        let mut statement = db.prepare_cached(
            "SELECT a.name FROM likes l JOIN accounts a ON a.id = l.user WHERE l.repo = ?1
             ORDER BY l.created DESC, a.name",
        )?;
        let rows = statement.query_map([repo.row], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What a user likes: the repositories' rows and when, the latest first.
    pub(crate) fn likes_of(&self, user: &str) -> Result<Vec<(i64, String)>> {
        let db = self.lock();
        let mut statement = db.prepare_cached(
            "SELECT l.repo, l.created FROM likes l JOIN accounts a ON a.id = l.user WHERE a.name = ?1
             ORDER BY l.created DESC, l.repo",
        )?;
        let rows = statement.query_map([user], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
