//! The second origin: large files by signed addresses, as an object store serves them.
//!
//! Whoever has the address has the permission, and for an hour. As real stores do, it refuses a request that brings
//! other credentials along: a client that sends the Hub's token here has a bug that it should hear of.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Router, middleware};
use http::{HeaderMap, Method, StatusCode, header};
use hub_types::Sha256;
use percent_encoding::utf8_percent_encode;

use crate::app::{App, common_headers};
use crate::clock;
use crate::error::{Error, Result, header_text};
use crate::routes::Query;
use crate::signing::{Refused, UNRESERVED};
use crate::stream::{self, Wanted};
use crate::xet;

/// How long an address holds, in seconds.
pub(crate) const LIFETIME: i64 = 3600;

/// An upload may take longer than that.
pub(crate) const UPLOAD_LIFETIME: i64 = 24 * 3600;

pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/repos/{first}/{second}/{sha}", get(download))
        .route("/upload/{repo}/{sha}", put(upload))
        .route("/upload/{repo}/{sha}/{upload}/{part}", put(upload_part))
        .fallback(async || Refusal::new(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist."))
        .method_not_allowed_fallback(async || {
            Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                "The specified method is not allowed against this resource.",
            )
        })
        .layer(middleware::from_fn_with_state(app.clone(), permitted))
        .layer(middleware::from_fn(common_headers))
        .with_state(app)
}

/// The address of a large file.
///
/// `repo` is the row of the repository that it is downloaded from.
pub(crate) fn download_url(app: &App, repo: i64, sha256: &Sha256, disposition: &str, now: i64) -> String {
    let hex = sha256.to_string();
    let path = format!("/repos/{}/{}/{hex}", &hex[..2], &hex[2..4]);
    let disposition = utf8_percent_encode(disposition, UNRESERVED);
    let query = format!("response-content-disposition={disposition}&repo={repo}");
    let target = app.store().signer.sign("GET", &path, &query, now + LIFETIME);
    format!("{}{target}", app.blob_url())
}

/// The address to which a large file of a repository (by its row) is put.
pub(crate) fn upload_url(app: &App, repo: i64, sha256: &Sha256, size: u64, now: i64) -> String {
    let path = format!("/upload/{repo}/{sha256}");
    let query = format!("size={size}");
    let target = app.store().signer.sign("PUT", &path, &query, now + UPLOAD_LIFETIME);
    format!("{}{target}", app.blob_url())
}

/// The address to which one part is put.
pub(crate) fn part_url(app: &App, repo: i64, sha256: &Sha256, upload: &str, part: &PartPlace, now: i64) -> String {
    let path = format!("/upload/{repo}/{sha256}/{upload}/{}", part.number);
    let query = format!("offset={}&size={}", part.offset, part.size);
    let target = app.store().signer.sign("PUT", &path, &query, now + UPLOAD_LIFETIME);
    format!("{}{target}", app.blob_url())
}

/// Where a part stands in its file. The first number is 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartPlace {
    pub(crate) number: u64,
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

/// A reply as an object store writes it.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }
}

impl From<Error> for Refusal {
    fn from(err: Error) -> Self {
        let status = err.status();
        let code = match status {
            StatusCode::BAD_REQUEST => "BadDigest",
            StatusCode::NOT_FOUND => "NoSuchKey",
            _ => {
                tracing::error!(error = &err as &dyn std::error::Error, "a request failed");
                "InternalError"
            }
        };
        Self::new(status, code, err.words())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let message = self.message.replace('&', "&amp;").replace('<', "&lt;");
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{message}</Message></Error>",
            self.code
        );
        (self.status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
    }
}

