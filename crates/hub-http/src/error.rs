//! What can go wrong, and the table from a reply's status and error code to a variant.
//!
//! The table is the Python client's `utils.hf_raise_for_status`, with one rule dropped: there a missing repository is
//! only recognised on `https` addresses.

use std::error::Error as StdError;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use hub_types::{RepoId, RepoType, Token, ValidationError};

use crate::retry::{self, RateLimit};

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed, a variant for each thing a caller handles apart.
///
/// `Display` is one line that says what was attempted on what; the cause below it is [`source`](StdError::source), and
/// [`Error::hint`] says what to do next. No token and no signed address stands in any of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such repository, or it is hidden from this token.
    #[error("repository not found: {0}")]
    RepoNotFound(Box<Reply>),
    /// The repository is gated and this token's user is not on its list.
    #[error("access to this repository is gated: {0}")]
    GatedRepo(Box<Reply>),
    /// The repository was disabled by the Hub.
    #[error("access to this repository is disabled: {0}")]
    DisabledRepo(Box<Reply>),
    /// The repository exists, the branch, tag or commit does not.
    #[error("revision not found: {0}")]
    RevisionNotFound(Box<Reply>),
    /// The revision exists, the file or folder does not.
    #[error("entry not found: {0}")]
    EntryNotFound(Box<Reply>),
    /// There is no such bucket.
    #[error("bucket not found: {0}")]
    BucketNotFound(Box<Reply>),
    /// There is no such job.
    #[error("job not found: {0}")]
    JobNotFound(Box<Reply>),
    /// Status 400: the server refuses what was asked.
    #[error("bad request: {0}")]
    BadRequest(Box<Reply>),
    /// Status 401: no token, or one that the server does not know.
    #[error("not authorized: {0}")]
    Unauthorized(Box<Reply>),
    /// Status 403: the token may not do this.
    #[error("forbidden: {0}")]
    Forbidden(Box<Reply>),
    /// Status 409: it exists already, or something else is being done to it.
    #[error("conflict: {0}")]
    Conflict(Box<Reply>),
    /// Status 429: too many requests, also after waiting as long as the server asked.
    #[error("too many requests: {0}")]
    RateLimited(Box<Reply>),
    /// Any other status of 400 or more.
    #[error("the server answered with an error: {0}")]
    Http(Box<Reply>),

    /// The client is offline (`HF_HUB_OFFLINE`); nothing was sent.
    #[error("cannot reach {url}: offline mode is enabled")]
    Offline {
        /// What would have been asked, without its query.
        url: String,
    },
    /// No connection could be made.
    #[error("cannot connect to {url}")]
    Connect {
        /// What was asked, without its query.
        url: String,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The server's certificate is not one that this machine trusts, or not of that server.
    #[error("cannot trust the certificate of {url}")]
    Certificate {
        /// What was asked, without its query.
        url: String,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The server took too long.
    #[error("{url} gave no answer in time")]
    Timeout {
        /// What was asked, without its query.
        url: String,
        /// What timed out.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The connection broke, or what came over it was no HTTP.
    #[error("the connection to {url} failed")]
    Transport {
        /// What was asked, without its query.
        url: String,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// More than 20 redirects.
    #[error("{url} redirects too often, more than {limit} times")]
    TooManyRedirects {
        /// Where it began.
        url: String,
        /// The limit.
        limit: usize,
    },
    /// A success reply that is not what the Hub's documents say.
    #[error("unexpected reply from {url}: {problem}")]
    MalformedReply {
        /// What was asked, without its query.
        url: String,
        /// What is wrong with it.
        problem: String,
        /// The parser's own words, if a parser gave up.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// A reply to a question about a file that lacks what every Hub sends: what answered is no Hub.
    #[error("no file metadata from {url}: {problem}")]
    Metadata {
        /// What was asked, without its query.
        url: String,
        /// What is missing or cannot be right.
        problem: String,
    },
    /// The bytes that arrived are not those that the server announced.
    #[error("{path}: expected {expected}, received {received}; nothing wrong was kept")]
    Integrity {
        /// Which file.
        path: String,
        /// Size or hash that was announced.
        expected: String,
        /// Size or hash that arrived.
        received: String,
    },

    /// What was waited for did not come about in the time that the caller gave.
    #[error("gave up waiting after {seconds} seconds: {state}")]
    WaitedTooLong {
        /// The caller's bound.
        seconds: f64,
        /// How things stood then.
        state: String,
    },
    /// Some changes of a batch were not made.
    #[error("{} of the changes failed: {}", .failed.len(), first_of(.failed))]
    Batch {
        /// What was to be changed, and why it was not.
        failed: Vec<(String, String)>,
    },
    /// An Inference Endpoint could not be deployed or changed.
    #[error("the endpoint {name} cannot be deployed: {problem}")]
    NotDeployed {
        /// The endpoint's name.
        name: String,
        /// What the service says of it.
        problem: String,
    },
    /// The repo has no safetensors weights: neither `model.safetensors` nor its index.
    #[error("{repo} has no safetensors weights: neither model.safetensors nor model.safetensors.index.json")]
    NoSafetensors {
        /// Which repo.
        repo: String,
    },
    /// A call needs a token and there is none.
    #[error("no token was found")]
    TokenNotFound,
    /// A token could not be obtained (OIDC exchange, refresh, device login).
    #[error("cannot obtain a token: {problem}")]
    TokenExchange {
        /// Why.
        problem: String,
        /// What is below it.
        source: Option<Box<Self>>,
    },
    /// An argument that cannot be right; nothing was sent.
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    /// A local file or folder could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The client could not be set up (proxy, certificates, TLS).
    #[error("cannot set up the HTTP client")]
    Setup {
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// What was asked for is not among what the Hub listed.
    #[error("{} not found in {place}", .paths.join(", "))]
    FilesNotFound {
        /// What was asked for.
        paths: Vec<String>,
        /// What it should be in.
        place: String,
    },
    /// What was asked for needs a feature that this build does not have; nothing was sent.
    #[error("{what} needs the feature '{feature}' of hub-http, which this build does not have")]
    MissingFeature {
        /// What was asked for.
        what: &'static str,
        /// The cargo feature.
        feature: &'static str,
    },
    /// The Xet storage failed, or gave something else than was asked for.
    #[error("{what} by Xet failed")]
    Xet {
        /// What was being done.
        what: &'static str,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// What was asked for goes by Xet alone, and this client does not use it (`HF_HUB_DISABLE_XET`); nothing was sent.
    #[error("{what} needs Xet, which is switched off")]
    XetDisabled {
        /// What was asked for.
        what: &'static str,
    },
    /// A background job was aborted before it ended.
    #[error("the job was aborted")]
    Aborted,
    /// A background job ended with a panic: a defect of this library.
    #[error("the job ended unexpectedly: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
}

/// The facts that every error reply has.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The request's method.
    pub method: String,
    /// The request's address, without its query.
    pub url: String,
    /// The server's id of the request, and the header it came in.
    pub request_id: Option<(&'static str, String)>,
    /// `X-Error-Code`, as it was sent.
    pub code: Option<String>,
    /// The server's own words, from header and body, one a line.
    pub server_message: Option<String>,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
    /// The `RateLimit` header, when it caused the refusal.
    pub rate_limit: Option<RateLimit>,
    /// `X-Repo-Commit`: what the revision resolved to although the entry is missing.
    pub repo_commit: Option<String>,
    /// The repository, read from the address.
    pub repo: Option<RepoId>,
    /// The bucket's `namespace/name`, read from the address.
    pub bucket: Option<String>,
    /// The body, if it is JSON: some error replies carry what was asked for.
    pub body: Option<serde_json::Value>,
    /// How many times the request was sent.
    pub attempts: u32,
    /// What this client adds to the server's words.
    pub note: Option<String>,
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reason = StatusCode::from_u16(self.status)
            .ok()
            .and_then(|s| s.canonical_reason())
            .unwrap_or("unknown");
        write!(f, "{} {reason} for {} {}", self.status, self.method, self.url)?;
        if let Some((label, id)) = &self.request_id {
            write!(f, " ({label}: {id})")?;
        }
        if let Some(message) = &self.server_message {
            write!(f, ": {}", message.replace('\n', "; "))?;
        }
        if let Some(note) = &self.note {
            write!(f, ": {note}")?;
        }
        if let Some(limit) = &self.rate_limit {
            write!(f, ": the limit{limit} is used up")?;
        }
        if self.attempts > 1 {
            write!(f, " (after {} attempts)", self.attempts)?;
        }
        Ok(())
    }
}

impl Error {
    /// The reply, when there was one.
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Self::RepoNotFound(reply)
            | Self::GatedRepo(reply)
            | Self::DisabledRepo(reply)
            | Self::RevisionNotFound(reply)
            | Self::EntryNotFound(reply)
            | Self::BucketNotFound(reply)
            | Self::JobNotFound(reply)
            | Self::BadRequest(reply)
            | Self::Unauthorized(reply)
            | Self::Forbidden(reply)
            | Self::Conflict(reply)
            | Self::RateLimited(reply)
            | Self::Http(reply) => Some(reply),
            _ => None,
        }
    }

    /// The reply, to add what this client knows to it.
    pub(crate) fn reply_mut(&mut self) -> Option<&mut Reply> {
        match self {
            Self::RepoNotFound(reply)
            | Self::GatedRepo(reply)
            | Self::DisabledRepo(reply)
            | Self::RevisionNotFound(reply)
            | Self::EntryNotFound(reply)
            | Self::BucketNotFound(reply)
            | Self::JobNotFound(reply)
            | Self::BadRequest(reply)
            | Self::Unauthorized(reply)
            | Self::Forbidden(reply)
            | Self::Conflict(reply)
            | Self::RateLimited(reply)
            | Self::Http(reply) => Some(reply),
            _ => None,
        }
    }

    /// The HTTP status, when there was a reply.
    pub fn status(&self) -> Option<u16> {
        self.reply().map(|reply| reply.status)
    }

    /// The server's id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.reply()
            .and_then(|reply| reply.request_id.as_ref())
            .map(|(_, id)| id.as_str())
    }

    /// The server's own words.
    pub fn server_message(&self) -> Option<&str> {
        self.reply().and_then(|reply| reply.server_message.as_deref())
    }

    /// How long the server asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.reply().and_then(|reply| reply.retry_after)
    }

    /// Whether what was asked for does not exist: repository, gated repository, revision, entry, bucket or job.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::RepoNotFound(_)
                | Self::GatedRepo(_)
                | Self::RevisionNotFound(_)
                | Self::EntryNotFound(_)
                | Self::BucketNotFound(_)
                | Self::JobNotFound(_)
                | Self::FilesNotFound { .. }
                | Self::NoSafetensors { .. }
        ) || self.status() == Some(404)
    }

    /// Whether the same call may succeed later: no connection, a timeout, a broken connection, a failure of the Xet
    /// storage, or one of the statuses 408, 429, 500, 502, 503 and 504.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Timeout { .. } | Self::Transport { .. } | Self::Xet { .. } => true,
            _ => self.status().is_some_and(crate::retry::is_retryable_status),
        }
    }

    /// Whether no answer came: offline, no connection, none that can be trusted, a timeout, a broken connection.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Offline { .. }
                | Self::Connect { .. }
                | Self::Certificate { .. }
                | Self::Timeout { .. }
                | Self::Transport { .. }
        )
    }

    /// What to do next, in one sentence, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::RepoNotFound(_) => {
                "check the id and the repo type; for a private or gated repo, log in with a token that may see it"
            }
            Self::GatedRepo(_) => "ask for access on the repo's page, then log in with a token of that account",
            Self::RevisionNotFound(_) => "list the branches and tags that exist with list_repo_refs",
            Self::Unauthorized(_) => "log in with a valid token, or set HF_TOKEN",
            Self::Forbidden(_) => "use a token with write permission for this repo",
            Self::RateLimited(_) => "wait, or log in: signed-in users have higher limits",
            Self::Metadata { .. } => {
                "check that HF_ENDPOINT is the address of a Hub and that no proxy answers in its place"
            }
            Self::Offline { .. } => "unset HF_HUB_OFFLINE to allow requests",
            Self::Connect { .. } => "check the network, the proxy settings and HF_ENDPOINT",
            Self::Certificate { .. } => {
                "where a proxy or gateway shows a certificate of its own, let HUB_CA_BUNDLE, REQUESTS_CA_BUNDLE or \
                 SSL_CERT_FILE name the PEM file of its authority"
            }
            Self::Xet { .. } => "try again later, or set HF_HUB_DISABLE_XET=1 to go through HTTP alone",
            Self::XetDisabled { .. } => "unset HF_HUB_DISABLE_XET",
            Self::TokenNotFound => "log in, or set HF_TOKEN",
            Self::TokenExchange { .. } => {
                "in a CI job, check HF_OIDC_RESOURCE and the trusted publishers of that repo; elsewhere, log in again"
            }
            _ => return None,
        })
    }

    pub(crate) fn malformed(url: &str, problem: impl Into<String>) -> Self {
        Self::MalformedReply {
            url: without_query(url),
            problem: problem.into(),
            source: None,
        }
    }
}

