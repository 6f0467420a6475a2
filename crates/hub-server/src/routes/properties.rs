//! The properties of a repository that its row does not hold: read off its card, or off other repositories.

use std::collections::HashMap;

use hub_types::RepoType;
use serde_json::{Map, Value, json};

use crate::auth::Caller;
use crate::error::Result;
use crate::routes::search::named;
use crate::store::git::EntryKind;
use crate::store::{Repo, Store};

/// What comes only when `expand` names it.
pub(crate) const EXPAND_ONLY: &[&str] = &[
    "baseModels",
    "childrenModelCount",
    "citation",
    "downloadsAllTime",
    "gitalyUid",
    "mainSize",
    "region",
    "xetEnabled",
];

/// Adds what the card and the configuration of a repository say.
pub(crate) fn describe(repo: &Repo, reply: &mut Map<String, Value>) {
    let card = &repo.facts["cardData"];
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            reply.insert(key.to_owned(), value);
        }
    };
    put("xetEnabled", false.into());
    put("gitalyUid", repo.oid.as_str().into());
    match repo.id.repo_type() {
        RepoType::Model => {
            put("mask_token", repo.facts["mask_token"].clone());
            put("model-index", card["model-index"].clone());
            put("widgetData", card["widget"].clone());
            put("transformersInfo", transformers_info(repo));
            let base = named(repo, "base_model");
            if !base.is_empty() {
                put("baseModels", base.into());
            }
        }
        RepoType::Dataset => {
            put("paperswithcode_id", card["paperswithcode_id"].clone());
            put("citation", card["citation"].clone());
        }
        RepoType::Space => {
            put("region", "us".into());
            // The Hub reads the app for ids of repositories; here, what the card names counts.
            put("models", named(repo, "models").into());
            put("datasets", named(repo, "datasets").into());
        }
        RepoType::Kernel => {}
    }
}

/// The class that loads a model of `transformers`, by the end of its architecture's name.
fn transformers_info(repo: &Repo) -> Value {
    let Some(architecture) = repo.facts["config"]["architectures"][0].as_str() else {
        return Value::Null;
    };
    if repo.facts["library_name"] != "transformers" {
        return Value::Null;
    }
    let class = [
        ("ForCausalLM", "AutoModelForCausalLM"),
        ("LMHeadModel", "AutoModelForCausalLM"),
        ("ForMaskedLM", "AutoModelForMaskedLM"),
        ("ForSequenceClassification", "AutoModelForSequenceClassification"),
        ("ForTokenClassification", "AutoModelForTokenClassification"),
        ("ForQuestionAnswering", "AutoModelForQuestionAnswering"),
        ("ForImageClassification", "AutoModelForImageClassification"),
        ("ForConditionalGeneration", "AutoModelForSeq2SeqLM"),
    ]
    .into_iter()
    .find(|(end, _)| architecture.ends_with(end))
    .map_or("AutoModel", |(_, class)| class);
    let mut info = json!({ "auto_model": class });
    if !repo.facts["pipeline_tag"].is_null() {
        info["pipeline_tag"] = repo.facts["pipeline_tag"].clone();
    }
    info
}

/// What other repositories say of models: which Spaces use one, and how many models are made from it.
///
/// Only what the caller may see is counted.
#[derive(Debug, Default)]
pub(crate) struct Links {
    spaces: Option<HashMap<String, Vec<String>>>,
    children: Option<HashMap<String, u64>>,
}

impl Links {
    /// Reads what the wanted properties need: nothing, if that is none.
    pub(crate) fn load(store: &Store, caller: &Caller, wanted: &[String]) -> Result<Self> {
        let asks = |property: &str| wanted.iter().any(|word| word == property);
        let visible = |kind: RepoType| -> Result<Vec<Repo>> {
            let mut repos = store.db.all_repos(Some(kind))?;
            repos.retain(|repo| caller.may_see(repo));
            Ok(repos)
        };
        let mut links = Self::default();
        if asks("spaces") {
            let spaces = links.spaces.insert(HashMap::new());
            for space in visible(RepoType::Space)? {
                for model in named(&space, "models") {
                    let users = spaces.entry(model.to_lowercase()).or_default();
                    users.push(space.id.id().to_owned());
                }
            }
        }
        if asks("childrenModelCount") {
            let children = links.children.insert(HashMap::new());
            for model in visible(RepoType::Model)? {
                for base in named(&model, "base_model") {
                    *children.entry(base.to_lowercase()).or_default() += 1;
                }
            }
        }
        Ok(links)
    }

    /// Adds what was loaded to the reply about a model.
    pub(crate) fn add(&self, repo: &Repo, reply: &mut Map<String, Value>) {
        if repo.id.repo_type() != RepoType::Model {
            return;
        }
        let id = repo.id.id().to_lowercase();
        if let Some(spaces) = &self.spaces {
            let spaces = spaces.get(&id).cloned().unwrap_or_default();
            reply.insert("spaces".to_owned(), spaces.into());
        }
        if let Some(children) = &self.children {
            let count = children.get(&id).copied().unwrap_or_default();
            reply.insert("childrenModelCount".to_owned(), count.into());
        }
    }
}

/// The bytes of all files of `main`, large ones by what they hold.
pub(crate) fn main_size(store: &Store, repo: &Repo) -> Result<u64> {
    let git = store.git(repo)?;
    let Some(commit) = repo.head.as_deref().and_then(|head| git.resolve(head).ok()) else {
        return Ok(0);
    };
    let sizes = git.files(commit)?.into_iter().map(|file| match file.kind {
        EntryKind::Folder => 0,
        EntryKind::File { stored, pointer } => pointer.map_or(stored, |pointer| pointer.size),
    });
    Ok(sizes.sum())
}
