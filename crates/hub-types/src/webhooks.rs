//! Models of the `webhooks` area: who is told of changes.

use serde::{Deserialize, Serialize};

use crate::Secret;
use crate::discussions::{Changes, DiscussionStatus};
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

open_enum! {
    /// What was done to the thing that a payload is about.
    WebhookAction {
        /// It is new.
        Create = "create",
        /// It is gone.
        Delete = "delete",
        /// It has another name.
        Move = "move",
        /// It is another now.
        Update = "update",
    }
}

reply! {
    /// What a webhook is sent: the body of the request to its address (version 3).
    ///
    /// ```
    /// use hub_types::webhooks::{WebhookAction, WebhookPayload};
    ///
    /// let body = r#"{"event": {"action": "update", "scope": "repo.content"}, "webhook": {"id": "66aa", "version": 3},
    ///   "repo": {"type": "model", "name": "acme/tiny", "id": "65f0", "private": false, "owner": {"id": "6400"},
    ///            "url": {"web": "https://huggingface.co/acme/tiny"}},
    ///   "updatedRefs": [{"ref": "refs/pr/4", "oldSha": null, "newSha": "77aa"}]}"#;
    /// let payload: WebhookPayload = serde_json::from_str(body)?;
    /// assert_eq!(payload.event.action, WebhookAction::Update);
    /// assert!(payload.event.is_about("repo") && !payload.event.is_about("discussion"));
    /// assert_eq!(payload.updated_refs[0].name, "refs/pr/4");
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    WebhookPayload {
        /// What happened.
        event: WebhookEvent,
        /// To which repository.
        repo: WebhookRepo,
        /// The discussion or pull request, if it is about one.
        discussion?: WebhookDiscussion,
        /// The comment, if it is about one.
        comment?: WebhookComment,
        /// Which webhook is told.
        webhook: WebhookSource,
        /// The new name of a repository that was moved.
        moved_to?: WebhookMovedTo,
        /// The refs that are new, gone or elsewhere.
        updated_refs = Vec<WebhookUpdatedRef>,
        /// The settings that were changed, as far as they are told.
        updated_config?: serde_json::Value,
        ..
    }

    /// What happened.
    WebhookEvent {
        /// What was done.
        action: WebhookAction,
        /// To what: `repo`, `repo.content`, `repo.config`, `discussion`, `discussion.comment`, or more in time.
        scope: String,
    }

    /// The repository that a payload is about.
    WebhookRepo {
        /// `model`, `dataset`, `space` or `bucket`.
        kind as "type": String,
        /// Its id, as in `acme/tiny`.
        name: String,
        /// The Hub's own id of it, which stays when it is moved.
        id: String,
        /// Whether it is private.
        private = bool,
        /// Where it is.
        url?: WebhookUrl,
        /// Whose it is.
        owner?: WebhookAccount,
        /// The commit of `main`, where the scope begins with `repo`.
        head_sha?: String,
        /// The host name of a Space's app.
        subdomain?: String,
        /// Its tags.
        tags = Vec<String>,
    }

    /// The discussion that a payload is about.
    WebhookDiscussion {
        /// The Hub's own id of it.
        id: String,
        /// Its number in the repository.
        num: u64,
        /// Its title.
        title: String,
        /// Where it is.
        url?: WebhookUrl,
        /// How it stands.
        status: DiscussionStatus,
        /// Who opened it.
        author?: WebhookAccount,
        /// Whether it is a pull request.
        is_pull_request = bool,
        /// What a pull request is against, and what it became.
        changes?: Changes,
        /// Whether it stands first in the list.
        pinned = bool,
    }

    /// The comment that a payload is about.
    WebhookComment {
        /// Its id.
        id: String,
        /// Who wrote it.
        author?: WebhookAccount,
        /// Whether it is hidden.
        hidden = bool,
        /// What it says, unless it is hidden.
        content?: String,
        /// Where it is.
        url?: WebhookUrl,
    }

    /// Addresses of a thing.
    WebhookUrl {
        /// Of its page.
        web: String,
        /// Of its data.
        api?: String,
    }

    /// An account.
    WebhookAccount {
        /// The Hub's own id of it.
        id: String,
    }

    /// The webhook that is told.
    WebhookSource {
        /// Its id.
        id: String,
        /// The version of the payload.
        version: u64,
    }

    /// Where a repository has gone.
    WebhookMovedTo {
        /// Its new id.
        name: String,
        /// Whose it is now.
        owner?: WebhookAccount,
    }

    /// A ref that has moved.
    WebhookUpdatedRef {
        /// Its full name, such as `refs/heads/main`.
        name as "ref": String,
        /// Where it was, unless it is new.
        old_sha?: String,
        /// Where it is, unless it is gone.
        new_sha?: String,
    }
}

impl WebhookEvent {
    /// Whether its scope is this one, or a narrower one within it: more of them may come.
    pub fn is_about(&self, scope: &str) -> bool {
        let rest = self.scope.strip_prefix(scope);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}
