//! Gated repositories: who asks for access, and what their owners answer.

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{Error, Result};
use crate::routes::{Json, OriginalPath, Params, Query, Target, done, paged, whole_body};
use crate::store::access::{AccessRequest, Asked};
use crate::store::{Gated, Repo};

/// The most characters of a reason.
const REASON: usize = 200;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/-api/{kind}/{id}/user-access-request/{list}", get(list))
        .route("/-api/{kind}/{id}/user-access-request/handle", post(handle))
        .route("/-api/{kind}/{id}/user-access-request/grant", post(grant))
        .route("/-api/{kind}/{id}/user-access-request/cancel", post(cancel))
        .route("/-web/{kind}/{id}/ask-access", post(ask))
}

fn check_gated(repo: &Repo) -> Result<()> {
    match repo.gated {
        Gated::No => Err(Error::bad_request("This repository is not gated")),
        Gated::Auto | Gated::Manual => Ok(()),
    }
}

fn request_json(request: &AccessRequest) -> Value {
    json!({
        "requestId": request.oid,
        "status": request.status,
        "timestamp": request.created,
        "user": { "user": request.user, "fullname": request.user, "email": null },
        "fields": request.fields,
        "rejectionReason": request.reason,
    })
}

async fn list(app: App, target: Target, params: Params, query: Query, given: OriginalPath) -> Result<Response> {
    let (target, _) = target.writable()?;
    check_gated(&target.repo)?;
    let status = params.get("list")?.to_owned();
    if !matches!(&*status, "pending" | "accepted" | "rejected") {
        return Err(Error::NotFound("There is no such list of requests".to_owned()));
    }
    let rows = target
        .run(&app, move |store, repo, _| store.db.access_requests(repo, &status))
        .await?;
    paged(&app, &given, &query, rows.iter().map(request_json).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Handle {
    user: Option<String>,
    request_id: Option<String>,
    status: String,
    rejection_reason: Option<String>,
}

async fn handle(app: App, target: Target, Json(body): Json<Handle>) -> Result<Response> {
    let (target, _) = target.writable()?;
    check_gated(&target.repo)?;
    let (asked, name) = match (body.user, body.request_id) {
        (Some(name), None) => (Asked::By(name.clone()), name),
        (None, Some(oid)) => (Asked::Id(oid.clone()), oid),
        _ => {
            return Err(Error::bad_request(
                "exactly one of \"user\" and \"requestId\" is required",
            ));
        }
    };
    if !matches!(&*body.status, "pending" | "accepted" | "rejected") {
        return Err(Error::bad_request(
            "\"status\" must be one of [pending, accepted, rejected]",
        ));
    }
    if let Some(reason) = &body.rejection_reason {
        if body.status != "rejected" {
            return Err(Error::bad_request("\"rejectionReason\" is for rejected requests only"));
        }
        if reason.chars().count() > REASON {
            return Err(Error::bad_request(format!(
                "\"rejectionReason\" length must be less than or equal to {REASON} characters long"
            )));
        }
    }
    target
        .run(&app, move |store, repo, _| {
            let request = store.db.access_request(repo, &asked)?;
            match request {
                Some(request) if request.status != body.status => {
                    let reason = body.rejection_reason.as_deref();
                    store.db.answer_access(&request, &body.status, reason)
                }
                Some(_) => Err(Error::NotFound(format!("The request is {} already", body.status))),
                None => Err(Error::NotFound(format!(
                    "No access request of {name} for this repository"
                ))),
            }
        })
        .await?;
    Ok(done())
}

#[derive(Deserialize)]
struct Grant {
    user: String,
}

async fn grant(app: App, target: Target, Json(body): Json<Grant>) -> Result<Response> {
    let (target, _) = target.writable()?;
    check_gated(&target.repo)?;
    let reply = target
        .run(&app, move |store, repo, _| {
            let user = store.db.profile(&body.user)?.filter(|profile| profile.is_user);
            let user = user.ok_or_else(|| Error::NotFound("This user does not exist".to_owned()))?;
            let asked = Asked::By(user.name);
            let before = store.db.access_request(repo, &asked)?;
            if before.is_some_and(|request| request.status == "accepted") {
                return Err(Error::bad_request("User already has access to this repository"));
            }
            store.db.put_access(repo, user.row, "accepted", true, &json!({}))?;
            let request = store.db.access_request(repo, &asked)?.ok_or(Error::Internal)?;
            Ok(request_json(&request))
        })
        .await?;
    Ok(axum::Json(reply).into_response())
}

/// Who asked takes it back while nobody has answered.
async fn cancel(app: App, target: Target) -> Result<Response> {
    let account = target.caller.account()?.clone();
    check_gated(&target.repo)?;
    target
        .run(&app, move |store, repo, _| {
            match store.db.access_request(repo, &Asked::By(account.name))? {
                Some(request) if request.status == "pending" => store.db.delete_access(&request),
                Some(request) => Err(Error::bad_request(format!(
                    "Your request is {} already",
                    request.status
                ))),
                None => Err(Error::NotFound("You have not asked for access".to_owned())),
            }
        })
        .await?;
    Ok(done())
}

/// On the public Hub the form of a page of the site is sent here. Every field of the form is kept with the request.
async fn ask(app: App, target: Target, request: Request) -> Result<Response> {
    let account = target.caller.account()?.clone();
    check_gated(&target.repo)?;
    let is_json = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let body = whole_body(request).await?;
    let fields = if body.is_empty() {
        json!({})
    } else if is_json {
        serde_json::from_slice(&body).map_err(|err| Error::bad_request(format!("invalid JSON body: {err}")))?
    } else {
        Query::parse(&body).into_object()
    };
    let status = match target.repo.gated {
        Gated::Auto => "accepted",
        _ => "pending",
    };
    target
        .run(&app, move |store, repo, _| {
            match store.db.access_request(repo, &Asked::By(account.name))? {
                Some(_) => Err(Error::bad_request("You have asked for access already")),
                None => store.db.put_access(repo, account.row, status, false, &fields),
            }
        })
        .await?;
    Ok(done())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{ADA, BOB, EVE, Hub, file};

    const AT: &str = "/api/models/ada/demo/user-access-request";

    #[test]
    fn who_is_accepted_reads_until_that_is_taken_back() {
        let hub = Hub::with_demo();
        hub.commit(&[file("a.txt", "a")]).expect(200);
        hub.get(ADA, &format!("{AT}/pending")).expect(400);
        hub.put(ADA, "/api/models/ada/demo/settings", r#"{"gated":"manual"}"#)
            .expect(200);
        let read = |token: &str| hub.get(token, "/ada/demo/raw/main/a.txt").status;
        assert_eq!((read(ADA), read(BOB), read("")), (200, 403, 401));

        hub.post("", "/ada/demo/ask-access", "").expect(401);
        hub.post(BOB, "/ada/demo/ask-access", r#"{"Company":"Example"}"#)
            .expect(200);
        hub.post(BOB, "/ada/demo/ask-access", "").expect(400);
        assert_eq!(read(BOB), 403);
        hub.get(BOB, &format!("{AT}/pending")).expect(403);
        let pending = hub.get(ADA, &format!("{AT}/pending")).expect(200).json();
        assert_eq!(pending[0]["user"]["user"], "bob");
        assert_eq!(pending[0]["fields"], json!({"Company": "Example"}));

        // It can be taken back, and asked again.
        hub.post(EVE, &format!("{AT}/cancel"), "").expect(404);
        hub.post(BOB, &format!("{AT}/cancel"), "").expect(200);
        assert_eq!(hub.get(ADA, &format!("{AT}/pending")).json(), json!([]));
        hub.post(BOB, "/ada/demo/ask-access", "").expect(200);
        let pending = hub.get(ADA, &format!("{AT}/pending")).expect(200).json();

        let handle = |body: &str| hub.post(ADA, &format!("{AT}/handle"), body);
        handle(r#"{"user":"eve","status":"accepted"}"#).expect(404);
        handle(r#"{"user":"bob","status":"accepted","rejectionReason":"no"}"#).expect(400);
        handle(r#"{"user":"bob","status":"pending"}"#).expect(404);
        handle(r#"{"user":"bob","status":"accepted"}"#).expect(200);
        assert_eq!(read(BOB), 200);
        hub.post(BOB, &format!("{AT}/cancel"), "").expect(400);
        let id = pending[0]["requestId"].as_str().unwrap();
        handle(&format!(
            r#"{{"requestId":"{id}","status":"rejected","rejectionReason":"no"}}"#
        ))
        .expect(200);
        assert_eq!(read(BOB), 403);
        assert_eq!(
            hub.get(ADA, &format!("{AT}/rejected")).json()[0]["rejectionReason"],
            "no"
        );

        let grant = |user: &str| hub.post(ADA, &format!("{AT}/grant"), &format!(r#"{{"user":"{user}"}}"#));
        assert_eq!(grant("eve").expect(200).json()["status"], "accepted");
        grant("eve").expect(400);
        grant("nobody").expect(404);
        assert_eq!(read(EVE), 200);
    }

    #[test]
    fn where_it_is_automatic_asking_is_enough() {
        let hub = Hub::with_demo();
        hub.commit(&[file("a.txt", "a")]).expect(200);
        hub.put(ADA, "/api/models/ada/demo/settings", r#"{"gated":"auto"}"#)
            .expect(200);
        hub.get(EVE, "/ada/demo/raw/main/a.txt").expect_code(403, "GatedRepo");
        hub.post(EVE, "/ada/demo/ask-access", "").expect(200);
        hub.get(EVE, "/ada/demo/raw/main/a.txt").expect(200);
    }
}
