//! [`Repository`]: a working copy, and what can be done with it.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hub_types::env::Env;
use hub_types::{CommitHash, RepoId, Token, ValidationError};
use tempfile::TempDir;
use url::Url;

use crate::credential::{self, host, parse_endpoint};
use crate::git::{Call, Git, Output};
use crate::local_config::{LocalConfig, without_credentials};
use crate::remote::Identity;
use crate::{Error, Result, attributes};

/// How a [`Repository`] is reached and used.
#[derive(Debug, Clone)]
pub struct RepositoryOptions {
    endpoint: Url,
    env: Env,
    token: Option<Token>,
    identity: Identity,
    skip_lfs_files: bool,
    trust_local_config: bool,
    timeout: Option<Duration>,
}

impl RepositoryOptions {
    /// Options for the Hub at this endpoint, for example that of `HfApi::endpoint()`.
    ///
    /// Of the environment git sees all but the `GIT_*` variables that could redirect it and the tokens of the Hub.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] when the endpoint is no `https` address (or `http` on the loopback), or holds a user or
    /// password.
    pub fn new(env: &Env, endpoint: &str) -> Result<Self> {
        let endpoint = parse_endpoint(endpoint)?;
        if endpoint.scheme() == "http" && !is_loopback(&endpoint) {
            let rule = "git over plain http is for the loopback only: use https";
            return Err(ValidationError::new("endpoint", endpoint, rule).into());
        }
        Ok(Self {
            endpoint,
            env: env.clone(),
            token: None,
            identity: Identity::default(),
            skip_lfs_files: false,
            trust_local_config: false,
            timeout: None,
        })
    }

    /// Uses this token. By default none is sent, and no helper of the user's is asked for one.
    ///
    /// (libcurl, which git uses, still reads `~/.netrc`.)
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Commits under this name. By default the full name of the token's owner, else what git's configuration says.
    pub fn git_user(mut self, name: impl Into<String>) -> Self {
        self.identity.name = Some(name.into());
        self
    }

    /// Commits with this e-mail address. By default that of the token's owner, else what git's configuration says.
    pub fn git_email(mut self, email: impl Into<String>) -> Self {
        self.identity.email = Some(email.into());
        self
    }

    /// Leaves LFS files as pointers when cloning; `git_pull` with `lfs` fetches them later. By default they are fetched.
    pub fn skip_lfs_files(mut self, skip: bool) -> Self {
        self.skip_lfs_files = skip;
        self
    }

    /// Opens a repository even if its own configuration runs programs or redirects traffic. By default that is refused.
    pub fn trust_local_config(mut self, trust: bool) -> Self {
        self.trust_local_config = trust;
        self
    }

    /// Ends a run of git, and all that it started, after this time. By default it may take as long as it likes.
    ///
    /// With a limit git runs in a process group of its own, and a Ctrl-C at the terminal does not reach it.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }
}

