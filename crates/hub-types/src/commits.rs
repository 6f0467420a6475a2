//! Models of the `commits` area: what is committed, and what was.

use crate::Timestamp;
use crate::model::reply;

// What was committed: listings.

reply! {
    /// Who made a commit.
    CommitAuthor {
        /// The account's name, or the name that git has.
        user: String,
        /// The account's picture.
        avatar?: String,
        ..
    }

    /// A commit's message as HTML.
    FormattedMessage {
        /// Its first line.
        title = String,
        /// The rest.
        message = String,
    }

    /// A commit in a repository's history.
    GitCommitInfo {
        /// Its hash.
        id as "id" : String,
        /// Who made it.
        authors = Vec<CommitAuthor>,
        /// When it was made.
        date?: Timestamp,
        /// The first line of its message.
        title = String,
        /// The rest of its message.
        message = String,
        /// Its message as HTML, if it was asked for.
        formatted?: FormattedMessage,
        ..
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_read() {
        let commit: GitCommitInfo = serde_json::from_str(
            r#"{"id":"8f1f7d9c","title":"init","message":"","date":"2026-03-04T05:06:07.000Z",
                "authors":[{"user":"ada"},{"user":"bob","avatar":"/b.svg","_id":"1"}],
                "formatted":{"title":"<p>init</p>","message":""}}"#,
        )
        .unwrap();
        assert_eq!(
            (commit.authors.len(), commit.authors[1].avatar.as_deref()),
            (2, Some("/b.svg"))
        );
        assert_eq!(commit.formatted.unwrap().title, "<p>init</p>");
    }
}
