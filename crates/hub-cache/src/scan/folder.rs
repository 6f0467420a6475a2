//! A folder whose entries are looked at by their names alone: the system need not go through its whole path each time.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

#[cfg(unix)]
use std::os::fd::OwnedFd;

use fs_err as fs;

/// What the system says of a file.
pub(super) struct Facts {
    pub(super) is_dir: bool,
    pub(super) is_link: bool,
    pub(super) size: u64,
    pub(super) accessed: SystemTime,
    pub(super) modified: SystemTime,
}

impl From<std::fs::Metadata> for Facts {
    fn from(meta: std::fs::Metadata) -> Self {
        Self {
            is_dir: meta.is_dir(),
            is_link: meta.is_symlink(),
            size: meta.len(),
            accessed: meta.accessed().unwrap_or(SystemTime::UNIX_EPOCH),
            modified: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }
}

pub(super) struct Folder {
    path: PathBuf,
    /// None where it could not be opened: then by paths.
    #[cfg(unix)]
    handle: Option<OwnedFd>,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            #[cfg(unix)]
            handle: {
                use rustix::fs::{Mode, OFlags, open};
                open(
                    &path,
                    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
                    Mode::empty(),
                )
                .ok()
            },
            path,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The text of a link.
    pub(super) fn read_link(&self, name: &OsStr) -> io::Result<PathBuf> {
        #[cfg(unix)]
        if let Some(handle) = &self.handle {
            use std::os::unix::ffi::OsStringExt as _;
            let text = rustix::fs::readlinkat(handle, name, Vec::with_capacity(256))?;
            return Ok(std::ffi::OsString::from_vec(text.into_bytes()).into());
        }
        fs::read_link(self.path.join(name))
    }

    /// What the system says of an entry itself, not of what a link leads to.
    pub(super) fn look_at(&self, name: &OsStr) -> io::Result<Facts> {
        #[cfg(unix)]
        if let Some(handle) = &self.handle {
            use rustix::fs::{AtFlags, FileType, statat};
            let stat = statat(handle, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            return Ok(Facts {
                is_dir: kind == FileType::Directory,
                is_link: kind == FileType::Symlink,
                size: u64::try_from(stat.st_size).unwrap_or_default(),
                accessed: time(stat.st_atime, stat.st_atime_nsec as u32),
                modified: time(stat.st_mtime, stat.st_mtime_nsec as u32),
            });
        }
        fs::symlink_metadata(self.path.join(name)).map(Facts::from)
    }
}

/// Seconds since 1970, and nanoseconds behind them.
#[cfg(unix)]
fn time(seconds: i64, nanoseconds: u32) -> SystemTime {
    use std::time::Duration;

    let behind = Duration::from_nanos(nanoseconds.into());
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let start = SystemTime::UNIX_EPOCH;
    let second = match seconds {
        0.. => start.checked_add(whole),
        _ => start.checked_sub(whole),
    };
    second.and_then(|second| second.checked_add(behind)).unwrap_or(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_the_paths_say() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, b"12345").unwrap();
        let early = SystemTime::UNIX_EPOCH - std::time::Duration::from_millis(1500);
        for modified in [early, SystemTime::now()] {
            std::fs::File::options()
                .write(true)
                .open(&file)
                .unwrap()
                .set_modified(modified)
                .unwrap();
            let facts = Folder::new(dir.path().to_owned()).look_at(OsStr::new("file")).unwrap();
            let meta = fs::metadata(&file).unwrap();
            assert_eq!((facts.size, facts.is_dir, facts.is_link), (5, false, false));
            assert_eq!(
                (facts.modified, facts.accessed),
                (meta.modified().unwrap(), meta.accessed().unwrap())
            );
        }
        let folder = Folder::new(dir.path().to_owned());
        assert_eq!(
            folder.look_at(OsStr::new("gone")).err().unwrap().kind(),
            io::ErrorKind::NotFound
        );
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("../there", dir.path().join("link")).unwrap();
            assert_eq!(folder.read_link(OsStr::new("link")).unwrap(), Path::new("../there"));
            assert!(folder.look_at(OsStr::new("link")).unwrap().is_link);
        }
    }
}
