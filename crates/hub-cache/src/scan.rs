//! What lies in a cache: repositories, revisions, files, sizes and times, and everything that is odd about them.
//!
//! The report is the Python client's `scan_cache_dir`, with one difference: an oddity is reported by name and does not
//! hide the rest of its repository. [`CacheReport::strict`] hides as Python does.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use fs_err as fs;

use crate::error::{Error, Result};
use crate::layout::{self, normal};
use crate::store;

mod folder;
mod leftovers;
mod report;

use folder::{Entry as FolderEntry, Facts, Folder, Kind};
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
    list_matching(&Folder::new(root.join(".locks")), is_temporary, &mut report.leftovers);
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
    let folder = Folder::new(path.to_owned());
    if !folder.is_there() {
        found.warnings.push(warn(Oddity::NotADirectory));
        return found;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Where it cannot be listed, each part is asked for by its name.
    let parts = folder.entries().ok();
    let part = |name: &str| -> Option<Folder> {
        let is_listed = parts
            .as_ref()
            .is_none_or(|parts| parts.iter().any(|part| part.name == name));
        is_listed.then(|| folder.inner(OsStr::new(name)))
    };
    let blobs = part("blobs");
    if let Some(blobs) = &blobs {
        list_leftovers(blobs, &mut found);
    }
    if let Some(trees) = part("trees") {
        list_matching(&trees, is_temporary_tree, &mut found.leftovers);
    }
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
    list_probes(path, parts.as_deref().unwrap_or_default(), &mut found.leftovers);
    let Some(snapshots) = part("snapshots") else {
        found.warnings.push(warn(Oddity::NoSnapshots));
        return found;
    };
    let entries = match snapshots.entries() {
        Err(err) if matches!(err.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            found.warnings.push(warn(Oddity::NoSnapshots));
            return found;
        }
        entries => entries,
    };

    let refs = match part("refs") {
        Some(folder) => read_refs(&folder, path, &mut found),
        None => BTreeMap::new(),
    };
    let mut scanned = Scanned {
        folder: blobs.unwrap_or_else(|| Folder::new(path.join("blobs"))),
        known: HashMap::new(),
        blobs: Vec::new(),
        warnings: Vec::new(),
        entry: path,
    };
    let mut revisions = Vec::new();
    match entries {
        Ok(entries) => {
            for FolderEntry { name, kind } in entries {
                let commit = name.to_string_lossy().into_owned();
                let path = || snapshots.path().join(&name);
                if kind == Kind::Folder || kind == Kind::Link && path().is_dir() {
                    revisions.push(scanned.revision(&snapshots.inner(&name), commit, &refs));
                } else if !OF_THE_SYSTEM.contains(&commit.as_str()) {
                    found.warnings.push(warn(Oddity::FileAmongSnapshots(path())));
                }
            }
        }
        Err(err) => found
            .warnings
            .push(warn(Oddity::Unreadable(snapshots.path().to_owned(), err.kind()))),
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
    found.dangling = list_dangling(&scanned.warnings, snapshots.path());
    found.warnings.append(&mut scanned.warnings);

    let of_folder = |time: fn(&std::fs::Metadata) -> std::io::Result<SystemTime>| {
        let meta = fs::metadata(path).ok();
        meta.and_then(|meta| time(&meta).ok()).unwrap_or(SystemTime::UNIX_EPOCH)
    };
    let blobs = &scanned.blobs;
    let accessed = blobs.iter().map(|blob| blob.accessed).max();
    let modified = blobs.iter().map(|blob| blob.modified).max();
    let own = blobs.iter().filter(|blob| blob.payload.is_none());
    found.repo = Some(CachedRepo {
        repo_type,
        repo_id,
        path: path.to_owned(),
        size: blobs.iter().map(|blob| blob.size).sum(),
        files: blobs.len(),
        revisions,
        refs,
        last_accessed: accessed.unwrap_or_else(|| of_folder(std::fs::Metadata::accessed)),
        last_modified: modified.unwrap_or_else(|| of_folder(std::fs::Metadata::modified)),
        own_size: own.map(|blob| blob.size).sum(),
    });
    found
}

/// What is known of a content.
struct Blob {
    path: PathBuf,
    size: u64,
    accessed: SystemTime,
    modified: SystemTime,
    payload: Option<PathBuf>,
}

/// One repository's contents, each looked at once.
struct Scanned<'a> {
    /// Where contents lie, as a rule.
    folder: Folder,
    /// By path, the contents' places in `blobs`; none for what is not there, or is a folder.
    known: HashMap<PathBuf, Option<usize>>,
    blobs: Vec<Blob>,
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

    fn revision(&mut self, folder: &Folder, commit: String, refs: &BTreeMap<String, String>) -> CachedRevision {
        let mut files = Vec::new();
        let mut distinct = HashSet::new();
        self.walk(folder, "../../blobs/", &mut String::new(), &mut files, &mut distinct);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let size = distinct.iter().map(|blob| self.blobs[*blob].size).sum();
        let last_modified = files.iter().map(|file| file.blob_last_modified).max().or_else(|| {
            // An empty revision: the folder's own time.
            fs::metadata(folder.path()).and_then(|meta| meta.modified()).ok()
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
            path: folder.path().to_owned(),
            commit,
        }
    }

    fn walk(
        &mut self,
        folder: &Folder,
        to_blobs: &str,
        prefix: &mut String,
        files: &mut Vec<CachedFile>,
        distinct: &mut HashSet<usize>,
    ) {
        let entries = match folder.entries() {
            Ok(entries) => entries,
            Err(err) => return self.warn(Oddity::Unreadable(folder.path().to_owned(), err.kind())),
        };
        files.reserve(entries.len());
        for FolderEntry { name, kind } in entries {
            let length = prefix.len();
            prefix.push_str(&name.to_string_lossy());
            if kind == Kind::Folder {
                prefix.push('/');
                self.walk(&folder.inner(&name), &format!("../{to_blobs}"), prefix, files, distinct);
            } else {
                let file_path = folder.path().join(&name);
                let target = (kind == Kind::Link).then(|| folder.read_link(&name));
                let blob_path = match target {
                    Some(Ok(text)) => match name_behind(&text, to_blobs) {
                        Some(blob) => self.folder.path().join(blob),
                        None => normal(&folder.path().join(text)),
                    },
                    _ => file_path.clone(),
                };
                if let Some(index) = self.blob(folder, blob_path) {
                    distinct.insert(index);
                    let blob = &self.blobs[index];
                    files.push(CachedFile {
                        path: prefix.clone(),
                        file_path,
                        payload: blob.payload.clone(),
                        size: blob.size,
                        blob_last_accessed: blob.accessed,
                        blob_last_modified: blob.modified,
                        blob_path: blob.path.clone(),
                    });
                }
            }
            prefix.truncate(length);
        }
    }

    /// The place of a content that a file in `folder` leads to.
    fn blob(&mut self, folder: &Folder, path: PathBuf) -> Option<usize> {
        let new = match self.known.entry(path) {
            Entry::Occupied(known) => return *known.get(),
            Entry::Vacant(new) => new,
        };
        let index = match look_at([&self.folder, folder], new.key()) {
            Ok(blob) => blob.map(|blob| {
                self.blobs.push(blob);
                self.blobs.len() - 1
            }),
            Err(err) => {
                self.warnings.push(Warning {
                    entry: self.entry.to_owned(),
                    oddity: match err.kind() {
                        ErrorKind::NotFound => Oddity::BrokenLink(new.key().clone()),
                        kind => Oddity::Unreadable(new.key().clone(), kind),
                    },
                });
                None
            }
        };
        *new.insert(index)
    }
}

/// The name that a link's text has behind `to`, as every client writes it.
fn name_behind<'a>(text: &'a Path, to: &str) -> Option<&'a str> {
    let name = text.to_str()?.strip_prefix(to)?;
    (!name.is_empty() && !name.contains('/') && name != "." && name != "..").then_some(name)
}

