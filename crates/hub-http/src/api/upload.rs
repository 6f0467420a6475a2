//! Commits: files added, copied and deleted, one by one or a folder at a time.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use hub_types::commits::CommitInfo;
use hub_types::lfs::UploadMode;
use hub_types::{OneOrMany, PatternFilter, RepoId, RepoPath, RepoType, Revision, ValidationError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::progress::{Phase, ProgressHandle};
use crate::request::Request;
use crate::runtime::blocking;
use crate::transfer::UploadSource;
use crate::transfer::commit::Commit;
use crate::transfer::folder::{self, FolderUpload};
use crate::transfer::preupload::{Addition, Target};
use crate::transfer::source::Opened;

mod plan;

use plan::{Copies, Plan};

/// How many large files are sent at once, where the caller does not say.
const UPLOADS_AT_ONCE: u64 = 5;

/// A change that a commit makes.
///
/// As data: `{"op":"add","path":…,"path_or_fileobj":…}` (or `"text"` for a file's text),
/// `{"op":"delete","path":…,"folder":…}`, `{"op":"copy","from":…,"path":…,"from_revision":…,"from_repo":…}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
#[non_exhaustive]
pub enum CommitOperation {
    /// Adds or replaces a file.
    Add {
        /// Where it is put.
        #[serde(rename = "path")]
        path_in_repo: String,
        /// What is put there.
        #[serde(rename = "path_or_fileobj")]
        source: UploadSource,
    },
    /// Deletes a file or a folder.
    Delete {
        /// Which.
        #[serde(rename = "path")]
        path_in_repo: String,
        /// Whether it is a folder. By default if the path ends with a slash.
        #[serde(rename = "folder", skip_serializing_if = "Option::is_none")]
        is_folder: Option<bool>,
    },
    /// Copies a file. (There is no operation that renames: copy and delete.)
    Copy {
        /// Which.
        #[serde(rename = "from")]
        src_path_in_repo: String,
        /// Where its copy is put.
        #[serde(rename = "path")]
        path_in_repo: String,
        /// At which revision. By default the one that is committed to, in another repo `main`.
        #[serde(rename = "from_revision", skip_serializing_if = "Option::is_none")]
        src_revision: Option<Revision>,
        /// From which repo. By default the one that is committed to.
        #[serde(rename = "from_repo", skip_serializing_if = "Option::is_none")]
        src_repo: Option<RepoId>,
    },
}

impl CommitOperation {
    /// Adds or replaces a file: `CommitOperation::add("a.txt", "./a.txt")`.
    pub fn add(path_in_repo: impl Into<String>, source: impl Into<UploadSource>) -> Self {
        Self::Add {
            path_in_repo: path_in_repo.into(),
            source: source.into(),
        }
    }

    /// Deletes a file, or a folder if the path ends with a slash.
    pub fn delete(path_in_repo: impl Into<String>) -> Self {
        Self::Delete {
            path_in_repo: path_in_repo.into(),
            is_folder: None,
        }
    }

    /// Copies a file within the repo.
    pub fn copy(src_path_in_repo: impl Into<String>, path_in_repo: impl Into<String>) -> Self {
        Self::Copy {
            src_path_in_repo: src_path_in_repo.into(),
            path_in_repo: path_in_repo.into(),
            src_revision: None,
            src_repo: None,
        }
    }
}

impl<'de> Deserialize<'de> for CommitOperation {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(tag = "op", rename_all = "lowercase")]
        enum Form {
            Add {
                path: String,
                text: Option<String>,
                path_or_fileobj: Option<UploadSource>,
            },
            Delete {
                path: String,
                folder: Option<bool>,
            },
            Copy {
                from: String,
                path: String,
                from_revision: Option<Revision>,
                from_repo: Option<RepoId>,
            },
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Add {
                path,
                text,
                path_or_fileobj,
            } => {
                let source = path_or_fileobj.or(text.map(|text| UploadSource::Bytes(text.into())));
                let source = source.ok_or_else(|| serde::de::Error::missing_field("path_or_fileobj"))?;
                Self::Add {
                    path_in_repo: path,
                    source,
                }
            }
            Form::Delete { path, folder } => Self::Delete {
                path_in_repo: path,
                is_folder: folder,
            },
            Form::Copy {
                from,
                path,
                from_revision,
                from_repo,
            } => Self::Copy {
                src_path_in_repo: from,
                path_in_repo: path,
                src_revision: from_revision,
                src_repo: from_repo,
            },
        })
    }
}

