//! What the headers of safetensors files say, read without the files.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::FutureExt as _;
use futures_util::stream::{StreamExt as _, TryStreamExt as _};
use hub_types::safetensors::{SafetensorsFileMetadata, SafetensorsRepoMetadata};
use hub_types::{RepoId, RepoPath, RepoType, Revision};
use serde::Deserialize;
use serde_json::Value;

use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::request::Request;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// How much of a file is asked for at first: most headers are smaller.
const FIRST_BYTES: u64 = 100_001;
/// A header that says it is longer is refused.
const LONGEST_HEADER: u64 = 25_000_000;
/// How many files are read at once.
const FILES_AT_ONCE: usize = 8;

operation! {
    impl HfApi, Error;

    /// Reads the header of one safetensors file: its tensors, and how many parameters they have. One request for most
    /// files, two for a header of more than 100 kB.
    ///
    /// Endpoint: `GET /{repo}/resolve/{revision}/{filename}` with `Range`
    ///
    /// # Errors
    ///
    /// [`Error::MalformedReply`] when it is no such file; [`Error::EntryNotFound`], [`Error::RevisionNotFound`],
    /// [`Error::RepoNotFound`]; see [`Error`] for those any call can return.
    pub fn parse_safetensors_file_metadata(
        /// The repo.
        repo_id: RepoId,
        /// The file.
        filename: RepoPath,
    ) -> ParseSafetensorsFileMetadata(ParseSafetensorsFileMetadataArgs) => SafetensorsFileMetadata {
        /// What the repo holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// The branch, tag or commit. By default `main`.
        revision: Revision,
    }
}

impl ParseSafetensorsFileMetadataArgs {
    async fn run(self, api: HfApi) -> Result<SafetensorsFileMetadata> {
        let repo = self.repo_id.typed(self.repo_type);
        read_header(&api, &repo, &self.revision.unwrap_or_default(), &self.filename).await
    }
}

operation! {
    impl HfApi, Error;

    /// Reads the headers of all of a repo's safetensors weights: `model.safetensors`, or the files that
    /// `model.safetensors.index.json` names.
    ///
    /// # Errors
    ///
    /// [`Error::EntryNotFound`] when the repo has neither; as for [`HfApi::parse_safetensors_file_metadata`].
    pub fn get_safetensors_metadata(
        /// The repo.
        repo_id: RepoId,
    ) -> GetSafetensorsMetadata(GetSafetensorsMetadataArgs) => SafetensorsRepoMetadata {
        /// What the repo holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// The branch, tag or commit. By default `main`.
        revision: Revision,
    }
}

impl GetSafetensorsMetadataArgs {
    async fn run(self, api: HfApi) -> Result<SafetensorsRepoMetadata> {
        let repo = self.repo_id.typed(self.repo_type);
        let revision = self.revision.unwrap_or_default();
        let single = RepoPath::try_from(SINGLE)?;
        if !api
            .file_exists(repo.clone(), single.clone())
            .revision(revision.clone())
            .await?
        {
            return sharded(&api, &repo, &revision).await;
        }
        let file = read_header(&api, &repo, &revision, &single).await?;
        let weight_map = file
            .tensors
            .keys()
            .map(|name| (name.clone(), SINGLE.to_owned()))
            .collect();
        let files = BTreeMap::from([(SINGLE.to_owned(), file)]);
        Ok(SafetensorsRepoMetadata::new(None, false, weight_map, files))
    }
}

async fn sharded(api: &HfApi, repo: &RepoId, revision: &Revision) -> Result<SafetensorsRepoMetadata> {
    #[derive(Deserialize)]
    struct Index {
        metadata: Option<Value>,
        weight_map: BTreeMap<String, String>,
    }
    let index = RepoPath::try_from(INDEX)?;
    let bytes = api
        .download_bytes(repo.clone(), index.clone())
        .revision(revision.clone())
        .await?;
    let index: Index = crate::request::parse_json(&api.hf_hub_url(repo, &index, revision), &bytes)?;
    let names: BTreeSet<&String> = index.weight_map.values().collect();
    let mut reads = Vec::new();
    for name in names {
        let path = RepoPath::try_from(name.as_str())?;
        let read = async move { Ok::<_, Error>((name.clone(), read_header(api, repo, revision, &path).await?)) };
        reads.push(read.boxed());
    }
    let files = futures_util::stream::iter(reads)
        .buffer_unordered(FILES_AT_ONCE)
        .try_collect()
        .await?;
    Ok(SafetensorsRepoMetadata::new(
        index.metadata,
        true,
        index.weight_map,
        files,
    ))
}

