//! What a commit holds, as the Hub or a cached listing tells it.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use hub_types::files::TreeEntry;
use hub_types::{RepoId, RepoPath, Revision};

use crate::error::Result;
use crate::hub::HubCache;
use crate::layout;
use crate::tree::{Tree, TreeFile};

/// A listing of a commit; a file without a usable hash has no details.
pub(super) struct Listing {
    pub(super) files: BTreeMap<RepoPath, Option<TreeFile>>,
}

impl Listing {
    /// Asks the Hub, page by page. One name that would leave the folder spoils the whole.
    pub(super) async fn ask(hub: &HubCache, repo: &RepoId, revision: &Revision) -> Result<Self> {
        let mut entries = hub
            .api()
            .list_repo_tree(repo)
            .recursive(true)
            .expand(false)
            .revision(revision)
            .await?;
        let mut files = BTreeMap::new();
        while let Some(entry) = entries.try_next().await? {
            let TreeEntry::File(file) = entry else { continue };
            let path = file.repo_path()?;
            layout::check_local(&path)?;
            let lfs = file.lfs.as_ref().map(|lfs| (lfs.sha256, lfs.size));
            let details = file.oid.map(|oid| TreeFile::new(file.size, oid, lfs, file.xet_hash));
            files.insert(path, details);
        }
        Ok(Self { files })
    }

    /// The listing as it is cached, if every file has its details.
    pub(super) fn to_tree(&self) -> Option<Tree> {
        let files = self
            .files
            .iter()
            .map(|(path, file)| Some((path.clone(), file.clone()?)))
            .collect::<Option<_>>()?;
        Some(Tree { files })
    }
}

impl From<Tree> for Listing {
    fn from(tree: Tree) -> Self {
        Self {
            files: tree.files.into_iter().map(|(path, file)| (path, Some(file))).collect(),
        }
    }
}
