//! What a scan gives: repositories, revisions, files, and each oddity by name.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hub_types::{RepoId, RepoType};

use super::total;

/// What a cache holds.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CacheReport {
    /// The cache's folder.
    pub root: PathBuf,
    /// Bytes on the disk; what repositories share counts once, what a system-wide cache has not at all.
    pub size: u64,
    /// The repositories, by type and id.
    pub repos: Vec<CachedRepo>,
    /// Partial files, of downloads that run or have died.
    pub partials: Vec<Leftover>,
    /// Temporary files that no living process should need.
    pub leftovers: Vec<Leftover>,
    /// Contents that are links to what is gone, such as a content of a system-wide cache that was pruned.
    pub dangling: Vec<DanglingLink>,
    /// Folders with the locks of repositories that are gone.
    pub dead_locks: Vec<Leftover>,
    /// The payloads of the shared store.
    pub shared: Vec<SharedBlob>,
    /// What is odd.
    pub warnings: Vec<Warning>,
}

/// A repository in a cache.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CachedRepo {
    /// Its type.
    pub repo_type: RepoType,
    /// Its id, as its folder's name tells it.
    pub repo_id: String,
    /// Its folder.
    pub path: PathBuf,
    /// Bytes of its contents, each counted once.
    pub size: u64,
    /// How many contents it has.
    pub files: usize,
    /// Its revisions, by commit.
    pub revisions: Vec<CachedRevision>,
    /// Its refs: name to commit. One whose commit is not here is among the warnings, and here too.
    pub refs: BTreeMap<String, String>,
    /// When one of its contents was last read.
    pub last_accessed: SystemTime,
    /// When one of its contents was last written.
    pub last_modified: SystemTime,
    /// The bytes of them that lie with this repository alone, not in a store that others share.
    pub(super) own_size: u64,
}

/// A commit's files in a cache.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CachedRevision {
    /// The commit: the folder's name, which need not be 40 digits.
    pub commit: String,
    /// The snapshot's folder.
    pub path: PathBuf,
    /// Bytes of its contents, each counted once.
    pub size: u64,
    /// Its files, by path.
    pub files: Vec<CachedFile>,
    /// The refs that name it.
    pub refs: Vec<String>,
    /// When one of its contents was last written.
    pub last_modified: SystemTime,
}

/// A file of a snapshot.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CachedFile {
    /// Its path in the snapshot, with `/`.
    pub path: String,
    /// The snapshot's file.
    pub file_path: PathBuf,
    /// Its content: where the file leads, or the file itself where it is no link.
    pub blob_path: PathBuf,
    /// What the content is a link to: a payload that repositories of this cache share, or a content of a system-wide
    /// cache.
    pub payload: Option<PathBuf>,
    /// Bytes of the content.
    pub size: u64,
    /// When the content was last read.
    pub blob_last_accessed: SystemTime,
    /// When the content was last written.
    pub blob_last_modified: SystemTime,
}

/// A file that a running process is writing, or a dead one has left.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftover {
    /// The file or folder.
    pub path: PathBuf,
    /// Its bytes.
    pub size: u64,
    /// When it was last written.
    pub modified: SystemTime,
}

/// A content that is a link to something that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DanglingLink {
    /// The link, among its repository's contents.
    pub path: PathBuf,
    /// The snapshots' files that lead to it.
    pub files: Vec<PathBuf>,
}

/// One payload of the shared store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharedBlob {
    /// The payload.
    pub path: PathBuf,
    /// Its bytes.
    pub size: u64,
    /// The contents of repositories that are links to it, or none when that cannot be told.
    pub references: Option<Vec<PathBuf>>,
}

/// Something odd in a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The folder at the cache's root that it is in.
    pub entry: PathBuf,
    /// What it is.
    pub oddity: Oddity,
}

/// What can be odd in a cache. All but the last two make the Python client hide the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Oddity {
    /// A file where only repositories' folders belong.
    NotADirectory,
    /// A folder whose name is not `<types>--<id>`.
    NotARepo,
    /// A folder of a type that nobody knows.
    UnknownType(String),
    /// A repository without snapshots.
    NoSnapshots,
    /// `refs` is a file.
    RefsIsAFile,
    /// A file among the snapshots.
    FileAmongSnapshots(PathBuf),
    /// A snapshot's file that leads nowhere.
    BrokenLink(PathBuf),
    /// Refs to commits that have no snapshot, by name.
    DanglingRefs(BTreeMap<String, String>),
    /// A file left behind while a ref was written.
    LeftoverRef(PathBuf),
    /// Something that could not be read, and why.
    Unreadable(PathBuf, ErrorKind),
}

