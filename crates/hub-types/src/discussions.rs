//! Models of the `discussions` area: discussions and pull requests, and what happens in them.

use serde::{Deserialize, Serialize};

use crate::model::{open_enum, reply};
use crate::{RepoType, Revision, Timestamp};

open_enum! {
    /// Where a discussion or pull request stands.
    DiscussionStatus {
        /// Open.
        Open = "open",
        /// Closed without a merge.
        Closed = "closed",
        /// Merged; pull requests only.
        Merged = "merged",
        /// Not ready yet; pull requests only.
        Draft = "draft",
    }

    /// Which kind a listing asks for.
    DiscussionTypeFilter {
        /// Both.
        All = "all",
        /// Discussions alone.
        Discussion = "discussion",
        /// Pull requests alone.
        PullRequest = "pull_request",
    }

    /// Which status a listing asks for. Merged and draft are no filters of the Hub's: filter those yourself.
    DiscussionStatusFilter {
        /// Every status.
        All = "all",
        /// Open ones.
        Open = "open",
        /// Closed ones.
        Closed = "closed",
    }
}

reply! {
    /// An account, as events and discussions name it.
    Author {
        /// The account's name.
        name: String,
        /// The full name.
        fullname?: String,
        /// `user` or `org`.
        kind as "type" ?: String,
        /// The picture's address.
        avatar_url?: String,
        ..
    }

    /// The repository that a discussion belongs to.
    DiscussionRepo {
        /// Its id.
        name: String,
        /// What it holds: `model`, `dataset` or `space`.
        repo_type as "type" ?: String,
    }

    /// A discussion or a pull request, as a listing shows it.
    Discussion {
        /// Its number, shared between discussions and pull requests of a repository.
        num: u64,
        /// Its title.
        title: String,
        /// Where it stands.
        status: DiscussionStatus,
        /// Whether it is a pull request.
        is_pull_request = bool,
        /// When it was opened.
        created_at?: Timestamp,
        /// Who opened it; `None` when that account is gone.
        author?: Author,
        /// Its repository.
        repo?: DiscussionRepo,
        /// How many comments it has.
        num_comments?: u64,
        /// Whether it is pinned.
        pinned?: bool,
    }

    /// What a pull request would change.
    Changes {
        /// The ref it would change: `refs/heads/main`.
        base: String,
        /// The merge's commit, once merged.
        merge_commit_id?: String,
    }

    /// A discussion or pull request with all that happened in it.
    DiscussionDetails {
        /// Its number.
        num: u64,
        /// Its title.
        title: String,
        /// Where it stands.
        status: DiscussionStatus,
        /// Whether it is a pull request.
        is_pull_request = bool,
        /// When it was opened.
        created_at?: Timestamp,
        /// Who opened it; `None` when that account is gone.
        author?: Author,
        /// Its repository.
        repo?: DiscussionRepo,
        /// What happened, oldest first.
        events = Vec<DiscussionEvent>,
        /// What a pull request would change.
        changes?: Changes,
        /// Files that cannot be merged; pull requests only.
        files_with_conflicts?: Conflicts,
        /// The unified diff; pull requests only.
        diff?: String,
    }

    /// The newest text of a comment.
    CommentText {
        /// Markdown. A hidden comment's is no longer served.
        raw = String,
        /// The same as HTML.
        html?: String,
        /// When it was last changed.
        updated_at?: Timestamp,
        /// Who changed it last.
        author?: Author,
    }

    /// A comment's data.
    Comment {
        /// Whether it was changed after it was written.
        edited = bool,
        /// Whether it was hidden.
        hidden = bool,
        /// Its newest text.
        latest?: CommentText,
        /// Its earlier texts, as the Hub sent them: their form is not documented.
        history = Vec<serde_json::Value>,
    }
}

/// Files of a pull request that cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Conflicts {
    /// These files.
    Files(Vec<String>),
    /// `true`: some, which the Hub cannot list.
    Some(bool),
}

impl Conflicts {
    /// Whether there are any.
    pub fn any(&self) -> bool {
        match self {
            Self::Files(files) => !files.is_empty(),
            Self::Some(some) => *some,
        }
    }
}

impl DiscussionDetails {
    /// The pull request's ref, `refs/pr/<num>`; `None` for a discussion.
    pub fn git_reference(&self) -> Option<Revision> {
        self.is_pull_request.then(|| Revision::pull_request(self.num))
    }

    /// The branch that the pull request would change, without `refs/heads/`.
    pub fn target_branch(&self) -> Option<&str> {
        let base = &self.changes.as_ref()?.base;
        Some(base.strip_prefix("refs/heads/").unwrap_or(base))
    }
}

