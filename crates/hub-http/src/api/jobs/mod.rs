//! Jobs: containers on the Hub's hardware, once or on a schedule.

use std::collections::BTreeMap;

use hub_types::OneOrMany;
use hub_types::jobs::{HardwareInfo, JobHardware, JobInfo, JobStage};
use hub_types::spaces::Volume;
use serde_json::{Value, json};

use crate::api::endpoints::Variables;
use crate::api::webhooks::Secrets;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::events::{Events, Follow, LogLine};
use crate::operation;
use crate::page::Items;
use crate::request::Request;

mod body;
mod scheduled;
mod scripts;

use body::{JobBody, checked_labels, network, ports};
pub use scheduled::{
    CreateScheduledJob, CreateScheduledJobArgs, DeleteScheduledJob, DeleteScheduledJobArgs, InspectScheduledJob,
    InspectScheduledJobArgs, ListScheduledJobs, ListScheduledJobsArgs, ResumeScheduledJob, ResumeScheduledJobArgs,
    SuspendScheduledJob, SuspendScheduledJobArgs, TriggerScheduledJob, TriggerScheduledJobArgs,
    UpdateScheduledJobLabels, UpdateScheduledJobLabelsArgs, UpdateScheduledJobSchedule, UpdateScheduledJobScheduleArgs,
};
pub use scripts::{
    CreateScheduledUvJob, CreateScheduledUvJobArgs, RunUvJob, RunUvJobArgs, SyncJobVolume, SyncJobVolumeArgs,
};

/// Labels: names and values, each at most 100 characters of `A-Z a-z 0-9 _ -`.
pub type Labels = BTreeMap<String, String>;

