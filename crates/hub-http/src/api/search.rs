//! Finding models, datasets and Spaces.

use hub_types::OneOrMany;
use hub_types::ValidationError;
use hub_types::repos::{DatasetInfo, DatasetProperty, ModelInfo, ModelProperty, SpaceInfo, SpaceProperty};
use hub_types::search::{Benchmark, EmissionsThresholds};
use hub_types::spaces::SpaceSearchResult;
use serde_json::{Map, Value};

use crate::auth::TokenChoice;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::page::Items;
use crate::request::Request;

operation! {
    impl HfApi, Error;

    /// Lists models, most recently made first unless `sort` says otherwise.
    ///
    /// Pages are requested as the stream is read. Filters narrow each other.
    ///
    /// Endpoint: `GET /api/models`
    ///
    /// ```no_run
    /// # fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let models = api.list_models().pipeline_tag("text-generation").sort("downloads").limit(10);
    /// for model in models.wait()? {
    ///     println!("{}", model?.id);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for arguments that exclude each other, [`Error::BadRequest`] for a property that the Hub does
    /// not know; see [`Error`] for those any call can return.
    pub fn list_models() -> ListModels(ListModelsArgs) => stream ModelInfo {
        /// Tags that models must all have: a task, a library, a language, `license:mit`, `dataset:squad`.
        filter: OneOrMany<String>,
        /// The user or organisation they belong to.
        author: String,
        /// Local apps that can run them: `ollama`, `vllm`.
        apps: OneOrMany<String>,
        /// Whether access is gated. By default both.
        gated: bool,
        /// `warm`: those that some provider serves.
        inference: String,
        /// Providers that serve them, or `all`.
        inference_provider: OneOrMany<String>,
        /// Datasets they were trained on.
        trained_dataset: OneOrMany<String>,
        /// What their id contains.
        search: String,
        /// Their task.
        pipeline_tag: String,
        /// Their size: `min:6B,max:128B`, `min:6B` or `max:128B`.
        num_parameters: String,
        /// Bounds of the emissions that their card states. Needs `card_data`; the others are read and left out.
        emissions_thresholds: EmissionsThresholds,
        /// What they are sorted by, highest first: `created_at`, `downloads`, `last_modified`, `likes`,
        /// `trending_score`, or another word of the Hub's.
        sort: String,
        /// The most models to give. By default all.
        limit: u64,
        /// Only these properties. Excludes `full`, `card_data` and `fetch_config`.
        expand: OneOrMany<ModelProperty>,
        /// Tells more of each: last change, commit, files, tags.
        full: bool,
        /// Tells their cards' metadata. (Python: `cardData`.)
        card_data as "cardData": bool,
        /// Tells their configuration.
        fetch_config: bool,
    }
}

operation! {
    impl HfApi, Error;

    /// Lists datasets, most recently made first unless `sort` says otherwise.
    ///
    /// Pages are requested as the stream is read. Filters narrow each other.
    ///
    /// Endpoint: `GET /api/datasets`
    ///
    /// ```no_run
    /// # fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for dataset in api.list_datasets().search("squad").language("en").limit(5).wait()? {
    ///     println!("{}", dataset?.id);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`HfApi::list_models`].
    pub fn list_datasets() -> ListDatasets(ListDatasetsArgs) => stream DatasetInfo {
        /// Tags that datasets must all have.
        filter: OneOrMany<String>,
        /// The user or organisation they belong to.
        author: String,
        /// The benchmark they belong to; `true` for the official ones.
        benchmark: Benchmark,
        /// What their name contains.
        dataset_name: String,
        /// Whether access is gated. By default both.
        gated: bool,
        /// How their texts were made: `crowdsourced`.
        language_creators: OneOrMany<String>,
        /// Their languages, by code: `en`.
        language: OneOrMany<String>,
        /// `monolingual`, `multilingual`, `translation`.
        multilinguality: OneOrMany<String>,
        /// How many rows: `100K<n<1M`.
        size_categories: OneOrMany<String>,
        /// Their tasks: `text-classification`.
        task_categories: OneOrMany<String>,
        /// Their tasks in detail: `paraphrase`.
        task_ids: OneOrMany<String>,
        /// What their id contains.
        search: String,
        /// What they are sorted by; see [`HfApi::list_models`].
        sort: String,
        /// The most datasets to give. By default all.
        limit: u64,
        /// Only these properties. Excludes `full`.
        expand: OneOrMany<DatasetProperty>,
        /// Tells more of each: last change, card's metadata, files.
        full: bool,
    }
}

