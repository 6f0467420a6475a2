//! What is said in discussions.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;
use serde_json::json;

use crate::app::App;
use crate::error::{Error, Result};
use crate::routes::discussions::{check_author, event_json};
use crate::routes::{Json, Params, Target};
use crate::store::discussions::comment_data;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/-api/{kind}/{id}/discussions/{num}/comment", post(comment))
        .route("/-api/{kind}/{id}/discussions/{num}/comment/{comment}/edit", post(edit))
        .route("/-api/{kind}/{id}/discussions/{num}/comment/{comment}/hide", post(hide))
}

#[derive(Deserialize)]
struct Comment {
    comment: String,
}

async fn comment(app: App, target: Target, params: Params, Json(body): Json<Comment>) -> Result<Response> {
    target.caller.check_content(&target.repo)?;
    let author = target.caller.writer()?.name.clone();
    let num = params.number("num")?;
    if body.comment.trim().is_empty() {
        return Err(Error::bad_request("\"comment\" is not allowed to be empty"));
    }
    let repo = target.repo.clone();
    let (discussion, event) = target
        .run(&app, move |store, repo, _| {
            let discussion = store.db.discussion(repo, num)?;
            let data = comment_data(&body.comment, &author);
            Ok((discussion, store.db.add_event(repo, num, "comment", &author, &data)?))
        })
        .await?;
    app.announce_discussion("create", &repo, discussion, Some(event.clone()));
    Ok(axum::Json(json!({ "newMessage": event_json(&event) })).into_response())
}

#[derive(Deserialize)]
struct Edit {
    content: String,
}

/// Only who wrote a comment may change what it says.
async fn edit(app: App, target: Target, params: Params, Json(body): Json<Edit>) -> Result<Response> {
    target.caller.check_content(&target.repo)?;
    let author = target.caller.writer()?.name.clone();
    let (num, id) = (params.number("num")?, params.get("comment")?.to_owned());
    if body.content.trim().is_empty() {
        return Err(Error::bad_request("\"content\" is not allowed to be empty"));
    }
    let repo = target.repo.clone();
    let (discussion, event) = target
        .run(&app, move |store, repo, _| {
            let mut comment = store.db.comment(repo, num, &id)?;
            if comment.author != author {
                return Err(Error::forbidden("Only its author may edit a comment"));
            }
            if comment.is_hidden() {
                return Err(Error::bad_request("A hidden comment cannot be edited"));
            }
            comment.edit(&body.content, &author);
            store.db.set_event_data(&comment)?;
            Ok((store.db.discussion(repo, num)?, comment))
        })
        .await?;
    app.announce_discussion("update", &repo, discussion, Some(event.clone()));
    Ok(axum::Json(json!({ "updatedComment": event_json(&event) })).into_response())
}

async fn hide(app: App, target: Target, params: Params) -> Result<Response> {
    target.caller.check_content(&target.repo)?;
    let account = target.caller.writer()?.clone();
    let (num, id) = (params.number("num")?, params.get("comment")?.to_owned());
    let repo = target.repo.clone();
    let (discussion, event) = target
        .run(&app, move |store, repo, _| {
            let mut comment = store.db.comment(repo, num, &id)?;
            check_author(&comment.author, &account, repo)?;
            if !comment.is_hidden() {
                comment.hide(&account.name);
                store.db.set_event_data(&comment)?;
            }
            Ok((store.db.discussion(repo, num)?, comment))
        })
        .await?;
    app.announce_discussion("update", &repo, discussion, Some(event.clone()));
    Ok(axum::Json(json!({ "updatedComment": event_json(&event) })).into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{ADA, BOB, EVE, Hub};

    const AT: &str = "/api/models/ada/demo/discussions";

    #[test]
    fn comments_are_edited_by_their_author_and_hidden_for_good() {
        let hub = Hub::with_demo();
        hub.post(BOB, AT, r#"{"title":"A question","description":"why?"}"#)
            .expect(200);
        let made = hub
            .post(BOB, &format!("{AT}/1/comment"), r#"{"comment":"frist"}"#)
            .expect(200)
            .json();
        let id = made["newMessage"]["id"].as_str().unwrap();
        let edit = format!("{AT}/1/comment/{id}/edit");
        hub.post(ADA, &edit, r#"{"content":"mine"}"#).expect(403);
        hub.post(BOB, &edit, r#"{"content":" "}"#).expect(400);
        hub.post(BOB, &format!("{AT}/1/comment/none/edit"), r#"{"content":"x"}"#)
            .expect(404);
        let edited = hub.post(BOB, &edit, r#"{"content":"first"}"#).expect(200).json();
        let data = &edited["updatedComment"]["data"];
        assert_eq!(
            (&data["edited"], &data["latest"]["raw"]),
            (&json!(true), &json!("first"))
        );
        assert_eq!(data["history"][0]["raw"], "frist");

        // The owner may hide what others wrote; what it said is gone, from its history too.
        let hide = format!("{AT}/1/comment/{id}/hide");
        hub.post(EVE, &hide, "").expect(403);
        hub.post(ADA, &hide, "").expect(200);
        let details = hub.get("", &format!("{AT}/1")).expect(200).text();
        assert!(!details.contains("frist") && !details.contains("first"), "{details}");
        hub.post(BOB, &edit, r#"{"content":"again"}"#).expect(400);
    }
}
