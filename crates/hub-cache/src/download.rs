//! One file, brought here: into the cache or into a plain folder (`hf_hub_download`).
//!
//! The order of things is the Python client's, with the specification's corrections: what is here is used without a
//! request where the commit is known; the Hub is asked where it is not, and the cache serves where the Hub cannot; a
//! content is fetched under its lock into a file of this process's own, compared with its hash, flushed, renamed, linked,
//! and only then does the ref move.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err as fs;
use hub_http::{Error as HttpError, ProgressHandle, operation};
use hub_types::resolve::XetFileData;
use hub_types::{CommitHash, Etag, RepoId, RepoPath, RepoType, Revision, ValidationError, XetHash};

use crate::error::{Error, NotFetched, Result};
use crate::hub::{HubCache, Place, blocking};
use crate::layout;
use crate::link;
use crate::store::Entry;
use crate::system::Asked;
use crate::tree::{Tree, TreeFile};
use crate::verify;

mod bring;
mod local;
pub(crate) mod small;

/// How long the second question may take, when the first had no answer and nothing is cached.
const LAST_CHANCE: Duration = Duration::from_secs(60);
operation! {
    impl HubCache, Error;

    /// Downloads one file, unless it is here, and gives its path (`hf_hub_download`).
    ///
    /// A file at a commit that is cached takes no request. Where the Hub cannot be reached, or hides the repository from
    /// this token, a cached file is served. What is fetched is compared with its hash before it gets its name; a download
    /// that was interrupted, also one of another process, is gone on with.
    ///
    /// The file is not to be changed: it is shared by every revision that has the same content. In `local_dir` it is the
    /// caller's own.
    ///
    /// Endpoint: `GET /{repo}/resolve/{revision}/{filename}`, after `HEAD` where its hash is not known.
    ///
    /// ```no_run
    /// # async fn example() -> hub_cache::Result<()> {
    /// let hub = hub_cache::HubCache::from_env()?;
    /// let path = hub.download_file("openai-community/gpt2", "config.json").revision("main").await?;
    /// println!("{}", path.display());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotCached`] when the Hub cannot be asked and the file is not here; [`Error::Http`] with what the Hub says
    /// (repository, revision or entry not found, gated, ...), or with an integrity error when it keeps sending other
    /// bytes than it announced; [`Error::Io`] for the disk.
    #[doc(alias = "hf_hub_download")]
    pub fn download_file(
        /// The repository.
        repo_id: RepoId,
        /// The file's path in it.
        filename: RepoPath,
    ) -> DownloadFile(DownloadFileArgs) => PathBuf {
        /// A folder of the repository that the file's path is below.
        subfolder: String,
        /// What the repository holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// The branch, tag or commit. By default `main`.
        revision: Revision,
        /// Another cache's folder.
        cache_dir: PathBuf,
        /// A plain folder to put the file into, instead of the cache.
        local_dir: PathBuf,
        /// Fetches the file even if it is here. By default not.
        force_download: bool,
        /// Makes no request: gives what is here or fails. By default not.
        local_files_only: bool,
        /// Fetches and writes nothing: gives the path that the file would have. By default not. See
        /// [`DownloadFile::plan`].
        dry_run: bool,
        /// Seconds to wait for what the Hub says of the file. By default 10; `HF_HUB_ETAG_TIMEOUT` wins.
        etag_timeout: f64,
    }
    skip {
        /// Who is told how far it is.
        progress: ProgressHandle,
    }
}

/// What a download of one file would do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilePlan {
    /// The commit.
    pub commit_hash: CommitHash,
    /// The file's path in the repository.
    pub path: RepoPath,
    /// Its bytes, where the Hub tells.
    pub size: Option<u64>,
    /// Where it is, or would be.
    pub local_path: PathBuf,
    /// Whether its content is here.
    pub is_cached: bool,
    /// Whether it would be fetched.
    pub will_download: bool,
}

impl DownloadFileArgs {
    async fn run(self, hub: HubCache) -> Result<PathBuf> {
        let dry_run = self.dry_run.unwrap_or(false);
        let job = self.job(&hub)?;
        if dry_run {
            return Ok(job.plan().await?.local_path);
        }
        job.run().await
    }

    fn job(self, hub: &HubCache) -> Result<FileJob> {
        let path = match self.subfolder.as_deref().filter(|folder| !folder.is_empty()) {
            Some(folder) => folder.parse::<RepoPath>()?.join(self.filename.as_str())?,
            None => self.filename,
        };
        layout::check_local(&path)?;
        Ok(FileJob {
            place: Place::new(self.local_dir.as_deref()),
            hub: hub.for_call(self.cache_dir.as_deref(), &self.progress),
            repo: self.repo_id.typed(self.repo_type),
            path,
            revision: self.revision.unwrap_or_default(),
            force: self.force_download.unwrap_or(false),
            local_only: self.local_files_only.unwrap_or(false),
            etag_timeout: timeout(self.etag_timeout)?,
            progress: self.progress,
            known: None,
            donor: None,
        })
    }
}

