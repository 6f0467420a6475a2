//! Who is asking, and what they may do.

use hub_types::account::WhoAmI;
use hub_types::{RepoId, RepoType};

use super::{answered, forbid_kernel};
use crate::auth::TokenChoice;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::request::Request;

operation! {
    impl HfApi, Error;

    /// Tells whose token is in use. A stored token is taken also where tokens do not go along unasked.
    ///
    /// Endpoint: `GET /api/whoami-v2`, which has a stricter rate limit than others: keep the answer.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let me = api.whoami().await?;
    /// println!("logged in as {}", me.name);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::TokenNotFound`] without a token, [`Error::Unauthorized`] for one that the Hub does not know (the error
    /// says where it came from), [`Error::RateLimited`]; see [`Error`] for those any call can return.
    pub fn whoami() -> Whoami(WhoamiArgs) => WhoAmI {
        /// Keeps the answer for this client and its clones, and gives it again without a request. By default not.
        cache: bool,
    }
}

operation! {
    impl HfApi, Error;

    /// Checks that the token may read a repository, or write to it.
    ///
    /// Endpoint: `GET /api/{models|datasets|spaces}/{repo_id}/auth-check[/write]`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// match api.auth_check("ada/gated-model").await {
    ///     Ok(()) => println!("it can be read"),
    ///     Err(hub_http::Error::GatedRepo { .. }) => println!("access has to be asked for first"),
    ///     Err(other) => return Err(other),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::RepoNotFound`] also for a private one that is closed to this token, [`Error::GatedRepo`],
    /// [`Error::Forbidden`]; see [`Error`] for those any call can return.
    pub fn auth_check(
        /// The repository.
        repo_id: RepoId,
    ) -> AuthCheck(AuthCheckArgs) => () {
        /// What it holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// Checks that the token may change its files. By default that it may read them.
        write: bool,
    }
}

impl WhoamiArgs {
    async fn run(self, api: HfApi) -> Result<WhoAmI> {
        // As the Python client: who asks who they are wants the stored token used.
        let api = match api.token {
            TokenChoice::Implicit if api.shared.config.tokens.client.is_none() => api.with_token(TokenChoice::Required),
            _ => api,
        };
        let token = api.token().await?.ok_or(Error::TokenNotFound)?;
        let cache = self.cache.unwrap_or(false);
        if cache && let Some(known) = api.shared.known_account(&token) {
            return Ok(known);
        }
        match api.ask(Request::get("/api/whoami-v2")).await {
            Ok(reply) => {
                let me: WhoAmI = reply.json()?;
                if cache {
                    api.shared.remember_account(token, me.clone());
                }
                Ok(me)
            }
            Err(Error::Unauthorized(mut reply)) => {
                reply.note = Some(api.shared.config.tokens.refusal(&token).to_owned());
                Err(Error::Unauthorized(reply))
            }
            Err(Error::RateLimited(mut reply)) => {
                reply.note = Some("this call has a strict limit of its own: keep its answer (cache)".to_owned());
                Err(Error::RateLimited(reply))
            }
            Err(err) => Err(err),
        }
    }
}

impl AuthCheckArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let repo = self.repo_id.typed(self.repo_type);
        forbid_kernel(&repo)?;
        let write = if self.write.unwrap_or(false) { "/write" } else { "" };
        answered(
            &api,
            Request::get(format!("/api/{}/auth-check{write}", repo.api_path())),
        )
        .await
    }
}

#[cfg(test)]
mod tests {
    use hub_types::env::Env;
    use serde_json::json;
    use wiremock::ResponseTemplate;

    use super::super::testing::Hub;
    use super::*;
    use crate::client::HfApiBuilder;

    fn with_env(hub: &Hub, pairs: &[(&str, &str)]) -> HfApi {
        let env = Env::from_pairs(pairs.iter().copied());
        HfApiBuilder::from_env(&env)
            .unwrap()
            .endpoint(hub.url())
            .build()
            .unwrap()
    }