operation! {
    impl HfApi, Error;

    /// Makes one commit of any number of changes.
    ///
    /// Large files go up first, each content once and only if the Hub does not have it; the commit refers to them. What
    /// changes nothing is left out, and if nothing is left, no commit is made and the head is given. A commit is sent
    /// once: after a broken connection look at the repo before you repeat it.
    ///
    /// Endpoint: `POST /api/{models|datasets|spaces|kernels}/{repo_id}/commit/{revision}`, with
    /// `…/preupload/{revision}` and Git LFS before it.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// use hub_http::api::upload::CommitOperation;
    ///
    /// let operations = vec![
    ///     CommitOperation::add("config.json", b"{}".to_vec()),
    ///     CommitOperation::copy("model.safetensors", "backup/model.safetensors"),
    ///     CommitOperation::delete("old.bin"),
    /// ];
    /// let commit = api.create_commit("ada/demo", operations, "Tidy up").create_pr(true).await?;
    /// println!("{}", commit.commit_url);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an empty message or a path that cannot be; [`Error::RepoNotFound`],
    /// [`Error::RevisionNotFound`]; [`Error::Http`] with status 412 when `parent_commit` is not the head;
    /// [`Error::Integrity`] when a file is changed while it is uploaded; see [`Error`] for those any call can return.
    pub fn create_commit(
        /// The repo, which must exist.
        repo_id: RepoId,
        /// The changes.
        operations: Vec<CommitOperation>,
        /// The first line of the commit's message.
        commit_message: String,
    ) -> CreateCommit(CreateCommitArgs) => CommitInfo {
        /// The rest of the message.
        commit_description: String,
        /// What the repo holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// The branch to commit to. By default `main`.
        revision: Revision,
        /// Opens a pull request with the commit. By default it goes on the branch.
        create_pr: bool,
        /// How many large files are sent at once. By default 5.
        num_threads: u64,
        /// The commit that must be the head, 5 to 40 digits; a pull request starts from it.
        parent_commit: String,
        /// Reloads a running Space's code in place.
        hot_reload as "_hot_reload": bool,
        /// The text of a `.gitignore` to go by. By default the one among the changes, else the repo's.
        gitignore_content: String,
    }
    skip {
        /// Who is told how far it is.
        progress: ProgressHandle,
    }
}

impl CreateCommitArgs {
    async fn run(self, api: HfApi) -> Result<CommitInfo> {
        let api = api.telling(&self.progress);
        let repo = self.repo_id.typed(self.repo_type);
        let revision = self.revision.unwrap_or_default();
        check_message(&self.commit_message)?;
        if let Some(parent) = &self.parent_commit
            && !((5..=40).contains(&parent.len()) && parent.bytes().all(|b| b.is_ascii_hexdigit()))
        {
            return Err(ValidationError::new("parent commit", parent, "must be 5 to 40 hexadecimal digits").into());
        }
        let plan = Plan::new(self.operations)?;
        let mut additions = Addition::open_all(plan.additions.clone()).await?;
        if let Some(card) = additions.iter().find(|file| file.path.as_str() == "README.md") {
            validate_card(&api, &repo, &card.opened).await?;
        }
        let gitignore = match self.gitignore_content {
            Some(text) => Some(text),
            None => gitignore_among(&additions).await?,
        };
        let target = Target {
            api: api.clone(),
            repo: repo.clone(),
            revision: revision.clone(),
            create_pr: self.create_pr.unwrap_or(false),
            gitignore,
            uploads_at_once: usize::try_from(self.num_threads.unwrap_or(UPLOADS_AT_ONCE)).unwrap_or(usize::MAX),
            progress: self.progress.clone(),
        };
        target.prepare(&mut additions).await?;
        let copies = Copies::resolve(&api, &repo, &revision, &plan).await?;
        let changes = plan.changes(&additions, copies, &self.progress).await?;
        let any_ignored = additions.iter().any(|file| file.ignored);
        let commit = Commit {
            repo,
            revision,
            summary: self.commit_message,
            description: self.commit_description.unwrap_or_default(),
            parent: self.parent_commit,
            create_pr: target.create_pr,
            hot_reload: self.hot_reload.unwrap_or(false),
            changes,
        };
        // As the Python client: what is ignored still counts as asked for.
        if commit.changes.is_empty() && !any_ignored {
            return commit.head(&api).await;
        }
        self.progress
            .phase(Phase::Committing, Some(commit.changes.len() as u64), None);
        commit.send(&api, &self.progress).await
    }
}

