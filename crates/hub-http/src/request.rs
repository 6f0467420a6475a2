//! The one place that sends: headers, token, redirects, retries, error mapping.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, LOCATION, PROXY_AUTHORIZATION, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use hub_types::Token;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::bandwidth::Bandwidth;
use crate::client::HfApi;
use crate::error::{Error, ErrorReply, Result, without_query};
use crate::operation::BoxFuture;
use crate::progress::FileProgress;
use crate::retry::is_retryable_status;

/// The most bytes that a reply which is read whole may have: a listing's page has a few megabytes.
const WHOLE_REPLY_LIMIT: usize = 512 * 1024 * 1024;
/// The most bytes of an error's body that are looked at.
const ERROR_BODY_LIMIT: usize = 1024 * 1024;
const MAX_REDIRECTS: usize = 20;

/// A request as a value: made by an operation, shown or sent by [`HfApi::send`].
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// A path on the endpoint (`/api/…`), or a whole address.
    pub(crate) target: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    audience: Audience,
    retried: bool,
    redirects: Redirects,
    timeout: Option<Duration>,
    bulk: bool,
    /// The file that it is about.
    about: Option<Arc<FileProgress>>,
}

/// Whom a request is for, which decides what it says of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    /// The Hub: user agent, token and the client's own headers.
    Hub,
    /// A store behind a signed address: none of these.
    Store,
}

/// Which redirects are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Redirects {
    /// All; the token goes along to the Hub's own origins only.
    All,
    /// Those that stay on the Hub; one that leaves it is the answer.
    WithinHub,
}

/// What a request carries; it can be made again for a retry.
#[derive(Clone, Default)]
pub(crate) enum Body {
    #[default]
    Empty,
    Bytes(Bytes),
    /// A body of known length that is opened anew for each attempt.
    ///
    /// `moved` grows as it is read, so that a stall is noticed.
    Stream {
        moved: Arc<AtomicU64>,
        length: u64,
        open: OpenBody,
    },
}