operation! {
    impl HfApi, Error;

    /// Lists Spaces, most recently made first unless `sort` says otherwise.
    ///
    /// Pages are requested as the stream is read. Filters narrow each other.
    ///
    /// Endpoint: `GET /api/spaces`
    ///
    /// ```no_run
    /// # fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for space in api.list_spaces().models("openai-community/gpt2").limit(5).wait()? {
    ///     println!("{}", space?.id);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`HfApi::list_models`].
    pub fn list_spaces() -> ListSpaces(ListSpacesArgs) => stream SpaceInfo {
        /// Tags that Spaces must all have.
        filter: OneOrMany<String>,
        /// The user or organisation they belong to.
        author: String,
        /// What their id contains.
        search: String,
        /// Datasets they use.
        datasets: OneOrMany<String>,
        /// Models they use.
        models: OneOrMany<String>,
        /// Only those that use a model or a dataset.
        linked: bool,
        /// What they are sorted by: `created_at`, `last_modified`, `likes`, `trending_score`.
        sort: String,
        /// The most Spaces to give. By default all.
        limit: u64,
        /// Only these properties. Excludes `full`.
        expand: OneOrMany<SpaceProperty>,
        /// Tells more of each: last change, card's metadata, files.
        full: bool,
    }
}

operation! {
    impl HfApi, Error;

    /// Finds Spaces by what they do, best first.
    ///
    /// Endpoint: `GET /api/spaces/semantic-search`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for space in api.search_spaces("remove the background of a photo").await? {
    ///     println!("{}", space.id);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn search_spaces(
        /// What to look for, in words.
        query: String,
    ) -> SearchSpaces(SearchSpacesArgs) => Vec<SpaceSearchResult> {
        /// Tags that Spaces must all have.
        filter: OneOrMany<String>,
        /// What they are built with.
        sdk: OneOrMany<String>,
        /// Finds those too that do not run. By default only those that do.
        include_non_running: bool,
    }
}

operation! {
    impl HfApi, Error;

    /// Lists the tags that models can have, by kind.
    ///
    /// Endpoint: `GET /api/models-tags-by-type`, without a token.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let tags = api.get_model_tags().await?;
    /// println!("{:?}", tags.keys().collect::<Vec<_>>());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn get_model_tags() -> GetModelTags(GetModelTagsArgs) => Map<String, Value> {}
}

operation! {
    impl HfApi, Error;

    /// Lists the tags that datasets can have, by kind.
    ///
    /// Endpoint: `GET /api/datasets-tags-by-type`, without a token.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let tags = api.get_dataset_tags().await?;
    /// println!("{:?}", tags.keys().collect::<Vec<_>>());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn get_dataset_tags() -> GetDatasetTags(GetDatasetTagsArgs) => Map<String, Value> {}
}

/// What a query is made of, in the order of its parameters.
struct Query(Request);

impl Query {
    fn new(target: &str) -> Self {
        Self(Request::get(target))
    }

    fn text(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) if !value.is_empty() => Self(self.0.query(key, value)),
            _ => self,
        }
    }

    fn flag(self, key: &str, value: Option<bool>) -> Self {
        match value {
            Some(true) => Self(self.0.query(key, "true")),
            _ => self,
        }
    }

    fn each<T: ToString>(mut self, key: &str, values: Option<&OneOrMany<T>>) -> Self {
        for value in values.iter().flat_map(|values| &values.0) {
            self.0 = self.0.query(key, value.to_string());
        }
        self
    }

    /// Values with a prefix, which a caller may have written already.
    fn prefixed(mut self, key: &str, prefix: &str, values: Option<&OneOrMany<String>>) -> Self {
        for value in given(values).iter().flat_map(|values| &values.0) {
            let bare = value.strip_prefix(prefix).and_then(|rest| rest.strip_prefix(':'));
            self.0 = self.0.query(key, format!("{prefix}:{}", bare.unwrap_or(value)));
        }
        self
    }

    /// The Python client's words for an order, or the Hub's own.
    fn sort(self, sort: Option<&str>) -> Self {
        self.text(
            "sort",
            sort.map(|sort| match sort {
                "last_modified" => "lastModified",
                "trending_score" => "trendingScore",
                "created_at" => "createdAt",
                other => other,
            }),
        )
    }

    fn number(self, key: &str, value: Option<u64>) -> Self {
        Self(self.0.query_opt(key, value))
    }
}

/// A lone empty text is nothing to filter by.
fn given(values: Option<&OneOrMany<String>>) -> Option<&OneOrMany<String>> {
    values.filter(|values| !matches!(&values.0[..], [only] if only.is_empty()))
}

/// Single properties exclude what asks for sets of them.
fn exclude<T: ToString>(
    expand: Option<&OneOrMany<T>>,
    others: &[Option<bool>],
    names: &str,
) -> Result<(), ValidationError> {
    match expand.and_then(|expand| expand.0.first()) {
        Some(property) if others.contains(&Some(true)) => Err(ValidationError::new(
            "expand",
            property.to_string(),
            format!("cannot be combined with {names}"),
        )),
        _ => Ok(()),
    }
}

impl ListModelsArgs {
    async fn run(self, api: HfApi) -> Result<Items<ModelInfo>> {
        let request = self.request()?;
        let items = Items::paged(api, request).limited(self.limit);
        Ok(match self.emissions_thresholds {
            Some(bounds) => items
                .filtered(move |model: &ModelInfo| model.card_data.as_ref().is_some_and(|card| bounds.contain(card))),
            None => items,
        })
    }