operation! {
    impl HfApi, Error;

    /// Runs a command in a container on the Hub's hardware.
    ///
    /// Endpoint: `POST /api/jobs/{namespace}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let job = api
    ///     .run_job("python:3.12", ["python", "-c", "print('hello')"])
    ///     .flavor("cpu-basic")
    ///     .timeout("10m")
    ///     .await?;
    /// println!("{}", job.id);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for settings that cannot be right; see [`Error`] for those any call can return.
    pub fn run_job(
        /// A Docker image, or a Space's address: `hf.co/spaces/ada/app`.
        image: String,
        /// What to run in it.
        command: OneOrMany<String>,
    ) -> RunJob(RunJobArgs) => JobInfo {
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
        /// Its name. By default made of image and command.
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

impl RunJobArgs {
    async fn run(self, api: HfApi) -> Result<JobInfo> {
        let mut body = JobBody {
            image: self.image,
            command: self.command.0,
            env: self.env,
            secrets: self.secrets,
            flavor: self.flavor,
            timeout: self.timeout,
            attempts: self.attempts,
            name: self.name,
            labels: self.labels,
            volumes: self.volumes,
            expose: self.expose,
            expose_public: self.expose_public,
            resource_group_id: self.resource_group_id,
        }
        .into_json()?;
        if self.ssh == Some(true) {
            body["ssh"] = json!({ "enabled": true });
        }
        if let Some(network) = network(self.network_group, self.network_aliases)? {
            body["network"] = network;
        }
        let path = path(&api, self.namespace).await?;
        api.ask(Request::post(path).json(&body)).await?.json()
    }
}

operation! {
    impl HfApi, Error;

    /// Lists jobs, newest first.
    ///
    /// Endpoint: `GET /api/jobs/{namespace}`
    ///
    /// ```no_run
    /// # fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for job in api.list_jobs().status(["RUNNING"]).wait()? {
    ///     println!("{}", job?.id);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn list_jobs() -> ListJobs(ListJobsArgs) => stream JobInfo {
        /// Only those that stand here.
        status: OneOrMany<JobStage>,
        /// Only those that have all these labels.
        labels: Labels,
        /// Seconds to wait for each page. By default as for any call.
        timeout: u64,
        /// Whose. By default the token's account.
        namespace: String,
    }
}

impl ListJobsArgs {
    async fn run(self, api: HfApi) -> Result<Items<JobInfo>> {
        let mut request = Request::get(path(&api, self.namespace).await?);
        for stage in self.status.unwrap_or_default().0 {
            request = request.query("stage", stage.as_str().to_uppercase());
        }
        for (key, value) in self.labels.unwrap_or_default() {
            request = request.query("label", format!("{key}={value}"));
        }
        if let Some(seconds) = self.timeout {
            request = request.timeout(std::time::Duration::from_secs(seconds));
        }
        Ok(Items::paged(api, request))
    }
}

/// Declares an operation on one job that has no argument but its id and gives a job.
macro_rules! job_operation {
    ($($(#[$meta:meta])* $name:ident $op:ident $args:ident $method:ident $rest:literal;)+) => { $(
        operation! {
            impl HfApi, Error;

            $(#[$meta])*
            ///
            /// # Errors
            ///
            /// [`Error::JobNotFound`]; see [`Error`] for those any call can return.
            pub fn $name(
                /// The job's id.
                job_id: String,
            ) -> $op($args) => JobInfo {
                /// Whose it is. By default the token's account.
                namespace: String,
            }
        }

        impl $args {
            async fn run(self, api: HfApi) -> Result<JobInfo> {
                let path = job_path(&api, self.namespace, &self.job_id).await?;
                api.ask(Request::$method(format!("{path}{}", $rest))).await?.json()
            }
        }
    )+ };
}

job_operation! {
    /// Gives a job.
    ///
    /// Endpoint: `GET /api/jobs/{namespace}/{job_id}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let job = api.inspect_job("687f911eaea852de79c4a50a").await?;
    /// println!("{:?}", job.status);
    /// # Ok(()) }
    /// ```
    inspect_job InspectJob InspectJobArgs get "";

    /// Runs a job again and gives the new one.
    ///
    /// Endpoint: `POST /api/jobs/{namespace}/{job_id}/duplicate`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let again = api.rerun_job("687f911eaea852de79c4a50a").await?;
    /// println!("{}", again.id);
    /// # Ok(()) }
    /// ```
    rerun_job RerunJob RerunJobArgs post "/duplicate";
}

operation! {
    impl HfApi, Error;

    /// Cancels a job.
    ///
    /// Endpoint: `POST /api/jobs/{namespace}/{job_id}/cancel`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.cancel_job("687f911eaea852de79c4a50a").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::JobNotFound`]; see [`Error`] for those any call can return.
    pub fn cancel_job(
        /// The job's id.
        job_id: String,
    ) -> CancelJob(CancelJobArgs) => () {
        /// Whose it is. By default the token's account.
        namespace: String,
    }
}

impl CancelJobArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let path = job_path(&api, self.namespace, &self.job_id).await?;
        api.send(Request::post(format!("{path}/cancel"))).await.map(drop)
    }
}

operation! {
    impl HfApi, Error;

    /// Sets which of a job's ports can be reached: the whole list, none if none is given.
    ///
    /// Endpoint: `PUT /api/jobs/{namespace}/{job_id}/expose`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.update_job_expose("687f911eaea852de79c4a50a").expose([8000u16]).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::JobNotFound`]; see [`Error`] for those any call can return.
    pub fn update_job_expose(
        /// The job's id.
        job_id: String,
    ) -> UpdateJobExpose(UpdateJobExposeArgs) => JobInfo {
        /// Ports that those may reach who may see the job.
        expose: OneOrMany<u16>,
        /// Ports that everybody may reach.
        expose_public: OneOrMany<u16>,
        /// Whose it is. By default the token's account.
        namespace: String,
    }
}

impl UpdateJobExposeArgs {
    async fn run(self, api: HfApi) -> Result<JobInfo> {
        let path = job_path(&api, self.namespace, &self.job_id).await?;
        let body = ports(self.expose, self.expose_public)?;
        api.ask(Request::put(format!("{path}/expose")).json(&body))
            .await?
            .json()
    }
}

operation! {
    impl HfApi, Error;

    /// Sets a job's labels: the whole set, not an addition to it.
    ///
    /// Endpoint: `PUT /api/jobs/{namespace}/{job_id}/labels`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.update_job_labels("687f911eaea852de79c4a50a", [("project", "demo")]).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a label that cannot be, [`Error::JobNotFound`]; see [`Error`] for those any call can
    /// return.
    pub fn update_job_labels(
        /// The job's id.
        job_id: String,
        /// Its labels.
        labels: Labels,
    ) -> UpdateJobLabels(UpdateJobLabelsArgs) => JobInfo {
        /// Whose it is. By default the token's account.
        namespace: String,
    }
}

impl UpdateJobLabelsArgs {
    async fn run(self, api: HfApi) -> Result<JobInfo> {
        checked_labels(&self.labels)?;
        let path = job_path(&api, self.namespace, &self.job_id).await?;
        api.ask(Request::put(format!("{path}/labels")).json(&json!({ "labels": self.labels })))
            .await?
            .json()
    }
}

operation! {
    impl HfApi, Error;

    /// Streams what a job writes.
    ///
    /// Without [`follow`](FetchJobLogs::follow) the stream ends with what is there now. With it, it goes on until the job
    /// has ended; when the connection drops it is made again, and what was seen is not given twice.
    ///
    /// Endpoint: `GET /api/jobs/{namespace}/{job_id}/logs` (server-sent events)
    ///
    /// ```no_run
    /// # fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// // Until the job ends: a connection that drops is taken up where it was.
    /// for line in api.fetch_job_logs("687f911eaea852de79c4a50a").follow(true).wait()? {
    ///     println!("{}", line?);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::JobNotFound`]; see [`Error`] for those any call can return.
    pub fn fetch_job_logs(
        /// The job's id.
        job_id: String,
    ) -> FetchJobLogs(FetchJobLogsArgs) => stream String {
        /// Whose it is. By default the token's account.
        namespace: String,
        /// Goes on as new lines come. By default the stream ends with what is there.
        follow: bool,
        /// Only the last lines of what is there.
        tail: u64,
    }
}

impl FetchJobLogsArgs {
    async fn run(self, api: HfApi) -> Result<Items<String>> {
        let path = job_path(&api, self.namespace, &self.job_id).await?;
        let follow = if self.follow.unwrap_or(false) {
            Follow::WhileJobRuns(path.clone())
        } else {
            Follow::No
        };
        let events = Events::new(api, format!("{path}/logs"), follow).tail(self.tail);
        Ok(events.into_items(|event| {
            let line = serde_json::from_value::<LogLine>(event).ok()?.data;
            (!line.starts_with("===== Job started")).then_some(line)
        }))
    }
}

operation! {
    impl HfApi, Error;

    /// Streams what a job uses, about once a second: processors, memory, network, GPUs, as the Hub sends it.
    ///
    /// Endpoint: `GET /api/jobs/{namespace}/{job_id}/metrics` (server-sent events)
    ///
    /// ```no_run
    /// # fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for sample in api.fetch_job_metrics("687f911eaea852de79c4a50a").wait()? {
    ///     println!("{}", sample?);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::JobNotFound`]; see [`Error`] for those any call can return.
    pub fn fetch_job_metrics(
        /// The job's id.
        job_id: String,
    ) -> FetchJobMetrics(FetchJobMetricsArgs) => stream Value {
        /// Whose it is. By default the token's account.
        namespace: String,
        /// Goes on until the job has ended. By default one sample is given.
        follow: bool,
    }
}

impl FetchJobMetricsArgs {
    async fn run(self, api: HfApi) -> Result<Items<Value>> {
        let path = job_path(&api, self.namespace, &self.job_id).await?;
        let follows = self.follow.unwrap_or(false);
        let follow = if follows {
            Follow::WhileJobRuns(path.clone())
        } else {
            Follow::No
        };
        // 406, and 500 on older servers: the job is over, there are no more samples.
        let events = Events::new(api, format!("{path}/metrics"), follow).samples(&[406, 500]);
        Ok(events.into_items(Some).limited((!follows).then_some(1)))
    }
}

operation! {
    impl HfApi, Error;

    /// Waits until a job has ended, or stands where it is waited for, and gives it. A job that failed is no error here.
    ///
    /// Endpoint: `GET /api/jobs/{namespace}/{job_id}`, again and again.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let job = api.run_job("python:3.12", ["python", "--version"]).await?;
    /// let ended = api.wait_for_job(job.id).timeout(600.0).await?;
    /// println!("{:?}", ended[0].status);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::WaitedTooLong`] after `timeout`, [`Error::JobNotFound`]; see [`Error`] for those any call can return.
    pub fn wait_for_job(
        /// The job's id, or several: they are waited for one after the other, under one bound.
        job_id: OneOrMany<String>,
    ) -> WaitForJob(WaitForJobArgs) => Vec<JobInfo> {
        /// Seconds after which to give up. By default never.
        timeout: f64,
        /// Seconds between two questions, more than 0. By default 1.
        poll_interval: f64,
        /// Stands to wait for beside the end.
        stages: OneOrMany<JobStage>,
        /// Whose it is. By default the token's account.
        namespace: String,
    }
}

impl WaitForJobArgs {
    async fn run(self, api: HfApi) -> Result<Vec<JobInfo>> {
        let clock = super::Polling::new(self.timeout, self.poll_interval)?;
        let stages = self.stages.unwrap_or_default().0;
        let namespace = crate::api::namespace_or_own(&api, self.namespace).await?;
        let mut done = Vec::new();
        for id in self.job_id.0 {
            let path = job_path(&api, Some(namespace.clone()), &id).await?;
            loop {
                let job: JobInfo = api.ask(Request::get(&path)).await?.json()?;
                let stage = job.status.as_ref().map(|status| &status.stage);
                if stage.is_some_and(|stage| stage.is_terminal() || stages.contains(stage)) {
                    done.push(job);
                    break;
                }
                let state = stage.map_or("in no known stage", JobStage::as_str).to_owned();
                clock.pause(|| format!("job {id} is still {state}")).await?;
            }
        }
        Ok(done)
    }
}

operation! {
    impl HfApi, Error;

    /// Lists the hardware that jobs can run on, with its prices.
    ///
    /// Endpoint: `GET /api/jobs/hardware`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for hardware in api.list_jobs_hardware().await? {
    ///     println!("{hardware:?}");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn list_jobs_hardware() -> ListJobsHardware(ListJobsHardwareArgs) => Vec<HardwareInfo> {}
}

impl ListJobsHardwareArgs {
    async fn run(self, api: HfApi) -> Result<Vec<HardwareInfo>> {
        api.ask(Request::get("/api/jobs/hardware")).await?.json()
    }
}

async fn path(api: &HfApi, namespace: Option<String>) -> Result<String> {
    let namespace = crate::api::namespace_or_own(api, namespace).await?;
    Ok(format!("/api/jobs/{}", super::segment("namespace", &namespace)?))
}

async fn job_path(api: &HfApi, namespace: Option<String>, job_id: &str) -> Result<String> {
    let id = super::segment("job_id", job_id)?;
    Ok(format!("{}/{id}", path(api, namespace).await?))
}

async fn scheduled_path(api: &HfApi, namespace: Option<String>) -> Result<String> {
    let namespace = crate::api::namespace_or_own(api, namespace).await?;
    Ok(format!(
        "/api/scheduled-jobs/{}",
        super::segment("namespace", &namespace)?
    ))
}

async fn scheduled_job_path(api: &HfApi, namespace: Option<String>, id: &str) -> Result<String> {
    let id = super::segment("scheduled_job_id", id)?;
    Ok(format!("{}/{id}", scheduled_path(api, namespace).await?))
}

#[cfg(test)]
mod tests;