type OpenBody = Arc<dyn Fn(Bandwidth) -> BoxFuture<std::io::Result<reqwest::Body>> + Send + Sync>;

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Stream { length, .. } => write!(f, "Stream({length})"),
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may be a signed one, and headers may hold secrets.
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("target", &without_query(&self.target))
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// A request to the Hub; `target` is a path like `/api/models`, or an address that the Hub gave.
    pub(crate) fn new(method: Method, target: impl Into<String>) -> Self {
        Self {
            method,
            target: target.into(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: Body::Empty,
            audience: Audience::Hub,
            retried: false,
            redirects: Redirects::All,
            timeout: None,
            bulk: false,
            about: None,
        }
    }

    pub(crate) fn get(target: impl Into<String>) -> Self {
        Self::new(Method::GET, target)
    }

    pub(crate) fn post(target: impl Into<String>) -> Self {
        Self::new(Method::POST, target)
    }

    pub(crate) fn put(target: impl Into<String>) -> Self {
        Self::new(Method::PUT, target)
    }

    pub(crate) fn delete(target: impl Into<String>) -> Self {
        Self::new(Method::DELETE, target)
    }

    /// A request that goes to a signed address: no token, no user agent, none of the client's headers.
    #[expect(clippy::wrong_self_convention, reason = "it says where the request goes")]
    pub(crate) fn to_store(mut self) -> Self {
        self.audience = Audience::Store;
        self
    }

    /// Adds a query parameter.
    pub(crate) fn query(mut self, key: &str, value: impl Into<String>) -> Self {
        self.query.push((key.to_owned(), value.into()));
        self
    }

    /// Adds a query parameter if there is a value.
    pub(crate) fn query_opt<V: ToString>(self, key: &str, value: Option<V>) -> Self {
        match value {
            Some(value) => self.query(key, value.to_string()),
            None => self,
        }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// A JSON body.
    pub(crate) fn json(mut self, body: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(body).expect("our request types have string keys and no failing serializers");
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body = Body::Bytes(bytes.into());
        self
    }

    /// A form's body.
    pub(crate) fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let text = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        self.body = Body::Bytes(text.into());
        self
    }

    /// A body of bytes; set its content type with [`Request::header`].
    pub(crate) fn bytes(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Body::Bytes(body.into());
        self
    }

    /// A body that is opened anew for each attempt, and flows no faster than it is told. Its length is sent, it is
    /// never chunked.
    pub(crate) fn stream(
        mut self,
        length: u64,
        moved: Arc<AtomicU64>,
        open: impl Fn(Bandwidth) -> BoxFuture<std::io::Result<reqwest::Body>> + Send + Sync + 'static,
    ) -> Self {
        self.body = Body::Stream {
            moved,
            length,
            open: Arc::new(open),
        };
        self
    }

    /// Repeats the request after a transient failure. Only for what may safely be done twice.
    pub(crate) fn retried(mut self) -> Self {
        self.retried = true;
        self
    }

    /// Tells a retry as one of this file.
    pub(crate) fn about(mut self, file: Arc<FileProgress>) -> Self {
        self.about = Some(file);
        self
    }

    /// Stops at a redirect that leaves the Hub, and gives that as the answer (metadata of files).
    pub(crate) fn within_hub(mut self) -> Self {
        self.redirects = Redirects::WithinHub;
        self
    }

    /// A bound on each attempt, up to the reply's headers.
    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Uses the client for file bytes, with its stall timeout and connections of its own.
    pub(crate) fn bulk(mut self) -> Self {
        self.bulk = true;
        self
    }

    /// The request for the page behind this one: the link's address and nothing else of ours but headers.
    ///
    /// On a mirror, the public Hub's addresses are rewritten to the mirror's. Elsewhere the token does not go along.
    pub(crate) fn follow(mut self, api: &HfApi, from: &str, link: &str) -> Result<Self> {
        let link = api.shared.config.endpoint.rewrite(link);
        let base = Url::parse(from).map_err(|_| Error::malformed(from, "no address to resolve a link against"))?;
        let next = base
            .join(&link)
            .map_err(|_| Error::malformed(from, "a link to the next page that is no address"))?;
        self.target = next.into();
        self.query.clear();
        Ok(self)
    }

    fn url(&self, api: &HfApi) -> Result<Url> {
        let text = if self.target.starts_with('/') {
            format!("{}{}", api.endpoint(), self.target)
        } else {
            self.target.clone()
        };
        let mut url = Url::parse(&text).map_err(|err| Error::malformed(&text, format!("no valid address: {err}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::malformed(&text, "an address that is neither http nor https"));
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }
}

/// A reply with a status below 400.
pub(crate) struct Response {
    inner: reqwest::Response,
    url: String,
    /// The headers of the redirect with which the Hub sent us elsewhere, if it did.
    left_hub: Option<HeaderMap>,
    /// Whether `url` is the Hub's.
    from_hub: bool,
    /// How fast the body may flow.
    bandwidth: Bandwidth,
    /// After how long without a byte the body is given up, where the HTTP client does not see to that.
    patience: Option<Duration>,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.inner.status())
            .field("url", &without_query(&self.url))
            .finish_non_exhaustive()
    }
}

impl Response {
    pub(crate) fn status(&self) -> StatusCode {
        self.inner.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// A header's text, or `None` when it is absent or no visible ASCII.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// The headers of the last answer that the Hub itself gave: this one, or the redirect that led away from it. `None`
    /// when the Hub was not asked.
    pub(crate) fn hub_headers(&self) -> Option<&HeaderMap> {
        match &self.left_hub {
            Some(headers) => Some(headers),
            None => self.from_hub.then(|| self.inner.headers()),
        }
    }

    /// Whether the Hub itself answered, not a store that it redirected to.
    pub(crate) fn is_from_hub(&self) -> bool {
        self.from_hub
    }

    /// The address that answered, behind all redirects. It may be signed: never show it whole.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The next bytes of the body, `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let url = &self.url;
        let chunk = self.inner.chunk();
        let chunk = match self.patience {
            Some(patience) => within(patience, url, chunk).await?,
            None => chunk.await,
        };
        let chunk = chunk.map_err(|err| transport(url, err))?;
        if let Some(bytes) = &chunk {
            self.bandwidth.take(bytes.len()).await;
        }
        Ok(chunk)
    }

    /// The whole body.
    pub(crate) async fn bytes(mut self) -> Result<Bytes> {
        self.read(WHOLE_REPLY_LIMIT).await
    }

    /// The whole body as text.
    pub(crate) async fn text(self) -> Result<String> {
        let url = self.url.clone();
        String::from_utf8(self.bytes().await?.into()).map_err(|_| Error::malformed(&url, "text that is not UTF-8"))
    }

    /// The beginning of an error's body, as far as it can be had.
    async fn read_error(&mut self) -> Bytes {
        let mut all = BytesMut::new();
        while all.len() < ERROR_BODY_LIMIT
            && let Ok(Some(chunk)) = self.chunk().await
        {
            all.extend_from_slice(&chunk);
        }
        all.freeze()
    }

    /// Reads up to `limit` bytes; more is an error.
    async fn read(&mut self, limit: usize) -> Result<Bytes> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if all.len() + chunk.len() > limit {
                return Err(Error::malformed(
                    &self.url,
                    format!("a reply of more than {limit} bytes"),
                ));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}

/// The body of a reply.
pub(crate) struct Answer {
    pub(crate) url: String,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        parse_json(&self.url, &self.body)
    }
}

/// Reads a reply's JSON; what is no JSON is told with its beginning. That of what is nearly JSON is not: the values in
/// it may be secrets.
pub(crate) fn parse_json<T: DeserializeOwned>(url: &str, body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|err| not_as_expected(url, body, err))
}

