//! One file, brought here: into the cache or into a plain folder (`hf_hub_download`).
//!
//! The order of things is the Python client's, with the specification's corrections: what is here is used without a
//! request where the commit is known; the Hub is asked where it is not, and the cache serves where the Hub cannot; a
//! content is fetched under its lock into a file of this process's own, compared with its hash, flushed, renamed, linked,
//! and only then does the ref move.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err as fs;
use hub_http::transfer::{FetchOptions, FileSource};
use hub_http::{Error as HttpError, ProgressHandle, operation};
use hub_types::resolve::XetFileData;
use hub_types::{CommitHash, Etag, RepoId, RepoPath, RepoType, Revision, ValidationError, XetHash};

use crate::cache::read_ref;
use crate::disk;
use crate::error::{Error, NotFetched, Result};
use crate::fault;
use crate::hub::{HubCache, Place, blocking};
use crate::layout;
use crate::link;
use crate::local_dir::LocalDir;
use crate::lock;
use crate::partial::Partial;
use crate::store::Entry;
use crate::tree::Tree;
use crate::verify;

/// How long the second question may take, when the first had no answer and nothing is cached.
const LAST_CHANCE: Duration = Duration::from_secs(60);
/// An address of bytes that is older than this when they are asked for may have expired.
const LOCATION_LASTS: Duration = Duration::from_secs(60);

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
            hub: hub.for_call(self.cache_dir.as_deref()),
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
}

/// The name of the content that a file of a snapshot is a link to.
fn linked_to(pointer: &Path) -> Option<Etag> {
    let target = fs::read_link(pointer).ok()?;
    target.file_name()?.to_str()?.parse().ok()
}

impl FileJob {
    pub(crate) async fn run(self) -> Result<PathBuf> {
        match self.find().await? {
            Found::Here(path) => Ok(path),
            Found::On(known) => match self.place.clone() {
                Place::Cache => self.bring(known).await,
                Place::Local(dir) => self.bring_into(dir, known).await,
            },
        }
    }

