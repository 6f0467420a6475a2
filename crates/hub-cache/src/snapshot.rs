//! All files of a commit, brought here (`snapshot_download`), and compared with the Hub (`verify_repo_checksums`).
//!
//! One question for the commit, one for its listing, one request a file: the listing has each file's size and hash, which
//! is its etag, so that nothing is asked before a file is fetched. A listing is kept, for a commit never changes: the
//! next call asks for the commit alone, or for nothing where it was given.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use hub_http::{Error as HttpError, Phase, ProgressHandle, operation};
use hub_types::files::TreeEntry;
use hub_types::{CommitHash, Etag, OneOrMany, PatternFilter, RepoId, RepoPath, RepoType, Revision, ValidationError};

use crate::cache::{SnapshotState, missing_files};
use crate::disk;
use crate::download::{FileJob, FilePlan, Known, Xet, fits, may_be_served_from_cache, timeout};
use crate::error::{Error, NotFetched, Result};
use crate::hub::{HubCache, Place, blocking};
use crate::layout;
use crate::tree::{Tree, TreeFile};
use crate::verify::{Verification, verify};

/// How many files are fetched at a time, as in the Python client.
const WORKERS: usize = 8;

operation! {
    impl HubCache, Error;

    /// Downloads the files of a revision, as far as they are not here, and gives the folder (`snapshot_download`).
    ///
    /// All files are of one commit, also when the branch moves meanwhile. Takes one request for the commit (none for a
    /// commit hash), one for its listing (none if that is cached) and one for each file that is missing; files with the
    /// same content are fetched once. The first error ends it; what has come stays, and what was half fetched is gone on
    /// with next time.
    ///
    /// Where the Hub cannot be reached, a snapshot that is here is given if it is complete as far as that can be told.
    ///
    /// # Errors
    ///
    /// [`Error::IncompleteSnapshot`] when files are missing that cannot be fetched, [`Error::UnprovenSnapshot`] with
    /// `require_complete`; otherwise as for [`HubCache::download_file`].
    pub fn snapshot_download(
        /// The repository.
        repo_id: RepoId,
    ) -> SnapshotDownload(SnapshotDownloadArgs) => PathBuf {
        /// What the repository holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// The branch, tag or commit. By default `main`.
        revision: Revision,
        /// Another cache's folder.
        cache_dir: PathBuf,
        /// A plain folder to put the files into, instead of the cache.
        local_dir: PathBuf,
        /// Fetches every file even if it is here. By default not.
        force_download: bool,
        /// Makes no request: gives what is here or fails. By default not.
        local_files_only: bool,
        /// Only files that one of these patterns matches; none at all for an empty list. By default all. See
        /// [`Pattern`](hub_types::Pattern).
        allow_patterns: OneOrMany<String>,
        /// No files that one of these patterns matches.
        ignore_patterns: OneOrMany<String>,
        /// How many files are fetched at a time. By default 8.
        max_workers: usize,
        /// Fetches and writes nothing: gives the folder that the files would be in. By default not. See
        /// [`SnapshotDownload::plan`].
        dry_run: bool,
        /// Seconds to wait for what the Hub says of a file whose listing does not tell. By default 10.
        etag_timeout: f64,
        /// Fails where the Hub cannot be asked and no listing proves that the snapshot is complete. By default it is
        /// given, with a warning, as in the Python client.
        require_complete: bool,
    }
    skip {
        /// Who is told how far it is.
        progress: ProgressHandle,
    }
}

operation! {
    impl HubCache, Error;

    /// Compares the files of a snapshot, or of a plain folder, with the hashes in the Hub's listing
    /// (`verify_repo_checksums`).
    ///
    /// The snapshot is that of the revision, as it was when it was last asked for; without a revision that of `main`,
    /// else the only one. A plain folder is compared with the revision, by default `main`.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownRevision`] when no snapshot can be told, [`Error::Http`] when the listing cannot be had,
    /// [`Error::Io`] when a file cannot be read. Wrong bytes are no error: they are in the result.
    pub fn verify_repo_checksums(
        /// The repository.
        repo_id: RepoId,
    ) -> VerifyRepoChecksums(VerifyRepoChecksumsArgs) => Verification {
        /// What the repository holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// The branch, tag or commit.
        revision: Revision,
        /// Another cache's folder.
        cache_dir: PathBuf,
        /// A plain folder to look at, instead of the cache.
        local_dir: PathBuf,
    }
}

