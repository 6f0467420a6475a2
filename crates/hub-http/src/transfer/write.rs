//! The partial file: positioned writes of what has arrived, from the buffers that it arrived in.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;

/// Bytes that have arrived one behind the other, on their way to the file.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) offset: u64,
    pub(super) chunks: Vec<Bytes>,
    length: u64,
    since: Instant,
}

impl Batch {
    pub(super) fn new(offset: u64) -> Self {
        Self {
            offset,
            chunks: Vec::new(),
            length: 0,
            since: Instant::now(),
        }
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        self.length += bytes.len() as u64;
        self.chunks.push(bytes);
    }

    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// For how long it has been gathered.
    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    pub(super) fn end(&self) -> u64 {
        self.offset + self.length
    }

    /// Gives what is there and goes on behind it.
    pub(super) fn take(&mut self) -> Self {
        let next = Self::new(self.end());
        std::mem::replace(self, next)
    }
}

/// The file that a download is gathered in. All methods block.
#[derive(Debug)]
pub(super) struct Partial {
    file: File,
    path: PathBuf,
    /// Whether it was there before this call: then it is the caller's, and is emptied instead of removed.
    existed: bool,
}

impl Partial {
    /// Opens the file, making it where it is missing; empties it unless `keep`.
    pub(super) fn open(path: &Path, keep: bool) -> io::Result<Self> {
        let existed = path.exists();
        let file = fs_err::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(!keep)
            .open(path)?;
        Ok(Self {
            file: file.into_parts().0,
            path: path.to_owned(),
            existed,
        })
    }

    /// Gives the file its size and, where the system can, its space: a full disk is told now, and the writes become
    /// half as costly.
    pub(super) fn allocate(&self, size: u64) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if size > 0 {
            use rustix::fs::{FallocateFlags, fallocate};
            use rustix::io::Errno;
            match fallocate(&self.file, FallocateFlags::empty(), 0, size) {
                Ok(()) => {}
                Err(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => {
                    // What was given before it ran out is given back.
                    let _ = self.file.set_len(0);
                    let message = format!("no room for {size} bytes in {}", self.path.display());
                    return Err(io::Error::new(io::ErrorKind::StorageFull, message));
                }
                // Not every file system can; then the space is taken as the bytes come.
                Err(_) => {}
            }
        }
        self.named(self.file.set_len(size))
    }

    /// Writes the chunks, one behind the other.
    pub(super) fn write(&self, batch: &Batch) -> io::Result<()> {
        self.named(write_all(&self.file, &batch.chunks, batch.offset))
    }

    /// Reads as many bytes as `buffer` takes.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.named(read_exact(&self.file, buffer, offset))
    }

    pub(super) fn set_len(&self, size: u64) -> io::Result<()> {
        self.named(self.file.set_len(size))
    }

    /// Waits until all that was written is on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.named(self.file.sync_data())
    }

    /// Leaves nothing of it behind.
    pub(super) fn discard(&self) -> io::Result<()> {
        if self.existed {
            self.set_len(0)
        } else {
            match fs_err::remove_file(&self.path) {
                Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
                _ => Ok(()),
            }
        }
    }

    fn named<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|err| io::Error::new(err.kind(), format!("{}: {err}", self.path.display())))
    }
}

/// More slices than this are joined first: a system call takes a limited number, and many small ones cost more than a
/// copy.
const MOST_SLICES: usize = 64;

#[cfg(unix)]
fn write_all(file: &File, chunks: &[Bytes], mut offset: u64) -> io::Result<()> {
    use std::io::IoSlice;
    use std::os::unix::fs::FileExt;

    if let [bytes] = chunks {
        return file.write_all_at(bytes, offset);
    }
    if chunks.len() > MOST_SLICES {
        return file.write_all_at(&chunks.concat(), offset);
    }
    let mut slices: Vec<IoSlice<'_>> = chunks.iter().map(|bytes| IoSlice::new(bytes)).collect();
    let mut left = &mut slices[..];
    while !left.is_empty() {
        match rustix::io::pwritev(file, left, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                IoSlice::advance_slices(&mut left, written);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(err) => return Err(err.into()),
        }
    }
    Ok(())
}

#[cfg(windows)]
fn write_all(file: &File, chunks: &[Bytes], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;

    let joined = chunks.concat();
    let mut left = &joined[..];
    while !left.is_empty() {
        let written = file.seek_write(left, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        left = &left[written..];
        offset += written as u64;
    }
    Ok(())
}

#[cfg(unix)]
fn read_exact(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;

    while !buffer.is_empty() {
        let read = file.seek_read(buffer, offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[read..];
        offset += read as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_land_one_behind_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("partial");
        for count in [1, 3, MOST_SLICES, 500] {
            let partial = Partial::open(&path, false).unwrap();
            partial.allocate(2000).unwrap();
            let mut batch = Batch::new(7);
            for n in 0..count {
                batch.push(Bytes::from(vec![n as u8; 3]));
            }
            partial.write(&batch).unwrap();
            let expected: Vec<u8> = (0..count).flat_map(|n| [n as u8; 3]).collect();
            let found = fs_err::read(&path).unwrap();
            assert_eq!(found.len(), 2000);
            assert_eq!(found[7..7 + expected.len()], expected);
            assert!(found[7 + expected.len()..].iter().all(|b| *b == 0));
        }
    }

    #[test]
    fn a_file_that_was_there_is_emptied_and_a_new_one_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("partial");
        Partial::open(&path, false).unwrap().discard().unwrap();
        assert!(!path.exists());
        fs_err::write(&path, "x").unwrap();
        Partial::open(&path, true).unwrap().discard().unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"");
    }
}
