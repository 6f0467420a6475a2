//! The world of one test: a storage, a gate in front of it that sees and breaks connections, and a Hub.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hub_http::{HfApi, HfApiBuilder, Outcome, Progress, ProgressHandle, ProgressId};
use hub_server::Builder;
use hub_tests::{ADA, TestEnv, TestHub};
use hub_types::Token;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use xet_client::cas_client::{LocalTestServer, LocalTestServerBuilder};

pub(crate) struct World {
    pub(crate) env: TestEnv,
    pub(crate) hub: TestHub,
    pub(crate) gate: Gate,
    cas: LocalTestServer,
}

impl World {
    /// A Hub with the model `ada/demo`.
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with(configure: impl FnOnce(Builder) -> Builder) -> Self {
        // The first client chooses the library for TLS, which the storage's own tools need as well.
        HfApi::builder().build().unwrap();
        let cas = LocalTestServerBuilder::new().with_ephemeral_disk().start().await;
        let gate = Gate::before(cas.http_endpoint()).await;
        let mut env = TestEnv::new();
        let hub = env.start_hub_with(|builder| configure(builder.xet_cas(gate.url.clone())));
        let world = Self { env, hub, gate, cas };
        world.api().create_repo("ada/demo").await.unwrap();
        world
    }

    pub(crate) fn builder(&self) -> HfApiBuilder {
        HfApi::builder()
            .endpoint(self.hub.url())
            .token(Token::new(ADA).unwrap())
            .retries(2, Duration::from_millis(1))
            .xet_cache(self.env.root().join("xet"))
    }

    pub(crate) fn api(&self) -> HfApi {
        self.builder().build().unwrap()
    }

    /// Puts a file into the repository, by Xet.
    pub(crate) async fn upload(&self, bytes: Vec<u8>, path: &str) {
        self.api().upload_file("ada/demo", bytes, path).await.unwrap();
    }

    /// A client that goes through plain HTTP and LFS alone.
    pub(crate) fn plain(&self) -> HfApi {
        self.builder().xet(false).build().unwrap()
    }

    /// The storage's files can all be put together, and nothing in it contradicts itself.
    pub(crate) async fn check_storage(&self) {
        self.cas.verify_integrity().await.unwrap();
    }

    /// How many large files the Hub has in its own store.
    pub(crate) fn files_in_store(&self) -> usize {
        let lfs = self.hub.root().join("lfs");
        let is_blob = |path: &std::path::Path| path.file_name().is_some_and(|name| name.len() == 64);
        let mut found = 0;
        let mut folders = vec![lfs];
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if is_blob(&path) {
                    found += 1;
                }
            }
        }
        found
    }
}

/// Bytes without any repetition that a chunk could hit, the same for the same seed.
pub(crate) fn random(length: usize, seed: u64) -> Vec<u8> {
    // SplitMix64: unlike counting up, no two stretches of it are alike.
    let mut state = seed;
    let words = std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    });
    words.flat_map(u64::to_le_bytes).take(length).collect()
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// One request that went through the gate.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) token: Option<String>,
    pub(crate) head: String,
}

#[derive(Default)]
struct Watch {
    seen: Mutex<Vec<Seen>>,
    /// Bytes that clients sent, heads included.
    up: AtomicU64,
    /// How many bytes may still come out of `/v1` and `/v2`; below zero, no limit.
    down_left: AtomicI64,
    refuses_uploads: AtomicBool,
    silent: AtomicBool,
    /// Requests with a token that was no longer valid.
    expired: AtomicU64,
}

/// Stands before the storage: one connection a request, so that each is seen.
pub(crate) struct Gate {
    pub(crate) url: String,
    watch: Arc<Watch>,
}

impl Gate {
    async fn before(storage: &str) -> Self {
        let storage = storage.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let watch = Arc::new(Watch {
            down_left: AtomicI64::new(-1),
            ..Watch::default()
        });
        let shared = watch.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (storage, watch) = (storage.clone(), shared.clone());
                // A connection that breaks is what some of these tests want.
                tokio::spawn(async move { pass(client, &storage, &watch).await });
            }
        });
        Self { url, watch }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.watch.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests went to a path that begins so.
    pub(crate) fn count(&self, method: &str, path: &str) -> usize {
        let seen = self.seen();
        let fits = |seen: &&Seen| seen.method == method && seen.path.starts_with(path);
        seen.iter().filter(fits).count()
    }

    pub(crate) fn forget(&self) {
        self.watch.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.watch.up.store(0, Ordering::SeqCst);
    }

    pub(crate) fn sent_bytes(&self) -> u64 {
        self.watch.up.load(Ordering::SeqCst)
    }

    pub(crate) fn expired(&self) -> u64 {
        self.watch.expired.load(Ordering::SeqCst)
    }

    /// Lets so many bytes of files out, and then breaks every connection to them.
    pub(crate) fn break_after(&self, bytes: i64) {
        self.watch.down_left.store(bytes, Ordering::SeqCst);
    }

    pub(crate) fn refuse_uploads(&self, refuses: bool) {
        self.watch.refuses_uploads.store(refuses, Ordering::SeqCst);
    }

    /// Says nothing any more to who asks for files, and keeps the connections.
    pub(crate) fn fall_silent(&self) {
        self.watch.silent.store(true, Ordering::SeqCst);
    }
}

