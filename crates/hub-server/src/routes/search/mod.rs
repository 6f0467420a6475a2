//! Listings: models, datasets, Spaces, one's own repositories; and the tags that are in use.

mod filter;
mod order;
mod owned;
mod semantic;
mod tags;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hub_types::RepoType;
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::routes::info::{expanded, select, summary};
use crate::routes::properties::{self, Links};
use crate::routes::{OriginalPath, Query, cursor, page, read_cursor};
use crate::store::Repo;

use filter::matches;
pub(crate) use filter::named;
use order::Order;

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
    "mask_token",
    "model-index",
    "transformersInfo",
    "widgetData",
];

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/api/models", get(models))
        .route("/api/datasets", get(datasets))
        .route("/api/spaces", get(spaces))
        .route("/api/kernels", get(kernels))
        .route("/api/spaces/templates", get(templates))
        .route("/api/spaces/semantic-search", get(semantic::search))
        .route("/api/models-tags-by-type", get(tags::of_models))
        .route("/api/datasets-tags-by-type", get(tags::of_datasets))
        .route("/api/settings/repositories", get(owned::own))
        .route(
            "/api/organizations/{name}/settings/repositories",
            get(owned::of_organization),
        )
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

async fn listing(app: App, kind: RepoType, caller: Caller, query: Query, given: OriginalPath) -> Result<Response> {
    let wanted = expanded(kind, &query)?;
    let size = query.number("limit")?.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    let order = Order::parse(query.get("sort"), kind)?;
    let ascending = query.get("direction") == Some("1");
    let after = query.get("cursor").map(Place::read).transpose()?;
    let asked = query.clone();
    let (items, next) = app
        .run(move |store| {
            let mut repos = store.db.all_repos(Some(kind))?;
            repos.retain(|repo| caller.may_see(repo) && matches(repo, &asked));
            repos.sort_by(|a, b| order.compare(a, b));
            if ascending {
                repos.reverse();
            }
            let start = after.map_or(0, |place| place.in_listing(&repos));
            let end = start.saturating_add(size).min(repos.len());
            let shown = repos.get(start..end).unwrap_or_default();
            let next = shown.last().filter(|_| end < repos.len()).map(|last| {
                let place = Place { end, row: last.row };
                place.write()
            });
            let wanted = wanted.as_deref();
            let links = Links::load(store, &caller, wanted.unwrap_or_default())?;
            let asks = |property: &str| wanted.is_some_and(|wanted| wanted.iter().any(|w| w == property));
            let siblings = asked.flag("full") || asks("siblings");
            let items = shown.iter().map(|repo| {
                let mut item = item(repo, &links, &asked, wanted);
                if siblings {
                    item["siblings"] = siblings_of(store, repo)?;
                }
                if kind == RepoType::Space && asks("runtime") {
                    item["runtime"] = store.runtime(repo, false)?;
                }
                if asks("mainSize") {
                    item["mainSize"] = properties::main_size(store, repo)?.into();
                }
                Ok(item)
            });
            Ok((items.collect::<Result<Vec<_>>>()?, next))
        })
        .await?;
    Ok(page(&app, &given, &query, items, next))
}

/// Where a page ended: after the repository of that row, which was at that place.
#[derive(Debug, Clone, Copy)]
struct Place {
    end: usize,
    row: i64,
}

impl Place {
    fn write(self) -> String {
        cursor(&format!("{}:{}", self.end, self.row))
    }

    fn read(text: &str) -> Result<Self> {
        let text = read_cursor(text)?;
        let place = text.split_once(':').and_then(|(end, row)| {
            Some(Self {
                end: end.parse().ok()?,
                row: row.parse().ok()?,
            })
        });
        place.ok_or_else(|| Error::bad_request("invalid cursor"))
    }

    /// Where the next page begins. A repository that was made or deleted meanwhile shifts the places of the others: only
    /// when the one before is gone does its place count, where the next one is then.
    fn in_listing(self, repos: &[Repo]) -> usize {
        let before = repos.iter().position(|repo| repo.row == self.row);
        before.map_or(self.end.saturating_sub(1), |at| at + 1)
    }
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

fn item(repo: &Repo, links: &Links, query: &Query, wanted: Option<&[String]>) -> Value {
    let mut reply = summary(repo);
    if wanted.is_some() {
        links.add(repo, &mut reply);
        return select(reply, wanted);
    }
    let full = query.flag("full");
    let keep = |key: &str| match key {
        "cardData" => query.flag("cardData") || (full && repo.id.repo_type() != RepoType::Model),
        "config" => query.flag("config"),
        "models" | "datasets" => query.flag("linked"),
        key if properties::EXPAND_ONLY.contains(&key) => false,
        key => full || !FULL_ONLY.contains(&key),
    };
    reply.into_iter().filter(|(key, _)| keep(key)).collect()
}

#[cfg(test)]
mod tests;
