//! A folder that grows, committed again and again: logs, checkpoints, answers of users.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hub_types::commits::CommitInfo;
use hub_types::{Argument, OneOrMany, RepoId, RepoPath, RepoType, Revision, ValidationError};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, mpsc, oneshot};

use crate::api::upload::CommitOperation;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::runtime::blocking;
use crate::transfer::folder;

const DEFAULT_EVERY: Duration = Duration::from_secs(5 * 60);
const MESSAGE: &str = "Scheduled Commit";

impl HfApi {
    /// Begins to describe a scheduler that commits what is new in a folder, every five minutes unless it is told
    /// otherwise ([`CommitScheduler`]).
    #[doc(alias = "CommitScheduler")]
    pub fn schedule_commits(
        &self,
        repo_id: impl Argument<RepoId>,
        folder: impl Argument<PathBuf>,
    ) -> CommitSchedulerBuilder {
        CommitSchedulerBuilder {
            api: self.clone(),
            repo: required("repo_id", repo_id),
            folder: required("folder", folder),
            every: DEFAULT_EVERY,
            path_in_repo: Ok(None),
            repo_type: None,
            revision: Ok(None),
            private: None,
            allow: None,
            ignore: Vec::new(),
            squash_history: false,
        }
    }
}

fn required<T>(name: &'static str, value: impl Argument<T>) -> Result<T, ValidationError> {
    value
        .into_argument()?
        .ok_or_else(|| ValidationError::new("argument", name, "is required"))
}

/// Describes a [`CommitScheduler`]; [`CommitSchedulerBuilder::start`] starts it.
#[must_use = "a scheduler does nothing until it is started"]
pub struct CommitSchedulerBuilder {
    api: HfApi,
    repo: Result<RepoId, ValidationError>,
    folder: Result<PathBuf, ValidationError>,
    every: Duration,
    path_in_repo: Result<Option<RepoPath>, ValidationError>,
    repo_type: Option<RepoType>,
    revision: Result<Option<Revision>, ValidationError>,
    private: Option<bool>,
    allow: Option<Vec<String>>,
    ignore: Vec<String>,
    squash_history: bool,
}

impl fmt::Debug for CommitSchedulerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitSchedulerBuilder")
            .field("repo", &self.repo)
            .field("folder", &self.folder)
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

impl CommitSchedulerBuilder {
    /// How long from one commit to the next. By default five minutes; a second at the least.
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// The folder of the repository that the files go into. By default its root.
    pub fn path_in_repo(mut self, path: impl Argument<RepoPath>) -> Self {
        self.path_in_repo = path.into_argument();
        self
    }

    /// What the repository holds. By default what its id says, else a model.
    pub fn repo_type(mut self, repo_type: RepoType) -> Self {
        self.repo_type = Some(repo_type);
        self
    }

    /// The branch to commit to. By default `main`.
    pub fn revision(mut self, revision: impl Argument<Revision>) -> Self {
        self.revision = revision.into_argument();
        self
    }

    /// Makes the repository private, if it is made now.
    pub fn private(mut self, private: bool) -> Self {
        self.private = Some(private);
        self
    }

    /// Only files that one of these patterns fits.
    pub fn allow_patterns(mut self, patterns: impl Into<OneOrMany<String>>) -> Self {
        self.allow = Some(patterns.into().0);
        self
    }

    /// No files that one of these patterns fits.
    pub fn ignore_patterns(mut self, patterns: impl Into<OneOrMany<String>>) -> Self {
        self.ignore = patterns.into().0;
        self
    }

    /// Makes all commits of the branch one after each commit: without that, a long run leaves thousands.
    pub fn squash_history(mut self, squash: bool) -> Self {
        self.squash_history = squash;
        self
    }

    /// Makes the folder and the repository where they are missing, and begins with a first commit of what is there.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an interval of less than a second and for arguments that cannot be right; [`Error::Io`];
    /// those of [`HfApi::create_repo`].
    pub async fn start(self) -> Result<CommitScheduler> {
        if self.every < Duration::from_secs(1) {
            let shown = format!("{:?}", self.every);
            return Err(ValidationError::new("interval", shown, "must be a second or more").into());
        }
        let repo = self.repo?.typed(self.repo_type);
        let folder = self.folder?;
        let path = folder.clone();
        blocking(move || Ok(fs_err::create_dir_all(&path)?)).await?;
        let folder = blocking(move || Ok(fs_err::canonicalize(&folder)?)).await?;
        let made = self.api.create_repo(repo.clone()).private(self.private).exist_ok(true);
        let url = made.await?;
        let work = Work {
            repo: url.repo,
            api: self.api,
            folder,
            path_in_repo: self.path_in_repo?,
            revision: self.revision?,
            allow: self.allow,
            ignore: self.ignore,
            squash_history: self.squash_history,
            writers: Arc::default(),
            sent: HashMap::new(),
        };
        let (commands, waiting) = mpsc::unbounded_channel();
        let scheduler = CommitScheduler {
            repo: work.repo.clone(),
            folder: work.folder.clone(),
            writers: work.writers.clone(),
            failure: Arc::default(),
            commands,
        };
        crate::runtime::own().spawn(work.run(self.every, waiting, scheduler.failure.clone()));
        Ok(scheduler)
    }