impl DownloadFile {
    /// Tells what would be done, and writes nothing. Asks the Hub unless the commit is known and the file is here.
    ///
    /// # Errors
    ///
    /// As for the download; a Hub that cannot be reached is an error here.
    pub async fn plan(self) -> Result<FilePlan> {
        self.args?.job(&self.ctx)?.plan().await
    }
}

/// Seconds, as Python's callers give them; nothing means the client's own setting.
pub(crate) fn timeout(seconds: Option<f64>) -> Result<Duration, ValidationError> {
    match seconds {
        None => Ok(Duration::ZERO),
        Some(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| {
            ValidationError::new(
                "etag_timeout",
                seconds.to_string(),
                "must be a number of seconds, zero or more",
            )
        }),
    }
}

/// One file to bring here.
#[derive(Debug, Clone)]
pub(crate) struct FileJob {
    pub(crate) hub: HubCache,
    pub(crate) repo: RepoId,
    pub(crate) path: RepoPath,
    pub(crate) revision: Revision,
    pub(crate) place: Place,
    pub(crate) force: bool,
    pub(crate) local_only: bool,
    pub(crate) etag_timeout: Duration,
    pub(crate) progress: ProgressHandle,
    /// What a listing says of it; then the Hub is not asked.
    pub(crate) known: Option<Known>,
    /// A file here that has the same content.
    pub(crate) donor: Option<PathBuf>,
}

/// What the Hub says of a file.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) commit: CommitHash,
    pub(crate) etag: Etag,
    pub(crate) size: Option<u64>,
    /// Where its bytes are, and since when that is known.
    pub(crate) location: Option<(String, Instant)>,
    /// Where it is in Xet storage, if it is there.
    pub(crate) xet: Option<Xet>,
}

/// What is known of where a file is in Xet storage.
#[derive(Debug, Clone)]
pub(crate) enum Xet {
    /// All: the file's own headers tell where tokens are to be had.
    File(XetFileData),
    /// Its hash: a listing tells no more.
    Hash(XetHash),
}

impl Xet {
    fn hash(&self) -> &XetHash {
        match self {
            Self::File(data) => &data.file_hash,
            Self::Hash(hash) => hash,
        }
    }
}

/// What to do about a file.
enum Found {
    /// Nothing: it is here.
    Here(PathBuf),
    /// Bring this content, if it is not here.
    On(Known),
    /// Link this content; it is that file of a system-wide cache.
    InSystem(Known, PathBuf),
}

impl FileJob {
    pub(crate) async fn run(self) -> Result<PathBuf> {
        match self.find().await? {
            Found::Here(path) => Ok(path),
            Found::InSystem(known, path) => self.bring(known, Some(path)).await,
            Found::On(known) => match self.place.clone() {
                Place::Cache => self.bring(known, None).await,
                Place::Local(dir) => self.bring_into(dir, known).await,
            },
        }
    }

    pub(crate) async fn plan(self) -> Result<FilePlan> {
        let here = self.revision.as_commit_hash().and_then(|commit| {
            let path = match self.here_at_commit() {
                Some(path) => path,
                None => match self.in_system(&commit)? {
                    Found::Here(path) => path,
                    _ => self.pointer(&commit),
                },
            };
            Some((commit, path))
        });
        let known = match here {
            Some((commit_hash, local_path)) if !self.force => {
                let size = fs::metadata(&local_path).ok().map(|meta| meta.len());
                return Ok(FilePlan {
                    size: size.or_else(|| self.known_at_commit()?.size),
                    commit_hash,
                    path: self.path,
                    local_path,
                    is_cached: true,
                    will_download: false,
                });
            }
            _ if self.local_only => return Err(self.not_cached(NotFetched::LocalFilesOnly, None)),
            _ => match self.known_at_commit() {
                Some(known) => known,
                None => self.ask(false).await?,
            },
        };
        let local_path = match &self.place {
            Place::Cache => self.pointer(&known.commit),
            Place::Local(dir) => dir.file(&self.path),
        };
        let is_cached = match &self.place {
            Place::Cache => {
                let blob = self.layout().blob(&known.etag);
                let shared = self.shared(&known).zip(known.size);
                fits(&local_path, known.size)
                    || fits(&blob, known.size)
                    || shared.is_some_and(|(entry, size)| entry.is_usable(size))
                    || self.system_content(&known).is_some()
            }
            Place::Local(dir) => {
                let noted = dir.read_metadata(&self.path);
                fits(&local_path, known.size)
                    && match noted {
                        Some(noted) => noted.etag == known.etag.as_str(),
                        None => {
                            let etag = known.etag.clone();
                            let path = local_path.clone();
                            blocking(move || is_content(&path, &etag)).await?
                        }
                    }
            }
        };
        Ok(FilePlan {
            commit_hash: known.commit,
            path: self.path,
            size: known.size,
            local_path,
            is_cached,
            will_download: self.force || !is_cached,
        })
    }

