//! Access requests of gated repositories.

use rusqlite::{OptionalExtension as _, params};
use serde_json::Value;

use crate::clock;
use crate::error::Result;
use crate::store::{Db, Repo, random_hex};

pub(crate) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS access_requests (
    oid TEXT PRIMARY KEY,
    repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    user INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
    status TEXT NOT NULL CHECK (status IN ('pending', 'accepted', 'rejected')),
    granted INTEGER NOT NULL,
    created TEXT NOT NULL,
    fields TEXT NOT NULL,
    reason TEXT,
    UNIQUE (repo, user)
) STRICT, WITHOUT ROWID;
";

/// A request, or an access that the owner gave without one.
#[derive(Debug, Clone)]
pub(crate) struct AccessRequest {
    pub(crate) oid: String,
    pub(crate) user: String,
    pub(crate) status: String,
    pub(crate) created: String,
    pub(crate) fields: Value,
    pub(crate) reason: Option<String>,
}

/// Which request is meant.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    /// That of a user, by name.
    By(String),
    /// That of an id.
    Id(String),
}

const SELECT: &str = "SELECT r.oid, a.name, r.status, r.created, r.fields, r.reason
    FROM access_requests r JOIN accounts a ON a.id = r.user";

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<AccessRequest> {
    Ok(AccessRequest {
        oid: row.get(0)?,
        user: row.get(1)?,
        status: row.get(2)?,
        created: row.get(3)?,
        fields: serde_json::from_str(row.get_ref(4)?.as_str()?).unwrap_or_default(),
        reason: row.get(5)?,
    })
}

impl Db {
    /// The requests that stand so, the latest first.
    pub(crate) fn access_requests(&self, repo: &Repo, status: &str) -> Result<Vec<AccessRequest>> {
        let db = self.lock();
        let mut statement = db.prepare_cached(&format!(
            "{SELECT} WHERE r.repo = ?1 AND r.status = ?2 ORDER BY r.created DESC, r.oid"
        ))?;
        let rows = statement.query_map(params![repo.row, status], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn access_request(&self, repo: &Repo, asked: &Asked) -> Result<Option<AccessRequest>> {
        let (column, value) = match asked {
            Asked::By(name) => ("a.name", name),
            Asked::Id(oid) => ("r.oid", oid),
        };
        Ok(self
            .lock()
            .prepare_cached(&format!("{SELECT} WHERE r.repo = ?1 AND {column} = ?2"))?
            .query_row(params![repo.row, value], read)
            .optional()?)
    }

    pub(crate) fn delete_access(&self, request: &AccessRequest) -> Result<()> {
        self.lock()
            .execute("DELETE FROM access_requests WHERE oid = ?1", [&request.oid])?;
        Ok(())
    }

    /// Notes a request, or an access that was granted.
    pub(crate) fn put_access(&self, repo: &Repo, user: i64, status: &str, granted: bool, fields: &Value) -> Result<()> {
        self.lock().execute(
            "INSERT INTO access_requests (oid, repo, user, status, granted, created, fields)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (repo, user) DO UPDATE SET status = excluded.status, reason = NULL",
            params![
                random_hex(12),
                repo.row,
                user,
                status,
                granted,
                clock::now().to_string(),
                fields.to_string()
            ],
        )?;
        Ok(())
    }

    pub(crate) fn answer_access(&self, request: &AccessRequest, status: &str, reason: Option<&str>) -> Result<()> {
        self.lock().execute(
            "UPDATE access_requests SET status = ?2, reason = ?3 WHERE oid = ?1",
            params![request.oid, status, reason],
        )?;
        Ok(())
    }

    /// The repositories that a user has been let into, by their rows.
    pub(crate) fn accepted_repos(&self, user: i64) -> Result<Vec<i64>> {
        let db = self.lock();
        let mut statement =
            db.prepare_cached("SELECT repo FROM access_requests WHERE user = ?1 AND status = 'accepted'")?;
        let rows = statement.query_map([user], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
