//! Collections and what is in them.

use rusqlite::{OptionalExtension as _, params};

use crate::clock;
use crate::error::Result;
use crate::store::{Db, random_hex};

pub(crate) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS collections (
    oid TEXT PRIMARY KEY,
    owner TEXT NOT NULL COLLATE NOCASE,
    title TEXT NOT NULL,
    description TEXT,
    private INTEGER NOT NULL,
    theme TEXT NOT NULL,
    position INTEGER NOT NULL,
    created TEXT NOT NULL,
    updated TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS collection_items (
    oid TEXT PRIMARY KEY,
    collection TEXT NOT NULL REFERENCES collections ON DELETE CASCADE,
    type TEXT NOT NULL,
    item TEXT NOT NULL,
    repo INTEGER REFERENCES repos ON DELETE CASCADE,
    position INTEGER NOT NULL,
    note TEXT,
    UNIQUE (collection, type, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS collection_items_of_repo ON collection_items (repo);
";

/// A collection's row.
#[derive(Debug, Clone)]
pub(crate) struct Collection {
    pub(crate) oid: String,
    pub(crate) owner: String,
    pub(crate) title: String,
    pub(crate) description: Option<String>,
    pub(crate) private: bool,
    pub(crate) theme: String,
    pub(crate) position: i64,
    pub(crate) updated: String,
}

impl Collection {
    /// `owner/words-of-the-title-<id>`; only the id at the end counts.
    pub(crate) fn slug(&self) -> String {
        let mut words = String::new();
        for c in self.title.to_lowercase().chars() {
            match c {
                c if c.is_ascii_alphanumeric() => words.push(c),
                _ if words.ends_with('-') || words.is_empty() => {}
                _ => words.push('-'),
            }
        }
        let words = words.trim_end_matches('-');
        match words {
            "" => format!("{}/{}", self.owner, self.oid),
            words => format!("{}/{words}-{}", self.owner, self.oid),
        }
    }
}

/// An item's row.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) oid: String,
    pub(crate) kind: String,
    /// The id of what it is; of a repository the one that it had when it was added.
    pub(crate) item: String,
    /// The repository's row, if it is one.
    pub(crate) repo: Option<i64>,
    pub(crate) note: Option<String>,
}

const COLUMNS: &str = "oid, owner, title, description, private, theme, position, updated";

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Collection> {
    Ok(Collection {
        oid: row.get(0)?,
        owner: row.get(1)?,
        title: row.get(2)?,
        description: row.get(3)?,
        private: row.get(4)?,
        theme: row.get(5)?,
        position: row.get(6)?,
        updated: row.get(7)?,
    })
}

impl Db {
    /// All collections, the one changed last first.
    pub(crate) fn collections(&self) -> Result<Vec<Collection>> {
        let db = self.lock();
        let mut statement =
            db.prepare_cached(&format!("SELECT {COLUMNS} FROM collections ORDER BY updated DESC, oid"))?;
        let rows = statement.query_map([], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn collection(&self, oid: &str) -> Result<Option<Collection>> {
        Ok(self
            .lock()
            .prepare_cached(&format!("SELECT {COLUMNS} FROM collections WHERE oid = ?1"))?
            .query_row([oid], read)
            .optional()?)
    }

    pub(crate) fn create_collection(
        &self,
        owner: &str,
        title: &str,
        description: Option<&str>,
        private: bool,
    ) -> Result<Collection> {
        let collection = Collection {
            oid: random_hex(12),
            owner: owner.to_owned(),
            title: title.to_owned(),
            description: description.map(str::to_owned),
            private,
            theme: "orange".to_owned(),
            position: 0,
            updated: clock::now().to_string(),
        };
        let mut db = self.lock();
        let change = db.transaction()?;
        // New ones come first, as on the owner's page.
        change.execute(
            "UPDATE collections SET position = position + 1 WHERE owner = ?1",
            [owner],
        )?;
        change.execute(
            &format!("INSERT INTO collections ({COLUMNS}, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)"),
            params![
                collection.oid,
                owner,
                title,
                description,
                private,
                collection.theme,
                collection.position,
                collection.updated
            ],
        )?;
        change.commit()?;
        Ok(collection)
    }

    /// Writes what may change of a collection.
    pub(crate) fn save_collection(&self, collection: &Collection) -> Result<()> {
        self.lock().execute(
            "UPDATE collections SET title = ?2, description = ?3, private = ?4, theme = ?5, position = ?6, updated = ?7
             WHERE oid = ?1",
            params![
                collection.oid,
                collection.title,
                collection.description,
                collection.private,
                collection.theme,
                collection.position,
                clock::now().to_string()
            ],
        )?;
        Ok(())
    }

    pub(crate) fn delete_collection(&self, oid: &str) -> Result<()> {
        self.lock().execute("DELETE FROM collections WHERE oid = ?1", [oid])?;
        Ok(())
    }

    /// The items, in their order.
    pub(crate) fn items(&self, collection: &Collection) -> Result<Vec<Item>> {
        let db = self.lock();
        let mut statement = db.prepare_cached(
            "SELECT oid, type, item, repo, note FROM collection_items WHERE collection = ?1 ORDER BY position, oid",
        )?;
        let rows = statement.query_map([&collection.oid], |row| {
            Ok(Item {
                oid: row.get(0)?,
                kind: row.get(1)?,
                item: row.get(2)?,
                repo: row.get(3)?,
                note: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Adds an item at the end; gives whether it was not there yet.
    pub(crate) fn add_item(
        &self,
        collection: &Collection,
        kind: &str,
        item: &str,
        repo: Option<i64>,
        note: Option<&str>,
    ) -> Result<bool> {
        let db = self.lock();
        let added = db.execute(
            "INSERT INTO collection_items (oid, collection, type, item, repo, position, note)
             VALUES (?1, ?2, ?3, ?4, ?5,
                (SELECT coalesce(max(position), -1) + 1 FROM collection_items WHERE collection = ?2), ?6)
             ON CONFLICT DO NOTHING",
            params![random_hex(12), collection.oid, kind, item, repo, note],
        )?;
        touch(&db, collection)?;
        Ok(added == 1)
    }

    /// Gives an item another note.
    pub(crate) fn note_item(&self, collection: &Collection, item: &Item, note: &str) -> Result<()> {
        let db = self.lock();
        db.execute(
            "UPDATE collection_items SET note = ?2 WHERE oid = ?1",
            [&item.oid, note],
        )?;
        touch(&db, collection)
    }

    /// Puts the items into this order.
    pub(crate) fn order_items(&self, collection: &Collection, items: &[Item]) -> Result<()> {
        let mut db = self.lock();
        let change = db.transaction()?;
        for (position, item) in (0_i64..).zip(items) {
            change.execute(
                "UPDATE collection_items SET position = ?2 WHERE oid = ?1",
                params![item.oid, position],
            )?;
        }
        touch(&change, collection)?;
        Ok(change.commit()?)
    }

    pub(crate) fn delete_item(&self, collection: &Collection, item: &Item) -> Result<()> {
        let db = self.lock();
        db.execute("DELETE FROM collection_items WHERE oid = ?1", [&item.oid])?;
        touch(&db, collection)
    }
}

fn touch(db: &rusqlite::Connection, collection: &Collection) -> Result<()> {
    db.execute(
        "UPDATE collections SET updated = ?2 WHERE oid = ?1",
        params![collection.oid, clock::now().to_string()],
    )?;
    Ok(())
}
