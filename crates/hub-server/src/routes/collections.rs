//! Collections: lists of repositories, papers and other collections.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use http::{Method, StatusCode};
use hub_types::{RepoId, RepoType};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::routes::info::summary;
use crate::routes::{Json, OriginalPath, Params, Query, done, paged};
use crate::store::Store;
use crate::store::collections::{Collection, Item};
use crate::store::repos::Found;

const THEMES: &[&str] = &["orange", "blue", "green", "purple", "pink", "indigo"];
const DESCRIPTION: usize = 150;
const NOTE: usize = 500;
/// Items of each collection in a list.
const LISTED_ITEMS: usize = 4;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/api/collections", get(list).post(create))
        .route(
            "/api/collections/{owner}/{slug}",
            get(show).patch(update).delete(remove),
        )
        .route("/api/collections/{owner}/{slug}/resource-group", post(resource_group))
        .route("/api/collections/{owner}/{slug}/items", post(add))
        .route(
            "/api/collections/{owner}/{slug}/items/{item}",
            patch(change).delete(take_out),
        )
}

fn may_see(caller: &Caller, collection: &Collection) -> bool {
    !collection.private || caller.belongs_to(&collection.owner)
}

/// The collection that the address means: the id at its end says which.
fn found(store: &Store, caller: &Caller, slug: &str) -> Result<Collection> {
    let oid = slug.rsplit('-').next().unwrap_or(slug);
    store
        .db
        .collection(oid)?
        .filter(|collection| may_see(caller, collection))
        .ok_or_else(|| Error::NotFound("Collection not found".to_owned()))
}

/// As [`found`], to be changed by the caller.
fn owned(store: &Store, caller: &Caller, slug: &str) -> Result<Collection> {
    caller.account()?;
    let collection = found(store, caller, slug)?;
    if caller.writer()?.belongs_to(&collection.owner) {
        Ok(collection)
    } else {
        Err(Error::forbidden("You are not the owner of this collection"))
    }
}

fn find_item(store: &Store, collection: &Collection, oid: &str) -> Result<(Vec<Item>, usize)> {
    let items = store.db.items(collection)?;
    let at = items.iter().position(|item| item.oid == oid);
    let at = at.ok_or_else(|| Error::NotFound("Item not found in this collection".to_owned()))?;
    Ok((items, at))
}

/// What a collection holds that the caller may see; `most` items of it.
fn items_json(store: &Store, caller: &Caller, collection: &Collection, most: usize) -> Result<Vec<Value>> {
    let mut shown = Vec::new();
    for item in store.db.items(collection)? {
        if shown.len() == most {
            break;
        }
        let mut reply = match (item.repo, &*item.kind) {
            (Some(row), _) => match store.db.repo_by_row(row)?.filter(|repo| caller.may_see(repo)) {
                Some(repo) => {
                    let mut reply = Value::Object(summary(&repo));
                    reply["repoType"] = repo.id.repo_type().as_str().into();
                    reply
                }
                None => continue,
            },
            (None, "collection") => match store.db.collection(&item.item)?.filter(|other| may_see(caller, other)) {
                Some(other) => json!({
                    "id": other.oid,
                    "slug": other.slug(),
                    "title": other.title,
                    "numberItems": store.db.items(&other)?.len(),
                }),
                None => continue,
            },
            (None, _) => json!({ "id": item.item }),
        };
        reply["_id"] = item.oid.as_str().into();
        reply["type"] = item.kind.as_str().into();
        reply["position"] = shown.len().into();
        if let Some(note) = item.note.filter(|note| !note.is_empty()) {
            let html = note.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            reply["note"] = json!({ "text": note, "html": format!("<p>{html}</p>") });
        }
        shown.push(reply);
    }
    Ok(shown)
}

fn collection_json(store: &Store, caller: &Caller, collection: &Collection, most: usize) -> Result<Value> {
    let owner = store.db.profile(&collection.owner)?;
    Ok(json!({
        "slug": collection.slug(),
        "title": collection.title,
        "description": collection.description,
        "private": collection.private,
        "theme": collection.theme,
        "lastUpdated": collection.updated,
        "upvotes": 0,
        "isUpvotedByUser": false,
        "gating": false,
        "owner": {
            "_id": owner.as_ref().map(|owner| owner.oid.as_str()),
            "name": collection.owner,
            "fullname": collection.owner,
            "avatarUrl": format!("/avatars/{}.svg", collection.owner),
            "type": if owner.as_ref().is_none_or(|owner| owner.is_user) { "user" } else { "org" },
            "isHf": false,
        },
        "items": items_json(store, caller, collection, most)?,
    }))
}