fn first_of(failed: &[(String, String)]) -> String {
    let mut text: Vec<String> = failed
        .iter()
        .take(10)
        .map(|(path, why)| format!("{path} ({why})"))
        .collect();
    if failed.len() > 10 {
        text.push("…".to_owned());
    }
    text.join(", ")
}

/// An address without query, fragment and user info: signed addresses carry secrets there.
pub(crate) fn without_query(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let bare = &url[..end];
    match bare.split_once("://") {
        Some((scheme, rest)) => {
            let host_end = rest.find('/').unwrap_or(rest.len());
            match rest[..host_end].rfind('@') {
                Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
                None => bare.to_owned(),
            }
        }
        None => bare.to_owned(),
    }
}

/// What is known of a reply of status 400 or more, before it becomes an [`Error`].
pub(crate) struct ErrorReply<'a> {
    pub(crate) method: &'a Method,
    pub(crate) url: &'a str,
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) attempts: u32,
    /// The token that was sent: a server that repeats it does not get it shown.
    pub(crate) secret: Option<&'a Token>,
}

impl ErrorReply<'_> {
    /// The decision table; the first row that matches wins.
    pub(crate) fn into_error(self) -> Error {
        let code = self.header("x-error-code");
        let message = self.header("x-error-message");
        let path = path_of(self.url);
        let reply = Box::new(self.facts());
        match code.as_deref() {
            Some("RevisionNotFound") => return Error::RevisionNotFound(reply),
            Some("EntryNotFound") => return Error::EntryNotFound(reply),
            Some("GatedRepo") => return Error::GatedRepo(reply),
            _ => {}
        }
        if message.as_deref() == Some("Access to this resource is disabled.") {
            return Error::DisabledRepo(reply);
        }
        if code.as_deref() == Some("RepoNotFound") && path.starts_with("/api/buckets/") {
            return Error::BucketNotFound(reply);
        }
        if reply.status == 404 && is_job(path) {
            return Error::JobNotFound(reply);
        }
        let hidden = reply.status == 401
            && message.as_deref() != Some("Invalid credentials in Authorization header")
            && is_repo_address(path);
        if code.as_deref() == Some("RepoNotFound") || hidden {
            return Error::RepoNotFound(reply);
        }
        match reply.status {
            400 => Error::BadRequest(reply),
            401 => Error::Unauthorized(reply),
            403 => Error::Forbidden(reply),
            409 => Error::Conflict(reply),
            429 => Error::RateLimited(reply),
            _ => Error::Http(reply),
        }
    }

    fn facts(&self) -> Reply {
        let request_id = [
            ("x-request-id", "Request ID"),
            ("x-amzn-trace-id", "Amzn Trace ID"),
            ("x-amz-cf-id", "Amz CF ID"),
        ]
        .into_iter()
        .find_map(|(header, label)| self.header(header).filter(|id| !id.is_empty()).map(|id| (label, id)));
        let mut json: Option<serde_json::Value> = serde_json::from_slice(self.body).ok();
        if let Some(json) = &mut json {
            self.clean_json(json);
        }
        let mut server_message = self.server_message(json.as_ref());
        if self.status == StatusCode::RANGE_NOT_SATISFIABLE
            && let Some(range) = self.header("content-range")
        {
            server_message = Some(format!(
                "{} (Content-Range: {range})",
                server_message.unwrap_or_default()
            ));
        }
        Reply {
            status: self.status.as_u16(),
            method: self.method.to_string(),
            url: without_query(self.url),
            request_id,
            code: self.header("x-error-code"),
            server_message,
            retry_after: retry::retry_after(self.headers),
            rate_limit: RateLimit::from_headers(self.headers).filter(|limit| limit.remaining == 0),
            repo_commit: self.header("x-repo-commit"),
            repo: repo_of(path_of(self.url)),
            bucket: bucket_of(path_of(self.url)),
            body: json,
            attempts: self.attempts,
            note: None,
        }
    }

    /// Header lines, then body messages; blanks trimmed, empty and repeated ones left out.
    fn server_message(&self, json: Option<&serde_json::Value>) -> Option<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut add = |text: &str| {
            for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
                let line: String = line.chars().filter(|c| !c.is_control()).take(2000).collect();
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
        };
        if let Some(message) = self.header("x-error-message") {
            add(&message);
        }
        match json {
            Some(serde_json::Value::Object(body)) => {
                match body.get("error") {
                    Some(serde_json::Value::String(text)) => add(text),
                    Some(serde_json::Value::Array(texts)) => texts.iter().filter_map(|t| t.as_str()).for_each(&mut add),
                    _ => {}
                }
                if let Some(text) = body.get("error_description").and_then(|t| t.as_str()) {
                    add(text);
                }
                if let Some(errors) = body.get("errors").and_then(|e| e.as_array()) {
                    errors
                        .iter()
                        .filter_map(|e| e.get("message")?.as_str())
                        .for_each(&mut add);
                }
            }
            Some(_) => {}
            None => {
                let html = self.header("content-type").is_some_and(|kind| kind.contains("html"));
                if let Ok(text) = std::str::from_utf8(self.body)
                    && !html
                {
                    match xml_error(text) {
                        Some(message) => add(&self.clean(&message)),
                        None => add(&self.clean(text)),
                    }
                }
            }
        }
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    fn header(&self, name: &str) -> Option<String> {
        self.headers
            .get(name)
            .map(|value| match std::str::from_utf8(value.as_bytes()) {
                Ok(text) => self.clean(text.trim()),
                // What HTTP once said that headers are: ISO 8859-1.
                Err(_) => self.clean(
                    value
                        .as_bytes()
                        .iter()
                        .map(|b| char::from(*b))
                        .collect::<String>()
                        .trim(),
                ),
            })
    }

    /// The server's text without what must never be shown: the token that was sent, and what signs an address.
    fn clean(&self, text: &str) -> String {
        let text = without_signatures(text);
        match self.secret {
            Some(token) => text.replace(token.reveal(), "hf_***"),
            None => text,
        }
    }

    fn clean_json(&self, json: &mut serde_json::Value) {
        match json {
            serde_json::Value::String(text) => *text = self.clean(text),
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| self.clean_json(item)),
            serde_json::Value::Object(fields) => fields.values_mut().for_each(|value| self.clean_json(value)),
            _ => {}
        }
    }
}

