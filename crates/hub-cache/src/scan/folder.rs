//! A folder whose entries are looked at by their names alone: the system need not go through its whole path each time.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

#[cfg(unix)]
use std::os::fd::OwnedFd;

use fs_err as fs;
#[cfg(unix)]
use rustix::fs::{Mode, OFlags};

#[cfg(unix)]
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// What the system says of a file.
pub(super) struct Facts {
    pub(super) is_dir: bool,
    pub(super) is_link: bool,
    pub(super) size: u64,
    pub(super) accessed: SystemTime,
    pub(super) modified: SystemTime,
}

impl Facts {
    #[cfg(target_os = "linux")]
    fn kind(&self) -> Kind {
        match (self.is_dir, self.is_link) {
            (true, _) => Kind::Folder,
            (_, true) => Kind::Link,
            _ => Kind::File,
        }
    }
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

/// What an entry of a folder is, by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    Link,
    /// A file, or whatever else is neither a folder nor a link.
    File,
}

/// One entry of a folder.
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) kind: Kind,
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
            handle: rustix::fs::open(&path, FOLDER, Mode::empty()).ok(),
            path,
        }
    }

    /// A folder in this one.
    pub(super) fn inner(&self, name: &OsStr) -> Self {
        let path = self.path.join(name);
        #[cfg(unix)]
        if let Some(handle) = &self.handle {
            let handle = rustix::fs::openat(handle, name, FOLDER, Mode::empty()).ok();
            return Self { path, handle };
        }
        Self::new(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this is a folder, or a link to one, that may be looked into.
    pub(super) fn is_there(&self) -> bool {
        #[cfg(unix)]
        if self.handle.is_some() {
            return true;
        }
        self.path.is_dir()
    }

    /// Its entries, in no order.
    pub(super) fn entries(&self) -> io::Result<Vec<Entry>> {
        #[cfg(target_os = "linux")]
        if let Some(handle) = &self.handle {
            return self.list(handle);
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let kind = entry.file_type().map_or(Kind::File, |kind| match () {
                () if kind.is_dir() => Kind::Folder,
                () if kind.is_symlink() => Kind::Link,
                () => Kind::File,
            });
            found.push(Entry {
                name: entry.file_name(),
                kind,
            });
        }
        Ok(found)
    }

    /// By the folder that is open already: a scan of many small folders asks the system half as often.
    #[cfg(target_os = "linux")]
    fn list(&self, handle: &OwnedFd) -> io::Result<Vec<Entry>> {
        use rustix::fs::{FileType, RawDir, SeekFrom, seek};
        use std::os::unix::ffi::OsStrExt as _;

        let mut buffer = Vec::with_capacity(8 << 10);
        seek(handle, SeekFrom::Start(0))?;
        let mut listing = RawDir::new(handle, buffer.spare_capacity_mut());
        let mut found = Vec::new();
        while let Some(entry) = listing.next() {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            let kind = match entry.file_type() {
                _ if name == "." || name == ".." => continue,
                FileType::Directory => Kind::Folder,
                FileType::Symlink => Kind::Link,
                // Some file systems do not say.
                FileType::Unknown => self.look_at(name).map_or(Kind::File, |facts| facts.kind()),
                _ => Kind::File,
            };
            found.push(Entry {
                name: name.to_owned(),
                kind,
            });
        }
        Ok(found)
    }

    /// The text of a small file.
    pub(super) fn read_text(&self, name: &OsStr) -> io::Result<String> {
        #[cfg(unix)]
        if let Some(handle) = &self.handle {
            use std::io::Read as _;
            // A pipe that somebody put there must not be waited for.
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = std::fs::File::from(rustix::fs::openat(handle, name, flags, Mode::empty())?);
            let mut text = String::with_capacity(64);
            // Without the end that `take` sets, the size would be asked for first.
            file.take(u64::MAX).read_to_string(&mut text)?;
            return Ok(text);
        }
        fs::read_to_string(self.path.join(name))
    }

    /// The text of a link.
    pub(super) fn read_link(&self, name: &OsStr) -> io::Result<PathBuf> {
        #[cfg(unix)]
        if let Some(handle) = &self.handle {
            use std::mem::MaybeUninit;
            use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
            let mut buffer = [MaybeUninit::uninit(); 256];
            let (text, room) = rustix::fs::readlinkat_raw(handle, name, &mut buffer)?;
            if !room.is_empty() {
                return Ok(PathBuf::from(OsStr::from_bytes(text)));
            }
            // It may be longer.
            let text = rustix::fs::readlinkat(handle, name, Vec::with_capacity(1024))?;
            return Ok(OsString::from_vec(text.into_bytes()).into());
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
            for length in [255, 256, 257, 2000] {
                let text = "x".repeat(length);
                let name = format!("link of {length}");
                std::os::unix::fs::symlink(&text, dir.path().join(&name)).unwrap();
                assert_eq!(folder.read_link(OsStr::new(&name)).unwrap(), Path::new(&text));
            }
        }
    }

    #[test]
    fn lists_and_reads_what_lies_in_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("folder")).unwrap();
        fs::write(dir.path().join("folder/main"), "text").unwrap();
        // More than one answer of the system holds.
        for number in 0..500 {
            fs::write(dir.path().join(format!("{number:0>100}")), "").unwrap();
        }
        let folder = Folder::new(dir.path().to_owned());
        // Again, the same: a listing starts at the start.
        for _ in 0..2 {
            let entries = folder.entries().unwrap();
            assert_eq!(entries.len(), 501);
            let folders: Vec<_> = entries.iter().filter(|entry| entry.kind == Kind::Folder).collect();
            assert_eq!((folders.len(), folders[0].name.as_os_str()), (1, OsStr::new("folder")));
        }
        let inner = folder.inner(OsStr::new("folder"));
        assert_eq!(inner.path(), dir.path().join("folder"));
        assert_eq!(inner.read_text(OsStr::new("main")).unwrap(), "text");
        assert!(folder.is_there() && !folder.inner(OsStr::new("none")).is_there());
        let none = folder.inner(OsStr::new("none")).entries();
        assert_eq!(none.err().unwrap().kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn does_not_wait_for_a_pipe() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        let folder = Folder::new(dir.path().to_owned());
        assert_eq!(folder.read_text(OsStr::new("pipe")).unwrap(), "");
    }
}
