//! Deleting from a cache: a plan that says what goes and what is gained, and then its execution.
//!
//! A revision is named by repository and commit, never by commit alone: copies of a repository share commits. The order
//! of execution leaves a cache that every client can read, whenever the process dies: refs first, then the snapshot as a
//! whole (stepped aside by one rename), then what belongs to the commit, then contents, each under its lock and only if
//! no snapshot leads to it any more.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hub_types::RepoType;

use crate::layout::RepoLayout;
use crate::lock::{self, Attempt};
use crate::scan::{CacheReport, CachedRepo, CachedRevision, DanglingLink, Leftover};

mod execute;

/// Something in a cache that is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A repository with all its revisions.
    Repo(RepoType, String),
    /// One revision of a repository, by its commit.
    Revision(RepoType, String, String),
    /// One file in every revision of a repository that has it.
    File(RepoType, String, String),
}

/// What is to be pruned. By default revisions that no ref names, and what dead processes have left.
#[derive(Debug, Clone)]
pub struct PruneOptions {
    /// Revisions that were neither read nor written within this time go too, named by a ref or not.
    pub older_than: Option<Duration>,
    /// Of each repository only so many revisions stay, those that were written last, named by a ref or not; all others
    /// go.
    pub keep_newest: Option<usize>,
    /// Revisions go, the one that was used longest ago first, until the cache has so many bytes or fewer.
    pub max_size: Option<u64>,
    /// Partial and temporary files that were written to within this time are left alone, for a process that cannot lock
    /// its file may still be at it. A day by default.
    pub min_age: Duration,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            older_than: None,
            keep_newest: None,
            max_size: None,
            min_age: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// What would be deleted, and what that would free. Nothing is done until [`DeletionPlan::execute`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct DeletionPlan {
    /// The cache's folder.
    pub root: PathBuf,
    /// Repositories that go as a whole.
    pub repos: Vec<PlannedRepo>,
    /// Revisions that go, those of whole repositories included.
    pub revisions: Vec<PlannedRevision>,
    /// Single files of snapshots that go, with their paths in the repository.
    pub files: Vec<PlannedFile>,
    /// Contents that no remaining snapshot leads to.
    pub blobs: Vec<PathBuf>,
    /// Partial files of downloads that have died.
    pub partials: Vec<Leftover>,
    /// Temporary files that were left behind.
    pub leftovers: Vec<Leftover>,
    /// Links to contents that are gone, such as those of a system-wide cache that was pruned.
    pub dangling: Vec<DanglingLink>,
    /// Folders with the locks of repositories that are gone.
    pub dead_locks: Vec<Leftover>,
    /// Shared payloads that nothing refers to.
    pub shared: Vec<PathBuf>,
    /// Bytes that become free.
    pub freed: u64,
    /// Targets that are not in the cache.
    pub unknown: Vec<Target>,
    /// Payloads to let go of if nothing refers to them afterwards.
    sweep: BTreeSet<PathBuf>,
}

/// A repository that goes as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedRepo {
    /// Its type.
    pub repo_type: RepoType,
    /// Its id.
    pub repo_id: String,
    /// Its folder.
    pub path: PathBuf,
    /// How many revisions it has.
    pub revisions: usize,
}

/// A revision that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedRevision {
    /// The repository's type.
    pub repo_type: RepoType,
    /// The repository's id.
    pub repo_id: String,
    /// The repository's folder.
    pub repo_path: PathBuf,
    /// The commit.
    pub commit: String,
    /// The refs that name it, which go too.
    pub refs: Vec<String>,
    /// The snapshot's folder.
    pub path: PathBuf,
}

/// A single file that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedFile {
    /// Its path in the repository.
    pub path: String,
    /// The repository's folder.
    pub repo_path: PathBuf,
    /// The snapshot's file.
    pub file_path: PathBuf,
}

/// What an execution has deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Deleted {
    /// Whole repositories.
    pub repos: usize,
    /// Revisions, those of whole repositories included.
    pub revisions: usize,
    /// Single files.
    pub files: usize,
    /// Partial files.
    pub partials: usize,
    /// Temporary files, and folders of locks of repositories that are gone.
    pub leftovers: usize,
    /// Links to contents that are gone.
    pub dangling: usize,
    /// Shared payloads.
    pub shared: usize,
    /// Contents that were kept because another process uses them now.
    pub kept: usize,
}

