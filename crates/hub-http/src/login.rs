//! Logging in with a token.
//!
//! As the Python client's `login(token)`. For a login with the browser, which gives a token, see [`oauth`](crate::oauth).

use hub_types::account::WhoAmI;
use hub_types::{Secret, Token, ValidationError};

use crate::auth::TokenChoice;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::runtime::blocking;
use crate::stored_tokens::StoredToken;

/// What came of a login.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Login {
    /// Whose token it is.
    pub account: WhoAmI,
    /// The name that the token is stored under: its own, or `oauth-` and the account's.
    pub name: String,
    /// Whether another token goes before the stored one all the same: the environment's, or a CI job's.
    pub overridden: bool,
}

operation! {
    impl HfApi, Error;

    /// Logs in with a token: asks the Hub whose it is, stores it under its name, and makes it the active one, also for
    /// the Python client. Nothing is stored of a token that the Hub does not know.
    ///
    /// A token in the environment (`HF_TOKEN`) goes before a stored one all the same; [`Login::overridden`] says so.
    ///
    /// Endpoint: `GET /api/whoami-v2`
    ///
    /// ```no_run
    /// # async fn example() -> hub_http::Result<()> {
    /// let api = hub_http::HfApi::from_env()?;
    /// let login = api.login("hf_…").await?;
    /// println!("logged in as {}, with the token {}", login.account.name, login.name);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a token of an organisation (`api_org…`), and from a client that was not made
    /// [from the environment](HfApi::from_env), which has no place to store tokens; [`Error::Unauthorized`] when the Hub
    /// does not know the token; [`Error::Io`]; see [`Error`] for those any call can return.
    pub fn login(
        /// The token.
        token: Secret,
    ) -> LogIn(LogInArgs) => Login {
        /// What renews it, of a login with the browser.
        refresh_token: Secret,
        /// When it expires, in seconds since 1970.
        expires_at: i64,
    }
}

impl LogInArgs {
    async fn run(self, api: HfApi) -> Result<Login> {
        let token = Token::new(self.token.reveal())?;
        if token.reveal().starts_with("api_org") {
            let rule = "must be your own token, not an organization's";
            return Err(ValidationError::secret("token", rule).into());
        }
        let Some(store) = api.shared.config.tokens.store() else {
            let rule = "has no place to store tokens: make the client from the environment";
            return Err(ValidationError::new("client", api.endpoint(), rule).into());
        };
        let refresh = self.refresh_token.map(|text| Token::new(text.reveal())).transpose()?;
        let asking = api.clone().with_token(TokenChoice::Explicit(token.clone()));
        let account = asking.whoami().await?;
        let name = token_name(&account);
        let entry = StoredToken::new(&token).with_refresh(refresh.as_ref(), self.expires_at);
        let stored_as = name.clone();
        blocking(move || store.login(&stored_as, entry)).await?;
        Ok(Login {
            account,
            name,
            overridden: api.shared.config.tokens.is_overridden(),
        })
    }
}

/// The name that the token's owner gave it, in a form that a section of the file can have.
fn token_name(account: &WhoAmI) -> String {
    let access = account.auth.as_ref().and_then(|auth| auth.access_token.as_ref());
    let shown = access.and_then(|access| access.display_name.as_deref());
    let clean: String = shown.unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    match clean.trim() {
        "" => format!("oauth-{}", account.name),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use hub_types::env::Env;
    use serde_json::{Value, json};
    use wiremock::matchers::{header, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::HfApiBuilder;
    use crate::stored_tokens::TokenStore;

    async fn hub(status: u16, reply: Value) -> MockServer {
        let server = MockServer::start().await;
        Mock::given(path("/api/whoami-v2"))
            .and(header("authorization", "Bearer hf_new"))
            .respond_with(ResponseTemplate::new(status).set_body_json(reply))
            .mount(&server)
            .await;
        server
    }

    fn client(server: &MockServer, home: &tempfile::TempDir) -> (HfApi, TokenStore) {
        let url = server.uri();
        let env = Env::from_pairs([
            ("HF_HOME", home.path().to_str().unwrap()),
            ("HF_ENDPOINT", url.as_str()),
            ("HF_TOKEN", "hf_other"),
        ]);
        let api = HfApiBuilder::from_env(&env).unwrap().build().unwrap();
        (api, TokenStore::from_env(&env))
    }

    #[tokio::test]
    async fn a_token_is_stored_under_its_name_once_the_hub_knows_it() {
        let home = tempfile::tempdir().unwrap();
        let server = hub(
            200,
            json!({"name": "ada", "auth": {"accessToken": {"displayName": " lap\ntop "}}}),
        )
        .await;
        let (api, store) = client(&server, &home);
        let login = api.login("hf_new\n").refresh_token("r").expires_at(5).await.unwrap();
        assert_eq!((login.account.name.as_str(), login.name.as_str()), ("ada", "laptop"));
        assert!(login.overridden);
        assert_eq!(store.active().unwrap().unwrap().reveal(), "hf_new");
        let stored = store.stored().unwrap();
        assert_eq!(stored.get("laptop").unwrap().expires_at(), Some(5));
        assert!(stored.get("laptop").unwrap().refresh_token().is_some());
    }

    #[tokio::test]
    async fn a_token_that_cannot_log_in_is_not_stored() {
        let home = tempfile::tempdir().unwrap();
        let server = hub(401, json!({"error": "Invalid username or password."})).await;
        let (api, store) = client(&server, &home);
        let err = api.login("hf_new").await.unwrap_err();
        assert!(matches!(err, Error::Unauthorized(_)), "{err:?}");
        let err = api.login("api_org_planted").await.unwrap_err();
        assert!(
            matches!(err, Error::Invalid(_)) && !format!("{err:?} {err}").contains("planted"),
            "{err:?}"
        );
        assert_eq!(server.received_requests().await.unwrap().len(), 1);
        assert!(store.active().unwrap().is_none() && store.stored().unwrap().is_empty());
        let bare = HfApi::builder().endpoint(server.uri()).build().unwrap();
        assert!(matches!(bare.login("hf_new").await, Err(Error::Invalid(_))));
        assert!(!format!("{:?}", api.login("hf_planted")).contains("planted"));
    }

    #[test]
    fn a_token_without_a_name_is_named_after_its_account() {
        let account: WhoAmI = serde_json::from_value(json!({"name": "ada", "auth": {"type": "app_token"}})).unwrap();
        assert_eq!(token_name(&account), "oauth-ada");
    }
}
