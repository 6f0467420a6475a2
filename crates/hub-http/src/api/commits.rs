//! Branches, tags and history.

use hub_types::commits::GitCommitInfo;
use hub_types::repos::{GitRefs, LfsFileInfo};
use hub_types::{OneOrMany, RepoId, RepoType, Revision, ValidationError};
use serde_json::json;

use super::{answered, forbid_kernel, put, segment};
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::page::Items;
use crate::request::Request;

/// The most large files that one request deletes.
const DELETIONS_PER_REQUEST: usize = 1000;

// Refs and history.

operation! {
    impl HfApi, Error;

    /// Lists the branches and tags of a repository.
    ///
    /// Endpoint: `GET /api/{models|datasets|spaces|kernels}/{repo_id}/refs`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for branch in api.list_repo_refs("ada/demo").await?.branches {
    ///     println!("{} is at {}", branch.name, branch.target_commit);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::RepoNotFound`]; see [`Error`] for those any call can return.
    pub fn list_repo_refs(
        /// The repository.
        repo_id: RepoId,
    ) -> ListRepoRefs(ListRepoRefsArgs) => GitRefs {
        /// What the repository holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// Lists the refs of pull requests too. By default not.
        include_pull_requests: bool,
    }
}

operation! {
    impl HfApi, Error;

    /// Lists the commits of a revision, newest first.
    ///
    /// Endpoint: `GET /api/{models|datasets|spaces|kernels}/{repo_id}/commits/{revision}`, a page at a time.
    ///
    /// ```no_run
    /// # fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// // Two pages at the most: the rest is not asked for.
    /// for commit in api.list_repo_commits("ada/demo").revision("main").wait()?.take(60) {
    ///     let commit = commit?;
    ///     println!("{} {}", commit.id, commit.title);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::RevisionNotFound`], [`Error::RepoNotFound`]; see [`Error`] for those any call can return.
    pub fn list_repo_commits(
        /// The repository.
        repo_id: RepoId,
    ) -> ListRepoCommits(ListRepoCommitsArgs) => stream GitCommitInfo {
        /// What the repository holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// The branch, tag or commit. By default `main`.
        revision: Revision,
        /// Tells the messages as HTML too. By default not.
        formatted: bool,
    }
}

operation! {
    impl HfApi, Error;

    /// Creates a branch.
    ///
    /// Endpoint: `POST /api/{models|datasets|spaces|kernels}/{repo_id}/branch/{branch}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.create_branch("ada/demo", "experiment").revision("v1.0").exist_ok(true).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if it exists, unless `exist_ok`; [`Error::BadRequest`] for a name like `refs/pr/5`;
    /// [`Error::RepoNotFound`]; see [`Error`] for those any call can return.
    pub fn create_branch(
        /// The repository.
        repo_id: RepoId,
        /// The branch's name.
        branch: String,
    ) -> CreateBranch(CreateBranchArgs) => () {
        /// What it begins with. By default the head of `main`.
        revision: Revision,
        /// What the repository holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// Counts one that exists already as created, also where the token may not create one. By default it is an
        /// error.
        exist_ok: bool,
    }
}

operation! {
    impl HfApi, Error;

    /// Deletes a branch. `main` and protected branches cannot be deleted.
    ///
    /// Endpoint: `DELETE /api/{models|datasets|spaces|kernels}/{repo_id}/branch/{branch}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.delete_branch("ada/demo", "experiment").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::RepoNotFound`], [`Error::Forbidden`]; see [`Error`] for those any call can return.
    pub fn delete_branch(
        /// The repository.
        repo_id: RepoId,
        /// The branch's name.
        branch: String,
    ) -> DeleteBranch(DeleteBranchArgs) => () {
        /// What the repository holds. By default what the id says, else a model.
        repo_type: RepoType,
    }
}

operation! {
    impl HfApi, Error;

    /// Tags a commit.
    ///
    /// Endpoint: `POST /api/{models|datasets|spaces|kernels}/{repo_id}/tag/{revision}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.create_tag("ada/demo", "v1.0").tag_message("The first release").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if the tag exists, unless `exist_ok`; [`Error::RevisionNotFound`], [`Error::RepoNotFound`];
    /// see [`Error`] for those any call can return.
    pub fn create_tag(
        /// The repository.
        repo_id: RepoId,
        /// The tag's name.
        tag: String,
    ) -> CreateTag(CreateTagArgs) => () {
        /// What the tag says.
        tag_message: String,
        /// What is tagged. By default the head of `main`.
        revision: Revision,
        /// What the repository holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// Counts a tag that exists already as created, whatever it points to. By default it is an error.
        exist_ok: bool,
    }
}

