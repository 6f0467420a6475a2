//! What any client leaves behind when it dies, told by its name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fs_err as fs;

use super::folder::{Entry, Folder, Kind};
use super::{DanglingLink, Found, Leftover, Oddity, Warning};
use crate::layout::{self, normal};

/// `main.0123abcd.tmp`
pub(super) fn is_leftover_ref(name: &str) -> bool {
    name.strip_suffix(".tmp")
        .and_then(|stem| stem.rsplit_once('.'))
        .is_some_and(|(_, hex)| is_hex8(hex))
}

pub(super) fn is_hex8(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A folder that tried whether links work: `tmp` and eight letters, with the probe's files and nothing else.
pub(super) fn is_probe(dir: &Path) -> bool {
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

/// A file that tried which mode new files get: `tmp_` and a UUID.
fn is_mode_probe(name: &str) -> bool {
    name.strip_prefix("tmp_")
        .is_some_and(|uuid| uuid.len() == 36 && uuid.matches('-').count() == 4)
}

/// Probes of modes and of links that lie in a repository's folder itself, as older Python clients leave them.
pub(super) fn list_probes(repo: &Path, entries: &[Entry], leftovers: &mut Vec<Leftover>) {
    for entry in entries {
        let path = || repo.join(&entry.name);
        let is_one = match entry.kind {
            Kind::File => is_mode_probe(&entry.name.to_string_lossy()),
            Kind::Folder | Kind::Link => is_probe(&path()),
        };
        if is_one {
            leftovers.extend(leftover(&path()));
        }
    }
}

/// Of the links that lead nowhere, the contents that are links themselves, and the files that lead to them.
pub(super) fn list_dangling(warnings: &[Warning], snapshots: &Path) -> Vec<DanglingLink> {
    let broken = warnings.iter().filter_map(|warning| match &warning.oddity {
        Oddity::BrokenLink(path) => Some(path),
        _ => None,
    });
    let blobs = snapshots.with_file_name("blobs");
    let mut found: BTreeMap<&Path, Vec<PathBuf>> = broken
        .filter(|path| path.parent() == Some(&blobs) && path.is_symlink())
        .map(|path| (path.as_path(), Vec::new()))
        .collect();
    if found.is_empty() {
        return Vec::new();
    }
    for entry in walkdir::WalkDir::new(snapshots).into_iter().flatten() {
        let path = entry.path();
        if let Ok(text) = fs::read_link(path)
            && let Some(files) = path
                .parent()
                .and_then(|dir| found.get_mut(normal(&dir.join(text)).as_path()))
        {
            files.push(entry.into_path());
        }
    }
    let links = found.into_iter().map(|(path, files)| DanglingLink {
        path: path.to_owned(),
        files,
    });
    links.collect()
}

/// Folders of locks whose repository is gone; each is as old as the last lock that was made in it.
pub(super) fn list_dead_locks(root: &Path) -> Vec<Leftover> {
    let Ok(entries) = fs::read_dir(root.join(".locks")) else {
        return Vec::new();
    };
    let mut found: Vec<Leftover> = entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let is_gone = || fs::symlink_metadata(root.join(&name)).is_err();
            layout::repo_of_folder(&name.to_string_lossy()).is_some()
                && entry.file_type().is_ok_and(|kind| kind.is_dir())
                && is_gone()
        })
        .filter_map(|entry| leftover(&entry.path()))
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Partial and temporary files among the contents.
pub(super) fn list_leftovers(blobs: &Folder, found: &mut Found) {
    let Ok(entries) = blobs.entries() else { return };
    for Entry { name, .. } in entries {
        let path = || blobs.path().join(&name);
        let name = name.to_string_lossy();
        if name.ends_with(".incomplete") {
            found.partials.extend(leftover(&path()));
        } else if is_temporary(&name) && !has_partial(&path()) {
            found.leftovers.extend(leftover(&path()));
        }
    }
    found.partials.sort_by(|a, b| a.path.cmp(&b.path));
}

/// The entries of a folder that have such a name.
pub(super) fn list_matching(dir: &Folder, is_one: fn(&str) -> bool, leftovers: &mut Vec<Leftover>) {
    let Ok(entries) = dir.entries() else { return };
    let matching = entries.iter().filter(|entry| is_one(&entry.name.to_string_lossy()));
    leftovers.extend(matching.filter_map(|entry| leftover(&dir.path().join(&entry.name))));
}

/// A listing that was being written, by the Python client or by us: `tmp` and eight letters or digits, `.tmp`.
pub(super) fn is_temporary_tree(name: &str) -> bool {
    let random = name.strip_prefix("tmp").and_then(|rest| rest.strip_suffix(".tmp"));
    random.is_some_and(|random| {
        let is_random = |b| matches!(b, b'0'..=b'9' | b'a'..=b'z' | b'_');
        random.len() == 8 && random.bytes().all(is_random)
    })
}

/// The temporary names of any version of the Python client, and ours.
pub(super) fn is_temporary(name: &str) -> bool {
    let ours = name
        .strip_prefix('.')
        .and_then(|rest| rest.rsplit_once('.'))
        .is_some_and(|(stem, kind)| {
            matches!(kind, "link" | "ref" | "new" | "old" | "gone" | "shared")
                && is_hex8(stem.rsplit('.').next().unwrap_or(stem))
        });
    ours || is_mode_probe(name) || name.ends_with(".incomplete.journal") || name.ends_with(".incomplete.journal.new")
}

/// Whether this is the journal of a partial file that is there: it goes with that.
pub(super) fn has_partial(journal: &Path) -> bool {
    journal.extension().is_some_and(|extension| extension == "journal") && journal.with_extension("").exists()
}

pub(super) fn leftover(path: &Path) -> Option<Leftover> {
    let meta = fs::symlink_metadata(path).ok()?;
    Some(Leftover {
        path: path.to_owned(),
        size: if meta.is_file() { meta.len() } else { 0 },
        modified: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH),
    })
}
