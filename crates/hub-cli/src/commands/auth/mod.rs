//! `hub auth`: who is signed in.

mod list;
mod login;
mod logout;
mod switch;
mod token;
mod whoami;

use hub_git_compat::GitCredentials;
use hub_types::Token;
use hub_types::env::{self, Env};

use super::{commands, group};
use crate::cli::switch;
use crate::context::Context;
use crate::error::{Class, Failure};

group! {
    /// Sign in and out, choose between stored tokens
    Args
}

commands! {
    #[command(visible_alias = "ls")]
    List => list::Args,
    Login => login::Args,
    Logout => logout::Args,
    Switch => switch::Args,
    Token => token::Args,
    Whoami => whoami::Args,
}

switch!(
    AddToGitCredential,
    "add-to-git-credential",
    "no-add-to-git-credential",
    "Hand the token to git's credential helper too"
);

/// Nobody is signed in.
fn not_logged_in() -> anyhow::Error {
    Failure::new(Class::Auth, "Not logged in. Run `hub auth login` first.").into()
}

/// The embedded Hub signs its user in by itself.
fn refuse_local(context: &Context) -> anyhow::Result<()> {
    match context.settings.local {
        Some(_) => Err(Failure::usage("--local signs in by itself: it has no login to change").into()),
        None => Ok(()),
    }
}

/// The variable that holds a token, which then wins over a stored one.
fn environment_token(env: &Env) -> Option<(&'static str, Token)> {
    [env::HF_TOKEN, env::HUGGING_FACE_HUB_TOKEN]
        .into_iter()
        .find_map(|variable| {
            let token = Token::new(env.text(variable).ok()??).ok()?;
            Some((variable.name, token))
        })
}

/// Hands the token to git, and says how that went: a login does not fail for it.
fn add_to_git(context: &Context, token: &Token) -> anyhow::Result<()> {
    let endpoint = context.api()?.endpoint().to_owned();
    let credentials = GitCredentials::new(&context.settings.env, &endpoint)?;
    let helpers = credentials.helpers()?;
    if helpers.is_empty() {
        context
            .out
            .warning("Token has not been saved to git credential helper: none is configured.");
        context.out.hint("git config --global credential.helper store");
        return Ok(());
    }
    credentials.store(token)?;
    context.out.log(&format!(
        "Your token has been saved in your configured git credential helpers ({}).",
        helpers.join(",")
    ));
    Ok(())
}
