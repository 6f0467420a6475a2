//! Changing a repository: preupload, commit, branches, tags, squash.

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use bytes::{Bytes, BytesMut};
use git2::Oid;
use http_body_util::BodyExt as _;
use hub_types::{RepoPath, Revision, Sha256};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::app::App;
use crate::error::{Error, Result};
use crate::routes::{Json, Params, Query, Target, done};
use crate::store::discussions::{NewDiscussion, pull_request_ref};
use crate::store::edit::TreeEdit;
use crate::store::git::{EntryKind, FILE_MODE, LARGE};
use crate::store::lfs::Pointer;
use crate::store::rules::{Ignore, attribute_line};
use crate::store::{GitRepo, Repo, Store};

/// Files that one preupload may ask about.
const PREUPLOAD_LIMIT: usize = 1000;

/// What a commit may hold.
const LFS_LIMIT: usize = 25_000;
const REGULAR_LIMIT: u64 = 1_000_000_000;

/// A line of a commit may be this long: the largest regular file in base64, and its path.
const LINE_LIMIT: usize = (LARGE as usize).div_ceil(3) * 4 + 64 * 1024;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/-api/{kind}/{id}/preupload/{rev}", post(preupload))
        .route("/-api/{kind}/{id}/commit/{rev}", post(commit))
        .route(
            "/-api/{kind}/{id}/branch/{rev}",
            post(create_branch).delete(delete_branch),
        )
        .route("/-api/{kind}/{id}/tag/{rev}", post(create_tag).delete(delete_tag))
        .route("/-api/{kind}/{id}/super-squash/{rev}", post(squash))
}

/// The full ref that a commit goes to: a branch or a pull request, which must be there.
fn target_ref(git: &GitRepo, rev: &str) -> Result<(String, Oid)> {
    let missing = || Error::RevisionNotFound(rev.to_owned());
    let checked: Revision = rev.parse().map_err(|_| missing())?;
    let name = match checked.as_str() {
        full if full.starts_with("refs/heads/")
            || full.starts_with("refs/pr/")
            || full.starts_with("refs/convert/") =>
        {
            full.to_owned()
        }
        branch => format!("refs/heads/{branch}"),
    };
    let at = git.ref_target(&name)?.ok_or_else(missing)?;
    Ok((name, at))
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
                Some(text) => crate::store::rules::Attributes::parse(text),
                None => git.attributes(commit)?,
            };
            let ignore = match body.git_ignore {
                Some(text) => text.into_bytes(),
                None => git.small_file(commit, ".gitignore")?.unwrap_or_default(),
            };
            let ignore = Ignore::parse(&String::from_utf8_lossy(&ignore));
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
                    if let Some(entry) = git.entry(commit, &path)?
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

/// One line of a commit.
#[derive(Deserialize)]
#[serde(tag = "key", content = "value", rename_all = "camelCase")]
enum Line {
    Header(Header),
    File(FileLine),
    LfsFile(LfsLine),
    DeletedFile(PathLine),
    DeletedFolder(PathLine),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    summary: String,
    #[serde(default)]
    description: String,
    parent_commit: Option<String>,
}

#[derive(Deserialize)]
struct FileLine {
    content: String,
    path: String,
    encoding: Option<String>,
}

#[derive(Deserialize)]
struct LfsLine {
    path: String,
    algo: Option<String>,
    oid: String,
    size: Option<u64>,
}

#[derive(Deserialize)]
struct PathLine {
    path: String,
}

/// A change of the tree, whose bytes are stored already.
enum Change {
    Put { path: RepoPath, blob: Oid },
    PutLarge { path: RepoPath, pointer: Pointer },
    Remove { path: RepoPath, folder: bool },
}

/// A commit's lines as read so far: bytes go to the object store line by line, so that a commit of a gigabyte takes the
/// memory of its longest line.
struct Draft<'a> {
    store: &'a Store,
    repo: &'a Repo,
    git: &'a GitRepo,
    header: Option<Header>,
    changes: Vec<Change>,
    regular: u64,
    large: usize,
}

