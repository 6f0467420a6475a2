//! Additions of a commit: looked at, asked about, hashed, and uploaded where they are large.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::FutureExt as _;
use futures_util::stream::{StreamExt as _, TryStreamExt as _};
use hub_types::lfs::{LfsPointer, PreuploadReply, UploadMode};
use hub_types::{GitOid, RepoId, RepoPath, Revision, Sha256};
use serde_json::{Value, json};

use super::lfs::{self, LfsFile};
use super::source::{Opened, UploadSource};
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::progress::{Outcome, Phase, ProgressHandle};
use crate::request::Request;

/// The most files that the Hub is asked about at once.
pub(crate) const BATCH: usize = 256;
/// How many files are hashed at once: one a core is all that helps.
const HASHED_AT_ONCE: usize = 4;

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
                    })
                })
                .collect()
        })
        .await
    }

    /// Whether what is stored at its path is this very content.
    pub(crate) async fn is_stored(&self) -> Result<bool> {
        let Some(remote) = &self.remote else { return Ok(false) };
        match (&self.mode, &self.sha256) {
            (UploadMode::Lfs, sha256) => Ok(sha256.is_some_and(|sha256| sha256.to_string() == *remote)),
            _ => {
                let opened = self.opened.clone();
                let oid: GitOid = blocking(move || opened.git_oid()).await?;
                Ok(oid.to_string() == *remote)
            }
        }
    }
}

impl Target {
    /// Asks the Hub how each file is to be stored, and uploads the large ones that it does not have.
    pub(crate) async fn prepare(&self, additions: &mut [Addition]) -> Result<()> {
        for batch in additions.chunks_mut(BATCH) {
            self.ask(batch).await?;
        }
        self.settle(additions).await
    }

    /// Hashes and uploads the large ones of files that the Hub was asked about.
    pub(crate) async fn settle(&self, additions: &mut [Addition]) -> Result<()> {
        self.hash(additions).await?;
        self.upload(additions).await
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
        let mut answers: std::collections::HashMap<String, _> =
            answer.files.into_iter().map(|file| (file.path.clone(), file)).collect();
        for file in additions {
            let Some(answer) = answers.remove(file.path.as_str()) else {
                return Err(Error::malformed(
                    reply.url(),
                    format!("nothing is said of {}", file.path),
                ));
            };
            // Git LFS cannot hold an empty file.
            file.mode = if file.opened.size == 0 {
                UploadMode::Regular
            } else {
                answer.upload_mode
            };
            file.ignored = answer.should_ignore;
            file.remote = answer.oid;
        }
        Ok(())
    }

    /// Computes the hashes of large files, several at once.
    async fn hash(&self, additions: &mut [Addition]) -> Result<()> {
        let wanted: Vec<(usize, Arc<Opened>)> = additions
            .iter()
            .enumerate()
            .filter(|(_, file)| file.mode == UploadMode::Lfs && !file.ignored && file.sha256.is_none())
            .map(|(at, file)| (at, file.opened.clone()))
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let bytes = wanted.iter().map(|(_, opened)| opened.size).sum();
        self.progress
            .phase(Phase::Hashing, Some(wanted.len() as u64), Some(bytes));
        let at_once = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(HASHED_AT_ONCE);
        let hashes: Vec<(usize, Sha256)> = futures_util::stream::iter(wanted.into_iter().map(|(at, opened)| {
            let hash = blocking(move || opened.sha256(|_| {}));
            async move { Ok::<_, Error>((at, hash.await?)) }.boxed()
        }))
        .buffer_unordered(at_once)
        .try_collect()
        .await?;
        for (at, hash) in hashes {
            additions[at].sha256 = Some(hash);
        }
        Ok(())
    }

    /// Uploads large files that are not stored at their path already.
    async fn upload(&self, additions: &[Addition]) -> Result<()> {
        let mut files = Vec::new();
        for file in additions
            .iter()
            .filter(|file| file.mode == UploadMode::Lfs && !file.ignored)
        {
            let Some(oid) = file.sha256 else { continue };
            if file.is_stored().await? {
                self.progress
                    .start(file.path.as_str(), Some(file.opened.size))
                    .finish(Outcome::Skipped);
                continue;
            }
            files.push(LfsFile {
                path: file.path.to_string(),
                pointer: LfsPointer {
                    oid,
                    size: file.opened.size,
                },
                opened: file.opened.clone(),
            });
        }
        if files.is_empty() {
            return Ok(());
        }
        let bytes = files.iter().map(|file| file.pointer.size).sum();
        self.progress
            .phase(Phase::Transferring, Some(files.len() as u64), Some(bytes));
        // A contributor may have no right to write to the branch: for a pull request no branch is named.
        let revision = (!self.create_pr).then_some(&self.revision);
        lfs::upload(
            &self.api,
            &self.repo,
            revision,
            files,
            self.uploads_at_once,
            &self.progress,
        )
        .await
    }
}

/// Runs what blocks off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(ended) => Err(Error::Panicked {
            message: ended.to_string(),
        }),
    }
}
