//! `--local`: a Hub in this process, for one command.

use std::cell::RefCell;
use std::path::Path;
use std::time::{Duration, Instant};

use hub_server::{Server, ServerThread};
use hub_types::Token;

use crate::error::{Class, Failure};
use crate::output::Output;

pub(crate) struct LocalHub {
    server: RefCell<Option<ServerThread>>,
    url: String,
    token: Token,
}

impl LocalHub {
    /// Starts the Hub in this folder; the first time, with a model to welcome its user.
    pub(crate) fn start(root: &Path, out: &Output) -> anyhow::Result<Self> {
        if !root.exists() {
            out.log(&format!("Making a Hub of your own in {}", root.display()));
        }
        let deadline = Instant::now() + PATIENCE;
        let mut waiting = false;
        let server = loop {
            match Server::builder(root).welcome(true).start_in_thread() {
                Ok(server) => break server,
                // Another command may be at it; most take a second.
                Err(hub_server::Error::InUse { .. }) if Instant::now() < deadline => {
                    if !waiting {
                        out.log(&format!("Waiting for another process that uses {}", root.display()));
                        waiting = true;
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(err @ hub_server::Error::InUse { .. }) => {
                    let message = format!("another process uses the Hub in {}", root.display());
                    return Err(Failure::new(Class::Local, message)
                        .hint("if `hub serve` runs there, set HF_ENDPOINT to its address in place of --local")
                        .because(err)
                        .into());
                }
                Err(err) => return Err(err.into()),
            }
        };
        Ok(Self {
            url: server.url().to_owned(),
            token: server.token().clone(),
            server: RefCell::new(Some(server)),
        })
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The token of its user.
    pub(crate) fn token(&self) -> &Token {
        &self.token
    }

    /// Lets it come to its end.
    pub(crate) fn stop(&self) {
        if let Some(server) = self.server.borrow_mut().take() {
            server.stop();
        }
    }
}

/// How long to wait for another command that uses the same folder.
const PATIENCE: Duration = Duration::from_secs(30);
