//! Large files: the batch that asks what is missing, the uploads in one request or in parts, the confirmation.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::FutureExt as _;
use futures_util::stream::{StreamExt as _, TryStreamExt as _};
use http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use hub_types::lfs::{LfsAction, LfsActions, LfsBatchReply, LfsObject, LfsPointer};
use hub_types::{RepoId, Revision, Sha256};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::origin::is_expired;
use super::source::{self, Opened, Range, UploadSource};
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::progress::{FileProgress, Outcome, ProgressHandle};
use crate::request::Request;

/// The most files of one batch.
const BATCH: usize = 256;
/// How many parts of one file are sent at once.
const PARTS_AT_ONCE: usize = 4;
const LFS_JSON: HeaderValue = HeaderValue::from_static("application/vnd.git-lfs+json");

/// A large file to upload.
#[derive(Debug, Clone)]
pub(crate) struct LfsFile {
    pub(crate) path: String,
    pub(crate) pointer: LfsPointer,
    pub(crate) opened: Arc<Opened>,
    /// Where it is reported, if it is already: it was tried in another way.
    pub(crate) bar: Option<Arc<FileProgress>>,
}

impl LfsFile {
    fn bar(&self, progress: &ProgressHandle) -> Arc<FileProgress> {
        let start = || Arc::new(progress.start(&self.path, Some(self.pointer.size)));
        self.bar.clone().unwrap_or_else(start)
    }
}

/// Uploads of one run: how many are under way, and which contents it has seen.
#[derive(Debug)]
pub(crate) struct Uploads {
    slots: Semaphore,
    seen: Mutex<HashSet<Sha256>>,
}

impl Uploads {
    /// With `at_once` files under way at the most.
    pub(crate) fn new(at_once: usize) -> Self {
        Self {
            slots: Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS)),
            seen: Mutex::default(),
        }
    }

    /// Whether this content comes for the first time.
    fn is_new(&self, oid: Sha256) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(oid)
    }
}

/// Uploads what the Hub does not have yet, each content once.
pub(crate) async fn upload(
    api: &HfApi,
    repo: &RepoId,
    revision: Option<&Revision>,
    files: Vec<LfsFile>,
    uploads: &Uploads,
    progress: &ProgressHandle,
) -> Result<()> {
    let (new, known): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| uploads.is_new(file.pointer.oid));
    for file in known {
        file.bar(progress).end(Outcome::Skipped);
    }
    for files in new.chunks(BATCH) {
        let pointers: Vec<LfsPointer> = files.iter().map(|file| file.pointer).collect();
        let mut objects = batch(api, repo, revision, &pointers).await?;
        let running = files.iter().map(|file| {
            let object = objects.remove(&file.pointer.oid.to_string());
            let running = async move {
                let _slot = uploads.slots.acquire().await;
                let bar = file.bar(progress);
                let outcome = store(api, repo, revision, file, object, &bar).await;
                // Not left to whoever drops it last: a body's reader may still be at it.
                bar.end(*outcome.as_ref().unwrap_or(&Outcome::Failed));
                outcome?;
                Ok::<(), Error>(())
            };
            running.boxed()
        });
        futures_util::future::try_join_all(running.collect::<Vec<_>>()).await?;
    }
    Ok(())
}

/// Uploads one file and confirms it; where its address is refused, asks for another, once. Addresses are signed and
/// expire, as they may when many files wait for their turn.
async fn store(
    api: &HfApi,
    repo: &RepoId,
    revision: Option<&Revision>,
    file: &LfsFile,
    object: Option<LfsObject>,
    bar: &Arc<FileProgress>,
) -> Result<Outcome> {
    let Some(mut actions) = actions_of(api, file, object)? else {
        return Ok(Outcome::Skipped);
    };
    let sent = send(api, file, &actions, &Attempt::new(bar)).await;
    match sent {
        // As `origin` has it: what stores say to a signed address that is past its time.
        Err(refused) if is_expired(&refused) => {
            // Parts of it may have gone out: a new address is one of nothing.
            bar.restart(0);
            bar.retrying(1, Duration::ZERO, &refused);
            let mut again = batch(api, repo, revision, &[file.pointer]).await?;
            actions = match actions_of(api, file, again.remove(&file.pointer.oid.to_string()))? {
                Some(actions) => actions,
                None => return Ok(Outcome::Skipped),
            };
            send(api, file, &actions, &Attempt::new(bar)).await?;
        }
        sent => sent?,
    }
    // Not a part of what is done again: a refusal of bytes that have arrived is the Hub's word on them.
    confirm(api, file, &actions).await?;
    Ok(Outcome::Done)
}

/// Where an attempt at a file reports what it sends. One that is over reports nothing more, though a connection may hold
/// its body still.
struct Attempt {
    bar: Arc<FileProgress>,
    running: Arc<()>,
}