impl DiscussionRepo {
    /// The repository's type, where the word is known.
    pub fn kind(&self) -> Option<RepoType> {
        self.repo_type.as_deref()?.parse().ok()
    }
}

/// Something that happened in a discussion.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DiscussionEvent {
    /// Its id.
    pub id: String,
    /// When it happened.
    pub created_at: Option<Timestamp>,
    /// Who did it; `None` when that account is gone.
    pub author: Option<Author>,
    /// What happened.
    pub kind: EventKind,
    /// The event as the Hub sent it.
    pub raw: serde_json::Value,
}

/// What happened in an event.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// Somebody wrote.
    Comment(Comment),
    /// The status changed.
    StatusChange {
        /// The new status.
        status: DiscussionStatus,
    },
    /// A commit was added to a pull request.
    Commit {
        /// The commit's first line.
        subject: String,
        /// The commit's hash.
        oid: String,
    },
    /// The title changed.
    TitleChange {
        /// What it was.
        from: String,
        /// What it is.
        to: String,
    },
    /// A kind that this version does not know, by its name; [`DiscussionEvent::raw`] has all of it.
    Other(String),
}

impl EventKind {
    /// The kind's name, as the Hub writes it.
    pub fn name(&self) -> &str {
        match self {
            Self::Comment(_) => "comment",
            Self::StatusChange { .. } => "status-change",
            Self::Commit { .. } => "commit",
            Self::TitleChange { .. } => "title-change",
            Self::Other(name) => name,
        }
    }

    /// Reads an event's data; what does not have the documented form is `Other`, never an error.
    fn from_data(name: &str, data: &serde_json::Value) -> Self {
        let text = |key: &str| data.get(key).and_then(|value| value.as_str()).map(str::to_owned);
        let known = match name {
            "comment" => Comment::deserialize(data).ok().map(Self::Comment),
            "status-change" => text("status").map(|status| Self::StatusChange { status: status.into() }),
            "commit" => text("subject")
                .zip(text("oid"))
                .map(|(subject, oid)| Self::Commit { subject, oid }),
            "title-change" => text("from")
                .zip(text("to"))
                .map(|(from, to)| Self::TitleChange { from, to }),
            _ => None,
        };
        known.unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

impl<'de> Deserialize<'de> for DiscussionEvent {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire {
            id: String,
            r#type: String,
            created_at: Option<Timestamp>,
            author: Option<Author>,
            #[serde(default)]
            data: serde_json::Value,
        }
        let raw = serde_json::Value::deserialize(deserializer)?;
        let wire = Wire::deserialize(&raw).map_err(serde::de::Error::custom)?;
        let kind = EventKind::from_data(&wire.r#type, &wire.data);
        Ok(Self {
            id: wire.id,
            created_at: wire.created_at,
            author: wire.author,
            kind,
            raw,
        })
    }
}

impl Serialize for DiscussionEvent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.raw.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_typed_and_unknown_ones_kept() {
        let details: DiscussionDetails = serde_json::from_str(
            r#"{"num":2,"title":"Fix","status":"draft","isPullRequest":true,"createdAt":"2025-02-01T00:00:00.000Z",
             "author":null,"repo":{"name":"acme/tiny","type":"model"},"changes":{"base":"refs/heads/main"},
             "filesWithConflicts":true,"diff":"d","events":[
              {"id":"1","type":"comment","createdAt":"2025-02-01T00:00:00.000Z","author":{"name":"ada"},
               "data":{"edited":false,"hidden":false,"latest":{"raw":"see title"}}},
              {"id":"2","type":"commit","data":{"subject":"Fix","oid":"0f1e2d"}},
              {"id":"3","type":"status-change","data":{"status":"open"}},
              {"id":"4","type":"title-change","data":{"from":"a","to":"b"}},
              {"id":"5","type":"reaction","data":{"emoji":"x"}},
              {"id":"6","type":"commit","data":{}}]}"#,
        )
        .unwrap();
        let kinds: Vec<_> = details.events.iter().map(|event| event.kind.name()).collect();
        assert_eq!(
            kinds,
            [
                "comment",
                "commit",
                "status-change",
                "title-change",
                "reaction",
                "commit"
            ]
        );
        assert!(matches!(details.events[5].kind, EventKind::Other(_)));
        assert_eq!(details.events[4].raw["data"]["emoji"], "x");
        assert!(details.files_with_conflicts.as_ref().unwrap().any());
        assert_eq!(details.git_reference().unwrap().as_str(), "refs/pr/2");
        assert_eq!(details.target_branch(), Some("main"));
        assert_eq!(details.repo.unwrap().kind(), Some(RepoType::Model));
    }
}
