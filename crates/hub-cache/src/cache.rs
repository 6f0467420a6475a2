//! A cache as it lies on the disk: opened, looked up, and its small files written.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use hub_types::env::{self, Env};
use hub_types::{CommitHash, PatternFilter, RepoId, RepoPath, Revision, XetHash};

use crate::disk;
use crate::error::{Error, Result};
use crate::fault;
use crate::layout::{CACHEDIR_TAG, Layout, RepoLayout, joined};
use crate::link;
use crate::store::Entry;
use crate::tree::Tree;

/// A cache, without a way to the Hub. Cheap to clone; opening one touches nothing.
///
/// ```
/// use hub_cache::{Cache, Lookup};
/// use hub_types::RepoId;
///
/// let cache = Cache::new("/nowhere/hub");
/// let found = cache.lookup(&RepoId::model("ada/demo")?, &"config.json".parse()?, &"main".parse()?);
/// assert_eq!(found, Lookup::Miss);
/// # Ok::<(), hub_types::ValidationError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Cache {
    layout: Layout,
    /// System-wide caches, which are only read.
    pub(crate) system: Vec<Layout>,
    links: bool,
    shared_blobs: bool,
    lock_limit: Option<Duration>,
    durable: bool,
}

/// What is known on this disk of a file at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The file is here.
    Hit(PathBuf),
    /// The Hub has said that the revision has no such file.
    KnownMissing,
    /// Nothing is known.
    Miss,
}

/// A commit's files as far as they are here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The snapshot's folder.
    pub path: PathBuf,
    /// The commit.
    pub commit: CommitHash,
    /// Whether everything that was asked for is there.
    pub state: SnapshotState,
}

/// Whether a snapshot has all of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotState {
    /// The commit's listing is cached and every wanted file is here.
    Complete,
    /// These wanted files are not here.
    Partial(Vec<RepoPath>),
    /// No listing of the commit is cached, so it cannot be told.
    Unknown,
}

