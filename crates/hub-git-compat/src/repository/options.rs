//! How a [`Repository`](crate::Repository) is reached and used.

use std::path::PathBuf;
use std::time::Duration;

use hub_types::env::Env;
use hub_types::{Token, ValidationError};
use url::Url;

use crate::Result;
use crate::credential::parse_endpoint;
use crate::remote::Identity;

/// How a [`Repository`](crate::Repository) is reached and used.
#[derive(Debug, Clone)]
pub struct RepositoryOptions {
    pub(super) endpoint: Url,
    pub(super) env: Env,
    pub(super) token: Option<Token>,
    pub(super) identity: Identity,
    pub(super) revision: Option<String>,
    pub(super) skip_lfs_files: bool,
    pub(super) trust_local_config: bool,
    pub(super) transfer_program: Option<PathBuf>,
    pub(super) timeout: Option<Duration>,
}

impl RepositoryOptions {
    /// Options for the Hub at this endpoint, for example that of `HfApi::endpoint()`.
    ///
    /// Of the environment git sees all but the `GIT_*` variables that could redirect it and the tokens of the Hub.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) when the endpoint is no `https` address (or `http` on the loopback), or holds a user or
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
            revision: None,
            skip_lfs_files: false,
            trust_local_config: false,
            transfer_program: None,
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

    /// Checks this branch, tag or commit out after cloning or opening; where there is none, a branch of that name is
    /// made. By default nothing is checked out but what git does by itself.
    pub fn revision(mut self, revision: impl Into<String>) -> Self {
        self.revision = Some(revision.into());
        self
    }

    /// The `hub` command, which sends files above 5 GB in parts. By default it is looked for in `PATH`; without it such
    /// files are refused.
    pub fn transfer_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.transfer_program = Some(program.into());
        self
    }

    /// Leaves LFS files as pointers; `git_pull` with `lfs` fetches their content. By default it comes with the clone.
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

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
