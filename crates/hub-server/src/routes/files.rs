//! Looking into a repository: tree, paths, refs, history, large files.

use axum::Router;
use axum::extract::{FromRequest as _, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use git2::Oid;
use http::header;
use hub_types::{RepoId, RepoPath, Sha256};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{Error, Result};
use crate::routes::{Json, OriginalPath, Params, Query, Target, cursor, done, page, read_cursor, whole_body};
use crate::store::git::{CommitInfo, Entry, EntryKind};
use crate::store::lookup::Lookup;
use crate::store::repos::Found;
use crate::store::{GitRepo, Store};

/// Entries of a page, without and with what `expand` adds.
const PAGE: usize = 1000;
const EXPANDED_PAGE: usize = 50;

/// Commits of a page, unless `limit` says otherwise.
const COMMITS_PAGE: usize = 50;

/// Paths that one request may ask about.
const PATHS_LIMIT: usize = 1000;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/-api/{kind}/{id}/tree/{rev}", get(tree))
        .route("/-api/{kind}/{id}/tree/{rev}/", get(tree))
        .route("/-api/{kind}/{id}/tree/{rev}/{*path}", get(tree))
        .route("/-api/{kind}/{id}/paths-info/{rev}", post(paths_info))
        .route("/-api/{kind}/{id}/refs", get(refs))
        .route("/-api/{kind}/{id}/commits/{rev}", get(commits))
        .route("/-api/{kind}/{id}/compare/{spec}", get(compare))
        .route("/-api/{kind}/{id}/lfs-files", get(lfs_files))
        .route("/-api/{kind}/{id}/lfs-files/batch", post(delete_lfs_files))
        .route("/-api/{kind}/{id}/lfs-files/duplicate", post(duplicate_lfs_files))
        .route("/-api/{kind}/{id}/lfs-files/{sha}", delete(delete_lfs_file))
}

/// An entry as tree and paths-info write it.
fn entry_json(entry: &Entry) -> Value {
    match &entry.kind {
        EntryKind::Folder => {
            json!({ "type": "directory", "oid": entry.oid.to_string(), "size": 0, "path": entry.path })
        }
        EntryKind::File { stored, pointer: None } => {
            json!({ "type": "file", "oid": entry.oid.to_string(), "size": stored, "path": entry.path })
        }
        EntryKind::File {
            stored,
            pointer: Some(pointer),
        } => json!({
            "type": "file",
            "oid": entry.oid.to_string(),
            "size": pointer.size,
            "lfs": { "oid": pointer.sha256.to_string(), "size": pointer.size, "pointerSize": stored },
            "path": entry.path,
        }),
    }
}

fn entries_json(store: &Store, git: &GitRepo, commit: Oid, entries: &[Entry], expand: bool) -> Result<Vec<Value>> {
    let mut items: Vec<Value> = entries.iter().map(entry_json).collect();
    for (item, entry) in items.iter_mut().zip(entries) {
        if let EntryKind::File {
            pointer: Some(pointer), ..
        } = &entry.kind
            && let Some(hash) = store.xet_hash(&pointer.sha256)?
        {
            item["xetHash"] = hash.to_string().into();
        }
    }
    if expand {
        let paths: Vec<&str> = entries.iter().map(|entry| &*entry.path).collect();
        for (item, last) in items.iter_mut().zip(git.last_commits(commit, &paths)?) {
            if let Some(last) = last {
                item["lastCommit"] = json!({
                    "id": last.id.to_string(), "title": last.title, "date": last.date.to_string()
                });
            }
            if item["type"] == "file" {
                item["securityFileStatus"] = json!({
                    "status": "unscanned", "avScan": null, "pickleImportScan": null
                });
            }
        }
    }
    Ok(items)
}