async fn pass(mut client: TcpStream, storage: &str, watch: &Watch) -> std::io::Result<()> {
    let mut head = Vec::new();
    let end = loop {
        let mut buffer = [0; 8192];
        let read = client.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        head.extend_from_slice(&buffer[..read]);
        if let Some(at) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
    };
    watch.up.fetch_add(head.len() as u64, Ordering::SeqCst);
    let text = String::from_utf8_lossy(&head[..end]).into_owned();
    let mut words = text.split(' ');
    let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let token = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("authorization")
            .then(|| value.trim().trim_start_matches("Bearer ").to_owned())
    });
    // The server's own tokens say until when they are valid.
    let expiry = token
        .as_ref()
        .and_then(|token| token.split('_').nth(1)?.parse::<u64>().ok());
    watch.seen.lock().unwrap_or_else(PoisonError::into_inner).push(Seen {
        method: method.clone(),
        path: path.clone(),
        token,
        head: text.clone(),
    });
    let for_files = path.starts_with("/v1/") || path.starts_with("/v2/");
    if expiry.is_some_and(|expiry| expiry < now()) {
        watch.expired.fetch_add(1, Ordering::SeqCst);
        return refuse(&mut client, "401 Unauthorized").await;
    }
    if method == "POST" && for_files && watch.refuses_uploads.load(Ordering::SeqCst) {
        return refuse(&mut client, "403 Forbidden").await;
    }
    if for_files && watch.silent.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_secs(60)).await;
        return Ok(());
    }
    let limited = for_files && watch.down_left.load(Ordering::SeqCst) >= 0;
    if limited && watch.down_left.load(Ordering::SeqCst) == 0 {
        return Ok(());
    }
    let mut storage = TcpStream::connect(storage).await?;
    let (line, rest) = text.split_once("\r\n").unwrap();
    let kept: String = rest
        .lines()
        .filter(|line| !line.is_empty() && !line.to_ascii_lowercase().starts_with("connection:"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    storage
        .write_all(format!("{line}\r\n{kept}connection: close\r\n\r\n").as_bytes())
        .await?;
    storage.write_all(&head[end..]).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_storage, mut to_storage) = storage.split();
    let up = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from_client.read(&mut buffer).await?;
            if read == 0 {
                // It may still want to read what is told it.
                std::future::pending::<()>().await;
            }
            watch.up.fetch_add(read as u64, Ordering::SeqCst);
            to_storage.write_all(&buffer[..read]).await?;
        }
    };
    let down = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from_storage.read(&mut buffer).await?;
            if read == 0 {
                return Ok(());
            }
            let mut let_out = read;
            if for_files && watch.down_left.load(Ordering::SeqCst) >= 0 {
                let left = watch.down_left.load(Ordering::SeqCst).max(0);
                let_out = read.min(usize::try_from(left).unwrap());
                watch.down_left.store(left - let_out as i64, Ordering::SeqCst);
            }
            to_client.write_all(&buffer[..let_out]).await?;
            if let_out < read {
                return Ok(());
            }
        }
    };
    let ended: std::io::Result<()> = tokio::select! { ended = up => ended, ended = down => ended };
    ended
}

async fn refuse(client: &mut TcpStream, status: &str) -> std::io::Result<()> {
    let reply = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    client.write_all(reply.as_bytes()).await?;
    // What is still being sent is read, so that the reply is too.
    let mut buffer = vec![0; 64 * 1024];
    let rest = async { while client.read(&mut buffer).await.is_ok_and(|read| read > 0) {} };
    let _ = tokio::time::timeout(Duration::from_secs(1), rest).await;
    Ok(())
}

/// What a transfer told.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) done: AtomicU64,
    pub(crate) deduplicated: AtomicU64,
    pub(crate) files_done: AtomicU64,
    pub(crate) files_skipped: AtomicU64,
    pub(crate) files_failed: AtomicU64,
}

struct Listener(Arc<Told>);

impl Told {
    pub(crate) fn new() -> (Arc<Self>, ProgressHandle) {
        let told = Arc::new(Self::default());
        (told.clone(), ProgressHandle::new(Listener(told)))
    }

    pub(crate) fn get(&self, what: impl Fn(&Self) -> &AtomicU64) -> u64 {
        what(self).load(Ordering::SeqCst)
    }
}

impl Progress for Listener {
    fn advanced(&self, _: ProgressId, bytes: u64) {
        self.0.done.fetch_add(bytes, Ordering::SeqCst);
    }

    fn taken_back(&self, _: ProgressId, bytes: u64) {
        self.0.done.fetch_sub(bytes, Ordering::SeqCst);
    }

    fn deduplicated(&self, _: ProgressId, bytes: u64) {
        self.0.deduplicated.fetch_add(bytes, Ordering::SeqCst);
    }

    fn finished(&self, _: ProgressId, outcome: Outcome) {
        let count = match outcome {
            Outcome::Done => &self.0.files_done,
            Outcome::Skipped => &self.0.files_skipped,
            _ => &self.0.files_failed,
        };
        count.fetch_add(1, Ordering::SeqCst);
    }
}
