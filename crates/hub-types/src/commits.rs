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

/// What a commit made: the reply of `POST …/commit/{revision}`, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct CommitInfo {
    /// The commit's page.
    pub commit_url: String,
    /// The first line of its message.
    pub commit_message: String,
    /// The rest of its message.
    pub commit_description: String,
    /// Its hash.
    pub oid: String,
    /// The pull request's page, if one was opened.
    pub pr_url: Option<String>,
}

impl CommitInfo {
    /// What a commit made.
    pub fn new(commit_url: String, oid: String, message: String, description: String, pr_url: Option<String>) -> Self {
        Self {
            commit_url,
            commit_message: message,
            commit_description: description,
            oid,
            pr_url,
        }
    }

    /// The pull request's number, if one was opened.
    pub fn pr_num(&self) -> Option<u64> {
        let (_, num) = self.pr_url.as_deref()?.rsplit_once("/discussions/")?;
        num.parse().ok()
    }

    /// The pull request's ref, `refs/pr/<num>`, if one was opened.
    pub fn pr_revision(&self) -> Option<crate::Revision> {
        self.pr_num().map(crate::Revision::pull_request)
    }

    /// The repository's page.
    pub fn repo_url(&self) -> &str {
        self.commit_url
            .split_once("/commit/")
            .map_or(&self.commit_url, |(repo, _)| repo)
    }
}

#[cfg(test)]
mod commit_info_tests {
    use super::*;

    #[test]
    fn knows_its_pull_request_and_its_repo() {
        let url = "http://h/ada/demo/commit/abc".to_owned();
        let pr = Some("http://h/ada/demo/discussions/7".to_owned());
        let info = CommitInfo::new(url, "abc".into(), "m".into(), String::new(), pr);
        assert_eq!((info.pr_num(), info.repo_url()), (Some(7), "http://h/ada/demo"));
        assert_eq!(info.pr_revision().unwrap().as_str(), "refs/pr/7");
    }
}