impl Cache {
    /// The cache at `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            layout: Layout::new(root),
            system: Vec::new(),
            links: true,
            shared_blobs: true,
            lock_limit: None,
            durable: false,
        }
    }

    /// The cache that the environment names.
    ///
    /// Reads `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `HF_HOME`, `XDG_CACHE_HOME`, `HOME`, `HUB_SYSTEM_CACHE`,
    /// `HF_HUB_DISABLE_SYMLINKS`, `HF_HUB_DISABLE_SHARED_BLOBS`, `HF_HUB_DISABLE_XET` and `HUB_DURABLE`.
    pub fn from_env(env: &Env) -> Self {
        let shared_blobs = !env.flag(env::HF_HUB_DISABLE_SHARED_BLOBS) && !env.flag(env::HF_HUB_DISABLE_XET);
        Self::new(env.hub_cache())
            .with_system_caches(env.system_caches())
            .with_links(!env.flag(env::HF_HUB_DISABLE_SYMLINKS))
            .with_shared_blobs(shared_blobs)
            .with_durable(env.flag(env::HUB_DURABLE))
    }

    /// Whether snapshots may hold links, which they do where the file system has them; on by default.
    pub fn with_links(mut self, links: bool) -> Self {
        self.links = links;
        self
    }

    /// Whether files that are in Xet storage are shared between repositories: linked from the cache's store, and put
    /// there when they come by Xet; on by default. Clients before 1.32 may delete what others share: where they are
    /// used too, this is better off. See [`unshare`](crate::unshare).
    pub fn with_shared_blobs(mut self, shared_blobs: bool) -> Self {
        self.shared_blobs = shared_blobs;
        self
    }

    /// How long to wait for another process that fetches the same file before fetching it too. For ever by default.
    pub fn with_lock_limit(mut self, limit: Option<Duration>) -> Self {
        self.lock_limit = limit;
        self
    }

    /// Whether a content is flushed to the disk before it gets its name; off by default, as in all other clients.
    ///
    /// A process that ends never leaves a wrong file under a final name. A loss of power within about half a minute may,
    /// unless this is on; [`verify_repo_checksums`](crate::HubCache::verify_repo_checksums) finds such files. Each flush waits
    /// for the disk: many small files take several times as long.
    pub fn with_durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// The cache's folder.
    pub fn root(&self) -> &Path {
        self.layout.root()
    }

    /// Where everything lies.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn lock_limit(&self) -> Option<Duration> {
        self.lock_limit
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.durable
    }

    /// The place of a payload in the shared store, where that may be used.
    pub(crate) fn shared(&self, hash: &XetHash) -> Option<Entry> {
        (self.shared_blobs && self.links).then(|| Entry::new(&self.layout, hash))
    }

    /// The same settings for the cache at another place.
    pub(crate) fn at(&self, root: PathBuf) -> Self {
        let mut other = self.clone();
        // Whoever looks after the system-wide cache has it for a private one.
        let same = |system: &Layout| system.root() == root || link::same_file(system.root(), &root);
        other.system.retain(|system| !same(system));
        other.layout = Layout::new(root);
        other
    }

    /// Whether links are made in this repository's folder, which has one for contents already.
    pub(crate) fn links_in(&self, repo: &RepoLayout) -> bool {
        self.links && link::works_in(&repo.blobs())
    }

    /// Looks a file up without asking anybody (`try_to_load_from_cache`).
    ///
    /// What is known to be missing wins over a file that is there, as in the Python client. System-wide caches are looked
    /// into last.
    pub fn lookup(&self, repo: &RepoId, path: &RepoPath, revision: &Revision) -> Lookup {
        let Some(commit) = self.read_ref(repo, revision).or_else(|| revision.as_commit_hash()) else {
            return Lookup::Miss;
        };
        for repo in self.repos(repo) {
            if repo.no_exist(&commit, path).is_file() {
                return Lookup::KnownMissing;
            }
            let pointer = repo.pointer(&commit, path);
            if pointer.is_file() {
                return Lookup::Hit(pointer);
            }
        }
        Lookup::Miss
    }

    /// The commit that a revision stood for when it was last asked for: itself if it is one, else what its ref holds.
    pub fn commit_of(&self, repo: &RepoId, revision: &Revision) -> Option<CommitHash> {
        revision.as_commit_hash().or_else(|| self.read_ref(repo, revision))
    }

    /// What the revision's ref holds, in this cache or else in a system-wide one.
    fn read_ref(&self, repo: &RepoId, revision: &Revision) -> Option<CommitHash> {
        self.repos(repo).find_map(|repo| read_ref(&repo.ref_file(revision)))
    }

    /// A snapshot without asking anybody: what is here of the files that `wanted` selects, in this cache or, where that
    /// has less of them, in a system-wide one.
    ///
    /// None when no commit is known for the revision or nothing of it is here.
    pub fn snapshot(&self, repo: &RepoId, revision: &Revision, wanted: &PatternFilter) -> Option<Snapshot> {
        let commit = self.commit_of(repo, revision)?;
        let tree = self.tree(repo, &commit);
        let mut best: Option<Snapshot> = None;
        for path in self.repos(repo).map(|repo| repo.snapshot(&commit)) {
            if !path.is_dir() {
                continue;
            }
            let state = match &tree {
                Some(tree) => match missing_files(tree, &path, wanted) {
                    missing if missing.is_empty() => SnapshotState::Complete,
                    missing => SnapshotState::Partial(missing),
                },
                None => SnapshotState::Unknown,
            };
            let better = best.as_ref().is_none_or(|best| match (&best.state, &state) {
                (SnapshotState::Partial(_), SnapshotState::Complete) => true,
                (SnapshotState::Partial(known), SnapshotState::Partial(missing)) => missing.len() < known.len(),
                // A folder that was made for a ref alone has nothing.
                (SnapshotState::Unknown, _) => !has_entries(&best.path),
                _ => false,
            });
            if better {
                let commit = commit.clone();
                best = Some(Snapshot { path, commit, state });
            }
        }
        best
    }

    /// The folder of a commit's files, in this cache or else in a system-wide one.
    pub(crate) fn snapshot_folder(&self, repo: &RepoId, commit: &CommitHash) -> Option<PathBuf> {
        let mut folders = self.repos(repo).map(|repo| repo.snapshot(commit));
        folders.find(|folder| folder.is_dir())
    }

    /// The listing of a commit, if it is cached here or in a system-wide cache.
    pub fn tree(&self, repo: &RepoId, commit: &CommitHash) -> Option<Tree> {
        Tree::read(&self.tree_file(repo, commit)).or_else(|| self.system_tree(repo, commit))
    }

    /// Where the listing of a commit is cached.
    pub fn tree_file(&self, repo: &RepoId, commit: &CommitHash) -> PathBuf {
        self.layout.repo(repo).trees().join(format!("{commit}.json"))
    }

    /// Notes what a revision resolved to, unless it is the commit itself or noted already. True if something changed.
    ///
    /// The commit's snapshot folder is made first: a ref to a commit that has none hides the whole repository from the
    /// Python client's scan.
    ///
    /// # Errors
    ///
    /// When a folder or the file cannot be written. Nothing but the next offline lookup depends on it.
    pub fn write_ref(&self, repo: &RepoId, revision: &Revision, commit: &CommitHash) -> Result<bool> {
        if revision.as_str() == commit.as_str() {
            return Ok(false);
        }
        let layout = self.layout.repo(repo);
        let file = layout.ref_file(revision);
        let snapshot = layout.snapshot(commit);
        if read_ref(&file).as_ref() == Some(commit) && snapshot.is_dir() {
            return Ok(false);
        }
        self.create_snapshot(&layout, commit)?;
        if read_ref(&file).as_ref() == Some(commit) {
            return Ok(false);
        }
        // Written among the contents: a leftover below `refs` would count as a ref.
        self.create_blobs(&layout)?;
        disk::create_parents_below(layout.dir(), &format!("refs/{revision}"))?;
        let temporary = layout.blobs().join(disk::temporary_name("ref"));
        disk::write_atomically(&file, &temporary, commit.as_str().as_bytes())?;
        Ok(true)
    }

    /// Notes that a commit has no such file.
    ///
    /// # Errors
    ///
    /// When the mark cannot be written.
    pub fn mark_missing(&self, repo: &RepoId, commit: &CommitHash, path: &RepoPath) -> Result<()> {
        let layout = self.layout.repo(repo);
        self.create_snapshot(&layout, commit)?;
        disk::create_parents_below(layout.dir(), &format!(".no_exist/{commit}/{path}"))?;
        let mark = layout.no_exist(commit, path);
        match fs::OpenOptions::new().write(true).create_new(true).open(&mark) {
            Err(err) if err.kind() != ErrorKind::AlreadyExists => Err(err.into()),
            _ => Ok(()),
        }
    }

    /// Makes the folders that a file of a commit needs, but for those in its path, and the tag. Where all are there,
    /// which they are for all files but the first, that takes a look at each.
    pub(crate) fn prepare(&self, repo: &RepoLayout, commit: &CommitHash) -> Result<()> {
        let folders = [
            repo.snapshots(),
            repo.snapshot(commit),
            repo.blobs(),
            repo.locks().to_owned(),
        ];
        let there = |folder: &PathBuf| fs::symlink_metadata(folder).is_ok_and(|meta| meta.is_dir());
        if !folders.iter().all(there) {
            self.create_snapshot(repo, commit)?;
            self.create_blobs(repo)?;
            self.check_locks(repo)?;
        }
        self.tag();
        Ok(())
    }

    /// Makes a commit's folder, and what it lies in.
    ///
    /// A repository's folder comes into being with its `snapshots`: without them the Python client's scan calls it
    /// corrupted, and a process may die between the two.
    pub(crate) fn create_snapshot(&self, repo: &RepoLayout, commit: &CommitHash) -> Result<()> {
        if !repo.dir().exists() {
            // The one folder of the root that nobody scans.
            let whole = self.layout.locks().join(disk::temporary_name("new"));
            let made = fs::create_dir_all(whole.join("snapshots").join(commit.as_str())).and_then(|()| {
                fault::step("a repository's folder is made");
                fs::rename(&whole, repo.dir())
            });
            if let Err(err) = made {
                // Another process was first, or the locks lie elsewhere.
                tracing::debug!(%err, "cannot make a repository's folder in one step");
                let _ = fs::remove_dir_all(&whole);
            }
            fault::step("a repository's folder has its name");
        }
        disk::create_below(repo.dir(), &format!("snapshots/{commit}"))
    }

    /// Makes the folder of a repository's contents.
    pub(crate) fn create_blobs(&self, repo: &RepoLayout) -> Result<()> {
        disk::create_below(repo.dir(), "blobs")
    }

    /// Refuses a folder of lock files that is a link out of the cache. That it cannot be made is found out elsewhere.
    fn check_locks(&self, repo: &RepoLayout) -> Result<()> {
        let name = repo.dir().file_name().unwrap_or_default().to_string_lossy();
        match disk::create_below(&self.layout.locks(), &name) {
            Err(err @ Error::LeavesFolder { .. }) => Err(err),
            _ => Ok(()),
        }
    }

    /// Writes `CACHEDIR.TAG` if there is none. Best effort: only backup programs look at it.
    pub(crate) fn tag(&self) {
        let tag = self.layout.cachedir_tag();
        if fs::symlink_metadata(&tag).is_ok() {
            return;
        }
        // Written among the locks: a leftover in the root would count as a damaged repository.
        let locks = self.layout.locks();
        if let Err(err) = fs::create_dir_all(&locks) {
            tracing::debug!(%err, "cannot make the folder of the locks");
            return;
        }
        let temporary = locks.join(disk::temporary_name("new"));
        write_tag(&tag, &temporary);
    }
}

/// Writes the tag of cache folders by way of `temporary`.
pub(crate) fn write_tag(path: &Path, temporary: &Path) {
    if let Err(err) = disk::write_atomically(path, temporary, CACHEDIR_TAG.as_bytes()) {
        tracing::debug!(%err, "cannot write the cache's tag");
    }
}

/// The commit that a ref file names. A newline behind it does no harm; anything else that is no commit is no ref.
pub(crate) fn read_ref(file: &Path) -> Option<CommitHash> {
    let text = fs::read_to_string(file).ok()?;
    text.trim().parse().ok()
}

fn has_entries(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some())
}

/// The wanted files of a listing that are no files below `dir`.
pub(crate) fn missing_files(tree: &Tree, dir: &Path, wanted: &PatternFilter) -> Vec<RepoPath> {
    tree.files
        .keys()
        .filter(|path| wanted.wants(path.as_str()))
        .filter(|path| !joined(dir.to_owned(), path.as_str()).is_file())
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests;
