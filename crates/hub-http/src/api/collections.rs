//! Collections: lists of repositories and papers.

use hub_types::collections::{Collection, CollectionItemType, CollectionSort};
use hub_types::{OneOrMany, ValidationError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::page::Items;
use crate::request::{Answer, Request};

operation! {
    impl HfApi, Error;

    /// Lists collections, each with its first four items.
    ///
    /// Endpoint: `GET /api/collections`
    ///
    /// ```no_run
    /// # fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for collection in api.list_collections().owner("ada").limit(10).wait()? {
    ///     println!("{}", collection?.title);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn list_collections() -> ListCollections(ListCollectionsArgs) => stream Collection {
        /// Only those of these accounts.
        owner: OneOrMany<String>,
        /// Only those that hold these items, as typed paths: `models/ada/demo`, `papers/2311.12983`.
        item: OneOrMany<String>,
        /// Only those whose title or description has this in it. An extension beyond the Python client.
        q: String,
        /// What comes first. By default what is visited most now.
        sort: CollectionSort,
        /// At most this many.
        limit: u64,
    }
}

impl ListCollectionsArgs {
    async fn run(self, api: HfApi) -> Result<Items<Collection>> {
        let mut request = Request::get("/api/collections");
        for owner in self.owner.unwrap_or_default().0 {
            request = request.query("owner", owner);
        }
        for item in self.item.unwrap_or_default().0 {
            request = request.query("item", item);
        }
        request = request
            .query_opt("q", self.q)
            .query_opt("sort", self.sort)
            .query_opt("limit", self.limit);
        Ok(Items::paged(api, request).limited(self.limit))
    }
}

operation! {
    impl HfApi, Error;

    /// Gives a collection with all its items.
    ///
    /// Endpoint: `GET /api/collections/{collection_slug}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let collection = api.get_collection("ada/small-models-64f9a55bb3115b4f513ec026").await?;
    /// for item in &collection.items {
    ///     println!("{}", item.item_id());
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Http`] with status 404 when there is none; see [`Error`] for those any call can return.
    pub fn get_collection(
        /// Its slug: `ada/tiny-models-65f0…`.
        collection_slug: String,
    ) -> GetCollection(GetCollectionArgs) => Collection {}
}

impl GetCollectionArgs {
    async fn run(self, api: HfApi) -> Result<Collection> {
        get(&api, &self.collection_slug).await
    }
}

operation! {
    impl HfApi, Error;

    /// Makes a collection.
    ///
    /// Endpoint: `POST /api/collections`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let collection = api
    ///     .create_collection("Small models")
    ///     .description("What runs on a laptop")
    ///     .private(true)
    ///     .await?;
    /// println!("{}", collection.slug);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] when there is one of this title, unless `exists_ok`; see [`Error`] for those any call can
    /// return.
    pub fn create_collection(
        /// Its title.
        title: String,
    ) -> CreateCollection(CreateCollectionArgs) => Collection {
        /// Whose it is. By default the token's account.
        namespace: String,
        /// What it is about, 150 characters at the most.
        description: String,
        /// Makes it private. By default everybody sees it.
        private: bool,
        /// The resource group it belongs to.
        resource_group_id: String,
        /// Gives the one that is there. By default that is an error.
        exists_ok: bool,
    }
}

impl CreateCollectionArgs {
    async fn run(self, api: HfApi) -> Result<Collection> {
        let title = checked_title(self.title)?;
        let description = checked_description(self.description)?;
        let namespace = super::namespace_or_own(&api, self.namespace).await?;
        let mut body = json!({
            "title": title,
            "namespace": namespace,
            "private": self.private.unwrap_or(false),
        });
        super::put(&mut body, "description", description);
        super::put(&mut body, "resourceGroupId", self.resource_group_id);
        match api.ask(Request::post("/api/collections").json(&body)).await {
            Ok(reply) => read(&reply),
            Err(Error::Conflict(reply)) if self.exists_ok == Some(true) => {
                match reply
                    .body
                    .as_ref()
                    .and_then(|body| body.get("slug"))
                    .and_then(Value::as_str)
                {
                    Some(slug) => get(&api, slug).await,
                    None => Err(Error::Conflict(reply)),
                }
            }
            Err(err) => Err(err),
        }
    }
}

operation! {
    impl HfApi, Error;

    /// Changes what a collection says of itself; what is not given stays. Its slug may change with its title: go on with
    /// the one in the reply.
    ///
    /// Endpoint: `PATCH /api/collections/{collection_slug}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.update_collection_metadata("ada/small-models-64f9a55bb3115b4f513ec026")
    ///     .title("Tiny models")
    ///     .private(false)
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn update_collection_metadata(
        /// Its slug.
        collection_slug: String,
    ) -> UpdateCollectionMetadata(UpdateCollectionMetadataArgs) => Collection {
        /// Its title.
        title: String,
        /// What it is about.
        description: String,
        /// Its place among its owner's.
        position: i64,
        /// Whether it is private.
        private: bool,
        /// Its colour: orange, blue, green, purple, pink or indigo.
        theme: String,
    }
}

