//! Deleting from a cache: a plan that says what goes and what is gained, and then its execution.
//!
//! A revision is named by repository and commit, never by commit alone: copies of a repository share commits. The order
//! of execution leaves a cache that every client can read, whenever the process dies: refs first, then the snapshot as a
//! whole (stepped aside by one rename), then what belongs to the commit, then contents, each under its lock and only if
//! no snapshot leads to it any more.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fs_err as fs;
use hub_types::RepoType;

use crate::disk;
use crate::error::Result;
use crate::fault;
use crate::layout::RepoLayout;
use crate::lock::{self, Attempt};
use crate::scan::{CacheReport, CachedRepo, CachedRevision, Leftover};
use crate::store;

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

    /// Plans what nobody needs: revisions as the options say, by default those that no ref names; partial and temporary files whose process has died, shared
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

    /// Carries the plan out.
    ///
    /// What is gone already, or may not be deleted, is passed over with a warning; what another process has begun to use
    /// since the plan was made stays.
    ///
    /// # Errors
    ///
    /// When something else goes wrong with the disk. The cache is readable then too; the rest of the plan is not done.
    pub fn execute(&self) -> Result<Deleted> {
        let mut done = Deleted::default();
        for file in &self.files {
            if passed_over(disk::remove_if_there(&file.file_path))? {
                done.files += 1;
            }
        }
        let whole: HashSet<&Path> = self.repos.iter().map(|repo| repo.path.as_path()).collect();
        for repo in &self.repos {
            // Below `.locks` no scan looks; the rename makes all of it vanish at once.
            let aside = self.root.join(".locks").join(disk::temporary_name("gone"));
            if passed_over(remove_dir(&repo.path, &aside))? {
                done.repos += 1;
                done.revisions += repo.revisions;
            }
        }
        let mut repos = BTreeSet::new();
        for revision in self.revisions.iter().filter(|r| !whole.contains(r.repo_path.as_path())) {
            repos.insert(revision.repo_path.as_path());
            if self.remove_revision(revision)? {
                done.revisions += 1;
            }
        }
        repos.extend(
            self.files
                .iter()
                .map(|file| file.repo_path.as_path())
                .filter(|repo| !whole.contains(repo)),
        );
        for repo in repos {
            self.remove_blobs(&RepoLayout::at(repo), &mut done)?;
        }
        for left in &self.partials {
            if is_dead(left, Duration::ZERO) && passed_over(disk::remove_if_there(&left.path))? {
                done.partials += 1;
                let mut journal = left.path.clone().into_os_string();
                journal.push(".journal");
                passed_over(disk::remove_if_there(Path::new(&journal)))?;
            }
        }
        for left in &self.leftovers {
            let removed = if fs::symlink_metadata(&left.path).is_ok_and(|meta| meta.is_dir()) {
                fs::remove_dir_all(&left.path).map(|()| true)
            } else {
                disk::remove_if_there(&left.path)
            };
            passed_over(removed)?;
        }
        for payload in self.sweep.iter().chain(&self.shared) {
            if store::is_marked(&self.root.join("blobs")) && store::sweep(&self.root, payload)? {
                done.shared += 1;
            }
        }
        Ok(done)
    }

    fn remove_revision(&self, revision: &PlannedRevision) -> Result<bool> {
        let repo = RepoLayout::at(&revision.repo_path);
        for name in &revision.refs {
            let file = crate::layout::joined(repo.refs(), name);
            // Another process may have moved the ref to a newer commit meanwhile.
            if crate::cache::read_ref(&file).is_none_or(|commit| commit.as_str() == revision.commit) {
                passed_over(disk::remove_if_there(&file))?;
                fault::step("a ref is gone");
            }
        }
        let blobs = repo.blobs();
        fs::create_dir_all(&blobs)?;
        let aside = blobs.join(disk::temporary_name("gone"));
        let removed = passed_over(remove_dir(&revision.path, &aside))?;
        fault::step("a revision is gone");
        passed_over(disk::remove_if_there(
            &repo.trees().join(format!("{}.json", revision.commit)),
        ))?;
        let missing = repo.no_exist_dir(&revision.commit);
        if missing.is_dir() {
            passed_over(fs::remove_dir_all(&missing).map(|()| true))?;
        }
        Ok(removed)
    }

    /// Removes the planned contents of one repository, a few at a time: all of them locked, then the snapshots looked
    /// through once, then those gone that nothing leads to. Whoever downloads holds one lock at most, and waits.
    fn remove_blobs(&self, repo: &RepoLayout, done: &mut Deleted) -> Result<()> {
        let blobs: Vec<&PathBuf> = self
            .blobs
            .iter()
            .filter(|blob| blob.starts_with(repo.blobs()))
            .collect();
        for some in blobs.chunks(128) {
            let mut locked = Vec::new();
            for blob in some {
                let name = blob.file_name().unwrap_or_default().to_string_lossy();
                match lock::try_lock(&repo.locks().join(format!("{name}.lock")))? {
                    Attempt::Held(lock) => locked.push((blob, lock)),
                    Attempt::Busy => done.kept += 1,
                }
            }
            let used = used_blobs(&repo.snapshots());
            for (blob, _lock) in locked {
                if used.contains(blob.as_path()) {
                    done.kept += 1;
                } else {
                    passed_over(disk::remove_if_there(blob))?;
                    fault::step("a content is gone");
                }
            }
        }
        Ok(())
    }
}