operation! {
    impl HfApi, Error;

    /// Deletes a tag.
    ///
    /// Endpoint: `DELETE /api/{models|datasets|spaces|kernels}/{repo_id}/tag/{tag}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.delete_tag("ada/demo", "v1.0").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::RevisionNotFound`] when there is none, [`Error::RepoNotFound`]; see [`Error`] for those any call can
    /// return.
    pub fn delete_tag(
        /// The repository.
        repo_id: RepoId,
        /// The tag's name.
        tag: String,
    ) -> DeleteTag(DeleteTagArgs) => () {
        /// What the repository holds. By default what the id says, else a model.
        repo_type: RepoType,
    }
}

operation! {
    impl HfApi, Error;

    /// Makes one commit of a branch's history. This cannot be undone.
    ///
    /// Endpoint: `POST /api/{models|datasets|spaces}/{repo_id}/super-squash/{branch}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.super_squash_history("ada/demo").commit_message("One commit of all").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::RevisionNotFound`]; [`Error::BadRequest`] for a tag; [`Error::RepoNotFound`]; see [`Error`] for those any
    /// call can return.
    pub fn super_squash_history(
        /// The repository.
        repo_id: RepoId,
    ) -> SuperSquashHistory(SuperSquashHistoryArgs) => () {
        /// The branch. By default `main`.
        branch: String,
        /// The commit's message. By default one that says what was done.
        commit_message: String,
        /// What the repository holds. By default what the id says, else a model.
        repo_type: RepoType,
    }
}

// Large files of the whole history.

operation! {
    impl HfApi, Error;

    /// Lists the large files that any commit of a repository has: what takes its storage.
    ///
    /// Endpoint: `GET /api/{models|datasets|spaces|kernels}/{repo_id}/lfs-files`, a page at a time.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let files = api.list_lfs_files("ada/demo").await?.collect_all().await?;
    /// let bytes: u64 = files.iter().map(|file| file.size).sum();
    /// println!("{} files take {bytes} bytes", files.len());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::RepoNotFound`], [`Error::Forbidden`]; see [`Error`] for those any call can return.
    pub fn list_lfs_files(
        /// The repository.
        repo_id: RepoId,
    ) -> ListLfsFiles(ListLfsFilesArgs) => stream LfsFileInfo {
        /// What the repository holds. By default what the id says, else a model.
        repo_type: RepoType,
    }
}

operation! {
    impl HfApi, Error;

    /// Deletes large files from storage and, unless told not to, from the whole history. This cannot be undone: commits
    /// that had them change, and their hashes with them.
    ///
    /// Endpoint: `POST /api/{models|datasets|spaces|kernels}/{repo_id}/lfs-files/batch`, for 1000 files at a time.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let files = api.list_lfs_files("ada/demo").await?.collect_all().await?;
    /// let old: Vec<_> = files
    ///     .into_iter()
    ///     .filter(|file| file.filename.starts_with("old/"))
    ///     .collect();
    /// api.permanently_delete_lfs_files("ada/demo", old).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::RepoNotFound`], [`Error::Forbidden`]; see [`Error`] for those any call can return.
    pub fn permanently_delete_lfs_files(
        /// The repository.
        repo_id: RepoId,
        /// The files, as [`HfApi::list_lfs_files`] gave them.
        lfs_files: OneOrMany<LfsFileInfo>,
    ) -> PermanentlyDeleteLfsFiles(PermanentlyDeleteLfsFilesArgs) => () {
        /// Takes the files out of the history too; else commits keep pointing to what is gone. By default true.
        rewrite_history: bool,
        /// What the repository holds. By default what the id says, else a model.
        repo_type: RepoType,
    }
}

impl ListRepoRefsArgs {
    async fn run(self, api: HfApi) -> Result<GitRefs> {
        let repo = self.repo_id.typed(self.repo_type);
        let mut request = Request::get(format!("/api/{}/refs", repo.api_path()));
        if self.include_pull_requests.unwrap_or(false) {
            request = request.query("include_prs", "1");
        }
        api.ask(request).await?.json()
    }
}

