//! Models of the `endpoints` area: Inference Endpoints and their catalog.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Timestamp;
use crate::model::{open_enum, reply};

open_enum! {
    /// Where an Inference Endpoint stands.
    EndpointState {
        /// It waits for hardware.
        Pending = "pending",
        /// It starts.
        Initializing = "initializing",
        /// It takes over new settings.
        Updating = "updating",
        /// Its new settings failed.
        UpdateFailed = "updateFailed",
        /// It runs.
        Running = "running",
        /// Its owner paused it.
        Paused = "paused",
        /// It failed.
        Failed = "failed",
        /// It has no replica; the first request starts one.
        ScaledToZero = "scaledToZero",
    }
}

reply! {
    /// What an endpoint serves.
    EndpointModel {
        /// The model's repository.
        repository: String,
        /// Its framework.
        framework = String,
        /// Its revision.
        revision?: String,
        /// Its task.
        task?: String,
        /// The image that serves it: an object with one key, the image's kind.
        image?: Value,
        ..
    }

    /// How an endpoint runs now.
    EndpointStatus {
        /// Where it stands.
        state: EndpointState,
        /// What the service says of it.
        message?: String,
        /// Its address, once it has one.
        url?: String,
        /// When it was made.
        created_at?: Timestamp,
        /// When it was last changed.
        updated_at?: Timestamp,
        /// Replicas that answer.
        ready_replica?: u64,
        /// Replicas wanted.
        target_replica?: u64,
        ..
    }

    /// An Inference Endpoint.
    InferenceEndpoint {
        /// Its name.
        name: String,
        /// `public`, `authenticated` or `private`.
        kind as "type" ?: String,
        /// Where it answers when it is well.
        health_route?: String,
        /// What it serves.
        model: EndpointModel,
        /// How it runs now.
        status: EndpointStatus,
        /// What it runs on, as the service sent it.
        compute?: Value,
        /// Where it runs, as the service sent it.
        provider?: Value,
        ..
    }

    /// A model of the catalog, with its tried settings.
    CatalogModel {
        /// The model's repository.
        repo_id: String,
        /// Its name.
        model_name?: String,
        /// Whose it is.
        author_name?: String,
        /// Its licence.
        license?: String,
        /// Its task.
        task?: String,
        /// When it was added.
        created_at?: Timestamp,
        /// The settings.
        recipes = Vec<CatalogRecipe>,
    }

    /// Tried settings of a catalog model.
    CatalogRecipe {
        /// Its id.
        public_id: String,
        /// `cpu`, `gpu` or `neuron`.
        accelerator?: String,
        /// What serves it.
        engine_type?: String,
        /// Which GGUF file.
        gguf_file?: String,
        /// Which revision.
        revision?: String,
    }

    /// A quota of hardware.
    HardwareQuota {
        /// The most accelerators.
        max_accelerators = u64,
        /// Those in use.
        used_accelerators = u64,
    }

    /// A machine's kind, in one vendor's region.
    EndpointHardware {
        /// The vendor; not in the reply's own object but around it.
        vendor = String,
        /// The region; likewise.
        region = String,
        /// Its id.
        id: String,
        /// `cpu`, `gpu` or `neuron`.
        accelerator?: String,
        /// The instance's kind.
        instance_type?: String,
        /// The instance's size.
        instance_size?: String,
        /// The processor or accelerator.
        architecture?: String,
        /// How many accelerators.
        num_accelerators?: u64,
        /// How many processors.
        num_cpus?: u64,
        /// Memory in gigabytes.
        memory_gb?: f64,
        /// The accelerators' memory in gigabytes.
        gpu_memory_gb?: f64,
        /// Dollars an hour.
        price_per_hour?: f64,
        /// Whether it can be had.
        status?: String,
        /// How many of them the account may use.
        quota?: HardwareQuota,
    }
}

/// The reply that lists vendors, regions and machines; [`HardwareList::flatten`] makes one list of it.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct HardwareList {
    #[serde(default, deserialize_with = "crate::model::null_is_default")]
    vendors: Vec<Vendor>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
struct Vendor {
    name: String,
    #[serde(default, deserialize_with = "crate::model::null_is_default")]
    regions: Vec<Region>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
struct Region {
    name: String,
    #[serde(default, deserialize_with = "crate::model::null_is_default")]
    computes: Vec<EndpointHardware>,
}

impl HardwareList {
    /// Every machine with its vendor and region.
    pub fn flatten(self) -> Vec<EndpointHardware> {
        let mut all = Vec::new();
        for vendor in self.vendors {
            for region in vendor.regions {
                for mut machine in region.computes {
                    machine.vendor.clone_from(&vendor.name);
                    machine.region.clone_from(&region.name);
                    all.push(machine);
                }
            }
        }
        all
    }
}
