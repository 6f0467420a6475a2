//! Spaces by what they do.
//!
//! The Hub ranks by the meaning of words. Nothing here knows meanings: a Space is found when its name or its card has the
//! words themselves, and the rank is the share of them that it has, names before the rest.

use axum::response::{IntoResponse, Response};
use hub_types::RepoType;
use serde_json::Value;

use super::filter::{given, has_all_tags, tags};
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::routes::Query;
use crate::routes::info::summary;
use crate::store::Repo;

/// Stages of a Space that nobody can visit, and that no visit starts.
const NOT_RUNNING: &[&str] = &[
    "NO_APP_FILE",
    "PAUSED",
    "STOPPED",
    "CONFIG_ERROR",
    "BUILD_ERROR",
    "RUNTIME_ERROR",
];

/// What is told of each; in a listing it may be more or less.
const TOLD: &[&str] = &[
    "_id",
    "id",
    "author",
    "sdk",
    "likes",
    "private",
    "tags",
    "trendingScore",
    "createdAt",
    "lastModified",
];

/// What the card says that is told, by its name there and here.
const FROM_CARD: &[(&str, &str)] = &[
    ("emoji", "emoji"),
    ("colorFrom", "colorFrom"),
    ("colorTo", "colorTo"),
    ("pinned", "pinned"),
    ("short_description", "shortDescription"),
];

pub(super) async fn search(app: App, caller: Caller, query: Query) -> Result<Response> {
    let words: Vec<String> = query
        .get("q")
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_lowercase)
        .collect();
    if words.is_empty() {
        return Err(Error::bad_request("\"q\" is required"));
    }
    let rows = app
        .run(move |store| {
            let mut found = Vec::new();
            for repo in store.db.all_repos(Some(RepoType::Space))? {
                let sdk = repo.sdk.as_deref().unwrap_or_default();
                let right_sdk = given(&query, "sdk").next().is_none() || given(&query, "sdk").any(|one| one == sdk);
                let score = score(&repo, &words);
                if score == 0.0 || !right_sdk || !has_all_tags(&repo, &query) || !caller.may_see(&repo) {
                    continue;
                }
                let runtime = store.runtime(&repo, false)?;
                let runs = runtime["stage"]
                    .as_str()
                    .is_some_and(|stage| !NOT_RUNNING.contains(&stage));
                if runs || query.flag("includeNonRunning") {
                    found.push((score, repo, runtime));
                }
            }
            found.sort_by(|(a, first, _), (b, second, _)| {
                b.total_cmp(a)
                    .then(second.likes.cmp(&first.likes))
                    .then(second.row.cmp(&first.row))
            });
            let rows = found
                .into_iter()
                .map(|(score, repo, runtime)| row(&repo, score, runtime));
            Ok(rows.collect::<Vec<_>>())
        })
        .await?;
    Ok(axum::Json(rows).into_response())
}

fn row(repo: &Repo, score: f64, runtime: Value) -> Value {
    let card = &repo.facts["cardData"];
    let mut row: serde_json::Map<String, Value> = summary(repo)
        .into_iter()
        .filter(|(key, _)| TOLD.contains(&&**key))
        .collect();
    row.insert("title".to_owned(), title(repo).into());
    for (in_card, here) in FROM_CARD {
        if !card[in_card].is_null() {
            row.insert((*here).to_owned(), card[in_card].clone());
        }
    }
    row.insert("visibility".to_owned(), repo.visibility.as_str().into());
    row.insert("runtime".to_owned(), runtime);
    row.insert("semanticRelevancyScore".to_owned(), score.into());
    row.into()
}

fn title(repo: &Repo) -> &str {
    repo.facts["cardData"]["title"].as_str().unwrap_or(repo.id.name())
}

/// 0 for a Space that has none of the words, 1 for one that has them all in its name.
fn score(repo: &Repo, words: &[String]) -> f64 {
    let name = format!("{} {}", repo.id.id(), title(repo)).to_lowercase();
    let about = repo.facts["cardData"]["short_description"].as_str().unwrap_or_default();
    let tags: Vec<&str> = tags(repo).collect();
    let rest = format!("{about} {} {}", tags.join(" "), repo.facts["cardData"]["models"]).to_lowercase();
    let of_word = |word: &String| match (name.contains(word), rest.contains(word)) {
        (true, _) => 1.0,
        (false, true) => 0.5,
        (false, false) => 0.0,
    };
    words.iter().map(of_word).sum::<f64>() / words.len() as f64
}
