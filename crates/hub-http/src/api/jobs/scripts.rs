//! Jobs that begin on this machine: Python scripts run by uv, and folders that a job mounts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hub_types::buckets::BucketId;
use hub_types::jobs::{JobHardware, JobInfo, ScheduledJobInfo};
use hub_types::spaces::Volume;
use hub_types::{OneOrMany, Sha256, ValidationError};
use serde_json::{Value, json};

use super::Labels;
use super::body::default_name;
use crate::api::buckets::BucketAdd;
use crate::api::endpoints::Variables;
use crate::api::webhooks::Secrets;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::runtime::blocking;
use crate::transfer::xet;

/// The image that scripts run in: uv on Python 3.12.
const IMAGE: &str = "ghcr.io/astral-sh/uv:python3.12-bookworm";
/// The bucket of an account that holds what its jobs bring along.
const ARTIFACTS: &str = "jobs-artifacts";
/// Where a job finds them.
const MOUNT: &str = "/data";

operation! {
    impl HfApi, Error;

    /// Runs a Python script, or a command, with uv on the Hub's hardware.
    ///
    /// The script, and each argument that is a file here, goes into the private bucket `{namespace}/jobs-artifacts`,
    /// which the job has at `/data`; that needs the feature `xet`. Addresses and commands run as they are. What a
    /// script's own header says of the launch is not read here.
    ///
    /// Endpoint: `POST /api/jobs/{namespace}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let job = api.run_uv_job("https://example.org/train.py").dependencies("trl").flavor("a10g-small");
    /// println!("{}", job.await?.id);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Io`] for a script that is not there; [`Error::MissingFeature`]; as for [`HfApi::run_job`].
    pub fn run_uv_job(
        /// A file here, an address, or a command.
        script: String,
    ) -> RunUvJob(RunUvJobArgs) => JobInfo {
        /// What the script is given.
        script_args: OneOrMany<String>,
        /// Packages to install for it.
        dependencies: OneOrMany<String>,
        /// The version of Python. By default the image's, 3.12.
        python: String,
        /// An image that has uv. By default uv's own.
        image: String,
        /// Its environment.
        env: Variables,
        /// Its secrets: environment that nobody can read afterwards.
        secrets: Secrets,
        /// What to run on. `cpu-basic` by default.
        flavor: JobHardware,
        /// After how long it is ended: seconds, or text like `30m`, `2h`, `1d`. 30 minutes by default.
        timeout: Value,
        /// How often it is run until it ends well, the first time included.
        attempts: u64,
        /// Its name. By default made of the script and its arguments.
        name: String,
        /// Its labels.
        labels: Labels,
        /// What is mounted.
        volumes: OneOrMany<Volume>,
        /// Ports that those may reach who may see the job.
        expose: OneOrMany<u16>,
        /// Ports that everybody may reach.
        expose_public: OneOrMany<u16>,
        /// Whether one can log in to it.
        ssh: bool,
        /// The network it shares with other jobs.
        network_group: String,
        /// Its names in that network.
        network_aliases: OneOrMany<String>,
        /// The resource group it belongs to.
        resource_group_id: String,
        /// Whose it is. By default the token's account.
        namespace: String,
    }
}

impl RunUvJobArgs {
    async fn run(self, api: HfApi) -> Result<JobInfo> {
        let script = Script {
            name: script_name(self.name, self.labels.as_ref(), &self.script, self.script_args.as_ref()),
            script: self.script,
            args: self.script_args.unwrap_or_default().0,
            dependencies: self.dependencies.unwrap_or_default().0,
            python: self.python,
            volumes: self.volumes.unwrap_or_default().0,
            namespace: crate::api::namespace_or_own(&api, self.namespace).await?,
        };
        let ready = script.ship(&api).await?;
        api.run_job(self.image.as_deref().unwrap_or(IMAGE), ready.command)
            .env(self.env)
            .secrets(self.secrets)
            .flavor(self.flavor)
            .timeout(self.timeout)
            .attempts(self.attempts)
            .name(ready.name)
            .labels(self.labels)
            .volumes(ready.volumes)
            .expose(self.expose)
            .expose_public(self.expose_public)
            .ssh(self.ssh)
            .network_group(self.network_group)
            .network_aliases(self.network_aliases)
            .resource_group_id(self.resource_group_id)
            .namespace(ready.namespace)
            .await
    }
}