/// What a download of a snapshot would do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotPlan {
    /// The commit.
    pub commit_hash: CommitHash,
    /// Where the files are, or would be.
    pub path: PathBuf,
    /// The files, by path.
    pub files: Vec<FilePlan>,
}

impl SnapshotPlan {
    /// The files that would be fetched.
    pub fn to_download(&self) -> impl Iterator<Item = &FilePlan> {
        self.files.iter().filter(|file| file.will_download)
    }

    /// The bytes that would be fetched, as far as their sizes are known.
    pub fn bytes_to_download(&self) -> u64 {
        self.to_download().filter_map(|file| file.size).sum()
    }
}

impl SnapshotDownloadArgs {
    async fn run(self, hub: HubCache) -> Result<PathBuf> {
        let dry_run = self.dry_run.unwrap_or(false);
        let job = self.job(&hub)?;
        if dry_run {
            return Ok(job.plan().await?.path);
        }
        job.run().await
    }

    fn job(self, hub: &HubCache) -> Result<Job> {
        let max_workers = self.max_workers.unwrap_or(WORKERS);
        if max_workers == 0 {
            return Err(ValidationError::new("max_workers", "0", "must be 1 or more").into());
        }
        let allow = self.allow_patterns.as_ref().map(|patterns| patterns.0.as_slice());
        let ignore = self.ignore_patterns.as_ref().map_or(&[][..], |patterns| &patterns.0);
        Ok(Job {
            place: Place::new(self.local_dir.as_deref()),
            hub: hub.for_call(self.cache_dir.as_deref()),
            repo: self.repo_id.typed(self.repo_type),
            revision: self.revision.unwrap_or_default(),
            has_patterns: allow.is_some() || !ignore.is_empty(),
            wanted: PatternFilter::new(allow, ignore),
            force: self.force_download.unwrap_or(false),
            local_only: self.local_files_only.unwrap_or(false),
            max_workers,
            etag_timeout: timeout(self.etag_timeout)?,
            require_complete: self.require_complete.unwrap_or(false),
            progress: self.progress,
        })
    }
}

impl SnapshotDownload {
    /// Tells what would be done, and writes nothing. Asks the Hub for the commit and its listing, unless they are known.
    ///
    /// # Errors
    ///
    /// As for the download; a Hub that cannot be reached is an error here.
    pub async fn plan(self) -> Result<SnapshotPlan> {
        self.args?.job(&self.ctx)?.plan().await
    }
}

impl VerifyRepoChecksumsArgs {
    async fn run(self, hub: HubCache) -> Result<Verification> {
        let hub = hub.for_call(self.cache_dir.as_deref());
        let repo = self.repo_id.typed(self.repo_type);
        let (root, revision) = match Place::new(self.local_dir.as_deref()) {
            Place::Local(dir) => (dir.root().to_owned(), self.revision.unwrap_or_default()),
            Place::Cache => {
                let commit = snapshot_to_verify(&hub, &repo, self.revision.as_ref())?;
                (hub.cache().layout().repo(&repo).snapshot(&commit), commit.into())
            }
        };
        let listing = Listing::ask(&hub, &repo, &revision).await?;
        let tree = Tree {
            files: listing
                .files
                .into_iter()
                .filter_map(|(path, file)| Some((path, file?)))
                .collect(),
        };
        blocking(move || verify(&root, &tree)).await
    }
}

