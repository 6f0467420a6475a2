//! What a client keeps for its transfers: the library's session, and tokens for as long as they are valid.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde::Deserialize;
use xet::xet_session::{XetConfig, XetDownloadStreamGroup, XetSession, XetSessionBuilder};

use super::Settings;
use crate::client::{Config, HfApi, MOST_CONNECTIONS};
use crate::error::{Error, Result};
use crate::request::Request;

/// A token that has less than this left is not begun with.
const MARGIN: u64 = 60;
/// The most tokens that are kept.
const MOST_TOKENS: usize = 1000;
/// The library asks a server for what it did not send for so long once more.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A permission to read or write, and where.
#[derive(Clone)]
pub(super) struct Access {
    /// Where the token came from, and the next one comes from.
    pub(super) route: String,
    pub(super) storage: String,
    pub(super) token: String,
    /// Until when, in seconds since 1970.
    pub(super) expires: u64,
    /// What a request for the next token says of us, with our own token where the Hub is asked.
    pub(super) refresh_headers: HeaderMap,
    /// The same for the storage, which is not to see that token.
    pub(super) headers: HeaderMap,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("storage", &self.storage)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// A token, and the connections that read with it.
#[derive(Default)]
struct Kept {
    access: Option<Access>,
    reader: Option<XetDownloadStreamGroup>,
}

/// One at a time asks for a token; all that need the same wait for it.
type Place = Arc<tokio::sync::Mutex<Kept>>;

/// What a client keeps for its transfers.
#[derive(Default)]
pub(crate) struct State {
    session: OnceLock<XetSession>,
    /// By the address that gave the token, and by who asked.
    kept: Mutex<HashMap<(String, Option<String>), Place>>,
    /// Addresses that gave none because the Hub has no Xet.
    without: Mutex<HashSet<String>>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

/// A group of the library's transfers that has this permission. A macro, since what the library's builders have in common
/// has no name outside of it.
macro_rules! permitted {
    ($builder:expr, $access:expr, $what:expr) => {
        async {
            let access: Access = $access;
            $builder
                .map_err(|err| failed($what, err))?
                .with_endpoint(access.storage)
                .with_token_info(access.token, access.expires)
                .with_token_refresh_url(access.route, access.refresh_headers)
                .with_custom_headers(access.headers)
                .build()
                .await
                .map_err(|err| failed($what, err))
        }
        .await
    };
}
pub(super) use permitted;

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Sets and maps whose every change is one call: valid, whoever panicked with them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    pub(super) fn session(&self, config: &Config) -> Result<XetSession> {
        if let Some(session) = self.session.get() {
            return Ok(session.clone());
        }
        let mut builder = XetSessionBuilder::new_with_config(settings(config)?)
            // Ours, and not the caller's: that may be gone before the session is.
            .with_tokio_handle(crate::runtime::own().clone());
        if let Some(cache) = &config.xet.cache {
            builder = builder.with_cache_dir(cache);
        }
        let session = builder.build().map_err(|err| Error::Setup { source: err.into() })?;
        Ok(self.session.get_or_init(|| session).clone())
    }

    fn place(&self, route: &str, who: Option<String>) -> Place {
        let mut kept = hold(&self.kept);
        if kept.len() >= MOST_TOKENS {
            // Those that nobody uses now; what is valid among them costs one request again.
            kept.retain(|_, place| Arc::strong_count(place) > 1);
        }
        kept.entry((route.to_owned(), who)).or_default().clone()
    }

    /// Whether the Hub has said that it has no Xet here.
    pub(super) fn is_without(&self, route: &str) -> bool {
        hold(&self.without).contains(route)
    }

