//! Cards: the READMEs of repositories, their metadata and its changes. What a card is stands in [`hub_types::cards`].

use std::io::Write as _;
use std::path::Path;

use hub_types::cards::{CARD_NAME, Card, CardMap, CardReport, DATASET_TEMPLATE, MODEL_TEMPLATE};
use hub_types::commits::CommitInfo;
use hub_types::{RepoId, RepoPath, RepoType, Revision, ValidationError};
use serde_json::json;

use super::forbid_kernel;
use super::upload::UploadFileArgs;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::request::{Request, parse_json};

operation! {
    impl HfApi, Error;

    /// Reads the card of a repository.
    ///
    /// ```no_run
    /// # async fn example() -> hub_http::Result<()> {
    /// let api = hub_http::HfApi::from_env()?;
    /// let card = api.load_card("ada/demo").await?;
    /// println!("{:?} {:?}", card.license(), card.tags());
    /// # Ok(()) }
    /// ```
    ///
    /// Endpoint: `GET /{repo_id}/resolve/{revision}/README.md`. Python: `ModelCard.load` and the like.
    ///
    /// # Errors
    ///
    /// [`Error::EntryNotFound`] when there is none; [`Error::Invalid`] when it is not UTF-8 or its metadata cannot be
    /// read; as for [`HfApi::download_bytes`].
    #[doc(alias = "RepoCard.load")]
    pub fn load_card(
        /// The repository.
        repo_id: RepoId,
    ) -> LoadCard(LoadCardArgs) => Card {
        /// What the repository holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// The branch, tag or commit. By default `main`.
        revision: Revision,
    }
}

impl LoadCardArgs {
    async fn run(self, api: HfApi) -> Result<Card> {
        let repo = self.repo_id.typed(self.repo_type);
        let bytes = api
            .download_bytes(repo, RepoPath::try_from(CARD_NAME)?)
            .revision(self.revision)
            .await?;
        parse_card(bytes.into())
    }
}

fn parse_card(bytes: Vec<u8>) -> Result<Card> {
    let text = String::from_utf8(bytes).map_err(|_| ValidationError::new(CARD_NAME, "", "must be UTF-8 text"))?;
    Ok(Card::parse(text)?)
}

operation! {
    impl HfApi, Error;

    /// Asks the Hub what it thinks of a card's metadata. Nothing is changed, and no repository is needed.
    ///
    /// ```no_run
    /// # async fn example() -> hub_http::Result<()> {
    /// let api = hub_http::HfApi::from_env()?;
    /// let report = api.validate_card("---\nlicense: mine\n---\n# Demo\n").await?;
    /// for error in &report.errors {
    ///     println!("{}", error.message);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// Endpoint: `POST /api/validate-yaml`. Python: `RepoCard.validate`. A card that the Hub would refuse is no error
    /// here: see [`CardReport::is_valid`].
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    #[doc(alias = "RepoCard.validate")]
    pub fn validate_card(
        /// The whole README.
        content: String,
    ) -> ValidateCard(ValidateCardArgs) => CardReport {
        /// What the repository holds that it is for. By default a model.
        repo_type: RepoType,
    }
}

impl ValidateCardArgs {
    async fn run(self, api: HfApi) -> Result<CardReport> {
        let repo_type = self.repo_type.unwrap_or_default();
        let body = json!({ "content": self.content, "repoType": repo_type });
        match api
            .send_whole(Request::post("/api/validate-yaml").json(&body).retried())
            .await
        {
            Ok((response, bytes)) => parse_json(response.url(), &bytes),
            // The same report, if the card is refused.
            Err(Error::BadRequest(reply)) => {
                let report = reply
                    .body
                    .clone()
                    .and_then(|body| serde_json::from_value::<CardReport>(body).ok());
                report
                    .filter(|report| !report.is_valid())
                    .ok_or(Error::BadRequest(reply))
            }
            Err(err) => Err(err),
        }
    }
}

operation! {
    impl HfApi, Error;

    /// Makes a card the README of a repository, in one commit. The Hub looks at its metadata first.
    ///
    /// ```no_run
    /// # async fn example() -> hub_http::Result<()> {
    /// let api = hub_http::HfApi::from_env()?;
    /// let mut card = api.load_card("ada/demo").await?;
    /// card.set("license", "mit")?;
    /// api.push_card("ada/demo", card).create_pr(true).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// Endpoint: as [`HfApi::create_commit`]. Python: `RepoCard.push_to_hub`.
    ///
    /// # Errors
    ///
    /// [`Error::BadRequest`] with what is wrong when the Hub refuses the metadata; as for [`HfApi::create_commit`].
    #[doc(alias = "push_to_hub")]
    pub fn push_card(
        /// The repository, which must exist.
        repo_id: RepoId,
        /// The card.
        card: Card,
    ) -> PushCard(PushCardArgs) => CommitInfo {
        /// What the repository holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// The first line of the commit's message. By default one that names the file.
        commit_message: String,
        /// The rest of the message.
        commit_description: String,
        /// The branch to commit to. By default `main`.
        revision: Revision,
        /// Opens a pull request with the commit. By default it goes on the branch.
        create_pr: bool,
        /// The commit that must be the head.
        parent_commit: String,
    }
}

