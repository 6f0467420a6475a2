//! Spaces: what they run on, secrets and variables, volumes, logs.

use hub_types::jobs::HardwareInfo;
use hub_types::spaces::{
    SpaceHardware, SpaceRuntime, SpaceSecrets, SpaceTemplate, SpaceVariables, Volume, ZeroGpuQuota,
};
use hub_types::{OneOrMany, RepoId, RepoType, Secret, ValidationError};
use serde::Deserialize;
use serde_json::json;

use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::events::{Events, Follow, LogLine};
use crate::operation;
use crate::page::Items;
use crate::request::Request;

/// Declares an operation on one Space that has no argument but its id and gives its runtime.
macro_rules! runtime_operation {
    ($($(#[$meta:meta])* $name:ident $op:ident $args:ident $method:ident $path:literal $(json $body:tt)?;)+) => { $(
        operation! {
            impl HfApi, Error;

            $(#[$meta])*
            ///
            /// # Errors
            ///
            /// [`Error::RepoNotFound`], [`Error::Forbidden`] for who is not its owner, [`Error::BadRequest`] for a static
            /// Space; see [`Error`] for those any call can return.
            pub fn $name(
                /// The Space.
                repo_id: RepoId,
            ) -> $op($args) => SpaceRuntime {}
        }

        impl $args {
            async fn run(self, api: HfApi) -> Result<SpaceRuntime> {
                let request = Request::$method(path(&self.repo_id, $path))$(.json(&json!($body)))?;
                api.ask(request).await?.json()
            }
        }
    )+ };
}

runtime_operation! {
    /// Tells how a Space runs.
    ///
    /// Endpoint: `GET /api/spaces/{repo_id}/runtime`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let runtime = api.get_space_runtime("ada/playground").await?;
    /// println!("{:?} on {:?}", runtime.stage, runtime.hardware);
    /// # Ok(()) }
    /// ```
    get_space_runtime GetSpaceRuntime GetSpaceRuntimeArgs get "runtime";

    /// Pauses a Space: it costs nothing until it is restarted, and only its owner can do that.
    ///
    /// Endpoint: `POST /api/spaces/{repo_id}/pause`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.pause_space("ada/playground").await?;
    /// # Ok(()) }
    /// ```
    pause_space PauseSpace PauseSpaceArgs post "pause";

    /// Switches a Space's development mode on.
    ///
    /// Endpoint: `POST /api/spaces/{repo_id}/dev-mode`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.enable_space_dev_mode("ada/playground").await?;
    /// # Ok(()) }
    /// ```
    enable_space_dev_mode EnableSpaceDevMode EnableSpaceDevModeArgs post "dev-mode" json { "enabled": true };

    /// Switches a Space's development mode off.
    ///
    /// Endpoint: `POST /api/spaces/{repo_id}/dev-mode`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.disable_space_dev_mode("ada/playground").await?;
    /// # Ok(()) }
    /// ```
    disable_space_dev_mode DisableSpaceDevMode DisableSpaceDevModeArgs post "dev-mode" json { "enabled": false };
}

operation! {
    impl HfApi, Error;

    /// Restarts a Space, also a paused one.
    ///
    /// Endpoint: `POST /api/spaces/{repo_id}/restart`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.restart_space("ada/playground").factory_reboot(true).await?;
    /// let running = api.wait_for_space("ada/playground").timeout(300.0).await?;
    /// println!("{:?}", running.stage);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`HfApi::pause_space`].
    pub fn restart_space(
        /// The Space.
        repo_id: RepoId,
    ) -> RestartSpace(RestartSpaceArgs) => SpaceRuntime {
        /// Builds it anew, from nothing cached. By default its last build is used.
        factory_reboot: bool,
    }
}

impl RestartSpaceArgs {
    async fn run(self, api: HfApi) -> Result<SpaceRuntime> {
        let factory = self.factory_reboot.filter(|factory| *factory);
        api.ask(Request::post(path(&self.repo_id, "restart")).query_opt("factory", factory))
            .await?
            .json()
    }
}

operation! {
    impl HfApi, Error;

    /// Asks for other hardware. The Space restarts on it when it is there.
    ///
    /// Endpoint: `POST /api/spaces/{repo_id}/hardware`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.request_space_hardware("ada/playground", "t4-small").sleep_time(3600).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`HfApi::pause_space`]; [`Error::Http`] with status 402 where the plan does not cover it.
    pub fn request_space_hardware(
        /// The Space.
        repo_id: RepoId,
        /// What to run on. [`HfApi::list_spaces_hardware`] has the Hub's own list.
        hardware: SpaceHardware,
    ) -> RequestSpaceHardware(RequestSpaceHardwareArgs) => SpaceRuntime {
        /// Seconds without a visit after which it sleeps, -1 for never. By default as the hardware has it.
        sleep_time: i64,
    }
}

impl RequestSpaceHardwareArgs {
    async fn run(self, api: HfApi) -> Result<SpaceRuntime> {
        let mut body = json!({ "flavor": self.hardware });
        if let Some(seconds) = self.sleep_time {
            body["sleepTimeSeconds"] = checked_sleep_time(seconds)?.into();
        }
        let request = Request::post(path(&self.repo_id, "hardware")).json(&body);
        let runtime: SpaceRuntime = api.ask(request).await?.json()?;
        if self.sleep_time.is_some() {
            warn_of_basic(&runtime);
        }
        Ok(runtime)
    }
}

operation! {
    impl HfApi, Error;

    /// Sets after how long without a visit a Space sleeps. On `cpu-basic` that is fixed at 48 hours.
    ///
    /// Endpoint: `POST /api/spaces/{repo_id}/sleeptime`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// // An hour without a visitor; -1 is never.
    /// api.set_space_sleep_time("ada/playground", 3600).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`HfApi::pause_space`]; [`Error::Invalid`] for less than -1.
    pub fn set_space_sleep_time(
        /// The Space.
        repo_id: RepoId,
        /// Seconds, or -1 for never.
        sleep_time: i64,
    ) -> SetSpaceSleepTime(SetSpaceSleepTimeArgs) => SpaceRuntime {}
}

impl SetSpaceSleepTimeArgs {
    async fn run(self, api: HfApi) -> Result<SpaceRuntime> {
        let body = json!({ "seconds": checked_sleep_time(self.sleep_time)? });
        let request = Request::post(path(&self.repo_id, "sleeptime")).json(&body);
        let runtime: SpaceRuntime = api.ask(request).await?.json()?;
        warn_of_basic(&runtime);
        Ok(runtime)
    }
}

operation! {
    impl HfApi, Error;

    /// Waits until a Space is neither being built nor starting, and tells how it runs then: well, or with an error.
    ///
    /// Endpoint: `GET /api/spaces/{repo_id}/runtime`, again and again.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.upload_file("spaces/ada/playground", "app.py", "app.py").await?;
    /// let runtime = api.wait_for_space("ada/playground").timeout(600.0).await?;
    /// println!("{:?}", runtime.stage);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::WaitedTooLong`] after `timeout`; see [`Error`] for those any call can return.
    pub fn wait_for_space(
        /// The Space.
        repo_id: RepoId,
    ) -> WaitForSpace(WaitForSpaceArgs) => SpaceRuntime {
        /// Seconds after which to give up. By default never.
        timeout: f64,
        /// Seconds between two questions, more than 0. By default 1.
        poll_interval: f64,
    }
}

impl WaitForSpaceArgs {
    async fn run(self, api: HfApi) -> Result<SpaceRuntime> {
        let clock = super::Polling::new(self.timeout, self.poll_interval)?;
        loop {
            let runtime: SpaceRuntime = api.ask(Request::get(path(&self.repo_id, "runtime"))).await?.json()?;
            if !runtime.stage.is_intermediate() {
                return Ok(runtime);
            }
            clock
                .pause(|| format!("{} is still {}", self.repo_id.id(), runtime.stage))
                .await?;
        }
    }
}

operation! {
    impl HfApi, Error;

    /// Lists a Space's secrets: names and descriptions, never values.
    ///
    /// Endpoint: `GET /api/spaces/{repo_id}/secrets`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for name in api.get_space_secrets("ada/playground").await?.keys() {
    ///     println!("{name}");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn get_space_secrets(
        /// The Space.
        repo_id: RepoId,
    ) -> GetSpaceSecrets(GetSpaceSecretsArgs) => SpaceSecrets {}
}

impl GetSpaceSecretsArgs {
    async fn run(self, api: HfApi) -> Result<SpaceSecrets> {
        api.ask(Request::get(path(&self.repo_id, "secrets"))).await?.json()
    }
}

operation! {
    impl HfApi, Error;

    /// Adds or changes a secret of a Space. The Space restarts.
    ///
    /// Endpoint: `POST /api/spaces/{repo_id}/secrets`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let value = std::env::var("API_KEY").unwrap_or_default();
    /// api.add_space_secret("ada/playground", "API_KEY", value).description("of the backend").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn add_space_secret(
        /// The Space.
        repo_id: RepoId,
        /// The secret's name.
        key: String,
        /// Its value.
        value: Secret,
    ) -> AddSpaceSecret(AddSpaceSecretArgs) => () {
        /// What it is for.
        description: String,
    }
}

