//! Users, organisations, followers and likes.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hub_types::RepoType;
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::routes::{OriginalPath, Params, Query, Target, done, paged};
use crate::store::Store;
use crate::store::users::{Profile, Relation};

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/api/users/{name}/overview", get(user))
        .route("/api/users/{name}/followers", get(followers_of_user))
        .route("/api/users/{name}/following", get(following))
        .route("/api/users/{name}/follow", post(follow_user))
        .route("/api/users/{name}/unfollow", post(unfollow_user))
        .route("/api/users/{name}/likes", get(likes))
        .route("/api/organizations/{name}/overview", get(organization))
        .route("/api/organizations/{name}/members", get(members))
        .route("/api/organizations/{name}/followers", get(followers_of_organization))
        .route("/api/organizations/{name}/follow", post(follow_organization))
        .route("/api/organizations/{name}/unfollow", post(unfollow_organization))
        .route("/-api/{kind}/{id}/likers", get(likers))
        .route("/-api/{kind}/{id}/like", post(like).delete(unlike))
}

fn avatar(name: &str) -> String {
    format!("/avatars/{name}.svg")
}

/// What every list of accounts has of one.
fn short(profile: &Profile) -> Value {
    let mut reply = json!({
        "_id": profile.oid,
        "fullname": profile.name,
        "avatarUrl": avatar(&profile.name),
        "type": if profile.is_user { "user" } else { "org" },
    });
    if profile.is_user {
        reply["user"] = profile.name.as_str().into();
        reply["isPro"] = false.into();
    } else {
        reply["name"] = profile.name.as_str().into();
    }
    reply
}

/// The account of that name and kind.
fn found(store: &Store, name: &str, is_user: bool) -> Result<Profile> {
    store
        .db
        .profile(name)?
        .filter(|profile| profile.is_user == is_user)
        .ok_or_else(|| {
            Error::NotFound(match is_user {
                true => "This user does not exist".to_owned(),
                false => "This organization does not exist".to_owned(),
            })
        })
}

/// Adds what an overview tells of both kinds of account.
fn describe(store: &Store, caller: &Caller, profile: &Profile) -> Result<Value> {
    let mut reply = short(profile);
    let mut counts = [
        (RepoType::Model, "numModels", 0_u64),
        (RepoType::Dataset, "numDatasets", 0),
        (RepoType::Space, "numSpaces", 0),
    ];
    for repo in store.db.all_repos(None)? {
        let own = repo.namespace().eq_ignore_ascii_case(&profile.name) && caller.may_see(&repo);
        for (kind, _, count) in &mut counts {
            *count += u64::from(own && repo.id.repo_type() == *kind);
        }
    }
    for (_, key, count) in counts {
        reply[key] = count.into();
    }
    let followers = store.db.related(profile, Relation::Followers)?;
    reply["numFollowers"] = followers.len().into();
    reply["numPapers"] = 0.into();
    reply["createdAt"] = profile.created.as_str().into();
    reply["details"] = "".into();
    if let Some(account) = &caller.0 {
        reply["isFollowing"] = followers.iter().any(|follower| follower.row == account.row).into();
    }
    Ok(reply)
}

async fn user(app: App, caller: Caller, params: Params) -> Result<Response> {
    let name = params.get("name")?.to_owned();
    let reply = app
        .run(move |store| {
            let profile = found(store, &name, true)?;
            let mut reply = describe(store, &caller, &profile)?;
            let (discussions, likes) = store.db.activity(&profile)?;
            reply["numDiscussions"] = discussions.into();
            reply["numLikes"] = likes.into();
            reply["numUpvotes"] = 0.into();
            reply["numFollowing"] = store.db.count_related(&profile, Relation::Following)?.into();
            let orgs = store.db.related(&profile, Relation::Organizations)?;
            reply["orgs"] = orgs.iter().map(short).collect();
            Ok(reply)
        })
        .await?;
    Ok(axum::Json(reply).into_response())
}

async fn organization(app: App, caller: Caller, params: Params) -> Result<Response> {
    let name = params.get("name")?.to_owned();
    let reply = app
        .run(move |store| {
            let profile = found(store, &name, false)?;
            let mut reply = describe(store, &caller, &profile)?;
            reply["numUsers"] = store.db.count_related(&profile, Relation::Members)?.into();
            reply["isVerified"] = false.into();
            Ok(reply)
        })
        .await?;
    Ok(axum::Json(reply).into_response())
}

/// A list of the accounts at the other end of a relation.
async fn relation(
    app: App,
    params: Params,
    query: Query,
    given: OriginalPath,
    is_user: bool,
    relation: Relation,
) -> Result<Response> {
    let name = params.get("name")?.to_owned();
    let rows = app
        .run(move |store| store.db.related(&found(store, &name, is_user)?, relation))
        .await?;
    paged(&app, &given, &query, rows.iter().map(short).collect())
}

async fn followers_of_user(app: App, params: Params, query: Query, given: OriginalPath) -> Result<Response> {
    relation(app, params, query, given, true, Relation::Followers).await
}

async fn following(app: App, params: Params, query: Query, given: OriginalPath) -> Result<Response> {
    relation(app, params, query, given, true, Relation::Following).await
}

async fn members(app: App, params: Params, query: Query, given: OriginalPath) -> Result<Response> {
    relation(app, params, query, given, false, Relation::Members).await
}

async fn followers_of_organization(app: App, params: Params, query: Query, given: OriginalPath) -> Result<Response> {
    relation(app, params, query, given, false, Relation::Followers).await
}

