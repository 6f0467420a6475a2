//! The engine against servers that fail on purpose. Each fault ends in the right bytes or in one clear error.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
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

/// Whether bytes of an error reply could have been kept: nothing of the file is there, and the error is the server's.
async fn refused(status: &'static str, headers: &'static [(&'static str, &'static str)]) -> Error {
    let server = Server::start(move |_, _| {
        let body = r#"{"error":"no"}"#;
        let answer = Answer::new(status).header("content-length", body.len()).body(body);
        headers
            .iter()
            .fold(answer, |answer, (name, value)| answer.header(name, value))
    })
    .await;
    let test = Test::new(&server.url).knowing(&content(14));
    let err = test.fetch().await.unwrap_err();
    test.assert_nothing();
    err
}

#[tokio::test]
async fn d01_error_body_is_never_kept() {
    assert!(matches!(refused("403 Forbidden", &[]).await, Error::Forbidden(_)));
    let entry = &[("X-Error-Code", "EntryNotFound")];
    assert!(matches!(refused("404 Not Found", entry).await, Error::EntryNotFound(_)));
    assert!(matches!(refused("500 Oops", &[]).await, Error::Http(_)));
    assert!(matches!(
        refused("204 No Content", &[]).await,
        Error::MalformedReply { .. }
    ));
    assert!(matches!(
        refused("304 Not Modified", &[]).await,
        Error::MalformedReply { .. }
    ));
}

#[tokio::test]
async fn d02_a_short_body_is_never_taken_for_the_file() {
    for size in [1000, 3 << 20] {
        let bytes = content(size);
        let body = bytes.clone();
        // Closed early, without a length, by a server that knows no ranges: each try ends at the same place.
        let server = Server::start(move |_, _| Answer::new("200 OK").body(&body).cut(size / 10)).await;
        let test = Test::new(&server.url).knowing(&bytes);
        let err = test.fetch().await.unwrap_err();
        assert!(matches!(err, Error::Integrity { .. }), "{err}");
        assert_ne!(
            fs_err::metadata(test.partial()).map_or(0, |m| m.len()),
            0,
            "kept for later"
        );
        assert!(journal::path(&test.partial()).exists());
        assert_eq!(server.seen().len(), 1 + 3);
    }
}

#[tokio::test]
async fn d02_a_length_that_contradicts_is_wrong() {
    let bytes = content(1000);
    let body = bytes.clone();
    let server =
        Server::start(move |_, _| Answer::new("200 OK").header("content-length", 100).body(&body[..100])).await;
    let test = Test::new(&server.url).knowing(&bytes);
    let err = test.fetch().await.unwrap_err();
    assert!(
        matches!(&err, Error::Integrity { expected, .. } if expected == "1000 bytes"),
        "{err}"
    );
    test.assert_nothing();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_wrong() {
    for size in [1000, 3 << 20] {
        let bytes = content(size + 1);
        let body = bytes.clone();
        let server = Server::start(move |_, _| Answer::new("200 OK").body(&body)).await;
        let test = Test::new(&server.url).knowing(&bytes[..size]);
        let err = test.fetch().await.unwrap_err();
        assert!(matches!(err, Error::Integrity { .. }), "{err:?}");
        test.assert_nothing();
    }
}

#[tokio::test]
async fn c_037_w_003_d03_a_dropped_connection_goes_on_where_it_stood() {
    let bytes = content(3 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, number| {
        let answer = good(seen, &body);
        if number == 1 { answer.cut(2 << 20) } else { answer }
    })
    .await;
    let test = Test::new(&server.url).knowing(&bytes);
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].range(bytes.len()), Some((2 << 20, 3 << 20)));
}

#[tokio::test]
async fn c_038_w_003_a_connection_that_is_reset_goes_on_where_it_stood() {
    let bytes = content(3 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, number| {
        let answer = good(seen, &body);
        if number == 1 {
            answer.cut(2 << 20).reset()
        } else {
            answer
        }
    })
    .await;
    let test = Test::new(&server.url).knowing(&bytes);
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    let seen = server.seen();
    let (start, _) = seen[1].range(bytes.len()).unwrap();
    assert!(start > 1 << 20, "{start}");
}

/// The most that was ever reported.
#[derive(Default)]
struct Most(Mutex<(u64, u64)>);

impl crate::Progress for Arc<Most> {
    fn started(&self, _: &str, _: Option<u64>) -> crate::ProgressId {
        crate::ProgressId(1)
    }
    fn advanced(&self, _: crate::ProgressId, bytes: u64) {
        let mut now = self.0.lock().unwrap();
        now.0 += bytes;
        now.1 = now.1.max(now.0);
    }
    fn restarted(&self, _: crate::ProgressId, bytes: u64) {
        self.0.lock().unwrap().0 = bytes;
    }
}

#[tokio::test]
async fn c_039_a_range_that_is_answered_with_everything_begins_anew_and_is_counted_once() {
    let bytes = content(3 << 20);
    let body = bytes.clone();
    let server = Server::start(move |_, number| {
        let answer = Answer::new("200 OK").header("content-length", body.len()).body(&body);
        if number == 1 { answer.cut(2 << 20) } else { answer }
    })
    .await;
    let mut test = Test::new(&server.url).knowing(&bytes);
    let most = Arc::new(Most::default());
    test.options.progress = crate::ProgressHandle::new(most.clone());
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    assert!(server.seen()[1].header("range").is_some());
    assert_eq!(*most.0.lock().unwrap(), (3 << 20, 3 << 20));
}

