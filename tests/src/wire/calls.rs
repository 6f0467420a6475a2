//! From a recorded call to ours.

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use futures_util::TryFutureExt as _;
use hub_cache::HubCache;
use hub_http::{Error, HfApi, HfApiBuilder, Items, Operation, TokenChoice, api};
use hub_types::Token;
use hub_types::env::Env;
use serde_json::{Map, Value, json};

use super::vector::{TOKEN, Vector, fill_value};

type Calling = Pin<Box<dyn Future<Output = Result<(), Outcome>> + Send>>;

/// What calls are made on.
struct World {
    api: HfApi,
    cache: HubCache,
}

/// How a call ended, by the Python client's names.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// Well.
    Ok,
    /// With an error that has these names there.
    Failed { names: Vec<&'static str>, message: String },
}

/// What the Python client says of an argument that cannot be right.
const REFUSALS: [&str; 3] = ["HFValidationError", "ValueError", "TypeError"];

impl Outcome {
    /// An argument that cannot be right.
    pub(super) fn refused(message: String) -> Self {
        Self::Failed {
            names: REFUSALS.into(),
            message,
        }
    }

    /// Whether it is the recorded one.
    pub(super) fn is(&self, recorded: &str) -> bool {
        match self {
            Self::Ok => recorded == "ok",
            Self::Failed { names, .. } => names.contains(&recorded),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Failed { names, message } => write!(f, "{} ({message})", names.first().unwrap_or(&"an error")),
        }
    }
}

/// What became of an attempt to call.
pub(super) enum Called {
    /// It was made.
    Ended(Outcome),
    /// Our operation does not take these arguments.
    NotAccepted(String),
}

/// An operation that a vector can name.
pub(super) struct Call {
    name: &'static str,
    begin: fn(&World, Value) -> Result<Calling, serde_json::Error>,
}

fn plain<O>() -> Call
where
    O: Operation<Context = HfApi, Error = Error> + 'static,
    O::IntoFuture: Send + 'static,
{
    Call {
        name: O::NAME,
        begin: |world, args| {
            let running = O::from_data(&world.api, args)?.into_future();
            Ok(Box::pin(async move {
                running.await.map(drop).map_err(|err| failed(&err, python_names(&err)))
            }))
        },
    }
}

/// As the official client's were, listings are read to their end.
fn listing<O, T>() -> Call
where
    O: Operation<Context = HfApi, Output = Items<T>, Error = Error> + 'static,
    O::IntoFuture: Send + 'static,
    T: Send + Unpin + 'static,
{
    Call {
        name: O::NAME,
        begin: |world, args| {
            let running = O::from_data(&world.api, args)?.into_future();
            Ok(Box::pin(async move {
                let all = match running.await {
                    Ok(items) => items.collect_all().await.map(drop),
                    Err(err) => Err(err),
                };
                all.map_err(|err| failed(&err, python_names(&err)))
            }))
        },
    }
}

