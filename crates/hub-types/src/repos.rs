//! Models of the `repos` area: what a repository is, who may see it, and its refs.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::files::LfsInfo;
use crate::model::{Lenient, open_enum, reply};
use crate::spaces::SpaceRuntime;
use crate::{CommitHash, RepoId, RepoPath, RepoType, Timestamp, ValidationError};

open_enum! {
    /// Who may see a repository.
    Visibility {
        /// Everybody.
        Public = "public",
        /// Its owner, or the members of the organisation.
        Private = "private",
        /// Everybody may use it, its files are hidden. Spaces only.
        Protected = "protected",
    }

    /// What a Space is built with.
    SpaceSdk {
        /// Gradio.
        Gradio = "gradio",
        /// Streamlit.
        Streamlit = "streamlit",
        /// A Dockerfile.
        Docker = "docker",
        /// Static files.
        Static = "static",
    }

    /// Where a repository's files are stored.
    Region {
        /// The United States.
        Us = "us",
        /// The European Union.
        Eu = "eu",
    }

    /// A property of a model that `expand` can ask for.
    ModelProperty {
        /// Whose it is.
        Author = "author",
        /// The models it was made from.
        BaseModels = "baseModels",
        /// Its card's metadata.
        CardData = "cardData",
        /// How many models were made from it.
        ChildrenModelCount = "childrenModelCount",
        /// Its configuration.
        Config = "config",
        /// When it was made.
        CreatedAt = "createdAt",
        /// Whether it was disabled.
        Disabled = "disabled",
        /// Downloads of the last 30 days.
        Downloads = "downloads",
        /// All downloads.
        DownloadsAllTime = "downloadsAllTime",
        /// Its evaluation results.
        EvalResults = "evalResults",
        /// Whether access is gated.
        Gated = "gated",
        /// What its GGUF files say.
        Gguf = "gguf",
        /// Whether inference is warm.
        Inference = "inference",
        /// Who serves it.
        InferenceProviderMapping = "inferenceProviderMapping",
        /// When it was last changed.
        LastModified = "lastModified",
        /// Its library.
        LibraryName = "library_name",
        /// How many like it.
        Likes = "likes",
        /// Its mask token.
        MaskToken = "mask_token",
        /// Its evaluation results in the card.
        ModelIndex = "model-index",
        /// Its task.
        PipelineTag = "pipeline_tag",
        /// Whether it is private.
        Private = "private",
        /// Its resource group.
        ResourceGroup = "resourceGroup",
        /// What its safetensors files say.
        Safetensors = "safetensors",
        /// Its commit.
        Sha = "sha",
        /// Its files.
        Siblings = "siblings",
        /// The Spaces that use it.
        Spaces = "spaces",
        /// Its tags.
        Tags = "tags",
        /// How `transformers` loads it.
        TransformersInfo = "transformersInfo",
        /// How much it is looked at now.
        TrendingScore = "trendingScore",
        /// Bytes that it takes.
        UsedStorage = "usedStorage",
        /// Its widget's examples.
        WidgetData = "widgetData",
    }

    /// A property of a dataset that `expand` can ask for.
    DatasetProperty {
        /// Whose it is.
        Author = "author",
        /// Its card's metadata.
        CardData = "cardData",
        /// How to cite it.
        Citation = "citation",
        /// When it was made.
        CreatedAt = "createdAt",
        /// What it is.
        Description = "description",
        /// Whether it was disabled.
        Disabled = "disabled",
        /// Downloads of the last 30 days.
        Downloads = "downloads",
        /// All downloads.
        DownloadsAllTime = "downloadsAllTime",
        /// Whether access is gated.
        Gated = "gated",
        /// When it was last changed.
        LastModified = "lastModified",
        /// How many like it.
        Likes = "likes",
        /// Bytes of its main branch.
        MainSize = "mainSize",
        /// Its id at Papers with Code.
        PaperswithcodeId = "paperswithcode_id",
        /// Whether it is private.
        Private = "private",
        /// Its resource group.
        ResourceGroup = "resourceGroup",
        /// Its commit.
        Sha = "sha",
        /// Its files.
        Siblings = "siblings",
        /// Its tags.
        Tags = "tags",
        /// How much it is looked at now.
        TrendingScore = "trendingScore",
        /// Bytes that it takes.
        UsedStorage = "usedStorage",
    }

    /// A property of a Space that `expand` can ask for.
    SpaceProperty {
        /// Whose it is.
        Author = "author",
        /// Its card's metadata.
        CardData = "cardData",
        /// When it was made.
        CreatedAt = "createdAt",
        /// The datasets it uses.
        Datasets = "datasets",
        /// Whether it was disabled.
        Disabled = "disabled",
        /// When it was last changed.
        LastModified = "lastModified",
        /// How many like it.
        Likes = "likes",
        /// The models it uses.
        Models = "models",
        /// Whether it is private.
        Private = "private",
        /// Where it is stored.
        Region = "region",
        /// Its resource group.
        ResourceGroup = "resourceGroup",
        /// How it runs.
        Runtime = "runtime",
        /// What it is built with.
        Sdk = "sdk",
        /// Its commit.
        Sha = "sha",
        /// Its files.
        Siblings = "siblings",
        /// Its host's name.
        Subdomain = "subdomain",
        /// Its tags.
        Tags = "tags",
        /// How much it is looked at now.
        TrendingScore = "trendingScore",
        /// Bytes that it takes.
        UsedStorage = "usedStorage",
    }
}