fn check_message(message: &str) -> Result<()> {
    if message.trim().is_empty() {
        return Err(ValidationError::new("commit message", message, "must not be empty").into());
    }
    Ok(())
}

/// The text of the `.gitignore` that a commit adds.
async fn gitignore_among(additions: &[Addition]) -> Result<Option<String>> {
    match additions.iter().find(|file| file.path.as_str() == ".gitignore") {
        Some(file) => {
            let opened = file.opened.clone();
            blocking(move || opened.text()).await
        }
        None => Ok(None),
    }
}

/// Has the Hub look at a card's metadata before anything is uploaded.
async fn validate_card(api: &HfApi, repo: &RepoId, card: &Arc<Opened>) -> Result<()> {
    let opened = card.clone();
    let Some(content) = blocking(move || opened.text()).await? else {
        return Err(ValidationError::new("README.md", "", "must be UTF-8 text").into());
    };
    let body = json!({ "content": content, "repoType": repo.repo_type() });
    match api.send_whole(Request::post("/api/validate-yaml").json(&body)).await {
        Ok((_, bytes)) => {
            // The Hub answers with JSON also when all is well; what else it may say changes nothing.
            warn_of(&serde_json::from_slice(&bytes).unwrap_or_default());
            Ok(())
        }
        Err(Error::BadRequest(mut reply)) => {
            let body = reply.body.take().unwrap_or_default();
            warn_of(&body);
            let errors = remarks(&body, "errors");
            reply.note = Some(match errors.is_empty() {
                true => "invalid metadata in README.md".to_owned(),
                false => format!("invalid metadata in README.md: {}", errors.join("; ")),
            });
            Err(Error::BadRequest(reply))
        }
        Err(err) => Err(err),
    }
}

/// The messages that the Hub has on a card.
fn remarks<'a>(report: &'a Value, kind: &str) -> Vec<&'a str> {
    let remarks = report[kind].as_array().into_iter().flatten();
    remarks.filter_map(|remark| remark["message"].as_str()).collect()
}

fn warn_of(report: &Value) {
    for message in remarks(report, "warnings") {
        tracing::warn!("README.md: {message}");
    }
}

operation! {
    impl HfApi, Error;

    /// Uploads one file: a commit with one addition. See [`HfApi::create_commit`].
    ///
    /// Endpoints: as for [`HfApi::create_commit`].
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let commit = api.upload_file("ada/demo", "out/model.safetensors", "model.safetensors").await?;
    /// println!("{}", commit.oid);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`HfApi::create_commit`].
    pub fn upload_file(
        /// The repo, which must exist.
        repo_id: RepoId,
        /// A file on this machine, or bytes.
        path_or_fileobj: UploadSource,
        /// Where it is put.
        path_in_repo: String,
    ) -> UploadFile(UploadFileArgs) => CommitInfo {
        /// What the repo holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// The branch to commit to. By default `main`.
        revision: Revision,
        /// The first line of the commit's message. By default one that names the file.
        commit_message: String,
        /// The rest of the message.
        commit_description: String,
        /// Opens a pull request with the commit. By default it goes on the branch.
        create_pr: bool,
        /// The commit that must be the head.
        parent_commit: String,
        /// Reloads a running Space's code in place.
        hot_reload as "_hot_reload": bool,
    }
    skip {
        /// Who is told how far it is.
        progress: ProgressHandle,
    }
}

impl UploadFileArgs {
    async fn run(self, api: HfApi) -> Result<CommitInfo> {
        let message = self
            .commit_message
            .unwrap_or_else(|| format!("Upload {} with huggingface_hub", self.path_in_repo));
        CreateCommitArgs {
            repo_id: self.repo_id,
            operations: vec![CommitOperation::Add {
                path_in_repo: self.path_in_repo,
                source: self.path_or_fileobj,
            }],
            commit_message: message,
            commit_description: self.commit_description,
            repo_type: self.repo_type,
            revision: self.revision,
            create_pr: self.create_pr,
            num_threads: None,
            parent_commit: self.parent_commit,
            hot_reload: self.hot_reload,
            gitignore_content: None,
            progress: self.progress,
        }
        .run(api)
        .await
    }
}

