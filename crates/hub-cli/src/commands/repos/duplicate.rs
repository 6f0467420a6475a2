//! `hub repos duplicate`

use hub_types::RepoId;
use hub_types::spaces::SpaceHardware;

use super::ExistOk;
use crate::context::Context;
use crate::output::row;
use crate::repo_args::TypeArg;
use crate::space_args::{SpaceArgs, VisibilityArgs};

/// Copy a repository under another name
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The repository to copy
    from_id: String,
    /// The copy's id; by default the same name below your own account
    to_id: Option<String>,
    #[command(flatten)]
    repo_type: TypeArg,
    #[command(flatten)]
    visibility: VisibilityArgs,
    #[command(flatten)]
    exist_ok: ExistOk,
    /// The organisation's resource group to put it in
    #[arg(long, value_name = "ID")]
    resource_group_id: Option<String>,
    #[command(flatten)]
    space: SpaceArgs,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let (from, to): (RepoId, Option<RepoId>) = match &self.to_id {
            Some(to) => {
                let (from, to) = self.repo_type.repos(&self.from_id, to)?;
                (from, Some(to))
            }
            None => (self.repo_type.repo(&self.from_id)?, None),
        };
        let secrets = self.space.secrets(context)?;
        let variables = self.space.variables(context)?;
        let from_id = from.id().to_owned();
        let duplicate = context
            .api()?
            .duplicate_repo(from)
            .to_id(to)
            .visibility(self.visibility.get()?)
            .exist_ok(self.exist_ok.get())
            .resource_group_id(self.resource_group_id)
            .space_hardware(self.space.flavor.clone().map(SpaceHardware::from))
            .space_sleep_time(self.space.sleep_time)
            .space_secrets(secrets)
            .space_variables(variables)
            .space_volumes(self.space.volumes()?);
        let url = context.block_on(async move { Ok(duplicate.await?) })?;
        let to_id = url.repo.id().to_owned();
        context.out.result(
            "Repo duplicated",
            row! { "from_id": from_id, "to_id": to_id, "url": url.to_string() },
        )?;
        if url.files_copy_pending {
            context.out.warning(&format!(
                "LFS/Xet files are still being copied in the background. Downloading them from '{to_id}' may fail until \
                 the copy is complete."
            ));
        }
        Ok(())
    }
}