#[tokio::test]
async fn c_040_a_range_that_cannot_be_had_begins_anew_once() {
    let bytes = content(3 << 20);
    for refusals in [1, usize::MAX] {
        let body = bytes.clone();
        let refused = AtomicUsize::new(0);
        let server = Server::start(move |seen, number| match seen.header("range") {
            Some(_) if refused.fetch_add(1, Ordering::SeqCst) < refusals => {
                Answer::new("416 Range Not Satisfiable").header("content-length", 0)
            }
            _ if number == 1 || refusals > 1 => good(seen, &body).cut(2 << 20),
            _ => good(seen, &body),
        })
        .await;
        let test = Test::new(&server.url).knowing(&bytes);
        let result = test.fetch().await;
        if refusals == 1 {
            result.unwrap();
            test.assert_complete(&bytes);
            assert_eq!(server.seen()[2].range(bytes.len()), None);
        } else {
            assert!(result.is_err());
            assert!(server.seen().len() < 12, "{}", server.seen().len());
        }
    }
}

#[tokio::test]
async fn c_043_a_partial_that_is_longer_than_the_file_does_not_stay_so() {
    let bytes = content(20 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, _| good(seen, &body)).await;
    let mut test = Test::new(&server.url).knowing(&bytes);
    test.options.resume = true;
    for done in [8 << 20, bytes.len() as u64, 25 << 20] {
        fs_err::write(test.partial(), content(25 << 20)).unwrap();
        let mut ranges = Ranges::default();
        ranges.insert(0..done);
        Journal::new(
            Some(Sha256::of(&bytes).to_string()),
            None,
            bytes.len() as u64,
            &ranges,
            &Ranges::default(),
        )
        .save(&test.partial())
        .unwrap();
        test.fetch().await.unwrap();
        test.assert_complete(&bytes);
    }
}

#[tokio::test]
async fn d03_another_call_goes_on_where_one_failed() {
    for verify in [true, false] {
        let bytes = content(40 << 20);
        let body = bytes.clone();
        let broken = AtomicUsize::new(0);
        let server = Server::start(move |seen, _| {
            // Whatever lies behind 10 MiB cannot be had at first.
            let (start, _) = seen.range(body.len()).unwrap();
            match broken.fetch_add(1, Ordering::SeqCst) {
                _ if start == 0 => good(seen, &body).cut(10 << 20),
                0..4 => Answer::new("503 Busy").header("content-length", 0),
                _ => good(seen, &body),
            }
        })
        .await;
        let mut test = Test::new(&server.url).knowing(&bytes);
        test.options.verify = Some(verify);
        let err = test.fetch().await.unwrap_err();
        assert_eq!(err.status(), Some(503), "{err}");
        assert!(journal::path(&test.partial()).exists());
        test.options.resume = true;
        let fetched = test.fetch().await.unwrap();
        test.assert_complete(&bytes);
        assert_eq!((fetched.resumed_from, fetched.bytes), (10 << 20, 40 << 20));
        assert_eq!(fetched.sha256.is_some(), verify);
    }
}

#[tokio::test]
async fn a_dropped_call_leaves_what_can_be_resumed() {
    let bytes = content(40 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, number| match number {
        1 => good(seen, &body).cut(5 << 20).hang(),
        _ => good(seen, &body),
    })
    .await;
    let mut test = Test::new(&server.url).knowing(&bytes);
    let count = Arc::new(Count::default());
    test.options.progress = crate::ProgressHandle::new(count.clone());
    {
        let partial = test.partial();
        let fetch = test.api.fetch_to_file(&test.source, &partial, &test.options);
        let enough = async {
            while count.0.lock().unwrap().0 < 4 << 20 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            _ = fetch => panic!("it cannot end"),
            () = enough => {}
        }
    }
    // The last write may still be under way; its end writes the journal.
    journaled(&test, 4 << 20).await;
    test.options.resume = true;
    let fetched = test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    assert!(fetched.resumed_from >= 4 << 20, "{}", fetched.resumed_from);
}

