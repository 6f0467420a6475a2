//! [`HfApi`], its builder, and its configuration from the environment.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use hub_types::account::WhoAmI;
use hub_types::env::{self, Env};
use hub_types::{Token, ValidationError};
use url::Url;

use crate::auth::{TokenChoice, TokenSource};
use crate::bandwidth::Bandwidth;
use crate::endpoint::{DEFAULT_ENDPOINT, Endpoint, STAGING_ENDPOINT};
use crate::error::{Error, Result};
use crate::progress::ProgressHandle;
use crate::queue::Queue;
use crate::retry::RetryPolicy;
use crate::tls::Tls;
use crate::transfer::connections::Connections;
use crate::transfer::xet;

/// A client of the Hub. Cheap to clone; every clone shares connections and configuration.
///
/// ```no_run
/// # async fn example() -> hub_http::Result<()> {
/// let api = hub_http::HfApi::from_env()?;
/// println!("{}", api.whoami().await?.name);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct HfApi {
    pub(crate) shared: Arc<Shared>,
    pub(crate) token: TokenChoice,
    /// Whether requests are counted as downloads (`X-HF-Download-Counter`).
    pub(crate) counts_download: bool,
    /// Who is told when a request is tried again.
    pub(crate) retries: ProgressHandle,
}

/// What all clones share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    /// For calls on a runtime of the caller.
    calls: reqwest::Client,
    /// For file bytes on a runtime of the caller.
    bulk: OnceLock<reqwest::Client>,
    /// Both, on our own runtime: a connection is served by the runtime that opened it, and the caller's may stand
    /// still while it waits for ours.
    own_calls: OnceLock<reqwest::Client>,
    own_bulk: OnceLock<reqwest::Client>,
    /// For bodies that take long to send, on a runtime of the caller and on ours.
    uploads: OnceLock<reqwest::Client>,
    own_uploads: OnceLock<reqwest::Client>,
    /// Answers of `whoami` that a caller wanted kept, by token.
    accounts: Mutex<Vec<(Token, WhoAmI)>>,
    /// What is to run in the background in order.
    pub(crate) queue: OnceLock<Queue>,
    /// What transfers by Xet share.
    #[cfg_attr(
        not(feature = "xet"),
        expect(dead_code, reason = "a build without Xet shares nothing")
    )]
    pub(crate) xet: xet::State,
    /// What all downloads together may have.
    pub(crate) connections: Connections,
}

impl Shared {
    /// Whose token this is, if an answer was kept.
    pub(crate) fn known_account(&self, token: &Token) -> Option<WhoAmI> {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = accounts.iter().find(|(other, _)| other.reveal() == token.reveal());
        known.map(|(_, account)| account.clone())
    }

    /// Keeps whose token this is.
    pub(crate) fn remember_account(&self, token: Token, account: WhoAmI) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.retain(|(other, _)| other.reveal() != token.reveal());
        accounts.push((token, account));
    }
}

/// A client's settings, resolved.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) endpoint: Endpoint,
    pub(crate) tokens: TokenSource,
    pub(crate) offline: bool,
    pub(crate) user_agent: HeaderValue,
    pub(crate) headers: HeaderMap,
    pub(crate) metadata_timeout: Duration,
    /// Whether the environment set the timeout, which then wins over a call's own.
    pub(crate) metadata_timeout_fixed: bool,
    pub(crate) download_timeout: Duration,
    pub(crate) upload_timeout: Duration,
    pub(crate) max_connections: usize,
    /// What all downloads together may take, and all uploads.
    pub(crate) downward: Bandwidth,
    pub(crate) upward: Bandwidth,
    pub(crate) verify: bool,
    pub(crate) retry: RetryPolicy,
    pub(crate) oauth_client_id: String,
    pub(crate) services: Services,
    pub(crate) xet: xet::Settings,
    proxies: Vec<reqwest::Proxy>,
    tls: Tls,
    /// Whether it trusts certificates of its own, beside the environment's.
    has_own_certificates: bool,
}

/// The Hub's services that have hosts of their own. The token goes there too: they belong to the Hub.
#[derive(Debug, Clone)]
pub(crate) struct Services {
    pub(crate) inference_endpoints: String,
    pub(crate) inference_catalog: String,
    pub(crate) dataset_viewer: String,
}

