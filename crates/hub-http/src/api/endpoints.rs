//! Inference Endpoints: models served on machines of their own. They have a host of their own.

use std::collections::BTreeMap;

use hub_types::endpoints::{CatalogModel, EndpointHardware, HardwareList, InferenceEndpoint};
use hub_types::{OneOrMany, Secret, ValidationError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::webhooks::Secrets;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::request::Request;

mod wait;

pub use wait::{WaitForInferenceEndpoint, WaitForInferenceEndpointArgs};

/// Names and values for an endpoint's or a job's environment; `Debug` shows the names alone, for a value may be a key.
#[derive(Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Variables(pub BTreeMap<String, Value>);

impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl From<BTreeMap<String, Value>> for Variables {
    fn from(variables: BTreeMap<String, Value>) -> Self {
        Self(variables)
    }
}

hub_types::argument!(Variables: from BTreeMap<String, Value>);

impl<K: Into<String>, V: Into<Value>, const N: usize> hub_types::Argument<Variables> for [(K, V); N] {
    fn into_argument(self) -> std::result::Result<Option<Variables>, hub_types::ValidationError> {
        let pairs = self.into_iter().map(|(key, value)| (key.into(), value.into()));
        Ok(Some(Variables(pairs.collect())))
    }
}

operation! {
    impl HfApi, Error;

    /// Lists a namespace's endpoints. The namespace `*` stands for the token's user and all its organisations.
    ///
    /// Endpoint: `GET https://api.endpoints.huggingface.cloud/v2/endpoint/{namespace}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for endpoint in api.list_inference_endpoints().namespace("*").await? {
    ///     println!("{}", endpoint.name);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return; with `*`, an organisation that cannot be asked is left out.
    pub fn list_inference_endpoints() -> ListInferenceEndpoints(ListInferenceEndpointsArgs) => Vec<InferenceEndpoint> {
        /// Whose. By default the token's user.
        namespace: String,
    }
}

impl ListInferenceEndpointsArgs {
    async fn run(self, api: HfApi) -> Result<Vec<InferenceEndpoint>> {
        if self.namespace.as_deref() != Some("*") {
            let namespace = super::namespace_or_own_user(&api, self.namespace).await?;
            return list(&api, &namespace).await;
        }
        let account = api.whoami().await?;
        let mut all = list(&api, &account.name).await?;
        for org in account.orgs {
            match list(&api, &org.name).await {
                Ok(endpoints) => all.extend(endpoints),
                Err(err) if err.reply().is_some() => tracing::debug!(org = org.name, error = %err, "left out"),
                Err(err) => return Err(err),
            }
        }
        Ok(all)
    }
}

async fn list(api: &HfApi, namespace: &str) -> Result<Vec<InferenceEndpoint>> {
    #[derive(Deserialize)]
    struct Reply {
        items: Vec<InferenceEndpoint>,
    }
    let reply: Reply = api.ask(Request::get(base(api, namespace)?)).await?.json()?;
    Ok(reply.items)
}

/// Declares an operation on one endpoint that has no argument but its name and gives the endpoint.
macro_rules! endpoint_operation {
    ($($(#[$meta:meta])* $name:ident $op:ident $args:ident $method:ident $rest:literal;)+) => { $(
        operation! {
            impl HfApi, Error;

            $(#[$meta])*
            ///
            /// # Errors
            ///
            /// [`Error::Http`] with status 404 when there is none; see [`Error`] for those any call can return.
            pub fn $name(
                /// Its name.
                name: String,
            ) -> $op($args) => InferenceEndpoint {
                /// Whose. By default the token's user.
                namespace: String,
            }
        }

        impl $args {
            async fn run(self, api: HfApi) -> Result<InferenceEndpoint> {
                let path = path(&api, self.namespace, &self.name).await?;
                api.ask(Request::$method(format!("{path}{}", $rest))).await?.json()
            }
        }
    )+ };
}

endpoint_operation! {
    /// Gives an endpoint.
    ///
    /// Endpoint: `GET https://api.endpoints.huggingface.cloud/v2/endpoint/{namespace}/{name}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let endpoint = api.get_inference_endpoint("demo-endpoint").namespace("lab").await?;
    /// println!("{:?} at {:?}", endpoint.status.state, endpoint.status.url);
    /// # Ok(()) }
    /// ```
    get_inference_endpoint GetInferenceEndpoint GetInferenceEndpointArgs get "";

    /// Pauses an endpoint: it costs nothing until it is resumed.
    ///
    /// Endpoint: `POST https://api.endpoints.huggingface.cloud/v2/endpoint/{namespace}/{name}/pause`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.pause_inference_endpoint("demo-endpoint").await?;
    /// # Ok(()) }
    /// ```
    pause_inference_endpoint PauseInferenceEndpoint PauseInferenceEndpointArgs post "/pause";

    /// Takes all of an endpoint's replicas down; the next request brings one up.
    ///
    /// Endpoint: `POST https://api.endpoints.huggingface.cloud/v2/endpoint/{namespace}/{name}/scale-to-zero`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.scale_to_zero_inference_endpoint("demo-endpoint").await?;
    /// # Ok(()) }
    /// ```
    scale_to_zero_inference_endpoint ScaleToZeroInferenceEndpoint ScaleToZeroInferenceEndpointArgs post "/scale-to-zero";
}

operation! {
    impl HfApi, Error;

    /// Resumes a paused endpoint.
    ///
    /// Endpoint: `POST https://api.endpoints.huggingface.cloud/v2/endpoint/{namespace}/{name}/resume`; where it
    /// runs already, `GET` without `/resume`.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.resume_inference_endpoint("demo-endpoint").running_ok(true).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::BadRequest`] for one that runs, with `running_ok(false)`; see [`Error`] for those any call can return.
    pub fn resume_inference_endpoint(
        /// Its name.
        name: String,
    ) -> ResumeInferenceEndpoint(ResumeInferenceEndpointArgs) => InferenceEndpoint {
        /// Whose. By default the token's user.
        namespace: String,
        /// One that runs already is no error. True by default.
        running_ok: bool,
    }
}

impl ResumeInferenceEndpointArgs {
    async fn run(self, api: HfApi) -> Result<InferenceEndpoint> {
        let path = path(&api, self.namespace, &self.name).await?;
        match api.ask(Request::post(format!("{path}/resume"))).await {
            Ok(reply) => reply.json(),
            Err(Error::BadRequest(reply))
                if self.running_ok != Some(false)
                    && (reply
                        .server_message
                        .as_deref()
                        .is_some_and(|text| text.contains("already running"))
                        || reply
                            .body
                            .as_ref()
                            .is_some_and(|body| body.to_string().contains("already running"))) =>
            {
                api.ask(Request::get(path)).await?.json()
            }
            Err(err) => Err(err),
        }
    }
}

operation! {
    impl HfApi, Error;

    /// Deletes an endpoint. This cannot be undone; pausing it costs nothing either.
    ///
    /// Endpoint: `DELETE https://api.endpoints.huggingface.cloud/v2/endpoint/{namespace}/{name}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.delete_inference_endpoint("demo-endpoint").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Http`] with status 404 when there is none; see [`Error`] for those any call can return.
    pub fn delete_inference_endpoint(
        /// Its name.
        name: String,
    ) -> DeleteInferenceEndpoint(DeleteInferenceEndpointArgs) => () {
        /// Whose. By default the token's user.
        namespace: String,
    }
}

impl DeleteInferenceEndpointArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        api.send(Request::delete(path(&api, self.namespace, &self.name).await?))
            .await
            .map(drop)
    }
}

operation! {
    impl HfApi, Error;

    /// Makes an endpoint: a model on machines of its own.
    ///
    /// Endpoint: `POST https://api.endpoints.huggingface.cloud/v2/endpoint/{namespace}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let endpoint = api
    ///     .create_inference_endpoint(
    ///         "demo-endpoint", "ada/demo", "pytorch", "cpu", "x2", "intel-icl", "us-east-1", "aws",
    ///     )
    ///     .min_replica(0)
    ///     .max_replica(1)
    ///     .await?;
    /// println!("{:?}", endpoint.status);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for settings that exclude each other; see [`Error`] for those any call can return.
    pub fn create_inference_endpoint(
        /// Its name.
        name: String,
        /// The model's repository.
        repository: String,
        /// The model's framework.
        framework: String,
        /// `cpu`, `gpu` or `neuron`.
        accelerator: String,
        /// The size of its machines: `x4`.
        instance_size: String,
        /// The kind of its machines: `intel-icl`.
        instance_type: String,
        /// Where they are: `us-east-1`.
        region: String,
        /// Whose they are: `aws`.
        vendor: String,
    ) -> CreateInferenceEndpoint(CreateInferenceEndpointArgs) => InferenceEndpoint {
        /// Has no effect any more; use `private_link_account_id`.
        account_id: String,
        /// The AWS account that a private link leads to.
        private_link_account_id: String,
        /// The private link's region: `us-east-1` or `eu-west-1`.
        private_link_region: String,
        /// The fewest replicas. 1 by default.
        min_replica: u64,
        /// The most replicas. 1 by default.
        max_replica: u64,
        /// What replicas are added by: `pendingRequests` or `hardwareUsage`.
        scaling_metric: String,
        /// From which value on.
        scaling_threshold: f64,
        /// Minutes without a request after which no replica is left. By default never.
        scale_to_zero_timeout: u64,
        /// The model's revision. By default the newest.
        revision: String,
        /// The model's task.
        task: String,
        /// The image that serves it. By default Hugging Face's own.
        custom_image: Value,
        /// The user of the image's registry.
        container_registry_username: String,
        /// The password for the image's registry.
        container_registry_password: Secret,
        /// What the container runs.
        container_command: OneOrMany<String>,
        /// What is added to that.
        container_args: OneOrMany<String>,
        /// The container's environment.
        env: Variables,
        /// The container's secrets.
        secrets: Secrets,
        /// `public`, `authenticated` (the default) or `private`.
        kind as "type": String,
        /// A domain of one's own.
        domain: String,
        /// The path below it.
        path: String,
        /// Whether replies are cached.
        cache_http_responses: bool,
        /// Its tags.
        tags: OneOrMany<String>,
        /// Whose it is. By default the token's user.
        namespace: String,
    }
}

impl CreateInferenceEndpointArgs {
    async fn run(self, api: HfApi) -> Result<InferenceEndpoint> {
        let kind = self.kind.clone().unwrap_or_else(|| "authenticated".to_owned());
        if kind == "protected" {
            return Err(ValidationError::new("endpoint type", kind, "is now called 'authenticated'").into());
        }
        if self.account_id.is_some() {
            tracing::warn!("account_id has no effect any more: use private_link_account_id");
        }
        let namespace = self.namespace.clone();
        let body = self.body(&kind)?;
        let namespace = super::namespace_or_own_user(&api, namespace).await?;
        api.ask(Request::post(base(&api, &namespace)?).json(&body))
            .await?
            .json()
    }

    fn body(self, kind: &str) -> Result<Value> {
        checked_replicas(Some(self.min_replica.unwrap_or(1)), Some(self.max_replica.unwrap_or(1)))?;
        let mut scaling = json!({
            "minReplica": self.min_replica.unwrap_or(1),
            "maxReplica": self.max_replica.unwrap_or(1),
            "scaleToZeroTimeout": self.scale_to_zero_timeout,
        });
        if let Some(metric) = &self.scaling_metric {
            scaling["measure"] = json!({ metric: self.scaling_threshold });
        }
        let credentials = (self.container_registry_username, self.container_registry_password);
        let mut model = json!({
            "repository": self.repository,
            "framework": self.framework,
            "revision": self.revision,
            "image": image(self.custom_image, credentials)?,
        });
        super::put(&mut model, "task", self.task);
        super::put(&mut model, "command", self.container_command);
        super::put(&mut model, "args", self.container_args);
        super::put(&mut model, "env", self.env.filter(|env| !env.0.is_empty()));
        super::put(
            &mut model,
            "secrets",
            self.secrets.filter(|secrets| !secrets.0.is_empty()),
        );
        let mut body = json!({
            "name": self.name,
            "type": kind,
            "provider": { "region": self.region, "vendor": self.vendor },
            "compute": {
                "accelerator": self.accelerator,
                "instanceSize": self.instance_size,
                "instanceType": self.instance_type,
                "scaling": scaling,
            },
            "model": model,
        });
        if let Some(account) = self.private_link_account_id {
            let region = self.private_link_region;
            // A region alone asks for nothing.
            let region = region.filter(|region| PRIVATE_LINK_REGIONS.contains(&region.as_str()));
            let Some(region) = region else {
                let rule = "needs private_link_region: us-east-1 or eu-west-1";
                return Err(ValidationError::new("private_link_account_id", account, rule).into());
            };
            body["privateService"] = json!({ "accountId": account, "region": region });
        }
        if self.domain.is_some() || self.path.is_some() {
            let mut route = json!({});
            super::put(&mut route, "domain", self.domain);
            super::put(&mut route, "path", self.path);
            body["route"] = route;
        }
        super::put(&mut body, "cacheHttpResponses", self.cache_http_responses);
        super::put(&mut body, "tags", self.tags);
        Ok(body)
    }
}

operation! {
    impl HfApi, Error;

    /// Changes an endpoint; what is not given stays.
    ///
    /// Endpoint: `PUT https://api.endpoints.huggingface.cloud/v2/endpoint/{namespace}/{name}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.update_inference_endpoint("demo-endpoint").max_replica(3).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when parallelism is to be set and the image's credentials, which the service hides, would be
    /// lost; see [`Error`] for those any call can return.
    pub fn update_inference_endpoint(
        /// Its name.
        name: String,
    ) -> UpdateInferenceEndpoint(UpdateInferenceEndpointArgs) => InferenceEndpoint {
        /// `cpu`, `gpu` or `neuron`.
        accelerator: String,
        /// The size of its machines.
        instance_size: String,
        /// The kind of its machines.
        instance_type: String,
        /// The fewest replicas.
        min_replica: u64,
        /// The most replicas.
        max_replica: u64,
        /// Minutes without a request after which no replica is left.
        scale_to_zero_timeout: u64,
        /// What replicas are added by: `pendingRequests` or `hardwareUsage`.
        scaling_metric: String,
        /// From which value on.
        scaling_threshold: f64,
        /// The model's repository.
        repository: String,
        /// The model's framework.
        framework: String,
        /// The model's revision.
        revision: String,
        /// The model's task.
        task: String,
        /// The image that serves it.
        custom_image: Value,
        /// What the container runs.
        container_command: OneOrMany<String>,
        /// What is added to that.
        container_args: OneOrMany<String>,
        /// Over how many accelerators a tensor is spread.
        tensor_parallel_size: u64,
        /// How many copies answer side by side.
        data_parallel_size: u64,
        /// The container's environment; an empty one clears it.
        env: Variables,
        /// The container's secrets; none clears them.
        secrets: Secrets,
        /// A domain of one's own.
        domain: String,
        /// The path below it.
        path: String,
        /// Whether replies are cached.
        cache_http_responses: bool,
        /// Its tags.
        tags: OneOrMany<String>,
        /// Whose it is. By default the token's user.
        namespace: String,
    }
}

impl UpdateInferenceEndpointArgs {
    async fn run(mut self, api: HfApi) -> Result<InferenceEndpoint> {
        checked_replicas(self.min_replica, self.max_replica)?;
        let path = path(&api, self.namespace.take(), &self.name).await?;
        let mut image = self.custom_image.take().map(wrapped);
        if self.tensor_parallel_size.is_some() || self.data_parallel_size.is_some() {
            let mut current = match image.and_then(filled) {
                Some(image) => image,
                // The sizes live inside the image, which is replaced as a whole: send what is there, with them added.
                None => current_image(&api, &path).await?,
            };
            let variant = current
                .as_object_mut()
                .and_then(|image| image.iter_mut().find(|(_, variant)| variant.is_object()));
            let Some((engine, variant)) = variant else {
                let rule = "there is no image that they could be settings of";
                return Err(ValidationError::new("argument", PARALLEL_SIZES, rule).into());
            };
            let sizes = [
                ("tensorParallelSize", self.tensor_parallel_size, &["sGLang", "vLLM"][..]),
                ("dataParallelSize", self.data_parallel_size, &["vLLM"]),
            ];
            for (name, size, engines) in sizes {
                if size.is_some() && !engines.contains(&engine.as_str()) {
                    tracing::warn!(engine, "{name} is no setting of this image: the service drops it");
                }
                super::put(variant, name, size);
            }
            image = Some(current);
        }
        let body = self.body(image);
        api.ask(Request::put(path).json(&body)).await?.json()
    }

    fn body(self, image: Option<Value>) -> Value {
        let mut scaling = json!({});
        super::put(&mut scaling, "minReplica", self.min_replica);
        super::put(&mut scaling, "maxReplica", self.max_replica);
        super::put(&mut scaling, "scaleToZeroTimeout", self.scale_to_zero_timeout);
        if let Some(metric) = &self.scaling_metric {
            scaling["measure"] = json!({ metric: self.scaling_threshold });
        }
        let mut compute = json!({});
        super::put(&mut compute, "accelerator", self.accelerator);
        super::put(&mut compute, "instanceSize", self.instance_size);
        super::put(&mut compute, "instanceType", self.instance_type);
        super::put(&mut compute, "scaling", filled(scaling));
        let mut model = json!({});
        super::put(&mut model, "repository", self.repository);
        super::put(&mut model, "framework", self.framework);
        super::put(&mut model, "revision", self.revision);
        super::put(&mut model, "task", self.task);
        super::put(&mut model, "image", image);
        super::put(&mut model, "command", self.container_command);
        super::put(&mut model, "args", self.container_args);
        super::put(&mut model, "env", self.env);
        super::put(&mut model, "secrets", self.secrets);
        let mut route = json!({});
        super::put(&mut route, "domain", self.domain);
        super::put(&mut route, "path", self.path);
        let mut body = json!({});
        super::put(&mut body, "compute", filled(compute));
        super::put(&mut body, "model", filled(model));
        super::put(&mut body, "route", filled(route));
        super::put(&mut body, "cacheHttpResponses", self.cache_http_responses);
        super::put(&mut body, "tags", self.tags);
        body
    }
}

operation! {
    impl HfApi, Error;

    /// Makes an endpoint from the catalog: a model with settings that were tried.
    ///
    /// Endpoint: `POST https://endpoints.huggingface.co/api/v1/catalog/{model/{repo_id}|recipe/{recipe_id}}/deploy`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let endpoint = api
    ///     .create_inference_endpoint_from_catalog()
    ///     .repo_id("meta-llama/Llama-3.2-3B-Instruct")
    ///     .await?;
    /// println!("{:?}", endpoint.status.url);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] unless exactly one of `repo_id` and `recipe_id` is given; see [`Error`] for those any call can
    /// return.
    pub fn create_inference_endpoint_from_catalog() -> CreateInferenceEndpointFromCatalog(
        CreateInferenceEndpointFromCatalogArgs
    ) => InferenceEndpoint {
        /// The model; the catalog picks its settings.
        repo_id: String,
        /// The settings.
        recipe_id: String,
        /// Its name. By default the service makes one.
        name: String,
        /// `cpu`, `gpu` or `neuron`; only with `repo_id`.
        accelerator: String,
        /// Which GGUF file; only with `repo_id`.
        gguf_file: String,
        /// Whose it is. By default the token's user.
        namespace: String,
    }
}

impl CreateInferenceEndpointFromCatalogArgs {
    async fn run(self, api: HfApi) -> Result<InferenceEndpoint> {
        let catalog = &api.shared.config.services.inference_catalog;
        let address = match (&self.repo_id, &self.recipe_id) {
            (Some(repo), None) => {
                format!("{catalog}/model/{}/deploy", hub_types::RepoId::model(repo)?.id())
            }
            (None, Some(recipe)) => {
                if self.accelerator.is_some() || self.gguf_file.is_some() {
                    let rule = "a recipe has its own accelerator and file";
                    return Err(ValidationError::new("recipe_id", recipe, rule).into());
                }
                format!("{catalog}/recipe/{}/deploy", super::segment("recipe_id", recipe)?)
            }
            (repo, _) => {
                let given = if repo.is_some() { "both" } else { "neither" };
                return Err(ValidationError::new("catalog", given, "give exactly one of repo_id and recipe_id").into());
            }
        };
        let mut body = json!({ "namespace": super::namespace_or_own_user(&api, self.namespace).await? });
        if let Some(name) = self.name {
            body["config"] = json!({ "name": name });
        }
        super::put(&mut body, "accelerator", self.accelerator);
        super::put(&mut body, "ggufFile", self.gguf_file);
        #[derive(Deserialize)]
        struct Reply {
            endpoint: InferenceEndpoint,
        }
        let reply: Reply = api.ask(Request::post(address).json(&body)).await?.json()?;
        Ok(reply.endpoint)
    }
}

operation! {
    impl HfApi, Error;

    /// Lists the catalog's models.
    ///
    /// Endpoint: `GET https://endpoints.huggingface.co/api/v1/catalog/list`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for model in api.list_inference_catalog().accelerator("cpu").limit(5).await? {
    ///     println!("{model:?}");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn list_inference_catalog() -> ListInferenceCatalog(ListInferenceCatalogArgs) => Vec<CatalogModel> {
        /// Only for `cpu`, `gpu` or `neuron`.
        accelerator: String,
        /// Only served by `llamacpp`, `sglang`, `tei` or `vllm`.
        engine: String,
        /// Only under this licence.
        license: String,
        /// Only for this task.
        task: String,
        /// Only those whose name has this in it.
        search: String,
        /// At most this many.
        limit: u64,
    }
}