    pub(super) fn note_without(&self, route: &str) {
        hold(&self.without).insert(route.to_owned());
    }
}

/// The library's settings: memory bounded, no reports of ours to the storage about how fast it was, then what the user
/// says.
fn settings(config: &Config) -> Result<XetConfig> {
    let Settings {
        from_env,
        high_performance,
        ..
    } = config.xet;
    let mut xet = XetConfig::default();
    if high_performance {
        xet = xet.with_high_performance();
    } else {
        for (name, size) in [
            ("reconstruction.download_buffer_size", "256mb"),
            ("reconstruction.download_buffer_perfile_size", "32mb"),
            ("reconstruction.download_buffer_limit", "512mb"),
            ("reconstruction.min_prefetch_buffer", "256mb"),
        ] {
            xet = xet
                .with_config(name, size)
                .map_err(|err| Error::Setup { source: err.into() })?;
        }
    }
    xet.telemetry.enabled = false;
    xet.client.read_timeout = READ_TIMEOUT.max(config.download_timeout);
    xet.client.connect_timeout = READ_TIMEOUT;
    xet.client.retry_base_delay = config.retry.first_wait;
    // By default it finds out by itself.
    let most = config.max_connections;
    if most < MOST_CONNECTIONS {
        let client = &mut xet.client;
        client.ac_max_download_concurrency = most;
        client.ac_initial_download_concurrency = client.ac_initial_download_concurrency.min(most);
        client.ac_max_upload_concurrency = most;
        client.ac_initial_upload_concurrency = client.ac_initial_upload_concurrency.min(most);
    }
    if from_env {
        xet = xet.with_env_overrides();
    }
    Ok(xet)
}

/// A permission to read or write, valid for a while. Where `route` is the Hub's it is asked with this client's token.
pub(super) async fn access(api: &HfApi, route: &str) -> Result<Access> {
    let place = place(api, route).await?;
    let mut kept = place.lock().await;
    valid(api, route, &mut kept).await
}

/// The connections that read with the token of `route`.
pub(super) async fn reader(api: &HfApi, route: &str) -> Result<XetDownloadStreamGroup> {
    let place = place(api, route).await?;
    let mut kept = place.lock().await;
    let access = valid(api, route, &mut kept).await?;
    if let Some(reader) = &kept.reader {
        return Ok(reader.clone());
    }
    let session = api.shared.xet.session(&api.shared.config)?;
    let reader = permitted!(session.new_download_stream_group(), access, "a download")?;
    Ok(kept.reader.insert(reader).clone())
}

/// Drops connections that have failed: the library does not use them again.
pub(super) async fn forget_reader(api: &HfApi, route: &str) {
    if let Ok(place) = place(api, route).await {
        *place.lock().await = Kept::default();
    }
}

async fn place(api: &HfApi, route: &str) -> Result<Place> {
    let token = match api.is_hub_address(route) {
        true => api.token().await?,
        false => None,
    };
    let who = token.map(|token| token.reveal().to_owned());
    Ok(api.shared.xet.place(route, who))
}

async fn valid(api: &HfApi, route: &str, kept: &mut Kept) -> Result<Access> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    if let Some(access) = kept.access.as_ref().filter(|access| access.expires > now + MARGIN) {
        return Ok(access.clone());
    }
    let access = ask(api, route).await?;
    *kept = Kept {
        access: Some(access.clone()),
        reader: None,
    };
    Ok(access)
}

/// Asks for a token. The answer says the same twice, in its body and in its headers.
async fn ask(api: &HfApi, route: &str) -> Result<Access> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        cas_url: Option<String>,
        access_token: Option<String>,
        exp: Option<u64>,
    }
    let (reply, body) = api.send_whole(Request::get(route).retried()).await?;
    let answer: Answer = serde_json::from_slice(&body).unwrap_or_default();
    let text = |name: &str| reply.header(name).map(str::to_owned);
    let storage = answer.cas_url.or_else(|| text("x-xet-cas-url"));
    let token = answer.access_token.or_else(|| text("x-xet-access-token"));
    let expires = answer
        .exp
        .or_else(|| reply.header("x-xet-token-expiration")?.parse().ok());
    let (Some(storage), Some(token), Some(expires)) = (storage, token, expires) else {
        return Err(Error::malformed(
            reply.url(),
            "no address, token and expiry of the Xet storage",
        ));
    };
    if !url::Url::parse(&storage).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
        return Err(Error::malformed(
            reply.url(),
            "an address of the Xet storage that is none",
        ));
    }
    let refresh_headers = api.headers_for(route).await?;
    // The storage has a token of its own; what the caller sends to the Hub is for the Hub.
    let mut headers = api.headers_for(&storage).await?;
    headers.remove(AUTHORIZATION);
    Ok(Access {
        route: route.to_owned(),
        storage,
        token,
        expires,
        refresh_headers,
        headers,
    })
}

/// What the library says, as an error of ours.
pub(super) fn failed(what: &'static str, err: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Xet {
        what,
        source: err.into(),
    }
}
