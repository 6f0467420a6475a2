//! A recorded call.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// The token that stands for the recorded one.
pub(super) const TOKEN: &str = "hf_wirewirewirewirewirewirewire";

/// A call of the official client, with all that went over the wire.
#[derive(Debug, Clone, Deserialize)]
pub struct Vector {
    /// `operation.variant`.
    pub id: String,
    /// The operation's name.
    pub op: String,
    /// The call's keyword arguments.
    #[serde(default)]
    pub args: Map<String, Value>,
    /// What was asked and answered, in order.
    #[serde(default)]
    pub exchanges: Vec<Exchange>,
    /// `ok`, or the class of the error that the call ended in.
    pub outcome: String,
}

/// A request and its reply.
#[derive(Debug, Clone, Deserialize)]
pub struct Exchange {
    /// What was sent.
    pub request: SentRequest,
    /// What was answered.
    pub response: GivenReply,
}

/// A recorded request.
#[derive(Debug, Clone, Deserialize)]
pub struct SentRequest {
    /// Its method.
    pub method: String,
    /// Its path, percent-encoded.
    pub path: String,
    /// Its query, decoded.
    #[serde(default)]
    pub query: Vec<(String, String)>,
    /// Its headers, in lower case.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Its body, if that is JSON.
    pub json: Option<Value>,
    /// Its body, if that is lines of JSON.
    pub ndjson: Option<Vec<Value>>,
    /// Its body, if that is other text.
    pub text: Option<String>,
    /// Its body's hash, if that is no text.
    pub body_sha256: Option<String>,
}

impl SentRequest {
    /// How it is shown.
    pub(super) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// A recorded reply.
#[derive(Debug, Clone, Deserialize)]
pub struct GivenReply {
    /// Its status.
    pub status: u16,
    /// Its headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Its body, if that is JSON.
    pub json: Option<Value>,
    /// Its body, if that is other text.
    pub text: Option<String>,
    /// Its body as base64, if that is no text.
    pub body_b64: Option<String>,
}

/// Puts this run's values in place of what stands for them.
pub(super) fn fill(text: &str, url: &str) -> String {
    text.replace("{token}", TOKEN)
        .replace("{endpoint}", url)
        .replace("{inference_endpoints_endpoint}", &format!("{url}/ie"))
        .replace("{inference_catalog_endpoint}", &format!("{url}/ie/catalog"))
}

/// The same for all texts in a value.
pub(super) fn fill_value(value: &Value, url: &str) -> Value {
    match value {
        Value::String(text) => Value::String(fill(text, url)),
        Value::Array(items) => items.iter().map(|item| fill_value(item, url)).collect(),
        Value::Object(members) => {
            let filled = members.iter().map(|(key, value)| (key.clone(), fill_value(value, url)));
            Value::Object(filled.collect())
        }
        other => other.clone(),
    }
}