operation! {
    impl HfApi, Error;

    /// Reads the headers of a sharded model's weights in one request, where the Hub has them at hand: `main` only.
    ///
    /// Endpoint: `GET /api/models/{repo_id}/safetensors-metadata/{filename}`
    ///
    /// # Errors
    ///
    /// [`Error::EntryNotFound`] when there is no such index; see [`Error`] for those any call can return.
    pub fn get_sharded_safetensors_metadata(
        /// The model.
        repo_id: RepoId,
    ) -> GetShardedSafetensorsMetadata(GetShardedSafetensorsMetadataArgs) => SafetensorsRepoMetadata {
        /// The index. By default `model.safetensors.index.json`.
        filename: RepoPath,
    }
}

impl GetShardedSafetensorsMetadataArgs {
    async fn run(self, api: HfApi) -> Result<SafetensorsRepoMetadata> {
        #[derive(Deserialize)]
        struct Reply {
            index: Option<Index>,
            headers: BTreeMap<String, Value>,
        }
        #[derive(Deserialize)]
        struct Index {
            metadata: Option<Value>,
        }
        let filename = match self.filename {
            Some(filename) => filename,
            None => RepoPath::try_from(INDEX)?,
        };
        let repo = self.repo_id.with_type(RepoType::Model);
        let path = format!("/api/{}/safetensors-metadata/{}", repo.api_path(), filename.encoded());
        let reply = api.send(Request::get(path)).await?;
        let url = reply.url().to_owned();
        let reply: Reply = reply.json().await?;
        let mut files = BTreeMap::new();
        let mut weight_map = BTreeMap::new();
        for (name, header) in reply.headers {
            let file = SafetensorsFileMetadata::parse(header.to_string().as_bytes())
                .map_err(|problem| Error::malformed(&url, format!("{name}: {problem}")))?;
            weight_map.extend(file.tensors.keys().map(|tensor| (tensor.clone(), name.clone())));
            files.insert(name, file);
        }
        let metadata = reply.index.and_then(|index| index.metadata);
        Ok(SafetensorsRepoMetadata::new(metadata, true, weight_map, files))
    }
}

/// Reads a file's header: eight bytes that say how long it is, and JSON.
async fn read_header(
    api: &HfApi,
    repo: &RepoId,
    revision: &Revision,
    path: &RepoPath,
) -> Result<SafetensorsFileMetadata> {
    let malformed = |problem: String| {
        Error::malformed(
            &api.hf_hub_url(repo, path, revision),
            format!("no safetensors file: {problem}"),
        )
    };
    let range = |start, end| {
        api.download_range(repo.clone(), path.clone(), start, end)
            .revision(revision.clone())
    };
    let first = range(0, FIRST_BYTES).await?;
    let Some((length, rest)) = first.split_first_chunk::<8>() else {
        return Err(malformed(format!(
            "it has {} bytes, and the header's length takes 8",
            first.len()
        )));
    };
    let length = u64::from_le_bytes(*length);
    if length > LONGEST_HEADER {
        return Err(malformed(format!(
            "its header would have {length} bytes, more than {LONGEST_HEADER}"
        )));
    }
    // Within the limit above, so within a usize.
    let wanted = length as usize;
    let second;
    let header = if let Some(header) = rest.get(..wanted) {
        header
    } else {
        second = range(8, length + 8).await?;
        match second.get(..wanted) {
            Some(header) => header,
            None => {
                return Err(malformed(format!(
                    "it ends after {} of {length} bytes of header",
                    second.len()
                )));
            }
        }
    };
    SafetensorsFileMetadata::parse(header).map_err(malformed)
}