impl DeletionPlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.repos.is_empty()
            && self.revisions.is_empty()
            && self.files.is_empty()
            && self.partials.is_empty()
            && self.leftovers.is_empty()
            && self.dangling.is_empty()
            && self.dead_locks.is_empty()
            && self.shared.is_empty()
    }

    /// Plans the deletion of `targets`. All revisions of a repository together are the repository.
    pub fn delete(report: &CacheReport, targets: &[Target]) -> Self {
        let mut plan = Self {
            root: report.root.clone(),
            ..Self::default()
        };
        let mut commits: BTreeMap<&Path, BTreeSet<&str>> = BTreeMap::new();
        let mut paths: BTreeMap<&Path, BTreeSet<&str>> = BTreeMap::new();
        for target in targets {
            let (Target::Repo(kind, id) | Target::Revision(kind, id, _) | Target::File(kind, id, _)) = target;
            let found = report.repo(*kind, id).is_some_and(|repo| match target {
                Target::Repo(..) => {
                    let all = repo.revisions.iter().map(|revision| revision.commit.as_str());
                    commits.entry(&repo.path).or_default().extend(all);
                    true
                }
                Target::Revision(_, _, commit) => repo
                    .revisions
                    .iter()
                    .filter(|revision| revision.commit == *commit)
                    .map(|revision| commits.entry(&repo.path).or_default().insert(revision.commit.as_str()))
                    .count()
                    .gt(&0),
                Target::File(_, _, path) => {
                    let has = repo
                        .revisions
                        .iter()
                        .any(|r| r.files.iter().any(|file| file.path == *path));
                    if has {
                        paths.entry(&repo.path).or_default().insert(path);
                    }
                    has
                }
            });
            if !found {
                plan.unknown.push(target.clone());
            }
        }
        let none = BTreeSet::new();
        let mut gone = Gone::default();
        for repo in &report.repos {
            let path = repo.path.as_path();
            if !commits.contains_key(path) && !paths.contains_key(path) {
                continue;
            }
            let commits = commits.get(path).unwrap_or(&none);
            plan.add(repo, commits, paths.get(path).unwrap_or(&none), &mut gone);
        }
        plan.count_shared(report, &gone);
        plan
    }

    /// Plans what nobody needs: revisions as the options say, by default those that no ref names; partial and temporary
    /// files whose process has died, links to contents that are gone, the locks of repositories that are gone, and shared
    /// payloads that nothing refers to.
    pub fn prune(report: &CacheReport, options: &PruneOptions) -> Self {
        let (mut going, mut staying) = (Vec::new(), Vec::new());
        for repo in &report.repos {
            let mut newest: Vec<&CachedRevision> = repo.revisions.iter().collect();
            newest.sort_by_key(|revision| std::cmp::Reverse(revision.last_modified));
            for (place, revision) in newest.into_iter().enumerate() {
                let goes = match options.keep_newest {
                    Some(most) => place >= most,
                    None => revision.refs.is_empty(),
                };
                let old = |age| older_than(revision.last_used(), age);
                let target = Target::Revision(repo.repo_type, repo.repo_id.clone(), revision.commit.clone());
                if goes || options.older_than.is_some_and(old) {
                    going.push(target);
                } else {
                    staying.push((revision.last_used(), target));
                }
            }
        }
        let mut plan = Self::delete(report, &going);
        if let Some(most) = options.max_size {
            staying.sort_by_key(|(used, _)| *used);
            let fits = |plan: &Self| report.size.saturating_sub(plan.freed) <= most;
            let with = |more: usize| {
                let more = staying[..more].iter().map(|(_, target)| target.clone());
                let targets: Vec<Target> = going.iter().cloned().chain(more).collect();
                Self::delete(report, &targets)
            };
            // The more go, the more is freed: the fewest that do are looked for by halves.
            let (mut too_few, mut enough) = (0, staying.len());
            if !fits(&plan) {
                while too_few < enough {
                    let middle = (too_few + enough) / 2;
                    match fits(&with(middle)) {
                        true => enough = middle,
                        false => too_few = middle + 1,
                    }
                }
                plan = with(enough);
            }
        }
        let whole: HashSet<&Path> = plan.repos.iter().map(|repo| repo.path.as_path()).collect();
        let outside = |left: &&Leftover| !whole.iter().any(|repo| left.path.starts_with(repo));
        let partials: Vec<Leftover> = report
            .partials
            .iter()
            .filter(outside)
            .filter(|left| is_dead(left, options.min_age))
            .cloned()
            .collect();
        let leftovers: Vec<Leftover> = report
            .leftovers
            .iter()
            .filter(outside)
            .filter(|left| is_old(left, options.min_age))
            .cloned()
            .collect();
        plan.freed += partials.iter().chain(&leftovers).map(|left| left.size).sum::<u64>();
        plan.partials = partials;
        plan.leftovers = leftovers;
        let stays = |link: &&DanglingLink| !whole.iter().any(|repo| link.path.starts_with(repo));
        plan.dangling = report.dangling.iter().filter(stays).cloned().collect();
        let dead = report.dead_locks.iter().filter(|left| is_old(left, options.min_age));
        plan.dead_locks = dead.cloned().collect();
        for payload in &report.shared {
            if payload.references.as_ref().is_some_and(Vec::is_empty) {
                plan.freed += payload.size;
                plan.shared.push(payload.path.clone());
            }
        }
        plan
    }

    fn add(&mut self, repo: &CachedRepo, commits: &BTreeSet<&str>, paths: &BTreeSet<&str>, gone: &mut Gone) {
        let whole = repo
            .revisions
            .iter()
            .all(|revision| commits.contains(revision.commit.as_str()));
        let mut used = HashSet::new();
        let mut candidates = BTreeMap::new();
        for revision in &repo.revisions {
            let goes = commits.contains(revision.commit.as_str());
            if goes {
                self.revisions.push(PlannedRevision {
                    repo_type: repo.repo_type,
                    repo_id: repo.repo_id.clone(),
                    repo_path: repo.path.clone(),
                    commit: revision.commit.clone(),
                    refs: revision.refs.clone(),
                    path: revision.path.clone(),
                });
            }
            for file in &revision.files {
                let single = !goes && paths.contains(file.path.as_str());
                if single {
                    self.files.push(PlannedFile {
                        path: file.path.clone(),
                        repo_path: repo.path.clone(),
                        file_path: file.file_path.clone(),
                    });
                }
                if goes || single {
                    candidates.insert(
                        file.blob_path.as_path(),
                        (file.size, &file.payload, file.blob_path != file.file_path),
                    );
                } else {
                    used.insert(file.blob_path.as_path());
                }
            }
        }
        if whole {
            self.repos.push(PlannedRepo {
                repo_type: repo.repo_type,
                repo_id: repo.repo_id.clone(),
                path: repo.path.clone(),
                revisions: repo.revisions.len(),
            });
        }
        for (blob, (size, payload, is_blob)) in candidates {
            if used.contains(blob) {
                continue;
            }
            match payload {
                Some(payload) => {
                    gone.links.insert(blob.to_owned());
                    self.sweep.insert(payload.clone());
                }
                None => self.freed += size,
            }
            if is_blob && !whole {
                self.blobs.push(blob.to_owned());
            }
        }
    }

    /// A shared payload becomes free only with the last content that is a link to it.
    fn count_shared(&mut self, report: &CacheReport, gone: &Gone) {
        for payload in &report.shared {
            if self.sweep.contains(&payload.path)
                && let Some(references) = &payload.references
                && references.iter().all(|blob| gone.links.contains(blob))
            {
                self.freed += payload.size;
            }
        }
    }
}

/// The contents that a plan takes away and that are links to shared payloads.
#[derive(Default)]
struct Gone {
    links: HashSet<PathBuf>,
}

fn is_old(left: &Leftover, min_age: Duration) -> bool {
    older_than(left.modified, min_age)
}

fn older_than(time: SystemTime, age: Duration) -> bool {
    SystemTime::now().duration_since(time).is_ok_and(|since| since >= age)
}

/// Whether a partial file's process has died: nobody holds its content's lock or the file itself, and it is old enough.
fn is_dead(left: &Leftover, min_age: Duration) -> bool {
    if !is_old(left, min_age) || lock::claim(&left.path).is_none() {
        return false;
    }
    let Some(repo) = left.path.parent().and_then(Path::parent) else {
        return false;
    };
    let name = left.path.file_name().unwrap_or_default().to_string_lossy();
    let etag = name.split('.').next().unwrap_or(&name);
    let lock = RepoLayout::at(repo).locks().join(format!("{etag}.lock"));
    if !lock.exists() {
        return true;
    }
    match lock::try_lock(&lock) {
        // Where nobody can be kept out, only its age tells.
        Ok(Attempt::Held(lock)) => lock.is_exclusive() || is_old(left, PruneOptions::default().min_age),
        _ => false,
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
