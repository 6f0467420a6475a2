//! What a command works with: settings, output, and client, runtime and embedded Hub made when they are first needed.

use std::cell::OnceCell;
use std::future::Future;

use anyhow::Context as _;
use hub_http::{HfApi, HfApiBuilder, TokenChoice};
use hub_types::Token;
use tokio::runtime::Runtime;

use crate::error::{Class, Failure};
use crate::local::LocalHub;
use crate::output::Output;
use crate::settings::Settings;

pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) out: Output,
    runtime: OnceCell<Runtime>,
    api: OnceCell<HfApi>,
    local: OnceCell<LocalHub>,
}

impl Context {
    pub(crate) fn new(settings: Settings, out: Output) -> Self {
        Self {
            settings,
            out,
            runtime: OnceCell::new(),
            api: OnceCell::new(),
            local: OnceCell::new(),
        }
    }

    /// The client of the Hub that this run is about. With `--local` that Hub is started here.
    pub(crate) fn api(&self) -> anyhow::Result<&HfApi> {
        if let Some(api) = self.api.get() {
            return Ok(api);
        }
        let api = self.make_api()?;
        Ok(self.api.get_or_init(|| api))
    }

    fn make_api(&self) -> anyhow::Result<HfApi> {
        let settings = &self.settings;
        let mut builder = HfApiBuilder::from_env(&settings.env)?.user_agent("hub-cli", env!("CARGO_PKG_VERSION"));
        if let Some(local) = self.local()? {
            builder = builder.endpoint(local.url()).token(local.token()?);
        }
        if let Some(token) = &settings.token {
            if settings.token_in_arguments {
                self.out.warning(
                    "`--token <value>` leaves your token in your shell history and in process listings. Run `hub auth login`, \
                     set `HF_TOKEN` or use `--token-stdin` instead.",
                );
            }
            builder = builder.token(token.clone());
        }
        if let Some(timeout) = settings.timeout {
            builder = builder.metadata_timeout(timeout).download_timeout(timeout);
        }
        if let Some(retries) = settings.retries {
            builder = builder.retries(retries, std::time::Duration::from_secs(1));
        }
        if let Some(connections) = settings.max_connections {
            builder = builder.max_connections(connections);
        }
        Ok(builder.build()?)
    }

    /// The embedded Hub, running, if this run is about it.
    pub(crate) fn local(&self) -> anyhow::Result<Option<&LocalHub>> {
        let Some(root) = &self.settings.local else {
            return Ok(None);
        };
        if let Some(local) = self.local.get() {
            return Ok(Some(local));
        }
        let local = LocalHub::start(root, &self.out)?;
        Ok(Some(self.local.get_or_init(|| local)))
    }

    /// The token that a request of this run would carry.
    ///
    /// A stored one counts although `HF_HUB_DISABLE_IMPLICIT_TOKEN` keeps it from being sent.
    pub(crate) fn token(&self) -> anyhow::Result<Option<Token>> {
        if let Some(token) = &self.settings.token {
            return Ok(Some(token.clone()));
        }
        if let Some(local) = self.local()? {
            return Ok(Some(local.token()?));
        }
        let api = self.api()?.with_token(TokenChoice::Required);
        match self.block_on(async move { Ok(api.token().await) })? {
            Ok(token) => Ok(token),
            Err(hub_http::Error::TokenNotFound) => Ok(None),
            Err(err) => Err(err.into()),
        }
    }

    /// Runs a future to its end, or until the user or the system ends it.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        self.runtime()?.block_on(async {
            tokio::select! {
                result = future => result,
                class = ended() => Err(interrupted(class?)),
            }
        })
    }

    /// Waits until the user or the system asks for an end: what `serve` does.
    pub(crate) fn wait_for_end(&self) -> anyhow::Result<()> {
        self.runtime()?.block_on(ended()).map(drop)
    }

    pub(crate) fn runtime(&self) -> anyhow::Result<&Runtime> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .context("cannot start the threads for requests")?;
        Ok(self.runtime.get_or_init(|| runtime))
    }

    /// Ends what runs in the background, so that the process can end.
    pub(crate) fn close(&self) {
        if let Some(local) = self.local.get() {
            local.stop();
        }
    }

    /// An error with what can still be found out about it.
    pub(crate) fn explain(&self, err: anyhow::Error) -> anyhow::Error {
        err
    }
}

/// Ctrl-C or SIGTERM.
async fn ended() -> anyhow::Result<Class> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupt = tokio::signal::ctrl_c() => interrupt.map(|()| Class::Interrupted).map_err(Into::into),
            _ = terminate.recv() => Ok(Class::Terminated),
        }
    }
    #[cfg(not(unix))]
    {
        tokio::signal::ctrl_c().await?;
        Ok(Class::Interrupted)
    }
}

fn interrupted(class: Class) -> anyhow::Error {
    let word = match class {
        Class::Terminated => "terminated",
        _ => "interrupted",
    };
    Failure::new(class, word)
        .hint("what is complete is kept; run the same command again to go on")
        .into()
}
