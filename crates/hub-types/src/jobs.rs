//! Models of the `jobs` area: containers on the Hub's hardware, once or on a schedule.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Timestamp;
use crate::model::{open_enum, reply};
use crate::spaces::Volume;

open_enum! {
    /// Where a job stands.
    JobStage {
        /// It ended well.
        Completed = "COMPLETED",
        /// Somebody cancelled it.
        Canceled = "CANCELED",
        /// It failed.
        Error = "ERROR",
        /// It was deleted.
        Deleted = "DELETED",
        /// It waits for hardware.
        Scheduling = "SCHEDULING",
        /// It runs.
        Running = "RUNNING",
    }

    /// What a job runs on. The Hub's own list is `list_jobs_hardware`.
    JobHardware {
        /// Two processors.
        CpuBasic = "cpu-basic",
        /// Eight processors.
        CpuUpgrade = "cpu-upgrade",
        /// Processors for heavy work.
        CpuPerformance = "cpu-performance",
        /// The most processors.
        CpuXl = "cpu-xl",
        /// Nvidia T4, small.
        T4Small = "t4-small",
        /// Nvidia T4, medium.
        T4Medium = "t4-medium",
        /// One Nvidia L4.
        L4x1 = "l4x1",
        /// Four Nvidia L4.
        L4x4 = "l4x4",
        /// One Nvidia L40S.
        L40sx1 = "l40sx1",
        /// Four Nvidia L40S.
        L40sx4 = "l40sx4",
        /// Eight Nvidia L40S.
        L40sx8 = "l40sx8",
        /// Nvidia A10G, small.
        A10gSmall = "a10g-small",
        /// Nvidia A10G, large.
        A10gLarge = "a10g-large",
        /// Two Nvidia A10G.
        A10gLargex2 = "a10g-largex2",
        /// Four Nvidia A10G.
        A10gLargex4 = "a10g-largex4",
        /// One Nvidia A100.
        A100Large = "a100-large",
        /// Four Nvidia A100.
        A100x4 = "a100x4",
        /// Eight Nvidia A100.
        A100x8 = "a100x8",
        /// One Nvidia H200.
        H200 = "h200",
        /// Two Nvidia H200.
        H200x2 = "h200x2",
        /// Four Nvidia H200.
        H200x4 = "h200x4",
        /// Eight Nvidia H200.
        H200x8 = "h200x8",
        /// One Nvidia RTX PRO 6000.
        RtxPro6000 = "rtx-pro-6000",
        /// Two Nvidia RTX PRO 6000.
        RtxPro6000x2 = "rtx-pro-6000x2",
        /// Four Nvidia RTX PRO 6000.
        RtxPro6000x4 = "rtx-pro-6000x4",
        /// Eight Nvidia RTX PRO 6000.
        RtxPro6000x8 = "rtx-pro-6000x8",
    }
}

impl JobStage {
    /// Whether it has ended.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed | Self::Canceled | Self::Error | Self::Deleted)
    }
}

