//! Files of buckets: into them, out of them, and what is known of one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::stream::{self, TryStreamExt as _};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderName, Method};
use hub_types::buckets::{BatchReport, BucketFile, BucketFileMetadata, BucketId};
use hub_types::{OneOrMany, RepoPath, XetHash};
use serde_json::{Value, json};

use super::{BATCH, path};
use crate::api::resolve::fetch_to_path;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::page::link;
use crate::progress::{Outcome, ProgressHandle};
use crate::request::Request;
use crate::runtime::blocking;
use crate::transfer::source::Opened;
use crate::transfer::{FetchOptions, FileSource, UploadSource, xet};

/// Files that are fetched side by side.
const AT_ONCE: usize = 8;

/// Bytes that a bucket takes in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BucketAdd {
    /// A file on this machine, or bytes.
    pub source: UploadSource,
    /// Where it shall be.
    pub destination: String,
}

/// A file that a bucket takes over from another place on the Hub by its content's hash.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BucketCopy {
    /// `model`, `dataset`, `space` or `bucket`: what it comes from.
    pub source_repo_type: String,
    /// The id of where it comes from.
    pub source_repo_id: String,
    /// What its content is called.
    pub xet_hash: XetHash,
    /// Where it shall be.
    pub destination: String,
}

operation! {
    impl HfApi, Error;

    /// Puts files into a bucket, copies files into it by their content's hash, and deletes files from it.
    ///
    /// At most 1000 changes go in one call; of more, copies come first, then additions, then deletions. Not
    /// transactional: a call that fails does not stop those behind it. Additions need the feature `xet`.
    ///
    /// Endpoint: `POST /api/buckets/{bucket_id}/batch`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.batch_bucket_files("ada/box").delete(["old.txt", "older.txt"]).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Batch`] with each change that was not made; [`Error::BucketNotFound`]; [`Error::MissingFeature`]; see
    /// [`Error`] for those any call can return.
    pub fn batch_bucket_files(
        /// The bucket.
        bucket_id: BucketId,
    ) -> BatchBucketFiles(BatchBucketFilesArgs) => () {
        /// Files to put there.
        add: OneOrMany<BucketAdd>,
        /// Files to take over.
        copy: OneOrMany<BucketCopy>,
        /// Paths to delete.
        delete: OneOrMany<String>,
    }
    skip {
        /// Who is told how far it is.
        progress: ProgressHandle,
    }
}

impl BatchBucketFilesArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let api = api.telling(&self.progress);
        let now = jiff::Timestamp::now().as_millisecond();
        let (add, copy, delete) = (
            self.add.unwrap_or_default().0,
            self.copy.unwrap_or_default().0,
            self.delete.unwrap_or_default().0,
        );
        let mut copies = Vec::new();
        for copy in copy {
            copies.push(json!({
                "type": "copyFile",
                "path": RepoPath::try_from(copy.destination.as_str())?,
                "xetHash": copy.xet_hash,
                "mtime": now,
                "sourceRepoType": copy.source_repo_type,
                "sourceRepoId": copy.source_repo_id,
            }));
        }
        let additions = added(&api, &self.bucket_id, add, now, &self.progress).await?;
        let deletions = delete
            .into_iter()
            .map(|path| json!({ "type": "deleteFile", "path": path }))
            .collect();
        // What fits goes in one batch; of more, each kind goes in batches of its own.
        let mut kinds = vec![copies, additions, deletions];
        if kinds.iter().map(Vec::len).sum::<usize>() <= BATCH {
            kinds = vec![kinds.concat()];
        }
        let target = format!("{}/batch", path(&self.bucket_id));
        let mut failed = Vec::new();
        for lines in kinds.iter().flat_map(|lines| lines.chunks(BATCH)) {
            failed.extend(send(&api, &target, lines).await?);
        }
        if failed.is_empty() {
            Ok(())
        } else {
            Err(Error::Batch { failed })
        }
    }
}

