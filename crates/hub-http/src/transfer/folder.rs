//! Folders: listing their files, and the pipeline that commits them.
//!
//! One task asks about files and uploads the large ones, another commits what is ready; one batch at the most waits
//! between them. The size of commits adapts to how long the Hub takes for them. No state is kept on disk: what is on
//! the Hub already is recognised by its hash.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hub_types::commits::CommitInfo;
use hub_types::lfs::UploadMode;
use hub_types::{PatternFilter, RepoId, RepoPath, Revision, ValidationError};
use tokio::sync::mpsc;

use super::commit::{Change, Commit};
use super::preupload::{self, Addition, Target};
use super::source::UploadSource;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::progress::{Outcome, Phase, ProgressHandle};
use crate::runtime::blocking;

/// Never uploaded: git's own folder and the client's.
const ALWAYS_IGNORED: [&str; 8] = [
    ".git",
    ".git/*",
    "*/.git",
    "**/.git/**",
    ".cache/huggingface",
    ".cache/huggingface/*",
    "*/.cache/huggingface",
    "**/.cache/huggingface/**",
];

/// The sizes that a commit may have, and the one to begin with.
const SIZES: [usize; 10] = [20, 50, 75, 100, 125, 200, 250, 400, 600, 1000];
const FIRST_SIZE: usize = 6;
/// A commit that takes longer makes the next ones smaller.
const LONGEST_COMMIT: Duration = Duration::from_secs(40);
/// A batch that is older is committed, however small.
const OLDEST_BATCH: Duration = Duration::from_secs(300);
/// The most bytes of files in git itself that one commit carries.
const MOST_REGULAR_BYTES: u64 = 100 * 1024 * 1024;

/// Lists the files below a folder that are wanted, with their paths in the repo, sorted.
///
/// A link to a file counts as that file; linked folders are not entered. Blocks.
pub(crate) fn list(
    folder: &Path,
    base: Option<&RepoPath>,
    allow: Option<&[String]>,
    mut ignore: Vec<String>,
) -> Result<Vec<(RepoPath, PathBuf)>> {
    if !fs_err::metadata(folder)?.is_dir() {
        let rule = "must be a folder; upload one file with upload_file";
        return Err(ValidationError::new("folder to upload", folder.to_string_lossy(), rule).into());
    }
    ignore.extend(ALWAYS_IGNORED.map(str::to_owned));
    let filter = PatternFilter::new(allow, &ignore);
    let mut files = Vec::new();
    let walk = walkdir::WalkDir::new(folder).into_iter().filter_entry(|entry| {
        // Not even read: a repository's own folder may hold hundreds of thousands of files.
        !(entry.depth() > 0 && entry.file_type().is_dir() && entry.file_name() == ".git")
    });
    for entry in walk {
        let entry = entry.map_err(|err| {
            let path = err.path().unwrap_or(folder).display().to_string();
            std::io::Error::other(format!("cannot list {path}: {err}"))
        })?;
        if entry.file_type().is_dir() {
            continue;
        }
        // Behind a link: what it leads to counts.
        match fs_err::metadata(entry.path()) {
            Ok(target) if target.is_file() => {}
            Ok(target) if target.is_dir() => {
                tracing::warn!(path = %entry.path().display(), "a link to a folder is left out");
                continue;
            }
            _ => {
                tracing::warn!(path = %entry.path().display(), "left out: neither a file nor a link to one");
                continue;
            }
        }
        let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let parts: Option<Vec<&str>> = relative.components().map(|part| part.as_os_str().to_str()).collect();
        let Some(parts) = parts else {
            let rule = "cannot be a path on the Hub: it is not Unicode";
            return Err(ValidationError::new("file name", relative.to_string_lossy(), rule).into());
        };
        let relative = parts.join("/");
        if !filter.wants(&relative) {
            continue;
        }
        let path = match base {
            Some(base) => format!("{base}/{relative}"),
            None => relative,
        };
        files.push((RepoPath::for_commit(&path)?, entry.into_path()));
    }
    files.sort();
    Ok(files)
}

/// A folder on its way up.
pub(crate) struct FolderUpload {
    pub(crate) api: HfApi,
    pub(crate) repo: RepoId,
    pub(crate) revision: Revision,
    pub(crate) message: String,
    pub(crate) description: String,
    pub(crate) parent: Option<String>,
    pub(crate) create_pr: bool,
    pub(crate) files: Vec<(RepoPath, PathBuf)>,
    pub(crate) deletions: Vec<String>,
    pub(crate) progress: ProgressHandle,
}