/// The commit whose snapshot is meant: the revision's, else that of `main`, else the only one.
fn snapshot_to_verify(hub: &HubCache, repo: &RepoId, revision: Option<&Revision>) -> Result<CommitHash> {
    let layout = hub.cache().layout().repo(repo);
    let asked = revision.cloned().unwrap_or_default();
    let found = hub
        .cache()
        .commit_of(repo, &asked)
        .filter(|commit| layout.snapshot(commit).is_dir());
    if let Some(commit) = found {
        return Ok(commit);
    }
    if revision.is_none()
        && let Ok(entries) = fs_err::read_dir(layout.snapshots())
    {
        let mut commits = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        if let (Some(only), None) = (commits.next(), commits.next()) {
            return Ok(only);
        }
    }
    Err(Error::UnknownRevision {
        repo: Box::new(repo.clone()),
        revision: Box::new(asked),
    })
}

/// A listing of a commit; a file without a usable hash has no details.
struct Listing {
    files: BTreeMap<RepoPath, Option<TreeFile>>,
}

impl Listing {
    /// Asks the Hub, page by page. One name that would leave the folder spoils the whole.
    async fn ask(hub: &HubCache, repo: &RepoId, revision: &Revision) -> Result<Self> {
        let mut entries = hub
            .api()
            .list_repo_tree(repo)
            .recursive(true)
            .expand(false)
            .revision(revision)
            .await?;
        let mut files = BTreeMap::new();
        while let Some(entry) = entries.try_next().await? {
            let TreeEntry::File(file) = entry else { continue };
            let path = file.repo_path()?;
            layout::check_local(&path)?;
            let lfs = file.lfs.as_ref().map(|lfs| (lfs.sha256, lfs.size));
            let details = file.oid.map(|oid| TreeFile::new(file.size, oid, lfs, file.xet_hash));
            files.insert(path, details);
        }
        Ok(Self { files })
    }

    /// The listing as it is cached, if every file has its details.
    fn to_tree(&self) -> Option<Tree> {
        let files = self
            .files
            .iter()
            .map(|(path, file)| Some((path.clone(), file.clone()?)))
            .collect::<Option<_>>()?;
        Some(Tree { files })
    }
}

impl From<Tree> for Listing {
    fn from(tree: Tree) -> Self {
        Self {
            files: tree.files.into_iter().map(|(path, file)| (path, Some(file))).collect(),
        }
    }
}

/// A snapshot to bring here.
#[derive(Clone)]
struct Job {
    hub: HubCache,
    repo: RepoId,
    revision: Revision,
    place: Place,
    wanted: PatternFilter,
    has_patterns: bool,
    force: bool,
    local_only: bool,
    max_workers: usize,
    etag_timeout: Duration,
    require_complete: bool,
    progress: ProgressHandle,
}

impl Job {
    async fn run(self) -> Result<PathBuf> {
        let refused = self.refused();
        if let (Some(reason), true) = (refused, self.force) {
            return Err(Error::CannotForce { reason, source: None });
        }
        if let Some(reason) = refused {
            return self.without_hub(reason, None).await;
        }
        self.progress.phase(Phase::Listing, None, None);
        let (commit, listing, cached) = match self.listing().await {
            Ok(found) => found,
            Err(Error::Http(err)) if self.force && may_be_served_from_cache(&err) => {
                return Err(Error::CannotForce {
                    reason: NotFetched::Unreachable,
                    source: Some(err.into()),
                });
            }
            Err(Error::Http(err)) if may_be_served_from_cache(&err) => {
                return self.without_hub(NotFetched::Unreachable, Some(err)).await;
            }
            Err(err) => return Err(err),
        };
        let folder = self.folder(&commit);
        if !cached && let Some(tree) = listing.to_tree() {
            let file = self.tree_file(&commit);
            let (job, at) = (self.clone(), commit.clone());
            let kept = blocking(move || {
                // A listing belongs to a snapshot: a repository's folder needs one to be seen as such.
                match &job.place {
                    Place::Cache => {
                        let cache = job.hub.cache();
                        let repo = cache.layout().repo(&job.repo);
                        cache.create_snapshot(&repo, &at)?;
                        disk::create_below(repo.dir(), "trees")?;
                    }
                    Place::Local(dir) => disk::create_below(dir.root(), ".cache/huggingface/trees")?,
                }
                tree.write(&file)
            });
            if let Err(err) = kept.await {
                tracing::warn!(error = %err, "cannot keep the listing of a commit");
            }
        }
        self.note_ref(&commit).await;

        let wanted: Vec<_> = listing
            .files
            .iter()
            .filter(|(path, _)| self.wanted.wants(path.as_str()))
            .map(|(path, file)| (path.clone(), file.clone()))
            .collect();
        if wanted.is_empty() && self.has_patterns {
            tracing::warn!(repo = %self.repo, revision = %self.revision, "no file matches the patterns");
        }
        let missing = self.missing(&commit, wanted).await?;
        let bytes = missing
            .iter()
            .filter_map(|(_, file)| Some(file.as_ref()?.content_size()))
            .sum();
        self.progress
            .phase(Phase::Transferring, Some(missing.len() as u64), Some(bytes));
        if missing.is_empty() {
            return Ok(folder);
        }
        self.check_space(&missing).await?;
        let donors = self.donors(&commit, &listing, &missing);
        match self.bring_all(&commit, missing, &donors).await {
            Ok(()) => Ok(folder),
            // What is missing counts, not at which file the connection broke.
            Err(Error::Http(err)) if err.is_transient() && !self.force => {
                let missing = self.still_missing(&commit, &listing).await?;
                if missing.is_empty() {
                    return Ok(folder);
                }
                Err(Error::IncompleteSnapshot {
                    snapshot: folder,
                    missing,
                    reason: NotFetched::Unreachable,
                    source: Some(err.into()),
                })
            }
            Err(err) => Err(err),
        }
    }