/// Stores the bytes and gives the lines that name them.
async fn added(
    api: &HfApi,
    bucket: &BucketId,
    add: Vec<BucketAdd>,
    now: i64,
    progress: &ProgressHandle,
) -> Result<Vec<Value>> {
    if add.is_empty() {
        return Ok(Vec::new());
    }
    xet::available(api)?;
    let mut uploads = Vec::new();
    let mut lines = Vec::new();
    for BucketAdd { source, destination } in add {
        let mtime = match &source {
            UploadSource::Path(file) => {
                let file = file.clone();
                blocking(move || Ok(modified(&file)?)).await?
            }
            _ => now,
        };
        lines.push(json!({
            "type": "addFile",
            "path": RepoPath::try_from(destination.as_str())?,
            "mtime": mtime,
        }));
        let opened = Arc::new(blocking(move || Opened::open(source)).await?);
        uploads.push(xet::Upload {
            bar: Arc::new(progress.start(&destination, Some(opened.size))),
            opened,
            hash: xet::Hashing::Skip,
        });
    }
    let bars: Vec<_> = uploads.iter().map(|upload| upload.bar.clone()).collect();
    let route = format!("{}{}/xet-write-token", api.endpoint(), path(bucket));
    let stored = xet::Uploader::open_only(api, &route).await?.send(uploads).await?;
    for (line, stored) in lines.iter_mut().zip(stored) {
        line["xetHash"] = json!(stored.hash);
    }
    for bar in bars {
        bar.end(Outcome::Done);
    }
    Ok(lines)
}

/// When a file was last changed, in milliseconds since 1970. Blocks.
pub(super) fn modified(file: &Path) -> std::io::Result<i64> {
    let modified = fs_err::metadata(file)?.modified()?;
    Ok(milliseconds(modified))
}

pub(super) fn milliseconds(moment: SystemTime) -> i64 {
    jiff::Timestamp::try_from(moment).map_or(0, |moment| moment.as_millisecond())
}

/// Sends one batch, and gives what failed of it.
async fn send(api: &HfApi, target: &str, lines: &[Value]) -> Result<Vec<(String, String)>> {
    let mut body = Vec::new();
    for line in lines {
        body.extend_from_slice(line.to_string().as_bytes());
        body.push(b'\n');
    }
    let request = Request::post(target)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))
        .bytes(body)
        .retried();
    match api.send(request).await {
        Ok(reply) => Ok(failures(&reply.bytes().await?)),
        // All of them failed; the body says why.
        Err(Error::Http(reply)) if reply.status == 422 => {
            let body = reply.body.as_ref().map(|body| body.to_string());
            let failed = failures(body.unwrap_or_default().as_bytes());
            if failed.is_empty() {
                Err(Error::Http(reply))
            } else {
                Ok(failed)
            }
        }
        Err(err) => Err(err),
    }
}

fn failures(body: &[u8]) -> Vec<(String, String)> {
    let report: Option<BatchReport> = serde_json::from_slice(body).ok();
    let failed = report.map(|report| report.failed).unwrap_or_default();
    failed
        .into_iter()
        .map(|failure| (failure.path, failure.error))
        .collect()
}

/// A bucket's file: its path, or what a listing told of it, which saves a question.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum BucketSource {
    /// Its path.
    Path(String),
    /// What a listing told.
    File(BucketFile),
}

impl From<&str> for BucketSource {
    fn from(path: &str) -> Self {
        Self::Path(path.to_owned())
    }
}

impl From<BucketFile> for BucketSource {
    fn from(file: BucketFile) -> Self {
        Self::File(file)
    }
}

/// A file that comes out of a bucket.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BucketDownload {
    /// Which.
    pub source: BucketSource,
    /// Where it is put.
    pub path: PathBuf,
}

impl BucketDownload {
    /// `BucketDownload::new("runs/a.json", "./a.json")`.
    pub fn new(source: impl Into<BucketSource>, path: impl Into<PathBuf>) -> Self {
        Self {
            source: source.into(),
            path: path.into(),
        }
    }
}

operation! {
    impl HfApi, Error;

    /// Downloads files of a bucket, each to a path of the caller's.
    ///
    /// Each is gathered beside its path and renamed when it is whole; folders above it are made. What an interrupted
    /// call leaves is continued by the next one. Gives the files that are not there.
    ///
    /// Endpoints: `POST /api/buckets/{bucket_id}/paths-info`, `GET /buckets/{bucket_id}/resolve/{path}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// use hub_http::api::buckets::BucketDownload;
    ///
    /// let files = [BucketDownload::new("runs/a.json", "./a.json")];
    /// let missing = api.download_bucket_files("ada/box", Vec::from(files)).await?;
    /// assert!(missing.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::FilesNotFound`] for files that are not there, with `raise_on_missing_files`; [`Error::BucketNotFound`];
    /// [`Error::Integrity`] when fewer or more bytes arrive than announced; [`Error::Io`]; see [`Error`] for those any
    /// call can return.
    pub fn download_bucket_files(
        /// The bucket.
        bucket_id: BucketId,
        /// Which files, and where they are put.
        files: OneOrMany<BucketDownload>,
    ) -> DownloadBucketFiles(DownloadBucketFilesArgs) => Vec<String> {
        /// A file that is not there is an error, before any is fetched. By default it is left out.
        raise_on_missing_files: bool,
    }
    skip {
        /// Who is told how far it is.
        progress: ProgressHandle,
    }
}

