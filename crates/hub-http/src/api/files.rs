//! What a repository holds: its tree, and facts about single paths.

use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use hub_types::files::TreeEntry;
use hub_types::{OneOrMany, RepoId, RepoPath, RepoType, Revision, ValidationError};
use url::form_urlencoded;

use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::page::Items;
use crate::request::Request;

/// The most paths that one request asks for; the Hub refuses about twice as many.
const PATHS_PER_REQUEST: usize = 500;

operation! {
    impl HfApi, Error;

    /// Lists the files and folders of a repository at a revision.
    ///
    /// Pages are requested as the stream is read; they have 1000 entries, or 50 with `expand`. Sizes are in bytes; a
    /// large file's size is that of its content, not of its pointer. The order is the server's.
    ///
    /// Endpoint: `GET /api/{models|datasets|spaces|kernels}/{repo_id}/tree/{revision}[/{path_in_repo}]`
    ///
    /// # Errors
    ///
    /// [`Error::EntryNotFound`] when there is no such folder, [`Error::RevisionNotFound`], [`Error::RepoNotFound`]; see
    /// [`Error`] for those any call can return.
    pub fn list_repo_tree(
        /// The repository.
        repo_id: RepoId,
    ) -> ListRepoTree(ListRepoTreeArgs) => stream TreeEntry {
        /// The folder to list. By default, or when empty, the root.
        path_in_repo: String,
        /// Lists the folders below too. By default only the folder itself.
        recursive: bool,
        /// Tells the last commit and the scanners' verdict of each entry, which is slower. By default not.
        expand: bool,
        /// The branch, tag or commit. By default `main`.
        revision: Revision,
        /// What the repository holds. By default what the id says, else a model.
        repo_type: RepoType,
    }
}

operation! {
    impl HfApi, Error;

    /// Lists the paths of all files of a repository at a revision.
    ///
    /// They are as the server sent them: make a [`RepoPath`] of one before joining it to a directory.
    ///
    /// Endpoint: as [`HfApi::list_repo_tree`].
    ///
    /// # Errors
    ///
    /// As [`HfApi::list_repo_tree`].
    pub fn list_repo_files(
        /// The repository.
        repo_id: RepoId,
    ) -> ListRepoFiles(ListRepoFilesArgs) => Vec<String> {
        /// The branch, tag or commit. By default `main`.
        revision: Revision,
        /// What the repository holds. By default what the id says, else a model.
        repo_type: RepoType,
    }
}

operation! {
    impl HfApi, Error;

    /// Tells what single paths of a repository are. Those that do not exist are left out.
    ///
    /// Endpoint: `POST /api/{models|datasets|spaces|kernels}/{repo_id}/paths-info/{revision}`, for 500 paths at a time.
    ///
    /// # Errors
    ///
    /// [`Error::RevisionNotFound`], [`Error::RepoNotFound`]; see [`Error`] for those any call can return.
    pub fn get_paths_info(
        /// The repository.
        repo_id: RepoId,
        /// The paths of files and folders.
        paths: OneOrMany<String>,
    ) -> GetPathsInfo(GetPathsInfoArgs) => Vec<TreeEntry> {
        /// Tells the last commit and the scanners' verdict of each entry, which is slower. By default not.
        expand: bool,
        /// The branch, tag or commit. By default `main`.
        revision: Revision,
        /// What the repository holds. By default what the id says, else a model.
        repo_type: RepoType,
    }
}

impl ListRepoTreeArgs {
    async fn run(self, api: HfApi) -> Result<Items<TreeEntry>> {
        let request = self.request()?;
        Ok(Items::paged(api, request))
    }

    fn request(&self) -> Result<Request, ValidationError> {
        let repo = self.repo_id.clone().typed(self.repo_type);
        let revision = self.revision.clone().unwrap_or_default();
        let mut target = format!("/api/{}/tree/{}", repo.api_path(), revision.encoded());
        let folder = self.path_in_repo.as_deref().unwrap_or_default().trim_end_matches('/');
        if !folder.is_empty() {
            target.push('/');
            target.push_str(&RepoPath::try_from(folder)?.encoded_as_segment());
        }
        // As the Python client: both are always sent.
        Ok(Request::get(target)
            .query("recursive", self.recursive.unwrap_or(false).to_string())
            .query("expand", self.expand.unwrap_or(false).to_string()))
    }
}

impl ListRepoFilesArgs {
    async fn run(self, api: HfApi) -> Result<Vec<String>> {
        let mut entries = api
            .list_repo_tree(self.repo_id)
            .recursive(true)
            .revision(self.revision)
            .repo_type(self.repo_type)
            .await?;
        let mut files = Vec::new();
        while let Some(entry) = entries.next().await {
            files.extend(entry?.into_file().map(|file| file.path));
        }
        Ok(files)
    }
}

impl GetPathsInfoArgs {
    async fn run(self, api: HfApi) -> Result<Vec<TreeEntry>> {
        let mut entries = Vec::new();
        for paths in self.paths.0.chunks(PATHS_PER_REQUEST) {
            let page: Vec<TreeEntry> = api.send(self.request(paths)).await?.json().await?;
            entries.extend(page);
        }
        Ok(entries)
    }

    /// As a form, which is what the Python client sends.
    fn request(&self, paths: &[String]) -> Request {
        let repo = self.repo_id.clone().typed(self.repo_type);
        let revision = self.revision.clone().unwrap_or_default();
        let expand = self.expand.unwrap_or(false).to_string();
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(paths.iter().map(|path| ("paths", path)))
            .append_pair("expand", &expand)
            .finish();
        Request::post(format!("/api/{}/paths-info/{}", repo.api_path(), revision.encoded()))
            .bytes(Bytes::from(form))
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            )
    }
}
