//! The content store: large files by their SHA-256, each with its name only once that has been checked.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use fs_err::File;
use hub_types::{Sha256, Sha256Hasher};
use tempfile::TempPath;

use crate::error::{Error, Result};
use crate::store::Store;

/// Bytes of a file that are read at once.
pub(crate) const CHUNK: usize = 1 << 20;

/// Makes the folders, and clears what an earlier process left half done.
pub(crate) fn prepare(root: &Path) -> Result<()> {
    let temp = root.join("lfs").join("tmp");
    if temp.exists() {
        fs_err::remove_dir_all(&temp)?;
    }
    fs_err::create_dir_all(temp)?;
    Ok(())
}

impl Store {
    /// Where a large file is, if it is there.
    pub(crate) fn blob_path(&self, sha256: &Sha256) -> PathBuf {
        let hex = sha256.to_string();
        self.root().join("lfs").join(&hex[..2]).join(&hex[2..4]).join(hex)
    }

    fn temp_dir(&self) -> PathBuf {
        self.root().join("lfs").join("tmp")
    }

    /// A file under way.
    pub(crate) fn new_blob(&self) -> Result<Incoming> {
        Ok(Incoming {
            file: tempfile::NamedTempFile::new_in(self.temp_dir())?,
            hasher: Sha256Hasher::new(),
            size: 0,
        })
    }

    /// Gives a checked file its name. The caller holds the lock of the large files.
    pub(crate) fn name_blob(&self, temp: TempPath, sha256: &Sha256) -> Result<()> {
        let path = self.blob_path(sha256);
        if path.exists() {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent)?;
        }
        temp.persist(&path).map_err(|err| err.error)?;
        Ok(())
    }

    fn upload_dir(&self, upload: &str) -> Result<PathBuf> {
        if upload.is_empty() || !upload.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Error::bad_request("invalid upload id"));
        }
        Ok(self.temp_dir().join(format!("upload-{upload}")))
    }

    /// The file of an upload in parts, to write one part at its place.
    pub(crate) fn open_part(&self, upload: &str, offset: u64) -> Result<Part> {
        let dir = self.upload_dir(upload)?;
        fs_err::create_dir_all(&dir)?;
        let mut file = fs_err::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join("content"))?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Part {
            file,
            dir,
            hasher: Sha256Hasher::new(),
            size: 0,
        })
    }

    /// The etag of a part that has arrived.
    pub(crate) fn part_etag(&self, upload: &str, number: u64) -> Result<Option<String>> {
        match fs_err::read_to_string(self.upload_dir(upload)?.join(format!("{number}.etag"))) {
            Ok(etag) => Ok(Some(etag)),
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(err) => Err(err.into()),
        }
    }

    /// Checks an upload whose parts have all arrived.
    pub(crate) fn check_parts(&self, upload: &str, expected: &Sha256, size: u64) -> Result<TempPath> {
        let dir = self.upload_dir(upload)?;
        let path = dir.join("content");
        let mut file = File::open(&path)?;
        let length = file.metadata()?.len();
        if length != size {
            return Err(Error::bad_request(format!("{length} bytes were received, not {size}")));
        }
        let mut hasher = Sha256Hasher::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = file.read(&mut chunk)?;
            if count == 0 {
                break;
            }
            hasher.update(&chunk[..count]);
        }
        let found = hasher.finish();
        if found != *expected {
            return Err(Error::bad_request(format!("sha256 is {found}, not {expected}")));
        }
        file.sync_all()?;
        Ok(TempPath::try_from_path(&path)?)
    }

    /// Clears what is left of an upload in parts.
    pub(crate) fn forget_parts(&self, upload: &str) -> Result<()> {
        Ok(fs_err::remove_dir_all(self.upload_dir(upload)?)?)
    }
}

/// A large file that is being received. Dropped before its end, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Incoming {
    file: tempfile::NamedTempFile,
    hasher: Sha256Hasher,
    size: u64,
}

impl Incoming {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Checks that all has arrived and is what it was said to be, and makes it durable: a commit will refer to it.
    pub(crate) fn check(self, expected: &Sha256, size: u64) -> Result<TempPath> {
        if size != self.size {
            return Err(Error::bad_request(format!(
                "{} bytes were received, not {size}",
                self.size
            )));
        }
        let found = self.hasher.finish();
        if found != *expected {
            return Err(Error::bad_request(format!("sha256 is {found}, not {expected}")));
        }
        self.file.as_file().sync_all()?;
        Ok(self.file.into_temp_path())
    }
}

/// One part of an upload.
#[derive(Debug)]
pub(crate) struct Part {
    file: File,
    dir: PathBuf,
    hasher: Sha256Hasher,
    size: u64,
}

impl Part {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Notes the part as arrived, and gives its etag, in quotes.
    pub(crate) fn finish(self, number: u64, size: u64) -> Result<String> {
        if self.size != size {
            return Err(Error::bad_request(format!(
                "part {number} has {} bytes, not {size}",
                self.size
            )));
        }
        let etag = format!("\"{}\"", &self.hasher.finish().to_string()[..32]);
        fs_err::write(self.dir.join(format!("{number}.etag")), &etag)?;
        Ok(etag)
    }
}
