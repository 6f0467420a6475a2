//! Pushing, at once or in the background.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Repository;
use super::run::{checked, unique};
use crate::background::Watch;
use crate::{CommandInProgress, Error, LfsTracking, Result};

/// How a push is done.
#[derive(Debug, Clone, Default)]
pub struct PushOptions {
    branch: Option<String>,
    auto_lfs_prune: bool,
}

impl PushOptions {
    /// The current branch, to the Hub's branch of its name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Pushes this branch. By default the one that is checked out.
    pub fn branch(mut self, branch: impl Into<String>) -> Self {
        self.branch = Some(branch.into());
        self
    }

    /// Deletes local copies of large files that are not needed any more, once they are pushed. By default they stay.
    pub fn auto_lfs_prune(mut self, prune: bool) -> Self {
        self.auto_lfs_prune = prune;
        self
    }
}

/// The background commands of one [`Repository`]. Warns when it goes while one of them runs.
#[derive(Default)]
pub(super) struct Queue(Mutex<Vec<CommandInProgress>>);

impl Queue {
    fn commands(&self) -> MutexGuard<'_, Vec<CommandInProgress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let running = self.commands().iter().filter(|command| !command.is_done()).count();
        if running > 0 {
            tracing::warn!(
                running,
                "pushes go on without their repository: they end with the process; `wait_for_commands` waits for them"
            );
        }
    }
}

impl Repository {
    /// Pushes the current branch: the large files first, then the commits. Returns the address of the newest commit.
    ///
    /// # Errors
    ///
    /// [`Error::Diverged`] when the Hub's branch has commits that are not here, [`Error::PushRefused`],
    /// [`Error::Unauthorized`], [`Error::RepoNotFound`], [`Error::DetachedHead`].
    #[deprecated(note = "use `upload_folder` or `create_commit` of `hub_http::HfApi`")]
    pub fn git_push(&self) -> Result<String> {
        self.push(&PushOptions::new(), None)
    }

    /// Pushes as the options say. See [`Repository::git_push`].
    ///
    /// # Errors
    ///
    /// As for [`Repository::git_push`].
    #[deprecated(note = "use `upload_folder` or `create_commit` of `hub_http::HfApi`")]
    pub fn git_push_with(&self, options: &PushOptions) -> Result<String> {
        self.push(options, None)
    }

    /// Begins a push and returns at once: Python's `git_push(blocking=False)`.
    ///
    /// What is pushed is what the branch is at now; later commits wait for the next push. Files may be changed meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::DetachedHead`], [`Error::Git`] when there is no commit yet. What goes wrong later is told by the command.
    #[deprecated(note = "use `.spawn()` of `upload_folder` or `create_commit` of `hub_http::HfApi`")]
    pub fn start_push(&self, options: &PushOptions) -> Result<CommandInProgress> {
        self.push_in_background(options)
    }

    pub(super) fn push_in_background(&self, options: &PushOptions) -> Result<CommandInProgress> {
        // What cannot go well is told at once.
        let branch = self.branch_to_push(options)?;
        self.commit_of(&format!("refs/heads/{branch}"))?
            .ok_or_else(|| Error::RevisionNotFound {
                revision: branch.clone(),
            })?;
        let options = options.clone().branch(branch);
        let progress = self.private.path().join(format!("progress-{:016x}", unique()));
        let (repository, file) = (self.for_thread(), progress.clone());
        let command = CommandInProgress::start("push", self.options.token.clone(), progress, move |watch| {
            repository.push(&options, Some(&Background { watch, progress: &file }))
        })?;
        self.queue.commands().push(command.clone());
        Ok(command)
    }

    /// Stages all, with large files through LFS, commits and pushes. Returns the address of the newest commit; `None` when
    /// there was nothing to commit and `clean_ok` allows for that: commits of before are not pushed then.
    ///
    /// # Errors
    ///
    /// [`Error::NothingToCommit`], and as for [`Repository::git_push`].
    #[deprecated(note = "use `upload_folder` of `hub_http::HfApi`")]
    pub fn push_to_hub(&self, commit_message: &str, clean_ok: bool) -> Result<Option<String>> {
        Ok(match self.commit_all(commit_message, clean_ok)? {
            true => Some(self.push(&PushOptions::new(), None)?),
            false => None,
        })
    }

