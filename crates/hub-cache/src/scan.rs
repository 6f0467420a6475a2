//! What lies in a cache: repositories, revisions, files, sizes and times, and everything that is odd about them.
//!
//! The report is the Python client's `scan_cache_dir`, with one difference: an oddity is reported by name and does not
//! hide the rest of its repository. [`CacheReport::strict`] hides as Python does.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use fs_err as fs;
use hub_types::{RepoId, RepoType};

use crate::error::{Error, Result};
use crate::layout::{self, RepoLayout, normal};
use crate::store;

/// Files of the system that say nothing about the cache.
const OF_THE_SYSTEM: [&str; 3] = [".DS_Store", "Thumbs.db", "desktop.ini"];

/// What a cache holds.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CacheReport {
    /// The cache's folder.
    pub root: PathBuf,
    /// Bytes on the disk; what repositories share counts once.
    pub size: u64,
    /// The repositories, by type and id.
    pub repos: Vec<CachedRepo>,
    /// Partial files, of downloads that run or have died.
    pub partials: Vec<Leftover>,
    /// Temporary files that no living process should need.
    pub leftovers: Vec<Leftover>,
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
    /// The shared payload that the content is a link to.
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
        self.size = total(&self.repos, &self.shared);
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

/// Scans the cache at `root`, several repositories at a time.
///
/// # Errors
///
/// [`Error::CacheNotFound`] and [`Error::NotACache`]; [`Error::Io`] when the root cannot be listed. Whatever is wrong
/// below it is a warning.
pub fn scan(root: &Path) -> Result<CacheReport> {
    match fs::metadata(root) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return Err(Error::NotACache { path: root.to_owned() }),
        Err(err) if err.kind() == ErrorKind::NotFound => {
            return Err(Error::CacheNotFound { path: root.to_owned() });
        }
        Err(err) => return Err(err.into()),
    }
    // Links are compared as texts below, so the root must be the real one, as in the Python client.
    let root = fs::canonicalize(root)?;
    let store_is_ours = store::is_marked(&root.join("blobs"));
    let mut entries = Vec::new();
    let mut report = CacheReport {
        root: root.clone(),
        ..CacheReport::default()
    };
    for entry in fs::read_dir(&root)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if OF_THE_SYSTEM.contains(&&*name) || name == ".locks" || name == "CACHEDIR.TAG" {
            continue;
        }
        if name == "blobs" && store_is_ours {
            continue;
        }
        entries.push(path);
    }
    entries.sort();
    // What is to appear in the root in one step is made among the locks.
    list_matching(&root.join(".locks"), is_temporary, &mut report.leftovers);

    for found in in_parallel(&entries, |path| scan_entry(path)) {
        report.repos.extend(found.repo);
        report.partials.extend(found.partials);
        report.leftovers.extend(found.leftovers);
        report.warnings.extend(found.warnings);
    }
    report
        .repos
        .sort_by(|a, b| (a.repo_type, &a.repo_id).cmp(&(b.repo_type, &b.repo_id)));
    if store_is_ours {
        report.shared = store::payloads(&root);
    }
    report.size = total(&report.repos, &report.shared);
    Ok(report)
}

/// What one entry of the root gave.
#[derive(Default)]
struct Found {
    repo: Option<CachedRepo>,
    partials: Vec<Leftover>,
    leftovers: Vec<Leftover>,
    warnings: Vec<Warning>,
}