impl ListInferenceCatalogArgs {
    async fn run(self, api: HfApi) -> Result<Vec<CatalogModel>> {
        let request = Request::get(format!("{}/list", api.shared.config.services.inference_catalog))
            .query_opt("accelerator", self.accelerator)
            .query_opt("engine", self.engine)
            .query_opt("license", self.license)
            .query_opt("task", self.task)
            .query_opt("search", self.search)
            .query_opt("limit", self.limit);
        #[derive(Deserialize)]
        struct Reply {
            #[serde(default)]
            items: Vec<CatalogModel>,
        }
        let reply: Reply = api.ask(request).await?.json()?;
        Ok(reply.items)
    }
}

operation! {
    impl HfApi, Error;

    /// Lists the machines that endpoints can run on, with their prices.
    ///
    /// Endpoint: `GET https://api.endpoints.huggingface.cloud/v2/provider/{namespace}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for hardware in api.list_inference_endpoints_hardware().await? {
    ///     println!("{hardware:?}");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn list_inference_endpoints_hardware() -> ListInferenceEndpointsHardware(
        ListInferenceEndpointsHardwareArgs
    ) => Vec<EndpointHardware> {
        /// For whom. By default the token's user.
        namespace: String,
    }
}

impl ListInferenceEndpointsHardwareArgs {
    async fn run(self, api: HfApi) -> Result<Vec<EndpointHardware>> {
        let namespace = super::namespace_or_own_user(&api, self.namespace).await?;
        let base = &api.shared.config.services.inference_endpoints;
        let address = format!("{base}/provider/{}", super::segment("namespace", &namespace)?);
        let reply: HardwareList = api.ask(Request::get(address)).await?.json()?;
        Ok(reply.flatten())
    }
}

