//! What is known of a repository, and whether it is there.

use std::time::Duration;

use hub_types::repos::{
    DatasetInfo, DatasetProperty, KernelInfo, ModelInfo, ModelProperty, RepoInfo, SpaceInfo, SpaceProperty,
};
use hub_types::{CommitHash, OneOrMany, RepoId, RepoType, Revision, ValidationError};
use serde::Deserialize;

use crate::api::answered;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::request::Request;

operation! {
    impl HfApi, Error;

    /// Tells what the Hub knows of a repository of any type.
    ///
    /// Endpoint: `GET /api/{models|datasets|spaces|kernels}/{repo_id}[/revision/{revision}]`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let info = api.repo_info("datasets/ada/corpus").files_metadata(true).await?;
    /// println!("{info:?}");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::RepoNotFound`], [`Error::RevisionNotFound`], [`Error::GatedRepo`]; [`Error::Invalid`] for arguments
    /// that exclude each other; see [`Error`] for those any call can return.
    pub fn repo_info(
        /// The repository.
        repo_id: RepoId,
    ) -> GetRepoInfo(RepoInfoArgs) => RepoInfo {
        /// The branch, tag or commit. By default `main`.
        revision: Revision,
        /// What it holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// Tells size and hashes of each file. Excludes `expand`. By default only the names.
        files_metadata: bool,
        /// Only these properties, in the Hub's own words. By default a fixed set.
        expand: OneOrMany<String>,
    }
    skip {
        /// How long to wait for the answer. By default, or when zero, without end.
        timeout: Duration,
    }
}

operation! {
    impl HfApi, Error;

    /// Tells what the Hub knows of a model.
    ///
    /// Endpoint: `GET /api/models/{repo_id}[/revision/{revision}]`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let info = api.model_info("openai-community/gpt2").revision("main").await?;
    /// println!("{:?} downloads, at {:?}", info.downloads, info.sha);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`HfApi::repo_info`].
    pub fn model_info(
        /// The model.
        repo_id: RepoId,
    ) -> GetModelInfo(ModelInfoArgs) => ModelInfo {
        /// The branch, tag or commit. By default `main`.
        revision: Revision,
        /// Tells the verdict of the Hub's scanners. Excludes `expand`. (Python: `securityStatus`.)
        security_status as "securityStatus": bool,
        /// Tells size and hashes of each file. Excludes `expand`. By default only the names.
        files_metadata: bool,
        /// Only these properties. By default a fixed set.
        expand: OneOrMany<ModelProperty>,
    }
    skip {
        /// How long to wait for the answer. By default, or when zero, without end.
        timeout: Duration,
    }
}

operation! {
    impl HfApi, Error;

    /// Tells what the Hub knows of a dataset.
    ///
    /// Endpoint: `GET /api/datasets/{repo_id}[/revision/{revision}]`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let info = api.dataset_info("rajpurkar/squad").expand(["downloads", "likes"]).await?;
    /// println!("{:?} downloads", info.downloads);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`HfApi::repo_info`].
    pub fn dataset_info(
        /// The dataset.
        repo_id: RepoId,
    ) -> GetDatasetInfo(DatasetInfoArgs) => DatasetInfo {
        /// The branch, tag or commit. By default `main`.
        revision: Revision,
        /// Tells size and hashes of each file. Excludes `expand`. By default only the names.
        files_metadata: bool,
        /// Only these properties. By default a fixed set.
        expand: OneOrMany<DatasetProperty>,
    }
    skip {
        /// How long to wait for the answer. By default, or when zero, without end.
        timeout: Duration,
    }
}

operation! {
    impl HfApi, Error;

    /// Tells what the Hub knows of a Space.
    ///
    /// Endpoint: `GET /api/spaces/{repo_id}[/revision/{revision}]`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let info = api.space_info("ada/playground").await?;
    /// println!("made with {:?}", info.sdk);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`HfApi::repo_info`].
    pub fn space_info(
        /// The Space.
        repo_id: RepoId,
    ) -> GetSpaceInfo(SpaceInfoArgs) => SpaceInfo {
        /// The branch, tag or commit. By default `main`.
        revision: Revision,
        /// Tells size and hashes of each file. Excludes `expand`. By default only the names.
        files_metadata: bool,
        /// Only these properties. By default a fixed set.
        expand: OneOrMany<SpaceProperty>,
    }
    skip {
        /// How long to wait for the answer. By default, or when zero, without end.
        timeout: Duration,
    }
}

