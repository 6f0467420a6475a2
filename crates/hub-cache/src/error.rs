//! What can go wrong with the cache, a variant for each thing a caller handles apart.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hub_types::{RepoId, RepoPath, Revision, ValidationError};

/// The result of what this crate does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something failed. `Display` is one line without its cause, which is the source; [`Error::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that cannot be right: a path, a revision, an etag. Nothing was written.
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    /// A file or folder could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// There is no cache at this place.
    #[error("there is no cache at {}", .path.display())]
    CacheNotFound {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The cache's place is taken by a file.
    #[error("{} is a file, not a cache folder", .path.display())]
    NotACache {
        /// The file.
        path: PathBuf,
    },
    /// A file, or a whole snapshot, is not on this disk and could not be asked for.
    #[error("{} is not in the cache, and {}", describe(.repo, .path, .revision), .reason)]
    NotCached {
        /// The repository.
        repo: Box<RepoId>,
        /// The file, or none for a snapshot.
        path: Option<Box<RepoPath>>,
        /// The revision that was asked for.
        revision: Box<Revision>,
        /// Why it could not be fetched.
        reason: NotFetched,
        /// What the request gave, where there was one.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The Hub cannot be asked and files of the snapshot are missing.
    #[error("the snapshot at {} is incomplete: {} missing ({}), and {reason}", .snapshot.display(), count(.missing.len()), first_three(.missing))]
    IncompleteSnapshot {
        /// The snapshot's folder, with what is there.
        snapshot: PathBuf,
        /// The wanted files that are not there.
        missing: Vec<RepoPath>,
        /// Why they could not be fetched.
        reason: NotFetched,
        /// What the request gave, where there was one.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The Hub cannot be asked, and whether the snapshot is complete cannot be known.
    #[error("the snapshot at {} cannot be proved complete: no listing of its commit is cached", .snapshot.display())]
    UnprovenSnapshot {
        /// The snapshot's folder.
        snapshot: PathBuf,
    },
    /// Fetching again was asked for where nothing may, or can, be fetched.
    #[error("a forced download needs the Hub, and {reason}")]
    CannotForce {
        /// Why.
        reason: NotFetched,
        /// What the request gave, where there was one.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A folder on the way is a link that leads out of the place it belongs to.
    #[error("{} leads out of {}", .link.display(), .root.display())]
    LeavesFolder {
        /// The link.
        link: PathBuf,
        /// What must not be left.
        root: PathBuf,
    },
    /// The disk has not enough room for what is to be fetched.
    #[error("not enough room below {}: {needed} bytes are needed, {available} are free", .path.display())]
    NoSpace {
        /// The folder.
        path: PathBuf,
        /// Bytes that are wanted.
        needed: u64,
        /// Bytes that are free.
        available: u64,
    },
    /// A folder of the cache may not be written to by this user: another user of a shared cache made it.
    #[error("no permission to write into {}: it belongs to user {owner} and group {group}, mode {mode:04o}", .path.display())]
    NotWritable {
        /// The folder.
        path: PathBuf,
        /// The number of the user it belongs to.
        owner: u32,
        /// The number of its group.
        group: u32,
        /// Its permissions, with setgid and sticky bits.
        mode: u32,
        /// What was refused.
        source: std::io::Error,
    },
    /// No commit of the repository can be told from what was asked.
    #[error("no commit of {repo} is known for {revision}")]
    UnknownRevision {
        /// The repository.
        repo: Box<RepoId>,
        /// What was asked for.
        revision: Box<Revision>,
    },
    /// What the Hub answered, or that it did not.
    #[cfg(feature = "download")]
    #[error(transparent)]
    Http(hub_http::Error),
}

/// Why a file that is not on this disk was not fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotFetched {
    /// The call said so (`local_files_only`).
    LocalFilesOnly,
    /// Offline mode is on.
    Offline,
    /// The Hub gave no usable answer; the source says which.
    Unreachable,
    /// What answered is not a Hub: its reply has no commit or etag.
    NoMetadata,
}

impl std::fmt::Display for NotFetched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::LocalFilesOnly => "the call allows local files only",
            Self::Offline => "offline mode is on",
            Self::Unreachable => "the Hub could not be reached",
            Self::NoMetadata => "the reply tells neither commit nor etag",
        })
    }
}

