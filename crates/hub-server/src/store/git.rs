//! Bare repositories, as `git` itself has them: reading, and the few ways in which refs move.

use std::path::Path;

use git2::{ErrorCode, ObjectType, Oid, Repository, RepositoryInitOptions, Signature, Sort};
use hub_types::{RepoPath, RepoType, Revision, Timestamp};

use crate::clock;
use crate::error::{Error, Result};
use crate::store::lfs::Pointer;
use crate::store::rules::{Attributes, default_attributes};

/// Files of this size and larger go to the large-file store; git takes none.
pub(crate) const LARGE: u64 = 10 * 1024 * 1024;

/// No file that is larger than this can be a pointer (the LFS specification says 1024).
const POINTER_LIMIT: usize = 1024;

/// A file's usual mode.
pub(crate) const FILE_MODE: i32 = 0o100_644;

/// Makes a bare repository whose `main` has one commit, by `system`, with a `.gitattributes`.
pub(crate) fn init(dir: &Path, kind: RepoType) -> Result<()> {
    let mut options = RepositoryInitOptions::new();
    options
        .bare(true)
        .no_reinit(true)
        .mkpath(true)
        .external_template(false)
        .initial_head("main");
    let repo = Repository::init_opts(dir, &options)?;
    let mut config = repo.config()?;
    // Partial clones, and fetching a commit by its id, as the Hub allows.
    config.set_bool("uploadpack.allowFilter", true)?;
    config.set_bool("uploadpack.allowAnySHA1InWant", true)?;
    config.set_bool("gc.auto", false)?;
    let blob = repo.blob(default_attributes(kind).as_bytes())?;
    let mut tree = repo.treebuilder(None)?;
    tree.insert(".gitattributes", blob, FILE_MODE)?;
    let tree = repo.find_tree(tree.write()?)?;
    let system = Signature::now("system", "system@users.noreply.hub")?;
    repo.commit(Some("refs/heads/main"), &system, &system, "initial commit", &tree, &[])?;
    Ok(())
}

/// An open repository.
pub(crate) struct GitRepo(pub(crate) Repository);

/// A file or folder at some commit.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) oid: Oid,
    pub(crate) kind: EntryKind,
}

#[derive(Debug, Clone)]
pub(crate) enum EntryKind {
    Folder,
    File {
        /// Of what git holds: for a large file, of its pointer.
        stored: u64,
        pointer: Option<Pointer>,
    },
}

/// A branch, a tag or another name of a commit.
#[derive(Debug, Clone)]
pub(crate) struct Ref {
    pub(crate) full: String,
    pub(crate) commit: Oid,
}

/// A commit as the API shows it.
#[derive(Debug, Clone)]
pub(crate) struct CommitInfo {
    pub(crate) id: Oid,
    pub(crate) title: String,
    pub(crate) message: String,
    pub(crate) author: String,
    pub(crate) date: Timestamp,
}

