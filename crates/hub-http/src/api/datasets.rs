//! Datasets: the viewer's Parquet files, and leaderboards.

use std::time::Duration;

use hub_types::datasets::{LeaderboardEntry, ParquetEntry, ParquetFiles};
use hub_types::{RepoId, RepoType, ValidationError};

use crate::client::HfApi;
use crate::endpoint::DEFAULT_ENDPOINT;
use crate::error::{Error, Result};
use crate::operation;
use crate::request::Request;

operation! {
    impl HfApi, Error;

    /// Lists the Parquet files that the dataset viewer made of a dataset.
    ///
    /// Endpoint: `GET https://datasets-server.huggingface.co/parquet`
    ///
    /// The files stand in the dataset's own repository, at the revision `refs/convert/parquet`: one that is read in
    /// place tells its schema without being downloaded.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for entry in api.list_dataset_parquet_files("ada/notes").await? {
    ///     let Some((_, path)) = entry.url.split_once("/refs%2Fconvert%2Fparquet/") else { continue };
    ///     let file = api.open_file("datasets/ada/notes", path).revision("refs/convert/parquet").await?;
    ///     // The last eight bytes are the footer's length and a magic number.
    ///     let end = file.read_at(file.size().saturating_sub(8), 8).await?;
    ///     if let [a, b, c, d, b'P', b'A', b'R', b'1'] = end[..] {
    ///         println!("{path}: a footer of {} bytes", u32::from_le_bytes([a, b, c, d]));
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when the client's endpoint is not the public Hub and no viewer of its own is set; see
    /// [`Error`] for those any call can return.
    pub fn list_dataset_parquet_files(
        /// The dataset.
        repo_id: RepoId,
    ) -> ListDatasetParquetFiles(ListDatasetParquetFilesArgs) => Vec<ParquetEntry> {
        /// Only of this configuration.
        config: String,
    }
}

impl ListDatasetParquetFilesArgs {
    async fn run(self, api: HfApi) -> Result<Vec<ParquetEntry>> {
        let viewer = &api.shared.config.services.dataset_viewer;
        let of_public_hub = *viewer == crate::client::Services::default().dataset_viewer;
        if of_public_hub && api.endpoint() != DEFAULT_ENDPOINT {
            let rule = "the dataset viewer knows the public Hub's datasets only; set the viewer of this endpoint";
            return Err(ValidationError::new("endpoint", api.endpoint(), rule).into());
        }
        let request = Request::get(format!("{viewer}/parquet"))
            .query("dataset", self.repo_id.id())
            .query_opt("config", self.config);
        let reply: ParquetFiles = api.ask(request).await?.json()?;
        Ok(reply.parquet_files)
    }
}

operation! {
    impl HfApi, Error;

    /// Gives the leaderboard of a benchmark dataset, best first.
    ///
    /// Endpoint: `GET /api/datasets/{repo_id}/leaderboard`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for entry in api.get_dataset_leaderboard("SWE-bench/SWE-bench_Verified").await? {
    ///     println!("{entry:?}");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::RepoNotFound`]; see [`Error`] for those any call can return.
    pub fn get_dataset_leaderboard(
        /// The dataset.
        repo_id: RepoId,
    ) -> GetDatasetLeaderboard(GetDatasetLeaderboardArgs) => Vec<LeaderboardEntry> {
        /// Only base models, or only others. By default all.
        base_model_only: bool,
        /// Seconds to wait for the answer. By default as for any call.
        timeout: f64,
    }
}

impl GetDatasetLeaderboardArgs {
    async fn run(self, api: HfApi) -> Result<Vec<LeaderboardEntry>> {
        let repo = self.repo_id.with_type(RepoType::Dataset);
        let mut request =
            Request::get(format!("/api/{}/leaderboard", repo.api_path())).query_opt("base_model", self.base_model_only);
        if let Some(seconds) = self.timeout {
            let timeout = Duration::try_from_secs_f64(seconds)
                .map_err(|_| ValidationError::new("timeout", seconds.to_string(), "must be 0 seconds or more"))?;
            request = request.timeout(timeout);
        }
        api.ask(request).await?.json()
    }
}