    /// As [`CommitSchedulerBuilder::start`], for code that blocks.
    ///
    /// # Errors
    ///
    /// As for [`CommitSchedulerBuilder::start`].
    #[cfg(feature = "blocking")]
    pub fn start_blocking(self) -> Result<CommitScheduler> {
        crate::runtime::wait(self.start())
    }
}

type Failure = Arc<Mutex<Option<String>>>;

/// Commits what is new in a folder at regular intervals, in the background.
///
/// It is for files that grow and files that come: a file is sent as long as it was when it was looked at, so that lines
/// may be added at any time, and what is added during a commit goes with the next. Where nothing is new, nothing is
/// committed. Files that are deleted here stay in the repository. A commit that fails is tried again with the next one:
/// nothing is taken for sent before the Hub has it.
///
/// Who writes more than one line that belong together holds [`CommitScheduler::lock`] meanwhile.
///
/// Close it at the end ([`CommitScheduler::close`]): that commits what is left. A scheduler that is only dropped does
/// so too, if the process lives long enough.
///
/// ```no_run
/// # async fn example(api: hub_http::HfApi) -> Result<(), Box<dyn std::error::Error>> {
/// use std::io::Write as _;
///
/// let scheduler = api.schedule_commits("ada/answers", "./answers").repo_type("dataset".parse()?).start().await?;
/// {
///     let _writing = scheduler.lock().await;
///     let mut file = std::fs::OpenOptions::new().create(true).append(true).open("./answers/today.jsonl")?;
///     writeln!(file, "{{\"question\": 1, \"answer\": 42}}")?;
/// }
/// scheduler.close().await?;
/// # Ok(()) }
/// ```
pub struct CommitScheduler {
    repo: RepoId,
    folder: PathBuf,
    writers: Arc<AsyncMutex<()>>,
    failure: Failure,
    commands: mpsc::UnboundedSender<Command>,
}

impl fmt::Debug for CommitScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitScheduler")
            .field("repo", &self.repo)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

enum Command {
    Commit(Answer),
    Close(Answer),
}

/// Takes the commit to whoever asked for it.
type Answer = oneshot::Sender<Result<Option<CommitInfo>>>;

impl CommitScheduler {
    /// The repository.
    pub fn repo_id(&self) -> &RepoId {
        &self.repo
    }

    /// The folder, as an absolute path.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Holds the scheduler off the folder for as long as the guard lives: what is written meanwhile is looked at as one.
    pub async fn lock(&self) -> OwnedMutexGuard<()> {
        self.writers.clone().lock_owned().await
    }

    /// As [`CommitScheduler::lock`], for code that blocks.
    #[cfg(feature = "blocking")]
    pub fn lock_blocking(&self) -> OwnedMutexGuard<()> {
        crate::runtime::wait(self.writers.clone().lock_owned())
    }

    /// Commits now, and gives the commit; `None` where nothing was new.
    ///
    /// # Errors
    ///
    /// Those of [`HfApi::create_commit`].
    #[doc(alias = "push_to_hub")]
    pub async fn trigger(&self) -> Result<Option<CommitInfo>> {
        self.command(Command::Commit).await
    }

    /// What the last commit failed with, if it failed. It is tried again with the next one.
    pub fn last_error(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Commits what is left, and ends.
    ///
    /// # Errors
    ///
    /// Those of the last commit: what could not be sent is still in the folder.
    #[doc(alias = "stop")]
    pub async fn close(self) -> Result<Option<CommitInfo>> {
        self.command(Command::Close).await
    }

    /// As [`CommitScheduler::close`], for code that blocks.
    ///
    /// # Errors
    ///
    /// As for [`CommitScheduler::close`].
    #[cfg(feature = "blocking")]
    pub fn close_blocking(self) -> Result<Option<CommitInfo>> {
        crate::runtime::wait(self.close())
    }

    async fn command(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<Option<CommitInfo>>>) -> Command,
    ) -> Result<Option<CommitInfo>> {
        let (sender, answer) = oneshot::channel();
        // The worker is there as long as this is.
        let _ = self.commands.send(command(sender));
        answer.await.unwrap_or(Err(Error::Aborted))
    }
}

