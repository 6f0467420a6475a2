//! Webhooks: who is told of changes.

use std::collections::BTreeMap;

use hub_types::webhooks::{WatchedItem, Webhook, WebhookDomain};
use hub_types::{OneOrMany, Secret, ValidationError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::request::Request;

const BASE: &str = "/api/settings/webhooks";

operation! {
    impl HfApi, Error;

    /// Lists the account's webhooks.
    ///
    /// Endpoint: `GET /api/settings/webhooks`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for webhook in api.list_webhooks().await? {
    ///     println!("{}", webhook.id);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn list_webhooks() -> ListWebhooks(ListWebhooksArgs) => Vec<Webhook> {}
}

impl ListWebhooksArgs {
    async fn run(self, api: HfApi) -> Result<Vec<Webhook>> {
        api.ask(Request::get(BASE)).await?.json()
    }
}

/// Declares an operation on one webhook that has no argument but its id and gives the webhook.
macro_rules! webhook_operation {
    ($($(#[$meta:meta])* $name:ident $op:ident $args:ident $method:ident $rest:literal;)+) => { $(
        operation! {
            impl HfApi, Error;

            $(#[$meta])*
            ///
            /// # Errors
            ///
            /// [`Error::Http`] with status 404 when there is none; see [`Error`] for those any call can return.
            pub fn $name(
                /// Its id.
                webhook_id: String,
            ) -> $op($args) => Webhook {}
        }

        impl $args {
            async fn run(self, api: HfApi) -> Result<Webhook> {
                send(&api, Request::$method(format!("{}{}", path(&self.webhook_id)?, $rest))).await
            }
        }
    )+ };
}

webhook_operation! {
    /// Gives a webhook.
    ///
    /// Endpoint: `GET /api/settings/webhooks/{webhook_id}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let webhook = api.get_webhook("654bbbc16f2ec14d77f109cc").await?;
    /// println!("{:?}", webhook.watched);
    /// # Ok(()) }
    /// ```
    get_webhook GetWebhook GetWebhookArgs get "";

    /// Switches a webhook on.
    ///
    /// Endpoint: `POST /api/settings/webhooks/{webhook_id}/enable`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.enable_webhook("654bbbc16f2ec14d77f109cc").await?;
    /// # Ok(()) }
    /// ```
    enable_webhook EnableWebhook EnableWebhookArgs post "/enable";

    /// Switches a webhook off.
    ///
    /// Endpoint: `POST /api/settings/webhooks/{webhook_id}/disable`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.disable_webhook("654bbbc16f2ec14d77f109cc").await?;
    /// # Ok(()) }
    /// ```
    disable_webhook DisableWebhook DisableWebhookArgs post "/disable";
}

operation! {
    impl HfApi, Error;

    /// Makes a webhook: an address that is told of changes, or a job that is run at each.
    ///
    /// Endpoint: `POST /api/settings/webhooks`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let watched = hub_types::webhooks::WatchedItem {
    ///     kind: "user".to_owned(),
    ///     name: "ada".to_owned(),
    /// };
    /// let webhook = api
    ///     .create_webhook([watched])
    ///     .url("https://ci.example.com/hub")
    ///     .domains(["repo", "discussion"])
    ///     .await?;
    /// println!("{}", webhook.id);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] unless exactly one of `url` and `job_id` is given; see [`Error`] for those any call can
    /// return.
    pub fn create_webhook(
        /// What it watches.
        watched: OneOrMany<WatchedItem>,
    ) -> CreateWebhook(CreateWebhookArgs) => Webhook {
        /// Where the news go.
        url: String,
        /// The job that is run.
        job_id: String,
        /// Of which kinds of change it is told. By default of repositories and discussions.
        domains: OneOrMany<WebhookDomain>,
        /// What is sent along in `X-Webhook-Secret`.
        secret: Secret,
        /// Secrets of the job's runs; only with `job_id`.
        secrets: Secrets,
    }
}

impl CreateWebhookArgs {
    async fn run(self, api: HfApi) -> Result<Webhook> {
        if self.url.is_some() == self.job_id.is_some() {
            return Err(ValidationError::new("webhook", "url, job_id", "give exactly one of url and job_id").into());
        }
        let domains = self.domains.map_or_else(
            || vec![WebhookDomain::Repo, WebhookDomain::Discussion],
            |domains| domains.0,
        );
        let mut body = json!({ "watched": self.watched, "domains": domains });
        target(&mut body, self.url, self.job_id, self.secret, self.secrets)?;
        send(&api, Request::post(BASE).json(&body)).await
    }
}

operation! {
    impl HfApi, Error;

    /// Changes a webhook; what is not given stays.
    ///
    /// The Hub takes the list of what is watched as a whole, so it must be given. (The Python client lets it be left
    /// out, which clears it.)
    ///
    /// Endpoint: `POST /api/settings/webhooks/{webhook_id}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let webhook = api.get_webhook("654bbbc16f2ec14d77f109cc").await?;
    /// api.update_webhook(webhook.id, webhook.watched).domains(["repo"]).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when both `url` and `job_id` are given; see [`Error`] for those any call can return.
    pub fn update_webhook(
        /// Its id.
        webhook_id: String,
        /// What it watches from now on.
        watched = OneOrMany<WatchedItem>,
    ) -> UpdateWebhook(UpdateWebhookArgs) => Webhook {
        /// Where the news go.
        url: String,
        /// The job that is run.
        job_id: String,
        /// Of which kinds of change it is told.
        domains: OneOrMany<WebhookDomain>,
        /// What is sent along in `X-Webhook-Secret`.
        secret: Secret,
        /// Secrets of the job's runs; only with `job_id`. An empty value removes one, those not named stay.
        secrets: Secrets,
    }
}

impl UpdateWebhookArgs {
    async fn run(self, api: HfApi) -> Result<Webhook> {
        if self.url.is_some() && self.job_id.is_some() {
            return Err(ValidationError::new("webhook", "url, job_id", "give at most one of url and job_id").into());
        }
        let path = path(&self.webhook_id)?;
        if self.watched.0.is_empty() {
            tracing::warn!("the webhook watches nothing any more: none was given");
        }
        let mut body = json!({ "watched": self.watched });
        super::put(&mut body, "domains", self.domains);
        target(&mut body, self.url, self.job_id, self.secret, self.secrets)?;
        send(&api, Request::post(path).json(&body)).await
    }
}

operation! {
    impl HfApi, Error;

    /// Deletes a webhook.
    ///
    /// Endpoint: `DELETE /api/settings/webhooks/{webhook_id}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.delete_webhook("654bbbc16f2ec14d77f109cc").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Http`] with status 404 when there is none; see [`Error`] for those any call can return.
    pub fn delete_webhook(
        /// Its id.
        webhook_id: String,
    ) -> DeleteWebhook(DeleteWebhookArgs) => () {}
}

impl DeleteWebhookArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        api.send(Request::delete(path(&self.webhook_id)?)).await.map(drop)
    }
}

/// What a secret is: text, or, as the Python client takes it, any other value. Never shown by `Debug`.
#[derive(Clone, PartialEq, serde::Serialize, Deserialize)]
#[serde(untagged)]
pub enum SecretValue {
    /// Text, which is cleared when it is dropped.
    Text(Secret),
    /// A number, a truth value, null or something made of them.
    Other(Value),
}

impl std::fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl<T: Into<Secret>> From<T> for SecretValue {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

/// Names and values of secrets; `Debug` shows the names alone.
#[derive(Clone, Default, PartialEq, serde::Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secrets(pub BTreeMap<String, SecretValue>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<K: Into<String>, V: Into<SecretValue>, const N: usize> From<[(K, V); N]> for Secrets {
    fn from(pairs: [(K, V); N]) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }
}