/// The contents that a plan takes away and that are links to shared payloads.
#[derive(Default)]
struct Gone {
    links: HashSet<PathBuf>,
}

/// Moves a folder out of sight and removes it; false when it was not there.
fn remove_dir(dir: &Path, aside: &Path) -> std::io::Result<bool> {
    if let Some(parent) = aside.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::rename(dir, aside) {
        Ok(()) => {}
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(err) => return Err(err),
    }
    fault::step("a folder is out of sight");
    fs::remove_dir_all(aside)?;
    Ok(true)
}

/// What is gone or forbidden is no reason to stop.
fn passed_over(result: std::io::Result<bool>) -> Result<bool> {
    match result {
        Ok(done) => Ok(done),
        Err(err)
            if matches!(
                err.kind(),
                std::io::ErrorKind::NotFound
                    | std::io::ErrorKind::PermissionDenied
                    | std::io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            tracing::warn!(%err, "cannot delete; passed over");
            Ok(false)
        }
        Err(err) => Err(err.into()),
    }
}

/// The contents that snapshots lead to now.
fn used_blobs(snapshots: &Path) -> HashSet<PathBuf> {
    let blobs = snapshots.with_file_name("blobs");
    walkdir::WalkDir::new(snapshots)
        .into_iter()
        .flatten()
        .filter(|entry| entry.path_is_symlink())
        .filter_map(|entry| Some(blobs.join(fs::read_link(entry.path()).ok()?.file_name()?)))
        .collect()
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
mod tests {
    use super::*;
    use crate::scan::scan;
    use crate::scan::tests::{ONE, TWO, fixture};

    fn revision(commit: &str) -> Target {
        Target::Revision(RepoType::Model, "o/n".into(), commit.into())
    }

    #[test]
    fn c_095_one_of_two_revisions_leaves_what_the_other_needs() {
        let dir = tempfile::tempdir().unwrap();
        let repo = fixture(dir.path(), "models--o--n");
        for commit in [ONE, TWO] {
            fs::create_dir_all(repo.join("trees")).unwrap();
            fs::write(repo.join("trees").join(format!("{commit}.json")), "{}").unwrap();
            fs::create_dir_all(repo.join(".no_exist").join(commit)).unwrap();
        }
        let report = scan(dir.path()).unwrap();
        let plan = DeletionPlan::delete(&report, &[revision(ONE), revision("f")]);
        assert_eq!((plan.freed, plan.revisions.len(), plan.repos.len()), (1, 1, 0));
        assert_eq!(plan.unknown, [revision("f")]);
        let done = plan.execute().unwrap();
        assert_eq!((done.revisions, done.kept), (1, 0));
        for gone in [
            format!("snapshots/{ONE}"),
            "blobs/one".to_owned(),
            "refs/refs/pr/1".to_owned(),
            format!("trees/{ONE}.json"),
            format!(".no_exist/{ONE}"),
        ] {
            assert!(!repo.join(&gone).exists(), "{gone}");
        }
        for kept in [
            format!("snapshots/{TWO}/d/own"),
            "blobs/shared".to_owned(),
            "refs/main".to_owned(),
            format!("trees/{TWO}.json"),
        ] {
            assert!(repo.join(&kept).exists(), "{kept}");
        }
        let after = scan(dir.path()).unwrap();
        assert_eq!((after.warnings.len(), after.leftovers.len(), after.size), (0, 0, 7));
        // Doing it again is no error.
        assert_eq!(plan.execute().unwrap().revisions, 0);
    }

    #[test]
    fn c_096_w_008_a_commit_is_of_one_repository() {
        let dir = tempfile::tempdir().unwrap();
        fixture(dir.path(), "models--o--n");
        let copy = fixture(dir.path(), "models--o--copy");
        fs::remove_dir_all(copy.join("refs")).unwrap();
        let report = scan(dir.path()).unwrap();
        assert_eq!(report.revisions(ONE).count(), 2);
        let plan = DeletionPlan::delete(&report, &[revision(ONE)]);
        assert_eq!(plan.revisions.len(), 1);
        assert_eq!(plan.revisions[0].repo_id, "o/n");
        // Pruning takes the copy, which nothing names, and leaves the original.
        let plan = DeletionPlan::prune(&report, &PruneOptions::default());
        assert_eq!(plan.repos.len(), 1);
        assert_eq!(plan.repos[0].repo_id, "o/copy");
        assert_eq!(plan.freed, 8);
        let done = plan.execute().unwrap();
        assert_eq!((done.repos, done.revisions), (1, 2));
        let after = scan(dir.path()).unwrap();
        assert_eq!(
            (after.repos.len(), after.repos[0].revisions.len(), after.warnings.len()),
            (1, 2, 0)
        );
    }

    #[test]
    fn all_revisions_are_the_repository() {
        let dir = tempfile::tempdir().unwrap();
        let repo = fixture(dir.path(), "models--o--n");
        let report = scan(dir.path()).unwrap();
        for targets in [
            vec![revision(ONE), revision(TWO)],
            vec![Target::Repo(RepoType::Model, "O/N".into())],
        ] {
            let plan = DeletionPlan::delete(&report, &targets);
            assert_eq!((plan.repos.len(), plan.revisions.len(), plan.freed), (1, 2, 8));
        }
        DeletionPlan::delete(&report, &[revision(ONE), revision(TWO)])
            .execute()
            .unwrap();
        assert!(!repo.exists());
        assert_eq!(scan(dir.path()).unwrap().repos.len(), 0);
    }

    #[test]
    fn a_single_file_goes_from_every_revision() {
        let dir = tempfile::tempdir().unwrap();
        let repo = fixture(dir.path(), "models--o--n");
        let report = scan(dir.path()).unwrap();
        let file = |path: &str| Target::File(RepoType::Model, "o/n".into(), path.into());
        let plan = DeletionPlan::delete(&report, &[file("d/own"), file("a"), file("none")]);
        assert_eq!((plan.files.len(), plan.freed, plan.unknown.len()), (4, 3, 1));
        assert_eq!(plan.execute().unwrap().files, 4);
        assert!(!repo.join("blobs/one").exists() && !repo.join("blobs/two").exists());
        assert!(repo.join("blobs/shared").exists(), "the other name still leads to it");
        assert!(repo.join("refs/main").exists());
    }

    #[test]
    fn what_a_download_uses_since_the_plan_stays() {
        let dir = tempfile::tempdir().unwrap();
        let repo = fixture(dir.path(), "models--o--n");
        let report = scan(dir.path()).unwrap();
        let plan = DeletionPlan::delete(&report, &[revision(ONE)]);
        // A third revision has come that uses the same content.
        let third = repo.join("snapshots").join("3".repeat(40));
        fs::create_dir_all(&third).unwrap();
        crate::link::symlink(Path::new("../../blobs/one"), &third.join("x")).unwrap();
        assert_eq!(plan.execute().unwrap().kept, 1);
        assert!(third.join("x").exists());
        // And one whose lock somebody holds.
        let plan = DeletionPlan::delete(
            &scan(dir.path()).unwrap(),
            &[Target::Revision(RepoType::Model, "o/n".into(), "3".repeat(40))],
        );
        let held = lock::lock(&dir.path().join(".locks/models--o--n/one.lock"), None).unwrap();
        assert_eq!(plan.execute().unwrap().kept, 1);
        assert!(repo.join("blobs/one").exists());
        drop(held);
    }

    #[test]
    fn c_097_a_partial_that_somebody_writes_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let repo = fixture(dir.path(), "models--o--n");
        let names = [
            "abc.r1-0123abcd.incomplete",
            "def.r1-0123abcd.incomplete",
            "ghi.incomplete",
        ];
        for name in names {
            fs::write(repo.join("blobs").join(name), "123").unwrap();
        }
        let journal = repo.join("blobs").join(format!("{}.journal", names[0]));
        fs::write(&journal, "{}").unwrap();
        let now = PruneOptions {
            min_age: Duration::ZERO,
            ..PruneOptions::default()
        };
        let report = scan(dir.path()).unwrap();
        assert_eq!((report.partials.len(), report.leftovers.len()), (3, 0));
        assert!(
            DeletionPlan::prune(&report, &PruneOptions::default())
                .partials
                .is_empty()
        );
        let ours = lock::claim(&repo.join("blobs").join(names[0])).unwrap();
        let pythons = lock::lock(&dir.path().join(".locks/models--o--n/ghi.lock"), None).unwrap();
        let plan = DeletionPlan::prune(&report, &now);
        assert_eq!((plan.partials.len(), plan.freed), (1, 3));
        assert!(plan.partials[0].path.ends_with(names[1]));
        drop((ours, pythons));
        let plan = DeletionPlan::prune(&report, &now);
        assert_eq!(plan.execute().unwrap().partials, 3);
        assert!(!journal.exists());
    }

    /// Two repositories with two revisions each; the contents of `one` were used long ago.
    fn aged(dir: &Path) -> CacheReport {
        for name in ["models--o--n", "models--o--m"] {
            let repo = fixture(dir, name);
            let old = SystemTime::now() - Duration::from_secs(if name.ends_with('n') { 90 } else { 60 } * 86_400);
            let file = std::fs::File::options()
                .write(true)
                .open(repo.join("blobs/one"))
                .unwrap();
            file.set_times(std::fs::FileTimes::new().set_accessed(old).set_modified(old))
                .unwrap();
            for blob in ["shared", "two"] {
                let days = Duration::from_secs(40 * 86_400);
                let file = std::fs::File::options()
                    .write(true)
                    .open(repo.join("blobs").join(blob))
                    .unwrap();
                let time = if blob == "shared" {
                    old
                } else {
                    SystemTime::now() - days
                };
                file.set_times(std::fs::FileTimes::new().set_accessed(time).set_modified(time))
                    .unwrap();
            }
        }
        scan(dir).unwrap()
    }

    fn pruned(report: &CacheReport, options: PruneOptions) -> (Vec<String>, u64) {
        let plan = DeletionPlan::prune(report, &options);
        let of = |r: &PlannedRevision| format!("{} {}", r.repo_id, &r.commit[..1]);
        let mut revisions: Vec<String> = plan.revisions.iter().map(of).collect();
        revisions.sort();
        (revisions, plan.freed)
    }

    #[test]
    fn revisions_go_by_age_by_number_and_by_size() {
        let dir = tempfile::tempdir().unwrap();
        let report = aged(dir.path());
        let none = PruneOptions::default;
        let days = |days: u64| Some(Duration::from_secs(days * 86_400));
        assert_eq!(pruned(&report, none()), (vec![], 0), "each is named by a ref");
        let old = |older_than| pruned(&report, PruneOptions { older_than, ..none() });
        assert_eq!(old(days(100)).0, [""; 0]);
        assert_eq!(old(days(75)), (vec!["o/n 1".to_owned()], 1));
        assert_eq!(old(days(50)).0, ["o/m 1", "o/n 1"]);
        assert_eq!(old(days(30)).1, 16);
        let newest = |most| {
            pruned(
                &report,
                PruneOptions {
                    keep_newest: Some(most),
                    ..none()
                },
            )
        };
        assert_eq!(newest(2).0, [""; 0]);
        assert_eq!(newest(1), (vec!["o/m 1".to_owned(), "o/n 1".to_owned()], 2));
        assert_eq!(newest(0).1, 16);
        let down = |most| {
            pruned(
                &report,
                PruneOptions {
                    max_size: Some(most),
                    ..none()
                },
            )
        };
        assert_eq!(down(16).0, [""; 0]);
        assert_eq!(
            down(15),
            (vec!["o/n 1".to_owned()], 1),
            "what was used longest ago goes first"
        );
        assert_eq!(down(14).0, ["o/m 1", "o/n 1"]);
        assert_eq!(down(13).0.len(), 3);
        assert_eq!(down(0).1, 16);
        let plan = DeletionPlan::prune(
            &report,
            &PruneOptions {
                max_size: Some(14),
                ..none()
            },
        );
        plan.execute().unwrap();
        let after = scan(dir.path()).unwrap();
        assert_eq!((after.size, after.warnings.len(), after.repos.len()), (14, 0, 2));
    }

    #[test]
    fn w_018_what_any_client_leaves_is_found_and_goes_when_it_is_old() {
        let dir = tempfile::tempdir().unwrap();
        let repo = fixture(dir.path(), "models--o--n");
        let blobs = repo.join("blobs");
        fs::create_dir_all(repo.join("trees")).unwrap();
        fs::create_dir_all(dir.path().join("tmpabcd1234")).unwrap();
        fs::write(dir.path().join("tmpabcd1234/dummy_file_src"), "").unwrap();
        let files = [
            blobs.join("tmp_01234567-89ab-cdef-0123-456789abcdef"),
            blobs.join(".0123abcd.link"),
            blobs.join(".etag.0123abcd.shared"),
            repo.join("refs/main.0123abcd.tmp"),
            repo.join("trees/tmpabcd1234.tmp"),
        ];
        for file in &files {
            fs::write(file, "x").unwrap();
        }
        let report = scan(dir.path()).unwrap();
        assert_eq!(report.leftovers.len(), files.len() + 1, "{:?}", report.leftovers);
        assert!(
            DeletionPlan::prune(&report, &PruneOptions::default())
                .leftovers
                .is_empty()
        );
        let now = PruneOptions {
            min_age: Duration::ZERO,
            ..PruneOptions::default()
        };
        let plan = DeletionPlan::prune(&report, &now);
        assert_eq!(plan.freed, files.len() as u64);
        plan.execute().unwrap();
        let after = scan(dir.path()).unwrap();
        assert_eq!((after.leftovers.len(), after.warnings.len(), after.size), (0, 0, 8));
    }
}