/// A file as it was when it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    size: u64,
    modified: SystemTime,
}

struct Work {
    api: HfApi,
    repo: RepoId,
    folder: PathBuf,
    path_in_repo: Option<RepoPath>,
    revision: Option<Revision>,
    allow: Option<Vec<String>>,
    ignore: Vec<String>,
    squash_history: bool,
    writers: Arc<AsyncMutex<()>>,
    sent: HashMap<PathBuf, Seen>,
}

/// A file with something new in it, copied as long as it was.
struct New {
    path: PathBuf,
    seen: Seen,
    copy: PathBuf,
    path_in_repo: String,
}

impl Work {
    async fn run(mut self, every: Duration, mut commands: mpsc::UnboundedReceiver<Command>, failure: Failure) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // The first comes at once, and before any command.
        ticks.tick().await;
        self.commit_and_tell(None, &failure).await;
        loop {
            let (answer, ends) = tokio::select! {
                _ = ticks.tick() => (None, false),
                command = commands.recv() => match command {
                    Some(Command::Commit(answer)) => (Some(answer), false),
                    Some(Command::Close(answer)) => (Some(answer), true),
                    // Dropped.
                    None => (None, true),
                },
            };
            self.commit_and_tell(answer, &failure).await;
            if ends {
                return;
            }
        }
    }

    async fn commit_and_tell(&mut self, answer: Option<Answer>, failure: &Failure) {
        let result = self.commit().await;
        *failure.lock().unwrap_or_else(PoisonError::into_inner) = result.as_ref().err().map(Error::to_string);
        if let Err(err) = &result {
            tracing::warn!(repo = %self.repo.id(), error = %err, "a scheduled commit failed; it is tried again with the next one");
        }
        if let Some(answer) = answer {
            // Nobody may wait for it any more.
            let _ = answer.send(result);
        }
    }

    /// Commits what is new since the last commit that succeeded.
    async fn commit(&mut self) -> Result<Option<CommitInfo>> {
        let copies = blocking(|| Ok(tempfile::tempdir()?)).await?;
        let new = {
            let _writing = self.writers.clone().lock_owned().await;
            self.look(copies.path()).await?
        };
        if new.is_empty() {
            return Ok(None);
        }
        let operations: Vec<CommitOperation> = new
            .iter()
            .map(|file| CommitOperation::add(file.path_in_repo.clone(), file.copy.clone()))
            .collect();
        let commit = self.api.create_commit(self.repo.clone(), operations, MESSAGE);
        let made = commit.revision(self.revision.clone()).await?;
        self.sent.extend(new.into_iter().map(|file| (file.path, file.seen)));
        if self.squash_history {
            let squash = self.api.super_squash_history(self.repo.clone());
            squash
                .branch(self.revision.as_ref().map(|revision| revision.as_str().to_owned()))
                .await?;
        }
        Ok(Some(made))
    }

    /// The files that are new or have changed, each copied as it is now.
    async fn look(&self, copies: &Path) -> Result<Vec<New>> {
        let (folder, into, copies) = (self.folder.clone(), self.path_in_repo.clone(), copies.to_owned());
        let (allow, ignore, sent) = (self.allow.clone(), self.ignore.clone(), self.sent.clone());
        blocking(move || {
            let mut new = Vec::new();
            for (path_in_repo, path) in folder::list(&folder, into.as_ref(), allow.as_deref(), ignore)? {
                let mut file = fs_err::File::open(&path)?;
                let metadata = file.metadata()?;
                let seen = Seen {
                    size: metadata.len(),
                    modified: metadata.modified()?,
                };
                if sent.get(&path) == Some(&seen) {
                    continue;
                }
                let copy = copies.join(new.len().to_string());
                copy_start(&mut file, seen.size, &copy)?;
                new.push(New {
                    path_in_repo: path_in_repo.to_string(),
                    copy,
                    seen,
                    path,
                });
            }
            Ok(new)
        })
        .await
    }
}

/// Copies the first `size` bytes: what is added behind them belongs to the next commit.
fn copy_start(file: &mut fs_err::File, size: u64, to: &Path) -> io::Result<()> {
    let mut copy = fs_err::File::create(to)?;
    io::copy(&mut io::Read::take(file, size), &mut copy)?;
    Ok(())
}
