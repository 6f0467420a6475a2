//! `hub auth token`

use super::not_logged_in;
use crate::context::Context;

/// Write the active token to the standard output
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let token = context.token()?.ok_or_else(not_logged_in)?;
        // The one command that shows a secret: that is what it is for.
        context.out.raw(token.reveal())?;
        context
            .out
            .hint("Run `hub auth whoami` to see which account this token belongs to.");
        Ok(())
    }
}
