//! Jobs: containers on the Hub's hardware, once or on a schedule.

use std::collections::BTreeMap;

use hub_types::jobs::{HardwareInfo, JobInfo, JobStage, ScheduledJobInfo};
use hub_types::spaces::Volume;
use hub_types::{OneOrMany, Sha256, ValidationError};
use serde_json::{Value, json};

use crate::api::endpoints::Variables;
use crate::api::webhooks::Secrets;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::events::{Events, Follow, LogLine};
use crate::operation;
use crate::page::Items;
use crate::request::Request;

mod scripts;

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
        flavor: String,
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
        let body = ports(self.expose, self.expose_public);
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

operation! {
    impl HfApi, Error;

    /// Runs a command in a container on a schedule.
    ///
    /// Endpoint: `POST /api/scheduled-jobs/{namespace}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let job = api
    ///     .create_scheduled_job("python:3.12", ["python", "-c", "print('every day')"], "@daily")
    ///     .concurrency(false)
    ///     .await?;
    /// println!("{}", job.id);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`HfApi::run_job`].
    pub fn create_scheduled_job(
        /// A Docker image, or a Space's address: `hf.co/spaces/ada/app`.
        image: String,
        /// What to run in it.
        command: OneOrMany<String>,
        /// When: `@hourly`, `@daily` and the like, or a CRON expression of five fields.
        schedule: String,
    ) -> CreateScheduledJob(CreateScheduledJobArgs) => ScheduledJobInfo {
        /// Begins suspended. By default it runs.
        suspend: bool,
        /// A run may begin while another runs. By default it may not.
        concurrency: bool,
        /// Its environment.
        env: Variables,
        /// Its secrets: environment that nobody can read afterwards.
        secrets: Secrets,
        /// What to run on. `cpu-basic` by default.
        flavor: String,
        /// After how long a run is ended: seconds, or text like `30m`, `2h`, `1d`. 30 minutes by default.
        timeout: Value,
        /// How often a run is repeated until it ends well, the first time included.
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
        /// The resource group it belongs to.
        resource_group_id: String,
        /// Whose it is. By default the token's account.
        namespace: String,
    }
}

impl CreateScheduledJobArgs {
    async fn run(self, api: HfApi) -> Result<ScheduledJobInfo> {
        let spec = JobBody {
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
        };
        let mut body = json!({ "jobSpec": spec.into_json()?, "schedule": checked_schedule(self.schedule)? });
        super::put(&mut body, "concurrency", self.concurrency);
        super::put(&mut body, "suspend", self.suspend);
        let path = scheduled_path(&api, self.namespace).await?;
        api.ask(Request::post(path).json(&body)).await?.json()
    }
}

operation! {
    impl HfApi, Error;

    /// Lists jobs on a schedule.
    ///
    /// Endpoint: `GET /api/scheduled-jobs/{namespace}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for job in api.list_scheduled_jobs().await? {
    ///     println!("{}", job.id);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn list_scheduled_jobs() -> ListScheduledJobs(ListScheduledJobsArgs) => Vec<ScheduledJobInfo> {
        /// Only those that have all these labels.
        labels: Labels,
        /// Seconds to wait for the answer. By default as for any call.
        timeout: u64,
        /// Whose. By default the token's account.
        namespace: String,
    }
}

impl ListScheduledJobsArgs {
    async fn run(self, api: HfApi) -> Result<Vec<ScheduledJobInfo>> {
        let labels = self.labels.unwrap_or_default();
        let mut request = Request::get(scheduled_path(&api, self.namespace).await?);
        // The Hub takes one label; the others are looked at here.
        if let Some((key, value)) = labels.iter().next() {
            request = request.query("label", format!("{key}={value}"));
        }
        if let Some(seconds) = self.timeout {
            request = request.timeout(std::time::Duration::from_secs(seconds));
        }
        let mut jobs: Vec<ScheduledJobInfo> = api.ask(request).await?.json()?;
        if !labels.is_empty() {
            jobs.retain(|job| {
                let of_job = job.job_spec.as_ref().map(|spec| &spec.labels);
                labels
                    .iter()
                    .all(|(key, value)| of_job.and_then(|labels| labels.get(key)) == Some(value))
            });
        }
        Ok(jobs)
    }
}

operation! {
    impl HfApi, Error;

    /// Gives a job on a schedule.
    ///
    /// Endpoint: `GET /api/scheduled-jobs/{namespace}/{scheduled_job_id}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let job = api.inspect_scheduled_job("687f911eaea852de79c4a50a").await?;
    /// println!("{:?}", job.schedule);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::JobNotFound`]; see [`Error`] for those any call can return.
    pub fn inspect_scheduled_job(
        /// Its id.
        scheduled_job_id: String,
    ) -> InspectScheduledJob(InspectScheduledJobArgs) => ScheduledJobInfo {
        /// Whose it is. By default the token's account.
        namespace: String,
    }
}