impl PushCardArgs {
    async fn run(self, api: HfApi) -> Result<CommitInfo> {
        // The commit has the card looked at, so that the Python client's other, anonymous question is left out.
        let args = UploadFileArgs {
            repo_id: self.repo_id.typed(self.repo_type),
            path_or_fileobj: self.card.into_content().into_bytes().into(),
            path_in_repo: CARD_NAME.to_owned(),
            repo_type: None,
            revision: self.revision,
            commit_message: self.commit_message,
            commit_description: self.commit_description,
            create_pr: self.create_pr,
            parent_commit: self.parent_commit,
            hot_reload: None,
            progress: Default::default(),
        };
        super::upload::UploadFile::from_args(&api, args).await
    }
}

operation! {
    impl HfApi, Error;

    /// Puts metadata into the card of a repository, in one commit. What it is not about stays in the file byte for
    /// byte.
    ///
    /// A key with another value is refused unless `overwrite`; the results of a `model-index` are merged one by one; see
    /// [`Card::update`]. A model or dataset without a card gets one from [`MODEL_TEMPLATE`] or [`DATASET_TEMPLATE`].
    /// When nothing changes, no commit is made and the head is given.
    ///
    /// Other than the Python client, the card of `revision` is changed, not always that of `main`: a second change to a
    /// branch would undo the first one there. Give `parent_commit` where someone else may be writing.
    ///
    /// ```no_run
    /// # async fn example() -> hub_http::Result<()> {
    /// let api = hub_http::HfApi::from_env()?;
    /// let metadata = [("license", "mit"), ("pipeline_tag", "text-generation")];
    /// let commit = api.metadata_update("ada/demo", metadata).create_pr(true).await?;
    /// println!("{:?}", commit.pr_url);
    /// # Ok(()) }
    /// ```
    ///
    /// Endpoint: as [`HfApi::load_card`] and [`HfApi::push_card`].
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when a value is there and may not be overwritten (the key and both values are named), when a
    /// `model-index` is wrong, when the card's metadata cannot be read, and for a Space without a card;
    /// [`Error::RepoNotFound`], [`Error::RevisionNotFound`]; as for [`HfApi::push_card`].
    pub fn metadata_update(
        /// The repository, which must exist.
        repo_id: RepoId,
        /// The keys and their values; null takes a key out.
        metadata: CardMap,
    ) -> MetadataUpdate(MetadataUpdateArgs) => CommitInfo {
        /// What the repository holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// Replaces values that are there. By default they are refused.
        overwrite: bool,
        /// The first line of the commit's message. By default `Update metadata with huggingface_hub`.
        commit_message: String,
        /// The rest of the message.
        commit_description: String,
        /// The branch to change. By default `main`.
        revision: Revision,
        /// Opens a pull request with the commit. By default it goes on the branch.
        create_pr: bool,
        /// The commit that must be the head.
        parent_commit: String,
    }
}

impl MetadataUpdateArgs {
    async fn run(self, api: HfApi) -> Result<CommitInfo> {
        let repo = self.repo_id.typed(self.repo_type);
        forbid_kernel(&repo)?;
        let loaded = api.load_card(repo.clone()).revision(self.revision.clone()).await;
        let mut card = match loaded {
            Ok(card) => card,
            Err(Error::EntryNotFound(_)) => {
                let template = match repo.repo_type() {
                    RepoType::Model => MODEL_TEMPLATE,
                    RepoType::Dataset => DATASET_TEMPLATE,
                    _ => {
                        let rule = "has no README.md to put metadata in";
                        return Err(ValidationError::new("Space", repo.id(), rule).into());
                    }
                };
                Card::from_template(template, &CardMap::new(), &CardMap::new())?
            }
            Err(err) => return Err(err),
        };
        card.update(&self.metadata, self.overwrite.unwrap_or(false), repo.id())?;
        let message = self.commit_message;
        let args = PushCardArgs {
            repo_id: repo,
            card,
            repo_type: None,
            commit_message: Some(message.unwrap_or_else(|| "Update metadata with huggingface_hub".to_owned())),
            commit_description: self.commit_description,
            revision: self.revision,
            create_pr: self.create_pr,
            parent_commit: self.parent_commit,
        };
        args.run(api).await
    }
}