async fn tree(app: App, target: Target, params: Params, query: Query, given: OriginalPath) -> Result<Response> {
    let target = target.readable()?;
    let rev = params.get("rev")?.to_owned();
    let folder = params
        .optional("path")
        .map(|path| path.trim_end_matches('/'))
        .filter(|path| !path.is_empty())
        .map(str::parse::<RepoPath>)
        .transpose()?;
    let (recursive, expand) = (query.flag("recursive"), query.flag("expand"));
    let most = if expand { EXPANDED_PAGE } else { PAGE };
    let size = query.number("limit")?.unwrap_or(most).clamp(1, most);
    let from = query.get("cursor").map(read_cursor).transpose()?;
    let (items, next) = target
        .run(&app, move |store, _, git| {
            // A page goes on in the commit of the first one, though the branch may have moved.
            let (commit, skip) = match &from {
                None => (git.resolve(&rev)?, 0),
                Some(text) => {
                    let (commit, skip) = text
                        .split_once(':')
                        .ok_or_else(|| Error::bad_request("invalid cursor"))?;
                    let skip: usize = skip.parse().map_err(|_| Error::bad_request("invalid cursor"))?;
                    (git.resolve(commit)?, skip)
                }
            };
            let rows = git.list(commit, folder.as_ref(), recursive).map_err(|err| match err {
                Error::EntryNotFound { .. } => {
                    let folder = folder.as_ref().map(RepoPath::as_str).unwrap_or_default();
                    Error::entry(format!("{folder} does not exist on \"{rev}\""), commit)
                }
                err => err,
            })?;
            let total = rows.len();
            let entries = rows
                .into_iter()
                .skip(skip)
                .take(size)
                .map(|row| git.listed(row))
                .collect::<Result<Vec<_>>>()?;
            let end = skip + entries.len();
            let next = (end < total && !entries.is_empty()).then(|| cursor(&format!("{commit}:{end}")));
            Ok((entries_json(store, git, commit, &entries, expand)?, next))
        })
        .await?;
    Ok(page(&app, &given, &query, items, next))
}

#[derive(Deserialize)]
struct PathsInfo {
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    expand: bool,
}

async fn paths_info(app: App, target: Target, params: Params, request: Request) -> Result<Response> {
    let target = target.readable()?;
    let rev = params.get("rev")?.to_owned();
    let is_form = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
    let wanted = if is_form {
        let form = Query::parse(&whole_body(request).await?);
        PathsInfo {
            paths: form.all("paths").map(str::to_owned).collect(),
            expand: form.flag("expand"),
        }
    } else {
        Json::<PathsInfo>::from_request(request, &app).await?.0
    };
    if wanted.paths.len() > PATHS_LIMIT {
        return Err(Error::TooLarge("too many parameters".to_owned()));
    }
    let items = target
        .run(&app, move |store, _, git| {
            let commit = git.resolve(&rev)?;
            let mut there = Lookup::new(git, commit)?;
            let mut entries = Vec::new();
            for path in &wanted.paths {
                // What cannot be a path is not there.
                let path = path.trim_matches('/').parse::<RepoPath>();
                if let Ok(path) = path
                    && let Some(entry) = there.entry(&path)?
                {
                    entries.push(entry);
                }
            }
            entries_json(store, git, commit, &entries, wanted.expand)
        })
        .await?;
    Ok(axum::Json(items).into_response())
}

async fn refs(app: App, target: Target, query: Query) -> Result<Response> {
    let with_prs = query.flag("include_prs") || query.flag("include_pull_requests");
    let reply = target
        .run(&app, move |_, _, git| {
            let (mut branches, mut tags, mut converts, mut prs) = (vec![], vec![], vec![], vec![]);
            for found in git.refs()? {
                let (list, prefix) = if found.full.starts_with("refs/heads/") {
                    (&mut branches, "refs/heads/")
                } else if found.full.starts_with("refs/tags/") {
                    (&mut tags, "refs/tags/")
                } else if found.full.starts_with("refs/convert/") {
                    (&mut converts, "refs/convert/")
                } else if found.full.starts_with("refs/pr/") {
                    (&mut prs, "refs/pr/")
                } else {
                    continue;
                };
                list.push(json!({
                    "name": found.full[prefix.len()..],
                    "ref": found.full,
                    "targetCommit": found.commit.to_string(),
                }));
            }
            let mut reply = json!({ "branches": branches, "converts": converts, "tags": tags });
            if with_prs {
                reply["pullRequests"] = prs.into();
            }
            Ok(reply)
        })
        .await?;
    Ok(axum::Json(reply).into_response())
}