impl Default for Services {
    fn default() -> Self {
        Self {
            inference_endpoints: "https://api.endpoints.huggingface.cloud/v2".to_owned(),
            inference_catalog: "https://endpoints.huggingface.co/api/v1/catalog".to_owned(),
            dataset_viewer: "https://datasets-server.huggingface.co".to_owned(),
        }
    }
}

impl Config {
    /// Whether this client was given a proxy or certificates of its own, beside the environment's.
    pub(crate) fn has_own_network(&self) -> bool {
        !self.proxies.is_empty() || self.has_own_certificates
    }

    /// Whether `url` may see the token: it is on the endpoint, on an origin of the Hub, or on a service of the Hub.
    pub(crate) fn may_see_token(&self, url: &url::Url) -> bool {
        let services = [
            &self.services.inference_endpoints,
            &self.services.inference_catalog,
            &self.services.dataset_viewer,
        ];
        self.endpoint.is_hub_origin(url)
            || services
                .into_iter()
                .any(|base| url::Url::parse(base).is_ok_and(|base| base.origin() == url.origin()))
    }
}

impl HfApi {
    /// A client as the environment describes it.
    ///
    /// Reads `HF_ENDPOINT`, `HUGGINGFACE_CO_STAGING`, `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, `HF_TOKEN_PATH`, `HF_HOME`,
    /// `XDG_CACHE_HOME`, `HF_HUB_DISABLE_IMPLICIT_TOKEN`, `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE`,
    /// `HF_OIDC_RESOURCE`, `HF_OIDC_ID_TOKEN`, `GITHUB_ACTIONS`, `ACTIONS_ID_TOKEN_REQUEST_URL`,
    /// `ACTIONS_ID_TOKEN_REQUEST_TOKEN`, `HF_DEVICE_CODE_OAUTH_CLIENT_ID`, `HF_HUB_ETAG_TIMEOUT`, `HF_HUB_DOWNLOAD_TIMEOUT`, `HF_HUB_USER_AGENT_ORIGIN`, `HUB_CONNECTIONS`,
    /// `HUB_BANDWIDTH_LIMIT`, `HUB_UPLOAD_TIMEOUT`, `HUB_VERIFY`, `HF_HUB_DISABLE_XET`, `HF_XET_CACHE`, `HF_XET_HIGH_PERFORMANCE`,
    /// `HUB_CA_BUNDLE`, `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, `SSL_CERT_FILE` and the usual proxy variables; [`hub_types::env`] says what each does.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a variable that cannot be right, [`Error::Setup`] when TLS cannot be set up.
    pub fn from_env() -> Result<Self> {
        HfApiBuilder::from_env(&Env::process())?.build()
    }

    /// A builder that reads nothing from the environment: the public Hub, no token.
    pub fn builder() -> HfApiBuilder {
        HfApiBuilder::default()
    }

    /// The base URL, without a slash at the end.
    pub fn endpoint(&self) -> &str {
        self.shared.config.endpoint.as_str()
    }

    /// Whether requests are forbidden.
    pub fn is_offline(&self) -> bool {
        self.shared.config.offline
    }

    /// The same client with another choice of token.
    pub fn with_token(&self, choice: TokenChoice) -> Self {
        Self {
            token: choice,
            ..self.clone()
        }
    }

    /// The same client whose requests the Hub counts as one download (`X-HF-Download-Counter`).
    pub fn counting_download(&self) -> Self {
        Self {
            counts_download: true,
            ..self.clone()
        }
    }

    /// The same client, which tells `progress` when a request is tried again ([`Progress::retrying`](crate::Progress)).
    ///
    /// Operations that have a setter `progress` do this themselves.
    pub fn telling(&self, progress: &ProgressHandle) -> Self {
        Self {
            retries: progress.clone(),
            ..self.clone()
        }
    }

    /// The token that this client would send.
    ///
    /// # Errors
    ///
    /// [`Error::TokenNotFound`] where one is required, and what reading a stored one may give.
    pub async fn token(&self) -> Result<Option<Token>> {
        self.shared.config.tokens.select(self, &self.token).await
    }

