//! Large files that come by Xet: their bytes are in a content-addressed storage (CAS) beside this server.
//!
//! The server gives tokens for it, finds there what a commit refers to by its SHA-256, and hands a file's bytes on to who
//! asks for them over plain HTTP. The storage is the one that `xet-client` has for machines
//! without a network (its feature `simulation`): it lists what it holds, and looks at no token.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty};
use hub_types::{Sha256, ValidationError, XetHash};

use crate::app::App;
use crate::clock;
use crate::delivery::connect;
use crate::error::{Error, Result};
use crate::store::{Db, Store, hold, random_hex};

/// How much of a file is asked for at once: the storage holds each answer in memory.
const PIECE: u64 = 8 << 20;
/// How long one answer of the storage may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The most bytes of an answer: a shard has 64 MiB at the most.
const MOST: usize = 128 << 20;

/// Where the files are that came by Xet.
#[derive(Debug)]
pub(crate) struct Storage {
    /// Without a slash at its end.
    pub(crate) url: String,
    token_lifetime: Duration,
    /// Shards whose files are in the database.
    seen: Mutex<HashSet<XetHash>>,
}

/// A file in the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct XetFile {
    pub(crate) sha256: Sha256,
    pub(crate) hash: XetHash,
    pub(crate) size: u64,
}

/// A permission to read or write there.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    /// Until when, in seconds since 1970.
    pub(crate) expires: i64,
}

impl Storage {
    pub(crate) fn new(url: &str, token_lifetime: Duration) -> Result<Self> {
        let url = url.trim_end_matches('/');
        let parsed: Option<Uri> = url.parse().ok();
        let is_base = parsed.is_some_and(|uri| {
            uri.scheme_str() == Some("http") && uri.host().is_some() && matches!(uri.path(), "" | "/")
        });
        if !is_base {
            let rule = "must be an address like http://127.0.0.1:8081";
            return Err(ValidationError::new("address of the Xet storage", url, rule).into());
        }
        Ok(Self {
            url: url.to_owned(),
            token_lifetime,
            seen: Mutex::default(),
        })
    }

    pub(crate) fn token(&self) -> Token {
        let lifetime = i64::try_from(self.token_lifetime.as_secs()).unwrap_or(i64::MAX);
        let expires = clock::now().0.as_second().saturating_add(lifetime);
        Token {
            text: format!("xet_{expires}_{}", random_hex(16)),
            expires,
        }
    }

    /// Finds a file by its content's SHA-256, if it is there. Blocks.
    pub(crate) fn find(&self, db: &Db, sha256: &Sha256) -> Result<Option<XetFile>> {
        let found = match db.xet_file(sha256)? {
            Some(found) => found,
            None => {
                self.look(db)?;
                match db.xet_file(sha256)? {
                    Some(found) => found,
                    None => return Ok(None),
                }
            }
        };
        // What was there once need not be any more.
        let path = format!("/v1/files/{}", found.hash);
        let (status, _) = wait(self.ask(Method::HEAD, &path, None))?;
        Ok((status == StatusCode::OK).then_some(found))
    }

    /// Notes the files of all shards that came since the last look. Blocks.
    fn look(&self, db: &Db) -> Result<()> {
        let listed = wait(self.get("/simulation/shards", None))?;
        let listed: Vec<[u64; 4]> =
            serde_json::from_slice(&listed).map_err(|_| unusable("a listing of shards that is none"))?;
        for words in listed {
            let shard = hash_of(words.map(u64::to_le_bytes).as_flattened());
            if hold(&self.seen).contains(&shard) {
                continue;
            }
            let bytes = wait(self.get(&format!("/simulation/shards/{shard}"), None))?;
            for file in files_of(&bytes).ok_or_else(|| unusable("a shard that is none"))? {
                db.put_xet(&file)?;
            }
            hold(&self.seen).insert(shard);
        }
        Ok(())
    }

    /// An answer with status 200 or 206.
    async fn get(&self, path: &str, range: Option<(u64, u64)>) -> Result<Bytes> {
        match self.ask(Method::GET, path, range).await? {
            (StatusCode::OK | StatusCode::PARTIAL_CONTENT, body) => Ok(body),
            (status, _) => Err(unusable(&format!("status {status} to {path}"))),
        }
    }

    async fn ask(&self, method: Method, path: &str, range: Option<(u64, u64)>) -> Result<(StatusCode, Bytes)> {
        let asked = async {
            let uri: Uri = format!("{}{path}", self.url)
                .parse()
                .map_err(|_| "no address".to_owned())?;
            let mut sender = connect(&uri).await?;
            let authority = uri.authority().map_or("", |authority| authority.as_str());
            let mut request = Request::builder()
                .method(method)
                .uri(path)
                .header(header::HOST, authority)
                .header(header::CONNECTION, "close");
            if let Some((start, end)) = range {
                request = request.header(header::RANGE, format!("bytes={start}-{}", end - 1));
            }
            let request = request.body(Empty::<Bytes>::new()).map_err(|err| err.to_string())?;
            let reply = sender.send_request(request).await.map_err(|err| err.to_string())?;
            let status = reply.status();
            let body = http_body_util::Limited::new(reply.into_body(), MOST).collect().await;
            Ok((status, body.map_err(|err| err.to_string())?.to_bytes()))
        };
        match tokio::time::timeout(TIMEOUT, asked).await {
            Ok(answer) => answer.map_err(|problem: String| unusable(&problem)),
            Err(_) => Err(unusable("no answer in time")),
        }
    }
}

