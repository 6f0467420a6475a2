//! `hub version`

use crate::context::Context;
use crate::output::row;

/// Print the version
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        context
            .out
            .result("hub version", row! { "version": env!("CARGO_PKG_VERSION") })
    }
}
