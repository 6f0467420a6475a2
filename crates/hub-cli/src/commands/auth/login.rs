//! `hub auth login`

use hub_http::TokenChoice;
use hub_http::stored_tokens::{StoredToken, TokenStore};
use hub_types::Token;
use hub_types::account::{AccessToken, WhoAmI};

use super::{AddToGitCredential, add_to_git, environment_token, refuse_local};
use crate::cli::switch;
use crate::context::Context;
use crate::error::{Class, Failure};
use crate::output::row;

/// Check an access token and keep it for later commands
///
/// The token is taken from --token-stdin, --token-file or --token, else it is asked for. Make one on the Hub's page
/// settings/tokens.
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
        let token = match &context.settings.token {
            Some(token) => token.clone(),
            None => {
                if !self.force.get() && context.token()?.is_some() {
                    out.log("User is already logged in. Use `hub auth login --force` to force re-login.");
                    return Ok(());
                }
                ask(context)?
            }
        };
        if token.reveal().starts_with("api_org") {
            return Err(Failure::usage("You must use your personal account token, not an organization token.").into());
        }
        let api = context.api()?.with_token(TokenChoice::Explicit(token.clone()));
        let me = context.block_on(async move { Ok(api.whoami().await?) })?;
        let access = access_token(&me);
        match access.and_then(|access| access.role.as_deref()) {
            Some(role) => out.log(&format!("Token is valid (permission: {role}).")),
            None => out.log("Token is valid."),
        }
        let name = token_name(&me);
        let env = &context.settings.env;
        let store = TokenStore::from_env(env);
        if store.stored()?.is_unreadable() {
            out.warning(&format!(
                "{} is no INI file; it is kept as stored_tokens.unreadable",
                store.stored_tokens_path().display()
            ));
        }
        store.login(&name, StoredToken::new(&token))?;
        if self.add_to_git_credential.get() {
            add_to_git(context, &token)?;
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
        if out.is_json() {
            out.object(row! { "user": me.name, "token_name": name })?;
        }
        Ok(())
    }
}

/// Asks for the token on the terminal, unseen.
fn ask(context: &Context) -> anyhow::Result<Token> {
    if !context.out.is_interactive() {
        let failure = Failure::new(
            Class::Failed,
            "`hub auth login` needs a token, and nobody is here to be asked for one",
        );
        return Err(failure.hint("hub auth login --token-stdin < FILE").into());
    }
    let page = format!("{}/settings/tokens", context.api()?.endpoint());
    context
        .out
        .log(&format!("To log in, an access token from {page} is needed."));
    let text = rpassword::prompt_password("Enter your token (input will not be visible): ")?;
    Ok(Token::new(&text)?)
}

fn access_token(me: &WhoAmI) -> Option<&AccessToken> {
    me.auth.as_ref()?.access_token.as_ref()
}

/// The name that the token's owner gave it, in a form that a section of the file can have.
fn token_name(me: &WhoAmI) -> String {
    let shown = access_token(me).and_then(|access| access.display_name.as_deref());
    let clean: String = shown.unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    match clean.trim() {
        "" => format!("oauth-{}", me.name),
        name => name.to_owned(),
    }
}
