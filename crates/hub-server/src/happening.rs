//! What happens to repositories, and what webhooks are told of it.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::Method;
use hub_types::{RepoId, RepoType};
use serde_json::{Value, json};

use crate::app::App;
use crate::clock;
use crate::delivery::Delivery;
use crate::error::Result;
use crate::store::discussions::{Discussion, Event};
use crate::store::repos::Found;
use crate::store::webhooks::Webhook;
use crate::store::{Repo, Store};

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
    /// When. It is told a little later, and not to webhooks that were made meanwhile.
    pub(crate) at: String,
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
            at: clock::now().to_string(),
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
    /// Tells the webhooks that watch the repository, in the background and in the order of the calls.
    pub(crate) fn announce(&self, happening: Happening) {
        let app = self.clone();
        self.deliveries()
            .announce(self.clone(), move |store| messages(&app, store, &happening));
    }

    /// As [`App::announce`], of a discussion or of a comment in it.
    pub(crate) fn announce_discussion(
        &self,
        action: &'static str,
        repo: &Repo,
        discussion: Discussion,
        comment: Option<Event>,
    ) {
        let scope = match comment {
            Some(_) => "discussion.comment",
            None => "discussion",
        };
        self.announce(Happening {
            discussion: Some(discussion),
            comment,
            ..Happening::new(action, scope, repo)
        });
    }
}

fn messages(app: &App, store: &Store, happening: &Happening) -> Result<Vec<Delivery>> {
    let mut messages = Vec::new();
    for webhook in store.db.webhooks(None)? {
        let repo = &happening.repo;
        // A webhook learns what its owner may know.
        if webhook.created > happening.at
            || !webhook.wants(repo, happening.domain())
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
