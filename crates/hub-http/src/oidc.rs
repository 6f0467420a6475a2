//! Keyless sign-in of CI jobs ("trusted publishers"): a job's identity token is exchanged for a short-lived Hub token.
//!
//! As the Python client's `_oidc` and `utils._auth._get_token_from_oidc` (RFC 8693). Switched on by
//! `HF_OIDC_RESOURCE`; once it is on, a failure is an error and never a silent fallback to another token.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use hub_types::env::{self, Env};
use hub_types::{Token, ValidationError};
use serde_json::{Value, json};
use zeroize::Zeroize as _;

use crate::auth::{TokenChoice, environment_token};
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation::BoxFuture;
use crate::request::{Request, bearer};

/// A token that we can get anew is not used in its last minutes.
const MARGIN: Duration = Duration::from_secs(300);
const DEFAULT_LIFETIME: u64 = 3600;

/// What the environment says of it.
#[derive(Clone)]
pub(crate) struct Oidc {
    /// What the token is for: `ns/name`, `datasets/ns/name`, ... or a user's name.
    resource: String,
    identity: Identity,
}

/// Where the identity token comes from.
#[derive(Clone, PartialEq, Eq)]
enum Identity {
    /// `HF_OIDC_ID_TOKEN`.
    Given(Token),
    /// GitHub Actions makes one when asked with its own token.
    GitHub(Option<(String, Token)>),
    /// Nowhere: asking for a token is an error.
    Missing,
}

impl fmt::Debug for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oidc")
            .field("resource", &self.resource)
            .finish_non_exhaustive()
    }
}

impl Oidc {
    /// `None` when it is not switched on.
    pub(crate) fn from_env(env: &Env) -> Result<Option<Self>, ValidationError> {
        let Some(resource) = env.text(env::HF_OIDC_RESOURCE)? else {
            return Ok(None);
        };
        let identity = match environment_token(env, env::HF_OIDC_ID_TOKEN)? {
            Some(token) => Identity::Given(token),
            None if env.text(env::GITHUB_ACTIONS)? == Some("true") => {
                let address = env.text(env::ACTIONS_ID_TOKEN_REQUEST_URL)?.map(str::to_owned);
                Identity::GitHub(address.zip(environment_token(env, env::ACTIONS_ID_TOKEN_REQUEST_TOKEN)?))
            }
            None => Identity::Missing,
        };
        Ok(Some(Self {
            resource: resource.to_owned(),
            identity,
        }))
    }

    /// The token for the resource: one exchanged before as long as it lasts, else a new one.
    ///
    /// Boxed: it sends requests, and for each of these a token (there: none) is selected, which may lead here.
    pub(crate) fn token(&self, api: &HfApi) -> BoxFuture<Result<Token>> {
        let (oidc, api) = (self.clone(), api.clone());
        Box::pin(async move { oidc.kept_or_new(&api).await })
    }

    async fn kept_or_new(&self, api: &HfApi) -> Result<Token> {
        let slot = slot((api.endpoint().to_owned(), self.resource.clone()));
        // Held while asking: who comes meanwhile gets the same token.
        let mut kept = slot.lock().await;
        if let Some(kept) = &*kept
            && kept.identity == self.identity
            && Instant::now() < kept.until
        {
            return Ok(kept.token.clone());
        }
        let (token, lifetime) = self.exchange(api).await?;
        let margin = match self.identity {
            // It cannot be had anew, so there is nothing to gain by asking early.
            Identity::Given(_) => Duration::ZERO,
            _ => MARGIN,
        };
        *kept = Some(Kept {
            identity: self.identity.clone(),
            token: token.clone(),
            until: Instant::now() + lifetime.saturating_sub(margin),
        });
        Ok(token)
    }

    async fn exchange(&self, api: &HfApi) -> Result<(Token, Duration)> {
        let api = api.with_token(TokenChoice::None);
        let identity = match &self.identity {
            Identity::Given(token) => token.clone(),
            Identity::GitHub(Some((address, token))) => from_github(&api, address, token).await?,
            Identity::GitHub(None) => {
                return Err(failed(
                    "GitHub Actions gives this job no identity token: set `permissions: id-token: write` in the workflow",
                ));
            }
            Identity::Missing => {
                return Err(failed(
                    "HF_OIDC_RESOURCE is set, but HF_OIDC_ID_TOKEN is not and this is no CI system that gives identity tokens (GitHub Actions)",
                ));
            }
        };
        let request = Request::post("/oauth/token").retried().json(&json!({
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
            "subject_token": identity.reveal(),
            "resource": self.resource,
        }));
        let reply = send(&api, request, "the Hub refused the identity token").await?;
        let token = secret(&reply, "access_token").ok_or_else(|| failed("the Hub's answer holds no access token"))?;
        let lifetime = seconds(&reply, "expires_in").unwrap_or(DEFAULT_LIFETIME);
        Ok((token, Duration::from_secs(lifetime.min(u64::from(u32::MAX)))))
    }
}

