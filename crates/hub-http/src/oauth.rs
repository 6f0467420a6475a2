//! Login in a browser, and the renewal of the tokens that it gives.
//!
//! As the Python client's `utils._oauth_device` and `utils._auth` (RFC 8628). The login is two steps: begin it and show
//! the user an address and a code, then ask until the user has confirmed it there.
//!
//! ```no_run
//! # async fn example() -> hub_http::Result<()> {
//! # let api = hub_http::HfApi::from_env()?;
//! let login = api.begin_device_login().await?;
//! println!("open {} and confirm {}", login.url(), login.user_code());
//! let token = login.finish().await?;
//! # Ok(()) }
//! ```
//!
//! A stored token of such a login is renewed when it is used with less than a day left. That is done behind the call
//! that uses it; where it fails, the old token goes on being used.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hub_types::Token;
use serde_json::Value;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use url::Url;

use crate::auth::TokenChoice;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::oidc::{Confidential, seconds, secret};
use crate::operation;
use crate::operation::BoxFuture;
use crate::request::{Request, within};
use crate::stored_tokens::{Lock, StoredToken, TokenStore};

/// The Python client's id: a login made here can be renewed there, and the other way round.
pub(crate) const CLIENT_ID: &str = "26be6b09-91c5-47da-9861-d2d2bb7a7e36";

/// A token with less left than this is renewed.
const RENEW_BEFORE: i64 = 24 * 3600;
/// How long nothing is looked up again after a failure, or where there is nothing to renew.
const LOOK_AGAIN: i64 = 300;
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
const SLOW_DOWN: Duration = Duration::from_secs(5);

operation! {
    impl HfApi, Error;

    /// Begins a login that the user confirms in a browser, on this or another device.
    ///
    /// Endpoint: `POST /oauth/device`
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn begin_device_login() -> BeginDeviceLogin(BeginDeviceLoginArgs) => DeviceLogin {}
}

impl BeginDeviceLoginArgs {
    async fn run(self, api: HfApi) -> Result<DeviceLogin> {
        let api = api.with_token(TokenChoice::None);
        let client_id = &api.shared.config.oauth_client_id;
        let request = Request::post("/oauth/device").form(&[("client_id", client_id)]);
        let (url, reply) = ask(&api, request).await?;
        DeviceLogin::from_reply(api, &reply).ok_or_else(|| Error::malformed(&url, "no device code to log in with"))
    }
}

/// A login that waits for the user.
pub struct DeviceLogin {
    api: HfApi,
    device_code: Token,
    user_code: String,
    verification_uri: String,
    url: String,
    interval: Duration,
    expires_in: Duration,
    deadline: Instant,
}

impl DeviceLogin {
    fn from_reply(api: HfApi, reply: &Value) -> Option<Self> {
        let text = |field: &str| reply.get(field)?.as_str().filter(|text| !text.is_empty());
        // It is shown and opened: nothing but a web address will do, and no control characters.
        let address = |field: &str| {
            Url::parse(text(field)?)
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https"))
        };
        let verification_uri = address("verification_uri")?.to_string();
        let expires_in = Duration::from_secs(seconds(reply, "expires_in").unwrap_or(900).min(86_400));
        Some(Self {
            api,
            device_code: secret(reply, "device_code")?,
            user_code: text("user_code")?.chars().filter(|c| !c.is_control()).collect(),
            url: address("verification_uri_complete").map_or_else(|| verification_uri.clone(), String::from),
            verification_uri,
            interval: Duration::from_secs(seconds(reply, "interval").unwrap_or(5).min(3600)),
            expires_in,
            deadline: Instant::now() + expires_in,
        })
    }

    /// The code that the user compares, or types at [`DeviceLogin::verification_uri`].
    pub fn user_code(&self) -> &str {
        &self.user_code
    }

    /// The page to open, with the code in it where the server gives such an address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The page to open, without the code.
    pub fn verification_uri(&self) -> &str {
        &self.verification_uri
    }

    /// How long to wait between two calls of [`DeviceLogin::poll`]. It grows when the server asks for patience.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// How long the code is good for, from when the login began.
    pub fn expires_in(&self) -> Duration {
        self.expires_in
    }

