//! One's own repositories with the storage that each takes.

use axum::extract::Path;
use axum::response::Response;
use serde_json::json;

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::routes::{OriginalPath, Query, paged};
use crate::store::Repo;

pub(super) async fn own(app: App, caller: Caller, query: Query, given: OriginalPath) -> Result<Response> {
    let name = caller.account()?.name.clone();
    settings_listing(app, name, query, given).await
}

pub(super) async fn of_organization(
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
    let items = repos
        .iter()
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
    paged(&app, &given, &query, items)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{ADA, BOB, Hub, large};

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
}