async fn from_github(api: &HfApi, address: &str, token: &Token) -> Result<Token> {
    // Not the Hub, so nothing that is meant for the Hub goes along.
    let request = Request::get(address)
        .to_store()
        .retried()
        .query("audience", api.endpoint())
        .header(AUTHORIZATION, bearer(token));
    let reply = send(api, request, "GitHub Actions refused to give an identity token").await?;
    secret(&reply, "value").ok_or_else(|| failed("the answer of GitHub Actions holds no identity token"))
}

/// The reply's JSON. It holds secrets, so no parser's complaint, which may quote them, gets into the error.
async fn send(api: &HfApi, request: Request, problem: &str) -> Result<Confidential> {
    match api.send_whole(request).await {
        Ok((_, body)) => Confidential::read(body).ok_or_else(|| failed("the answer is not JSON")),
        Err(err) => Err(Error::TokenExchange {
            problem: problem.to_owned(),
            source: Some(Box::new(err)),
        }),
    }
}

/// A reply that holds secrets: its texts are cleared when it is dropped.
pub(crate) struct Confidential(Value);

impl Confidential {
    /// The reply's JSON. What was read is cleared, where nobody else holds it.
    pub(crate) fn read(body: Bytes) -> Option<Self> {
        let value = serde_json::from_slice(&body).ok().map(Self);
        if let Ok(mut body) = body.try_into_mut() {
            body.as_mut().zeroize();
        }
        value
    }
}

impl std::ops::Deref for Confidential {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl Drop for Confidential {
    fn drop(&mut self) {
        clear(&mut self.0);
    }
}

fn clear(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(clear),
        Value::Object(members) => members.values_mut().for_each(clear),
        _ => {}
    }
}

/// A token in a reply, if it has a usable one.
pub(crate) fn secret(reply: &Value, field: &str) -> Option<Token> {
    Token::new(reply.get(field)?.as_str()?).ok()
}

