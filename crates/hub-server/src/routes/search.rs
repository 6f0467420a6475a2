//! Listings: models, datasets, Spaces, and one's own repositories.

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hub_types::RepoType;
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::routes::repos::{expanded, select, summary};
use crate::routes::{OriginalPath, Query, cursor, page, skipped};
use crate::store::{Gated, Repo};

/// Repositories of a page, unless `limit` says otherwise, and at the most.
const PAGE: usize = 500;
const LARGEST_PAGE: usize = 1000;

/// What a listing leaves out unless `full` is asked for.
const FULL_ONLY: &[&str] = &[
    "author",
    "sha",
    "lastModified",
    "gated",
    "disabled",
    "usedStorage",
    "safetensors",
];

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/api/models", get(models))
        .route("/api/datasets", get(datasets))
        .route("/api/spaces", get(spaces))
        .route("/api/kernels", get(kernels))
        .route("/api/spaces/templates", get(templates))
        .route("/api/settings/repositories", get(own))
        .route("/api/organizations/{name}/settings/repositories", get(of_organization))
}

async fn models(app: App, caller: Caller, query: Query, given: OriginalPath) -> Result<Response> {
    listing(app, RepoType::Model, caller, query, given).await
}

async fn datasets(app: App, caller: Caller, query: Query, given: OriginalPath) -> Result<Response> {
    listing(app, RepoType::Dataset, caller, query, given).await
}

async fn spaces(app: App, caller: Caller, query: Query, given: OriginalPath) -> Result<Response> {
    listing(app, RepoType::Space, caller, query, given).await
}

async fn kernels(app: App, caller: Caller, query: Query, given: OriginalPath) -> Result<Response> {
    listing(app, RepoType::Kernel, caller, query, given).await
}

/// No template is offered: the list is there, and empty.
async fn templates() -> Response {
    axum::Json(json!({ "templates": [] })).into_response()
}

fn matches(repo: &Repo, query: &Query) -> bool {
    if let Some(author) = query.get("author")
        && !author.is_empty()
        && !repo.namespace().eq_ignore_ascii_case(author)
    {
        return false;
    }
    let id = repo.id.id().to_lowercase();
    // Several words must all be found.
    let words = query.all("search").flat_map(str::split_whitespace);
    if !words.map(str::to_lowercase).all(|word| id.contains(&word)) {
        return false;
    }
    if let Some(gated) = query.get("gated")
        && (gated == "true") != (repo.gated != Gated::No)
    {
        return false;
    }
    let tags = repo.facts["tags"].as_array();
    let has = |tag: &str| {
        let own = || {
            tags.is_some_and(|tags| {
                tags.iter()
                    .any(|t| t.as_str().is_some_and(|t| t.eq_ignore_ascii_case(tag)))
            })
        };
        repo.sdk.as_deref() == Some(tag) || own()
    };
    if !query.all("filter").flat_map(|filter| filter.split(',')).all(has) {
        return false;
    }
    if let Some(task) = query.get("pipeline_tag")
        && repo.facts["pipeline_tag"] != *task
    {
        return false;
    }
    // No app and no provider is known here: what asks for one finds none.
    let asks = |key| query.all(key).any(|value| !value.is_empty());
    if ["inference", "inference_provider", "apps"].into_iter().any(asks) {
        return false;
    }
    // What a Space's card says that it uses.
    for linked in ["models", "datasets"] {
        let uses = |id: &str| {
            let ids = repo.facts["cardData"][linked].as_array();
            ids.is_some_and(|ids| ids.iter().any(|known| known == id))
        };
        if !query.all(linked).filter(|id| !id.is_empty()).all(uses) {
            return false;
        }
    }
    match query.get("num_parameters") {
        Some(bounds) => within(bounds, repo.facts["safetensors"]["total"].as_u64()),
        None => true,
    }
}

/// Whether a number of parameters is within `min:6B,max:128B`.
fn within(bounds: &str, count: Option<u64>) -> bool {
    let Some(count) = count else { return false };
    bounds.split(',').all(|bound| {
        let Some((side, text)) = bound.split_once(':') else {
            return false;
        };
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let scale = match &text[digits.len()..] {
            "" => 1.0,
            "K" | "k" => 1e3,
            "M" | "m" => 1e6,
            "B" | "b" | "G" => 1e9,
            "T" | "t" => 1e12,
            _ => return false,
        };
        let Ok(number) = digits.parse::<f64>() else {
            return false;
        };
        match side {
            "min" => count as f64 >= number * scale,
            "max" => count as f64 <= number * scale,
            _ => false,
        }
    })
}