impl InspectScheduledJobArgs {
    async fn run(self, api: HfApi) -> Result<ScheduledJobInfo> {
        let path = scheduled_job_path(&api, self.namespace, &self.scheduled_job_id).await?;
        api.ask(Request::get(path)).await?.json()
    }
}

/// Declares an operation on one scheduled job that has no argument but its id and gives nothing.
macro_rules! scheduled_operation {
    ($($(#[$meta:meta])* $name:ident $op:ident $args:ident $method:ident $rest:literal;)+) => { $(
        operation! {
            impl HfApi, Error;

            $(#[$meta])*
            ///
            /// # Errors
            ///
            /// [`Error::JobNotFound`]; see [`Error`] for those any call can return.
            pub fn $name(
                /// Its id.
                scheduled_job_id: String,
            ) -> $op($args) => () {
                /// Whose it is. By default the token's account.
                namespace: String,
            }
        }

        impl $args {
            async fn run(self, api: HfApi) -> Result<()> {
                let path = scheduled_job_path(&api, self.namespace, &self.scheduled_job_id).await?;
                api.send(Request::$method(format!("{path}{}", $rest))).await.map(drop)
            }
        }
    )+ };
}

scheduled_operation! {
    /// Deletes a job on a schedule; runs of it go on.
    ///
    /// Endpoint: `DELETE /api/scheduled-jobs/{namespace}/{scheduled_job_id}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.delete_scheduled_job("687f911eaea852de79c4a50a").await?;
    /// # Ok(()) }
    /// ```
    delete_scheduled_job DeleteScheduledJob DeleteScheduledJobArgs delete "";

    /// Suspends a job on a schedule.
    ///
    /// Endpoint: `POST /api/scheduled-jobs/{namespace}/{scheduled_job_id}/suspend`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.suspend_scheduled_job("687f911eaea852de79c4a50a").await?;
    /// # Ok(()) }
    /// ```
    suspend_scheduled_job SuspendScheduledJob SuspendScheduledJobArgs post "/suspend";

    /// Resumes a suspended job on a schedule.
    ///
    /// Endpoint: `POST /api/scheduled-jobs/{namespace}/{scheduled_job_id}/resume`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.resume_scheduled_job("687f911eaea852de79c4a50a").await?;
    /// # Ok(()) }
    /// ```
    resume_scheduled_job ResumeScheduledJob ResumeScheduledJobArgs post "/resume";
}

operation! {
    impl HfApi, Error;

    /// Runs a job on a schedule now, and gives the run.
    ///
    /// Endpoint: `POST /api/scheduled-jobs/{namespace}/{scheduled_job_id}/run`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let run = api.trigger_scheduled_job("687f911eaea852de79c4a50a").await?;
    /// println!("{}", run.id);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] when one runs and concurrency is off, [`Error::JobNotFound`]; see [`Error`] for those any call
    /// can return.
    pub fn trigger_scheduled_job(
        /// Its id.
        scheduled_job_id: String,
    ) -> TriggerScheduledJob(TriggerScheduledJobArgs) => JobInfo {
        /// Whose it is. By default the token's account.
        namespace: String,
    }
}

impl TriggerScheduledJobArgs {
    async fn run(self, api: HfApi) -> Result<JobInfo> {
        let path = scheduled_job_path(&api, self.namespace, &self.scheduled_job_id).await?;
        api.ask(Request::post(format!("{path}/run"))).await?.json()
    }
}

operation! {
    impl HfApi, Error;

    /// Changes when a job on a schedule runs.
    ///
    /// Endpoint: `POST /api/scheduled-jobs/{namespace}/{scheduled_job_id}/schedule`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.update_scheduled_job_schedule("687f911eaea852de79c4a50a", "0 6 * * 1").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an empty schedule, [`Error::JobNotFound`]; see [`Error`] for those any call can return.
    pub fn update_scheduled_job_schedule(
        /// Its id.
        scheduled_job_id: String,
        /// When: `@hourly`, `@daily` and the like, or a CRON expression of five fields.
        schedule: String,
    ) -> UpdateScheduledJobSchedule(UpdateScheduledJobScheduleArgs) => ScheduledJobInfo {
        /// Whose it is. By default the token's account.
        namespace: String,
    }
}

impl UpdateScheduledJobScheduleArgs {
    async fn run(self, api: HfApi) -> Result<ScheduledJobInfo> {
        let schedule = checked_schedule(self.schedule)?;
        let path = scheduled_job_path(&api, self.namespace, &self.scheduled_job_id).await?;
        let request = Request::post(format!("{path}/schedule")).json(&json!({ "schedule": schedule }));
        api.ask(request).await?.json()
    }
}

operation! {
    impl HfApi, Error;

    /// Sets the labels of a job on a schedule: the whole set, not an addition to it.
    ///
    /// Endpoint: `PUT /api/scheduled-jobs/{namespace}/{scheduled_job_id}/labels`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.update_scheduled_job_labels("687f911eaea852de79c4a50a", [("project", "demo")]).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`HfApi::update_job_labels`].
    pub fn update_scheduled_job_labels(
        /// Its id.
        scheduled_job_id: String,
        /// Its labels.
        labels: Labels,
    ) -> UpdateScheduledJobLabels(UpdateScheduledJobLabelsArgs) => ScheduledJobInfo {
        /// Whose it is. By default the token's account.
        namespace: String,
    }
}

impl UpdateScheduledJobLabelsArgs {
    async fn run(self, api: HfApi) -> Result<ScheduledJobInfo> {
        checked_labels(&self.labels)?;
        let path = scheduled_job_path(&api, self.namespace, &self.scheduled_job_id).await?;
        let request = Request::put(format!("{path}/labels")).json(&json!({ "labels": self.labels }));
        api.ask(request).await?.json()
    }
}

/// What a job is made of, once or on a schedule.
struct JobBody {
    image: String,
    command: Vec<String>,
    env: Option<Variables>,
    secrets: Option<Secrets>,
    flavor: Option<String>,
    timeout: Option<Value>,
    attempts: Option<u64>,
    name: Option<String>,
    labels: Option<Labels>,
    volumes: Option<OneOrMany<Volume>>,
    expose: Option<OneOrMany<u16>>,
    expose_public: Option<OneOrMany<u16>>,
    resource_group_id: Option<String>,
}

impl JobBody {
    fn into_json(self) -> Result<Value> {
        const SPACES: [&str; 4] = [
            "https://huggingface.co/spaces/",
            "https://hf.co/spaces/",
            "huggingface.co/spaces/",
            "hf.co/spaces/",
        ];
        let space = SPACES.into_iter().find_map(|prefix| self.image.strip_prefix(prefix));
        let mut labels = self.labels.unwrap_or_default();
        match self.name {
            Some(_) if labels.contains_key("name") => {
                let rule = "give the name either by itself or as the label 'name'";
                return Err(ValidationError::new("name", labels.remove("name").unwrap_or_default(), rule).into());
            }
            Some(name) => {
                labels.insert("name".to_owned(), name);
            }
            None => {
                // A Space's id counts whole, of an image the last part.
                let base = space.unwrap_or_else(|| self.image.rsplit('/').next().unwrap_or(&self.image));
                labels
                    .entry("name".to_owned())
                    .or_insert_with(|| default_name(base, &self.image, &self.command));
            }
        }
        checked_labels(&labels)?;
        let mut body = json!({
            "command": self.command,
            "arguments": [],
            "environment": self.env.unwrap_or_default(),
            "flavor": self.flavor.as_deref().unwrap_or("cpu-basic"),
            "labels": labels,
        });
        match space {
            Some(space) => body["spaceId"] = space.into(),
            None => body["dockerImage"] = self.image.as_str().into(),
        }
        super::put(
            &mut body,
            "secrets",
            self.secrets.filter(|secrets| !secrets.0.is_empty()),
        );
        super::put(
            &mut body,
            "timeoutSeconds",
            self.timeout.map(|text| seconds(&text)).transpose()?.flatten(),
        );
        super::put(&mut body, "attempts", self.attempts);
        if let Some(volumes) = self.volumes.filter(|volumes| !volumes.0.is_empty()) {
            super::checked_volumes(&volumes.0)?;
            super::put(&mut body, "volumes", Some(volumes));
        }
        let exposed = ports(self.expose, self.expose_public);
        if exposed["ports"].as_array().is_some_and(|ports| !ports.is_empty()) {
            body["expose"] = exposed;
        }
        super::put(&mut body, "resourceGroupId", self.resource_group_id);
        Ok(body)
    }
}

/// The name of a job that was given none: what the image is called, and eight digits that stand for image and command.
fn default_name(base: &str, image: &str, command: &[String]) -> String {
    let base: String = base
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') {
                c
            } else {
                '-'
            }
        })
        .collect();
    let parts: Vec<&str> = std::iter::once(image)
        .chain(command.iter().map(String::as_str))
        .collect();
    let hash = Sha256::of(parts.join("\0").as_bytes()).to_string();
    let base: String = base.chars().take(100 - 9).collect();
    format!("{base}-{}", &hash[..8])
}