    /// Asks once whether the user has confirmed the login: the token if so, `None` if not yet. What says nothing
    /// either way (no connection, an error of the server) counts as not yet.
    ///
    /// # Errors
    ///
    /// [`Error::TokenExchange`] when the user refused, the code has expired, or the server refuses to go on.
    pub async fn poll(&mut self) -> Result<Option<DeviceToken>> {
        if Instant::now() >= self.deadline {
            return Err(expired());
        }
        let request = Request::post("/oauth/token").form(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", self.device_code.reveal()),
            ("client_id", &self.api.shared.config.oauth_client_id),
        ]);
        match Answer::of(ask(&self.api, request).await) {
            Answer::Token(token) => Ok(Some(token)),
            Answer::Unclear(_) => Ok(None),
            Answer::Error { code, description } => match code.as_str() {
                "authorization_pending" => Ok(None),
                "slow_down" => {
                    self.interval += SLOW_DOWN;
                    Ok(None)
                }
                "expired_token" => Err(expired()),
                "access_denied" => Err(failed("the login was refused in the browser")),
                _ => Err(failed(&format!("the server refused the login: {code}{description}"))),
            },
        }
    }

    /// Asks until the user has confirmed the login.
    ///
    /// # Errors
    ///
    /// See [`DeviceLogin::poll`].
    pub async fn finish(mut self) -> Result<DeviceToken> {
        loop {
            if let Some(token) = self.poll().await? {
                return Ok(token);
            }
            tokio::time::sleep_until((Instant::now() + self.interval).min(self.deadline)).await;
        }
    }

    /// Blocks until the user has confirmed the login. See [`DeviceLogin::finish`].
    ///
    /// # Errors
    ///
    /// See [`DeviceLogin::poll`].
    #[cfg(feature = "blocking")]
    pub fn wait(self) -> Result<DeviceToken> {
        crate::runtime::wait(self.finish())
    }
}

impl fmt::Debug for DeviceLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceLogin")
            .field("user_code", &self.user_code)
            .field("verification_uri", &self.verification_uri)
            .finish_non_exhaustive()
    }
}

/// What a login or a renewal gives.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceToken {
    /// The token to use.
    pub access_token: Token,
    /// What renews it.
    pub refresh_token: Option<Token>,
    /// When it expires, in seconds since 1970.
    pub expires_at: Option<i64>,
}

impl DeviceToken {
    fn from_reply(reply: &Value) -> Option<Self> {
        let lifetime = seconds(reply, "expires_in").and_then(|seconds| i64::try_from(seconds).ok());
        Some(Self {
            access_token: secret(reply, "access_token")?,
            refresh_token: secret(reply, "refresh_token"),
            expires_at: lifetime.map(|seconds| now().saturating_add(seconds)),
        })
    }

    /// The entry for [`TokenStore::login`].
    pub fn to_stored(&self) -> StoredToken {
        StoredToken::new(&self.access_token).with_refresh(self.refresh_token.as_ref(), self.expires_at)
    }
}

/// What the token endpoint says.
#[derive(Debug)]
enum Answer {
    Token(DeviceToken),
    /// An OAuth error, with `: description` where there is one.
    Error {
        code: String,
        description: String,
    },
    /// Nothing that means yes or no.
    Unclear(Option<Error>),
}

impl Answer {
    fn of(asked: Result<(String, Confidential)>) -> Self {
        match asked {
            Ok((_, reply)) => Self::of_reply(&reply).unwrap_or(Self::Unclear(None)),
            Err(err) => {
                let clear = err.status().is_some_and(|status| status < 500 && status != 429);
                let reply = err.reply().and_then(|reply| reply.body.as_ref()).filter(|_| clear);
                match reply.and_then(Self::of_reply) {
                    Some(answer) => answer,
                    None => Self::Unclear(Some(err)),
                }
            }
        }
    }

    fn of_reply(reply: &Value) -> Option<Self> {
        if let Some(token) = DeviceToken::from_reply(reply) {
            return Some(Self::Token(token));
        }
        let text = |field: &str| reply.get(field).and_then(Value::as_str).map(shortened);
        Some(Self::Error {
            code: text("error")?,
            description: text("error_description").map_or_else(String::new, |text| format!(": {text}")),
        })
    }
}

/// The server's words for an error: one short line.
fn shortened(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(300)
        .collect()
}

/// Sends a request that is answered quickly or not at all; gives the address and the reply's JSON. That holds secrets,
/// so a parser's complaint, which may quote them, gets into no error.
async fn ask(api: &HfApi, request: Request) -> Result<(String, Confidential)> {
    let timeout = api.shared.config.download_timeout;
    let url = format!("{}{}", api.endpoint(), request.target);
    let (_, body) = within(timeout, &url, api.send_whole(request)).await??;
    let reply = Confidential::read(body).ok_or_else(|| Error::malformed(&url, "expected JSON"))?;
    Ok((url, reply))
}

fn failed(problem: &str) -> Error {
    Error::TokenExchange {
        problem: problem.to_owned(),
        source: None,
    }
}

fn expired() -> Error {
    failed("the login was not confirmed in time, begin again")
}

fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// What was found out about the token in a file, so that not every call looks for it again.
struct Kept {
    /// The token as the file had it.
    read: Token,
    /// The token to use in its place; mostly itself.
    used: Token,
    /// When to look again, in seconds since 1970; `None` is never.
    again: Option<i64>,
}

type Slot = Arc<tokio::sync::Mutex<Option<Kept>>>;

/// Where that is kept: once for all clients of the process.
fn slot(token_path: &Path) -> Slot {
    static SLOTS: Mutex<Option<HashMap<PathBuf, Slot>>> = Mutex::new(None);
    let mut slots = SLOTS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    slots
        .get_or_insert_default()
        .entry(token_path.to_owned())
        .or_default()
        .clone()
}

