//! What a repository holds: its tree, and facts about single paths.

use hub_types::files::TreeEntry;
use hub_types::{OneOrMany, RepoId, RepoPath, RepoType, Revision, ValidationError};

use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::page::Items;
use crate::request::Request;
use crate::transfer::origin::Origin;
use crate::transfer::{FileSource, RemoteFile};

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
    /// ```no_run
    /// # fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for entry in api.list_repo_tree("ada/demo").recursive(true).wait()? {
    ///     println!("{}", entry?.path());
    /// }
    /// # Ok(()) }
    /// ```
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
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let files = api.list_repo_files("ada/demo").revision("v1.0").await?;
    /// assert!(files.contains(&"README.md".to_owned()));
    /// # Ok(()) }
    /// ```
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
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for entry in api.get_paths_info("ada/demo", ["README.md", "weights"]).expand(true).await? {
    ///     println!("{entry:?}");
    /// }
    /// # Ok(()) }
    /// ```
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
        // Asked about nothing, the Hub still tells whether there is such a repository.
        let none: [&[String]; 1] = [&[]];
        let none = none.into_iter().filter(|_| self.paths.0.is_empty());
        for paths in self.paths.0.chunks(PATHS_PER_REQUEST).chain(none) {
            let page: Vec<TreeEntry> = api.ask(self.request(paths)).await?.json()?;
            entries.extend(page);
        }
        Ok(entries)
    }

    /// As a form, which is what the Python client sends.
    fn request(&self, paths: &[String]) -> Request {
        let repo = self.repo_id.clone().typed(self.repo_type);
        let revision = self.revision.clone().unwrap_or_default();
        let expand = self.expand.unwrap_or(false).to_string();
        let mut fields: Vec<(&str, &str)> = paths.iter().map(|path| ("paths", path.as_str())).collect();
        fields.push(("expand", &expand));
        Request::post(format!("/api/{}/paths-info/{}", repo.api_path(), revision.encoded())).form(&fields)
    }
}

operation! {
    impl HfApi, Error;

    /// Opens a file to read it in place: any part of it, in any order, without downloading the rest.
    ///
    /// One question for its size and its commit; then each read is one request, to where the bytes are.
    ///
    /// Endpoint: `HEAD /{repo}/resolve/{revision}/{filename}`, then `GET` with `Range`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
    ///
    /// let file = api.open_file("ada/notes", "data.parquet").repo_type("dataset").await?;
    /// // A Parquet file's footer: its length and a magic number are the last eight bytes.
    /// let mut reader = file.reader();
    /// reader.seek(std::io::SeekFrom::End(-8)).await?;
    /// let footer = reader.read_u32_le().await?;
    /// let metadata = file.read_at(file.size() - 8 - u64::from(footer), u64::from(footer)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::EntryNotFound`], [`Error::RevisionNotFound`], [`Error::RepoNotFound`]; [`Error::Metadata`] where the
    /// Hub does not tell the size; see [`Error`] for those any call can return.
    #[doc(alias = "HfFileSystemFile")]
    pub fn open_file(
        /// The repository.
        repo_id: RepoId,
        /// The file's path in it.
        filename: RepoPath,
    ) -> OpenFile(OpenFileArgs) => RemoteFile {
        /// The repository's type, if the id does not tell it.
        repo_type: RepoType,
        /// The revision. By default `main`.
        revision: Revision,
    }
}