/// A time: a number of seconds, or text with a unit behind it. 0 and nothing leave the Hub's own.
fn seconds(time: &Value) -> Result<Option<u64>> {
    let refuse = || {
        ValidationError::new(
            "timeout",
            time.to_string(),
            "must be seconds, or a number with s, m, h or d",
        )
    };
    let seconds = match time {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_f64().ok_or_else(refuse)?,
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) => {
            let text = text.trim();
            let (number, unit) = match text.char_indices().last() {
                Some((at, 's')) => (&text[..at], 1.0),
                Some((at, 'm')) => (&text[..at], 60.0),
                Some((at, 'h')) => (&text[..at], 3600.0),
                Some((at, 'd')) => (&text[..at], 86400.0),
                _ => (text, 1.0),
            };
            number.trim().parse::<f64>().map_err(|_| refuse())? * unit
        }
        _ => return Err(refuse().into()),
    };
    if !(0.0..=1e12).contains(&seconds) {
        return Err(refuse().into());
    }
    Ok(Some(seconds as u64).filter(|seconds| *seconds > 0))
}

/// Both lists: every port, and those that everybody may reach, which must be among the former.
fn ports(expose: Option<OneOrMany<u16>>, public: Option<OneOrMany<u16>>) -> Value {
    let public = public.unwrap_or_default().0;
    let mut all: Vec<u16> = Vec::new();
    for port in expose.unwrap_or_default().0.into_iter().chain(public.iter().copied()) {
        if !all.contains(&port) {
            all.push(port);
        }
    }
    json!({ "ports": all, "portsPublic": public })
}

