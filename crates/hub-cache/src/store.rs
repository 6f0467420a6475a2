//! The store that repositories share: one payload for each Xet hash, which their contents are links to.
//!
//! The Python client (since 1.32) makes it. We read through its links everywhere, count its payloads once, and let go of
//! those that nobody refers to any more; we put nothing into it.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use fs_err as fs;
use hub_types::XetHash;

use crate::disk;
use crate::error::Result;
use crate::layout::STORE_MARKER;
use crate::lock;
use crate::scan::SharedBlob;

/// Whether the folder is a store of the version that we know. Without its mark it is somebody else's.
pub(crate) fn is_marked(dir: &Path) -> bool {
    let marker = dir.join(STORE_MARKER);
    fs::symlink_metadata(dir).is_ok_and(|meta| meta.is_dir())
        && fs::symlink_metadata(&marker).is_ok_and(|meta| meta.is_file())
        && fs::read(&marker).is_ok_and(|text| text == b"1\n")
}

/// The payloads of the cache at `root`.
pub(crate) fn payloads(root: &Path) -> Vec<SharedBlob> {
    let mut found = Vec::new();
    let Ok(prefixes) = fs::read_dir(root.join("blobs")) else {
        return found;
    };
    for prefix in prefixes.flatten() {
        let Ok(entries) = fs::read_dir(prefix.path()) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.parse::<XetHash>().is_err() || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
                continue;
            }
            let path = entry.path();
            found.push(SharedBlob {
                size: entry.metadata().map_or(0, |meta| meta.len()),
                references: references(root, &path),
                path,
            });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The contents that are links to a payload, by its manifest; none when there is no manifest to read.
pub(crate) fn references(root: &Path, payload: &Path) -> Option<Vec<PathBuf>> {
    let manifest = fs::read_to_string(payload.with_extension("refs")).ok()?;
    let lines: BTreeSet<&str> = manifest.lines().collect();
    Some(
        lines
            .into_iter()
            .filter_map(|line| referenced(root, payload, line))
            .collect(),
    )
}

/// The content that a manifest's line names, if it is a link to the payload.
fn referenced(root: &Path, payload: &Path, line: &str) -> Option<PathBuf> {
    let parts: Vec<&str> = line.split('/').collect();
    let [repo, "blobs", name] = parts[..] else { return None };
    if !repo.contains("--") || [repo, name].iter().any(|part| part.is_empty() || *part == "..") {
        return None;
    }
    let blob = root.join(repo).join("blobs").join(name);
    let text = fs::read_link(&blob).ok()?;
    let target = text
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .collect::<PathBuf>();
    let expected = payload.strip_prefix(root).ok()?;
    target.ends_with(expected).then_some(blob)
}

/// Lets go of a payload that no content is a link to; true if it was removed.
///
/// Under the payload's own lock, so that nobody links it meanwhile. Without a readable manifest nothing is done.
pub(crate) fn sweep(root: &Path, payload: &Path) -> Result<bool> {
    let _lock = lock::lock(&payload.with_extension("lock"), None)?;
    let Some(references) = references(root, payload) else {
        return Ok(false);
    };
    let manifest = payload.with_extension("refs");
    if !references.is_empty() {
        let mut text = String::new();
        for blob in references {
            let relative = blob.strip_prefix(root).unwrap_or(&blob);
            let parts: Vec<_> = relative
                .components()
                .map(|part| part.as_os_str().to_string_lossy())
                .collect();
            text.push_str(&parts.join("/"));
            text.push('\n');
        }
        let temporary = disk::beside(&manifest, "new");
        disk::write_atomically(&manifest, &temporary, text.as_bytes())?;
        if let Ok(file) = fs::OpenOptions::new().write(true).open(&manifest) {
            disk::set_mode(file.file(), 0o666);
        }
        return Ok(false);
    }
    disk::remove_if_there(payload)?;
    disk::remove_if_there(&manifest)?;
    Ok(true)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::scan::scan;

    const HASH: &str = "abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcd";

    fn store(root: &Path, repos: &[&str]) -> PathBuf {
        let payload = root.join("blobs/ab").join(HASH);
        fs::create_dir_all(payload.parent().unwrap()).unwrap();
        fs::write(root.join("blobs").join(STORE_MARKER), "1\n").unwrap();
        fs::write(&payload, "payload").unwrap();
        let mut manifest = String::from("../../etc/blobs/x\nmodels--gone--x/blobs/e\n");
        for repo in repos {
            let dir = root.join(repo);
            let commit = "1".repeat(40);
            fs::create_dir_all(dir.join("blobs")).unwrap();
            fs::create_dir_all(dir.join("snapshots").join(&commit)).unwrap();
            crate::link::symlink(&Path::new("../../blobs/ab").join(HASH), &dir.join("blobs/etag")).unwrap();
            crate::link::symlink(
                Path::new("../../blobs/etag"),
                &dir.join("snapshots").join(&commit).join("f"),
            )
            .unwrap();
            manifest.push_str(&format!("{repo}/blobs/etag\n"));
        }
        fs::write(payload.with_extension("refs"), manifest).unwrap();
        payload
    }

    #[test]
    fn a_shared_payload_counts_once_in_the_cache_and_fully_in_each_repository() {
        let dir = tempfile::tempdir().unwrap();
        store(dir.path(), &["models--o--a", "models--o--b"]);
        let report = scan(dir.path()).unwrap();
        assert_eq!(report.warnings, []);
        assert_eq!((report.size, report.repos[0].size, report.repos[1].size), (7, 7, 7));
        assert_eq!(report.shared[0].references.as_ref().unwrap().len(), 2);
    }

    #[test]
    fn c_056_an_unmarked_folder_is_not_ours() {
        let dir = tempfile::tempdir().unwrap();
        store(dir.path(), &[]);
        fs::write(dir.path().join("blobs").join(STORE_MARKER), "2\n").unwrap();
        assert!(!is_marked(&dir.path().join("blobs")));
        assert_eq!(scan(dir.path()).unwrap().warnings.len(), 1);
    }

    #[test]
    fn c_059_c_060_a_payload_goes_with_its_last_reference_and_never_without_a_manifest() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let payload = store(&root, &["models--o--a", "models--o--b"]);
        fs::remove_file(root.join("models--o--a/blobs/etag")).unwrap();
        assert!(!sweep(&root, &payload).unwrap());
        assert_eq!(
            fs::read_to_string(payload.with_extension("refs")).unwrap(),
            "models--o--b/blobs/etag\n"
        );
        fs::remove_file(root.join("models--o--b/blobs/etag")).unwrap();
        assert!(sweep(&root, &payload).unwrap());
        assert!(!payload.exists() && !payload.with_extension("refs").exists());

        let payload = store(&root, &[]);
        fs::remove_file(payload.with_extension("refs")).unwrap();
        assert!(!sweep(&root, &payload).unwrap());
        assert!(payload.exists());
    }
}
