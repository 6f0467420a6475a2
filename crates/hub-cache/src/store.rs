//! The store that repositories share: one payload for each Xet hash, which their contents are links to.
//!
//! Layout, order and locks are the Python client's (since 1.32), which makes such a store as we do: a payload is linked
//! instead of fetched, what has come by Xet is put there, and a payload that nobody refers to any more is let go of.
//! Whatever goes wrong leaves a repository with a content of its own. Without its mark a folder is somebody else's.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use hub_types::XetHash;

use crate::disk;
use crate::error::Result;
use crate::layout::{Layout, STORE_MARKER, normal, repo_of_folder};
use crate::link;
use crate::lock::{self, FileLock};
use crate::scan::SharedBlob;

mod unshare;

pub use unshare::{Unshared, unshare};

/// The version of the layout that we know.
const VERSION: &[u8] = b"1\n";
/// How long a payload's lock is waited for; then its repository has a content of its own.
const LOCK_LIMIT: Duration = Duration::from_secs(10);

/// Whether the folder is a store of the version that we know. Without its mark it is somebody else's.
pub(crate) fn is_marked(dir: &Path) -> bool {
    let marker = dir.join(STORE_MARKER);
    fs::symlink_metadata(dir).is_ok_and(|meta| meta.is_dir())
        && fs::symlink_metadata(&marker).is_ok_and(|meta| meta.is_file())
        && fs::read(&marker).is_ok_and(|text| text == VERSION)
}

/// The place of one payload in a cache's store.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    root: PathBuf,
    payload: PathBuf,
}

impl Entry {
    pub(crate) fn new(layout: &Layout, hash: &XetHash) -> Self {
        Self {
            root: layout.root().to_owned(),
            payload: layout.shared_blob(hash),
        }
    }

    fn store(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// Whether the payload is here, whole as far as its size tells, and may be read.
    pub(crate) fn is_usable(&self, size: u64) -> bool {
        is_marked(&self.store())
            && fs::symlink_metadata(&self.payload).is_ok_and(|meta| meta.is_file() && meta.len() == size)
            && fs::File::open(&self.payload).is_ok()
    }

    /// Makes `blob`, a repository's content, a link to the payload, if that is usable; false if not, for any reason.
    pub(crate) fn link(&self, blob: &Path, size: u64) -> bool {
        let linked = || -> Result<bool> {
            if !self.is_usable(size) {
                return Ok(false);
            }
            let Some(_lock) = self.lock()? else { return Ok(false) };
            // It may have been swept while this process waited.
            if !self.is_usable(size) {
                return Ok(false);
            }
            let link = self.make_link(blob)?;
            let done = self.refer(blob).and_then(|()| disk::rename_over(&link, blob));
            done.inspect_err(|_| remove(&link))?;
            Ok(true)
        };
        linked().unwrap_or_else(|err| {
            tracing::debug!(%err, blob = %blob.display(), "cannot use the shared payload");
            false
        })
    }

    /// Puts a content that has just come, and was compared with its hash, into the store, and a link into its place.
    /// With `replace`, a payload that is there is replaced. False if the content stays where it is, for any reason.
    ///
    /// # Errors
    ///
    /// When the content was moved and can neither be linked nor brought back.
    pub(crate) fn publish(&self, blob: &Path, size: u64, replace: bool) -> Result<bool> {
        let ready = || -> Result<Option<FileLock>> {
            let prefix = self.payload.parent().unwrap_or(&self.root);
            if !make_store(&self.root, &self.store())? || !make_dir(&self.root, prefix)? {
                return Ok(None);
            }
            self.lock()
        };
        let told = |err: &dyn std::fmt::Display| {
            tracing::debug!(%err, blob = %blob.display(), "cannot put a content into the shared store");
        };
        let _lock = match ready() {
            Ok(Some(lock)) => lock,
            Ok(None) => return Ok(false),
            Err(err) => {
                told(&err);
                return Ok(false);
            }
        };
        let prepared = || -> std::io::Result<(PathBuf, bool)> {
            let link = self.make_link(blob)?;
            let moved = || -> std::io::Result<bool> {
                self.refer(blob)?;
                if !replace && self.is_usable(size) {
                    return Ok(false);
                }
                give_to_all(&self.root, blob, &self.payload)?;
                disk::rename_over(blob, &self.payload)?;
                Ok(true)
            };
            let moved = moved().inspect_err(|_| remove(&link))?;
            Ok((link, moved))
        };
        let (link, moved) = match prepared() {
            Ok(prepared) => prepared,
            Err(err) => {
                told(&err);
                return Ok(false);
            }
        };
        if let Err(err) = disk::rename_over(&link, blob) {
            told(&err);
            remove(&link);
            if moved {
                // Under the lock, so that nobody sweeps the payload before it is copied.
                let copy = disk::beside(blob, "new");
                disk::copy_atomically(&self.payload, &copy, blob)?;
            }
            return Ok(false);
        }
        Ok(true)
    }

    /// Lets go of the payload if no content is a link to it; the bytes that became free.
    ///
    /// Under the payload's own lock, so that nobody links it meanwhile. Without a readable manifest nothing is done.
    fn sweep(&self) -> Result<Option<u64>> {
        let Some(_lock) = self.lock()? else { return Ok(None) };
        let Some(references) = references(&self.root, &self.payload) else {
            return Ok(None);
        };
        let manifest = manifest(&self.payload);
        if !references.is_empty() {
            let lines = references.iter().filter_map(|blob| line(&self.root, blob));
            let text: String = lines.map(|line| line + "\n").collect();
            let temporary = disk::beside(&manifest, "new");
            disk::write_atomically(&manifest, &temporary, text.as_bytes())?;
            let file = fs::OpenOptions::new().write(true).open(&manifest)?;
            disk::set_mode(file.file(), 0o666);
            file.sync_all()?;
            return Ok(None);
        }
        let size = match fs::symlink_metadata(&self.payload) {
            Ok(meta) if meta.is_file() => meta.len(),
            _ => return Ok(None),
        };
        // The manifest second: without it nobody would ever let go of the payload.
        disk::remove_if_there(&self.payload)?;
        disk::remove_if_there(&manifest)?;
        Ok(Some(size))
    }

    /// The payload's lock, or none where nobody can be kept out: there the store is left alone.
    fn lock(&self) -> Result<Option<FileLock>> {
        // As the Python client does: every user of a shared cache must be able to lock it, whatever the umask.
        let lock = lock::lock_shared(&with_suffix(&self.payload, ".lock"), Some(LOCK_LIMIT))?;
        Ok(lock.is_exclusive().then_some(lock))
    }

    /// A link to the payload under a name beside `blob` that nothing scans.
    fn make_link(&self, blob: &Path) -> std::io::Result<PathBuf> {
        let temporary = disk::beside(blob, "shared");
        let inside = self.payload.strip_prefix(&self.root).unwrap_or(&self.payload);
        link::symlink(&Path::new("..").join("..").join(inside), &temporary)?;
        Ok(temporary)
    }

    /// Notes that `blob` is a link to the payload, on the disk before the link is seen: a link that no manifest knows
    /// of would lose its payload to the next sweep.
    fn refer(&self, blob: &Path) -> std::io::Result<()> {
        let Some(line) = line(&self.root, blob) else {
            return Err(ErrorKind::InvalidInput.into());
        };
        let path = manifest(&self.payload);
        let mut file = lock::options().read(true).append(true).create(true).open(&path)?;
        if !file.metadata()?.is_file() {
            return Err(ErrorKind::InvalidInput.into());
        }
        disk::set_mode(&file, 0o666);
        let mut text = format!("{line}\n");
        // A line that was cut short by a full disk must not swallow this one.
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                text.insert(0, '\n');
            }
        }
        if file.write(text.as_bytes())? != text.len() {
            return Err(ErrorKind::WriteZero.into());
        }
        file.sync_all()
    }
}

