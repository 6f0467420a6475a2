//! How git is run for a [`Repository`]: what every run is told, what its output means, what is asked of it again and again.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use hub_types::{CommitHash, ValidationError};
use url::Url;

use super::Repository;
use crate::git::{AGENT, Call, Output};
use crate::local_config::LocalConfig;
use crate::{Error, Result, credential};

impl Repository {
    /// The paths that git prints with a NUL behind each.
    pub(super) fn listed<const N: usize>(&self, args: [&str; N]) -> Result<Vec<Vec<u8>>> {
        let output = self.git.run(&self.offline(args))?;
        let paths = output.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        Ok(paths.map(<[u8]>::to_vec).collect())
    }

    pub(super) fn branch(&self) -> Result<String> {
        let output = self.git.try_run(&self.offline(["symbolic-ref", "--quiet", "HEAD"]))?;
        match output.text().strip_prefix("refs/heads/") {
            Some(branch) if output.code == Some(0) => Ok(checked("branch", branch)?.to_owned()),
            _ => Err(Error::DetachedHead { dir: self.dir.clone() }),
        }
    }

    pub(super) fn head(&self) -> Result<CommitHash> {
        let output = self
            .git
            .run(&self.offline(["rev-parse", "--verify", "HEAD^{commit}"]))?;
        Ok(output.text().parse()?)
    }

    pub(super) fn commit_of(&self, name: &str) -> Result<Option<CommitHash>> {
        let name = format!("{name}^{{commit}}");
        let call = self.offline(["rev-parse", "--verify", "--quiet", "--end-of-options", &name]);
        let output = self.git.try_run(&call)?;
        match output.code {
            Some(0) => Ok(Some(output.text().parse()?)),
            _ => Ok(None),
        }
    }

    pub(super) fn local_config(&self) -> Result<LocalConfig> {
        let call = self.offline(["config", "--local", "--includes", "-z", "--list"]);
        Ok(LocalConfig::parse(&self.git.run(&call)?.stdout))
    }

    /// Whether the folder is the top of a repository. One that git refuses to touch (another user's) is an error.
    pub(super) fn top_level(&self) -> Result<bool> {
        match fs_err::symlink_metadata(self.dir.join(".git")) {
            Ok(_) => self.git.run(&self.offline(["rev-parse", "--git-dir"])).map(|_| true),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(err) => Err(err.into()),
        }
    }

    /// A run of git in this folder that reaches no network.
    pub(super) fn offline<const N: usize>(&self, args: [&str; N]) -> Call {
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
            .config("lfs.transfer.maxretries", "3")
            // No transfer program of the repository's choice.
            .config("lfs.basictransfersonly", self.agent.is_none().to_string())
            .with_agent(self.agent.as_deref())
    }

    /// A run of git in this folder that may use the token.
    pub(super) fn online<const N: usize>(&self, args: [&str; N]) -> Call {
        let mut call = self.offline(args);
        if self.options.skip_lfs_files {
            call = call.variable("GIT_LFS_SKIP_SMUDGE", "1");
        }
        let Some(token) = &self.options.token else {
            return call;
        };
        // A name of its own, so that a refusal counts for this run alone.
        let refused = self.private.path().join(format!("{:016x}", unique()));
        credential::grant(call, &self.options.endpoint, token, &refused)
    }

    /// Gives git's words about the Hub their own variant.
    pub(super) fn explained(&self, err: Error) -> Error {
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
    pub(super) fn push_error(&self, branch: &str, output: Output) -> Error {
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

impl Call {
    /// Sends files above 5 GB through this program.
    fn with_agent(mut self, program: Option<&Path>) -> Self {
        for (key, value) in program.into_iter().flat_map(agent_settings) {
            self = self.config(key, value);
        }
        self
    }
}

/// What makes git-lfs send large files in parts by this program, the `hub` command.
pub(crate) fn agent_settings(program: &Path) -> [(&'static str, OsString); 4] {
    [
        ("lfs.customtransfer.multipart.path", program.into()),
        ("lfs.customtransfer.multipart.args", AGENT.into()),
        // One process, which sends parts side by side, instead of eight that start one after the other.
        ("lfs.customtransfer.multipart.concurrent", "false".into()),
        ("lfs.customtransfer.multipart.direction", "upload".into()),
    ]
}

/// A number that no other run in this process has.
pub(super) fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The protocols that git may use at all: ssh, git and ext are out.
pub(super) fn protocols(endpoint: &Url) -> &'static str {
    if endpoint.scheme() == "http" {
        "https:http"
    } else {
        "https"
    }
}

/// A value that git cannot take for an option.
pub(super) fn checked<'a>(what: &'static str, value: &'a str) -> Result<&'a str, ValidationError> {
    if value.is_empty() || value.starts_with('-') || value.contains(char::is_control) {
        let rule = "must not be empty, begin with '-' or hold control characters";
        return Err(ValidationError::new(what, value, rule));
    }
    Ok(value)
}

/// A value that stands behind the options, where a dash is no harm.
pub(super) fn plain<'a>(what: &'static str, value: &'a str) -> Result<&'a str, ValidationError> {
    if value.trim().is_empty() || value.contains(char::is_control) {
        return Err(ValidationError::new(
            what,
            value,
            "must not be empty or hold control characters",
        ));
    }
    Ok(value)
}

/// A path as git prints it, on this machine.
pub(super) fn local_path(bytes: &[u8]) -> Result<PathBuf> {
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

    #[test]
    fn what_git_could_take_for_an_option_is_refused() {
        for bad in ["", "--cached", "-l", "a\nb"] {
            assert!(checked("pattern", bad).is_err(), "{bad:?}");
        }
        assert_eq!(checked("pattern", "ein Verz/é*.bin").unwrap(), "ein Verz/é*.bin");
    }
}
