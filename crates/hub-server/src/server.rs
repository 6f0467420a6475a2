//! Starting and stopping: the folder, the two listeners, the tasks that answer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hub_types::{RepoId, Token};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::app::{self, App, Origins};
use crate::auth::Role;
use crate::error::{Error, Result};
use crate::origin;
use crate::store::Store;
use crate::xet::Storage;

/// How long a stopping server waits for the requests that are under way.
const GRACE: Duration = Duration::from_secs(10);

/// How long a client may take to send a request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);

/// The settings of a [`Server`]. See [`Server::builder`].
#[derive(Debug, Clone)]
#[must_use = "nothing runs until the server is started"]
pub struct Builder {
    root: PathBuf,
    host: IpAddr,
    port: u16,
    blob_host: Option<IpAddr>,
    blob_port: u16,
    part_size: u64,
    users: Vec<(String, String, Role)>,
    orgs: Vec<(String, Vec<String>)>,
    welcome: bool,
    xet_cas: Option<String>,
    xet_token_lifetime: Duration,
    reached_at: Option<(String, String)>,
}

impl Builder {
    /// The address to listen on. By default `127.0.0.1`.
    ///
    /// With `0.0.0.0` (or `::`), every address of the machine: replies then name the server as each client calls it.
    pub fn host(mut self, host: IpAddr) -> Self {
        self.host = host;
        self
    }

    /// The port to listen on. By default 0: one that is free.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The port of the second origin. By default 0: one that is free.
    pub fn blob_port(mut self, port: u16) -> Self {
        self.blob_port = port;
        self
    }

    /// The address of the second origin, from which large files are served.
    ///
    /// By default `127.0.0.2` for a server on `127.0.0.1`, where the system has that address, and else the server's own.
    pub fn blob_host(mut self, host: IpAddr) -> Self {
        self.blob_host = Some(host);
        self
    }

    /// The addresses under which clients reach this server and its second origin, such as `https://hub.example` and
    /// `https://files.example`, where something stands before it that speaks TLS. Replies name these.
    pub fn reached_at(mut self, url: impl Into<String>, blob_url: impl Into<String>) -> Self {
        let bare = |url: String| url.trim_end_matches('/').to_owned();
        self.reached_at = Some((bare(url.into()), bare(blob_url.into())));
        self
    }

    /// From how many bytes on an upload is taken in parts of this size, where the client can do that.
    ///
    /// By default 128 MiB.
    pub fn part_size(mut self, bytes: u64) -> Self {
        self.part_size = bytes.max(1);
        self
    }

    /// Makes a user who signs in with `token`, unless there is one, and gives the token this role (can be repeated).
    pub fn user(mut self, name: impl Into<String>, token: impl Into<String>, role: Role) -> Self {
        self.users.push((name.into(), token.into(), role));
        self
    }

    /// Makes an organisation with these users as its members, unless there is one (can be repeated).
    pub fn organization<S: Into<String>>(
        mut self,
        name: impl Into<String>,
        members: impl IntoIterator<Item = S>,
    ) -> Self {
        self.orgs
            .push((name.into(), members.into_iter().map(Into::into).collect()));
        self
    }

    /// Whether to make the model `hub/welcome`, unless it is there. By default not.
    pub fn welcome(mut self, welcome: bool) -> Self {
        self.welcome = welcome;
        self
    }

    /// The address of a Xet storage (CAS) beside this server, such as `http://127.0.0.1:8081`: large files may then go to
    /// it and come from it. By default there is none, and they go through LFS.
    ///
    /// It must be the one that `xet-client` has for machines without a network (`local_cas_server`), since this server
    /// looks into it for what a commit refers to. That storage asks nobody for a token, and a commit may refer to all
    /// that is in it: for tests, and for networks where all may see all.
    pub fn xet_cas(mut self, url: impl Into<String>) -> Self {
        self.xet_cas = Some(url.into());
        self
    }

