//! What is uploaded: a file on this machine or bytes in memory, read off the async threads, in pieces, as often as it
//! takes.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use hub_types::{GitOid, GitOidHasher, Sha256, Sha256Hasher, ValidationError};
use serde::{Deserialize, Serialize};

use crate::bandwidth::Bandwidth;
use crate::error::{Error, Result};
use crate::operation::BoxFuture;
use crate::runtime::blocking;

/// How much of a file is read at once. With [`PIECES_AHEAD`] it bounds what one body holds in memory: about 2 MiB.
const PIECE: usize = 512 * 1024;
/// How many pieces lie between disk and network.
const PIECES_AHEAD: usize = 2;
/// Pieces smaller than this are sent together.
const SMALL: usize = 64 * 1024;
/// How much of a file the Hub looks at to know what it is.
const SAMPLE: usize = 512;

/// What to upload: a file on this machine, or bytes.
///
/// As data it is a path, `{"text": "…"}`, or `{"bytes_base64": "…"}`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UploadSource {
    /// A file.
    Path(PathBuf),
    /// Bytes in memory.
    Bytes(Bytes),
}

impl std::fmt::Debug for UploadSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{path:?}"),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Path(PathBuf),
    Text { text: String },
    Bytes { bytes_base64: String },
}

impl<'de> Deserialize<'de> for UploadSource {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Form::deserialize(deserializer)? {
            Form::Path(path) => Self::Path(path),
            Form::Text { text } => Self::Bytes(text.into()),
            Form::Bytes { bytes_base64 } => {
                Self::Bytes(STANDARD.decode(bytes_base64).map_err(serde::de::Error::custom)?.into())
            }
        })
    }
}

impl Serialize for UploadSource {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Path(path) => Form::Path(path.clone()),
            Self::Bytes(bytes) => Form::Bytes {
                bytes_base64: STANDARD.encode(bytes),
            },
        }
        .serialize(serializer)
    }
}

macro_rules! from_path {
    ($($type:ty),+) => { $(
        impl From<$type> for UploadSource {
            fn from(path: $type) -> Self {
                Self::Path(path.into())
            }
        }
    )+ };
}

macro_rules! from_bytes {
    ($($type:ty),+) => { $(
        impl From<$type> for UploadSource {
            fn from(bytes: $type) -> Self {
                Self::Bytes(bytes.into())
            }
        }
    )+ };
}

from_path!(&str, &String, String, &Path, &PathBuf, PathBuf);
from_bytes!(Vec<u8>, Bytes);

impl From<&[u8]> for UploadSource {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Bytes::copy_from_slice(bytes))
    }
}

impl<const N: usize> From<&[u8; N]> for UploadSource {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Bytes(Bytes::copy_from_slice(bytes))
    }
}

hub_types::argument!(UploadSource: from &str, &String, String, &Path, &PathBuf, PathBuf, Vec<u8>, Bytes, &[u8]);

/// A source that was looked at: its size, its beginning, and what tells whether it is still the same.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) source: UploadSource,
    pub(crate) size: u64,
    pub(crate) sample: Bytes,
    changed: Option<SystemTime>,
}

impl Opened {
    /// Looks at a source. Blocks: call it off the async threads.
    pub(crate) fn open(source: UploadSource) -> Result<Self> {
        match &source {
            UploadSource::Bytes(bytes) => {
                let sample = bytes.slice(..bytes.len().min(SAMPLE));
                Ok(Self {
                    size: bytes.len() as u64,
                    sample,
                    changed: None,
                    source,
                })
            }
            UploadSource::Path(path) => {
                let metadata = fs_err::metadata(path)?;
                if !metadata.is_file() {
                    let rule = "is no file; upload a folder with upload_folder";
                    return Err(ValidationError::new("file to upload", path.to_string_lossy(), rule).into());
                }
                let mut sample = vec![0; SAMPLE.min(usize::try_from(metadata.len()).unwrap_or(SAMPLE))];
                let read = read_at(&fs_err::File::open(path)?, path, &mut sample, 0)?;
                sample.truncate(read);
                let changed = metadata.modified().ok();
                Ok(Self {
                    size: metadata.len(),
                    sample: sample.into(),
                    changed,
                    source,
                })
            }
        }
    }