impl DownloadBucketFilesArgs {
    async fn run(self, api: HfApi) -> Result<Vec<String>> {
        let api = api.telling(&self.progress);
        let asked: Vec<String> = self
            .files
            .0
            .iter()
            .filter_map(|file| match &file.source {
                BucketSource::Path(path) => Some(path.clone()),
                BucketSource::File(_) => None,
            })
            .collect();
        let mut known = HashMap::new();
        if !asked.is_empty() {
            let found = api.get_bucket_paths_info(self.bucket_id.clone(), asked).await?;
            known.extend(found.into_iter().map(|file| (file.path.clone(), file)));
        }
        let mut wanted = Vec::new();
        let mut missing = Vec::new();
        for BucketDownload { source, path } in self.files.0 {
            match source {
                BucketSource::File(file) => wanted.push((file, path)),
                BucketSource::Path(name) => match known.get(&name) {
                    Some(file) => wanted.push((file.clone(), path)),
                    None => missing.push(name),
                },
            }
        }
        if self.raise_on_missing_files == Some(true) && !missing.is_empty() {
            return Err(Error::FilesNotFound {
                paths: missing,
                place: format!("the bucket '{}'", self.bucket_id),
            });
        }
        for path in &missing {
            tracing::warn!(bucket = %self.bucket_id, path, "the file is not in the bucket; left out");
        }
        let (bucket, progress) = (&self.bucket_id, &self.progress);
        let api = &api;
        stream::iter(wanted.into_iter().map(Ok))
            .map_ok(async |(file, target)| fetch(api, bucket, file, target, progress.clone()).await)
            .try_buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        Ok(missing)
    }
}

async fn fetch(
    api: &HfApi,
    bucket: &BucketId,
    file: BucketFile,
    target: PathBuf,
    progress: ProgressHandle,
) -> Result<()> {
    let mut source = FileSource::in_bucket(bucket.clone(), file.path.parse()?);
    source.size = Some(file.size);
    source.xet = file.xet_hash.map(|hash| api.xet_file(&source.place, hash));
    let options = FetchOptions {
        resume: true,
        progress,
        ..FetchOptions::default()
    };
    fetch_to_path(api, &source, target, options).await.map(drop)
}

operation! {
    impl HfApi, Error;

    /// Tells what is known of a bucket's file without reading it.
    ///
    /// Endpoint: `HEAD /buckets/{bucket_id}/resolve/{remote_path}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let file = api.get_bucket_file_metadata("ada/checkpoints", "step-1000/model.safetensors").await?;
    /// println!("{} bytes", file.size);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::EntryNotFound`], [`Error::BucketNotFound`]; see [`Error`] for those any call can return.
    pub fn get_bucket_file_metadata(
        /// The bucket.
        bucket_id: BucketId,
        /// The file.
        remote_path: RepoPath,
    ) -> GetBucketFileMetadata(GetBucketFileMetadataArgs) => BucketFileMetadata {}
}

impl GetBucketFileMetadataArgs {
    async fn run(self, api: HfApi) -> Result<BucketFileMetadata> {
        let target = format!(
            "/buckets/{}/resolve/{}",
            self.bucket_id,
            self.remote_path.encoded_as_segment()
        );
        let request = Request::new(Method::HEAD, target)
            .header(http::header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))
            .within_hub()
            .retried();
        let reply = api.send(request).await?;
        let missing = |what: &str| Error::malformed(reply.url(), format!("no {what}: not a file of a bucket"));
        let number = |name: &HeaderName| reply.header(name.as_str()).and_then(|text| text.parse::<u64>().ok());
        let linked = HeaderName::from_static("x-linked-size");
        let size = number(&linked)
            .or_else(|| number(&http::header::CONTENT_LENGTH).filter(|_| !reply.status().is_redirection()))
            .ok_or_else(|| missing("size"))?;
        let xet_hash = reply
            .header("x-xet-hash")
            .and_then(|hash| hash.parse().ok())
            .ok_or_else(|| missing("X-Xet-Hash"))?;
        let route = link(reply.headers(), "xet-auth")
            .or_else(|| reply.header("x-xet-refresh-route").map(str::to_owned))
            .ok_or_else(|| missing("refresh route"))?;
        let metadata: Value = json!({
            "size": size,
            "xet_hash": XetHash::to_string(&xet_hash),
            "refresh_route": api.shared.config.endpoint.rewrite(&route),
        });
        Ok(serde_json::from_value(metadata).expect("these are the three fields of the type"))
    }
}
