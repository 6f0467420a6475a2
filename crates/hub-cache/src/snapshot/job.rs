//! A snapshot, brought here: what is missing of it, several files at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use hub_http::{Error as HttpError, Phase, ProgressHandle};
use hub_types::{CommitHash, Etag, PatternFilter, RepoId, RepoPath, Revision};
use tokio::task::JoinSet;

use super::SnapshotPlan;
use super::listing::Listing;
use crate::cache::{Snapshot, SnapshotState, missing_files};
use crate::disk;
use crate::download::small::{Ground, Lane};
use crate::download::{FileJob, Known, Xet, fits, may_be_served_from_cache};
use crate::error::{Error, NotFetched, Result};
use crate::hub::{HubCache, Place, blocking, joined};
use crate::layout;
use crate::system::Asked;
use crate::tree::{Tree, TreeFile};

/// A snapshot to bring here.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) hub: HubCache,
    pub(super) repo: RepoId,
    pub(super) revision: Revision,
    pub(super) place: Place,
    pub(super) wanted: PatternFilter,
    pub(super) has_patterns: bool,
    pub(super) force: bool,
    pub(super) local_only: bool,
    pub(super) max_workers: usize,
    pub(super) etag_timeout: Duration,
    pub(super) require_complete: bool,
    pub(super) progress: ProgressHandle,
}

impl Job {
    pub(super) async fn run(self) -> Result<PathBuf> {
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
        if let Some(folder) = self.only_in_system(&commit).await? {
            return Ok(folder);
        }
        self.check_space(&commit, &missing).await?;
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

    pub(super) async fn plan(self) -> Result<SnapshotPlan> {
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
        let (job, at) = (self.clone(), commit.clone());
        let found = blocking(move || {
            if let Some(tree) = Tree::read(&job.tree_file(&at)) {
                return Ok(Some((tree, true)));
            }
            let tree = match job.place {
                Place::Cache => job.hub.cache().system_tree(&job.repo, &at),
                Place::Local(_) => None,
            };
            Ok(tree.map(|tree| (tree, false)))
        });
        if let Some((tree, cached)) = found.await? {
            for path in tree.files.keys() {
                layout::check_local(path)?;
            }
            return Ok((commit, tree.into(), cached));
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

    /// The folder of a system-wide cache that has all of the snapshot, where nothing can be written into the private one.
    async fn only_in_system(&self, commit: &CommitHash) -> Result<Option<PathBuf>> {
        let job = self.clone();
        let commit = commit.clone();
        blocking(move || {
            let cache = job.hub.cache();
            let has_system = cache.system_caches().next().is_some() && matches!(job.place, Place::Cache);
            if job.force || !has_system {
                return Ok(None);
            }
            match cache.prepare(&cache.layout().repo(&job.repo), &commit) {
                Err(err) if err.is_unwritable() => {
                    let found = cache.snapshot(&job.repo, &Revision::from(&commit), &job.wanted);
                    let complete = found.filter(|found| found.state == SnapshotState::Complete);
                    complete.map(|found| Some(found.path)).ok_or_else(|| {
                        let repo = cache.layout().repo(&job.repo);
                        disk::whose_folder(err, &[&repo.snapshot(&commit), &repo.blobs()])
                    })
                }
                prepared => prepared.map(|()| None),
            }
        })
        .await
    }

    /// Refuses what certainly does not fit: all that is to come, together.
    async fn check_space(&self, commit: &CommitHash, missing: &[(RepoPath, Option<TreeFile>)]) -> Result<()> {
        let cache = self.hub.cache();
        let (root, layout) = match &self.place {
            Place::Cache => {
                let layout = cache.layout().repo(&self.repo);
                (layout.dir().to_owned(), Some(layout))
            }
            Place::Local(dir) => (dir.root().to_owned(), None),
        };
        // Where there is room for all, it need not be known what is here.
        let most = missing
            .iter()
            .map(|(_, file)| file.as_ref().map_or(0, TreeFile::content_size))
            .sum();
        if disk::check_space(&root, most).is_ok() {
            return Ok(());
        }
        let mut sizes: BTreeMap<Etag, u64> = BTreeMap::new();
        for (path, file) in missing {
            let Some(file) = file else { continue };
            let (etag, size) = (file.etag(), file.content_size());
            let asked = Asked {
                commit,
                path,
                etag: &etag,
                size: Some(size),
                xet: file.xet_hash.as_ref(),
            };
            // A link takes no room.
            if self.force || cache.system_content(&self.repo, &asked).is_none() {
                sizes.insert(etag, size);
            }
        }
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
        let ground = self.ground(commit).await;
        let queue: Arc<Mutex<VecDeque<Vec<FileJob>>>> = Arc::new(Mutex::new(groups.into_values().collect()));
        let mut lanes = JoinSet::new();
        for _ in 0..self.max_workers {
            lanes.spawn(lane(queue.clone(), ground.clone()));
        }
        // Whoever is left when the first fails ends with the set.
        while let Some(ended) = lanes.join_next().await {
            joined(ended)?;
        }
        Ok(())
    }

    /// The shorter way of small files, where there is one.
    async fn ground(&self, commit: &CommitHash) -> Option<Arc<Ground>> {
        if self.force || matches!(self.place, Place::Local(_)) {
            return None;
        }
        let (job, commit) = (self.clone(), commit.clone());
        let prepared = blocking(move || {
            let cache = job.hub.cache();
            Ground::prepare(cache, cache.layout().repo(&job.repo), &commit)
        });
        match prepared.await {
            Ok(ground) => ground.map(Arc::new),
            Err(err) => {
                // The way that every file can go tells what is wrong.
                tracing::debug!(error = %err, "cannot prepare a snapshot");
                None
            }
        }
    }

    /// What is here, when the Hub was not, or could not be, asked.
    async fn without_hub(&self, reason: NotFetched, source: Option<HttpError>) -> Result<PathBuf> {
        let job = self.clone();
        let found = blocking(move || {
            Ok(match &job.place {
                Place::Cache => job.cached().map(|snapshot| (snapshot.path, snapshot.state)),
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

    /// What the cache has. What lies in part here and in part in a system-wide cache becomes one folder.
    fn cached(&self) -> Option<Snapshot> {
        let cache = self.hub.cache();
        let look = || cache.snapshot(&self.repo, &self.revision, &self.wanted);
        let found = look()?;
        if found.state == SnapshotState::Complete || cache.system_caches().next().is_none() {
            return Some(found);
        }
        if let Err(err) = cache.adopt_snapshot(&self.repo, &found.commit, &self.wanted) {
            tracing::debug!(error = %err, "cannot link what a system-wide cache has of a snapshot");
        }
        look()
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

/// Takes one group after the other.
async fn lane(queue: Arc<Mutex<VecDeque<Vec<FileJob>>>>, ground: Option<Arc<Ground>>) -> Result<()> {
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let mut small = ground.clone().map(Lane::new);
    while let Some(mut group) = next() {
        match (&mut small, &ground) {
            (Some(small), Some(ground)) if group.len() == 1 && ground.takes(&group[0]) => {
                small.bring(group.remove(0)).await?;
            }
            _ => {
                // Others may be waiting for what it has brought: not as long as a large file takes.
                if let Some(small) = &mut small {
                    small.end().await?;
                }
                Box::pin(bring_group(group)).await?;
            }
        }
    }
    match &mut small {
        Some(small) => small.end().await,
        None => Ok(()),
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
