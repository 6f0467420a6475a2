//! The repositories' rows: what they are called, who may see them, and facts for listings.

use hub_types::{RepoId, RepoType, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::Value;

use crate::clock;
use crate::error::{Error, Result};
use crate::store::{Db, GitRepo, Store, card, git, random_hex};

/// Who may see a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visibility {
    Public,
    Private,
    /// Of a Space: the app is public, its files are not.
    Protected,
}

impl Visibility {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Protected => "protected",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Public, Self::Private, Self::Protected]
            .into_iter()
            .find(|v| v.as_str() == text)
    }
}

/// Whether access must be asked for, and who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gated {
    No,
    Auto,
    Manual,
}

impl Gated {
    fn as_str(self) -> &'static str {
        match self {
            Self::No => "false",
            Self::Auto => "auto",
            Self::Manual => "manual",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "auto" => Self::Auto,
            "manual" => Self::Manual,
            _ => Self::No,
        }
    }

    /// As the API writes it: `false` or a word.
    pub(crate) fn json(self) -> Value {
        match self {
            Self::No => Value::Bool(false),
            other => other.as_str().into(),
        }
    }

    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(false) => Some(Self::No),
            Value::String(word) if word == "auto" => Some(Self::Auto),
            Value::String(word) if word == "manual" => Some(Self::Manual),
            _ => None,
        }
    }
}

/// A repository's row.
#[derive(Debug, Clone)]
pub(crate) struct Repo {
    pub(crate) row: i64,
    /// `_id` of the API: stays the same when the repository moves.
    pub(crate) oid: String,
    pub(crate) id: RepoId,
    pub(crate) visibility: Visibility,
    pub(crate) gated: Gated,
    pub(crate) sdk: Option<String>,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
    /// The commit of `main`.
    pub(crate) head: Option<String>,
    /// What `main` says about itself, as [`card::facts`] found it.
    pub(crate) facts: Value,
    /// How many users like it: all told, and those who began to in the last 7 and 30 days.
    pub(crate) likes: u64,
    pub(crate) likes_7d: u64,
    pub(crate) likes_30d: u64,
    /// Files downloaded in the last 30 days, and all told.
    pub(crate) downloads: u64,
    pub(crate) downloads_all_time: u64,
}

impl Repo {
    pub(crate) fn namespace(&self) -> &str {
        self.id.namespace().unwrap_or_default()
    }

    /// Whether strangers must not see it. A protected Space's files are hidden from them as well.
    pub(crate) fn is_private(&self) -> bool {
        self.visibility != Visibility::Public
    }
}

/// A repository to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewRepo {
    pub(crate) id: RepoId,
    pub(crate) visibility: Visibility,
    pub(crate) sdk: Option<String>,
}

/// What an id leads to.
#[derive(Debug)]
pub(crate) enum Found {
    Here(Box<Repo>),
    /// Under another name, or spelt otherwise.
    Moved(Box<Repo>),
}

const COLUMNS: &str = "repos.id, repos.oid, repos.type, repos.repo, repos.visibility, repos.gated, repos.sdk,
    repos.created, repos.modified, repos.head, repos.facts,
    (SELECT count(*) FROM likes WHERE likes.repo = repos.id),
    (SELECT count(*) FROM likes WHERE likes.repo = repos.id AND likes.created >= strftime('%FT%H:%M:%fZ', 'now', '-7 days')),
    (SELECT count(*) FROM likes WHERE likes.repo = repos.id AND likes.created >= strftime('%FT%H:%M:%fZ', 'now', '-30 days')),
    (SELECT coalesce(sum(count), 0) FROM downloads d WHERE d.repo = repos.id AND d.day > date('now', '-30 days')),
    (SELECT coalesce(sum(count), 0) FROM downloads d WHERE d.repo = repos.id)";

