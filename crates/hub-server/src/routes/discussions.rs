//! Discussions and pull requests.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::Account;
use crate::error::{Error, Result};
use crate::routes::{Json, Params, Query, Target, done};
use crate::store::discussions::{Discussion, Event, NewDiscussion, comment_data, conflicts, diff, pull_request_ref};
use crate::store::{GitRepo, Repo};

/// Discussions of a page.
const PAGE: usize = 50;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/-api/{kind}/{id}/discussions", get(list).post(create))
        .route("/-api/{kind}/{id}/discussions/{num}", get(details).delete(remove))
        .route("/-api/{kind}/{id}/discussions/{num}/ref", delete(remove_ref))
        .route("/-api/{kind}/{id}/discussions/{num}/title", post(rename))
        .route("/-api/{kind}/{id}/discussions/{num}/pin", post(pin))
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
        "pinned": discussion.pinned,
        "numComments": discussion.comments,
    })
}

pub(super) fn event_json(event: &Event) -> Value {
    json!({
        "id": event.id,
        "type": event.kind,
        "createdAt": event.created,
        "author": { "name": event.author, "type": "user" },
        "data": event.data,
    })
}

async fn list(app: App, target: Target, query: Query) -> Result<Response> {
    let page = query.number("p")?.unwrap_or(0);
    for (key, known) in [
        ("type", ["all", "discussion", "pull_request"]),
        ("status", ["all", "open", "closed"]),
    ] {
        if query.get(key).is_some_and(|value| !known.contains(&value)) {
            let known = known.join(", ");
            return Err(Error::bad_request(format!("\"{key}\" must be one of [{known}]")));
        }
    }
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
                let author = query
                    .get("author")
                    .is_none_or(|author| author.eq_ignore_ascii_case(&d.author));
                kind && status && author
            };
            let all: Vec<Discussion> = store.db.discussions(repo)?.into_iter().filter(wanted).collect();
            let start = page.saturating_mul(PAGE).min(all.len());
            let shown: Vec<Value> = all[start..]
                .iter()
                .take(PAGE)
                .map(|d| discussion_json(repo, d))
                .collect();
            Ok(json!({ "discussions": shown, "count": all.len(), "start": start }))
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

async fn create(app: App, target: Target, Json(body): Json<Create>) -> Result<Response> {
    target.caller.check_content(&target.repo)?;
    let author = target.caller.writer()?.name.clone();
    let title = checked_title(&body.title)?;
    let url = app.repo_url(&target.repo.id);
    let repo = target.repo.clone();
    let made = target
        .run(&app, move |store, repo, git| {
            let num = store.locked(repo, || {
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
            })?;
            store.db.discussion(repo, num)
        })
        .await?;
    let num = made.num;
    app.announce_discussion("create", &repo, made, None);
    Ok(
        axum::Json(json!({ "num": num, "pullRequest": body.pull_request, "url": format!("{url}/discussions/{num}") }))
            .into_response(),
    )
}

fn checked_title(title: &str) -> Result<String> {
    let title = title.trim();
    match title.chars().count() {
        0..3 => Err(Error::bad_request(
            "\"title\" length must be at least 3 characters long",
        )),
        201.. => Err(Error::bad_request(
            "\"title\" length must be less than or equal to 200 characters long",
        )),
        _ => Ok(title.to_owned()),
    }
}

/// What the author of a thing may do with it, and the repository's owner.
pub(super) fn check_author(author: &str, account: &Account, repo: &Repo) -> Result<()> {
    if author == account.name || account.belongs_to(repo.namespace()) {
        return Ok(());
    }
    Err(Error::forbidden(
        "Only its author or the repository's owner may do this",
    ))
}

