//! Models of the `datasets` area: the dataset viewer, and leaderboards.

use serde_json::Value;

use crate::model::reply;
use crate::users::User;

reply! {
    /// A Parquet file that the viewer made of a dataset.
    ParquetEntry {
        /// The dataset's configuration.
        config: String,
        /// The split.
        split: String,
        /// Where the file is.
        url: String,
        /// Bytes in it.
        size = u64,
    }

    /// Parquet files, as the viewer lists them.
    ParquetFiles {
        /// The files.
        parquet_files as "parquet_files" = Vec<ParquetEntry>,
    }

    /// Where a result comes from.
    LeaderboardSource {
        /// Its address.
        url: String,
        /// Its name.
        name?: String,
        /// Whether it is outside the Hub.
        is_external?: bool,
    }

    /// A row of a benchmark's leaderboard.
    LeaderboardEntry {
        /// Its place.
        rank: u64,
        /// The model.
        model_id: String,
        /// The result.
        value: f64,
        /// The file of the model's repository that has it.
        filename = String,
        /// Whether it was checked.
        verified = bool,
        /// Where it comes from.
        source?: LeaderboardSource,
        /// Who entered it.
        author?: User,
        /// The pull request that it is still in.
        pull_request?: u64,
        /// What was said of it.
        notes?: String,
        ..
    }
}

/// Free JSON: the tags of models or datasets by their type. No client reads more into it.
pub type TagsByType = Value;