    /// Whether an address is the Hub's, which may see the token.
    pub(crate) fn is_hub_address(&self, url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| self.shared.config.endpoint.is_hub_origin(&url))
    }

    /// The HTTP client for calls (HTTP/2 where the server has it), or for file bytes (HTTP/1.1 only, so that parallel
    /// ranges get connections of their own).
    pub(crate) fn client(&self, bulk: bool) -> Result<&reqwest::Client> {
        let shared = &self.shared;
        let cell = match (crate::runtime::is_own(), bulk) {
            (false, false) => return Ok(&shared.calls),
            (false, true) => &shared.bulk,
            (true, false) => &shared.own_calls,
            (true, true) => &shared.own_bulk,
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let idle = if bulk {
            shared.config.download_timeout
        } else {
            CALL_IDLE_TIMEOUT
        };
        let client = shared.config.client(Some(idle), bulk)?;
        Ok(cell.get_or_init(|| client))
    }

    /// The HTTP client for bodies that take long to send: nothing is read meanwhile, so it has no bound on that.
    /// `request` watches that bytes move instead.
    pub(crate) fn upload_client(&self) -> Result<&reqwest::Client> {
        let shared = &self.shared;
        let cell = if crate::runtime::is_own() {
            &shared.own_uploads
        } else {
            &shared.uploads
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let client = shared.config.client(None, true)?;
        Ok(cell.get_or_init(|| client))
    }
}

impl fmt::Debug for HfApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HfApi")
            .field("endpoint", &self.endpoint())
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// Builds an [`HfApi`].
#[derive(Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct HfApiBuilder {
    endpoint: String,
    tokens: TokenSource,
    offline: bool,
    library: Option<(String, String)>,
    origin: Option<String>,
    headers: HeaderMap,
    metadata_timeout: Option<Duration>,
    metadata_timeout_fixed: bool,
    download_timeout: Option<Duration>,
    upload_timeout: Option<Duration>,
    max_connections: Option<usize>,
    bandwidth_limit: Option<u64>,
    verify: bool,
    retry: RetryPolicy,
    oauth_client_id: String,
    services: Services,
    xet: xet::Settings,
    proxies: Vec<String>,
    ca_bundle: Option<PathBuf>,
    system_bundle: Option<PathBuf>,
}

impl Default for HfApiBuilder {
    fn default() -> Self {
        Self {
            endpoint: DEFAULT_ENDPOINT.to_owned(),
            tokens: TokenSource::default(),
            offline: false,
            library: None,
            origin: None,
            headers: HeaderMap::new(),
            metadata_timeout: None,
            metadata_timeout_fixed: false,
            download_timeout: None,
            upload_timeout: None,
            max_connections: None,
            bandwidth_limit: None,
            verify: true,
            retry: RetryPolicy::default(),
            oauth_client_id: crate::oauth::CLIENT_ID.to_owned(),
            services: Services::default(),
            xet: xet::Settings::default(),
            proxies: Vec::new(),
            ca_bundle: None,
            system_bundle: None,
        }
    }
}

impl HfApiBuilder {
    /// A builder with the environment's settings. See [`HfApi::from_env`].
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a variable that cannot be right.
    pub fn from_env(env: &Env) -> Result<Self> {
        let endpoint = match env.text(env::HF_ENDPOINT)? {
            _ if env.flag(env::HUGGINGFACE_CO_STAGING) => STAGING_ENDPOINT,
            Some(endpoint) => endpoint,
            None => DEFAULT_ENDPOINT,
        };
        let metadata_timeout = env.seconds(env::HF_HUB_ETAG_TIMEOUT)?;
        Ok(Self {
            endpoint: endpoint.to_owned(),
            tokens: TokenSource::from_env(env)?,
            offline: env.offline(),
            origin: env.text(env::HF_HUB_USER_AGENT_ORIGIN)?.map(str::to_owned),
            metadata_timeout,
            metadata_timeout_fixed: metadata_timeout.is_some_and(|timeout| timeout != DEFAULT_TIMEOUT),
            download_timeout: env.seconds(env::HF_HUB_DOWNLOAD_TIMEOUT)?,
            upload_timeout: env.seconds(env::HUB_UPLOAD_TIMEOUT)?,
            oauth_client_id: env
                .text(env::HF_DEVICE_CODE_OAUTH_CLIENT_ID)?
                .unwrap_or(crate::oauth::CLIENT_ID)
                .to_owned(),
            max_connections: env
                .number(env::HUB_CONNECTIONS)?
                .map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            bandwidth_limit: env.number(env::HUB_BANDWIDTH_LIMIT)?,
            verify: !env
                .text(env::HUB_VERIFY)?
                .is_some_and(|v| matches!(v.to_ascii_lowercase().as_str(), "0" | "off" | "no" | "false")),
            ca_bundle: env
                .path(env::HUB_CA_BUNDLE)
                .or_else(|| env.path(env::REQUESTS_CA_BUNDLE))
                .or_else(|| env.path(env::CURL_CA_BUNDLE)),
            system_bundle: env.path(env::SSL_CERT_FILE),
            xet: xet::Settings {
                disabled: env.flag(env::HF_HUB_DISABLE_XET),
                from_env: true,
                high_performance: env.flag(env::HF_XET_HIGH_PERFORMANCE),
                cache: Some(env.xet_cache()),
            },
            ..Self::default()
        })
    }