async fn set_follow(app: App, caller: Caller, params: Params, is_user: bool, follows: bool) -> Result<Response> {
    let follower = caller.writer()?.row;
    let name = params.get("name")?.to_owned();
    app.run(move |store| store.db.follow(follower, &found(store, &name, is_user)?, follows))
        .await?;
    Ok(done())
}

async fn follow_user(app: App, caller: Caller, params: Params) -> Result<Response> {
    set_follow(app, caller, params, true, true).await
}

async fn unfollow_user(app: App, caller: Caller, params: Params) -> Result<Response> {
    set_follow(app, caller, params, true, false).await
}

async fn follow_organization(app: App, caller: Caller, params: Params) -> Result<Response> {
    set_follow(app, caller, params, false, true).await
}

async fn unfollow_organization(app: App, caller: Caller, params: Params) -> Result<Response> {
    set_follow(app, caller, params, false, false).await
}

/// On the public Hub a page of the site does this; scripts can only take it back.
async fn like(app: App, target: Target) -> Result<Response> {
    let account = target.caller.writer()?.clone();
    target
        .run(&app, move |store, repo, _| store.db.like(repo, &account))
        .await?;
    Ok(done())
}

async fn unlike(app: App, target: Target) -> Result<Response> {
    let account = target.caller.writer()?.clone();
    target
        .run(&app, move |store, repo, _| store.db.unlike(repo, &account))
        .await?;
    Ok(done())
}

async fn likers(app: App, target: Target, query: Query, given: OriginalPath) -> Result<Response> {
    let names = target.run(&app, |store, repo, _| store.db.likers(repo)).await?;
    let rows = names
        .iter()
        .map(|name| json!({ "user": name, "fullname": name, "avatarUrl": avatar(name), "type": "user" }))
        .collect();
    paged(&app, &given, &query, rows)
}

async fn likes(app: App, caller: Caller, params: Params, query: Query, given: OriginalPath) -> Result<Response> {
    let name = params.get("name")?.to_owned();
    let rows = app
        .run(move |store| {
            let user = found(store, &name, true)?;
            let mut rows = Vec::new();
            for (row, created) in store.db.likes_of(&user.name)? {
                if let Some(repo) = store.db.repo_by_row(row)?.filter(|repo| caller.may_see(repo)) {
                    let repo = json!({ "name": repo.id.id(), "type": repo.id.repo_type().as_str() });
                    rows.push(json!({ "createdAt": created, "repo": repo }));
                }
            }
            Ok(rows)
        })
        .await?;
    paged(&app, &given, &query, rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{ADA, BOB, EVE, Hub};

    #[test]
    fn likes_count_and_are_taken_back() {
        let hub = Hub::with_demo();
        let like = "/api/models/ada/demo/like";
        hub.post("", like, "").expect(401);
        hub.post(EVE, like, "").expect(403);
        for token in [BOB, ADA, BOB] {
            hub.post(token, like, "").expect(200);
        }
        assert_eq!(hub.get("", "/api/models/ada/demo").json()["likes"], 2);
        let likers = hub.get("", "/api/models/ada/demo/likers").expect(200).json();
        assert_eq!(likers.as_array().unwrap().len(), 2);
        let likes = hub.get("", "/api/users/bob/likes").expect(200).json();
        assert_eq!(likes[0]["repo"], json!({"name": "ada/demo", "type": "model"}));
        hub.delete(BOB, like).expect(200);
        assert_eq!(hub.get("", "/api/models/ada/demo").json()["likes"], 1);
        assert_eq!(hub.get("", "/api/users/bob/likes").json(), json!([]));
        hub.delete(BOB, "/api/models/ada/none/like")
            .expect_code(404, "RepoNotFound");
        // What one may not see is in no list.
        hub.put(ADA, "/api/models/ada/demo/settings", r#"{"visibility":"private"}"#)
            .expect(200);
        assert_eq!(hub.get(BOB, "/api/users/ada/likes").json(), json!([]));
        assert_eq!(hub.get(ADA, "/api/users/ada/likes").json().as_array().unwrap().len(), 1);
    }

    #[test]
    fn accounts_are_described_and_followed() {
        let hub = Hub::with_demo();
        let ada = hub.get("", "/api/users/ada/overview").expect(200).json();
        assert_eq!(
            (&ada["user"], &ada["numModels"], &ada["type"]),
            (&json!("ada"), &json!(1), &json!("user"))
        );
        assert_eq!(ada["orgs"][0]["name"], "acme");
        assert!(ada.get("isFollowing").is_none());
        hub.get("", "/api/users/acme/overview").expect(404);
        hub.get("", "/api/organizations/ada/overview").expect(404);
        let acme = hub.get("", "/api/organizations/acme/overview").expect(200).json();
        assert_eq!((&acme["name"], &acme["numUsers"]), (&json!("acme"), &json!(1)));
        assert_eq!(hub.get("", "/api/organizations/acme/members").json()[0]["user"], "ada");

        hub.post(BOB, "/api/users/ada/follow", "").expect(200);
        hub.post(BOB, "/api/organizations/acme/follow", "").expect(200);
        hub.post(BOB, "/api/users/none/follow", "").expect(404);
        let ada = hub.get(BOB, "/api/users/ada/overview").json();
        assert_eq!((&ada["numFollowers"], &ada["isFollowing"]), (&json!(1), &json!(true)));
        assert_eq!(hub.get("", "/api/users/ada/followers").json()[0]["user"], "bob");
        let following = hub.get("", "/api/users/bob/following").json();
        assert_eq!(
            (&following[0]["name"], &following[1]["user"]),
            (&json!("acme"), &json!("ada"))
        );
        hub.post(BOB, "/api/users/ada/unfollow", "").expect(200);
        assert_eq!(hub.get("", "/api/users/ada/followers").json(), json!([]));
    }
}
