//! `hub lfs-multipart-upload`

use crate::context::Context;

/// Send large files in parts, as git-lfs asks for on the standard input
///
/// git-lfs runs this by itself in a clone that `hub lfs-enable-largefiles` has set up.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let input = std::io::stdin().lock();
        Ok(hub_git_compat::run_transfer_agent(
            &context.settings.env,
            input,
            std::io::stdout(),
        )?)
    }
}