/// As the reply to who asks for one.
fn whole(store: &Store, caller: &Caller, oid: &str) -> Result<Value> {
    let collection = store.db.collection(oid)?.ok_or(Error::Internal)?;
    let mut reply = collection_json(store, caller, &collection, usize::MAX)?;
    reply["position"] = collection.position.into();
    Ok(reply)
}

async fn list(app: App, caller: Caller, query: Query, given: OriginalPath) -> Result<Response> {
    let wanted: Vec<(Option<RepoId>, String)> = query
        .all("item")
        .map(|item| {
            let (kind, id) = item.split_once('/').unwrap_or(("", item));
            let repo = RepoType::from_plural(kind).and_then(|kind| RepoId::new(kind, id).ok());
            (repo, id.to_owned())
        })
        .collect();
    if let Some(sort) = query.get("sort")
        && !matches!(sort, "lastModified" | "trending" | "upvotes")
    {
        return Err(Error::bad_request(
            "\"sort\" must be one of [lastModified, trending, upvotes]",
        ));
    }
    let asked = query.clone();
    let rows = app
        .run(move |store| {
            let owners: Vec<&str> = asked.all("owner").collect();
            let words = asked.get("q").unwrap_or_default().to_lowercase();
            let mut shown = Vec::new();
            for collection in store.db.collections()? {
                let owner =
                    owners.is_empty() || owners.iter().any(|owner| owner.eq_ignore_ascii_case(&collection.owner));
                let text = format!(
                    "{} {}",
                    collection.title,
                    collection.description.as_deref().unwrap_or_default()
                );
                if !owner || !may_see(&caller, &collection) || !text.to_lowercase().contains(&words) {
                    continue;
                }
                if !wanted.is_empty() {
                    let items = store.db.items(&collection)?;
                    let holds = |(repo, id): &(Option<RepoId>, String)| -> Result<bool> {
                        match repo.as_ref().map(|repo| store.db.repo(repo)).transpose()?.flatten() {
                            Some(Found::Here(repo) | Found::Moved(repo)) => {
                                Ok(items.iter().any(|item| item.repo == Some(repo.row)))
                            }
                            None => Ok(items.iter().any(|item| item.repo.is_none() && item.item == *id)),
                        }
                    };
                    // Of several, any one is enough.
                    if !wanted.iter().map(holds).collect::<Result<Vec<_>>>()?.contains(&true) {
                        continue;
                    }
                }
                shown.push(collection_json(store, &caller, &collection, LISTED_ITEMS)?);
            }
            Ok(shown)
        })
        .await?;
    paged(&app, &given, &query, rows)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Create {
    title: String,
    namespace: Option<String>,
    #[serde(default)]
    private: bool,
    description: Option<String>,
    resource_group_id: Option<String>,
    item: Option<NewItem>,
}

fn checked_title(title: &str) -> Result<&str> {
    match title.trim() {
        "" => Err(Error::bad_request("\"title\" is not allowed to be empty")),
        title => Ok(title),
    }
}

fn checked(name: &str, text: &str, most: usize) -> Result<()> {
    if text.chars().count() > most {
        return Err(Error::bad_request(format!(
            "\"{name}\" length must be less than or equal to {most} characters long"
        )));
    }
    Ok(())
}

/// There are no resource groups here, so that none can be named.
fn check_group(id: Option<&str>) -> Result<()> {
    match id {
        Some(id) => Err(Error::NotFound(format!("Resource group not found: {id}"))),
        None => Ok(()),
    }
}

async fn create(app: App, caller: Caller, Json(body): Json<Create>) -> Result<Response> {
    let account = caller.writer()?;
    let namespace = body.namespace.clone().unwrap_or_else(|| account.name.clone());
    if !account.belongs_to(&namespace) {
        return Err(Error::forbidden(format!(
            "You don't have the rights to create a collection under the namespace \"{namespace}\""
        )));
    }
    checked(
        "description",
        body.description.as_deref().unwrap_or_default(),
        DESCRIPTION,
    )?;
    check_group(body.resource_group_id.as_deref())?;
    let reply = app
        .run(move |store| {
            let title = checked_title(&body.title)?;
            let owner = store.db.profile(&namespace)?.ok_or(Error::Internal)?.name;
            let there = store.db.collections()?;
            if let Some(there) = there.iter().find(|there| there.owner == owner && there.title == title) {
                return Ok(Err(there.slug()));
            }
            let made = store
                .db
                .create_collection(&owner, title, body.description.as_deref(), body.private)?;
            if let Some(item) = &body.item {
                put_item(store, &caller, &made, item, None)?;
            }
            Ok(Ok(whole(store, &caller, &made.oid)?))
        })
        .await?;
    Ok(match reply {
        Ok(reply) => axum::Json(reply).into_response(),
        // The Hub names the one that is there, so that the client can go on with it.
        Err(slug) => {
            let reply = json!({ "error": "You already have a collection of this title", "slug": slug });
            (StatusCode::CONFLICT, axum::Json(reply)).into_response()
        }
    })
}

async fn show(app: App, caller: Caller, params: Params, method: Method) -> Result<Response> {
    let (owner, slug) = (params.get("owner")?, params.get("slug")?.to_owned());
    let given = format!("{owner}/{slug}");
    let url = app.url().to_owned();
    let reply = app
        .run(move |store| {
            let collection = found(store, &caller, &slug)?;
            let slug = collection.slug();
            // An old title's address leads to the new one.
            if slug != given && method == Method::GET {
                let location = format!("{url}/api/collections/{slug}");
                return Err(Error::Moved { location });
            }
            whole(store, &caller, &collection.oid)
        })
        .await?;
    Ok(axum::Json(reply).into_response())
}

#[derive(Deserialize)]
struct Update {
    title: Option<String>,
    description: Option<String>,
    private: Option<bool>,
    theme: Option<String>,
    position: Option<i64>,
}

async fn update(app: App, caller: Caller, params: Params, Json(body): Json<Update>) -> Result<Response> {
    let slug = params.get("slug")?.to_owned();
    let reply = app
        .run(move |store| {
            let mut collection = owned(store, &caller, &slug)?;
            if let Some(title) = &body.title {
                collection.title = checked_title(title)?.to_owned();
            }
            if let Some(description) = body.description {
                checked("description", &description, DESCRIPTION)?;
                collection.description = Some(description);
            }
            if let Some(theme) = body.theme {
                if !THEMES.contains(&&*theme) {
                    let known = THEMES.join(", ");
                    return Err(Error::bad_request(format!("\"theme\" must be one of [{known}]")));
                }
                collection.theme = theme;
            }
            collection.private = body.private.unwrap_or(collection.private);
            collection.position = match body.position {
                Some(position) if position < 0 => {
                    return Err(Error::bad_request("\"position\" must be greater than or equal to 0"));
                }
                Some(position) => position,
                None => collection.position,
            };
            store.db.save_collection(&collection)?;
            whole(store, &caller, &collection.oid)
        })
        .await?;
    Ok(axum::Json(json!({ "success": true, "data": reply })).into_response())
}

async fn remove(app: App, caller: Caller, params: Params) -> Result<Response> {
    let slug = params.get("slug")?.to_owned();
    app.run(move |store| {
        let collection = owned(store, &caller, &slug)?;
        store.db.delete_collection(&collection.oid)
    })
    .await?;
    Ok(done())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceGroup {
    resource_group_id: Option<String>,
}

async fn resource_group(app: App, caller: Caller, params: Params, Json(body): Json<ResourceGroup>) -> Result<Response> {
    let slug = params.get("slug")?.to_owned();
    app.run(move |store| {
        owned(store, &caller, &slug)?;
        check_group(body.resource_group_id.as_deref())
    })
    .await?;
    Ok(done())
}

#[derive(Deserialize)]
struct NewItem {
    id: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Add {
    item: NewItem,
    note: Option<String>,
}

/// Adds what is there and the caller may see; gives whether it was not in the collection yet.
fn put_item(store: &Store, caller: &Caller, to: &Collection, item: &NewItem, note: Option<&str>) -> Result<bool> {
    let missing = || Error::NotFound(format!("There is no {} '{}'", item.kind, item.id));
    let (id, repo) = match &*item.kind {
        "collection" => {
            let other = found(store, caller, &item.id).map_err(|_| missing())?;
            (other.oid, None)
        }
        // Papers are kept elsewhere: their numbers are taken as they are.
        "paper" => (item.id.clone(), None),
        kind => {
            let kind: RepoType = kind.parse().map_err(|_| {
                Error::bad_request("\"item.type\" must be one of [model, dataset, space, paper, collection, bucket]")
            })?;
            match store.db.repo(&RepoId::new(kind, &item.id)?)? {
                Some(Found::Here(repo) | Found::Moved(repo)) if caller.may_see(&repo) => {
                    (repo.oid.clone(), Some(repo.row))
                }
                _ => return Err(missing()),
            }
        }
    };
    store.db.add_item(to, &item.kind, &id, repo, note)
}

async fn add(app: App, caller: Caller, params: Params, Json(body): Json<Add>) -> Result<Response> {
    let slug = params.get("slug")?.to_owned();
    checked("note", body.note.as_deref().unwrap_or_default(), NOTE)?;
    let reply = app
        .run(move |store| {
            let collection = owned(store, &caller, &slug)?;
            if !put_item(store, &caller, &collection, &body.item, body.note.as_deref())? {
                return Err(Error::Conflict {
                    message: format!("{} is in this collection already", body.item.id),
                    url: None,
                });
            }
            whole(store, &caller, &collection.oid)
        })
        .await?;
    Ok(axum::Json(reply).into_response())
}

#[derive(Deserialize)]
struct Change {
    position: Option<usize>,
    note: Option<String>,
}

async fn change(app: App, caller: Caller, params: Params, Json(body): Json<Change>) -> Result<Response> {
    let (slug, oid) = (params.get("slug")?.to_owned(), params.get("item")?.to_owned());
    checked("note", body.note.as_deref().unwrap_or_default(), NOTE)?;
    app.run(move |store| {
        let collection = owned(store, &caller, &slug)?;
        let (mut items, at) = find_item(store, &collection, &oid)?;
        if let Some(note) = &body.note {
            store.db.note_item(&collection, &items[at], note)?;
        }
        if let Some(position) = body.position {
            let item = items.remove(at);
            items.insert(position.min(items.len()), item);
            store.db.order_items(&collection, &items)?;
        }
        Ok(())
    })
    .await?;
    Ok(done())
}

async fn take_out(app: App, caller: Caller, params: Params) -> Result<Response> {
    let (slug, oid) = (params.get("slug")?.to_owned(), params.get("item")?.to_owned());
    app.run(move |store| {
        let collection = owned(store, &caller, &slug)?;
        let (items, at) = find_item(store, &collection, &oid)?;
        store.db.delete_item(&collection, &items[at])
    })
    .await?;
    Ok(done())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::testing::{ADA, BOB, EVE, Hub};

    fn make(hub: &Hub, body: &str) -> Value {
        hub.post(ADA, "/api/collections", body).expect(200).json()
    }

    fn at(collection: &Value) -> String {
        format!("/api/collections/{}", collection["slug"].as_str().unwrap())
    }

    #[test]
    fn a_collection_is_found_by_the_id_at_its_slugs_end() {
        let hub = Hub::start();
        let made = make(&hub, r#"{"title":"Tiny models!","private":false,"description":"d"}"#);
        let slug = made["slug"].as_str().unwrap();
        assert!(
            slug.starts_with("ada/tiny-models-") && slug.len() == "ada/tiny-models-".len() + 24,
            "{slug}"
        );
        let again = hub
            .post(ADA, "/api/collections", r#"{"title":"Tiny models!"}"#)
            .expect(409)
            .json();
        assert_eq!(again["slug"], slug);
        let changed = hub
            .send(
                "PATCH",
                ADA,
                &at(&made),
                &[],
                br#"{"title":"Small","theme":"blue","position":2}"#,
            )
            .expect(200)
            .json();
        let data = &changed["data"];
        assert_eq!((&data["theme"], &data["position"]), (&json!("blue"), &json!(2)));
        assert!(data["slug"].as_str().unwrap().starts_with("ada/small-"));
        let moved = hub.get("", &at(&made)).expect(307);
        assert!(moved.header("location").ends_with(data["slug"].as_str().unwrap()));
        hub.send("PATCH", ADA, &at(&made), &[], br#"{"theme":"red"}"#)
            .expect(400);
        hub.send("PATCH", BOB, &at(&made), &[], br#"{"theme":"blue"}"#)
            .expect(403);
        hub.send("PATCH", EVE, &at(&made), &[], br#"{"theme":"blue"}"#)
            .expect(403);
        hub.delete("", &at(&made)).expect(401);
        hub.delete(ADA, &at(&made)).expect(200);
        hub.get("", &at(data)).expect(404);
        hub.post(ADA, "/api/collections", r#"{"title":"x","namespace":"bob"}"#)
            .expect(403);
        hub.post(ADA, "/api/collections", r#"{"title":"x","namespace":"acme"}"#)
            .expect(200);
    }

    #[test]
    fn items_have_an_order_and_hidden_ones_are_not_shown() {
        let hub = Hub::start();
        for name in ["a", "b", "c"] {
            hub.create(name);
        }
        let made = make(&hub, r#"{"title":"All"}"#);
        let items = format!("{}/items", at(&made));
        let add = |id: &str| {
            hub.post(
                ADA,
                &items,
                &format!(r#"{{"item":{{"id":"{id}","type":"model"}},"note":"n & m"}}"#),
            )
        };
        for name in ["ada/a", "ada/b", "ada/c"] {
            add(name).expect(200);
        }
        add("ada/a").expect(409);
        add("ada/none").expect(404);
        let shown = hub.get("", &at(&made)).expect(200).json();
        assert_eq!(
            shown["items"][0]["note"],
            json!({"text": "n & m", "html": "<p>n &amp; m</p>"})
        );
        let last = shown["items"][2]["_id"].as_str().unwrap();
        hub.send("PATCH", ADA, &format!("{items}/{last}"), &[], br#"{"position":0}"#)
            .expect(200);
        let order = |token: &str| {
            let shown = hub.get(token, &at(&made)).expect(200).json();
            let items = shown["items"].as_array().unwrap().iter();
            items
                .map(|item| item["id"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(order(""), ["ada/c", "ada/a", "ada/b"]);
        hub.put(ADA, "/api/models/ada/a/settings", r#"{"private":true}"#)
            .expect(200);
        assert_eq!(order(""), ["ada/c", "ada/b"]);
        // Moved ones keep their place, under the new name.
        hub.post(ADA, "/api/repos/move", r#"{"fromRepo":"ada/c","toRepo":"ada/z"}"#)
            .expect(200);
        assert_eq!(order(ADA), ["ada/z", "ada/a", "ada/b"]);
        hub.delete(ADA, &format!("{items}/{last}")).expect(200);
        hub.delete(ADA, &format!("{items}/{last}")).expect(404);
        assert_eq!(order(ADA), ["ada/a", "ada/b"]);
    }

    #[test]
    fn lists_have_what_the_caller_may_see() {
        let hub = Hub::start();
        hub.create("a");
        let open = make(&hub, r#"{"title":"Open","item":{"id":"ada/a","type":"model"}}"#);
        make(&hub, r#"{"title":"Secret","private":true}"#);
        let titles = |token: &str, query: &str| {
            let list = hub.get(token, &format!("/api/collections?{query}")).expect(200).json();
            let list = list.as_array().unwrap().iter();
            list.map(|one| one["title"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(titles(BOB, ""), ["Open"]);
        assert_eq!(titles(ADA, "owner=ada").len(), 2);
        assert_eq!(titles(ADA, "owner=bob"), [""; 0]);
        assert_eq!(titles(ADA, "item=models%2Fada%2Fa"), ["Open"]);
        assert_eq!(titles(ADA, "q=secr"), ["Secret"]);
        hub.get("", "/api/collections?sort=size").expect(400);
        let first = hub.get(ADA, "/api/collections?limit=1").expect(200);
        assert!(first.header("link").contains("rel=\"next\""));
        assert!(first.json()[0].get("position").is_none());
        let other = make(&hub, r#"{"title":"Of collections"}"#);
        let item = format!(
            r#"{{"item":{{"id":"{}","type":"collection"}}}}"#,
            open["slug"].as_str().unwrap()
        );
        let shown = hub
            .post(ADA, &format!("{}/items", at(&other)), &item)
            .expect(200)
            .json();
        assert_eq!(shown["items"][0]["slug"], open["slug"]);
    }
}