impl AddSpaceSecretArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let body = pair(&self.key, self.value.reveal(), self.description.as_deref())?;
        api.send(Request::post(path(&self.repo_id, "secrets")).json(&body))
            .await
            .map(drop)
    }
}

operation! {
    impl HfApi, Error;

    /// Deletes a secret of a Space; one that is not there is no error.
    ///
    /// Endpoint: `DELETE /api/spaces/{repo_id}/secrets`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.delete_space_secret("ada/playground", "API_KEY").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn delete_space_secret(
        /// The Space.
        repo_id: RepoId,
        /// The secret's name.
        key: String,
    ) -> DeleteSpaceSecret(DeleteSpaceSecretArgs) => () {}
}

impl DeleteSpaceSecretArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let request = Request::delete(path(&self.repo_id, "secrets")).json(&json!({ "key": checked_key(&self.key)? }));
        api.send(request).await.map(drop)
    }
}

operation! {
    impl HfApi, Error;

    /// Lists a Space's variables with their values, which everybody may read.
    ///
    /// Endpoint: `GET /api/spaces/{repo_id}/variables`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for (name, variable) in api.get_space_variables("ada/playground").await? {
    ///     println!("{name}={:?}", variable.value);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn get_space_variables(
        /// The Space.
        repo_id: RepoId,
    ) -> GetSpaceVariables(GetSpaceVariablesArgs) => SpaceVariables {}
}