fn scan_entry(path: &Path) -> Found {
    let mut found = Found::default();
    let warn = |oddity| Warning {
        entry: path.to_owned(),
        oddity,
    };
    if !path.is_dir() {
        found.warnings.push(warn(Oddity::NotADirectory));
        return found;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let repo = RepoLayout::at(path);
    list_leftovers(&repo.blobs(), &mut found);
    list_matching(&repo.trees(), is_temporary_tree, &mut found.leftovers);
    let Some((plural, _)) = name.split_once("--") else {
        if is_probe(path) {
            found.leftovers.extend(leftover(path));
        }
        found.warnings.push(warn(Oddity::NotARepo));
        return found;
    };
    let Some((repo_type, repo_id)) = layout::repo_of_folder(&name) else {
        let kind = plural.strip_suffix('s').unwrap_or(plural).to_owned();
        found.warnings.push(warn(Oddity::UnknownType(kind)));
        return found;
    };
    let snapshots = repo.snapshots();
    if !snapshots.is_dir() {
        found.warnings.push(warn(Oddity::NoSnapshots));
        return found;
    }

    let refs = read_refs(&repo.refs(), path, &mut found);
    let mut scanned = Scanned {
        blobs: HashMap::new(),
        warnings: Vec::new(),
        entry: path,
    };
    let mut revisions = Vec::new();
    match fs::read_dir(&snapshots) {
        Ok(entries) => {
            for entry in entries.flatten() {
                let path = entry.path();
                let commit = entry.file_name().to_string_lossy().into_owned();
                if path.is_dir() {
                    revisions.push(scanned.revision(path, commit, &refs));
                } else if !OF_THE_SYSTEM.contains(&commit.as_str()) {
                    found.warnings.push(warn(Oddity::FileAmongSnapshots(path)));
                }
            }
        }
        Err(err) => found
            .warnings
            .push(warn(Oddity::Unreadable(snapshots.clone(), err.kind()))),
    }
    revisions.sort_by(|a, b| a.commit.cmp(&b.commit));
    let dangling: BTreeMap<String, String> = refs
        .iter()
        .filter(|(_, commit)| revisions.binary_search_by(|r| r.commit.cmp(commit)).is_err())
        .map(|(name, commit)| (name.clone(), commit.clone()))
        .collect();
    if !dangling.is_empty() {
        found.warnings.push(warn(Oddity::DanglingRefs(dangling)));
    }
    found.warnings.append(&mut scanned.warnings);

    let meta = fs::metadata(path).ok();
    let of_folder = |time: fn(&std::fs::Metadata) -> std::io::Result<SystemTime>| {
        meta.as_ref()
            .and_then(|meta| time(meta).ok())
            .unwrap_or(SystemTime::UNIX_EPOCH)
    };
    let blobs = scanned.blobs.values().flatten();
    let (accessed, modified): (Vec<_>, Vec<_>) = blobs.clone().map(|blob| (blob.accessed, blob.modified)).unzip();
    found.repo = Some(CachedRepo {
        repo_type,
        repo_id,
        path: path.to_owned(),
        size: blobs.clone().map(|blob| blob.size).sum(),
        files: blobs.count(),
        revisions,
        refs,
        last_accessed: accessed
            .into_iter()
            .max()
            .unwrap_or_else(|| of_folder(std::fs::Metadata::accessed)),
        last_modified: modified
            .into_iter()
            .max()
            .unwrap_or_else(|| of_folder(std::fs::Metadata::modified)),
    });
    found
}

/// What is known of a content.
#[derive(Clone)]
struct Blob {
    size: u64,
    accessed: SystemTime,
    modified: SystemTime,
    payload: Option<PathBuf>,
}

/// One repository's contents, each looked at once.
struct Scanned<'a> {
    blobs: HashMap<PathBuf, Option<Blob>>,
    warnings: Vec<Warning>,
    entry: &'a Path,
}

impl Scanned<'_> {
    fn warn(&mut self, oddity: Oddity) {
        self.warnings.push(Warning {
            entry: self.entry.to_owned(),
            oddity,
        });
    }

    fn revision(&mut self, path: PathBuf, commit: String, refs: &BTreeMap<String, String>) -> CachedRevision {
        let mut files = Vec::new();
        self.walk(&path, &mut String::new(), &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let distinct: HashMap<&Path, u64> = files.iter().map(|file| (file.blob_path.as_path(), file.size)).collect();
        let size = distinct.values().sum();
        let last_modified = files.iter().map(|file| file.blob_last_modified).max().or_else(|| {
            // An empty revision: the folder's own time.
            fs::metadata(&path).and_then(|meta| meta.modified()).ok()
        });
        CachedRevision {
            refs: refs
                .iter()
                .filter(|(_, named)| **named == commit)
                .map(|(name, _)| name.clone())
                .collect(),
            last_modified: last_modified.unwrap_or(SystemTime::UNIX_EPOCH),
            size,
            files,
            path,
            commit,
        }
    }

    fn walk(&mut self, dir: &Path, prefix: &mut String, files: &mut Vec<CachedFile>) {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(err) => return self.warn(Oddity::Unreadable(dir.to_owned(), err.kind())),
        };
        for entry in entries.flatten() {
            let length = prefix.len();
            prefix.push_str(&entry.file_name().to_string_lossy());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => {
                    prefix.push('/');
                    self.walk(&entry.path(), prefix, files);
                }
                Ok(kind) => self.file(dir, entry.path(), kind.is_symlink(), prefix, files),
                Err(err) => self.warn(Oddity::Unreadable(entry.path(), err.kind())),
            }
            prefix.truncate(length);
        }
    }

    fn file(&mut self, dir: &Path, file_path: PathBuf, is_link: bool, path: &str, files: &mut Vec<CachedFile>) {
        let blob_path = match is_link.then(|| fs::read_link(&file_path)) {
            Some(Ok(text)) => normal(&dir.join(text)),
            _ => file_path.clone(),
        };
        if !self.blobs.contains_key(&blob_path) {
            let blob = match look_at(&blob_path) {
                Ok(blob) => blob,
                Err(err) => {
                    let oddity = match err.kind() {
                        ErrorKind::NotFound => Oddity::BrokenLink(blob_path.clone()),
                        kind => Oddity::Unreadable(blob_path.clone(), kind),
                    };
                    self.warn(oddity);
                    None
                }
            };
            self.blobs.insert(blob_path.clone(), blob);
        }
        if let Some(Some(blob)) = self.blobs.get(&blob_path) {
            files.push(CachedFile {
                path: path.to_owned(),
                file_path,
                payload: blob.payload.clone(),
                size: blob.size,
                blob_last_accessed: blob.accessed,
                blob_last_modified: blob.modified,
                blob_path,
            });
        }
    }
}

