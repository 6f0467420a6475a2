//! Questions about a working copy.

use std::path::{Path, PathBuf};

use hub_types::ValidationError;

use super::run::{checked, local_path};
use super::source::parse_source;
use super::{Repository, RepositoryOptions};
use crate::{Error, Result, attributes};

impl Repository {
    /// Whether there is nothing to commit. Commits that are not pushed yet do not count.
    ///
    /// # Errors
    ///
    /// [`Error::Git`].
    #[deprecated(note = "not needed: `upload_folder` of `hub_http::HfApi` skips what has not changed")]
    pub fn is_repo_clean(&self) -> Result<bool> {
        self.is_clean()
    }

    pub(super) fn is_clean(&self) -> Result<bool> {
        let output = self.git.run(&self.offline(["status", "--porcelain=v2", "-z"]))?;
        Ok(output.stdout.is_empty())
    }

    /// The files that git knows below a pattern; `.` is all of them.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a pattern that is empty, begins with `-` or holds control characters.
    #[deprecated(note = "use `list_repo_files` of `hub_http::HfApi`")]
    pub fn tracked_files(&self, pattern: &str) -> Result<Vec<PathBuf>> {
        self.paths(["ls-files", "-z", "--", checked("pattern", pattern)?])
    }

    /// The files below a pattern that are new or changed, deleted ones too, and not ignored.
    ///
    /// # Errors
    ///
    /// As for [`Repository::tracked_files`].
    #[deprecated(note = "not needed: `upload_folder` of `hub_http::HfApi` finds what has changed")]
    pub fn files_to_be_staged(&self, pattern: &str) -> Result<Vec<PathBuf>> {
        self.unstaged(checked("pattern", pattern)?)
    }

    pub(super) fn unstaged(&self, pattern: &str) -> Result<Vec<PathBuf>> {
        self.paths([
            "ls-files",
            "-z",
            "--exclude-standard",
            "-m",
            "-o",
            "--deduplicate",
            "--",
            pattern,
        ])
    }

    /// The files that the last commit has and the folder has not.
    ///
    /// # Errors
    ///
    /// [`Error::Git`].
    #[deprecated(note = "not needed: `delete_patterns` of `upload_folder` of `hub_http::HfApi` says what goes")]
    pub fn list_deleted_files(&self) -> Result<Vec<PathBuf>> {
        if self.commit_of("HEAD")?.is_none() {
            return Ok(Vec::new());
        }
        self.paths([
            "diff",
            "--name-only",
            "-z",
            "--no-ext-diff",
            "--no-renames",
            "--diff-filter=D",
            "HEAD",
            "--",
        ])
    }