/// What `git_add` does about large files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LfsTracking {
    /// Only what `.gitattributes` says goes through LFS.
    #[default]
    AsIs,
    /// Files of 10 MiB and more and files that are not text are written into `.gitattributes` first, and the lines of
    /// deleted files taken out.
    Auto,
}

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
    /// Holds the marks of refused credentials, one for each run of git.
    private: TempDir,
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
                return Ok(opened);
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
        let mut call = repository.online(clone);
        if options.skip_lfs_files {
            call = call.variable("GIT_LFS_SKIP_SMUDGE", "1");
        }
        let cloned = repository.git.run(&call).map_err(|err| repository.explained(err));
        if cloned.is_err() && made {
            // Git has removed what it wrote. A folder that something is in stays.
            let _ = fs_err::remove_dir(&dir);
        }
        cloned.map(|_| repository)
    }

    /// Opens a working copy whose `origin` is a repository on the endpoint.
    ///
    /// # Errors
    ///
    /// [`Error::NotARepository`], [`Error::OtherRepository`] when its origin is elsewhere, and
    /// [`Error::UnsafeConfiguration`] when its own configuration would run programs or redirect traffic.
    #[deprecated(note = "use `snapshot_download(repo_id).local_dir(dir)` of `hub_cache::HubCache`")]
    pub fn open(dir: impl AsRef<Path>, options: &RepositoryOptions) -> Result<Self> {
        Self::open_at(std::path::absolute(dir.as_ref())?, options)
    }

    fn open_at(dir: PathBuf, options: &RepositoryOptions) -> Result<Self> {
        // The id is read from the configuration, for which git must be run: a first, nameless repository does that.
        let unnamed = RepoId::model("unnamed").expect("a fixed id is right");
        let repository = Self::prepare(dir, unnamed, options)?;
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
        let origin = config
            .origin()
            .map(|url| without_credentials(url).unwrap_or_else(|| url.to_owned()));
        let repo = origin
            .as_deref()
            .and_then(|url| parse_source(url, &options.endpoint).ok());
        let Some(repo) = repo else {
            return Err(Error::OtherRepository {
                dir: repository.dir,
                found: origin,
                wanted: format!("a repository of {}", options.endpoint),
            });
        };
        Ok(Self {
            url: address(&options.endpoint, &repo),
            repo,
            ..repository
        })
    }

    fn prepare(dir: PathBuf, repo: RepoId, options: &RepositoryOptions) -> Result<Self> {
        let git = Git::locate(&options.env)?;
        git.require_lfs()?;
        let mut options = options.clone();
        if let Some(token) = &options.token {
            options.identity = options.identity.completed(options.endpoint.as_str(), token)?;
        }
        Ok(Self {
            url: address(&options.endpoint, &repo),
            dir,
            repo,
            git,
            options,
            private: TempDir::with_prefix("hub-git-")?,
        })
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

    /// Whether there is nothing to commit. Commits that are not pushed yet do not count.
    ///
    /// # Errors
    ///
    /// [`Error::Git`].
    #[deprecated(note = "not needed: `upload_folder` of `hub_http::HfApi` skips what has not changed")]
    pub fn is_repo_clean(&self) -> Result<bool> {
        let output = self.git.run(&self.offline(["status", "--porcelain=v2", "-z"]))?;
        Ok(output.stdout.is_empty())
    }

    /// Stages what matches a pattern; `.` is everything. Returns the paths that are now tracked by LFS and were not.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a pattern that is empty, begins with `-` or holds control characters;
    /// [`Error::Git`] when nothing matches.
    #[deprecated(note = "use `upload_file`, `upload_folder` or `create_commit` of `hub_http::HfApi`")]
    pub fn git_add(&self, pattern: &str, tracking: LfsTracking) -> Result<Vec<PathBuf>> {
        let pattern = checked("pattern", pattern)?;
        let mut tracked = Vec::new();
        if tracking == LfsTracking::Auto {
            let deleted = self.listed(["ls-files", "-z", "--deleted", "--", pattern])?;
            tracked = self.new_large_files(pattern, &deleted)?;
            if attributes::update(&self.dir, &tracked, &deleted)? {
                self.git.run(&self.offline(["add", "--", ".gitattributes"]))?;
            }
        }
        self.git.run(&self.offline(["add", "--", pattern]))?;
        tracked.iter().map(|path| local_path(path)).collect()
    }

    /// Commits what is staged.
    ///
    /// # Errors
    ///
    /// [`Error::NothingToCommit`]; [`Error::InvalidArgument`] for an empty message.
    #[deprecated(note = "use `create_commit` of `hub_http::HfApi`: one atomic commit on the Hub")]
    pub fn git_commit(&self, message: &str) -> Result<CommitHash> {
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

    /// Pushes the current branch: the large files first, then the commits. Returns the address of the newest commit.
    ///
    /// # Errors
    ///
    /// [`Error::Diverged`] when the Hub's branch has commits that are not here, [`Error::PushRefused`],
    /// [`Error::Unauthorized`], [`Error::RepoNotFound`], [`Error::DetachedHead`].
    #[deprecated(note = "use `upload_folder` or `create_commit` of `hub_http::HfApi`")]
    pub fn git_push(&self) -> Result<String> {
        let branch = self.branch()?;
        let head = self.head()?;
        let local = format!("refs/heads/{branch}");
        // Before the commits: afterwards git-lfs takes the remote-tracking branch as proof that all is there.
        let lfs = self.online(["lfs", "push", "origin", &local]);
        self.git.run(&lfs).map_err(|err| self.explained(err))?;

        let refspec = format!("{local}:{local}");
        let call = self.online([
            "push",
            "--porcelain",
            "--no-verify",
            "--end-of-options",
            &self.url,
            &refspec,
        ]);
        let output = self.git.try_run(&call)?;
        if output.code != Some(0) {
            return Err(self.push_error(&branch, output));
        }
        let tracking = format!("refs/remotes/origin/{branch}");
        self.git.run(&self.offline(["update-ref", &tracking, head.as_str()]))?;
        let upstream = format!("--set-upstream-to=origin/{branch}");
        self.git
            .run(&self.offline(["branch", "--quiet", &upstream, "--", &branch]))?;
        Ok(format!("{}/commit/{head}", self.url))
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

    /// Files below the pattern that belong in LFS and are not tracked by it.
    fn new_large_files(&self, pattern: &str, deleted: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
        let mut large = Vec::new();
        for path in self.listed(["ls-files", "-z", "--exclude-standard", "-m", "-o", "--", pattern])? {
            if deleted.contains(&path) || path == b".gitattributes" {
                continue;
            }
            let local = self.dir.join(local_path(&path)?);
            // A link is committed as a link, and a repository inside this one not at all.
            if fs_err::symlink_metadata(&local)?.is_file() && attributes::belongs_in_lfs(&local)? {
                large.push(path);
            }
        }
        large.sort();
        large.dedup();
        if large.is_empty() {
            return Ok(large);
        }
        let mut stdin = large.join(&0);
        stdin.push(0);
        let call = self.offline(["check-attr", "-z", "--stdin", "filter"]).stdin(stdin);
        let output = self.git.run(&call)?;
        // Path, attribute and value, each with a NUL behind it.
        let fields: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
        let tracked: Vec<&[u8]> = fields
            .chunks_exact(3)
            .filter(|row| row[2] == b"lfs")
            .map(|row| row[0])
            .collect();
        large.retain(|path| !tracked.contains(&path.as_slice()));
        Ok(large)
    }

    /// The paths that git prints with a NUL behind each.
    fn listed<const N: usize>(&self, args: [&str; N]) -> Result<Vec<Vec<u8>>> {
        let output = self.git.run(&self.offline(args))?;
        let paths = output.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        Ok(paths.map(<[u8]>::to_vec).collect())
    }

    fn branch(&self) -> Result<String> {
        let output = self.git.try_run(&self.offline(["symbolic-ref", "--quiet", "HEAD"]))?;
        match output.text().strip_prefix("refs/heads/") {
            Some(branch) if output.code == Some(0) => Ok(checked("branch", branch)?.to_owned()),
            _ => Err(Error::DetachedHead { dir: self.dir.clone() }),
        }
    }

    fn head(&self) -> Result<CommitHash> {
        let output = self
            .git
            .run(&self.offline(["rev-parse", "--verify", "HEAD^{commit}"]))?;
        Ok(output.text().parse()?)
    }

    fn commit_of(&self, name: &str) -> Result<Option<CommitHash>> {
        let name = format!("{name}^{{commit}}");
        let call = self.offline(["rev-parse", "--verify", "--quiet", "--end-of-options", &name]);
        let output = self.git.try_run(&call)?;
        match output.code {
            Some(0) => Ok(Some(output.text().parse()?)),
            _ => Ok(None),
        }
    }

    fn local_config(&self) -> Result<LocalConfig> {
        let call = self.offline(["config", "--local", "--includes", "-z", "--list"]);
        Ok(LocalConfig::parse(&self.git.run(&call)?.stdout))
    }

    /// Whether the folder is the top of a repository. One that git refuses to touch (another user's) is an error.
    fn top_level(&self) -> Result<bool> {
        match fs_err::symlink_metadata(self.dir.join(".git")) {
            Ok(_) => self.git.run(&self.offline(["rev-parse", "--git-dir"])).map(|_| true),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(err) => Err(err.into()),
        }
    }

    /// A run of git in this folder that reaches no network.
    fn offline<const N: usize>(&self, args: [&str; N]) -> Call {
        let mut call = Call::new(args)
            .dir(&self.dir)
            .timeout(self.options.timeout)
            .variable("GIT_ALLOW_PROTOCOL", protocols(&self.options.endpoint))
            // Empty: forgets every helper that the user or the repository has.
            .config("credential.helper", "")
            .config("core.hooksPath", if cfg!(windows) { "NUL" } else { "/dev/null" })
            .config("core.fsmonitor", "false")
            .config("safe.bareRepository", "explicit")
            .config("submodule.recurse", "false")
            // A program for signatures may be named by the repository.
            .config("commit.gpgSign", "false")
            // Instead of `git lfs install`, which writes into the user's configuration.
            .config("filter.lfs.process", "git-lfs filter-process")
            .config("filter.lfs.clean", "git-lfs clean -- %f")
            .config("filter.lfs.smudge", "git-lfs smudge -- %f")
            .config("filter.lfs.required", "true");
        if let Some(name) = &self.options.identity.name {
            call = call.config("user.name", name);
        }
        if let Some(email) = &self.options.identity.email {
            call = call.config("user.email", email);
        }
        // Pinned against `.lfsconfig`, which comes with a clone and may name another host.
        let lfs = format!("{}.git/info/lfs", self.url);
        call.config(format!("lfs.{lfs}.locksverify"), "false")
            .config(format!("lfs.{lfs}.standalonetransferagent"), "")
            .config("lfs.standalonetransferagent", "")
            .config("lfs.pushurl", lfs.clone())
            .config("lfs.url", lfs)
            // No transfer program of the repository's choice.
            .config("lfs.basictransfersonly", "true")
            .config("lfs.transfer.maxretries", "3")
    }

    /// A run of git in this folder that may use the token.
    fn online<const N: usize>(&self, args: [&str; N]) -> Call {
        let call = self.offline(args);
        let Some(token) = &self.options.token else {
            return call;
        };
        // A name of its own, so that a refusal counts for this run alone.
        let refused = self.private.path().join(format!("{:016x}", unique()));
        credential::grant(call, &self.options.endpoint, token, &refused)
    }

    /// Gives git's words about the Hub their own variant.
    fn explained(&self, err: Error) -> Error {
        let Error::Git { stderr, .. } = &err else {
            return err;
        };
        let url = self.url.clone();
        let says = |words: &[&str]| words.iter().any(|word| stderr.contains(word));
        if says(&[
            "Authentication failed",
            "could not read Username",
            "could not read Password",
            "error: 401",
            "error: 403",
        ]) || says(&["Authorization error", "Authentication required", "told us to quit"])
        {
            return Error::Unauthorized { url };
        }
        if stderr.contains("repository '") && stderr.contains("' not found")
            || says(&["Repository not found", "error: 404"])
        {
            return Error::RepoNotFound { url };
        }
        err
    }

    /// What a failed `push --porcelain` says: a line `!`, refspec, reason for each refused branch.
    fn push_error(&self, branch: &str, output: Output) -> Error {
        let branch = branch.to_owned();
        let text = output.text();
        let reason = text.lines().find_map(|line| line.strip_prefix('!')?.split('\t').nth(2));
        match reason {
            Some(reason) if reason.contains("fetch first") || reason.contains("non-fast-forward") => {
                Error::Diverged { branch }
            }
            Some(reason) => {
                // The Hub's own words come before git's.
                let words = output
                    .stderr
                    .lines()
                    .filter_map(|line| line.trim_end().strip_prefix("remote: "));
                let words: Vec<&str> = words.map(str::trim).filter(|line| !line.is_empty()).collect();
                let reason = if words.is_empty() {
                    reason.to_owned()
                } else {
                    words.join(" ")
                };
                Error::PushRefused { branch, reason }
            }
            None => self.explained(Error::Git {
                command: "push".to_owned(),
                code: output.code,
                stderr: output.stderr.into(),
            }),
        }
    }
}

/// A number that no other run in this process has.
fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// An id, or an address on the endpoint without user and password.
fn parse_source(source: &str, endpoint: &Url) -> Result<RepoId> {
    if !source.contains("://") {
        return Ok(source.parse()?);
    }
    let refuse = || {
        ValidationError::new(
            "repository",
            clean(source),
            format!("must be an id or an address on {endpoint}"),
        )
    };
    let url = Url::parse(source).map_err(|_| refuse())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ValidationError::secret("repository", "its address must not hold a user or password").into());
    }
    let base = endpoint.path().trim_end_matches('/');
    let path = url.path().strip_prefix(base).and_then(|path| path.strip_prefix('/'));
    match path {
        Some(path) if url.scheme() == endpoint.scheme() && host(&url) == host(endpoint) && url.query().is_none() => {
            let path = path.trim_end_matches('/');
            Ok(path.strip_suffix(".git").unwrap_or(path).parse()?)
        }
        _ => Err(refuse().into()),
    }
}

