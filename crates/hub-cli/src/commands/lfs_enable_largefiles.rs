//! `hub lfs-enable-largefiles`

use std::path::PathBuf;

use anyhow::Context as _;

use crate::context::Context;
use crate::error::{Class, Failure};

/// Set a git clone up for files above 5 GB, which git-lfs then sends in parts through this program
///
/// Deprecated: `hub upload` sends files of any size, and needs neither git nor a clone.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The clone
    path: PathBuf,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        context
            .out
            .warning("The git way is deprecated: `hub upload` sends files of any size and needs no clone.");
        if !self.path.is_dir() {
            let text = format!("{} does not look like a valid git repo.", self.path.display());
            return Err(Failure::new(Class::Failed, text).into());
        }
        let program = std::env::current_exe().context("cannot find out where this program is")?;
        hub_git_compat::enable_large_files(&context.settings.env, &self.path, &program)?;
        context.out.raw("Local repo set up for largefiles")
    }
}
