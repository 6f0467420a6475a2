//! Whom `hub` is measured against, and what is needed to measure.

use std::path::PathBuf;

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::setup::{self, HF_TRANSFER, PYTHONS};

/// Programs, by path.
pub(super) struct Peers {
    pub(super) hub: PathBuf,
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
}

impl Peers {
    /// Builds and installs what is missing.
    pub(super) fn find(sh: &Shell) -> Result<Self> {
        cmd!(sh, "cargo build --locked --release --package hub-cli").run()?;
        let target = setup::target_dir(sh)?;
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
            hub: target.join("release").join("hub"),
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
        let hub_version = word(cmd!(sh, "{hub} --version").quiet().read()?);
        let curl = word(cmd!(sh, "{curl} --version").quiet().read()?);
        let aria2c = cmd!(sh, "{aria2c} --version").quiet().read()?;
        let aria2c = aria2c.split([' ', '\n']).nth(2).unwrap_or("?");
        let binary = hub.metadata()?.len() as f64 / 1e6;
        Ok(format!(
            "`hub` {hub_version} ({binary:.1} MB, the release profile, without Xet); `hf` of huggingface_hub {}; `hf` of\n\
             huggingface_hub {} with {}; the crate hf-hub 1.0.0 in a program of a few lines; curl {curl}; aria2c {aria2c}.",
            PYTHONS[0].version,
            HF_TRANSFER.version,
            HF_TRANSFER.with.unwrap_or_default(),
        ))
    }
}
