//! Repositories: create, delete, move, settings, information.

use hub_types::repos::{Gated, KeyValue, Region, RepoStorageInfo, RepoUrl, SpaceSdk, Visibility};
use hub_types::spaces::{SpaceHardware, SpaceTemplate, Volume};
use hub_types::{OneOrMany, RepoId, RepoType, ValidationError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{answered, forbid_kernel, put, segment};
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::page::Items;
use crate::request::Request;

mod info;

pub use info::*;

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
pub(super) fn visibility(
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
    /// Refuses what cannot be right of a Space's options.
    fn check(&self, repo_type: RepoType) -> Result<()> {
        if repo_type != RepoType::Space {
            return Ok(());
        }
        if let Some(seconds) = self.sleep_time {
            super::spaces::checked_sleep_time(seconds)?;
        }
        for pairs in [self.secrets, self.variables].into_iter().flatten() {
            for pair in &pairs.0 {
                super::spaces::checked_key(&pair.key)?;
            }
        }
        super::checked_volumes(self.volumes.map_or(&[], |volumes| &volumes.0))
    }

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
        self.space().check(repo.repo_type())?;
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
            Ok(reply) => Ok(reply.json::<Created>()?.into_url(&api, &repo)),
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

    fn space(&self) -> SpaceOptions<'_> {
        SpaceOptions {
            hardware: self.space_hardware.as_ref(),
            sleep_time: self.space_sleep_time,
            secrets: self.space_secrets.as_ref(),
            variables: self.space_variables.as_ref(),
            volumes: self.space_volumes.as_ref(),
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
        self.space().put(&mut payload, repo.repo_type());
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
async fn send_when_free(api: &HfApi, request: Request) -> Result<crate::request::Answer> {
    const BUSY: &str = "Cannot create repo: another conflicting operation is in progress";
    let mut attempt = 0;
    loop {
        let err = match api.ask(request.clone()).await {
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
        self.space().check(from.repo_type())?;
        let to = match &self.to_id {
            Some(to) => to.clone().with_type(from.repo_type()),
            None => RepoId::new(from.repo_type(), from.name())?,
        };
        let to = in_own_namespace(&api, to).await?;
        match api.ask(self.request(&from, &to, visibility)).await {
            Ok(reply) => Ok(reply.json::<Created>()?.into_url(&api, &to)),
            Err(err) if self.exist_ok.unwrap_or(false) && err.status() == Some(409) => {
                Ok(match Created::from_error(&err) {
                    Some(existing) => existing.into_url(&api, &to),
                    None => RepoUrl::new(api.endpoint(), to),
                })
            }
            Err(err) => Err(err),
        }
    }

    fn space(&self) -> SpaceOptions<'_> {
        SpaceOptions {
            hardware: self.space_hardware.as_ref(),
            sleep_time: self.space_sleep_time,
            secrets: self.space_secrets.as_ref(),
            variables: self.space_variables.as_ref(),
            volumes: self.space_volumes.as_ref(),
        }
    }

    fn request(&self, from: &RepoId, to: &RepoId, visibility: Option<Visibility>) -> Request {
        let mut payload = json!({"repository": to.id()});
        put(&mut payload, "visibility", visibility);
        put(&mut payload, "resourceGroupId", self.resource_group_id.as_ref());
        self.space().put(&mut payload, from.repo_type());
        Request::post(format!("/api/{}/duplicate", from.api_path())).json(&payload)
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
mod tests;