/// A content's size and times, its link into the shared store followed; none for a folder.
fn look_at(path: &Path) -> std::io::Result<Option<Blob>> {
    let own = fs::symlink_metadata(path)?;
    let (meta, payload) = if own.is_symlink() {
        (fs::metadata(path)?, Some(fs::canonicalize(path)?))
    } else {
        (own, None)
    };
    if meta.is_dir() {
        return Ok(None);
    }
    Ok(Some(Blob {
        size: meta.len(),
        accessed: meta.accessed().unwrap_or(SystemTime::UNIX_EPOCH),
        modified: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH),
        payload,
    }))
}

/// Refs by name. Leftovers of a ref being written are told apart by their names and are no refs.
fn read_refs(dir: &Path, entry: &Path, found: &mut Found) -> BTreeMap<String, String> {
    let mut refs = BTreeMap::new();
    if dir.is_file() {
        found.warnings.push(Warning {
            entry: entry.to_owned(),
            oddity: Oddity::RefsIsAFile,
        });
        return refs;
    }
    if !dir.is_dir() {
        return refs;
    }
    for file in walkdir::WalkDir::new(dir).into_iter().flatten() {
        let name = file.file_name().to_string_lossy();
        if file.file_type().is_dir() || OF_THE_SYSTEM.contains(&&*name) {
            continue;
        }
        if is_leftover_ref(&name) {
            found.leftovers.extend(leftover(file.path()));
            found.warnings.push(Warning {
                entry: entry.to_owned(),
                oddity: Oddity::LeftoverRef(file.into_path()),
            });
            continue;
        }
        let name = file
            .path()
            .strip_prefix(dir)
            .unwrap_or(file.path())
            .components()
            .map(|part| part.as_os_str().to_string_lossy())
            .collect::<Vec<_>>()
            .join("/");
        let commit = fs::read_to_string(file.path()).unwrap_or_default();
        refs.insert(name, commit.trim().to_owned());
    }
    refs
}

/// `main.0123abcd.tmp`
fn is_leftover_ref(name: &str) -> bool {
    name.strip_suffix(".tmp")
        .and_then(|stem| stem.rsplit_once('.'))
        .is_some_and(|(_, hex)| is_hex8(hex))
}

fn is_hex8(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A folder that tried whether links work: `tmp` and eight letters, with the probe's files and nothing else.
fn is_probe(dir: &Path) -> bool {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    name.len() == 11
        && name.starts_with("tmp")
        && fs::read_dir(dir).is_ok_and(|entries| {
            entries.flatten().all(|entry| {
                ["dummy_file_src", "dummy_file_dst"]
                    .iter()
                    .any(|name| entry.file_name() == *name)
            })
        })
}

/// Partial and temporary files among the contents.
fn list_leftovers(blobs: &Path, found: &mut Found) {
    let Ok(entries) = fs::read_dir(blobs) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(".incomplete") {
            found.partials.extend(leftover(&entry.path()));
        } else if is_temporary(&name) && !has_partial(&entry.path()) {
            found.leftovers.extend(leftover(&entry.path()));
        }
    }
    found.partials.sort_by(|a, b| a.path.cmp(&b.path));
}

/// The entries of a folder that have such a name.
fn list_matching(dir: &Path, is_one: fn(&str) -> bool, leftovers: &mut Vec<Leftover>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let matching = entries
        .flatten()
        .filter(|entry| is_one(&entry.file_name().to_string_lossy()));
    leftovers.extend(matching.filter_map(|entry| leftover(&entry.path())));
}

