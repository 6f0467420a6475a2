//! A deletion, carried out: an order of steps that leaves a readable cache wherever the process dies.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;

use super::{Deleted, DeletionPlan, PlannedRevision, is_dead};
use crate::disk;
use crate::error::Result;
use crate::fault;
use crate::layout::RepoLayout;
use crate::lock::{self, Attempt};
use crate::scan::DanglingLink;
use crate::store;

impl DeletionPlan {
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
                self.remove_locks(&RepoLayout::at(&repo.path))?;
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
            done.leftovers += usize::from(passed_over(removed)?);
        }
        for link in &self.dangling {
            remove_dangling(link, &mut done)?;
        }
        for locks in &self.dead_locks {
            let name = locks.path.file_name().unwrap_or_default();
            done.leftovers += usize::from(self.remove_locks(&RepoLayout::at(&self.root.join(name)))?);
        }
        for payload in self.sweep.iter().chain(&self.shared) {
            if store::is_marked(&self.root.join("blobs")) && store::sweep(&self.root, payload)? {
                done.shared += 1;
            }
        }
        Ok(done)
    }

    /// Removes the locks of a repository that is gone, each only while nobody has it. Whoever begins to download meanwhile
    /// makes the repository's folder before its locks, and so keeps them.
    fn remove_locks(&self, repo: &RepoLayout) -> Result<bool> {
        let Ok(entries) = fs::read_dir(repo.locks()) else {
            return Ok(false);
        };
        for entry in entries.flatten() {
            let file = entry.path();
            let is_lock = file.extension().is_some_and(|extension| extension == "lock");
            if !is_lock || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
                return Ok(false);
            }
            let Attempt::Held(_lock) = lock::try_lock(&file)? else {
                return Ok(false);
            };
            if fs::symlink_metadata(repo.dir()).is_ok() {
                return Ok(false);
            }
            passed_over(disk::remove_if_there(&file))?;
            fault::step("a lock is gone");
        }
        // A lock that was made meanwhile keeps its folder.
        Ok(fs::remove_dir(repo.locks()).is_ok())
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

/// Removes a link to a content that is gone, and the files that lead to it, unless it leads somewhere again.
fn remove_dangling(link: &DanglingLink, done: &mut Deleted) -> Result<()> {
    let Some(repo) = link.path.parent().and_then(Path::parent).map(RepoLayout::at) else {
        return Ok(());
    };
    let name = link.path.file_name().unwrap_or_default().to_string_lossy();
    let Attempt::Held(_lock) = lock::try_lock(&repo.locks().join(format!("{name}.lock")))? else {
        done.kept += 1;
        return Ok(());
    };
    if !link.path.is_symlink() || link.path.exists() {
        return Ok(());
    }
    for file in &link.files {
        if file.is_symlink() && !file.exists() {
            passed_over(disk::remove_if_there(file))?;
            fault::step("a broken file is gone");
        }
    }
    done.dangling += usize::from(passed_over(disk::remove_if_there(&link.path))?);
    Ok(())
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