fn read(row: &Row<'_>) -> rusqlite::Result<Option<Repo>> {
    let kind: String = row.get(2)?;
    let name: String = row.get(3)?;
    let Some(id) = kind
        .parse::<RepoType>()
        .ok()
        .and_then(|kind| RepoId::new(kind, &name).ok())
    else {
        return Ok(None);
    };
    let count =
        |column: usize| -> rusqlite::Result<u64> { Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or_default()) };
    let moment = |text: String| text.parse().unwrap_or_else(|_| clock::from_seconds(0));
    Ok(Some(Repo {
        row: row.get(0)?,
        oid: row.get(1)?,
        id,
        visibility: Visibility::parse(row.get_ref(4)?.as_str()?).unwrap_or(Visibility::Private),
        gated: Gated::parse(row.get_ref(5)?.as_str()?),
        sdk: row.get(6)?,
        created: moment(row.get(7)?),
        modified: moment(row.get(8)?),
        head: row.get(9)?,
        facts: serde_json::from_str(row.get_ref(10)?.as_str()?).unwrap_or_default(),
        likes: count(11)?,
        likes_7d: count(12)?,
        likes_30d: count(13)?,
        downloads: count(14)?,
        downloads_all_time: count(15)?,
    }))
}

fn by_name(db: &Connection, id: &RepoId) -> Result<Option<Repo>> {
    Ok(db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM repos WHERE type = ?1 AND repo = ?2"))?
        .query_row([id.repo_type().as_str(), id.id()], read)
        .optional()?
        .flatten())
}

impl Db {
    /// The repository of that id, or the one that has moved away from it.
    pub(crate) fn repo(&self, id: &RepoId) -> Result<Option<Found>> {
        let db = self.lock();
        if let Some(repo) = by_name(&db, id)? {
            return Ok(Some(if repo.id == *id {
                Found::Here(Box::new(repo))
            } else {
                Found::Moved(Box::new(repo))
            }));
        }
        let moved = db
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM redirects d JOIN repos ON repos.id = d.target WHERE d.type = ?1 AND d.repo = ?2"
            ))?
            .query_row([id.repo_type().as_str(), id.id()], read)
            .optional()?
            .flatten();
        Ok(moved.map(|repo| Found::Moved(Box::new(repo))))
    }

    /// The repository as it is now, if it is still there.
    pub(crate) fn repo_by_row(&self, row: i64) -> Result<Option<Repo>> {
        Ok(self
            .lock()
            .prepare_cached(&format!("SELECT {COLUMNS} FROM repos WHERE id = ?1"))?
            .query_row([row], read)
            .optional()?
            .flatten())
    }

    /// All repositories of a type, or of all types.
    pub(crate) fn all_repos(&self, kind: Option<RepoType>) -> Result<Vec<Repo>> {
        let db = self.lock();
        let mut statement = db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM repos WHERE ?1 IS NULL OR type = ?1 ORDER BY repos.id"
        ))?;
        let rows = statement.query_map([kind.map(RepoType::as_str)], read)?;
        rows.filter_map(|row| row.transpose().map(|row| row.map_err(Into::into)))
            .collect()
    }

    fn set<T: rusqlite::ToSql>(&self, repo: &Repo, column: &str, value: T) -> Result<()> {
        self.lock().execute(
            &format!("UPDATE repos SET {column} = ?2 WHERE id = ?1"),
            params![repo.row, value],
        )?;
        Ok(())
    }

    pub(crate) fn set_visibility(&self, repo: &Repo, visibility: Visibility) -> Result<()> {
        self.set(repo, "visibility", visibility.as_str())
    }

    pub(crate) fn set_gated(&self, repo: &Repo, gated: Gated) -> Result<()> {
        self.set(repo, "gated", gated.as_str())
    }
}

impl Store {
    /// Makes a repository with its first commit.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] when there is one of that name.
    pub(crate) fn create_repo(&self, new: &NewRepo) -> Result<Repo> {
        let now = clock::now();
        {
            let db = self.db.lock();
            if by_name(&db, &new.id)?.is_some() {
                return Err(already_there(&new.id));
            }
            // A new repository takes its name back from one that moved away.
            db.execute(
                "DELETE FROM redirects WHERE type = ?1 AND repo = ?2",
                [new.id.repo_type().as_str(), new.id.id()],
            )?;
            let made = db.execute(
                "INSERT INTO repos (oid, type, repo, namespace, visibility, sdk, created, modified)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7) ON CONFLICT DO NOTHING",
                params![
                    random_hex(12),
                    new.id.repo_type().as_str(),
                    new.id.id(),
                    new.id.namespace().unwrap_or_default(),
                    new.visibility.as_str(),
                    new.sdk,
                    now.to_string()
                ],
            )?;
            if made == 0 {
                return Err(already_there(&new.id));
            }
        }
        let Some(Found::Here(repo)) = self.db.repo(&new.id)? else {
            return Err(Error::Internal);
        };
        let made = self.locked(&repo, || {
            let dir = self.repo_dir(&repo.id);
            if dir.exists() {
                // Left by a process that died between the two: no row leads to it.
                fs_err::remove_dir_all(&dir)?;
            }
            git::init(&dir, repo.id.repo_type())
        });
        if let Err(err) = made {
            self.db.lock().execute("DELETE FROM repos WHERE id = ?1", [repo.row])?;
            return Err(err);
        }
        self.index(&repo)?;
        self.db.repo_by_row(repo.row)?.ok_or(Error::Internal)
    }