impl Attempt {
    fn new(bar: &Arc<FileProgress>) -> Self {
        Self {
            bar: bar.clone(),
            running: Arc::default(),
        }
    }
}

/// Asks what to do for each file. Any refusal fails the whole.
async fn batch(
    api: &HfApi,
    repo: &RepoId,
    revision: Option<&Revision>,
    pointers: &[LfsPointer],
) -> Result<HashMap<String, LfsObject>> {
    let mut body = json!({
        "operation": "upload",
        "transfers": ["basic", "multipart"],
        "hash_algo": "sha256",
        "objects": pointers,
    });
    if let Some(revision) = revision {
        body["ref"] = json!({ "name": revision });
    }
    let request = Request::post(format!("/{}.git/info/lfs/objects/batch", repo.url_path()))
        .json(&body)
        .header(ACCEPT, LFS_JSON)
        .header(CONTENT_TYPE, LFS_JSON)
        .retried();
    let (reply, bytes) = api.send_whole(request).await?;
    let reply: LfsBatchReply = crate::request::parse_json(reply.url(), &bytes)?;
    let failed: Vec<(String, String)> = reply
        .objects
        .iter()
        .filter_map(|object| Some((object.oid.clone(), object.error.as_ref()?.message.clone())))
        .collect();
    if !failed.is_empty() {
        return Err(Error::Batch { failed });
    }
    Ok(reply
        .objects
        .into_iter()
        .map(|object| (object.oid.clone(), object))
        .collect())
}

/// What is to be done for a file; nothing where its content is stored already.
fn actions_of(api: &HfApi, file: &LfsFile, object: Option<LfsObject>) -> Result<Option<LfsActions>> {
    let object = object.ok_or_else(|| {
        let problem = format!("the answer about large files leaves out {}", file.path);
        Error::malformed(api.endpoint(), problem)
    })?;
    Ok(object.actions)
}

/// Sends the bytes, if they are asked for.
async fn send(api: &HfApi, file: &LfsFile, actions: &LfsActions, attempt: &Attempt) -> Result<()> {
    match &actions.upload {
        Some(upload) => put(api, file, upload, attempt).await,
        None => Ok(()),
    }
}

/// In one request or in parts.
async fn put(api: &HfApi, file: &LfsFile, action: &LfsAction, attempt: &Attempt) -> Result<()> {
    if action.header.0.contains_key("chunk_size") {
        multipart(api, file, action, attempt).await
    } else {
        basic(api, file, action, attempt).await
    }
}

/// Tells the Hub that the bytes are there, if it wants to hear it.
async fn confirm(api: &HfApi, file: &LfsFile, actions: &LfsActions) -> Result<()> {
    let Some(verify) = &actions.verify else {
        return Ok(());
    };
    let href = api.shared.config.endpoint.rewrite(verify.href.reveal());
    // Our own token is the one that the Hub wants from us.
    let ours = api.is_hub_address(&href) && api.token().await?.is_some();
    let request = with_headers(Request::post(href), verify, |name| !(ours && name == AUTHORIZATION))?;
    api.send_whole(request.json(&file.pointer).retried()).await.map(drop)
}

operation! {
    impl HfApi, Error;

    /// Sends one large file to where a batch reply says that it goes: what a transfer agent of git-lfs does.
    ///
    /// Nothing else happens: the batch was another's request, and so are the confirmation and the commit. Uploads and
    /// commits of one's own are [`HfApi::upload_file`] and its kin.
    ///
    /// Endpoint: the signed addresses of the action, in one request or in parts.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi, action: hub_types::lfs::LfsAction, oid: hub_types::Sha256) -> hub_http::Result<()> {
    /// // `action` and `oid` come from a batch reply: see `hub_types::lfs`.
    /// api.put_lfs_object(action, oid, "model.safetensors").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::MalformedReply`] when the action's parts are not those of the file; [`Error::Integrity`] when the file is
    /// changed meanwhile; see [`Error`] for those any call can return.
    pub fn put_lfs_object(
        /// The action `upload` of the batch reply.
        action: LfsAction,
        /// The hash of the content.
        oid: Sha256,
        /// A file on this machine, or bytes.
        source: UploadSource,
    ) -> PutLfsObject(PutLfsObjectArgs) => () {}
    skip {
        /// Who is told how far it is.
        progress: ProgressHandle,
    }
}

impl PutLfsObjectArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let source = self.source;
        let opened = crate::runtime::blocking(move || Opened::open(source)).await?;
        let file = LfsFile {
            path: self.oid.to_string(),
            pointer: LfsPointer {
                oid: self.oid,
                size: opened.size,
            },
            opened: Arc::new(opened),
            bar: None,
        };
        let bar = file.bar(&self.progress);
        let sent = put(&api, &file, &self.action, &Attempt::new(&bar)).await;
        bar.end(if sent.is_ok() { Outcome::Done } else { Outcome::Failed });
        sent
    }
}

