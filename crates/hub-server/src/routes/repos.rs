//! Creating, deleting, moving, settings, duplicating.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use hub_types::{RepoId, RepoType};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::happening::Happening;
use crate::routes::{Json, Target, done, spaces};
use crate::store::repos::{Found, NewRepo};
use crate::store::{Gated, Repo, Store, Visibility};

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/api/repos/create", post(create))
        .route("/api/repos/delete", delete(remove))
        .route("/api/repos/move", post(rename))
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

#[cfg(test)]
mod tests {
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
