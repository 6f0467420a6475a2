//! Branches and tags, and squashing.

use axum::Router;
use axum::response::Response;
use axum::routing::post;
use hub_types::Revision;
use serde::Deserialize;

use crate::app::App;
use crate::error::{Error, Result};
use crate::routes::{Json, Params, Target, done};
use crate::store::draft::target_ref;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route(
            "/-api/{kind}/{id}/branch/{rev}",
            post(create_branch).delete(delete_branch),
        )
        .route("/-api/{kind}/{id}/tag/{rev}", post(create_tag).delete(delete_tag))
        .route("/-api/{kind}/{id}/super-squash/{rev}", post(squash))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateBranch {
    starting_point: Option<String>,
    #[serde(default)]
    overwrite: bool,
    #[serde(default)]
    empty_branch: bool,
}

/// The full ref of a branch or tag to be made.
fn new_ref(prefix: &str, name: &str) -> Result<String> {
    let checked: Revision = name.parse()?;
    let full = format!("{prefix}{checked}");
    if checked.as_str().starts_with("refs/") || !git2::Reference::is_valid_name(&full) {
        return Err(Error::bad_request(format!(
            "Invalid reference for a branch or tag: {name}"
        )));
    }
    Ok(full)
}

fn exists_already(full: &str) -> Error {
    Error::Conflict {
        message: format!("Reference already exists: {full}"),
        url: None,
    }
}

async fn create_branch(app: App, target: Target, params: Params, Json(body): Json<CreateBranch>) -> Result<Response> {
    let (target, author) = target.writable()?;
    let full = new_ref("refs/heads/", params.get("rev")?)?;
    target
        .run(&app, move |store, repo, git| {
            store.locked(repo, || {
                let start = if body.empty_branch {
                    let empty = git.0.treebuilder(None)?.write()?;
                    git.commit(empty, &[], &author, "initial commit")?
                } else {
                    git.resolve(body.starting_point.as_deref().unwrap_or("main"))?
                };
                match git.ref_target(&full)? {
                    Some(at) if body.overwrite => git.move_ref(&full, Some(at), start, "branch"),
                    Some(_) => Err(exists_already(&full)),
                    None => git.move_ref(&full, None, start, "branch"),
                }
            })?;
            store.index(repo)
        })
        .await?;
    Ok(done())
}

async fn delete_branch(app: App, target: Target, params: Params) -> Result<Response> {
    let (target, _) = target.writable()?;
    let name = params.get("rev")?.to_owned();
    if name == "main" {
        return Err(Error::forbidden("Cannot delete branch main"));
    }
    delete_ref(&app, target, new_ref("refs/heads/", &name)?, name).await
}

async fn delete_ref(app: &App, target: Target, full: String, name: String) -> Result<Response> {
    target
        .run(app, move |store, repo, git| {
            store.locked(repo, || match git.0.find_reference(&full) {
                Ok(mut reference) => Ok(reference.delete()?),
                Err(_) => Err(Error::RevisionNotFound(name)),
            })
        })
        .await?;
    Ok(done())
}

#[derive(Deserialize)]
struct CreateTag {
    tag: String,
    message: Option<String>,
}

async fn create_tag(app: App, target: Target, params: Params, Json(body): Json<CreateTag>) -> Result<Response> {
    let (target, author) = target.writable()?;
    let rev = params.get("rev")?.to_owned();
    let full = new_ref("refs/tags/", &body.tag)?;
    target
        .run(&app, move |store, repo, git| {
            store.locked(repo, || {
                let commit = git.resolve(&rev)?;
                if git.0.find_reference(&full).is_ok() {
                    return Err(exists_already(&full));
                }
                match body.message.as_deref().filter(|message| !message.is_empty()) {
                    None => git.move_ref(&full, None, commit, "tag"),
                    Some(message) => {
                        let who = git2::Signature::now(&author, &format!("{author}@users.noreply.hub"))?;
                        let object = git.0.find_object(commit, None)?;
                        git.0.tag(&body.tag, &object, &who, message, false)?;
                        Ok(())
                    }
                }
            })
        })
        .await?;
    Ok(done())
}

async fn delete_tag(app: App, target: Target, params: Params) -> Result<Response> {
    let (target, _) = target.writable()?;
    let name = params.get("rev")?.to_owned();
    delete_ref(&app, target, new_ref("refs/tags/", &name)?, name).await
}

#[derive(Deserialize)]
struct Squash {
    message: Option<String>,
}