/// One request with all bytes.
async fn basic(api: &HfApi, file: &LfsFile, action: &LfsAction, attempt: &Attempt) -> Result<()> {
    let request = Request::put(api.shared.config.endpoint.rewrite(action.href.reveal())).to_store();
    let request = with_headers(request, action, |_| true)?;
    let request = range(request, file, 0, file.pointer.size, attempt);
    api.send_whole(request).await.map(drop)
}

/// A request for each part, then one that puts them together.
async fn multipart(api: &HfApi, file: &LfsFile, action: &LfsAction, attempt: &Attempt) -> Result<()> {
    let malformed = |problem: String| Error::malformed(action.href.reveal(), problem);
    let chunk_size = match &action.header.0["chunk_size"] {
        Value::String(text) => text.parse::<u64>().ok(),
        value => value.as_u64(),
    };
    let Some(chunk_size) = chunk_size.filter(|size| *size > 0) else {
        return Err(malformed(format!("a part size of {}", action.header.0["chunk_size"])));
    };
    let mut parts: Vec<(u64, &str)> = action
        .header
        .0
        .iter()
        .filter(|(key, _)| !key.is_empty() && key.bytes().all(|b| b.is_ascii_digit()))
        .filter_map(|(key, url)| Some((key.parse().ok()?, url.as_str()?)))
        .collect();
    parts.sort_unstable();
    let expected = file.pointer.size.div_ceil(chunk_size);
    if parts.len() as u64 != expected {
        return Err(malformed(format!("{} parts where {expected} are needed", parts.len())));
    }
    let uploads = parts
        .into_iter()
        .enumerate()
        .map(|(at, (_, url))| {
            let upload = async move {
                let start = at as u64 * chunk_size;
                let end = (start + chunk_size).min(file.pointer.size);
                let request = range(Request::put(url).to_store(), file, start, end, attempt);
                let (reply, _) = api.send_whole(request).await?;
                match reply.header("etag") {
                    Some(etag) if !etag.is_empty() => Ok(json!({ "partNumber": at + 1, "etag": etag })),
                    _ => Err(Error::malformed(url, "no ETag for a part that was sent")),
                }
            };
            upload.boxed()
        })
        .collect::<Vec<_>>();
    let parts: Vec<Value> = futures_util::stream::iter(uploads)
        .buffered(PARTS_AT_ONCE)
        .try_collect()
        .await?;
    let request = Request::post(api.shared.config.endpoint.rewrite(action.href.reveal()))
        .to_store()
        .json(&json!({ "oid": file.pointer.oid, "parts": parts }))
        .header(ACCEPT, LFS_JSON)
        .header(CONTENT_TYPE, LFS_JSON)
        .retried();
    // What the action names beside the parts is for this address. The parts' own say all, and a store refuses a signed one
    // that comes with other credentials.
    let is_of_parts = |name: &HeaderName| name == "chunk_size" || name.as_str().bytes().all(|b| b.is_ascii_digit());
    let request = with_headers(request, action, |name| !is_of_parts(name))?;
    api.send_whole(request).await.map(drop)
}

/// A request whose body is a range of the file, read anew for each attempt.
fn range(request: Request, file: &LfsFile, start: u64, end: u64, attempt: &Attempt) -> Request {
    let (opened, bar) = (file.opened.clone(), attempt.bar.clone());
    let running = Arc::downgrade(&attempt.running);
    let sent = Arc::new(AtomicU64::new(0));
    let request = request.retried().about(bar.clone());
    request.stream(end - start, sent.clone(), move |bandwidth| {
        // What an attempt that failed had sent is sent again: it does not count twice.
        bar.take_back(sent.swap(0, Ordering::Relaxed));
        let (bar, sent, running) = (bar.clone(), sent.clone(), running.clone());
        source::body(
            Arc::new(Range {
                opened: opened.clone(),
                start,
                end,
            }),
            bandwidth,
            move |bytes| {
                sent.fetch_add(bytes, Ordering::Relaxed);
                if running.strong_count() > 0 {
                    bar.advance(bytes);
                }
            },
        )
    })
}

/// Adds the headers that the server asks for and that are `wanted`. Those that say how the body is sent are for us to say.
fn with_headers(mut request: Request, action: &LfsAction, wanted: impl Fn(&HeaderName) -> bool) -> Result<Request> {
    let malformed = |problem: &str| Error::malformed(action.href.reveal(), problem);
    for (name, value) in &action.header.0 {
        let name: HeaderName = name
            .parse()
            .map_err(|_| malformed("a header name that cannot be sent"))?;
        if [CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING].contains(&name) || !wanted(&name) {
            continue;
        }
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut value = HeaderValue::from_str(&text).map_err(|_| malformed("a header that cannot be sent"))?;
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    Ok(request)
}
