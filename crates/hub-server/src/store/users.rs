//! Users and organisations as others see them: who belongs to what, and who follows whom.

use rusqlite::{OptionalExtension as _, params};

use crate::error::Result;
use crate::store::Db;

pub(crate) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS follows (
    follower INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
    followed INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
    PRIMARY KEY (follower, followed)
) STRICT, WITHOUT ROWID;
";

/// A user or an organisation.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    pub(crate) row: i64,
    pub(crate) oid: String,
    pub(crate) name: String,
    pub(crate) is_user: bool,
    pub(crate) created: String,
}

/// Which end of a relation is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    /// Who follows the account.
    Followers,
    /// Whom the account follows.
    Following,
    /// Who belongs to the organisation.
    Members,
    /// What the user belongs to.
    Organizations,
}

impl Relation {
    /// From the account `?1` to the others.
    fn sql(self) -> &'static str {
        match self {
            Self::Followers => "SELECT follower FROM follows WHERE followed = ?1",
            Self::Following => "SELECT followed FROM follows WHERE follower = ?1",
            Self::Members => "SELECT user FROM members WHERE org = ?1",
            Self::Organizations => "SELECT org FROM members WHERE user = ?1",
        }
    }
}

const COLUMNS: &str = "id, oid, name, kind = 'user', created";

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Profile> {
    Ok(Profile {
        row: row.get(0)?,
        oid: row.get(1)?,
        name: row.get(2)?,
        is_user: row.get(3)?,
        created: row.get(4)?,
    })
}

impl Db {
    pub(crate) fn profile(&self, name: &str) -> Result<Option<Profile>> {
        Ok(self
            .lock()
            .prepare_cached(&format!("SELECT {COLUMNS} FROM accounts WHERE name = ?1"))?
            .query_row([name], read)
            .optional()?)
    }

    /// The accounts at the other end of a relation, by name.
    pub(crate) fn related(&self, to: &Profile, relation: Relation) -> Result<Vec<Profile>> {
        let db = self.lock();
        let mut statement = db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM accounts WHERE id IN ({}) ORDER BY name",
            relation.sql()
        ))?;
        let rows = statement.query_map([to.row], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn count_related(&self, to: &Profile, relation: Relation) -> Result<u64> {
        let count: i64 =
            self.lock()
                .query_row(&format!("SELECT count(*) FROM ({})", relation.sql()), [to.row], |row| {
                    row.get(0)
                })?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// How many discussions an account has opened, and how many repositories it likes.
    pub(crate) fn activity(&self, of: &Profile) -> Result<(u64, u64)> {
        let db = self.lock();
        let count = |sql: &str, value: &dyn rusqlite::ToSql| -> Result<u64> {
            let count: i64 = db.query_row(sql, [value], |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or_default())
        };
        Ok((
            count("SELECT count(*) FROM discussions WHERE author = ?1", &of.name)?,
            count("SELECT count(*) FROM likes WHERE user = ?1", &of.row)?,
        ))
    }

    pub(crate) fn follow(&self, follower: i64, followed: &Profile, follows: bool) -> Result<()> {
        let sql = match follows {
            true => "INSERT INTO follows (follower, followed) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            false => "DELETE FROM follows WHERE follower = ?1 AND followed = ?2",
        };
        self.lock().execute(sql, params![follower, followed.row])?;
        Ok(())
    }
}