    #[tokio::test]
    async fn an_answer_is_kept_if_asked() {
        let me = json!({"name": "ada", "type": "user", "orgs": [{"name": "acme"}], "isPro": true});
        let hub = Hub::with("GET", "/api/whoami-v2", 200, me).await;
        let api = hub.api();
        assert_eq!(api.whoami().cache(true).await.unwrap().name, "ada");
        assert_eq!(api.clone().whoami().cache(true).await.unwrap().orgs[0].name, "acme");
        assert_eq!(hub.asked().await, ["GET /api/whoami-v2"]);
        api.whoami().await.unwrap();
        let other = api.with_token(TokenChoice::Explicit(hub_types::Token::new("hf_other").unwrap()));
        other.whoami().cache(true).await.unwrap();
        assert_eq!(hub.asked().await.len(), 3);
    }

    #[tokio::test]
    async fn a_refused_token_is_told_by_where_it_came_from() {
        let hub = Hub::with(
            "GET",
            "/api/whoami-v2",
            401,
            json!({"error": "Invalid username or password."}),
        )
        .await;
        let home = tempfile::tempdir().unwrap();
        fs_err::write(home.path().join("token"), "hf_stored").unwrap();
        let home = home.path().to_str().unwrap();
        for (api, words) in [
            (hub.api(), "token that was given"),
            (with_env(&hub, &[("HF_TOKEN", "hf_env"), ("HF_HOME", home)]), "HF_TOKEN"),
            (with_env(&hub, &[("HF_HOME", home)]), "stored token"),
        ] {
            let err = api.whoami().await.unwrap_err();
            assert!(matches!(err, Error::Unauthorized(_)), "{err}");
            assert!(
                err.to_string().contains(words) && !err.to_string().contains("hf_"),
                "{err}"
            );
        }
    }

    #[tokio::test]
    async fn without_a_token_nothing_is_sent() {
        let hub = Hub::with("GET", "/api/whoami-v2", 200, json!({"name": "ada"})).await;
        let empty = tempfile::tempdir().unwrap();
        let home = ("HF_HOME", empty.path().to_str().unwrap());
        let err = with_env(&hub, &[home]).whoami().await.unwrap_err();
        assert!(matches!(err, Error::TokenNotFound));
        let err = hub.api().with_token(TokenChoice::None).whoami().await.unwrap_err();
        assert!(matches!(err, Error::TokenNotFound));
        assert!(hub.asked().await.is_empty());
        // A stored one is taken, also where it would not go along unasked.
        let api = with_env(
            &hub,
            &[home, ("HF_TOKEN", "hf_x"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")],
        );
        assert_eq!(api.whoami().await.unwrap().name, "ada");
    }

    #[tokio::test]
    async fn too_many_questions_are_told_how_to_be_fewer() {
        let hub = Hub::with("GET", "/api/whoami-v2", 429, json!({})).await;
        let err = hub.api().whoami().await.unwrap_err();
        assert!(
            matches!(err, Error::RateLimited(_)) && err.to_string().contains("keep its answer"),
            "{err}"
        );
    }

    #[tokio::test]
    async fn access_is_checked() {
        let hub = Hub::with("GET", "/api/datasets/a/b/auth-check", 200, json!({})).await;
        let gated = ResponseTemplate::new(403).insert_header("x-error-code", "GatedRepo");
        hub.answer("GET", "/api/datasets/a/b/auth-check/write", gated).await;
        let api = hub.api();
        api.auth_check("a/b").repo_type("dataset").await.unwrap();
        let err = api.auth_check("datasets/a/b").write(true).await.unwrap_err();
        assert!(matches!(err, Error::GatedRepo(_)));
        assert!(matches!(api.auth_check("kernels/a/b").await, Err(Error::Invalid(_))));
    }
}
