//! The few ways in which this crate touches the disk: unique names, atomic writes, folders that cannot be left.

use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fs_err as fs;

use crate::error::{Error, Result};
use crate::fault;

/// Eight random hexadecimal digits, for a name that nobody else has.
pub(crate) fn hex8() -> String {
    // The standard library's hash keys come from the system's source of randomness, one more for each.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    let bits = hasher.finish();
    format!("{:08x}", (bits ^ (bits >> 32)) as u32)
}

/// Writes a file so that it is there whole or not at all: into `temporary`, then by rename.
///
/// Both lie on one file system; the mode is what the process gives new files.
pub(crate) fn write_atomically(path: &Path, temporary: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(temporary)?;
        file.write_all(bytes)?;
        drop(file);
        fault::step("a small file is written");
        fs::rename(temporary, path)
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(temporary);
    })?;
    fault::step("a small file has its name");
    Ok(())
}

/// Creates the folders of `relative`'s parts but the last below `root`, which is created too.
///
/// A folder on the way that is a link may stay inside `root`; one that leads out of it is an error, for a listing must
/// not decide where files go.
pub(crate) fn create_parents_below(root: &Path, relative: &str) -> Result<()> {
    fs::create_dir_all(root)?;
    let mut dir = root.to_owned();
    let mut parts = relative.split('/').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            break;
        }
        dir.push(part);
        match fs::symlink_metadata(&dir) {
            Ok(meta) if meta.is_dir() => {}
            Ok(meta) if meta.is_symlink() => check_link_stays(root, &dir)?,
            Ok(_) => {
                return Err(crate::error::at(
                    &dir,
                    std::io::Error::new(ErrorKind::NotADirectory, "a file is where a folder is needed"),
                ));
            }
            Err(err) if err.kind() == ErrorKind::NotFound => match fs::create_dir(&dir) {
                Err(err) if err.kind() != ErrorKind::AlreadyExists => return Err(err.into()),
                _ => {}
            },
            Err(err) => return Err(err.into()),
        }
    }
    Ok(())
}

/// Creates the folder `relative` below `root`, as [`create_parents_below`] does.
pub(crate) fn create_below(root: &Path, relative: &str) -> Result<()> {
    create_parents_below(root, &format!("{relative}/-"))
}

fn check_link_stays(root: &Path, link: &Path) -> Result<()> {
    let stays = match (fs::canonicalize(root), fs::canonicalize(link)) {
        (Ok(root), Ok(target)) => target.starts_with(&root) && target.is_dir(),
        _ => false,
    };
    if stays {
        Ok(())
    } else {
        Err(Error::LeavesFolder {
            link: link.to_owned(),
            root: root.to_owned(),
        })
    }
}

/// Flushes a finished file's bytes to the disk, so that a power loss cannot leave a short file under a final name.
pub(crate) fn sync(path: &Path) -> Result<()> {
    fs::OpenOptions::new().read(true).write(true).open(path)?.sync_data()?;
    Ok(())
}

/// Copies a file to `target` so that it is there whole or not at all: into `temporary`, then by rename. Content only: not
/// the mode, not the times.
///
/// Both lie on one file system. What a process that dies midway leaves is at `temporary`.
pub(crate) fn copy_atomically(source: &Path, temporary: &Path, target: &Path) -> Result<()> {
    copy_to_new(source, temporary)?;
    rename_over(temporary, target).inspect_err(|_| {
        let _ = fs::remove_file(temporary);
    })?;
    fault::step("a copy has its name");
    Ok(())
}

/// Copies a file's content to a name that is free; leaves nothing there when that fails.
pub(crate) fn copy_to_new(source: &Path, target: &Path) -> Result<()> {
    let copy = || -> std::io::Result<()> {
        let mut from = fs::File::open(source)?;
        let mut to = fs::OpenOptions::new().write(true).create_new(true).open(target)?;
        std::io::copy(&mut from, &mut to)?;
        Ok(())
    };
    copy().inspect_err(|_| {
        let _ = fs::remove_file(target);
    })?;
    fault::step("a copy is written");
    Ok(())
}

