//! Repositories: create, delete, move, settings, information.

use std::time::Duration;

use hub_types::repos::{
    DatasetInfo, DatasetProperty, Gated, KernelInfo, KeyValue, ModelInfo, ModelProperty, Region, RepoInfo,
    RepoStorageInfo, RepoUrl, SpaceInfo, SpaceProperty, SpaceSdk, Visibility,
};
use hub_types::spaces::{SpaceHardware, SpaceTemplate, Volume};
use hub_types::{CommitHash, OneOrMany, RepoId, RepoType, Revision, ValidationError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{answered, forbid_kernel, put, segment};
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::page::Items;
use crate::request::Request;

operation! {
    impl HfApi, Error;

    /// Creates an empty repository and gives its address.
    ///
    /// What is not said is left to the Hub: an organisation may make its repositories private by default.
    ///
    /// Endpoint: `POST /api/repos/create`. While the Hub creates another repository of the same account it refuses this
    /// one; the request is then repeated a few times, with growing waits.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let url = api.create_repo("ada/demo").private(true).exist_ok(true).await?;
    /// println!("{url}");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if it exists, unless `exist_ok`; [`Error::Forbidden`] where the token may not write;
    /// [`Error::Invalid`] for arguments that exclude each other; see [`Error`] for those any call can return.
    pub fn create_repo(
        /// The repository to create; without a namespace it is the token's user's.
        repo_id: RepoId,
    ) -> CreateRepo(CreateRepoArgs) => RepoUrl {
        /// Makes it private, or public. Excludes `visibility`. By default the owner's own setting decides.
        private: bool,
        /// Who may see it. Excludes `private`. By default the owner's own setting decides.
        visibility: Visibility,
        /// What it holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// Counts one that exists already as created, also where the token may not create one. By default it is an
        /// error.
        exist_ok: bool,
        /// The resource group it belongs to.
        resource_group_id: String,
        /// Where its files are stored. By default the owner's own setting decides.
        region: Region,
        /// What the Space is built with. Spaces need this or `space_template`.
        space_sdk: SpaceSdk,
        /// What the Space runs on. By default `cpu-basic`.
        space_hardware: SpaceHardware,
        /// Seconds without a visit after which the Space sleeps; -1 for never. Not on `cpu-basic`.
        space_sleep_time: i64,
        /// The Space's secrets.
        space_secrets: OneOrMany<KeyValue>,
        /// The Space's variables, which everybody may read.
        space_variables: OneOrMany<KeyValue>,
        /// What is mounted into the Space.
        space_volumes: OneOrMany<Volume>,
        /// The Space's template, by repository id or name. It decides on the SDK, and on privacy if nothing is said.
        space_template: String,
    }
}

operation! {
    impl HfApi, Error;

    /// Deletes a repository. This cannot be undone.
    ///
    /// Endpoint: `DELETE /api/repos/delete`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.delete_repo("ada/demo").missing_ok(true).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::RepoNotFound`], unless `missing_ok`; [`Error::Forbidden`]; see [`Error`] for those any call can return.
    pub fn delete_repo(
        /// The repository; without a namespace it is the token's user's.
        repo_id: RepoId,
    ) -> DeleteRepo(DeleteRepoArgs) => () {
        /// What it holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// Counts one that does not exist as deleted. By default it is an error.
        missing_ok: bool,
    }
}

operation! {
    impl HfApi, Error;

    /// Moves a repository to another name or namespace.
    ///
    /// What the Hub allows: <https://hf.co/docs/hub/repositories-settings#renaming-or-transferring-a-repo>.
    ///
    /// Endpoint: `POST /api/repos/move`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.move_repo("ada/demo", "lab/demo").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an id without a namespace; [`Error::RepoNotFound`], [`Error::Forbidden`] or
    /// [`Error::Conflict`]; see [`Error`] for those any call can return.
    pub fn move_repo(
        /// The repository, with its namespace.
        from_id: RepoId,
        /// Its new id, with a namespace.
        to_id: RepoId,
    ) -> MoveRepo(MoveRepoArgs) => () {
        /// What it holds. By default what the first id says, else a model.
        repo_type: RepoType,
    }
}

operation! {
    impl HfApi, Error;

    /// Changes a repository's settings. Those that are not given stay.
    ///
    /// Endpoint: `PUT /api/{models|datasets|spaces}/{repo_id}/settings`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.update_repo_settings("ada/demo").gated("auto").private(false).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when nothing is to be changed; [`Error::RepoNotFound`], [`Error::Forbidden`]; see [`Error`]
    /// for those any call can return.
    pub fn update_repo_settings(
        /// The repository.
        repo_id: RepoId,
    ) -> UpdateRepoSettings(UpdateRepoSettingsArgs) => () {
        /// Whether access has to be asked for: `auto`, `manual` or false.
        gated: Gated,
        /// Makes it private, or public. Excludes `visibility`.
        private: bool,
        /// Who may see it. Excludes `private`.
        visibility: Visibility,
        /// What it holds. By default what the id says, else a model.
        repo_type: RepoType,
    }
}

operation! {
    impl HfApi, Error;

    /// Copies a repository on the server, files included, and gives the copy's address.
    ///
    /// Large files may still be on their way when it returns: [`RepoUrl::files_copy_pending`].
    ///
    /// Endpoint: `POST /api/{models|datasets|spaces}/{from_id}/duplicate`; before it `GET /api/whoami-v2`, unless
    /// `to_id` has a namespace.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let copy = api.duplicate_repo("lab/demo").to_id("ada/demo").private(true).await?;
    /// println!("{copy}");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if the copy exists, unless `exist_ok`; [`Error::RepoNotFound`]; see [`Error`] for those any
    /// call can return.
    pub fn duplicate_repo(
        /// The repository to copy.
        from_id: RepoId,
    ) -> DuplicateRepo(DuplicateRepoArgs) => RepoUrl {
        /// The copy. By default the same name; without a namespace it is the token's user's.
        to_id: RepoId,
        /// What it holds. By default what the first id says, else a model.
        repo_type: RepoType,
        /// Makes the copy private, or public. Excludes `visibility`. By default as the source.
        private: bool,
        /// Who may see the copy. Excludes `private`. By default as the source.
        visibility: Visibility,
        /// Counts a copy that exists already as made. By default it is an error.
        exist_ok: bool,
        /// The resource group the copy belongs to.
        resource_group_id: String,
        /// What the Space runs on. By default `cpu-basic`, whatever the source runs on.
        space_hardware: SpaceHardware,
        /// Seconds without a visit after which the Space sleeps; -1 for never. Not on `cpu-basic`.
        space_sleep_time: i64,
        /// The Space's secrets: those of the source are not copied.
        space_secrets: OneOrMany<KeyValue>,
        /// The Space's variables.
        space_variables: OneOrMany<KeyValue>,
        /// What is mounted into the Space.
        space_volumes: OneOrMany<Volume>,
    }
}

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

operation! {
    impl HfApi, Error;

    /// Lists the repositories and buckets of an account, with the storage that each takes.
    ///
    /// Endpoint: `GET /api/settings/repositories`, or `GET /api/organizations/{namespace}/settings/repositories`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let mut repos = api.list_user_repos().namespace("ada").await?.collect_all().await?;
    /// repos.sort_by_key(|repo| std::cmp::Reverse(repo.storage));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Unauthorized`], [`Error::Forbidden`]; see [`Error`] for those any call can return.
    pub fn list_user_repos() -> ListUserRepos(ListUserReposArgs) => stream RepoStorageInfo {
        /// The account. By default the token's user.
        namespace: String,
    }
}

operation! {
    impl HfApi, Error;

    /// Completes an id that may lack its namespace.
    ///
    /// Endpoint: `GET /api/whoami-v2`, unless the id or `organization` says it.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let id = api.get_full_repo_name("demo").organization("lab").await?;
    /// assert_eq!(id, "lab/demo");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`HfApi::whoami`].
    pub fn get_full_repo_name(
        /// The id, with or without a namespace.
        model_id: RepoId,
    ) -> GetFullRepoName(GetFullRepoNameArgs) => String {
        /// The namespace. By default the token's user's.
        organization: String,
    }
}

/// What `private` and `visibility` say together.
fn visibility(
    private: Option<bool>,
    visibility: Option<&Visibility>,
    repo_type: RepoType,
) -> Result<Option<Visibility>, ValidationError> {
    match (private, visibility) {
        (Some(_), Some(visibility)) => Err(ValidationError::new(
            "visibility",
            visibility.as_str(),
            "give private or visibility, not both",
        )),
        (None, Some(Visibility::Protected)) if repo_type != RepoType::Space => Err(ValidationError::new(
            "visibility",
            "protected",
            "only Spaces can be protected: choose public or private",
        )),
        (None, Some(Visibility::Other(word))) => Err(ValidationError::new(
            "visibility",
            word,
            "must be one of public, private, protected",
        )),
        (None, visibility) => Ok(visibility.cloned()),
        (Some(true), None) => Ok(Some(Visibility::Private)),
        (Some(false), None) => Ok(Some(Visibility::Public)),
    }
}

/// What a new Space gets beside its files.
struct SpaceOptions<'a> {
    hardware: Option<&'a SpaceHardware>,
    sleep_time: Option<i64>,
    secrets: Option<&'a OneOrMany<KeyValue>>,
    variables: Option<&'a OneOrMany<KeyValue>>,
    volumes: Option<&'a OneOrMany<Volume>>,
}

