//! Spaces: runtime, hardware, secrets and variables, volumes, logs. What the settings of an app would be is kept and
//! answered; no app runs here.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use bytes::Bytes;
use futures_util::stream;
use http::header;
use http::request::Parts;
use hub_types::{RepoId, RepoType};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::routes::{Json, Params, Query, Target, done};
use crate::store::repos::Found;
use crate::store::spaces::{Setting, Space, is_static};
use crate::store::{Repo, Store};

/// Every flavour that may be asked for.
const HARDWARE: &[&str] = &[
    "cpu-basic",
    "cpu-upgrade",
    "zero-a10g",
    "t4-small",
    "t4-medium",
    "l4x1",
    "l4x4",
    "l40sx1",
    "l40sx4",
    "l40sx8",
    "a10g-small",
    "a10g-large",
    "a10g-largex2",
    "a10g-largex4",
    "a100-large",
    "a100x4",
    "a100x8",
    "rtx-pro-6000",
    "rtx-pro-6000x2",
    "rtx-pro-6000x4",
    "rtx-pro-6000x8",
];
/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(200);

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/api/spaces/hardware", get(hardware_list))
        .route("/api/spaces/zero-gpu/quota", get(quota))
        .route("/-api/{kind}/{id}/runtime", get(runtime))
        .route("/-api/{kind}/{id}/hardware", post(hardware))
        .route("/-api/{kind}/{id}/sleeptime", post(sleep_time))
        .route("/-api/{kind}/{id}/pause", post(pause))
        .route("/-api/{kind}/{id}/restart", post(restart))
        .route("/-api/{kind}/{id}/dev-mode", post(dev_mode))
        .route(
            "/-api/{kind}/{id}/secrets",
            get(secrets).post(add_secret).delete(delete_secret),
        )
        .route(
            "/-api/{kind}/{id}/variables",
            get(variables).post(add_variable).delete(delete_variable),
        )
        .route("/-api/{kind}/{id}/volumes", put(set_volumes).delete(delete_volumes))
        .route("/-api/{kind}/{id}/logs/{log}", get(logs))
}

/// A repository that is a Space: the other kinds have none of this.
struct SpaceTarget(Target);

impl FromRequestParts<App> for SpaceTarget {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let target = Target::from_request_parts(parts, app).await?;
        match target.repo.id.repo_type() {
            RepoType::Space => Ok(Self(target)),
            _ => Err(Error::NotFound(
                "Sorry, we can't find the page you are looking for.".to_owned(),
            )),
        }
    }
}

/// The list that has the facts that clients need; nothing costs anything here.
async fn hardware_list() -> Response {
    let rows: Vec<Value> = HARDWARE
        .iter()
        .map(|name| {
            json!({
                "name": name,
                "prettyName": name,
                "cpu": "as this machine",
                "ram": "as this machine",
                "accelerator": null,
                "unitCostMicroUSD": 0,
                "unitCostUSD": 0.0,
                "unitLabel": "minute",
            })
        })
        .collect();
    axum::Json(rows).into_response()
}

async fn quota(caller: Caller) -> Result<Response> {
    caller.account()?;
    Ok(axum::Json(json!({ "base": 0, "current": 0, "overquotaUsed": 0, "resetsAt": null })).into_response())
}

async fn runtime(app: App, SpaceTarget(target): SpaceTarget) -> Result<Response> {
    let reply = target.run(&app, |store, repo, _| store.runtime(repo, true)).await?;
    Ok(axum::Json(reply).into_response())
}

/// Changes a Space's row and answers with its runtime.
async fn change(
    app: App,
    target: Target,
    change: impl FnOnce(&Repo, &mut Space) -> Result<()> + Send + 'static,
) -> Result<Response> {
    let (target, _) = target.writable()?;
    let reply = target
        .run(&app, move |store, repo, _| {
            let mut space = store.db.space(repo)?;
            change(repo, &mut space)?;
            store.db.save_space(repo, &space)?;
            store.runtime(repo, false)
        })
        .await?;
    Ok(axum::Json(reply).into_response())
}

