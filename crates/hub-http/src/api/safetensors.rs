//! What the headers of safetensors files say, read without the files.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::path::Path;

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
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let file = api.parse_safetensors_file_metadata("openai-community/gpt2", "model.safetensors").await?;
    /// println!("{} tensors", file.tensors.len());
    /// # Ok(()) }
    /// ```
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
    /// Endpoints: `HEAD /{repo}/resolve/{revision}/model.safetensors`, else `HEAD` and `GET` of the index of the shards; and
    /// `GET` with `Range` for each header.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let metadata = api.get_safetensors_metadata("bigscience/bloomz-560m").await?;
    /// println!("{:?}", metadata.parameter_count);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoSafetensors`] when the repo has neither; as for [`HfApi::parse_safetensors_file_metadata`].
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

/// `model.safetensors.index.json`.
#[derive(Deserialize)]
struct Index {
    metadata: Option<Value>,
    weight_map: BTreeMap<String, String>,
}

async fn sharded(api: &HfApi, repo: &RepoId, revision: &Revision) -> Result<SafetensorsRepoMetadata> {
    let index = RepoPath::try_from(INDEX)?;
    let is_there = api
        .file_exists(repo.clone(), index.clone())
        .revision(revision.clone())
        .await?;
    if !is_there {
        return Err(Error::NoSafetensors { repo: repo.to_string() });
    }
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
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let metadata = api.get_sharded_safetensors_metadata("bigscience/bloom").await?;
    /// println!("{} shards", metadata.files_metadata.len());
    /// # Ok(()) }
    /// ```
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
        let answer = api.ask(Request::get(path)).await?;
        let reply: Reply = answer.json()?;
        let mut files = BTreeMap::new();
        let mut weight_map = BTreeMap::new();
        for (name, header) in reply.headers {
            let file = SafetensorsFileMetadata::parse(header.to_string().as_bytes())
                .map_err(|problem| Error::malformed(&answer.url, format!("{name}: {problem}")))?;
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
    let (wanted, rest) = header_length(&first).map_err(malformed)?;
    let second;
    let header = if let Some(header) = rest.get(..wanted) {
        header
    } else {
        second = range(8, wanted as u64 + 8).await?;
        match second.get(..wanted) {
            Some(header) => header,
            None => {
                return Err(malformed(format!(
                    "it ends after {} of {wanted} bytes of header",
                    second.len()
                )));
            }
        }
    };
    SafetensorsFileMetadata::parse(header).map_err(malformed)
}

/// How long the header of a file that begins so is, and what follows the length.
fn header_length(beginning: &[u8]) -> Result<(usize, &[u8]), String> {
    let Some((length, rest)) = beginning.split_first_chunk::<8>() else {
        let there = beginning.len();
        return Err(format!("it has {there} bytes, and the header's length takes 8"));
    };
    let length = u64::from_le_bytes(*length);
    if length > LONGEST_HEADER {
        return Err(format!(
            "its header would have {length} bytes, more than {LONGEST_HEADER}"
        ));
    }
    // Within the limit, so within a usize.
    Ok((length as usize, rest))
}

/// Reads the header of a safetensors file on this disk, as [`HfApi::parse_safetensors_file_metadata`] does of one on
/// the Hub. No request; only the header is read.
///
/// ```no_run
/// let header = hub_http::api::safetensors::parse_local_safetensors_file_metadata("model.safetensors")?;
/// println!("{:?}", header.parameter_count);
/// # Ok::<(), hub_http::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Io`] when the file cannot be read, or is no such file (of kind `InvalidData`).
pub fn parse_local_safetensors_file_metadata(path: impl AsRef<Path>) -> Result<SafetensorsFileMetadata> {
    let path = path.as_ref();
    let malformed = |problem| invalid(path, &format!("no safetensors file: {problem}"));
    let mut file = fs_err::File::open(path)?;
    let mut beginning = Vec::new();
    (&mut file).take(8).read_to_end(&mut beginning)?;
    let (wanted, _) = header_length(&beginning).map_err(malformed)?;
    let mut header = Vec::new();
    file.take(wanted as u64).read_to_end(&mut header)?;
    if header.len() < wanted {
        let there = header.len();
        return Err(malformed(format!("it ends after {there} of {wanted} bytes of header")));
    }
    SafetensorsFileMetadata::parse(&header).map_err(malformed)
}

/// Reads the headers of the safetensors weights on this disk: of one file, or of a folder's `model.safetensors` or the
/// files that its `model.safetensors.index.json` names. No request; only headers are read.
///
/// ```no_run
/// let weights = hub_http::api::safetensors::get_local_safetensors_metadata("models/demo")?;
/// println!("{} files", weights.files_metadata.len());
/// # Ok::<(), hub_http::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::FilesNotFound`] for a folder with neither; [`Error::Invalid`] for an index that names a file outside its
/// folder; as for [`parse_local_safetensors_file_metadata`].
pub fn get_local_safetensors_metadata(path: impl AsRef<Path>) -> Result<SafetensorsRepoMetadata> {
    let path = path.as_ref();
    let single = |name: String, path: &Path| {
        let file = parse_local_safetensors_file_metadata(path)?;
        let weight_map = file.tensors.keys().map(|tensor| (tensor.clone(), name.clone()));
        let weight_map = weight_map.collect();
        let files = BTreeMap::from([(name, file)]);
        Ok(SafetensorsRepoMetadata::new(None, false, weight_map, files))
    };
    if !fs_err::metadata(path)?.is_dir() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return single(name, path);
    }
    let file = path.join(SINGLE);
    if file.is_file() {
        return single(SINGLE.to_owned(), &file);
    }
    let place = path.join(INDEX);
    let index = match fs_err::read(&place) {
        Ok(bytes) => bytes,
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            return Err(Error::FilesNotFound {
                paths: vec![SINGLE.to_owned(), INDEX.to_owned()],
                place: path.display().to_string(),
            });
        }
        Err(err) => return Err(err.into()),
    };
    let index: Index = serde_json::from_slice(&index).map_err(|err| invalid(&place, &err.to_string()))?;
    let mut files = BTreeMap::new();
    for name in index.weight_map.values() {
        if !files.contains_key(name) {
            let shard = RepoPath::try_from(name.as_str())?;
            let file = parse_local_safetensors_file_metadata(path.join(shard.as_str()))?;
            files.insert(name.clone(), file);
        }
    }
    Ok(SafetensorsRepoMetadata::new(
        index.metadata,
        true,
        index.weight_map,
        files,
    ))
}