/// A number of seconds in a reply, written as a number or as digits.
pub(crate) fn seconds(reply: &Value, field: &str) -> Option<u64> {
    match reply.get(field)? {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().map(|n| n.max(0.0) as u64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn failed(problem: &str) -> Error {
    Error::TokenExchange {
        problem: problem.to_owned(),
        source: None,
    }
}

/// An exchanged token.
struct Kept {
    identity: Identity,
    token: Token,
    until: Instant,
}

type Slot = Arc<tokio::sync::Mutex<Option<Kept>>>;

/// Where the token for an endpoint and a resource is kept: once for all clients of the process.
fn slot(key: (String, String)) -> Slot {
    static SLOTS: Mutex<Option<HashMap<(String, String), Slot>>> = Mutex::new(None);
    let mut slots = SLOTS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    slots.get_or_insert_default().entry(key).or_default().clone()
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use wiremock::matchers::{body_json, header, method, path, query_param};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::client::HfApiBuilder;

    fn api(server: &MockServer, pairs: &[(&str, &str)]) -> HfApi {
        let env = Env::from_pairs(pairs.iter().map(|(k, v)| (*k, *v)));
        HfApiBuilder::from_env(&env)
            .unwrap()
            .endpoint(server.uri())
            .retries(1, Duration::from_millis(1))
            .build()
            .unwrap()
    }

    /// A Hub that exchanges the identity token `jwt` for tokens `hf_jwt_0`, `hf_jwt_1`, ... that last this long.
    async fn hub(resource: &str, lifetime: Option<u64>) -> MockServer {
        let server = MockServer::start().await;
        let count = std::sync::atomic::AtomicU32::new(0);
        Mock::given(method("POST"))
            .and(path("/oauth/token"))
            .and(body_json(json!({
                "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
                "subject_token": "jwt",
                "resource": resource,
            })))
            .respond_with(move |request: &wiremock::Request| {
                assert!(!request.headers.contains_key("authorization"));
                let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let mut reply = json!({"access_token": format!("hf_jwt_{n}"), "token_type": "bearer"});
                if let Some(lifetime) = lifetime {
                    reply["expires_in"] = lifetime.into();
                }
                ResponseTemplate::new(200).set_body_json(reply)
            })
            .mount(&server)
            .await;
        Mock::given(path("/api/whoami-v2"))
            .respond_with(|request: &wiremock::Request| {
                let token = request.headers["authorization"].to_str().unwrap();
                ResponseTemplate::new(200).set_body_json(json!({"name": token}))
            })
            .mount(&server)
            .await;
        server
    }

    /// Each test has its own: what is kept is kept for the process, and ports come back.
    fn resource(name: &str) -> (&str, &str) {
        ("HF_OIDC_RESOURCE", name)
    }

    const GIVEN: (&str, &str) = ("HF_OIDC_ID_TOKEN", "jwt");

    async fn shown(api: &HfApi) -> String {
        api.token().await.unwrap().unwrap().reveal().to_owned()
    }

    #[tokio::test]
    async fn a_given_identity_token_wins_over_stored_tokens_and_is_exchanged_once() {
        let server = hub("acme/once", None).await;
        let pairs = [
            resource("acme/once"),
            GIVEN,
            ("HF_TOKEN", "hf_env"),
            ("GITHUB_ACTIONS", "true"),
        ];
        assert_eq!(api(&server, &pairs).whoami().await.unwrap().name, "Bearer hf_jwt_0");
        // Another client of the process, and many calls at once: still one exchange.
        let again = api(&server, &pairs);
        let (a, b) = tokio::join!(shown(&again), shown(&again));
        assert_eq!((a.as_str(), b.as_str()), ("hf_jwt_0", "hf_jwt_0"));
        assert!(!format!("{again:?}").contains("jwt"));
    }

    #[tokio::test]
    async fn a_token_is_exchanged_anew_five_minutes_before_its_end_if_that_can_be() {
        let github = MockServer::start().await;
        Mock::given(method("GET"))
            .and(path("/mint"))
            .and(query_param("api-version", "2.0"))
            .and(header("authorization", "Bearer gh_secret"))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({"count": 1, "value": "jwt"})))
            .mount(&github)
            .await;
        let mint = format!("{}/mint?api-version=2.0", github.uri());
        let actions = [
            ("GITHUB_ACTIONS", "true"),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", mint.as_str()),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "gh_secret"),
        ];
        for (lifetime, pairs, expected) in [
            (300, &actions[..], ["hf_jwt_0", "hf_jwt_1"]),
            (330, &actions[..], ["hf_jwt_0", "hf_jwt_0"]),
            (301, &[GIVEN][..], ["hf_jwt_0", "hf_jwt_0"]),
            (0, &[GIVEN][..], ["hf_jwt_0", "hf_jwt_1"]),
        ] {
            let name = format!("datasets/acme/lasts-{lifetime}");
            let server = hub(&name, Some(lifetime)).await;
            let api = api(&server, &[&[resource(&name)], pairs].concat());
            assert_eq!([shown(&api).await, shown(&api).await], expected, "{lifetime}");
            for request in github.received_requests().await.unwrap() {
                assert!(!request.headers.contains_key("user-agent"));
                let audience = request.url.query_pairs().find(|(key, _)| key == "audience").unwrap();
                assert!(audience.1.starts_with("http://127.0.0.1:"), "{}", audience.1);
            }
            github.reset().await;
            Mock::given(path("/mint"))
                .respond_with(ResponseTemplate::new(200).set_body_json(json!({"value": "jwt"})))
                .mount(&github)
                .await;
        }
    }

    #[tokio::test]
    async fn it_is_not_asked_when_implicit_tokens_are_off_or_a_token_is_given() {
        let server = MockServer::start().await;
        let off = api(
            &server,
            &[resource("acme/off"), GIVEN, ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")],
        );
        assert_eq!(off.token().await.unwrap(), None);
        let on = api(&server, &[resource("acme/off"), GIVEN]);
        let mine = Token::new("hf_mine").unwrap();
        let explicit = on.with_token(TokenChoice::Explicit(mine.clone()));
        assert_eq!(explicit.token().await.unwrap(), Some(mine));
        assert_eq!(on.with_token(TokenChoice::None).token().await.unwrap(), None);
        assert!(server.received_requests().await.unwrap().is_empty());
        // Where a token is required it is asked for, implicit or not.
        assert!(off.with_token(TokenChoice::Required).token().await.is_err());
        assert_eq!(server.received_requests().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_failure_is_an_error_and_shows_no_secret() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(400).set_body_json(json!({"error": "invalid_grant"})))
            .mount(&server)
            .await;
        let odd = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(200).set_body_string("{\"access_token\": \"planted\", "))
            .mount(&odd)
            .await;
        let away = format!("{}/mint?code=planted", odd.uri());
        let env_token = ("HF_TOKEN", "hf_env");
        let resource = resource("acme/fails");
        for (server, pairs, told) in [
            (
                &server,
                vec![resource, ("HF_OIDC_ID_TOKEN", "planted"), env_token],
                "refused",
            ),
            (
                &odd,
                vec![resource, ("HF_OIDC_ID_TOKEN", "planted"), env_token],
                "not JSON",
            ),
            (&server, vec![resource, env_token], "HF_OIDC_ID_TOKEN"),
            (
                &server,
                vec![resource, ("GITHUB_ACTIONS", "true"), env_token],
                "id-token: write",
            ),
            (
                &server,
                vec![
                    resource,
                    ("GITHUB_ACTIONS", "true"),
                    ("ACTIONS_ID_TOKEN_REQUEST_URL", &away),
                    ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "planted"),
                ],
                "GitHub Actions refused",
            ),
        ] {
            let err = api(server, &pairs).whoami().await.unwrap_err();
            let text = format!("{err} {err:?} {:?}", err.source().map(ToString::to_string));
            assert!(text.contains(told) && !text.contains("planted"), "{text}");
            assert!(matches!(err, Error::TokenExchange { .. }), "{err:?}");
        }
        let bad = Env::from_pairs([resource, ("HF_OIDC_ID_TOKEN", "plan ted")]);
        let err = HfApiBuilder::from_env(&bad).unwrap_err().to_string();
        assert!(err.contains("HF_OIDC_ID_TOKEN") && !err.contains("plan"), "{err}");
    }
}