/// Whether access to a repository has to be asked for. In JSON `false`, `"auto"` or `"manual"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Gated {
    /// No.
    No,
    /// Whoever asks gets it.
    Auto,
    /// The owner decides on each request.
    Manual,
    /// A word that this version does not know.
    Other(String),
}

impl From<&str> for Gated {
    fn from(word: &str) -> Self {
        match word {
            "false" => Self::No,
            "auto" => Self::Auto,
            "manual" => Self::Manual,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "false",
            Self::Auto => "auto",
            Self::Manual => "manual",
            Self::Other(word) => word,
        })
    }
}

impl Serialize for Gated {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::No => serializer.serialize_bool(false),
            word => serializer.collect_str(word),
        }
    }
}

impl<'de> Deserialize<'de> for Gated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Flag(bool),
            Word(String),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Flag(false) => Self::No,
            Either::Flag(true) => Self::Other("true".to_owned()),
            Either::Word(word) => Self::from(word.as_str()),
        })
    }
}

crate::argument!(Gated: from &str);

/// `false` switches gating off.
impl crate::Argument<Gated> for bool {
    fn into_argument(self) -> Result<Option<Gated>, ValidationError> {
        match self {
            false => Ok(Some(Gated::No)),
            true => Err(ValidationError::new(
                "gated",
                "true",
                "must be 'auto', 'manual' or false",
            )),
        }
    }
}

/// A secret or a variable that a new Space gets. `Debug` does not show its value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyValue {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl<K: Into<String>, V: Into<String>> From<(K, V)> for KeyValue {
    fn from((key, value): (K, V)) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            description: None,
        }
    }
}

impl fmt::Debug for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyValue")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// Where a repository is on the web.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct RepoUrl {
    /// The Hub's base URL, without a slash at the end.
    pub endpoint: String,
    /// The repository.
    pub repo: RepoId,
    /// For a copy: whether large files are still being copied.
    pub files_copy_pending: bool,
}

impl RepoUrl {
    /// The address of `repo` on the Hub at `endpoint`.
    pub fn new(endpoint: &str, repo: RepoId) -> Self {
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            repo,
            files_copy_pending: false,
        }
    }

    /// Reads the address that the Hub gave for a repository of type `repo_type`.
    ///
    /// # Errors
    ///
    /// When it does not lie below `endpoint`, or names no repository.
    pub fn parse(endpoint: &str, url: &str, repo_type: RepoType) -> Result<Self, ValidationError> {
        let endpoint = endpoint.trim_end_matches('/');
        let refuse = || ValidationError::new("repo URL", url, format!("must be {endpoint}/namespace/name"));
        let path = url
            .strip_prefix(endpoint)
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or_else(refuse)?;
        let end = path.find(['?', '#']).unwrap_or(path.len());
        let named: RepoId = path[..end].trim_end_matches('/').parse().map_err(|_| refuse())?;
        Ok(Self::new(endpoint, named.with_type(repo_type)))
    }

    /// The address.
    pub fn url(&self) -> String {
        format!("{}/{}", self.endpoint, self.repo.url_path())
    }
}

impl fmt::Display for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url())
    }
}

