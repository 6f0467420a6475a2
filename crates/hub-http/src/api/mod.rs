//! The operations, a file for each area of the Hub.

use std::time::{Duration, Instant};

use hub_types::spaces::Volume;
use hub_types::{RepoId, RepoType, ValidationError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;

use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::request::Request;

pub mod access;
pub mod account;
pub mod buckets;
#[cfg(feature = "cards")]
pub mod cards;
pub mod collections;
pub mod commits;
pub mod datasets;
pub mod discussions;
pub mod endpoints;
pub mod files;
pub mod gguf;
pub mod jobs;
pub mod papers;
pub mod repos;
pub mod resolve;
pub mod safetensors;
pub mod search;
pub mod spaces;
pub mod upload;
pub mod users;
pub mod webhooks;

#[cfg(test)]
mod argument_tests;
#[cfg(test)]
mod laziness_tests;
#[cfg(test)]
pub(crate) mod testing;

/// What stays as it is in one segment of an address.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Sends a request whose reply says nothing but that it worked.
async fn answered(api: &HfApi, request: Request) -> Result<()> {
    api.send(request).await.map(drop)
}

/// Text as one segment of an address, slashes included. `what` it is stands in the error for one that is empty, or that
/// an address would take for a step up.
fn segment(what: &'static str, text: &str) -> Result<String, ValidationError> {
    match text {
        "" => Err(ValidationError::new(what, text, "must not be empty")),
        "." | ".." => Err(ValidationError::new(what, text, "must not be '.' or '..'")),
        text => Ok(utf8_percent_encode(text, SEGMENT).to_string()),
    }
}

/// Some calls are not for repositories of kernels.
fn forbid_kernel(repo: &RepoId) -> Result<(), ValidationError> {
    if repo.repo_type() == RepoType::Kernel {
        return Err(ValidationError::new(
            "repo type",
            "kernel",
            "must be one of model, dataset, space for this call",
        ));
    }
    Ok(())
}

/// Adds a member to a JSON object, if there is a value.
fn put(body: &mut Value, key: &str, value: Option<impl Serialize>) {
    if let Some(value) = value {
        body[key] = serde_json::to_value(value).expect("our request types have string keys and no failing serializers");
    }
}

/// The given namespace, else the token's account.
async fn namespace_or_own(api: &HfApi, namespace: Option<String>) -> Result<String> {
    match namespace {
        Some(namespace) => Ok(namespace),
        None => Ok(api.whoami().await?.name),
    }
}

/// The given namespace, else the token's account, which must be a user.
async fn namespace_or_own_user(api: &HfApi, namespace: Option<String>) -> Result<String> {
    if let Some(namespace) = namespace {
        return Ok(namespace);
    }
    let account = api.whoami().await?;
    if account.kind.as_deref() == Some("user") {
        Ok(account.name)
    } else {
        Err(users::not_a_user(&account.name))
    }
}

/// Success, also for what is not there where the caller does not mind.
fn unless_missing<T>(missing_ok: Option<bool>, result: Result<T>) -> Result<()> {
    match result {
        Err(err) if missing_ok == Some(true) && err.status() == Some(404) => Ok(()),
        result => result.map(drop),
    }
}

fn checked_volumes(volumes: &[Volume]) -> Result<()> {
    for volume in volumes {
        if !volume.mount_path.starts_with('/') {
            return Err(ValidationError::new("mount_path", &volume.mount_path, "must be an absolute path").into());
        }
        if !["bucket", "model", "dataset", "space", "kernel"].contains(&volume.kind.as_str()) {
            let rule = "must be bucket, model, dataset, space or kernel";
            return Err(ValidationError::new("volume type", &volume.kind, rule).into());
        }
        let parts: Vec<&str> = volume.source.split('/').collect();
        if !matches!(parts[..], [namespace, name] if !namespace.is_empty() && !name.is_empty()) {
            return Err(ValidationError::new("volume source", &volume.source, "must be namespace/name").into());
        }
    }
    Ok(())
}

/// Asks again and again, with a pause between and a bound on the whole.
struct Polling {
    started: Instant,
    bound: Option<f64>,
    pause: Duration,
}

impl Polling {
    fn new(timeout: Option<f64>, poll_interval: Option<f64>) -> Result<Self> {
        let refuse = |what, value: f64, rule: &str| Err(ValidationError::new(what, value.to_string(), rule).into());
        let pause = match poll_interval.unwrap_or(1.0) {
            seconds if seconds.is_finite() && seconds > 0.0 => Duration::try_from_secs_f64(seconds),
            seconds => return refuse("poll_interval", seconds, "must be more than 0 seconds"),
        };
        match timeout {
            Some(seconds) if seconds.is_nan() || seconds < 0.0 => {
                return refuse("timeout", seconds, "must be 0 seconds or more");
            }
            _ => {}
        }
        let Ok(pause) = pause else {
            return refuse(
                "poll_interval",
                poll_interval.unwrap_or_default(),
                "must be a number of seconds",
            );
        };
        Ok(Self {
            started: Instant::now(),
            bound: timeout,
            pause,
        })
    }

    /// Waits for the next question, or gives up with what `state` says.
    async fn pause(&self, state: impl FnOnce() -> String) -> Result<()> {
        let mut pause = self.pause;
        if let Some(seconds) = self.bound {
            let left = seconds - self.started.elapsed().as_secs_f64();
            if left <= 0.0 {
                return Err(Error::WaitedTooLong {
                    seconds,
                    state: state(),
                });
            }
            pause = Duration::try_from_secs_f64(left).map_or(pause, |left| left.min(pause));
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_one_segment() {
        assert_eq!(segment("x", "a b+/c").unwrap(), "a%20b%2B%2Fc");
        for bad in ["", ".", ".."] {
            assert!(segment("x", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn intervals_that_cannot_be_are_refused() {
        for (timeout, interval) in [
            (Some(-1.0), None),
            (Some(f64::NAN), None),
            (None, Some(0.0)),
            (None, Some(f64::INFINITY)),
        ] {
            assert!(Polling::new(timeout, interval).is_err(), "{timeout:?} {interval:?}");
        }
    }
}
