//! Webhooks: kept here, and told of what happens to the repositories that they watch.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::Method;
use hub_types::{RepoId, RepoType};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::Caller;
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::routes::{Json, Params, done};
use crate::store::discussions::{Discussion, Event};
use crate::store::repos::Found;
use crate::store::webhooks::{Watched, Webhook};
use crate::store::{Repo, Store};

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
    change(app, caller, params, |webhook| webhook.disabled = true).await
}

async fn remove(app: App, caller: Caller, params: Params) -> Result<Response> {
    let user = caller.writer()?.row;
    let id = params.get("hook")?.to_owned();
    app.run(move |store| store.db.delete_webhook(&found(store, user, &id)?.oid))
        .await?;
    Ok(done())
}

/// Something that happened to a repository.
#[derive(Debug, Clone)]
pub(crate) struct Happening {
    pub(crate) action: &'static str,
    pub(crate) scope: &'static str,
    /// As it was, where it is gone now.
    pub(crate) repo: Repo,
    pub(crate) discussion: Option<Discussion>,
    pub(crate) comment: Option<Event>,
    /// What else the payload has, such as `updatedRefs`.
    pub(crate) more: Value,
}

impl Happening {
    pub(crate) fn new(action: &'static str, scope: &'static str, repo: &Repo) -> Self {
        Self {
            action,
            scope,
            repo: repo.clone(),
            discussion: None,
            comment: None,
            more: json!({}),
        }
    }

    fn domain(&self) -> &'static str {
        self.scope.split('.').next().unwrap_or(self.scope)
    }

    fn payload(&self, app: &App, store: &Store, webhook: &Webhook) -> Result<Value> {
        let oid = |name: &str| -> Result<Option<String>> { Ok(store.db.account_named(name)?.map(|(oid, _, _)| oid)) };
        let repo = &self.repo;
        let web = app.repo_url(&repo.id);
        let api = format!("{}/api/{}", app.url(), repo.id.api_path());
        let mut payload = json!({
            "event": { "action": self.action, "scope": self.scope },
            "repo": {
                "type": repo.id.repo_type().as_str(),
                "name": repo.id.id(),
                "id": repo.oid,
                "private": repo.is_private(),
                "url": { "web": web, "api": api },
                "owner": { "id": oid(repo.namespace())? },
                "tags": repo.facts["tags"].as_array().cloned().unwrap_or_default(),
            },
            "webhook": { "id": webhook.oid, "version": 3 },
        });
        if self.domain() == "repo"
            && let Some(head) = &repo.head
        {
            payload["repo"]["headSha"] = head.as_str().into();
        }
        if let Some(discussion) = &self.discussion {
            let page = format!("/discussions/{}", discussion.num);
            payload["discussion"] = json!({
                "id": format!("{}{:08x}", &repo.oid[..16], discussion.num),
                "num": discussion.num,
                "title": discussion.title,
                "url": { "web": format!("{web}{page}"), "api": format!("{api}{page}") },
                "status": discussion.status,
                "author": { "id": oid(&discussion.author)? },
                "isPullRequest": discussion.pull_request,
                "pinned": discussion.pinned,
            });
            if let Some(base) = &discussion.base {
                payload["discussion"]["changes"] = json!({ "base": base, "mergeCommitId": discussion.merge_commit });
            }
            if let Some(comment) = &self.comment {
                payload["comment"] = json!({
                    "id": comment.id,
                    "author": { "id": oid(&comment.author)? },
                    "hidden": comment.is_hidden(),
                    "url": { "web": format!("{web}{page}#{}", comment.id) },
                });
                if !comment.is_hidden() {
                    payload["comment"]["content"] = comment.data["latest"]["raw"].clone();
                }
            }
        }
        for (key, value) in self.more.as_object().into_iter().flatten() {
            payload[key] = value.clone();
        }
        Ok(payload)
    }
}