/// The bytes of a file from `from` up to, without, `to`, as they come from the storage.
pub(crate) fn body(app: App, file: XetFile, from: u64, to: u64) -> Body {
    Body::from_stream(stream::try_unfold((app, from), move |(app, at)| async move {
        let Some(storage) = app.store().xet.as_ref().filter(|_| at < to) else {
            return Ok::<_, Error>(None);
        };
        let end = (at + PIECE).min(to);
        let path = format!("/simulation/files/{}/data", file.hash);
        let bytes = storage.get(&path, Some((at, end))).await?;
        if bytes.len() as u64 != end - at {
            return Err(unusable("fewer bytes than a file has, or more"));
        }
        Ok(Some((bytes, (app, end))))
    }))
}

impl Store {
    /// The hash that a large file has in the storage, where there is a storage and the file came through it.
    pub(crate) fn xet_hash(&self, sha256: &Sha256) -> Result<Option<XetHash>> {
        if self.xet.is_none() {
            return Ok(None);
        }
        Ok(self.db.xet_file(sha256)?.map(|file| file.hash))
    }
}

fn unusable(problem: &str) -> Error {
    Error::Storage(format!("the Xet storage cannot be used: {problem}"))
}

/// Waits on a thread that may block.
fn wait<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Handle::current().block_on(answer)
}

/// The hash that 32 bytes of a shard are. As text each eight of them are a number, the last byte first.
fn hash_of(bytes: &[u8]) -> XetHash {
    digits(bytes).parse().expect("64 hexadecimal digits are a hash")
}

fn digits(bytes: &[u8]) -> String {
    bytes
        .chunks(8)
        .map(|word| word.iter().rev().map(|byte| format!("{byte:02x}")).collect::<String>())
        .collect()
}

/// Each entry of a shard has this length.
const ENTRY: usize = 48;
/// What a shard begins with: a mark of 32 bytes, its version and the length of its end.
const HEADER: usize = 48;
const HAS_VERIFICATION: u32 = 1 << 31;
const HAS_METADATA: u32 = 1 << 30;
/// The most that a file may have: more pieces than a shard has bytes are nonsense.
const MOST_PIECES: usize = MOST / ENTRY;

/// The files that a shard describes and that have a SHA-256; `None` when it is no shard.
///
/// Its first section is a list of files (Xet's shard format): for each a head with its hash, flags and number of pieces,
/// an entry a piece, then an entry a piece to verify, and one with the SHA-256, as the flags say. A head whose hash is all
/// ones ends it.
fn files_of(shard: &[u8]) -> Option<Vec<XetFile>> {
    let mut entries = shard.get(HEADER..)?.chunks_exact(ENTRY);
    let number = |entry: &[u8], at: usize| Some(u32::from_le_bytes(entry.get(at..at + 4)?.try_into().ok()?));
    let mut files = Vec::new();
    loop {
        let head = entries.next()?;
        if head[..32].iter().all(|byte| *byte == 0xff) {
            return Some(files);
        }
        let (flags, pieces) = (number(head, 32)?, usize::try_from(number(head, 36)?).ok()?);
        if pieces > MOST_PIECES {
            return None;
        }
        let mut size = 0;
        for _ in 0..pieces {
            size += u64::from(number(entries.next()?, 36)?);
        }
        if flags & HAS_VERIFICATION != 0 && pieces > 0 {
            entries.nth(pieces - 1)?;
        }
        if flags & HAS_METADATA != 0 {
            files.push(XetFile {
                sha256: digits(&entries.next()?[..32]).parse().ok()?,
                hash: hash_of(&head[..32]),
                size,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(hash: u8, numbers: [u32; 4]) -> Vec<u8> {
        let mut bytes = vec![hash; 32];
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        bytes
    }

    #[test]
    fn files_with_a_hash_are_found_in_a_shard() {
        let mut shard = vec![7; HEADER];
        let mut sha = entry(0, [0; 4]);
        sha[..32].copy_from_slice(&(0..32).collect::<Vec<u8>>());
        for part in [
            entry(1, [HAS_METADATA | HAS_VERIFICATION, 2, 0, 0]),
            entry(9, [0, 1000, 0, 5]),
            entry(9, [0, 24, 5, 6]),
            entry(8, [0; 4]),
            entry(8, [0; 4]),
            sha,
            entry(2, [0, 1, 0, 0]),
            entry(9, [0, 10, 0, 1]),
            entry(3, [HAS_METADATA, 0, 0, 0]),
            entry(4, [0; 4]),
            entry(0xff, [0; 4]),
            vec![1; 100],
        ] {
            shard.extend(part);
        }
        let files = files_of(&shard).unwrap();
        assert_eq!(files.len(), 2, "one has no SHA-256");
        assert_eq!(files[0].size, 1024);
        assert_eq!(files[0].hash.to_string(), "01".repeat(32));
        assert_eq!(
            files[0].sha256.to_string(),
            "07060504030201000f0e0d0c0b0a090817161514131211101f1e1d1c1b1a1918"
        );
        assert_eq!((files[1].size, files[1].sha256.to_string()), (0, "04".repeat(32)));
        for end in [0, HEADER, HEADER + 10, HEADER + ENTRY, shard.len() - 101 - ENTRY] {
            assert_eq!(files_of(&shard[..end]), None, "cut at {end}");
        }
        let many = [vec![0; HEADER], entry(1, [0, u32::MAX, 0, 0])].concat();
        assert_eq!(files_of(&many), None);
    }

    #[test]
    fn the_storage_is_a_base_address_over_plain_http() {
        for bad in ["", "127.0.0.1:80", "https://h", "http://h/path", "ftp://h"] {
            assert!(Storage::new(bad, TIMEOUT).is_err(), "{bad}");
        }
        assert_eq!(Storage::new("http://h:1/", TIMEOUT).unwrap().url, "http://h:1");
    }
}