operation! {
    impl HfApi, Error;

    /// Runs a Python script, or a command, with uv on a schedule. See [`HfApi::run_uv_job`].
    ///
    /// Endpoint: `POST /api/scheduled-jobs/{namespace}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.create_scheduled_uv_job("https://example.org/report.py", "@daily").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`HfApi::run_uv_job`].
    pub fn create_scheduled_uv_job(
        /// A file here, an address, or a command.
        script: String,
        /// When: `@hourly`, `@daily` and the like, or a CRON expression of five fields.
        schedule: String,
    ) -> CreateScheduledUvJob(CreateScheduledUvJobArgs) => ScheduledJobInfo {
        /// What the script is given.
        script_args: OneOrMany<String>,
        /// Begins suspended. By default it runs.
        suspend: bool,
        /// A run may begin while another runs. By default it may not.
        concurrency: bool,
        /// Packages to install for it.
        dependencies: OneOrMany<String>,
        /// The version of Python. By default the image's, 3.12.
        python: String,
        /// An image that has uv. By default uv's own.
        image: String,
        /// Its environment.
        env: Variables,
        /// Its secrets: environment that nobody can read afterwards.
        secrets: Secrets,
        /// What to run on. `cpu-basic` by default.
        flavor: JobHardware,
        /// After how long a run is ended: seconds, or text like `30m`, `2h`, `1d`. 30 minutes by default.
        timeout: Value,
        /// How often a run is repeated until it ends well, the first time included.
        attempts: u64,
        /// Its name. By default made of the script and its arguments.
        name: String,
        /// Its labels.
        labels: Labels,
        /// What is mounted.
        volumes: OneOrMany<Volume>,
        /// Ports that those may reach who may see the job.
        expose: OneOrMany<u16>,
        /// Ports that everybody may reach.
        expose_public: OneOrMany<u16>,
        /// The resource group it belongs to.
        resource_group_id: String,
        /// Whose it is. By default the token's account.
        namespace: String,
    }
}

impl CreateScheduledUvJobArgs {
    async fn run(self, api: HfApi) -> Result<ScheduledJobInfo> {
        let script = Script {
            name: script_name(self.name, self.labels.as_ref(), &self.script, self.script_args.as_ref()),
            script: self.script,
            args: self.script_args.unwrap_or_default().0,
            dependencies: self.dependencies.unwrap_or_default().0,
            python: self.python,
            volumes: self.volumes.unwrap_or_default().0,
            namespace: crate::api::namespace_or_own(&api, self.namespace).await?,
        };
        let ready = script.ship(&api).await?;
        api.create_scheduled_job(self.image.as_deref().unwrap_or(IMAGE), ready.command, self.schedule)
            .suspend(self.suspend)
            .concurrency(self.concurrency)
            .env(self.env)
            .secrets(self.secrets)
            .flavor(self.flavor)
            .timeout(self.timeout)
            .attempts(self.attempts)
            .name(ready.name)
            .labels(self.labels)
            .volumes(ready.volumes)
            .expose(self.expose)
            .expose_public(self.expose_public)
            .resource_group_id(self.resource_group_id)
            .namespace(ready.namespace)
            .await
    }
}

/// What is to run, as the caller said it.
struct Script {
    name: Option<String>,
    script: String,
    args: Vec<String>,
    dependencies: Vec<String>,
    python: Option<String>,
    volumes: Vec<Volume>,
    namespace: String,
}

/// What is to run, as the job finds it.
struct Ready {
    name: Option<String>,
    command: Vec<String>,
    volumes: Vec<Volume>,
    namespace: String,
}

impl Script {
    /// Brings the files that are here to where the job finds them.
    async fn ship(self, api: &HfApi) -> Result<Ready> {
        let words: Vec<String> = std::iter::once(&self.script).chain(&self.args).cloned().collect();
        let files = blocking(move || Ok(local_files(&words)?)).await?;
        let mut volumes = self.volumes;
        let renamed = remote_names(&files);
        if !files.is_empty() {
            if let Some(volume) = volumes.iter().find(|volume| volume.mount_path == MOUNT) {
                let rule = "is where the job finds the files that it brings along: mount yours elsewhere";
                return Err(ValidationError::new("mount_path", &volume.mount_path, rule).into());
            }
            xet::available(api)?;
            let bucket: BucketId = format!("{}/{ARTIFACTS}", self.namespace).parse()?;
            let folder = format!(
                "{}-{:06x}",
                jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S"),
                fastrand::u32(..) >> 8
            );
            api.create_bucket(bucket.as_str()).exist_ok(true).private(true).await?;
            let add: Vec<BucketAdd> = renamed
                .iter()
                .map(|(local, remote)| BucketAdd {
                    source: PathBuf::from(local).into(),
                    destination: format!("{folder}/{remote}"),
                })
                .collect();
            api.batch_bucket_files(bucket.clone()).add(add).await?;
            volumes.push(volume(&bucket, MOUNT, &folder, false));
        }
        let there = |word: String| match renamed.get(&word) {
            Some(remote) => format!("{MOUNT}/{remote}"),
            None => word,
        };
        let mut command = vec!["uv".to_owned(), "run".to_owned()];
        for dependency in self.dependencies {
            command.extend(["--with".to_owned(), dependency]);
        }
        if let Some(python) = self.python {
            command.extend(["--python".to_owned(), python]);
        }
        command.push(there(self.script));
        command.extend(self.args.into_iter().map(there));
        Ok(Ready {
            name: self.name,
            command,
            volumes,
            namespace: self.namespace,
        })
    }
}

