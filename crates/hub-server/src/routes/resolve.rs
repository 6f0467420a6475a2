//! A file's bytes: where they are, or themselves.
//!
//! A large file is a redirect to the second origin; a small one is a redirect to an address that names its commit, which
//! then answers itself, as on the Hub.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use git2::Oid;
use http::{HeaderMap, StatusCode, header};
use hub_types::RepoPath;
use percent_encoding::utf8_percent_encode;

use crate::app::App;
use crate::clock;
use crate::error::{Error, Result, header_text};
use crate::origin;
use crate::routes::{OriginalPath, Params, Query, Target};
use crate::signing::UNRESERVED;
use crate::store::lfs::Pointer;
use crate::stream::{Wanted, wanted};

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/-web/{kind}/{id}/resolve/{rev}/{*path}", get(resolve))
        .route("/-cache/{kind}/{id}/{rev}/{*path}", get(cached))
        .route("/-web/{kind}/{id}/raw/{rev}/{*path}", get(raw))
}

/// A file at a commit.
struct Located {
    commit: Oid,
    oid: Oid,
    pointer: Option<Pointer>,
    /// The bytes of a small file, if they were asked for.
    bytes: Option<Vec<u8>>,
}

async fn locate(app: &App, target: Target, rev: String, path: RepoPath, whole: Whole) -> Result<Located> {
    target
        .run(app, move |store, repo, git| {
            let commit = git.resolve(&rev)?;
            let (entry, _, pointer) = git.file(commit, &path)?;
            let pointer = pointer.filter(|_| whole != Whole::Stored);
            if let Some(pointer) = &pointer
                && store.db.lfs_size(repo, &pointer.sha256)? != Some(pointer.size)
            {
                return Err(Error::entry(
                    format!("the large file {} ({}) was deleted", path, pointer.sha256),
                    commit,
                ));
            }
            let bytes = match (whole, &pointer) {
                (Whole::No, _) | (_, Some(_)) => None,
                _ => Some(git.0.find_blob(entry.oid)?.content().to_vec()),
            };
            Ok(Located {
                commit,
                oid: entry.oid,
                pointer,
                bytes,
            })
        })
        .await
}

/// Whether the bytes of a small file are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    No,
    Yes,
    /// Yes, and of a large file those that git holds.
    Stored,
}

async fn resolve(
    State(app): State<App>,
    target: Target,
    params: Params,
    query: Query,
    given: OriginalPath,
) -> Result<Response> {
    let target = target.readable()?;
    let path = params.path().map_err(|_| missing())?;
    let id = target.repo.id.clone();
    let found = locate(&app, target, params.get("rev")?.to_owned(), path.clone(), Whole::No).await?;
    if let Some(pointer) = &found.pointer {
        return large(&app, found.commit, pointer, &path, &query);
    }
    let encoded = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    let location = format!(
        "/api/resolve-cache/{}/{}/{}?{}=&etag=%22{}%22",
        id.api_path(),
        found.commit,
        path.encoded(),
        encoded(&given.0),
        found.oid
    );
    let text = format!("Temporary Redirect. Redirecting to {location}");
    Response::builder()
        .status(StatusCode::TEMPORARY_REDIRECT)
        .header(header::LOCATION, header_text(&location))
        .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
        .header(header::CONTENT_LENGTH, text.len())
        .header(header::ETAG, format!("\"{}\"", found.oid))
        .header("x-repo-commit", found.commit.to_string())
        .header(header::ACCEPT_RANGES, "bytes")
        .body(Body::from(text))
        .map_err(|_| Error::Internal)
}

/// A path that cannot be one is a file that is not there.
fn missing() -> Error {
    Error::EntryNotFound {
        message: "Entry not found".to_owned(),
        commit: None,
    }
}

