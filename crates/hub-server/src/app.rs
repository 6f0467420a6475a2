//! What every route shares, and the layers around them all.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, header};
use hub_types::RepoId;

use crate::delivery::Deliveries;
use crate::error::{Error, Result, header_text};
use crate::server::blocking;
use crate::store::Store;
use crate::stream;
use crate::{happening, routes};

/// The server's state: cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct App {
    inner: Arc<Inner>,
    /// Both origins as the client of this request calls them, where that is not settled once for all.
    called: Option<Arc<Origins>>,
}

/// The addresses of the two origins, without a slash at their end.
#[derive(Debug, Clone)]
pub(crate) struct Origins {
    pub(crate) url: String,
    pub(crate) blob_url: String,
    /// Whether the server listens on every address of the machine, so that only a client knows how it is called.
    pub(crate) any_host: bool,
}

#[derive(Debug)]
struct Inner {
    store: Arc<Store>,
    origins: Origins,
    part_size: u64,
    deliveries: Deliveries,
}

impl App {
    pub(crate) fn new(store: Store, origins: Origins, part_size: u64) -> Self {
        let inner = Inner {
            store: Arc::new(store),
            origins,
            part_size,
            deliveries: Deliveries::default(),
        };
        Self {
            inner: Arc::new(inner),
            called: None,
        }
    }

    fn origins(&self) -> &Origins {
        self.called.as_deref().unwrap_or(&self.inner.origins)
    }

    pub(crate) fn url(&self) -> &str {
        &self.origins().url
    }

    pub(crate) fn blob_url(&self) -> &str {
        &self.origins().blob_url
    }

    pub(crate) fn part_size(&self) -> u64 {
        self.inner.part_size
    }

    /// What is on its way to webhooks.
    pub(crate) fn deliveries(&self) -> &Deliveries {
        &self.inner.deliveries
    }

    pub(crate) fn root(&self) -> &Path {
        self.inner.store.root()
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.inner.store
    }

    /// The web address of a repository.
    pub(crate) fn repo_url(&self, id: &RepoId) -> String {
        format!("{}/{}", self.url(), id.url_path())
    }

    /// Runs what reads or writes the store, on a thread that may block.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = Arc::clone(self.store());
        blocking(move || work(&store)).await
    }
}

/// The state, with the origins as the request calls them: what a reply says about addresses must hold for its reader.
impl FromRequestParts<Self> for App {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Self) -> Result<Self, Infallible> {
        let mut app = app.clone();
        let fixed = &app.inner.origins;
        let host = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok());
        if fixed.any_host
            && let Some(authority) = host.and_then(|host| host.parse::<Authority>().ok())
        {
            let port = fixed.blob_url.rsplit(':').next().unwrap_or_default();
            app.called = Some(Arc::new(Origins {
                url: format!("http://{authority}"),
                blob_url: format!("http://{}:{port}", authority.host()),
                any_host: true,
            }));
        }
        Ok(app)
    }
}

/// All routes of the first origin.
pub(crate) fn router(app: App) -> Router {
    routes::router()
        .fallback(async || Error::NotFound("Sorry, we can't find the page you are looking for.".to_owned()))
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(middleware::from_fn_with_state(app.clone(), happening::watch_refs))
        .layer(middleware::from_fn(common_headers))
        .with_state(app)
}

/// A panic becomes status 500, and every reply gets the headers that the Hub sends with each.
pub(crate) async fn common_headers(request: Request, next: Next) -> Response {
    let wanted = request.headers().get("x-request-id").cloned();
    let trace = request.headers().get("x-amzn-trace-id").cloned();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let waits = request.headers().contains_key(header::EXPECT);
    let (parts, body) = request.into_parts();
    let (body, rest) = stream::shared(body);
    let request = Request::from_parts(parts, body);
    let mut response = match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            tracing::error!(%method, path, "a handler panicked");
            Error::Internal.into_response()
        }
    };
    if !waits {
        rest.drain().await;
    }
    tracing::debug!(%method, path, status = response.status().as_u16(), "answered");
    let id = wanted
        .or(trace)
        .unwrap_or_else(|| header_text(&format!("Root=1-{}", crate::store::random_hex(12))));
    let headers = response.headers_mut();
    headers.insert("x-request-id", id);
    headers.insert("x-powered-by", HeaderValue::from_static("hub-server"));
    if path.contains("/resolve/") || path.contains("/-web/") {
        headers.insert("ratelimit", HeaderValue::from_static("\"resolvers\";r=99999;t=300"));
    } else {
        headers.insert("ratelimit", HeaderValue::from_static("\"api\";r=99999;t=300"));
    }
    headers.insert(
        "ratelimit-policy",
        HeaderValue::from_static("\"fixed window\";\"api\";q=100000;w=300"),
    );
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use http_body_util::BodyExt as _;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;

    use super::*;

    async fn broken() -> &'static str {
        panic!("as this test wants it")
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error_that_tells_nothing() {
        let router = Router::new()
            .route("/", get(broken))
            .layer(middleware::from_fn(common_headers));
        let request = Request::new(Body::empty());
        let reply = TowerToHyperService::new(router).call(request).await.unwrap();
        assert_eq!(reply.status(), 500);
        assert!(reply.headers().contains_key("x-request-id"));
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.starts_with("{\"error\":\"Internal Error"), "{body}");
        assert!(!body.contains("wants it"));
    }
}
