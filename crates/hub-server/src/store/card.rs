//! What a repository says about itself: the front matter of its README, and what can be read off its files.

use std::collections::BTreeSet;

use git2::Oid;
use hub_types::{RepoPath, RepoType};
use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::store::git::EntryKind;
use crate::store::{GitRepo, Repo, Store};

/// A safetensors header may not be larger than this (the format's own limit is 100 MB; real ones have some KB).
const HEADER_LIMIT: u64 = 25_000_000;

/// The text between the two lines of three dashes at a README's start, by the Hub's expression:
/// `^(\s*---[\r\n]+)([\S\s]*?)([\r\n]+---(\r\n|\n|$))`, as the Python client's `REGEX_YAML_BLOCK`.
pub(crate) fn front_matter(text: &str) -> Option<&str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let start = text.trim_start().strip_prefix("---")?;
    let body = start.trim_start_matches(['\r', '\n']);
    if body.len() == start.len() {
        return None;
    }
    // The closing line's own line break may be the opening one's, when nothing stands between them.
    let search = &start[1..];
    let mut from = 0;
    while let Some(found) = search[from..].find("---") {
        let at = from + found;
        let before = &start[..=at];
        let after = search[at + 3..].trim_start_matches([' ', '\t']);
        let closes = after.is_empty() || after.starts_with('\n') || after.starts_with("\r\n");
        if before.ends_with(['\r', '\n']) && closes {
            let block = before.trim_end_matches(['\r', '\n']);
            return Some(block.trim_start_matches(['\r', '\n']));
        }
        from = at + 3;
    }
    None
}

/// The front matter as data. `Err` is a sentence about what is wrong with it.
pub(crate) fn metadata(text: &str) -> Result<Map<String, Value>, String> {
    let Some(block) = front_matter(text) else {
        return Ok(Map::new());
    };
    if block.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#')
    }) {
        return Ok(Map::new());
    }
    match serde_saphyr::from_str::<Value>(block) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err("YAML metadata block must be an object".to_owned()),
        Err(err) => Err(format!("YAML metadata block is not valid: {err}")),
    }
}

