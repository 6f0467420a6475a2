//! What a listing is sorted by.

use std::cmp::Ordering;

use hub_types::RepoType;

use crate::error::{Error, Result};
use crate::store::Repo;

/// An order of a listing; the highest, or the latest, comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Created,
    Modified,
    Likes,
    LikesOf7Days,
    LikesOf30Days,
    Downloads,
    Parameters,
    Size,
    Id,
}

impl Order {
    /// The order of that name, in the Hub's own spelling or the Python client's.
    ///
    /// # Errors
    ///
    /// [`Error::BadRequest`] when there is none of that name for this type of repository.
    pub(super) fn parse(word: Option<&str>, kind: RepoType) -> Result<Self> {
        Ok(match word.unwrap_or_default() {
            // What is liked now is what trends.
            "" | "trendingScore" | "trending_score" | "likes7d" => Self::LikesOf7Days,
            "createdAt" | "created_at" => Self::Created,
            "lastModified" | "last_modified" => Self::Modified,
            "likes" => Self::Likes,
            "likes30d" => Self::LikesOf30Days,
            "downloads" if kind != RepoType::Space => Self::Downloads,
            "num_parameters" if kind == RepoType::Model => Self::Parameters,
            "mainSize" if kind == RepoType::Dataset => Self::Size,
            "id" => Self::Id,
            other => return Err(Error::bad_request(format!("\"sort\" is invalid: {other}"))),
        })
    }

    /// Which of two comes first. No two are equal, so that pages fit together.
    pub(super) fn compare(self, a: &Repo, b: &Repo) -> Ordering {
        let by = |key: fn(&Repo) -> u64| key(b).cmp(&key(a));
        let modified = b.modified.cmp(&a.modified);
        let first = match self {
            Self::Created => Ordering::Equal,
            Self::Modified => modified,
            Self::Likes => by(|repo| repo.likes).then(modified),
            Self::LikesOf7Days => by(|repo| repo.likes_7d)
                .then(by(|repo| repo.likes))
                .then(by(|repo| repo.downloads))
                .then(modified),
            Self::LikesOf30Days => by(|repo| repo.likes_30d).then(by(|repo| repo.likes)).then(modified),
            Self::Downloads => by(|repo| repo.downloads)
                .then(by(|repo| repo.downloads_all_time))
                .then(modified),
            // Those whose number is not known come last.
            Self::Parameters => by(|repo| repo.facts["safetensors"]["total"].as_u64().unwrap_or(0)).then(modified),
            Self::Size => by(|repo| repo.facts["usedStorage"].as_u64().unwrap_or(0)).then(modified),
            Self::Id => b.id.id().cmp(a.id.id()),
        };
        first.then(b.created.cmp(&a.created)).then(b.row.cmp(&a.row))
    }
}
