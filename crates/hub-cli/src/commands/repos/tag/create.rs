//! `hub repos tag create`

use hub_types::Revision;

use crate::context::Context;
use crate::error::{Class, Failure};
use crate::output::row;
use crate::repo_args::{RevisionArg, TypeArg};

/// Make a tag
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The repository's id
    repo_id: String,
    /// The tag's name
    tag: String,
    #[command(flatten)]
    repo_type: TypeArg,
    #[command(flatten)]
    revision: RevisionArg,
    /// The tag's message
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let repo = self.repo_type.repo(&self.repo_id)?;
        let _: Revision = self.tag.parse()?;
        let values = row! { "tag": self.tag, "repo_type": repo.repo_type().as_str(), "repo_id": repo.id() };
        let exists = format!("Tag '{}' already exists on '{}'.", self.tag, repo.id());
        let create = context
            .api()?
            .create_tag(repo, self.tag)
            .revision(self.revision.get()?)
            .tag_message(self.message);
        context.block_on(async move {
            create.await.map_err(|err| match err {
                hub_http::Error::Conflict(_) => Failure::new(Class::Conflict, exists).because(err).into(),
                err => err.into(),
            })
        })?;
        context.out.result("Tag created", values)
    }
}
