//! [`Repository`]: a working copy, and what can be done with it.

mod card;
mod commit;
mod history;
mod options;
mod push;
mod run;
mod scope;
mod source;
mod status;
mod tags;
mod tracking;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hub_types::{CommitHash, RepoId};
use tempfile::TempDir;

use crate::git::Git;
use crate::local_config::without_credentials;
use crate::{Error, Result};

pub use options::{LfsTracking, RepositoryOptions};
pub use push::PushOptions;
pub(crate) use run::agent_settings;
pub use scope::{CommitOptions, Committed};
use source::{address, parse_source};
#[expect(deprecated, reason = "the whole crate is")]
pub use status::{is_binary_file, is_git_repo, is_local_clone};

/// A working copy of a Hub repository, driven through the `git` command.
///
/// Every method is deprecated and names the HTTP call that replaces it.
///
/// Other than the Python class of this name, on purpose: the token stands in no address, file, argument or message;
/// nothing is written to the user's own configuration; the repository's hooks do not run; files go to LFS storage before
/// the commits that point at them; an error is never swallowed.
pub struct Repository {
    dir: PathBuf,
    repo: RepoId,
    url: String,
    git: Git,
    options: RepositoryOptions,
    /// The program that sends files above 5 GB, where there is one.
    agent: Option<PathBuf>,
    /// Holds the marks of refused credentials, one for each run of git.
    private: Arc<TempDir>,
    /// The pushes that were started in the background.
    queue: push::Queue,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository")
            .field("dir", &self.dir)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Repository {
    /// Clones a repository, named by its id (`ada/demo`, `datasets/ada/notes`) or its address on the endpoint, into a
    /// folder that is empty or not there yet.
    ///
    /// A folder that is a clone of it already is opened, and nothing fetched. When cloning fails, a folder that was made
    /// for it is removed again.
    ///
    /// # Errors
    ///
    /// [`Error::ProgramMissing`], [`Error::InvalidArgument`], [`Error::NotEmpty`], [`Error::OtherRepository`],
    /// [`Error::RepoNotFound`], [`Error::Unauthorized`]; see [`Error`] for the rest.
    #[deprecated(note = "use `snapshot_download(repo_id).local_dir(dir)` of `hub_cache::HubCache`")]
    pub fn clone_from(dir: impl AsRef<Path>, source: &str, options: &RepositoryOptions) -> Result<Self> {
        let dir = std::path::absolute(dir.as_ref())?;
        let repo = parse_source(source, &options.endpoint)?;
        let repository = Self::prepare(dir.clone(), repo, options)?;
        if repository.top_level()? {
            let opened = Self::open_at(dir, &repository.options)?;
            if opened.repo == repository.repo {
                tracing::warn!(dir = %opened.dir.display(), "already a clone, nothing is fetched");
                return opened.at_revision();
            }
            return Err(Error::OtherRepository {
                dir: opened.dir,
                found: Some(opened.url),
                wanted: repository.url,
            });
        }
        let made = !dir.exists();
        fs_err::create_dir_all(&dir)?;
        if fs_err::read_dir(&dir)?.next().is_some() {
            return Err(Error::NotEmpty { dir });
        }
        let clone = ["clone", "--origin", "origin", "--", &repository.url, "."];
        let cloned = repository
            .git
            .run(&repository.online(clone))
            .map_err(|err| repository.explained(err));
        if cloned.is_err() && made {
            // Git has removed what it wrote. A folder that something is in stays.
            let _ = fs_err::remove_dir(&dir);
        }
        cloned?;
        repository.at_revision()
    }

    /// Opens a working copy whose `origin` is a repository on the endpoint.
    ///
    /// # Errors
    ///
    /// [`Error::NotARepository`], [`Error::OtherRepository`] when its origin is elsewhere, and
    /// [`Error::UnsafeConfiguration`] when its own configuration would run programs or redirect traffic.
    #[deprecated(note = "use `snapshot_download(repo_id).local_dir(dir)` of `hub_cache::HubCache`")]
    pub fn open(dir: impl AsRef<Path>, options: &RepositoryOptions) -> Result<Self> {
        Self::open_at(std::path::absolute(dir.as_ref())?, options)?.at_revision()
    }

    /// With the revision checked out that the options name.
    fn at_revision(self) -> Result<Self> {
        if let Some(revision) = &self.options.revision {
            self.checkout(revision, true)?;
        }
        Ok(self)
    }

    fn open_at(dir: PathBuf, options: &RepositoryOptions) -> Result<Self> {
        let repository = Self::nameless(dir, options)?;
        if !repository.top_level()? {
            return Err(Error::NotARepository { dir: repository.dir });
        }
        let config = repository.local_config()?;
        let keys = config.unsafe_keys();
        if !keys.is_empty() && !options.trust_local_config {
            return Err(Error::UnsafeConfiguration {
                dir: repository.dir,
                keys,
            });
        }
        if !config.addresses_with_credentials().is_empty() || !config.sections_with_credentials().is_empty() {
            tracing::warn!(
                dir = %repository.dir.display(),
                "the configuration of this clone holds credentials; `remove_stored_credentials` takes them out"
            );
        }
        let (origin, repo) = repository.origin()?;
        let Some(repo) = repo else {
            return Err(Error::OtherRepository {
                dir: repository.dir,
                found: origin,
                wanted: format!("a repository of {}", options.endpoint),
            });
        };
        Self::prepare(repository.dir, repo, options)
    }

    /// A folder of which nothing is known yet: its id is read from its configuration, for which git must be run.
    fn nameless(dir: PathBuf, options: &RepositoryOptions) -> Result<Self> {
        let unnamed = RepoId::model("unnamed").expect("a fixed id is right");
        // Who the author is, the Hub need not be asked for this.
        Self::prepare_as(dir, unnamed, options.clone())
    }

    /// The address of `origin` without user and password, and the repository if it is one on the endpoint.
    fn origin(&self) -> Result<(Option<String>, Option<RepoId>)> {
        let config = self.local_config()?;
        let origin = config
            .origin()
            .map(|url| without_credentials(url).unwrap_or_else(|| url.to_owned()));
        let repo = origin
            .as_deref()
            .and_then(|url| parse_source(url, &self.options.endpoint).ok());
        Ok((origin, repo))
    }

    fn prepare(dir: PathBuf, repo: RepoId, options: &RepositoryOptions) -> Result<Self> {
        let mut options = options.clone();
        if let Some(token) = &options.token {
            options.identity = options.identity.completed(options.endpoint.as_str(), token)?;
        }
        Self::prepare_as(dir, repo, options)
    }

    fn prepare_as(dir: PathBuf, repo: RepoId, options: RepositoryOptions) -> Result<Self> {
        let git = Git::locate(&options.env)?;
        git.require_lfs()?;
        let agent = match &options.transfer_program {
            Some(program) => Some(std::path::absolute(program)?),
            None => git.transfer_program(&options.env),
        };
        Ok(Self {
            url: address(&options.endpoint, &repo),
            dir,
            repo,
            git,
            options,
            agent,
            private: Arc::new(TempDir::with_prefix("hub-git-")?),
            queue: push::Queue::default(),
        })
    }

    /// The same repository for a thread of its own, with no background commands to look after.
    fn for_thread(&self) -> Self {
        Self {
            dir: self.dir.clone(),
            repo: self.repo.clone(),
            url: self.url.clone(),
            git: self.git.clone(),
            options: self.options.clone(),
            agent: self.agent.clone(),
            private: Arc::clone(&self.private),
            queue: push::Queue::default(),
        }
    }

    /// The folder of the working copy.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The repository on the Hub.
    pub fn repo_id(&self) -> &RepoId {
        &self.repo
    }

    /// The address of the repository on the Hub, without user and password.
    #[deprecated(note = "use the `RepoUrl` that `create_repo` of `hub_http::HfApi` returns")]
    pub fn git_remote_url(&self) -> &str {
        &self.url
    }

    /// The address of the commit that is checked out. It is there once the commit was pushed.
    ///
    /// # Errors
    ///
    /// [`Error::Git`] when there is no commit yet.
    #[deprecated(note = "use the `commit_url` of the `CommitInfo` that `create_commit` of `hub_http::HfApi` returns")]
    pub fn git_head_commit_url(&self) -> Result<String> {
        Ok(self.commit_url(&self.head()?))
    }

    /// Writes name and address of the author into the repository's own configuration, for whoever runs git there by hand
    /// too, and commits under them from now on. What is `None` stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a value that is empty or holds control characters.
    #[deprecated(note = "not needed: the author of a commit over HTTP is the token's owner")]
    pub fn git_config_username_and_email(&mut self, git_user: Option<&str>, git_email: Option<&str>) -> Result<()> {
        for (key, value) in [("user.name", git_user), ("user.email", git_email)] {
            if let Some(value) = value {
                self.set_config(key, run::plain("git identity", value)?)?;
            }
        }
        let identity = &mut self.options.identity;
        identity.name = git_user.map(str::to_owned).or_else(|| identity.name.take());
        identity.email = git_email.map(str::to_owned).or_else(|| identity.email.take());
        Ok(())
    }

    /// Lets git, when it is run here by hand, keep and find the credentials for this endpoint in the helper `store`: a file
    /// in the home folder that holds them in plain text.
    ///
    /// Not needed by any method of this type, and nothing is kept by calling it.
    ///
    /// # Errors
    ///
    /// [`Error::Git`] when the configuration cannot be written.
    #[deprecated(
        note = "not needed: the token is the client's; `hub auth login --add-to-git-credential` keeps one for git"
    )]
    pub fn git_credential_helper_store(&self) -> Result<()> {
        let endpoint = self.options.endpoint.as_str().trim_end_matches('/');
        self.set_config(&format!("credential.{endpoint}.helper"), "store")
    }

    /// Lets files above 5 GB through: git-lfs sends them in parts by the `hub` command, here and when git is run here by
    /// hand.
    ///
    /// # Errors
    ///
    /// [`Error::ProgramMissing`] without that command.
    #[deprecated(note = "not needed: `upload_file` of `hub_http::HfApi` sends files of any size")]
    pub fn lfs_enable_largefiles(&self) -> Result<()> {
        let Some(program) = &self.agent else {
            return Err(Error::ProgramMissing { program: "hub" });
        };
        for (key, value) in run::agent_settings(program) {
            self.set_config(key, value)?;
        }
        Ok(())
    }

    /// Takes user names and passwords out of the addresses in `.git/config`, where the Python class and `git clone` with
    /// such an address leave them. The token should be revoked all the same: others may have read it.
    ///
    /// # Errors
    ///
    /// [`Error::Git`] when the configuration cannot be written.
    pub fn remove_stored_credentials(&self) -> Result<()> {
        let config = self.local_config()?;
        for (key, clean) in config.addresses_with_credentials() {
            self.git
                .run(&self.offline(["config", "--local", "--replace-all", key, &clean]))?;
        }
        for section in config.sections_with_credentials() {
            self.git
                .run(&self.offline(["config", "--local", "--remove-section", section]))?;
        }
        Ok(())
    }

    fn set_config(&self, key: &str, value: impl Into<std::ffi::OsString>) -> Result<()> {
        let call = self.offline(["config", "--local", "--replace-all", "--end-of-options", key]);
        self.git.run(&call.arg(value)).map(drop)
    }

    fn commit_url(&self, commit: &CommitHash) -> String {
        format!("{}/commit/{commit}", self.url)
    }
}