impl FolderUpload {
    pub(crate) async fn run(self) -> Result<CommitInfo> {
        let gitignore = self.gitignore().await?;
        let target = Target {
            api: self.api.clone(),
            repo: self.repo.clone(),
            revision: self.revision.clone(),
            create_pr: self.create_pr,
            gitignore,
            uploads_at_once: 5,
            progress: self.progress.clone(),
        };
        let (sender, receiver) = mpsc::channel(1);
        let size = std::sync::atomic::AtomicUsize::new(FIRST_SIZE);
        let committer = Committer {
            folder: &self,
            pr: None,
            commits: 0,
            last: None,
            size: &size,
        };
        let ((), info) = tokio::try_join!(self.coordinate(&target, sender, &size), committer.run(receiver))?;
        Ok(info)
    }

    async fn gitignore(&self) -> Result<Option<String>> {
        let Some((_, path)) = self.files.iter().find(|(path, _)| path.as_str() == ".gitignore") else {
            return Ok(None);
        };
        let path = path.clone();
        blocking(move || Ok(String::from_utf8(fs_err::read(path)?).ok())).await
    }

    /// Prepares batches and hands them over.
    async fn coordinate(
        &self,
        target: &Target,
        sender: mpsc::Sender<Vec<Change>>,
        size: &std::sync::atomic::AtomicUsize,
    ) -> Result<()> {
        let mut batch = Vec::new();
        let mut regular = 0;
        let mut begun = Instant::now();
        let mut sent = 0;
        for files in self.files.chunks(preupload::BATCH) {
            let files = files
                .iter()
                .map(|(path, local)| (path.clone(), UploadSource::from(local.clone())))
                .collect();
            let mut additions = Addition::open_all(files).await?;
            target.ask(&mut additions).await?;
            for addition in additions.into_iter().filter(|addition| !addition.ignored) {
                if addition.mode != UploadMode::Lfs {
                    regular += addition.opened.size;
                }
                batch.push(addition);
                let full = batch.len() >= SIZES[size.load(std::sync::atomic::Ordering::Relaxed)]
                    || regular >= MOST_REGULAR_BYTES
                    || begun.elapsed() > OLDEST_BATCH;
                // The last file's batch is handed over below, where it is known to be the last.
                if full && sent + batch.len() < self.files.len() {
                    sent += batch.len();
                    let changes = self.prepared(target, std::mem::take(&mut batch)).await?;
                    if sender.send(changes).await.is_err() {
                        return Ok(()); // The committer failed; its error is the one to tell.
                    }
                    regular = 0;
                    begun = Instant::now();
                }
            }
        }
        let changes = self.prepared(target, batch).await?;
        // As above: where nobody receives, the committer has failed.
        let _ = sender.send(changes).await;
        Ok(())
    }

    /// Uploads the large files of a batch, and gives what is left to commit.
    async fn prepared(&self, target: &Target, mut batch: Vec<Addition>) -> Result<Vec<Change>> {
        target.settle(&mut batch).await?;
        let stored = preupload::stored(&batch).await?;
        let mut changes = Vec::new();
        for (file, stored) in batch.iter().zip(stored) {
            if !stored {
                changes.extend(Change::adding(file));
            } else if file.mode != UploadMode::Lfs {
                // Large files are reported where they are uploaded.
                self.progress
                    .start(file.path.as_str(), Some(file.opened.size))
                    .end(Outcome::Skipped);
            }
        }
        Ok(changes)
    }
}

/// Whether the same changes may be taken in smaller commits.
fn may_be_too_large(err: &Error) -> bool {
    err.is_transient() || matches!(err.status(), Some(400 | 413))
}

/// A pull request's title: 3 to 200 characters.
fn pr_title(message: &str) -> String {
    let title: String = message.trim().chars().take(200).collect();
    if title.chars().count() < 3 {
        format!("Upload: {title}")
    } else {
        title
    }
}

/// Commits batch after batch.
struct Committer<'a> {
    folder: &'a FolderUpload,
    /// The pull request that commits go to, once it is open.
    pr: Option<(Revision, String)>,
    commits: usize,
    last: Option<CommitInfo>,
    /// Which of [`SIZES`] the next batch has.
    size: &'a std::sync::atomic::AtomicUsize,
}