impl Draft<'_> {
    fn take(&mut self, line: &[u8]) -> Result<()> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let number = self.changes.len() + 1;
        let line: Line = serde_json::from_slice(line)
            .map_err(|err| Error::bad_request(format!("invalid line {number} of the commit: {err}")))?;
        if !matches!(line, Line::Header(_)) && self.header.is_none() {
            return Err(Error::bad_request("the first line of a commit must be its header"));
        }
        match line {
            Line::Header(header) => {
                if self.header.is_some() {
                    return Err(Error::bad_request("a commit has one header"));
                }
                if header.summary.trim().is_empty() {
                    return Err(Error::bad_request("\"summary\" is not allowed to be empty"));
                }
                self.header = Some(header);
            }
            Line::File(file) => self.file(&file)?,
            Line::LfsFile(file) => self.large_file(&file)?,
            Line::DeletedFile(file) => {
                let path = RepoPath::for_commit(&file.path)?;
                self.changes.push(Change::Remove { path, folder: false });
            }
            Line::DeletedFolder(folder) => {
                let path = RepoPath::for_commit(folder.path.trim_end_matches('/'))?;
                self.changes.push(Change::Remove { path, folder: true });
            }
        }
        Ok(())
    }

    fn file(&mut self, file: &FileLine) -> Result<()> {
        let path = RepoPath::for_commit(&file.path)?;
        let bytes = match file.encoding.as_deref() {
            Some("base64") => base64::engine::general_purpose::STANDARD
                .decode(&file.content)
                .map_err(|_| Error::bad_request(format!("the content of {path} is not base64")))?,
            None | Some("utf-8") => file.content.clone().into_bytes(),
            Some(other) => return Err(Error::bad_request(format!("unknown encoding {other} of {path}"))),
        };
        if bytes.len() as u64 > LARGE {
            return Err(Error::bad_request(format!(
                "{path} is larger than 10 MiB: upload it as a large file (LFS)"
            )));
        }
        self.regular += bytes.len() as u64;
        if self.regular > REGULAR_LIMIT {
            return Err(Error::TooLarge(
                "a commit may have 1 GB of regular files at the most".to_owned(),
            ));
        }
        let blob = self.git.0.blob(&bytes)?;
        self.changes.push(Change::Put { path, blob });
        Ok(())
    }

    fn large_file(&mut self, file: &LfsLine) -> Result<()> {
        let path = RepoPath::for_commit(&file.path)?;
        if file.algo.as_deref().is_some_and(|algo| algo != "sha256") {
            return Err(Error::bad_request("\"algo\" must be sha256"));
        }
        let sha256: Sha256 = file.oid.parse()?;
        self.large += 1;
        if self.large > LFS_LIMIT {
            return Err(Error::TooLarge(format!(
                "a commit may have {LFS_LIMIT} large files at the most"
            )));
        }
        // A copy has no size: it is that of the file that was pushed.
        match self.store.db.lfs_size(self.repo, &sha256)? {
            Some(size) if file.size.is_none_or(|given| given == size) => {
                self.changes.push(Change::PutLarge {
                    path,
                    pointer: Pointer { sha256, size },
                });
                Ok(())
            }
            Some(size) => Err(Error::bad_request(format!(
                "the size of {path} is {size}, not {}",
                file.size.unwrap_or_default()
            ))),
            None => Err(Error::bad_request(format!(
                "LFS pointer pointed to a file that does not exist: {path} ({sha256}) was not uploaded"
            ))),
        }
    }

    /// The tree that the changes make of the one at `base`.
    fn tree(&self, base: Oid) -> Result<Oid> {
        let mut edit = TreeEdit::new(&self.git.0, self.git.tree_of(base)?);
        for change in &self.changes {
            match change {
                Change::Put { path, blob } => edit.put(path, *blob, FILE_MODE)?,
                Change::PutLarge { path, pointer } => {
                    edit.put(path, self.git.0.blob(pointer.text().as_bytes())?, FILE_MODE)?;
                }
                Change::Remove { path, folder } => {
                    if !edit.remove(path, *folder)? {
                        let what = if *folder { "folder" } else { "file" };
                        return Err(Error::entry(
                            format!("A {what} with this name doesn't exist: {path}"),
                            base,
                        ));
                    }
                }
            }
        }
        let tree = edit.write()?;
        self.attributes(tree)
    }

    /// Adds to `.gitattributes` the large files that it does not name yet: git-lfs would take their pointers for them.
    fn attributes(&self, tree: Oid) -> Result<Oid> {
        if self.large == 0 {
            return Ok(tree);
        }
        let git = &self.git.0;
        let name: RepoPath = ".gitattributes".parse()?;
        let mut text = match git.find_tree(tree)?.get_name(name.as_str()) {
            Some(entry) => String::from_utf8_lossy(git.find_blob(entry.id())?.content()).into_owned(),
            None => String::new(),
        };
        let rules = crate::store::rules::Attributes::parse(&text);
        let mut more = String::new();
        for change in &self.changes {
            if let Change::PutLarge { path, .. } = change
                && !rules.is_lfs(path.as_str())
            {
                more.push_str(&attribute_line(path.as_str()));
            }
        }
        if more.is_empty() {
            return Ok(tree);
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&more);
        let mut edit = TreeEdit::new(git, tree);
        edit.put(&name, git.blob(text.as_bytes())?, FILE_MODE)?;
        edit.write()
    }
}

