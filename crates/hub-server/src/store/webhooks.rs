//! Webhooks: what is watched, and where what happens is sent.

use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::error::Result;
use crate::store::{Db, Repo, random_hex};

pub(crate) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS webhooks (
    oid TEXT PRIMARY KEY,
    user INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
    url TEXT NOT NULL,
    watched TEXT NOT NULL,
    domains TEXT NOT NULL,
    secret TEXT,
    disabled INTEGER NOT NULL DEFAULT 0,
    created TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Something that a webhook watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watched {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) name: String,
}

/// A webhook's row.
#[derive(Clone)]
pub(crate) struct Webhook {
    pub(crate) oid: String,
    /// Whose it is: the account's row.
    pub(crate) user: i64,
    pub(crate) url: String,
    pub(crate) watched: Vec<Watched>,
    pub(crate) domains: Vec<String>,
    pub(crate) secret: Option<String>,
    pub(crate) disabled: bool,
    /// When it was made; empty before it is saved.
    pub(crate) created: String,
}

impl Webhook {
    /// Whether it wants to know of what happens to a repository.
    pub(crate) fn wants(&self, repo: &Repo, domain: &str) -> bool {
        let watches = |watched: &Watched| match &*watched.kind {
            "user" | "org" => watched.name.eq_ignore_ascii_case(repo.namespace()),
            kind => kind == repo.id.repo_type().as_str() && watched.name.eq_ignore_ascii_case(repo.id.id()),
        };
        !self.disabled && self.domains.iter().any(|d| d == domain) && self.watched.iter().any(watches)
    }
}

const COLUMNS: &str = "oid, user, url, watched, domains, secret, disabled, created";

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Webhook> {
    Ok(Webhook {
        oid: row.get(0)?,
        user: row.get(1)?,
        url: row.get(2)?,
        watched: serde_json::from_str(row.get_ref(3)?.as_str()?).unwrap_or_default(),
        domains: serde_json::from_str(row.get_ref(4)?.as_str()?).unwrap_or_default(),
        secret: row.get(5)?,
        disabled: row.get(6)?,
        created: row.get(7)?,
    })
}

impl Db {
    /// All webhooks, or those of one user, in the order in which they were made.
    pub(crate) fn webhooks(&self, user: Option<i64>) -> Result<Vec<Webhook>> {
        let db = self.lock();
        let mut statement = db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM webhooks WHERE ?1 IS NULL OR user = ?1 ORDER BY created, oid"
        ))?;
        let rows = statement.query_map([user], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn webhook(&self, user: i64, oid: &str) -> Result<Option<Webhook>> {
        Ok(self
            .lock()
            .prepare_cached(&format!("SELECT {COLUMNS} FROM webhooks WHERE user = ?1 AND oid = ?2"))?
            .query_row(params![user, oid], read)
            .optional()?)
    }

    /// Writes a webhook, a new one where it has no id yet, and gives its id.
    pub(crate) fn save_webhook(&self, webhook: &Webhook) -> Result<String> {
        let oid = match webhook.oid.as_str() {
            "" => random_hex(12),
            oid => oid.to_owned(),
        };
        let watched = serde_json::to_string(&webhook.watched).unwrap_or_default();
        let domains = serde_json::to_string(&webhook.domains).unwrap_or_default();
        self.lock().execute(
            &format!(
                "INSERT INTO webhooks ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT (oid) DO UPDATE SET url = excluded.url, watched = excluded.watched,
                    domains = excluded.domains, secret = excluded.secret, disabled = excluded.disabled"
            ),
            params![
                oid,
                webhook.user,
                webhook.url,
                watched,
                domains,
                webhook.secret,
                webhook.disabled,
                clock::now().to_string()
            ],
        )?;
        Ok(oid)
    }

    pub(crate) fn delete_webhook(&self, oid: &str) -> Result<()> {
        self.lock().execute("DELETE FROM webhooks WHERE oid = ?1", [oid])?;
        Ok(())
    }

    /// Whether a user belongs to a namespace: their own, or an organisation of theirs.
    pub(crate) fn is_of(&self, user: i64, namespace: &str) -> Result<bool> {
        Ok(self.lock().query_row(
            "SELECT count(*) > 0 FROM accounts a WHERE a.name = ?2 AND
                (a.id = ?1 OR EXISTS (SELECT 1 FROM members m WHERE m.org = a.id AND m.user = ?1))",
            params![user, namespace],
            |row| row.get(0),
        )?)
    }
}