fn not_as_expected(url: &str, body: &[u8], err: serde_json::Error) -> Error {
    let start: String = String::from_utf8_lossy(&body[..body.len().min(120)])
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let start = start.trim();
    let problem = if err.is_data() {
        "JSON of another form than documented".to_owned()
    } else if start.starts_with(['{', '[', '"']) {
        format!("JSON that is broken or cut off, {} bytes", body.len())
    } else {
        format!("expected JSON, received {} bytes that begin with '{start}'", body.len())
    };
    Error::MalformedReply {
        url: without_query(url),
        problem,
        source: Some(err.into()),
    }
}

impl HfApi {
    /// Sends a request and gives its reply, if that has a status below 400.
    ///
    /// Only what comes before the reply's body is repeated by [`Request::retried`]; see [`HfApi::send_whole`].
    ///
    /// Boxed, as the others here, so that the states of a request are not a part of every operation's: this makes the
    /// futures smaller, and this code is compiled once.
    pub(crate) fn send(&self, request: Request) -> BoxFuture<Result<Response>> {
        let api = self.clone();
        Box::pin(async move { Ok(api.exchange(request, false).await?.0) })
    }

    /// Sends a request and reads its reply to the end, if that has a status below 400. A body that breaks off is one of
    /// the failures after which a [`retried`](Request::retried) request is repeated.
    pub(crate) fn send_whole(&self, request: Request) -> BoxFuture<Result<(Response, Bytes)>> {
        let api = self.clone();
        Box::pin(async move { api.exchange(request, true).await })
    }

    /// The same for a reply of which only the body counts.
    pub(crate) fn ask(&self, request: Request) -> BoxFuture<Result<Answer>> {
        let api = self.clone();
        Box::pin(async move {
            let (reply, body) = api.exchange(request, true).await?;
            Ok(Answer { url: reply.url, body })
        })
    }