    /// The base URL of the Hub.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = endpoint.into();
        self
    }

    /// The token of every call that does not choose another.
    pub fn token(mut self, token: Token) -> Self {
        self.tokens.client = Some(token);
        self
    }

    /// Sends no token unless a call gives one.
    pub fn no_token(mut self) -> Self {
        self.tokens = TokenSource::default();
        self
    }

    /// Forbids every request.
    pub fn offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// The program that uses this library, for the user agent.
    pub fn user_agent(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.library = Some((name.into(), version.into()));
        self
    }

    /// A header to send with every call to the Hub; it wins over this client's own.
    pub fn header(mut self, name: HeaderName, mut value: HeaderValue) -> Self {
        // It may be a secret; nothing is lost where it is none.
        value.set_sensitive(true);
        self.headers.insert(name, value);
        self
    }

    /// How long to wait for a file's metadata. By default 10 seconds.
    pub fn metadata_timeout(mut self, timeout: Duration) -> Self {
        self.metadata_timeout = Some(timeout);
        self
    }

    /// After how long without a byte a download's connection is given up. By default 10 seconds.
    pub fn download_timeout(mut self, timeout: Duration) -> Self {
        self.download_timeout = Some(timeout);
        self
    }

    /// After how long in which nothing moves an upload's request is given up: the server takes no bytes, or has them all
    /// and does not answer. By default 120 seconds.
    pub fn upload_timeout(mut self, timeout: Duration) -> Self {
        self.upload_timeout = Some(timeout);
        self
    }

    /// The most connections that the downloads of this client use together, where more of them are faster. Every file
    /// that is under way has one. By default 32.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = Some(connections);
        self
    }

    /// The most bytes a second that the file transfers of this client take: all downloads together, and all uploads
    /// together. At least 1,024; by default there is no limit.
    pub fn bandwidth_limit(mut self, bytes_per_second: u64) -> Self {
        self.bandwidth_limit = Some(bytes_per_second);
        self
    }

    /// Whether downloaded bytes are checked against their hash. By default they are.
    pub fn verify(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    /// How many times a request is repeated (5 by default), and the first wait, which doubles up to eight times itself
    /// (1 second by default).
    pub fn retries(mut self, max_retries: u32, first_wait: Duration) -> Self {
        self.retry = RetryPolicy {
            max_retries,
            first_wait,
            longest_wait: first_wait.saturating_mul(8),
        };
        self
    }

    /// The OAuth client id of logins in a browser ([`HfApi::begin_device_login`]). By default the Python client's.
    pub fn oauth_client_id(mut self, client_id: impl Into<String>) -> Self {
        self.oauth_client_id = client_id.into();
        self
    }

    /// The base URL of Inference Endpoints.
    pub fn inference_endpoints(mut self, base: impl AsRef<str>) -> Self {
        self.services.inference_endpoints = base.as_ref().trim_end_matches('/').to_owned();
        self
    }

    /// The base URL of the catalog of Inference Endpoints.
    pub fn inference_catalog(mut self, base: impl AsRef<str>) -> Self {
        self.services.inference_catalog = base.as_ref().trim_end_matches('/').to_owned();
        self
    }

    /// The base URL of the dataset viewer.
    pub fn dataset_viewer(mut self, base: impl AsRef<str>) -> Self {
        self.services.dataset_viewer = base.as_ref().trim_end_matches('/').to_owned();
        self
    }

    /// Whether large files come and go by Xet, the Hub's storage protocol, where the Hub has them there. By default they
    /// do, in builds with the feature `xet`; where a [`proxy`](Self::proxy) or a [`ca_bundle`](Self::ca_bundle) is
    /// given, only what cannot go in another way.
    pub fn xet(mut self, xet: bool) -> Self {
        self.xet.disabled = !xet;
        self
    }

    /// The folder of Xet's caches. By default where its library has them: `HF_XET_CACHE`, else `$HF_HOME/xet`.
    pub fn xet_cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.xet.cache = Some(folder.into());
        self
    }

    /// A proxy for every request, in place of the environment's.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxies.push(url.into());
        self
    }

    /// A PEM file of certificate authorities to trust beside the system's.
    pub fn ca_bundle(mut self, path: impl AsRef<Path>) -> Self {
        self.ca_bundle = Some(path.as_ref().to_owned());
        self
    }

    /// Builds the client. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a setting that cannot be right, [`Error::Setup`] when TLS or a proxy cannot be set up,
    /// [`Error::Io`] when the certificate file cannot be read.
    pub fn build(self) -> Result<HfApi> {
        let user_agent = self.user_agent_value()?;
        if self.max_connections == Some(0) {
            return Err(ValidationError::new("connection limit", "0", "must be 1 or more").into());
        }
        let mut proxies = Vec::new();
        for url in &self.proxies {
            let proxy = reqwest::Proxy::all(url).map_err(|_| {
                ValidationError::new(
                    "proxy",
                    crate::error::without_query(url),
                    "must be a URL like http://host:port",
                )
            })?;
            proxies.push(proxy);
        }
        let config = Config {
            endpoint: Endpoint::parse(&self.endpoint)?,
            tokens: self.tokens,
            offline: self.offline,
            user_agent,
            headers: self.headers,
            metadata_timeout: self.metadata_timeout.unwrap_or(DEFAULT_TIMEOUT),
            metadata_timeout_fixed: self.metadata_timeout_fixed,
            download_timeout: self.download_timeout.unwrap_or(DEFAULT_TIMEOUT),
            upload_timeout: self.upload_timeout.unwrap_or(CALL_IDLE_TIMEOUT),
            max_connections: self.max_connections.unwrap_or(MOST_CONNECTIONS),
            downward: Bandwidth::new(self.bandwidth_limit)?,
            upward: Bandwidth::new(self.bandwidth_limit)?,
            verify: self.verify,
            retry: self.retry,
            oauth_client_id: self.oauth_client_id,
            services: self.services,
            xet: self.xet,
            proxies,
            // TLS libraries on Linux know `SSL_CERT_FILE`, elsewhere it is read here.
            tls: Tls::new(self.ca_bundle.iter().chain(&self.system_bundle))?,
            has_own_certificates: self.ca_bundle.is_some(),
        };
        let calls = config.client(Some(CALL_IDLE_TIMEOUT), false)?;
        let connections = Connections::new(config.max_connections);
        let shared = Shared {
            config,
            calls,
            bulk: OnceLock::new(),
            own_calls: OnceLock::new(),
            own_bulk: OnceLock::new(),
            uploads: OnceLock::new(),
            own_uploads: OnceLock::new(),
            accounts: Mutex::default(),
            queue: OnceLock::new(),
            xet: xet::State::default(),
            connections,
        };
        Ok(HfApi {
            shared: Arc::new(shared),
            token: TokenChoice::Implicit,
            counts_download: false,
            retries: ProgressHandle::default(),
        })
    }

    /// `<name>/<version>; hf_hub/<version>; rust/<version>; origin/<value>`, each item once.
    fn user_agent_value(&self) -> Result<HeaderValue> {
        let version = env!("CARGO_PKG_VERSION");
        let (name, library_version) = match &self.library {
            Some((name, version)) => (name.as_str(), version.as_str()),
            None => ("unknown", "None"),
        };
        let mut text = format!(
            "{name}/{library_version}; hf_hub/{version}; rust/{}",
            env!("CARGO_PKG_RUST_VERSION")
        );
        if let Some(origin) = &self.origin {
            text.push_str(&format!("; origin/{origin}"));
        }
        let mut items: Vec<&str> = Vec::new();
        for item in text.split(';').map(str::trim).filter(|item| !item.is_empty()) {
            if !items.contains(&item) {
                items.push(item);
            }
        }
        HeaderValue::from_str(&items.join("; "))
            .map_err(|_| ValidationError::new("user agent", text, "must be visible ASCII characters").into())
    }
}