operation! {
    impl HfApi, Error;

    /// Uploads a folder: every file below it, except for `.git` and the client's own `.cache/huggingface`.
    ///
    /// A folder of up to 250 files, with up to 100 MiB of them in git itself, is one commit. A larger one goes up in
    /// several, the next being prepared while one is made; their size adapts to how long the Hub takes. Uploading it again
    /// sends what is missing and nothing else, so after a failure just repeat the call. A link to a file counts as that
    /// file. A pull request is opened once there is something to commit, as a draft, and holds all commits.
    ///
    /// Endpoints: as for [`HfApi::create_commit`].
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.upload_folder("ada/demo", "out")
    ///     .path_in_repo("run-7")
    ///     .ignore_patterns(["*.tmp", "logs/**"])
    ///     .commit_message("Run 7")
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`HfApi::create_commit`]; [`Error::Invalid`] when the folder is none.
    pub fn upload_folder(
        /// The repo, which must exist.
        repo_id: RepoId,
        /// The folder on this machine.
        folder_path: PathBuf,
    ) -> UploadFolder(UploadFolderArgs) => CommitInfo {
        /// The folder in the repo. By default its root.
        path_in_repo: String,
        /// The first line of the commit's message.
        commit_message: String,
        /// The rest of the message.
        commit_description: String,
        /// What the repo holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// The branch to commit to. By default `main`.
        revision: Revision,
        /// Opens a pull request. By default the files go on the branch.
        create_pr: bool,
        /// The commit that must be the head before the first of ours.
        parent_commit: String,
        /// Only files whose path below the folder matches any of these.
        allow_patterns: OneOrMany<String>,
        /// No files whose path below the folder matches any of these.
        ignore_patterns: OneOrMany<String>,
        /// Files of the repo to delete in the first commit: those below `path_in_repo` whose path there matches.
        delete_patterns: OneOrMany<String>,
    }
    skip {
        /// Who is told how far it is.
        progress: ProgressHandle,
    }
}

impl UploadFolderArgs {
    async fn run(self, api: HfApi) -> Result<CommitInfo> {
        let api = api.telling(&self.progress);
        let repo = self.repo_id.typed(self.repo_type);
        let create_pr = self.create_pr.unwrap_or(false);
        if create_pr
            && self
                .revision
                .as_ref()
                .is_some_and(|revision| *revision != Revision::main())
        {
            let rule = "a pull request of a folder always starts from main: leave revision out";
            let revision = self.revision.map(|revision| revision.to_string()).unwrap_or_default();
            return Err(ValidationError::new("revision", revision, rule).into());
        }
        let message = self
            .commit_message
            .unwrap_or_else(|| "Upload folder using huggingface_hub".to_owned());
        check_message(&message)?;
        let base = self.path_in_repo.as_deref().unwrap_or_default().trim_matches('/');
        let base = if base.is_empty() || base == "." {
            None
        } else {
            Some(RepoPath::for_commit(base)?)
        };
        let allow = self.allow_patterns.map(|patterns| patterns.0);
        let ignore = self.ignore_patterns.unwrap_or_default().0;
        self.progress.phase(Phase::Listing, None, None);
        let (folder, into) = (self.folder_path, base.clone());
        let files = blocking(move || folder::list(&folder, into.as_ref(), allow.as_deref(), ignore)).await?;
        let revision = self.revision.unwrap_or_default();
        if let Some((_, card)) = files.iter().find(|(path, _)| is_card(path, base.as_ref())) {
            let source = UploadSource::from(card.clone());
            let opened = blocking(move || Opened::open(source).map(Arc::new)).await?;
            validate_card(&api, &repo, &opened).await?;
        }
        let deletions = match self.delete_patterns {
            // Without a pattern there is nothing to list for.
            Some(patterns) if !patterns.0.is_empty() => {
                deletions(&api, &repo, &revision, base.as_ref(), &patterns.0, &files).await?
            }
            _ => Vec::new(),
        };
        FolderUpload {
            api,
            repo,
            revision,
            message,
            description: self.commit_description.unwrap_or_default(),
            parent: self.parent_commit,
            create_pr,
            files,
            deletions,
            progress: self.progress,
        }
        .run()
        .await
    }
}