/// The words that are files here. One that must be a file and is none is an error. Blocks.
fn local_files(words: &[String]) -> std::io::Result<Vec<String>> {
    const SCRIPTS: [&str; 5] = ["py", "sh", "yaml", "yml", "toml"];
    let mut files = Vec::new();
    for word in words {
        let path = Path::new(word);
        let is_script = path
            .extension()
            .is_some_and(|ext| SCRIPTS.iter().any(|known| ext == *known));
        let is_address = word.starts_with("https://") || word.starts_with("http://");
        if path.is_file() {
            if !files.contains(word) {
                files.push(word.clone());
            }
        } else if is_script && !is_address {
            let message = format!("{word}: there is no such file here");
            return Err(std::io::Error::new(std::io::ErrorKind::NotFound, message));
        }
    }
    Ok(files)
}

/// What each file is called where the job finds it: its name without blanks, with a number where another has that.
fn remote_names(files: &[String]) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    let mut taken: Vec<String> = Vec::new();
    for file in files {
        let path = Path::new(file);
        let name = path.file_name().unwrap_or_default().to_string_lossy().replace(' ', "_");
        let (stem, extension) = match name.rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() => (stem.to_owned(), format!(".{extension}")),
            _ => (name.clone(), String::new()),
        };
        let mut remote = name;
        let mut number = 0;
        while taken.contains(&remote) {
            remote = format!("{stem}({number}){extension}");
            number += 1;
        }
        taken.push(remote.clone());
        names.insert(file.clone(), remote);
    }
    names
}

/// The given name; else one of the script and its arguments, unless the labels have one.
fn script_name(
    name: Option<String>,
    labels: Option<&Labels>,
    script: &str,
    args: Option<&OneOrMany<String>>,
) -> Option<String> {
    if name.is_some() || labels.is_some_and(|labels| labels.contains_key("name")) {
        return name;
    }
    let bare = script.split(['?', '#']).next().unwrap_or(script);
    let last = bare.trim_end_matches('/').rsplit('/').next().unwrap_or(bare);
    let last = last.strip_suffix(".py").unwrap_or(last);
    let base = if last.is_empty() { script } else { last };
    let args = args.map(|args| args.0.as_slice()).unwrap_or_default();
    Some(default_name(base, script, args))
}

fn volume(bucket: &BucketId, mount_path: &str, path: &str, read_only: bool) -> Volume {
    let volume = json!({
        "type": "bucket",
        "source": bucket,
        "mountPath": mount_path,
        "path": path,
        "readOnly": read_only,
    });
    serde_json::from_value(volume).expect("these are fields of the type")
}

operation! {
    impl HfApi, Error;

    /// Brings a folder into the bucket `{namespace}/jobs-artifacts` and gives the volume by which a job mounts it.
    ///
    /// What is there already and has not changed is not sent again. It is a copy: what changes here later is not seen
    /// by the job. An empty folder gets a file `.keep`, since a folder without files cannot be mounted. Needs the
    /// feature `xet` where something is to be uploaded.
    ///
    /// Endpoints: those of [`HfApi::create_bucket`], [`HfApi::bucket_info`] and [`HfApi::sync_bucket`].
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let inputs = api.sync_job_volume("./inputs", "/inputs").await?;
    /// api.run_job("python:3.12", ["ls", "/inputs"]).volumes(vec![inputs]).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a mount path that is not absolute and for a source that is no folder; as for
    /// [`HfApi::sync_bucket`].
    pub fn sync_job_volume(
        /// The folder.
        source: PathBuf,
        /// Where the job has it: an absolute path.
        mount_path: String,
    ) -> SyncJobVolume(SyncJobVolumeArgs) => Volume {
        /// The folder's name in the bucket. By default made of its own name, its path and this machine's name.
        remote_name: String,
        /// Whether the job may only read it. By default so.
        read_only: bool,
        /// Whose bucket. By default the token's account.
        namespace: String,
    }
}

