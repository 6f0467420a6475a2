//! What a commit's operations come to: which files are sent, copied and deleted.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use hub_types::files::{RepoFile, TreeEntry};
use hub_types::lfs::UploadMode;
use hub_types::{RepoId, RepoPath, Revision, ValidationError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::CommitOperation;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::progress::{Outcome, ProgressHandle};
use crate::request::Request;
use crate::transfer::UploadSource;
use crate::transfer::commit::Change;
use crate::transfer::preupload::{Addition, stored};
use crate::transfer::source::Opened;

/// How many paths the Hub is asked about at once, and how many files it copies at once.
const COPIES: usize = 500;

/// The operations of a commit, checked and sorted by kind, in the caller's order.
pub(super) struct Plan {
    pub(super) additions: Vec<(RepoPath, UploadSource)>,
    copies: Vec<Copy>,
    order: Vec<Step>,
    deleted_files: BTreeSet<String>,
    deleted_folders: Vec<String>,
}

enum Step {
    Add(usize),
    Copy(usize),
    Delete { path: String, folder: bool },
}

#[derive(Clone)]
struct Copy {
    from: RepoPath,
    to: RepoPath,
    revision: Option<Revision>,
    repo: Option<RepoId>,
}

impl Plan {
    pub(super) fn new(operations: Vec<CommitOperation>) -> Result<Self> {
        let mut plan = Self {
            additions: Vec::new(),
            copies: Vec::new(),
            order: Vec::new(),
            deleted_files: BTreeSet::new(),
            deleted_folders: Vec::new(),
        };
        let mut added = BTreeSet::new();
        for operation in operations {
            match operation {
                CommitOperation::Add { path_in_repo, source } => {
                    let path = RepoPath::for_commit(&path_in_repo)?;
                    if !added.insert(path.clone()) {
                        tracing::warn!(
                            path = path.as_str(),
                            "the commit adds this file twice; the last one counts"
                        );
                    }
                    plan.order.push(Step::Add(plan.additions.len()));
                    plan.additions.push((path, source));
                }
                CommitOperation::Delete {
                    path_in_repo,
                    is_folder,
                } => {
                    let folder = is_folder.unwrap_or_else(|| path_in_repo.ends_with('/'));
                    let bare = RepoPath::for_commit(path_in_repo.trim_end_matches('/'))?.to_string();
                    // The slash at the end is kept as it was given.
                    let slash = if path_in_repo.ends_with('/') { "/" } else { "" };
                    plan.order.push(Step::Delete {
                        path: format!("{bare}{slash}"),
                        folder,
                    });
                    if folder {
                        plan.deleted_folders.push(format!("{bare}/"));
                    } else {
                        plan.deleted_files.insert(bare);
                    }
                }
                CommitOperation::Copy {
                    src_path_in_repo,
                    path_in_repo,
                    src_revision,
                    src_repo,
                } => {
                    plan.order.push(Step::Copy(plan.copies.len()));
                    plan.copies.push(Copy {
                        from: RepoPath::for_commit(&src_path_in_repo)?,
                        to: RepoPath::for_commit(&path_in_repo)?,
                        revision: src_revision,
                        repo: src_repo,
                    });
                }
            }
        }
        Ok(plan)
    }

    /// Whether the same commit deletes this path, so that putting back what is there changes something after all.
    fn deletes(&self, path: &RepoPath) -> bool {
        self.deleted_files.contains(path.as_str())
            || self
                .deleted_folders
                .iter()
                .any(|folder| path.as_str().starts_with(folder.as_str()))
    }

    /// What is left to write, in the caller's order.
    pub(super) async fn changes(
        &self,
        additions: &[Addition],
        mut copies: Vec<Option<Change>>,
        progress: &ProgressHandle,
    ) -> Result<Vec<Change>> {
        let stored = stored(additions).await?;
        let mut changes = Vec::new();
        for step in &self.order {
            match step {
                Step::Add(at) => {
                    let file = &additions[*at];
                    if stored[*at] && !self.deletes(&file.path) {
                        if file.mode != UploadMode::Lfs {
                            // Large files are reported where they are uploaded.
                            progress
                                .start(file.path.as_str(), Some(file.opened.size))
                                .end(Outcome::Skipped);
                        }
                        continue;
                    }
                    changes.extend(Change::adding(file));
                }
                Step::Copy(at) => {
                    changes.extend(copies[*at].take());
                }
                Step::Delete { path, folder: true } => changes.push(Change::DeletedFolder { path: path.clone() }),
                Step::Delete { path, folder: false } => changes.push(Change::DeletedFile { path: path.clone() }),
            }
        }
        Ok(changes)
    }
}

/// Finds out what copies stand for.
pub(super) struct Copies;

impl Copies {
    /// The change that each copy is; `None` for one whose destination holds the same already.
    pub(super) async fn resolve(
        api: &HfApi,
        repo: &RepoId,
        revision: &Revision,
        plan: &Plan,
    ) -> Result<Vec<Option<Change>>> {
        let copies = &plan.copies;
        if copies.is_empty() {
            return Ok(Vec::new());
        }
        let destinations: Vec<String> = copies.iter().map(|copy| copy.to.to_string()).collect();
        let stored = files(api, repo, revision, destinations).await?;
        let mut sources: HashMap<(RepoId, Revision), Vec<String>> = HashMap::new();
        for copy in copies {
            sources
                .entry(copy.source(repo, revision))
                .or_default()
                .push(copy.from.to_string());
        }
        let mut found: HashMap<(RepoId, Revision), HashMap<String, RepoFile>> = HashMap::new();
        for (source, paths) in sources {
            let files = files(api, &source.0, &source.1, paths).await?;
            found.insert(source, files);
        }
        let mut changes = Vec::new();
        let mut foreign: HashMap<RepoId, Vec<RepoFile>> = HashMap::new();
        for copy in copies {
            let source = copy.source(repo, revision);
            let Some(file) = found.get(&source).and_then(|files| files.get(copy.from.as_str())) else {
                return Err(Error::FilesNotFound {
                    paths: vec![copy.from.to_string()],
                    place: format!("{} of {}", source.1, source.0.described()),
                });
            };
            let same = !plan.deletes(&copy.to)
                && stored
                    .get(copy.to.as_str())
                    .is_some_and(|there| there.oid.is_some() && there.oid == file.oid);
            changes.push(if same {
                None
            } else if let Some(lfs) = &file.lfs {
                if source.0 != *repo {
                    foreign.entry(source.0.clone()).or_default().push(file.clone());
                }
                Some(Change::LfsFile {
                    path: copy.to.clone(),
                    oid: lfs.sha256,
                    size: None,
                })
            } else {
                let target = format!(
                    "/{}/resolve/{}/{}",
                    source.0.url_path(),
                    source.1.encoded(),
                    copy.from.encoded()
                );
                let content = api.send(Request::get(target)).await?.bytes().await?;
                let opened = Arc::new(Opened::open(content.into())?);
                Some(Change::File {
                    path: copy.to.clone(),
                    opened,
                })
            });
        }
        for (source, files) in foreign {
            duplicate(api, &source, repo, files).await?;
        }
        Ok(changes)
    }
}

impl Copy {
    fn source(&self, repo: &RepoId, revision: &Revision) -> (RepoId, Revision) {
        let own = revision.clone();
        match &self.repo {
            Some(other) if other != repo => (other.clone(), self.revision.clone().unwrap_or_default()),
            _ => (repo.clone(), self.revision.clone().unwrap_or(own)),
        }
    }
}

/// What is known of files, by path. What is a folder, or not there, is left out.
async fn files(
    api: &HfApi,
    repo: &RepoId,
    revision: &Revision,
    paths: Vec<String>,
) -> Result<HashMap<String, RepoFile>> {
    let mut files = HashMap::new();
    for paths in paths.chunks(COPIES) {
        let entries = api
            .get_paths_info(repo.clone(), paths)
            .revision(revision.clone())
            .await?;
        files.extend(
            entries
                .into_iter()
                .filter_map(TreeEntry::into_file)
                .map(|file| (file.path.clone(), file)),
        );
    }
    Ok(files)
}

/// Has the Hub take large files over from another repo, content by content.
async fn duplicate(api: &HfApi, source: &RepoId, target: &RepoId, files: Vec<RepoFile>) -> Result<()> {
    #[derive(Deserialize)]
    struct Reply {
        #[serde(default)]
        failed: Vec<Failed>,
    }
    #[derive(Deserialize)]
    struct Failed {
        sha256: String,
        #[serde(default)]
        error: String,
    }
    let mut seen = BTreeSet::new();
    let mut wanted: Vec<Value> = Vec::new();
    for file in files {
        let Some(lfs) = &file.lfs else { continue };
        let Some(xet_hash) = &file.xet_hash else {
            let rule = "large files are copied between repos by their Xet hash, which this one does not have";
            return Err(ValidationError::new("file to copy", file.path, rule).into());
        };
        if seen.insert(lfs.sha256) {
            wanted.push(json!({ "xetHash": xet_hash, "sha256": lfs.sha256, "filename": file.path }));
        }
    }
    for files in wanted.chunks(COPIES) {
        let body = json!({ "target": { "type": target.repo_type(), "name": target.id() }, "files": files });
        let path = format!("/api/{}/lfs-files/duplicate", source.api_path());
        let reply: Reply = api.ask(Request::post(path).json(&body)).await?.json()?;
        if !reply.failed.is_empty() {
            let failed = reply
                .failed
                .into_iter()
                .map(|failed| (failed.sha256, failed.error))
                .collect();
            return Err(Error::Batch { failed });
        }
    }
    Ok(())
}