    async fn plan(self) -> Result<SnapshotPlan> {
        if let Some(reason) = self.refused() {
            return Err(self.not_cached(reason, None));
        }
        let (commit, listing, _) = self.listing().await?;
        let jobs: Vec<_> = listing
            .files
            .into_iter()
            .filter(|(path, _)| self.wanted.wants(path.as_str()))
            .map(|(path, file)| self.file_job(&commit, path, file.as_ref()).plan())
            .collect();
        let files = futures_util::stream::iter(jobs)
            .buffered(self.max_workers)
            .try_collect()
            .await?;
        Ok(SnapshotPlan {
            path: self.folder(&commit),
            commit_hash: commit,
            files,
        })
    }

    /// Why no request may be made, if none may.
    fn refused(&self) -> Option<NotFetched> {
        if self.local_only {
            Some(NotFetched::LocalFilesOnly)
        } else if self.hub.api().is_offline() {
            Some(NotFetched::Offline)
        } else {
            None
        }
    }

    fn folder(&self, commit: &CommitHash) -> PathBuf {
        match &self.place {
            Place::Cache => self.hub.cache().layout().repo(&self.repo).snapshot(commit),
            Place::Local(dir) => dir.root().to_owned(),
        }
    }

    fn tree_file(&self, commit: &CommitHash) -> PathBuf {
        match &self.place {
            Place::Cache => self.hub.cache().tree_file(&self.repo, commit),
            Place::Local(dir) => dir.tree_file(commit),
        }
    }

    /// The commit and its listing, and whether that was cached.
    async fn listing(&self) -> Result<(CommitHash, Listing, bool)> {
        let commit = match self.revision.as_commit_hash() {
            Some(commit) => commit,
            None => {
                let api = self.hub.api();
                api.resolve_revision(&self.repo).revision(&self.revision).await?
            }
        };
        let file = self.tree_file(&commit);
        if let Some(tree) = blocking(move || Ok(Tree::read(&file))).await? {
            for path in tree.files.keys() {
                layout::check_local(path)?;
            }
            return Ok((commit, tree.into(), true));
        }
        let listing = Listing::ask(&self.hub, &self.repo, &Revision::from(&commit)).await?;
        Ok((commit, listing, false))
    }

    /// Notes what the revision resolved to, before the files come, as the Python client does. Best effort.
    async fn note_ref(&self, commit: &CommitHash) {
        if let Place::Local(_) = self.place {
            return;
        }
        let (job, commit) = (self.clone(), commit.clone());
        let noted = blocking(move || {
            job.hub.cache().tag();
            job.hub.cache().write_ref(&job.repo, &job.revision, &commit)
        });
        if let Err(err) = noted.await {
            tracing::warn!(error = %err, revision = %self.revision, "cannot note what a revision resolved to");
        }
    }

