//! `hub repos create`

use clap::ValueEnum;
use hub_types::RepoType;
use hub_types::repos::{Region, SpaceSdk};
use hub_types::spaces::SpaceHardware;

use super::ExistOk;
use crate::context::Context;
use crate::error::Failure;
use crate::output::row;
use crate::repo_args::TypeArg;
use crate::space_args::{SpaceArgs, VisibilityArgs};

/// Create a repository
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id: NAME or NAMESPACE/NAME, with the type in front of it if you like
    repo_id: String,
    #[command(flatten)]
    repo_type: TypeArg,
    #[command(flatten)]
    visibility: VisibilityArgs,
    #[command(flatten)]
    exist_ok: ExistOk,
    /// The organisation's resource group to put it in
    #[arg(long, value_name = "ID")]
    resource_group_id: Option<String>,
    /// Where to store it
    #[arg(long, value_enum)]
    region: Option<RegionChoice>,
    /// What the Space is built with, such as gradio, docker or static
    #[arg(long, alias = "space-sdk", help_heading = "Options for Spaces")]
    sdk: Option<String>,
    /// The Space to begin with
    #[arg(long, value_name = "NAME", help_heading = "Options for Spaces")]
    template: Option<String>,
    #[command(flatten)]
    space: SpaceArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RegionChoice {
    Us,
    Eu,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let repo = self.repo_type.repo(&self.repo_id)?;
        if repo.repo_type() == RepoType::Space && self.sdk.is_none() && self.template.is_none() {
            return Err(Failure::usage("a Space needs --sdk or --template")
                .hint("--sdk gradio")
                .into());
        }
        let secrets = self.space.secrets(context)?;
        let variables = self.space.variables(context)?;
        let create = context
            .api()?
            .create_repo(repo)
            .visibility(self.visibility.get()?)
            .exist_ok(self.exist_ok.get())
            .resource_group_id(self.resource_group_id)
            .region(self.region.map(|region| match region {
                RegionChoice::Us => Region::Us,
                RegionChoice::Eu => Region::Eu,
            }))
            .space_sdk(self.sdk.map(SpaceSdk::from))
            .space_template(self.template)
            .space_hardware(self.space.flavor.clone().map(SpaceHardware::from))
            .space_sleep_time(self.space.sleep_time)
            .space_secrets(secrets)
            .space_variables(variables)
            .space_volumes(self.space.volumes()?);
        let url = context.block_on(async move { Ok(create.await?) })?;
        context.out.result(
            "Repo created",
            row! { "repo_id": url.repo.id(), "url": url.to_string() },
        )
    }
}
