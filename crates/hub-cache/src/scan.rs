//! What lies in a cache: repositories, revisions, files, sizes and times, and everything that is odd about them.
//!
//! The report is the Python client's `scan_cache_dir`, with one difference: an oddity is reported by name and does not
//! hide the rest of its repository. [`CacheReport::strict`] hides as Python does.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use fs_err as fs;

use crate::error::{Error, Result};
use crate::layout::{self, RepoLayout, normal};
use crate::store;

mod folder;
mod leftovers;
mod report;

use folder::{Facts, Folder};
use leftovers::{
    is_leftover_ref, is_probe, is_temporary, is_temporary_tree, leftover, list_dangling, list_dead_locks,
    list_leftovers, list_matching, list_probes,
};
pub use report::{
    CacheReport, CachedFile, CachedRepo, CachedRevision, DanglingLink, Leftover, Oddity, SharedBlob, Warning,
    human_size,
};

/// Files of the system that say nothing about the cache.
const OF_THE_SYSTEM: [&str; 3] = [".DS_Store", "Thumbs.db", "desktop.ini"];

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
    report.dead_locks = list_dead_locks(&root);

    for found in in_parallel(&entries, |path| scan_entry(path)) {
        report.repos.extend(found.repo);
        report.partials.extend(found.partials);
        report.leftovers.extend(found.leftovers);
        report.dangling.extend(found.dangling);
        report.warnings.extend(found.warnings);
    }
    report
        .repos
        .sort_by(|a, b| (a.repo_type, &a.repo_id).cmp(&(b.repo_type, &b.repo_id)));
    if store_is_ours {
        report.shared = store::payloads(&root);
    }
    report.size = total(&report);
    Ok(report)
}

/// What one entry of the root gave.
#[derive(Default)]
struct Found {
    repo: Option<CachedRepo>,
    partials: Vec<Leftover>,
    leftovers: Vec<Leftover>,
    dangling: Vec<DanglingLink>,
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
    list_probes(path, &mut found.leftovers);
    let snapshots = repo.snapshots();
    let entries = match fs::read_dir(&snapshots) {
        Err(err) if matches!(err.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            found.warnings.push(warn(Oddity::NoSnapshots));
            return found;
        }
        entries => entries,
    };

    let refs = read_refs(&repo.refs(), path, &mut found);
    let mut scanned = Scanned {
        folder: Folder::new(repo.blobs()),
        blobs: HashMap::new(),
        warnings: Vec::new(),
        entry: path,
    };
    let mut revisions = Vec::new();
    match entries {
        Ok(entries) => {
            for entry in entries.flatten() {
                let path = entry.path();
                let commit = entry.file_name().to_string_lossy().into_owned();
                if is_folder(&entry) {
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
    found.dangling = list_dangling(&scanned.warnings, &snapshots);
    found.warnings.append(&mut scanned.warnings);

    let of_folder = |time: fn(&std::fs::Metadata) -> std::io::Result<SystemTime>| {
        let meta = fs::metadata(path).ok();
        meta.and_then(|meta| time(&meta).ok()).unwrap_or(SystemTime::UNIX_EPOCH)
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
    path: PathBuf,
    size: u64,
    accessed: SystemTime,
    modified: SystemTime,
    payload: Option<PathBuf>,
}

/// Whether an entry is a folder, or a link to one.
fn is_folder(entry: &fs::DirEntry) -> bool {
    match entry.file_type() {
        Ok(kind) if !kind.is_symlink() => kind.is_dir(),
        _ => entry.path().is_dir(),
    }
}

/// One repository's contents, each looked at once.
struct Scanned<'a> {
    /// Where contents lie, as a rule.
    folder: Folder,
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
        let folder = Folder::new(dir.to_owned());
        for entry in entries.flatten() {
            let length = prefix.len();
            let name = entry.file_name();
            prefix.push_str(&name.to_string_lossy());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => {
                    prefix.push('/');
                    self.walk(&entry.path(), prefix, files);
                }
                Ok(kind) => self.file(&folder, &name, kind.is_symlink(), prefix, files),
                Err(err) => self.warn(Oddity::Unreadable(entry.path(), err.kind())),
            }
            prefix.truncate(length);
        }
    }

    fn file(&mut self, folder: &Folder, name: &OsStr, is_link: bool, path: &str, files: &mut Vec<CachedFile>) {
        let file_path = folder.path().join(name);
        let blob_path = match is_link.then(|| folder.read_link(name)) {
            Some(Ok(text)) => normal(&folder.path().join(text)),
            _ => file_path.clone(),
        };
        let blob = match self.blobs.entry(blob_path) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let blob = look_at(&self.folder, new.key()).unwrap_or_else(|err| {
                    let oddity = match err.kind() {
                        ErrorKind::NotFound => Oddity::BrokenLink(new.key().clone()),
                        kind => Oddity::Unreadable(new.key().clone(), kind),
                    };
                    self.warnings.push(Warning {
                        entry: self.entry.to_owned(),
                        oddity,
                    });
                    None
                });
                new.insert(blob)
            }
        };
        if let Some(blob) = blob {
            files.push(CachedFile {
                path: path.to_owned(),
                file_path,
                payload: blob.payload.clone(),
                size: blob.size,
                blob_last_accessed: blob.accessed,
                blob_last_modified: blob.modified,
                blob_path: blob.path.clone(),
            });
        }
    }
}

/// A content's size and times, its link into the shared store followed; none for a folder.
fn look_at(contents: &Folder, path: &Path) -> std::io::Result<Option<Blob>> {
    let own = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if parent == contents.path() => contents.look_at(name)?,
        _ => fs::symlink_metadata(path)?.into(),
    };
    let (facts, payload) = if own.is_link {
        (Facts::from(fs::metadata(path)?), Some(fs::canonicalize(path)?))
    } else {
        (own, None)
    };
    Ok((!facts.is_dir).then_some(Blob {
        path: path.to_owned(),
        size: facts.size,
        accessed: facts.accessed,
        modified: facts.modified,
        payload,
    }))
}

/// Refs by name. Leftovers of a ref being written are told apart by their names and are no refs.
fn read_refs(dir: &Path, entry: &Path, found: &mut Found) -> BTreeMap<String, String> {
    let mut refs = BTreeMap::new();
    match fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => {}
        Ok(meta) if meta.is_file() => {
            found.warnings.push(Warning {
                entry: entry.to_owned(),
                oddity: Oddity::RefsIsAFile,
            });
            return refs;
        }
        _ => return refs,
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

/// Bytes on the disk: each repository's own, each shared payload once, used or not, and nothing that lies elsewhere.
fn total(report: &CacheReport) -> u64 {
    let shared = report.shared.iter().map(|blob| (blob.path.as_path(), blob.size));
    let mut payloads: BTreeMap<&Path, u64> = shared.collect();
    let mut size = 0;
    for repo in &report.repos {
        let mut own = BTreeSet::new();
        for file in repo.revisions.iter().flat_map(|revision| &revision.files) {
            match &file.payload {
                Some(payload) if payload.starts_with(&report.root) => {
                    payloads.insert(payload, file.size);
                }
                // It takes another cache's room.
                Some(_) => {}
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

#[cfg(test)]
pub(crate) mod tests;