const PARALLEL_SIZES: &str = "tensor_parallel_size, data_parallel_size";

/// Where a private link can lead in from.
const PRIVATE_LINK_REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];

/// The image with its registry's credentials; Hugging Face's own where none is given.
fn image(image: Option<Value>, credentials: (Option<String>, Option<Secret>)) -> Result<Value> {
    let mut image = image.map_or_else(|| json!({ "huggingface": {} }), wrapped);
    match credentials {
        (None, None) => {}
        (None, Some(_)) => {
            return Err(ValidationError::secret("registry password", "needs a registry user name too").into());
        }
        (Some(username), password) => {
            let Some(custom) = image.get_mut("custom") else {
                return Err(ValidationError::new("registry user name", username, "needs a custom image").into());
            };
            let mut credentials = json!({ "username": username });
            super::put(&mut credentials, "password", password);
            custom["credentials"] = credentials;
        }
    }
    Ok(image)
}

/// An image with an address is a custom one; any other object names its kind itself.
fn wrapped(image: Value) -> Value {
    if image.get("url").is_some() {
        json!({ "custom": image })
    } else {
        image
    }
}

async fn current_image(api: &HfApi, path: &str) -> Result<Value> {
    let endpoint: InferenceEndpoint = api.ask(Request::get(path)).await?.json()?;
    let image = endpoint.model.image.unwrap_or_default();
    let hidden = image
        .as_object()
        .is_some_and(|image| image.values().any(|kind| kind.get("credentials").is_some()));
    if hidden {
        let rule = "the image's credentials are hidden by the service and would be lost: give custom_image too";
        return Err(ValidationError::new("argument", PARALLEL_SIZES, rule).into());
    }
    Ok(image)
}

fn checked_replicas(fewest: Option<u64>, most: Option<u64>) -> Result<()> {
    match (fewest, most) {
        (Some(fewest), Some(most)) if fewest > most => {
            let rule = format!("must not be more than max_replica, {most}");
            Err(ValidationError::new("min_replica", fewest.to_string(), rule).into())
        }
        _ => Ok(()),
    }
}

/// An object that says something.
fn filled(object: Value) -> Option<Value> {
    Some(object).filter(|object| object.as_object().is_some_and(|object| !object.is_empty()))
}

fn base(api: &HfApi, namespace: &str) -> Result<String> {
    let base = &api.shared.config.services.inference_endpoints;
    Ok(format!("{base}/endpoint/{}", super::segment("namespace", namespace)?))
}

async fn path(api: &HfApi, namespace: Option<String>, name: &str) -> Result<String> {
    let name = super::segment("endpoint name", name)?;
    let namespace = super::namespace_or_own_user(api, namespace).await?;
    Ok(format!("{}/{name}", base(api, &namespace)?))
}