/// Lets go of a payload that no content is a link to; true if it was removed.
pub(crate) fn sweep(root: &Path, payload: &Path) -> Result<bool> {
    let entry = Entry {
        root: root.to_owned(),
        payload: payload.to_owned(),
    };
    // A link may lead into the store of a system-wide cache, which is not ours to sweep.
    let ours = payload.starts_with(entry.store()) && is_payload(payload);
    Ok(ours && is_marked(&entry.store()) && entry.sweep()?.is_some())
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
            let path = entry.path();
            if !is_payload(&path) || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
                continue;
            }
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

/// Whether a path has a payload's name: a hash in lower case, below its first two digits.
fn is_payload(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = path.parent().and_then(Path::file_name).unwrap_or_default();
    name.parse::<XetHash>().is_ok_and(|hash| hash.to_string() == name) && prefix == std::ffi::OsStr::new(&name[..2])
}

fn manifest(payload: &Path) -> PathBuf {
    with_suffix(payload, ".refs")
}

fn with_suffix(payload: &Path, suffix: &str) -> PathBuf {
    let mut name = payload.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The contents that are links to a payload, by its manifest, sorted; none when that cannot be told.
pub(crate) fn references(root: &Path, payload: &Path) -> Option<Vec<PathBuf>> {
    let path = manifest(payload);
    if !fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file()) {
        return None;
    }
    let text = fs::read_to_string(path).ok()?;
    let lines: BTreeSet<&str> = text.lines().collect();
    let mut found = Vec::new();
    for line in lines {
        found.extend(referenced(root, payload, line).ok()?);
    }
    Some(found)
}