operation! {
    impl HfApi, Error;

    /// Tells what the Hub knows of a repository of kernels.
    ///
    /// Endpoint: `GET /api/kernels/{repo_id}[/revision/{revision}]`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let info = api.kernel_info("kernels-community/activation").await?;
    /// println!("{info:?}");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`HfApi::repo_info`].
    pub fn kernel_info(
        /// The repository.
        repo_id: RepoId,
    ) -> GetKernelInfo(KernelInfoArgs) => KernelInfo {
        /// The branch, tag or commit. By default `main`.
        revision: Revision,
    }
    skip {
        /// How long to wait for the answer. By default, or when zero, without end.
        timeout: Duration,
    }
}

operation! {
    impl HfApi, Error;

    /// Tells whether a repository exists. A gated one does, also for whom it is closed; a private one does not for who
    /// may not see it.
    ///
    /// Endpoint: `GET /api/{models|datasets|spaces|kernels}/{repo_id}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// if !api.repo_exists("ada/demo").await? {
    ///     api.create_repo("ada/demo").await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn repo_exists(
        /// The repository.
        repo_id: RepoId,
    ) -> RepoExists(RepoExistsArgs) => bool {
        /// What it holds. By default what the id says, else a model.
        repo_type: RepoType,
    }
}

operation! {
    impl HfApi, Error;

    /// Tells whether a repository has a branch, tag or commit. One that is closed to this token has none.
    ///
    /// Endpoint: `GET /api/{models|datasets|spaces|kernels}/{repo_id}/revision/{revision}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// if !api.revision_exists("ada/demo", "v1.0").await? {
    ///     api.create_tag("ada/demo", "v1.0").await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn revision_exists(
        /// The repository.
        repo_id: RepoId,
        /// The branch, tag or commit.
        revision: Revision,
    ) -> RevisionExists(RevisionExistsArgs) => bool {
        /// What it holds. By default what the id says, else a model.
        repo_type: RepoType,
    }
}

operation! {
    impl HfApi, Error;

    /// Finds the commit that a branch or tag points to. A whole commit hash is given back without a request.
    ///
    /// Here the Hub is asked alone; `hub-cache` has a form that falls back to what it has seen before.
    ///
    /// Endpoint: `GET /api/{models|datasets|spaces|kernels}/{repo_id}`, with `/revision/{revision}` where one is given.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let commit = api.resolve_revision("openai-community/gpt2").revision("main").await?;
    /// println!("{commit}");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`HfApi::repo_info`]; [`Error::MalformedReply`] when the reply has no commit hash.
    pub fn resolve_revision(
        /// The repository.
        repo_id: RepoId,
    ) -> ResolveRevision(ResolveRevisionArgs) => CommitHash {
        /// What it holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// The branch, tag or commit. By default the head of the main branch.
        revision: Revision,
    }
}

/// The request for what is known of a repository.
fn info_request(repo: &RepoId, revision: Option<&Revision>, timeout: Duration) -> Request {
    let request = Request::get(match revision {
        Some(revision) => format!("/api/{}/revision/{}", repo.api_path(), revision.encoded()),
        None => format!("/api/{}", repo.api_path()),
    });
    if timeout.is_zero() {
        request
    } else {
        request.timeout(timeout)
    }
}

/// Adds what is asked for; single properties exclude the rest.
fn with_details<P: ToString>(
    mut request: Request,
    expand: Option<&OneOrMany<P>>,
    security_status: Option<bool>,
    files_metadata: Option<bool>,
) -> Result<Request, ValidationError> {
    let (security_status, files_metadata) = (security_status.unwrap_or(false), files_metadata.unwrap_or(false));
    if let Some(expand) = expand.filter(|expand| !expand.0.is_empty()) {
        if security_status || files_metadata {
            let property = expand.0[0].to_string();
            return Err(ValidationError::new(
                "expand",
                property,
                "cannot be combined with files_metadata or security_status",
            ));
        }
        for property in &expand.0 {
            request = request.query("expand", property.to_string());
        }
    }
    if security_status {
        request = request.query("securityStatus", "true");
    }
    if files_metadata {
        request = request.query("blobs", "true");
    }
    Ok(request)
}

