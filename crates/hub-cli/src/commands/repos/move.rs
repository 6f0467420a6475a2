//! `hub repos move`

use crate::context::Context;
use crate::output::row;
use crate::repo_args::TypeArg;

/// Rename a repository or move it to another owner
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id
    from_id: String,
    /// Its new id
    to_id: String,
    #[command(flatten)]
    repo_type: TypeArg,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let (from, to) = self.repo_type.repos(&self.from_id, &self.to_id)?;
        let values = row! { "from_id": from.id(), "to_id": to.id() };
        let operation = context.api()?.move_repo(from, to);
        context.block_on(async move { Ok(operation.await?) })?;
        context.out.result("Repo moved", values)
    }
}
