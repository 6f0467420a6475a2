//! `hub env`

use std::path::Path;

use hub_git_compat::GitCredentials;
use hub_http::stored_tokens::TokenStore;
use hub_types::env::{self, Env, Kind, Variable};
use serde_json::{Value, json};

use crate::context::Context;
use crate::output::Row;

/// Print versions, paths and settings for a bug report
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let facts = facts(&context.settings.env)?;
        if context.out.is_json() {
            return context.out.object(facts);
        }
        let mut text = String::from("\nCopy-and-paste the text below in your issue.\n");
        for (name, value) in &facts {
            let value = match value {
                Value::String(text) => text.clone(),
                Value::Bool(true) => "True".to_owned(),
                Value::Bool(false) => "False".to_owned(),
                Value::Null => "None".to_owned(),
                Value::Array(items) => {
                    let texts = items.iter().filter_map(Value::as_str);
                    texts.collect::<Vec<_>>().join(", ")
                }
                other => other.to_string(),
            };
            text.push_str(&format!("\n- {name}: {value}"));
        }
        context.out.raw(&text)
    }
}

/// No request is made and no secret is shown.
fn facts(env: &Env) -> anyhow::Result<Row> {
    let store = TokenStore::from_env(env);
    let endpoint = env.text(env::HF_ENDPOINT)?.unwrap_or(hub_http::DEFAULT_ENDPOINT);
    let endpoint = endpoint.trim_end_matches('/').to_owned();
    let helpers = GitCredentials::new(env, &endpoint).and_then(|credentials| credentials.helpers());
    let mut row: Row = Vec::new();
    let mut add = |name: &str, value: Value| row.push((name.to_owned(), value));
    add("hub version", json!(env!("CARGO_PKG_VERSION")));
    add(
        "Platform",
        json!(format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)),
    );
    add("Built with Xet", json!(cfg!(feature = "xet")));
    add("Token path ?", path(store.token_path()));
    add("Has saved token ?", json!(store.active()?.is_some()));
    if let Ok(Some(name)) = store.active_name() {
        add("Name of the saved token", json!(name));
    }
    add(
        "Configured git credential helpers",
        json!(helpers.map_or_else(|_| "unknown".to_owned(), |helpers| helpers.join(", "))),
    );
    add("ENDPOINT", json!(endpoint));
    add("HF_HUB_CACHE", path(&env.hub_cache()));
    let system: Vec<Value> = env.system_caches().iter().map(|folder| path(folder)).collect();
    add(
        "HUB_SYSTEM_CACHE",
        if system.is_empty() { Value::Null } else { json!(system) },
    );
    add(
        "HF_ASSETS_CACHE",
        path(
            &env.path(env::HF_ASSETS_CACHE)
                .unwrap_or_else(|| env.hf_home().join("assets")),
        ),
    );
    add("HF_TOKEN_PATH", path(store.token_path()));
    add("HF_STORED_TOKENS_PATH", path(store.stored_tokens_path()));
    add("HF_HUB_OFFLINE", json!(env.offline()));
    add("HF_HUB_DISABLE_TELEMETRY", json!(env.telemetry_disabled()));
    for variable in [
        env::HF_HUB_DISABLE_PROGRESS_BARS,
        env::HF_HUB_DISABLE_SYMLINKS,
        env::HF_HUB_DISABLE_SYMLINKS_WARNING,
        env::HF_HUB_DISABLE_IMPLICIT_TOKEN,
        env::HF_HUB_DISABLE_XET,
        env::HF_HUB_DISABLE_SHARED_BLOBS,
        env::HF_HUB_ETAG_TIMEOUT,
        env::HF_HUB_DOWNLOAD_TIMEOUT,
        env::HUB_CONNECTIONS,
        env::HUB_UPLOAD_TIMEOUT,
        env::HUB_BANDWIDTH_LIMIT,
        env::HUB_VERIFY,
        env::HUB_DURABLE,
    ] {
        add(variable.name, setting(env, variable)?);
    }
    Ok(row)
}

fn path(path: &Path) -> Value {
    json!(path.to_string_lossy())
}

fn setting(env: &Env, variable: Variable) -> anyhow::Result<Value> {
    Ok(match variable.kind {
        Kind::Flag => json!(env.flag(variable)),
        Kind::Seconds | Kind::Number => match env.number(variable)? {
            Some(number) => json!(number),
            None => json!(variable.default.parse::<u64>().ok()),
        },
        Kind::Secret => json!(env.text(variable)?.map(|_| "set")),
        Kind::Text | Kind::Path => json!(env.text(variable)?),
    })
}