    /// How it is called in messages.
    fn name(&self) -> String {
        match &self.source {
            UploadSource::Path(path) => path.display().to_string(),
            UploadSource::Bytes(_) => "bytes to upload".to_owned(),
        }
    }

    /// An error unless the file is what it was when it was looked at.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        let UploadSource::Path(path) = &self.source else {
            return Ok(());
        };
        let metadata = fs_err::metadata(path)?;
        if metadata.len() == self.size && metadata.modified().ok() == self.changed {
            Ok(())
        } else {
            Err(self.has_changed())
        }
    }

    fn has_changed(&self) -> Error {
        Error::Integrity {
            path: self.name(),
            expected: format!("the {} bytes that were there when the upload began", self.size),
            received: "a file that was changed meanwhile".to_owned(),
        }
    }

    /// Reads it piece by piece, until `each` says that it is enough. Blocks.
    ///
    /// The last piece is given only if the file is unchanged by then: a body without it is not taken for whole.
    pub(super) fn pieces(&self, start: u64, end: u64, mut each: impl FnMut(Bytes) -> Result<bool>) -> Result<()> {
        match &self.source {
            UploadSource::Bytes(bytes) => {
                let mut at = start;
                while at < end {
                    let next = (at + PIECE as u64).min(end);
                    // The bounds are within the bytes' length, which is a usize.
                    if !each(bytes.slice(at as usize..next as usize))? {
                        return Ok(());
                    }
                    at = next;
                }
            }
            UploadSource::Path(path) => {
                let file = fs_err::File::open(path)?;
                let mut at = start;
                while at < end {
                    let mut piece = vec![0; PIECE.min(usize::try_from(end - at).unwrap_or(PIECE))];
                    let read = read_at(&file, path, &mut piece, at)?;
                    if read == 0 {
                        return Err(self.has_changed());
                    }
                    piece.truncate(read);
                    at += read as u64;
                    if at == end {
                        self.check_unchanged()?;
                    }
                    if !each(piece.into())? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// The SHA-256 of its bytes. Blocks, and gives up when `wanted` says that nobody waits any more.
    pub(crate) fn sha256(&self, wanted: impl Fn() -> bool) -> Result<Sha256> {
        let mut hasher = Sha256Hasher::new();
        self.pieces(0, self.size, |piece| {
            hasher.update(&piece);
            if wanted() { Ok(true) } else { Err(Error::Aborted) }
        })?;
        Ok(hasher.finish())
    }

    /// The git object's id of its bytes. Blocks.
    pub(crate) fn git_oid(&self) -> Result<GitOid> {
        let mut hasher = GitOidHasher::new(self.size);
        self.pieces(0, self.size, |piece| {
            hasher.update(&piece);
            Ok(true)
        })?;
        Ok(hasher.finish())
    }

    /// All of it, as text; `None` when it is no UTF-8. Blocks.
    pub(crate) fn text(&self) -> Result<Option<String>> {
        let mut all = Vec::new();
        self.pieces(0, self.size, |piece| {
            all.extend_from_slice(&piece);
            Ok(true)
        })?;
        Ok(String::from_utf8(all).ok())
    }
}

/// Something that writes pieces of a body; it ends early when its `send` says that nobody listens any more.
pub(crate) trait Pieces: Send + Sync + 'static {
    /// Gives all pieces to `send`, in order. Blocks.
    fn write(&self, send: &mut dyn FnMut(Bytes) -> bool) -> Result<()>;

    /// An error unless what is read is what it was. Blocks.
    fn check(&self) -> Result<()>;
}

/// A range of a source.
pub(crate) struct Range {
    pub(crate) opened: std::sync::Arc<Opened>,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Pieces for Range {
    fn write(&self, send: &mut dyn FnMut(Bytes) -> bool) -> Result<()> {
        self.opened.pieces(self.start, self.end, |piece| Ok(send(piece)))
    }

    fn check(&self) -> Result<()> {
        self.opened.check_unchanged()
    }
}

/// A source as the base64 text of it.
pub(crate) struct Base64 {
    pub(crate) opened: std::sync::Arc<Opened>,
}

impl Base64 {
    /// The text's length.
    pub(crate) fn length(&self) -> u64 {
        self.opened.size.div_ceil(3) * 4
    }

    /// Gives the text to `send`, and how many bytes of the source each piece of it stands for. Blocks.
    pub(crate) fn write(&self, send: &mut dyn FnMut(Bytes, u64) -> bool) -> Result<()> {
        let mut kept: Vec<u8> = Vec::new();
        let mut left = self.opened.size;
        self.opened.pieces(0, self.opened.size, |piece| {
            left -= piece.len() as u64;
            kept.extend_from_slice(&piece);
            // Only whole groups of three bytes can be written before the end is there.
            let whole = if left == 0 { kept.len() } else { kept.len() / 3 * 3 };
            let text = STANDARD.encode(&kept[..whole]);
            kept.drain(..whole);
            Ok(text.is_empty() || send(text.into(), piece.len() as u64))
        })
    }
}

/// Opens a body that a thread of its own reads ahead of the network, a few pieces at the most.
pub(crate) fn body(
    pieces: std::sync::Arc<dyn Pieces>,
    bandwidth: Bandwidth,
    sent: impl Fn(u64) + Send + Sync + 'static,
) -> BoxFuture<std::io::Result<reqwest::Body>> {
    Box::pin(async move {
        let first = pieces.clone();
        // Another attempt with a file that is no longer the same would only fail once more.
        blocking(move || first.check()).await.map_err(std::io::Error::other)?;
        let (sender, receiver) = tokio::sync::mpsc::channel::<std::io::Result<Bytes>>(PIECES_AHEAD);
        tokio::task::spawn_blocking(move || {
            let mut small = BytesMut::new();
            let written = pieces.write(&mut |piece| {
                if small.len() + piece.len() <= SMALL {
                    small.extend_from_slice(&piece);
                    return !sender.is_closed();
                }
                (small.is_empty() || sender.blocking_send(Ok(small.split().freeze())).is_ok())
                    && sender.blocking_send(Ok(piece)).is_ok()
            });
            // Who waits for the next piece learns of an error; nobody waits when the request has failed already.
            let _ = match written {
                Ok(()) if small.is_empty() => Ok(()),
                Ok(()) => sender.blocking_send(Ok(small.freeze())),
                Err(err) => sender.blocking_send(Err(std::io::Error::other(err))),
            };
        });
        let state = (receiver, Bytes::new(), bandwidth, sent);
        let stream = futures_util::stream::unfold(state, |(mut receiver, mut left, bandwidth, sent)| async move {
            if left.is_empty() {
                left = match receiver.recv().await? {
                    Ok(bytes) => bytes,
                    Err(err) => return Some((Err(err), (receiver, left, bandwidth, sent))),
                };
            }
            let piece = bandwidth.next_piece(&mut left);
            bandwidth.take(piece.len()).await;
            sent(piece.len() as u64);
            Some((Ok(piece), (receiver, left, bandwidth, sent)))
        });
        Ok(reqwest::Body::wrap_stream(stream))
    })
}

#[cfg(unix)]
fn read_at(file: &fs_err::File, path: &Path, buffer: &mut [u8], offset: u64) -> Result<usize> {
    use std::os::unix::fs::FileExt as _;
    let mut filled = 0;
    while filled < buffer.len() {
        match file.file().read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(err) if err.kind() == std::io::ErrorKind::Interrupted => {}
            Err(err) => {
                return Err(std::io::Error::new(err.kind(), format!("cannot read {}: {err}", path.display())).into());
            }
        }
    }
    Ok(filled)
}

#[cfg(windows)]
fn read_at(file: &fs_err::File, path: &Path, buffer: &mut [u8], offset: u64) -> Result<usize> {
    use std::os::windows::fs::FileExt as _;
    let mut filled = 0;
    while filled < buffer.len() {
        match file.file().seek_read(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(err) if err.kind() == std::io::ErrorKind::Interrupted => {}
            Err(err) => {
                return Err(std::io::Error::new(err.kind(), format!("cannot read {}: {err}", path.display())).into());
            }
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(base64: &Base64) -> (Vec<u8>, u64) {
        let (mut all, mut read) = (Vec::new(), 0);
        base64
            .write(&mut |piece, bytes| {
                all.extend_from_slice(&piece);
                read += bytes;
                true
            })
            .unwrap();
        (all, read)
    }

    #[test]
    fn base64_of_a_file_is_base64_of_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        for size in [0, 1, 2, 3, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 2] {
            let bytes: Vec<u8> = (0..size).map(|at| at as u8).collect();
            fs_err::write(&path, &bytes).unwrap();
            for source in [UploadSource::from(path.as_path()), UploadSource::from(bytes.clone())] {
                let opened = std::sync::Arc::new(Opened::open(source).unwrap());
                let base64 = Base64 { opened: opened.clone() };
                let (text, read) = encoded(&base64);
                assert_eq!(read, size as u64);
                assert_eq!(text.len() as u64, base64.length());
                assert_eq!(STANDARD.decode(text).unwrap(), bytes);
                assert_eq!(opened.sha256(|| true).unwrap(), Sha256::of(&bytes));
                assert_eq!(opened.git_oid().unwrap(), GitOid::of(&bytes));
            }
        }
    }

    #[test]
    fn a_file_that_changes_meanwhile_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs_err::write(&path, "before").unwrap();
        let opened = Opened::open(path.as_path().into()).unwrap();
        fs_err::write(&path, "b").unwrap();
        assert!(matches!(opened.sha256(|| true), Err(Error::Integrity { .. })));
        assert!(Opened::open(dir.path().into()).is_err());
        assert!(
            Opened::open("no/such/file".into())
                .unwrap_err()
                .to_string()
                .contains("no/such/file")
        );
    }

    #[test]
    fn the_last_piece_is_kept_back_from_a_file_that_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs_err::write(&path, vec![1; 2 * PIECE + 1]).unwrap();
        let opened = std::sync::Arc::new(Opened::open(path.as_path().into()).unwrap());
        for end in [opened.size, PIECE as u64 + 7] {
            let mut sent = 0;
            let range = Range {
                opened: opened.clone(),
                start: 0,
                end,
            };
            // As long as before, and by nothing but its time another.
            let result = range.write(&mut |piece| {
                sent += piece.len() as u64;
                let file = fs_err::File::options().write(true).open(&path).unwrap();
                let later = SystemTime::now() + std::time::Duration::from_secs(sent);
                file.file().set_modified(later).unwrap();
                true
            });
            assert!(matches!(result, Err(Error::Integrity { .. })), "{result:?}");
            assert!(sent < end);
        }
    }

    #[test]
    fn nobody_waits_for_a_hash_that_nobody_wants() {
        let opened = Opened::open(vec![0; 2 * PIECE].into()).unwrap();
        assert!(matches!(opened.sha256(|| false), Err(Error::Aborted)));
    }

    #[test]
    fn sources_are_data() {
        for (json, expected) in [
            (r#""a/b""#, UploadSource::Path("a/b".into())),
            (r#"{"text":"hi"}"#, UploadSource::from(b"hi")),
            (r#"{"bytes_base64":"aGk="}"#, UploadSource::from(b"hi")),
        ] {
            assert_eq!(serde_json::from_str::<UploadSource>(json).unwrap(), expected);
        }
    }
}