impl SpaceOptions<'_> {
    /// Adds them to a request's body; for what is no Space they mean nothing, as in the Python client.
    fn put(&self, payload: &mut Value, repo_type: RepoType) {
        if repo_type != RepoType::Space {
            let given = self.hardware.is_some()
                || self.sleep_time.is_some()
                || self.secrets.is_some()
                || self.variables.is_some()
                || self.volumes.is_some();
            if given {
                tracing::warn!(%repo_type, "hardware, sleep time, secrets, variables and volumes are for Spaces alone: ignored");
            }
            return;
        }
        if self.sleep_time.is_some() && self.hardware == Some(&SpaceHardware::CpuBasic) {
            tracing::warn!("a Space on 'cpu-basic' sleeps after 48 hours without a visit, whatever is asked for");
        }
        put(payload, "hardware", self.hardware);
        put(payload, "sleepTimeSeconds", self.sleep_time);
        put(payload, "secrets", self.secrets.map(|secrets| &secrets.0));
        put(payload, "variables", self.variables.map(|variables| &variables.0));
        let volumes = self.volumes.map(|volumes| &volumes.0);
        put(payload, "volumes", volumes.filter(|volumes| !volumes.is_empty()));
    }
}

/// The reply to what makes a repository.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    files_copy_pending: Option<bool>,
}

