//! `hub auth login`

use hub_http::stored_tokens::{StoredToken, TokenStore};
use hub_types::{Secret, Token};

use super::{AddToGitCredential, add_to_git, environment_token, refuse_local};
use crate::cli::switch;
use crate::context::Context;
use crate::error::{Class, Failure};
use crate::output::{Mode, row};

/// Sign in with the browser or with an access token, and keep the token for later commands
///
/// A token is taken from --token-stdin, --token-file or --token; without one, the browser's sign-in is begun. Tokens are
/// made on the Hub's page settings/tokens.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    add_to_git_credential: AddToGitCredential,
    #[command(flatten)]
    force: Force,
}

switch!(Force, "force", "no-force", "Sign in again although signed in");

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        refuse_local(context)?;
        let out = &context.out;
        let (token, entry) = match &context.settings.token {
            Some(token) => (token.clone(), StoredToken::new(token)),
            None => {
                if !self.force.get() && context.token()?.is_some() {
                    match out.mode {
                        Mode::Agent => out.text("Already logged in. Use `hub auth login --force` to re-login.")?,
                        _ => out.log("User is already logged in. Use `hub auth login --force` to force re-login."),
                    }
                    return Ok(());
                }
                sign_in(context)?
            }
        };
        let env = &context.settings.env;
        let store = TokenStore::from_env(env);
        if store.stored()?.is_unreadable() {
            out.warning(&format!(
                "{} is no INI file; it is kept as stored_tokens.unreadable",
                store.stored_tokens_path().display()
            ));
        }
        let refresh_token = entry.refresh_token().map(|token| Secret::from(token.reveal()));
        let login = context
            .api()?
            .login(token.reveal())
            .refresh_token(refresh_token)
            .expires_at(entry.expires_at());
        let login = context.block_on(async move { Ok(login.await?) })?;
        let (me, name) = (login.account, login.name);
        let access = me.auth.as_ref().and_then(|auth| auth.access_token.as_ref());
        match access.and_then(|access| access.role.as_deref()) {
            Some(role) => out.log(&format!("Token is valid (permission: {role}).")),
            None => out.log("Token is valid."),
        }
        match (self.add_to_git_credential.get(), &context.settings.token) {
            (true, Some(token)) => add_to_git(context, token)?,
            (true, None) => {
                out.warning("--add-to-git-credential is ignored: only a token that was given can be handed to git")
            }
            (false, _) => {}
        }
        out.log(&format!(
            "Your token has been saved to {}",
            store.token_path().display()
        ));
        out.log("Login successful.");
        match environment_token(env) {
            Some((variable, _)) => out.warning(&format!(
                "Environment variable `{variable}` is set and is the current active token independently from the token you've just configured."
            )),
            None => out.log(&format!("The current active token is: `{name}`")),
        }
        match out.mode {
            Mode::Agent => out.text(&format!(
                "Login successful: logged in as {} (token saved as '{name}').",
                me.name
            )),
            _ if out.is_json() => out.object(row! { "user": me.name, "token_name": name }),
            _ => Ok(()),
        }
    }
}

/// Gets a token from a person: from the browser, or pasted.
fn sign_in(context: &Context) -> anyhow::Result<(Token, StoredToken)> {
    const BROWSER: &str = "Log in with your browser";
    let out = &context.out;
    if !matches!(out.mode, Mode::Human | Mode::Agent) {
        let failure = Failure::new(
            Class::Failed,
            "`hub auth login` is interactive and does not support --format json/quiet without a token",
        );
        return Err(failure.hint("hub auth login --token-stdin < FILE").into());
    }
    if out.is_interactive()
        && out.choose("How would you like to log in?", &[BROWSER, "Paste an access token"])? != BROWSER
    {
        let page = format!("{}/settings/tokens", context.api()?.endpoint());
        out.log(&format!("To log in, a token generated from {page} is required."));
        let text = rpassword::prompt_password("Enter your token (input will not be visible): ")?;
        let token = Token::new(&text)?;
        return Ok((token.clone(), StoredToken::new(&token)));
    }
    let begin = context.api()?.begin_device_login();
    let login = context.block_on(async move { Ok(begin.await?) })?;
    if out.mode == Mode::Agent {
        out.text(&format!(
            "Ask the user to open {} in a browser and enter the code {}. The code expires in {} seconds. Waiting for \
             authorization...",
            login.url(),
            login.user_code(),
            login.expires_in().as_secs()
        ))?;
    } else {
        out.log(&format!(
            "\n    Open this URL in your browser:\n        {}\n",
            login.url()
        ));
        out.log(&format!("    And enter the code: {}\n", login.user_code()));
        out.log("    Waiting for authorization...");
    }
    let granted = context.block_on(async move { Ok(login.finish().await?) })?;
    if granted.refresh_token.is_some() {
        out.log("Note: This token will be refreshed automatically when it expires.");
    }
    Ok((granted.access_token.clone(), granted.to_stored()))
}
