//! `hub repos settings`

use clap::ValueEnum;
use hub_types::repos::Gated;

use crate::context::Context;
use crate::error::Failure;
use crate::output::row;
use crate::repo_args::TypeArg;
use crate::space_args::VisibilityArgs;

/// Change who may see a repository and who gets access
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id
    repo_id: String,
    #[command(flatten)]
    repo_type: TypeArg,
    /// Let people ask for access: auto grants it, manual lets you decide, false gives it to all
    #[arg(long, value_enum)]
    gated: Option<GatedChoice>,
    #[command(flatten)]
    visibility: VisibilityArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum GatedChoice {
    Auto,
    Manual,
    False,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let repo = self.repo_type.repo(&self.repo_id)?;
        let visibility = self.visibility.get()?;
        if visibility.is_none() && self.gated.is_none() {
            return Err(Failure::usage("nothing to change: give --gated, --private, --public or --protected").into());
        }
        let id = repo.id().to_owned();
        let gated = self.gated.map(|gated| match gated {
            GatedChoice::Auto => Gated::Auto,
            GatedChoice::Manual => Gated::Manual,
            GatedChoice::False => Gated::No,
        });
        let update = context
            .api()?
            .update_repo_settings(repo)
            .gated(gated)
            .visibility(visibility);
        context.block_on(async move { Ok(update.await?) })?;
        context.out.result("Repo settings updated", row! { "repo_id": id })
    }
}
