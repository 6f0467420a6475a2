//! The commit behind a revision, also where the Hub cannot be asked.

use std::path::PathBuf;

use hub_http::{ProgressHandle, operation};
use hub_types::{CommitHash, RepoId, RepoType, Revision};

use crate::error::{Error, NotFetched, Result};
use crate::hub::{HubCache, blocking};

operation! {
    impl HubCache, Error;

    /// Finds the commit that a branch or tag points to. A whole commit hash is given back without a request.
    ///
    /// Where the Hub cannot be reached, or fails, this is the commit that the revision stood for when a download last asked
    /// (what its ref in the cache holds). What the Hub refuses, a revision that is gone for one, is an error.
    ///
    /// Endpoint: `GET /api/{models|datasets|spaces|kernels}/{repo_id}`, with `/revision/{revision}` where one is given.
    ///
    /// ```no_run
    /// # async fn example() -> hub_cache::Result<()> {
    /// let hub = hub_cache::HubCache::from_env()?;
    /// let commit = hub.resolve_revision("openai-community/gpt2").revision("main").await?;
    /// println!("{commit}");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotCached`] where the Hub cannot be asked and the cache knows of no commit; [`Error::Http`] for what the
    /// Hub refuses.
    pub fn resolve_revision(
        /// The repository.
        repo_id: RepoId,
    ) -> ResolveRevision(ResolveRevisionArgs) => CommitHash {
        /// What the repository holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// The branch, tag or commit. By default the head of the main branch.
        revision: Revision,
        /// Another cache's folder.
        cache_dir: PathBuf,
        /// Makes no request: gives what the cache knows or fails. By default not.
        local_files_only: bool,
    }
}

impl ResolveRevisionArgs {
    async fn run(self, hub: HubCache) -> Result<CommitHash> {
        if let Some(commit) = self.revision.as_ref().and_then(Revision::as_commit_hash) {
            return Ok(commit);
        }
        let hub = hub.for_call(self.cache_dir.as_deref(), &ProgressHandle::default());
        let repo = self.repo_id.typed(self.repo_type);
        let (reason, source) = if self.local_files_only.unwrap_or(false) {
            (NotFetched::LocalFilesOnly, None)
        } else if hub.api().is_offline() {
            (NotFetched::Offline, None)
        } else {
            match hub.api().resolve_revision(&repo).revision(self.revision.clone()).await {
                Ok(commit) => return Ok(commit),
                Err(err) if err.is_unreachable() || err.status().is_some_and(|status| status >= 500) => {
                    (NotFetched::Unreachable, Some(err.into()))
                }
                Err(err) => return Err(err.into()),
            }
        };
        let revision = self.revision.unwrap_or_default();
        let (cache, of, at) = (hub.cache().clone(), repo.clone(), revision.clone());
        let known = blocking(move || Ok(cache.commit_of(&of, &at))).await?;
        known.ok_or_else(|| Error::NotCached {
            repo: repo.into(),
            path: None,
            revision: revision.into(),
            reason,
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{COMMIT, FakeHub};

    #[tokio::test]
    async fn the_hub_is_asked_and_the_cache_where_it_cannot_be() {
        let hub = FakeHub::start(&[("README.md", "# demo\n")]).await;
        let nothing = hub.offline().resolve_revision("o/n").await.unwrap_err();
        assert!(
            matches!(
                &nothing,
                Error::NotCached {
                    path: None,
                    reason: NotFetched::Offline,
                    ..
                }
            ),
            "{nothing:?}"
        );
        assert_eq!(hub.count().await, 0);

        let asked = hub.cache().resolve_revision("o/n").revision("main").await.unwrap();
        assert_eq!((asked.as_str(), hub.count().await), (COMMIT, 1));
        // A hash is its own answer.
        let same = hub.cache().resolve_revision("o/n").revision(COMMIT).await.unwrap();
        assert_eq!((same.as_str(), hub.count().await), (COMMIT, 0));

        // What a download has noted is what there is without the Hub.
        hub.cache().snapshot_download("o/n").await.unwrap();
        assert_eq!(hub.count().await, 3);
        for offline in [hub.offline(), hub.cache()] {
            let known = offline.resolve_revision("o/n").local_files_only(true).await.unwrap();
            assert_eq!(known.as_str(), COMMIT);
        }
        assert_eq!(hub.offline().resolve_revision("o/n").await.unwrap().as_str(), COMMIT);
        let other = tempfile::tempdir().unwrap();
        let elsewhere = hub.offline().resolve_revision("o/n").cache_dir(other.path()).await;
        assert!(matches!(elsewhere, Err(Error::NotCached { .. })));
        assert_eq!(hub.count().await, 0);
        hub.state().status = Some((503, ""));
        let known = hub.cache().resolve_revision("o/n").revision("main").await.unwrap();
        assert_eq!(known.as_str(), COMMIT);
        hub.state().status = None;

        // A revision that there is not is told, whatever is here.
        let gone = hub.cache().resolve_revision("o/n").revision("gone").await.unwrap_err();
        assert!(
            matches!(&gone, Error::Http(hub_http::Error::RevisionNotFound(_))),
            "{gone:?}"
        );
    }
}