fn refuse_static(repo: &Repo) -> Result<()> {
    if is_static(repo) {
        return Err(Error::bad_request("This is not possible for a static Space"));
    }
    Ok(())
}

fn checked_flavor(flavor: &str) -> Result<&str> {
    if HARDWARE.contains(&flavor) {
        return Ok(flavor);
    }
    Err(Error::bad_request(format!(
        "\"flavor\" must be one of [{}]",
        HARDWARE.join(", ")
    )))
}

fn checked_sleep(seconds: i64) -> Result<i64> {
    if seconds >= -1 {
        return Ok(seconds);
    }
    Err(Error::bad_request("\"seconds\" must be -1 (never) or more"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hardware {
    flavor: String,
    sleep_time_seconds: Option<i64>,
}

async fn hardware(app: App, SpaceTarget(target): SpaceTarget, Json(body): Json<Hardware>) -> Result<Response> {
    change(app, target, move |repo, space| {
        refuse_static(repo)?;
        space.requested = checked_flavor(&body.flavor)?.to_owned();
        if let Some(seconds) = body.sleep_time_seconds {
            space.sleep_time = Some(checked_sleep(seconds)?);
        }
        if space.built.is_some() {
            space.starting = Some("APP_STARTING".to_owned());
        }
        Ok(())
    })
    .await
}

#[derive(Deserialize)]
struct SleepTime {
    seconds: i64,
}

async fn sleep_time(app: App, SpaceTarget(target): SpaceTarget, Json(body): Json<SleepTime>) -> Result<Response> {
    change(app, target, move |repo, space| {
        refuse_static(repo)?;
        space.sleep_time = Some(checked_sleep(body.seconds)?);
        Ok(())
    })
    .await
}

async fn pause(app: App, SpaceTarget(target): SpaceTarget) -> Result<Response> {
    change(app, target, |repo, space| {
        refuse_static(repo)?;
        space.paused = true;
        Ok(())
    })
    .await
}

async fn restart(app: App, SpaceTarget(target): SpaceTarget, query: Query) -> Result<Response> {
    let factory = query.flag("factory");
    change(app, target, move |repo, space| {
        refuse_static(repo)?;
        space.paused = false;
        if factory {
            space.built = None;
        } else if space.built.is_some() {
            space.starting = Some("RUNNING_APP_STARTING".to_owned());
        }
        Ok(())
    })
    .await
}

#[derive(Deserialize)]
struct DevMode {
    enabled: bool,
}

async fn dev_mode(app: App, SpaceTarget(target): SpaceTarget, Json(body): Json<DevMode>) -> Result<Response> {
    change(app, target, move |repo, space| {
        refuse_static(repo)?;
        space.dev_mode = body.enabled;
        Ok(())
    })
    .await
}

/// A map by name, as the Hub has it.
fn settings_json(settings: &[Setting], secret: bool) -> Value {
    let mut map = Map::new();
    for setting in settings.iter().filter(|setting| setting.value.is_none() == secret) {
        let mut entry = json!({ "updatedAt": setting.updated });
        if let Some(value) = &setting.value {
            entry["value"] = value.as_str().into();
        }
        if let Some(description) = &setting.description {
            entry["description"] = description.as_str().into();
        }
        map.insert(setting.key.clone(), entry);
    }
    Value::Object(map)
}

/// Only who may change a Space sees what its secrets are called.
async fn secrets(app: App, SpaceTarget(target): SpaceTarget) -> Result<Response> {
    let (target, _) = target.writable()?;
    let settings = target.run(&app, |store, repo, _| store.db.space_settings(repo)).await?;
    Ok(axum::Json(settings_json(&settings, true)).into_response())
}

async fn variables(app: App, SpaceTarget(target): SpaceTarget) -> Result<Response> {
    let settings = target.run(&app, |store, repo, _| store.db.space_settings(repo)).await?;
    Ok(axum::Json(settings_json(&settings, false)).into_response())
}

/// A secret or a variable that comes with a request.
#[derive(Deserialize)]
pub(crate) struct NewSetting {
    key: String,
    value: String,
    description: Option<String>,
}

#[derive(Deserialize)]
struct Key {
    key: String,
}

fn put_setting(store: &Store, repo: &Repo, new: &NewSetting, secret: bool) -> Result<()> {
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
    let valid = new.key.starts_with(starts) && new.key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid {
        return Err(Error::bad_request(
            "\"key\" must be letters, digits and underscores, and must not begin with a digit",
        ));
    }
    let there = store.db.space_settings(repo)?;
    if there
        .iter()
        .any(|other| other.key == new.key && other.value.is_none() != secret)
    {
        return Err(Error::bad_request(format!(
            "Collision: {} is a {} already",
            new.key,
            if secret { "variable" } else { "secret" }
        )));
    }
    let value = (!secret).then_some(new.value.as_str());
    store
        .db
        .put_space_setting(repo, &new.key, value, new.description.as_deref())
}

async fn add_secret(app: App, SpaceTarget(target): SpaceTarget, Json(body): Json<NewSetting>) -> Result<Response> {
    let (target, _) = target.writable()?;
    target
        .run(&app, move |store, repo, _| put_setting(store, repo, &body, true))
        .await?;
    Ok(axum::Json(json!({})).into_response())
}

async fn delete_secret(app: App, SpaceTarget(target): SpaceTarget, Json(body): Json<Key>) -> Result<Response> {
    let (target, _) = target.writable()?;
    target
        .run(&app, move |store, repo, _| {
            store.db.delete_space_setting(repo, &body.key, true)
        })
        .await?;
    Ok(axum::Json(json!({})).into_response())
}

async fn add_variable(app: App, SpaceTarget(target): SpaceTarget, Json(body): Json<NewSetting>) -> Result<Response> {
    let (target, _) = target.writable()?;
    let settings = target
        .run(&app, move |store, repo, _| {
            put_setting(store, repo, &body, false)?;
            store.db.space_settings(repo)
        })
        .await?;
    Ok(axum::Json(settings_json(&settings, false)).into_response())
}

async fn delete_variable(app: App, SpaceTarget(target): SpaceTarget, Json(body): Json<Key>) -> Result<Response> {
    let (target, _) = target.writable()?;
    let settings = target
        .run(&app, move |store, repo, _| {
            store.db.delete_space_setting(repo, &body.key, false)?;
            store.db.space_settings(repo)
        })
        .await?;
    Ok(axum::Json(settings_json(&settings, false)).into_response())
}

/// Checks the volumes of a request: what they are of must be there, and be for the caller to see.
fn checked_volumes(store: &Store, caller: &Caller, volumes: Vec<Value>) -> Result<Value> {
    let mut checked = Vec::new();
    for mut volume in volumes {
        let text = |key: &str| volume[key].as_str().unwrap_or_default().to_owned();
        let (kind, source) = (volume["type"].as_str().unwrap_or("model").to_owned(), text("source"));
        if !text("mountPath").starts_with('/') {
            return Err(Error::bad_request("\"mountPath\" must be an absolute path"));
        }
        let kind: RepoType = kind.parse().map_err(|_| match &*kind {
            "bucket" => Error::NotFound(format!("Bucket not found: {source}")),
            _ => Error::bad_request("\"type\" must be one of [bucket, model, dataset, space]"),
        })?;
        match store.db.repo(&RepoId::new(kind, &source)?)? {
            Some(Found::Here(repo) | Found::Moved(repo)) if caller.may_see(&repo) => {}
            _ => return Err(Error::NotFound(format!("Repository not found: {source}"))),
        }
        volume["type"] = kind.as_str().into();
        // Repositories cannot be written to where they are mounted.
        volume["readOnly"] = true.into();
        checked.push(volume);
    }
    Ok(checked.into())
}

#[derive(Deserialize)]
struct Volumes {
    volumes: Vec<Value>,
}

async fn set_volumes(app: App, SpaceTarget(target): SpaceTarget, Json(body): Json<Volumes>) -> Result<Response> {
    let (target, _) = target.writable()?;
    let caller = target.caller.clone();
    target
        .run(&app, move |store, repo, _| {
            refuse_static(repo)?;
            let mut space = store.db.space(repo)?;
            space.volumes = checked_volumes(store, &caller, body.volumes)?;
            store.db.save_space(repo, &space)
        })
        .await?;
    Ok(done())
}

async fn delete_volumes(app: App, SpaceTarget(target): SpaceTarget) -> Result<Response> {
    let (target, _) = target.writable()?;
    target
        .run(&app, move |store, repo, _| {
            refuse_static(repo)?;
            let mut space = store.db.space(repo)?;
            if space.volumes.as_array().is_none_or(Vec::is_empty) {
                return Err(Error::bad_request("This Space has no volumes"));
            }
            space.volumes = json!([]);
            store.db.save_space(repo, &space)
        })
        .await?;
    Ok(done())
}

/// What a new Space is made with, and a copy.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Settings {
    hardware: Option<String>,
    sleep_time_seconds: Option<i64>,
    secrets: Option<Vec<NewSetting>>,
    variables: Option<Vec<NewSetting>>,
    volumes: Option<Vec<Value>>,
}

impl Settings {
    /// Checks what can be checked before the Space is there.
    pub(crate) fn check(&self) -> Result<()> {
        self.hardware.as_deref().map(checked_flavor).transpose()?;
        self.sleep_time_seconds.map(checked_sleep).transpose()?;
        Ok(())
    }

    pub(crate) fn apply(self, store: &Store, caller: &Caller, repo: &Repo) -> Result<()> {
        let mut space = store.db.space(repo)?;
        if let Some(flavor) = self.hardware {
            space.requested = flavor;
        }
        space.sleep_time = self.sleep_time_seconds.or(space.sleep_time);
        if let Some(volumes) = self.volumes {
            space.volumes = checked_volumes(store, caller, volumes)?;
        }
        store.db.save_space(repo, &space)?;
        for (settings, secret) in [(self.secrets, true), (self.variables, false)] {
            for setting in settings.unwrap_or_default() {
                put_setting(store, repo, &setting, secret)?;
            }
        }
        Ok(())
    }
}

/// A log from its beginning, up to where what is being built or started runs. To look moves that on, as a question for
/// the runtime does.
async fn logs(app: App, SpaceTarget(target): SpaceTarget, params: Params) -> Result<Response> {
    let (target, _) = target.writable()?;
    let kind = params.get("log")?.to_owned();
    if !matches!(&*kind, "run" | "build") {
        return Err(Error::NotFound("There is no such log".to_owned()));
    }
    let state = (app, target.repo, kind, 0_usize, false);
    let events = stream::unfold(state, |(app, repo, kind, seen, ended)| async move {
        if ended {
            return None;
        }
        let (wanted, log) = (repo.clone(), kind.clone());
        let looked = app
            .run(move |store| {
                let moving = store.runtime(&wanted, true)?["stage"]
                    .as_str()
                    .is_some_and(|stage| stage.contains("BUILDING") || stage.contains("STARTING"));
                Ok((store.db.space_log(&wanted, &log)?, moving))
            })
            .await;
        let Ok((lines, moving)) = looked else { return None };
        let mut text = String::new();
        for (line, written) in &lines[seen.min(lines.len())..] {
            text += &format!("data: {}\n\n", json!({ "data": line, "timestamp": written }));
        }
        if moving {
            tokio::time::sleep(LOOK).await;
        }
        let state = (app, repo, kind, lines.len(), !moving);
        Some((Ok::<_, Infallible>(Bytes::from(text)), state))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, Body::from_stream(events)).into_response())
}

#[cfg(test)]
mod tests;
