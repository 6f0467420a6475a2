//! Spaces: what their runtime would be like. No app runs here; a Space whose files are there counts as running.

use rusqlite::{OptionalExtension as _, params};
use serde_json::{Value, json};

use crate::clock;
use crate::error::Result;
use crate::store::{Db, Repo, Store};

pub(crate) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS spaces (
    repo INTEGER PRIMARY KEY REFERENCES repos ON DELETE CASCADE,
    requested TEXT NOT NULL DEFAULT 'cpu-basic',
    current TEXT,
    sleep_time INTEGER,
    dev_mode INTEGER NOT NULL DEFAULT 0,
    paused INTEGER NOT NULL DEFAULT 0,
    built TEXT,
    starting TEXT,
    volumes TEXT NOT NULL DEFAULT '[]'
) STRICT;
CREATE TABLE IF NOT EXISTS space_settings (
    repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT,
    description TEXT,
    updated TEXT NOT NULL,
    PRIMARY KEY (repo, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS space_logs (
    id INTEGER PRIMARY KEY,
    repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    kind TEXT NOT NULL,
    line TEXT NOT NULL,
    written TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS space_logs_of_repo ON space_logs (repo, kind);
";

/// Seconds after which idle free hardware sleeps; that cannot be changed.
const FREE_SLEEP: i64 = 172_800;
pub(crate) const FREE: &str = "cpu-basic";

/// A Space's row.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    pub(crate) requested: String,
    /// None before the first build.
    pub(crate) current: Option<String>,
    /// Seconds; -1 is never.
    pub(crate) sleep_time: Option<i64>,
    pub(crate) dev_mode: bool,
    pub(crate) paused: bool,
    /// The commit that was built last.
    pub(crate) built: Option<String>,
    /// The stage that a restart passes through.
    pub(crate) starting: Option<String>,
    pub(crate) volumes: Value,
}

impl Default for Space {
    fn default() -> Self {
        Self {
            requested: FREE.to_owned(),
            current: None,
            sleep_time: None,
            dev_mode: false,
            paused: false,
            built: None,
            starting: None,
            volumes: json!([]),
        }
    }
}

/// A secret or a variable. Of a secret the value is not kept: nothing here would ever read it.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) key: String,
    /// None of a secret.
    pub(crate) value: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) updated: String,
}

impl Db {
    pub(crate) fn space(&self, repo: &Repo) -> Result<Space> {
        let space = self
            .lock()
            .prepare_cached(
                "SELECT requested, current, sleep_time, dev_mode, paused, built, starting, volumes FROM spaces
                 WHERE repo = ?1",
            )?
            .query_row([repo.row], |row| {
                Ok(Space {
                    requested: row.get(0)?,
                    current: row.get(1)?,
                    sleep_time: row.get(2)?,
                    dev_mode: row.get(3)?,
                    paused: row.get(4)?,
                    built: row.get(5)?,
                    starting: row.get(6)?,
                    volumes: serde_json::from_str(row.get_ref(7)?.as_str()?).unwrap_or_default(),
                })
            })
            .optional()?;
        Ok(space.unwrap_or_default())
    }

    pub(crate) fn save_space(&self, repo: &Repo, space: &Space) -> Result<()> {
        self.lock().execute(
            "INSERT INTO spaces (repo, requested, current, sleep_time, dev_mode, paused, built, starting, volumes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (repo) DO UPDATE SET requested = excluded.requested, current = excluded.current,
                sleep_time = excluded.sleep_time, dev_mode = excluded.dev_mode, paused = excluded.paused,
                built = excluded.built, starting = excluded.starting, volumes = excluded.volumes",
            params![
                repo.row,
                space.requested,
                space.current,
                space.sleep_time,
                space.dev_mode,
                space.paused,
                space.built,
                space.starting,
                space.volumes.to_string()
            ],
        )?;
        Ok(())
    }