reply! {
    /// A file in the information about a repository.
    Sibling {
        /// Its path, as the server sent it. Take [`Sibling::repo_path`] to join it to a directory.
        rfilename as "rfilename" : String,
        /// The size of its content in bytes, if it was asked for.
        size?: u64,
        /// The git object's id, if it was asked for.
        blob_id?: String,
        /// How it is stored, for a large file, if it was asked for.
        lfs?: LfsInfo => Lenient,
    }

    /// What a model's safetensors files hold.
    SafetensorsInfo {
        /// How many parameters of each type.
        parameters = BTreeMap<String, u64>,
        /// How many parameters in all.
        total = u64,
        ..
    }

    /// How `transformers` loads a model.
    TransformersInfo {
        /// Its class.
        auto_model as "auto_model" : String,
        /// A class of the repository's own.
        custom_class as "custom_class" ?: String,
        /// Its task.
        pipeline_tag as "pipeline_tag" ?: String,
        /// The class of its processor.
        processor as "processor" ?: String,
    }

    /// Who serves a model, and how.
    InferenceProviderMapping {
        /// Who serves it.
        provider = String,
        /// Its name there.
        provider_id: String,
        /// `live`, `staging` or `error`.
        status: String,
        /// Its task there.
        task: String,
        /// The kind of adapter.
        adapter?: String,
        /// Where the adapter's weights are.
        adapter_weights_path?: String,
        /// `single-model` or `tag-filter`.
        kind as "type" ?: String,
    }

    /// What the Hub knows of a model. Only its id is always there.
    ModelInfo {
        /// Its id.
        id: String,
        /// Its number in the Hub's database.
        internal_id as "_id" ?: String,
        /// Whose it is.
        author?: String,
        /// The commit that the revision resolved to.
        sha?: String,
        /// When it was last changed.
        last_modified as "lastModified" | "last_modified" ?: Timestamp,
        /// When it was made.
        created_at as "createdAt" | "created_at" ?: Timestamp,
        /// Whether it is private.
        private?: bool,
        /// Whether access is gated.
        gated?: Gated,
        /// Whether the Hub disabled it.
        disabled?: bool,
        /// Downloads of the last 30 days.
        downloads?: u64,
        /// All downloads.
        downloads_all_time?: u64,
        /// How many like it.
        likes?: u64,
        /// Its tags.
        tags?: Vec<String>,
        /// How much it is looked at now.
        trending_score?: f64,
        /// Bytes that it takes.
        used_storage?: u64,
        /// Its card's metadata, as it stands there.
        card_data as "cardData" | "card_data" ?: serde_json::Value,
        /// Its files.
        siblings?: Vec<Sibling>,
        /// Its resource group.
        resource_group?: serde_json::Value,
        /// Its task.
        pipeline_tag as "pipeline_tag" ?: String,
        /// Its library.
        library_name as "library_name" ?: String,
        /// Its mask token.
        mask_token as "mask_token" ?: String,
        /// Its configuration.
        config?: serde_json::Value,
        /// What its GGUF files say.
        gguf?: serde_json::Value,
        /// The evaluation results in its card.
        model_index as "model-index" | "model_index" ?: serde_json::Value,
        /// Its widget's examples.
        widget_data?: serde_json::Value,
        /// How `transformers` loads it.
        transformers_info as "transformersInfo" | "transformers_info" ?: TransformersInfo => Lenient,
        /// What its safetensors files hold.
        safetensors?: SafetensorsInfo => Lenient,
        /// What the scanners say of all its files.
        security_repo_status?: serde_json::Value,
        /// `warm` if somebody serves it.
        inference?: String,
        /// Who serves it.
        inference_provider_mapping?: Vec<InferenceProviderMapping> => Providers,
        /// Its evaluation results.
        eval_results?: serde_json::Value,
        /// The models it was made from.
        base_models?: serde_json::Value,
        /// How many models were made from it.
        children_model_count?: u64,
        /// The Spaces that use it.
        spaces?: Vec<String>,
        /// Whether its large files are kept in Xet storage, if it was asked for (`xetEnabled` in `expand`).
        xet_enabled?: bool,
        ..
    }

    /// What the Hub knows of a dataset. Only its id is always there.
    DatasetInfo {
        /// Its id.
        id: String,
        /// Its number in the Hub's database.
        internal_id as "_id" ?: String,
        /// Whose it is.
        author?: String,
        /// The commit that the revision resolved to.
        sha?: String,
        /// When it was last changed.
        last_modified as "lastModified" | "last_modified" ?: Timestamp,
        /// When it was made.
        created_at as "createdAt" | "created_at" ?: Timestamp,
        /// Whether it is private.
        private?: bool,
        /// Whether access is gated.
        gated?: Gated,
        /// Whether the Hub disabled it.
        disabled?: bool,
        /// Downloads of the last 30 days.
        downloads?: u64,
        /// All downloads.
        downloads_all_time?: u64,
        /// How many like it.
        likes?: u64,
        /// Its tags.
        tags?: Vec<String>,
        /// How much it is looked at now.
        trending_score?: f64,
        /// Bytes that it takes.
        used_storage?: u64,
        /// Bytes of its main branch.
        main_size?: u64,
        /// Its card's metadata, as it stands there.
        card_data as "cardData" | "card_data" ?: serde_json::Value,
        /// Its files.
        siblings?: Vec<Sibling>,
        /// Its resource group.
        resource_group?: serde_json::Value,
        /// How to cite it.
        citation?: String,
        /// What it is.
        description?: String,
        /// Its id at Papers with Code.
        paperswithcode_id as "paperswithcode_id" ?: String,
        /// Whether its large files are kept in Xet storage, if it was asked for (`xetEnabled` in `expand`).
        xet_enabled?: bool,
        ..
    }

    /// What the Hub knows of a Space. Only its id is always there.
    SpaceInfo {
        /// Its id.
        id: String,
        /// Its number in the Hub's database.
        internal_id as "_id" ?: String,
        /// Whose it is.
        author?: String,
        /// The commit that the revision resolved to.
        sha?: String,
        /// When it was last changed.
        last_modified as "lastModified" | "last_modified" ?: Timestamp,
        /// When it was made.
        created_at as "createdAt" | "created_at" ?: Timestamp,
        /// Whether it is private.
        private?: bool,
        /// Whether access is gated.
        gated?: Gated,
        /// Whether the Hub disabled it.
        disabled?: bool,
        /// How many like it.
        likes?: u64,
        /// Its tags.
        tags?: Vec<String>,
        /// How much it is looked at now.
        trending_score?: f64,
        /// Bytes that it takes.
        used_storage?: u64,
        /// Its card's metadata, as it stands there.
        card_data as "cardData" | "card_data" ?: serde_json::Value,
        /// Its files.
        siblings?: Vec<Sibling>,
        /// Its resource group.
        resource_group?: serde_json::Value,
        /// Where it answers.
        host?: String,
        /// Its host's first label.
        subdomain?: String,
        /// What it is built with.
        sdk?: SpaceSdk,
        /// How it runs.
        runtime?: SpaceRuntime => Lenient,
        /// The models it uses.
        models?: Vec<String>,
        /// The datasets it uses.
        datasets?: Vec<String>,
        /// Where it is stored.
        region?: Region,
        /// Whether its large files are kept in Xet storage, if it was asked for (`xetEnabled` in `expand`).
        xet_enabled?: bool,
        ..
    }

    /// What the Hub knows of a repository of kernels. Only its id is always there.
    KernelInfo {
        /// Its id.
        id: String,
        /// Its number in the Hub's database.
        internal_id as "_id" ?: String,
        /// Whose it is.
        author?: String,
        /// The commit that the revision resolved to.
        sha?: String,
        /// When it was last changed.
        last_modified?: Timestamp,
        /// Whether it is private.
        private?: bool,
        /// Whether access is gated.
        gated?: Gated,
        /// Downloads of the last 30 days.
        downloads?: u64,
        /// How many like it.
        likes?: u64,
        ..
    }

    /// A branch, a tag or another ref.
    GitRefInfo {
        /// Its short name: `main`.
        name: String,
        /// Its full name: `refs/heads/main`.
        git_ref as "ref" : String,
        /// The commit that it points to.
        target_commit: String,
    }

    /// The refs of a repository.
    GitRefs {
        /// Its branches.
        branches = Vec<GitRefInfo>,
        /// The branches that the Hub made by conversion.
        converts = Vec<GitRefInfo>,
        /// Its tags.
        tags = Vec<GitRefInfo>,
        /// Its pull requests, if they were asked for.
        pull_requests?: Vec<GitRefInfo>,
    }

    /// A large file among all that a repository's history holds.
    LfsFileInfo {
        /// The SHA-256 of its content; what names it when it is to be deleted.
        file_oid: String,
        /// Its name.
        filename: String,
        /// The git object's id.
        oid: String,
        /// When it was pushed.
        pushed_at?: Timestamp,
        /// The ref that has it.
        git_ref as "ref" ?: String,
        /// Its size in bytes.
        size = u64,
        ..
    }

    /// A repository of an account, with the storage that it takes.
    RepoStorageInfo {
        /// Its id.
        id: String,
        /// `model`, `dataset`, `space` or `bucket`.
        repo_type as "type" : String,
        /// When it was last changed.
        updated_at?: Timestamp,
        /// Who may see it.
        visibility?: Visibility,
        /// Bytes that it takes.
        storage = u64,
        /// Its share of the account's storage.
        storage_percent = f64,
        ..
    }
}