    pub(crate) async fn plan(self) -> Result<FilePlan> {
        let known = match self.here_at_commit() {
            Some(path) if !self.force => {
                let commit_hash = self
                    .revision
                    .as_commit_hash()
                    .expect("a file is here at a commit only if the revision is one");
                return Ok(FilePlan {
                    commit_hash,
                    path: self.path,
                    size: fs::metadata(&path).ok().map(|meta| meta.len()),
                    local_path: path,
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
        if !self.force
            && self.known.is_none()
            && let Some(path) = self.here_at_commit()
        {
            return Ok(Found::Here(path));
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
            && let Some(path) = self.fallback()
        {
            tracing::warn!(error = %first, path = %path.display(), "the Hub gave no answer; using what is cached");
            return Ok(Found::Here(path));
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
    fn fallback(&self) -> Option<PathBuf> {
        let path = match &self.place {
            Place::Cache => {
                let layout = self.layout();
                let commit = match self.revision.as_commit_hash() {
                    Some(commit) => commit,
                    None => read_ref(&layout.ref_file(&self.revision))?,
                };
                layout.pointer(&commit, &self.path)
            }
            Place::Local(dir) => dir.file(&self.path),
        };
        path.is_file().then_some(path)
    }

    /// The answer when the Hub was not, or could not be, asked.
    fn without_hub(&self, reason: NotFetched, source: Option<HttpError>) -> Result<Found> {
        if self.force {
            let source = source.map(Into::into);
            return Err(Error::CannotForce { reason, source });
        }
        match self.fallback() {
            Some(path) => {
                if matches!(self.place, Place::Local(_)) {
                    tracing::warn!(path = %path.display(), "giving the file that is there, of whatever revision it is: {reason}");
                }
                Ok(Found::Here(path))
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

    /// Brings a content into the cache, if it is not there, and links the file to it.
    async fn bring(self, known: Known) -> Result<PathBuf> {
        let pointer = self.pointer(&known.commit);
        if !self.force && fits(&pointer, known.size) {
            // Nothing else is written, so that a read-only cache serves too.
            self.note_ref(&known.commit).await;
            return Ok(pointer);
        }
        let repo = self.layout();
        let prepare = self.clone();
        let commit = known.commit.clone();
        let links = blocking(move || {
            let (repo, cache) = (prepare.layout(), prepare.hub.cache());
            cache.prepare(&repo, &commit)?;
            disk::create_parents_below(&repo.snapshot(&commit), prepare.path.as_str())?;
            Ok(cache.links_in(&repo))
        })
        .await?;
        let lock = lock::lock_async(&repo.lock_file(&known.etag), self.hub.cache().lock_limit()).await?;

        // Another process may have brought it while this one waited.
        let again = self.clone();
        let seen = known.clone();
        if !self.force && blocking(move || again.use_what_is_here(&seen, links)).await? {
            drop(lock);
            self.note_ref(&known.commit).await;
            return Ok(pointer);
        }

        let mut attempts = 0;
        loop {
            attempts += 1;
            let (partial, etag, by_xet) = self
                .fetch(&known, repo.blobs(), known.etag.to_string(), |tag| {
                    repo.partial(&known.etag, tag)
                })
                .await?;
            let finish = self.clone();
            let target = repo.blob(&etag);
            let seen = Known { etag, ..known.clone() };
            let finished = blocking(move || {
                if finish.hub.cache().is_durable() {
                    disk::sync(partial.path())?;
                }
                fault::step("a content is on the disk");
                disk::rename_over(partial.path(), &target)?;
                fault::step("a content has its name");
                partial.done();
                // Only what came by Xet and was compared with its hash is for all.
                if by_xet
                    && links
                    && let (Some(entry), Some(size)) = (finish.shared(&seen), seen.size)
                {
                    entry.publish(&target, size, finish.force)?;
                }
                finish.place(&seen, links, true)
            });
            match finished.await {
                Ok(()) => break,
                // Somebody has pruned the partial file from under this process.
                Err(Error::Io(err)) if err.kind() == ErrorKind::NotFound && attempts < 3 => {
                    tracing::warn!(%err, "a file vanished while it was downloaded; once more");
                    self.hub.cache().create_blobs(&repo)?;
                    disk::create_parents_below(&repo.snapshot(&known.commit), self.path.as_str())?;
                }
                Err(err) => return Err(err),
            }
        }
        drop(lock);
        self.note_ref(&known.commit).await;
        Ok(pointer)
    }

    /// Uses the content if it is here already: in the snapshot, among the contents, or as another file's copy.
    fn use_what_is_here(&self, known: &Known, links: bool) -> Result<bool> {
        let pointer = self.pointer(&known.commit);
        if fits(&pointer, known.size) {
            return Ok(true);
        }
        if fits(&self.layout().blob(&known.etag), known.size) {
            self.place(known, links, false)?;
            return Ok(true);
        }
        // Another repository may have the content in the store that all share.
        if links
            && let (Some(entry), Some(size)) = (self.shared(known), known.size)
            && entry.link(&self.layout().blob(&known.etag), size)
        {
            self.place(known, links, false)?;
            return Ok(true);
        }
        let Some(donor) = self.donor.as_deref().filter(|donor| fits(donor, known.size)) else {
            return Ok(false);
        };
        if !links {
            let temporary = self.layout().blobs().join(disk::temporary_name("new"));
            disk::copy_atomically(donor, &temporary, &pointer)?;
            return Ok(true);
        }
        // Where the file's own etag was another than the listing's, its content is here under that one.
        match linked_to(donor) {
            Some(etag) if fits(&self.layout().blob(&etag), known.size) => {
                let known = Known { etag, ..known.clone() };
                self.place(&known, links, false)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// The content's place in the store that repositories share, where that may be used.
    fn shared(&self, known: &Known) -> Option<Entry> {
        self.hub.cache().shared(known.xet.as_ref()?.hash())
    }

    fn place(&self, known: &Known, links: bool, fresh: bool) -> Result<()> {
        let repo = self.layout();
        let pointer = repo.pointer(&known.commit, &self.path);
        link::place(&repo.blob(&known.etag), &pointer, &self.path, &known.etag, links, fresh).map(drop)
    }

    /// Notes what the revision resolved to. Best effort: only later calls without the Hub gain from it.
    async fn note_ref(&self, commit: &CommitHash) {
        if self.revision.as_str() == commit.as_str() {
            return;
        }
        let (job, commit) = (self.clone(), commit.clone());
        let noted = blocking(move || job.hub.cache().write_ref(&job.repo, &job.revision, &commit));
        if let Err(err) = noted.await {
            tracing::debug!(error = %err, revision = %self.revision, "cannot note what a revision resolved to");
        }
    }

    /// Fetches a content into a partial file of this process's own, going on with one whose process has died. Gives it
    /// with the etag that the file turned out to have.
    async fn fetch(
        &self,
        known: &Known,
        dir: PathBuf,
        prefix: String,
        name: impl Fn(&str) -> PathBuf,
    ) -> Result<(Partial, Etag, bool)> {
        let anew = self.force;
        let needed = known.size;
        let fresh = name(&disk::hex8());
        let partial = blocking(move || {
            let partial = Partial::claim(&dir, &prefix, fresh, needed, anew)?;
            if let Some(size) = needed {
                disk::check_space(&dir, size.saturating_sub(partial.taken()))?;
            }
            Ok(partial)
        })
        .await?;
        let mut source = FileSource::new(self.repo.clone(), Revision::from(&known.commit), self.path.clone());
        source.location = known
            .location
            .as_ref()
            .filter(|(_, since)| since.elapsed() < LOCATION_LASTS)
            .map(|(location, _)| location.clone());
        source.xet = known.xet.clone().map(|xet| match xet {
            Xet::File(data) => data,
            Xet::Hash(hash) => self.hub.api().xet_file(&source.place, hash),
        });
        source.etag = Some(known.etag.clone());
        source.size = known.size;
        source.commit_hash = Some(known.commit.clone());
        let options = FetchOptions {
            resume: !anew,
            keep_journal: true,
            // A listing gives no address; the file's own headers, which are what the official client goes by, do.
            listed: known.location.is_none(),
            progress: self.progress.clone(),
            ..FetchOptions::default()
        };
        // Bytes of another hash are asked for once more by the engine; what is wrong then is not kept.
        match self.hub.api().fetch_to_file(&source, partial.path(), &options).await {
            Ok(fetched) => {
                let etag = fetched.etag.unwrap_or_else(|| known.etag.clone());
                let is_right = fetched.sha256.is_some() && fetched.sha256 == etag.as_sha256();
                Ok((partial, etag, fetched.by_xet && is_right))
            }
            Err(err) => {
                let wrong = matches!(err, HttpError::Integrity { .. });
                blocking(move || {
                    match wrong {
                        true => partial.discard(),
                        false => drop(partial),
                    }
                    Ok(())
                })
                .await?;
                Err(err.into())
            }
        }
    }

    /// Brings a content into a plain folder, if it is not there.
    async fn bring_into(self, dir: LocalDir, known: Known) -> Result<PathBuf> {
        let target = dir.file(&self.path);
        let (job, folder, seen) = (self.clone(), dir.clone(), known.clone());
        let here = blocking(move || {
            folder.prepare(&job.path)?;
            Ok(!job.force && job.is_in(&folder, &seen)?)
        });
        if here.await? {
            return Ok(target);
        }
        let lock = lock::lock_async(&dir.lock_file(&self.path), self.hub.cache().lock_limit()).await?;
        let (job, folder, seen) = (self.clone(), dir.clone(), known.clone());
        let here = blocking(move || {
            if job.force {
                return Ok(false);
            }
            if job.is_in(&folder, &seen)? {
                return Ok(true);
            }
            let Some(source) = job.in_cache(&seen) else {
                return Ok(false);
            };
            // Half a copy lies among the notes, never in the caller's folder.
            let temporary = folder.partial(&job.path, &seen.etag, &disk::hex8());
            disk::copy_to_new(&source, &temporary)?;
            disk::move_atomically(&temporary, &folder.file(&job.path))?;
            folder.write_metadata(&job.path, &seen.commit, &seen.etag)?;
            Ok(true)
        });
        if here.await? {
            return Ok(target);
        }
        let (folder, prefix) = dir.partial_prefix(&self.path, &known.etag);
        let (partial, etag, _) = self
            .fetch(&known, folder, prefix, |tag| dir.partial(&self.path, &known.etag, tag))
            .await?;
        let path = self.path.clone();
        let durable = self.hub.cache().is_durable();
        let finished = blocking(move || {
            if durable {
                disk::sync(partial.path())?;
            }
            fault::step("a content is on the disk");
            disk::move_atomically(partial.path(), &dir.file(&path))?;
            fault::step("a content has its name");
            partial.done();
            dir.write_metadata(&path, &known.commit, &etag)
        })
        .await;
        drop(lock);
        finished?;
        Ok(target)
    }

    /// Whether the folder has this content: its note says so, or, where no note holds, the file's own hash does. The
    /// note is then brought up to date.
    fn is_in(&self, dir: &LocalDir, known: &Known) -> Result<bool> {
        let target = dir.file(&self.path);
        if !fits(&target, known.size) {
            return Ok(false);
        }
        let same = match dir.read_metadata(&self.path) {
            Some(noted) => noted.etag == known.etag.as_str(),
            None => is_content(&target, &known.etag)?,
        };
        if same {
            dir.write_metadata(&self.path, &known.commit, &known.etag)?;
        }
        Ok(same)
    }

    /// The content in the cache, if it is there: at this commit or at another.
    fn in_cache(&self, known: &Known) -> Option<PathBuf> {
        let repo = self.layout();
        [repo.blob(&known.etag), repo.pointer(&known.commit, &self.path)]
            .into_iter()
            .find(|path| fits(path, known.size))
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