    /// How long a token for the Xet storage is valid. By default 15 minutes.
    pub fn xet_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.xet_token_lifetime = lifetime;
        self
    }

    /// Starts the server on the current runtime.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] when another server holds the folder, [`Error::Bind`] when the address is taken,
    /// [`Error::Invalid`] for a user's name or token, or for an address, that breaks a rule, and those of the folder and the database.
    pub async fn start(self) -> Result<Server> {
        let listener = bind(SocketAddr::new(self.host, self.port)).await?;
        let blob_listener = bind_blobs(self.blob_host, self.host, self.blob_port).await?;
        let self_host = self.host;
        let listens_at = [listener.local_addr()?, blob_listener.local_addr()?];
        let url = origin_url(&listener)?;
        let blob_url = origin_url(&blob_listener)?;

        let Self {
            root,
            part_size,
            users,
            orgs,
            welcome,
            xet_cas,
            xet_token_lifetime,
            reached_at,
            ..
        } = self;
        let (url, blob_url, any_host) = match reached_at {
            Some((url, blob_url)) => (url, blob_url, false),
            None => (url, blob_url, self_host.is_unspecified()),
        };
        let xet = match &xet_cas {
            Some(url) => Some(Storage::new(url, xet_token_lifetime)?),
            None => None,
        };
        let (store, token) = blocking(move || {
            let store = Store::open(&root, xet)?;
            let token = store.local_token()?;
            for (name, token, role) in &users {
                let token = Token::new(token)?;
                store
                    .db
                    .put_user(&account_name(name)?, token.reveal(), *role, "token")?;
            }
            for (name, members) in &orgs {
                store.db.put_org(&account_name(name)?, members)?;
            }
            if welcome {
                crate::seed::welcome(&store)?;
            }
            Ok((store, token))
        })
        .await?;

        let origins = Origins {
            url,
            blob_url,
            any_host,
        };
        let app = App::new(store, origins, part_size);
        let (stop, stopped) = watch::channel(false);
        let main = serve(listener, app::router(app.clone()), true, stopped.clone());
        let blobs = serve(blob_listener, origin::router(app.clone()), false, stopped);
        Ok(Server {
            app,
            token,
            listens_at,
            stop,
            tasks: vec![tokio::spawn(main), tokio::spawn(blobs)],
        })
    }

    /// Starts the server on a runtime and threads of its own, and waits until it accepts connections.
    ///
    /// For a program that has no runtime, and for one whose own runtime must not carry the server's work.
    ///
    /// # Errors
    ///
    /// Those of [`Builder::start`].
    pub fn start_in_thread(self) -> Result<ServerThread> {
        let (ready, started) = std::sync::mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("hub-server".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .thread_name("hub-server")
                    .enable_all()
                    .build();
                let runtime = match runtime {
                    Ok(runtime) => runtime,
                    Err(source) => {
                        let _ = ready.send(Err(Error::Io { source }));
                        return;
                    }
                };
                runtime.block_on(async move {
                    match self.start().await {
                        Ok(server) => {
                            let facts = (
                                server.url().to_owned(),
                                server.blob_url().to_owned(),
                                server.root().to_owned(),
                                server.token().clone(),
                                server.listens_at(),
                            );
                            let _ = ready.send(Ok(facts));
                            let _ = stopped.await;
                            server.stop().await;
                        }
                        Err(err) => {
                            let _ = ready.send(Err(err));
                        }
                    }
                });
                // A blocking task that still reads a file must not hold the process up.
                runtime.shutdown_background();
            })?;
        let (url, blob_url, root, token, listens_at) = started.recv().map_err(|_| Error::Internal)??;
        Ok(ServerThread {
            url,
            blob_url,
            root,
            token,
            listens_at,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

/// A running Hub. Dropping it stops it at once; [`Server::stop`] lets requests under way come to their end.
#[derive(Debug)]
pub struct Server {
    app: App,
    token: Token,
    listens_at: [SocketAddr; 2],
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// A server in the folder `root`, which is made if it is not there.
    pub fn builder(root: impl Into<PathBuf>) -> Builder {
        Builder {
            root: root.into(),
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            blob_host: None,
            blob_port: 0,
            part_size: 128 * 1024 * 1024,
            users: Vec::new(),
            orgs: Vec::new(),
            welcome: false,
            xet_cas: None,
            xet_token_lifetime: Duration::from_secs(15 * 60),
            reached_at: None,
        }
    }

    /// The address to give clients as their endpoint, without a slash at its end.
    pub fn url(&self) -> &str {
        self.app.url()
    }

    /// The origin of the large files.
    pub fn blob_url(&self) -> &str {
        self.app.blob_url()
    }

    /// Where the server and its second origin listen: what stands before them hands on to these.
    pub fn listens_at(&self) -> [SocketAddr; 2] {
        self.listens_at
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        self.app.root()
    }

    /// The name of the user whom the first start made: `local`.
    pub fn user(&self) -> &str {
        crate::store::LOCAL_USER
    }

    /// The write token of the user `local`, as it stands in `ROOT/token`.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Makes the model `hub/welcome`, unless it is there.
    ///
    /// # Errors
    ///
    /// Those of the folder and the database.
    pub async fn seed_welcome(&self) -> Result<()> {
        self.app.run(crate::seed::welcome).await
    }

    /// Takes no more connections, lets requests under way come to their end (ten seconds at the most) and frees the folder.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        for task in self.tasks.drain(..) {
            let _ = task.await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// A running Hub with a runtime of its own. Dropping it stops it and waits for that.
#[derive(Debug)]
pub struct ServerThread {
    url: String,
    blob_url: String,
    root: PathBuf,
    token: Token,
    listens_at: [SocketAddr; 2],
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl ServerThread {
    /// See [`Server::url`].
    pub fn url(&self) -> &str {
        &self.url
    }

    /// See [`Server::blob_url`].
    pub fn blob_url(&self) -> &str {
        &self.blob_url
    }

    /// See [`Server::listens_at`].
    pub fn listens_at(&self) -> [SocketAddr; 2] {
        self.listens_at
    }

    /// See [`Server::root`].
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// See [`Server::user`].
    pub fn user(&self) -> &str {
        crate::store::LOCAL_USER
    }

    /// See [`Server::token`].
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Stops the server as [`Server::stop`] does, and waits until it has ended.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for ServerThread {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs what blocks on a thread where it may.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|err| {
        tracing::error!(
            error = &err as &dyn std::error::Error,
            "a task of the store ended badly"
        );
        Error::Internal
    })?
}

/// A user's or organisation's name: one part of a repo id.
fn account_name(name: &str) -> Result<String> {
    if name.contains('/') {
        return Err(hub_types::ValidationError::new("user name", name, "must not contain '/'").into());
    }
    RepoId::model(name)
        .map_err(|err| hub_types::ValidationError::new("user name", name, err.rule()))
        .map_err(Error::Invalid)?;
    Ok(name.to_owned())
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|source| Error::Bind { address, source })
}

async fn bind_blobs(wanted: Option<IpAddr>, host: IpAddr, port: u16) -> Result<TcpListener> {
    if let Some(wanted) = wanted {
        return bind(SocketAddr::new(wanted, port)).await;
    }
    if host == IpAddr::V4(Ipv4Addr::LOCALHOST) {
        // Another address makes another site of it too. Linux has the whole of 127/8; macOS would need an alias first.
        let second = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), port));
        if let Ok(listener) = TcpListener::bind(second).await {
            return Ok(listener);
        }
    }
    bind(SocketAddr::new(host, port)).await
}

fn origin_url(listener: &TcpListener) -> Result<String> {
    let mut address = listener.local_addr()?;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(format!("http://{address}"))
}

/// Accepts connections until told to stop, then waits for those there are.
async fn serve(listener: TcpListener, router: Router, rewrite: bool, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let router = Arc::new(TowerToHyperService::new(router));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(err) => {
                // Out of file descriptors, most likely: the connections there are will free some.
                tracing::warn!(error = &err as &dyn std::error::Error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let router = Arc::clone(&router);
        let mut stopped = stopped.clone();
        connections.spawn(async move {
            let service = service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
                if rewrite {
                    crate::routes::rewrite(&mut request);
                }
                router.call(request)
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_buf_size(1 << 20)
                .serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            let stop = async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            let ended: Option<Result<(), hyper::Error>> = tokio::select! {
                ended = connection.as_mut() => Some(ended),
                () = stop => None,
            };
            let ended = match ended {
                Some(ended) => ended,
                None => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(err) = ended {
                tracing::debug!(error = &err as &dyn std::error::Error, "a connection ended early");
            }
        });
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, all_ended).await;
}

#[cfg(test)]
mod tests;
