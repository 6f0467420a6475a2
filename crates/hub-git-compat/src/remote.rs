//! What git itself cannot do, asked of the Hub over HTTP: the one place that uses hub-http.

use std::io::Write;
use std::sync::Arc;

use hub_http::{HfApi, HfApiBuilder, Progress, ProgressHandle, ProgressId};
use hub_types::Token;
use hub_types::env::Env;

use crate::Result;
use crate::transfer_agent::{Report, Upload};

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

/// Sends large files to where git-lfs was told that they go.
pub(crate) struct Sender {
    api: HfApi,
}

impl Sender {
    /// A client that is set by this environment, and has no token: nothing that it asks needs one.
    pub(crate) fn new(env: &Env) -> Result<Self> {
        let api = HfApiBuilder::from_env(env).and_then(|builder| builder.no_token().build());
        Ok(Self {
            api: api.map_err(Box::new)?,
        })
    }

    /// Sends one file, in parts where the action has some. The error is for people.
    pub(crate) fn send<W: Write + Send + 'static>(&self, upload: Upload, report: Arc<Report<W>>) -> Result<(), String> {
        let sent = self
            .api
            .put_lfs_object(upload.action, upload.oid, upload.path)
            .progress(ProgressHandle::new(Told(report)))
            .wait();
        sent.map_err(|err| {
            let mut text = err.to_string();
            let mut cause: &dyn std::error::Error = &err;
            while let Some(next) = cause.source() {
                text.push_str(&format!(": {next}"));
                cause = next;
            }
            text
        })
    }
}

/// The bytes of one file, told to git-lfs.
struct Told<W>(Arc<Report<W>>);

impl<W: Write + Send + 'static> Progress for Told<W> {
    fn advanced(&self, _: ProgressId, bytes: u64) {
        self.0.advance(bytes);
    }

    fn taken_back(&self, _: ProgressId, bytes: u64) {
        self.0.take_back(bytes);
    }
}
