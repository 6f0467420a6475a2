//! Sends what happened to webhooks, off the requests that made it happen.
//!
//! What happens is put into one queue, by the request that makes it happen and before its reply: one task takes it out and
//! finds who wants to know, so that nothing overtakes what came before it. Each webhook then has a worker of its own, so
//! that a slow receiver holds up nobody else. All queues are bounded: what does not fit is dropped, and told in the log.
//! A redirect is not followed: the secret goes to the address that was given and to no other.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Uri, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::app::App;
use crate::error::Result;
use crate::store::{Store, hold};

/// Deliveries that may wait for one webhook.
const WAITING: usize = 1000;
/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The pauses before a delivery that failed is tried again.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// One message to one webhook.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub(crate) webhook: String,
    pub(crate) url: String,
    pub(crate) secret: Option<String>,
    pub(crate) body: Bytes,
}

/// Finds the messages about something that happened.
type News = Box<dyn FnOnce(&Store) -> Result<Vec<Delivery>> + Send>;

/// What is on its way.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    /// What happened, with the server's addresses as the request called them.
    news: OnceLock<mpsc::Sender<(App, News)>>,
    /// The workers, by their webhooks' ids.
    workers: Mutex<HashMap<String, Worker>>,
}

#[derive(Debug)]
struct Worker {
    queue: mpsc::Sender<Delivery>,
    task: AbortHandle,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither the secret nor an address that may have one in it.
        f.debug_struct("Delivery")
            .field("webhook", &self.webhook)
            .finish_non_exhaustive()
    }
}

impl Deliveries {
    /// Puts something that happened behind what happened before. To be called on the server's runtime.
    ///
    /// What fails is logged: the request that made it happen has succeeded.
    pub(crate) fn announce(&self, app: App, news: impl FnOnce(&Store) -> Result<Vec<Delivery>> + Send + 'static) {
        let queue = self.news.get_or_init(|| {
            let (sender, mut waiting) = mpsc::channel::<(App, News)>(WAITING);
            // It ends with the sender, which is the server's.
            tokio::spawn(async move {
                while let Some((app, news)) = waiting.recv().await {
                    match app.run(news).await {
                        Ok(found) => found.into_iter().for_each(|delivery| app.deliveries().push(delivery)),
                        Err(err) => {
                            tracing::error!(error = &err as &dyn std::error::Error, "webhooks could not be told")
                        }
                    }
                }
            });
            sender
        });
        if queue.try_send((app, Box::new(news))).is_err() {
            tracing::warn!("too much happens at once; webhooks are not told of something");
        }
    }

    /// Drops what waits for a webhook that wants no more.
    pub(crate) fn forget(&self, webhook: &str) {
        hold(&self.workers).remove(webhook);
    }

    /// Puts a message behind those that wait for its webhook already.
    fn push(&self, delivery: Delivery) {
        let mut workers = hold(&self.workers);
        let worker = workers.entry(delivery.webhook.clone()).or_insert_with(|| {
            let (queue, mut waiting) = mpsc::channel::<Delivery>(WAITING);
            let task = tokio::spawn(async move {
                while let Some(delivery) = waiting.recv().await {
                    deliver(&delivery).await;
                }
            });
            Worker {
                queue,
                task: task.abort_handle(),
            }
        });
        if let Err(err) = worker.queue.try_send(delivery) {
            tracing::warn!(
                webhook = err.into_inner().webhook,
                "too many deliveries wait for the webhook; one is dropped"
            );
        }
    }
}

async fn deliver(delivery: &Delivery) {
    let mut pauses = PAUSES.iter();
    loop {
        let outcome = match tokio::time::timeout(TIMEOUT, send(delivery)).await {
            Ok(Ok(status)) if status < 500 => {
                tracing::debug!(webhook = delivery.webhook, status, "delivered");
                return;
            }
            Ok(Ok(status)) => format!("status {status}"),
            Ok(Err(problem)) => problem,
            Err(_) => "no answer in time".to_owned(),
        };
        match pauses.next() {
            Some(pause) => tokio::time::sleep(*pause).await,
            None => {
                tracing::warn!(
                    webhook = delivery.webhook,
                    problem = outcome,
                    "a webhook could not be delivered"
                );
                return;
            }
        }
    }
}

/// A connection for one request to an address over plain HTTP.
pub(crate) async fn connect<B>(uri: &Uri) -> Result<http1::SendRequest<B>, String>
where
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return Err("not a plain http address".to_owned());
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, uri.port_u16().unwrap_or(80)))
        .await
        .map_err(|err| err.to_string())?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|err| err.to_string())?;
    // It ends with the request.
    tokio::spawn(connection);
    Ok(sender)
}

async fn send(delivery: &Delivery) -> Result<u16, String> {
    let uri: Uri = delivery.url.parse().map_err(|_| "no valid address".to_owned())?;
    let mut sender = connect(&uri).await?;
    let mut request = Request::post(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::HOST, uri.authority().map_or("", |authority| authority.as_str()))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("hub-server/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close");
    if let Some(secret) = &delivery.secret {
        let mut value = HeaderValue::from_str(secret).map_err(|_| "a secret that no header can carry".to_owned())?;
        value.set_sensitive(true);
        request = request.header(HeaderName::from_static("x-webhook-secret"), value);
    }
    let request = request
        .body(Full::new(delivery.body.clone()))
        .map_err(|err| err.to_string())?;
    let reply = sender.send_request(request).await.map_err(|err| err.to_string())?;
    Ok(reply.status().as_u16())
}