    async fn exchange(&self, request: Request, whole: bool) -> Result<(Response, Bytes)> {
        let url = request.url(self)?;
        if self.shared.config.offline {
            return Err(Error::Offline {
                url: without_query(url.as_str()),
            });
        }
        let token = match request.audience {
            Audience::Hub => self.token().await?,
            Audience::Store => None,
        };
        let policy = self.shared.config.retry;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut result = self.attempt(&request, url.clone(), token.as_ref()).await;
            let mut body = Bytes::new();
            if let Ok(response) = &mut result
                && whole
                && response.status().as_u16() < 400
            {
                match response.read(WHOLE_REPLY_LIMIT).await {
                    Ok(bytes) => body = bytes,
                    Err(err) => result = Err(err),
                }
            }
            let (wait, failed) = match result {
                Ok(response) if response.status().as_u16() < 400 => return Ok((response, body)),
                Ok(mut response) => {
                    let status = response.status().as_u16();
                    let again = request.retried && is_retryable_status(status);
                    let wait = again.then(|| policy.wait(attempt, Some((status, response.headers())), fastrand::f64()));
                    let body = response.read_error().await;
                    let reply = ErrorReply {
                        method: &request.method,
                        url: &response.url,
                        status: response.inner.status(),
                        headers: response.inner.headers(),
                        body: &body,
                        attempts: attempt,
                        secret: token.as_ref(),
                    };
                    (wait.flatten(), reply.into_error())
                }
                Err(err) => {
                    let again = request.retried && err.is_transient();
                    (
                        again.then(|| policy.wait(attempt, None, fastrand::f64())).flatten(),
                        err,
                    )
                }
            };
            let Some(wait) = wait else { return Err(failed) };
            self.wait_for_retry(attempt, wait, &failed, request.about.as_deref())
                .await;
        }
    }

    /// Says that retry number `attempt` comes after `wait`, as one of this file if it is of any, and waits.
    pub(crate) async fn wait_for_retry(
        &self,
        attempt: u32,
        wait: Duration,
        failed: &Error,
        file: Option<&FileProgress>,
    ) {
        tracing::warn!(error = %failed, attempt, wait_ms = wait.as_millis() as u64, "trying again");
        match file {
            Some(file) => file.retrying(attempt, wait, failed),
            None => self.retries.retrying(attempt, wait, failed),
        }
        tokio::time::sleep(wait).await;
    }

    /// One attempt, redirects included.
    async fn attempt(&self, request: &Request, mut url: Url, token: Option<&Token>) -> Result<Response> {
        let config = &self.shared.config;
        let begin = url.clone();
        let first = without_query(url.as_str());
        let moved = match &request.body {
            Body::Stream { moved, .. } => Some(moved),
            _ => None,
        };
        let client = if moved.is_some() {
            self.upload_client()?
        } else {
            self.client(request.bulk)?
        };
        let mut method = request.method.clone();
        let mut body = Some(&request.body);
        let trace = trace_id();
        let mut left_hub = None;
        for _ in 0..=MAX_REDIRECTS {
            let from_hub = config.endpoint.is_hub_origin(&url);
            let mut headers = self.headers(request, &begin, &url, token, &trace);
            if body.is_none() {
                for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING] {
                    headers.remove(name);
                }
            }
            let mut builder = client.request(method.clone(), url.clone());
            match body {
                None | Some(Body::Empty) => {}
                Some(Body::Bytes(bytes)) => builder = builder.body(bytes.clone()),
                Some(Body::Stream { length, open, .. }) => {
                    headers.insert(CONTENT_LENGTH, HeaderValue::from(*length));
                    builder = builder.body(open(config.upward.clone()).await.map_err(own)?);
                }
            }
            builder = builder.headers(headers);
            let started = Instant::now();
            let sent = builder.send();
            let patience = moved.is_some().then_some(config.upload_timeout);
            let sent = match request.timeout {
                Some(timeout) => within(timeout, &first, sent).await?,
                None => match moved {
                    Some(moved) => watched(&first, moved, config.upload_timeout, sent).await?,
                    None => sent.await,
                },
            };
            let inner = sent.map_err(|err| transport(url.as_str(), err))?;
            tracing::debug!(
                method = %method,
                url = %without_query(url.as_str()),
                status = inner.status().as_u16(),
                elapsed_ms = started.elapsed().as_millis() as u64,
                "request"
            );
            report_warnings(inner.headers());
            let mut response = Response {
                inner,
                url: url.as_str().to_owned(),
                left_hub: None,
                from_hub,
                bandwidth: match request.bulk {
                    true => config.downward.clone(),
                    false => Bandwidth::default(),
                },
                patience,
            };
            let Some(target) = redirect_target(&response, &url)? else {
                response.left_hub = left_hub;
                return Ok(response);
            };
            let target = config.endpoint.kept(target, &url);
            let stays = target.origin() == url.origin() || config.endpoint.is_hub_origin(&target);
            if request.redirects == Redirects::WithinHub && !stays {
                return Ok(response);
            }
            if from_hub && !config.endpoint.is_hub_origin(&target) {
                left_hub = Some(response.headers().clone());
            }
            // As browsers do: after these, what was sent is not sent again.
            let becomes_get = match response.status() {
                StatusCode::SEE_OTHER => method != Method::HEAD,
                StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => method == Method::POST,
                _ => false,
            };
            if becomes_get {
                method = Method::GET;
                body = None;
            }
            url = target;
        }
        Err(Error::TooManyRedirects {
            url: first,
            limit: MAX_REDIRECTS,
        })
    }

    /// The headers that a GET of ours to `url` has. For a library that asks in our place.
    #[cfg(feature = "xet")]
    pub(crate) async fn headers_for(&self, url: &str) -> Result<HeaderMap> {
        let request = Request::get(url);
        let url = request.url(self)?;
        let token = self.token().await?;
        let mut headers = self.headers(&request, &url, &url, token.as_ref(), &trace_id());
        // Of one request, not of all that the library makes.
        headers.remove("x-amzn-trace-id");
        Ok(headers)
    }

    /// The headers of a request that began at `begin` and goes to `url`. The one place that decides who sees what:
    /// the token and the client's own headers are for the Hub, credentials of the request itself for where it began.
    fn headers(
        &self,
        request: &Request,
        begin: &Url,
        url: &Url,
        token: Option<&Token>,
        trace: &HeaderValue,
    ) -> HeaderMap {
        let config = &self.shared.config;
        let for_hub = request.audience == Audience::Hub;
        let at_hub = config.may_see_token(url);
        let mut headers = HeaderMap::new();
        if for_hub {
            headers.insert(USER_AGENT, config.user_agent.clone());
            if self.counts_download {
                headers.insert("x-hf-download-counter", HeaderValue::from_static("1"));
            }
        }
        if at_hub && let Some(token) = token {
            headers.insert(AUTHORIZATION, bearer(token));
        }
        headers.extend(request.headers.clone());
        let elsewhere = url.origin() != begin.origin() && !(at_hub && config.endpoint.is_hub_origin(begin));
        if elsewhere {
            for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION] {
                headers.remove(name);
            }
        }
        if for_hub && at_hub {
            headers.extend(config.headers.clone());
        }
        if !headers.contains_key("x-amzn-trace-id") {
            let trace = headers.get("x-request-id").unwrap_or(trace).clone();
            headers.insert("x-amzn-trace-id", trace);
        }
        headers
    }
}