impl Created {
    /// The address that the reply names; one that cannot be read is built from what was asked for.
    fn into_url(self, api: &HfApi, asked: &RepoId) -> RepoUrl {
        let named = self.url.and_then(|url| {
            let url = api.shared.config.endpoint.rewrite(&url);
            RepoUrl::parse(api.endpoint(), &url, asked.repo_type()).ok()
        });
        let mut url = named.unwrap_or_else(|| RepoUrl::new(api.endpoint(), asked.clone()));
        url.files_copy_pending = self.files_copy_pending.unwrap_or(false);
        url
    }

    /// The same from the body of an error reply, which names what exists already.
    fn from_error(err: &Error) -> Option<Self> {
        let created: Self = serde_json::from_value(err.reply()?.body.clone()?).ok()?;
        created.url.is_some().then_some(created)
    }
}

impl CreateRepoArgs {
    async fn run(mut self, api: HfApi) -> Result<RepoUrl> {
        let repo = self.repo_id.clone().typed(self.repo_type);
        let mut visibility = visibility(self.private, self.visibility.as_ref(), repo.repo_type())?;
        self.check_space(&repo)?;
        if let Some(wanted) = self.space_template.take() {
            let template = self.find_template(&api, &wanted).await?;
            if visibility.is_none() && template.preferred_private {
                visibility = Some(Visibility::Private);
            }
            self.space_sdk = Some(SpaceSdk::from(template.sdk));
            self.space_template = Some(template.repo_id);
        }
        let request = self.request(&repo, visibility);
        let exist_ok = self.exist_ok.unwrap_or(false);
        match send_when_free(&api, request).await {
            Ok(reply) => Ok(reply.json::<Created>().await?.into_url(&api, &repo)),
            Err(err) if exist_ok && err.status() == Some(409) => match Created::from_error(&err) {
                Some(existing) => Ok(existing.into_url(&api, &repo)),
                None => Ok(RepoUrl::new(api.endpoint(), in_own_namespace(&api, repo).await?)),
            },
            // No right to create it, no paid plan for it, or a token of another scope: it may exist for all that.
            Err(err) if exist_ok && matches!(err.status(), Some(401..=403)) => match api.repo_info(&repo).await {
                Ok(info) => {
                    let repo = RepoId::new(repo.repo_type(), info.id()).unwrap_or(repo);
                    Ok(RepoUrl::new(api.endpoint(), repo))
                }
                Err(_) => Err(err),
            },
            Err(err) => Err(err),
        }
    }

    fn check_space(&self, repo: &RepoId) -> Result<(), ValidationError> {
        let is_space = repo.repo_type() == RepoType::Space;
        if let Some(template) = &self.space_template
            && !is_space
        {
            return Err(ValidationError::new(
                "space template",
                template,
                "only Spaces are made from templates",
            ));
        }
        match &self.space_sdk {
            Some(SpaceSdk::Other(word)) if is_space => Err(ValidationError::new(
                "space sdk",
                word,
                format!("must be one of {}", SpaceSdk::KNOWN.join(", ")),
            )),
            None if is_space && self.space_template.is_none() => Err(ValidationError::new(
                "repo",
                repo.id(),
                format!("a Space needs space_sdk, one of {}", SpaceSdk::KNOWN.join(", ")),
            )),
            Some(_) if !is_space => {
                tracing::warn!(repo_type = %repo.repo_type(), "space_sdk is for Spaces alone: ignored");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn find_template(&self, api: &HfApi, wanted: &str) -> Result<SpaceTemplate> {
        let templates = api.list_space_templates().await?;
        let found = templates
            .iter()
            .find(|template| template.repo_id == wanted || template.name.to_lowercase() == wanted.to_lowercase());
        let Some(template) = found else {
            let mut names: Vec<&str> = templates.iter().map(|template| template.name.as_str()).collect();
            names.sort_unstable();
            let rule = format!("must be one of {}", names.join(", "));
            return Err(ValidationError::new("space template", wanted, rule).into());
        };
        match &self.space_sdk {
            Some(sdk) if sdk.as_str() != template.sdk => Err(ValidationError::new(
                "space sdk",
                sdk.as_str(),
                format!("must be that of the template, {}", template.sdk),
            )
            .into()),
            _ => Ok(template.clone()),
        }
    }

    fn request(&self, repo: &RepoId, visibility: Option<Visibility>) -> Request {
        let mut payload = json!({"name": repo.name(), "organization": repo.namespace()});
        put(&mut payload, "visibility", visibility);
        put_type(&mut payload, self.repo_type, repo);
        if repo.repo_type() == RepoType::Space {
            put(&mut payload, "sdk", self.space_sdk.as_ref());
            put(&mut payload, "template", self.space_template.as_ref());
        }
        let space = SpaceOptions {
            hardware: self.space_hardware.as_ref(),
            sleep_time: self.space_sleep_time,
            secrets: self.space_secrets.as_ref(),
            variables: self.space_variables.as_ref(),
            volumes: self.space_volumes.as_ref(),
        };
        space.put(&mut payload, repo.repo_type());
        put(&mut payload, "resourceGroupId", self.resource_group_id.as_ref());
        put(&mut payload, "region", self.region.as_ref());
        Request::post("/api/repos/create").json(&payload)
    }
}

/// The `type` of a body: as the Python client, said when the caller said it.
fn put_type(payload: &mut Value, given: Option<RepoType>, repo: &RepoId) {
    if given.is_some() || repo.repo_type() != RepoType::Model {
        put(payload, "type", Some(repo.repo_type()));
    }
}

/// Sends a request that creates a repository, again while the Hub says that it is creating another one: then it has
/// done nothing.
async fn send_when_free(api: &HfApi, request: Request) -> Result<crate::request::Response> {
    const BUSY: &str = "Cannot create repo: another conflicting operation is in progress";
    let mut attempt = 0;
    loop {
        let err = match api.send(request.clone()).await {
            Err(err) if err.status() == Some(409) && err.server_message().is_some_and(|text| text.contains(BUSY)) => {
                err
            }
            other => return other,
        };
        attempt += 1;
        let Some(wait) = api.shared.config.retry.wait(attempt, None, fastrand::f64()) else {
            return Err(err);
        };
        tracing::debug!(attempt, "another repository is being created: trying again");
        tokio::time::sleep(wait).await;
    }
}

/// The repository with its namespace: the token's user's if the id has none.
async fn in_own_namespace(api: &HfApi, repo: RepoId) -> Result<RepoId> {
    if repo.namespace().is_some() {
        return Ok(repo);
    }
    let me = api.whoami().await?;
    Ok(RepoId::new(repo.repo_type(), &format!("{}/{}", me.name, repo.name()))?)
}

impl DeleteRepoArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        match answered(&api, self.request()).await {
            Err(Error::RepoNotFound(_)) if self.missing_ok.unwrap_or(false) => Ok(()),
            other => other,
        }
    }

    fn request(&self) -> Request {
        let repo = self.repo_id.clone().typed(self.repo_type);
        let mut payload = json!({"name": repo.name(), "organization": repo.namespace()});
        put_type(&mut payload, self.repo_type, &repo);
        Request::delete("/api/repos/delete").json(&payload)
    }
}

impl MoveRepoArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let request = self.request()?;
        answered(&api, request).await
    }

    fn request(&self) -> Result<Request, ValidationError> {
        let from = self.from_id.clone().typed(self.repo_type);
        for id in [&from, &self.to_id] {
            if id.namespace().is_none() {
                return Err(ValidationError::new(
                    "repo id",
                    id.id(),
                    "must be 'namespace/name' to be moved",
                ));
            }
        }
        let payload = json!({"fromRepo": from.id(), "toRepo": self.to_id.id(), "type": from.repo_type()});
        Ok(Request::post("/api/repos/move").json(&payload))
    }
}

