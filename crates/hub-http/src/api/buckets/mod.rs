//! Buckets: object storage without history.
//!
//! Bytes get into a bucket through Xet alone, which is in builds with the feature `xet`; they come out of it over plain
//! HTTP too.

use hub_types::buckets::{BucketEntry, BucketFile, BucketId, BucketInfo, BucketUrl};
use hub_types::repos::Visibility;
use hub_types::{OneOrMany, RepoPath, RepoType};
use serde_json::json;

use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::page::Items;
use crate::request::Request;

mod copy;
mod files;
mod sync;
#[cfg(test)]
mod tests;

pub use copy::{CopyFiles, CopyFilesArgs};
pub use files::{
    BatchBucketFiles, BatchBucketFilesArgs, BucketAdd, BucketCopy, BucketDownload, BucketSource, DownloadBucketFiles,
    DownloadBucketFilesArgs, GetBucketFileMetadata, GetBucketFileMetadataArgs,
};
pub use sync::{SyncBucket, SyncBucketArgs};

/// The most changes, or paths, of one call.
const BATCH: usize = 1000;

operation! {
    impl HfApi, Error;

    /// Makes a bucket.
    ///
    /// Endpoint: `POST /api/buckets/{bucket_id}`; with `exist_ok`, where that is forbidden, `GET` of the same.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let bucket = api.create_bucket("ada/checkpoints").private(true).exist_ok(true).await?;
    /// println!("{bucket:?}");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] when it is there already, unless `exist_ok`; see [`Error`] for those any call can return.
    pub fn create_bucket(
        /// Its id, `namespace/name`, or `hf://buckets/namespace/name`. A bare name, and the namespace `me`, are the token's
        /// account.
        bucket_id: String,
    ) -> CreateBucket(CreateBucketArgs) => BucketUrl {
        /// Makes it private. By default the owner's own setting decides.
        private: bool,
        /// `public` or `private`; excludes `private`.
        visibility: Visibility,
        /// The resource group it belongs to.
        resource_group_id: String,
        /// Where it is: `us` or `eu`.
        region: String,
        /// One that is there already is no error. By default it is.
        exist_ok: bool,
    }
}

impl CreateBucketArgs {
    async fn run(self, api: HfApi) -> Result<BucketUrl> {
        // As the Python client does, the address of a bucket is taken too.
        let id = self.bucket_id.strip_prefix("hf://buckets/").unwrap_or(&self.bucket_id);
        let bucket: BucketId = match id.contains('/') {
            true => id.parse()?,
            false => format!("me/{id}").parse()?,
        };
        // Of buckets as of models: only Spaces can be protected.
        let visibility = super::repos::visibility(self.private, self.visibility.as_ref(), RepoType::Model)?;
        let mut body = json!({});
        super::put(&mut body, "visibility", visibility);
        super::put(&mut body, "resourceGroupId", self.resource_group_id);
        super::put(&mut body, "region", self.region);
        let path = path(&bucket);
        let mut url: BucketUrl = match api.ask(Request::post(&path).json(&body)).await {
            Ok(reply) => reply.json()?,
            Err(err) if self.exist_ok == Some(true) => match &err {
                Error::Conflict(reply) => match reply.body.as_ref().map(|body| serde_json::from_value(body.clone())) {
                    Some(Ok(url)) => url,
                    _ => built(&api, &bucket),
                },
                err_ if matches!(err_.status(), Some(401 | 403)) => {
                    // The token may not make it, but it may be there to be used.
                    if api.send(Request::get(&path)).await.is_err() {
                        return Err(err);
                    }
                    built(&api, &bucket)
                }
                _ => return Err(err),
            },
            Err(err) => return Err(err),
        };
        url.url = api.shared.config.endpoint.rewrite(&url.url);
        Ok(url)
    }
}

fn built(api: &HfApi, id: &BucketId) -> BucketUrl {
    let url = format!("{}/buckets/{}", api.endpoint(), id.as_str());
    serde_json::from_value(json!({ "url": url, "id": id })).expect("these are the two fields of the type")
}

operation! {
    impl HfApi, Error;

    /// Gives what is known of a bucket.
    ///
    /// Endpoint: `GET /api/buckets/{bucket_id}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let bucket = api.bucket_info("ada/checkpoints").await?;
    /// println!("{} bytes in {} files", bucket.size, bucket.total_files);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::BucketNotFound`]; see [`Error`] for those any call can return.
    pub fn bucket_info(
        /// The bucket.
        bucket_id: BucketId,
    ) -> GetBucketInfo(BucketInfoArgs) => BucketInfo {}
}

impl BucketInfoArgs {
    async fn run(self, api: HfApi) -> Result<BucketInfo> {
        api.ask(Request::get(path(&self.bucket_id))).await?.json()
    }
}

operation! {
    impl HfApi, Error;

    /// Lists a namespace's buckets.
    ///
    /// Endpoint: `GET /api/buckets/{namespace}`
    ///
    /// ```no_run
    /// # fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for bucket in api.list_buckets().namespace("ada").wait()? {
    ///     println!("{}", bucket?.id);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn list_buckets() -> ListBuckets(ListBucketsArgs) => stream BucketInfo {
        /// Whose. By default the token's account.
        namespace: String,
        /// Only those whose name has this in it.
        search: String,
    }
}

impl ListBucketsArgs {
    async fn run(self, api: HfApi) -> Result<Items<BucketInfo>> {
        let namespace = self.namespace.as_deref().unwrap_or("me");
        let path = format!("/api/buckets/{}", super::segment("namespace", namespace)?);
        Ok(Items::paged(api, Request::get(path).query_opt("search", self.search)))
    }
}