/// What comes of `work`, or [`Error::Timeout`] where that takes longer than `limit`.
pub(crate) async fn within<T>(limit: Duration, url: &str, work: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(limit, work)
        .await
        .map_err(|elapsed| Error::Timeout {
            url: without_query(url),
            source: elapsed.into(),
        })
}

/// Waits for a reply as long as bytes of the request move, or the wait for the reply itself is not too long.
async fn watched<T>(url: &str, moved: &AtomicU64, patience: Duration, sent: impl Future<Output = T>) -> Result<T> {
    let mut sent = std::pin::pin!(sent);
    loop {
        let before = moved.load(Ordering::Relaxed);
        match within(patience, url, &mut sent).await {
            Err(_) if moved.load(Ordering::Relaxed) != before => {}
            ended => return ended,
        }
    }
}

/// The header's value, marked so that it is never logged and never indexed by HTTP/2.
pub(crate) fn bearer(token: &Token) -> HeaderValue {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal()))
        .expect("a token is visible ASCII, checked when it was made");
    value.set_sensitive(true);
    value
}

/// A random UUID, version 4.
fn trace_id() -> HeaderValue {
    let bits = fastrand::u128(..) & !(0xf000 << 64) & !(0b11 << 62) | (0x4000 << 64) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    let text = format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    );
    HeaderValue::from_str(&text).expect("hexadecimal digits and dashes")
}