impl Sibling {
    /// Its path, checked: safe to join to a directory.
    ///
    /// # Errors
    ///
    /// When the server sent a path that would leave the directory.
    pub fn repo_path(&self) -> Result<RepoPath, ValidationError> {
        RepoPath::try_from(self.rfilename.as_str())
    }
}

/// Reads an object keyed by provider (as the information about a model has it) or an array (as listings have it).
struct Providers<T>(Option<T>);

impl<'de> Deserialize<'de> for Providers<Vec<InferenceProviderMapping>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(read_providers(serde_json::Value::deserialize(deserializer)?)))
    }
}

fn read_providers(value: serde_json::Value) -> Option<Vec<InferenceProviderMapping>> {
    let entries: Vec<serde_json::Value> = match value {
        serde_json::Value::Array(entries) => entries,
        serde_json::Value::Object(entries) => entries
            .into_iter()
            .map(|(provider, mut entry)| {
                if let Some(entry) = entry.as_object_mut() {
                    entry.insert("provider".to_owned(), provider.into());
                }
                entry
            })
            .collect(),
        _ => return None,
    };
    Some(
        entries
            .into_iter()
            .filter_map(|entry| serde_json::from_value(entry).ok())
            .collect(),
    )
}

/// What the Hub knows of a repository of any type.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum RepoInfo {
    /// A model.
    Model(Box<ModelInfo>),
    /// A dataset.
    Dataset(Box<DatasetInfo>),
    /// A Space.
    Space(Box<SpaceInfo>),
    /// A repository of kernels.
    Kernel(Box<KernelInfo>),
}