impl GitRepo {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        Ok(Self(Repository::open_bare(dir)?))
    }

    /// The commit that a revision names: a full ref, a branch, a tag, or a commit's id in full or shortened.
    ///
    /// # Errors
    ///
    /// [`Error::RevisionNotFound`].
    pub(crate) fn resolve(&self, revision: &str) -> Result<Oid> {
        let missing = || Error::RevisionNotFound(revision.to_owned());
        let checked: Revision = revision.parse().map_err(|_| missing())?;
        let names = if revision.starts_with("refs/") {
            vec![revision.to_owned()]
        } else {
            vec![
                format!("refs/heads/{revision}"),
                format!("refs/tags/{revision}"),
                format!("refs/{revision}"),
            ]
        };
        for name in names {
            if let Some(commit) = self.ref_target(&name)? {
                return Ok(commit);
            }
        }
        let hex = checked.as_str();
        if !(5..=40).contains(&hex.len()) || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(missing());
        }
        let object = self.0.find_object_by_prefix(hex, Some(ObjectType::Commit));
        object.map(|object| object.id()).map_err(|_| missing())
    }

    /// The commit of a full ref, tags peeled.
    pub(crate) fn ref_target(&self, name: &str) -> Result<Option<Oid>> {
        match self.0.find_reference(name) {
            Ok(reference) => match reference.peel_to_commit() {
                Ok(commit) => Ok(Some(commit.id())),
                Err(_) => Ok(None),
            },
            Err(err) if matches!(err.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => Ok(None),
            Err(err) => Err(err.into()),
        }
    }

    /// All refs that name commits.
    pub(crate) fn refs(&self) -> Result<Vec<Ref>> {
        let mut refs = Vec::new();
        for reference in self.0.references()? {
            let reference = reference?;
            if let (Ok(name), Ok(commit)) = (reference.name(), reference.peel_to_commit()) {
                refs.push(Ref {
                    full: name.to_owned(),
                    commit: commit.id(),
                });
            }
        }
        refs.sort_by(|a, b| a.full.cmp(&b.full));
        Ok(refs)
    }

    /// When a commit was made.
    pub(crate) fn date(&self, commit: Oid) -> Result<Timestamp> {
        Ok(clock::from_seconds(self.0.find_commit(commit)?.time().seconds()))
    }

    pub(crate) fn tree_of(&self, commit: Oid) -> Result<Oid> {
        Ok(self.0.find_commit(commit)?.tree_id())
    }

    /// What stands at `path`.
    pub(crate) fn entry(&self, commit: Oid, path: &RepoPath) -> Result<Option<Entry>> {
        let tree = self.0.find_commit(commit)?.tree()?;
        match tree.get_path(Path::new(path.as_str())) {
            Ok(entry) => self.describe(path.as_str().to_owned(), entry.id(), entry.kind()),
            // A file where a folder was expected is "not found" too.
            Err(err) if matches!(err.code(), ErrorCode::NotFound | ErrorCode::Invalid) => Ok(None),
            Err(err) => Err(err.into()),
        }
    }

    /// The file at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::EntryNotFound`] when nothing or a folder stands there.
    pub(crate) fn file(&self, commit: Oid, path: &RepoPath) -> Result<(Entry, u64, Option<Pointer>)> {
        match self.entry(commit, path)? {
            Some(
                entry @ Entry {
                    kind: EntryKind::File { .. },
                    ..
                },
            ) => {
                let EntryKind::File { stored, pointer } = entry.kind.clone() else {
                    return Err(Error::Internal);
                };
                Ok((entry, stored, pointer))
            }
            _ => Err(Error::entry("Entry not found", commit)),
        }
    }

    pub(super) fn describe(&self, path: String, oid: Oid, kind: Option<ObjectType>) -> Result<Option<Entry>> {
        let kind = match kind {
            Some(ObjectType::Tree) => EntryKind::Folder,
            Some(ObjectType::Blob) => {
                let (size, _) = self.0.odb()?.read_header(oid)?;
                let pointer = if size <= POINTER_LIMIT {
                    Pointer::parse(self.0.find_blob(oid)?.content())
                } else {
                    None
                };
                EntryKind::File {
                    stored: size as u64,
                    pointer,
                }
            }
            // A submodule: the Hub shows none.
            _ => return Ok(None),
        };
        Ok(Some(Entry { path, oid, kind }))
    }

    /// What is in a folder, and below it if `recursive`; in git's order, a folder before what is in it.
    ///
    /// # Errors
    ///
    /// [`Error::EntryNotFound`] when there is no such folder.
    pub(crate) fn list(
        &self,
        commit: Oid,
        folder: Option<&RepoPath>,
        recursive: bool,
    ) -> Result<Vec<(String, Oid, bool)>> {
        let mut found = Vec::new();
        let root = self.0.find_commit(commit)?.tree()?;
        let (tree, prefix) = match folder {
            None => (root.id(), String::new()),
            Some(folder) => match root.get_path(Path::new(folder.as_str())) {
                Ok(entry) if entry.kind() == Some(ObjectType::Tree) => (entry.id(), format!("{folder}/")),
                Ok(_) => return Err(Error::entry(format!("{folder} is not a folder"), commit)),
                Err(_) => return Err(Error::entry(format!("{folder} does not exist on \"{commit}\""), commit)),
            },
        };
        self.walk(tree, &prefix, recursive, &mut found)?;
        Ok(found)
    }

    fn walk(&self, tree: Oid, prefix: &str, recursive: bool, found: &mut Vec<(String, Oid, bool)>) -> Result<()> {
        let tree = self.0.find_tree(tree)?;
        for entry in &tree {
            let Ok(name) = std::str::from_utf8(entry.name_bytes()) else {
                continue;
            };
            let path = format!("{prefix}{name}");
            match entry.kind() {
                Some(ObjectType::Tree) => {
                    found.push((path.clone(), entry.id(), true));
                    if recursive {
                        self.walk(entry.id(), &format!("{path}/"), true, found)?;
                    }
                }
                Some(ObjectType::Blob) => found.push((path, entry.id(), false)),
                _ => {}
            }
        }
        Ok(())
    }

    /// The entry for one of the rows of [`GitRepo::list`].
    pub(crate) fn listed(&self, (path, oid, folder): (String, Oid, bool)) -> Result<Entry> {
        let kind = if folder { ObjectType::Tree } else { ObjectType::Blob };
        self.describe(path, oid, Some(kind))?.ok_or(Error::Internal)
    }

    /// Every file at a commit.
    pub(crate) fn files(&self, commit: Oid) -> Result<Vec<Entry>> {
        self.list(commit, None, true)?
            .into_iter()
            .filter(|(_, _, folder)| !folder)
            .map(|row| self.listed(row))
            .collect()
    }

    /// The bytes of what git holds at `path`.
    pub(crate) fn small_file(&self, commit: Oid, path: &str) -> Result<Option<Vec<u8>>> {
        let path: RepoPath = path.parse()?;
        let Some(Entry {
            oid,
            kind: EntryKind::File { .. },
            ..
        }) = self.entry(commit, &path)?
        else {
            return Ok(None);
        };
        Ok(Some(self.0.find_blob(oid)?.content().to_vec()))
    }

    /// The rules of the `.gitattributes` at the root.
    pub(crate) fn attributes(&self, commit: Oid) -> Result<Attributes> {
        let text = self.small_file(commit, ".gitattributes")?.unwrap_or_default();
        Ok(Attributes::parse(&String::from_utf8_lossy(&text)))
    }

    /// The commits that lead to `from`, newest first.
    pub(crate) fn history(&self, from: Oid, skip: usize, limit: usize) -> Result<Vec<CommitInfo>> {
        let mut walk = self.0.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
        walk.push(from)?;
        walk.skip(skip).take(limit).map(|oid| self.commit_info(oid?)).collect()
    }

    pub(crate) fn commit_info(&self, id: Oid) -> Result<CommitInfo> {
        let commit = self.0.find_commit(id)?;
        let text = String::from_utf8_lossy(commit.message_bytes()).into_owned();
        let (title, message) = text.split_once('\n').unwrap_or((&text, ""));
        Ok(CommitInfo {
            id,
            title: title.trim().to_owned(),
            message: message.trim().to_owned(),
            author: String::from_utf8_lossy(commit.author().name_bytes()).into_owned(),
            date: clock::from_seconds(commit.time().seconds()),
        })
    }

    /// For each path, the last commit up to `from` that changed what stands there.
    pub(crate) fn last_commits(&self, from: Oid, paths: &[&str]) -> Result<Vec<Option<CommitInfo>>> {
        let mut found: Vec<Option<CommitInfo>> = vec![None; paths.len()];
        let mut open: Vec<usize> = (0..paths.len()).collect();
        let mut walk = self.0.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
        walk.push(from)?;
        for oid in walk {
            if open.is_empty() {
                break;
            }
            let oid = oid?;
            let commit = self.0.find_commit(oid)?;
            let here = commit.tree()?;
            let parents = commit
                .parents()
                .map(|parent| parent.tree())
                .collect::<Result<Vec<_>, _>>()?;
            let at = |tree: &git2::Tree<'_>, path: &str| tree.get_path(Path::new(path)).ok().map(|entry| entry.id());
            let mut still = Vec::with_capacity(open.len());
            for index in open {
                let now = at(&here, paths[index]);
                // A merge changed only what is as in none of its parents.
                if now.is_some() && parents.iter().all(|parent| at(parent, paths[index]) != now) {
                    found[index] = Some(self.commit_info(oid)?);
                } else {
                    still.push(index);
                }
            }
            open = still;
        }
        Ok(found)
    }

    /// Makes a commit that no ref names yet.
    pub(crate) fn commit(&self, tree: Oid, parents: &[Oid], author: &str, message: &str) -> Result<Oid> {
        let tree = self.0.find_tree(tree)?;
        let who = Signature::now(author, &format!("{author}@users.noreply.hub"))?;
        let parents = parents
            .iter()
            .map(|parent| self.0.find_commit(*parent))
            .collect::<Result<Vec<_>, _>>()?;
        let parents: Vec<_> = parents.iter().collect();
        Ok(self.0.commit(None, &who, &who, message, &tree, &parents)?)
    }

    /// Moves a ref from where the caller saw it (nowhere: `None`) to `to`.
    ///
    /// # Errors
    ///
    /// [`Error::Outdated`] when it is elsewhere by now.
    pub(crate) fn move_ref(&self, name: &str, from: Option<Oid>, to: Oid, why: &str) -> Result<()> {
        let moved = match from {
            Some(from) => self.0.reference_matching(name, to, true, from, why),
            None => self.0.reference(name, to, false, why),
        };
        match moved {
            Ok(_) => Ok(()),
            Err(err) if matches!(err.code(), ErrorCode::Modified | ErrorCode::Exists) => Err(Error::Outdated),
            Err(err) => Err(err.into()),
        }
    }
}
