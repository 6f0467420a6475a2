//! The scope at whose end all changes are committed and pushed: Python's `with repo.commit(...)`.

use std::path::Path;

use hub_types::CommitHash;

use super::{LfsTracking, PushOptions, Repository};
use crate::{CommandInProgress, Error, Result};

/// What [`Repository::commit`] does around the closure.
#[derive(Debug, Clone)]
pub struct CommitOptions {
    branch: Option<String>,
    track_large_files: bool,
    blocking: bool,
    auto_lfs_prune: bool,
}

impl Default for CommitOptions {
    fn default() -> Self {
        Self {
            branch: None,
            track_large_files: true,
            blocking: true,
            auto_lfs_prune: false,
        }
    }
}

impl CommitOptions {
    /// On the branch that is checked out, with large files through LFS, pushed before it returns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks this branch out first, and makes it where it is not there. It stays checked out.
    pub fn branch(mut self, branch: impl Into<String>) -> Self {
        self.branch = Some(branch.into());
        self
    }

    /// Whether large files and those that are no text go through LFS. By default they do.
    pub fn track_large_files(mut self, track: bool) -> Self {
        self.track_large_files = track;
        self
    }

    /// Whether the push is over when [`Repository::commit`] returns. By default it is; else it goes on in the background.
    pub fn blocking(mut self, blocking: bool) -> Self {
        self.blocking = blocking;
        self
    }

    /// Deletes local copies of large files that are not needed any more, once they are pushed. By default they stay.
    pub fn auto_lfs_prune(mut self, prune: bool) -> Self {
        self.auto_lfs_prune = prune;
        self
    }
}

/// What came of [`Repository::commit`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Committed<T> {
    /// What the closure returned.
    pub value: T,
    /// The commit that was made; `None` when nothing had changed.
    pub commit: Option<CommitHash>,
    /// The address of the newest commit; `None` while the push goes on.
    pub commit_url: Option<String>,
    /// The push, where it goes on in the background.
    pub command: Option<CommandInProgress>,
}

impl Repository {
    /// Brings the branch up to the Hub's, calls the closure with the folder, and commits and pushes what it changed.
    ///
    /// When the closure fails, nothing is staged, committed or pushed, and its error returned; the files stay as it left
    /// them. The process's own folder is not changed: paths are joined to the one that the closure is given. Commits of
    /// before that are not on the Hub yet are pushed too, even when nothing has changed.
    ///
    /// # Errors
    ///
    /// The closure's; [`Error::DetachedHead`]; as for [`Repository::git_pull`] and [`Repository::git_push`].
    #[deprecated(note = "use `create_commit` or `upload_folder` of `hub_http::HfApi`")]
    pub fn commit<T, E: From<Error>>(
        &self,
        message: &str,
        options: &CommitOptions,
        body: impl FnOnce(&Path) -> Result<T, E>,
    ) -> Result<Committed<T>, E> {
        self.begin(options)?;
        let value = body(&self.dir)?;
        Ok(self.finish(message, options, value)?)
    }

    fn begin(&self, options: &CommitOptions) -> Result<()> {
        let there = self.unstaged(".")?;
        if !there.is_empty() {
            let shown: Vec<_> = there.iter().take(5).map(|path| path.display().to_string()).collect();
            tracing::warn!(
                files = there.len(),
                "these will be part of the commit: {}",
                shown.join(", ")
            );
        }
        if let Some(branch) = &options.branch {
            self.checkout(branch, true)?;
        }
        let branch = self.branch()?;
        if self.follows(&branch)? && self.commit_of("HEAD")?.is_some() {
            self.pull(true, false)?;
        }
        Ok(())
    }

    fn finish<T>(&self, message: &str, options: &CommitOptions, value: T) -> Result<Committed<T>> {
        let tracking = match options.track_large_files {
            true => LfsTracking::Auto,
            false => LfsTracking::AsIs,
        };
        self.stage(".", tracking)?;
        let commit = match self.commit_staged(message) {
            Ok(commit) => Some(commit),
            Err(Error::NothingToCommit { .. }) => None,
            Err(err) => return Err(err),
        };
        let push = PushOptions::new().auto_lfs_prune(options.auto_lfs_prune);
        let (commit_url, command) = match options.blocking {
            true => (Some(self.push(&push, None)?), None),
            false => (None, Some(self.push_in_background(&push)?)),
        };
        Ok(Committed {
            value,
            commit,
            commit_url,
            command,
        })
    }
}