/// Waits until the journal beside the partial file says that so much is there.
async fn journaled(test: &Test, least: u64) -> u64 {
    for _ in 0..500 {
        let covered = Journal::load(&test.partial()).map_or(0, |journal| journal.done(true).covered());
        if covered >= least {
            return covered;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the journal never says that {least} bytes are there");
}

#[tokio::test]
async fn what_has_arrived_is_noted_while_the_download_runs() {
    let bytes = content(8 << 20);
    for slow in [false, true] {
        let body = bytes.clone();
        // Either all at once and then nothing, or so slowly that a batch is never full.
        let server = Server::start(move |seen, number| match (number, slow) {
            (1, false) => good(seen, &body).cut(5 << 20).hang(),
            (1, true) => good(seen, &body).cut(700_000).slow().hang(),
            _ => good(seen, &body),
        })
        .await;
        let test = Test::new(&server.url).knowing(&bytes);
        let mut other = Test::new(&server.url).knowing(&bytes);
        // Less than a batch, in the second case.
        let least = if slow { 300_000 } else { 5 << 20 };
        tokio::select! {
            _ = test.fetch() => panic!("it cannot end"),
            _ = journaled(&test, least) => {
                // As if the process had been killed here: nobody tidies up.
                fs_err::copy(test.partial(), other.partial()).unwrap();
                fs_err::copy(journal::path(&test.partial()), journal::path(&other.partial())).unwrap();
            }
        }
        other.options.resume = true;
        let fetched = other.fetch().await.unwrap();
        other.assert_complete(&bytes);
        assert!(fetched.resumed_from >= least, "{}", fetched.resumed_from);
    }
}

#[tokio::test]
async fn a_whole_file_that_waits_for_its_name_is_not_fetched_again() {
    for size in [3000, 3 << 20, 20 << 20] {
        let bytes = content(size);
        let body = bytes.clone();
        let server = Server::start(move |seen, _| good(seen, &body)).await;
        let mut test = Test::new(&server.url).knowing(&bytes);
        test.options.resume = true;
        test.options.keep_journal = true;
        let first = test.fetch().await.unwrap();
        assert_eq!(journal::path(&test.partial()).exists(), size > 1 << 20);
        let requests = server.seen().len();
        let second = test.fetch().await.unwrap();
        assert_eq!(server.seen().len(), requests, "nothing is asked for again");
        assert_eq!((second.resumed_from, second.sha256), (size as u64, first.sha256));
        assert!(fs_err::read(test.partial()).unwrap() == bytes);

        // Its hash is looked at, not its journal's word.
        let mut damaged = bytes.clone();
        damaged[size / 2] ^= 1;
        fs_err::write(test.partial(), &damaged).unwrap();
        test.options.keep_journal = false;
        assert_eq!(test.fetch().await.unwrap().resumed_from, 0);
        test.assert_complete(&bytes);
    }
}

#[tokio::test]
async fn a_damaged_partial_is_found_out_and_fetched_anew() {
    let bytes = content(20 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, _| good(seen, &body)).await;
    let mut test = Test::new(&server.url).knowing(&bytes);
    test.options.resume = true;
    let mut damaged = bytes.clone();
    damaged[1000] ^= 1;
    fs_err::write(test.partial(), &damaged).unwrap();
    let mut done = Ranges::default();
    done.insert(0..bytes.len() as u64 - 5);
    let etag = Some(Sha256::of(&bytes).to_string());
    Journal::new(etag, None, bytes.len() as u64, &done, &Ranges::default())
        .save(&test.partial())
        .unwrap();
    let fetched = test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    assert_eq!(fetched.resumed_from, 0);
}

#[tokio::test]
async fn a_journal_of_another_content_is_not_followed() {
    let bytes = content(20 << 20);
    for (etag, size) in [
        (Some("0".repeat(64)), bytes.len()),
        (None, bytes.len()),
        (Some(Sha256::of(&bytes).to_string()), 99),
    ] {
        let body = bytes.clone();
        let server = Server::start(move |seen, _| good(seen, &body)).await;
        let mut test = Test::new(&server.url).knowing(&bytes);
        test.options.resume = true;
        // Unverified: only the journal keeps these bytes out.
        test.options.verify = Some(false);
        fs_err::write(test.partial(), vec![1; size.max(99)]).unwrap();
        let mut done = Ranges::default();
        done.insert(0..90);
        Journal::new(etag, None, size as u64, &done, &Ranges::default())
            .save(&test.partial())
            .unwrap();
        assert_eq!(test.fetch().await.unwrap().resumed_from, 0);
        test.assert_complete(&bytes);
    }
}

#[tokio::test]
async fn without_resume_what_was_there_is_lost() {
    let bytes = content(2000);
    let body = bytes.clone();
    let server = Server::start(move |seen, _| good(seen, &body)).await;
    let test = Test::new(&server.url).knowing(&bytes);
    fs_err::write(test.partial(), vec![1; 9999]).unwrap();
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
}

#[tokio::test]
async fn d09_a_silent_server_is_given_up() {
    let bytes = content(3000);
    let body = bytes.clone();
    let server = Server::start(move |seen, _| good(seen, &body).cut(0).hang()).await;
    let test = Test::with_timeout(&server.url, Duration::from_millis(400)).knowing(&bytes);
    let err = test.fetch().await.unwrap_err();
    assert!(matches!(err, Error::Timeout { .. }), "{err:?}");
    test.assert_nothing();
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn d09_a_connection_that_stalls_is_opened_again() {
    let bytes = content(20 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, number| {
        let answer = good(seen, &body);
        if number <= 2 {
            answer.cut(3 << 20).hang()
        } else {
            answer
        }
    })
    .await;
    let test = Test::with_timeout(&server.url, Duration::from_millis(400)).knowing(&bytes);
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
}

#[tokio::test]
async fn c_046_d11_the_redirect_that_leaves_the_hub_says_what_is_expected() {
    let bytes = content(2000);
    let (store_body, hash) = (bytes.clone(), Sha256::of(&bytes));
    let store = Server::start(move |seen, number| match number {
        // Two bytes, which its own headers call the whole file.
        1..3 => Answer::new("200 OK").header("content-length", 2).body("no"),
        _ => good(seen, &store_body),
    })
    .await;
    let target = store.url.replace("127.0.0.1", "localhost");
    let hub = Server::start(move |_, _| {
        Answer::new("302 Found")
            .header("location", format!("{target}/blob?sig=signed"))
            .header("x-repo-commit", COMMIT)
            .header("x-linked-etag", format!("\"{hash}\""))
            .header("x-linked-size", 2000)
            .header("content-length", 0)
    })
    .await;
    let test = Test::new(&hub.url);
    let err = test.fetch().await.unwrap_err();
    assert!(matches!(err, Error::Integrity { .. }), "{err}");
    test.assert_nothing();
    let fetched = test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    assert_eq!(fetched.sha256, Some(hash));
    assert_eq!(fetched.commit_hash.unwrap().as_str(), COMMIT);
    // The store never sees who we are.
    for seen in store.seen() {
        assert_eq!((seen.header("authorization"), seen.header("cookie")), (None, None));
        assert_eq!(seen.target, "/blob?sig=signed");
    }
}

#[tokio::test]
async fn a_redirect_loop_ends() {
    let server = Server::start(|_, _| {
        Answer::new("302 Found")
            .header("location", "/again")
            .header("content-length", 0)
    })
    .await;
    let test = Test::new(&server.url);
    assert!(matches!(test.fetch().await, Err(Error::TooManyRedirects { .. })));
    test.assert_nothing();
}

#[tokio::test]
async fn d12_the_wait_that_the_server_names_is_kept() {
    let bytes = content(500);
    let body = bytes.clone();
    let server = Server::start(move |seen, number| match number {
        1 => Answer::new("429 Slow")
            .header("retry-after", 0)
            .header("content-length", 0),
        _ => good(seen, &body),
    })
    .await;
    let test = Test::new(&server.url).knowing(&bytes);
    let began = std::time::Instant::now();
    test.fetch().await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    test.assert_complete(&bytes);
}

#[tokio::test]
async fn c_045_w_003_bursts_of_failures_are_waited_out() {
    for (size, statuses) in [
        (700, ["408 x", "429 x", "500 x"]),
        (20 << 20, ["502 x", "503 x", "504 x"]),
    ] {
        let bytes = content(size);
        let body = bytes.clone();
        let server = Server::start(move |seen, number| match statuses.get(number - 1) {
            Some(status) => Answer::new(status).header("content-length", 0),
            None => good(seen, &body),
        })
        .await;
        let test = Test::new(&server.url).knowing(&bytes);
        test.fetch().await.unwrap();
        test.assert_complete(&bytes);
    }
}

#[tokio::test]
async fn a_cut_at_every_byte_is_mended() {
    let bytes = content(40);
    let body = bytes.clone();
    let server = Server::start(move |seen, number| {
        let answer = good(seen, &body);
        if number % 2 == 1 {
            answer.cut(number / 2)
        } else {
            answer
        }
    })
    .await;
    let test = Test::new(&server.url).knowing(&bytes);
    for at in 0..40 {
        test.fetch().await.unwrap();
        test.assert_complete(&bytes);
        let start = server.seen()[2 * at + 1].range(40).map(|(start, _)| start);
        assert!(start.is_some_and(|start| start <= at), "cut at {at}");
    }
}

#[tokio::test]
async fn a_cut_at_every_byte_of_a_reply_is_mended() {
    let bytes = content(40);
    let whole = {
        let seen = Seen {
            target: String::new(),
            headers: Vec::new(),
        };
        let answer = good(&seen, &bytes);
        [answer.head.as_bytes(), b"\r\n", &answer.body].concat()
    };
    let body = bytes.clone();
    let length = whole.len();
    // Headers and all: what is no whole reply is none.
    let server = Server::start(move |seen, number| match number % 2 {
        1 => Answer {
            raw: Some(whole[..(number / 2) % length].to_vec()),
            ..Answer::default()
        },
        _ => good(seen, &body),
    })
    .await;
    let test = Test::new(&server.url).knowing(&bytes);
    for _ in 0..length {
        test.fetch().await.unwrap();
        test.assert_complete(&bytes);
    }
    assert_eq!(server.seen().len(), 2 * length);
}

#[tokio::test]
async fn a_length_that_cannot_be_reserves_nothing() {
    for length in ["1152921504606846976", "18446744073709551615", "99999999999999999999999"] {
        let server = Server::start(move |_, _| {
            Answer::new("200 OK")
                .header("x-repo-commit", COMMIT)
                .header("etag", "\"5f3-huge\"")
                .header("content-length", length)
                .body("ten bytes.")
        })
        .await;
        let test = Test::new(&server.url);
        let err = test.fetch().await.unwrap_err();
        assert!(
            err.is_transient() || matches!(err, Error::Io(_) | Error::Integrity { .. }),
            "{length}: {err:?}"
        );
        assert!(
            fs_err::metadata(test.partial()).map_or(0, |meta| meta.len()) <= 10,
            "{length}"
        );
        test.api.download_bytes("ada/demo", "x").await.unwrap_err();
    }
}

#[tokio::test]
async fn cuts_at_random_are_mended() {
    let bytes = content(30 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, number| {
        let answer = good(seen, &body);
        let at = (number * 7_654_321) % (5 << 20);
        if number % 3 == 0 { answer } else { answer.cut(at) }
    })
    .await;
    let test = Test::new(&server.url).knowing(&bytes);
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
}

#[tokio::test]
async fn wrong_bytes_are_fetched_once_more_and_never_kept() {
    for size in [2000, 20 << 20] {
        for wrong in [1, usize::MAX] {
            let bytes = content(size);
            let body = bytes.clone();
            let firsts = AtomicUsize::new(0);
            let server = Server::start(move |seen, _| {
                let mut answer = good(seen, &body);
                let first = seen.range(size).is_none_or(|(start, _)| start == 0);
                if first && firsts.fetch_add(1, Ordering::SeqCst) < wrong {
                    answer.body[7] ^= 1;
                }
                answer
            })
            .await;
            let test = Test::new(&server.url).knowing(&bytes);
            let result = test.fetch().await;
            if wrong == 1 {
                assert_eq!(result.unwrap().sha256, Some(Sha256::of(&bytes)));
                test.assert_complete(&bytes);
            } else {
                assert!(matches!(result, Err(Error::Integrity { .. })));
                test.assert_nothing();
            }
        }
    }
}

#[tokio::test]
async fn a_git_blob_id_is_checked_too() {
    for (size, lie) in [(2000, false), (2000, true), (3 << 20, false), (3 << 20, true)] {
        let bytes = content(size);
        let mut body = bytes.clone();
        body[3] ^= u8::from(lie);
        let oid = GitOid::of(&bytes);
        // Without a length: git's hash needs it first.
        let server = Server::start(move |_, _| {
            Answer::new("200 OK")
                .header("etag", format!("\"{oid}\""))
                .header("x-repo-commit", COMMIT)
                .body(&body)
        })
        .await;
        let test = Test::new(&server.url);
        let result = test.fetch().await;
        if lie {
            assert!(matches!(result, Err(Error::Integrity { .. })));
            test.assert_nothing();
        } else {
            let fetched = result.unwrap();
            assert_eq!((fetched.bytes, fetched.sha256), (size as u64, None));
            test.assert_complete(&bytes);
        }
    }
}

#[tokio::test]
async fn ranges_that_are_ignored_or_wrong_are_done_without() {
    let bytes = content(20 << 20);
    let size = bytes.len();
    for fault in ["ignored", "shifted", "total", "none", "beyond", "gzip"] {
        let body = bytes.clone();
        let server = Server::start(move |seen, _| match (seen.range(size), fault) {
            (Some((start, end)), fault) if fault != "ignored" => {
                let part = Answer::new("206 Partial Content")
                    .header("content-length", end - start)
                    .body(&body[start..end]);
                match fault {
                    "shifted" => part.header("content-range", format!("bytes {}-{end}/{size}", start + 1)),
                    "total" => part.header("content-range", format!("bytes {start}-{}/{}", end - 1, size + 1)),
                    "beyond" => part.header("content-range", format!("bytes {start}-{}/{size}", size + 10)),
                    "gzip" => part
                        .header("content-range", format!("bytes {start}-{}/{size}", end - 1))
                        .header("content-encoding", "gzip"),
                    _ => part,
                }
            }
            _ => Answer::new("200 OK").header("content-length", size).body(&body),
        })
        .await;
        let test = Test::new(&server.url).knowing(&bytes);
        test.fetch().await.unwrap_or_else(|err| panic!("{fault}: {err}"));
        test.assert_complete(&bytes);
        assert!(server.seen().len() <= 2, "{fault}");
    }
}

#[tokio::test]
async fn a_server_without_ranges_that_cuts_is_tried_from_the_beginning() {
    let bytes = content(20 << 20);
    let body = bytes.clone();
    let server = Server::start(move |_, number| {
        let answer = Answer::new("200 OK").header("content-length", body.len()).body(&body);
        if number <= 2 { answer.cut(8 << 20) } else { answer }
    })
    .await;
    let test = Test::new(&server.url).knowing(&bytes);
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_part_that_was_not_asked_for_is_refused() {
    let bytes = content(1000);
    for whole in [true, false] {
        let body = bytes.clone();
        let server = Server::start(move |_, _| {
            let end = if whole { 1000 } else { 500 };
            Answer::new("206 Partial Content")
                .header("content-range", format!("bytes 0-{}/1000", end - 1))
                .header("content-length", end)
                .body(&body[..end])
        })
        .await;
        let test = Test::new(&server.url).knowing(&bytes);
        if whole {
            test.fetch().await.unwrap();
            test.assert_complete(&bytes);
        } else {
            assert!(matches!(test.fetch().await, Err(Error::MalformedReply { .. })));
            test.assert_nothing();
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn what_is_compressed_unasked_is_unpacked_or_refused() {
    for size in [3000, 3 << 20] {
        let bytes = vec![b'a'; size];
        for (encoding, known, right) in [
            ("gzip", true, true),
            ("gzip", false, true),
            ("br", true, false),
            ("cut", true, false),
        ] {
            let mut packed = gzip(&bytes);
            if encoding == "cut" {
                packed.truncate(packed.len() - 9);
            }
            let name = if encoding == "cut" { "gzip" } else { encoding };
            let server = Server::start(move |_, _| {
                Answer::new("200 OK")
                    .header("content-encoding", name)
                    .header("etag", "\"5f3-gzip\"")
                    .body(&packed)
            })
            .await;
            let mut test = Test::new(&server.url);
            if known {
                test = test.knowing(&bytes);
            }
            let result = test.fetch().await;
            assert_eq!(result.is_ok(), right, "{encoding} {known} {result:?}");
            if right {
                test.assert_complete(&bytes);
            }
        }
    }
}

#[tokio::test]
async fn a_packed_bomb_is_stopped_at_the_announced_size() {
    let packed = gzip(&vec![0; 64 << 20]);
    let server =
        Server::start(move |_, _| Answer::new("200 OK").header("content-encoding", "gzip").body(&packed)).await;
    let test = Test::new(&server.url).knowing(&vec![0; 2 << 20]);
    assert!(matches!(test.fetch().await, Err(Error::Integrity { .. })));
    test.assert_nothing();
}

#[tokio::test]
async fn c_041_a_file_that_changes_midway_is_fetched_from_nothing() {
    let (old, new) = (content(3 << 20), vec![7; 3 << 20]);
    let (before, after) = (old.clone(), new.clone());
    let server = Server::start(move |seen, number| match number {
        1 => good(seen, &before).cut(2 << 20),
        _ => good(seen, &after),
    })
    .await;
    let mut test = Test::new(&server.url);
    let fetched = test.fetch().await.unwrap();
    test.assert_complete(&new);
    assert_eq!(fetched.etag.unwrap().as_sha256(), Some(Sha256::of(&new)));
    let ranges: Vec<bool> = server
        .seen()
        .iter()
        .map(|seen| seen.header("range").is_some())
        .collect();
    assert_eq!(ranges, [false, true, false]);

    // Who expects the old one gets an error, at once.
    test = Test::new(&server.url).knowing(&old);
    let err = test.fetch().await.unwrap_err();
    assert!(
        matches!(&err, Error::Integrity { expected, .. } if expected.starts_with("etag")),
        "{err}"
    );
    test.assert_nothing();
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn without_a_hash_the_stores_etag_keeps_versions_apart() {
    let new = content(3 << 20);
    let body = new.clone();
    let server = Server::start(move |seen, number| {
        let etag = if number == 1 { "\"v1\"" } else { "\"v2\"" };
        let mut answer = good(seen, if number == 1 { &[9; 3 << 20] } else { &body });
        answer.head = answer
            .head
            .lines()
            .filter(|line| !line.starts_with("etag"))
            .map(|line| format!("{line}\r\n"))
            .collect();
        let answer = answer.header("etag", etag);
        if number == 1 { answer.cut(2 << 20) } else { answer }
    })
    .await;
    let test = Test::new(&server.url);
    test.fetch().await.unwrap();
    test.assert_complete(&new);
}

#[tokio::test]
async fn an_address_that_expires_midway_is_asked_for_anew() {
    let bytes = content(40 << 20);
    let body = bytes.clone();
    let store = Server::start(move |seen, number| {
        let valid = seen.target.ends_with(if number == 1 { "sig=1" } else { "sig=2" });
        if valid {
            good(seen, &body)
        } else {
            Answer::new("403 Forbidden").header("content-length", 0)
        }
    })
    .await;
    let target = store.url.replace("127.0.0.1", "localhost");
    let hash = Sha256::of(&bytes);
    let hub = Server::start(move |_, number| {
        Answer::new("302 Found")
            .header("location", format!("{target}/blob?sig={number}"))
            .header("x-repo-commit", COMMIT)
            .header("x-linked-etag", format!("\"{hash}\""))
            .header("x-linked-size", 40 << 20)
            .header("content-length", 0)
    })
    .await;
    let mut test = Test::new(&hub.url).knowing(&bytes);
    test.options.max_connections = Some(1);
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    assert_eq!(
        hub.seen().len(),
        2,
        "the signed address is used for all ranges until it expires"
    );
}

#[tokio::test]
async fn an_address_that_is_refused_again_is_an_error() {
    let store = Server::start(|_, _| Answer::new("403 Forbidden").header("content-length", 0)).await;
    let target = store.url.replace("127.0.0.1", "localhost");
    let location = format!("{target}/blob?sig=secret");
    let redirect = location.clone();
    let hub = Server::start(move |_, _| {
        Answer::new("302 Found")
            .header("location", &redirect)
            .header("content-length", 0)
    })
    .await;
    let mut test = Test::new(&hub.url).knowing(&content(2000));
    test.source.location = Some(location);
    let err = test.fetch().await.unwrap_err();
    assert_eq!(err.status(), Some(403));
    assert!(!format!("{err} {err:?} {:?}", test.source).contains("secret"));
    test.assert_nothing();
    assert_eq!((hub.seen().len(), store.seen().len()), (1, 2));
}

#[tokio::test]
async fn more_connections_come_and_one_that_fails_does_no_harm() {
    let bytes = Arc::new(content(64 << 20));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (open, most, failed) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
        AtomicUsize::new(0),
    );
    let (body, now, peak) = (bytes.clone(), open.clone(), most.clone());
    let failed = Arc::new(failed);
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (body, now, peak, failed) = (body.clone(), now.clone(), peak.clone(), failed.clone());
            tokio::spawn(async move {
                let log = Arc::new(Mutex::new(Vec::new()));
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await?);
                }
                let text = String::from_utf8(head).unwrap();
                let range = text
                    .lines()
                    .find_map(|line| line.strip_prefix("range: "))
                    .map(str::to_owned);
                log.lock().unwrap().push(());
                let seen = Seen {
                    target: String::new(),
                    headers: range.map(|r| ("range".to_owned(), r)).into_iter().collect(),
                };
                let count = now.fetch_add(1, Ordering::SeqCst) + 1;
                peak.fetch_max(count, Ordering::SeqCst);
                let answer = good(&seen, &body);
                stream.write_all(format!("{}\r\n", answer.head).as_bytes()).await?;
                // About 40 MB a second for each connection; the third one breaks early.
                let breaks = count == 3 && failed.fetch_add(1, Ordering::SeqCst) == 0;
                for (n, piece) in answer.body.chunks(400 << 10).enumerate() {
                    if breaks && n == 2 || stream.write_all(piece).await.is_err() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                now.fetch_sub(1, Ordering::SeqCst);
                std::io::Result::Ok(())
            });
        }
    });
    let test = Test::new(&url).knowing(&bytes);
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    server.abort();
    let most = most.load(Ordering::SeqCst);
    assert!((3..=16).contains(&most), "{most}");
}

#[tokio::test]
async fn an_empty_file_takes_no_request() {
    let test = Test::new("http://127.0.0.1:1").knowing(b"");
    assert_eq!(test.fetch().await.unwrap().bytes, 0);
    test.assert_complete(b"");
    let mut wrong = Test::new("http://127.0.0.1:1").knowing(b"x");
    wrong.source.size = Some(0);
    assert!(matches!(wrong.fetch().await, Err(Error::Integrity { .. })));
    wrong.assert_nothing();
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_told_by_name() {
    let bytes = content(2 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, _| good(seen, &body)).await;
    let test = Test::new(&server.url).knowing(&bytes);
    let path = test.dir.path().join("missing").join("x");
    let err = test
        .api
        .fetch_to_file(&test.source, &path, &test.options)
        .await
        .unwrap_err();
    assert!(
        matches!(&err, Error::Io(io) if io.to_string().contains("missing")),
        "{err}"
    );
}

#[tokio::test]
async fn a_download_that_is_offline_sends_nothing() {
    let server = Server::start(|seen, _| good(seen, b"x")).await;
    let mut test = Test::new(&server.url);
    test.api = HfApi::builder().endpoint(&server.url).offline(true).build().unwrap();
    assert!(matches!(test.fetch().await, Err(Error::Offline { .. })));
    assert!(server.seen().is_empty());
    test.assert_nothing();
}

/// Counts what is reported.
#[derive(Default)]
struct Count(Mutex<(i64, Vec<String>)>);

/// Notes each retry: of which file, which one, and its cause.
#[derive(Default)]
struct Retries(Mutex<Vec<(Option<u64>, u32, Option<u16>)>>);

impl crate::Progress for Arc<Retries> {
    fn started(&self, _: &str, _: Option<u64>) -> crate::ProgressId {
        crate::ProgressId(7)
    }
    fn retrying(&self, id: Option<crate::ProgressId>, retry: u32, _: Duration, cause: &Error) {
        self.0.lock().unwrap().push((id.map(|id| id.0), retry, cause.status()));
    }
}

#[tokio::test]
async fn retries_are_told_as_they_happen() {
    for size in [700, 20 << 20] {
        let bytes = content(size);
        let body = bytes.clone();
        let server = Server::start(move |seen, number| match number {
            1 | 2 => Answer::new("503 Busy").header("content-length", 0),
            3 => good(seen, &body).cut(100),
            _ => good(seen, &body),
        })
        .await;
        let mut test = Test::new(&server.url).knowing(&bytes);
        let retries = Arc::new(Retries::default());
        test.options.progress = crate::ProgressHandle::new(retries.clone());
        test.fetch().await.unwrap();
        let expected = [(Some(7), 1, Some(503)), (Some(7), 2, Some(503)), (Some(7), 1, None)];
        assert_eq!(retries.0.lock().unwrap()[..], expected, "{size}");
    }
}

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

#[tokio::test]
async fn progress_adds_up_and_always_ends() {
    for (size, right) in [(2000, true), (20 << 20, true), (20 << 20, false)] {
        let bytes = content(size);
        let body = bytes.clone();
        let server = Server::start(move |seen, number| {
            let mut answer = good(seen, &body);
            if number == 1 || !right {
                answer.body[0] ^= 1;
            }
            answer
        })
        .await;
        let mut test = Test::new(&server.url).knowing(&bytes);
        let count = Arc::new(Count::default());
        test.options.progress = crate::ProgressHandle::new(count.clone());
        assert_eq!(test.fetch().await.is_ok(), right);
        let (bytes, events) = &*count.0.lock().unwrap();
        let last = if right { "Done" } else { "Failed" };
        assert_eq!(events[..], [format!("dir/file.bin Some({size})"), last.to_owned()]);
        assert_eq!(*bytes, if right { size as i64 } else { 0 });
    }
}

#[tokio::test]
async fn a_dropped_call_reports_its_end_and_nothing_more() {
    let bytes = content(20 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, _| good(seen, &body).slow()).await;
    let mut test = Test::new(&server.url).knowing(&bytes);
    let count = Arc::new(Count::default());
    test.options.progress = crate::ProgressHandle::new(count.clone());
    let moved = || count.0.lock().unwrap().0;
    {
        let partial = test.partial();
        let mut fetch = Box::pin(test.api.fetch_to_file(&test.source, &partial, &test.options));
        while moved() == 0 {
            let turn = tokio::time::timeout(Duration::from_millis(5), &mut fetch).await;
            assert!(turn.is_err(), "it cannot end yet");
        }
    }
    // A write that was under way may still end; then there is silence, while the server goes on sending.
    let mut before = -1;
    while before != moved() || count.0.lock().unwrap().1.len() < 2 {
        before = moved();
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(moved(), before);
    let events = count.0.lock().unwrap().1.clone();
    assert_eq!(events[1..], ["Failed"]);
}

mod streams {
    use futures_util::StreamExt;

    use super::*;

    async fn collect(test: &Test, start: Option<u64>, end: Option<u64>) -> Result<Vec<u8>> {
        let mut items = test
            .api
            .download_stream("ada/demo", "dir/file.bin")
            .start(start)
            .end(end)
            .await?;
        let mut all = Vec::new();
        while let Some(bytes) = StreamExt::next(&mut items).await {
            all.extend_from_slice(&bytes?);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn every_range_of_a_small_file_is_right_also_when_cut_or_ignored() {
        let bytes = content(12);
        for fault in ["none", "cut", "ignored"] {
            let body = bytes.clone();
            let server = Server::start(move |seen, number| match fault {
                "cut" if number % 2 == 1 => {
                    let answer = good(seen, &body);
                    let at = answer.body.len() / 2;
                    answer.cut(at)
                }
                "ignored" => Answer::new("200 OK").header("content-length", 12).body(&body),
                _ => good(seen, &body),
            })
            .await;
            let test = Test::new(&server.url);
            for start in 0..14u64 {
                for end in start + 1..15 {
                    let expected = &bytes[(start as usize).min(12)..(end as usize).min(12)];
                    let found = test
                        .api
                        .download_range("ada/demo", "dir/file.bin", start, end)
                        .await
                        .unwrap();
                    assert_eq!(found, expected, "{fault} {start}..{end}");
                }
                let expected = &bytes[(start as usize).min(12)..];
                assert_eq!(collect(&test, Some(start), None).await.unwrap(), expected);
            }
            assert!(test.api.download_range("ada/demo", "x", 5, 5).await.is_err());
            assert!(collect(&test, Some(5), Some(4)).await.is_err());
            assert_eq!(test.api.download_bytes("ada/demo", "x").await.unwrap(), bytes);
        }
    }

    #[tokio::test]
    async fn a_stream_goes_on_where_it_was_cut() {
        let bytes = content(3 << 20);
        let body = bytes.clone();
        let server = Server::start(move |seen, number| {
            let answer = good(seen, &body);
            if number <= 4 {
                answer.cut(100_000 * number)
            } else {
                answer
            }
        })
        .await;
        let test = Test::new(&server.url);
        assert!(collect(&test, None, None).await.unwrap() == bytes);
        let starts: Vec<_> = server
            .seen()
            .iter()
            .map(|seen| seen.range(bytes.len()).map(|r| r.0))
            .collect();
        assert_eq!(
            starts,
            [None, Some(100_000), Some(300_000), Some(600_000), Some(1_000_000)]
        );
    }

    #[tokio::test]
    async fn a_stream_that_cannot_go_on_is_an_error() {
        let bytes = content(1000);
        let body = bytes.clone();
        let server = Server::start(move |seen, number| match number {
            1 => good(seen, &body).cut(500),
            _ => Answer::new("503 Busy").header("content-length", 0),
        })
        .await;
        let err = collect(&Test::new(&server.url), None, None).await.unwrap_err();
        assert_eq!(err.status(), Some(503));

        let other = Server::start(move |seen, number| match number {
            1 => good(seen, &bytes).cut(500),
            _ => good(seen, &[1; 1000]),
        })
        .await;
        let err = collect(&Test::new(&other.url), None, None).await.unwrap_err();
        assert!(matches!(err, Error::Integrity { .. }), "{err}");
    }

    #[tokio::test]
    async fn a_missing_file_is_told_with_the_first_item() {
        let server = Server::start(|_, _| {
            Answer::new("404 x")
                .header("x-error-code", "EntryNotFound")
                .header("content-length", 0)
        })
        .await;
        let test = Test::new(&server.url);
        assert!(matches!(collect(&test, None, None).await, Err(Error::EntryNotFound(_))));
        assert!(matches!(
            test.api.download_bytes("a/b", "x").await,
            Err(Error::EntryNotFound(_))
        ));
    }

    #[tokio::test]
    async fn a_path_is_never_half_a_file() {
        let bytes = content(3 << 20);
        let body = bytes.clone();
        let server = Server::start(move |seen, number| match number {
            1 => good(seen, &body).cut(2 << 20),
            2..=5 => Answer::new("503 Busy").header("content-length", 0),
            _ => good(seen, &body),
        })
        .await;
        let test = Test::new(&server.url);
        let path = test.dir.path().join("new/folder/file.bin");
        let call = || test.api.download_to_path("ada/demo", "dir/file.bin", &path);
        assert!(call().await.is_err());
        assert!(!path.exists());
        let fetched = call().await.unwrap();
        assert_eq!(fetched.resumed_from, 2 << 20);
        assert!(fs_err::read(&path).unwrap() == bytes);
        // Two at once do not get in each other's way.
        let (one, two) = tokio::join!(call(), call());
        assert_eq!((one.unwrap().bytes, two.unwrap().bytes), (3 << 20, 3 << 20));
        let names = fs_err::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(names, 1);
    }

    #[tokio::test]
    async fn a_path_that_gets_nothing_leaves_nothing() {
        let server = Server::start(|_, _| Answer::new("404 x").header("content-length", 0)).await;
        let test = Test::new(&server.url);
        let path = test.dir.path().join("file.bin");
        assert!(test.api.download_to_path("ada/demo", "x", &path).await.is_err());
        test.assert_nothing();
    }
}