impl Error {
    /// What to do next, in one sentence, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotCached { reason, .. } | Self::IncompleteSnapshot { reason, .. } => match reason {
                NotFetched::LocalFilesOnly => "allow requests by leaving local_files_only off",
                NotFetched::Offline => "unset HF_HUB_OFFLINE to allow requests",
                NotFetched::Unreachable => "check the network, the proxy settings and HF_ENDPOINT",
                NotFetched::NoMetadata => "check HF_ENDPOINT, and that no proxy removes headers",
            },
            Self::UnprovenSnapshot { .. } => "fetch the snapshot once while the Hub can be reached",
            Self::CannotForce { .. } => "leave force_download off to use what is cached",
            Self::NoSpace { .. } => "free some room, or set HF_HUB_CACHE to a larger disk",
            Self::NotWritable { .. } => {
                "let its owner share it by `chmod -R g+rwXs` on the cache, with every user in its group and working with umask 002"
            }
            Self::CacheNotFound { .. } => "check the folder, or download something first",
            Self::LeavesFolder { .. } => "remove the link, or choose another folder",
            #[cfg(feature = "download")]
            Self::Http(err) => return err.hint(),
            _ => return None,
        })
    }

    /// Whether what was asked for does not exist on the Hub.
    pub fn is_not_found(&self) -> bool {
        match self {
            #[cfg(feature = "download")]
            Self::Http(err) => err.is_not_found(),
            _ => false,
        }
    }

    /// Whether the disk lacks what was asked for and the Hub could not be asked.
    pub fn is_not_cached(&self) -> bool {
        matches!(
            self,
            Self::NotCached { .. } | Self::IncompleteSnapshot { .. } | Self::UnprovenSnapshot { .. }
        )
    }

    /// Whether a place may not, or cannot, be written to.
    pub(crate) fn is_unwritable(&self) -> bool {
        let kinds = [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem];
        match self {
            Self::Io(err) => kinds.contains(&err.kind()),
            Self::NotWritable { .. } => true,
            _ => false,
        }
    }

    /// What the Hub answered, when that is the error or its cause.
    #[cfg(feature = "download")]
    pub fn http(&self) -> Option<&hub_http::Error> {
        match self {
            Self::Http(err) => Some(err),
            Self::NotCached { source, .. }
            | Self::IncompleteSnapshot { source, .. }
            | Self::CannotForce { source, .. } => source.as_deref()?.downcast_ref(),
            _ => None,
        }
    }
}

#[cfg(feature = "download")]
impl From<hub_http::Error> for Error {
    fn from(err: hub_http::Error) -> Self {
        match err {
            hub_http::Error::Invalid(err) => Self::Invalid(err),
            hub_http::Error::Io(err) => Self::Io(err),
            err => Self::Http(err),
        }
    }
}

fn describe(repo: &RepoId, path: &Option<Box<RepoPath>>, revision: &Revision) -> String {
    match path {
        Some(path) => format!("{path} of {} at {revision}", repo.described()),
        None => format!("a snapshot of {} at {revision}", repo.described()),
    }
}

fn count(files: usize) -> String {
    if files == 1 {
        "1 file is".to_owned()
    } else {
        format!("{files} files are")
    }
}

fn first_three(missing: &[RepoPath]) -> String {
    let mut text = missing
        .iter()
        .take(3)
        .map(RepoPath::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if missing.len() > 3 {
        text.push_str(", …");
    }
    text
}

/// An [`std::io::Error`] that names its path, for the calls that `fs_err` does not wrap.
pub(crate) fn at(path: &Path, err: std::io::Error) -> Error {
    Error::Io(std::io::Error::new(err.kind(), format!("{}: {err}", path.display())))
}

/// How long something took, for a message: whole seconds.
pub(crate) fn seconds(elapsed: Duration) -> String {
    format!("{:.0} s", elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_three_missing_files() {
        let missing = ["a", "b", "c", "d"].map(|p| p.parse().unwrap()).to_vec();
        let err = Error::IncompleteSnapshot {
            snapshot: "/c/s".into(),
            missing,
            reason: NotFetched::Offline,
            source: None,
        };
        assert_eq!(
            err.to_string(),
            "the snapshot at /c/s is incomplete: 4 files are missing (a, b, c, …), and offline mode is on"
        );
        assert_eq!(err.hint(), Some("unset HF_HUB_OFFLINE to allow requests"));
    }

    #[test]
    fn says_whose_folder_it_is() {
        let err = Error::NotWritable {
            path: "/c/models--o--n".into(),
            owner: 1001,
            group: 100,
            mode: 0o2755,
            source: ErrorKind::PermissionDenied.into(),
        };
        assert_eq!(
            err.to_string(),
            "no permission to write into /c/models--o--n: it belongs to user 1001 and group 100, mode 2755"
        );
        let hint = err.hint().unwrap();
        assert!(hint.contains("chmod -R g+rwXs") && hint.contains("umask 002"), "{hint}");
        assert!(err.is_unwritable() && std::error::Error::source(&err).is_some());
    }

    #[test]
    fn is_small() {
        assert!(size_of::<Error>() <= 80, "{}", size_of::<Error>());
    }
}