    fn request(&self) -> Result<Request, ValidationError> {
        exclude(
            self.expand.as_ref(),
            &[self.full, self.card_data, self.fetch_config],
            "full, card_data or fetch_config",
        )?;
        if let Some(bounds) = self.emissions_thresholds
            && !self.card_data.unwrap_or(false)
        {
            let bounds = format!("{:?}..{:?}", bounds.min, bounds.max);
            return Err(ValidationError::new("emissions thresholds", bounds, "need card_data"));
        }
        let query = Query::new("/api/models")
            .each("filter", given(self.filter.as_ref()))
            .prefixed("filter", "dataset", self.trained_dataset.as_ref())
            .text("author", self.author.as_deref())
            .each("apps", given(self.apps.as_ref()));
        let query = Query(query.0.query_opt("gated", self.gated))
            .text("inference", self.inference.as_deref())
            .each("inference_provider", self.inference_provider.as_ref())
            .text("pipeline_tag", self.pipeline_tag.as_deref())
            .text("num_parameters", self.num_parameters.as_deref())
            .text("search", self.search.as_deref())
            .sort(self.sort.as_deref())
            .number("limit", self.limit)
            .flag("full", self.full)
            .flag("config", self.fetch_config)
            .flag("cardData", self.card_data)
            .each("expand", self.expand.as_ref());
        Ok(query.0)
    }
}

impl ListDatasetsArgs {
    async fn run(self, api: HfApi) -> Result<Items<DatasetInfo>> {
        let request = self.request()?;
        Ok(Items::paged(api, request).limited(self.limit))
    }

    fn request(&self) -> Result<Request, ValidationError> {
        exclude(self.expand.as_ref(), &[self.full], "full")?;
        let benchmark = self
            .benchmark
            .as_ref()
            .map(|benchmark| format!("benchmark:{}", benchmark.as_str()));
        let query = Query::new("/api/datasets")
            .each("filter", self.filter.as_ref())
            .prefixed("filter", "language_creators", self.language_creators.as_ref())
            .prefixed("filter", "language", self.language.as_ref())
            .prefixed("filter", "multilinguality", self.multilinguality.as_ref())
            .prefixed("filter", "size_categories", self.size_categories.as_ref())
            .prefixed("filter", "task_categories", self.task_categories.as_ref())
            .prefixed("filter", "task_ids", self.task_ids.as_ref())
            .text("filter", benchmark.as_deref())
            .text("author", self.author.as_deref());
        let query = Query(query.0.query_opt("gated", self.gated))
            .text("search", self.dataset_name.as_deref())
            .text("search", self.search.as_deref())
            .sort(self.sort.as_deref())
            .number("limit", self.limit)
            .each("expand", self.expand.as_ref())
            .flag("full", self.full);
        Ok(query.0)
    }
}

impl ListSpacesArgs {
    async fn run(self, api: HfApi) -> Result<Items<SpaceInfo>> {
        let request = self.request()?;
        Ok(Items::paged(api, request).limited(self.limit))
    }

    fn request(&self) -> Result<Request, ValidationError> {
        exclude(self.expand.as_ref(), &[self.full], "full")?;
        let query = Query::new("/api/spaces").each("filter", self.filter.as_ref());
        // Here, as in the Python client, an empty text is sent.
        let request = query.0.query_opt("author", self.author.as_deref());
        let query = Query(request.query_opt("search", self.search.as_deref()))
            .sort(self.sort.as_deref())
            .number("limit", self.limit)
            .flag("linked", self.linked)
            .each("datasets", self.datasets.as_ref())
            .each("models", self.models.as_ref())
            .each("expand", self.expand.as_ref())
            .flag("full", self.full);
        Ok(query.0)
    }
}

impl SearchSpacesArgs {
    async fn run(self, api: HfApi) -> Result<Vec<SpaceSearchResult>> {
        let query = Query(Request::get("/api/spaces/semantic-search").query("q", &self.query))
            .each("filter", self.filter.as_ref())
            .each("sdk", self.sdk.as_ref())
            .flag("includeNonRunning", self.include_non_running);
        api.ask(query.0).await?.json()
    }
}

/// What everybody may read, asked for by nobody in particular.
async fn public_tags(api: &HfApi, target: &str) -> Result<Map<String, Value>> {
    let api = api.with_token(TokenChoice::None);
    api.ask(Request::get(target)).await?.json()
}

impl GetModelTagsArgs {
    async fn run(self, api: HfApi) -> Result<Map<String, Value>> {
        public_tags(&api, "/api/models-tags-by-type").await
    }
}

impl GetDatasetTagsArgs {
    async fn run(self, api: HfApi) -> Result<Map<String, Value>> {
        public_tags(&api, "/api/datasets-tags-by-type").await
    }
}

#[cfg(test)]
mod tests;
