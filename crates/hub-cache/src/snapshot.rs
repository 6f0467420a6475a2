//! All files of a commit, brought here (`snapshot_download`), and compared with the Hub (`verify_repo_checksums`).
//!
//! One question for the commit, one for its listing, one request a file: the listing has each file's size and hash, which
//! is its etag, so that nothing is asked before a file is fetched. A listing is kept, for a commit never changes: the
//! next call asks for the commit alone, or for nothing where it was given.

use std::path::PathBuf;

use hub_http::{ProgressHandle, operation};
use hub_types::{CommitHash, OneOrMany, PatternFilter, RepoId, RepoType, Revision, ValidationError};

use crate::download::{FilePlan, timeout};
use crate::error::{Error, Result};
use crate::hub::{HubCache, Place, blocking};
use crate::tree::Tree;
use crate::verify::{Verification, verify};

mod job;
mod listing;

use job::Job;
use listing::Listing;

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
    /// Endpoints: `GET /api/{models|datasets|spaces}/{repo_id}/revision/{revision}` and `/tree/{commit}`, then as for
    /// [`HubCache::download_file`].
    ///
    /// ```no_run
    /// # async fn example() -> hub_cache::Result<()> {
    /// let hub = hub_cache::HubCache::from_env()?;
    /// let folder = hub
    ///     .snapshot_download("openai-community/gpt2")
    ///     .allow_patterns(["*.json", "*.safetensors"])
    ///     .await?;
    /// println!("{}", folder.display());
    /// # Ok(()) }
    /// ```
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
    /// Endpoint: `GET /api/{models|datasets|spaces}/{repo_id}/tree/{revision}`
    ///
    /// ```no_run
    /// # async fn example() -> hub_cache::Result<()> {
    /// let hub = hub_cache::HubCache::from_env()?;
    /// let found = hub.verify_repo_checksums("openai-community/gpt2").await?;
    /// println!("{found:?}");
    /// # Ok(()) }
    /// ```
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
            hub: hub.for_call(self.cache_dir.as_deref(), &self.progress),
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
        let hub = hub.for_call(self.cache_dir.as_deref(), &ProgressHandle::default());
        let repo = self.repo_id.typed(self.repo_type);
        let (root, revision) = match Place::new(self.local_dir.as_deref()) {
            Place::Local(dir) => (dir.root().to_owned(), self.revision.unwrap_or_default()),
            Place::Cache => {
                let commit = snapshot_to_verify(&hub, &repo, self.revision.as_ref())?;
                let folder = hub.cache().snapshot_folder(&repo, &commit);
                (
                    folder.unwrap_or_else(|| hub.cache().layout().repo(&repo).snapshot(&commit)),
                    commit.into(),
                )
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
        .filter(|commit| hub.cache().snapshot_folder(repo, commit).is_some());
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

#[cfg(test)]
#[cfg(unix)]
mod tests;
