//! What a repository is: everything that an info and a listing tell.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hub_types::RepoType;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::error::{Error, Result};
use crate::routes::properties::{self, Links};
use crate::routes::{Params, Query, Target};
use crate::store::git::EntryKind;
use crate::store::{GitRepo, Repo, Store};

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/-api/{kind}/{id}", get(info))
        .route("/-api/{kind}/{id}/revision/{rev}", get(info))
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

    use crate::testing::{Hub, file};

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
}