impl GetSpaceVariablesArgs {
    async fn run(self, api: HfApi) -> Result<SpaceVariables> {
        api.ask(Request::get(path(&self.repo_id, "variables"))).await?.json()
    }
}

operation! {
    impl HfApi, Error;

    /// Adds or changes a variable of a Space and gives all of them. The Space restarts.
    ///
    /// Endpoint: `POST /api/spaces/{repo_id}/variables`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.add_space_variable("ada/playground", "MODEL_ID", "ada/demo").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn add_space_variable(
        /// The Space.
        repo_id: RepoId,
        /// The variable's name.
        key: String,
        /// Its value, for everybody to read.
        value: String,
    ) -> AddSpaceVariable(AddSpaceVariableArgs) => SpaceVariables {
        /// What it is for.
        description: String,
    }
}

impl AddSpaceVariableArgs {
    async fn run(self, api: HfApi) -> Result<SpaceVariables> {
        let body = pair(&self.key, &self.value, self.description.as_deref())?;
        api.ask(Request::post(path(&self.repo_id, "variables")).json(&body))
            .await?
            .json()
    }
}

operation! {
    impl HfApi, Error;

    /// Deletes a variable of a Space and gives those that are left.
    ///
    /// Endpoint: `DELETE /api/spaces/{repo_id}/variables`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.delete_space_variable("ada/playground", "MODEL_ID").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn delete_space_variable(
        /// The Space.
        repo_id: RepoId,
        /// The variable's name.
        key: String,
    ) -> DeleteSpaceVariable(DeleteSpaceVariableArgs) => SpaceVariables {}
}