async fn listing(app: App, kind: RepoType, caller: Caller, query: Query, given: OriginalPath) -> Result<Response> {
    let wanted = expanded(kind, &query)?;
    let size = query.number("limit")?.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    let skip = skipped(&query)?;
    let sort = match query.get("sort") {
        None | Some("") => "trendingScore",
        Some(
            word @ ("createdAt" | "lastModified" | "likes" | "likes7d" | "likes30d" | "downloads" | "trendingScore"
            | "id" | "num_parameters" | "mainSize" | "created_at" | "last_modified" | "trending_score"),
        ) => word,
        Some(other) => return Err(Error::bad_request(format!("\"sort\" is invalid: {other}"))),
    }
    .to_owned();
    let ascending = query.get("direction") == Some("1");
    let asked = query.clone();
    let mut repos = app
        .run(move |store| {
            let all = store.db.all_repos(Some(kind))?;
            Ok(all
                .into_iter()
                .filter(|repo| caller.may_see(repo) && matches(repo, &asked))
                .collect::<Vec<_>>())
        })
        .await?;
    let newest = |a: &Repo, b: &Repo| b.created.cmp(&a.created).then(b.row.cmp(&a.row));
    repos.sort_by(|a, b| match &*sort {
        "createdAt" | "created_at" => newest(a, b),
        "id" => b.id.id().cmp(a.id.id()),
        "num_parameters" => {
            let count = |repo: &Repo| repo.facts["safetensors"]["total"].as_u64();
            count(b).cmp(&count(a)).then(newest(a, b))
        }
        "likes" | "likes7d" | "likes30d" | "trendingScore" | "trending_score" => b
            .likes
            .cmp(&a.likes)
            .then(b.modified.cmp(&a.modified))
            .then(newest(a, b)),
        // Downloads are not counted, so all have as many: the last change decides.
        _ => b.modified.cmp(&a.modified).then(newest(a, b)),
    });
    if ascending {
        repos.reverse();
    }
    let end = skip.saturating_add(size);
    let next = (end < repos.len()).then(|| cursor(&end.to_string()));
    let shown: Vec<Repo> = repos.into_iter().skip(skip).take(size).collect();
    let items = app
        .run({
            let query = query.clone();
            move |store| {
                let siblings = query.flag("full") || wanted.as_ref().is_some_and(|w| w.iter().any(|w| w == "siblings"));
                shown
                    .iter()
                    .map(|repo| {
                        let mut item = item(repo, &query, wanted.as_deref());
                        let asked = wanted
                            .as_ref()
                            .is_some_and(|wanted| wanted.iter().any(|word| word == "runtime"));
                        if repo.id.repo_type() == RepoType::Space && asked {
                            item["runtime"] = store.runtime(repo, false)?;
                        }
                        if siblings {
                            item["siblings"] = siblings_of(store, repo)?;
                        }
                        Ok(item)
                    })
                    .collect::<Result<Vec<_>>>()
            }
        })
        .await?;
    Ok(page(&app, &given, &query, items, next))
}

fn siblings_of(store: &crate::store::Store, repo: &Repo) -> Result<Value> {
    let git = store.git(repo)?;
    let Some(commit) = repo.head.as_deref().and_then(|head| git.resolve(head).ok()) else {
        return Ok(json!([]));
    };
    let files = git
        .list(commit, None, true)?
        .into_iter()
        .filter(|(_, _, folder)| !folder);
    Ok(files.map(|(path, _, _)| json!({ "rfilename": path })).collect())
}

fn item(repo: &Repo, query: &Query, wanted: Option<&[String]>) -> Value {
    let reply = summary(repo);
    if wanted.is_some() {
        return select(reply, wanted);
    }
    let full = query.flag("full");
    let keep = |key: &str| match key {
        "cardData" => query.flag("cardData") || (full && repo.id.repo_type() != RepoType::Model),
        "config" => query.flag("config"),
        "downloadsAllTime" => false,
        "models" | "datasets" => query.flag("linked"),
        key => full || !FULL_ONLY.contains(&key),
    };
    reply.into_iter().filter(|(key, _)| keep(key)).collect()
}

async fn own(app: App, caller: Caller, query: Query, given: OriginalPath) -> Result<Response> {
    let name = caller.account()?.name.clone();
    settings_listing(app, name, query, given).await
}

async fn of_organization(
    app: App,
    Path(name): Path<String>,
    caller: Caller,
    query: Query,
    given: OriginalPath,
) -> Result<Response> {
    if !caller.account()?.belongs_to(&name) {
        return Err(Error::forbidden(format!("You are not a member of {name}")));
    }
    settings_listing(app, name, query, given).await
}

