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
            builder = builder.endpoint(local.url()).token(local.token().clone());
        }
        if let Some(token) = &settings.token {
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
        if let Some(rate) = settings.limit_rate {
            builder = builder.bandwidth_limit(rate);
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
            return Ok(Some(local.token().clone()));
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
        let mut end = self.end()?;
        self.runtime()?.block_on(async {
            tokio::select! {
                result = future => result,
                class = end.came() => Err(interrupted(class)),
            }
        })
    }

    /// Ctrl-C and SIGTERM from here on: they no longer end the process by themselves.
    pub(crate) fn end(&self) -> anyhow::Result<End> {
        let _inside = self.runtime()?.enter();
        End::listen().context("cannot listen for signals")
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
}

/// The user's or the system's wish that this process ends.
pub(crate) struct End {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
}

impl End {
    #[cfg(unix)]
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    #[cfg(windows)]
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: tokio::signal::windows::ctrl_c()?,
        })
    }

    /// Waits for it.
    pub(crate) async fn came(&mut self) -> Class {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => Class::Interrupted,
            _ = self.terminate.recv() => Class::Terminated,
        }
        #[cfg(windows)]
        {
            self.interrupt.recv().await;
            Class::Interrupted
        }
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