/// The colours that a collection can have.
const THEMES: [&str; 6] = ["orange", "blue", "green", "purple", "pink", "indigo"];

impl UpdateCollectionMetadataArgs {
    async fn run(self, api: HfApi) -> Result<Collection> {
        let mut body = json!({});
        super::put(&mut body, "position", checked_position(self.position)?);
        super::put(&mut body, "private", self.private);
        if let Some(theme) = &self.theme
            && !THEMES.contains(&theme.as_str())
        {
            let rule = format!("must be one of {}", THEMES.join(", "));
            return Err(ValidationError::new("theme", theme, rule).into());
        }
        super::put(&mut body, "theme", self.theme);
        super::put(&mut body, "title", self.title.map(checked_title).transpose()?);
        super::put(&mut body, "description", checked_description(self.description)?);
        let request = Request::new(http::Method::PATCH, path(&self.collection_slug)?).json(&body);
        read(&api.ask(request).await?)
    }
}

operation! {
    impl HfApi, Error;

    /// Moves a collection into a resource group, or out of any.
    ///
    /// Endpoint: `POST /api/collections/{collection_slug}/resource-group`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.update_collection_resource_group("lab/small-models-64f9a55bb3115b4f513ec026")
    ///     .resource_group_id("66670e5163145ca562cb1988")
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn update_collection_resource_group(
        /// Its slug.
        collection_slug: String,
    ) -> UpdateCollectionResourceGroup(UpdateCollectionResourceGroupArgs) => () {
        /// The group. By default none: the collection leaves its group.
        resource_group_id: String,
    }
}

impl UpdateCollectionResourceGroupArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let body = json!({ "resourceGroupId": self.resource_group_id });
        api.send(Request::post(format!("{}/resource-group", path(&self.collection_slug)?)).json(&body))
            .await
            .map(drop)
    }
}

operation! {
    impl HfApi, Error;

    /// Deletes a collection, not what it lists.
    ///
    /// Endpoint: `DELETE /api/collections/{collection_slug}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.delete_collection("ada/small-models-64f9a55bb3115b4f513ec026").missing_ok(true).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Http`] with status 404 when there is none, unless `missing_ok`; see [`Error`] for those any call can
    /// return.
    pub fn delete_collection(
        /// Its slug.
        collection_slug: String,
    ) -> DeleteCollection(DeleteCollectionArgs) => () {
        /// One that is not there is no error. By default it is.
        missing_ok: bool,
    }
}

impl DeleteCollectionArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        super::unless_missing(
            self.missing_ok,
            api.send(Request::delete(path(&self.collection_slug)?)).await,
        )
    }
}

operation! {
    impl HfApi, Error;

    /// Adds an item at a collection's end, and gives the collection.
    ///
    /// Endpoint: `POST /api/collections/{collection_slug}/items`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.add_collection_item("ada/small-models-64f9a55bb3115b4f513ec026", "ada/demo", "model")
    ///     .note("where to begin")
    ///     .exists_ok(true)
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a note of more than 500 characters, [`Error::Conflict`] when the item is there already,
    /// unless `exists_ok`; see [`Error`] for those any call can return.
    pub fn add_collection_item(
        /// The collection's slug.
        collection_slug: String,
        /// What is added: a repo's or paper's id, or another collection's slug.
        item_id: String,
        /// What that is.
        item_type: CollectionItemType,
    ) -> AddCollectionItem(AddCollectionItemArgs) => Collection {
        /// What to say of it, 500 characters at the most.
        note: String,
        /// One that is there already is no error. By default it is.
        exists_ok: bool,
    }
}

impl AddCollectionItemArgs {
    async fn run(self, api: HfApi) -> Result<Collection> {
        if let CollectionItemType::Other(word) = &self.item_type {
            let rule = "must be model, dataset, space, paper, collection or bucket";
            return Err(ValidationError::new("item_type", word, rule).into());
        }
        let mut body = json!({ "item": { "id": self.item_id, "type": self.item_type } });
        super::put(&mut body, "note", checked_note(self.note)?);
        match api
            .ask(Request::post(format!("{}/items", path(&self.collection_slug)?)).json(&body))
            .await
        {
            Ok(reply) => read(&reply),
            Err(Error::Conflict(_)) if self.exists_ok == Some(true) => get(&api, &self.collection_slug).await,
            Err(err) => Err(err),
        }
    }
}

