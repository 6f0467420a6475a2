//! Creating, deleting, moving, settings, duplicating; and what a repository is.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use hub_types::{RepoId, RepoType};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::routes::{Json, Params, Query, Target, done};
use crate::store::git::EntryKind;
use crate::store::repos::{Found, NewRepo};
use crate::store::{Gated, GitRepo, Repo, Store, Visibility};

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/api/repos/create", post(create))
        .route("/api/repos/delete", delete(remove))
        .route("/api/repos/move", post(rename))
        .route("/-api/{kind}/{id}", get(info))
        .route("/-api/{kind}/{id}/revision/{rev}", get(info))
        .route("/-api/{kind}/{id}/settings", put(settings))
        .route("/-api/{kind}/{id}/duplicate", post(duplicate))
        .route("/-api/{kind}/{id}/auth-check", get(auth_check))
        .route("/-api/{kind}/{id}/auth-check/write", get(auth_check_write))
}

#[derive(Deserialize)]
struct Create {
    name: String,
    organization: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    visibility: Option<String>,
    private: Option<bool>,
    sdk: Option<String>,
}

fn kind_of(kind: Option<&str>) -> Result<RepoType> {
    Ok(kind.unwrap_or("model").parse()?)
}

/// The id of a request that names the two halves apart: without the first one, the caller's own.
fn full_id(caller: &Caller, kind: Option<&str>, organization: Option<&str>, name: &str) -> Result<RepoId> {
    let kind = kind_of(kind)?;
    // Older clients send the whole id as the name.
    let id = match organization.filter(|org| !org.is_empty()) {
        Some(org) => format!("{org}/{name}"),
        None if name.contains('/') => name.to_owned(),
        None => format!("{}/{name}", caller.account()?.name),
    };
    Ok(RepoId::new(kind, &id)?)
}

fn visibility_of(visibility: Option<&str>, private: Option<bool>, kind: RepoType) -> Result<Option<Visibility>> {
    let chosen = match (visibility, private) {
        (Some(word), _) => Some(
            Visibility::parse(word)
                .ok_or_else(|| Error::bad_request("\"visibility\" must be one of [public, private, protected]"))?,
        ),
        (None, Some(true)) => Some(Visibility::Private),
        (None, Some(false)) => Some(Visibility::Public),
        (None, None) => None,
    };
    if chosen == Some(Visibility::Protected) && kind != RepoType::Space {
        return Err(Error::bad_request("\"visibility\" protected is for spaces only"));
    }
    Ok(chosen)
}

async fn create(State(app): State<App>, caller: Caller, Json(body): Json<Create>) -> Result<Response> {
    let id = full_id(&caller, body.kind.as_deref(), body.organization.as_deref(), &body.name)?;
    caller.check_namespace(&id)?;
    let visibility = visibility_of(body.visibility.as_deref(), body.private, id.repo_type())?;
    if id.repo_type() == RepoType::Space
        && !matches!(body.sdk.as_deref(), Some("gradio" | "streamlit" | "docker" | "static"))
    {
        return Err(Error::bad_request(
            "\"sdk\" must be one of [gradio, docker, static, streamlit]",
        ));
    }
    let url = app.repo_url(&id);
    let new = NewRepo {
        visibility: visibility.unwrap_or(Visibility::Public),
        sdk: body.sdk.filter(|_| id.repo_type() == RepoType::Space),
        id,
    };
    let made = app.run(move |store| store.create_repo(&new)).await;
    match made {
        Ok(repo) => Ok(axum::Json(json!({ "url": url, "name": repo.id.id(), "id": repo.oid })).into_response()),
        Err(Error::Conflict { message, .. }) => Err(Error::Conflict {
            message,
            url: Some(url),
        }),
        Err(err) => Err(err),
    }
}