async fn details(app: App, target: Target, params: Params, query: Query) -> Result<Response> {
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
struct Rename {
    title: String,
}

async fn rename(app: App, target: Target, params: Params, Json(body): Json<Rename>) -> Result<Response> {
    target.caller.check_content(&target.repo)?;
    let account = target.caller.writer()?.clone();
    let (num, title) = (params.number("num")?, checked_title(&body.title)?);
    let repo = target.repo.clone();
    let (discussion, event) = target
        .run(&app, move |store, repo, _| {
            check_author(&store.db.discussion(repo, num)?.author, &account, repo)?;
            let event = store.db.rename_discussion(repo, num, &title, &account.name)?;
            Ok((store.db.discussion(repo, num)?, event))
        })
        .await?;
    app.announce_discussion("update", &repo, discussion, None);
    Ok(axum::Json(json!({ "newTitle": event_json(&event) })).into_response())
}

#[derive(Deserialize)]
struct Pin {
    pinned: bool,
}

async fn pin(app: App, target: Target, params: Params, Json(body): Json<Pin>) -> Result<Response> {
    let (target, _) = target.writable()?;
    let num = params.number("num")?;
    let repo = target.repo.clone();
    let discussion = target
        .run(&app, move |store, repo, _| {
            store.db.discussion(repo, num)?;
            store.db.pin_discussion(repo, num, body.pinned)?;
            store.db.discussion(repo, num)
        })
        .await?;
    app.announce_discussion("update", &repo, discussion, None);
    Ok(axum::Json(json!({ "pinned": body.pinned })).into_response())
}

#[derive(Deserialize)]
struct Status {
    status: String,
    comment: Option<String>,
}

async fn status(app: App, target: Target, params: Params, Json(body): Json<Status>) -> Result<Response> {
    target.caller.check_content(&target.repo)?;
    let account = target.caller.writer()?.clone();
    let num = params.number("num")?;
    if !matches!(&*body.status, "open" | "closed") {
        return Err(Error::bad_request("\"status\" must be one of [open, closed]"));
    }
    let repo = target.repo.clone();
    let (discussion, event) = target
        .run(&app, move |store, repo, git| {
            let discussion = store.db.discussion(repo, num)?;
            check_author(&discussion.author, &account, repo)?;
            if discussion.status == "merged" || discussion.status == body.status {
                return Err(Error::bad_request(format!("It is {} already", discussion.status)));
            }
            if discussion.pull_request && body.status == "open" && git.resolve(&pull_request_ref(num)).is_err() {
                return Err(Error::bad_request("Its ref has been deleted: it cannot be opened"));
            }
            if let Some(text) = body.comment.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
                let data = comment_data(text, &account.name);
                store.db.add_event(repo, num, "comment", &account.name, &data)?;
            }
            let event = store.db.set_status(repo, num, &body.status, &account.name)?;
            Ok((store.db.discussion(repo, num)?, event))
        })
        .await?;
    app.announce_discussion("update", &repo, discussion, None);
    Ok(axum::Json(json!({ "newStatus": event_json(&event) })).into_response())
}

#[derive(Deserialize)]
struct Merge {
    comment: Option<String>,
}

async fn merge(app: App, target: Target, params: Params, Json(body): Json<Merge>) -> Result<Response> {
    let (target, author) = target.writable()?;
    let num = params.number("num")?;
    let repo = target.repo.clone();
    let discussion = target
        .run(&app, move |store, repo, _| {
            store.merge(repo, num, &author)?;
            if let Some(text) = body.comment.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
                let data = comment_data(text, &author);
                store.db.add_event(repo, num, "comment", &author, &data)?;
            }
            store.db.discussion(repo, num)
        })
        .await?;
    app.announce_discussion("update", &repo, discussion, None);
    Ok(done())
}

/// The owner may remove a discussion with all that was said in it. Its number is not given again.
async fn remove(app: App, target: Target, params: Params) -> Result<Response> {
    let (target, _) = target.writable()?;
    let num = params.number("num")?;
    let repo = target.repo.clone();
    let discussion = target
        .run(&app, move |store, repo, git| {
            store.locked(repo, || {
                let discussion = store.db.discussion(repo, num)?;
                store.db.delete_discussion(repo, num)?;
                drop_ref(git, num)?;
                Ok(discussion)
            })
        })
        .await?;
    app.announce_discussion("delete", &repo, discussion, None);
    Ok(done())
}

/// The commits of a pull request that is over may be let go of; what was said about them stays.
async fn remove_ref(app: App, target: Target, params: Params) -> Result<Response> {
    let (target, _) = target.writable()?;
    let num = params.number("num")?;
    target
        .run(&app, move |store, repo, git| {
            store.locked(repo, || {
                let discussion = store.db.discussion(repo, num)?;
                if !discussion.pull_request {
                    return Err(Error::bad_request("This discussion is not a pull request"));
                }
                if !matches!(&*discussion.status, "closed" | "merged") {
                    return Err(Error::bad_request(
                        "Close or merge the pull request before its ref is deleted",
                    ));
                }
                drop_ref(git, num)
            })
        })
        .await?;
    Ok(done())
}