reply! {
    /// Whose a job is, or who started it.
    JobOwner {
        /// The account's id.
        id = String,
        /// The account's name.
        name = String,
        /// `user`, `org`, `scheduled-job` or `duplicated-job`.
        kind as "type" ?: String,
    }

    /// How a job runs now.
    JobStatus {
        /// Where it stands.
        stage: JobStage,
        /// What the Hub says of it.
        message?: String,
        /// The addresses of its ports.
        expose_urls?: Vec<String>,
        /// Where to log in to it.
        ssh_url?: String,
    }

    /// How long a job took, in seconds.
    JobDurations {
        /// Waiting for hardware.
        scheduling_secs?: f64,
        /// Running.
        running_secs?: f64,
        /// Both.
        total_secs?: f64,
    }

    /// The network group of a job: its members reach one another.
    JobNetwork {
        /// Its name.
        group = String,
        /// What the job is called in it.
        aliases = Vec<String>,
    }

    /// The ports of a job that can be reached.
    JobExpose {
        /// All of them.
        ports = Vec<u16>,
        /// Those that everybody may reach.
        ports_public = Vec<u16>,
    }

    /// A job.
    JobInfo {
        /// Its id.
        id: String,
        /// Whose it is.
        owner: JobOwner,
        /// How it runs now.
        status?: JobStatus,
        /// When it was made.
        created_at?: Timestamp,
        /// When it started.
        started_at?: Timestamp,
        /// When it ended.
        finished_at?: Timestamp,
        /// Its image, unless a Space's is used.
        docker_image?: String,
        /// The Space whose image is used.
        space_id?: String,
        /// What it runs.
        command?: Vec<String>,
        /// What is added to that.
        arguments?: Vec<String>,
        /// Its environment.
        environment?: BTreeMap<String, Value>,
        /// Its secrets' names: an array or an object, never values.
        secrets?: Value,
        /// What it runs on.
        flavor?: JobHardware,
        /// Its labels.
        labels = BTreeMap<String, String>,
        /// What is mounted.
        volumes = Vec<Volume>,
        /// The network group that it is in.
        network?: JobNetwork,
        /// How often it is begun again when it fails: one less than its attempts.
        retry?: u64,
        /// Its ports that can be reached.
        expose?: JobExpose,
        /// How long it took.
        durations?: JobDurations,
        /// Who started it.
        initiator?: JobOwner,
        ..
    }

    /// What a scheduled job or a webhook runs.
    JobSpec {
        /// Its image, unless a Space's is used.
        docker_image?: String,
        /// The Space whose image is used.
        space_id?: String,
        /// What it runs.
        command?: Vec<String>,
        /// What is added to that.
        arguments?: Vec<String>,
        /// Its environment.
        environment?: BTreeMap<String, Value>,
        /// Its secrets' names.
        secrets?: Value,
        /// What it runs on.
        flavor?: JobHardware,
        /// Seconds after which it is ended.
        timeout as "timeout" | "timeoutSeconds" ?: f64,
        /// Its labels.
        labels = BTreeMap<String, String>,
        /// What is mounted.
        volumes = Vec<Volume>,
        ..
    }

    /// The last run of a scheduled job.
    LastJob {
        /// The job's id.
        id: String,
        /// When it ran.
        at?: Timestamp,
    }

    /// When a scheduled job ran and will run.
    ScheduledJobStatus {
        /// Its last run.
        last_job?: LastJob,
        /// Its next run.
        next_job_run_at?: Timestamp,
    }

    /// A job on a schedule.
    ScheduledJobInfo {
        /// Its id.
        id: String,
        /// Whose it is.
        owner: JobOwner,
        /// What it runs.
        job_spec?: JobSpec,
        /// When: `@hourly` and the like, or a CRON expression.
        schedule?: String,
        /// Whether it is suspended.
        suspend?: bool,
        /// Whether a run may begin while another runs.
        concurrency?: bool,
        /// When it was made.
        created_at?: Timestamp,
        /// When it ran and will run.
        status?: ScheduledJobStatus,
        ..
    }

    /// An accelerator of a machine.
    Accelerator {
        /// `gpu` or `neuron`.
        kind as "type" ?: String,
        /// Its model.
        model?: String,
        /// How many: text, as the Hub sends it.
        quantity?: Value,
        /// Its memory.
        vram?: String,
        /// Who makes it.
        manufacturer?: String,
    }

    /// A kind of machine for jobs and Spaces.
    HardwareInfo {
        /// Its name, to ask for it by.
        name: String,
        /// Its name for people.
        pretty_name = String,
        /// Its processors, in words.
        cpu = String,
        /// Its memory, in words.
        ram = String,
        /// Its disk, in words.
        ephemeral_storage?: String,
        /// Its accelerator.
        accelerator?: Accelerator,
        /// Millionths of a dollar for a unit.
        unit_cost_micro_usd as "unitCostMicroUSD" = i64,
        /// Dollars for a unit.
        unit_cost_usd as "unitCostUSD" = f64,
        /// What a unit is: `minute`.
        unit_label = String,
    }
}
