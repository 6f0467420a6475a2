//! From an error to what is said about it: class, message, cause, hints, exit code.

use std::error::Error as StdError;
use std::fmt;
use std::io::ErrorKind;

use hub_types::ValidationError;
use serde_json::json;

/// What kind of failure it is; scripts see it as the exit code, programs as the error's `code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Failed,
    Usage,
    NotFound,
    Auth,
    Forbidden,
    Gated,
    Network,
    Offline,
    RateLimited,
    Server,
    Partial,
    Local,
    Integrity,
    Conflict,
    Interrupted,
    Terminated,
}

impl Class {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Auth | Self::Forbidden | Self::Gated => 4,
            Self::Network | Self::Offline => 5,
            Self::RateLimited => 6,
            Self::Server => 7,
            Self::Partial => 8,
            Self::Local => 9,
            Self::Integrity => 10,
            Self::Conflict => 11,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Auth => "auth",
            Self::Forbidden => "forbidden",
            Self::Gated => "gated",
            Self::Network => "network",
            Self::Offline => "offline",
            Self::RateLimited => "rate_limited",
            Self::Server => "server",
            Self::Partial => "partial",
            Self::Local => "local",
            Self::Integrity => "integrity",
            Self::Conflict => "conflict",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
        }
    }
}

/// A failure of the command itself, not of the library: its class, what is said, what to do.
///
/// With a cause below it, it says better what the cause says: the cause's own text is not repeated.
#[derive(Debug)]
pub(crate) struct Failure {
    class: Class,
    message: String,
    hints: Vec<String>,
    source: Option<anyhow::Error>,
}

impl Failure {
    pub(crate) fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            hints: Vec::new(),
            source: None,
        }
    }

    /// A command line that cannot be right.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Class::Usage, message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(crate) fn because(mut self, source: impl Into<anyhow::Error>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source.as_ref())
    }
}

/// What is said about an error.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) class: Class,
    pub(crate) message: String,
    pub(crate) causes: Vec<String>,
    pub(crate) hints: Vec<String>,
    status: Option<u16>,
    request_id: Option<String>,
    url: Option<String>,
    retry_after: Option<u64>,
}