fn commit_json(commit: &CommitInfo, formatted: bool) -> Value {
    let mut item = json!({
        "id": commit.id.to_string(),
        "title": commit.title,
        "message": commit.message,
        "date": commit.date.to_string(),
        "authors": [{ "user": commit.author, "avatar": format!("/avatars/{}.svg", commit.author) }],
    });
    if formatted {
        let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        item["formatted"] = json!({ "title": escape(&commit.title), "message": escape(&commit.message) });
    }
    item
}

async fn commits(app: App, target: Target, params: Params, query: Query, given: OriginalPath) -> Result<Response> {
    let target = target.readable()?;
    let rev = params.get("rev")?.to_owned();
    let formatted = query.all("expand").any(|word| word == "formatted");
    let size = query.number("limit")?.unwrap_or(COMMITS_PAGE).clamp(1, PAGE);
    let from = query.get("cursor").map(read_cursor).transpose()?;
    let (items, next) = target
        .run(&app, move |_, _, git| {
            // The cursor is the first commit of the page's walk and how many of it were shown.
            let (start, skip) = match &from {
                None => (git.resolve(&rev)?, 0),
                Some(text) => {
                    let (start, skip) = text
                        .split_once(':')
                        .ok_or_else(|| Error::bad_request("invalid cursor"))?;
                    let skip: usize = skip.parse().map_err(|_| Error::bad_request("invalid cursor"))?;
                    (git.resolve(start)?, skip)
                }
            };
            let mut found = git.history(start, skip, size + 1)?;
            let more = found.len() > size;
            found.truncate(size);
            let next = more.then(|| cursor(&format!("{start}:{}", skip + size)));
            let items = found.iter().map(|commit| commit_json(commit, formatted)).collect();
            Ok((items, next))
        })
        .await?;
    Ok(page(&app, &given, &query, items, next))
}

async fn compare(app: App, target: Target, params: Params, query: Query) -> Result<String> {
    let target = target.readable()?;
    let spec = params.get("spec")?.to_owned();
    let raw = query.flag("raw");
    target
        .run(&app, move |_, _, git| {
            let (from, to) = spec
                .split_once("...")
                .or_else(|| spec.split_once(".."))
                .ok_or_else(|| Error::bad_request("the comparison must be revA..revB"))?;
            let (from, to) = (git.resolve(from)?, git.resolve(to)?);
            if !raw {
                return crate::store::discussions::diff(git, from, to);
            }
            let (old, new) = (git.0.find_tree(git.tree_of(from)?)?, git.0.find_tree(git.tree_of(to)?)?);
            let mut diff = git.0.diff_tree_to_tree(Some(&old), Some(&new), None)?;
            diff.find_similar(None)?;
            let mut text = String::new();
            for delta in diff.deltas() {
                text.push_str(&raw_line(git, &delta));
            }
            Ok(text)
        })
        .await
}

/// One line of the raw comparison, as `git diff-tree --raw` writes it, with what kind of file it is and its size.
fn raw_line(git: &GitRepo, delta: &git2::DiffDelta<'_>) -> String {
    let (old, new) = (delta.old_file(), delta.new_file());
    let letter = match delta.status() {
        git2::Delta::Added => "A".to_owned(),
        git2::Delta::Deleted => "D".to_owned(),
        git2::Delta::Renamed => "R100".to_owned(),
        git2::Delta::Copied => "C100".to_owned(),
        git2::Delta::Typechange => "T".to_owned(),
        _ => "M".to_owned(),
    };
    let blob = git.0.find_blob(new.id()).ok();
    let size = blob.as_ref().map_or(0, git2::Blob::size);
    let text = blob.as_ref().is_none_or(|blob| !blob.is_binary());
    let name = |file: &git2::DiffFile<'_>| {
        file.path_bytes()
            .map(|path| String::from_utf8_lossy(path).into_owned())
            .unwrap_or_default()
    };
    let paths = match delta.status() {
        git2::Delta::Renamed | git2::Delta::Copied => format!("{}\t{}", name(&old), name(&new)),
        git2::Delta::Deleted => name(&old),
        _ => name(&new),
    };
    format!(
        "{} {size}\t:{:06o} {:06o} {}... {}... {letter}\t{paths}\n",
        if text { 'T' } else { 'B' },
        u32::from(old.mode()),
        u32::from(new.mode()),
        old.id(),
        new.id(),
    )
}

