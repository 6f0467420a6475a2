//! Webhooks: who wants to be told of what happens to which repositories.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::routes::{Json, Params, done};
use crate::store::Store;
use crate::store::webhooks::{Watched, Webhook};

const WATCHED: &[&str] = &["user", "org", "model", "dataset", "space", "bucket"];
const DOMAINS: &[&str] = &["repo", "discussion"];

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/api/settings/webhooks", get(list).post(create))
        .route("/api/settings/webhooks/{hook}", get(show).post(update).delete(remove))
        .route("/api/settings/webhooks/{hook}/enable", post(enable))
        .route("/api/settings/webhooks/{hook}/disable", post(disable))
}

fn webhook_json(webhook: &Webhook) -> Value {
    json!({
        "id": webhook.oid,
        "url": webhook.url,
        "job": null,
        "watched": webhook.watched,
        "domains": webhook.domains,
        "secret": webhook.secret,
        "disabled": webhook.disabled,
    })
}

fn reply(webhook: &Webhook) -> Response {
    axum::Json(json!({ "webhook": webhook_json(webhook) })).into_response()
}

fn found(store: &Store, user: i64, id: &str) -> Result<Webhook> {
    store
        .db
        .webhook(user, id)?
        .ok_or_else(|| Error::NotFound("Webhook not found".to_owned()))
}

async fn list(app: App, caller: Caller) -> Result<Response> {
    let user = caller.account()?.row;
    let all = app.run(move |store| store.db.webhooks(Some(user))).await?;
    Ok(axum::Json(all.iter().map(webhook_json).collect::<Vec<_>>()).into_response())
}

