//! `hub repos delete`

use crate::cli::switch;
use crate::context::Context;
use crate::output::row;
use crate::repo_args::TypeArg;

/// Delete a repository for good
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id
    repo_id: String,
    #[command(flatten)]
    repo_type: TypeArg,
    #[command(flatten)]
    missing_ok: MissingOk,
}

switch!(MissingOk, "missing-ok", "no-missing-ok", "Do not fail if there is none");

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let repo = self.repo_type.repo(&self.repo_id)?;
        let id = repo.id().to_owned();
        let question = format!("You are about to permanently delete {}.", repo.described());
        context.out.confirm_by_name(&question, &id)?;
        let delete = context.api()?.delete_repo(repo).missing_ok(self.missing_ok.get());
        context.block_on(async move { Ok(delete.await?) })?;
        context.out.result("Repo deleted", row! { "repo_id": id })
    }
}