/// Where a redirect goes; `None` when the reply is no redirect.
fn redirect_target(response: &Response, url: &Url) -> Result<Option<Url>> {
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = response.headers().get(LOCATION).filter(|_| is_redirect) else {
        return Ok(None);
    };
    followed(url, location.as_bytes()).map(Some)
}

fn followed(url: &Url, location: &[u8]) -> Result<Url> {
    let bad = || Error::malformed(url.as_str(), "a redirect to what is no http address");
    let text = std::str::from_utf8(location).map_err(|_| bad())?;
    let target = url.join(text).map_err(|_| bad())?;
    match (url.scheme(), target.scheme()) {
        // Whoever asked for a secret way would get what anybody on another one may have changed.
        ("https", "http") => Err(Error::malformed(url.as_str(), "a redirect from https to http")),
        (_, "http" | "https") => Ok(target),
        _ => Err(bad()),
    }
}

/// An error of ours that went through a reader.
fn own(err: std::io::Error) -> Error {
    err.downcast::<Error>().unwrap_or_else(Error::Io)
}

/// What reqwest says, with an address that shows no query. Where a body could not be read to its end, that is told: the
/// connection is not to blame.
fn transport(url: &str, err: reqwest::Error) -> Error {
    let mut cause = std::error::Error::source(&err);
    while let Some(below) = cause {
        let ours = match below.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().and_then(|inner| inner.downcast_ref::<Error>()),
            None => below.downcast_ref::<Error>(),
        };
        match ours {
            Some(Error::Integrity {
                path,
                expected,
                received,
            }) => {
                return Error::Integrity {
                    path: path.clone(),
                    expected: expected.clone(),
                    received: received.clone(),
                };
            }
            Some(Error::Io(io)) => return Error::Io(std::io::Error::new(io.kind(), io.to_string())),
            _ => cause = below.source(),
        }
    }
    let url = without_query(url);
    let err = err.without_url();
    if err.is_timeout() {
        Error::Timeout {
            url,
            source: err.into(),
        }
    } else if is_untrusted(&err) {
        Error::Certificate {
            url,
            source: err.into(),
        }
    } else if err.is_connect() {
        Error::Connect {
            url,
            source: err.into(),
        }
    } else {
        Error::Transport {
            url,
            source: err.into(),
        }
    }
}

/// Whether the server's certificate was refused. The libraries for TLS have no error in common, but all say it with this
/// word: rustls, OpenSSL, Secure Transport and SChannel.
fn is_untrusted(err: &reqwest::Error) -> bool {
    let mut cause = std::error::Error::source(err).filter(|_| err.is_connect());
    while let Some(below) = cause {
        if below.to_string().to_ascii_lowercase().contains("certificate") {
            return true;
        }
        cause = below.source();
    }
    false
}

/// Logs each `X-HF-Warning: topic; message` once per topic and process.
fn report_warnings(headers: &HeaderMap) {
    static SEEN: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let Ok(mut seen) = SEEN.lock() else { return };
    for (topic, message) in new_warnings(headers, seen.get_or_insert_default()) {
        tracing::warn!(topic, "{message}");
    }
}

/// The warnings whose topic is not in `seen` yet, where it is then.
fn new_warnings<'a>(headers: &'a HeaderMap, seen: &mut HashSet<String>) -> Vec<(&'a str, &'a str)> {
    let mut new = Vec::new();
    for value in headers.get_all("x-hf-warning") {
        let Ok(text) = std::str::from_utf8(value.as_bytes()) else {
            continue;
        };
        let (topic, message) = text.split_once(';').unwrap_or(("", text));
        let (topic, message) = (topic.trim(), message.trim());
        if !message.is_empty() && seen.insert(topic.to_owned()) {
            new.push((topic, message));
        }
    }
    new
}

#[cfg(test)]
mod tests;
