//! `hub auth whoami`

use hub_http::TokenChoice;

use super::not_logged_in;
use crate::context::Context;
use crate::output::row;

/// Print the account's name and its organisations
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let token = context.token()?.ok_or_else(not_logged_in)?;
        let api = context.api()?.with_token(TokenChoice::Explicit(token));
        let endpoint = Some(api.endpoint().to_owned()).filter(|endpoint| endpoint != hub_http::DEFAULT_ENDPOINT);
        let me = context.block_on(async move { Ok(api.whoami().await?) })?;
        let orgs: Vec<String> = me.orgs.into_iter().map(|org| org.name).collect();
        let orgs = Some(orgs.join(",")).filter(|orgs| !orgs.is_empty());
        context.out.result(
            "Logged in",
            row! { "user": me.name, "orgs": orgs, "endpoint": endpoint },
        )
    }
}