impl Warning {
    /// Whether the Python client hides the whole repository because of it.
    pub fn hides_repo(&self) -> bool {
        !matches!(self.oddity, Oddity::Unreadable(..))
    }
}

/// The Python client's words, where it has any.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = self.entry.display();
        match &self.oddity {
            Oddity::NotADirectory => write!(f, "Repo path is not a directory: {entry}"),
            Oddity::NotARepo => write!(f, "Repo path is not a valid HuggingFace cache directory: {entry}"),
            Oddity::UnknownType(kind) => write!(
                f,
                "Repo type must be one of `dataset`, `kernel`, `model` or `space`, got `{kind}` ({entry})."
            ),
            Oddity::NoSnapshots => write!(
                f,
                "Snapshots dir doesn't exist in cached repo: {}",
                self.entry.join("snapshots").display()
            ),
            Oddity::RefsIsAFile => {
                write!(
                    f,
                    "Refs directory cannot be a file: {}",
                    self.entry.join("refs").display()
                )
            }
            Oddity::FileAmongSnapshots(path) => {
                write!(f, "Snapshots folder corrupted. Found a file: {}", path.display())
            }
            Oddity::BrokenLink(path) => write!(f, "Blob missing (broken symlink): {}", path.display()),
            Oddity::DanglingRefs(refs) => {
                write!(f, "Reference(s) refer to missing commit hashes: ")?;
                for (index, (name, commit)) in refs.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{name} ({commit})")?;
                }
                write!(f, " ({entry}).")
            }
            Oddity::LeftoverRef(path) => {
                write!(
                    f,
                    "Reference(s) refer to missing commit hashes: {} was left behind ({entry}).",
                    path.display()
                )
            }
            Oddity::Unreadable(path, kind) => write!(f, "Cannot read {}: {kind}", path.display()),
        }
    }
}

impl CacheReport {
    /// The report as the Python client would give it: without the repositories that have a warning.
    pub fn strict(mut self) -> Self {
        let hidden: HashSet<&Path> = self
            .warnings
            .iter()
            .filter(|w| w.hides_repo())
            .map(|w| w.entry.as_path())
            .collect();
        self.repos.retain(|repo| !hidden.contains(repo.path.as_path()));
        self.size = total(&self);
        self
    }

    /// The repository of this type and id, which are compared without case.
    pub fn repo(&self, repo_type: RepoType, id: &str) -> Option<&CachedRepo> {
        self.repos
            .iter()
            .find(|repo| repo.repo_type == repo_type && repo.repo_id == id)
            .or_else(|| {
                self.repos
                    .iter()
                    .find(|repo| repo.repo_type == repo_type && repo.repo_id.eq_ignore_ascii_case(id))
            })
    }

    /// Every revision of this commit. More than one when repositories are copies of each other.
    pub fn revisions(&self, commit: &str) -> impl Iterator<Item = (&CachedRepo, &CachedRevision)> {
        self.repos
            .iter()
            .flat_map(|repo| repo.revisions.iter().map(move |revision| (repo, revision)))
            .filter(move |(_, revision)| revision.commit.eq_ignore_ascii_case(commit))
    }
}

impl CachedRevision {
    /// When one of its contents was last read or written, as far as the file system notes reads.
    pub fn last_used(&self) -> SystemTime {
        let files = self.files.iter();
        files
            .map(|file| file.blob_last_accessed.max(file.blob_last_modified))
            .max()
            .unwrap_or(self.last_modified)
    }
}

impl CachedRepo {
    /// `model/ada/demo`: how the Python client's commands name it.
    pub fn cache_id(&self) -> String {
        format!("{}/{}", self.repo_type, self.repo_id)
    }

    /// Its id, unless it breaks the rules of ids.
    pub fn id(&self) -> Option<RepoId> {
        RepoId::new(self.repo_type, &self.repo_id).ok()
    }
}

/// Bytes for a person, in the Python client's way: decimal, one digit behind the point, no unit for bytes.
pub fn human_size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["", "K", "M", "G", "T", "P", "E", "Z"] {
        if value < 1000.0 {
            return format!("{value:.1}{unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.1}Y")
}
