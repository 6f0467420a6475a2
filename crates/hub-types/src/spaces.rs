//! Models of the `spaces` area: what a Space runs on, and what it is given.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Timestamp;
use crate::model::{open_enum, reply};

open_enum! {
    /// Where a Space stands.
    SpaceStage {
        /// There is nothing to run.
        NoAppFile = "NO_APP_FILE",
        /// The card's settings are wrong.
        ConfigError = "CONFIG_ERROR",
        /// It is being built.
        Building = "BUILDING",
        /// Its build failed.
        BuildError = "BUILD_ERROR",
        /// It runs.
        Running = "RUNNING",
        /// It runs while its next version is built.
        RunningBuilding = "RUNNING_BUILDING",
        /// It ended with an error.
        RuntimeError = "RUNTIME_ERROR",
        /// It is being deleted.
        Deleting = "DELETING",
        /// It was stopped.
        Stopped = "STOPPED",
        /// Its owner paused it.
        Paused = "PAUSED",
        /// It is starting.
        AppStarting = "APP_STARTING",
        /// It runs while its next version starts.
        RunningAppStarting = "RUNNING_APP_STARTING",
        /// It sleeps until somebody visits it.
        Sleeping = "SLEEPING",
    }

    /// What a Space runs on. The Hub's own list is `list_spaces_hardware`.
    SpaceHardware {
        /// Two processors.
        CpuBasic = "cpu-basic",
        /// Eight processors.
        CpuUpgrade = "cpu-upgrade",
        /// Processors for heavy work.
        CpuPerformance = "cpu-performance",
        /// The most processors.
        CpuXl = "cpu-xl",
        /// Eight Intel Sapphire Rapids.
        Sprx8 = "sprx8",
        /// AWS Inferentia2.
        Inf2x6 = "inf2x6",
        /// Shared GPUs.
        ZeroA10g = "zero-a10g",
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
        /// One Nvidia H100.
        H100 = "h100",
        /// Eight Nvidia H100.
        H100x8 = "h100x8",
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

impl SpaceStage {
    /// Whether it will change by itself: it is being built or starting.
    pub fn is_intermediate(&self) -> bool {
        matches!(
            self,
            Self::Building | Self::RunningBuilding | Self::AppStarting | Self::RunningAppStarting
        )
    }
}

reply! {
    /// The hardware of a Space.
    RuntimeHardware {
        /// What it runs on; `None` during the first build and for static Spaces.
        current?: SpaceHardware,
        /// What was asked for.
        requested?: SpaceHardware,
    }

    /// How many copies of a Space there are.
    RuntimeReplicas {
        /// How many are wanted: a number, or `auto`.
        requested?: Value,
        /// How many run.
        current?: u64,
    }

    /// An address of a Space.
    RuntimeDomain {
        /// The host.
        domain = String,
        /// `READY` or `PENDING`.
        stage?: String,
        /// Whether it is one of the owner's own.
        is_custom?: bool,
    }

    /// What became of a change that was to take effect without a restart.
    HotReloading {
        /// `created` or `canceled`.
        status?: String,
        /// A hash for each copy of the Space, and where it stands, as the Hub sent them.
        replica_statuses = Vec<Value>,
    }

    /// How a Space runs.
    SpaceRuntime {
        /// Where it stands.
        stage: SpaceStage,
        /// What it runs on.
        hardware?: RuntimeHardware,
        /// Seconds without a visit after which it sleeps; `None` for never.
        sleep_time as "gcTimeout" ?: i64,
        /// Storage tier, from when there was persistent storage.
        storage?: String,
        /// Whether development mode is on.
        dev_mode = bool,
        /// What is mounted.
        volumes = Vec<Volume>,
        /// How many copies of it there are.
        replicas?: RuntimeReplicas,
        /// Its addresses.
        domains = Vec<RuntimeDomain>,
        /// What became of the last change without a restart.
        hot_reloading?: HotReloading,
        ..
    }

    /// A variable of a Space, which everybody may read.
    SpaceVariable {
        /// Its value.
        value = String,
        /// What it is for.
        description?: String,
        /// When it was last changed.
        updated_at?: Timestamp,
    }

    /// A secret of a Space; its value is never given out.
    SpaceSecret {
        /// What it is for.
        description?: String,
        /// When it was last changed.
        updated_at?: Timestamp,
    }

    /// A Space that others are made from.
    SpaceTemplate {
        /// Its name.
        name: String,
        /// Its repository.
        repo_id as "repoId" | "repo_id" : String,
        /// Its kind.
        sdk: String,
        /// Whether Spaces made from it are private by default.
        preferred_private as "preferredPrivate" | "preferred_private" = bool,
    }

    /// A Space that a semantic search found.
    SpaceSearchResult {
        /// Its id.
        id: String,
        /// Whose it is.
        author = String,
        /// Its title.
        title = String,
        /// Its emoji.
        emoji?: String,
        /// Its kind.
        sdk?: String,
        /// How many like it.
        likes = u64,
        /// Whether it is private.
        private = bool,
        /// Its tags.
        tags = Vec<String>,
        /// How it runs.
        runtime?: SpaceRuntime,
        /// What it does, by a machine's summary.
        ai_short_description as "ai_short_description" ?: String,
        /// Its kind of use, by a machine's judgement.
        ai_category as "ai_category" ?: String,
        /// How well it fits the question, 0 to 1.
        semantic_relevancy_score?: f64,
        /// How much it is visited now.
        trending_score?: f64,
        ..
    }

    /// What is left of an account's shared GPU time.
    ZeroGpuQuota {
        /// Seconds a day.
        base: f64,
        /// Seconds left.
        current: f64,
        /// When it is full again.
        resets_at?: Timestamp,
        /// Seconds used beyond it.
        overquota_used?: f64,
    }
}

/// A repository or bucket that is mounted into a Space or a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// `bucket`, `model`, `dataset` or `space`; a reply without it means a model.
    #[serde(rename = "type", default = "model", deserialize_with = "model_if_null")]
    pub kind: String,
    /// Its id.
    pub source: String,
    /// Where it is mounted: an absolute path.
    #[serde(alias = "mount_path")]
    pub mount_path: String,
    /// Which revision; repositories only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Whether it cannot be written. Repositories never can, buckets can by default.
    #[serde(default, alias = "read_only", skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// The folder inside it that is mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

fn model() -> String {
    "model".to_owned()
}

fn model_if_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(model))
}

/// The variables of a Space, by name.
pub type SpaceVariables = BTreeMap<String, SpaceVariable>;

/// The secrets of a Space, by name, without their values.
pub type SpaceSecrets = BTreeMap<String, SpaceSecret>;
