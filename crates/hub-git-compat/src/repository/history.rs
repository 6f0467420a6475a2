//! Which commit and which branch is checked out, and checking another one out.

use hub_types::CommitHash;

use super::Repository;
use super::run::checked;
use crate::git::Call;
use crate::{Error, Result};

impl Repository {
    /// The branch that is checked out.
    ///
    /// # Errors
    ///
    /// [`Error::DetachedHead`] when none is.
    #[deprecated(note = "no working copy, no current branch: `list_repo_refs` of `hub_http::HfApi` lists branches")]
    pub fn current_branch(&self) -> Result<String> {
        self.branch()
    }

    /// The commit that is checked out.
    ///
    /// # Errors
    ///
    /// [`Error::Git`] when there is no commit yet.
    #[deprecated(note = "use `repo_info(repo_id)` of `hub_http::HfApi`, its `sha`")]
    pub fn git_head_hash(&self) -> Result<CommitHash> {
        self.head()
    }

    /// The branches that are here, in the order of their names.
    ///
    /// # Errors
    ///
    /// [`Error::Git`].
    #[deprecated(note = "use `list_repo_refs` of `hub_http::HfApi`, its `branches`")]
    pub fn branches(&self) -> Result<Vec<String>> {
        self.names_below("refs/heads/")
    }

    /// Checks a branch, a tag or a commit out. A branch that only the Hub has is made here, and follows the Hub's. With
    /// `create_branch_ok` a name that nothing has becomes a new branch, at the commit that is checked out.
    ///
    /// A tag or commit leaves no branch checked out. Changes that would be lost are an error, and so is a path: this
    /// restores no files.
    ///
    /// # Errors
    ///
    /// [`Error::RevisionNotFound`]; [`Error::InvalidArgument`] for what cannot be a name; [`Error::Git`] when changes are
    /// in the way.
    #[deprecated(
        note = "name the `revision` in each call, and make branches with `create_branch` of `hub_http::HfApi`"
    )]
    pub fn git_checkout(&self, revision: &str, create_branch_ok: bool) -> Result<()> {
        self.checkout(revision, create_branch_ok)
    }

    pub(super) fn checkout(&self, revision: &str, create_branch_ok: bool) -> Result<()> {
        let revision = checked("revision", revision)?;
        let switch = |args: &[&str]| -> Result<()> {
            let mut call = self.online(["switch", "--quiet", "--no-recurse-submodules"]);
            for arg in args {
                call = call.arg(*arg);
            }
            self.git.run(&call).map_err(|err| self.explained(err)).map(drop)
        };
        let unborn = self.commit_of("HEAD")?.is_none();
        if self.commit_of(&format!("refs/heads/{revision}"))?.is_some() || (unborn && self.branch()? == revision) {
            return match unborn && self.branch()? == revision {
                true => Ok(()),
                false => switch(&["--end-of-options", revision]),
            };
        }
        let theirs = format!("refs/remotes/origin/{revision}");
        if self.commit_of(&theirs)?.is_some() {
            return switch(&["--track", "--create", revision, "--end-of-options", &theirs]);
        }
        // A name in full first: what git thinks of a short one depends on what else has it.
        for name in [format!("refs/tags/{revision}"), revision.to_owned()] {
            if let Some(commit) = self.commit_of(&name)? {
                return switch(&["--detach", "--end-of-options", commit.as_str()]);
            }
        }
        if !create_branch_ok {
            return Err(Error::RevisionNotFound {
                revision: revision.to_owned(),
            });
        }
        self.check_ref_name("branch", &format!("refs/heads/{revision}"))?;
        tracing::info!(branch = revision, "made");
        switch(&["--create", revision])
    }

    /// The refs below a prefix, without it.
    pub(super) fn names_below(&self, prefix: &str) -> Result<Vec<String>> {
        let format = format!("--format=%(refname:lstrip={})", prefix.matches('/').count());
        let call = self.offline(["for-each-ref", &format, "--", prefix]);
        let text = String::from_utf8_lossy(&self.git.run(&call)?.stdout).into_owned();
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Refuses what git does not take for a ref.
    pub(super) fn check_ref_name(&self, what: &'static str, name: &str) -> Result<()> {
        let call: Call = self.offline(["check-ref-format", name]);
        if self.git.try_run(&call)?.code == Some(0) {
            return Ok(());
        }
        let short = name.splitn(3, '/').last().unwrap_or(name);
        Err(hub_types::ValidationError::new(what, short, "is no name that git takes").into())
    }
}
