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

async fn front_page(axum::extract::State(app): axum::extract::State<App>) -> String {
    format!(
        "This is a Hub for clients of the Hugging Face API.\n\nHF_ENDPOINT={url}\nGET {url}/api/models\n",
        url = app.url()
    )
}

async fn whoami(axum::extract::State(app): axum::extract::State<App>, caller: Caller) -> Result<Response> {
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
