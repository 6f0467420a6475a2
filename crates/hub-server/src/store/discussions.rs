//! Discussions and pull requests: their rows and what happened in them.

use git2::Oid;
use rusqlite::{OptionalExtension as _, params};
use serde_json::{Value, json};

use crate::clock;
use crate::error::{Error, Result};
use crate::store::{Db, GitRepo, Repo, Store, random_hex};

/// A discussion's row.
#[derive(Debug, Clone)]
pub(crate) struct Discussion {
    pub(crate) num: u64,
    pub(crate) title: String,
    pub(crate) status: String,
    pub(crate) pull_request: bool,
    pub(crate) author: String,
    pub(crate) created: String,
    /// The ref that a pull request is against.
    pub(crate) base: Option<String>,
    pub(crate) merge_commit: Option<String>,
    pub(crate) pinned: bool,
    /// How many comments there are, hidden ones too.
    pub(crate) comments: u64,
}

/// Something that happened in a discussion.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) author: String,
    pub(crate) created: String,
    pub(crate) data: Value,
}

/// A discussion to be made.
#[derive(Debug)]
pub(crate) struct NewDiscussion<'a> {
    pub(crate) title: &'a str,
    pub(crate) description: &'a str,
    pub(crate) author: &'a str,
    pub(crate) status: &'a str,
    /// The ref and its commit, for a pull request.
    pub(crate) base: Option<(&'a str, Oid)>,
}

impl Event {
    /// Gives a comment another text. What it said stays in its history.
    pub(crate) fn edit(&mut self, text: &str, author: &str) {
        let edited = comment_data(text, author);
        let before = std::mem::replace(&mut self.data["latest"], edited["latest"].clone());
        if let Some(history) = self.data["history"].as_array_mut() {
            history.insert(0, before);
        }
        self.data["edited"] = true.into();
        self.data["numEdits"] = (self.data["numEdits"].as_u64().unwrap_or_default() + 1).into();
    }

    /// Hides a comment for good: what it said is kept nowhere.
    pub(crate) fn hide(&mut self, by: &str) {
        self.data["hidden"] = true.into();
        self.data["hiddenBy"] = by.into();
        self.data["history"] = json!([]);
        self.data["latest"]["raw"] = HIDDEN.into();
        self.data["latest"]["html"] = HIDDEN.into();
    }

    pub(crate) fn is_hidden(&self) -> bool {
        self.data["hidden"] == true
    }
}

/// What is served in the place of a hidden comment.
const HIDDEN: &str = "This comment has been hidden";

/// What is known of a comment that says `text`.
pub(crate) fn comment_data(text: &str, author: &str) -> Value {
    json!({
        "edited": false,
        "hidden": false,
        "numEdits": 0,
        "latest": {
            "raw": text,
            "html": escape(text),
            "updatedAt": clock::now().to_string(),
            "author": { "name": author },
        },
        "history": [],
    })
}

/// The ref of a pull request.
pub(crate) fn pull_request_ref(num: u64) -> String {
    format!("refs/pr/{num}")
}