    /// As [`Repository::push_to_hub`], with the push in the background.
    ///
    /// # Errors
    ///
    /// [`Error::NothingToCommit`], and as for [`Repository::start_push`].
    #[deprecated(note = "use `.spawn()` of `upload_folder` of `hub_http::HfApi`")]
    pub fn start_push_to_hub(&self, commit_message: &str, clean_ok: bool) -> Result<Option<CommandInProgress>> {
        Ok(match self.commit_all(commit_message, clean_ok)? {
            true => Some(self.push_in_background(&PushOptions::new())?),
            false => None,
        })
    }

    fn commit_all(&self, message: &str, clean_ok: bool) -> Result<bool> {
        if clean_ok && self.is_clean()? {
            return Ok(false);
        }
        self.stage(".", LfsTracking::Auto)?;
        self.commit_staged(message).map(|_| true)
    }

    /// The background commands that were started here and have not ended.
    #[deprecated(note = "keep the `Job` that `.spawn()` of an operation of `hub_http::HfApi` gives")]
    pub fn commands_in_progress(&self) -> Vec<CommandInProgress> {
        self.commands_that(|command| !command.is_done())
    }

    /// The background commands that were started here and have failed, killed ones among them.
    #[deprecated(note = "await the `Job` that `.spawn()` of an operation of `hub_http::HfApi` gives")]
    pub fn commands_failed(&self) -> Vec<CommandInProgress> {
        self.commands_that(CommandInProgress::failed)
    }

    /// All background commands that were started here, in their order: Python's `command_queue`.
    #[deprecated(note = "keep the `Job` that `.spawn()` of an operation of `hub_http::HfApi` gives")]
    pub fn command_queue(&self) -> Vec<CommandInProgress> {
        self.commands_that(|_| true)
    }

    fn commands_that(&self, wanted: impl Fn(&CommandInProgress) -> bool) -> Vec<CommandInProgress> {
        let commands = self.queue.commands();
        commands.iter().filter(|command| wanted(command)).cloned().collect()
    }

    /// Waits until no background command runs any more.
    ///
    /// # Errors
    ///
    /// That of the first that failed; every one is logged.
    #[deprecated(note = "await the `Job` that `.spawn()` of an operation of `hub_http::HfApi` gives")]
    pub fn wait_for_commands(&self) -> Result<(), Arc<Error>> {
        let mut first = Ok(());
        for command in self.commands_that(|_| true) {
            if let Err(err) = command.wait() {
                tracing::error!(%command, %err, "a background command failed");
                first = first.and(Err(err));
            }
        }
        first
    }

    fn branch_to_push(&self, options: &PushOptions) -> Result<String> {
        match &options.branch {
            Some(branch) => Ok(checked("branch", branch)?.to_owned()),
            None => self.branch(),
        }
    }

    pub(super) fn push(&self, options: &PushOptions, background: Option<&Background<'_>>) -> Result<String> {
        let branch = self.branch_to_push(options)?;
        let local = format!("refs/heads/{branch}");
        let Some(head) = self.commit_of(&local)? else {
            return Err(Error::RevisionNotFound { revision: branch });
        };
        let watch = background.map(|background| background.watch);
        // Before the commits: afterwards git-lfs takes the remote-tracking branch as proof that all is there.
        let mut lfs = self.online(["lfs", "push", "origin", &local]).watch(watch);
        if let Some(background) = background {
            lfs = lfs.variable("GIT_LFS_PROGRESS", background.progress);
        }
        self.git.run(&lfs).map_err(|err| self.explained(err))?;

        // The commit, not the branch: that may have moved on since its large files were sent.
        let refspec = format!("{head}:{local}");
        let args = [
            "push",
            "--porcelain",
            "--no-verify",
            "--end-of-options",
            &self.url,
            &refspec,
        ];
        let output = self.git.try_run(&self.online(args).watch(watch))?;
        if output.code != Some(0) {
            return Err(self.push_error(&branch, output));
        }
        let tracking = format!("refs/remotes/origin/{branch}");
        self.git.run(&self.offline(["update-ref", &tracking, head.as_str()]))?;
        let upstream = format!("--set-upstream-to=origin/{branch}");
        self.git
            .run(&self.offline(["branch", "--quiet", &upstream, "--", &branch]))?;
        if options.auto_lfs_prune {
            self.prune(false)?;
        }
        Ok(self.commit_url(&head))
    }
}

/// What a push in the background is watched through.
pub(super) struct Background<'a> {
    watch: &'a Arc<Watch>,
    progress: &'a std::path::Path,
}
