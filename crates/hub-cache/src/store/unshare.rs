//! Sharing, undone: every repository gets contents of its own.

use std::collections::BTreeSet;
use std::path::Path;

use fs_err as fs;

use super::sweep;
use crate::disk;
use crate::error::Result;
use crate::layout::RepoLayout;
use crate::lock;
use crate::scan::CacheReport;

/// What [`unshare`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Unshared {
    /// Contents that were links and are files now.
    pub contents: usize,
    /// Bytes that were copied.
    pub copied: u64,
    /// Contents that another process is busy with, or that cannot be read; they are links still.
    pub kept: usize,
    /// Payloads that nothing referred to any more, and that are gone.
    pub payloads: usize,
}

impl Unshared {
    /// What [`unshare`] would do where nobody else is at work: contents and bytes.
    pub fn planned(report: &CacheReport) -> Self {
        let links = links(report);
        Self {
            contents: links.len(),
            copied: links.iter().map(|link| link.2).sum(),
            ..Self::default()
        }
    }
}

/// The contents that are links into the cache's own store, with their payloads and sizes.
fn links(report: &CacheReport) -> Vec<(&Path, &Path, u64)> {
    let store = report.root.join("blobs");
    let mut links = Vec::new();
    for repo in &report.repos {
        let mut seen = BTreeSet::new();
        for file in repo.revisions.iter().flat_map(|revision| &revision.files) {
            if let Some(payload) = &file.payload
                && payload.starts_with(&store)
                && seen.insert(&file.blob_path)
            {
                links.push((&*file.blob_path, &**payload, file.size));
            }
        }
    }
    links
}

/// Gives every repository of the cache at `root` contents of its own instead of links into the shared store.
///
/// Clients before 1.32 follow such links when they delete, and so take away what other repositories use; they are safe
/// in a cache where this was done. Set `HF_HUB_DISABLE_SHARED_BLOBS` so that no new links are made.
///
/// # Errors
///
/// [`Error::CacheNotFound`](crate::Error::CacheNotFound); [`Error::NoSpace`](crate::Error::NoSpace) before anything is
/// copied; [`Error::Io`](crate::Error::Io) when a copy cannot be written. What was done stays done.
pub fn unshare(root: &Path) -> Result<Unshared> {
    let report = crate::scan::scan(root)?;
    let mut done = Unshared::default();
    let links = links(&report);
    disk::check_space(&report.root, links.iter().map(|(_, _, size)| size).sum())?;
    let mut payloads: BTreeSet<&Path> = report.shared.iter().map(|blob| blob.path.as_path()).collect();
    for (blob, payload, size) in links {
        payloads.insert(payload);
        let Some(repo) = blob.parent().and_then(Path::parent).map(RepoLayout::at) else {
            continue;
        };
        let name = blob.file_name().unwrap_or_default().to_string_lossy();
        let lock = match lock::try_lock(&repo.locks().join(format!("{name}.lock")))? {
            lock::Attempt::Held(lock) => lock,
            lock::Attempt::Busy => {
                done.kept += 1;
                continue;
            }
        };
        if !fs::symlink_metadata(blob).is_ok_and(|meta| meta.is_symlink()) || !blob.is_file() {
            done.kept += 1;
            continue;
        }
        let temporary = blob.with_file_name(disk::temporary_name("new"));
        disk::copy_atomically(payload, &temporary, blob)?;
        drop(lock);
        done.contents += 1;
        done.copied += size;
    }
    for payload in payloads {
        done.payloads += usize::from(sweep(&report.root, payload)?);
    }
    Ok(done)
}
