//! A file's bytes: where they are, or themselves.
//!
//! A large file is a redirect to the second origin; a small one is a redirect to an address that names its commit, which
//! then answers itself, as on the Hub.

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::get;
use git2::Oid;
use http::{HeaderMap, Method, StatusCode, header};
use hub_types::{RepoId, RepoPath, XetHash};
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
    /// What the Xet storage calls a large file, if it is there.
    xet: Option<XetHash>,
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
            let xet = match &pointer {
                Some(pointer) => store.xet_hash(&pointer.sha256)?,
                None => None,
            };
            let bytes = match (whole, &pointer) {
                (Whole::No, _) | (_, Some(_)) => None,
                _ => Some(git.0.find_blob(entry.oid)?.content().to_vec()),
            };
            Ok(Located {
                commit,
                oid: entry.oid,
                pointer,
                xet,
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

async fn resolve(app: App, target: Target, params: Params, query: Query, given: OriginalPath) -> Result<Response> {
    let target = target.readable()?;
    let path = params.path().map_err(|_| missing())?;
    let (id, row) = (target.repo.id.clone(), target.repo.row);
    let found = locate(&app, target, params.get("rev")?.to_owned(), path.clone(), Whole::No).await?;
    if let Some(pointer) = &found.pointer {
        return large(&app, &id, row, &found, pointer, &path, &query);
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

/// Where the large file is, which the repository of that row has.
fn large(
    app: &App,
    id: &RepoId,
    repo: i64,
    found: &Located,
    pointer: &Pointer,
    path: &RepoPath,
    query: &Query,
) -> Result<Response> {
    let commit = found.commit;
    let now = clock::now().0.as_second();
    let disposition = disposition(path, query.flag("download"));
    let location = origin::download_url(app, repo, &pointer.sha256, &disposition, now);
    let text = format!("Found. Redirecting to {location}");
    let mut reply = Response::builder();
    if let (Some(hash), Some(storage)) = (&found.xet, &app.store().xet) {
        let token = format!("{}/api/{}/xet-read-token/{commit}", app.url(), id.api_path());
        let plan = format!("{}/v1/reconstructions/{hash}", storage.url);
        let links = format!("<{token}>; rel=\"xet-auth\", <{plan}>; rel=\"xet-reconstruction-info\"");
        reply = reply
            .header("x-xet-hash", hash.to_string())
            .header(header::LINK, header_text(&links));
    }
    reply
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
    app: App,
    target: Target,
    params: Params,
    query: Query,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let target = target.readable()?;
    let (id, row) = (target.repo.id.clone(), target.repo.row);
    let path = params.path().map_err(|_| missing())?;
    let found = locate(&app, target, params.get("rev")?.to_owned(), path.clone(), Whole::Yes).await?;
    match &found.pointer {
        Some(pointer) => large(&app, &id, row, &found, pointer, &path, &query),
        None => {
            let response = small(found, &path, &query, &headers)?;
            if method == Method::GET && from_the_start(&response) {
                app.run(move |store| {
                    store.db.count_download(row);
                    Ok(())
                })
                .await?;
            }
            Ok(response)
        }
    }
}

/// Whether the reply has a file's first byte: who takes it in parts downloads it once.
fn from_the_start(response: &Response) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE);
    match response.status() {
        StatusCode::OK => true,
        StatusCode::PARTIAL_CONTENT => range.is_some_and(|range| range.as_bytes().starts_with(b"bytes 0-")),
        _ => false,
    }
}

async fn raw(app: App, target: Target, params: Params, query: Query, headers: HeaderMap) -> Result<Response> {
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

#[cfg(test)]
mod tests {
    use hub_types::GitOid;

    use crate::testing::{ADA, Hub, file, large, send};

    #[test]
    fn a_small_file_is_a_relative_redirect_and_then_itself() {
        let hub = Hub::with_demo();
        hub.commit(&[file("a b/ü.txt", "0123456789")]).expect(200);
        let etag = format!("\"{}\"", GitOid::of(b"0123456789"));
        let head = hub.get("", "/api/models/ada/demo").json()["sha"]
            .as_str()
            .unwrap()
            .to_owned();
        let first = hub.head("", "/ada/demo/resolve/main/a%20b/%C3%BC.txt").expect(307);
        assert_eq!((first.header("x-repo-commit"), first.header("etag")), (&*head, &*etag));
        let there = first.header("location").to_owned();
        assert!(
            there.starts_with(&format!("/api/resolve-cache/models/ada/demo/{head}/a%20b/%C3%BC.txt?")),
            "{there}"
        );
        let second = hub.head("", &there).expect(200);
        assert_eq!((second.header("content-length"), second.header("etag")), ("10", &*etag));
        assert_eq!(second.header("x-repo-commit"), head);
        assert!(second.body.is_empty());
        assert_eq!(hub.get("", &there).expect(200).text(), "0123456789");

        let part = |range: &str| hub.send("GET", "", &there, &[("range", range)], b"");
        let reply = part("bytes=2-4").expect(206);
        assert_eq!(
            (reply.text().as_str(), reply.header("content-range")),
            ("234", "bytes 2-4/10")
        );
        assert_eq!(part("bytes=-2").expect(206).text(), "89");
        assert_eq!(part("bytes=10-").expect(416).header("content-range"), "bytes */10");
        hub.send("GET", "", &there, &[("if-none-match", &etag)], b"")
            .expect(304);
    }

    #[test]
    fn a_large_file_is_on_the_other_origin() {
        let hub = Hub::with_demo();
        let sha256 = hub.upload_large(b"0123456789");
        hub.commit(&[large("x.bin", &sha256, 10)]).expect(200);
        let first = hub.head("", "/ada/demo/resolve/main/x.bin").expect(302);
        assert_eq!(first.header("x-linked-etag"), format!("\"{sha256}\""));
        assert_eq!(first.header("x-linked-size"), "10");
        assert_eq!(first.header("x-repo-commit").len(), 40);
        let there = first.header("location").to_owned();
        assert!(there.starts_with(hub.server.blob_url()), "{there}");
        assert_ne!(
            hub.server.blob_url().split(':').nth(1),
            hub.server.url().split(':').nth(1)
        );

        let ask = |method: &str, headers: &[(&str, &str)]| send(&there, method, "", "", headers, b"");
        let reply = ask("GET", &[]).expect(200);
        assert_eq!(
            (reply.text().as_str(), reply.header("content-length")),
            ("0123456789", "10")
        );
        assert_eq!(reply.header("etag"), format!("\"{sha256}\""));
        let reply = ask("HEAD", &[]).expect(200);
        assert_eq!((reply.body.len(), reply.header("content-length")), (0, "10"));
        let reply = ask("GET", &[("range", "bytes=3-5")]).expect(206);
        assert_eq!(
            (reply.text().as_str(), reply.header("content-range")),
            ("345", "bytes 3-5/10")
        );
        ask("GET", &[("range", "bytes=99-")]).expect(416);
        // Credentials have no business there, and neither has a changed address.
        send(&there, "GET", ADA, "", &[], b"").expect(400);
        let forged = there.replace(&sha256, &"0".repeat(64));
        send(&forged, "GET", "", "", &[], b"").expect(403);
        send(there.split('?').next().unwrap(), "GET", "", "", &[], b"").expect(403);
        send(&there, "PUT", "", "", &[], b"x").expect(403);
        assert_eq!(
            hub.get("", "/ada/demo/raw/main/x.bin")
                .expect(200)
                .text()
                .lines()
                .count(),
            3
        );
    }

    #[test]
    fn what_is_not_there_says_which_commit_was_looked_at() {
        let hub = Hub::with_demo();
        hub.commit(&[file("a/x", "x")]).expect(200);
        let head = hub.get("", "/api/models/ada/demo").json()["sha"]
            .as_str()
            .unwrap()
            .to_owned();
        for path in ["nothing", "a", "a/x/y"] {
            let reply = hub
                .head("", &format!("/ada/demo/resolve/main/{path}"))
                .expect_code(404, "EntryNotFound");
            assert_eq!(reply.header("x-repo-commit"), head);
        }
        for path in ["..%2F..%2Ftoken", "%2e%2e/%2e%2e/token", "a%5Cb"] {
            hub.get("", &format!("/ada/demo/resolve/main/{path}"))
                .expect_code(404, "EntryNotFound");
        }
        for rev in ["nothing", "refs%2Fheads%2Fnothing", "..", "0000000", "-x"] {
            hub.head("", &format!("/ada/demo/resolve/{rev}/a/x"))
                .expect_code(404, "RevisionNotFound");
        }
        for rev in ["main", "refs%2Fheads%2Fmain", &head, &head[..8]] {
            hub.head("", &format!("/ada/demo/resolve/{rev}/a/x")).expect(307);
        }
    }
}