impl ListRepoCommitsArgs {
    async fn run(self, api: HfApi) -> Result<Items<GitCommitInfo>> {
        let repo = self.repo_id.typed(self.repo_type);
        let revision = self.revision.unwrap_or_default();
        let mut request = Request::get(format!("/api/{}/commits/{}", repo.api_path(), revision.encoded()));
        if self.formatted.unwrap_or(false) {
            request = request.query("expand[]", "formatted");
        }
        Ok(Items::paged(api, request))
    }
}

impl CreateBranchArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let repo = self.repo_id.clone().typed(self.repo_type);
        let err = match answered(&api, self.request(&repo)?).await {
            Err(err) if self.exist_ok.unwrap_or(false) => err,
            other => return other,
        };
        match err.status() {
            Some(409) => Ok(()),
            // No right to create it, which says nothing of whether it exists.
            Some(403) => match api.list_repo_refs(&repo).await {
                Ok(refs) if refs.branches.iter().any(|branch| branch.name == self.branch) => Ok(()),
                _ => Err(err),
            },
            _ => Err(err),
        }
    }

    fn request(&self, repo: &RepoId) -> Result<Request, ValidationError> {
        let mut payload = json!({});
        put(&mut payload, "startingPoint", self.revision.as_ref());
        let branch = segment("branch", &self.branch)?;
        Ok(Request::post(format!("/api/{}/branch/{branch}", repo.api_path())).json(&payload))
    }
}

impl DeleteBranchArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let repo = self.repo_id.typed(self.repo_type);
        let branch = segment("branch", &self.branch)?;
        answered(
            &api,
            Request::delete(format!("/api/{}/branch/{branch}", repo.api_path())),
        )
        .await
    }
}

impl CreateTagArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let request = self.request()?;
        match answered(&api, request).await {
            Err(err) if self.exist_ok.unwrap_or(false) && err.status() == Some(409) => Ok(()),
            other => other,
        }
    }

    /// The revision stands in the address, the tag in the body.
    fn request(&self) -> Result<Request, ValidationError> {
        segment("tag", &self.tag)?;
        let repo = self.repo_id.clone().typed(self.repo_type);
        let revision = self.revision.clone().unwrap_or_default();
        let mut payload = json!({});
        put(&mut payload, "tag", Some(&self.tag));
        put(&mut payload, "message", self.tag_message.as_ref());
        Ok(Request::post(format!("/api/{}/tag/{}", repo.api_path(), revision.encoded())).json(&payload))
    }
}

impl DeleteTagArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let repo = self.repo_id.typed(self.repo_type);
        let tag = segment("tag", &self.tag)?;
        answered(&api, Request::delete(format!("/api/{}/tag/{tag}", repo.api_path()))).await
    }
}

impl SuperSquashHistoryArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let request = self.request()?;
        answered(&api, request).await
    }

    fn request(&self) -> Result<Request, ValidationError> {
        let repo = self.repo_id.clone().typed(self.repo_type);
        forbid_kernel(&repo)?;
        let branch = self.branch.as_deref().unwrap_or("main");
        let message = match self.commit_message.as_deref() {
            Some(message) if !message.is_empty() => message.to_owned(),
            // The Python client's words, so that histories read the same whoever squashed them.
            _ => format!("Super-squash branch '{branch}' using huggingface_hub"),
        };
        let target = format!("/api/{}/super-squash/{}", repo.api_path(), segment("branch", branch)?);
        Ok(Request::post(target).json(&json!({"message": message})))
    }
}

impl ListLfsFilesArgs {
    async fn run(self, api: HfApi) -> Result<Items<LfsFileInfo>> {
        let repo = self.repo_id.typed(self.repo_type);
        Ok(Items::paged(
            api,
            Request::get(format!("/api/{}/lfs-files", repo.api_path())),
        ))
    }
}

impl PermanentlyDeleteLfsFilesArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let repo = self.repo_id.typed(self.repo_type);
        let rewrite = self.rewrite_history.unwrap_or(true);
        for files in self.lfs_files.0.chunks(DELETIONS_PER_REQUEST) {
            let hashes: Vec<&str> = files.iter().map(|file| file.file_oid.as_str()).collect();
            let payload = json!({"deletions": {"sha": hashes, "rewriteHistory": rewrite}});
            let request = Request::post(format!("/api/{}/lfs-files/batch", repo.api_path())).json(&payload);
            answered(&api, request).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