impl App {
    /// Tells the webhooks that watch the repository, in the background. What fails is logged: the request that made
    /// it happen has succeeded.
    pub(crate) fn announce(&self, happening: Happening) {
        let app = self.clone();
        tokio::spawn(async move {
            let inner = app.clone();
            let deliveries = app.run(move |store| messages(&inner, store, &happening)).await;
            match deliveries {
                Ok(deliveries) => deliveries
                    .into_iter()
                    .for_each(|delivery| app.deliveries().push(delivery)),
                Err(err) => tracing::error!(error = &err as &dyn std::error::Error, "webhooks could not be told"),
            }
        });
    }

    /// As [`App::announce`], of a discussion or of a comment in it, as they are now.
    pub(crate) fn announce_discussion(&self, action: &'static str, repo: &Repo, num: u64, comment: Option<Event>) {
        let (app, repo) = (self.clone(), repo.clone());
        tokio::spawn(async move {
            let wanted = repo.clone();
            if let Ok(discussion) = app.run(move |store| store.db.discussion(&wanted, num)).await {
                let scope = match comment {
                    Some(_) => "discussion.comment",
                    None => "discussion",
                };
                app.announce(Happening {
                    discussion: Some(discussion),
                    comment,
                    ..Happening::new(action, scope, &repo)
                });
            }
        });
    }
}

fn messages(app: &App, store: &Store, happening: &Happening) -> Result<Vec<Delivery>> {
    let mut messages = Vec::new();
    for webhook in store.db.webhooks(None)? {
        let repo = &happening.repo;
        // A webhook learns what its owner may know.
        if !webhook.wants(repo, happening.domain())
            || (repo.is_private() && !store.db.is_of(webhook.user, repo.namespace())?)
        {
            continue;
        }
        messages.push(Delivery {
            body: happening.payload(app, store, &webhook)?.to_string().into(),
            webhook: webhook.oid,
            url: webhook.url,
            secret: webhook.secret,
        });
    }
    Ok(messages)
}

/// What may move a branch, a tag or a pull request, behind a repository's id.
const MOVES_REFS: &[&str] = &[
    "commit",
    "branch",
    "tag",
    "super-squash",
    "discussions",
    "git-receive-pack",
];

/// Compares a repository's refs before and after a request that may move some, and tells of those that moved: whichever
/// way they moved, there is one place that sees it.
pub(crate) async fn watch_refs(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = match request.method() {
        &Method::POST | &Method::DELETE => moved_repo(request.uri().path()),
        _ => None,
    };
    let Some(id) = id else {
        return next.run(request).await;
    };
    let before = snapshot(&app, id.clone()).await;
    let response = next.run(request).await;
    if let Some((_, before)) = before
        && response.status().is_success()
        && let Some((repo, after)) = snapshot(&app, id).await
    {
        let mut moved = Vec::new();
        for name in before
            .keys()
            .chain(after.keys().filter(|name| !before.contains_key(*name)))
        {
            let (old, new) = (before.get(name), after.get(name));
            if old != new {
                moved.push(json!({ "ref": name, "oldSha": old, "newSha": new }));
            }
        }
        if !moved.is_empty() {
            app.announce(Happening {
                more: json!({ "updatedRefs": moved }),
                ..Happening::new("update", "repo.content", &repo)
            });
        }
    }
    response
}

/// The repository whose refs a request may move, told from the router's form of the address.
fn moved_repo(path: &str) -> Option<RepoId> {
    let mut parts = path.split('/').skip(1);
    let (form, kind, id, what) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if !matches!(form, "-api" | "-web") || !MOVES_REFS.contains(&what) {
        return None;
    }
    let id = percent_encoding::percent_decode_str(id).decode_utf8().ok()?;
    RepoId::new(RepoType::from_plural(kind)?, &id).ok()
}

/// The refs of a repository by their names, if any webhook could want to know of them.
async fn snapshot(app: &App, id: RepoId) -> Option<(Repo, BTreeMap<String, String>)> {
    app.run(move |store| {
        if store.db.webhooks(None)?.is_empty() {
            return Ok(None);
        }
        let (Some(Found::Here(repo)) | Some(Found::Moved(repo))) = store.db.repo(&id)? else {
            return Ok(None);
        };
        let refs = store.git(&repo)?.refs()?.into_iter();
        let refs = refs.map(|one| (one.full, one.commit.to_string())).collect();
        Ok(Some((*repo, refs)))
    })
    .await
    .ok()
    .flatten()
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