impl OpenFileArgs {
    async fn run(self, api: HfApi) -> Result<RemoteFile> {
        let repo = self.repo_id.typed(self.repo_type);
        let revision = self.revision.unwrap_or_default();
        let found = api
            .get_hf_file_metadata(repo.clone(), self.filename.clone())
            .revision(revision.clone())
            .await?;
        let size = found.size.ok_or_else(|| Error::Metadata {
            url: crate::error::without_query(&api.hf_hub_url(&repo, &self.filename, &revision)),
            problem: "the reply does not tell the file's size".to_owned(),
        })?;
        // The commit, not the branch: what is read later is the same file.
        let mut source = FileSource::new(repo, Revision::from(&found.commit_hash), self.filename);
        source.etag = Some(found.etag.clone());
        source.size = Some(size);
        source.location = Some(found.location);
        source.xet = found.xet;
        source.commit_hash = Some(found.commit_hash.clone());
        let origin = Origin::new(api, source, false, false);
        Ok(RemoteFile::new(origin, size, found.etag, found.commit_hash))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::ResponseTemplate;

    use super::super::testing::Hub;
    use super::*;

    #[tokio::test]
    async fn a_tree_is_read_page_by_page() {
        let hub = Hub::start().await;
        let next = format!("<{}/next?cursor=x>; rel=\"next\"", hub.url());
        let first = json!([{"type": "file", "path": "a", "size": 1}, {"type": "directory", "path": "d"}]);
        let first = ResponseTemplate::new(200)
            .set_body_json(first)
            .insert_header("link", &*next);
        hub.answer("GET", "/api/models/a/b/tree/main", first).await;
        let second = json!([{"type": "file", "path": "d/e", "size": 2}]);
        hub.answer("GET", "/next", ResponseTemplate::new(200).set_body_json(second))
            .await;
        let mut tree = hub.api().list_repo_tree("a/b").recursive(true).await.unwrap();
        assert!(
            hub.asked().await.is_empty(),
            "a page is asked for when its first item is wanted"
        );
        assert_eq!(tree.next().await.unwrap().unwrap().path(), "a");
        assert_eq!(tree.next().await.unwrap().unwrap().path(), "d");
        assert_eq!(
            hub.asked().await,
            ["GET /api/models/a/b/tree/main?recursive=true&expand=false"]
        );
        assert_eq!(tree.next().await.unwrap().unwrap().path(), "d/e");
        assert!(tree.next().await.is_none());
        assert_eq!(hub.api().list_repo_files("a/b").await.unwrap(), ["a", "d/e"]);
    }

    #[tokio::test]
    async fn a_folder_is_one_segment_of_the_address() {
        let target = "/api/datasets/a/b/tree/feat%2Fx/sub%20dir%2F%C3%A9";
        let hub = Hub::with("GET", target, 200, json!([])).await;
        for folder in ["sub dir/é", "sub dir/é/"] {
            let call = hub
                .api()
                .list_repo_tree("datasets/a/b")
                .path_in_repo(folder)
                .revision("feat/x")
                .expand(true);
            assert!(call.await.unwrap().collect_all().await.unwrap().is_empty());
        }
        let asked = hub.asked().await;
        assert_eq!(asked[0], format!("GET {target}?recursive=false&expand=true"));
        assert_eq!(asked[0], asked[1]);
        let err = hub.api().list_repo_tree("a/b").path_in_repo("../x").await.unwrap_err();
        assert!(matches!(err, Error::Invalid(_)));
    }

    #[tokio::test]
    async fn errors_of_a_tree_are_told_apart() {
        for (code, expected) in [
            ("EntryNotFound", "entry"),
            ("RevisionNotFound", "revision"),
            ("RepoNotFound", "repo"),
        ] {
            let hub = Hub::start().await;
            let missing = ResponseTemplate::new(404).insert_header("x-error-code", code);
            hub.answer("GET", "/api/models/a/b/tree/main", missing).await;
            let err = hub.api().list_repo_files("a/b").await.unwrap_err();
            assert!(err.to_string().starts_with(expected), "{err}");
        }
    }

    #[tokio::test]
    async fn paths_go_as_a_form_in_batches() {
        let found = json!([{"type": "file", "path": "a", "size": 1, "oid": null}]);
        let hub = Hub::with("POST", "/api/models/a/b/paths-info/v1", 200, found).await;
        let api = hub.api();
        let entries = api
            .get_paths_info("a/b", ["README.md", "data/ü&x.csv"])
            .revision("v1")
            .await
            .unwrap();
        assert_eq!(entries[0].path(), "a");
        let paths: Vec<String> = (0..501).map(|n| n.to_string()).collect();
        let entries = api
            .get_paths_info("a/b", paths)
            .revision("v1")
            .expand(true)
            .await
            .unwrap();
        assert_eq!(entries.len(), 2);
        let asked = hub.asked().await;
        assert_eq!(
            asked[0],
            "POST /api/models/a/b/paths-info/v1 paths=README.md&paths=data%2F%C3%BC%26x.csv&expand=false"
        );
        assert_eq!(asked[2], "POST /api/models/a/b/paths-info/v1 paths=500&expand=true");
        let nothing = api.get_paths_info("a/b", Vec::<String>::new()).await.unwrap_err();
        assert_eq!(nothing.status(), Some(404), "there is no such revision");
        assert_eq!(
            hub.asked().await[3],
            "POST /api/models/a/b/paths-info/main expand=false"
        );
    }
}