#[derive(Deserialize)]
struct Remove {
    name: String,
    organization: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// The repository that a body names, which the caller may change.
fn owned(store: &Store, caller: &Caller, id: &RepoId) -> Result<Repo> {
    let (Some(Found::Here(repo)) | Some(Found::Moved(repo))) = store.db.repo(id)? else {
        caller.account()?;
        return Err(Error::RepoNotFound);
    };
    caller.check_write(&repo)?;
    Ok(*repo)
}

async fn remove(State(app): State<App>, caller: Caller, Json(body): Json<Remove>) -> Result<Response> {
    caller.account()?;
    let id = full_id(&caller, body.kind.as_deref(), body.organization.as_deref(), &body.name)?;
    app.run(move |store| {
        let repo = owned(store, &caller, &id)?;
        if repo.id != id {
            // Nobody deletes by an old name what has a new one.
            return Err(Error::RepoNotFound);
        }
        store.delete_repo(&repo)
    })
    .await?;
    Ok(done())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rename {
    from_repo: String,
    to_repo: String,
    #[serde(rename = "type")]
    kind: Option<String>,
}

async fn rename(State(app): State<App>, caller: Caller, Json(body): Json<Rename>) -> Result<Response> {
    caller.account()?;
    let kind = kind_of(body.kind.as_deref())?;
    let (from, to) = (RepoId::new(kind, &body.from_repo)?, RepoId::new(kind, &body.to_repo)?);
    if to.namespace().is_none() {
        return Err(Error::bad_request("\"toRepo\" must be namespace/name"));
    }
    let url = app.repo_url(&to);
    app.run(move |store| {
        let repo = owned(store, &caller, &from)?;
        caller.check_namespace(&to)?;
        store.move_repo(&repo, &to)
    })
    .await?;
    Ok(axum::Json(json!({ "url": url })).into_response())
}

#[derive(Deserialize)]
struct Settings {
    gated: Option<Value>,
    visibility: Option<String>,
    private: Option<bool>,
}

async fn settings(State(app): State<App>, target: Target, Json(body): Json<Settings>) -> Result<Response> {
    let (target, _) = target.writable()?;
    let visibility = visibility_of(body.visibility.as_deref(), body.private, target.repo.id.repo_type())?;
    let gated = body
        .gated
        .map(|gated| {
            Gated::from_json(&gated).ok_or_else(|| Error::bad_request("\"gated\" must be one of [auto, manual, false]"))
        })
        .transpose()?;
    app.run(move |store| {
        if let Some(visibility) = visibility {
            store.db.set_visibility(&target.repo, visibility)?;
        }
        if let Some(gated) = gated {
            store.db.set_gated(&target.repo, gated)?;
        }
        let repo = store.db.repo_by_row(target.repo.row)?.ok_or(Error::RepoNotFound)?;
        Ok(axum::Json(
            json!({ "private": repo.is_private(), "visibility": repo.visibility.as_str(), "gated": repo.gated.json() }),
        )
        .into_response())
    })
    .await
}

#[derive(Deserialize)]
struct Duplicate {
    repository: String,
    visibility: Option<String>,
    private: Option<bool>,
}

async fn duplicate(State(app): State<App>, target: Target, Json(body): Json<Duplicate>) -> Result<Response> {
    let target = target.readable()?;
    let kind = target.repo.id.repo_type();
    let to = RepoId::new(kind, &body.repository)?;
    target.caller.check_namespace(&to)?;
    let visibility = visibility_of(body.visibility.as_deref(), body.private, kind)?;
    let url = app.repo_url(&to);
    let made = app
        .run(move |store| {
            let from = &target.repo;
            let new = NewRepo {
                visibility: visibility.unwrap_or(from.visibility),
                sdk: from.sdk.clone(),
                id: to,
            };
            let copy = store.create_repo(&new)?;
            let filled = store.copy_main(from, &copy);
            if filled.is_err() {
                let _ = store.delete_repo(&copy);
            }
            filled
        })
        .await;
    match made {
        Ok(()) => Ok(axum::Json(json!({ "url": url, "filesCopyPending": false })).into_response()),
        Err(Error::Conflict { message, .. }) => Err(Error::Conflict {
            message,
            url: Some(url),
        }),
        Err(err) => Err(err),
    }
}

async fn auth_check(target: Target) -> Result<Response> {
    target.readable()?;
    Ok(done())
}

async fn auth_check_write(target: Target) -> Result<Response> {
    target.writable()?;
    Ok(done())
}

async fn info(State(app): State<App>, target: Target, params: Params, query: Query) -> Result<Response> {
    let rev = params.optional("rev").map(str::to_owned);
    let kind = target.repo.id.repo_type();
    let wanted = expanded(kind, &query)?;
    let blobs = query.flag("blobs");
    let security = query.flag("securityStatus");
    let reply = target
        .run(&app, move |store, repo, git| {
            let commit = git.resolve(rev.as_deref().unwrap_or("main"))?;
            let mut reply = describe(store, repo, git, commit)?;
            if wanted
                .as_ref()
                .is_none_or(|wanted| wanted.iter().any(|w| w == "siblings"))
            {
                reply.insert("siblings".to_owned(), siblings(git, commit, blobs)?);
            }
            if security {
                reply.insert(
                    "securityRepoStatus".to_owned(),
                    json!({ "scansDone": true, "filesWithIssues": [] }),
                );
            }
            Ok(select(reply, wanted.as_deref()))
        })
        .await?;
    Ok(axum::Json(reply).into_response())
}

/// Everything that an info may hold, but for the files.
pub(crate) fn describe(store: &Store, repo: &Repo, git: &GitRepo, commit: git2::Oid) -> Result<Map<String, Value>> {
    let mut repo = repo.clone();
    if repo.head.as_deref() != Some(&*commit.to_string()) {
        repo.facts = store.facts(&repo, git, commit)?;
        repo.modified = git.date(commit)?;
    }
    let mut reply = summary(&repo);
    reply.insert("sha".to_owned(), commit.to_string().into());
    Ok(reply)
}

/// What a listing holds of a repository: nothing is read but its row.
pub(crate) fn summary(repo: &Repo) -> Map<String, Value> {
    let kind = repo.id.repo_type();
    let mut reply = Map::new();
    let mut put = |key: &str, value: Value| {
        reply.insert(key.to_owned(), value);
    };
    put("_id", repo.oid.as_str().into());
    put("id", repo.id.id().into());
    put("author", repo.namespace().into());
    put("sha", repo.head.clone().into());
    put("lastModified", repo.modified.to_string().into());
    put("private", repo.is_private().into());
    put("gated", repo.gated.json());
    put("likes", 0.into());
    if kind != RepoType::Space {
        put("downloads", 0.into());
    }
    if kind == RepoType::Kernel {
        return reply;
    }
    put("disabled", false.into());
    put("createdAt", repo.created.to_string().into());
    put("trendingScore", 0.into());
    let facts = &repo.facts;
    let mut tags = facts["tags"].as_array().cloned().unwrap_or_default();
    if let Some(sdk) = &repo.sdk {
        tags.insert(0, sdk.as_str().into());
    }
    put("tags", tags.into());
    if facts["cardData"].as_object().is_some_and(|card| !card.is_empty()) {
        put("cardData", facts["cardData"].clone());
    }
    put("usedStorage", facts["usedStorage"].as_u64().unwrap_or(0).into());
    match kind {
        RepoType::Model => {
            put("modelId", repo.id.id().into());
            put("downloadsAllTime", 0.into());
            for key in ["pipeline_tag", "library_name", "config", "safetensors"] {
                if !facts[key].is_null() {
                    put(key, facts[key].clone());
                }
            }
        }
        RepoType::Dataset => {
            put("downloadsAllTime", 0.into());
            put("description", "".into());
        }
        RepoType::Space => {
            put("sdk", repo.sdk.clone().into());
            let subdomain = repo.id.id().replace(['/', '_', '.'], "-").to_ascii_lowercase();
            put("subdomain", subdomain.into());
            put("models", json!([]));
            put("datasets", json!([]));
        }
        RepoType::Kernel => {}
    }
    reply
}

fn siblings(git: &GitRepo, commit: git2::Oid, blobs: bool) -> Result<Value> {
    if !blobs {
        let files = git.list(commit, None, true)?;
        let names = files.into_iter().filter(|(_, _, folder)| !folder);
        return Ok(names.map(|(path, _, _)| json!({ "rfilename": path })).collect());
    }
    let files = git.files(commit)?.into_iter().map(|file| {
        let mut sibling = json!({ "rfilename": file.path, "blobId": file.oid.to_string() });
        if let EntryKind::File { stored, pointer } = file.kind {
            match pointer {
                Some(pointer) => {
                    sibling["size"] = pointer.size.into();
                    sibling["lfs"] = json!({
                        "sha256": pointer.sha256.to_string(), "size": pointer.size, "pointerSize": stored
                    });
                }
                None => sibling["size"] = stored.into(),
            }
        }
        sibling
    });
    Ok(files.collect())
}

const MODEL_EXPAND: &[&str] = &[
    "author",
    "baseModels",
    "cardData",
    "childrenModelCount",
    "config",
    "createdAt",
    "disabled",
    "downloads",
    "downloadsAllTime",
    "evalResults",
    "gated",
    "gguf",
    "inference",
    "inferenceProviderMapping",
    "lastModified",
    "library_name",
    "likes",
    "mask_token",
    "model-index",
    "pipeline_tag",
    "private",
    "resourceGroup",
    "safetensors",
    "sha",
    "siblings",
    "spaces",
    "tags",
    "transformersInfo",
    "trendingScore",
    "usedStorage",
    "widgetData",
];
const DATASET_EXPAND: &[&str] = &[
    "author",
    "cardData",
    "citation",
    "createdAt",
    "description",
    "disabled",
    "downloads",
    "downloadsAllTime",
    "gated",
    "lastModified",
    "likes",
    "mainSize",
    "paperswithcode_id",
    "private",
    "resourceGroup",
    "sha",
    "siblings",
    "tags",
    "trendingScore",
    "usedStorage",
];
const SPACE_EXPAND: &[&str] = &[
    "author",
    "cardData",
    "createdAt",
    "datasets",
    "disabled",
    "lastModified",
    "likes",
    "models",
    "private",
    "region",
    "resourceGroup",
    "runtime",
    "sdk",
    "sha",
    "siblings",
    "subdomain",
    "tags",
    "trendingScore",
    "usedStorage",
];

/// The properties that `expand` asks for; `None` for all of the usual ones.
///
/// # Errors
///
/// [`Error::BadRequest`] for one that there is not.
pub(crate) fn expanded(kind: RepoType, query: &Query) -> Result<Option<Vec<String>>> {
    let known = match kind {
        RepoType::Model => MODEL_EXPAND,
        RepoType::Dataset => DATASET_EXPAND,
        RepoType::Space => SPACE_EXPAND,
        RepoType::Kernel => return Ok(None),
    };
    let wanted: Vec<String> = query.all("expand").map(str::to_owned).collect();
    if wanted.iter().any(|word| !known.contains(&&**word)) {
        return Err(Error::bad_request(format!(
            "\"expand\" must be one of [{}]",
            known.join(", ")
        )));
    }
    Ok((!wanted.is_empty()).then_some(wanted))
}

/// Only what was asked for, with the two ids.
pub(crate) fn select(reply: Map<String, Value>, wanted: Option<&[String]>) -> Value {
    match wanted {
        None => reply.into_iter().filter(|(key, _)| key != "downloadsAllTime").collect(),
        Some(wanted) => reply
            .into_iter()
            .filter(|(key, _)| key == "id" || key == "_id" || wanted.contains(key))
            .collect(),
    }
}