/// Moves a file to `target`, replacing what is there; where the two lie on different file systems, by copying to a name
/// beside the target first. Atomic for whoever looks at `target`.
pub(crate) fn move_atomically(source: &Path, target: &Path) -> Result<()> {
    match rename_over(source, target) {
        Ok(()) => Ok(()),
        Err(err) if err.kind() == ErrorKind::CrossesDevices => {
            copy_atomically(source, &beside(target, "new"), target)?;
            sync(target)?;
            fs::remove_file(source)?;
            Ok(())
        }
        Err(err) => Err(err.into()),
    }
}

/// Renames over what is there. Some mounts refuse that: then the old file steps aside for a moment.
pub(crate) fn rename_over(source: &Path, target: &Path) -> std::io::Result<()> {
    match fs::rename(source, target) {
        Err(err) if matches!(err.kind(), ErrorKind::AlreadyExists) && fs::symlink_metadata(target).is_ok() => {
            let old = beside(target, "old");
            fs::rename(target, &old)?;
            match fs::rename(source, target) {
                Ok(()) => fs::remove_file(&old),
                Err(err) => {
                    let _ = fs::rename(&old, target);
                    Err(err)
                }
            }
        }
        other => other,
    }
}

/// `.{name}.{hex8}.{kind}` in the same folder: the Python client's own form of such names.
pub(crate) fn beside(path: &Path, kind: &str) -> PathBuf {
    let name = path.file_name().unwrap_or(OsStr::new("file")).to_string_lossy();
    // A name may have 255 bytes and this one is longer.
    let short: String = name.chars().take(40).collect();
    path.with_file_name(format!(".{short}.{}.{kind}", hex8()))
}

/// `.{hex8}.{kind}`: a file name that nobody has and that nothing scans.
pub(crate) fn temporary_name(kind: &str) -> String {
    format!(".{}.{kind}", hex8())
}

/// Removes a file or link; that it is not there is fine.
pub(crate) fn remove_if_there(path: &Path) -> std::io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(false),
        Err(err) => Err(err),
    }
}

/// Seconds since 1970, as a float: what Python's `st_mtime` and `time.time()` are.
pub(crate) fn unix_seconds(time: SystemTime) -> f64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => after.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

/// Sets the mode of an open file, whatever the umask; best effort, for the owner may be another user.
#[cfg(unix)]
pub(crate) fn set_mode(file: &File, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    if let Err(err) = file.set_permissions(std::fs::Permissions::from_mode(mode)) {
        tracing::debug!(%err, "cannot set a file's mode");
    }
}

#[cfg(not(unix))]
pub(crate) fn set_mode(_file: &File, _mode: u32) {}

/// Says whose folder it is and what its mode allows, where a write towards one of `targets` was refused for lack of
/// permission. Another error, and one that no folder explains, stays as it is.
#[cfg(unix)]
pub(crate) fn whose_folder(err: Error, targets: &[&Path]) -> Error {
    use std::os::unix::fs::MetadataExt;

    use rustix::fs::Access;

    let source = match err {
        Error::Io(source) if source.kind() == ErrorKind::PermissionDenied => source,
        err => return err,
    };
    for target in targets {
        // What does not exist would be made in the nearest folder that does.
        let found = target.ancestors().find_map(|dir| Some((dir, fs::metadata(dir).ok()?)));
        if let Some((dir, meta)) = found
            && meta.is_dir()
            && rustix::fs::access(dir, Access::WRITE_OK | Access::EXEC_OK).is_err()
        {
            return Error::NotWritable {
                path: dir.to_owned(),
                owner: meta.uid(),
                group: meta.gid(),
                mode: meta.mode() & 0o7777,
                source,
            };
        }
    }
    Error::Io(source)
}