    fn layout(&self) -> crate::RepoLayout {
        self.hub.cache().layout().repo(&self.repo)
    }

    fn pointer(&self, commit: &CommitHash) -> PathBuf {
        self.layout().pointer(commit, &self.path)
    }

    /// The file, when the revision is a commit and the file is here at that commit: a commit never changes.
    fn here_at_commit(&self) -> Option<PathBuf> {
        let commit = self.revision.as_commit_hash()?;
        match &self.place {
            Place::Cache => Some(self.pointer(&commit)).filter(|pointer| pointer.is_file()),
            Place::Local(dir) => {
                let noted = dir.read_metadata(&self.path)?;
                (noted.commit == commit.as_str()).then(|| dir.file(&self.path))
            }
        }
    }

    /// What is known without asking: from the caller's listing, or from the cached one of the commit.
    fn known_at_commit(&self) -> Option<Known> {
        if let Some(known) = &self.known {
            return Some(known.clone());
        }
        let commit = self.revision.as_commit_hash()?;
        let tree = match &self.place {
            Place::Cache => self.hub.cache().tree(&self.repo, &commit)?,
            Place::Local(dir) => Tree::read(&dir.tree_file(&commit))?,
        };
        let file = tree.files.get(&self.path)?;
        Some(Known {
            commit,
            etag: file.etag(),
            size: Some(file.content_size()),
            location: None,
            xet: file.xet_hash.map(Xet::Hash),
        })
    }

    /// Finds out what to do.
    async fn find(&self) -> Result<Found> {
        if !self.force && self.known.is_none() {
            if let Some(path) = self.here_at_commit() {
                return Ok(Found::Here(path));
            }
            if let Some(found) = self
                .revision
                .as_commit_hash()
                .and_then(|commit| self.in_system(&commit))
            {
                return Ok(found);
            }
        }
        if self.local_only {
            return self.without_hub(NotFetched::LocalFilesOnly, None);
        }
        if self.hub.api().is_offline() {
            return self.without_hub(NotFetched::Offline, None);
        }
        if let Some(known) = self.known_at_commit() {
            return Ok(Found::On(known));
        }
        let first = match self.ask(false).await {
            Ok(known) => return Ok(Found::On(known)),
            Err(err) => err,
        };
        let Error::Http(first) = first else { return Err(first) };
        if !may_be_served_from_cache(&first) {
            return Err(first.into());
        }
        if !self.force
            && let Some(found) = self.fallback()
        {
            tracing::warn!(error = %first, path = %self.path, "the Hub gave no answer; using what is cached");
            return Ok(found);
        }
        // Nothing is here: it is worth a patient second try.
        let last = if first.is_transient() {
            match self.ask(true).await {
                Ok(known) => return Ok(Found::On(known)),
                Err(Error::Http(last)) => last,
                Err(err) => return Err(err),
            }
        } else {
            first
        };
        match last {
            last if !may_be_served_from_cache(&last) => Err(last.into()),
            HttpError::RepoNotFound(_) | HttpError::GatedRepo(_) | HttpError::Unauthorized(_) if !self.force => {
                Err(last.into())
            }
            HttpError::Metadata { .. } => self.without_hub(NotFetched::NoMetadata, Some(last)),
            last => self.without_hub(NotFetched::Unreachable, Some(last)),
        }
    }

    /// Asks the Hub. That the commit has no such file is noted; `patient` asks again and again, and waits longer.
    async fn ask(&self, patient: bool) -> Result<Known> {
        let mut question = self
            .hub
            .api()
            .get_hf_file_metadata(&self.repo, &self.path)
            .revision(&self.revision)
            .timeout(self.etag_timeout);
        if patient {
            question = question.timeout(LAST_CHANCE).retry_on_errors(true);
        }
        match question.await {
            Ok(metadata) => Ok(Known {
                commit: metadata.commit_hash,
                etag: metadata.etag,
                size: metadata.size,
                location: Some((metadata.location, Instant::now())),
                xet: metadata.xet.map(Xet::File),
            }),
            Err(err) => {
                if let HttpError::EntryNotFound(reply) = &err
                    && let Some(commit) = reply.repo_commit.as_deref().and_then(|text| text.parse().ok())
                    && matches!(self.place, Place::Cache)
                {
                    self.note_missing(commit).await;
                }
                Err(err.into())
            }
        }
    }

