//! Git over HTTP: clone and fetch through `git http-backend`, run as CGI; push by [`store::push`](crate::store::push).

use std::process::Stdio;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
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
use crate::store::push::{self, Pusher};

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

async fn info_refs(app: App, target: Target, query: Query, request: Request) -> Result<Response> {
    match query.get("service") {
        Some("git-upload-pack") => {
            let target = target.readable()?;
            backend(&app, target, "info/refs", "service=git-upload-pack", request).await
        }
        Some("git-receive-pack") => {
            pusher(&app, &target).await?;
            let refs = target.run(&app, |_, _, git| push::advertisement(git)).await?;
            Ok(uncached("application/x-git-receive-pack-advertisement", refs))
        }
        // The dumb protocol would show every object to whoever can guess its name.
        _ => Err(Error::forbidden(
            "Please upgrade your git client: only smart HTTP is served",
        )),
    }
}

/// Whoever may write may push; and whoever has opened a pull request, to that.
async fn pusher(app: &App, target: &Target) -> Result<Pusher> {
    let refused = match target.caller.check_write(&target.repo) {
        Ok(account) => {
            return Ok(Pusher {
                name: account.name.clone(),
                only_proposes: false,
            });
        }
        Err(err) => err,
    };
    let Ok(account) = target.caller.writer() else {
        return Err(refused);
    };
    target.caller.check_content(&target.repo)?;
    let (name, repo) = (account.name.clone(), target.repo.clone());
    let author = name.clone();
    let opened = app
        .run(move |store| {
            let all = store.db.discussions(&repo)?;
            Ok(all.iter().any(|one| one.pull_request && one.author == author))
        })
        .await?;
    if opened {
        Ok(Pusher {
            name,
            only_proposes: true,
        })
    } else {
        Err(refused)
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

async fn upload_pack(app: App, target: Target, request: Request) -> Result<Response> {
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

async fn receive_pack(app: App, target: Target, request: Request) -> Result<Response> {
    let pusher = pusher(&app, &target).await?;
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

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::Output;

    use crate::store::push::git_command;
    use crate::testing::{ADA, BOB, EVE, Hub, file};

    /// A folder with clones, and the Hub that they are of.
    struct Work {
        hub: Hub,
        dir: tempfile::TempDir,
    }

    impl Work {
        fn start() -> Self {
            Self {
                hub: Hub::with_demo(),
                dir: tempfile::tempdir().unwrap(),
            }
        }

        fn url(&self, user: &str, password: &str) -> String {
            let host = self.hub.server.url().strip_prefix("http://").unwrap();
            format!("http://{user}:{password}@{host}/ada/demo")
        }

        /// Runs git in a clone, and gives what it says if it succeeds.
        fn git(&self, clone: &str, args: &[&str]) -> Result<String, String> {
            let Output { status, stdout, stderr } = git_command()
                .current_dir(self.dir.path().join(clone))
                .args(["-c", "user.name=ada", "-c", "user.email=ada@example.org"])
                .args(args)
                .output()
                .unwrap();
            let text = |bytes| String::from_utf8(bytes).unwrap();
            if status.success() {
                Ok(text(stdout))
            } else {
                Err(text(stderr))
            }
        }

        fn clone(&self, token: &str, name: &str) {
            self.git("", &["clone", "-q", &self.url("user", token), name]).unwrap();
        }

        fn commit(&self, clone: &str, path: &str, bytes: &[u8]) {
            fs_err::write(self.path(clone, path), bytes).unwrap();
            self.git(clone, &["add", "."]).unwrap();
            self.git(clone, &["commit", "-qm", path]).unwrap();
        }

        fn path(&self, clone: &str, path: &str) -> PathBuf {
            self.dir.path().join(clone).join(path)
        }
    }

    fn only_ref(dir: &Path) -> String {
        fs_err::read_to_string(dir.join("HEAD")).unwrap()
    }

    #[test]
    fn what_is_pushed_is_there_for_every_client() {
        let work = Work::start();
        work.clone(ADA, "one");
        work.commit("one", "a.txt", b"from git");
        // Large enough to be sent in chunks, and compressed.
        work.commit("one", "b.txt", "line\n".repeat(400_000).as_bytes());
        work.git("one", &["push", "-q", "origin", "main"]).unwrap();
        assert_eq!(
            work.hub.get("", "/ada/demo/raw/main/a.txt").expect(200).text(),
            "from git"
        );
        work.hub.commit(&[file("c.txt", "from the API")]).expect(200);
        work.git("one", &["pull", "-q"]).unwrap();
        assert_eq!(
            fs_err::read_to_string(work.path("one", "c.txt")).unwrap(),
            "from the API"
        );
        let listed = work.hub.get("", "/api/models?expand=sha").json()[0]["sha"].clone();
        assert_eq!(work.git("one", &["rev-parse", "HEAD"]).unwrap().trim(), listed);

        work.git("one", &["tag", "-am", "one", "v1"]).unwrap();
        work.git("one", &["push", "-q", "origin", "v1", "main:feat/x"]).unwrap();
        let refs = work.hub.get("", "/api/models/ada/demo/refs").json();
        assert_eq!(
            (&refs["tags"][0]["name"], &refs["branches"][0]["name"]),
            (&"v1".into(), &"feat/x".into())
        );
        assert_eq!(refs["tags"][0]["targetCommit"], listed);
        work.git("one", &["push", "-q", "origin", ":feat/x"]).unwrap();
        work.git(
            "",
            &[
                "clone",
                "-q",
                "--depth=1",
                "--filter=blob:none",
                &work.url("user", ADA),
                "two",
            ],
        )
        .unwrap();
        work.commit("two", "d.txt", b"from a shallow clone");
        work.git("two", &["push", "-q"]).unwrap();
        work.hub.get("", "/ada/demo/raw/main/d.txt").expect(200);
        // And git finds nothing wrong with what both of us wrote.
        let bare = work.hub.root.path().join("repos/models/ada/demo.git");
        let checked = git_command()
            .arg("-C")
            .arg(&bare)
            .args(["fsck", "--strict"])
            .output()
            .unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        assert_eq!(only_ref(&bare), "ref: refs/heads/main\n");
    }

    #[test]
    fn a_token_is_the_password_or_the_user_name() {
        let work = Work::start();
        let body = r#"{"visibility":"private"}"#;
        work.hub.put(ADA, "/api/models/ada/demo/settings", body).expect(200);
        work.git("", &["ls-remote", &work.url("anyone", ADA)]).unwrap();
        work.git("", &["ls-remote", &work.url(ADA, "")]).unwrap();
        let header = format!("http.extraHeader=Authorization: Bearer {ADA}");
        let plain = format!("{}/ada/demo.git", work.hub.server.url());
        work.git("", &["-c", &header, "ls-remote", &plain]).unwrap();
        let anonymous = work.git("", &["ls-remote", &plain]).unwrap_err();
        assert!(anonymous.contains("could not read Username"), "{anonymous}");
        assert!(
            work.git("", &["ls-remote", &work.url("bob", BOB)])
                .unwrap_err()
                .contains("not found")
        );
        assert!(
            work.git("", &["ls-remote", &work.url("x", "hf_wrong")])
                .unwrap_err()
                .contains("Authentication failed")
        );
    }

    #[test]
    fn who_may_only_look_cannot_push() {
        let work = Work::start();
        for token in [BOB, EVE] {
            work.clone(token, token);
            work.commit(token, "x", b"x");
            assert!(work.git(token, &["push", "-q"]).unwrap_err().contains("403"));
        }
        work.hub.get("", "/ada/demo/raw/main/x").expect(404);
    }

    #[test]
    fn what_the_hub_does_not_take_is_refused_whole() {
        let work = Work::start();
        work.clone(ADA, "one");
        let refused = |why: &str, push: &[&str]| {
            let mut args = vec!["push"];
            args.extend(push);
            let said = work.git("one", &args).unwrap_err();
            assert!(said.contains(why), "{said}");
        };
        work.commit("one", "large.txt", &vec![b'x'; (10 << 20) + 1]);
        refused("files larger than 10 MiB", &["origin", "main"]);
        refused("  - large.txt", &["origin", "main"]);
        work.git("one", &["reset", "-q", "--hard", "HEAD~1"]).unwrap();

        let pointer = format!(
            "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 5\n",
            "0".repeat(64)
        );
        work.commit("one", "x.txt", pointer.as_bytes());
        refused("pointed to a file that does not exist", &["origin", "main"]);
        work.git("one", &["reset", "-q", "--hard", "HEAD~1"]).unwrap();

        work.commit("one", "ok.txt", b"ok");
        refused("deletion of the main branch", &["origin", ":main"]);
        refused(
            "only branches, tags and pull requests",
            &["origin", "HEAD:refs/other/x"],
        );
        refused("no such pull request", &["origin", "HEAD:refs/pr/7"]);
        refused("atomic", &["--atomic", "origin", "main", "HEAD:refs/other/x"]);
        work.hub.get("", "/ada/demo/raw/main/ok.txt").expect(404);
        // What was refused has left nothing behind.
        let objects = work.hub.root.path().join("repos/models/ada/demo.git/objects");
        let names = |dir: &Path| -> Vec<_> {
            let entries = fs_err::read_dir(dir).unwrap();
            entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect()
        };
        assert!(!names(&objects).iter().any(|name| name.contains("incoming")));
        assert!(names(&objects.join("pack")).is_empty());

        work.hub.commit(&[file("other.txt", "x")]).expect(200);
        refused("fetch first", &["origin", "main"]);
        work.git("one", &["pull", "-q", "--rebase"]).unwrap();
        work.git("one", &["push", "-q"]).unwrap();
        work.hub.get("", "/ada/demo/raw/main/ok.txt").expect(200);
    }

    #[test]
    fn a_pull_request_takes_pushes() {
        let work = Work::start();
        work.hub
            .commit_to("main", "?create_pr=1", &[file("p.txt", "p")])
            .expect(200);
        work.clone(ADA, "one");
        work.git("one", &["fetch", "-q", "origin", "refs/pr/1:pr"]).unwrap();
        work.git("one", &["checkout", "-q", "pr"]).unwrap();
        work.commit("one", "more.txt", b"more");
        work.git("one", &["push", "-q", "origin", "pr:refs/pr/1"]).unwrap();
        let details = work.hub.get("", "/api/models/ada/demo/discussions/1").json();
        assert_eq!(details["events"][2]["data"]["subject"], "more.txt");
    }

    #[test]
    fn what_is_no_push_is_refused() {
        let work = Work::start();
        let post = |body: &[u8], headers: &[(&str, &str)]| {
            work.hub
                .send("POST", ADA, "/ada/demo.git/git-receive-pack", headers, body)
                .status
        };
        assert_eq!(post(b"", &[]), 400);
        assert_eq!(post(b"nonsense", &[]), 400);
        assert_eq!(post(b"0000", &[("content-encoding", "gzip")]), 400);
        let zero = "0".repeat(40);
        let line = format!("{zero} {} refs/heads/x\0 report-status", "1".repeat(40));
        let body = format!("{:04x}{line}0000", line.len() + 4);
        // No pack, and no such object.
        assert_eq!(post(body.as_bytes(), &[]), 200);
        assert_eq!(post(format!("{body}PACKnonsense").as_bytes(), &[]), 200);
        assert_eq!(
            work.hub.get("", "/api/models/ada/demo/refs").json()["branches"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        work.hub.get("", "/ada/demo.git/info/refs").expect(403);
        work.hub.get("", "/ada/demo.git/HEAD").expect(404);
        work.hub
            .get("", "/ada/demo.git/info/refs?service=git-receive-pack")
            .expect(401);
    }
}