operation! {
    impl HfApi, Error;

    /// Deletes a bucket and all that is in it. This cannot be undone.
    ///
    /// Endpoint: `DELETE /api/buckets/{bucket_id}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.delete_bucket("ada/checkpoints").missing_ok(true).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::BucketNotFound`], unless `missing_ok`; see [`Error`] for those any call can return.
    pub fn delete_bucket(
        /// The bucket.
        bucket_id: BucketId,
    ) -> DeleteBucket(DeleteBucketArgs) => () {
        /// One that is not there is no error. By default it is.
        missing_ok: bool,
    }
}

impl DeleteBucketArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        super::unless_missing(self.missing_ok, api.send(Request::delete(path(&self.bucket_id))).await)
    }
}

operation! {
    impl HfApi, Error;

    /// Moves a bucket: to another name, another account, or both.
    ///
    /// Endpoint: `POST /api/repos/move`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.move_bucket("ada/checkpoints", "lab/checkpoints").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::BucketNotFound`]; see [`Error`] for those any call can return.
    pub fn move_bucket(
        /// Where it is.
        from_id: BucketId,
        /// Where it shall be.
        to_id: BucketId,
    ) -> MoveBucket(MoveBucketArgs) => () {}
}

impl MoveBucketArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let body = json!({ "fromRepo": self.from_id, "toRepo": self.to_id, "type": "bucket" });
        api.send(Request::post("/api/repos/move").json(&body)).await.map(drop)
    }
}

operation! {
    impl HfApi, Error;

    /// Makes a bucket private or public.
    ///
    /// Endpoint: `PUT /api/buckets/{bucket_id}/settings`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.update_bucket_settings("ada/checkpoints", true).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::BucketNotFound`]; see [`Error`] for those any call can return.
    pub fn update_bucket_settings(
        /// The bucket.
        bucket_id: BucketId,
        /// Whether it is private.
        private: bool,
    ) -> UpdateBucketSettings(UpdateBucketSettingsArgs) => () {}
}

impl UpdateBucketSettingsArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let request = Request::put(format!("{}/settings", path(&self.bucket_id)));
        api.send(request.json(&json!({ "private": self.private })))
            .await
            .map(drop)
    }
}

operation! {
    impl HfApi, Error;

    /// Lists what is in a bucket.
    ///
    /// The Hub takes the prefix letter by letter, so that `logs` would give `logs.json` too; what is not `prefix` itself
    /// or below it is left out here.
    ///
    /// Endpoint: `GET /api/buckets/{bucket_id}/tree[/{prefix}]`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let tree = api.list_bucket_tree("ada/checkpoints").prefix("step-1000").recursive(true);
    /// println!("{} entries", tree.await?.collect_all().await?.len());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::BucketNotFound`]; see [`Error`] for those any call can return.
    pub fn list_bucket_tree(
        /// The bucket.
        bucket_id: BucketId,
    ) -> ListBucketTree(ListBucketTreeArgs) => stream BucketEntry {
        /// Only this folder, or this file. By default everything.
        prefix: String,
        /// Lists folders inside folders. By default the first level only.
        recursive: bool,
    }
}

impl ListBucketTreeArgs {
    async fn run(self, api: HfApi) -> Result<Items<BucketEntry>> {
        let mut target = format!("{}/tree", path(&self.bucket_id));
        let prefix = self
            .prefix
            .as_deref()
            .map(|prefix| prefix.trim_matches('/'))
            .unwrap_or_default()
            .to_owned();
        if !prefix.is_empty() {
            target = format!("{target}/{}", prefix.parse::<RepoPath>()?.encoded_as_segment());
        }
        let request = Request::get(target).query_opt("recursive", self.recursive);
        Ok(Items::paged_with(api, request, move |page| {
            let entries: Vec<BucketEntry> = page.json()?;
            Ok(entries.into_iter().filter(|entry| is_below(entry, &prefix)).collect())
        }))
    }
}

fn is_below(entry: &BucketEntry, prefix: &str) -> bool {
    let path = match entry {
        BucketEntry::File(file) => &file.path,
        BucketEntry::Directory(folder) => &folder.path,
        _ => return false,
    };
    prefix.is_empty()
        || path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

operation! {
    impl HfApi, Error;

    /// Tells of files of a bucket by their paths; those that are not there are left out.
    ///
    /// Endpoint: `POST /api/buckets/{bucket_id}/paths-info`, 1000 paths a call.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let files = api.get_bucket_paths_info("ada/checkpoints", ["config.json", "missing.json"]).await?;
    /// // What is not there is left out.
    /// assert_eq!(files.len(), 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::BucketNotFound`]; see [`Error`] for those any call can return.
    pub fn get_bucket_paths_info(
        /// The bucket.
        bucket_id: BucketId,
        /// The files.
        paths: OneOrMany<String>,
    ) -> GetBucketPathsInfo(GetBucketPathsInfoArgs) => Vec<BucketFile> {}
}

impl GetBucketPathsInfoArgs {
    async fn run(self, api: HfApi) -> Result<Vec<BucketFile>> {
        let target = format!("{}/paths-info", path(&self.bucket_id));
        let mut files = Vec::new();
        for paths in self.paths.0.chunks(BATCH) {
            let request = Request::post(&target).json(&json!({ "paths": paths })).retried();
            let entries: Vec<BucketEntry> = api.ask(request).await?.json()?;
            files.extend(entries.into_iter().filter_map(|entry| match entry {
                BucketEntry::File(file) => Some(file),
                _ => None,
            }));
        }
        Ok(files)
    }
}

fn path(id: &BucketId) -> String {
    format!("/api/buckets/{id}")
}