/// What the official client has a function for and we have the cache.
fn cached<O>(name: &'static str) -> Call
where
    O: Operation<Context = HubCache, Error = hub_cache::Error> + 'static,
    O::IntoFuture: Send + 'static,
{
    Call {
        name: O::NAME,
        begin: |world, args| {
            let running = O::from_data(&world.cache, args)?.into_future();
            Ok(Box::pin(async move {
                running
                    .await
                    .map(drop)
                    .map_err(|err| failed(&err, names_of_cache_error(&err)))
            }))
        },
    }
    .called(name)
}

macro_rules! calls {
    ($kind:ident: $($area:ident: $($op:ident),+;)+) => { vec![$($(calls!(@ $kind $area $op),)+)+] };
    (@ plain $area:ident $op:ident) => { plain::<api::$area::$op>() };
    (@ listing $area:ident $op:ident) => { listing::<api::$area::$op, _>() };
}

/// Every operation of the library. A test compares it with what the library has.
fn table() -> Vec<Call> {
    let mut table = calls! {
        plain:
        resolve: GetHfFileMetadata, GetHfFileMetadataAt, FileExists, DownloadToPath, DownloadRange, DownloadBytes;
        safetensors: ParseSafetensorsFileMetadata, GetSafetensorsMetadata, GetShardedSafetensorsMetadata;
        upload: CreateCommit, UploadFile, UploadFolder, DeleteFile, DeleteFiles, DeleteFolder, PreuploadLfsFiles;
        access: GrantAccess, CancelAccessRequest, AcceptAccessRequest, RejectAccessRequest;
        account: Whoami, AuthCheck;
        buckets: CreateBucket, GetBucketInfo, DeleteBucket, MoveBucket, UpdateBucketSettings, GetBucketPathsInfo, BatchBucketFiles, GetBucketFileMetadata, CopyFiles, DownloadBucketFiles, SyncBucket;
        cards: LoadCard, ValidateCard, PushCard, MetadataUpdate;
        collections: GetCollection, CreateCollection, UpdateCollectionMetadata, UpdateCollectionResourceGroup, DeleteCollection, AddCollectionItem, DeleteCollectionItem, UpdateCollectionItem;
        commits: ListRepoRefs, CreateBranch, DeleteBranch, CreateTag, DeleteTag, SuperSquashHistory, PermanentlyDeleteLfsFiles;
        datasets: ListDatasetParquetFiles, GetDatasetLeaderboard;
        discussions: GetDiscussionDetails, CreateDiscussion, CreatePullRequest, CommentDiscussion, EditDiscussionComment, HideDiscussionComment, RenameDiscussion, ChangeDiscussionStatus, MergePullRequest, UploadAttachment;
        endpoints: ListInferenceEndpoints, ResumeInferenceEndpoint, DeleteInferenceEndpoint, CreateInferenceEndpoint, UpdateInferenceEndpoint, CreateInferenceEndpointFromCatalog, ListInferenceCatalog, GetInferenceEndpoint, WaitForInferenceEndpoint, PauseInferenceEndpoint, ScaleToZeroInferenceEndpoint, ListInferenceEndpointsHardware;
        files: ListRepoFiles, GetPathsInfo, OpenFile;
        gguf: GetGgufMetadata;
        jobs: RunJob, CancelJob, UpdateJobExpose, UpdateJobLabels, WaitForJob, ListJobsHardware, CreateScheduledJob, ListScheduledJobs, InspectScheduledJob, TriggerScheduledJob, UpdateScheduledJobSchedule, UpdateScheduledJobLabels, InspectJob, RerunJob, DeleteScheduledJob, SuspendScheduledJob, ResumeScheduledJob, RunUvJob, CreateScheduledUvJob, SyncJobVolume;
        papers: ListPapers, GetPaperInfo, ReadPaper, ListDailyPapers;
        repos: CreateRepo, DeleteRepo, MoveRepo, UpdateRepoSettings, DuplicateRepo, GetRepoInfo, GetModelInfo, GetDatasetInfo, GetSpaceInfo, GetKernelInfo, RepoExists, RevisionExists, GetFullRepoName;
        safetensors: ParseSafetensorsFileMetadata, GetSafetensorsMetadata, GetShardedSafetensorsMetadata;
        search: SearchSpaces, GetModelTags, GetDatasetTags;
        spaces: RestartSpace, RequestSpaceHardware, SetSpaceSleepTime, WaitForSpace, GetSpaceSecrets, AddSpaceSecret, DeleteSpaceSecret, GetSpaceVariables, AddSpaceVariable, DeleteSpaceVariable, SetSpaceVolumes, DeleteSpaceVolumes, ListSpacesHardware, ListSpaceTemplates, GetZeroGpuQuota, GetSpaceRuntime, PauseSpace, EnableSpaceDevMode, DisableSpaceDevMode;
        users: GetUserOverview, GetOrganizationOverview, ListLikedRepos, Unlike;
        webhooks: ListWebhooks, CreateWebhook, UpdateWebhook, DeleteWebhook, GetWebhook, EnableWebhook, DisableWebhook;
    };
    table.extend(calls! {
        listing:
        resolve: DownloadStream;
        access: ListPendingAccessRequests, ListAcceptedAccessRequests, ListRejectedAccessRequests;
        buckets: ListBuckets, ListBucketTree;
        collections: ListCollections;
        commits: ListRepoCommits, ListLfsFiles;
        discussions: GetRepoDiscussions;
        files: ListRepoTree;
        jobs: ListJobs, FetchJobLogs, FetchJobMetrics;
        repos: ListUserRepos;
        search: ListModels, ListDatasets, ListSpaces;
        spaces: FetchSpaceLogs;
        users: ListRepoLikers, ListOrganizationMembers, ListOrganizationFollowers, ListUserFollowers, ListUserFollowing;
    });
    table.extend([
        cached::<hub_cache::DownloadFile>("hf_hub_download"),
        cached::<hub_cache::ResolveRevision>("resolve_revision"),
        cached::<hub_cache::SnapshotDownload>("snapshot_download"),
        cached::<hub_cache::VerifyRepoChecksums>("verify_repo_checksums"),
    ]);
    table
}

/// Arguments that change nothing on the wire (how long is waited, what is printed and how, what is kept in memory) and are data only
/// where the operation is ours to bound.
const LOCAL: [&str; 5] = ["timeout", "free_memory", "verbose", "quiet", "tqdm_class"];

impl Call {
    fn called(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// The operation of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        table().into_iter().find(|call| call.name == name)
    }

    /// The operation that a vector calls: one of there may be two of ours, by its arguments.
    pub(super) fn of(vector: &Vector) -> Option<Self> {
        if vector.op == "get_hf_file_metadata" && vector.args.contains_key("url") {
            return Self::named("get_hf_file_metadata_at");
        }
        Self::named(&vector.op)
    }

    /// Makes the recorded call to the server at `url`, with a cache below `home`.
    pub(super) async fn make(&self, vector: &Vector, url: String, home: &Path) -> anyhow::Result<Called> {
        let folder = tempfile::tempdir()?;
        let mut args = match fill_value(&Value::Object(vector.args.clone()), &url) {
            Value::Object(args) => args,
            _ => Map::new(),
        };
        let asks_viewer = !vector.exchanges.is_empty();
        let api = client(&url, home, asks_viewer)?.with_token(token(args.remove("token"))?);
        let cache = HubCache::new(api.clone(), home.join("cache"));
        let world = World { api, cache };
        to_files(vector, &mut args, folder.path())?;
        let in_queue = args.remove("run_as_future") == Some(Value::Bool(true));
        let mut begun = (self.begin)(&world, Value::Object(args.clone()));
        for name in LOCAL {
            let unknown = format!("unknown field `{name}`");
            if begun.as_ref().is_err_and(|err| err.to_string().contains(&unknown)) {
                args.remove(name);
                begun = (self.begin)(&world, Value::Object(args.clone()));
            }
        }
        Ok(match begun {
            Err(problem) => Called::NotAccepted(problem.to_string()),
            Ok(running) => Called::Ended(if in_queue {
                match world.api.run_as_future(running.map_err(Queued::Ended)).await {
                    Ok(()) => Outcome::Ok,
                    Err(Queued::Ended(failed)) => failed,
                    Err(Queued::Lost(err)) => failed(&err, python_names(&err)),
                }
            } else {
                running.await.err().unwrap_or(Outcome::Ok)
            }),
        })
    }
}

/// How a call that waited for its turn failed.
enum Queued {
    /// It was made.
    Ended(Outcome),
    /// It was not.
    Lost(Error),
}

impl From<Error> for Queued {
    fn from(err: Error) -> Self {
        Self::Lost(err)
    }
}

/// A client as the recorded one was: the token stored, no wait before a retry.
///
/// The official client knows one dataset viewer, the public Hub's, and refuses to ask it from elsewhere.
fn client(url: &str, home: &Path, with_viewer: bool) -> anyhow::Result<HfApi> {
    let home = home.to_str().expect("temporary folders have names that are text");
    let env = Env::from_pairs([("HF_HOME", home), ("HF_TOKEN", TOKEN), ("HF_ENDPOINT", url)]);
    let mut builder = HfApiBuilder::from_env(&env)?
        .inference_endpoints(format!("{url}/ie"))
        .inference_catalog(format!("{url}/ie/catalog"))
        // The recorded server's etags look like git's ids and are none.
        .verify(false)
        .retries(5, Duration::from_millis(1));
    if with_viewer {
        builder = builder.dataset_viewer(url);
    }
    Ok(builder.build()?)
}

/// The call's own choice of token.
fn token(argument: Option<Value>) -> anyhow::Result<TokenChoice> {
    Ok(match argument {
        None | Some(Value::Null) => TokenChoice::Implicit,
        Some(Value::Bool(true)) => TokenChoice::Required,
        Some(Value::Bool(false)) => TokenChoice::None,
        Some(Value::String(text)) => TokenChoice::Explicit(Token::new(&text)?),
        Some(other) => anyhow::bail!("{other} is no token argument"),
    })
}

/// Puts what is to be uploaded into files, and the arguments that name them in place of those that hold it.
fn to_files(vector: &Vector, args: &mut Map<String, Value>, folder: &Path) -> anyhow::Result<()> {
    let (file_argument, folder_argument) = match vector.op.as_str() {
        "upload_attachment" => ("path", "path"),
        "run_uv_job" | "create_scheduled_uv_job" => ("script", "script"),
        "sync_job_volume" | "sync_bucket" => ("source", "source"),
        _ => ("path_or_fileobj", "folder_path"),
    };
    let mut count = 0;
    let mut file = |name: Option<String>, text: &str| -> anyhow::Result<PathBuf> {
        count += 1;
        let path = folder.join(name.unwrap_or_else(|| format!("upload-{count}")));
        fs_err::write(&path, text)?;
        Ok(path)
    };
    let text = match args.remove("text") {
        Some(Value::String(text)) => Some(text),
        // An attachment's bytes stand in its request, too.
        _ if vector.op == "upload_attachment" => vector
            .exchanges
            .first()
            .and_then(|exchange| exchange.request.text.clone()),
        _ => None,
    };
    if let Some(text) = text {
        let given = args.get(file_argument).and_then(Value::as_str);
        // The name tells what is in it, or stands in the request.
        let name = given.and_then(|given| given.rsplit(['/', '\\']).next().map(str::to_owned));
        let name = name
            .filter(|name| !name.is_empty())
            .or_else(|| Some(format!("attachment.{}", extension(vector)?)));
        args.insert(file_argument.to_owned(), json!(file(name, &text)?));
    }
    for list in ["operations", "additions"] {
        let Some(Value::Array(operations)) = args.get_mut(list) else {
            continue;
        };
        for operation in operations {
            let Some(operation) = operation.as_object_mut() else {
                continue;
            };
            if let Some(Value::String(text)) = operation.remove("text") {
                operation.insert("path_or_fileobj".to_owned(), json!(file(None, &text)?));
            }
        }
    }
    if let Some(Value::Object(files)) = args.remove("folder") {
        let root = folder.join("folder");
        fs_err::create_dir_all(&root)?;
        for (path, text) in files {
            let path = root.join(path);
            if let Some(parent) = path.parent() {
                fs_err::create_dir_all(parent)?;
            }
            fs_err::write(path, text.as_str().unwrap_or_default())?;
        }
        args.insert(folder_argument.to_owned(), json!(root));
    }
    Ok(())
}

/// The ending of an attachment's name, by the kind that its request tells.
fn extension(vector: &Vector) -> Option<&str> {
    let kind = vector.exchanges.first()?.request.headers.get("content-type")?;
    Some(match kind.as_str() {
        "video/quicktime" => "mov",
        "audio/mpeg" => "mp3",
        kind => kind.rsplit('/').next()?,
    })
}

fn failed(err: &dyn std::error::Error, names: Vec<&'static str>) -> Outcome {
    Outcome::Failed {
        names,
        message: chain(err),
    }
}

/// An error with what is below it.
fn chain(err: &dyn std::error::Error) -> String {
    let mut text = err.to_string();
    let mut cause = err.source();
    while let Some(err) = cause {
        text.push_str(": ");
        text.push_str(&err.to_string());
        cause = err.source();
    }
    text
}

/// The Python client's classes for an error of ours.
fn python_names(err: &Error) -> Vec<&'static str> {
    match err {
        // There, a hidden repository is recognised on https addresses only, and this is none.
        Error::RepoNotFound(reply) if reply.status == 401 => vec!["RepositoryNotFoundError", "HfHubHTTPError"],
        Error::RepoNotFound(_) => vec!["RepositoryNotFoundError"],
        Error::GatedRepo(_) => vec!["GatedRepoError"],
        Error::DisabledRepo(_) => vec!["DisabledRepoError"],
        Error::RevisionNotFound(_) => vec!["RevisionNotFoundError"],
        Error::EntryNotFound(_) => vec!["RemoteEntryNotFoundError", "EntryNotFoundError"],
        Error::FilesNotFound { .. } => vec!["EntryNotFoundError"],
        Error::BucketNotFound(_) => vec!["BucketNotFoundError"],
        Error::JobNotFound(_) => vec!["JobNotFoundError"],
        Error::BadRequest(_) => vec!["BadRequestError"],
        Error::Batch { .. } => vec!["BucketBatchError"],
        Error::NotDeployed { .. } => vec!["InferenceEndpointError"],
        Error::NoSafetensors { .. } => vec!["NotASafetensorsRepoError"],
        // There, other replies that make no sense end in whatever error comes of it.
        Error::MalformedReply { .. } => vec!["SafetensorsParsingError"],
        Error::Metadata { .. } => vec!["FileMetadataError"],
        Error::Offline { .. } => vec!["OfflineModeIsEnabled"],
        // There, a call that needs a token has another error for one that was switched off, and for one that the Hub asks for.
        Error::TokenNotFound => vec!["LocalTokenNotFoundError", "ValueError", "HfHubHTTPError"],
        Error::Invalid(_) => REFUSALS.into(),
        Error::WaitedTooLong { .. } => vec!["TimeoutError", "JobTimeoutError", "InferenceEndpointTimeoutError"],
        Error::Io(err) if err.kind() == std::io::ErrorKind::NotFound => vec!["FileNotFoundError"],
        _ if err.status().is_some() => vec!["HfHubHTTPError"],
        _ => vec![],
    }
}

fn names_of_cache_error(err: &hub_cache::Error) -> Vec<&'static str> {
    match err {
        hub_cache::Error::Http(err) => python_names(err),
        hub_cache::Error::Invalid(_) | hub_cache::Error::CannotForce { .. } => REFUSALS.into(),
        hub_cache::Error::UnknownRevision { .. } => vec!["ValueError", "RevisionResolutionError"],
        hub_cache::Error::NotCached { .. } => vec!["LocalEntryNotFoundError", "RevisionResolutionError"],
        hub_cache::Error::IncompleteSnapshot { .. } => vec!["IncompleteSnapshotError", "LocalEntryNotFoundError"],
        _ => vec![],
    }
}

/// The names of all operations that can be replayed.
pub(super) fn names() -> Vec<&'static str> {
    table().into_iter().map(|call| call.name).collect()
}
