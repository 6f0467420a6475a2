//! The tags in use, by kind: the vocabulary that filters are made of.

use std::collections::{BTreeMap, BTreeSet};

use axum::response::{IntoResponse, Response};
use hub_types::RepoType;
use serde_json::{Map, Value, json};

use super::filter::{named, tags};
use crate::app::App;
use crate::error::Result;
use crate::store::Repo;

/// Kinds that every reply has, filled or not.
const OF_MODELS: &[&str] = &[
    "pipeline_tag",
    "library",
    "dataset",
    "language",
    "license",
    "region",
    "other",
];
const OF_DATASETS: &[&str] = &[
    "task_categories",
    "task_ids",
    "size_categories",
    "multilinguality",
    "language_creators",
    "benchmark",
    "language",
    "license",
    "region",
    "other",
];

/// Tags that files alone give.
const FORMATS: &[&str] = &["safetensors", "gguf", "onnx", "pytorch"];

pub(super) async fn of_models(app: App) -> Result<Response> {
    vocabulary(app, RepoType::Model, OF_MODELS).await
}

pub(super) async fn of_datasets(app: App) -> Result<Response> {
    vocabulary(app, RepoType::Dataset, OF_DATASETS).await
}

/// What the public repositories are tagged with: nobody is asked who they are, so nothing else may show.
async fn vocabulary(app: App, repos: RepoType, kinds: &'static [&'static str]) -> Result<Response> {
    let all = app.run(move |store| store.db.all_repos(Some(repos))).await?;
    let mut found: BTreeMap<&str, BTreeSet<String>> = kinds.iter().map(|kind| (*kind, BTreeSet::new())).collect();
    for repo in all.iter().filter(|repo| !repo.is_private()) {
        for tag in tags(repo) {
            if let Some(tags) = found.get_mut(kind_of(repo, tag, kinds)) {
                tags.insert(tag.to_owned());
            }
        }
    }
    let reply: Map<String, Value> = found
        .into_iter()
        .map(|(kind, tags)| {
            let tags = tags
                .into_iter()
                .map(|tag| {
                    let label = tag.split_once(':').filter(|(before, _)| *before == kind);
                    json!({ "type": kind, "id": tag, "label": label.map_or(&*tag, |(_, label)| label) })
                })
                .collect();
            (kind.to_owned(), tags)
        })
        .collect();
    Ok(axum::Json(reply).into_response())
}

fn kind_of<'a>(repo: &Repo, tag: &'a str, kinds: &[&'static str]) -> &'a str {
    if let Some((kind, _)) = tag.split_once(':') {
        return if kinds.contains(&kind) { kind } else { "other" };
    }
    if repo.facts["pipeline_tag"] == *tag {
        "pipeline_tag"
    } else if repo.facts["library_name"] == *tag || FORMATS.contains(&tag) {
        "library"
    } else if named(repo, "language").contains(&tag) {
        "language"
    } else {
        "other"
    }
}
