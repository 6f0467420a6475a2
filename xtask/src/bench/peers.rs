//! Whom `hub` is measured against, and what is needed to measure.

use std::path::PathBuf;

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::setup::{self, HF_TRANSFER, PYTHONS};

/// Programs, by path.
pub(super) struct Peers {
    pub(super) hub: PathBuf,
    /// How it was built.
    profile: String,
    /// The official client's command, newest release.
    pub(super) hf: PathBuf,
    /// An older release of it, with hf_transfer.
    pub(super) hf_transfer: PathBuf,
    /// A command of a few lines on the official crate.
    pub(super) hf_hub: PathBuf,
    pub(super) curl: PathBuf,
    pub(super) aria2c: PathBuf,
    pub(super) nginx: PathBuf,
    pub(super) time: PathBuf,
    /// What cases of Xet need beside them.
    pub(super) xet: Option<XetPeers>,
}

/// Builds that take minutes.
pub(super) struct XetPeers {
    /// `hub` with Xet.
    pub(super) hub: PathBuf,
    pub(super) storage: PathBuf,
}

impl Peers {
    /// Builds and installs what is missing.
    pub(super) fn find(sh: &Shell, profile: &str, with_xet: bool) -> Result<Self> {
        let target = setup::target_dir(sh)?;
        let built = target.join(if profile == "dev" { "debug" } else { profile });
        // First, since the one without Xet then takes its place.
        let xet = match with_xet {
            true => {
                // The packages and features of the tests, so that nothing is compiled twice.
                let packages = ["-p", "hub-http", "-p", "hub-cache", "-p", "hub-cli", "-p", "hub-tests"];
                let features = ["--features", "hub-http/xet,hub-cache/xet,hub-cli/xet,hub-tests/xet"];
                cmd!(
                    sh,
                    "cargo build --locked --profile {profile} {packages...} {features...} --bin hub --bin storage"
                )
                .run()?;
                let hub = built.join("hub-xet");
                sh.copy_file(built.join("hub"), &hub)?;
                Some(XetPeers {
                    hub,
                    storage: built.join("storage"),
                })
            }
            false => None,
        };
        cmd!(sh, "cargo build --locked --profile {profile} --package hub-cli").run()?;
        let hf_hub = target.join("peers");
        {
            let _dir = sh.push_dir("xtask/peers/hf-hub");
            cmd!(sh, "cargo build --locked --release --target-dir {hf_hub}").run()?;
        }
        let command = |python| -> Result<PathBuf> {
            setup::virtual_environment(sh, python)?;
            Ok(setup::interpreter(sh, python)?.with_file_name("hf"))
        };
        Ok(Self {
            hub: built.join("hub"),
            profile: profile.to_owned(),
            xet,
            hf: command(&PYTHONS[0])?,
            hf_transfer: command(&HF_TRANSFER)?,
            hf_hub: hf_hub.join("release").join("peer"),
            curl: setup::program(sh, "curl", "curl")?,
            aria2c: setup::program(sh, "aria2c", "aria2")?,
            nginx: setup::program(sh, "nginx", "nginx-light")?,
            time: setup::gnu_time(sh)?,
        })
    }

    /// A sentence that names them all.
    pub(super) fn versions(&self, sh: &Shell) -> Result<String> {
        let Self { hub, curl, aria2c, .. } = self;
        let word = |text: String| -> String { text.split([' ', '\n']).nth(1).unwrap_or("?").to_owned() };
        let hub_version = cmd!(sh, "{hub} --version").quiet().read()?;
        let curl = word(cmd!(sh, "{curl} --version").quiet().read()?);
        let aria2c = cmd!(sh, "{aria2c} --version").quiet().read()?;
        let aria2c = aria2c.split([' ', '\n']).nth(2).unwrap_or("?");
        let binary = hub.metadata()?.len() as f64 / 1e6;
        Ok(format!(
            "`hub` {hub_version} ({binary:.1} MB, the {} profile, without Xet but in the cases of it); `hf` of huggingface_hub {}; `hf` of\n\
             huggingface_hub {} with {}; the crate hf-hub 1.0.0 in a program of a few lines; curl {curl}; aria2c {aria2c}.",
            self.profile,
            PYTHONS[0].version,
            HF_TRANSFER.version,
            HF_TRANSFER.with.unwrap_or_default(),
        ))
    }
}