/// Lets through what is signed, not expired, and brings no other credentials.
async fn permitted(State(app): State<App>, request: Request, next: middleware::Next) -> Response {
    if request.headers().contains_key(header::AUTHORIZATION) {
        return Refusal::new(
            StatusCode::BAD_REQUEST,
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Hub-Signature query parameter or the Authorization header should \
             be specified",
        )
        .into_response();
    }
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let now = clock::now().0.as_second();
    let refusal = match app.store().signer.check(request.method().as_str(), target, now) {
        Ok(()) => return next.run(request).await,
        Err(Refused::NotSigned) => Refusal::new(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied"),
        Err(Refused::Forged) => Refusal::new(
            StatusCode::FORBIDDEN,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
        ),
        Err(Refused::Expired) => Refusal::new(StatusCode::FORBIDDEN, "AccessDenied", "Request has expired"),
    };
    refusal.into_response()
}

async fn download(
    State(app): State<App>,
    Path((_, _, sha256)): Path<(String, String, String)>,
    query: Query,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let sha256: Sha256 = sha256.parse().map_err(Error::from)?;
    let path = app.store().blob_path(&sha256);
    let opened = path.clone();
    let (size, xet) = app
        .run(move |store| match fs_err::metadata(opened) {
            Ok(facts) => Ok((facts.len(), None)),
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
                let there = store.xet.is_some().then(|| store.db.xet_file(&sha256)).transpose()?;
                match there.flatten() {
                    Some(file) => Ok((file.size, Some(file))),
                    None => Err(Error::NotFound("The specified key does not exist.".to_owned())),
                }
            }
            Err(err) => Err(err.into()),
        })
        .await?;
    let etag = format!("\"{sha256}\"");
    let mut response = Response::builder()
        .header(header::ETAG, &etag)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CACHE_CONTROL, "public, max-age=31536000, immutable");
    if let Some(disposition) = query.get("response-content-disposition") {
        response = response.header(header::CONTENT_DISPOSITION, header_text(disposition));
    }
    let (from, to) = match stream::wanted(&headers, size, &etag) {
        Wanted::All => (0, size),
        Wanted::Part(from, to) => {
            response = response
                .status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_RANGE, format!("bytes {from}-{}/{size}", to - 1));
            (from, to)
        }
        Wanted::Nothing => {
            let mut refusal = Refusal::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "InvalidRange",
                "The requested range is not satisfiable",
            )
            .into_response();
            refusal
                .headers_mut()
                .insert(header::CONTENT_RANGE, header_text(&format!("bytes */{size}")));
            return Ok(refusal);
        }
    };
    // Who takes a file in parts takes the first one once.
    if method == Method::GET
        && from == 0
        && let Some(repo) = query.get("repo").and_then(|row| row.parse().ok())
    {
        app.run(move |store| {
            store.db.count_download(repo);
            Ok(())
        })
        .await?;
    }
    let body = if method == Method::HEAD || from == to {
        Body::empty()
    } else if let Some(file) = xet {
        xet::body(app.clone(), file, from, to)
    } else {
        stream::file_body(path, from, to)
    };
    response
        .header(header::CONTENT_LENGTH, to - from)
        .body(body)
        .map_err(|_| Error::Internal.into())
}

/// The length that a request states, which must be the one that was signed.
fn check_length(headers: &HeaderMap, size: u64) -> Result<(), Refusal> {
    let stated = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    match stated {
        None => Err(Refusal::new(
            StatusCode::LENGTH_REQUIRED,
            "MissingContentLength",
            "You must provide the Content-Length HTTP header.",
        )),
        Some(stated) if stated != size => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "IncompleteBody",
            format!("The request has {stated} bytes, not {size}"),
        )),
        Some(_) => Ok(()),
    }
}

fn number(query: &Query, key: &str) -> Result<u64> {
    query
        .get(key)
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| Error::bad_request(format!("{key} must be a number")))
}

async fn upload(
    State(app): State<App>,
    Path((repo, sha256)): Path<(i64, String)>,
    query: Query,
    request: Request,
) -> Result<Response, Refusal> {
    let sha256: Sha256 = sha256.parse().map_err(Error::from)?;
    let size = number(&query, "size")?;
    check_length(request.headers(), size)?;
    stream::receive(
        &app,
        request.into_body(),
        size,
        |store| store.new_blob(),
        |incoming, bytes| incoming.write(bytes),
        move |store, incoming| store.keep_blob(repo, incoming, &sha256, size),
    )
    .await?;
    Ok((StatusCode::OK, [(header::ETAG, format!("\"{sha256}\""))]).into_response())
}

async fn upload_part(
    State(app): State<App>,
    Path((_, _, upload, part)): Path<(i64, String, String, u64)>,
    query: Query,
    request: Request,
) -> Result<Response, Refusal> {
    let (offset, size) = (number(&query, "offset")?, number(&query, "size")?);
    check_length(request.headers(), size)?;
    let etag = stream::receive(
        &app,
        request.into_body(),
        size,
        move |store| store.open_part(&upload, offset),
        |incoming, bytes| incoming.write(bytes),
        move |_, incoming| incoming.finish(part, size),
    )
    .await?;
    Ok((StatusCode::OK, [(header::ETAG, etag)]).into_response())
}
