//! `hub repos delete-files`

use super::CreatePr;
use crate::context::Context;
use crate::output::row;
use crate::repo_args::{RevisionArg, TypeArg};

/// Delete files by pattern, in one commit
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The repository's id
    repo_id: String,
    /// Files, folders ending in /, or patterns, in which * crosses folders
    #[arg(required = true)]
    patterns: Vec<String>,
    #[command(flatten)]
    repo_type: TypeArg,
    #[command(flatten)]
    revision: RevisionArg,
    /// The commit's title
    #[arg(long, value_name = "TEXT")]
    commit_message: Option<String>,
    /// The commit's description
    #[arg(long, value_name = "TEXT")]
    commit_description: Option<String>,
    #[command(flatten)]
    create_pr: CreatePr,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let repo = self.repo_type.repo(&self.repo_id)?;
        let id = repo.id().to_owned();
        let delete = context
            .api()?
            .delete_files(repo, self.patterns)
            .revision(self.revision.get()?)
            .commit_message(self.commit_message)
            .commit_description(self.commit_description)
            .create_pr(self.create_pr.get());
        let commit = context.block_on(async move { Ok(delete.await?) })?;
        context
            .out
            .result("Files deleted", row! { "repo_id": id, "commit_url": commit.commit_url })
    }
}