    /// The secrets and variables, by name.
    pub(crate) fn space_settings(&self, repo: &Repo) -> Result<Vec<Setting>> {
        let db = self.lock();
        let mut statement = db.prepare_cached(
            "SELECT key, value, description, updated FROM space_settings WHERE repo = ?1 ORDER BY key",
        )?;
        let rows = statement.query_map([repo.row], |row| {
            Ok(Setting {
                key: row.get(0)?,
                value: row.get(1)?,
                description: row.get(2)?,
                updated: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Adds a setting, or replaces it; what it was described as stays where nothing else is said.
    pub(crate) fn put_space_setting(
        &self,
        repo: &Repo,
        key: &str,
        value: Option<&str>,
        description: Option<&str>,
    ) -> Result<()> {
        self.lock().execute(
            "INSERT INTO space_settings (repo, key, value, description, updated) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (repo, key) DO UPDATE SET value = excluded.value, updated = excluded.updated,
                description = coalesce(excluded.description, description)",
            params![repo.row, key, value, description, clock::now().to_string()],
        )?;
        Ok(())
    }

    pub(crate) fn delete_space_setting(&self, repo: &Repo, key: &str, secret: bool) -> Result<()> {
        self.lock().execute(
            "DELETE FROM space_settings WHERE repo = ?1 AND key = ?2 AND (value IS NULL) = ?3",
            params![repo.row, key, secret],
        )?;
        Ok(())
    }

    pub(crate) fn write_space_log(&self, repo: &Repo, kind: &str, lines: &[String]) -> Result<()> {
        let mut db = self.lock();
        let change = db.transaction()?;
        for line in lines {
            change.execute(
                "INSERT INTO space_logs (repo, kind, line, written) VALUES (?1, ?2, ?3, ?4)",
                params![repo.row, kind, line, clock::now().to_string()],
            )?;
        }
        Ok(change.commit()?)
    }

    /// The lines of a log with their times, oldest first.
    pub(crate) fn space_log(&self, repo: &Repo, kind: &str) -> Result<Vec<(String, String)>> {
        let db = self.lock();
        let mut statement =
            db.prepare_cached("SELECT line, written FROM space_logs WHERE repo = ?1 AND kind = ?2 ORDER BY id")?;
        let rows = statement.query_map(params![repo.row, kind], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// The file without which a Space of that SDK has no app.
fn app_file(repo: &Repo) -> &str {
    match repo.sdk.as_deref() {
        Some("docker") => "Dockerfile",
        Some("static") => repo.facts["cardData"]["app_file"].as_str().unwrap_or("index.html"),
        _ => repo.facts["cardData"]["app_file"].as_str().unwrap_or("app.py"),
    }
}

pub(crate) fn is_static(repo: &Repo) -> bool {
    repo.sdk.as_deref() == Some("static")
}

impl Store {
    /// How a Space stands. Each question `moves` it on: what was building is running at the next one.
    pub(crate) fn runtime(&self, repo: &Repo, moves: bool) -> Result<Value> {
        let mut space = self.db.space(repo)?;
        let stage = self.stage(repo, &space)?;
        let reply = runtime_json(repo, &space, &stage);
        let head = repo.head.clone();
        if moves && matches!(&*stage, "BUILDING" | "RUNNING_BUILDING") {
            let commit = head.as_deref().unwrap_or_default();
            let built = [
                "===== Build Queued =====\n".to_owned(),
                format!("--> FROM commit {commit}\n"),
                "--> DONE\n".to_owned(),
            ];
            self.db.write_space_log(repo, "build", &built)?;
        }
        if moves && !matches!(&*stage, "RUNNING" | "PAUSED" | "NO_APP_FILE") {
            let started = format!("===== Application Startup at {} =====\n", clock::now());
            self.db.write_space_log(repo, "run", &[started])?;
            space.built = head;
            space.starting = None;
            space.current = Some(space.requested.clone());
            self.db.save_space(repo, &space)?;
        }
        Ok(reply)
    }

    fn stage(&self, repo: &Repo, space: &Space) -> Result<String> {
        let stage = if space.paused {
            "PAUSED"
        } else if !self.has_app(repo)? {
            "NO_APP_FILE"
        } else if is_static(repo) {
            "RUNNING"
        } else if space.built.is_none() {
            "BUILDING"
        } else if space.built != repo.head {
            "RUNNING_BUILDING"
        } else {
            space.starting.as_deref().unwrap_or("RUNNING")
        };
        Ok(stage.to_owned())
    }

    fn has_app(&self, repo: &Repo) -> Result<bool> {
        let git = self.git(repo)?;
        let Ok(head) = git.resolve("main") else {
            return Ok(false);
        };
        let tree = git.0.find_commit(head)?.tree()?;
        Ok(tree.get_path(std::path::Path::new(app_file(repo))).is_ok())
    }
}

fn runtime_json(repo: &Repo, space: &Space, stage: &str) -> Value {
    if is_static(repo) {
        return json!({
            "stage": stage,
            "hardware": { "current": null, "requested": null },
            "storage": null,
            "replicas": { "requested": 1, "current": 1 },
        });
    }
    let sleep_time = match (&*space.requested, space.sleep_time) {
        (FREE, _) => Some(FREE_SLEEP),
        (_, Some(-1)) => None,
        (_, seconds) => seconds,
    };
    let mut reply = json!({
        "stage": stage,
        "hardware": { "current": space.current, "requested": space.requested },
        "storage": null,
        "gcTimeout": sleep_time,
        "replicas": { "requested": 1 },
        "devMode": space.dev_mode,
    });
    if stage.starts_with("RUNNING") {
        reply["replicas"]["current"] = 1.into();
    }
    if space.volumes.as_array().is_some_and(|volumes| !volumes.is_empty()) {
        reply["volumes"] = space.volumes.clone();
    }
    reply
}
