//! Where a token comes from. Which hosts may see it is decided in [`crate::request`], by
//! [`Endpoint::is_hub_origin`](crate::endpoint::Endpoint::is_hub_origin) alone.

use hub_types::env::{self, Env};
use hub_types::{Token, ValidationError};

use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::oidc::Oidc;
use crate::stored_tokens::TokenStore;

/// Which token a call sends.
#[derive(Debug, Clone, Default)]
pub enum TokenChoice {
    /// The client's own token, else the stored one unless `HF_HUB_DISABLE_IMPLICIT_TOKEN` is on, else none.
    #[default]
    Implicit,
    /// The stored token; [`Error::TokenNotFound`] if there is none. (Python: `token=True`.)
    Required,
    /// This one.
    Explicit(Token),
    /// None. (Python: `token=False`.)
    None,
}

/// The tokens that a client could send, as its configuration and the environment have them.
#[derive(Debug, Clone, Default)]
pub(crate) struct TokenSource {
    /// Set on the client itself.
    pub(crate) client: Option<Token>,
    /// Whether a stored token goes along unasked.
    pub(crate) implicit: bool,
    /// The exchange of a CI job's identity, if the environment asks for it. It wins over what is stored.
    oidc: Option<Oidc>,
    /// `HF_TOKEN` or its older name.
    environment: Option<Token>,
    /// The files of the active token and of all tokens.
    store: Option<TokenStore>,
}

impl TokenSource {
    /// Where a token came from that the Hub does not know, in words for the error.
    pub(crate) fn refusal(&self, token: &Token) -> &'static str {
        if self.environment.as_ref() == Some(token) {
            "the token in the environment variable HF_TOKEN is not valid; it goes before a stored one"
        } else if self
            .store
            .as_ref()
            .is_some_and(|store| store.active().ok().flatten().as_ref() == Some(token))
        {
            "the stored token is not valid: log in again"
        } else {
            "the token that was given is not valid"
        }
    }

    /// Where tokens are stored, if anywhere.
    pub(crate) fn store(&self) -> Option<TokenStore> {
        self.store.clone()
    }

    /// Whether another token goes before the stored one.
    pub(crate) fn is_overridden(&self) -> bool {
        self.oidc.is_some() || self.environment.is_some()
    }

    /// What the environment says. A token there that no header can carry is an error that names the variable.
    pub(crate) fn from_env(env: &Env) -> Result<Self, ValidationError> {
        Ok(Self {
            client: None,
            implicit: !env.flag(env::HF_HUB_DISABLE_IMPLICIT_TOKEN),
            oidc: Oidc::from_env(env)?,
            environment: match environment_token(env, env::HF_TOKEN)? {
                Some(token) => Some(token),
                None => environment_token(env, env::HUGGING_FACE_HUB_TOKEN)?,
            },
            store: Some(TokenStore::from_env(env)),
        })
    }

    /// The token for a call.
    pub(crate) async fn select(&self, api: &HfApi, choice: &TokenChoice) -> Result<Option<Token>> {
        match choice {
            TokenChoice::Explicit(token) => Ok(Some(token.clone())),
            TokenChoice::None => Ok(None),
            TokenChoice::Required => self.stored(api).await?.ok_or(Error::TokenNotFound).map(Some),
            TokenChoice::Implicit => match &self.client {
                Some(token) => Ok(Some(token.clone())),
                // Before anything is looked up: finding a stored token may take requests.
                None if !self.implicit => Ok(None),
                None => self.stored(api).await,
            },
        }
    }

    /// The CI job's token, else the environment's, else the token file's.
    async fn stored(&self, api: &HfApi) -> Result<Option<Token>> {
        if let Some(oidc) = &self.oidc {
            return oidc.token(api).await.map(Some);
        }
        if let Some(token) = &self.environment {
            return Ok(Some(token.clone()));
        }
        let Some(store) = &self.store else { return Ok(None) };
        // Read at each call: the user may log in or out meanwhile. It is a few dozen bytes.
        match store.active()? {
            Some(token) => Ok(Some(crate::oauth::renewed(api.clone(), store.clone(), token).await)),
            None => Ok(None),
        }
    }
}

pub(crate) fn environment_token(env: &Env, variable: env::Variable) -> Result<Option<Token>, ValidationError> {
    match env.text(variable)? {
        Some(text) if !text.trim().is_empty() => Token::new(text).map(Some).map_err(|err| {
            ValidationError::new("environment variable", variable.name, format!("token {}", err.rule()))
        }),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn select(pairs: &[(&str, &str)], choice: TokenChoice) -> Result<Option<String>> {
        let env = Env::from_pairs(pairs.iter().map(|(k, v)| (*k, *v)));
        let api = crate::HfApiBuilder::from_env(&env)?.build()?;
        let token = api.with_token(choice).token().await?;
        Ok(token.map(|token| token.reveal().to_owned()))
    }

    #[tokio::test]
    async fn environment_wins_over_the_file_and_newer_over_older() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("token"), "hf_file\n").unwrap();
        let home = dir.path().to_str().unwrap();
        let all = [
            ("HF_HOME", home),
            ("HF_TOKEN", "hf_new\n"),
            ("HUGGING_FACE_HUB_TOKEN", "hf_old"),
        ];
        assert_eq!(
            select(&all, TokenChoice::Implicit).await.unwrap().as_deref(),
            Some("hf_new")
        );
        assert_eq!(
            select(&[all[0], all[2]], TokenChoice::Implicit)
                .await
                .unwrap()
                .as_deref(),
            Some("hf_old")
        );
        assert_eq!(
            select(&all[..1], TokenChoice::Implicit).await.unwrap().as_deref(),
            Some("hf_file")
        );
        assert_eq!(select(&all, TokenChoice::None).await.unwrap(), None);
        let explicit = TokenChoice::Explicit(Token::new("hf_mine").unwrap());
        assert_eq!(select(&all, explicit).await.unwrap().as_deref(), Some("hf_mine"));
    }

    #[tokio::test]
    async fn a_stored_token_is_not_sent_unasked_when_switched_off() {
        let pairs = [("HF_TOKEN", "hf_x"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")];
        assert_eq!(select(&pairs, TokenChoice::Implicit).await.unwrap(), None);
        assert_eq!(
            select(&pairs, TokenChoice::Required).await.unwrap().as_deref(),
            Some("hf_x")
        );
    }

    #[tokio::test]
    async fn a_missing_or_malformed_token_is_told_without_being_shown() {
        let empty = tempfile::tempdir().unwrap();
        let home = ("HF_HOME", empty.path().to_str().unwrap());
        assert!(matches!(
            select(&[home], TokenChoice::Required).await,
            Err(Error::TokenNotFound)
        ));
        let err = select(&[("HF_TOKEN", "hf_se cret")], TokenChoice::Implicit)
            .await
            .unwrap_err();
        assert!(
            err.to_string().contains("HF_TOKEN") && !err.to_string().contains("cret"),
            "{err}"
        );
    }
}
