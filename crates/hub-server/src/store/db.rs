//! The database: accounts and tokens here, the other tables in the files of their areas.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use rand::Rng as _;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::auth::{Account, Role};
use crate::clock;
use crate::error::Result;
use crate::store::{access, collections, downloads, hold, likes, random_hex, spaces, users, webhooks, xet};

/// Run at every start: each statement makes what is not there yet.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS accounts (
    id INTEGER PRIMARY KEY,
    oid TEXT NOT NULL,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'org')),
    created TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS members (
    org INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
    user INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
    PRIMARY KEY (org, user)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens (
    sha256 TEXT PRIMARY KEY,
    user INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('read', 'write')),
    created TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS repos (
    id INTEGER PRIMARY KEY,
    oid TEXT NOT NULL,
    type TEXT NOT NULL,
    repo TEXT NOT NULL COLLATE NOCASE,
    namespace TEXT NOT NULL COLLATE NOCASE,
    visibility TEXT NOT NULL,
    gated TEXT NOT NULL DEFAULT 'false',
    sdk TEXT,
    created TEXT NOT NULL,
    modified TEXT NOT NULL,
    head TEXT,
    facts TEXT NOT NULL DEFAULT '{}',
    UNIQUE (type, repo)
) STRICT;
CREATE TABLE IF NOT EXISTS redirects (
    type TEXT NOT NULL,
    repo TEXT NOT NULL COLLATE NOCASE,
    target INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    PRIMARY KEY (type, repo)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lfs_files (
    repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    pushed TEXT NOT NULL,
    PRIMARY KEY (repo, sha256)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS discussions (
    repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    num INTEGER NOT NULL,
    title TEXT NOT NULL,
    status TEXT NOT NULL,
    pull_request INTEGER NOT NULL,
    author TEXT NOT NULL,
    created TEXT NOT NULL,
    base TEXT,
    merge_commit TEXT,
    pinned INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (repo, num)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS discussion_events (
    id TEXT PRIMARY KEY,
    repo INTEGER NOT NULL,
    num INTEGER NOT NULL,
    position INTEGER NOT NULL,
    type TEXT NOT NULL,
    author TEXT NOT NULL,
    created TEXT NOT NULL,
    data TEXT NOT NULL,
    FOREIGN KEY (repo, num) REFERENCES discussions ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS discussion_numbers (
    repo INTEGER PRIMARY KEY REFERENCES repos ON DELETE CASCADE,
    last INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS discussion_events_in_order ON discussion_events (repo, num, position);
";

/// Columns that folders of earlier versions do not have.
const ADDED: &[(&str, &str, &str)] = &[("discussions", "pinned", "INTEGER NOT NULL DEFAULT 0")];

fn add_column(db: &Connection, table: &str, column: &str, kind: &str) -> Result<()> {
    let there: bool = db.query_row(
        "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2",
        [table, column],
        |row| row.get(0),
    )?;
    if !there {
        db.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} {kind}"))?;
    }
    Ok(())
}

/// One connection, behind a lock: SQLite has one writer at a time anyway, and each statement is short.
#[derive(Debug)]
pub(crate) struct Db(Mutex<Connection>);

impl Db {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.set_prepared_statement_cache_capacity(64);
        for schema in [
            SCHEMA,
            users::SCHEMA,
            likes::SCHEMA,
            downloads::SCHEMA,
            access::SCHEMA,
            collections::SCHEMA,
            webhooks::SCHEMA,
            spaces::SCHEMA,
            xet::SCHEMA,
        ] {
            connection.execute_batch(schema)?;
        }
        for (table, column, kind) in ADDED {
            add_column(&connection, table, column, kind)?;
        }
        Ok(Self(Mutex::new(connection)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Connection> {
        hold(&self.0)
    }

    /// The key of the signed addresses, made at the first start.
    pub(crate) fn secret(&self) -> Result<[u8; 32]> {
        let db = self.lock();
        let fresh: [u8; 32] = rand::rng().random();
        db.execute(
            "INSERT INTO settings (key, value) VALUES ('secret', ?1) ON CONFLICT DO NOTHING",
            [fresh.as_slice()],
        )?;
        Ok(db.query_row("SELECT value FROM settings WHERE key = 'secret'", [], |row| row.get(0))?)
    }

    /// Makes the user unless there is one, and gives their token its role.
    pub(crate) fn put_user(&self, name: &str, token: &str, role: Role, token_name: &str) -> Result<()> {
        let mut db = self.lock();
        let change = db.transaction()?;
        let user = put_account(&change, name, "user")?;
        change.execute(
            "INSERT INTO tokens (sha256, user, name, role, created) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (sha256) DO UPDATE SET user = excluded.user, role = excluded.role",
            params![hash(token), user, token_name, role.as_str(), clock::now().to_string()],
        )?;
        Ok(change.commit()?)
    }

    /// Makes the organisation unless there is one, and adds these members (who are made, without a token, if need be).
    pub(crate) fn put_org(&self, name: &str, members: &[String]) -> Result<()> {
        let mut db = self.lock();
        let change = db.transaction()?;
        let org = put_account(&change, name, "org")?;
        for member in members {
            let user = put_account(&change, member, "user")?;
            change.execute(
                "INSERT INTO members (org, user) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                [org, user],
            )?;
        }
        Ok(change.commit()?)
    }

    /// The user whom a token signs in.
    pub(crate) fn account_of(&self, token: &str) -> Result<Option<Account>> {
        let db = self.lock();
        let account = db
            .prepare_cached(
                "SELECT a.id, a.name, t.role, t.name, t.created FROM tokens t JOIN accounts a ON a.id = t.user
                 WHERE t.sha256 = ?1",
            )?
            .query_row([hash(token)], |row| {
                Ok(Account {
                    row: row.get(0)?,
                    name: row.get(1)?,
                    role: match row.get_ref(2)?.as_str()? {
                        "write" => Role::Write,
                        _ => Role::Read,
                    },
                    token_name: row.get(3)?,
                    token_created: row.get(4)?,
                    orgs: Vec::new(),
                    let_into: Vec::new(),
                })
            })
            .optional()?;
        let Some(mut account) = account else { return Ok(None) };
        account.orgs = db
            .prepare_cached(
                "SELECT a.name FROM members m JOIN accounts a ON a.id = m.org WHERE m.user = ?1 ORDER BY a.name",
            )?
            .query_map([account.row], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        drop(db);
        account.let_into = self.accepted_repos(account.row)?;
        Ok(Some(account))
    }

    /// The id that never changes and the name as it is spelt, of a user or an organisation; with which of both it is.
    pub(crate) fn account_named(&self, name: &str) -> Result<Option<(String, String, String)>> {
        Ok(self
            .lock()
            .prepare_cached("SELECT oid, name, kind FROM accounts WHERE name = ?1")?
            .query_row([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?)
    }
}

fn put_account(db: &Connection, name: &str, kind: &str) -> Result<i64> {
    db.execute(
        "INSERT INTO accounts (oid, name, kind, created) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        params![random_hex(12), name, kind, clock::now().to_string()],
    )?;
    Ok(db.query_row("SELECT id FROM accounts WHERE name = ?1", [name], |row| row.get(0))?)
}

fn hash(token: &str) -> String {
    hub_types::Sha256::of(token.as_bytes()).to_string()
}
