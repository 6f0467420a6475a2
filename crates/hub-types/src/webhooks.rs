//! Models of the `webhooks` area: who is told of changes.

use serde::{Deserialize, Serialize};

use crate::Secret;
use crate::jobs::JobSpec;
use crate::model::{open_enum, reply};

open_enum! {
    /// What kinds of change a webhook is told of.
    WebhookDomain {
        /// Changes of repositories.
        Repo = "repo",
        /// Discussions and pull requests.
        Discussion = "discussion",
    }
}

/// What a webhook watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedItem {
    /// `bucket`, `dataset`, `model`, `org`, `space` or `user`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id or name.
    pub name: String,
}

reply! {
    /// A webhook of an account. Its secret is not shown by `Debug`.
    Webhook {
        /// Its id.
        id: String,
        /// Where the news go, unless a job is run.
        url?: String,
        /// The job that is run.
        job?: JobSpec,
        /// What it watches.
        watched = Vec<WatchedItem>,
        /// Of which kinds of change it is told.
        domains = Vec<WebhookDomain>,
        /// What is sent along in `X-Webhook-Secret`.
        secret?: Secret,
        /// Whether it is switched off.
        disabled = bool,
    }
}