    /// Whether `.gitignore` leaves a file out.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a path outside the repository.
    #[deprecated(note = "not needed: `upload_folder` of `hub_http::HfApi` goes by the repo's `.gitignore`")]
    pub fn is_git_ignored(&self, path: impl AsRef<Path>) -> Result<bool> {
        let path = self.inside(path.as_ref())?;
        let call = self.offline(["check-ignore", "--quiet", "--"]).arg(path);
        let output = self.git.try_run(&call)?;
        match output.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            code => Err(Error::Git {
                command: "check-ignore".to_owned(),
                code,
                stderr: output.stderr.into(),
            }),
        }
    }

    /// Whether a file goes through LFS by `.gitattributes`; it need not be there.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a path outside the repository.
    #[deprecated(note = "use `get_paths_info` of `hub_http::HfApi`: a file's `lfs`")]
    pub fn is_tracked_with_lfs(&self, path: impl AsRef<Path>) -> Result<bool> {
        let path = self.inside(path.as_ref())?;
        let call = self.offline(["check-attr", "-z", "filter", "--"]).arg(path);
        let output = self.git.run(&call)?;
        Ok(output.stdout.split(|byte| *byte == 0).nth(2) == Some(b"lfs"))
    }

    /// Whether the branch that is checked out follows one of the Hub's.
    ///
    /// # Errors
    ///
    /// [`Error::DetachedHead`].
    #[deprecated(note = "no working copy, no upstream: each call of `hub_http::HfApi` names its `revision`")]
    pub fn is_tracked_upstream(&self) -> Result<bool> {
        self.follows(&self.branch()?)
    }

    pub(super) fn follows(&self, branch: &str) -> Result<bool> {
        let name = format!("refs/heads/{branch}");
        let call = self.offline(["for-each-ref", "--format=%(upstream)", "--", &name]);
        Ok(!self.git.run(&call)?.text().is_empty())
    }

    /// How many commits of the branch that is checked out the Hub did not have when it was last fetched or pushed to.
    ///
    /// # Errors
    ///
    /// [`Error::DetachedHead`], and [`Error::Git`] when there is no commit yet.
    #[deprecated(note = "not needed: a commit over HTTP is on the Hub or does not exist")]
    pub fn commits_to_push(&self) -> Result<usize> {
        self.unpushed(&self.branch()?)
    }

    pub(super) fn unpushed(&self, branch: &str) -> Result<usize> {
        let theirs = format!("refs/remotes/origin/{branch}");
        // A branch that the Hub does not have brings what no other branch there has.
        let known = match self.commit_of(&theirs)? {
            Some(commit) => commit.to_string(),
            None => "--remotes=origin".to_owned(),
        };
        let head = self.head()?;
        let call = self.offline(["rev-list", "--count", head.as_str(), "--not", &known, "--"]);
        let count = self.git.run(&call)?.text();
        count.parse().map_err(|_| Error::Git {
            command: "rev-list".to_owned(),
            code: Some(0),
            stderr: "no number".into(),
        })
    }

    fn paths<const N: usize>(&self, args: [&str; N]) -> Result<Vec<PathBuf>> {
        self.listed(args)?.iter().map(|path| local_path(path)).collect()
    }

    /// A path in the repository, relative to its top; `-x` as `./-x`.
    fn inside(&self, path: &Path) -> Result<PathBuf> {
        let refuse = || ValidationError::new("path", path.to_string_lossy(), "must lie in the repository");
        let relative = match path.is_absolute() {
            true => path.strip_prefix(&self.dir).map_err(|_| refuse())?,
            false => path,
        };
        let normal = |part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir);
        if relative.as_os_str().is_empty() || !relative.components().all(normal) {
            return Err(refuse().into());
        }
        Ok(relative.to_owned())
    }
}

/// Whether a folder is the top of a git repository. One that is not there is none.
///
/// # Errors
///
/// [`Error::ProgramMissing`], [`Error::GitTooOld`].
#[deprecated(note = "not needed: `snapshot_download` of `hub_cache::HubCache` makes a plain folder")]
pub fn is_git_repo(dir: impl AsRef<Path>, options: &RepositoryOptions) -> Result<bool> {
    let dir = std::path::absolute(dir.as_ref())?;
    Ok(Repository::nameless(dir, options)?.top_level().unwrap_or(false))
}

/// Whether a folder is a clone of this repository: whether its `origin` is it, with or without `.git`, user and password.
///
/// # Errors
///
/// [`Error::ProgramMissing`], [`Error::GitTooOld`]; [`Error::InvalidArgument`] when the source is none on the endpoint.
#[deprecated(note = "not needed: `snapshot_download` of `hub_cache::HubCache` makes a plain folder")]
pub fn is_local_clone(dir: impl AsRef<Path>, source: &str, options: &RepositoryOptions) -> Result<bool> {
    let wanted = parse_source(source, &options.endpoint)?;
    let dir = std::path::absolute(dir.as_ref())?;
    let repository = Repository::nameless(dir, options)?;
    if !repository.top_level().unwrap_or(false) {
        return Ok(false);
    }
    Ok(repository.origin()?.1.is_some_and(|repo| repo == wanted))
}

/// Whether a file is no text: whether its first 10 MiB hold a byte that no text has.
///
/// The bytes of a text are those that libmagic takes for one, as in the Python client's function of this name.
///
/// # Errors
///
/// [`Error::Io`].
#[deprecated(note = "not needed: `upload_file` and `upload_folder` of `hub_http::HfApi` ask the Hub what is large")]
pub fn is_binary_file(path: impl AsRef<Path>) -> Result<bool> {
    Ok(attributes::is_binary(path.as_ref())?)
}
