//! Additions of a commit: looked at, asked about, hashed, and uploaded where they are large.

use std::collections::HashMap;
use std::sync::{Arc, Once};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::FutureExt as _;
use futures_util::stream::{StreamExt as _, TryStreamExt as _};
use hub_types::lfs::{LfsPointer, PreuploadFile, PreuploadReply, UploadMode};
use hub_types::{RepoId, RepoPath, Revision, Sha256};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::lfs::{self, LfsFile, Uploads};
use super::source::{Opened, UploadSource};
use super::xet;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::progress::{FileProgress, Outcome, Phase, ProgressHandle};
use crate::request::Request;
use crate::runtime::blocking;

/// The most files that the Hub is asked about at once.
pub(crate) const BATCH: usize = 256;
/// How many files are hashed at once: one a core is all that helps.
const HASHED_AT_ONCE: usize = 4;
/// Files are hashed and sent in groups of about this size, so that the next is hashed while one is sent.
const GROUP_BYTES: u64 = 512 * 1024 * 1024;
const GROUPS_AT_ONCE: usize = 2;

/// A file that a commit adds.
#[derive(Debug, Clone)]
pub(crate) struct Addition {
    pub(crate) path: RepoPath,
    pub(crate) opened: Arc<Opened>,
    /// How the Hub wants it stored; `Regular` until it was asked.
    pub(crate) mode: UploadMode,
    /// Whether the repository's `.gitignore` leaves it out.
    pub(crate) ignored: bool,
    /// What is stored at that path now.
    pub(crate) remote: Option<String>,
    /// The hash of a large file, once computed.
    pub(crate) sha256: Option<Sha256>,
    /// Where it is reported, once it was tried to send it.
    bar: Option<Arc<FileProgress>>,
}

/// Where and how additions go up.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) api: HfApi,
    pub(crate) repo: RepoId,
    pub(crate) revision: Revision,
    /// Whether the commit opens a pull request, which needs no right to write.
    pub(crate) create_pr: bool,
    pub(crate) gitignore: Option<String>,
    pub(crate) uploads_at_once: usize,
    pub(crate) progress: ProgressHandle,
}

impl Addition {
    /// Looks at the files that a commit adds.
    pub(crate) async fn open_all(files: Vec<(RepoPath, UploadSource)>) -> Result<Vec<Self>> {
        blocking(move || {
            files
                .into_iter()
                .map(|(path, source)| {
                    Ok(Self {
                        path,
                        opened: Arc::new(Opened::open(source)?),
                        mode: UploadMode::Regular,
                        ignored: false,
                        remote: None,
                        sha256: None,
                        bar: None,
                    })
                })
                .collect()
        })
        .await
    }

    /// Whether what is stored at its path is this very content. Blocks.
    fn is_stored(&self) -> Result<bool> {
        let Some(remote) = &self.remote else { return Ok(false) };
        Ok(match (&self.mode, &self.sha256) {
            (UploadMode::Lfs, Some(sha256)) => sha256.to_string() == *remote,
            (UploadMode::Lfs, None) => false,
            // A git object's id; that of a large file cannot be equal, and need not be compared.
            _ => remote.len() == 40 && self.opened.git_oid()?.to_string() == *remote,
        })
    }
}

/// Which of the additions are stored already, each at its path.
pub(crate) async fn stored(additions: &[Addition]) -> Result<Vec<bool>> {
    let additions: Vec<Addition> = additions.to_vec();
    blocking(move || {
        let stored = |file: &Addition| Ok(!file.ignored && file.is_stored()?);
        additions.iter().map(stored).collect()
    })
    .await
}

impl Target {
    /// Asks the Hub how each file is to be stored, and uploads the large ones that it does not have.
    pub(crate) async fn prepare(&self, additions: &mut [Addition]) -> Result<()> {
        for batch in additions.chunks_mut(BATCH) {
            self.ask(batch).await?;
        }
        self.settle(additions).await
    }