async fn show(app: App, caller: Caller, params: Params) -> Result<Response> {
    let user = caller.account()?.row;
    let id = params.get("hook")?.to_owned();
    let webhook = app.run(move |store| found(store, user, &id)).await?;
    Ok(reply(&webhook))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settings {
    url: Option<String>,
    job_source_id: Option<String>,
    watched: Option<Vec<Watched>>,
    domains: Option<Vec<String>>,
    secret: Option<String>,
}

impl Settings {
    fn check(&self) -> Result<()> {
        if self.job_source_id.is_some() {
            return Err(Error::bad_request("This Hub runs no jobs: give a \"url\""));
        }
        if let Some(url) = &self.url {
            let valid = url::Url::parse(url).is_ok_and(|url| url.scheme() == "http" && url.has_host());
            if !valid {
                return Err(Error::bad_request(
                    "\"url\" must be an http address: this Hub delivers over plain http alone",
                ));
            }
        }
        for watched in self.watched.iter().flatten() {
            if !WATCHED.contains(&&*watched.kind) || watched.name.is_empty() {
                let known = WATCHED.join(", ");
                return Err(Error::bad_request(format!(
                    "\"watched.type\" must be one of [{known}], with a name"
                )));
            }
        }
        for domain in self.domains.iter().flatten() {
            if !DOMAINS.contains(&&**domain) {
                return Err(Error::bad_request("\"domains\" must be of [repo, discussion]"));
            }
        }
        if self
            .secret
            .as_deref()
            .is_some_and(|secret| secret.bytes().any(|b| !(b' '..=b'~').contains(&b)))
        {
            return Err(Error::bad_request("\"secret\" must be visible ASCII characters"));
        }
        Ok(())
    }
}

async fn create(app: App, caller: Caller, Json(body): Json<Settings>) -> Result<Response> {
    let user = caller.writer()?.row;
    body.check()?;
    let (Some(url), Some(watched)) = (body.url, body.watched) else {
        return Err(Error::bad_request("\"url\" and \"watched\" are required"));
    };
    let mut webhook = Webhook {
        oid: String::new(),
        user,
        url,
        watched,
        domains: body
            .domains
            .unwrap_or_else(|| DOMAINS.iter().map(|&domain| domain.to_owned()).collect()),
        secret: body.secret,
        disabled: false,
        created: String::new(),
    };
    let saved = webhook.clone();
    webhook.oid = app.run(move |store| store.db.save_webhook(&saved)).await?;
    Ok(reply(&webhook))
}

/// Changes one webhook of the caller's.
async fn change(
    app: App,
    caller: Caller,
    params: Params,
    change: impl FnOnce(&mut Webhook) + Send + 'static,
) -> Result<Response> {
    let user = caller.writer()?.row;
    let id = params.get("hook")?.to_owned();
    let webhook = app
        .run(move |store| {
            let mut webhook = found(store, user, &id)?;
            change(&mut webhook);
            store.db.save_webhook(&webhook)?;
            Ok(webhook)
        })
        .await?;
    Ok(reply(&webhook))
}

async fn update(app: App, caller: Caller, params: Params, Json(body): Json<Settings>) -> Result<Response> {
    body.check()?;
    change(app, caller, params, move |webhook| {
        // As on the Hub: what is watched is always replaced, by nothing where nothing is given.
        webhook.watched = body.watched.unwrap_or_default();
        if let Some(url) = body.url {
            webhook.url = url;
        }
        if let Some(domains) = body.domains {
            webhook.domains = domains;
        }
        if body.secret.is_some() {
            webhook.secret = body.secret;
        }
    })
    .await
}

async fn enable(app: App, caller: Caller, params: Params) -> Result<Response> {
    change(app, caller, params, |webhook| webhook.disabled = false).await
}

async fn disable(app: App, caller: Caller, params: Params) -> Result<Response> {
    let id = params.get("hook")?.to_owned();
    let reply = change(app.clone(), caller, params, |webhook| webhook.disabled = true).await?;
    app.deliveries().forget(&id);
    Ok(reply)
}

async fn remove(app: App, caller: Caller, params: Params) -> Result<Response> {
    let user = caller.writer()?.row;
    let id = params.get("hook")?.to_owned();
    let gone = app
        .run(move |store| {
            let webhook = found(store, user, &id)?;
            store.db.delete_webhook(&webhook.oid)?;
            Ok(webhook)
        })
        .await?;
    app.deliveries().forget(&gone.oid);
    Ok(done())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use serde_json::{Value, json};

    use crate::testing::{ADA, BOB, EVE, Hub, file};

    /// Listens for deliveries and gives each with its headers.
    fn listen() -> (String, Receiver<(String, Value)>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook?x=1", listener.local_addr().unwrap());
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut bytes = Vec::new();
                let mut buffer = [0; 4096];
                let (head, body) = loop {
                    let read = stream.read(&mut buffer).unwrap();
                    bytes.extend_from_slice(&buffer[..read]);
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else {
                        continue;
                    };
                    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                    if body.len() >= length.unwrap().parse().unwrap() {
                        break (head.to_owned(), body.to_owned());
                    }
                };
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                    .unwrap();
                if sender.send((head, serde_json::from_str(&body).unwrap())).is_err() {
                    return;
                }
            }
        });
        (url, receiver)
    }

    fn next(receiver: &Receiver<(String, Value)>) -> (String, Value) {
        receiver.recv_timeout(Duration::from_secs(20)).expect("a delivery")
    }

    const AT: &str = "/api/settings/webhooks";

    #[test]
    fn what_happens_is_delivered_with_the_secret() {
        let hub = Hub::with_demo();
        let (url, inbox) = listen();
        let body = json!({"url": url, "secret": "s3cret", "watched": [{"type": "user", "name": "ada"}]});
        let made = hub.post(ADA, AT, &body.to_string()).expect(200).json();
        let id = made["webhook"]["id"].as_str().unwrap().to_owned();

        hub.commit(&[file("a.txt", "a")]).expect(200);
        let (head, payload) = next(&inbox);
        assert!(head.starts_with("POST /hook?x=1 HTTP/1.1"), "{head}");
        assert!(head.lines().any(|line| line == "x-webhook-secret: s3cret"), "{head}");
        assert_eq!(payload["event"], json!({"action": "update", "scope": "repo.content"}));
        assert_eq!(payload["webhook"], json!({"id": id, "version": 3}));
        let sha = hub.get("", "/api/models/ada/demo").json()["sha"].clone();
        assert_eq!(
            (&payload["repo"]["name"], &payload["repo"]["headSha"]),
            (&json!("ada/demo"), &sha)
        );
        assert_eq!(payload["updatedRefs"][0]["ref"], "refs/heads/main");
        assert_eq!(payload["updatedRefs"][0]["newSha"], sha);

        let at = "/api/models/ada/demo/discussions";
        hub.post(BOB, at, r#"{"title":"A question","description":"why?"}"#)
            .expect(200);
        let (_, payload) = next(&inbox);
        assert_eq!(payload["event"], json!({"action": "create", "scope": "discussion"}));
        assert_eq!(payload["discussion"]["title"], "A question");
        hub.post(BOB, &format!("{at}/1/comment"), r#"{"comment":"because"}"#)
            .expect(200);
        let (_, payload) = next(&inbox);
        assert_eq!(
            payload["event"],
            json!({"action": "create", "scope": "discussion.comment"})
        );
        assert_eq!(payload["comment"]["content"], "because");
        hub.post(ADA, &format!("{at}/1/status"), r#"{"status":"closed"}"#)
            .expect(200);
        let (_, payload) = next(&inbox);
        assert_eq!(
            (&payload["event"]["action"], &payload["discussion"]["status"]),
            (&json!("update"), &json!("closed"))
        );

        hub.put(ADA, "/api/models/ada/demo/settings", r#"{"private":true}"#)
            .expect(200);
        let (_, payload) = next(&inbox);
        assert_eq!(
            (&payload["event"]["scope"], &payload["updatedConfig"]),
            (&json!("repo.config"), &json!({"private": true}))
        );
        hub.post(ADA, "/api/repos/move", r#"{"fromRepo":"ada/demo","toRepo":"ada/new"}"#)
            .expect(200);
        let (_, payload) = next(&inbox);
        assert_eq!(
            (&payload["event"]["action"], &payload["movedTo"]["name"]),
            (&json!("move"), &json!("ada/new"))
        );
        hub.create("other");
        let (_, payload) = next(&inbox);
        assert_eq!(payload["event"], json!({"action": "create", "scope": "repo"}));
        hub.send("DELETE", ADA, "/api/repos/delete", &[], br#"{"name":"other"}"#)
            .expect(200);
        let (_, payload) = next(&inbox);
        assert_eq!(
            (&payload["event"]["action"], &payload["repo"]["name"]),
            (&json!("delete"), &json!("ada/other"))
        );

        // Disabled, nothing comes any more; another watcher proves that it would have.
        hub.post(ADA, &format!("{AT}/{id}/disable"), "").expect(200);
        let (url, other) = listen();
        let body = json!({"url": url, "watched": [{"type": "model", "name": "ada/third"}], "domains": ["repo"]});
        hub.post(ADA, AT, &body.to_string()).expect(200);
        hub.create("third");
        let (head, _) = next(&other);
        assert!(!head.contains("x-webhook-secret"), "{head}");
        assert!(inbox.try_recv().is_err());
    }

    #[test]
    fn private_things_are_told_to_their_owners_only() {
        let hub = Hub::with_demo();
        let (url, inbox) = listen();
        let body = json!({"url": url, "watched": [{"type": "user", "name": "ada"}]});
        hub.post(BOB, AT, &body.to_string()).expect(200);
        hub.put(ADA, "/api/models/ada/demo/settings", r#"{"private":true}"#)
            .expect(200);
        hub.commit(&[file("a.txt", "a")]).expect(200);
        hub.create("open");
        // The first that comes is of the repository that everybody sees.
        assert_eq!(next(&inbox).1["repo"]["name"], "ada/open");
    }

    #[test]
    fn webhooks_are_ones_own_and_checked() {
        let hub = Hub::start();
        hub.get("", AT).expect(401);
        let good = r#"{"url":"http://127.0.0.1:1/","watched":[{"type":"org","name":"acme"}]}"#;
        hub.post(EVE, AT, good).expect(403);
        for bad in [
            r#"{"watched":[]}"#,
            r#"{"url":"https://example.org/","watched":[]}"#,
            r#"{"url":"x","watched":[]}"#,
            r#"{"url":"http://h/","watched":[{"type":"planet","name":"x"}]}"#,
            r#"{"url":"http://h/","watched":[],"domains":["x"]}"#,
            r#"{"url":"http://h/","watched":[],"secret":"\n"}"#,
            r#"{"jobSourceId":"1","watched":[]}"#,
        ] {
            hub.post(ADA, AT, bad).expect(400);
        }
        let made = hub.post(ADA, AT, good).expect(200).json();
        let at = format!("{AT}/{}", made["webhook"]["id"].as_str().unwrap());
        assert_eq!(made["webhook"]["domains"], json!(["repo", "discussion"]));
        hub.get(BOB, &at).expect(404);
        assert_eq!(hub.get(BOB, AT).json(), json!([]));
        let changed = hub.post(ADA, &at, r#"{"domains":["repo"]}"#).expect(200).json();
        assert_eq!(
            (&changed["webhook"]["watched"], &changed["webhook"]["domains"]),
            (&json!([]), &json!(["repo"]))
        );
        assert_eq!(
            hub.post(ADA, &format!("{at}/disable"), "").json()["webhook"]["disabled"],
            true
        );
        assert_eq!(
            hub.post(ADA, &format!("{at}/enable"), "").json()["webhook"]["disabled"],
            false
        );
        hub.delete(ADA, &at).expect(200);
        hub.get(ADA, &at).expect(404);
    }
}