/// The text with the queries of signed addresses left out.
fn without_signatures(text: &str) -> String {
    const SIGNS: [&str; 8] = [
        "signature",
        "sig=",
        "x-amz-",
        "token",
        "credential",
        "policy=",
        "key-pair-id",
        "secret",
    ];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("http") {
        let end = rest[at..]
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | ')' | ','))
            .map_or(rest.len(), |end| at + end);
        let url = &rest[at..end];
        out.push_str(&rest[..at]);
        match url.split_once('?') {
            Some((bare, query))
                if url.contains("://") && SIGNS.iter().any(|sign| query.to_ascii_lowercase().contains(sign)) =>
            {
                out.push_str(bare);
                out.push_str("?***");
            }
            _ => out.push_str(url),
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// What an object store's XML says: its code and message, without the signature that it goes on to explain.
fn xml_error(text: &str) -> Option<String> {
    if !text.trim_start().starts_with('<') {
        return None;
    }
    let tag = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0.trim())
    };
    match (tag("Code"), tag("Message")) {
        (Some(code), Some(message)) => Some(format!("{code}: {message}")),
        (Some(one), None) | (None, Some(one)) => Some(one.to_owned()),
        (None, None) => None,
    }
}

fn path_of(url: &str) -> &str {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let rest = url[..end].split_once("://").map_or("", |(_, rest)| rest);
    rest.find('/').map_or("/", |at| &rest[at..])
}