operation! {
    impl HfApi, Error;

    /// Changes an item's note or place; what is not given stays. An empty note clears it.
    ///
    /// Endpoint: `PATCH /api/collections/{collection_slug}/items/{item_object_id}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let slug = "ada/small-models-64f9a55bb3115b4f513ec026";
    /// for item in api.get_collection(slug).await?.items {
    ///     api.update_collection_item(slug, item.item_object_id).note("read the card first").await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`HfApi::add_collection_item`].
    pub fn update_collection_item(
        /// The collection's slug.
        collection_slug: String,
        /// The item's own id in the collection
        /// ([`item_object_id`](hub_types::collections::CollectionItem::item_object_id)).
        item_object_id: String,
    ) -> UpdateCollectionItem(UpdateCollectionItemArgs) => () {
        /// What to say of it.
        note: String,
        /// Its place.
        position: i64,
    }
}

impl UpdateCollectionItemArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let path = item_path(&self.collection_slug, &self.item_object_id)?;
        let mut body = json!({});
        super::put(&mut body, "position", checked_position(self.position)?);
        super::put(&mut body, "note", checked_note(self.note)?);
        api.send(Request::new(http::Method::PATCH, path).json(&body))
            .await
            .map(drop)
    }
}

operation! {
    impl HfApi, Error;

    /// Takes an item off a collection.
    ///
    /// Endpoint: `DELETE /api/collections/{collection_slug}/items/{item_object_id}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let slug = "ada/small-models-64f9a55bb3115b4f513ec026";
    /// if let Some(last) = api.get_collection(slug).await?.items.pop() {
    ///     api.delete_collection_item(slug, last.item_object_id).await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Http`] with status 404 when there is none, unless `missing_ok`; see [`Error`] for those any call can
    /// return.
    pub fn delete_collection_item(
        /// The collection's slug.
        collection_slug: String,
        /// The item's own id in the collection.
        item_object_id: String,
    ) -> DeleteCollectionItem(DeleteCollectionItemArgs) => () {
        /// One that is not there is no error. By default it is.
        missing_ok: bool,
    }
}

impl DeleteCollectionItemArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let path = item_path(&self.collection_slug, &self.item_object_id)?;
        super::unless_missing(self.missing_ok, api.send(Request::delete(path)).await)
    }
}

/// A slug is two segments: namespace, and the title's words with the id.
fn path(slug: &str) -> Result<String> {
    let Some((namespace, name)) = slug.split_once('/') else {
        return Err(ValidationError::new("collection slug", slug, "must be 'namespace/title-id'").into());
    };
    let namespace = super::segment("collection slug", namespace)?;
    Ok(format!(
        "/api/collections/{namespace}/{}",
        super::segment("collection slug", name)?
    ))
}

fn item_path(slug: &str, item: &str) -> Result<String> {
    Ok(format!(
        "{}/items/{}",
        path(slug)?,
        super::segment("item_object_id", item)?
    ))
}

fn checked_note(note: Option<String>) -> Result<Option<String>> {
    match note {
        Some(note) if note.chars().count() > 500 => {
            Err(ValidationError::new("note", note, "must have 500 characters at the most").into())
        }
        note => Ok(note),
    }
}

fn checked_title(title: String) -> Result<String> {
    if title.trim().is_empty() {
        return Err(ValidationError::new("title", title, "must not be empty").into());
    }
    Ok(title)
}

fn checked_description(description: Option<String>) -> Result<Option<String>> {
    match description {
        Some(text) if text.chars().count() > 150 => {
            Err(ValidationError::new("description", text, "must have 150 characters at the most").into())
        }
        description => Ok(description),
    }
}

fn checked_position(position: Option<i64>) -> Result<Option<i64>> {
    match position {
        Some(position) if position < 0 => {
            Err(ValidationError::new("position", position.to_string(), "must be 0 or more").into())
        }
        position => Ok(position),
    }
}

async fn get(api: &HfApi, slug: &str) -> Result<Collection> {
    read(&api.ask(Request::get(path(slug)?)).await?)
}

/// A collection comes bare, or under `data` (as the answer to a change does).
fn read(reply: &Answer) -> Result<Collection> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Wrapped { data: Box<Collection> },
        Bare(Box<Collection>),
    }
    Ok(match reply.json()? {
        Either::Wrapped { data: collection } | Either::Bare(collection) => *collection,
    })
}
