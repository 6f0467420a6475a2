//! Commits, and bringing in those of others.

use std::ffi::OsString;

use hub_types::{CommitHash, ValidationError};

use super::Repository;
use crate::{Error, Result};

impl Repository {
    /// Commits what is staged.
    ///
    /// # Errors
    ///
    /// [`Error::NothingToCommit`]; [`Error::InvalidArgument`] for an empty message.
    #[deprecated(note = "use `create_commit` of `hub_http::HfApi`: one atomic commit on the Hub")]
    pub fn git_commit(&self, message: &str) -> Result<CommitHash> {
        self.commit_staged(message)
    }

    pub(super) fn commit_staged(&self, message: &str) -> Result<CommitHash> {
        if message.trim().is_empty() || message.contains('\0') {
            return Err(ValidationError::new("commit message", message, "must not be empty or hold NUL").into());
        }
        let staged = self
            .git
            .try_run(&self.offline(["diff", "--cached", "--quiet", "--no-ext-diff"]))?;
        if staged.code == Some(0) {
            return Err(Error::NothingToCommit { dir: self.dir.clone() });
        }
        let message = OsString::from(format!("--message={message}"));
        self.git
            .run(&self.offline(["commit", "--quiet", "--no-verify"]).arg(message))?;
        self.head()
    }

    /// Fetches, and brings the current branch up to the Hub's: by moving it forward, or with `rebase` by putting the local
    /// commits on top. With `lfs` the content of LFS files that are still pointers is fetched too.
    ///
    /// A rebase that meets a conflict is taken back.
    ///
    /// # Errors
    ///
    /// [`Error::Diverged`] when both sides have commits of their own and `rebase` is not asked for.
    #[deprecated(note = "call `snapshot_download` of `hub_cache::HubCache` again: only what changed moves")]
    pub fn git_pull(&self, rebase: bool, lfs: bool) -> Result<()> {
        self.pull(rebase, lfs)
    }

    pub(super) fn pull(&self, rebase: bool, lfs: bool) -> Result<()> {
        let branch = self.branch()?;
        let refspec = "+refs/heads/*:refs/remotes/origin/*";
        let fetch = self.online([
            "fetch",
            "--quiet",
            "--no-recurse-submodules",
            "--end-of-options",
            &self.url,
            refspec,
        ]);
        self.git.run(&fetch).map_err(|err| self.explained(err))?;

        if let Some(theirs) = self.commit_of(&format!("refs/remotes/origin/{branch}"))? {
            self.bring_up_to(&theirs, &branch, rebase)?;
        }
        if lfs {
            let call = self.online(["lfs", "pull", "origin"]);
            self.git.run(&call).map_err(|err| self.explained(err))?;
        }
        Ok(())
    }

    fn bring_up_to(&self, theirs: &CommitHash, branch: &str, rebase: bool) -> Result<()> {
        let ancestor = |older: &str, newer: &str| -> Result<bool> {
            let call = self.offline(["merge-base", "--is-ancestor", older, newer]);
            Ok(self.git.try_run(&call)?.code == Some(0))
        };
        let Some(ours) = self.commit_of("HEAD")? else {
            return self
                .git
                .run(&self.online(["merge", "--quiet", "--ff-only", theirs.as_str()]))
                .map(drop);
        };
        if ancestor(theirs.as_str(), ours.as_str())? {
            return Ok(());
        }
        if ancestor(ours.as_str(), theirs.as_str())? {
            return self
                .git
                .run(&self.online(["merge", "--quiet", "--ff-only", theirs.as_str()]))
                .map(drop);
        }
        if !rebase {
            return Err(Error::Diverged {
                branch: branch.to_owned(),
            });
        }
        let rebased = self
            .git
            .run(&self.online(["rebase", "--quiet", "--no-verify", theirs.as_str()]));
        if rebased.is_err() {
            let _ = self.git.try_run(&self.offline(["rebase", "--abort"]));
        }
        rebased.map(drop)
    }
}
