//! Creating, deleting, moving, settings, duplicating; and what a repository is.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use hub_types::{RepoId, RepoType};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::happening::Happening;
use crate::routes::properties::{self, Links};
use crate::routes::{Json, Params, Query, Target, done, spaces};
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
    template: Option<String>,
    #[serde(flatten)]
    space: spaces::Settings,
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

async fn create(app: App, caller: Caller, Json(body): Json<Create>) -> Result<Response> {
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
    body.space.check()?;
    // Spelt as the account is, however the request spells it.
    let spelt = id.clone();
    let id = app
        .run(move |store| {
            let namespace = store.db.account_named(spelt.namespace().unwrap_or_default())?;
            let (_, namespace, _) = namespace.ok_or(Error::Internal)?;
            Ok(RepoId::new(
                spelt.repo_type(),
                &format!("{namespace}/{}", spelt.name()),
            )?)
        })
        .await?;
    let url = app.repo_url(&id);
    let new = NewRepo {
        visibility: visibility.unwrap_or(Visibility::Public),
        sdk: body.sdk.filter(|_| id.repo_type() == RepoType::Space),
        id,
    };
    let (space, template) = (body.space, body.template);
    let made = app
        .run(move |store| {
            let template = template.map(|id| visible_space(store, &caller, &id)).transpose()?;
            let repo = store.create_repo(&new)?;
            if new.id.repo_type() != RepoType::Space {
                return Ok(repo);
            }
            let filled = match template {
                Some(template) => store.copy_main(&template, &repo),
                None => Ok(()),
            };
            if let Err(err) = filled.and_then(|()| space.apply(store, &caller, &repo)) {
                let _ = store.delete_repo(&repo);
                return Err(err);
            }
            Ok(repo)
        })
        .await;
    match made {
        Ok(repo) => {
            app.announce(Happening::new("create", "repo", &repo));
            Ok(axum::Json(json!({ "url": url, "name": repo.id.id(), "id": repo.oid })).into_response())
        }
        Err(Error::Conflict { message, .. }) => Err(Error::Conflict {
            message,
            url: Some(url),
        }),
        Err(err) => Err(err),
    }
}