fn invalid(path: &Path, problem: &str) -> Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {problem}", path.display())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with one tensor of this name, and a header of at least so many bytes.
    fn weights(name: &str, header: usize) -> Vec<u8> {
        let json = format!(r#"{{"{name}":{{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}}}"#);
        let blanks = " ".repeat(header.saturating_sub(json.len()));
        let json = json + &blanks;
        let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(json.as_bytes());
        bytes.extend_from_slice(&[0; 24]);
        bytes
    }

    #[test]
    fn files_and_folders_on_this_disk_are_read_as_those_on_the_hub() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| fs_err::write(dir.path().join(name), bytes).unwrap();
        let read = || get_local_safetensors_metadata(dir.path());
        assert!(matches!(read(), Err(Error::FilesNotFound { .. })));
        write("a.safetensors", &weights("a", 0));
        write("b.safetensors", &weights("b", 200_000));
        write(
            INDEX,
            br#"{"metadata": {"total_size": 48}, "weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}"#,
        );
        let found = read().unwrap();
        assert!(found.sharded && found.metadata.is_some());
        assert_eq!(found.parameter_count["F32"], 12);
        assert_eq!(found.files_metadata["b.safetensors"].tensors["b"].shape, [2, 3]);
        let found = get_local_safetensors_metadata(dir.path().join("a.safetensors")).unwrap();
        assert_eq!(found.weight_map["a"], "a.safetensors");
        write(SINGLE, &weights("w", 0));
        let found = read().unwrap();
        assert!(!found.sharded && found.weight_map["w"] == SINGLE);
    }

    #[test]
    fn what_is_no_file_of_weights_is_told_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SINGLE);
        for (bytes, problem) in [
            (b"1234567".to_vec(), "7 bytes"),
            (u64::MAX.to_le_bytes().to_vec(), "more than"),
            (weights("w", 0)[..30].to_vec(), "ends after 22"),
            (b"\x02\0\0\0\0\0\0\0[]".to_vec(), "no JSON object"),
        ] {
            fs_err::write(&path, bytes).unwrap();
            let err = get_local_safetensors_metadata(dir.path()).unwrap_err().to_string();
            assert!(err.contains(problem) && err.contains(SINGLE), "{err}");
        }
        fs_err::remove_file(&path).unwrap();
        fs_err::write(dir.path().join(INDEX), br#"{"weight_map": {"a": "../a.safetensors"}}"#).unwrap();
        let err = get_local_safetensors_metadata(dir.path()).unwrap_err();
        assert!(matches!(err, Error::Invalid(_)), "{err}");
        let err = parse_local_safetensors_file_metadata(&path).unwrap_err();
        assert!(
            matches!(&err, Error::Io(err) if err.kind() == io::ErrorKind::NotFound),
            "{err}"
        );
    }
}