/// A listing that was being written, by the Python client or by us: `tmp` and eight letters or digits, `.tmp`.
fn is_temporary_tree(name: &str) -> bool {
    let random = name.strip_prefix("tmp").and_then(|rest| rest.strip_suffix(".tmp"));
    random.is_some_and(|random| {
        let is_random = |b| matches!(b, b'0'..=b'9' | b'a'..=b'z' | b'_');
        random.len() == 8 && random.bytes().all(is_random)
    })
}

/// The temporary names of any version of the Python client, and ours.
fn is_temporary(name: &str) -> bool {
    let ours = name
        .strip_prefix('.')
        .and_then(|rest| rest.rsplit_once('.'))
        .is_some_and(|(stem, kind)| {
            matches!(kind, "link" | "ref" | "new" | "old" | "gone" | "shared")
                && is_hex8(stem.rsplit('.').next().unwrap_or(stem))
        });
    let probe = name
        .strip_prefix("tmp_")
        .is_some_and(|uuid| uuid.len() == 36 && uuid.matches('-').count() == 4);
    ours || probe || name.ends_with(".incomplete.journal") || name.ends_with(".incomplete.journal.new")
}

/// Whether this is the journal of a partial file that is there: it goes with that.
fn has_partial(journal: &Path) -> bool {
    journal.extension().is_some_and(|extension| extension == "journal") && journal.with_extension("").exists()
}

fn leftover(path: &Path) -> Option<Leftover> {
    let meta = fs::symlink_metadata(path).ok()?;
    Some(Leftover {
        path: path.to_owned(),
        size: if meta.is_file() { meta.len() } else { 0 },
        modified: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH),
    })
}

/// Bytes on the disk: each repository's own, each shared payload once, used or not.
fn total(repos: &[CachedRepo], shared: &[SharedBlob]) -> u64 {
    let mut payloads: BTreeMap<&Path, u64> = shared.iter().map(|blob| (blob.path.as_path(), blob.size)).collect();
    let mut size = 0;
    for repo in repos {
        let mut own = BTreeSet::new();
        for file in repo.revisions.iter().flat_map(|revision| &revision.files) {
            match &file.payload {
                Some(payload) => {
                    payloads.insert(payload, file.size);
                }
                None => {
                    if own.insert(&file.blob_path) {
                        size += file.size;
                    }
                }
            }
        }
    }
    size + payloads.values().sum::<u64>()
}