fn large(app: &App, commit: Oid, pointer: &Pointer, path: &RepoPath, query: &Query) -> Result<Response> {
    let now = clock::now().0.as_second();
    let disposition = disposition(path, query.flag("download"));
    let location = origin::download_url(app, &pointer.sha256, &disposition, now);
    let text = format!("Found. Redirecting to {location}");
    Response::builder()
        .status(StatusCode::FOUND)
        .header(header::LOCATION, header_text(&location))
        .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
        .header(header::CONTENT_LENGTH, text.len())
        .header("x-repo-commit", commit.to_string())
        .header("x-linked-size", pointer.size)
        .header("x-linked-etag", format!("\"{}\"", pointer.sha256))
        .header(header::ACCEPT_RANGES, "bytes")
        .body(Body::from(text))
        .map_err(|_| Error::Internal)
}

fn disposition(path: &RepoPath, download: bool) -> String {
    let name = path.file_name();
    let plain: String = name
        .chars()
        .map(|c| match c {
            '"' | '\\' => '_',
            c if c == ' ' || c.is_ascii_graphic() => c,
            _ => '?',
        })
        .collect();
    let kind = if download { "attachment" } else { "inline" };
    let encoded = utf8_percent_encode(name, UNRESERVED);
    format!("{kind}; filename*=UTF-8''{encoded}; filename=\"{plain}\";")
}

async fn cached(
    State(app): State<App>,
    target: Target,
    params: Params,
    query: Query,
    headers: HeaderMap,
) -> Result<Response> {
    let target = target.readable()?;
    let path = params.path().map_err(|_| missing())?;
    let found = locate(&app, target, params.get("rev")?.to_owned(), path.clone(), Whole::Yes).await?;
    match &found.pointer {
        Some(pointer) => large(&app, found.commit, pointer, &path, &query),
        None => small(found, &path, &query, &headers),
    }
}

async fn raw(
    State(app): State<App>,
    target: Target,
    params: Params,
    query: Query,
    headers: HeaderMap,
) -> Result<Response> {
    let target = target.readable()?;
    let path = params.path().map_err(|_| missing())?;
    let found = locate(&app, target, params.get("rev")?.to_owned(), path.clone(), Whole::Stored).await?;
    small(found, &path, &query, &headers)
}

fn small(found: Located, path: &RepoPath, query: &Query, headers: &HeaderMap) -> Result<Response> {
    let bytes = found.bytes.unwrap_or_default();
    let size = bytes.len() as u64;
    let etag = format!("\"{}\"", found.oid);
    let text = !bytes.contains(&0) && std::str::from_utf8(&bytes).is_ok();
    let mut response = Response::builder()
        .header(header::ETAG, &etag)
        .header("x-repo-commit", found.commit.to_string())
        .header(header::ACCEPT_RANGES, "bytes")
        .header(
            header::CONTENT_TYPE,
            if text {
                "text/plain; charset=utf-8"
            } else {
                "application/octet-stream"
            },
        )
        .header(
            header::CONTENT_DISPOSITION,
            header_text(&disposition(path, query.flag("download"))),
        )
        // A file's page must never run in a browser with this Hub's own rights.
        .header(header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
    let same = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag));
    let body = if same {
        response = response.status(StatusCode::NOT_MODIFIED);
        Body::empty()
    } else {
        match wanted(headers, size, &etag) {
            Wanted::All => {
                response = response.header(header::CONTENT_LENGTH, size);
                Body::from(bytes)
            }
            Wanted::Part(from, to) => {
                response = response
                    .status(StatusCode::PARTIAL_CONTENT)
                    .header(header::CONTENT_RANGE, format!("bytes {from}-{}/{size}", to - 1))
                    .header(header::CONTENT_LENGTH, to - from);
                let (from, to) = (from as usize, to as usize);
                Body::from(bytes[from..to].to_vec())
            }
            Wanted::Nothing => {
                response = response
                    .status(StatusCode::RANGE_NOT_SATISFIABLE)
                    .header(header::CONTENT_RANGE, format!("bytes */{size}"));
                Body::empty()
            }
        }
    };
    response.body(body).map_err(|_| Error::Internal)
}