#[cfg(not(unix))]
pub(crate) fn whose_folder(err: Error, _targets: &[&Path]) -> Error {
    err
}

/// Bytes that this user may still write below `path`, asked at the nearest folder that exists; none if unknown.
#[cfg(unix)]
pub(crate) fn free_space(path: &Path) -> Option<u64> {
    let mut dir = Some(path);
    while let Some(at) = dir {
        if at.exists() {
            let stat = rustix::fs::statvfs(at).ok()?;
            return Some(stat.f_bavail.saturating_mul(stat.f_frsize));
        }
        dir = at.parent();
    }
    None
}

#[cfg(not(unix))]
pub(crate) fn free_space(_path: &Path) -> Option<u64> {
    None
}

/// Refuses what certainly does not fit on the disk.
pub(crate) fn check_space(dir: &Path, needed: u64) -> Result<()> {
    match free_space(dir) {
        Some(available) if available < needed => Err(Error::NoSpace {
            path: dir.to_owned(),
            needed,
            available,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_hex() {
        let names: std::collections::HashSet<String> = (0..1000).map(|_| hex8()).collect();
        assert!(names.len() > 998, "{}", names.len());
        assert!(
            names
                .iter()
                .all(|n| n.len() == 8 && n.bytes().all(|b| b.is_ascii_hexdigit()))
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_linked_folder_that_leaves_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("out")).unwrap();
        fs::create_dir(root.path().join("real")).unwrap();
        std::os::unix::fs::symlink("real", root.path().join("inner")).unwrap();
        assert!(create_parents_below(root.path(), "inner/x/f").is_ok());
        assert!(root.path().join("real/x").is_dir());
        let err = create_parents_below(root.path(), "out/x/f").unwrap_err();
        assert!(matches!(err, Error::LeavesFolder { .. }), "{err}");
        assert!(!outside.path().join("x").exists());
    }

    /// Linux keeps `/dev/shm` in memory, which is another file system than that of temporary folders, or this fails.
    #[cfg(target_os = "linux")]
    #[test]
    fn c_083_a_move_to_another_file_system_is_seen_whole_or_not_at_all() {
        use std::os::unix::fs::MetadataExt;
        use std::sync::atomic::{AtomicBool, Ordering};

        let shm = tempfile::tempdir_in("/dev/shm").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let dev = |path: &Path| fs::metadata(path).unwrap().dev();
        assert_ne!(dev(shm.path()), dev(dir.path()), "this test needs two file systems");
        let (source, target) = (shm.path().join("partial"), dir.path().join("f"));
        let (old, new) = (vec![1; 100], vec![2; 8 << 20]);
        fs::write(&target, &old).unwrap();
        fs::write(&source, &new).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let length = fs::metadata(&target).unwrap().len() as usize;
                    assert!(length == old.len() || length == new.len(), "{length}");
                }
            });
            move_atomically(&source, &target).unwrap();
            done.store(true, Ordering::SeqCst);
            reader.join().unwrap();
        });
        assert!(fs::read(&target).unwrap() == new);
        assert!(!source.exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_atomic_write_leaves_nothing_beside() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("f");
        write_atomically(&target, &dir.path().join("t"), b"one").unwrap();
        write_atomically(&target, &dir.path().join("t"), b"two").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write_atomically(&dir.path().join("no/f"), &dir.path().join("t"), b"x").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(free_space(&dir.path().join("not/there")).is_some());
    }

    #[test]
    fn w_016_what_cannot_fit_is_refused_before_it_is_fetched() {
        let dir = tempfile::tempdir().unwrap();
        assert!(check_space(dir.path(), 1).is_ok());
        if cfg!(unix) {
            let err = check_space(dir.path(), u64::MAX).unwrap_err();
            assert!(matches!(err, Error::NoSpace { .. }), "{err}");
        }
    }
}