/// The repositories of a namespace with the storage that each takes.
async fn settings_listing(app: App, namespace: String, query: Query, given: OriginalPath) -> Result<Response> {
    let size = query.number("limit")?.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    let skip = skipped(&query)?;
    let asked = query.clone();
    let mut repos = app
        .run(move |store| {
            let all = store.db.all_repos(None)?;
            Ok(all
                .into_iter()
                .filter(|repo| repo.namespace().eq_ignore_ascii_case(&namespace))
                .filter(|repo| {
                    asked
                        .get("type")
                        .is_none_or(|kind| kind == repo.id.repo_type().as_str())
                })
                .filter(|repo| {
                    let id = repo.id.id().to_lowercase();
                    asked.get("search").is_none_or(|word| id.contains(&word.to_lowercase()))
                })
                .collect::<Vec<_>>())
        })
        .await?;
    repos.sort_by(|a, b| b.modified.cmp(&a.modified).then(b.row.cmp(&a.row)));
    let storage = |repo: &Repo| repo.facts["usedStorage"].as_u64().unwrap_or(0);
    let total: u64 = repos.iter().map(storage).sum();
    let end = skip.saturating_add(size);
    let next = (end < repos.len()).then(|| cursor(&end.to_string()));
    let items = repos
        .iter()
        .skip(skip)
        .take(size)
        .map(|repo| {
            let share = if total == 0 {
                0.0
            } else {
                storage(repo) as f64 / total as f64
            };
            json!({
                "id": repo.id.id(),
                "type": repo.id.repo_type().as_str(),
                "updatedAt": repo.modified.to_string(),
                "visibility": repo.visibility.as_str(),
                "storage": storage(repo),
                "storagePercent": share,
            })
        })
        .collect();
    Ok(page(&app, &given, &query, items, next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ADA, BOB, Hub, large, send};

    #[test]
    fn a_listing_filters_sorts_and_pages() {
        let hub = Hub::start();
        for name in ["alpha", "beta", "gamma"] {
            hub.create(name);
        }
        hub.post(
            ADA,
            "/api/repos/create",
            r#"{"name":"hidden","organization":"acme","private":true}"#,
        )
        .expect(200);
        let ids = |token: &str, query: &str| -> Vec<String> {
            let reply = hub.get(token, &format!("/api/models{query}")).expect(200).json();
            let items = reply.as_array().unwrap().iter();
            items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(ids("", "?sort=createdAt"), ["ada/gamma", "ada/beta", "ada/alpha"]);
        assert_eq!(ids(ADA, "?author=acme"), ["acme/hidden"]);
        assert!(ids(BOB, "?author=acme").is_empty());
        assert_eq!(ids("", "?search=ALPH"), ["ada/alpha"]);
        assert_eq!(ids("", "?filter=region:us&search=beta"), ["ada/beta"]);
        assert!(ids("", "?filter=license:mit").is_empty());
        assert!(ids("", "?gated=true").is_empty());
        hub.get("", "/api/models?sort=nonsense").expect(400);
        hub.get("", "/api/models?limit=x").expect(400);

        let first = hub.get("", "/api/models?limit=2&sort=createdAt").expect(200);
        assert_eq!(first.json().as_array().unwrap().len(), 2);
        let link = first.header("link");
        let next = link
            .strip_prefix('<')
            .and_then(|link| link.split_once(">; rel=\"next\""))
            .unwrap()
            .0;
        let second = send(next, "GET", "", "", &[], b"").expect(200);
        assert_eq!(second.json()[0]["id"], "ada/alpha");
        assert_eq!(second.header("link"), "");

        let item = hub.get("", "/api/models?search=alpha&full=true").expect(200).json();
        assert_eq!(item[0]["siblings"][0]["rfilename"], ".gitattributes");
        let item = hub.get("", "/api/models?search=alpha&expand=sha").expect(200).json();
        assert_eq!(item[0].as_object().unwrap().len(), 3);
        assert_eq!(hub.get("", "/api/datasets").expect(200).json(), json!([]));
        assert_eq!(hub.get("", "/api/spaces").expect(200).json(), json!([]));
    }

    #[test]
    fn ones_own_repositories_with_their_storage() {
        let hub = Hub::with_demo();
        let sha256 = hub.upload_large(&[7; 1000]);
        hub.commit(&[large("x.bin", &sha256, 1000)]).expect(200);
        let own = hub.get(ADA, "/api/settings/repositories").expect(200).json();
        assert_eq!((&own[0]["id"], &own[0]["type"]), (&json!("ada/demo"), &json!("model")));
        assert_eq!(
            (&own[0]["storage"], &own[0]["visibility"]),
            (&json!(1000), &json!("public"))
        );
        hub.get("", "/api/settings/repositories").expect(401);
        hub.get(ADA, "/api/organizations/acme/settings/repositories")
            .expect(200);
        hub.get(BOB, "/api/organizations/acme/settings/repositories")
            .expect(403);
    }

    #[test]
    fn bounds_of_parameters() {
        for (bounds, count, expected) in [
            ("min:6B,max:128B", Some(7_000_000_000), true),
            ("min:6B", Some(5), false),
            ("max:1.5K", Some(1500), true),
            ("max:1K", None, false),
            ("nonsense", Some(1), false),
            ("min:1Q", Some(1), false),
        ] {
            assert_eq!(within(bounds, count), expected, "{bounds} {count:?}");
        }
    }
}
