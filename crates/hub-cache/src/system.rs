//! System-wide caches: read where the private one lacks something, and never written to.
//!
//! Several people of one machine need the same models. Who looks after the machine fills one cache for all; each person
//! has a cache of their own on top, which takes what is theirs alone. A file that a system-wide cache has is linked into
//! the private one, neither fetched nor copied, so that a snapshot is one folder wherever its files lie, and so that any
//! client finds them which knows the private cache only.
//!
//! The link is the content's: `blobs/<etag>` leads to the system-wide cache, a snapshot's file to `blobs/<etag>` as
//! always. A snapshot's file that led there itself would be read as well, but the Python client deletes what a
//! snapshot's file leads to, and what is deleted must be the link. Its scan follows such a content as it follows one that
//! is shared between repositories, and finds nothing odd. What a system-wide cache lets go of is a broken link here: the
//! next download mends it.
//!
//! Nothing is written into a system-wide cache, not even a lock file: it may be mounted read-only or belong to another
//! user.

use std::path::{Path, PathBuf};

use fs_err as fs;
use hub_types::{CommitHash, Etag, PatternFilter, RepoId, RepoPath, XetHash};

use crate::cache::{Cache, missing_files};
use crate::disk;
use crate::error::Result;
use crate::layout::{Layout, RepoLayout};
use crate::link;
use crate::lock::{self, Attempt};
use crate::store::Entry;
use crate::tree::Tree;

/// A file as it is asked for, with what is known of its content.
pub(crate) struct Asked<'a> {
    pub(crate) commit: &'a CommitHash,
    pub(crate) path: &'a RepoPath,
    pub(crate) etag: &'a Etag,
    pub(crate) size: Option<u64>,
    pub(crate) xet: Option<&'a XetHash>,
}

impl Cache {
    /// Caches that are read where this one lacks something, and never written to, such as one that everybody on a machine
    /// can read; none by default. What one of them has is linked into this cache, or copied where links are refused.
    #[must_use]
    pub fn with_system_caches<P: Into<PathBuf>>(mut self, roots: impl IntoIterator<Item = P>) -> Self {
        let absolute = |root: PathBuf| std::path::absolute(&root).unwrap_or(root);
        self.system = roots
            .into_iter()
            .map(|root| Layout::new(absolute(root.into())))
            .collect();
        self
    }

    /// The folders of the caches that are read where this one lacks something.
    pub fn system_caches(&self) -> impl Iterator<Item = &Path> {
        self.system.iter().map(Layout::root)
    }

    /// A repository in this cache, then in each system-wide one.
    pub(crate) fn repos(&self, repo: &RepoId) -> impl Iterator<Item = RepoLayout> {
        std::iter::once(self.layout())
            .chain(&self.system)
            .map(|layout| layout.repo(repo))
    }

    /// The listing of a commit in a system-wide cache.
    pub(crate) fn system_tree(&self, repo: &RepoId, commit: &CommitHash) -> Option<Tree> {
        let name = format!("{commit}.json");
        let mut repos = self.repos(repo).skip(1);
        repos.find_map(|repo| Tree::read(&repo.trees().join(&name)))
    }

    /// The file of a commit in a system-wide cache that has it and lets it be read.
    pub(crate) fn system_file(&self, repo: &RepoId, commit: &CommitHash, path: &RepoPath) -> Option<PathBuf> {
        let files = self.repos(repo).skip(1).map(|repo| repo.pointer(commit, path));
        files.into_iter().find(|file| is_readable(file, None))
    }

    /// A content in a system-wide cache that has it whole, as far as its size tells, and lets it be read.
    pub(crate) fn system_content(&self, repo: &RepoId, asked: &Asked<'_>) -> Option<PathBuf> {
        self.system.iter().find_map(|layout| {
            let own = layout.repo(repo);
            let places = [own.blob(asked.etag), own.pointer(asked.commit, asked.path)];
            let found = places.into_iter().find(|place| is_readable(place, asked.size));
            found.or_else(|| {
                // Another of its repositories may have it.
                let (hash, size) = (asked.xet?, asked.size?);
                Entry::new(layout, hash)
                    .is_usable(size)
                    .then(|| layout.shared_blob(hash))
            })
        })
    }

