//! One file by its path: its address, what is known of it, and its bytes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, ETAG, LOCATION};
use http::{HeaderMap, HeaderValue, Method};
use hub_types::resolve::{FileMetadata, XetFileData};
use hub_types::{CommitHash, Etag, RepoId, RepoPath, RepoType, Revision, ValidationError};

use crate::client::HfApi;
use crate::error::{Error, Result, without_query};
use crate::operation;
use crate::page::Items;
use crate::progress::ProgressHandle;
use crate::request::{Request, Response};
use crate::runtime::blocking;
use crate::transfer::stream::{ByteReader, check_range};
use crate::transfer::{FetchOptions, Fetched, FileSource};

operation! {
    impl HfApi, Error;

    /// Asks what the Hub says of a file: its commit, its content's id and size, and where its bytes are.
    ///
    /// Endpoint: `HEAD /{repo}/resolve/{revision}/{filename}`. Redirects are followed as long as they stay on the Hub;
    /// the one that leads away from it, to a store, is the answer.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let file = api.get_hf_file_metadata("openai-community/gpt2", "model.safetensors").await?;
    /// println!("{:?} bytes at {:?}", file.size, file.commit_hash);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::EntryNotFound`] with the commit in [`repo_commit`](crate::Reply::repo_commit),
    /// [`Error::RevisionNotFound`], [`Error::RepoNotFound`]; [`Error::Metadata`] when what answered is no Hub.
    pub fn get_hf_file_metadata(
        /// The repository.
        repo_id: RepoId,
        /// The file's path in it.
        filename: RepoPath,
    ) -> GetHfFileMetadata(GetHfFileMetadataArgs) => FileMetadata {
        /// The repository's type, if the id does not tell it.
        repo_type: RepoType,
        /// The revision. By default `main`.
        revision: Revision,
        /// Repeats the request after a transient failure. By default it is sent once, for a quick fall-back.
        retry_on_errors: bool,
    }
    skip {
        /// How long to wait, unless `HF_HUB_ETAG_TIMEOUT` is set to something else than its default. By default, or when
        /// zero, the client's own.
        timeout: Duration,
    }
}

impl GetHfFileMetadataArgs {
    async fn run(self, api: HfApi) -> Result<FileMetadata> {
        let repo = self.repo_id.typed(self.repo_type);
        let revision = self.revision.unwrap_or_default();
        let target = resolve_path(&repo, &revision, &self.filename);
        ask_metadata(&api, target, self.retry_on_errors, self.timeout).await
    }
}

operation! {
    impl HfApi, Error;

    /// Asks what the Hub says of the file at an address, as [`HfApi::hf_hub_url`] gives it: the Python client's
    /// `get_hf_file_metadata(url)`.
    ///
    /// The token goes along where it may, to the Hub and its services alone.
    ///
    /// Endpoint: `HEAD {url}`, otherwise as [`HfApi::get_hf_file_metadata`].
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let url = "https://huggingface.co/openai-community/gpt2/resolve/main/model.safetensors";
    /// let file = api.get_hf_file_metadata_at(url).await?;
    /// println!("{:?} bytes at {:?}", file.size, file.commit_hash);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for what is no address of http; otherwise as for [`HfApi::get_hf_file_metadata`].
    pub fn get_hf_file_metadata_at(
        /// The address of the file.
        url: String,
    ) -> GetHfFileMetadataAt(GetHfFileMetadataAtArgs) => FileMetadata {
        /// Repeats the request after a transient failure. By default it is sent once, for a quick fall-back.
        retry_on_errors: bool,
    }
    skip {
        /// How long to wait, unless `HF_HUB_ETAG_TIMEOUT` is set to something else than its default. By default, or when
        /// zero, the client's own.
        timeout: Duration,
    }
}

impl GetHfFileMetadataAtArgs {
    async fn run(self, api: HfApi) -> Result<FileMetadata> {
        if !url::Url::parse(&self.url).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            let shown = without_query(&self.url);
            return Err(
                ValidationError::new("url", shown, "must be an address that begins with http:// or https://").into(),
            );
        }
        ask_metadata(&api, self.url, self.retry_on_errors, self.timeout).await
    }
}

/// Asks for the headers of what is at `target`.
async fn ask_metadata(
    api: &HfApi,
    target: String,
    retry_on_errors: Option<bool>,
    timeout: Duration,
) -> Result<FileMetadata> {
    let config = &api.shared.config;
    let timeout = match timeout {
        Duration::ZERO => config.metadata_timeout,
        _ if config.metadata_timeout_fixed => config.metadata_timeout,
        timeout => timeout,
    };
    let mut request = Request::new(Method::HEAD, target)
        // Otherwise the length may be that of a compressed body.
        .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
        .within_hub()
        .timeout(timeout);
    if retry_on_errors.unwrap_or(false) {
        request = request.retried();
    }
    let response = api.send(request).await?;
    metadata(api, &response)
}

