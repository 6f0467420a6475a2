//! Git over HTTP: clone and fetch through `git http-backend`, run as CGI; push by [`store::push`](crate::store::push).

use std::process::Stdio;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use flate2::read::GzDecoder;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;

use crate::app::App;
use crate::error::{Error, Result};
use crate::routes::{Query, Target};
use crate::store::push;

/// What is read of the backend's output at once.
const CHUNK: usize = 256 * 1024;

/// Lines of headers that the backend may write.
const HEADERS_LIMIT: usize = 100;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/-web/{kind}/{id}/info/refs", get(info_refs))
        .route("/-web/{kind}/{id}/git-upload-pack", post(upload_pack))
        .route("/-web/{kind}/{id}/git-receive-pack", post(receive_pack))
}

async fn info_refs(State(app): State<App>, target: Target, query: Query, request: Request) -> Result<Response> {
    match query.get("service") {
        Some("git-upload-pack") => {
            let target = target.readable()?;
            backend(&app, target, "info/refs", "service=git-upload-pack", request).await
        }
        Some("git-receive-pack") => {
            let (target, _) = target.writable()?;
            let refs = target.run(&app, |_, _, git| push::advertisement(git)).await?;
            Ok(uncached("application/x-git-receive-pack-advertisement", refs))
        }
        // The dumb protocol would show every object to whoever can guess its name.
        _ => Err(Error::forbidden(
            "Please upgrade your git client: only smart HTTP is served",
        )),
    }
}

fn uncached(kind: &'static str, body: Vec<u8>) -> Response {
    (
        [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, "no-cache, max-age=0, must-revalidate"),
        ],
        body,
    )
        .into_response()
}

async fn upload_pack(State(app): State<App>, target: Target, request: Request) -> Result<Response> {
    let target = target.readable()?;
    backend(&app, target, "git-upload-pack", "", request).await
}

/// Runs `git http-backend` for one request, and streams both ways.
async fn backend(app: &App, target: Target, path: &str, query: &str, request: Request) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let dir = app.store().repo_dir(&target.repo.id);
    let mut command = push::git_command();
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &dir)
        .env("PATH_INFO", format!("/{path}"))
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("GIT_HTTP_EXPORT_ALL", "1");
    if let Some(account) = &target.caller.0 {
        command.env("REMOTE_USER", &account.name);
    }
    for (name, variable) in [
        (header::CONTENT_TYPE, "CONTENT_TYPE"),
        (header::CONTENT_LENGTH, "CONTENT_LENGTH"),
        (header::CONTENT_ENCODING, "HTTP_CONTENT_ENCODING"),
        (HeaderName::from_static("git-protocol"), "GIT_PROTOCOL"),
    ] {
        if let Some(value) = parts.headers.get(name).and_then(|value| value.to_str().ok()) {
            command.env(variable, value);
        }
    }
    let mut child = Command::from(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Error::Internal);
    };
    let feed = async move {
        let mut body = body;
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(data) = frame.into_data()
                && stdin.write_all(&data).await.is_err()
            {
                break;
            }
        }
        let _ = stdin.shutdown().await;
    };
    let mut stdout = BufReader::with_capacity(CHUNK, stdout);
    // It reads all of a request before it answers, but nothing says that it must: both go on together.
    let ((), head) = tokio::join!(feed, read_head(&mut stdout));
    let (status, headers) = head?;
    let mut response = Response::new(Body::from_stream(stream::unfold((child, stdout), next_chunk)));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// The next bytes of the backend's output. The child is kept, so that it dies with the response.
async fn next_chunk(
    (mut child, mut stdout): (Child, BufReader<ChildStdout>),
) -> Option<(std::io::Result<Bytes>, (Child, BufReader<ChildStdout>))> {
    let mut chunk = Vec::with_capacity(CHUNK);
    match (&mut stdout).take(CHUNK as u64).read_buf(&mut chunk).await {
        Ok(0) => {
            let ended = child.wait().await;
            if !ended.is_ok_and(|status| status.success()) {
                tracing::warn!("git http-backend ended badly");
            }
            None
        }
        Ok(_) => Some((Ok(chunk.into()), (child, stdout))),
        Err(err) => Some((Err(err), (child, stdout))),
    }
}

/// The status and the headers that a CGI program writes first.
async fn read_head(output: &mut BufReader<ChildStdout>) -> Result<(StatusCode, HeaderMap)> {
    let mut status = StatusCode::OK;
    let mut headers = HeaderMap::new();
    for _ in 0..HEADERS_LIMIT {
        let mut line = String::new();
        output.take(8192).read_line(&mut line).await?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("status") {
            let code = value.trim().split(' ').next().unwrap_or_default();
            status = code.parse().map_err(|_| Error::Internal)?;
        } else if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value.trim()),
        ) {
            headers.insert(name, value);
        }
    }
    if headers.is_empty() && status == StatusCode::OK {
        tracing::error!("git http-backend wrote no headers: is git installed?");
        return Err(Error::Internal);
    }
    Ok((status, headers))
}

async fn receive_pack(State(app): State<App>, target: Target, request: Request) -> Result<Response> {
    let (target, pusher) = target.writable()?;
    let gzip = request
        .headers()
        .get(header::CONTENT_ENCODING)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"gzip"));
    let (chunks, arriving) = mpsc::channel(4);
    let input = Arriving {
        chunks: arriving,
        now: Bytes::new(),
        ended: false,
    };
    let work = app.run(move |store| {
        if gzip {
            push::receive(store, &target.repo, &pusher, GzDecoder::new(input))
        } else {
            push::receive(store, &target.repo, &pusher, input)
        }
    });
    let feed = async move {
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return };
            if let Ok(data) = frame.into_data()
                && chunks.send(Some(data)).await.is_err()
            {
                return;
            }
        }
        let _ = chunks.send(None).await;
    };
    let ((), reply) = tokio::join!(feed, work);
    Ok(uncached("application/x-git-receive-pack-result", reply?))
}

/// A body as a reader on a thread that may block. One that breaks off is an error and not an end.
struct Arriving {
    chunks: mpsc::Receiver<Option<Bytes>>,
    now: Bytes,
    ended: bool,
}

impl std::io::Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.now.is_empty() && !self.ended {
            match self.chunks.blocking_recv() {
                Some(Some(chunk)) => self.now = chunk,
                Some(None) => self.ended = true,
                None => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let count = self.now.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.now[..count]);
        let _ = self.now.split_to(count);
        Ok(count)
    }
}