/// Reads a card from a file.
///
/// # Errors
///
/// When the file cannot be read, is not UTF-8, or its metadata cannot be read.
pub fn read_card(path: impl AsRef<Path>) -> Result<Card> {
    parse_card(fs_err::read(path.as_ref())?)
}

/// Reads the metadata of a file. `None` if it has none.
///
/// ```no_run
/// use hub_http::api::cards::{metadata_load, metadata_save};
///
/// let mut data = metadata_load("README.md")?.unwrap_or_default();
/// data.insert("license", "mit");
/// metadata_save("README.md", &data)?;
/// # Ok::<(), hub_http::Error>(())
/// ```
///
/// # Errors
///
/// As for [`read_card`].
pub fn metadata_load(path: impl AsRef<Path>) -> Result<Option<CardMap>> {
    let card = read_card(path)?;
    let data = card.data().clone();
    Ok(Some(data).filter(|data| !data.is_empty()))
}

/// Makes this the metadata of a file, which is made if it is not there. What does not change stays byte for byte. The
/// file is replaced whole: it is never there in part.
///
/// # Errors
///
/// When the file cannot be read or written, or has metadata that cannot be read.
pub fn metadata_save(path: impl AsRef<Path>, data: &CardMap) -> Result<()> {
    let path = path.as_ref();
    let mut card = match fs_err::symlink_metadata(path) {
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Card::default(),
        _ => read_card(path)?,
    };
    if card.has_metadata() || !data.is_empty() {
        card.set_data(data)?;
    } else {
        card = Card::new(data, card.text())?;
    }
    // A link stays one: what it leads to is replaced.
    let target = fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(card.content().as_bytes())?;
    file.as_file().sync_all()?;
    set_mode(&file, &target)?;
    file.persist(&target).map_err(|err| err.error)?;
    Ok(())
}

/// The mode of the file that is replaced; of a new one, what everybody may read.
#[cfg(unix)]
fn set_mode(file: &tempfile::NamedTempFile, target: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = fs_err::metadata(target).map_or(0o644, |metadata| metadata.permissions().mode());
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_: &tempfile::NamedTempFile, _: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::api::testing::Hub;

    #[tokio::test]
    async fn a_report_is_a_report_also_of_what_is_wrong() {
        let body = json!({"errors": [{"message": "\"license\" must be one of [mit]"}], "warnings": [{"message": "w"}]});
        let hub = Hub::with("POST", "/api/validate-yaml", 400, body).await;
        let report = hub
            .api()
            .validate_card("---\nlicense: x\n---\n")
            .repo_type(RepoType::Dataset)
            .await
            .unwrap();
        assert!(!report.is_valid());
        assert_eq!(report.errors[0].message, "\"license\" must be one of [mit]");
        assert_eq!(report.warnings.len(), 1);
        assert_eq!(
            hub.asked().await,
            [r##"POST /api/validate-yaml {"content":"---\nlicense: x\n---\n","repoType":"dataset"}"##]
        );
        let hub = Hub::with("POST", "/api/validate-yaml", 200, json!({"warnings": null})).await;
        assert!(hub.api().validate_card("x").await.unwrap().is_valid());
        // A refusal of the call itself is none of the card.
        let hub = Hub::with("POST", "/api/validate-yaml", 400, Value::Null).await;
        assert!(matches!(hub.api().validate_card("x").await, Err(Error::BadRequest(_))));
    }

    #[test]
    fn metadata_of_files_is_read_and_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("README.md");
        assert!(metadata_load(&path).is_err());
        metadata_save(&path, &CardMap::from([("license", "mit")])).unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "---\nlicense: mit\n---\n");
        let text = "\u{feff}---\r\nlicense: mit # c\r\nx: ~\r\n---\r\nT\r\n";
        fs_err::write(&path, text).unwrap();
        let mut data = metadata_load(&path).unwrap().unwrap();
        data.insert("tags", ["a"]);
        metadata_save(&path, &data).unwrap();
        let changed = text.replace("x: ~\r\n", "x: ~\r\ntags:\r\n- a\r\n");
        assert_eq!(fs_err::read_to_string(&path).unwrap(), changed);
        fs_err::write(&path, "T").unwrap();
        assert_eq!(metadata_load(&path).unwrap(), None);
        metadata_save(&path, &CardMap::new()).unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "---\n{}\n---\nT");
        fs_err::write(&path, b"\xff").unwrap();
        assert!(matches!(metadata_load(&path), Err(Error::Invalid(_))));
    }
}