fn drop_ref(git: &GitRepo, num: u64) -> Result<()> {
    match git.0.find_reference(&pull_request_ref(num)) {
        Ok(mut reference) => Ok(reference.delete()?),
        Err(err) if err.code() == git2::ErrorCode::NotFound => Ok(()),
        Err(err) => Err(err.into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{ADA, BOB, EVE, Hub, file};

    const AT: &str = "/api/models/ada/demo/discussions";

    #[test]
    fn who_cannot_write_proposes() {
        let hub = Hub::with_demo();
        let header = r#"{"key":"header","value":{"summary":"Fix it","description":"Because"}}"#;
        let body = format!("{header}\n{}", file("fix.txt", "fix"));
        let commit = "/api/models/ada/demo/commit/main";
        hub.post(BOB, commit, &body).expect(403);
        hub.post(EVE, &format!("{commit}?create_pr=1"), &body).expect(403);
        let made = hub
            .post(BOB, &format!("{commit}?create_pr=1"), &body)
            .expect(200)
            .json();
        assert_eq!(
            made["pullRequestUrl"],
            format!("{}/ada/demo/discussions/1", hub.server.url())
        );
        hub.get("", "/ada/demo/raw/main/fix.txt").expect(404);
        hub.get("", "/ada/demo/raw/refs%2Fpr%2F1/fix.txt").expect(200);

        let details = hub.get("", &format!("{AT}/1?diff=1")).expect(200).json();
        assert_eq!(
            (&details["status"], &details["title"]),
            (&json!("open"), &json!("Fix it"))
        );
        assert_eq!(details["author"]["name"], "bob");
        assert_eq!(details["changes"], json!({"base": "refs/heads/main"}));
        assert_eq!(details["filesWithConflicts"], json!([]));
        assert!(details["diff"].as_str().unwrap().contains("+fix"));
        assert_eq!(details["events"][0]["data"]["latest"]["raw"], "Because");
        assert_eq!(details["events"][1]["data"]["oid"], made["commitOid"]);

        // Who opened it may go on with it; nobody else who cannot write.
        let more = format!("{header}\n{}", file("more.txt", "more"));
        hub.post(BOB, "/api/models/ada/demo/commit/refs%2Fpr%2F1", &more)
            .expect(200);
        hub.post(EVE, "/api/models/ada/demo/commit/refs%2Fpr%2F1", &more)
            .expect(403);
        hub.post(BOB, &format!("{AT}/1/merge"), "").expect(403);
        hub.post(ADA, &format!("{AT}/1/merge"), "").expect(200);
        hub.get("", "/ada/demo/raw/main/more.txt").expect(200);
        let details = hub.get("", &format!("{AT}/1")).expect(200).json();
        assert_eq!(details["status"], "merged");
        let head = hub.get("", "/api/models/ada/demo").json()["sha"].clone();
        assert_eq!(details["changes"]["mergeCommitId"], head);
        hub.post(ADA, &format!("{AT}/1/merge"), "").expect(400);
    }

    #[test]
    fn a_draft_is_opened_before_it_is_merged() {
        let hub = Hub::with_demo();
        let body = r#"{"title":" A draft ","description":"d","pullRequest":true}"#;
        assert_eq!(hub.post(ADA, AT, body).expect(200).json()["num"], 1);
        assert_eq!(hub.get("", &format!("{AT}/1")).json()["status"], "draft");
        hub.post(ADA, &format!("{AT}/1/merge"), "").expect(400);
        let opened = hub
            .post(ADA, &format!("{AT}/1/status"), r#"{"status":"open"}"#)
            .expect(200)
            .json();
        assert_eq!(opened["newStatus"]["data"]["status"], "open");
        hub.post(ADA, &format!("{AT}/1/merge"), r#"{"comment":"thanks"}"#)
            .expect(200);
        hub.post(ADA, AT, r#"{"title":"ab","description":""}"#).expect(400);
        hub.post(ADA, AT, r#"{"title":"A question","description":"why?"}"#)
            .expect(200);
        hub.post(BOB, &format!("{AT}/2/comment"), r#"{"comment":"because"}"#)
            .expect(200);
        let list = hub.get("", AT).expect(200).json();
        assert_eq!((&list["count"], &list["start"]), (&json!(2), &json!(0)));
        let list = hub
            .get("", &format!("{AT}?type=pull_request&status=closed"))
            .expect(200)
            .json();
        assert_eq!(list["discussions"][0]["num"], 1);
        hub.get("", &format!("{AT}/3")).expect(404);
        hub.get("", &format!("{AT}/x")).expect(400);
    }

    #[test]
    fn both_sides_changed_the_same_lines() {
        let hub = Hub::with_demo();
        hub.commit(&[file("x.txt", "one\n")]).expect(200);
        hub.commit_to("main", "?create_pr=1", &[file("x.txt", "two\n")])
            .expect(200);
        hub.commit(&[file("x.txt", "three\n")]).expect(200);
        assert_eq!(
            hub.get("", &format!("{AT}/1")).json()["filesWithConflicts"],
            json!(["x.txt"])
        );
        hub.post(ADA, &format!("{AT}/1/merge"), "").expect(409);
    }

    #[test]
    fn titles_change_and_pinned_ones_come_first() {
        let hub = Hub::with_demo();
        for title in ["The first", "The second"] {
            hub.post(BOB, AT, &format!(r#"{{"title":"{title}","description":""}}"#))
                .expect(200);
        }
        let rename = format!("{AT}/1/title");
        hub.post(EVE, &rename, r#"{"title":"Mine now"}"#).expect(403);
        hub.post(BOB, &rename, r#"{"title":"x"}"#).expect(400);
        let renamed = hub.post(BOB, &rename, r#"{"title":" Better "}"#).expect(200).json();
        assert_eq!(
            renamed["newTitle"]["data"],
            json!({"from": "The first", "to": "Better"})
        );

        hub.post(BOB, &format!("{AT}/1/pin"), r#"{"pinned":true}"#).expect(403);
        hub.post(ADA, &format!("{AT}/1/pin"), r#"{"pinned":true}"#).expect(200);
        let list = hub.get("", AT).expect(200).json();
        assert_eq!(
            (&list["discussions"][0]["num"], &list["discussions"][0]["pinned"]),
            (&json!(1), &json!(true))
        );
        assert_eq!(list["discussions"][0]["title"], "Better");
        hub.get("", &format!("{AT}?status=merged")).expect(400);
    }

    #[test]
    fn what_is_deleted_leaves_its_number_taken() {
        let hub = Hub::with_demo();
        hub.post(BOB, AT, r#"{"title":"A question","description":""}"#)
            .expect(200);
        hub.commit_to("main", "?create_pr=1", &[file("x.txt", "x")]).expect(200);
        hub.delete(ADA, &format!("{AT}/2/ref")).expect(400);
        hub.post(ADA, &format!("{AT}/2/status"), r#"{"status":"closed"}"#)
            .expect(200);
        hub.delete(BOB, &format!("{AT}/2/ref")).expect(403);
        hub.delete(ADA, &format!("{AT}/2/ref")).expect(200);
        hub.get("", "/ada/demo/raw/refs%2Fpr%2F2/x.txt").expect(404);
        let details = hub.get("", &format!("{AT}/2?diff=1")).expect(200).json();
        assert_eq!(
            (&details["status"], &details["events"][1]["type"]),
            (&json!("closed"), &json!("commit"))
        );
        hub.post(ADA, &format!("{AT}/2/status"), r#"{"status":"open"}"#)
            .expect(400);

        hub.commit_to("main", "?create_pr=1", &[file("y.txt", "y")]).expect(200);
        hub.delete(BOB, &format!("{AT}/3")).expect(403);
        hub.delete(ADA, &format!("{AT}/3")).expect(200);
        hub.get("", &format!("{AT}/3")).expect(404);
        hub.get("", "/ada/demo/raw/refs%2Fpr%2F3/y.txt").expect(404);
        let next = hub.post(BOB, AT, r#"{"title":"Another","description":""}"#).expect(200);
        assert_eq!(next.json()["num"], 4);
    }
}