/// A Space that the caller may copy.
fn visible_space(store: &Store, caller: &Caller, id: &str) -> Result<Repo> {
    match store.db.repo(&RepoId::new(RepoType::Space, id)?)? {
        Some(Found::Here(repo) | Found::Moved(repo)) if caller.may_see(&repo) => Ok(*repo),
        _ => Err(Error::NotFound(format!("Template not found: {id}"))),
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

async fn remove(app: App, caller: Caller, Json(body): Json<Remove>) -> Result<Response> {
    caller.account()?;
    let id = full_id(&caller, body.kind.as_deref(), body.organization.as_deref(), &body.name)?;
    let repo = app
        .run(move |store| {
            let repo = owned(store, &caller, &id)?;
            if repo.id != id {
                // Nobody deletes by an old name what has a new one.
                return Err(Error::RepoNotFound);
            }
            store.delete_repo(&repo)?;
            Ok(repo)
        })
        .await?;
    app.announce(Happening::new("delete", "repo", &repo));
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

async fn rename(app: App, caller: Caller, Json(body): Json<Rename>) -> Result<Response> {
    caller.account()?;
    let kind = kind_of(body.kind.as_deref())?;
    let (from, to) = (RepoId::new(kind, &body.from_repo)?, RepoId::new(kind, &body.to_repo)?);
    if to.namespace().is_none() {
        return Err(Error::bad_request("\"toRepo\" must be namespace/name"));
    }
    let url = app.repo_url(&to);
    let (repo, owner) = app
        .run({
            let to = to.clone();
            move |store| {
                let repo = owned(store, &caller, &from)?;
                caller.check_namespace(&to)?;
                store.move_repo(&repo, &to)?;
                let owner = store.db.account_named(to.namespace().unwrap_or_default())?;
                Ok((repo, owner.map(|(oid, _, _)| oid)))
            }
        })
        .await?;
    app.announce(Happening {
        more: json!({ "movedTo": { "name": to.id(), "owner": { "id": owner } } }),
        ..Happening::new("move", "repo", &repo)
    });
    Ok(axum::Json(json!({ "url": url })).into_response())
}

#[derive(Deserialize)]
struct Settings {
    gated: Option<Value>,
    visibility: Option<String>,
    private: Option<bool>,
}

async fn settings(app: App, target: Target, Json(body): Json<Settings>) -> Result<Response> {
    let (target, _) = target.writable()?;
    let visibility = visibility_of(body.visibility.as_deref(), body.private, target.repo.id.repo_type())?;
    let gated = body
        .gated
        .map(|gated| {
            Gated::from_json(&gated).ok_or_else(|| Error::bad_request("\"gated\" must be one of [auto, manual, false]"))
        })
        .transpose()?;
    let was_private = target.repo.is_private();
    let repo = app
        .run(move |store| {
            if let Some(visibility) = visibility {
                store.db.set_visibility(&target.repo, visibility)?;
            }
            if let Some(gated) = gated {
                store.db.set_gated(&target.repo, gated)?;
            }
            store.db.repo_by_row(target.repo.row)?.ok_or(Error::RepoNotFound)
        })
        .await?;
    let reply =
        json!({ "private": repo.is_private(), "visibility": repo.visibility.as_str(), "gated": repo.gated.json() });
    let changed = match repo.is_private() != was_private {
        true => json!({ "private": repo.is_private() }),
        false => json!({}),
    };
    app.announce(Happening {
        more: json!({ "updatedConfig": changed }),
        ..Happening::new("update", "repo.config", &repo)
    });
    Ok(axum::Json(reply).into_response())
}

#[derive(Deserialize)]
struct Duplicate {
    repository: String,
    visibility: Option<String>,
    private: Option<bool>,
    #[serde(flatten)]
    space: spaces::Settings,
}

async fn duplicate(app: App, target: Target, Json(body): Json<Duplicate>) -> Result<Response> {
    let target = target.readable()?;
    let kind = target.repo.id.repo_type();
    let to = RepoId::new(kind, &body.repository)?;
    target.caller.check_namespace(&to)?;
    let visibility = visibility_of(body.visibility.as_deref(), body.private, kind)?;
    let url = app.repo_url(&to);
    body.space.check()?;
    let space = body.space;
    let made = app
        .run(move |store| {
            let from = &target.repo;
            let new = NewRepo {
                visibility: visibility.unwrap_or(from.visibility),
                sdk: from.sdk.clone(),
                id: to,
            };
            let copy = store.create_repo(&new)?;
            let filled = store.copy_main(from, &copy).and_then(|()| match kind {
                RepoType::Space => space.apply(store, &target.caller, &copy),
                _ => Ok(()),
            });
            if filled.is_err() {
                let _ = store.delete_repo(&copy);
            }
            filled?;
            store.db.repo_by_row(copy.row)?.ok_or(Error::RepoNotFound)
        })
        .await;
    match made {
        Ok(copy) => {
            app.announce(Happening::new("create", "repo", &copy));
            Ok(axum::Json(json!({ "url": url, "filesCopyPending": false })).into_response())
        }
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

async fn info(app: App, target: Target, params: Params, query: Query) -> Result<Response> {
    let rev = params.optional("rev").map(str::to_owned);
    let kind = target.repo.id.repo_type();
    let wanted = expanded(kind, &query)?;
    let blobs = query.flag("blobs");
    let security = query.flag("securityStatus");
    let caller = target.caller.clone();
    let reply = target
        .run(&app, move |store, repo, git| {
            let commit = git.resolve(rev.as_deref().unwrap_or("main"))?;
            let mut reply = describe(store, repo, git, commit)?;
            let usual = ["spaces".to_owned()];
            Links::load(store, &caller, wanted.as_deref().unwrap_or(&usual))?.add(repo, &mut reply);
            if wanted
                .as_ref()
                .is_some_and(|wanted| wanted.iter().any(|w| w == "mainSize"))
            {
                reply.insert("mainSize".to_owned(), properties::main_size(store, repo)?.into());
            }
            if wanted
                .as_ref()
                .is_none_or(|wanted| wanted.iter().any(|w| w == "siblings"))
            {
                reply.insert("siblings".to_owned(), siblings(git, commit, blobs)?);
            }
            if kind == RepoType::Space {
                reply.insert("runtime".to_owned(), store.runtime(repo, false)?);
            }
            if security {
                reply.insert(
                    "securityRepoStatus".to_owned(),
                    json!({ "scansDone": false, "filesWithIssues": [] }),
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
    put("likes", repo.likes.into());
    if kind != RepoType::Space {
        put("downloads", repo.downloads.into());
    }
    if kind == RepoType::Kernel {
        return reply;
    }
    put("disabled", false.into());
    put("createdAt", repo.created.to_string().into());
    // What is liked now is what trends.
    put("trendingScore", repo.likes_7d.into());
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
            put("downloadsAllTime", repo.downloads_all_time.into());
            for key in ["pipeline_tag", "library_name", "config", "safetensors"] {
                if !facts[key].is_null() {
                    put(key, facts[key].clone());
                }
            }
        }
        RepoType::Dataset => {
            put("downloadsAllTime", repo.downloads_all_time.into());
            put("description", "".into());
        }
        RepoType::Space => {
            put("sdk", repo.sdk.clone().into());
            let subdomain = repo.id.id().replace(['/', '_', '.'], "-").to_ascii_lowercase();
            put("subdomain", subdomain.into());
        }
        RepoType::Kernel => {}
    }
    properties::describe(repo, &mut reply);
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

/// Names that the Hub takes too, but does not tell.
const UNLISTED_EXPAND: &[&str] = &["gitalyUid", "xetEnabled"];

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
    if wanted
        .iter()
        .any(|word| !known.contains(&&**word) && !UNLISTED_EXPAND.contains(&&**word))
    {
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
        None => reply
            .into_iter()
            .filter(|(key, _)| !properties::EXPAND_ONLY.contains(&&**key))
            .collect(),
        Some(wanted) => reply
            .into_iter()
            .filter(|(key, _)| key == "id" || key == "_id" || wanted.contains(key))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{ADA, BOB, EVE, Hub, file};

    #[test]
    fn a_repository_is_made_once() {
        let hub = Hub::start();
        let url = hub.server.url();
        let made = hub
            .post(ADA, "/api/repos/create", r#"{"name":"demo","organization":null}"#)
            .expect(200);
        assert_eq!(made.json()["url"], format!("{url}/ada/demo"));
        let again = hub.post(ADA, "/api/repos/create", r#"{"name":"demo"}"#).expect(409);
        assert_eq!(again.json()["url"], format!("{url}/ada/demo"));
        // Spelt otherwise it is the same one.
        hub.post(ADA, "/api/repos/create", r#"{"name":"DEMO","organization":"Ada"}"#)
            .expect(409);

        let dataset = r#"{"name":"notes","organization":"acme","type":"dataset","visibility":"private"}"#;
        let made = hub.post(ADA, "/api/repos/create", dataset).expect(200);
        assert_eq!(made.json()["url"], format!("{url}/datasets/acme/notes"));
        assert_eq!(
            hub.get(ADA, "/api/datasets/acme/notes").expect(200).json()["private"],
            true
        );

        hub.post("", "/api/repos/create", r#"{"name":"x"}"#).expect(401);
        hub.post(EVE, "/api/repos/create", r#"{"name":"x"}"#).expect(403);
        hub.post(BOB, "/api/repos/create", r#"{"name":"x","organization":"acme"}"#)
            .expect(403);
        for bad in [
            r#"{"name":"../x"}"#,
            r#"{"name":"a--b"}"#,
            r#"{"name":"x","type":"bucket"}"#,
            r#"{"name":"x","visibility":"secret"}"#,
            r#"{"name":"x","visibility":"protected"}"#,
            r#"{"name":"x","type":"space"}"#,
            "{",
            "[]",
        ] {
            hub.post(ADA, "/api/repos/create", bad).expect(400);
        }
    }

    #[test]
    fn who_may_not_see_it_is_told_so_in_the_hubs_words() {
        let hub = Hub::start();
        hub.post(ADA, "/api/repos/create", r#"{"name":"secret","private":true}"#)
            .expect(200);
        for path in [
            "/api/models/ada/secret",
            "/api/models/ada/nothing",
            "/api/models/ada/secret/tree/main",
            "/ada/secret/resolve/main/.gitattributes",
            "/ada/secret.git/info/refs?service=git-upload-pack",
        ] {
            let anonymous = hub.get("", path).expect_code(401, "");
            assert_eq!(anonymous.header("x-error-message"), "Invalid username or password.");
            hub.get(BOB, path).expect_code(404, "RepoNotFound");
            let wrong = hub.get("hf_wrong", path).expect_code(401, "");
            assert_eq!(
                wrong.header("x-error-message"),
                "Invalid credentials in Authorization header"
            );
        }
        hub.get(ADA, "/api/models/ada/secret").expect(200);
        hub.put(ADA, "/api/models/ada/secret/settings", r#"{"visibility":"public"}"#)
            .expect(200);
        hub.get("", "/api/models/ada/secret").expect(200);
    }

    #[test]
    fn a_gated_repository_shows_itself_but_not_its_files() {
        let hub = Hub::with_demo();
        hub.put(ADA, "/api/models/ada/demo/settings", r#"{"gated":"auto"}"#)
            .expect(200);
        assert_eq!(hub.get("", "/api/models/ada/demo").expect(200).json()["gated"], "auto");
        for path in [
            "/ada/demo/resolve/main/.gitattributes",
            "/api/models/ada/demo/auth-check",
        ] {
            hub.get("", path).expect_code(401, "GatedRepo");
            hub.get(BOB, path).expect_code(403, "GatedRepo");
        }
        hub.get(ADA, "/ada/demo/resolve/main/.gitattributes").expect(307);
        hub.put(ADA, "/api/models/ada/demo/settings", r#"{"gated":false}"#)
            .expect(200);
        hub.get("", "/ada/demo/resolve/main/.gitattributes").expect(307);
        hub.put(ADA, "/api/models/ada/demo/settings", r#"{"gated":true}"#)
            .expect(400);
        hub.put(BOB, "/api/models/ada/demo/settings", r#"{"gated":"auto"}"#)
            .expect(403);
    }

    #[test]
    fn an_old_name_leads_to_the_new_one() {
        let hub = Hub::with_demo();
        let body = r#"{"fromRepo":"ada/demo","toRepo":"acme/new","type":"model"}"#;
        hub.post(BOB, "/api/repos/move", body).expect(403);
        hub.post(ADA, "/api/repos/move", body).expect(200);
        for (old, new) in [
            ("/api/models/ada/demo", "/api/models/acme/new"),
            (
                "/api/models/ada/demo/tree/main?recursive=true",
                "/api/models/acme/new/tree/main?recursive=true",
            ),
            (
                "/ada/demo/resolve/main/.gitattributes",
                "/acme/new/resolve/main/.gitattributes",
            ),
        ] {
            let moved = hub.get("", old).expect(307);
            assert_eq!(moved.header("location"), new);
            assert!(matches!(hub.get("", new).status, 200 | 307));
        }
        // A new repository takes the old name back.
        hub.create("demo");
        assert_eq!(hub.get("", "/api/models/ada/demo").expect(200).json()["id"], "ada/demo");
        hub.post(ADA, "/api/repos/move", body).expect(409);
    }

    #[test]
    fn a_deleted_repository_is_gone() {
        let hub = Hub::with_demo();
        let sha256 = hub.upload_large(b"large");
        let blob = hub
            .root
            .path()
            .join("lfs")
            .join(&sha256[..2])
            .join(&sha256[2..4])
            .join(&sha256);
        assert!(blob.exists());
        let body = br#"{"name":"demo","organization":"ada"}"#;
        hub.send("DELETE", BOB, "/api/repos/delete", &[], body).expect(403);
        hub.send("DELETE", ADA, "/api/repos/delete", &[], body).expect(200);
        hub.get(ADA, "/api/models/ada/demo").expect_code(404, "RepoNotFound");
        hub.send("DELETE", ADA, "/api/repos/delete", &[], body)
            .expect_code(404, "RepoNotFound");
        assert!(!blob.exists(), "no other repository has the file");
        hub.create("demo");
    }

    #[test]
    fn an_info_says_what_was_asked_for() {
        let hub = Hub::with_demo();
        let card = "---\nlicense: mit\ntags: [tiny]\n---\n# Demo";
        hub.commit(&[
            file("README.md", card),
            file("config.json", r#"{"model_type":"bert","x":1}"#),
        ])
        .expect(200);
        let info = hub.get("", "/api/models/ada/demo").expect(200).json();
        assert_eq!(info["cardData"], json!({"license": "mit", "tags": ["tiny"]}));
        assert_eq!(info["config"], json!({"model_type": "bert"}));
        let tags = info["tags"].as_array().unwrap();
        assert!(tags.contains(&json!("license:mit")) && tags.contains(&json!("tiny")));
        let names: Vec<_> = info["siblings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["rfilename"].clone())
            .collect();
        assert_eq!(names, [".gitattributes", "README.md", "config.json"]);

        let sha = info["sha"].as_str().unwrap();
        let info = hub
            .get("", &format!("/api/models/ada/demo/revision/{sha}?blobs=true"))
            .expect(200)
            .json();
        assert_eq!(info["siblings"][1]["size"], card.len());
        let info = hub
            .get("", "/api/models/ada/demo?expand=sha&expand=private")
            .expect(200)
            .json();
        let mut keys: Vec<_> = info.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        assert_eq!(keys, ["_id", "id", "private", "sha"]);
        let refused = hub.get("", "/api/models/ada/demo?expand=nonsense").expect(400).json();
        assert!(
            refused["error"]
                .as_str()
                .unwrap()
                .starts_with("\"expand\" must be one of [")
        );
        hub.get("", "/api/models/ada/demo/revision/nothing")
            .expect_code(404, "RevisionNotFound");
        hub.get("", "/api/datasets/ada/demo").expect(401);
    }

    #[test]
    fn a_copy_has_the_files() {
        let hub = Hub::with_demo();
        let sha256 = hub.upload_large(b"large");
        hub.commit(&[file("a.txt", "a"), crate::testing::large("b.bin", &sha256, 5)])
            .expect(200);
        let body = r#"{"repository":"bob/copy"}"#;
        hub.post(ADA, "/api/models/ada/demo/duplicate", body).expect(403);
        hub.post(BOB, "/api/models/ada/demo/duplicate", body).expect(200);
        hub.post(BOB, "/api/models/ada/demo/duplicate", body).expect(409);
        hub.get("", "/bob/copy/resolve/main/b.bin").expect(302);
        assert_eq!(hub.get("", "/bob/copy/raw/main/a.txt").expect(200).text(), "a");
    }
}
