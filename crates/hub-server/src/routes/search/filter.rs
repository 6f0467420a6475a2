//! Which repositories a listing is asked for.

use hub_types::RepoType;
use serde_json::Value;

use crate::routes::Query;
use crate::store::{Gated, Repo};

/// Kinds of tag that a filter may name in front of one, though the tag itself has no such word.
const BARE_KINDS: &[&str] = &["library", "pipeline_tag", "task", "language", "other", "sdk"];

/// Whether all that the query asks for holds.
pub(super) fn matches(repo: &Repo, query: &Query) -> bool {
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
    if query.get("gated").is_some() && query.flag("gated") != (repo.gated != Gated::No) {
        return false;
    }
    if !has_all_tags(repo, query) {
        return false;
    }
    if let Some(task) = query.get("pipeline_tag")
        && repo.facts["pipeline_tag"] != *task
    {
        return false;
    }
    // No provider serves what is held here: who asks for one finds nothing.
    if given(query, "inference").next().is_some() || given(query, "inference_provider").next().is_some() {
        return false;
    }
    if !given(query, "apps").all(|app| runs_in(repo, app)) {
        return false;
    }
    if repo.id.repo_type() == RepoType::Space {
        let (models, datasets) = (named(repo, "models"), named(repo, "datasets"));
        let uses = |all: &[&str], id: &str| all.iter().any(|one| one.eq_ignore_ascii_case(id));
        if !given(query, "models").all(|id| uses(&models, id))
            || !given(query, "datasets").all(|id| uses(&datasets, id))
            || (query.flag("linked") && models.is_empty() && datasets.is_empty())
        {
            return false;
        }
    }
    match query.get("num_parameters").filter(|bounds| !bounds.is_empty()) {
        Some(bounds) => within(bounds, repo.facts["safetensors"]["total"].as_u64()),
        None => true,
    }
}

/// Whether the repository has every tag that `filter` names.
pub(super) fn has_all_tags(repo: &Repo, query: &Query) -> bool {
    given(query, "filter").all(|filter| has_tag(repo, filter))
}

/// The values of a parameter: repeated, or with commas between them.
pub(super) fn given<'a>(query: &'a Query, key: &'a str) -> impl Iterator<Item = &'a str> {
    query
        .all(key)
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|value| !value.is_empty())
}

/// The repository's tags, the SDK of a Space among them.
pub(super) fn tags(repo: &Repo) -> impl Iterator<Item = &str> {
    let own = repo.facts["tags"].as_array().into_iter().flatten();
    repo.sdk.as_deref().into_iter().chain(own.filter_map(Value::as_str))
}

fn has_tag(repo: &Repo, wanted: &str) -> bool {
    let has = |wanted: &str| tags(repo).any(|tag| tag.eq_ignore_ascii_case(wanted));
    if has(wanted) {
        return true;
    }
    match wanted.split_once(':') {
        Some((kind, bare)) => BARE_KINDS.contains(&kind) && has(bare),
        // Models are tagged with a language as it is, datasets with the word in front.
        None => has(&format!("language:{wanted}")),
    }
}

/// The ids that the card names under `key`: one, or a list of them.
pub(crate) fn named<'a>(repo: &'a Repo, key: &str) -> Vec<&'a str> {
    match &repo.facts["cardData"][key] {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether a local app can run the model, by the kind of its files.
fn runs_in(repo: &Repo, app: &str) -> bool {
    let has = |wanted: &str| tags(repo).any(|tag| tag == wanted);
    let writes_text = || {
        has("transformers")
            && has("safetensors")
            && ["text-generation", "image-text-to-text"]
                .iter()
                .any(|task| repo.facts["pipeline_tag"] == *task)
    };
    match app {
        "llama.cpp" | "ollama" | "lmstudio" | "jan" | "koboldcpp" | "gpt4all" | "msty" => has("gguf"),
        "vllm" | "sglang" | "tgi" => writes_text(),
        "mlx-lm" => has("mlx"),
        "diffusionbee" | "drawthings" | "invoke" | "joyfusion" => has("diffusers"),
        _ => false,
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

#[cfg(test)]
mod tests {
    use super::*;

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
