//! The engine against servers that fail on purpose. Each fault ends in the right bytes or in one clear error.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use hub_types::{Etag, GitOid, RepoId, RepoPath, Revision, Sha256, Token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::transfer::journal::{self, Journal};
use crate::transfer::plan::Ranges;
use crate::transfer::{FetchOptions, Fetched, FileSource};

mod cut;
mod progress;
mod requests;
mod resume;
mod streams;
mod streams_wrong;
mod wrong;

const COMMIT: &str = "8f1f7d9c3f7f2a0f4e5b6c7d8e9fa0b1c2d3e4f5";

/// A request as the server saw it.
#[derive(Debug, Clone)]
struct Seen {
    target: String,
    headers: Vec<(String, String)>,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The range that was asked for, as a half-open one.
    fn range(&self, size: usize) -> Option<(usize, usize)> {
        let (start, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        let end = last.parse::<usize>().map_or(size, |last| last + 1);
        Some((start.parse().unwrap(), end.min(size)))
    }
}

/// What the server does with a request.
#[derive(Default, Clone)]
struct Answer {
    /// Status line and headers, without the empty line.
    head: String,
    body: Vec<u8>,
    /// Sends nothing more behind the body, for ever.
    hang: bool,
    /// Sends the body in small pieces, about 600 KB a second.
    slow: bool,
    /// Sends these bytes and nothing else.
    raw: Option<Vec<u8>>,
    /// Resets the connection behind the body, once that has been read.
    reset: bool,
}

impl Answer {
    fn new(status: &str) -> Self {
        Self {
            head: format!("HTTP/1.1 {status}\r\nconnection: close\r\n"),
            ..Self::default()
        }
    }

    fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.head.push_str(&format!("{name}: {}\r\n", value.to_string()));
        self
    }

    fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    fn cut(mut self, at: usize) -> Self {
        self.body.truncate(at);
        self
    }

    fn reset(mut self) -> Self {
        self.reset = true;
        self
    }

    fn hang(mut self) -> Self {
        self.hang = true;
        self
    }

    fn slow(mut self) -> Self {
        self.slow = true;
        self
    }
}

/// A server on a raw socket: what it answers is up to a function of the request and its number.
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(answer: impl Fn(&Seen, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (seen.clone(), Arc::new(answer));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (log, answer) = (log.clone(), answer.clone());
                tokio::spawn(async move {
                    let _ = serve(stream, log, &*answer).await;
                });
            }
        });
        Self { url, seen, task }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    log: Arc<Mutex<Vec<Seen>>>,
    answer: &(impl Fn(&Seen, usize) -> Answer + Send + Sync),
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let target = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let seen = Seen { target, headers };
    let number = {
        let mut log = log.lock().unwrap();
        log.push(seen.clone());
        log.len()
    };
    let answer = answer(&seen, number);
    if let Some(raw) = &answer.raw {
        stream.write_all(raw).await?;
        return stream.shutdown().await;
    }
    stream.write_all(answer.head.as_bytes()).await?;
    stream.write_all(b"\r\n").await?;
    if answer.slow {
        for piece in answer.body.chunks(30_000) {
            stream.write_all(piece).await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    } else {
        stream.write_all(&answer.body).await?;
    }
    stream.flush().await?;
    if answer.hang {
        std::future::pending::<()>().await;
    }
    if answer.reset {
        // A reset throws away what the other side has not read yet.
        tokio::time::sleep(Duration::from_millis(100)).await;
        return stream.set_zero_linger();
    }
    stream.shutdown().await
}

/// The content of every file here: no two places alike.
fn content(size: usize) -> Vec<u8> {
    static ALL: OnceLock<Vec<u8>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut bytes = Vec::with_capacity(64 << 20);
        while bytes.len() < 64 << 20 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        bytes
    });
    all[..size].to_vec()
}