hub_types::argument!(Secrets: from BTreeMap<String, String>);

impl<K: Into<String>, V: Into<SecretValue>, const N: usize> hub_types::Argument<Secrets> for [(K, V); N] {
    fn into_argument(self) -> std::result::Result<Option<Secrets>, ValidationError> {
        Ok(Some(self.into()))
    }
}

impl From<BTreeMap<String, String>> for Secrets {
    fn from(pairs: BTreeMap<String, String>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name, value.into())).collect())
    }
}

fn target(
    body: &mut Value,
    url: Option<String>,
    job_id: Option<String>,
    secret: Option<Secret>,
    secrets: Option<Secrets>,
) -> Result<()> {
    if secrets.is_some() && job_id.is_none() {
        return Err(ValidationError::new("argument", "secrets", "needs job_id: only a job has secrets").into());
    }
    if secret.as_ref().is_some_and(|secret| !secret.reveal().is_ascii()) {
        // It is sent as a header.
        return Err(ValidationError::secret("webhook secret", "must have ASCII characters only").into());
    }
    super::put(body, "url", url);
    super::put(body, "jobSourceId", job_id);
    super::put(body, "secret", secret);
    super::put(body, "secrets", secrets);
    Ok(())
}

fn path(webhook_id: &str) -> Result<String> {
    Ok(format!("{BASE}/{}", super::segment("webhook_id", webhook_id)?))
}

async fn send(api: &HfApi, request: Request) -> Result<Webhook> {
    #[derive(Deserialize)]
    struct Wrapped {
        webhook: Webhook,
    }
    let reply: Wrapped = api.ask(request).await?.json()?;
    Ok(reply.webhook)
}