/// The token to use where the file of the active token holds `read`: itself, or what it was renewed to.
///
/// It never fails: where a renewal does, the old token is used on. If that has expired, the Hub says so.
///
/// Boxed: it sends requests, and for each of these a token (there: none) is selected, which may lead here.
pub(crate) fn renewed(api: HfApi, store: TokenStore, read: Token) -> BoxFuture<Token> {
    Box::pin(async move {
        if api.is_offline() {
            return read;
        }
        let kept = slot(store.token_path()).lock_owned().await;
        if let Some(kept) = &*kept
            && kept.read == read
            && kept.again.is_none_or(|again| now() < again)
        {
            return kept.used.clone();
        }
        // On a task of its own: a renewal whose caller has gone is still written down. The server may have replaced
        // the refresh token, and then the only copy would be lost.
        let api = api.with_token(TokenChoice::None);
        let task = renew_into(kept, api, store, read.clone());
        crate::runtime::own().spawn(task).await.unwrap_or(read)
    })
}

async fn renew_into(mut slot: OwnedMutexGuard<Option<Kept>>, api: HfApi, store: TokenStore, read: Token) -> Token {
    let kept = match renew(&api, &store, &read).await {
        Ok(kept) => kept,
        Err(refused) => Kept {
            read: read.clone(),
            used: read,
            again: match refused {
                Refused::ForGood => {
                    tracing::warn!("the stored login has expired and cannot be renewed: log in again");
                    None
                }
                Refused::ForNow(err) => {
                    tracing::warn!(error = %err, "the stored login could not be renewed, trying again later");
                    Some(now() + LOOK_AGAIN)
                }
            },
        },
    };
    let used = kept.used.clone();
    *slot = Some(kept);
    used
}

enum Refused {
    /// The refresh token is no longer good.
    ForGood,
    ForNow(Error),
}

impl From<Error> for Refused {
    fn from(err: Error) -> Self {
        Self::ForNow(err)
    }
}

async fn renew(api: &HfApi, store: &TokenStore, read: &Token) -> Result<Kept, Refused> {
    let keep = |used: Token, again: i64| Kept {
        read: read.clone(),
        used,
        again: Some(again),
    };
    let stored = store.stored()?;
    let entry = stored.iter().find(|(_, entry)| entry.token().as_ref() == Some(read));
    let Some((name, Some(refresh), Some(expires))) =
        entry.map(|(name, entry)| (name.to_owned(), entry.refresh_token(), entry.expires_at()))
    else {
        // Another process may just have renewed it, and then it is gone from the store.
        return Ok(match store.active() {
            Ok(Some(active)) if active != *read => keep(active, 0),
            _ => keep(read.clone(), now() + LOOK_AGAIN),
        });
    };
    if expires.saturating_sub(RENEW_BEFORE) > now() {
        return Ok(keep(read.clone(), expires - RENEW_BEFORE));
    }

    // Two processes that renewed at once would make each other's refresh token worthless.
    let _lock = lock(store).await?;
    let stored = store.stored()?;
    let entry = stored.get(&name);
    let current = entry.and_then(StoredToken::token);
    let (used, expires) = if current.as_ref() == Some(read) {
        let request = Request::post("/oauth/token").form(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh.reveal()),
            ("client_id", &api.shared.config.oauth_client_id),
        ]);
        let mut renewed = match Answer::of(ask(api, request).await) {
            Answer::Token(token) => token,
            Answer::Error { code, .. } if code == "invalid_grant" => return Err(Refused::ForGood),
            Answer::Error { code, description } => {
                return Err(failed(&format!("the server refused to renew the token: {code}{description}")).into());
            }
            Answer::Unclear(Some(err)) => return Err(err.into()),
            Answer::Unclear(None) => return Err(failed("the server's answer holds no token").into()),
        };
        renewed.refresh_token.get_or_insert(refresh);
        let again = renewed.expires_at.map_or(0, |expires| expires - RENEW_BEFORE);
        if let Err(err) = store.renew(&name, read, renewed.to_stored()) {
            tracing::warn!(error = %err, "a renewed token could not be stored");
            return Ok(keep(renewed.access_token, again.max(now() + LOOK_AGAIN)));
        }
        tracing::info!(name, "the stored login was renewed");
        (renewed.access_token, renewed.expires_at)
    } else {
        // Another process was faster.
        (
            current.unwrap_or_else(|| read.clone()),
            entry.and_then(StoredToken::expires_at),
        )
    };
    let again = expires.map_or(0, |expires| expires.saturating_sub(RENEW_BEFORE));
    Ok(Kept {
        read: used.clone(),
        used,
        // A token that never has a day left is not renewed at each call.
        again: Some(again.max(now() + LOOK_AGAIN)),
    })
}

/// The lock of the stored tokens, which other processes and the Python client take too.
async fn lock(store: &TokenStore) -> Result<Lock> {
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        match store.try_lock()? {
            Lock::Busy if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(50)).await,
            Lock::Busy => return Err(store.lock_timed_out()),
            lock => return Ok(lock),
        }
    }
}

#[cfg(test)]
mod tests;