/// The hash of a file here, computed once: their first bytes and their sizes tell them apart.
fn hash(content: &[u8]) -> Sha256 {
    type Known = HashMap<(usize, Vec<u8>), Sha256>;
    static KNOWN: Mutex<Option<Known>> = Mutex::new(None);
    let key = (content.len(), content[..content.len().min(64)].to_vec());
    let known = KNOWN.lock().unwrap().get_or_insert_default().get(&key).copied();
    known.unwrap_or_else(|| {
        let hash = Sha256::of(content);
        KNOWN.lock().unwrap().get_or_insert_default().insert(key, hash);
        hash
    })
}

/// What a good Hub answers: the file's bytes, or the range that was asked for.
fn good(seen: &Seen, content: &[u8]) -> Answer {
    let described = |answer: Answer| {
        answer
            .header("x-repo-commit", COMMIT)
            .header("etag", format!("\"{}\"", hash(content)))
            .header("accept-ranges", "bytes")
    };
    match seen.range(content.len()) {
        Some((start, end)) if start < end => described(Answer::new("206 Partial Content"))
            .header("content-range", format!("bytes {start}-{}/{}", end - 1, content.len()))
            .header("content-length", end - start)
            .body(&content[start..end]),
        Some(_) => Answer::new("416 Range Not Satisfiable")
            .header("content-range", format!("bytes */{}", content.len()))
            .header("content-length", 0),
        None => described(Answer::new("200 OK"))
            .header("content-length", content.len())
            .body(content),
    }
}

/// A client, a directory and what is known of the file.
struct Test {
    api: HfApi,
    dir: tempfile::TempDir,
    source: FileSource,
    options: FetchOptions,
}

impl Test {
    fn new(url: &str) -> Self {
        // Longer than a busy machine needs, shorter than a test may take.
        Self::with_timeout(url, Duration::from_secs(8))
    }

    fn with_timeout(url: &str, timeout: Duration) -> Self {
        let api = HfApi::builder()
            .endpoint(url)
            .token(Token::new("hf_secret").unwrap())
            .download_timeout(timeout)
            .retries(3, Duration::from_millis(1))
            .build()
            .unwrap();
        let source = FileSource::new(
            RepoId::model("ada/demo").unwrap(),
            Revision::main(),
            "dir/file.bin".parse::<RepoPath>().unwrap(),
        );
        Self {
            api,
            dir: tempfile::tempdir().unwrap(),
            source,
            options: FetchOptions::default(),
        }
    }

    /// The caller knows the content's hash and size, as from a tree listing.
    fn knowing(mut self, content: &[u8]) -> Self {
        self.source.etag = Some(Etag::from(&hash(content)));
        self.source.size = Some(content.len() as u64);
        self
    }

    fn partial(&self) -> PathBuf {
        self.dir.path().join("x.incomplete")
    }

    async fn fetch(&self) -> Result<Fetched> {
        let partial = self.partial();
        let fetch = self.api.fetch_to_file(&self.source, &partial, &self.options);
        tokio::time::timeout(Duration::from_secs(20), fetch)
            .await
            .expect("a download never hangs")
    }

    #[track_caller]
    fn assert_complete(&self, content: &[u8]) {
        assert!(fs_err::read(self.partial()).unwrap() == content, "other bytes");
        assert!(!journal::path(&self.partial()).exists());
    }

    /// Nothing is left, neither of the file nor of its journal.
    #[track_caller]
    fn assert_nothing(&self) {
        let names: Vec<_> = fs_err::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(names.is_empty(), "{names:?}");
    }
}

/// Counts what is reported.
#[derive(Default)]
struct Count(Mutex<(i64, Vec<String>)>);

impl crate::Progress for Arc<Count> {
    fn started(&self, path: &str, size: Option<u64>) -> crate::ProgressId {
        self.0.lock().unwrap().1.push(format!("{path} {size:?}"));
        crate::ProgressId(1)
    }
    fn advanced(&self, _: crate::ProgressId, bytes: u64) {
        self.0.lock().unwrap().0 += bytes as i64;
    }
    fn restarted(&self, _: crate::ProgressId, bytes: u64) {
        self.0.lock().unwrap().0 = bytes as i64;
    }
    fn finished(&self, _: crate::ProgressId, outcome: crate::Outcome) {
        self.0.lock().unwrap().1.push(format!("{outcome:?}"));
    }
}
