//! `hub auth logout`

use hub_git_compat::GitCredentials;
use hub_http::stored_tokens::{Logout, TokenStore};

use super::{environment_token, refuse_local};
use crate::context::Context;
use crate::error::{Class, Failure};
use crate::output::row;

/// Delete one stored token, or all of them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which token, as `hub auth list` names it
    #[arg(long, value_name = "NAME")]
    token_name: Option<String>,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        refuse_local(context)?;
        let out = &context.out;
        let env = &context.settings.env;
        let store = TokenStore::from_env(env);
        let outcome = match &self.token_name {
            Some(name) => match store.logout(name)? {
                Logout::NotLoggedIn => {
                    let message = format!(
                        "no token named '{name}' is stored in {}",
                        store.stored_tokens_path().display()
                    );
                    return Err(Failure::new(Class::NotFound, message).hint("hub auth list").into());
                }
                outcome => outcome,
            },
            None => store.logout_all()?,
        };
        match (&self.token_name, outcome) {
            (_, Logout::NotLoggedIn) if environment_token(env).is_none() => out.warning("Not logged in!"),
            (_, Logout::NotLoggedIn) => {}
            (None, _) => out.log("Successfully logged out from all access tokens."),
            (Some(name), outcome) => {
                if outcome == Logout::DeletedActive {
                    out.warning(&format!("Active token '{name}' has been deleted."));
                }
                out.log(&format!("Successfully logged out from access token: {name}."));
            }
        }
        if outcome != Logout::NotLoggedIn
            && let Err(err) = forget_in_git(context)
        {
            out.warning(&format!("git may still have the token: {err:#}"));
        }
        if let Some((variable, _)) = environment_token(env) {
            let message = format!("you are still logged in: the environment variable {variable} is set");
            return Err(Failure::new(Class::Failed, message)
                .hint("unset HF_TOKEN HUGGING_FACE_HUB_TOKEN")
                .into());
        }
        if out.is_json() {
            out.object(row! { "token_name": self.token_name, "logged_out": outcome != Logout::NotLoggedIn })?;
        }
        Ok(())
    }
}

/// Takes the token out of git's store, if git keeps one for this program.
fn forget_in_git(context: &Context) -> anyhow::Result<()> {
    let credentials = GitCredentials::new(&context.settings.env, context.api()?.endpoint())?;
    if !credentials.helpers()?.is_empty() {
        credentials.erase()?;
    }
    Ok(())
}