    pub(crate) fn delete_repo(&self, repo: &Repo) -> Result<()> {
        self.locked(repo, || {
            self.without_orphans(repo, || {
                self.db.lock().execute("DELETE FROM repos WHERE id = ?1", [repo.row])?;
                Ok(())
            })?;
            let dir = self.repo_dir(&repo.id);
            // Renamed first, so that the name is free at once and a half-deleted repository is never opened.
            let dying = self.root().join("repos").join(format!(".deleted-{}", random_hex(8)));
            fs_err::rename(&dir, &dying)?;
            fs_err::remove_dir_all(&dying)?;
            Ok(())
        })?;
        Ok(())
    }

    /// Gives a repository another name. The old one leads to it from now on.
    pub(crate) fn move_repo(&self, repo: &Repo, to: &RepoId) -> Result<()> {
        self.locked(repo, || {
            let target = self.repo_dir(to);
            {
                let mut db = self.db.lock();
                let change = db.transaction()?;
                if by_name(&change, to)?.is_some_and(|there| there.row != repo.row) {
                    return Err(already_there(to));
                }
                let kind = to.repo_type().as_str();
                change.execute("DELETE FROM redirects WHERE type = ?1 AND repo = ?2", [kind, to.id()])?;
                change.execute(
                    "UPDATE repos SET repo = ?2, namespace = ?3 WHERE id = ?1",
                    params![repo.row, to.id(), to.namespace().unwrap_or_default()],
                )?;
                change.execute(
                    "INSERT INTO redirects (type, repo, target) VALUES (?1, ?2, ?3)
                     ON CONFLICT (type, repo) DO UPDATE SET target = excluded.target",
                    params![kind, repo.id.id(), repo.row],
                )?;
                if let Some(parent) = target.parent() {
                    fs_err::create_dir_all(parent)?;
                }
                fs_err::rename(self.repo_dir(&repo.id), &target)?;
                change.commit()?;
            }
            Ok(())
        })
    }

    /// Gives `to` the branches, tags and large files of `from`.
    pub(crate) fn copy_main(&self, from: &Repo, to: &Repo) -> Result<()> {
        self.locked(to, || {
            self.copy_blobs(from, to)?;
            let git = self.git(to)?;
            let source = self.repo_dir(&from.id);
            let source = source.to_str().ok_or(Error::Internal)?;
            let mut remote = git.0.remote_anonymous(source)?;
            remote.fetch(&["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"], None, None)?;
            Ok(())
        })?;
        self.index(to)
    }

    /// Notes what `main` holds now: called whenever it may have moved.
    pub(crate) fn index(&self, repo: &Repo) -> Result<()> {
        // Under the lock, so that of two changes the later one's facts stay.
        self.locked(repo, || {
            let git = self.git(repo)?;
            let Ok(commit) = git.resolve("main") else {
                return Ok(());
            };
            let facts = self.facts(repo, &git, commit)?;
            self.db.lock().execute(
                "UPDATE repos SET head = ?2, facts = ?3, modified = ?4 WHERE id = ?1",
                params![
                    repo.row,
                    commit.to_string(),
                    facts.to_string(),
                    git.date(commit)?.to_string()
                ],
            )?;
            Ok(())
        })
    }

    /// What the files at `commit` say about the repository.
    pub(crate) fn facts(&self, repo: &Repo, git: &GitRepo, commit: git2::Oid) -> Result<Value> {
        card::facts(self, repo, git, commit)
    }
}

fn already_there(id: &RepoId) -> Error {
    Error::Conflict {
        message: format!("You already created this {} repo: {}", id.repo_type(), id.id()),
        url: None,
    }
}