impl fmt::Debug for HfApiBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HfApiBuilder")
            .field("endpoint", &crate::error::without_query(&self.endpoint))
            .finish_non_exhaustive()
    }
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// How many connections the downloads of a client have at the most, where nothing else is said.
pub(crate) const MOST_CONNECTIONS: usize = 32;
/// Without a byte for this long, a call has failed: the Hub itself ends one after 60 seconds.
pub(crate) const CALL_IDLE_TIMEOUT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Config {
    fn client(&self, idle: Option<Duration>, http1: bool) -> Result<reqwest::Client> {
        let setup = |err: reqwest::Error| Error::Setup { source: err.into() };
        let mut builder = reqwest::Client::builder()
            // Redirects are followed in `request`, which decides at each hop who may see the token.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            .pool_max_idle_per_host(16)
            .referer(false);
        builder = self.tls.apply(builder, http1);
        if let Some(idle) = idle {
            builder = builder.read_timeout(idle);
        }
        if http1 {
            builder = builder.http1_only();
        }
        for proxy in &self.proxies {
            builder = builder.proxy(proxy.clone());
        }
        builder.build().map_err(setup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<HfApi> {
        HfApiBuilder::from_env(&Env::from_pairs(pairs.iter().map(|(k, v)| (*k, *v))))?.build()
    }

    #[test]
    fn endpoint_comes_from_the_environment() {
        assert_eq!(from(&[]).unwrap().endpoint(), "https://huggingface.co");
        assert_eq!(
            from(&[("HF_ENDPOINT", "http://h:1/")]).unwrap().endpoint(),
            "http://h:1"
        );
        let staging = [("HF_ENDPOINT", "http://h:1/"), ("HUGGINGFACE_CO_STAGING", "1")];
        assert_eq!(from(&staging).unwrap().endpoint(), "https://hub-ci.huggingface.co");
        let env = Env::from_pairs(staging);
        let own = HfApiBuilder::from_env(&env).unwrap().endpoint("http://h:2//").build();
        assert_eq!(own.unwrap().endpoint(), "http://h:2");
    }

    #[test]
    fn a_malformed_setting_names_itself() {
        for (name, value) in [
            ("HF_ENDPOINT", "not a url"),
            ("HF_HUB_ETAG_TIMEOUT", "soon"),
            ("HUB_CONNECTIONS", "-1"),
            ("HUB_BANDWIDTH_LIMIT", "100"),
            ("HUB_UPLOAD_TIMEOUT", "never"),
        ] {
            let err = from(&[(name, value)]).unwrap_err().to_string();
            assert!(err.contains(value), "{err}");
        }
    }

    #[test]
    fn user_agent_has_each_item_once() {
        let builder = HfApi::builder().user_agent("demo", "1.0");
        let text = HfApiBuilder {
            origin: Some("ci; demo/1.0".into()),
            ..builder
        }
        .user_agent_value()
        .unwrap();
        let version = env!("CARGO_PKG_VERSION");
        let rust = env!("CARGO_PKG_RUST_VERSION");
        assert_eq!(text, format!("demo/1.0; hf_hub/{version}; rust/{rust}; origin/ci"));
    }

    #[test]
    fn debug_shows_no_token() {
        let api = HfApi::builder()
            .token(Token::new("hf_secret").unwrap())
            .build()
            .unwrap();
        let explicit = api.with_token(TokenChoice::Explicit(Token::new("hf_other").unwrap()));
        let text = format!("{api:?} {explicit:?}");
        assert!(!text.contains("secret") && !text.contains("other"), "{text}");
    }
}