/// Applies `f` to every item, on as many threads as there are processors; the answers come in the items' order.
pub(crate) fn in_parallel<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(8)
        .min(items.len());
    if threads < 2 {
        return items.iter().map(f).collect();
    }
    let next = AtomicUsize::new(0);
    let mut answers: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut answers = Vec::new();
                    while let Some((index, item)) = {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        items.get(index).map(|item| (index, item))
                    } {
                        answers.push((index, f(item)));
                    }
                    answers
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| match worker.join() {
                Ok(answers) => answers,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    });
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const ONE: &str = "1111111111111111111111111111111111111111";
    pub(crate) const TWO: &str = "2222222222222222222222222222222222222222";

    /// A repository with two revisions that share one of their contents.
    pub(crate) fn fixture(root: &Path, name: &str) -> PathBuf {
        let repo = root.join(name);
        fs::create_dir_all(repo.join("blobs")).unwrap();
        fs::create_dir_all(repo.join("refs/refs/pr")).unwrap();
        for (blob, text) in [("shared", "12345"), ("one", "1"), ("two", "22")] {
            fs::write(repo.join("blobs").join(blob), text).unwrap();
        }
        for (commit, own) in [(ONE, "one"), (TWO, "two")] {
            let dir = repo.join("snapshots").join(commit);
            fs::create_dir_all(dir.join("d")).unwrap();
            crate::link::symlink(Path::new("../../blobs/shared"), &dir.join("a")).unwrap();
            crate::link::symlink(Path::new("../../blobs/shared"), &dir.join("b")).unwrap();
            crate::link::symlink(&Path::new("../../../blobs").join(own), &dir.join("d/own")).unwrap();
        }
        fs::write(repo.join("refs/main"), TWO).unwrap();
        fs::write(repo.join("refs/refs/pr/1"), ONE).unwrap();
        repo
    }

    #[cfg(unix)]
    #[test]
    fn c_091_a_content_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        fixture(dir.path(), "models--o--n");
        fs::create_dir_all(dir.path().join(".locks/models--o--n")).unwrap();
        fs::write(dir.path().join("CACHEDIR.TAG"), b"").unwrap();
        fs::write(dir.path().join("models--o--n/blobs/x.0123abcd.incomplete"), b"12").unwrap();
        let report = scan(dir.path()).unwrap();
        assert_eq!(report.warnings, []);
        assert_eq!((report.size, report.repos.len()), (8, 1));
        let repo = &report.repos[0];
        assert_eq!(
            (repo.size, repo.files, repo.repo_id.as_str(), repo.cache_id().as_str()),
            (8, 3, "o/n", "model/o/n")
        );
        let one = &repo.revisions[0];
        assert_eq!((one.commit.as_str(), one.size, one.files.len()), (ONE, 6, 3));
        assert_eq!(one.refs, ["refs/pr/1"]);
        assert_eq!(one.files[2].path, "d/own");
        assert_eq!(repo.refs["main"], TWO);
        assert_eq!((report.partials.len(), report.partials[0].size), (1, 2));
        assert_eq!(report.repo(RepoType::Model, "O/N").unwrap().repo_id, "o/n");
        assert_eq!(report.revisions(TWO).count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn c_093_each_oddity_is_named_and_hides_nothing_else() {
        type Damage = fn(&Path);
        let cases: [(Damage, &str); 7] = [
            (
                |repo| fs::write(repo.join("snapshots/f"), "").unwrap(),
                "Snapshots folder corrupted. Found a file",
            ),
            (
                |repo| fs::remove_file(repo.join("blobs/one")).unwrap(),
                "Blob missing (broken symlink)",
            ),
            (
                |repo| fs::write(repo.join("refs/dev"), "f".repeat(40)).unwrap(),
                "Reference(s) refer to missing commit hashes",
            ),
            (
                |repo| fs::write(repo.join("refs/main.0123abcd.tmp"), "").unwrap(),
                "Reference(s) refer to missing commit hashes",
            ),
            (
                |repo| fs::write(repo.join("refs/empty"), "").unwrap(),
                "Reference(s) refer to missing commit hashes",
            ),
            (
                |repo| {
                    fs::remove_dir_all(repo.join("refs")).unwrap();
                    fs::write(repo.join("refs"), "").unwrap();
                },
                "Refs directory cannot be a file",
            ),
            (
                |repo| fs::remove_dir_all(repo.join("snapshots")).unwrap(),
                "Snapshots dir doesn't exist in cached repo",
            ),
        ];
        for (damage, text) in cases {
            let dir = tempfile::tempdir().unwrap();
            let repo = fixture(dir.path(), "models--o--n");
            fixture(dir.path(), "datasets--o--n");
            damage(&repo);
            let report = scan(dir.path()).unwrap();
            assert_eq!(report.warnings.len(), 1, "{text}: {:?}", report.warnings);
            assert!(
                report.warnings[0].to_string().starts_with(text),
                "{}",
                report.warnings[0]
            );
            let kept = if text.starts_with("Snapshots dir") { 1 } else { 2 };
            assert_eq!(report.repos.len(), kept, "{text}");
            assert_eq!(report.strict().repos.len(), 1, "{text}");
        }
    }

    #[test]
    fn c_093_entries_that_are_no_repositories() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("stray"), b"").unwrap();
        fs::create_dir_all(dir.path().join("folder")).unwrap();
        fs::create_dir_all(dir.path().join("things--o--n/snapshots")).unwrap();
        fs::write(dir.path().join(".DS_Store"), b"").unwrap();
        let texts: Vec<String> = scan(dir.path())
            .unwrap()
            .warnings
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(texts.len(), 3, "{texts:?}");
        assert!(texts[0].starts_with("Repo path is not a valid HuggingFace cache directory"));
        assert!(texts[1].starts_with("Repo path is not a directory"));
        assert!(texts[2].starts_with("Repo type must be one of"));
    }

    #[test]
    fn no_cache_and_a_file_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(
            scan(&dir.path().join("none")).unwrap_err(),
            Error::CacheNotFound { .. }
        ));
        let file = dir.path().join("f");
        fs::write(&file, b"").unwrap();
        assert!(matches!(scan(&file).unwrap_err(), Error::NotACache { .. }));
        assert_eq!(scan(dir.path()).unwrap().size, 0);
    }

    #[test]
    fn c_094_sizes_print_as_in_python() {
        for (bytes, text) in [
            (0, "0.0"),
            (8, "8.0"),
            (999, "999.0"),
            (1000, "1.0K"),
            (999_900, "999.9K"),
            (999_950, "1000.0K"),
            (4_500_000, "4.5M"),
        ] {
            assert_eq!(human_size(bytes), text);
        }
    }
}