fn is_job(path: &str) -> bool {
    ["/api/jobs/", "/api/scheduled-jobs/"].into_iter().any(|prefix| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.split('/').filter(|s| !s.is_empty()).count() >= 2)
    })
}

fn is_repo_address(path: &str) -> bool {
    let named = ["/api/models/", "/api/datasets/", "/api/spaces/"]
        .into_iter()
        .any(|prefix| path.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()));
    named
        || path
            .find("/resolve/")
            .is_some_and(|at| at > 0 && path.len() > at + "/resolve/".len())
}

/// The bucket that an address is about.
fn bucket_of(path: &str) -> Option<String> {
    let mut parts = path.strip_prefix("/api/buckets/")?.split('/');
    let (namespace, name) = (parts.next()?, parts.next()?);
    (!namespace.is_empty() && !name.is_empty()).then(|| format!("{namespace}/{name}"))
}

/// The repository that an address is about: the resolve form first, then the API form.
fn repo_of(path: &str) -> Option<RepoId> {
    if let Some((before, _)) = path.split_once("/resolve/") {
        let before = before.trim_start_matches('/');
        let (repo_type, id) = match before.split_once('/') {
            Some((first, rest)) => match RepoType::from_plural(first) {
                Some(repo_type) if repo_type != RepoType::Model => (repo_type, rest),
                _ => (RepoType::Model, before),
            },
            None => (RepoType::Model, before),
        };
        return RepoId::new(repo_type, id).ok();
    }
    let mut parts = path.strip_prefix("/api/")?.split('/');
    let repo_type = RepoType::from_plural(parts.next()?)?;
    let first = parts.next().filter(|part| !part.is_empty())?;
    const NOT_A_NAME: [&str; 8] = [
        "resolve",
        "tree",
        "blob",
        "raw",
        "refs",
        "commit",
        "discussions",
        "settings",
    ];
    match parts
        .next()
        .filter(|part| !part.is_empty() && !NOT_A_NAME.contains(part) && *part != "revision")
    {
        Some(second) => RepoId::new(repo_type, &format!("{first}/{second}")).ok(),
        None => RepoId::new(repo_type, first).ok(),
    }
}

#[cfg(test)]
mod tests;