operation! {
    impl HfApi, Error;

    /// Tells whether a file exists. A repository or revision that does not exist has no files: that is `false` too.
    ///
    /// Endpoint: `HEAD /{repo}/resolve/{revision}/{filename}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// assert!(api.file_exists("openai-community/gpt2", "config.json").await?);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::GatedRepo`] where it cannot be told; see [`Error`] for those any call can return.
    pub fn file_exists(
        /// The repository.
        repo_id: RepoId,
        /// The file's path in it.
        filename: RepoPath,
    ) -> FileExists(FileExistsArgs) => bool {
        /// The repository's type, if the id does not tell it.
        repo_type: RepoType,
        /// The revision. By default `main`.
        revision: Revision,
    }
}

impl FileExistsArgs {
    async fn run(self, api: HfApi) -> Result<bool> {
        let args = GetHfFileMetadataArgs {
            repo_id: self.repo_id,
            filename: self.filename,
            repo_type: self.repo_type,
            revision: self.revision,
            retry_on_errors: None,
            timeout: Duration::ZERO,
        };
        match args.run(api).await {
            Ok(_) => Ok(true),
            Err(Error::RepoNotFound(_) | Error::EntryNotFound(_) | Error::RevisionNotFound(_)) => Ok(false),
            Err(err) => Err(err),
        }
    }
}

operation! {
    impl HfApi, Error;

    /// Downloads a file to a path of the caller's, without the cache.
    ///
    /// The bytes are gathered in `<path>.incomplete`, checked as [`HfApi::fetch_to_file`] does, and then renamed, so that
    /// `path` is never half a file; a file that was there is replaced. Folders above it are made. What an interrupted
    /// call leaves is continued by the next one.
    ///
    /// Endpoint: `GET /{repo}/resolve/{revision}/{filename}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let fetched = api
    ///     .download_to_path("openai-community/gpt2", "model.safetensors", "gpt2.safetensors")
    ///     .max_connections(4)
    ///     .await?;
    /// println!("{} bytes", fetched.bytes);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::EntryNotFound`], [`Error::RevisionNotFound`], [`Error::RepoNotFound`]; [`Error::Integrity`] when what
    /// arrives is not what was announced; [`Error::Io`].
    pub fn download_to_path(
        /// The repository.
        repo_id: RepoId,
        /// The file's path in it.
        filename: RepoPath,
        /// Where to put it.
        path: PathBuf,
    ) -> DownloadToPath(DownloadToPathArgs) => Fetched {
        /// The repository's type, if the id does not tell it.
        repo_type: RepoType,
        /// The revision. By default `main`.
        revision: Revision,
        /// Whether the bytes are checked against their hash. By default as the client is set.
        verify: bool,
        /// The most connections to use. By default as the client is set.
        max_connections: usize,
    }
    skip {
        /// Who is told how far it is.
        progress: ProgressHandle,
    }
}

impl DownloadToPathArgs {
    async fn run(self, api: HfApi) -> Result<Fetched> {
        let repo = self.repo_id.typed(self.repo_type);
        let source = FileSource::new(repo, self.revision.unwrap_or_default(), self.filename);
        let options = FetchOptions {
            verify: self.verify,
            resume: true,
            max_connections: self.max_connections,
            progress: self.progress,
            ..FetchOptions::default()
        };
        fetch_to_path(&api, &source, self.path, options).await
    }
}

/// Fetches a file into one beside `target`, and gives it the name when it is whole and right.
pub(crate) async fn fetch_to_path(
    api: &HfApi,
    source: &FileSource,
    target: PathBuf,
    mut options: FetchOptions,
) -> Result<Fetched> {
    let (claim, target) = blocking(move || Ok((Claim::new(&target)?, target))).await?;
    options.resume &= claim.shared;
    match api.fetch_to_file(source, &claim.path, &options).await {
        Ok(fetched) => {
            blocking(move || Ok(fs_err::rename(&claim.path, &target)?)).await?;
            Ok(fetched)
        }
        Err(err) => {
            // What can be continued has a journal; an empty file is of no use to anybody.
            let _ = blocking(move || Ok(claim.abandon()?)).await;
            Err(err)
        }
    }
}

/// A partial file that this call alone writes.
struct Claim {
    path: PathBuf,
    /// Whether it has the name that the next call looks for.
    shared: bool,
    /// Locked for as long as this lives.
    file: fs_err::File,
}