/// Whether a path is the card at the folder's root.
fn is_card(path: &RepoPath, base: Option<&RepoPath>) -> bool {
    let relative = match base {
        Some(base) => path
            .as_str()
            .strip_prefix(base.as_str())
            .and_then(|rest| rest.strip_prefix('/')),
        None => Some(path.as_str()),
    };
    relative == Some("README.md")
}

/// Files of the repo that match, except for those that are uploaded anyway.
async fn deletions(
    api: &HfApi,
    repo: &RepoId,
    revision: &Revision,
    base: Option<&RepoPath>,
    patterns: &[String],
    files: &[(RepoPath, PathBuf)],
) -> Result<Vec<String>> {
    let filter = PatternFilter::new(Some(patterns), &[] as &[&str]);
    let added: BTreeSet<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    let listed = api.list_repo_files(repo.clone()).revision(revision.clone()).await?;
    Ok(listed
        .into_iter()
        .filter(|path| {
            let relative = match base {
                Some(base) => path.strip_prefix(base.as_str()).and_then(|rest| rest.strip_prefix('/')),
                None => Some(path.as_str()),
            };
            path != ".gitattributes"
                && !added.contains(path.as_str())
                && relative.is_some_and(|relative| relative != ".gitattributes" && filter.wants(relative))
        })
        .collect())
}

operation! {
    impl HfApi, Error;

    /// Deletes a file: a commit with one deletion.
    ///
    /// Endpoint: as for [`HfApi::create_commit`].
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.delete_file("ada/demo", "old.bin").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::EntryNotFound`] when it is not there; as for [`HfApi::create_commit`].
    pub fn delete_file(
        /// The repo.
        repo_id: RepoId,
        /// The file.
        path_in_repo: String,
    ) -> DeleteFile(DeleteFileArgs) => CommitInfo {
        /// What the repo holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// The branch to commit to. By default `main`.
        revision: Revision,
        /// The first line of the commit's message. By default one that names the file.
        commit_message: String,
        /// The rest of the message.
        commit_description: String,
        /// Opens a pull request with the commit. By default it goes on the branch.
        create_pr: bool,
        /// The commit that must be the head.
        parent_commit: String,
    }
}

impl DeleteFileArgs {
    async fn run(self, api: HfApi) -> Result<CommitInfo> {
        let message = format!("Delete {} with huggingface_hub", self.path_in_repo);
        let operation = CommitOperation::Delete {
            path_in_repo: self.path_in_repo,
            is_folder: Some(false),
        };
        let repo = self.repo_id.typed(self.repo_type);
        api.create_commit(repo, vec![operation], self.commit_message.unwrap_or(message))
            .commit_description(self.commit_description)
            .revision(self.revision)
            .create_pr(self.create_pr)
            .parent_commit(self.parent_commit)
            .await
    }
}

operation! {
    impl HfApi, Error;

    /// Deletes a folder and all that is in it: a commit with one deletion.
    ///
    /// Endpoint: as for [`HfApi::create_commit`].
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.delete_folder("ada/demo", "run-6").commit_message("Only the last run").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::EntryNotFound`] when it is not there; as for [`HfApi::create_commit`].
    pub fn delete_folder(
        /// The repo.
        repo_id: RepoId,
        /// The folder.
        path_in_repo: String,
    ) -> DeleteFolder(DeleteFolderArgs) => CommitInfo {
        /// What the repo holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// The branch to commit to. By default `main`.
        revision: Revision,
        /// The first line of the commit's message. By default one that names the folder.
        commit_message: String,
        /// The rest of the message.
        commit_description: String,
        /// Opens a pull request with the commit. By default it goes on the branch.
        create_pr: bool,
        /// The commit that must be the head.
        parent_commit: String,
    }
}

impl DeleteFolderArgs {
    async fn run(self, api: HfApi) -> Result<CommitInfo> {
        let message = format!("Delete folder {} with huggingface_hub", self.path_in_repo);
        let operation = CommitOperation::Delete {
            path_in_repo: self.path_in_repo,
            is_folder: Some(true),
        };
        let repo = self.repo_id.typed(self.repo_type);
        api.create_commit(repo, vec![operation], self.commit_message.unwrap_or(message))
            .commit_description(self.commit_description)
            .revision(self.revision)
            .create_pr(self.create_pr)
            .parent_commit(self.parent_commit)
            .await
    }
}

