//! What can go wrong, a variant for each thing that a caller handles apart.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use hub_types::ValidationError;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the git way. No token stands in its text, nor in that of git that it quotes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no program of this name in any folder of `PATH`.
    #[error("cannot find the program '{program}'")]
    ProgramMissing {
        /// `git`, `git-lfs` or `hub`.
        program: &'static str,
    },
    /// The program lacks what this crate needs to run it safely.
    #[error("git {found} is too old, {needed} or later is needed")]
    GitTooOld {
        /// What `git version` says.
        found: String,
        /// The first release that will do.
        needed: &'static str,
    },
    /// A value that was refused before git saw it.
    #[error(transparent)]
    InvalidArgument(#[from] ValidationError),
    /// The folder is not the top of a git repository.
    #[error("{} is not the top of a git repository", dir.display())]
    NotARepository {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder to clone into holds files and is no git repository.
    #[error("{} is not empty and not a git repository", dir.display())]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder is a clone of something else.
    #[error("{} is a clone of {}, not of {wanted}", dir.display(), found.as_deref().unwrap_or("nothing"))]
    OtherRepository {
        /// The folder.
        dir: PathBuf,
        /// Its origin, without user and password.
        found: Option<String>,
        /// What was to be there.
        wanted: String,
    },
    /// The repository's own configuration would run programs or send traffic elsewhere.
    #[error("the configuration of {} sets {}, which is not safe to run git with", dir.display(), keys.join(", "))]
    UnsafeConfiguration {
        /// The folder.
        dir: PathBuf,
        /// The keys that decide so.
        keys: Vec<String>,
    },
    /// No branch is checked out.
    #[error("no branch is checked out in {}", dir.display())]
    DetachedHead {
        /// The folder.
        dir: PathBuf,
    },
    /// The index holds nothing that the last commit does not.
    #[error("nothing to commit in {}", dir.display())]
    NothingToCommit {
        /// The folder.
        dir: PathBuf,
    },
    /// The Hub has no such repository, or does not show it to this token.
    #[error("the repository {url} does not exist or is hidden")]
    RepoNotFound {
        /// Its address.
        url: String,
    },
    /// The Hub refused the token, or asked for one and none was given.
    #[error("the Hub refused the credentials for {url}")]
    Unauthorized {
        /// The repository's address.
        url: String,
    },
    /// The remote branch has commits that the local one lacks.
    #[error("the remote branch '{branch}' has commits that are not in the local one")]
    Diverged {
        /// The branch.
        branch: String,
    },
    /// The Hub refused the commits.
    #[error("the Hub refused the push of '{branch}': {reason}")]
    PushRefused {
        /// The branch.
        branch: String,
        /// Its reason, as the Hub gave it.
        reason: String,
    },
    /// Git ended with an error that has no variant of its own.
    #[error("git {command} failed{}", shown(stderr))]
    Git {
        /// The git command.
        command: String,
        /// Its exit code, or `None` when a signal ended it.
        code: Option<i32>,
        /// What it printed on standard error, without secrets.
        stderr: Box<str>,
    },
    /// Nothing here and nothing on the Hub has this name.
    #[error("there is no branch, tag or commit '{revision}'")]
    RevisionNotFound {
        /// The name.
        revision: String,
    },
    /// A background command was ended by [`CommandInProgress::kill`](crate::CommandInProgress::kill).
    #[error("git {command} was ended")]
    Killed {
        /// The git command that ran, or would have been next.
        command: String,
    },
    /// Git took longer than was allowed, and was ended with all that it had started.
    #[error("git {command} did not end within {after:?}")]
    TimedOut {
        /// The git command.
        command: String,
        /// The time that it was given.
        after: Duration,
    },
    /// A file or a process could not be handled.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What git cannot do was asked of the Hub over HTTP, in vain.
    #[error(transparent)]
    Hub(#[from] Box<hub_http::Error>),
}

impl Error {
    /// What to do next, where that can be said.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::ProgramMissing { program: "hub" } => {
                "put the `hub` command into a folder of PATH, or name it by `transfer_program`"
            }
            Self::ProgramMissing { program: "git-lfs" } => "install git-lfs (Debian: apt-get install git-lfs)",
            Self::ProgramMissing { .. } | Self::GitTooOld { .. } => "install a current git",
            Self::NotEmpty { .. } => "clone into an empty folder and move the files there",
            Self::OtherRepository { .. } => "clone into another folder",
            Self::UnsafeConfiguration { .. } => {
                "remove these keys with `git config --unset`, or allow them with `trust_local_config`"
            }
            Self::DetachedHead { .. } => "check a branch out first",
            Self::Unauthorized { .. } | Self::RepoNotFound { .. } => {
                "give a token that may see and, to push, write this repository"
            }
            Self::Diverged { .. } => "pull first, with `rebase` where there are local commits",
            Self::Git { stderr, .. } if stderr.contains("lfs-enable-largefiles") => {
                "call `lfs_enable_largefiles`, which needs the `hub` command, or upload over HTTP: `upload_file` of `hub_http::HfApi`"
            }
            Self::RevisionNotFound { .. } => "pull to learn of new branches and tags, or allow that a branch is made",
            Self::PushRefused { reason, .. } if reason.contains("larger than 10 MiB") => {
                "track these files with LFS (`git_add` with `LfsTracking::Auto`) and commit them anew"
            }
            Self::Git { stderr, .. } if stderr.contains("tell me who you are") => {
                "give `git_user` and `git_email`, or a token, which says both"
            }
            _ => return None,
        })
    }
}

/// The line of git's talk that says what went wrong.
fn shown(stderr: &str) -> String {
    let mut lines = stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let telling = |line: &&str| {
        ["fatal:", "error:", "remote:"]
            .iter()
            .any(|word| line.starts_with(word))
    };
    match lines.clone().find(telling).or_else(|| lines.next_back()) {
        Some(line) => format!(": {line}"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_line_that_tells() {
        let err = |stderr: &str| {
            Error::Git {
                command: "push".to_owned(),
                code: Some(128),
                stderr: stderr.into(),
            }
            .to_string()
        };
        assert_eq!(
            err("hint: x\nfatal: no such thing\nbye\n"),
            "git push failed: fatal: no such thing"
        );
        assert_eq!(err("odd\nlast\n\n"), "git push failed: last");
        assert_eq!(err(""), "git push failed");
    }

    #[test]
    fn stays_small() {
        assert!(size_of::<Error>() <= 88, "{}", size_of::<Error>());
    }
}
