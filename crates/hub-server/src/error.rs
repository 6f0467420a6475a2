//! What can go wrong, and the words in which the Hub says so.

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use hub_types::{RepoType, ValidationError};
use serde_json::json;

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a server could not start, or what a request is refused with.
///
/// Only the first few can come out of [`Server`](crate::Server); the others are replies: each knows its status and its
/// `X-Error-Code`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another server holds the folder.
    #[error("another server runs in '{}'", root.display())]
    InUse {
        /// The folder.
        root: PathBuf,
    },
    /// The address could not be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A file could not be read or written; the source names it.
    #[error("cannot read or write the Hub's folder")]
    Io {
        /// Why, with the path.
        #[from]
        source: std::io::Error,
    },
    /// The database refused.
    #[error("the database refused")]
    Database {
        /// Why.
        #[from]
        source: rusqlite::Error,
    },
    /// A git repository could not be read or written.
    #[error("cannot read or write a git repository")]
    Git {
        /// Why.
        #[from]
        source: git2::Error,
    },
    /// A value breaks its rule.
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    /// A bug of this server: a task ended in a panic or was cancelled.
    #[error("internal error")]
    Internal,

    /// No credentials, or none that help: as for a repository that is missing or hidden (401, no code).
    #[error("Invalid username or password.")]
    Unauthorized,
    /// A token that no user has.
    #[error("Invalid credentials in Authorization header")]
    BadToken,
    /// The repository is missing, or hidden from a signed-in user.
    #[error("Repository not found")]
    RepoNotFound,
    /// The repository has no such branch, tag or commit.
    #[error("Invalid rev id: {0}")]
    RevisionNotFound(String),
    /// The repository has no such file or folder at that commit.
    #[error("{message}")]
    EntryNotFound {
        /// The Hub's sentence.
        message: String,
        /// The commit that was looked at.
        commit: Option<String>,
    },
    /// The repository is gated.
    #[error("Access to {} {id} is restricted{}", kind.as_str(), gated_advice(*.signed_in))]
    Gated {
        /// The repository's type.
        kind: RepoType,
        /// The repository's id.
        id: String,
        /// Whether the caller is signed in (403) or not (401).
        signed_in: bool,
    },
    /// The caller may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// The request makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// The Xet storage beside this server does not work as it should.
    #[error("{0}")]
    Storage(String),
    /// There is no such page, object or discussion.
    #[error("{0}")]
    NotFound(String),
    /// The method is not for this address.
    #[error("Method not allowed")]
    MethodNotAllowed,
    /// It exists already, or is being changed.
    #[error("{message}")]
    Conflict {
        /// The Hub's sentence.
        message: String,
        /// The address of what exists.
        url: Option<String>,
    },
    /// The branch has moved on.
    #[error("A commit has happened since. Please refresh and try again.")]
    Outdated,
    /// The body is larger than this request may have.
    #[error("{0}")]
    TooLarge(String),
    /// The repository has another name now.
    #[error("Moved to {location}")]
    Moved {
        /// Where.
        location: String,
    },
}

fn gated_advice(signed_in: bool) -> &'static str {
    if signed_in {
        " and you are not in the authorized list. Ask the owner for access."
    } else {
        ". You must have access to it and be authenticated to access it. Please log in."
    }
}

impl Error {
    /// A file or folder that is not there at `commit`.
    pub(crate) fn entry(message: impl Into<String>, commit: impl ToString) -> Self {
        Self::EntryNotFound {
            message: message.into(),
            commit: Some(commit.to_string()),
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::BadRequest(message.into())
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::Forbidden(message.into())
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::InUse { .. }
            | Self::Bind { .. }
            | Self::Io { .. }
            | Self::Database { .. }
            | Self::Git { .. }
            | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Invalid(_) | Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized | Self::BadToken | Self::Gated { signed_in: false, .. } => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::Gated { .. } => StatusCode::FORBIDDEN,
            Self::RepoNotFound | Self::RevisionNotFound(_) | Self::EntryNotFound { .. } | Self::NotFound(_) => {
                StatusCode::NOT_FOUND
            }
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::Outdated => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Storage(_) => StatusCode::BAD_GATEWAY,
            Self::Moved { .. } => StatusCode::TEMPORARY_REDIRECT,
        }
    }

    fn code(&self) -> Option<&'static str> {
        match self {
            Self::RepoNotFound => Some("RepoNotFound"),
            Self::RevisionNotFound(_) => Some("RevisionNotFound"),
            Self::EntryNotFound { .. } => Some("EntryNotFound"),
            Self::Gated { .. } => Some("GatedRepo"),
            _ => None,
        }
    }

    /// The sentence for the caller: what went wrong inside stays inside.
    pub(crate) fn words(&self) -> String {
        if self.status() == StatusCode::INTERNAL_SERVER_ERROR {
            "Internal Error - We're working hard to fix this as soon as possible!".to_owned()
        } else {
            self.to_string()
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        let words = self.words();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = &self as &dyn std::error::Error, "a request failed");
        }
        let mut body = json!({ "error": &words });
        if let Self::Conflict { url: Some(url), .. } = &self {
            body["url"] = url.as_str().into();
        }
        let mut response = (status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        if let Some(code) = self.code() {
            headers.insert("x-error-code", HeaderValue::from_static(code));
        }
        headers.insert("x-error-message", header_text(&words));
        match &self {
            Self::EntryNotFound {
                commit: Some(commit), ..
            } => {
                headers.insert("x-repo-commit", header_text(commit));
            }
            Self::Moved { location } => {
                headers.insert(header::LOCATION, header_text(location));
            }
            Self::Unauthorized | Self::BadToken | Self::Gated { signed_in: false, .. } => {
                headers.insert(
                    HeaderName::from_static("www-authenticate"),
                    HeaderValue::from_static("Basic realm=\"Authentication required\", charset=\"UTF-8\""),
                );
            }
            _ => {}
        }
        response
    }
}

/// A header's value from any text: what no header can carry becomes `?`.
pub(crate) fn header_text(text: &str) -> HeaderValue {
    let clean: String = text
        .chars()
        .map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' })
        .collect();
    HeaderValue::from_str(&clean).unwrap_or(HeaderValue::from_static(""))
}
