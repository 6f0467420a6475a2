//! `hub auth list`

use hub_http::stored_tokens::{StoredToken, TokenStore};
use jiff::Timestamp;
use serde_json::json;

use super::environment_token;
use crate::context::Context;
use crate::output::{Mode, Row, Table};

/// List the stored tokens, masked
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let out = &context.out;
        let env = &context.settings.env;
        let store = TokenStore::from_env(env);
        let stored = store.stored()?;
        if stored.is_unreadable() {
            out.warning(&format!("{} is no INI file", store.stored_tokens_path().display()));
        }
        let from_environment = environment_token(env);
        let active = match &from_environment {
            Some((_, token)) => Some(token.clone()),
            None => store.active()?,
        };
        let expires = stored.iter().any(|(_, token)| token.expires_at().is_some());
        let mut any_active = false;
        let mut rows: Vec<Row> = Vec::new();
        for (name, entry) in stored.iter() {
            let token = entry.token();
            let is_active = token.is_some() && token == active;
            any_active |= is_active;
            let masked = token.map_or_else(|| "<not set>".to_owned(), |token| token.masked());
            let mut row: Row = vec![("name".to_owned(), json!(name)), ("token".to_owned(), json!(masked))];
            if out.mode == Mode::Human {
                row.insert(0, (" ".to_owned(), json!(if is_active { "*" } else { "" })));
            } else {
                row.push(("active".to_owned(), json!(is_active)));
            }
            if expires {
                row.push(("expires".to_owned(), json!(expiration(entry))));
            }
            rows.push(row);
        }
        if rows.is_empty() && out.mode == Mode::Human {
            out.log(match from_environment {
                Some(_) => "No stored access tokens found.",
                None => "No access tokens found.",
            });
        } else {
            out.table(Table::new(rows).with_names().id("name"))?;
        }
        if let Some((variable, _)) = from_environment {
            out.warning(&format!(
                "Environment variable `{variable}` is set and is the current active token independently from the stored tokens."
            ));
        } else if !stored.is_empty() && !any_active {
            out.warning("No active token is set. Use `hub auth login` to log in.");
        }
        Ok(())
    }
}

fn expiration(entry: &StoredToken) -> Option<String> {
    let moment = Timestamp::from_second(entry.expires_at()?).ok()?;
    let day = moment.strftime("%Y-%m-%d").to_string();
    Some(if moment < Timestamp::now() {
        format!("{day} (expired)")
    } else {
        day
    })
}