impl UpdateRepoSettingsArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let request = self.request()?;
        answered(&api, request).await
    }

    fn request(&self) -> Result<Request, ValidationError> {
        let repo = self.repo_id.clone().typed(self.repo_type);
        forbid_kernel(&repo)?;
        let mut payload = json!({});
        if let Some(Gated::Other(word)) = &self.gated {
            return Err(ValidationError::new("gated", word, "must be 'auto', 'manual' or false"));
        }
        put(&mut payload, "gated", self.gated.as_ref());
        let visibility = visibility(self.private, self.visibility.as_ref(), repo.repo_type())?;
        put(&mut payload, "visibility", visibility);
        if payload == json!({}) {
            return Err(ValidationError::new(
                "settings",
                repo.id(),
                "give at least one to change",
            ));
        }
        Ok(Request::put(format!("/api/{}/settings", repo.api_path())).json(&payload))
    }
}

impl DuplicateRepoArgs {
    async fn run(self, api: HfApi) -> Result<RepoUrl> {
        let from = self.from_id.clone().typed(self.repo_type);
        forbid_kernel(&from)?;
        let visibility = visibility(self.private, self.visibility.as_ref(), from.repo_type())?;
        let to = match &self.to_id {
            Some(to) => to.clone().with_type(from.repo_type()),
            None => RepoId::new(from.repo_type(), from.name())?,
        };
        let to = in_own_namespace(&api, to).await?;
        match api.send(self.request(&from, &to, visibility)).await {
            Ok(reply) => Ok(reply.json::<Created>().await?.into_url(&api, &to)),
            Err(err) if self.exist_ok.unwrap_or(false) && err.status() == Some(409) => {
                Ok(match Created::from_error(&err) {
                    Some(existing) => existing.into_url(&api, &to),
                    None => RepoUrl::new(api.endpoint(), to),
                })
            }
            Err(err) => Err(err),
        }
    }

    fn request(&self, from: &RepoId, to: &RepoId, visibility: Option<Visibility>) -> Request {
        let mut payload = json!({"repository": to.id()});
        put(&mut payload, "visibility", visibility);
        put(&mut payload, "resourceGroupId", self.resource_group_id.as_ref());
        let space = SpaceOptions {
            hardware: self.space_hardware.as_ref(),
            sleep_time: self.space_sleep_time,
            secrets: self.space_secrets.as_ref(),
            variables: self.space_variables.as_ref(),
            volumes: self.space_volumes.as_ref(),
        };
        space.put(&mut payload, from.repo_type());
        Request::post(format!("/api/{}/duplicate", from.api_path())).json(&payload)
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
        let reply = api.send(request).await?;
        Ok(match repo.repo_type() {
            RepoType::Model => RepoInfo::Model(reply.json().await?),
            RepoType::Dataset => RepoInfo::Dataset(reply.json().await?),
            RepoType::Space => RepoInfo::Space(reply.json().await?),
            RepoType::Kernel => RepoInfo::Kernel(reply.json().await?),
        })
    }
}

