//! Committing: how each file is to be stored, and the commit itself.

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hub_types::RepoPath;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::app::App;
use crate::error::{Error, Result};
use crate::routes::{Json, Params, Query, Target};
use crate::store::draft::{self, Draft};
use crate::store::git::{EntryKind, LARGE};
use crate::store::lookup::Lookup;
use crate::store::rules::{Attributes, Ignore};

/// Files that one preupload may ask about.
const PREUPLOAD_LIMIT: usize = 1000;

/// A line of a commit may be this long: the largest regular file in base64, and its path.
const LINE_LIMIT: usize = (LARGE as usize).div_ceil(3) * 4 + 64 * 1024;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/-api/{kind}/{id}/preupload/{rev}", post(preupload))
        .route("/-api/{kind}/{id}/commit/{rev}", post(commit))
}

/// Checks that the caller may commit here, or propose to, and gives their name. Who opened a pull request may commit to it.
async fn committer(app: &App, target: &Target, rev: &str, create_pr: bool) -> Result<String> {
    let pull_request = rev.strip_prefix("refs/pr/").and_then(|num| num.parse().ok());
    let refused = match target.caller.check_write(&target.repo) {
        Ok(account) => return Ok(account.name.clone()),
        Err(err) if !create_pr && pull_request.is_none() => return Err(err),
        Err(err) => err,
    };
    target.caller.check_content(&target.repo)?;
    let name = target.caller.writer()?.name.clone();
    if create_pr {
        return Ok(name);
    }
    let repo = target.repo.clone();
    let num = pull_request.unwrap_or_default();
    let author = app
        .run(move |store| Ok(store.db.discussion(&repo, num)?.author))
        .await?;
    if author == name { Ok(name) } else { Err(refused) }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Preupload {
    files: Vec<PreuploadFile>,
    git_ignore: Option<String>,
    git_attributes: Option<String>,
}

#[derive(Deserialize)]
struct PreuploadFile {
    path: String,
    #[serde(default)]
    size: u64,
}

async fn preupload(
    app: App,
    target: Target,
    params: Params,
    query: Query,
    Json(body): Json<Preupload>,
) -> Result<Response> {
    let rev = params.get("rev")?.to_owned();
    committer(&app, &target, &rev, query.flag("create_pr")).await?;
    if body.files.len() > PREUPLOAD_LIMIT {
        return Err(Error::TooLarge(format!(
            "\"files\" may have {PREUPLOAD_LIMIT} entries at the most"
        )));
    }
    let files = target
        .run(&app, move |_, _, git| {
            let commit = git.resolve(&rev)?;
            let attributes = match &body.git_attributes {
                Some(text) => Attributes::parse(text),
                None => git.attributes(commit)?,
            };
            let ignore = match body.git_ignore {
                Some(text) => text.into_bytes(),
                None => git.small_file(commit, ".gitignore")?.unwrap_or_default(),
            };
            let ignore = Ignore::parse(&String::from_utf8_lossy(&ignore));
            let mut there = Lookup::new(git, commit)?;
            body.files
                .iter()
                .map(|file| {
                    let path = RepoPath::for_commit(&file.path)?;
                    let large = file.size >= LARGE || attributes.is_lfs(path.as_str());
                    let mut reply = json!({
                        "path": file.path,
                        "uploadMode": if large { "lfs" } else { "regular" },
                        "shouldIgnore": ignore.is_ignored(path.as_str()),
                    });
                    if let Some(entry) = there.entry(&path)?
                        && let EntryKind::File { pointer, .. } = entry.kind
                    {
                        reply["oid"] = match pointer {
                            Some(pointer) => pointer.sha256.to_string().into(),
                            None => entry.oid.to_string().into(),
                        };
                    }
                    Ok(reply)
                })
                .collect::<Result<Vec<Value>>>()
        })
        .await?;
    Ok(axum::Json(json!({ "files": files })).into_response())
}

async fn commit(app: App, target: Target, params: Params, query: Query, request: Request) -> Result<Response> {
    let create_pr = query.flag("create_pr");
    let rev = params.get("rev")?.to_owned();
    let author = committer(&app, &target, &rev, create_pr).await?;
    let (lines, mut incoming) = mpsc::channel::<Result<Bytes>>(2);
    let url = app.repo_url(&target.repo.id);
    let told = target.repo.clone();
    let work = app.run(move |store| {
        let repo = &target.repo;
        let git = store.git(repo)?;
        // Before the body is read: nobody sends a gigabyte to learn that the branch is not there.
        draft::target_ref(&git, &rev)?;
        let mut draft = Draft::new(store, repo, &git);
        while let Some(line) = incoming.blocking_recv() {
            draft.take(&line?)?;
        }
        let made = draft::finish(draft, &rev, create_pr, &author)?;
        let opened = made
            .pull_request
            .map(|num| store.db.discussion(repo, num))
            .transpose()?;
        Ok((made.commit, opened))
    });
    // The lines come from this side while the other works on those it has.
    let (sent, made) = tokio::join!(send_lines(request, lines), work);
    let (commit, opened) = match (sent, made) {
        (_, Ok(made)) => made,
        // What the worker says counts more: the sender stopped because of it, unless it was the sender who stopped.
        (Err(err), Err(Error::Internal)) | (_, Err(err)) => return Err(err),
    };
    let mut reply = json!({
        "success": true,
        "commitOid": commit.to_string(),
        "commitUrl": format!("{url}/commit/{commit}"),
        "hookOutput": "",
    });
    if let Some(opened) = opened {
        reply["pullRequestUrl"] = format!("{url}/discussions/{}", opened.num).into();
        app.announce_discussion("create", &told, opened, None);
    }
    Ok(axum::Json(reply).into_response())
}

/// Cuts a body into lines.
async fn send_lines(request: Request, lines: mpsc::Sender<Result<Bytes>>) -> Result<()> {
    let mut body = request.into_body();
    let mut rest = BytesMut::new();
    loop {
        let Some(frame) = body.frame().await else { break };
        let Ok(frame) = frame else {
            let _ = lines.send(Err(Error::bad_request("the body broke off"))).await;
            return Err(Error::bad_request("the body broke off"));
        };
        let Ok(mut data) = frame.into_data() else { continue };
        while let Some(end) = data.iter().position(|b| *b == b'\n') {
            rest.extend_from_slice(&data.split_to(end + 1));
            let line = std::mem::take(&mut rest).freeze();
            if lines.send(Ok(line)).await.is_err() {
                // The worker has given up and says why. What is left of the body is of no use.
                return Ok(());
            }
        }
        rest.extend_from_slice(&data);
        if rest.len() > LINE_LIMIT {
            let message = "a line of the commit is too long: files of 10 MiB and more are large files (LFS)";
            let _ = lines.send(Err(Error::TooLarge(message.to_owned()))).await;
            return Ok(());
        }
    }
    if !rest.is_empty() {
        let _ = lines.send(Ok(rest.freeze())).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{ADA, BOB, EVE, Hub, file, large, send};

    const COMMIT: &str = "/api/models/ada/demo/commit/main";

    fn delete(key: &str, path: &str) -> String {
        json!({"key": key, "value": {"path": path}}).to_string()
    }

    fn files(hub: &Hub, rev: &str) -> Vec<String> {
        let tree = hub
            .get(ADA, &format!("/api/models/ada/demo/tree/{rev}?recursive=true"))
            .expect(200)
            .json();
        let files = tree.as_array().unwrap().iter().filter(|item| item["type"] == "file");
        files.map(|item| item["path"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn lines_become_a_commit() {
        let hub = Hub::with_demo();
        let base64 = r#"{"key":"file","value":{"content":"aGVsbG8K","path":"hello.txt","encoding":"base64"}}"#;
        let made = hub
            .commit(&[base64.to_owned(), file("a/x", "x"), file("a/y", "y")])
            .expect(200)
            .json();
        let oid = made["commitOid"].as_str().unwrap();
        assert_eq!(made["commitUrl"], format!("{}/ada/demo/commit/{oid}", hub.server.url()));
        assert_eq!(
            hub.get("", "/ada/demo/raw/main/hello.txt").expect(200).text(),
            "hello\n"
        );
        hub.commit(&[
            delete("deletedFolder", "a/"),
            file("a/z", "z"),
            delete("deletedFile", "hello.txt"),
        ])
        .expect(200);
        assert_eq!(files(&hub, "main"), [".gitattributes", "a/z"]);
        // The old commit is as it was.
        assert_eq!(files(&hub, oid), [".gitattributes", "a/x", "a/y", "hello.txt"]);
    }

    #[test]
    fn what_makes_no_sense_changes_nothing() {
        let hub = Hub::with_demo();
        let before = hub.get("", "/api/models/ada/demo").json()["sha"].clone();
        for (line, status) in [
            (file("../x", "x"), 400),
            (file("/etc/../../x", "x"), 400),
            (file(".git/config", "x"), 400),
            (file("a\\b", "x"), 400),
            (file(".gitattributes/x", "x"), 400),
            (
                r#"{"key":"file","value":{"content":"?","path":"x","encoding":"base64"}}"#.to_owned(),
                400,
            ),
            (r#"{"key":"nonsense","value":{}}"#.to_owned(), 400),
            ("{".to_owned(), 400),
            (large("x.bin", &"0".repeat(64), 5), 400),
            (large("x.bin", "nonsense", 5), 400),
            (delete("deletedFile", "nothing"), 404),
            (delete("deletedFolder", ".gitattributes"), 404),
            (r#"{"key":"header","value":{"summary":"again"}}"#.to_owned(), 400),
        ] {
            let reply = hub.commit(std::slice::from_ref(&line));
            assert_eq!(reply.status, status, "{line}: {}", reply.text());
        }
        hub.commit(&[delete("deletedFile", "nothing")])
            .expect_code(404, "EntryNotFound");
        hub.post(ADA, COMMIT, &file("x", "x")).expect(400);
        hub.post(ADA, COMMIT, "").expect(400);
        hub.post("", COMMIT, "").expect(401);
        hub.post(BOB, COMMIT, "").expect(403);
        hub.post(EVE, COMMIT, "").expect(403);
        hub.commit_to("nothing", "", &[]).expect_code(404, "RevisionNotFound");
        hub.commit_to(before.as_str().unwrap(), "", &[])
            .expect_code(404, "RevisionNotFound");
        assert_eq!(hub.get("", "/api/models/ada/demo").json()["sha"], before);
    }

    #[test]
    fn a_file_that_is_too_large_for_git_is_refused() {
        let hub = Hub::with_demo();
        let reply = hub.commit(&[file("x.txt", &"x".repeat((10 << 20) + 1))]).expect(400);
        assert!(reply.text().contains("LFS"));
        hub.commit(&[file("x.txt", &"x".repeat(10 << 20))]).expect(200);
        // One endless line is cut off where no file can be that long.
        let reply = hub.commit(&["x".repeat(20 << 20)]).expect(413);
        assert!(reply.text().contains("too long"));
    }

    #[test]
    fn a_parent_that_is_no_longer_the_head_is_refused() {
        let hub = Hub::with_demo();
        let head = hub.get("", "/api/models/ada/demo").json()["sha"]
            .as_str()
            .unwrap()
            .to_owned();
        let commit = |parent: &str| {
            let header = json!({"key": "header", "value": {"summary": "x", "description": "", "parentCommit": parent}});
            hub.post(ADA, COMMIT, &format!("{header}\n{}", file("x", parent)))
        };
        commit(&head[..7]).expect(200);
        commit(&head).expect(412);
        commit("0000000").expect(412);
        commit("xyz").expect(400);
    }

    #[test]
    fn commits_at_once_all_arrive() {
        let hub = Hub::with_demo();
        std::thread::scope(|threads| {
            for n in 0..8 {
                let hub = &hub;
                threads.spawn(move || hub.commit(&[file(&format!("{n}.txt"), "x")]).expect(200));
            }
        });
        assert_eq!(files(&hub, "main").len(), 9);
        assert_eq!(
            hub.get("", "/api/models/ada/demo/commits/main")
                .json()
                .as_array()
                .unwrap()
                .len(),
            9
        );
        let head = hub.get("", "/api/models/ada/demo/commits/main").json()[0]["id"].clone();
        assert_eq!(hub.get("", "/api/models?expand=sha").json()[0]["sha"], head);
    }

    #[test]
    fn a_large_file_that_no_rule_names_gets_one() {
        let hub = Hub::with_demo();
        let sha256 = hub.upload_large(b"large");
        hub.commit(&[large("odd name.txt", &sha256, 5), large("x.bin", &sha256, 5)])
            .expect(200);
        let attributes = hub.get("", "/ada/demo/raw/main/.gitattributes").expect(200).text();
        assert!(
            attributes.ends_with("\n/odd[[:space:]]name.txt filter=lfs diff=lfs merge=lfs -text\n"),
            "{attributes}"
        );
        // A copy has no size.
        let copy = json!({"key": "lfsFile", "value": {"path": "copy.bin", "algo": "sha256", "oid": sha256}});
        hub.commit(&[copy.to_string()]).expect(200);
        hub.get("", "/ada/demo/resolve/main/copy.bin").expect(302);
        hub.commit(&[large("y.bin", &sha256, 6)]).expect(400);
    }

    #[test]
    fn preupload_says_how_each_file_is_stored() {
        let hub = Hub::with_demo();
        let sha256 = hub.upload_large(b"large");
        hub.commit(&[
            large("a.bin", &sha256, 5),
            file("b.txt", "b"),
            file(".gitignore", "*.tmp\n"),
        ])
        .expect(200);
        let ask = |token: &str, body: serde_json::Value, query: &str| {
            hub.post(
                token,
                &format!("/api/models/ada/demo/preupload/main{query}"),
                &body.to_string(),
            )
        };
        let body = json!({"files": [
            {"path": "a.bin", "size": 5, "sample": ""},
            {"path": "b.txt", "size": 1, "sample": ""},
            {"path": "c.txt", "size": 10 << 20, "sample": ""},
            {"path": "x/d.tmp", "size": 1, "sample": ""},
        ]});
        let reply = ask(ADA, body.clone(), "").expect(200).json();
        assert_eq!(
            reply["files"],
            json!([
                {"path": "a.bin", "uploadMode": "lfs", "shouldIgnore": false, "oid": sha256},
                {"path": "b.txt", "uploadMode": "regular", "shouldIgnore": false,
                 "oid": hub_types::GitOid::of(b"b").to_string()},
                {"path": "c.txt", "uploadMode": "lfs", "shouldIgnore": false},
                {"path": "x/d.tmp", "uploadMode": "regular", "shouldIgnore": true},
            ])
        );
        let own =
            json!({"files": [{"path": "x.tmp", "size": 1}], "gitIgnore": "", "gitAttributes": "*.tmp filter=lfs"});
        let reply = ask(ADA, own, "").expect(200).json();
        assert_eq!(
            reply["files"][0],
            json!({"path": "x.tmp", "uploadMode": "lfs", "shouldIgnore": false})
        );
        ask(BOB, body.clone(), "").expect(403);
        ask(BOB, body, "?create_pr=1").expect(200);
        ask(ADA, json!({"files": [{"path": "../x", "size": 1}]}), "").expect(400);
    }

    #[test]
    fn a_body_that_breaks_off_commits_nothing() {
        let hub = Hub::with_demo();
        let header = r#"{"key":"header","value":{"summary":"x","description":""}}"#;
        let body = format!("{header}\n{}\n", file("x", "x"));
        // Chunked, with an end that never comes: the connection is closed instead.
        let chunk = format!("{:x}\r\n{body}\r\nnonsense", body.len());
        let reply = send(
            hub.server.url(),
            "POST",
            ADA,
            COMMIT,
            &[("transfer-encoding", "chunked")],
            chunk.as_bytes(),
        );
        assert_eq!(reply.status, 400);
        assert_eq!(files(&hub, "main"), [".gitattributes"]);
    }
}
