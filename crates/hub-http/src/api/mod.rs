//! The operations, a file for each area of the Hub.

pub mod account;
pub mod commits;
pub mod files;
pub mod repos;
pub mod search;

#[cfg(test)]
pub(crate) mod testing;

use hub_types::{RepoId, RepoType, ValidationError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::client::HfApi;
use crate::error::Result;
use crate::request::Request;

/// What stays as it is in one segment of an address.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Sends a request whose reply says nothing but that it worked.
async fn answered(api: &HfApi, request: Request) -> Result<()> {
    api.send(request).await.map(drop)
}

/// Text as one segment of an address, slashes included. `what` it is stands in the error for one that is empty, or that
/// an address would take for a step up.
fn segment(what: &'static str, text: &str) -> Result<String, ValidationError> {
    match text {
        "" => Err(ValidationError::new(what, text, "must not be empty")),
        "." | ".." => Err(ValidationError::new(what, text, "must not be '.' or '..'")),
        text => Ok(utf8_percent_encode(text, SEGMENT).to_string()),
    }
}

/// The members of a `json!({…})`.
fn body(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// Adds a member to a body, if there is a value.
fn put(body: &mut Map<String, Value>, key: &str, value: Option<impl Serialize>) {
    if let Some(value) = value {
        let value = serde_json::to_value(value).expect("our request types have string keys and no failing serializers");
        body.insert(key.to_owned(), value);
    }
}

/// Some calls are not for repositories of kernels.
fn forbid_kernel(repo: &RepoId) -> Result<(), ValidationError> {
    if repo.repo_type() == RepoType::Kernel {
        return Err(ValidationError::new(
            "repo type",
            "kernel",
            "must be one of model, dataset, space for this call",
        ));
    }
    Ok(())
}
