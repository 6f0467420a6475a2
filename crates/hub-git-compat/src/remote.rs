//! What git itself cannot do, asked of the Hub over HTTP: the one place that uses hub-http.

use hub_http::HfApi;
use hub_types::Token;

use crate::Result;

/// Whom a commit names as its author.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
}

impl Identity {
    /// Fills in what is missing with what the Hub knows of the token's owner; asks nothing when both are there.
    pub(crate) fn completed(self, endpoint: &str, token: &Token) -> Result<Self> {
        if self.name.is_some() && self.email.is_some() {
            return Ok(self);
        }
        let whoami = || {
            HfApi::builder()
                .endpoint(endpoint)
                .token(token.clone())
                .build()?
                .whoami()
                .wait()
        };
        let account = whoami().map_err(Box::new)?;
        Ok(Self {
            name: self.name.or(account.fullname).or(Some(account.name)),
            email: self.email.or(account.email),
        })
    }
}
