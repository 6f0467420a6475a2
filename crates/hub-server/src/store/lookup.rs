//! Finding many paths of one commit.

use std::collections::HashMap;

use git2::{ObjectType, Oid};
use hub_types::RepoPath;

use crate::error::Result;
use crate::store::GitRepo;
use crate::store::git::Entry;

/// What one folder holds, by name.
type Folder = HashMap<Box<str>, (Oid, Option<ObjectType>)>;

/// Looks paths up at one commit and reads each folder once, however many of its files are asked for: libgit2 reads a
/// large tree anew for every path, which takes as long as the folder is large.
pub(crate) struct Lookup<'repo> {
    git: &'repo GitRepo,
    root: Oid,
    /// By the tree's id: folders with the same content are one.
    folders: HashMap<Oid, Folder>,
}

impl<'repo> Lookup<'repo> {
    pub(crate) fn new(git: &'repo GitRepo, commit: Oid) -> Result<Self> {
        Ok(Self {
            git,
            root: git.tree_of(commit)?,
            folders: HashMap::new(),
        })
    }

    /// What stands at `path`. A path through a file leads nowhere.
    pub(crate) fn entry(&mut self, path: &RepoPath) -> Result<Option<Entry>> {
        let mut at = (self.root, Some(ObjectType::Tree));
        for part in path.parts() {
            if at.1 != Some(ObjectType::Tree) {
                return Ok(None);
            }
            match self.folder(at.0)?.get(part) {
                Some(next) => at = *next,
                None => return Ok(None),
            }
        }
        self.git.describe(path.as_str().to_owned(), at.0, at.1)
    }

    fn folder(&mut self, tree: Oid) -> Result<&Folder> {
        if !self.folders.contains_key(&tree) {
            let mut folder = Folder::new();
            for entry in &self.git.0.find_tree(tree)? {
                // A path is UTF-8, so that no other name can be asked for.
                if let Ok(name) = std::str::from_utf8(entry.name_bytes()) {
                    folder.insert(name.into(), (entry.id(), entry.kind()));
                }
            }
            self.folders.insert(tree, folder);
        }
        Ok(&self.folders[&tree])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::edit::TreeEdit;
    use crate::store::git::{EntryKind, FILE_MODE, init};

    #[test]
    fn finds_what_a_path_at_a_time_finds() {
        let dir = tempfile::tempdir().unwrap();
        init(dir.path(), hub_types::RepoType::Model).unwrap();
        let git = GitRepo::open(dir.path()).unwrap();
        let head = git.resolve("main").unwrap();
        let blob = git.0.blob(b"x").unwrap();
        let mut edit = TreeEdit::new(&git.0, git.tree_of(head).unwrap());
        for path in ["a/b/c", "a/d", "same/b/c", "e"] {
            edit.put(&path.parse().unwrap(), blob, FILE_MODE).unwrap();
        }
        let commit = git.commit(edit.write().unwrap(), &[head], "ada", "x").unwrap();

        let mut lookup = Lookup::new(&git, commit).unwrap();
        for path in [
            "a",
            "a/b",
            "a/b/c",
            "a/d",
            "same/b/c",
            "e",
            "e/f",
            "nothing",
            "a/nothing",
            "a/b/c/d/e",
        ] {
            let path: RepoPath = path.parse().unwrap();
            let expected = git.entry(commit, &path).unwrap();
            let found = lookup.entry(&path).unwrap();
            assert_eq!(
                found.as_ref().map(|e| (&e.path, e.oid)),
                expected.as_ref().map(|e| (&e.path, e.oid)),
                "{path}"
            );
            let is_folder = |entry: &Option<Entry>| entry.as_ref().is_some_and(|e| matches!(e.kind, EntryKind::Folder));
            assert_eq!(is_folder(&found), is_folder(&expected), "{path}");
        }
        // The root, `a`, the one tree that `a/b` and `same/b` share, and `same`.
        assert_eq!(lookup.folders.len(), 4);
    }
}
