//! Xet: tokens for the storage that large files go to and come from.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use serde_json::json;

use crate::app::App;
use crate::error::{Error, Result, header_text};
use crate::routes::{Params, Query, Target};
use crate::xet::Storage;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/-api/{kind}/{id}/xet-read-token/{rev}", get(read_token))
        .route("/-api/{kind}/{id}/xet-write-token/{rev}", get(write_token))
}

/// What a client is told that would rather use Xet.
fn no_xet() -> Error {
    Error::bad_request("This Hub has no Xet storage: set HF_HUB_DISABLE_XET=1 to transfer files through LFS")
}

fn token(storage: &Storage) -> Response {
    let token = storage.token();
    let headers = [
        ("x-xet-cas-url", header_text(&storage.url)),
        ("x-xet-access-token", header_text(&token.text)),
        ("x-xet-token-expiration", header_text(&token.expires.to_string())),
        ("cache-control", header_text("no-store")),
    ];
    let body = json!({ "casUrl": storage.url, "accessToken": token.text, "exp": token.expires });
    (StatusCode::OK, headers, axum::Json(body)).into_response()
}

async fn read_token(app: App, target: Target, params: Params) -> Result<Response> {
    let storage = app.store().xet.as_ref().ok_or_else(no_xet)?;
    let target = target.readable()?;
    let rev = params.get("rev")?.to_owned();
    target.run(&app, move |_, _, git| git.resolve(&rev).map(drop)).await?;
    Ok(token(storage))
}

/// Whoever may write may store; and so may who may propose, for a pull request, whatever it says of the revision.
async fn write_token(app: App, target: Target, params: Params, query: Query) -> Result<Response> {
    let storage = app.store().xet.as_ref().ok_or_else(no_xet)?;
    let rev = params.get("rev")?.to_owned();
    if query.flag("create_pr") || rev.starts_with("refs/pr/") {
        target.caller.check_content(&target.repo)?;
        target.caller.writer()?;
    } else {
        target.caller.check_write(&target.repo)?;
        target.run(&app, move |_, _, git| git.resolve(&rev).map(drop)).await?;
    }
    Ok(token(storage))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use hub_types::Sha256;
    use serde_json::json;

    use crate::testing::{ADA, BOB, Hub};

    #[test]
    fn a_hub_without_storage_says_what_to_do() {
        let hub = Hub::with_demo();
        let xet = hub.get(ADA, "/api/models/ada/demo/xet-write-token/main").expect(400);
        assert!(xet.text().contains("HF_HUB_DISABLE_XET"));
    }

    #[test]
    fn tokens_are_for_who_may_read_and_who_may_write() {
        let hub = Hub::start_with(|builder| {
            builder
                .xet_cas("http://127.0.0.1:1")
                .xet_token_lifetime(Duration::from_secs(100))
        });
        hub.create("demo");
        let route = |kind: &str, rest: &str| format!("/api/models/ada/demo/xet-{kind}-token/{rest}");
        let reply = hub.get("", &route("read", "main")).expect(200);
        let body = reply.json();
        assert_eq!(body["casUrl"], "http://127.0.0.1:1");
        assert_eq!(reply.header("x-xet-cas-url"), "http://127.0.0.1:1");
        assert_eq!(body["accessToken"], reply.header("x-xet-access-token"));
        assert_eq!(body["exp"].to_string(), reply.header("x-xet-token-expiration"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let left = body["exp"].as_u64().unwrap() - now;
        assert!((90..=100).contains(&left), "{left}");
        hub.get("", &route("read", "nothing"))
            .expect_code(404, "RevisionNotFound");

        hub.get("", &route("write", "main")).expect(401);
        hub.get(BOB, &route("write", "main")).expect(403);
        hub.get(ADA, &route("write", "main")).expect(200);
        hub.get(ADA, &route("write", "nothing"))
            .expect_code(404, "RevisionNotFound");
        // Clients differ in what they say of a revision that is to be made.
        for rev in ["main", "None"] {
            hub.get(BOB, &route("write", &format!("{rev}?create_pr=1"))).expect(200);
        }
    }

    #[test]
    fn a_batch_says_that_xet_is_to_be_used_to_who_can() {
        let hub = Hub::start_with(|builder| builder.xet_cas("http://127.0.0.1:1"));
        hub.create("demo");
        let sha256 = Sha256::of(b"x").to_string();
        let ask = |transfers: serde_json::Value, more: serde_json::Value| {
            let mut body =
                json!({"operation": "upload", "transfers": transfers, "objects": [{"oid": sha256, "size": 1}]});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            hub.post(ADA, "/ada/demo.git/info/lfs/objects/batch", &body.to_string())
                .expect(200)
                .json()
        };
        assert_eq!(ask(json!(["basic", "multipart"]), json!({}))["transfer"], "basic");
        let reply = ask(json!(["basic", "xet"]), json!({"ref": {"name": "main"}}));
        assert_eq!(reply["transfer"], "xet");
        let upload = &reply["objects"][0]["actions"]["upload"];
        let route = format!("{}/api/models/ada/demo/xet-write-token/main", hub.server.url());
        assert_eq!(upload["href"], route.as_str());
        assert_eq!(upload["header"]["X-Xet-Cas-Url"], "http://127.0.0.1:1");
        let reply = ask(json!(["xet"]), json!({}));
        assert_eq!(
            reply["objects"][0]["actions"]["upload"]["href"],
            format!("{route}?create_pr=1")
        );
    }

    #[test]
    fn a_storage_that_cannot_be_reached_is_no_reason_to_believe_a_commit() {
        let hub = Hub::start_with(|builder| builder.xet_cas("http://127.0.0.1:1"));
        hub.create("demo");
        let line = crate::testing::large("x.bin", &Sha256::of(b"x").to_string(), 1);
        let reply = hub.commit(&[line]).expect(502);
        assert!(reply.text().contains("Xet storage"), "{}", reply.text());
    }
}