operation! {
    impl HfApi, Error;

    /// Deletes the files that match any of some patterns, in one commit. `.gitattributes` stays. Where no file matches, no
    /// commit is made and the head is given.
    ///
    /// Endpoints: as for [`HfApi::list_repo_files`], then for [`HfApi::create_commit`].
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.delete_files("ada/demo", ["*.bin", "logs/"]).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`HfApi::create_commit`].
    pub fn delete_files(
        /// The repo.
        repo_id: RepoId,
        /// The patterns; a name, or with `*` (which crosses `/`), `?` and `[…]`.
        delete_patterns: OneOrMany<String>,
    ) -> DeleteFiles(DeleteFilesArgs) => CommitInfo {
        /// What the repo holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// The branch to commit to. By default `main`.
        revision: Revision,
        /// The first line of the commit's message. By default one that names the patterns.
        commit_message: String,
        /// The rest of the message.
        commit_description: String,
        /// Opens a pull request with the commit. By default it goes on the branch.
        create_pr: bool,
        /// The commit that must be the head.
        parent_commit: String,
    }
}

impl DeleteFilesArgs {
    async fn run(self, api: HfApi) -> Result<CommitInfo> {
        let repo = self.repo_id.typed(self.repo_type);
        let patterns = self.delete_patterns.0;
        let revision = self.revision.unwrap_or_default();
        let paths = deletions(&api, &repo, &revision, None, &patterns, &[]).await?;
        let operations = paths
            .into_iter()
            .map(|path_in_repo| CommitOperation::Delete {
                path_in_repo,
                is_folder: Some(false),
            })
            .collect::<Vec<_>>();
        let message = format!("Delete files {} with huggingface_hub", patterns.join(" "));
        api.create_commit(repo, operations, self.commit_message.unwrap_or(message))
            .commit_description(self.commit_description)
            .revision(revision)
            .create_pr(self.create_pr)
            .parent_commit(self.parent_commit)
            .await
    }
}

operation! {
    impl HfApi, Error;

    /// Uploads large files without a commit, so that a later commit of the same files only refers to them.
    ///
    /// Files that the Hub wants in git itself are left alone. What is uploaded and never committed is removed by the Hub
    /// after some hours.
    ///
    /// Endpoints: `POST /api/{models|datasets|spaces|kernels}/{repo_id}/preupload/{revision}`, then `POST
    /// /{repo}.git/info/lfs/objects/batch` and where it says that the bytes go, or Xet storage.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// use hub_http::api::upload::CommitOperation;
    ///
    /// // The bytes go now, one file after the other; the commit later refers to them.
    /// for shard in ["a.safetensors", "b.safetensors"] {
    ///     api.preupload_lfs_files("ada/demo", vec![CommitOperation::add(shard, shard)]).await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`HfApi::create_commit`].
    pub fn preupload_lfs_files(
        /// The repo.
        repo_id: RepoId,
        /// The additions.
        additions: Vec<CommitOperation>,
    ) -> PreuploadLfsFiles(PreuploadLfsFilesArgs) => Vec<RepoPath> {
        /// What the repo holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// The branch that the commit will go to. By default `main`.
        revision: Revision,
        /// Whether the commit will open a pull request.
        create_pr: bool,
        /// How many files are sent at once. By default 5.
        num_threads: u64,
        /// The text of a `.gitignore` to go by.
        gitignore_content: String,
    }
    skip {
        /// Who is told how far it is.
        progress: ProgressHandle,
    }
}

impl PreuploadLfsFilesArgs {
    async fn run(self, api: HfApi) -> Result<Vec<RepoPath>> {
        let api = api.telling(&self.progress);
        let plan = Plan::new(self.additions)?;
        let mut additions = Addition::open_all(plan.additions).await?;
        let gitignore = match self.gitignore_content {
            Some(text) => Some(text),
            None => gitignore_among(&additions).await?,
        };
        let target = Target {
            api,
            repo: self.repo_id.typed(self.repo_type),
            revision: self.revision.unwrap_or_default(),
            create_pr: self.create_pr.unwrap_or(false),
            gitignore,
            uploads_at_once: usize::try_from(self.num_threads.unwrap_or(UPLOADS_AT_ONCE)).unwrap_or(usize::MAX),
            progress: self.progress,
        };
        target.prepare(&mut additions).await?;
        let large = additions
            .into_iter()
            .filter(|file| file.mode == UploadMode::Lfs && !file.ignored);
        Ok(large.map(|file| file.path).collect())
    }
}
