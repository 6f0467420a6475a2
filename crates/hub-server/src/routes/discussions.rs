//! Discussions and pull requests.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{Error, Result};
use crate::routes::{Json, Params, Query, Target, done};
use crate::store::discussions::{Discussion, Event, NewDiscussion, conflicts, diff, pull_request_ref};
use crate::store::{GitRepo, Repo};

/// Discussions of a page.
const PAGE: usize = 50;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/-api/{kind}/{id}/discussions", get(list).post(create))
        .route("/-api/{kind}/{id}/discussions/{num}", get(details))
        .route("/-api/{kind}/{id}/discussions/{num}/comment", post(comment))
        .route("/-api/{kind}/{id}/discussions/{num}/status", post(status))
        .route("/-api/{kind}/{id}/discussions/{num}/merge", post(merge))
}

fn discussion_json(repo: &Repo, discussion: &Discussion) -> Value {
    json!({
        "num": discussion.num,
        "title": discussion.title,
        "status": discussion.status,
        "isPullRequest": discussion.pull_request,
        "createdAt": discussion.created,
        "author": { "name": discussion.author, "type": "user" },
        "repo": { "name": repo.id.id(), "type": repo.id.repo_type().as_str() },
        "repoOwner": { "name": repo.namespace() },
        "pinned": false,
    })
}

fn event_json(event: &Event) -> Value {
    json!({
        "id": event.id,
        "type": event.kind,
        "createdAt": event.created,
        "author": { "name": event.author, "type": "user" },
        "data": event.data,
    })
}

