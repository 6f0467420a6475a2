//! `hub repos branch create`

use hub_types::Revision;

use super::super::ExistOk;
use crate::context::Context;
use crate::output::row;
use crate::repo_args::{RevisionArg, TypeArg};

/// Make a branch
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The repository's id
    repo_id: String,
    /// The branch's name
    branch: String,
    #[command(flatten)]
    repo_type: TypeArg,
    #[command(flatten)]
    revision: RevisionArg,
    #[command(flatten)]
    exist_ok: ExistOk,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let repo = self.repo_type.repo(&self.repo_id)?;
        let _: Revision = self.branch.parse()?;
        let values = row! { "branch": self.branch, "repo_type": repo.repo_type().as_str(), "repo_id": repo.id() };
        let create = context
            .api()?
            .create_branch(repo, self.branch)
            .revision(self.revision.get()?)
            .exist_ok(self.exist_ok.get());
        context.block_on(async move { Ok(create.await?) })?;
        context.out.result("Branch created", values)
    }
}