/// A content's size and times, its link into the shared store followed; none for a folder. In the folders it is looked
/// for by its name.
fn look_at(folders: [&Folder; 2], path: &Path) -> std::io::Result<Option<Blob>> {
    let (parent, name) = (path.parent(), path.file_name());
    let folder = folders.into_iter().find(|folder| parent == Some(folder.path()));
    let own = match (folder, name) {
        (Some(folder), Some(name)) => folder.look_at(name)?,
        _ => fs::symlink_metadata(path)?.into(),
    };
    let (facts, payload) = if own.is_link {
        (Facts::from(fs::metadata(path)?), Some(fs::canonicalize(path)?))
    } else {
        (own, None)
    };
    Ok((!facts.is_dir).then(|| Blob {
        path: path.to_owned(),
        size: facts.size,
        accessed: facts.accessed,
        modified: facts.modified,
        payload,
    }))
}

/// Refs by name. Leftovers of a ref being written are told apart by their names and are no refs.
fn read_refs(dir: &Folder, entry: &Path, found: &mut Found) -> BTreeMap<String, String> {
    let mut refs = BTreeMap::new();
    if !dir.is_there() {
        if dir.path().is_file() {
            found.warnings.push(Warning {
                entry: entry.to_owned(),
                oddity: Oddity::RefsIsAFile,
            });
        }
        return refs;
    }
    walk_refs(dir, &mut String::new(), entry, found, &mut refs);
    refs
}

fn walk_refs(dir: &Folder, prefix: &mut String, entry: &Path, found: &mut Found, refs: &mut BTreeMap<String, String>) {
    for FolderEntry { name, kind } in dir.entries().unwrap_or_default() {
        let length = prefix.len();
        let text = name.to_string_lossy();
        prefix.push_str(&text);
        if kind == Kind::Folder {
            prefix.push('/');
            walk_refs(&dir.inner(&name), prefix, entry, found, refs);
        } else if is_leftover_ref(&text) {
            let path = dir.path().join(&name);
            found.leftovers.extend(leftover(&path));
            found.warnings.push(Warning {
                entry: entry.to_owned(),
                oddity: Oddity::LeftoverRef(path),
            });
        } else if !OF_THE_SYSTEM.contains(&&*text) {
            let commit = dir.read_text(&name).unwrap_or_default();
            refs.insert(prefix.clone(), commit.trim().to_owned());
        }
        prefix.truncate(length);
    }
}

/// Bytes on the disk: each repository's own, each shared payload once, used or not, and nothing that lies elsewhere.
fn total(report: &CacheReport) -> u64 {
    let shared = report.shared.iter().map(|blob| (blob.path.as_path(), blob.size));
    let mut payloads: BTreeMap<&Path, u64> = shared.collect();
    for file in report
        .repos
        .iter()
        .flat_map(|repo| &repo.revisions)
        .flat_map(|revision| &revision.files)
    {
        // What lies outside takes another cache's room.
        if let Some(payload) = &file.payload
            && payload.starts_with(&report.root)
        {
            payloads.insert(payload, file.size);
        }
    }
    let size: u64 = report.repos.iter().map(|repo| repo.own_size).sum();
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