impl Claim {
    /// Opens `<target>.incomplete`, or one with a name of its own where another call has that.
    fn new(target: &Path) -> std::io::Result<Self> {
        if let Some(folder) = target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs_err::create_dir_all(folder)?;
        }
        let open = |suffix: String| -> std::io::Result<(PathBuf, fs_err::File)> {
            let mut name = target.as_os_str().to_owned();
            name.push(suffix);
            let mut options = fs_err::OpenOptions::new();
            let file = options.write(true).create(true).truncate(false).open(&name)?;
            Ok((name.into(), file))
        };
        let (path, file) = open(".incomplete".to_owned())?;
        if !matches!(file.file().try_lock(), Err(std::fs::TryLockError::WouldBlock)) {
            return Ok(Self {
                path,
                shared: true,
                file,
            });
        }
        let (path, file) = open(format!(".{:08x}.incomplete", fastrand::u32(..)))?;
        Ok(Self {
            path,
            shared: false,
            file,
        })
    }

    /// Removes the file if nothing of it can be continued.
    fn abandon(self) -> std::io::Result<()> {
        if self.file.metadata()?.len() == 0 || !self.shared {
            crate::transfer::remove_partial(&self.path)?;
        }
        Ok(())
    }
}

operation! {
    impl HfApi, Error;

    /// Reads a file, or a part of it, as a stream of bytes in order.
    ///
    /// A connection that breaks is opened again where it stood. The size is checked, the hash is not: what has been
    /// handed over cannot be taken back. A file that changes meanwhile is an error.
    ///
    /// Endpoint: `GET /{repo}/resolve/{revision}/{filename}`
    ///
    /// ```no_run
    /// # fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for bytes in api.download_stream("openai-community/gpt2", "vocab.json").wait()? {
    ///     println!("{} bytes more", bytes?.len());
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::EntryNotFound`], [`Error::RevisionNotFound`], [`Error::RepoNotFound`], each with the first item;
    /// [`Error::Integrity`] when the file ends early or changes.
    pub fn download_stream(
        /// The repository.
        repo_id: RepoId,
        /// The file's path in it.
        filename: RepoPath,
    ) -> DownloadStream(DownloadStreamArgs) => stream Bytes {
        /// The repository's type, if the id does not tell it.
        repo_type: RepoType,
        /// The revision. By default `main`.
        revision: Revision,
        /// The first byte. By default 0; behind the file's end the stream is empty.
        start: u64,
        /// The byte behind the last one. By default the file's end, which is also where a later one is cut.
        end: u64,
    }
}

impl DownloadStreamArgs {
    async fn run(self, api: HfApi) -> Result<Items<Bytes>> {
        let start = self.start.unwrap_or(0);
        check_range(start, self.end)?;
        let repo = self.repo_id.typed(self.repo_type);
        let source = FileSource::new(repo, self.revision.unwrap_or_default(), self.filename);
        let reader = ByteReader::new(&api, source, start, self.end);
        Ok(Items::unfold(reader, |mut reader| {
            Box::pin(async move { Ok(reader.next().await?.map(|bytes| (vec![bytes], reader))) })
        }))
    }
}

operation! {
    impl HfApi, Error;

    /// Reads the bytes from `start` up to, and without, `end`. Fewer come where the file ends before.
    ///
    /// Endpoint: `GET /{repo}/resolve/{revision}/{filename}` with `Range`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// // The length of a safetensors header stands in the first eight bytes.
    /// let bytes = api.download_range("openai-community/gpt2", "model.safetensors", 0, 8).await?;
    /// assert_eq!(bytes.len(), 8);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an empty range; as for [`HfApi::download_stream`].
    pub fn download_range(
        /// The repository.
        repo_id: RepoId,
        /// The file's path in it.
        filename: RepoPath,
        /// The first byte.
        start: u64,
        /// The byte behind the last one.
        end: u64,
    ) -> DownloadRange(DownloadRangeArgs) => Bytes {
        /// The repository's type, if the id does not tell it.
        repo_type: RepoType,
        /// The revision. By default `main`.
        revision: Revision,
    }
}

impl DownloadRangeArgs {
    async fn run(self, api: HfApi) -> Result<Bytes> {
        check_range(self.start, Some(self.end))?;
        let repo = self.repo_id.typed(self.repo_type);
        let source = FileSource::new(repo, self.revision.unwrap_or_default(), self.filename);
        ByteReader::new(&api, source, self.start, Some(self.end))
            .read_all()
            .await
    }
}

operation! {
    impl HfApi, Error;

    /// Reads a whole file into memory. For configurations and the like; larger ones are for
    /// [`HfApi::download_stream`] or [`HfApi::download_to_path`].
    ///
    /// Endpoint: `GET /{repo}/resolve/{revision}/{filename}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let bytes = api.download_bytes("openai-community/gpt2", "config.json").await?;
    /// println!("{}", String::from_utf8_lossy(&bytes));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`HfApi::download_stream`].
    pub fn download_bytes(
        /// The repository.
        repo_id: RepoId,
        /// The file's path in it.
        filename: RepoPath,
    ) -> DownloadBytes(DownloadBytesArgs) => Bytes {
        /// The repository's type, if the id does not tell it.
        repo_type: RepoType,
        /// The revision. By default `main`.
        revision: Revision,
    }
}