impl Report {
    pub(crate) fn new(err: &anyhow::Error) -> Self {
        let chain: Vec<&(dyn StdError + 'static)> = err.chain().collect();
        let http = chain.iter().find_map(|err| http_of(*err));
        let mut message = chain[0].to_string();
        let mut hints = Vec::new();
        let mut class = None;
        for err in &chain {
            if let Some(failure) = err.downcast_ref::<Failure>() {
                class = class.or(Some(failure.class));
                hints.extend(failure.hints.iter().cloned());
            } else {
                class = class.or_else(|| class_of(*err));
            }
        }
        let mut causes: Vec<String> = Vec::new();
        for cause in &chain[1..] {
            let text = cause.to_string();
            // A transparent error says what its source says.
            if !message.contains(&text) && !causes.iter().any(|said| said.contains(&text)) {
                causes.push(text);
            }
        }
        if hints.is_empty() {
            hints.extend(chain.iter().find_map(|err| hint_of(*err)).map(str::to_owned));
        }
        hints.truncate(2);
        message = redact(&message);
        let reply = http.and_then(hub_http::Error::reply);
        Self {
            class: class.unwrap_or(Class::Failed),
            message,
            causes: causes.iter().map(|cause| redact(cause)).collect(),
            hints: hints.iter().map(|hint| redact(hint)).collect(),
            status: reply.map(|reply| reply.status),
            request_id: reply.and_then(|reply| reply.request_id.as_ref().map(|(_, id)| id.clone())),
            url: reply.map(|reply| reply.url.clone()),
            retry_after: reply.and_then(|reply| reply.retry_after).map(|wait| wait.as_secs()),
        }
    }

    /// The object of `--error-format json`.
    pub(crate) fn to_json(&self, exit_code: u8) -> Vec<(String, serde_json::Value)> {
        [
            ("code", json!(self.class.name())),
            ("message", json!(self.message)),
            ("cause", json!(self.causes.first())),
            ("hint", json!(self.hints.first())),
            ("status", json!(self.status)),
            ("request_id", json!(self.request_id)),
            ("url", json!(self.url)),
            ("retry_after", json!(self.retry_after)),
            ("exit_code", json!(exit_code)),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }
}

/// The error of the client that this is or holds. A transparent error stands for what it holds.
pub(crate) fn http_of<'a>(err: &'a (dyn StdError + 'static)) -> Option<&'a hub_http::Error> {
    match err.downcast_ref::<hub_cache::Error>() {
        Some(err) => err.http(),
        None => err.downcast_ref(),
    }
}

/// What the library says to do next.
fn hint_of(err: &(dyn StdError + 'static)) -> Option<&'static str> {
    match err.downcast_ref::<hub_cache::Error>() {
        Some(err) => err.hint(),
        None => match err.downcast_ref::<hub_git_compat::Error>() {
            Some(err) => err.hint(),
            None => err.downcast_ref::<hub_http::Error>()?.hint(),
        },
    }
}

/// The class of one error of a chain, where it has one.
fn class_of(err: &(dyn StdError + 'static)) -> Option<Class> {
    if err.is::<ValidationError>() {
        return Some(Class::Usage);
    }
    if let Some(err) = err.downcast_ref::<hub_http::Error>() {
        return class_of_http(err);
    }
    if let Some(err) = err.downcast_ref::<hub_cache::Error>() {
        return class_of_cache(err);
    }
    if let Some(err) = err.downcast_ref::<hub_server::Error>() {
        return Some(match err {
            hub_server::Error::Invalid(_) => Class::Usage,
            _ => Class::Local,
        });
    }
    err.downcast_ref::<std::io::Error>().map(|_| Class::Local)
}

fn class_of_cache(err: &hub_cache::Error) -> Option<Class> {
    use hub_cache::{Error as E, NotFetched};
    Some(match err {
        E::Invalid(_) | E::UnknownRevision { .. } => Class::Usage,
        E::Io(_) | E::NotACache { .. } | E::LeavesFolder { .. } | E::NoSpace { .. } | E::NotWritable { .. } => {
            Class::Local
        }
        E::NotCached { reason, .. } | E::IncompleteSnapshot { reason, .. } | E::CannotForce { reason, .. } => {
            match (reason, err.http()) {
                (NotFetched::Offline, _) => Class::Offline,
                (_, Some(err)) => return class_of_http(err),
                (NotFetched::Unreachable, None) => Class::Network,
                (NotFetched::NoMetadata, None) => Class::Server,
                _ => Class::Failed,
            }
        }
        E::UnprovenSnapshot { .. } => Class::Network,
        E::Http(err) => return class_of_http(err),
        _ => return None,
    })
}

fn class_of_http(err: &hub_http::Error) -> Option<Class> {
    use hub_http::Error as E;
    Some(match err {
        E::GatedRepo(_) => Class::Gated,
        E::RepoNotFound(_)
        | E::RevisionNotFound(_)
        | E::EntryNotFound(_)
        | E::FilesNotFound { .. }
        | E::NoSafetensors { .. }
        | E::BucketNotFound(_)
        | E::JobNotFound(_) => Class::NotFound,
        E::Unauthorized(_) | E::TokenNotFound | E::TokenExchange { .. } => Class::Auth,
        E::Forbidden(_) | E::DisabledRepo(_) => Class::Forbidden,
        E::Conflict(_) => Class::Conflict,
        E::RateLimited(_) => Class::RateLimited,
        E::Offline { .. } => Class::Offline,
        E::Connect { .. }
        | E::Certificate { .. }
        | E::Timeout { .. }
        | E::Transport { .. }
        | E::TooManyRedirects { .. } => Class::Network,
        E::MalformedReply { .. } => Class::Server,
        E::Integrity { .. } => Class::Integrity,
        E::Invalid(_) => Class::Usage,
        E::Io(_) => Class::Local,
        _ => match err.status() {
            Some(404) => Class::NotFound,
            Some(500..) => Class::Server,
            _ => return None,
        },
    })
}

/// Whether this is the end of a disk, for a text that says so.
pub(crate) fn is_no_space(err: &anyhow::Error) -> bool {
    err.chain()
        .filter_map(|err| err.downcast_ref::<std::io::Error>())
        .any(|err| matches!(err.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
}

/// Hides what looks like an access token: one may stand where something else was expected.
pub(crate) fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("hf_") {
        let behind = &rest[at + 3..];
        let length = behind
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(behind.len());
        out.push_str(&rest[..at + 3]);
        out.push_str(if length >= 20 { "***" } else { &behind[..length] });
        rest = &behind[length..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validation_error_is_a_usage_error_with_value_and_rule() {
        let err = hub_http::Error::from(hub_types::RepoId::model("a//b").unwrap_err());
        let report = Report::new(&err.into());
        assert_eq!(report.class, Class::Usage);
        assert_eq!(
            report.message,
            "invalid repo id 'a//b': must be 'name' or 'namespace/name', with one slash at the most"
        );
        assert!(report.causes.is_empty(), "{report:?}");
    }

    #[test]
    fn a_failure_says_better_what_its_cause_says() {
        let io = std::io::Error::new(ErrorKind::PermissionDenied, "not yours");
        let err = Failure::new(Class::NotFound, "no such thing").hint("look").because(io);
        let report = Report::new(&err.into());
        assert_eq!(report.class, Class::NotFound);
        assert_eq!(report.causes, ["not yours"]);
        assert_eq!(report.hints, ["look"]);
        let local = Report::new(&std::io::Error::other("disk").into());
        assert_eq!(local.class.exit_code(), 9);
    }

    #[test]
    fn a_token_in_the_wrong_place_is_not_shown() {
        let token = "hf_abcdefghijABCDEFGHIJ0123456789abcd";
        assert_eq!(
            redact(&format!("unexpected '{token}' found")),
            "unexpected 'hf_***' found"
        );
        assert_eq!(redact("hf_home and hf_"), "hf_home and hf_");
    }
}