async fn lfs_files(app: App, target: Target, query: Query, given: OriginalPath) -> Result<Response> {
    let (target, _) = target.writable()?;
    let size = query.number("limit")?.unwrap_or(PAGE).clamp(1, PAGE);
    let skip = match query.get("cursor").map(read_cursor).transpose()? {
        Some(text) => text.parse().map_err(|_| Error::bad_request("invalid cursor"))?,
        None => 0usize,
    };
    let (items, next) = target
        .run(&app, move |store, repo, git| {
            let all = store.db.lfs_files(repo)?;
            let named = git.files(git.resolve("main")?)?;
            let total = all.len();
            let items: Vec<Value> = all
                .into_iter()
                .skip(skip)
                .take(size)
                .map(|file| {
                    let at = named.iter().find(|entry| {
                        matches!(&entry.kind, EntryKind::File { pointer: Some(pointer), .. } if pointer.sha256 == file.sha256)
                    });
                    let mut item = json!({
                        "fileOid": file.sha256.to_string(),
                        "oid": at.map_or_else(|| file.sha256.to_string(), |entry| entry.oid.to_string()),
                        "filename": at.map(|entry| entry.path.clone()).unwrap_or_default(),
                        "pushedAt": file.pushed,
                        "size": file.size,
                    });
                    if at.is_some() {
                        item["ref"] = "refs/heads/main".into();
                    }
                    item
                })
                .collect();
            let end = skip + items.len();
            Ok((items, (end < total).then(|| cursor(&end.to_string()))))
        })
        .await?;
    Ok(page(&app, &given, &query, items, next))
}

#[derive(Deserialize)]
struct DeleteLfs {
    deletions: Deletions,
}

#[derive(Deserialize)]
struct Deletions {
    sha: Vec<String>,
}

/// Takes large files away from a repository. The pointers in its history stay, and lead nowhere from now on.
async fn delete_lfs_files(app: App, target: Target, Json(body): Json<DeleteLfs>) -> Result<Response> {
    let (target, _) = target.writable()?;
    let wanted = body
        .deletions
        .sha
        .iter()
        .map(|text| text.parse())
        .collect::<Result<Vec<Sha256>, _>>()?;
    target
        .run(&app, move |store, repo, _| {
            store.drop_blobs(repo, &wanted)?;
            store.index(repo)
        })
        .await?;
    Ok(done())
}

#[derive(Deserialize)]
struct DuplicateLfs {
    target: DuplicateTarget,
    files: Vec<DuplicateFile>,
}

#[derive(Deserialize)]
struct DuplicateTarget {
    r#type: String,
    name: String,
}

#[derive(Deserialize)]
struct DuplicateFile {
    sha256: String,
}

/// Gives another repository large files of this one, so that a commit there can refer to them.
async fn duplicate_lfs_files(app: App, target: Target, Json(body): Json<DuplicateLfs>) -> Result<Response> {
    let target = target.readable()?;
    let to = RepoId::new(body.target.r#type.parse()?, &body.target.name)?;
    let failed = app
        .run(move |store| {
            let missing = || target.caller.no_such_repo();
            let to = match store.db.repo(&to)? {
                Some(Found::Here(repo) | Found::Moved(repo)) => *repo,
                None => return Err(missing()),
            };
            target.caller.check_write(&to)?;
            let mut failed = Vec::new();
            for file in body.files {
                let given = file
                    .sha256
                    .parse()
                    .ok()
                    .map(|sha256| store.give_blob(&target.repo, &to, &sha256));
                if !given.transpose()?.unwrap_or(false) {
                    failed.push(json!({ "sha256": file.sha256, "error": "the repository has no such file" }));
                }
            }
            Ok(failed)
        })
        .await?;
    Ok(axum::Json(json!({ "failed": failed })).into_response())
}

async fn delete_lfs_file(app: App, target: Target, params: Params) -> Result<Response> {
    let (target, _) = target.writable()?;
    let sha256: Sha256 = params.get("sha")?.parse()?;
    target
        .run(&app, move |store, repo, _| {
            if store.drop_blobs(repo, &[sha256])? == 0 {
                return Err(Error::NotFound("LFS file not found".to_owned()));
            }
            store.index(repo)
        })
        .await?;
    Ok(done())
}

#[cfg(test)]
mod tests;