    /// The wanted files that are not here, or not whole.
    async fn missing(
        &self,
        commit: &CommitHash,
        mut wanted: Vec<(RepoPath, Option<TreeFile>)>,
    ) -> Result<Vec<(RepoPath, Option<TreeFile>)>> {
        // What a plain folder has is found out file by file: a file of the right size may be another one.
        if self.force || matches!(self.place, Place::Local(_)) {
            return Ok(wanted);
        }
        let folder = self.folder(commit);
        blocking(move || {
            wanted.retain(|(path, file)| {
                let size = file.as_ref().map(TreeFile::content_size);
                !fits(&layout::joined(folder.clone(), path.as_str()), size)
            });
            Ok(wanted)
        })
        .await
    }

    async fn still_missing(&self, commit: &CommitHash, listing: &Listing) -> Result<Vec<RepoPath>> {
        let folder = self.folder(commit);
        let wanted: Vec<RepoPath> = listing
            .files
            .keys()
            .filter(|path| self.wanted.wants(path.as_str()))
            .cloned()
            .collect();
        blocking(move || {
            Ok(wanted
                .into_iter()
                .filter(|path| !layout::joined(folder.clone(), path.as_str()).is_file())
                .collect())
        })
        .await
    }

    /// Refuses what certainly does not fit: all that is to come, together.
    async fn check_space(&self, missing: &[(RepoPath, Option<TreeFile>)]) -> Result<()> {
        let mut sizes: BTreeMap<Etag, u64> = BTreeMap::new();
        for file in missing.iter().filter_map(|(_, file)| file.as_ref()) {
            sizes.insert(file.etag(), file.content_size());
        }
        let (root, layout) = match &self.place {
            Place::Cache => {
                let layout = self.hub.cache().layout().repo(&self.repo);
                (layout.dir().to_owned(), Some(layout))
            }
            Place::Local(dir) => (dir.root().to_owned(), None),
        };
        blocking(move || {
            let needed = sizes
                .iter()
                .filter(|(etag, size)| match &layout {
                    Some(layout) => !fits(&layout.blob(etag), Some(**size)),
                    // What a plain folder has already takes no more room; it is compared file by file.
                    None => false,
                })
                .map(|(_, size)| size)
                .sum();
            disk::check_space(&root, needed)
        })
        .await
    }

    fn file_job(&self, commit: &CommitHash, path: RepoPath, file: Option<&TreeFile>) -> FileJob {
        FileJob {
            hub: self.hub.clone(),
            repo: self.repo.clone(),
            path,
            revision: commit.into(),
            place: self.place.clone(),
            force: self.force,
            local_only: false,
            etag_timeout: self.etag_timeout,
            progress: self.progress.clone(),
            known: file.map(|file| Known {
                commit: commit.clone(),
                etag: file.etag(),
                size: Some(file.content_size()),
                location: None,
                xet: file.xet_hash.map(Xet::Hash),
            }),
            donor: None,
        }
    }

    /// Files of the snapshot that are here and have the content of one that is missing.
    fn donors(
        &self,
        commit: &CommitHash,
        listing: &Listing,
        missing: &[(RepoPath, Option<TreeFile>)],
    ) -> BTreeMap<Etag, PathBuf> {
        let Place::Cache = self.place else {
            return BTreeMap::new();
        };
        let repo = self.hub.cache().layout().repo(&self.repo);
        let lost: BTreeSet<&RepoPath> = missing.iter().map(|(path, _)| path).collect();
        let wanted: BTreeSet<Etag> = missing
            .iter()
            .filter_map(|(_, file)| Some(file.as_ref()?.etag()))
            .collect();
        let here = listing
            .files
            .iter()
            .filter(|(path, _)| self.wanted.wants(path.as_str()) && !lost.contains(path))
            .filter_map(|(path, file)| {
                let etag = file.as_ref()?.etag();
                wanted.contains(&etag).then(|| (etag, repo.pointer(commit, path)))
            });
        here.collect()
    }

