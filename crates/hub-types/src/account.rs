//! Models of the `account` area: who a token belongs to.

use serde::{Deserialize, Serialize};

/// Whose token is in use: the reply of `GET /api/whoami-v2`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct WhoAmI {
    /// The account's name, which is also its namespace.
    pub name: String,
    /// `user` or `org`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The account's full name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fullname: Option<String>,
    /// The account's e-mail address, where the token may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The organisations that the account belongs to.
    #[serde(default, deserialize_with = "crate::model::null_is_default")]
    pub orgs: Vec<Org>,
    /// What is known of the token itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// All other fields, as the Hub sent them: what `whoami` returns has no fixed form.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// An organisation in [`WhoAmI`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Org {
    /// Its name, which is also its namespace.
    pub name: String,
    /// All other fields, as the Hub sent them.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// What is known of the token in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Auth {
    /// The token, unless it is of another kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<AccessToken>,
    /// All other fields, as the Hub sent them.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// An access token, without its secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AccessToken {
    /// The name that its owner gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// `read`, `write` or `fineGrained`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// All other fields, as the Hub sent them.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}