fn clean(url: &str) -> String {
    without_credentials(url).unwrap_or_else(|| url.to_owned())
}

/// The repository's address, as it is cloned from.
fn address(endpoint: &Url, repo: &RepoId) -> String {
    format!("{}/{}", endpoint.as_str().trim_end_matches('/'), repo.url_path())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The protocols that git may use at all: ssh, git and ext are out.
fn protocols(endpoint: &Url) -> &'static str {
    if endpoint.scheme() == "http" {
        "https:http"
    } else {
        "https"
    }
}

/// A value that git cannot take for an option.
fn checked<'a>(what: &'static str, value: &'a str) -> Result<&'a str, ValidationError> {
    if value.is_empty() || value.starts_with('-') || value.contains(char::is_control) {
        let rule = "must not be empty, begin with '-' or hold control characters";
        return Err(ValidationError::new(what, value, rule));
    }
    Ok(value)
}

/// A path as git prints it, on this machine.
fn local_path(bytes: &[u8]) -> Result<PathBuf> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        Ok(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
    }
    #[cfg(not(unix))]
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(PathBuf::from(text)),
        Err(_) => {
            let shown = String::from_utf8_lossy(bytes);
            Err(ValidationError::new("path", shown, "must be Unicode text").into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Url {
        Url::parse("https://hub.example").unwrap()
    }

    #[test]
    fn a_source_is_an_id_or_an_address_here() {
        let check = |source: &str, expected: &str| {
            assert_eq!(parse_source(source, &endpoint()).unwrap().to_string(), expected);
        };
        check("ada/demo", "ada/demo");
        check("datasets/ada/notes", "datasets/ada/notes");
        check("https://hub.example/ada/demo", "ada/demo");
        check("https://hub.example/spaces/ada/app.git/", "spaces/ada/app");
        for source in [
            "--upload-pack=touch x",
            "https://other.example/ada/demo",
            "http://hub.example/ada/demo",
            "https://hub.example:8443/ada/demo",
            "https://hub.example/ada/demo?x=1",
            "ssh://git@hub.example/ada/demo",
            "file:///etc",
            "../demo",
        ] {
            assert!(parse_source(source, &endpoint()).is_err(), "{source}");
        }
        let err = parse_source("https://user:hf_planted0@hub.example/ada/demo", &endpoint()).unwrap_err();
        assert_eq!(
            err.to_string(),
            "invalid repository: its address must not hold a user or password"
        );
    }

    #[test]
    fn plain_http_is_for_the_loopback() {
        let env = Env::default();
        for good in [
            "http://127.0.0.2:81",
            "http://[::1]:81",
            "http://localhost",
            "https://hub.example",
        ] {
            assert!(RepositoryOptions::new(&env, good).is_ok(), "{good}");
        }
        let err = RepositoryOptions::new(&env, "http://hub.example")
            .unwrap_err()
            .to_string();
        assert_eq!(
            err,
            "invalid endpoint 'http://hub.example/': git over plain http is for the loopback only: use https"
        );
    }

    #[test]
    fn what_git_could_take_for_an_option_is_refused() {
        for bad in ["", "--cached", "-l", "a\nb"] {
            assert!(checked("pattern", bad).is_err(), "{bad:?}");
        }
        assert_eq!(checked("pattern", "ein Verz/é*.bin").unwrap(), "ein Verz/é*.bin");
    }
}
