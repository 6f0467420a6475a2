//! Changing a tree file by file, reading only the folders that are touched.

use std::collections::BTreeMap;

use git2::{ObjectType, Oid, Repository};
use hub_types::RepoPath;

use crate::error::{Error, Result};

/// A tree under change. The operations take effect in the order in which they are called.
pub(crate) struct TreeEdit<'repo> {
    repo: &'repo Repository,
    root: Folder,
}

/// A folder: as it is in git, or taken apart.
enum Folder {
    Unread(Oid),
    Open(BTreeMap<String, Node>),
}

enum Node {
    File { oid: Oid, mode: i32 },
    Folder(Folder),
}

impl<'repo> TreeEdit<'repo> {
    pub(crate) fn new(repo: &'repo Repository, tree: Oid) -> Self {
        Self {
            repo,
            root: Folder::Unread(tree),
        }
    }

    /// Puts a file at `path`, in the place of what stands there.
    pub(crate) fn put(&mut self, path: &RepoPath, oid: Oid, mode: i32) -> Result<()> {
        let mut parts: Vec<&str> = path.parts().collect();
        let Some(name) = parts.pop() else { return Ok(()) };
        let mut folder = self.root.open(self.repo)?;
        for part in parts {
            let node = folder
                .entry(part.to_owned())
                .or_insert_with(|| Node::Folder(Folder::Open(BTreeMap::new())));
            let Node::Folder(next) = node else {
                return Err(Error::bad_request(format!(
                    "cannot add {path}: {part} is a file, not a folder"
                )));
            };
            folder = next.open(self.repo)?;
        }
        if let Some(Node::Folder(_)) = folder.get(name) {
            return Err(Error::bad_request(format!("cannot add {path}: a folder stands there")));
        }
        folder.insert(name.to_owned(), Node::File { oid, mode });
        Ok(())
    }

    /// Takes the file or the folder at `path` away; `false` when there is none.
    pub(crate) fn remove(&mut self, path: &RepoPath, is_folder: bool) -> Result<bool> {
        let mut parts: Vec<&str> = path.parts().collect();
        let Some(name) = parts.pop() else { return Ok(false) };
        let mut folder = self.root.open(self.repo)?;
        for part in parts {
            let Some(Node::Folder(next)) = folder.get_mut(part) else {
                return Ok(false);
            };
            folder = next.open(self.repo)?;
        }
        match folder.get(name) {
            Some(Node::Folder(_)) if is_folder => {}
            Some(Node::File { .. }) if !is_folder => {}
            _ => return Ok(false),
        }
        folder.remove(name);
        Ok(true)
    }

    /// Writes the folders that changed and gives the tree's id. A folder that became empty is gone.
    pub(crate) fn write(self) -> Result<Oid> {
        match self.root.write(self.repo)? {
            Some(oid) => Ok(oid),
            None => Ok(self.repo.treebuilder(None)?.write()?),
        }
    }
}

impl Folder {
    fn open(&mut self, repo: &Repository) -> Result<&mut BTreeMap<String, Node>> {
        if let Self::Unread(oid) = *self {
            let mut entries = BTreeMap::new();
            for entry in &repo.find_tree(oid)? {
                let name = String::from_utf8(entry.name_bytes().to_vec())
                    .map_err(|_| Error::bad_request("the folder holds a name that is not UTF-8: change it with git"))?;
                let node = match entry.kind() {
                    Some(ObjectType::Tree) => Node::Folder(Self::Unread(entry.id())),
                    _ => Node::File {
                        oid: entry.id(),
                        mode: entry.filemode(),
                    },
                };
                entries.insert(name, node);
            }
            *self = Self::Open(entries);
        }
        match self {
            Self::Open(entries) => Ok(entries),
            Self::Unread(_) => Err(Error::Internal),
        }
    }

    fn write(self, repo: &Repository) -> Result<Option<Oid>> {
        let entries = match self {
            Self::Unread(oid) => return Ok(Some(oid)),
            Self::Open(entries) => entries,
        };
        let mut builder = repo.treebuilder(None)?;
        for (name, node) in entries {
            match node {
                Node::File { oid, mode } => {
                    builder.insert(name, oid, mode)?;
                }
                Node::Folder(folder) => {
                    if let Some(oid) = folder.write(repo)? {
                        builder.insert(name, oid, 0o040_000)?;
                    }
                }
            }
        }
        if builder.is_empty() {
            return Ok(None);
        }
        Ok(Some(builder.write()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RepoPath {
        text.parse().unwrap()
    }

    fn names(repo: &Repository, tree: Oid) -> Vec<String> {
        let mut names = Vec::new();
        let tree = repo.find_tree(tree).unwrap();
        tree.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
            names.push(format!("{folder}{}", entry.name().unwrap()));
            git2::TreeWalkResult::Ok
        })
        .unwrap();
        names
    }

    #[test]
    fn operations_take_effect_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let repo = Repository::init_bare(dir.path()).unwrap();
        let blob = repo.blob(b"x").unwrap();
        let empty = repo.treebuilder(None).unwrap().write().unwrap();

        let mut edit = TreeEdit::new(&repo, empty);
        for name in ["a/b/c", "a/b/d", "a/e", "f"] {
            edit.put(&path(name), blob, 0o100_644).unwrap();
        }
        let tree = edit.write().unwrap();
        assert_eq!(names(&repo, tree), ["a", "a/b", "a/b/c", "a/b/d", "a/e", "f"]);

        let mut edit = TreeEdit::new(&repo, tree);
        assert!(edit.remove(&path("a/b"), true).unwrap());
        edit.put(&path("a/b/new"), blob, 0o100_644).unwrap();
        assert!(edit.remove(&path("f"), false).unwrap());
        assert!(!edit.remove(&path("f"), false).unwrap());
        assert!(!edit.remove(&path("a"), false).unwrap(), "a folder is no file");
        let tree = edit.write().unwrap();
        assert_eq!(names(&repo, tree), ["a", "a/b", "a/b/new", "a/e"]);

        let mut edit = TreeEdit::new(&repo, tree);
        assert!(edit.remove(&path("a/b/new"), false).unwrap());
        assert!(
            edit.put(&path("a/e/x"), blob, 0o100_644).is_err(),
            "a file is no folder"
        );
        let tree = edit.write().unwrap();
        assert_eq!(names(&repo, tree), ["a", "a/e"], "an empty folder is gone");
    }
}
