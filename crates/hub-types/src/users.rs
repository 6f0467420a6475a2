//! Models of the `users` area: accounts, organisations, and what they like.

use crate::Timestamp;
use crate::model::reply;

reply! {
    /// A user.
    User {
        /// The account's name.
        username as "user" | "name" = String,
        /// The full name.
        fullname = String,
        /// The picture's address.
        avatar_url = String,
        /// `user` or `org`.
        user_type as "type" ?: String,
        /// What they say of themselves.
        details?: String,
        /// Whether the asking account follows them.
        is_following?: bool,
        /// Whether they pay.
        is_pro?: bool,
        /// How many models they have.
        num_models?: u64,
        /// How many datasets they have.
        num_datasets?: u64,
        /// How many Spaces they have.
        num_spaces?: u64,
        /// How many discussions they opened.
        num_discussions?: u64,
        /// How many papers they wrote.
        num_papers?: u64,
        /// How many upvotes they gave.
        num_upvotes?: u64,
        /// How many repositories they like.
        num_likes?: u64,
        /// How many accounts they follow.
        num_following?: u64,
        /// How many accounts follow them.
        num_followers?: u64,
        /// Their organisations.
        orgs = Vec<Organization>,
        ..
    }

    /// An organisation.
    Organization {
        /// The account's name.
        name = String,
        /// The full name.
        fullname = String,
        /// The picture's address.
        avatar_url = String,
        /// What it says of itself.
        details?: String,
        /// Whether the Hub knows who it is.
        is_verified?: bool,
        /// Whether the asking account follows it.
        is_following?: bool,
        /// How many members it has.
        num_users?: u64,
        /// How many models it has.
        num_models?: u64,
        /// How many datasets it has.
        num_datasets?: u64,
        /// How many Spaces it has.
        num_spaces?: u64,
        /// How many accounts follow it.
        num_followers?: u64,
        /// How many papers it has.
        num_papers?: u64,
        /// What it pays for.
        plan?: String,
        ..
    }

    /// A repository that somebody likes.
    LikedRepo {
        /// Its id.
        name: String,
        /// What it holds.
        repo_type as "type" ?: String,
    }

    /// That somebody likes a repository.
    Like {
        /// Since when.
        created_at?: Timestamp,
        /// Which one.
        repo: LikedRepo,
    }
}

/// What a user likes, by type.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct UserLikes {
    /// Whose likes these are.
    pub user: String,
    /// How many there are, of types that are unknown here too.
    pub total: u64,
    /// Models.
    pub models: Vec<String>,
    /// Datasets.
    pub datasets: Vec<String>,
    /// Spaces.
    pub spaces: Vec<String>,
    /// Kernels.
    pub kernels: Vec<String>,
}

impl UserLikes {
    /// Sorts likes by type.
    pub fn new(user: String, likes: Vec<Like>) -> Self {
        let mut sorted = Self {
            user,
            total: likes.len() as u64,
            ..Self::default()
        };
        for like in likes {
            match like.repo.repo_type.as_deref() {
                Some("model") => sorted.models.push(like.repo.name),
                Some("dataset") => sorted.datasets.push(like.repo.name),
                Some("space") => sorted.spaces.push(like.repo.name),
                Some("kernel") => sorted.kernels.push(like.repo.name),
                _ => {}
            }
        }
        sorted
    }
}