impl ModelInfoArgs {
    async fn run(self, api: HfApi) -> Result<ModelInfo> {
        let repo = self.repo_id.with_type(RepoType::Model);
        let request = info_request(&repo, self.revision.as_ref(), self.timeout);
        let request = with_details(request, self.expand.as_ref(), self.security_status, self.files_metadata)?;
        api.send(request).await?.json().await
    }
}

impl DatasetInfoArgs {
    async fn run(self, api: HfApi) -> Result<DatasetInfo> {
        let repo = self.repo_id.with_type(RepoType::Dataset);
        let request = info_request(&repo, self.revision.as_ref(), self.timeout);
        let request = with_details(request, self.expand.as_ref(), None, self.files_metadata)?;
        api.send(request).await?.json().await
    }
}

impl SpaceInfoArgs {
    async fn run(self, api: HfApi) -> Result<SpaceInfo> {
        let repo = self.repo_id.with_type(RepoType::Space);
        let request = info_request(&repo, self.revision.as_ref(), self.timeout);
        let request = with_details(request, self.expand.as_ref(), None, self.files_metadata)?;
        api.send(request).await?.json().await
    }
}

impl KernelInfoArgs {
    async fn run(self, api: HfApi) -> Result<KernelInfo> {
        let repo = self.repo_id.with_type(RepoType::Kernel);
        let request = info_request(&repo, self.revision.as_ref(), self.timeout);
        api.send(request).await?.json().await
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
        let reply = api.send(request).await?;
        /// All that counts of the information.
        #[derive(Deserialize)]
        struct Commit {
            #[serde(default)]
            sha: Option<String>,
        }
        let url = reply.url().to_owned();
        let commit: Commit = reply.json().await?;
        commit
            .sha
            .as_deref()
            .and_then(|sha| sha.parse().ok())
            .ok_or_else(|| Error::malformed(&url, "information about a revision without its commit hash"))
    }
}

impl ListUserReposArgs {
    async fn run(self, api: HfApi) -> Result<Items<RepoStorageInfo>> {
        let request = Request::get(match &self.namespace {
            Some(namespace) => format!(
                "/api/organizations/{}/settings/repositories",
                segment("namespace", namespace)?
            ),
            None => "/api/settings/repositories".to_owned(),
        });
        Ok(Items::paged(api, request))
    }
}