/// The facts of listings and infos: `cardData`, `tags`, `pipeline_tag`, `library_name`, `config`, `safetensors`,
/// `usedStorage`.
pub(crate) fn facts(store: &Store, repo: &Repo, git: &GitRepo, commit: Oid) -> Result<Value> {
    let mut facts = Map::new();
    let readme = git.small_file(commit, "README.md")?;
    let card = readme
        .filter(|bytes| bytes.len() < 4 << 20)
        .map(|bytes| metadata(&String::from_utf8_lossy(&bytes)).unwrap_or_default())
        .unwrap_or_default();

    let files = git.list(commit, None, true)?;
    let has = |suffix: &str| files.iter().any(|(path, _, folder)| !folder && path.ends_with(suffix));
    let mut tags: Vec<String> = Vec::new();
    let mut tag = |tag: String| {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    };
    let text = |key: &str| card.get(key).and_then(Value::as_str).map(str::to_owned);
    let library = text("library_name").or_else(|| {
        let config = files.iter().any(|(path, _, _)| path == "config.json");
        (config && has(".safetensors")).then(|| "transformers".to_owned())
    });
    if let Some(library) = &library {
        tag(library.clone());
    }
    for (suffix, name) in [
        (".safetensors", "safetensors"),
        (".gguf", "gguf"),
        (".onnx", "onnx"),
        ("pytorch_model.bin", "pytorch"),
    ] {
        if has(suffix) {
            tag(name.to_owned());
        }
    }
    let many = |key: &str| -> Vec<String> {
        match card.get(key) {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    };
    for value in many("tags") {
        tag(value);
    }
    for value in many("language") {
        // Models are tagged with a language's code as it is, datasets with the word in front.
        if value.len() <= 3 && repo.id.repo_type() != RepoType::Dataset {
            tag(value);
        } else {
            tag(format!("language:{value}"));
        }
    }
    for (key, prefix) in [
        ("license", "license"),
        ("datasets", "dataset"),
        ("base_model", "base_model"),
        ("task_categories", "task_categories"),
        ("task_ids", "task_ids"),
        ("size_categories", "size_categories"),
        ("multilinguality", "multilinguality"),
        ("language_creators", "language_creators"),
        ("annotations_creators", "annotations_creators"),
        ("source_datasets", "source_datasets"),
        ("benchmark", "benchmark"),
    ] {
        for value in many(key) {
            tag(format!("{prefix}:{value}"));
        }
    }
    let pipeline = text("pipeline_tag");
    if let Some(pipeline) = &pipeline {
        tag(pipeline.clone());
    }
    tag("region:us".to_owned());

    if let Some(library) = library {
        facts.insert("library_name".to_owned(), library.into());
    }
    if let Some(pipeline) = pipeline {
        facts.insert("pipeline_tag".to_owned(), pipeline.into());
    }
    if let Some(config) = git.small_file(commit, "config.json")?
        && let Ok(Value::Object(config)) = serde_json::from_slice(&config)
    {
        let known = ["architectures", "model_type", "quantization_config", "auto_map"];
        let config: Map<String, Value> = config
            .into_iter()
            .filter(|(key, _)| known.contains(&key.as_str()))
            .collect();
        facts.insert("config".to_owned(), config.into());
    }
    if let Some(mask) = mask_token(git, commit)? {
        facts.insert("mask_token".to_owned(), mask);
    }
    if let Some(counted) = count_parameters(store, repo, git, commit)? {
        facts.insert("safetensors".to_owned(), counted);
    }
    if let Some(sdk) = text("sdk") {
        facts.insert("sdk".to_owned(), sdk.into());
    }
    facts.insert("cardData".to_owned(), card.into());
    facts.insert("tags".to_owned(), tags.into());
    facts.insert("usedStorage".to_owned(), store.db.lfs_total(repo)?.into());
    Ok(facts.into())
}

/// What stands in a text for a word to be guessed, as the tokenizer's configuration says.
fn mask_token(git: &GitRepo, commit: Oid) -> Result<Option<Value>> {
    let Some(config) = git.small_file(commit, "tokenizer_config.json")? else {
        return Ok(None);
    };
    let Ok(config) = serde_json::from_slice::<Value>(&config) else {
        return Ok(None);
    };
    let token = &config["mask_token"];
    let token = if token.is_object() { &token["content"] } else { token };
    Ok(token.as_str().map(Value::from))
}

/// Parameters by type, from the headers of `model.safetensors` or of the files that its index names.
fn count_parameters(store: &Store, repo: &Repo, git: &GitRepo, commit: Oid) -> Result<Option<Value>> {
    let single: RepoPath = "model.safetensors".parse()?;
    let index = git.small_file(commit, "model.safetensors.index.json")?;
    let (files, sharded) = match index.map(|index| serde_json::from_slice::<Value>(&index)) {
        Some(Ok(index)) if git.entry(commit, &single)?.is_none() => {
            let names = index["weight_map"].as_object().into_iter().flat_map(Map::values);
            let names: BTreeSet<&str> = names.filter_map(Value::as_str).collect();
            let files = names.into_iter().filter_map(|name| name.parse().ok());
            (files.collect(), true)
        }
        _ => (vec![single], false),
    };
    let mut by_type = Map::new();
    let mut total = 0u64;
    for file in files {
        // Half of a model's parameters would be a wrong number.
        let Some(tensors) = tensors(store, repo, git, commit, &file)? else {
            return Ok(None);
        };
        for tensor in tensors.values() {
            let (Some(dtype), Some(shape)) = (
                tensor.get("dtype").and_then(Value::as_str),
                tensor.get("shape").and_then(Value::as_array),
            ) else {
                continue;
            };
            let count = shape
                .iter()
                .fold(1u64, |count, side| count.saturating_mul(side.as_u64().unwrap_or(0)));
            total = total.saturating_add(count);
            let before = by_type.get(dtype).and_then(Value::as_u64).unwrap_or(0);
            by_type.insert(dtype.to_owned(), before.saturating_add(count).into());
        }
    }
    if sharded && by_type.is_empty() {
        return Ok(None);
    }
    let mut counted = json!({ "parameters": by_type, "total": total });
    if sharded {
        counted["sharded"] = true.into();
    }
    Ok(Some(counted))
}

/// The header of a safetensors file that the repository has; none when it is not there, or no such file.
fn tensors(
    store: &Store,
    repo: &Repo,
    git: &GitRepo,
    commit: Oid,
    path: &RepoPath,
) -> Result<Option<Map<String, Value>>> {
    use std::io::Read as _;

    let Some(entry) = git.entry(commit, path)? else {
        return Ok(None);
    };
    let EntryKind::File {
        pointer: Some(pointer), ..
    } = entry.kind
    else {
        return Ok(None);
    };
    if store.db.lfs_size(repo, &pointer.sha256)?.is_none() {
        return Ok(None);
    }
    let Ok(mut file) = fs_err::File::open(store.blob_path(&pointer.sha256)) else {
        return Ok(None);
    };
    let mut length = [0; 8];
    if file.read_exact(&mut length).is_err() {
        return Ok(None);
    }
    let length = u64::from_le_bytes(length);
    if length > HEADER_LIMIT || length > pointer.size {
        return Ok(None);
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header)?;
    match serde_json::from_slice(&header) {
        Ok(Value::Object(tensors)) => Ok(Some(tensors)),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_found_as_the_hub_finds_it() {
        for (text, block) in [
            ("---\na: 1\n---\nT", Some("a: 1")),
            ("\n\n---\na: 1\n---", Some("a: 1")),
            ("---\r\na: 1\r\nb: 2\r\n---\r\nT", Some("a: 1\r\nb: 2")),
            ("---\na: |\n  x\n  ---\n---\nT", Some("a: |\n  x\n  ---")),
            ("---\na: 1\n--- \t\nT", Some("a: 1")),
            ("---\n\n---\nT", Some("")),
            ("\u{feff}---\na: 1\n---\n", Some("a: 1")),
            ("--- \na: 1\n---\n", None),
            ("---\na: 1\n----\n", None),
            ("---\na: 1\n---x\n", None),
            ("T\n---\na: 1\n---\n", None),
            ("---", None),
            ("", None),
            ("# é", None),
        ] {
            assert_eq!(front_matter(text), block, "{text:?}");
        }
    }

    #[test]
    fn metadata_is_data_or_a_sentence() {
        let card = metadata("---\nlicense: mit\ntags:\n- a\n- b\n---\n# T").unwrap();
        assert_eq!(Value::from(card), json!({"license": "mit", "tags": ["a", "b"]}));
        assert!(metadata("no block").unwrap().is_empty());
        assert!(metadata("---\n# only a comment\n---\n").unwrap().is_empty());
        assert!(
            metadata("---\n- a\n- b\n---\n")
                .unwrap_err()
                .contains("must be an object")
        );
        assert!(metadata("---\na: [1\n---\n").unwrap_err().contains("not valid"));
    }
}
