//! `hub repos tag delete`

use hub_types::Revision;

use crate::context::Context;
use crate::error::{Class, Failure};
use crate::output::row;
use crate::repo_args::TypeArg;

/// Delete a tag
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The repository's id
    repo_id: String,
    /// The tag's name
    tag: String,
    #[command(flatten)]
    repo_type: TypeArg,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let repo = self.repo_type.repo(&self.repo_id)?;
        let _: Revision = self.tag.parse()?;
        let values = row! { "tag": self.tag, "repo_type": repo.repo_type().as_str(), "repo_id": repo.id() };
        context.out.text(&format!(
            "You are about to delete tag {} on {} {}",
            self.tag,
            repo.repo_type(),
            repo.id()
        ))?;
        context.out.confirm("Proceed?")?;
        let missing = format!("Tag '{}' not found on '{}'.", self.tag, repo.id());
        let delete = context.api()?.delete_tag(repo, self.tag);
        context.block_on(async move {
            delete.await.map_err(|err| match err {
                hub_http::Error::RevisionNotFound(_) => Failure::new(Class::NotFound, missing).because(err).into(),
                err => err.into(),
            })
        })?;
        context.out.result("Tag deleted", values)
    }
}