macro_rules! common {
    ($($(#[$doc:meta])* $name:ident: $out:ty = |$info:ident| $get:expr;)+) => {
        impl RepoInfo { $(
            $(#[$doc])*
            pub fn $name(&self) -> $out {
                match self {
                    Self::Model($info) => $get,
                    Self::Dataset($info) => $get,
                    Self::Space($info) => $get,
                    Self::Kernel($info) => $get,
                }
            }
        )+ }
    };
}

common! {
    /// Its id.
    id: &str = |info| &info.id;
    /// Whose it is.
    author: Option<&str> = |info| info.author.as_deref();
    /// The commit that the revision resolved to.
    sha: Option<&str> = |info| info.sha.as_deref();
    /// When it was last changed.
    last_modified: Option<Timestamp> = |info| info.last_modified;
    /// Whether it is private.
    private: Option<bool> = |info| info.private;
    /// Whether access is gated.
    gated: Option<&Gated> = |info| info.gated.as_ref();
    /// How many like it.
    likes: Option<u64> = |info| info.likes;
}

impl RepoInfo {
    /// Its type.
    pub fn repo_type(&self) -> RepoType {
        match self {
            Self::Model(_) => RepoType::Model,
            Self::Dataset(_) => RepoType::Dataset,
            Self::Space(_) => RepoType::Space,
            Self::Kernel(_) => RepoType::Kernel,
        }
    }

    /// The commit that the revision resolved to, if the reply has a whole one.
    pub fn commit_hash(&self) -> Option<CommitHash> {
        self.sha()?.parse().ok()
    }

    /// Its files; none for a repository of kernels.
    pub fn siblings(&self) -> Option<&[Sibling]> {
        match self {
            Self::Model(info) => info.siblings.as_deref(),
            Self::Dataset(info) => info.siblings.as_deref(),
            Self::Space(info) => info.siblings.as_deref(),
            Self::Kernel(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_read_with_all_its_spellings() {
        let info: ModelInfo = serde_json::from_str(
            r#"{"_id":"64aa","id":"acme/tiny","sha":"91c54ad1727ee830252e457677f467be0bfd8a57","gated":"manual",
                "lastModified":"2025-03-01T10:00:00.000Z","library_name":"transformers","pipeline_tag":"text-generation",
                "transformersInfo":{"auto_model":"AutoModel","processor":"AutoTokenizer"},"trendingScore":1.5,
                "safetensors":{"parameters":{"BF16":1048576},"total":1048576},"model-index":[],"tags":null,
                "siblings":[{"rfilename":"README.md"},{"rfilename":"../x","lfs":{}},
                  {"rfilename":"m","size":3,"blobId":"b","lfs":{"sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","size":3,"pointerSize":135}}],
                "inferenceProviderMapping":{"groq":{"status":"live","providerId":"tiny-1","task":"conversational"},"odd":7},
                "arXivIds":["1"]}"#,
        )
        .unwrap();
        assert_eq!(info.gated, Some(Gated::Manual));
        assert_eq!(info.library_name.as_deref(), Some("transformers"));
        assert_eq!(
            info.transformers_info.unwrap().processor.as_deref(),
            Some("AutoTokenizer")
        );
        assert_eq!(info.safetensors.unwrap().parameters["BF16"], 1_048_576);
        let providers = info.inference_provider_mapping.unwrap();
        assert_eq!((providers.len(), providers[0].provider.as_str()), (1, "groq"));
        let siblings = info.siblings.unwrap();
        assert!(siblings[0].repo_path().is_ok() && siblings[1].repo_path().is_err() && siblings[1].lfs.is_none());
        assert_eq!(siblings[2].lfs.as_ref().unwrap().pointer_size, Some(135));
        assert_eq!(info.tags, None);
        assert_eq!(info.other["arXivIds"], serde_json::json!(["1"]));
    }

    #[test]
    fn only_the_id_must_be_there() {
        assert_eq!(
            serde_json::from_str::<DatasetInfo>(r#"{"id":"a/b"}"#).unwrap().id,
            "a/b"
        );
        assert_eq!(serde_json::from_str::<KernelInfo>(r#"{"id":"a/b"}"#).unwrap().id, "a/b");
        let space: SpaceInfo = serde_json::from_str(r#"{"id":"a/b","sdk":"new-one","runtime":{"odd":1}}"#).unwrap();
        assert_eq!(
            (space.sdk, space.runtime),
            (Some(SpaceSdk::Other("new-one".into())), None)
        );
        let listed: ModelInfo = serde_json::from_str(
            r#"{"id":"a","gated":false,"inferenceProviderMapping":[{"provider":"x","providerId":"y","status":"new","task":"t"}]}"#,
        )
        .unwrap();
        assert_eq!(listed.inference_provider_mapping.unwrap()[0].status, "new");
    }

    #[test]
    fn gated_is_false_or_a_word() {
        for (json, gated) in [
            ("false", Gated::No),
            ("\"auto\"", Gated::Auto),
            ("\"later\"", Gated::Other("later".into())),
        ] {
            assert_eq!(serde_json::from_str::<Gated>(json).unwrap(), gated);
            assert_eq!(serde_json::to_string(&gated).unwrap(), json);
        }
    }

    #[test]
    fn a_repo_url_is_read_and_shown() {
        let url = RepoUrl::parse("http://hub/", "http://hub/datasets/a/b", RepoType::Dataset).unwrap();
        assert_eq!(
            (url.repo.id(), url.to_string()),
            ("a/b", "http://hub/datasets/a/b".to_owned())
        );
        for bad in [
            "http://evil/a/b",
            "http://hub/a/b/c",
            "http://hub/",
            "http://hubx/a/b",
            "a/b",
        ] {
            assert!(RepoUrl::parse("http://hub", bad, RepoType::Model).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_value_of_a_secret_is_not_shown() {
        let secret = KeyValue::from(("TOKEN", "s3cret"));
        assert!(!format!("{secret:?}").contains("s3cret"));
        assert_eq!(
            serde_json::to_value(&secret).unwrap(),
            serde_json::json!({"key": "TOKEN", "value": "s3cret"})
        );
    }
}
