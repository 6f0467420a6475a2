//! Who am I, and the README check that needs no repository.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::routes::Json;
use crate::store::{Db, card};

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/", get(front_page))
        .route("/api/whoami-v2", get(whoami))
        .route("/api/validate-yaml", post(validate_yaml))
}

async fn front_page(app: App) -> String {
    format!(
        "This is a Hub for clients of the Hugging Face API.\n\nHF_ENDPOINT={url}\nGET {url}/api/models\n",
        url = app.url()
    )
}

async fn whoami(app: App, caller: Caller) -> Result<Response> {
    let account = caller.account()?.clone();
    let reply = app
        .run(move |store| {
            let orgs: Vec<Value> = account
                .orgs
                .iter()
                .map(|org| {
                    Ok(json!({
                        "type": "org",
                        "id": oid(&store.db, org)?,
                        "name": org,
                        "fullname": org,
                        "email": null,
                        "canPay": false,
                        "periodEnd": null,
                        "avatarUrl": format!("/avatars/{org}.svg"),
                        "roleInOrg": "write",
                        "isEnterprise": false,
                    }))
                })
                .collect::<Result<_>>()?;
            Ok(json!({
                "type": "user",
                "id": oid(&store.db, &account.name)?,
                "name": account.name,
                "fullname": account.name,
                "email": null,
                "emailVerified": false,
                "canPay": false,
                "periodEnd": null,
                "isPro": false,
                "avatarUrl": format!("/avatars/{}.svg", account.name),
                "orgs": orgs,
                "auth": {
                    "type": "access_token",
                    "accessToken": {
                        "displayName": account.token_name,
                        "role": account.role.as_str(),
                        "createdAt": account.token_created,
                    },
                },
            }))
        })
        .await?;
    Ok(axum::Json(reply).into_response())
}

fn oid(db: &Db, name: &str) -> Result<String> {
    db.account_named(name)?.map(|(oid, _, _)| oid).ok_or(Error::Internal)
}

#[derive(Deserialize)]
struct Card {
    content: String,
}

async fn validate_yaml(_: Caller, Json(card): Json<Card>) -> Response {
    let (status, errors, warnings) = match card::metadata(&card.content) {
        Err(sentence) => (StatusCode::BAD_REQUEST, vec![json!({ "message": sentence })], vec![]),
        Ok(data) if data.is_empty() => (
            StatusCode::OK,
            vec![],
            vec![json!({ "message": "empty or missing yaml metadata in repo card" })],
        ),
        Ok(_) => (StatusCode::OK, vec![], vec![]),
    };
    (status, axum::Json(json!({ "errors": errors, "warnings": warnings }))).into_response()
}

#[cfg(test)]
mod tests {
    use crate::testing::{ADA, EVE, Hub};

    #[test]
    fn a_token_says_who_one_is() {
        let hub = Hub::start();
        let reply = hub.get(ADA, "/api/whoami-v2").expect(200).json();
        assert_eq!(reply["name"], "ada");
        assert_eq!(reply["type"], "user");
        assert_eq!(reply["orgs"][0]["name"], "acme");
        assert_eq!(reply["auth"]["accessToken"]["role"], "write");
        let reply = hub.get(EVE, "/api/whoami-v2").expect(200).json();
        assert_eq!(reply["auth"]["accessToken"]["role"], "read");
        let local = hub.server.token().reveal();
        assert_eq!(hub.get(local, "/api/whoami-v2").json()["name"], "local");

        hub.get("", "/api/whoami-v2").expect_code(401, "");
        let reply = hub.get("hf_wrong", "/api/whoami-v2").expect_code(401, "");
        assert_eq!(
            reply.header("x-error-message"),
            "Invalid credentials in Authorization header"
        );
        assert_eq!(reply.json()["error"], "Invalid credentials in Authorization header");
    }

    #[test]
    fn every_reply_has_the_headers_of_the_hub() {
        let hub = Hub::start();
        let reply = hub.get("", "/api/nothing").expect(404);
        assert!(!reply.header("x-request-id").is_empty());
        assert!(reply.header("ratelimit").contains(";r="));
        assert!(reply.header("ratelimit-policy").contains("q="));
        let reply = hub.send("GET", "", "/", &[("x-request-id", "mine")], b"").expect(200);
        assert_eq!(reply.header("x-request-id"), "mine");
        hub.post("", "/api/whoami-v2", "").expect(405);
    }

    #[test]
    fn front_matter_is_checked() {
        let hub = Hub::start();
        let check = |content: &str| {
            let body = serde_json::json!({ "content": content, "repoType": "model" }).to_string();
            hub.post(ADA, "/api/validate-yaml", &body)
        };
        let reply = check("---\nlicense: mit\n---\n").expect(200).json();
        assert_eq!(
            (reply["errors"].as_array(), reply["warnings"].as_array()),
            (Some(&vec![]), Some(&vec![]))
        );
        assert_eq!(
            check("# no block").expect(200).json()["warnings"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        let reply = check("---\nlicense: [\n---\n").expect(400).json();
        assert!(reply["errors"][0]["message"].as_str().unwrap().contains("not valid"));
    }
}