/// What a commit came to.
struct Made {
    commit: Oid,
    pull_request: Option<u64>,
}

async fn commit(app: App, target: Target, params: Params, query: Query, request: Request) -> Result<Response> {
    let create_pr = query.flag("create_pr");
    let rev = params.get("rev")?.to_owned();
    let author = committer(&app, &target, &rev, create_pr).await?;
    let (lines, incoming) = mpsc::channel(2);
    let url = app.repo_url(&target.repo.id);
    let work = app.run(move |store| {
        let repo = &target.repo;
        let git = store.git(repo)?;
        // Before the body is read: nobody sends a gigabyte to learn that the branch is not there.
        target_ref(&git, &rev)?;
        let draft = Draft {
            store,
            repo,
            git: &git,
            header: None,
            changes: Vec::new(),
            regular: 0,
            large: 0,
        };
        make(draft, incoming, &rev, create_pr, &author)
    });
    // The lines come from this side while the other works on those it has.
    let (sent, made) = tokio::join!(send_lines(request, lines), work);
    let made = match (sent, made) {
        (_, Ok(made)) => made,
        // What the worker says counts more: the sender stopped because of it, unless it was the sender who stopped.
        (Err(err), Err(Error::Internal)) | (_, Err(err)) => return Err(err),
    };
    let mut reply = json!({
        "success": true,
        "commitOid": made.commit.to_string(),
        "commitUrl": format!("{url}/commit/{}", made.commit),
        "hookOutput": "",
    });
    if let Some(num) = made.pull_request {
        reply["pullRequestUrl"] = format!("{url}/discussions/{num}").into();
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

fn make(
    mut draft: Draft<'_>,
    mut incoming: mpsc::Receiver<Result<Bytes>>,
    rev: &str,
    create_pr: bool,
    author: &str,
) -> Result<Made> {
    while let Some(line) = incoming.blocking_recv() {
        draft.take(&line?)?;
    }
    let (store, repo, git) = (draft.store, draft.repo, draft.git);
    let Some(header) = draft.header.take() else {
        return Err(Error::bad_request("the first line of a commit must be its header"));
    };
    let message = match header.description.trim() {
        "" => header.summary.trim().to_owned(),
        description => format!("{}\n\n{description}", header.summary.trim()),
    };
    let made = store.locked(repo, || {
        let (name, head) = target_ref(git, rev)?;
        let base = match header.parent_commit.as_deref().filter(|parent| !parent.is_empty()) {
            None => head,
            Some(parent) => {
                let parent = parent_commit(git, parent)?;
                // A pull request starts where its author stood; a branch must still be there.
                if !create_pr && parent != head {
                    return Err(Error::Outdated);
                }
                parent
            }
        };
        let tree = draft.tree(base)?;
        let commit = git.commit(tree, &[base], author, &message)?;
        if create_pr {
            if !name.starts_with("refs/heads/") {
                return Err(Error::RevisionNotFound(rev.to_owned()));
            }
            let new = NewDiscussion {
                title: header.summary.trim(),
                description: header.description.trim(),
                author,
                status: "open",
                base: Some((&name, base)),
            };
            let num = store.open_pull_request(repo, git, &new)?;
            git.move_ref(&pull_request_ref(num), Some(base), commit, "commit")?;
            store.note_commits(repo, git, num, base, commit)?;
            return Ok(Made {
                commit,
                pull_request: Some(num),
            });
        }
        git.move_ref(&name, Some(head), commit, "commit")?;
        if let Some(num) = name.strip_prefix("refs/pr/").and_then(|num| num.parse().ok()) {
            store.note_commits(repo, git, num, head, commit)?;
        }
        Ok(Made {
            commit,
            pull_request: None,
        })
    })?;
    store.index(repo)?;
    Ok(made)
}

/// The parent that a commit names: 5 to 40 digits.
fn parent_commit(git: &GitRepo, text: &str) -> Result<Oid> {
    if !(5..=40).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Error::bad_request(
            "\"parentCommit\" must be 5 to 40 hexadecimal digits",
        ));
    }
    git.0
        .find_object_by_prefix(text, Some(git2::ObjectType::Commit))
        .map(|object| object.id())
        .map_err(|_| Error::Outdated)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateBranch {
    starting_point: Option<String>,
    #[serde(default)]
    overwrite: bool,
    #[serde(default)]
    empty_branch: bool,
}

/// The full ref of a branch or tag to be made.
fn new_ref(prefix: &str, name: &str) -> Result<String> {
    let checked: Revision = name.parse()?;
    let full = format!("{prefix}{checked}");
    if checked.as_str().starts_with("refs/") || !git2::Reference::is_valid_name(&full) {
        return Err(Error::bad_request(format!(
            "Invalid reference for a branch or tag: {name}"
        )));
    }
    Ok(full)
}

fn exists_already(full: &str) -> Error {
    Error::Conflict {
        message: format!("Reference already exists: {full}"),
        url: None,
    }
}

async fn create_branch(app: App, target: Target, params: Params, Json(body): Json<CreateBranch>) -> Result<Response> {
    let (target, author) = target.writable()?;
    let full = new_ref("refs/heads/", params.get("rev")?)?;
    target
        .run(&app, move |store, repo, git| {
            store.locked(repo, || {
                let start = if body.empty_branch {
                    let empty = git.0.treebuilder(None)?.write()?;
                    git.commit(empty, &[], &author, "initial commit")?
                } else {
                    git.resolve(body.starting_point.as_deref().unwrap_or("main"))?
                };
                match git.ref_target(&full)? {
                    Some(at) if body.overwrite => git.move_ref(&full, Some(at), start, "branch"),
                    Some(_) => Err(exists_already(&full)),
                    None => git.move_ref(&full, None, start, "branch"),
                }
            })?;
            store.index(repo)
        })
        .await?;
    Ok(done())
}

async fn delete_branch(app: App, target: Target, params: Params) -> Result<Response> {
    let (target, _) = target.writable()?;
    let name = params.get("rev")?.to_owned();
    if name == "main" {
        return Err(Error::forbidden("Cannot delete branch main"));
    }
    delete_ref(&app, target, new_ref("refs/heads/", &name)?, name).await
}

async fn delete_ref(app: &App, target: Target, full: String, name: String) -> Result<Response> {
    target
        .run(app, move |store, repo, git| {
            store.locked(repo, || match git.0.find_reference(&full) {
                Ok(mut reference) => Ok(reference.delete()?),
                Err(_) => Err(Error::RevisionNotFound(name)),
            })
        })
        .await?;
    Ok(done())
}

#[derive(Deserialize)]
struct CreateTag {
    tag: String,
    message: Option<String>,
}

async fn create_tag(app: App, target: Target, params: Params, Json(body): Json<CreateTag>) -> Result<Response> {
    let (target, author) = target.writable()?;
    let rev = params.get("rev")?.to_owned();
    let full = new_ref("refs/tags/", &body.tag)?;
    target
        .run(&app, move |store, repo, git| {
            store.locked(repo, || {
                let commit = git.resolve(&rev)?;
                if git.0.find_reference(&full).is_ok() {
                    return Err(exists_already(&full));
                }
                match body.message.as_deref().filter(|message| !message.is_empty()) {
                    None => git.move_ref(&full, None, commit, "tag"),
                    Some(message) => {
                        let who = git2::Signature::now(&author, &format!("{author}@users.noreply.hub"))?;
                        let object = git.0.find_object(commit, None)?;
                        git.0.tag(&body.tag, &object, &who, message, false)?;
                        Ok(())
                    }
                }
            })
        })
        .await?;
    Ok(done())
}

async fn delete_tag(app: App, target: Target, params: Params) -> Result<Response> {
    let (target, _) = target.writable()?;
    let name = params.get("rev")?.to_owned();
    delete_ref(&app, target, new_ref("refs/tags/", &name)?, name).await
}

#[derive(Deserialize)]
struct Squash {
    message: Option<String>,
}

async fn squash(app: App, target: Target, params: Params, Json(body): Json<Squash>) -> Result<Response> {
    let (target, author) = target.writable()?;
    let rev = params.get("rev")?.to_owned();
    target
        .run(&app, move |store, repo, git| {
            store.locked(repo, || {
                // A tag or a commit cannot be squashed; that there is one is the caller's mistake, not a missing branch.
                let (name, head) = target_ref(git, &rev).map_err(|err| match git.resolve(&rev) {
                    Ok(_) => Error::bad_request(format!("Cannot squash {rev}: it is not a branch")),
                    Err(_) => err,
                })?;
                let message = body.message.unwrap_or_else(|| format!("Super-squash branch '{rev}'"));
                let commit = git.commit(git.tree_of(head)?, &[], &author, &message)?;
                git.move_ref(&name, Some(head), commit, "squash")
            })?;
            store.index(repo)
        })
        .await?;
    Ok(done())
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
    fn branches_and_tags() {
        let hub = Hub::with_demo();
        let at = |what: &str, name: &str| format!("/api/models/ada/demo/{what}/{name}");
        hub.post(ADA, &at("branch", "feat%2Fx"), r#"{"startingPoint":"main"}"#)
            .expect(200);
        hub.post(ADA, &at("branch", "feat%2Fx"), "{}").expect(409);
        hub.post(ADA, &at("branch", "feat%2Fx"), r#"{"overwrite":true}"#)
            .expect(200);
        hub.post(ADA, &at("branch", "y"), r#"{"startingPoint":"nothing"}"#)
            .expect_code(404, "RevisionNotFound");
        hub.post(ADA, &at("branch", "refs%2Fpr%2F5"), "{}").expect(400);
        hub.post(ADA, &at("branch", "a%20b"), "{}").expect(400);
        hub.post(BOB, &at("branch", "z"), "{}").expect(403);
        hub.post("", &at("branch", "z"), "{}").expect(401);
        hub.commit_to("feat%2Fx", "", &[file("x", "x")]).expect(200);
        assert_eq!(files(&hub, "feat%2Fx"), [".gitattributes", "x"]);
        assert_eq!(files(&hub, "main"), [".gitattributes"]);
        hub.delete(ADA, &at("branch", "main")).expect(403);
        hub.delete(ADA, &at("branch", "feat%2Fx")).expect(200);
        hub.delete(ADA, &at("branch", "feat%2Fx"))
            .expect_code(404, "RevisionNotFound");

        hub.post(ADA, &at("tag", "main"), r#"{"tag":"v1"}"#).expect(200);
        hub.post(ADA, &at("tag", "main"), r#"{"tag":"v1"}"#).expect(409);
        hub.post(ADA, &at("tag", "v1"), r#"{"tag":"v2","message":"two"}"#)
            .expect(200);
        assert_eq!(files(&hub, "v2"), [".gitattributes"]);
        hub.post(ADA, &at("tag", "nothing"), r#"{"tag":"v3"}"#)
            .expect_code(404, "RevisionNotFound");
        hub.delete(ADA, &at("tag", "v2")).expect(200);
        hub.delete(ADA, &at("tag", "v2")).expect_code(404, "RevisionNotFound");
    }

    #[test]
    fn a_squashed_branch_has_one_commit() {
        let hub = Hub::with_demo();
        hub.commit(&[file("x", "x")]).expect(200);
        hub.post(ADA, "/api/models/ada/demo/tag/main", r#"{"tag":"v1"}"#)
            .expect(200);
        let squash = "/api/models/ada/demo/super-squash";
        hub.post(ADA, &format!("{squash}/main"), r#"{"message":"All of it"}"#)
            .expect(200);
        let commits = hub.get("", "/api/models/ada/demo/commits/main").json();
        assert_eq!(
            (commits.as_array().unwrap().len(), &commits[0]["title"]),
            (1, &json!("All of it"))
        );
        assert_eq!(files(&hub, "main"), [".gitattributes", "x"]);
        hub.post(ADA, &format!("{squash}/v1"), r#"{"message":"x"}"#).expect(400);
        hub.post(ADA, &format!("{squash}/nothing"), r#"{"message":"x"}"#)
            .expect_code(404, "RevisionNotFound");
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