impl DeleteSpaceVariableArgs {
    async fn run(self, api: HfApi) -> Result<SpaceVariables> {
        let request =
            Request::delete(path(&self.repo_id, "variables")).json(&json!({ "key": checked_key(&self.key)? }));
        api.ask(request).await?.json()
    }
}

operation! {
    impl HfApi, Error;

    /// Sets what is mounted into a Space: the whole list, not an addition to it.
    ///
    /// Endpoint: `PUT /api/spaces/{repo_id}/volumes`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let volume = hub_types::spaces::Volume {
    ///     kind: "bucket".to_owned(),
    ///     source: "ada/checkpoints".to_owned(),
    ///     mount_path: "/data".to_owned(),
    ///     revision: None,
    ///     read_only: Some(true),
    ///     path: None,
    /// };
    /// api.set_space_volumes("ada/playground", [volume]).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn set_space_volumes(
        /// The Space.
        repo_id: RepoId,
        /// What is mounted.
        volumes: OneOrMany<Volume>,
    ) -> SetSpaceVolumes(SetSpaceVolumesArgs) => () {}
}

impl SetSpaceVolumesArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        super::checked_volumes(&self.volumes.0)?;
        api.send(Request::put(path(&self.repo_id, "volumes")).json(&json!({ "volumes": self.volumes })))
            .await
            .map(drop)
    }
}

operation! {
    impl HfApi, Error;

    /// Unmounts everything from a Space.
    ///
    /// Endpoint: `DELETE /api/spaces/{repo_id}/volumes`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.delete_space_volumes("ada/playground").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::BadRequest`] when nothing is mounted; see [`Error`] for those any call can return.
    pub fn delete_space_volumes(
        /// The Space.
        repo_id: RepoId,
    ) -> DeleteSpaceVolumes(DeleteSpaceVolumesArgs) => () {}
}

impl DeleteSpaceVolumesArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        api.send(Request::delete(path(&self.repo_id, "volumes")))
            .await
            .map(drop)
    }
}

operation! {
    impl HfApi, Error;

    /// Streams what a Space writes: its run's log, or with [`build`](FetchSpaceLogs::build) its build's.
    ///
    /// Without [`follow`](FetchSpaceLogs::follow) the stream ends with what is there now. With it, it goes on as the
    /// Space does; when the connection drops it is made again, and what was seen is not given twice.
    ///
    /// Endpoint: `GET /api/spaces/{repo_id}/logs/{run|build}` (server-sent events)
    ///
    /// ```no_run
    /// # fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for line in api.fetch_space_logs("ada/playground").build(true).follow(true).wait()? {
    ///     print!("{}", line?);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::RepoNotFound`]; see [`Error`] for those any call can return.
    pub fn fetch_space_logs(
        /// The Space.
        repo_id: RepoId,
    ) -> FetchSpaceLogs(FetchSpaceLogsArgs) => stream String {
        /// The build's log. By default the run's.
        build: bool,
        /// Goes on as new lines come. By default the stream ends with what is there.
        follow: bool,
    }
}

impl FetchSpaceLogsArgs {
    async fn run(self, api: HfApi) -> Result<Items<String>> {
        let which = if self.build.unwrap_or(false) { "build" } else { "run" };
        let follow = if self.follow.unwrap_or(false) {
            Follow::UntilClosed
        } else {
            Follow::No
        };
        let events = Events::new(api, path(&self.repo_id, &format!("logs/{which}")), follow);
        Ok(events.into_items(|event| serde_json::from_value::<LogLine>(event).ok().map(|line| line.data)))
    }
}