    /// Brings the files, several at a time; those with the same content one behind the other, so that it is fetched
    /// once. The first error ends it.
    async fn bring_all(
        &self,
        commit: &CommitHash,
        missing: Vec<(RepoPath, Option<TreeFile>)>,
        donors: &BTreeMap<Etag, PathBuf>,
    ) -> Result<()> {
        let mut groups: BTreeMap<(Option<Etag>, Option<RepoPath>), Vec<FileJob>> = BTreeMap::new();
        for (path, file) in missing {
            // A file without details is a group of its own.
            let key = match &file {
                Some(file) => (Some(file.etag()), None),
                None => (None, Some(path.clone())),
            };
            let mut job = self.file_job(commit, path, file.as_ref());
            job.donor = file.as_ref().and_then(|file| donors.get(&file.etag())).cloned();
            groups.entry(key).or_default().push(job);
        }
        let groups: Vec<Vec<FileJob>> = groups.into_values().collect();
        futures_util::stream::iter(groups.into_iter().map(|group| Box::pin(bring_group(group))))
            .buffer_unordered(self.max_workers)
            .try_for_each(|()| std::future::ready(Ok(())))
            .await
    }

    /// What is here, when the Hub was not, or could not be, asked.
    async fn without_hub(&self, reason: NotFetched, source: Option<HttpError>) -> Result<PathBuf> {
        let job = self.clone();
        let found = blocking(move || {
            Ok(match &job.place {
                Place::Cache => {
                    let found = job.hub.cache().snapshot(&job.repo, &job.revision, &job.wanted);
                    found.map(|snapshot| (snapshot.path, snapshot.state))
                }
                Place::Local(dir) => job.local_state(dir.root()).map(|state| (dir.root().to_owned(), state)),
            })
        })
        .await?;
        let Some((path, state)) = found else {
            return Err(match source {
                Some(err @ (HttpError::RepoNotFound(_) | HttpError::GatedRepo(_) | HttpError::Unauthorized(_))) => {
                    err.into()
                }
                source => self.not_cached(reason, source),
            });
        };
        match state {
            SnapshotState::Partial(missing) => {
                return Err(Error::IncompleteSnapshot {
                    snapshot: path,
                    missing,
                    reason,
                    source: source.map(Into::into),
                });
            }
            SnapshotState::Unknown if self.require_complete => {
                return Err(Error::UnprovenSnapshot { snapshot: path });
            }
            SnapshotState::Unknown => {
                tracing::warn!(path = %path.display(), "{reason}; giving a snapshot that may be incomplete");
            }
            SnapshotState::Complete => {
                if let Some(err) = source {
                    tracing::warn!(error = %err, path = %path.display(), "{reason}; giving the cached snapshot");
                }
            }
        }
        Ok(path)
    }

    /// What a plain folder has: complete as far as the listing of a known commit tells; else anything that is there.
    fn local_state(&self, root: &Path) -> Option<SnapshotState> {
        let mut entries = fs_err::read_dir(root).ok()?;
        entries.next()?.ok()?;
        let commit = self.hub.cache().commit_of(&self.repo, &self.revision);
        let tree = commit.and_then(|commit| Tree::read(&self.tree_file(&commit)));
        Some(match tree.map(|tree| missing_files(&tree, root, &self.wanted)) {
            None => SnapshotState::Unknown,
            Some(missing) if missing.is_empty() => SnapshotState::Complete,
            Some(missing) => SnapshotState::Partial(missing),
        })
    }

    fn not_cached(&self, reason: NotFetched, source: Option<HttpError>) -> Error {
        Error::NotCached {
            repo: Box::new(self.repo.clone()),
            path: None,
            revision: Box::new(self.revision.clone()),
            reason,
            source: source.map(Into::into),
        }
    }
}

async fn bring_group(group: Vec<FileJob>) -> Result<()> {
    let mut donor: Option<PathBuf> = None;
    for mut job in group {
        // Once fetched anew, the content is as fresh for the next file.
        job.force &= donor.is_none();
        job.donor = donor.clone().or(job.donor);
        let path = job.run().await?;
        donor.get_or_insert(path);
    }
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