impl DownloadBytesArgs {
    async fn run(self, api: HfApi) -> Result<Bytes> {
        let repo = self.repo_id.typed(self.repo_type);
        let source = FileSource::new(repo, self.revision.unwrap_or_default(), self.filename);
        ByteReader::new(&api, source, 0, None).read_all().await
    }
}

impl HfApi {
    /// The address of a file's content.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let api = hub_http::HfApi::builder().build()?;
    /// let url = api.hf_hub_url(&"ada/demo".parse()?, &"a b.txt".parse()?, &"refs/pr/1".parse()?);
    /// assert_eq!(url, "https://huggingface.co/ada/demo/resolve/refs%2Fpr%2F1/a%20b.txt");
    /// # Ok(()) }
    /// ```
    pub fn hf_hub_url(&self, repo: &RepoId, path: &RepoPath, revision: &Revision) -> String {
        format!("{}{}", self.endpoint(), resolve_path(repo, revision, path))
    }
}

/// The path of a file's address on the endpoint.
pub(crate) fn resolve_path(repo: &RepoId, revision: &Revision, path: &RepoPath) -> String {
    format!("/{}/resolve/{}/{}", repo.url_path(), revision.encoded(), path.encoded())
}

/// What the Hub's headers say of a file, each as far as it is there and can be right.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FileHeaders {
    pub(crate) commit_hash: Option<CommitHash>,
    pub(crate) etag: Option<Etag>,
    pub(crate) size: Option<u64>,
}

impl FileHeaders {
    /// Reads the headers of the Hub's own answer; `redirect` says whether that is a redirect, whose own length says
    /// nothing.
    pub(crate) fn read(headers: &HeaderMap, redirect: bool) -> Self {
        let encoded = headers
            .get("content-encoding")
            .is_some_and(|value| value.as_bytes() != b"identity");
        let linked: Option<u64> = parsed(headers, "x-linked-size");
        let length = || (!redirect && !encoded).then(|| parsed(headers, CONTENT_LENGTH.as_str()))?;
        Self {
            commit_hash: parsed(headers, "x-repo-commit"),
            etag: match headers.get("x-linked-etag") {
                Some(_) => parsed(headers, "x-linked-etag"),
                None => parsed(headers, ETAG.as_str()),
            },
            size: linked.or_else(length),
        }
    }
}

fn parsed<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// The metadata in the answer to a HEAD.
fn metadata(api: &HfApi, response: &Response) -> Result<FileMetadata> {
    let lacks = |name: &str| {
        let what = match response.headers().contains_key(name) {
            true => "has no usable",
            false => "lacks the",
        };
        Error::Metadata {
            url: without_query(response.url()),
            problem: format!("the reply {what} header {name}"),
        }
    };
    let redirect = response.status().is_redirection();
    let found = FileHeaders::read(response.headers(), redirect);
    let commit_hash = found.commit_hash.ok_or_else(|| lacks("x-repo-commit"))?;
    let etag = found.etag.ok_or_else(|| lacks("etag"))?;
    let location = match response.header(LOCATION.as_str()).filter(|_| redirect) {
        Some(location) => url::Url::parse(response.url())
            .and_then(|base| base.join(location))
            .map_err(|_| lacks("location"))?
            .into(),
        None => response.url().to_owned(),
    };
    let mut metadata = FileMetadata::new(commit_hash, etag, location, found.size);
    metadata.xet = xet_data(api, response.headers());
    Ok(metadata)
}

/// Where the file is in Xet storage, if the Hub says so: the hash, and an address for tokens to read it.
pub(crate) fn xet_data(api: &HfApi, headers: &HeaderMap) -> Option<XetFileData> {
    let route = crate::page::link(headers, "xet-auth").or_else(|| parsed(headers, "x-xet-refresh-route"))?;
    Some(XetFileData {
        file_hash: parsed(headers, "x-xet-hash")?,
        refresh_route: api.shared.config.endpoint.rewrite(&route),
    })
}

#[cfg(test)]
mod tests;
