//! The engine against servers that fail on purpose. Each fault ends in the right bytes or in one clear error.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hub_types::{Etag, GitOid, RepoId, RepoPath, Revision, Sha256, Token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::journal::{self, Journal};
use super::plan::Ranges;
use super::{FetchOptions, Fetched, FileSource};
use crate::client::HfApi;
use crate::error::{Error, Result};

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

    fn hang(mut self) -> Self {
        self.hang = true;
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
    stream.write_all(answer.head.as_bytes()).await?;
    stream.write_all(b"\r\n").await?;
    stream.write_all(&answer.body).await?;
    stream.flush().await?;
    if answer.hang {
        std::future::pending::<()>().await;
    }
    stream.shutdown().await
}

/// The content of every file here: no two places alike.
fn content(size: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// What a good Hub answers: the file's bytes, or the range that was asked for.
fn good(seen: &Seen, content: &[u8]) -> Answer {
    let described = |answer: Answer| {
        answer
            .header("x-repo-commit", COMMIT)
            .header("etag", format!("\"{}\"", Sha256::of(content)))
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
        let api = HfApi::builder()
            .endpoint(url)
            .token(Token::new("hf_secret").unwrap())
            .download_timeout(Duration::from_millis(300))
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
        self.source.etag = Some(Etag::from(&Sha256::of(content)));
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

#[tokio::test]
async fn a_small_file_takes_one_request_and_no_head() {
    let bytes = content(5000);
    let body = bytes.clone();
    let server = Server::start(move |seen, _| good(seen, &body)).await;
    for test in [Test::new(&server.url), Test::new(&server.url).knowing(&bytes)] {
        let fetched = test.fetch().await.unwrap();
        test.assert_complete(&bytes);
        assert_eq!((fetched.bytes, fetched.resumed_from), (5000, 0));
        assert_eq!(fetched.sha256, Some(Sha256::of(&bytes)));
        assert_eq!(fetched.commit_hash.unwrap().as_str(), COMMIT);
        assert_eq!(fetched.etag.unwrap().as_sha256(), Some(Sha256::of(&bytes)));
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].target, "/ada/demo/resolve/main/dir/file.bin");
    assert_eq!(seen[0].header("accept-encoding"), Some("identity"));
    assert_eq!(seen[0].header("authorization"), Some("Bearer hf_secret"));
}

#[tokio::test]
async fn a_large_file_comes_in_ranges() {
    let bytes = content(40 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, _| good(seen, &body)).await;
    let test = Test::new(&server.url).knowing(&bytes);
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    assert!(server.seen().iter().all(|seen| seen.header("range").is_some()));
}
