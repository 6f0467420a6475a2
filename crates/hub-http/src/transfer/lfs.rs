//! Large files: the batch that asks what is missing, the uploads in one request or in parts, the confirmation.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::FutureExt as _;
use futures_util::stream::{StreamExt as _, TryStreamExt as _};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use hub_types::lfs::{LfsAction, LfsBatchReply, LfsObject, LfsPointer};
use hub_types::{RepoId, Revision};
use serde_json::{Value, json};

use super::source::{self, Opened, Range};
use crate::client::HfApi;
use crate::error::{Error, Result};
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
}

/// Uploads what the Hub does not have yet, `at_once` files at a time, each content once.
pub(crate) async fn upload(
    api: &HfApi,
    repo: &RepoId,
    revision: Option<&Revision>,
    files: Vec<LfsFile>,
    at_once: usize,
    progress: &ProgressHandle,
) -> Result<()> {
    let mut by_oid: BTreeMap<String, LfsFile> = BTreeMap::new();
    let mut order = Vec::new();
    for file in files {
        let oid = file.pointer.oid.to_string();
        if by_oid.insert(oid.clone(), file).is_none() {
            order.push(oid);
        }
    }
    for oids in order.chunks(BATCH) {
        let pointers: Vec<LfsPointer> = oids.iter().map(|oid| by_oid[oid].pointer).collect();
        let mut objects: HashMap<String, LfsObject> = batch(api, repo, revision, &pointers).await?;
        let uploads: Vec<_> = oids
            .iter()
            .map(|oid| {
                let file = &by_oid[oid];
                let object = objects.remove(oid);
                one(api, file, object, progress).boxed()
            })
            .collect();
        futures_util::stream::iter(uploads)
            .buffer_unordered(at_once.max(1))
            .try_collect::<()>()
            .await?;
    }
    Ok(())
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

async fn one(api: &HfApi, file: &LfsFile, object: Option<LfsObject>, progress: &ProgressHandle) -> Result<()> {
    let Some(object) = object else {
        return Err(Error::malformed(
            api.endpoint(),
            format!("the batch's answer leaves out {}", file.path),
        ));
    };
    let bar = Arc::new(progress.start(&file.path, Some(file.pointer.size)));
    // Without actions the content is stored already.
    let Some(actions) = object.actions else {
        bar.advance(file.pointer.size);
        end(bar, Outcome::Skipped);
        return Ok(());
    };
    if let Some(upload) = &actions.upload {
        if upload.header.contains_key("chunk_size") {
            multipart(api, file, upload, &bar).await?;
        } else {
            basic(api, file, upload, &bar).await?;
        }
    }
    if let Some(verify) = &actions.verify {
        let href = api.shared.config.endpoint.rewrite(&verify.href);
        let request = Request::post(href).json(&file.pointer).retried();
        api.send_whole(request).await?;
    }
    end(bar, Outcome::Done);
    Ok(())
}

/// Reports the end; the requests' bodies are gone by now, so this is the last owner.
fn end(bar: Arc<FileProgress>, outcome: Outcome) {
    if let Some(bar) = Arc::into_inner(bar) {
        bar.finish(outcome);
    }
}

/// One request with all bytes.
async fn basic(api: &HfApi, file: &LfsFile, action: &LfsAction, bar: &Arc<FileProgress>) -> Result<()> {
    let mut request = Request::put(api.shared.config.endpoint.rewrite(&action.href)).to_store();
    for (name, value) in &action.header {
        request = request.header(header_name(action, name)?, header_value(action, value)?);
    }
    let request = range(request, file, 0, file.pointer.size, bar);
    api.send_whole(request).await.map(drop)
}

/// A request for each part, then one that puts them together.
async fn multipart(api: &HfApi, file: &LfsFile, action: &LfsAction, bar: &Arc<FileProgress>) -> Result<()> {
    let malformed = |problem: String| Error::malformed(&action.href, problem);
    let chunk_size = match &action.header["chunk_size"] {
        Value::String(text) => text.parse::<u64>().ok(),
        value => value.as_u64(),
    };
    let Some(chunk_size) = chunk_size.filter(|size| *size > 0) else {
        return Err(malformed(format!("a part size of {}", action.header["chunk_size"])));
    };
    let mut parts: Vec<(u64, &str)> = action
        .header
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
                let request = range(Request::put(url).to_store(), file, start, end, bar);
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
    let request = Request::post(api.shared.config.endpoint.rewrite(&action.href))
        .to_store()
        .json(&json!({ "oid": file.pointer.oid, "parts": parts }))
        .header(ACCEPT, LFS_JSON)
        .header(CONTENT_TYPE, LFS_JSON)
        .retried();
    api.send_whole(request).await.map(drop)
}

/// A request whose body is a range of the file, read anew for each attempt.
fn range(request: Request, file: &LfsFile, start: u64, end: u64, bar: &Arc<FileProgress>) -> Request {
    let (opened, bar) = (file.opened.clone(), bar.clone());
    let sent = Arc::new(AtomicU64::new(0));
    request.retried().stream(end - start, sent.clone(), move || {
        // What an attempt that failed had sent is sent again: it does not count twice.
        bar.take_back(sent.swap(0, Ordering::Relaxed));
        let (bar, sent) = (bar.clone(), sent.clone());
        source::body(
            Arc::new(Range {
                opened: opened.clone(),
                start,
                end,
            }),
            move |bytes| {
                sent.fetch_add(bytes, Ordering::Relaxed);
                bar.advance(bytes);
            },
        )
    })
}

fn header_name(action: &LfsAction, name: &str) -> Result<HeaderName> {
    name.parse()
        .map_err(|_| Error::malformed(&action.href, "a header name that cannot be sent"))
}

fn header_value(action: &LfsAction, value: &Value) -> Result<HeaderValue> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut value =
        HeaderValue::from_str(&text).map_err(|_| Error::malformed(&action.href, "a header that cannot be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}