operation! {
    impl HfApi, Error;

    /// Lists the hardware that Spaces can run on.
    ///
    /// Endpoint: `GET /api/spaces/hardware`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for hardware in api.list_spaces_hardware().await? {
    ///     println!("{hardware:?}");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn list_spaces_hardware() -> ListSpacesHardware(ListSpacesHardwareArgs) => Vec<HardwareInfo> {}
}

impl ListSpacesHardwareArgs {
    async fn run(self, api: HfApi) -> Result<Vec<HardwareInfo>> {
        api.ask(Request::get("/api/spaces/hardware")).await?.json()
    }
}

operation! {
    impl HfApi, Error;

    /// Lists the Spaces that new ones can be made from.
    ///
    /// Endpoint: `GET /api/spaces/templates`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for template in api.list_space_templates().await? {
    ///     println!("{template:?}");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn list_space_templates() -> ListSpaceTemplates(ListSpaceTemplatesArgs) => Vec<SpaceTemplate> {}
}

impl ListSpaceTemplatesArgs {
    async fn run(self, api: HfApi) -> Result<Vec<SpaceTemplate>> {
        #[derive(Deserialize)]
        struct Templates {
            templates: Vec<SpaceTemplate>,
        }
        let reply: Templates = api.ask(Request::get("/api/spaces/templates")).await?.json()?;
        Ok(reply.templates)
    }
}

operation! {
    impl HfApi, Error;

    /// Tells what is left of the account's shared GPU time.
    ///
    /// Endpoint: `GET /api/spaces/zero-gpu/quota`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let quota = api.get_zero_gpu_quota().await?;
    /// println!("{quota:?}");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::TokenNotFound`] without a token; see [`Error`] for those any call can return.
    pub fn get_zero_gpu_quota() -> GetZeroGpuQuota(GetZeroGpuQuotaArgs) => ZeroGpuQuota {}
}

impl GetZeroGpuQuotaArgs {
    async fn run(self, api: HfApi) -> Result<ZeroGpuQuota> {
        match api.ask(Request::get("/api/spaces/zero-gpu/quota")).await {
            Ok(reply) => reply.json(),
            // The address looks like a repo's, so the table would call this a missing repo.
            Err(err) if err.status() == Some(401) => Err(Error::TokenNotFound),
            Err(err) => Err(err),
        }
    }
}

fn path(repo_id: &RepoId, rest: &str) -> String {
    format!("/api/{}/{rest}", repo_id.clone().with_type(RepoType::Space).api_path())
}

/// Says that the time to sleep which was set has no effect where it has none.
fn warn_of_basic(runtime: &SpaceRuntime) {
    let hardware = runtime.hardware.as_ref();
    let hardware = hardware.and_then(|hardware| hardware.requested.as_ref().or(hardware.current.as_ref()));
    if hardware == Some(&SpaceHardware::CpuBasic) {
        tracing::warn!("a Space on 'cpu-basic' sleeps after 48 hours without a visit, whatever is asked for");
    }
}

pub(super) fn checked_sleep_time(seconds: i64) -> Result<i64> {
    if seconds < -1 {
        return Err(ValidationError::new("sleep_time", seconds.to_string(), "must be -1 (never) or more").into());
    }
    Ok(seconds)
}

pub(super) fn checked_key(key: &str) -> Result<&str> {
    if key.trim().is_empty() || key.chars().any(char::is_control) {
        return Err(ValidationError::new("key", key, "must be a name without control characters").into());
    }
    Ok(key)
}

fn pair(key: &str, value: &str, description: Option<&str>) -> Result<serde_json::Value> {
    let mut body = json!({ "key": checked_key(key)?, "value": value });
    if let Some(description) = description {
        body["description"] = description.into();
    }
    Ok(body)
}