fn network(group: Option<String>, aliases: Option<OneOrMany<String>>) -> Result<Option<Value>> {
    let aliases = aliases.unwrap_or_default().0;
    let Some(group) = group else {
        return match aliases.first() {
            Some(alias) => Err(ValidationError::new("network alias", alias, "needs a network group").into()),
            None => Ok(None),
        };
    };
    let fits = |text: &str, longest: usize| {
        !text.is_empty()
            && text.len() <= longest
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if !fits(&group, 46) {
        let rule = "must have 1 to 46 lower-case letters, digits and dashes";
        return Err(ValidationError::new("network group", group, rule).into());
    }
    for (at, alias) in aliases.iter().enumerate() {
        if !fits(alias, 34) || aliases[..at].contains(alias) {
            let rule = "must have 1 to 34 lower-case letters, digits and dashes, and stand once";
            return Err(ValidationError::new("network alias", alias, rule).into());
        }
    }
    let mut network = json!({ "group": group });
    super::put(
        &mut network,
        "aliases",
        Some(aliases).filter(|aliases| !aliases.is_empty()),
    );
    Ok(Some(network))
}

fn checked_labels(labels: &Labels) -> Result<()> {
    for text in labels.iter().flat_map(|(key, value)| [key, value]) {
        let fits = text.len() <= 100
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if !fits {
            let rule = "must have at most 100 characters of A-Z a-z 0-9 _ -";
            return Err(ValidationError::new("label", text, rule).into());
        }
    }
    Ok(())
}

fn checked_schedule(schedule: String) -> Result<String> {
    if schedule.starts_with('@') || schedule.split_ascii_whitespace().count() == 5 {
        Ok(schedule)
    } else {
        let rule = "must be @hourly, @daily, @weekly, @monthly or @yearly, or a CRON expression of five fields";
        Err(ValidationError::new("schedule", schedule, rule).into())
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
mod tests {
    use super::*;

    #[test]
    fn a_job_without_a_name_gets_the_python_clients() {
        let command = ["python", "-c", "print(1)"].map(str::to_owned);
        assert_eq!(
            default_name("python:3.12", "python:3.12", &command),
            "python-3-12-3212e188"
        );
        assert_eq!(
            default_name("python:3.12", "python:3.12", &["x".to_owned()]),
            "python-3-12-71625c0e"
        );
    }

    #[test]
    fn times_have_units() {
        for (text, expected) in [
            ("2h", Some(7200)),
            ("1.5m", Some(90)),
            ("30", Some(30)),
            ("0", None),
            ("", None),
        ] {
            assert_eq!(seconds(&text.into()).unwrap(), expected, "{text}");
        }
        assert_eq!(seconds(&json!(5)).unwrap(), Some(5));
        for bad in [json!("soon"), json!("-1s"), json!("é"), json!([]), json!("infd")] {
            assert!(seconds(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn networks_and_labels_are_checked() {
        assert!(network(None, Some("a".into())).is_err());
        assert!(network(Some("Group".into()), None).is_err());
        assert!(network(Some("g".into()), Some(["a", "a"].into())).is_err());
        assert_eq!(
            network(Some("g".into()), Some("a".into())).unwrap(),
            Some(json!({"group": "g", "aliases": ["a"]}))
        );
        assert!(checked_labels(&Labels::from([("a b".to_owned(), String::new())])).is_err());
        assert!(checked_schedule("every day".into()).is_err());
    }
}
