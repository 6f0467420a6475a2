//! Jobs on a schedule.

use hub_types::OneOrMany;
use hub_types::jobs::{JobHardware, JobInfo, ScheduledJobInfo};
use hub_types::spaces::Volume;
use serde_json::{Value, json};

use super::body::{JobBody, checked_labels, checked_schedule};
use super::{Labels, scheduled_job_path, scheduled_path};
use crate::api::endpoints::Variables;
use crate::api::webhooks::Secrets;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::request::Request;

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
        flavor: JobHardware,
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
        crate::api::put(&mut body, "concurrency", self.concurrency);
        crate::api::put(&mut body, "suspend", self.suspend);
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