impl GetFullRepoNameArgs {
    async fn run(self, api: HfApi) -> Result<String> {
        let repo = self.model_id;
        // The Python client doubles the namespace of an id that has one.
        let full = match self.organization {
            Some(organization) => RepoId::new(repo.repo_type(), &format!("{organization}/{}", repo.name()))?,
            None => in_own_namespace(&api, repo).await?,
        };
        Ok(full.id().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use wiremock::ResponseTemplate;

    use super::super::testing::Hub;
    use super::*;

    fn reply(status: u16, body: Value) -> ResponseTemplate {
        ResponseTemplate::new(status).set_body_json(body)
    }

    const COMMIT: &str = "8f1f7d9c3f7f2a0f4e5b6c7d8e9fa0b1c2d3e4f5";

    #[tokio::test]
    async fn a_repo_is_created_with_what_was_said_and_nothing_else() {
        let hub = Hub::start().await;
        let url = format!("{}/ada/demo", hub.url());
        hub.answer("POST", "/api/repos/create", reply(200, json!({"url": url})))
            .await;
        let api = hub.api();
        let made = api.create_repo("ada/demo").await.unwrap();
        assert_eq!((made.repo.id(), made.to_string()), ("ada/demo", url));
        // The reply knows the namespace.
        let made = api.create_repo("demo").private(false).exist_ok(true).await.unwrap();
        assert_eq!(made.repo.id(), "ada/demo");
        let made = api
            .create_repo("datasets/ada/demo")
            .visibility("public")
            .region("eu")
            .resource_group_id("rg")
            .await;
        assert_eq!(made.unwrap().repo.repo_type(), RepoType::Dataset);
        api.create_repo("ada/app")
            .repo_type("space")
            .space_sdk("gradio")
            .space_hardware("t4-medium")
            .space_sleep_time(-1)
            .space_secrets([("A", "1")])
            .space_variables([("B", "2")])
            .space_volumes(Vec::<Volume>::new())
            .await
            .unwrap();
        // For what is no Space these mean nothing.
        api.create_repo("ada/demo")
            .repo_type("model")
            .space_sdk("x")
            .space_sleep_time(3)
            .await
            .unwrap();
        assert_eq!(
            hub.asked().await,
            [
                r#"POST /api/repos/create {"name":"demo","organization":"ada"}"#,
                r#"POST /api/repos/create {"name":"demo","organization":null,"visibility":"public"}"#,
                r#"POST /api/repos/create {"name":"demo","organization":"ada","visibility":"public","type":"dataset","resourceGroupId":"rg","region":"eu"}"#,
                r#"POST /api/repos/create {"name":"app","organization":"ada","type":"space","sdk":"gradio","hardware":"t4-medium","sleepTimeSeconds":-1,"secrets":[{"key":"A","value":"1"}],"variables":[{"key":"B","value":"2"}]}"#,
                r#"POST /api/repos/create {"name":"demo","organization":"ada","type":"model"}"#,
            ]
            .map(sorted)
        );
    }

    /// Bodies have their keys in alphabetical order.
    fn sorted(line: &str) -> String {
        match line.find('{') {
            Some(at) => {
                let body: Value = serde_json::from_str(&line[at..]).unwrap();
                format!("{}{body}", &line[..at])
            }
            None => line.to_owned(),
        }
    }

    #[tokio::test]
    async fn arguments_that_cannot_be_right_send_nothing() {
        let hub = Hub::start().await;
        let api = hub.api();
        let refused = [
            api.create_repo("a/b")
                .private(true)
                .visibility("public")
                .await
                .unwrap_err(),
            api.create_repo("a/b").visibility("protected").await.unwrap_err(),
            api.create_repo("a/b").visibility("hidden").await.unwrap_err(),
            api.create_repo("spaces/a/b").await.unwrap_err(),
            api.create_repo("spaces/a/b").space_sdk("cobol").await.unwrap_err(),
            api.create_repo("a/b").space_template("blank").await.unwrap_err(),
            api.create_repo("a//b").await.unwrap_err(),
            api.move_repo("a", "b/c").await.unwrap_err(),
            api.move_repo("a/b", "c").await.unwrap_err(),
            api.update_repo_settings("a/b").await.unwrap_err(),
            api.update_repo_settings("kernels/a/b").private(true).await.unwrap_err(),
            api.update_repo_settings("a/b").gated(true).await.unwrap_err(),
            api.update_repo_settings("a/b").gated("never").await.unwrap_err(),
            api.duplicate_repo("kernels/a/b").await.unwrap_err(),
            api.model_info("a/b")
                .expand(["likes"])
                .files_metadata(true)
                .await
                .unwrap_err(),
            api.model_info("a/b")
                .expand(["likes"])
                .security_status(true)
                .await
                .unwrap_err(),
            api.revision_exists("a/b", "a..b").await.unwrap_err(),
        ];
        for err in refused {
            assert!(matches!(err, Error::Invalid(_)), "{err}");
        }
        assert!(hub.asked().await.is_empty());
    }

    #[tokio::test]
    async fn what_exists_already_counts_as_created_if_asked() {
        let hub = Hub::start().await;
        let taken = json!({"error": "You already created this model repo", "url": "https://huggingface.co/ada/demo"});
        hub.answer("POST", "/api/repos/create", reply(409, taken)).await;
        let err = hub.api().create_repo("ada/demo").await.unwrap_err();
        assert!(matches!(err, Error::Conflict(_)));
        let existing = hub.api().create_repo("ada/demo").exist_ok(true).await.unwrap();
        // The public Hub's address becomes the mirror's.
        assert_eq!(existing.to_string(), format!("{}/ada/demo", hub.url()));

        // A reply without an address: built, with the namespace that the id lacks.
        let hub = Hub::with("POST", "/api/repos/create", 409, json!({})).await;
        hub.answer("GET", "/api/whoami-v2", reply(200, json!({"name": "ada"})))
            .await;
        let existing = hub.api().create_repo("datasets/demo").exist_ok(true).await.unwrap();
        assert_eq!(existing.to_string(), format!("{}/datasets/ada/demo", hub.url()));
    }

    #[tokio::test]
    async fn a_repo_that_may_not_be_created_may_exist() {
        for status in [401, 402, 403] {
            let hub = Hub::with("POST", "/api/repos/create", status, json!({"error": "no"})).await;
            let err = hub.api().create_repo("ada/demo").exist_ok(true).await.unwrap_err();
            assert_eq!(err.status(), Some(status));
            hub.answer("GET", "/api/models/ada/demo", reply(200, json!({"id": "ada/demo"})))
                .await;
            let err = hub.api().create_repo("ada/demo").await.unwrap_err();
            assert_eq!(err.status(), Some(status));
            let existing = hub.api().create_repo("ada/demo").exist_ok(true).await.unwrap();
            assert_eq!(existing.repo.id(), "ada/demo");
        }
    }

    #[tokio::test]
    async fn a_busy_hub_is_asked_again_but_not_for_ever() {
        const BUSY: &str = "Cannot create repo: another conflicting operation is in progress";
        let hub = Hub::start().await;
        let url = format!("{}/ada/demo", hub.url());
        hub.answer_first(2, "POST", "/api/repos/create", reply(409, json!({"error": BUSY})))
            .await;
        hub.answer("POST", "/api/repos/create", reply(200, json!({"url": url})))
            .await;
        hub.api().create_repo("ada/demo").await.unwrap();
        assert_eq!(hub.asked().await.len(), 3);

        let hub = Hub::start().await;
        hub.answer(
            "POST",
            "/api/repos/create",
            ResponseTemplate::new(409).set_body_string(BUSY),
        )
        .await;
        let err = hub.api().create_repo("ada/demo").await.unwrap_err();
        assert!(matches!(err, Error::Conflict(_)));
        assert_eq!(hub.asked().await.len(), 4);
    }

    #[tokio::test]
    async fn a_template_decides_on_sdk_and_privacy() {
        let hub = Hub::start().await;
        let templates = json!({"templates": [
            {"name": "Blank", "repoId": "t/blank", "sdk": "static", "preferredPrivate": false},
            {"name": "Chat UI", "repoId": "t/chat", "sdk": "docker", "preferredPrivate": true},
        ]});
        hub.answer("GET", "/api/spaces/templates", reply(200, templates)).await;
        hub.answer(
            "POST",
            "/api/repos/create",
            reply(200, json!({"url": format!("{}/spaces/a/b", hub.url())})),
        )
        .await;
        let api = hub.api();
        api.create_repo("spaces/a/b").space_template("chat ui").await.unwrap();
        api.create_repo("spaces/a/b")
            .space_template("t/chat")
            .private(false)
            .await
            .unwrap();
        let err = api.create_repo("spaces/a/b").space_template("nope").await.unwrap_err();
        assert!(err.to_string().contains("Blank, Chat UI"), "{err}");
        let err = api
            .create_repo("spaces/a/b")
            .space_template("Blank")
            .space_sdk("gradio")
            .await
            .unwrap_err();
        assert!(matches!(err, Error::Invalid(_)));
        let created: Vec<String> = hub
            .asked()
            .await
            .into_iter()
            .filter(|line| line.starts_with("POST"))
            .collect();
        assert_eq!(
            created,
            [
                r#"POST /api/repos/create {"name":"b","organization":"a","visibility":"private","type":"space","sdk":"docker","template":"t/chat"}"#,
                r#"POST /api/repos/create {"name":"b","organization":"a","visibility":"public","type":"space","sdk":"docker","template":"t/chat"}"#,
            ]
            .map(sorted)
        );
    }

    #[tokio::test]
    async fn a_missing_repo_counts_as_deleted_if_asked() {
        let hub = Hub::start().await;
        let missing = reply(404, json!({"error": "x"})).insert_header("x-error-code", "RepoNotFound");
        hub.answer("DELETE", "/api/repos/delete", missing).await;
        let api = hub.api();
        assert!(matches!(api.delete_repo("demo").await, Err(Error::RepoNotFound(_))));
        api.delete_repo("a/b")
            .repo_type("dataset")
            .missing_ok(true)
            .await
            .unwrap();
        assert_eq!(
            hub.asked().await,
            [
                r#"DELETE /api/repos/delete {"name":"demo","organization":null}"#,
                r#"DELETE /api/repos/delete {"name":"b","organization":"a","type":"dataset"}"#,
            ]
        );
        // A bare 401 does not say that the repository is missing.
        let hub = Hub::with("DELETE", "/api/repos/delete", 401, json!({})).await;
        let err = hub.api().delete_repo("a/b").missing_ok(true).await.unwrap_err();
        assert!(matches!(err, Error::Unauthorized(_)));
    }

    #[tokio::test]
    async fn repos_are_moved_and_set() {
        let hub = Hub::with("POST", "/api/repos/move", 200, json!({})).await;
        hub.answer("PUT", "/api/spaces/a/b/settings", reply(200, json!({})))
            .await;
        hub.answer("PUT", "/api/models/a/b/settings", reply(200, json!({})))
            .await;
        let api = hub.api();
        api.move_repo("datasets/a/b", "c/d").await.unwrap();
        api.update_repo_settings("spaces/a/b")
            .visibility("protected")
            .await
            .unwrap();
        api.update_repo_settings("a/b")
            .gated(false)
            .private(true)
            .await
            .unwrap();
        assert_eq!(
            hub.asked().await,
            [
                r#"POST /api/repos/move {"fromRepo":"a/b","toRepo":"c/d","type":"dataset"}"#,
                r#"PUT /api/spaces/a/b/settings {"visibility":"protected"}"#,
                r#"PUT /api/models/a/b/settings {"gated":false,"visibility":"private"}"#,
            ]
        );
    }

    #[tokio::test]
    async fn a_copy_goes_to_the_own_namespace_unless_said() {
        let hub = Hub::start().await;
        let copy = json!({"url": format!("{}/spaces/ada/app", hub.url()), "filesCopyPending": true});
        hub.answer("POST", "/api/spaces/bob/app/duplicate", reply(200, copy))
            .await;
        hub.answer("GET", "/api/whoami-v2", reply(200, json!({"name": "ada"})))
            .await;
        let api = hub.api();
        let made = api
            .duplicate_repo("spaces/bob/app")
            .space_hardware("cpu-upgrade")
            .await
            .unwrap();
        assert_eq!((made.repo.id(), made.files_copy_pending), ("ada/app", true));
        api.duplicate_repo("bob/app")
            .repo_type("space")
            .to_id("acme/x")
            .private(true)
            .await
            .unwrap();
        assert_eq!(
            hub.asked().await,
            [
                "GET /api/whoami-v2",
                r#"POST /api/spaces/bob/app/duplicate {"hardware":"cpu-upgrade","repository":"ada/app"}"#,
                r#"POST /api/spaces/bob/app/duplicate {"repository":"acme/x","visibility":"private"}"#,
            ]
        );
        let taken = json!({"url": "https://huggingface.co/ada/x"});
        let hub = Hub::with("POST", "/api/models/bob/x/duplicate", 409, taken).await;
        assert!(hub.api().duplicate_repo("bob/x").to_id("ada/x").await.is_err());
        let made = hub
            .api()
            .duplicate_repo("bob/x")
            .to_id("ada/x")
            .exist_ok(true)
            .await
            .unwrap();
        assert_eq!(made.to_string(), format!("{}/ada/x", hub.url()));
    }

    #[tokio::test]
    async fn information_is_asked_for_by_type_revision_and_property() {
        let hub = Hub::start().await;
        for target in [
            "/api/models/a/b/revision/refs%2Fpr%2F1",
            "/api/datasets/a/b",
            "/api/spaces/a/b",
            "/api/kernels/a/b",
            "/api/kernels/a/b/revision/main",
        ] {
            hub.answer(
                "GET",
                target,
                reply(200, json!({"id": "a/b", "sha": COMMIT, "sdk": "docker"})),
            )
            .await;
        }
        let api = hub.api();
        let info = api
            .model_info("a/b")
            .revision("refs/pr/1")
            .security_status(true)
            .files_metadata(true)
            .await
            .unwrap();
        assert_eq!(info.sha.as_deref(), Some(COMMIT));
        let info = api
            .repo_info("a/b")
            .repo_type("dataset")
            .expand(["likes", "xetEnabled"])
            .await
            .unwrap();
        assert_eq!((info.repo_type(), info.id()), (RepoType::Dataset, "a/b"));
        assert_eq!(info.commit_hash().unwrap().as_str(), COMMIT);
        assert_eq!(api.space_info("a/b").await.unwrap().sdk, Some(SpaceSdk::Docker));
        api.kernel_info("a/b").revision("main").await.unwrap();
        // A repository of kernels takes no more.
        let info = api.repo_info("kernels/a/b").expand(["likes"]).await.unwrap();
        assert_eq!(info.repo_type(), RepoType::Kernel);
        assert_eq!(
            hub.asked().await,
            [
                "GET /api/models/a/b/revision/refs%2Fpr%2F1?securityStatus=true&blobs=true",
                "GET /api/datasets/a/b?expand=likes&expand=xetEnabled",
                "GET /api/spaces/a/b",
                "GET /api/kernels/a/b/revision/main",
                "GET /api/kernels/a/b",
            ]
        );
    }

    #[tokio::test]
    async fn existence_follows_the_error_code() {
        let target = "/api/models/a/b";
        for (status, code, exists) in [
            (404, "RepoNotFound", Some(false)),
            (403, "GatedRepo", Some(true)),
            (401, "", Some(false)),
            (500, "", None),
            (404, "", None),
        ] {
            let hub = Hub::start().await;
            hub.answer(
                "GET",
                target,
                reply(status, json!({})).insert_header("x-error-code", code),
            )
            .await;
            assert_eq!(hub.api().repo_exists("a/b").await.ok(), exists, "{status} {code}");
        }
        let target = "/api/models/a/b/revision/v1";
        for (status, code, exists) in [
            (200, "", Some(true)),
            (404, "RepoNotFound", Some(false)),
            (404, "RevisionNotFound", Some(false)),
            (403, "GatedRepo", Some(false)),
            (503, "", None),
        ] {
            let hub = Hub::start().await;
            hub.answer(
                "GET",
                target,
                reply(status, json!({})).insert_header("x-error-code", code),
            )
            .await;
            assert_eq!(
                hub.api().revision_exists("a/b", "v1").await.ok(),
                exists,
                "{status} {code}"
            );
        }
    }

    #[tokio::test]
    async fn a_revision_resolves_to_its_commit() {
        let hub = Hub::with("GET", "/api/models/a/b", 200, json!({"id": "a/b", "sha": COMMIT})).await;
        let api = hub.api();
        assert_eq!(api.resolve_revision("a/b").await.unwrap().as_str(), COMMIT);
        let other = "a".repeat(40);
        assert_eq!(
            api.resolve_revision("a/b").revision(&other).await.unwrap().as_str(),
            other
        );
        assert_eq!(hub.asked().await.len(), 1);
        let hub = Hub::with(
            "GET",
            "/api/models/a/b/revision/refs%2Fpr%2F1",
            200,
            json!({"id": "a/b", "sha": COMMIT}),
        )
        .await;
        let found = hub.api().resolve_revision("a/b").revision("refs/pr/1").await.unwrap();
        assert_eq!(found.as_str(), COMMIT);
        let hub = Hub::with("GET", "/api/models/a/b", 200, json!({"id": "a/b", "sha": "abc"})).await;
        let err = hub.api().resolve_revision("a/b").await.unwrap_err();
        assert!(matches!(err, Error::MalformedReply { .. }), "{err}");
    }

    #[tokio::test]
    async fn an_accounts_repos_are_listed() {
        let hub = Hub::start().await;
        let item = json!({"id": "ada/x", "type": "bucket", "updatedAt": "2026-03-04T05:06:07.000Z",
            "visibility": "private", "storage": 12, "storagePercent": null});
        hub.answer(
            "GET",
            "/api/organizations/acme/settings/repositories",
            reply(200, json!([item])),
        )
        .await;
        hub.answer("GET", "/api/settings/repositories", reply(200, json!({})))
            .await;
        let repos = hub
            .api()
            .list_user_repos()
            .namespace("acme")
            .await
            .unwrap()
            .collect_all()
            .await
            .unwrap();
        assert_eq!((repos[0].repo_type.as_str(), repos[0].storage), ("bucket", 12));
        assert_eq!(repos[0].visibility, Some(Visibility::Private));
        let none = hub.api().list_user_repos().await.unwrap().collect_all().await.unwrap();
        assert!(none.is_empty());
        assert!(matches!(
            hub.api().list_user_repos().namespace("..").await,
            Err(Error::Invalid(_))
        ));
    }

    #[tokio::test]
    async fn an_id_gets_its_namespace_once() {
        let hub = Hub::with("GET", "/api/whoami-v2", 200, json!({"name": "ada"})).await;
        let api = hub.api();
        assert_eq!(api.get_full_repo_name("a/b").await.unwrap(), "a/b");
        assert_eq!(
            api.get_full_repo_name("b").organization("acme").await.unwrap(),
            "acme/b"
        );
        assert!(hub.asked().await.is_empty());
        assert_eq!(api.get_full_repo_name("b").await.unwrap(), "ada/b");
    }
}