async fn list(State(app): State<App>, target: Target, query: Query) -> Result<Response> {
    let page = query.number("p")?.unwrap_or(0);
    let reply = target
        .run(&app, move |store, repo, _| {
            let wanted = |d: &Discussion| {
                let kind = match query.get("type") {
                    Some("discussion") => !d.pull_request,
                    Some("pull_request") => d.pull_request,
                    _ => true,
                };
                let status = match query.get("status") {
                    Some("open") => matches!(&*d.status, "open" | "draft"),
                    Some("closed") => matches!(&*d.status, "closed" | "merged"),
                    _ => true,
                };
                let author = query.get("author").is_none_or(|author| author == d.author);
                kind && status && author
            };
            let all: Vec<Discussion> = store.db.discussions(repo)?.into_iter().filter(wanted).collect();
            let start = page.saturating_mul(PAGE).min(all.len());
            let shown: Vec<Value> = all[start..]
                .iter()
                .take(PAGE)
                .map(|d| discussion_json(repo, d))
                .collect();
            Ok(json!({ "discussions": shown, "count": all.len(), "start": start, "numClosedDiscussions": 0 }))
        })
        .await?;
    Ok(axum::Json(reply).into_response())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Create {
    title: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    pull_request: bool,
}

async fn create(State(app): State<App>, target: Target, Json(body): Json<Create>) -> Result<Response> {
    target.caller.check_content(&target.repo)?;
    let author = target.caller.writer()?.name.clone();
    let title = body.title.trim().to_owned();
    if !(3..=200).contains(&title.chars().count()) {
        return Err(Error::bad_request("\"title\" must have 3 to 200 characters"));
    }
    let url = app.repo_url(&target.repo.id);
    let num = target
        .run(&app, move |store, repo, git| {
            store.locked(repo, || {
                let base = git.resolve("main")?;
                let new = NewDiscussion {
                    title: &title,
                    description: body.description.trim(),
                    author: &author,
                    status: if body.pull_request { "draft" } else { "open" },
                    base: body.pull_request.then_some(("refs/heads/main", base)),
                };
                if body.pull_request {
                    store.open_pull_request(repo, git, &new)
                } else {
                    store.db.create_discussion(repo, &new)
                }
            })
        })
        .await?;
    Ok(
        axum::Json(json!({ "num": num, "pullRequest": body.pull_request, "url": format!("{url}/discussions/{num}") }))
            .into_response(),
    )
}

async fn details(State(app): State<App>, target: Target, params: Params, query: Query) -> Result<Response> {
    let target = target.readable()?;
    let num = params.number("num")?;
    let with_diff = query.flag("diff");
    let reply = target
        .run(&app, move |store, repo, git| {
            let discussion = store.db.discussion(repo, num)?;
            let events: Vec<Value> = store.db.events(repo, num)?.iter().map(event_json).collect();
            let mut reply = discussion_json(repo, &discussion);
            reply["events"] = events.into();
            if discussion.pull_request {
                add_changes(&mut reply, git, &discussion, with_diff)?;
            }
            Ok(reply)
        })
        .await?;
    Ok(axum::Json(reply).into_response())
}

fn add_changes(reply: &mut Value, git: &GitRepo, discussion: &Discussion, with_diff: bool) -> Result<()> {
    let base = discussion.base.as_deref().unwrap_or("refs/heads/main");
    reply["changes"] = json!({ "base": base });
    if let Some(merged) = &discussion.merge_commit {
        reply["changes"]["mergeCommitId"] = merged.as_str().into();
    }
    reply["filesWithConflicts"] = json!([]);
    let (Ok(into), Ok(head)) = (git.resolve(base), git.resolve(&pull_request_ref(discussion.num))) else {
        return Ok(());
    };
    if discussion.merge_commit.is_none() {
        reply["filesWithConflicts"] = conflicts(git, into, head)?.into();
    }
    if with_diff {
        reply["diff"] = diff(git, into, head)?.into();
    }
    Ok(())
}

#[derive(Deserialize)]
struct Comment {
    comment: String,
}

fn comment_data(text: &str, author: &str) -> Value {
    json!({
        "edited": false,
        "hidden": false,
        "latest": {
            "raw": text,
            "html": format!("<p>{}</p>", text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")),
            "updatedAt": crate::clock::now().to_string(),
            "author": { "name": author },
        },
        "history": [],
    })
}

async fn comment(
    State(app): State<App>,
    target: Target,
    params: Params,
    Json(body): Json<Comment>,
) -> Result<Response> {
    target.caller.check_content(&target.repo)?;
    let author = target.caller.writer()?.name.clone();
    let num = params.number("num")?;
    if body.comment.trim().is_empty() {
        return Err(Error::bad_request("\"comment\" is not allowed to be empty"));
    }
    let event = target
        .run(&app, move |store, repo, _| {
            store.db.discussion(repo, num)?;
            let data = comment_data(&body.comment, &author);
            store.db.add_event(repo, num, "comment", &author, &data)
        })
        .await?;
    Ok(axum::Json(json!({ "newMessage": event_json(&event) })).into_response())
}

#[derive(Deserialize)]
struct Status {
    status: String,
    comment: Option<String>,
}

async fn status(State(app): State<App>, target: Target, params: Params, Json(body): Json<Status>) -> Result<Response> {
    target.caller.check_content(&target.repo)?;
    let account = target.caller.writer()?.clone();
    let num = params.number("num")?;
    if !matches!(&*body.status, "open" | "closed") {
        return Err(Error::bad_request("\"status\" must be one of [open, closed]"));
    }
    let event = target
        .run(&app, move |store, repo, _| {
            let discussion = store.db.discussion(repo, num)?;
            if discussion.author != account.name && !account.belongs_to(repo.namespace()) {
                return Err(Error::forbidden(
                    "Only its author or the repository's owner may do this",
                ));
            }
            if discussion.status == "merged" || discussion.status == body.status {
                return Err(Error::bad_request(format!("It is {} already", discussion.status)));
            }
            if let Some(text) = body.comment.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
                let data = comment_data(text, &account.name);
                store.db.add_event(repo, num, "comment", &account.name, &data)?;
            }
            store.db.set_status(repo, num, &body.status, &account.name)
        })
        .await?;
    Ok(axum::Json(json!({ "newStatus": event_json(&event) })).into_response())
}

#[derive(Deserialize)]
struct Merge {
    comment: Option<String>,
}

async fn merge(State(app): State<App>, target: Target, params: Params, Json(body): Json<Merge>) -> Result<Response> {
    let (target, author) = target.writable()?;
    let num = params.number("num")?;
    target
        .run(&app, move |store, repo, _| {
            store.merge(repo, num, &author)?;
            if let Some(text) = body.comment.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
                let data = comment_data(text, &author);
                store.db.add_event(repo, num, "comment", &author, &data)?;
            }
            Ok(())
        })
        .await?;
    Ok(done())
}