    /// Hashes and uploads the large ones of files that the Hub was asked about. While some are on their way, the next
    /// are hashed.
    pub(crate) async fn settle(&self, additions: &mut [Addition]) -> Result<()> {
        let mut large: Vec<&mut Addition> = additions
            .iter_mut()
            .filter(|file| file.mode == UploadMode::Lfs && !file.ignored && file.sha256.is_none())
            .collect();
        if large.is_empty() {
            return Ok(());
        }
        if xet::is_on(&self.api)
            && let Some(uploader) = xet::Uploader::open(&self.api, &self.xet_route()).await?
        {
            match self.by_xet(uploader, &mut large).await {
                Err(err @ Error::Xet { .. }) => {
                    tracing::warn!(
                        error = &err as &dyn std::error::Error,
                        "Xet has failed, large files go through LFS"
                    );
                    for file in &large {
                        if let Some(bar) = &file.bar {
                            bar.restart(0);
                        }
                    }
                }
                result => return result,
            }
        }
        let (files, bytes) = (large.len() as u64, large.iter().map(|file| file.opened.size).sum());
        self.progress.phase(Phase::Hashing, Some(files), Some(bytes));
        let uploads = Uploads::new(self.uploads_at_once);
        let cores = Semaphore::new(cores().min(HASHED_AT_ONCE));
        let transferring = Once::new();
        let mut groups = Vec::new();
        while !large.is_empty() {
            let mut bytes = 0;
            let end = large.iter().take(BATCH).position(|file| {
                bytes += file.opened.size;
                bytes >= GROUP_BYTES
            });
            let rest = large.split_off(end.map_or(large.len().min(BATCH), |last| last + 1));
            let group = std::mem::replace(&mut large, rest);
            let (uploads, cores, transferring) = (&uploads, &cores, &transferring);
            let group = async move {
                let files = self.hash(group, cores).await?;
                if files.is_empty() {
                    return Ok(());
                }
                transferring.call_once(|| self.progress.phase(Phase::Transferring, None, None));
                // A contributor may have no right to write to the branch: for a pull request no branch is named.
                let revision = (!self.create_pr).then_some(&self.revision);
                lfs::upload(&self.api, &self.repo, revision, files, uploads, &self.progress).await
            };
            groups.push(group.boxed());
        }
        futures_util::stream::iter(groups)
            .buffer_unordered(GROUPS_AT_ONCE)
            .try_collect()
            .await
    }

    /// Where tokens are to be had to write these files by Xet.
    fn xet_route(&self) -> String {
        // A contributor has no right to write to the branch, but to a pull request that begins there.
        let query = if self.create_pr { "?create_pr=1" } else { "" };
        let (endpoint, repo) = (self.api.endpoint(), self.repo.api_path());
        format!(
            "{endpoint}/api/{repo}/xet-write-token/{}{query}",
            self.revision.encoded()
        )
    }

    /// Sends large files by Xet, in one pass over each: it is hashed while it is sent. What is stored at its path
    /// already is taken out of the list; to know that takes its hash, which is only computed where there is something.
    async fn by_xet(&self, uploader: xet::Uploader, large: &mut Vec<&mut Addition>) -> Result<()> {
        let cores = Semaphore::new(cores().min(HASHED_AT_ONCE));
        let there: Vec<&mut Addition> = large
            .iter_mut()
            .map(|file| &mut **file)
            .filter(|file| file.remote.as_ref().is_some_and(|remote| remote.len() == 64))
            .collect();
        if !there.is_empty() {
            let (files, bytes) = (there.len() as u64, there.iter().map(|file| file.opened.size).sum());
            self.progress.phase(Phase::Hashing, Some(files), Some(bytes));
            self.hash(there, &cores).await?;
        }
        large.retain(|file| !matches!(file.is_stored(), Ok(true)));
        if large.is_empty() {
            return Ok(());
        }
        let (files, bytes) = (large.len() as u64, large.iter().map(|file| file.opened.size).sum());
        self.progress.phase(Phase::Transferring, Some(files), Some(bytes));
        let mut uploads = Vec::new();
        for file in large.iter_mut() {
            let bar = self.progress.start(file.path.as_str(), Some(file.opened.size));
            uploads.push(xet::Upload {
                opened: file.opened.clone(),
                hash: file.sha256.map_or(xet::Hashing::Compute, xet::Hashing::Known),
                bar: file.bar.insert(Arc::new(bar)).clone(),
            });
        }
        for (file, stored) in large.iter_mut().zip(uploader.send(uploads).await?) {
            file.sha256 = stored.sha256;
            if let Some(bar) = file.bar.take() {
                bar.end(Outcome::Done);
            }
        }
        Ok(())
    }

