//! `hub repos branch list`

use crate::context::Context;
use crate::output::{Row, Table, row};
use crate::repo_args::TypeArg;

/// List the branches
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The repository's id
    repo_id: String,
    #[command(flatten)]
    repo_type: TypeArg,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let list = context.api()?.list_repo_refs(self.repo_type.repo(&self.repo_id)?);
        let refs = context.block_on(async move { Ok(list.await?) })?;
        let rows: Vec<Row> = refs
            .branches
            .into_iter()
            .map(|branch| row! { "name": branch.name, "target_commit": branch.target_commit, "ref": branch.git_ref })
            .collect();
        context.out.table(Table::new(rows))
    }
}