async fn squash(app: App, target: Target, params: Params, Json(body): Json<Squash>) -> Result<Response> {
    let (target, author) = target.writable()?;
    let rev = params.get("rev")?.to_owned();
    target
        .run(&app, move |store, repo, git| {
            store.locked(repo, || {
                // A tag or a commit cannot be squashed; that there is one is the caller's mistake, not a missing branch.
                let (name, head) = target_ref(git, &rev).map_err(|err| match git.resolve(&rev) {
                    Ok(_) => Error::bad_request(format!("Cannot squash {rev}: it is not a branch")),
                    Err(_) => err,
                })?;
                let message = body.message.unwrap_or_else(|| format!("Super-squash branch '{rev}'"));
                let commit = git.commit(git.tree_of(head)?, &[], &author, &message)?;
                git.move_ref(&name, Some(head), commit, "squash")
            })?;
            store.index(repo)
        })
        .await?;
    Ok(done())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{ADA, BOB, Hub, file};

    fn files(hub: &Hub, rev: &str) -> Vec<String> {
        let tree = hub
            .get(ADA, &format!("/api/models/ada/demo/tree/{rev}?recursive=true"))
            .expect(200)
            .json();
        let files = tree.as_array().unwrap().iter().filter(|item| item["type"] == "file");
        files.map(|item| item["path"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn branches_and_tags() {
        let hub = Hub::with_demo();
        let at = |what: &str, name: &str| format!("/api/models/ada/demo/{what}/{name}");
        hub.post(ADA, &at("branch", "feat%2Fx"), r#"{"startingPoint":"main"}"#)
            .expect(200);
        hub.post(ADA, &at("branch", "feat%2Fx"), "{}").expect(409);
        hub.post(ADA, &at("branch", "feat%2Fx"), r#"{"overwrite":true}"#)
            .expect(200);
        hub.post(ADA, &at("branch", "y"), r#"{"startingPoint":"nothing"}"#)
            .expect_code(404, "RevisionNotFound");
        hub.post(ADA, &at("branch", "refs%2Fpr%2F5"), "{}").expect(400);
        hub.post(ADA, &at("branch", "a%20b"), "{}").expect(400);
        hub.post(BOB, &at("branch", "z"), "{}").expect(403);
        hub.post("", &at("branch", "z"), "{}").expect(401);
        hub.commit_to("feat%2Fx", "", &[file("x", "x")]).expect(200);
        assert_eq!(files(&hub, "feat%2Fx"), [".gitattributes", "x"]);
        assert_eq!(files(&hub, "main"), [".gitattributes"]);
        hub.delete(ADA, &at("branch", "main")).expect(403);
        hub.delete(ADA, &at("branch", "feat%2Fx")).expect(200);
        hub.delete(ADA, &at("branch", "feat%2Fx"))
            .expect_code(404, "RevisionNotFound");

        hub.post(ADA, &at("tag", "main"), r#"{"tag":"v1"}"#).expect(200);
        hub.post(ADA, &at("tag", "main"), r#"{"tag":"v1"}"#).expect(409);
        hub.post(ADA, &at("tag", "v1"), r#"{"tag":"v2","message":"two"}"#)
            .expect(200);
        assert_eq!(files(&hub, "v2"), [".gitattributes"]);
        hub.post(ADA, &at("tag", "nothing"), r#"{"tag":"v3"}"#)
            .expect_code(404, "RevisionNotFound");
        hub.delete(ADA, &at("tag", "v2")).expect(200);
        hub.delete(ADA, &at("tag", "v2")).expect_code(404, "RevisionNotFound");
    }

    #[test]
    fn a_squashed_branch_has_one_commit() {
        let hub = Hub::with_demo();
        hub.commit(&[file("x", "x")]).expect(200);
        hub.post(ADA, "/api/models/ada/demo/tag/main", r#"{"tag":"v1"}"#)
            .expect(200);
        let squash = "/api/models/ada/demo/super-squash";
        hub.post(ADA, &format!("{squash}/main"), r#"{"message":"All of it"}"#)
            .expect(200);
        let commits = hub.get("", "/api/models/ada/demo/commits/main").json();
        assert_eq!(
            (commits.as_array().unwrap().len(), &commits[0]["title"]),
            (1, &json!("All of it"))
        );
        assert_eq!(files(&hub, "main"), [".gitattributes", "x"]);
        hub.post(ADA, &format!("{squash}/v1"), r#"{"message":"x"}"#).expect(400);
        hub.post(ADA, &format!("{squash}/nothing"), r#"{"message":"x"}"#)
            .expect_code(404, "RevisionNotFound");
    }
}
