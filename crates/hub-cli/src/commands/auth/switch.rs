//! `hub auth switch`

use hub_http::stored_tokens::{StoredToken, TokenStore};

use super::{AddToGitCredential, add_to_git, environment_token, refuse_local};
use crate::context::Context;
use crate::error::{Class, Failure};
use crate::output::row;

/// Make another stored token the active one
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which token, as `hub auth list` names it; by default it is asked for
    #[arg(long, value_name = "NAME")]
    token_name: Option<String>,
    #[command(flatten)]
    add_to_git_credential: AddToGitCredential,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        refuse_local(context)?;
        let out = &context.out;
        let env = &context.settings.env;
        let store = TokenStore::from_env(env);
        let stored = store.stored()?;
        let name = match &self.token_name {
            Some(name) => name.as_str(),
            None if stored.is_empty() => {
                out.warning("No stored tokens found. Please login first.");
                return Ok(());
            }
            None if out.is_interactive() => {
                let names: Vec<&str> = stored.iter().map(|(name, _)| name).collect();
                out.choose("Select a token to switch to", &names)?
            }
            None => {
                return Err(Failure::new(
                    Class::Failed,
                    "Use --token-name to select a token in non-interactive mode.",
                )
                .into());
            }
        };
        let Some(token) = stored.get(name).and_then(StoredToken::token) else {
            let message = format!(
                "Access token {name} not found in {}",
                store.stored_tokens_path().display()
            );
            return Err(Failure::new(Class::NotFound, message).hint("hub auth list").into());
        };
        store.switch(name)?;
        if self.add_to_git_credential.get() {
            add_to_git(context, &token)?;
        }
        out.log(&format!("The current active token is: {name}"));
        if let Some((variable, other)) = environment_token(env)
            && other != token
        {
            out.warning(&format!(
                "The environment variable `{variable}` is set and will override the access token you've just switched to."
            ));
        }
        if out.is_json() {
            out.object(row! { "token_name": name })?;
        }
        Ok(())
    }
}