    /// Brings a content of a system-wide cache into this one, as a link, or as a copy where links are refused, and the
    /// file of the snapshot with it; false if that cannot be done. The caller holds the content's lock.
    pub(crate) fn adopt(&self, repo: &RepoId, asked: &Asked<'_>, source: &Path, links: bool) -> Result<bool> {
        let layout = self.layout().repo(repo);
        let (blob, pointer) = (layout.blob(asked.etag), layout.pointer(asked.commit, asked.path));
        if !links {
            let temporary = layout.blobs().join(disk::temporary_name("new"));
            disk::copy_atomically(source, &temporary, &pointer)?;
            return Ok(true);
        }
        let temporary = blob.with_file_name(disk::temporary_name("link"));
        let linked = link::symlink(source, &temporary).and_then(|()| disk::rename_over(&temporary, &blob));
        if let Err(err) = linked {
            tracing::debug!(%err, blob = %blob.display(), "cannot link a content of a system-wide cache");
            let _ = fs::remove_file(&temporary);
            return Ok(false);
        }
        link::place(&blob, &pointer, asked.path, asked.etag, true, false)?;
        Ok(true)
    }

    /// Brings what a snapshot lacks here, and a system-wide cache has, into this cache, so that it is one folder. Best
    /// effort: what cannot be brought stays missing.
    pub(crate) fn adopt_snapshot(&self, repo: &RepoId, commit: &CommitHash, wanted: &PatternFilter) -> Result<()> {
        let layout = self.layout().repo(repo);
        let tree = self.tree(repo, commit);
        let here = layout.snapshot(commit);
        let missing = match &tree {
            Some(tree) => missing_files(tree, &here, wanted),
            None => self.system_paths(repo, commit, wanted),
        };
        if missing.is_empty() {
            return Ok(());
        }
        self.prepare(&layout, commit)?;
        let links = self.links_in(&layout);
        for path in &missing {
            if layout.pointer(commit, path).is_file() {
                continue;
            }
            let Some(file) = self.system_file(repo, commit, path) else {
                continue;
            };
            let listed = tree.as_ref().and_then(|tree| tree.files.get(path));
            let Some(etag) = listed.map(|file| file.etag()).or_else(|| link::etag_of(&file)) else {
                continue;
            };
            let asked = Asked {
                commit,
                path,
                etag: &etag,
                size: listed.map(|file| file.content_size()),
                xet: None,
            };
            let Some(source) = self.system_content(repo, &asked) else {
                continue;
            };
            if let Attempt::Held(_lock) = lock::try_lock(&layout.lock_file(&etag))? {
                disk::create_parents_below(&here, path.as_str())?;
                self.adopt(repo, &asked, &source, links)?;
            }
        }
        // With its listing, a snapshot can be told to be complete without the system-wide cache.
        let file = self.tree_file(repo, commit);
        match tree {
            Some(tree) if !file.exists() => tree.write(&file),
            _ => Ok(()),
        }
    }

    /// The files that system-wide caches have of a commit, as far as they are wanted.
    fn system_paths(&self, repo: &RepoId, commit: &CommitHash, wanted: &PatternFilter) -> Vec<RepoPath> {
        let folders = self.repos(repo).skip(1).map(|repo| repo.snapshot(commit));
        let mut paths = Vec::new();
        for folder in folders {
            let entries = walkdir::WalkDir::new(&folder).into_iter().flatten();
            for entry in entries.filter(|entry| !entry.file_type().is_dir()) {
                let name = entry.path().strip_prefix(&folder).ok().and_then(Path::to_str);
                let path = name.and_then(|name| name.replace(std::path::MAIN_SEPARATOR, "/").parse().ok());
                paths.extend(path.filter(|path: &RepoPath| wanted.wants(path.as_str())));
            }
        }
        paths
    }
}

/// Whether a file is there, has this size, and may be read by this user.
fn is_readable(file: &Path, size: Option<u64>) -> bool {
    let fits = |meta: std::fs::Metadata| meta.is_file() && size.is_none_or(|size| meta.len() == size);
    fs::metadata(file).is_ok_and(fits) && fs::File::open(file).is_ok()
}

#[cfg(test)]
#[cfg(all(unix, feature = "download"))]
mod tests;