    /// Notes that the commit has no such file, and that the revision is that commit. Best effort: only later look-ups
    /// without the Hub gain from it.
    async fn note_missing(&self, commit: CommitHash) {
        let job = self.clone();
        let noted = blocking(move || {
            job.hub.cache().tag();
            job.hub.cache().mark_missing(&job.repo, &commit, &job.path)?;
            job.hub.cache().write_ref(&job.repo, &job.revision, &commit)
        });
        if let Err(err) = noted.await {
            tracing::debug!(error = %err, "cannot note that a file does not exist");
        }
    }

    /// What is here of the file at the commit that the revision was last seen at.
    fn fallback(&self) -> Option<Found> {
        let path = match &self.place {
            Place::Cache => {
                let commit = self.hub.cache().commit_of(&self.repo, &self.revision)?;
                let pointer = self.pointer(&commit);
                if !pointer.is_file() {
                    return self.in_system(&commit);
                }
                pointer
            }
            Place::Local(dir) => dir.file(&self.path),
        };
        path.is_file().then_some(Found::Here(path))
    }

    /// The file in a system-wide cache, if one has it at this commit.
    fn in_system(&self, commit: &CommitHash) -> Option<Found> {
        let cache = self.hub.cache();
        let Place::Cache = self.place else { return None };
        let file = cache.system_file(&self.repo, commit, &self.path)?;
        let tree = cache.tree(&self.repo, commit);
        let listed = tree.as_ref().and_then(|tree| tree.files.get(&self.path));
        let size = listed.map(TreeFile::content_size);
        if !fits(&file, size) {
            return None;
        }
        // Without its etag a content has no name to be linked by: it is used where it is.
        let Some(etag) = listed.map(TreeFile::etag).or_else(|| link::etag_of(&file)) else {
            return Some(Found::Here(file));
        };
        let known = Known {
            commit: commit.clone(),
            etag,
            size: size.or_else(|| Some(fs::metadata(&file).ok()?.len())),
            location: None,
            xet: None,
        };
        Some(Found::InSystem(known, file))
    }

    /// The content in a system-wide cache, if one has it.
    fn system_content(&self, known: &Known) -> Option<PathBuf> {
        self.hub.cache().system_content(&self.repo, &self.asked(known))
    }

    fn asked<'a>(&'a self, known: &'a Known) -> Asked<'a> {
        Asked {
            commit: &known.commit,
            path: &self.path,
            etag: &known.etag,
            size: known.size,
            xet: known.xet.as_ref().map(Xet::hash),
        }
    }

    /// The answer when the Hub was not, or could not be, asked.
    fn without_hub(&self, reason: NotFetched, source: Option<HttpError>) -> Result<Found> {
        if self.force {
            let source = source.map(Into::into);
            return Err(Error::CannotForce { reason, source });
        }
        match self.fallback() {
            Some(found) => {
                if matches!(self.place, Place::Local(_)) {
                    tracing::warn!(path = %self.path, "giving the file that is there, of whatever revision it is: {reason}");
                }
                Ok(found)
            }
            None => Err(self.not_cached(reason, source)),
        }
    }

    fn not_cached(&self, reason: NotFetched, source: Option<HttpError>) -> Error {
        Error::NotCached {
            repo: Box::new(self.repo.clone()),
            path: Some(Box::new(self.path.clone())),
            revision: Box::new(self.revision.clone()),
            reason,
            source: source.map(Into::into),
        }
    }

    /// The content's place in the store that repositories share, where that may be used.
    fn shared(&self, known: &Known) -> Option<Entry> {
        self.hub.cache().shared(known.xet.as_ref()?.hash())
    }
}

/// Whether a file is there and has the size that it should have: a short one is left of a crash.
pub(crate) fn fits(path: &Path, size: Option<u64>) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && size.is_none_or(|size| meta.len() == size))
}

/// Whether a file is certain to be this content.
fn is_content(path: &Path, etag: &Etag) -> Result<bool> {
    if etag.as_sha256().is_none() && etag.as_git_oid().is_none() {
        return Ok(false);
    }
    Ok(path.is_file() && verify::mismatch(path, etag)?.is_none())
}

/// Whether the cache may serve where this is the Hub's answer. Never where the Hub has said that there is no such
/// revision or file, or where the mistake is ours.
pub(crate) fn may_be_served_from_cache(err: &HttpError) -> bool {
    match err {
        HttpError::EntryNotFound(_) | HttpError::RevisionNotFound(_) => false,
        HttpError::Metadata { .. } | HttpError::MalformedReply { .. } | HttpError::TooManyRedirects { .. } => true,
        err => err.reply().is_some() || err.is_unreachable(),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