impl RepoInfoArgs {
    async fn run(self, api: HfApi) -> Result<RepoInfo> {
        let repo = self.repo_id.typed(self.repo_type);
        let request = info_request(&repo, self.revision.as_ref(), self.timeout);
        // A repository of kernels has one fixed set.
        let request = match repo.repo_type() {
            RepoType::Kernel => request,
            _ => with_details(request, self.expand.as_ref(), None, self.files_metadata)?,
        };
        let reply = api.ask(request).await?;
        Ok(match repo.repo_type() {
            RepoType::Model => RepoInfo::Model(reply.json()?),
            RepoType::Dataset => RepoInfo::Dataset(reply.json()?),
            RepoType::Space => RepoInfo::Space(reply.json()?),
            RepoType::Kernel => RepoInfo::Kernel(reply.json()?),
        })
    }
}

impl ModelInfoArgs {
    async fn run(self, api: HfApi) -> Result<ModelInfo> {
        let repo = self.repo_id.with_type(RepoType::Model);
        let request = info_request(&repo, self.revision.as_ref(), self.timeout);
        let request = with_details(request, self.expand.as_ref(), self.security_status, self.files_metadata)?;
        api.ask(request).await?.json()
    }
}

impl DatasetInfoArgs {
    async fn run(self, api: HfApi) -> Result<DatasetInfo> {
        let repo = self.repo_id.with_type(RepoType::Dataset);
        let request = info_request(&repo, self.revision.as_ref(), self.timeout);
        let request = with_details(request, self.expand.as_ref(), None, self.files_metadata)?;
        api.ask(request).await?.json()
    }
}

impl SpaceInfoArgs {
    async fn run(self, api: HfApi) -> Result<SpaceInfo> {
        let repo = self.repo_id.with_type(RepoType::Space);
        let request = info_request(&repo, self.revision.as_ref(), self.timeout);
        let request = with_details(request, self.expand.as_ref(), None, self.files_metadata)?;
        api.ask(request).await?.json()
    }
}

impl KernelInfoArgs {
    async fn run(self, api: HfApi) -> Result<KernelInfo> {
        let repo = self.repo_id.with_type(RepoType::Kernel);
        let request = info_request(&repo, self.revision.as_ref(), self.timeout);
        api.ask(request).await?.json()
    }
}

impl RepoExistsArgs {
    async fn run(self, api: HfApi) -> Result<bool> {
        let repo = self.repo_id.typed(self.repo_type);
        match answered(&api, info_request(&repo, None, Duration::ZERO)).await {
            Ok(()) | Err(Error::GatedRepo(_)) => Ok(true),
            Err(Error::RepoNotFound(_)) => Ok(false),
            Err(err) => Err(err),
        }
    }
}

impl RevisionExistsArgs {
    async fn run(self, api: HfApi) -> Result<bool> {
        let repo = self.repo_id.typed(self.repo_type);
        match answered(&api, info_request(&repo, Some(&self.revision), Duration::ZERO)).await {
            Ok(()) => Ok(true),
            Err(Error::RevisionNotFound(_) | Error::RepoNotFound(_) | Error::GatedRepo(_)) => Ok(false),
            Err(err) => Err(err),
        }
    }
}

impl ResolveRevisionArgs {
    async fn run(self, api: HfApi) -> Result<CommitHash> {
        if let Some(commit) = self.revision.as_ref().and_then(Revision::as_commit_hash) {
            return Ok(commit);
        }
        let repo = self.repo_id.typed(self.repo_type);
        let request = info_request(&repo, self.revision.as_ref(), Duration::ZERO);
        let reply = api.ask(request).await?;
        /// All that counts of the information.
        #[derive(Deserialize)]
        struct Commit {
            #[serde(default)]
            sha: Option<String>,
        }
        let commit: Commit = reply.json()?;
        commit
            .sha
            .as_deref()
            .and_then(|sha| sha.parse().ok())
            .ok_or_else(|| Error::malformed(&reply.url, "information about a revision without its commit hash"))
    }
}