impl Db {
    /// Makes a discussion with its first comment, and gives its number.
    pub(crate) fn create_discussion(&self, repo: &Repo, new: &NewDiscussion<'_>) -> Result<u64> {
        let now = clock::now().to_string();
        let mut db = self.lock();
        let change = db.transaction()?;
        let num: i64 = change.query_row(
            "INSERT INTO discussion_numbers (repo, last)
             VALUES (?1, (SELECT coalesce(max(num), 0) + 1 FROM discussions WHERE repo = ?1))
             ON CONFLICT (repo) DO UPDATE SET last = last + 1 RETURNING last",
            [repo.row],
            |row| row.get(0),
        )?;
        change.execute(
            "INSERT INTO discussions (repo, num, title, status, pull_request, author, created, base)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                repo.row,
                num,
                new.title,
                new.status,
                new.base.is_some(),
                new.author,
                now,
                new.base.map(|(name, _)| name)
            ],
        )?;
        change.commit()?;
        drop(db);
        let num = u64::try_from(num).unwrap_or_default();
        let comment = comment_data(new.description, new.author);
        self.add_event(repo, num, "comment", new.author, &comment)?;
        Ok(num)
    }

    pub(crate) fn discussion(&self, repo: &Repo, num: u64) -> Result<Discussion> {
        self.lock()
            .prepare_cached(&format!("{SELECT} WHERE repo = ?1 AND num = ?2"))?
            .query_row(params![repo.row, i64::try_from(num).unwrap_or(-1)], read)
            .optional()?
            .ok_or_else(|| Error::NotFound("Discussion not found".to_owned()))
    }

    /// All discussions: pinned ones, then the newest.
    pub(crate) fn discussions(&self, repo: &Repo) -> Result<Vec<Discussion>> {
        let db = self.lock();
        let mut statement = db.prepare_cached(&format!("{SELECT} WHERE repo = ?1 ORDER BY pinned DESC, num DESC"))?;
        let rows = statement.query_map([repo.row], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn add_event(&self, repo: &Repo, num: u64, kind: &str, author: &str, data: &Value) -> Result<Event> {
        let event = Event {
            id: random_hex(12),
            kind: kind.to_owned(),
            author: author.to_owned(),
            created: clock::now().to_string(),
            data: data.clone(),
        };
        self.lock().execute(
            "INSERT INTO discussion_events (id, repo, num, position, type, author, created, data)
             VALUES (?1, ?2, ?3,
                (SELECT coalesce(max(position), 0) + 1 FROM discussion_events WHERE repo = ?2 AND num = ?3),
                ?4, ?5, ?6, ?7)",
            params![
                event.id,
                repo.row,
                i64::try_from(num).unwrap_or(-1),
                event.kind,
                event.author,
                event.created,
                event.data.to_string()
            ],
        )?;
        Ok(event)
    }

    pub(crate) fn events(&self, repo: &Repo, num: u64) -> Result<Vec<Event>> {
        let db = self.lock();
        let mut statement = db.prepare_cached(
            "SELECT id, type, author, created, data FROM discussion_events WHERE repo = ?1 AND num = ?2 ORDER BY position",
        )?;
        let rows = statement.query_map(params![repo.row, i64::try_from(num).unwrap_or(-1)], |row| {
            Ok(Event {
                id: row.get(0)?,
                kind: row.get(1)?,
                author: row.get(2)?,
                created: row.get(3)?,
                data: serde_json::from_str(row.get_ref(4)?.as_str()?).unwrap_or_default(),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn set_status(&self, repo: &Repo, num: u64, status: &str, author: &str) -> Result<Event> {
        self.lock().execute(
            "UPDATE discussions SET status = ?3 WHERE repo = ?1 AND num = ?2",
            params![repo.row, i64::try_from(num).unwrap_or(-1), status],
        )?;
        self.add_event(repo, num, "status-change", author, &json!({ "status": status }))
    }

    /// Changes the title, and notes it.
    pub(crate) fn rename_discussion(&self, repo: &Repo, num: u64, title: &str, author: &str) -> Result<Event> {
        let before = self.discussion(repo, num)?.title;
        self.change_discussion(repo, num, "title", title)?;
        self.add_event(
            repo,
            num,
            "title-change",
            author,
            &json!({ "from": before, "to": title }),
        )
    }

    pub(crate) fn pin_discussion(&self, repo: &Repo, num: u64, pinned: bool) -> Result<()> {
        self.change_discussion(repo, num, "pinned", pinned)
    }

    pub(crate) fn delete_discussion(&self, repo: &Repo, num: u64) -> Result<()> {
        let mut db = self.lock();
        let change = db.transaction()?;
        // Folders of earlier versions have no row yet that remembers the number.
        change.execute(
            "INSERT INTO discussion_numbers (repo, last) SELECT ?1, max(num) FROM discussions WHERE repo = ?1 HAVING count(*) > 0
             ON CONFLICT (repo) DO NOTHING",
            [repo.row],
        )?;
        change.execute(
            "DELETE FROM discussions WHERE repo = ?1 AND num = ?2",
            params![repo.row, i64::try_from(num).unwrap_or(-1)],
        )?;
        Ok(change.commit()?)
    }

    /// `column` is a word of ours.
    fn change_discussion(&self, repo: &Repo, num: u64, column: &str, value: impl rusqlite::ToSql) -> Result<()> {
        self.lock().execute(
            &format!("UPDATE discussions SET {column} = ?3 WHERE repo = ?1 AND num = ?2"),
            params![repo.row, i64::try_from(num).unwrap_or(-1), value],
        )?;
        Ok(())
    }

    /// A comment of a discussion.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is none of this id.
    pub(crate) fn comment(&self, repo: &Repo, num: u64, id: &str) -> Result<Event> {
        let event = self.events(repo, num)?.into_iter().find(|event| event.id == id);
        event
            .filter(|event| event.kind == "comment")
            .ok_or_else(|| Error::NotFound("Comment not found".to_owned()))
    }

    pub(crate) fn set_event_data(&self, event: &Event) -> Result<()> {
        self.lock().execute(
            "UPDATE discussion_events SET data = ?2 WHERE id = ?1",
            params![event.id, event.data.to_string()],
        )?;
        Ok(())
    }

    fn set_merged(&self, repo: &Repo, num: u64, commit: Oid) -> Result<()> {
        self.lock().execute(
            "UPDATE discussions SET merge_commit = ?3 WHERE repo = ?1 AND num = ?2",
            params![repo.row, i64::try_from(num).unwrap_or(-1), commit.to_string()],
        )?;
        Ok(())
    }
}

const SELECT: &str = "SELECT num, title, status, pull_request, author, created, base, merge_commit, pinned,
    (SELECT count(*) FROM discussion_events e WHERE e.repo = d.repo AND e.num = d.num AND e.type = 'comment')
    FROM discussions d";

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Discussion> {
    Ok(Discussion {
        num: u64::try_from(row.get::<_, i64>(0)?).unwrap_or_default(),
        title: row.get(1)?,
        status: row.get(2)?,
        pull_request: row.get(3)?,
        author: row.get(4)?,
        created: row.get(5)?,
        base: row.get(6)?,
        merge_commit: row.get(7)?,
        pinned: row.get(8)?,
        comments: u64::try_from(row.get::<_, i64>(9)?).unwrap_or_default(),
    })
}

impl Store {
    /// Opens a pull request whose ref stands at its base. The caller holds the repository's lock.
    pub(crate) fn open_pull_request(&self, repo: &Repo, git: &GitRepo, new: &NewDiscussion<'_>) -> Result<u64> {
        let Some((_, base)) = new.base else {
            return Err(Error::Internal);
        };
        let num = self.db.create_discussion(repo, new)?;
        git.move_ref(&pull_request_ref(num), None, base, "pull request")?;
        Ok(num)
    }

    /// Notes the commits that arrived in a pull request.
    pub(crate) fn note_commits(&self, repo: &Repo, git: &GitRepo, num: u64, from: Oid, to: Oid) -> Result<()> {
        let mut walk = git.0.revwalk()?;
        walk.set_sorting(git2::Sort::TOPOLOGICAL | git2::Sort::REVERSE)?;
        walk.push(to)?;
        walk.hide(from)?;
        for oid in walk {
            let info = git.commit_info(oid?)?;
            self.db.add_event(
                repo,
                num,
                "commit",
                &info.author,
                &json!({ "subject": info.title, "oid": info.id.to_string() }),
            )?;
        }
        Ok(())
    }

    /// Merges a pull request as one commit on its base.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] when both sides changed the same lines, [`Error::BadRequest`] when it is not open.
    pub(crate) fn merge(&self, repo: &Repo, num: u64, author: &str) -> Result<Oid> {
        let merged = self.locked(repo, || {
            let discussion = self.db.discussion(repo, num)?;
            if !discussion.pull_request {
                return Err(Error::bad_request("This discussion is not a pull request"));
            }
            if discussion.status != "open" {
                return Err(Error::bad_request(format!(
                    "This pull request is {} and cannot be merged: it must be open",
                    discussion.status
                )));
            }
            let git = self.git(repo)?;
            let base = discussion.base.as_deref().unwrap_or("refs/heads/main");
            let (ours, theirs) = (git.resolve(base)?, git.resolve(&pull_request_ref(num))?);
            let tree = merged_tree(&git, ours, theirs)?;
            let message = format!("{} (#{num})", discussion.title);
            let commit = git.commit(tree, &[ours], author, &message)?;
            git.move_ref(base, Some(ours), commit, "merge")?;
            self.db.set_merged(repo, num, commit)?;
            self.db.set_status(repo, num, "merged", author)?;
            Ok(commit)
        })?;
        self.index(repo)?;
        Ok(merged)
    }
}

/// The files in which two commits cannot be merged.
pub(crate) fn conflicts(git: &GitRepo, ours: Oid, theirs: Oid) -> Result<Vec<String>> {
    let index = git
        .0
        .merge_commits(&git.0.find_commit(ours)?, &git.0.find_commit(theirs)?, None)?;
    let mut paths = Vec::new();
    for conflict in index.conflicts()? {
        let conflict = conflict?;
        if let Some(side) = conflict.our.or(conflict.their).or(conflict.ancestor) {
            paths.push(String::from_utf8_lossy(&side.path).into_owned());
        }
    }
    Ok(paths)
}

fn merged_tree(git: &GitRepo, ours: Oid, theirs: Oid) -> Result<Oid> {
    let mut index = git
        .0
        .merge_commits(&git.0.find_commit(ours)?, &git.0.find_commit(theirs)?, None)?;
    if index.has_conflicts() {
        return Err(Error::Conflict {
            message: "This pull request has conflicts and cannot be merged".to_owned(),
            url: None,
        });
    }
    Ok(index.write_tree_to(&git.0)?)
}

/// The changes of a pull request as a unified diff.
pub(crate) fn diff(git: &GitRepo, base: Oid, head: Oid) -> Result<String> {
    let from = git.0.merge_base(base, head).unwrap_or(base);
    let (old, new) = (git.0.find_commit(from)?.tree()?, git.0.find_commit(head)?.tree()?);
    let diff = git.0.diff_tree_to_tree(Some(&old), Some(&new), None)?;
    let mut text = String::new();
    diff.print(git2::DiffFormat::Patch, |_, _, line| {
        if matches!(line.origin(), '+' | '-' | ' ') {
            text.push(line.origin());
        }
        text.push_str(&String::from_utf8_lossy(line.content()));
        true
    })?;
    Ok(text)
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<p>{text}</p>")
}