/// The content that a manifest's line names, if it is a link to the payload.
fn referenced(root: &Path, payload: &Path, line: &str) -> std::io::Result<Option<PathBuf>> {
    let parts: Vec<&str> = line.split('/').collect();
    let [repo, "blobs", name] = parts[..] else {
        return Ok(None);
    };
    if repo_of_folder(repo).is_none() || [repo, name].iter().any(|part| part.is_empty() || *part == "..") {
        return Ok(None);
    }
    let blob = root.join(repo).join("blobs").join(name);
    match fs::symlink_metadata(&blob) {
        Ok(meta) if !meta.is_symlink() => return Ok(None),
        Err(err) if matches!(err.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(err) => return Err(err),
        Ok(_) => {}
    }
    let target = normal(&root.join(repo).join("blobs").join(fs::read_link(&blob)?));
    Ok((target == payload).then_some(blob))
}

/// A content as a manifest names it: repository, `blobs`, etag.
fn line(root: &Path, blob: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = blob
        .strip_prefix(root)
        .ok()?
        .components()
        .map(|part| part.as_os_str().to_str())
        .collect();
    match parts?[..] {
        [repo, "blobs", name] if repo_of_folder(repo).is_some() && !name.contains(['\n', '\r']) => {
            Some(format!("{repo}/blobs/{name}"))
        }
        _ => None,
    }
}

/// Makes the store and marks it; false where the folder holds something that is not ours.
fn make_store(root: &Path, store: &Path) -> std::io::Result<bool> {
    match fs::create_dir(store) {
        Err(err) if err.kind() != ErrorKind::AlreadyExists => return Err(err),
        _ => {}
    }
    if is_marked(store) {
        return Ok(true);
    }
    if !fs::symlink_metadata(store)?.is_dir() || !clear_marks(store)? {
        tracing::debug!(store = %store.display(), "a folder without the mark of a shared store is left alone");
        return Ok(false);
    }
    repair_mode(root, store)?;
    let temporary = store.join(format!("{STORE_MARKER}.{}.tmp", disk::hex8()));
    let marked = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        file.write_all(VERSION)?;
        if let Some(mode) = payload_mode(root) {
            disk::set_mode(file.file(), mode);
        }
        drop(file);
        disk::rename_over(&temporary, &store.join(STORE_MARKER))
    };
    marked().inspect_err(|_| remove(&temporary))?;
    Ok(is_marked(store))
}

/// Removes marks that were never finished; true if the folder is empty then.
fn clear_marks(store: &Path) -> std::io::Result<bool> {
    let mut found = Vec::new();
    for entry in fs::read_dir(store)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_mark = name
            .to_str()
            .and_then(|name| name.strip_prefix(STORE_MARKER)?.strip_prefix('.')?.strip_suffix(".tmp"))
            .is_some_and(|hex| hex.len() == 8 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
        if !is_mark || !entry.file_type()?.is_file() || !VERSION.starts_with(&fs::read(entry.path())?) {
            return Ok(false);
        }
        found.push(entry.path());
    }
    for mark in found {
        disk::remove_if_there(&mark)?;
    }
    Ok(fs::read_dir(store)?.next().is_none())
}

/// Makes a folder of the store, with the root's mode; false where a file or link has its name.
fn make_dir(root: &Path, dir: &Path) -> std::io::Result<bool> {
    match fs::create_dir(dir) {
        Err(err) if err.kind() != ErrorKind::AlreadyExists => return Err(err),
        _ => {}
    }
    if !fs::symlink_metadata(dir)?.is_dir() {
        return Ok(false);
    }
    repair_mode(root, dir)?;
    Ok(true)
}

/// The mode of a payload: read-only, for everyone who may enter the cache's root. None where modes are not those of Unix.
#[cfg(unix)]
fn payload_mode(root: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let root = fs::metadata(root).map_or(0, |meta| meta.mode());
    let group = if root & 0o010 != 0 { 0o040 } else { 0 };
    let other = if root & 0o001 != 0 { 0o004 } else { 0 };
    Some(0o400 | group | other)
}

#[cfg(not(unix))]
fn payload_mode(_root: &Path) -> Option<u32> {
    None
}

/// Gives a folder of the store the root's mode, whatever the umask.
#[cfg(unix)]
fn repair_mode(root: &Path, dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let wanted = fs::metadata(root)?.mode() & 0o3777;
    if fs::symlink_metadata(dir)?.mode() & 0o7777 != wanted {
        fs::set_permissions(dir, std::fs::Permissions::from_mode(wanted))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn repair_mode(_root: &Path, _dir: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Makes a content read-only and readable by whom the cache is for.
#[cfg(unix)]
fn give_to_all(root: &Path, blob: &Path, payload: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let mode = payload_mode(root).unwrap_or(0o400);
    fs::set_permissions(blob, std::fs::Permissions::from_mode(mode))?;
    let group = fs::metadata(payload.parent().unwrap_or(root))?.gid();
    if fs::metadata(blob)?.gid() == group {
        return Ok(());
    }
    match std::os::unix::fs::chown(blob, None, Some(group)) {
        // In a wrong group it could not be read by the others.
        Err(err) if mode & 0o044 == 0o040 => Err(err),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn give_to_all(_root: &Path, _blob: &Path, _payload: &Path) -> std::io::Result<()> {
    Ok(())
}

fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