impl Committer<'_> {
    async fn run(mut self, mut batches: mpsc::Receiver<Vec<Change>>) -> Result<CommitInfo> {
        let mut next = batches.recv().await;
        while let Some(changes) = next.take() {
            // Without Xet a folder that fits one commit goes as one, as of the Python client. Whether it does is known
            // when no second batch follows.
            let may_open = self.folder.create_pr && self.commits == 0 && !super::xet::is_on(&self.folder.api);
            let opens = if may_open {
                next = batches.recv().await;
                next.is_none()
            } else {
                false
            };
            let nothing = changes.is_empty() && (self.commits > 0 || self.folder.deletions.is_empty());
            if !nothing {
                self.commit(changes, opens).await.map_err(|err| self.explained(err))?;
            }
            if !may_open {
                next = batches.recv().await;
            }
        }
        match self.last {
            Some(mut info) => {
                if let Some((_, url)) = self.pr {
                    info.pr_url = Some(url);
                }
                Ok(info)
            }
            None => self.next_commit(&[], false).head(&self.folder.api).await,
        }
    }

    /// Makes one commit of these changes, or, where the Hub fails over it, several smaller ones.
    ///
    /// One that `opens` the pull request is sent once: a second could open another.
    async fn commit(&mut self, changes: Vec<Change>, mut opens: bool) -> Result<()> {
        let folder = self.folder;
        if folder.create_pr && !opens {
            self.open_pr().await?;
        }
        let mut pieces = vec![changes];
        while let Some(changes) = pieces.pop() {
            let additions = changes.len();
            let commit = self.next_commit(&changes, opens);
            folder.progress.phase(Phase::Committing, Some(additions as u64), None);
            let begun = Instant::now();
            let sent = if opens {
                commit.send(&folder.api, &folder.progress).await
            } else {
                commit.send_until_made(&folder.api, &folder.progress).await
            };
            match sent {
                Ok(info) => {
                    self.commits += 1;
                    self.last = Some(info);
                    if begun.elapsed() > LONGEST_COMMIT {
                        self.step(-1);
                    } else if additions >= self.target() {
                        self.step(1);
                    }
                }
                Err(err) if additions > SIZES[0] && may_be_too_large(&err) => {
                    if opens {
                        opens = false;
                        self.open_pr().await?;
                    }
                    self.step(-1);
                    let size = self.target().min(additions.div_ceil(2));
                    tracing::warn!(error = %err, size, "a commit failed: its files go in smaller ones");
                    let mut smaller: Vec<Vec<Change>> = changes.chunks(size).map(<[Change]>::to_vec).collect();
                    smaller.reverse();
                    pieces.extend(smaller);
                }
                Err(err) => return Err(err),
            }
        }
        Ok(())
    }

    /// The next commit, of these changes: the first one is also for the deletions, and behind the parent that was asked for.
    fn next_commit(&self, changes: &[Change], opens: bool) -> Commit {
        let folder = self.folder;
        let is_first = self.commits == 0;
        let deleted = folder.deletions.iter().filter(|_| is_first);
        Commit {
            repo: folder.repo.clone(),
            revision: self
                .pr
                .as_ref()
                .map_or(&folder.revision, |(revision, _)| revision)
                .clone(),
            summary: match self.commits {
                0 => folder.message.clone(),
                done => format!("{} (part {})", folder.message, done + 1),
            },
            description: folder.description.clone(),
            parent: folder.parent.clone().filter(|_| is_first),
            create_pr: opens,
            hot_reload: false,
            changes: deleted
                .map(|path| Change::DeletedFile { path: path.clone() })
                .chain(changes.iter().cloned())
                .collect(),
        }
    }

    /// Opens the pull request by itself, unless it is open: several commits go to it.
    async fn open_pr(&mut self) -> Result<()> {
        if self.pr.is_some() {
            return Ok(());
        }
        let folder = self.folder;
        let pr = folder
            .api
            .create_pull_request(folder.repo.clone(), pr_title(&folder.message))
            .description(Some(folder.description.clone()).filter(|text| !text.is_empty()))
            .await?;
        let url = format!(
            "{}/{}/discussions/{}",
            folder.api.endpoint(),
            folder.repo.url_path(),
            pr.num
        );
        self.pr = Some((Revision::pull_request(pr.num), url));
        Ok(())
    }

    fn target(&self) -> usize {
        SIZES[self.size.load(std::sync::atomic::Ordering::Relaxed)]
    }

    fn step(&self, by: isize) {
        let now = self.size.load(std::sync::atomic::Ordering::Relaxed);
        let next = now.saturating_add_signed(by).min(SIZES.len() - 1);
        self.size.store(next, std::sync::atomic::Ordering::Relaxed);
    }

    /// A failure after the pull request was opened: say where to go on.
    fn explained(&self, mut err: Error) -> Error {
        if let Some((revision, url)) = &self.pr {
            let note =
                format!("the pull request {url} is open: upload again with revision {revision}, without create_pr");
            tracing::warn!("{note}");
            if let Some(reply) = err.reply_mut() {
                reply.note.get_or_insert(note);
            }
        }
        err
    }
}