impl SyncJobVolumeArgs {
    async fn run(self, api: HfApi) -> Result<Volume> {
        if !self.mount_path.starts_with('/') {
            return Err(ValidationError::new("mount_path", &self.mount_path, "must be an absolute path").into());
        }
        let source = self.source;
        let named = self.remote_name.clone();
        let look = move || {
            if !source.is_dir() {
                return Ok(Err(source));
            }
            let name = match named {
                Some(name) => name,
                None => volume_name(&fs_err::canonicalize(&source)?, &machine_name()),
            };
            let has_files = walkdir::WalkDir::new(&source)
                .follow_links(true)
                .into_iter()
                .filter_map(Result::ok)
                .any(|entry| entry.file_type().is_file());
            Ok(Ok((source, name, has_files)))
        };
        let (source, folder, has_files) = match blocking(look).await? {
            Ok(found) => found,
            Err(source) => {
                let rule = "must be a folder that is there";
                return Err(ValidationError::new("source", source.to_string_lossy(), rule).into());
            }
        };
        let namespace = crate::api::namespace_or_own(&api, self.namespace).await?;
        let bucket: BucketId = format!("{namespace}/{ARTIFACTS}").parse()?;
        api.create_bucket(bucket.as_str()).exist_ok(true).private(true).await?;
        if !api.bucket_info(bucket.clone()).await?.private {
            tracing::warn!(%bucket, "the bucket is public: everybody can read what is brought there for the job");
        }
        let source = source
            .to_str()
            .map(str::to_owned)
            .ok_or_else(|| ValidationError::new("source", source.to_string_lossy(), "must be text in UTF-8"))?;
        api.sync_bucket()
            .source(source)
            .dest(format!("hf://buckets/{bucket}/{folder}"))
            .await?;
        if !has_files {
            let keep = BucketAdd {
                source: bytes::Bytes::new().into(),
                destination: format!("{folder}/.keep"),
            };
            api.batch_bucket_files(bucket.clone()).add(vec![keep]).await?;
        }
        Ok(volume(
            &bucket,
            &self.mount_path,
            &folder,
            self.read_only.unwrap_or(true),
        ))
    }
}

/// The same for the same folder of the same machine, another for any other.
fn volume_name(folder: &Path, machine: &str) -> String {
    let hash = Sha256::of(format!("{machine}:{}", folder.display()).as_bytes()).to_string();
    let name = folder.file_name().map(|name| name.to_string_lossy().replace(' ', "_"));
    format!("{}-{}", name.as_deref().unwrap_or("root"), &hash[..8])
}

#[cfg(unix)]
fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn machine_name() -> String {
    use hub_types::env::{COMPUTERNAME, Env};
    let name = Env::process().text(COMPUTERNAME).ok().flatten().map(str::to_owned);
    name.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_without_a_name_gets_the_python_clients() {
        let name = |script: &str, args: &[&str]| {
            let args = OneOrMany(args.iter().map(|arg| (*arg).to_owned()).collect());
            script_name(None, None, script, Some(&args)).unwrap()
        };
        assert_eq!(name("my_script.py", &["--epochs", "3"]), "my_script-74887813");
        assert_eq!(name("https://h/x/sft.py?raw=1", &[]), "sft-380fec49");
        assert_eq!(name("lighteval", &[]), "lighteval-b2ed8695");
        let labels = Labels::from([("name".to_owned(), "mine".to_owned())]);
        assert_eq!(script_name(None, Some(&labels), "x.py", None), None);
    }

    #[test]
    fn files_of_one_name_are_told_apart() {
        let names = remote_names(&["a/my run.py", "b/my_run.py", "c/my_run.py", "conf"].map(str::to_owned));
        assert_eq!(names["a/my run.py"], "my_run.py");
        assert_eq!(names["b/my_run.py"], "my_run(0).py");
        assert_eq!(names["c/my_run.py"], "my_run(1).py");
        assert_eq!(names["conf"], "conf");
    }

    #[test]
    fn a_script_that_is_not_here_is_told_by_name() {
        let err = local_files(&["missing.py".to_owned()]).unwrap_err().to_string();
        assert!(err.contains("missing.py"), "{err}");
        let words = ["https://h/x.py", "lighteval", "--flag"].map(str::to_owned);
        assert_eq!(local_files(&words).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_folders_name_is_the_python_clients() {
        assert_eq!(volume_name(Path::new("/home/ada/my data"), "box"), "my_data-f7e0cae3");
        assert_eq!(volume_name(Path::new("/"), "box"), "root-658abb96");
    }
}