    /// Asks the Hub how each file is to be stored.
    pub(crate) async fn ask(&self, additions: &mut [Addition]) -> Result<()> {
        let files: Vec<Value> = additions
            .iter()
            .map(|file| json!({ "path": file.path, "sample": STANDARD.encode(&file.opened.sample), "size": file.opened.size }))
            .collect();
        let mut body = json!({ "files": files });
        if let Some(gitignore) = &self.gitignore {
            body["gitIgnore"] = gitignore.as_str().into();
        }
        let path = format!("/api/{}/preupload/{}", self.repo.api_path(), self.revision.encoded());
        let request = Request::post(path)
            .query_opt("create_pr", self.create_pr.then_some(1))
            .json(&body)
            .retried();
        let (reply, bytes) = self.api.send_whole(request).await?;
        let answer: PreuploadReply = crate::request::parse_json(reply.url(), &bytes)?;
        let answers: HashMap<&str, &PreuploadFile> =
            answer.files.iter().map(|file| (file.path.as_str(), file)).collect();
        for file in additions {
            let Some(answer) = answers.get(file.path.as_str()) else {
                return Err(Error::malformed(
                    reply.url(),
                    format!("nothing is said of {}", file.path),
                ));
            };
            // Git LFS cannot hold an empty file.
            file.mode = if file.opened.size == 0 {
                UploadMode::Regular
            } else {
                answer.upload_mode.clone()
            };
            file.ignored = answer.should_ignore;
            file.remote = answer.oid.clone();
            if file.ignored {
                tracing::info!(path = file.path.as_str(), "left out, as .gitignore says");
            }
            // It has been looked at, and of a hundred thousand files it would be 50 MB.
            if let Some(opened) = Arc::get_mut(&mut file.opened) {
                opened.sample = Bytes::new();
            }
        }
        Ok(())
    }

    /// Computes the hashes of large files, several at once, and gives those that are not stored at their path already.
    async fn hash(&self, additions: Vec<&mut Addition>, cores: &Semaphore) -> Result<Vec<LfsFile>> {
        let hashes = additions.into_iter().map(|file| {
            let hash = async move {
                let _core = cores.acquire().await;
                // Dropped with this future, which tells the thread that nobody waits any more.
                let waiting = Arc::new(());
                let (opened, wanted) = (file.opened.clone(), Arc::downgrade(&waiting));
                let oid = match file.sha256 {
                    Some(known) => known,
                    None => blocking(move || opened.sha256(|| wanted.strong_count() > 0)).await?,
                };
                file.sha256 = Some(oid);
                if file.is_stored()? {
                    self.progress
                        .start(file.path.as_str(), Some(file.opened.size))
                        .end(Outcome::Skipped);
                    return Ok(None);
                }
                Ok::<_, Error>(Some(LfsFile {
                    path: file.path.to_string(),
                    pointer: LfsPointer {
                        oid,
                        size: file.opened.size,
                    },
                    opened: file.opened.clone(),
                    bar: file.bar.take(),
                }))
            };
            hash.boxed()
        });
        let files = futures_util::future::try_join_all(hashes.collect::<Vec<_>>()).await?;
        Ok(files.into_iter().flatten().collect())
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
