//! `hub repos branch delete`

use hub_types::Revision;

use crate::context::Context;
use crate::output::row;
use crate::repo_args::TypeArg;

/// Delete a branch
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The repository's id
    repo_id: String,
    /// The branch's name
    branch: String,
    #[command(flatten)]
    repo_type: TypeArg,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let repo = self.repo_type.repo(&self.repo_id)?;
        let _: Revision = self.branch.parse()?;
        let values = row! { "branch": self.branch, "repo_type": repo.repo_type().as_str(), "repo_id": repo.id() };
        let delete = context.api()?.delete_branch(repo, self.branch);
        context.block_on(async move { Ok(delete.await?) })?;
        context.out.result("Branch deleted", values)
    }
}
