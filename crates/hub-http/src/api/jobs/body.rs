//! What a job is made of, and which settings of it cannot be right.

use hub_types::jobs::JobHardware;
use hub_types::spaces::Volume;
use hub_types::{OneOrMany, Sha256, ValidationError};
use serde_json::{Value, json};

use super::Labels;
use crate::api::endpoints::Variables;
use crate::api::webhooks::Secrets;
use crate::error::Result;

/// What a job is made of, once or on a schedule.
pub(super) struct JobBody {
    pub(super) image: String,
    pub(super) command: Vec<String>,
    pub(super) env: Option<Variables>,
    pub(super) secrets: Option<Secrets>,
    pub(super) flavor: Option<JobHardware>,
    pub(super) timeout: Option<Value>,
    pub(super) attempts: Option<u64>,
    pub(super) name: Option<String>,
    pub(super) labels: Option<Labels>,
    pub(super) volumes: Option<OneOrMany<Volume>>,
    pub(super) expose: Option<OneOrMany<u16>>,
    pub(super) expose_public: Option<OneOrMany<u16>>,
    pub(super) resource_group_id: Option<String>,
}

impl JobBody {
    pub(super) fn into_json(self) -> Result<Value> {
        const SPACES: [&str; 4] = [
            "https://huggingface.co/spaces/",
            "https://hf.co/spaces/",
            "huggingface.co/spaces/",
            "hf.co/spaces/",
        ];
        let space = SPACES.into_iter().find_map(|prefix| self.image.strip_prefix(prefix));
        let mut labels = self.labels.unwrap_or_default();
        checked_labels(&labels)?;
        match self.name {
            Some(_) if labels.contains_key("name") => {
                let rule = "give the name either by itself or as the label 'name'";
                return Err(ValidationError::new("name", labels.remove("name").unwrap_or_default(), rule).into());
            }
            Some(name) => {
                labels.insert("name".to_owned(), name);
                checked_labels(&labels)?;
            }
            None => {
                // A Space's id counts whole, of an image the last part.
                let last = || self.image.trim_end_matches('/').rsplit('/').next();
                let base = space.or_else(last).filter(|base| !base.is_empty());
                let base = base.unwrap_or(&self.image);
                labels
                    .entry("name".to_owned())
                    .or_insert_with(|| default_name(base, &self.image, &self.command));
            }
        }
        let mut body = json!({
            "command": self.command,
            "arguments": [],
            "environment": self.env.unwrap_or_default(),
            "flavor": self.flavor.unwrap_or(JobHardware::CpuBasic),
            "labels": labels,
        });
        match space {
            Some(space) => body["spaceId"] = space.into(),
            None => body["dockerImage"] = self.image.as_str().into(),
        }
        crate::api::put(
            &mut body,
            "secrets",
            self.secrets.filter(|secrets| !secrets.0.is_empty()),
        );
        crate::api::put(
            &mut body,
            "timeoutSeconds",
            self.timeout.map(|text| seconds(&text)).transpose()?.flatten(),
        );
        crate::api::put(&mut body, "attempts", self.attempts);
        if let Some(volumes) = self.volumes.filter(|volumes| !volumes.0.is_empty()) {
            crate::api::checked_volumes(&volumes.0)?;
            crate::api::put(&mut body, "volumes", Some(volumes));
        }
        let exposed = ports(self.expose, self.expose_public)?;
        if exposed["ports"].as_array().is_some_and(|ports| !ports.is_empty()) {
            body["expose"] = exposed;
        }
        crate::api::put(&mut body, "resourceGroupId", self.resource_group_id);
        Ok(body)
    }
}

/// The name of a job that was given none: what the image is called, and eight digits that stand for image and command.
pub(super) fn default_name(base: &str, image: &str, command: &[String]) -> String {
    let base: String = base
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') {
                c
            } else {
                '-'
            }
        })
        .collect();
    let parts: Vec<&str> = std::iter::once(image)
        .chain(command.iter().map(String::as_str))
        .collect();
    let hash = Sha256::of(parts.join("\0").as_bytes()).to_string();
    format!("{base}-{}", &hash[..8])
}

/// A time: a number of seconds, or text with a unit behind it. 0 and nothing leave the Hub's own.
pub(super) fn seconds(time: &Value) -> Result<Option<u64>> {
    let refuse = || {
        ValidationError::new(
            "timeout",
            time.to_string(),
            "must be seconds, or a number with s, m, h or d",
        )
    };
    let seconds = match time {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_f64().ok_or_else(refuse)?,
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) => {
            let text = text.trim();
            let (number, unit) = match text.char_indices().last() {
                Some((at, 's')) => (&text[..at], 1.0),
                Some((at, 'm')) => (&text[..at], 60.0),
                Some((at, 'h')) => (&text[..at], 3600.0),
                Some((at, 'd')) => (&text[..at], 86400.0),
                _ => (text, 1.0),
            };
            number.trim().parse::<f64>().map_err(|_| refuse())? * unit
        }
        _ => return Err(refuse().into()),
    };
    if !(0.0..=1e12).contains(&seconds) {
        return Err(refuse().into());
    }
    Ok(Some(seconds as u64).filter(|seconds| *seconds > 0))
}

/// Both lists: every port, and those that everybody may reach, which must be among the former.
pub(super) fn ports(expose: Option<OneOrMany<u16>>, public: Option<OneOrMany<u16>>) -> Result<Value> {
    let public = once(public.unwrap_or_default().0)?;
    let all = once(expose.unwrap_or_default().0.into_iter().chain(public.iter().copied()))?;
    Ok(json!({ "ports": all, "portsPublic": public }))
}

/// Each port once, in the order given.
fn once(ports: impl IntoIterator<Item = u16>) -> Result<Vec<u16>> {
    let mut all = Vec::new();
    for port in ports {
        if port == 0 {
            return Err(ValidationError::new("port", "0", "must be 1 to 65535").into());
        }
        if !all.contains(&port) {
            all.push(port);
        }
    }
    Ok(all)
}

pub(super) fn network(group: Option<String>, aliases: Option<OneOrMany<String>>) -> Result<Option<Value>> {
    let aliases = aliases.unwrap_or_default().0;
    let Some(group) = group else {
        return match aliases.first() {
            Some(alias) => Err(ValidationError::new("network alias", alias, "needs a network group").into()),
            None => Ok(None),
        };
    };
    let fits = |text: &str, longest: usize| {
        !text.is_empty()
            && text.len() <= longest
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if !fits(&group, 46) {
        let rule = "must have 1 to 46 lower-case letters, digits and dashes";
        return Err(ValidationError::new("network group", group, rule).into());
    }
    for (at, alias) in aliases.iter().enumerate() {
        if !fits(alias, 34) || aliases[..at].contains(alias) {
            let rule = "must have 1 to 34 lower-case letters, digits and dashes, and stand once";
            return Err(ValidationError::new("network alias", alias, rule).into());
        }
    }
    let mut network = json!({ "group": group });
    crate::api::put(
        &mut network,
        "aliases",
        Some(aliases).filter(|aliases| !aliases.is_empty()),
    );
    Ok(Some(network))
}

pub(super) fn checked_labels(labels: &Labels) -> Result<()> {
    for text in labels.iter().flat_map(|(key, value)| [key, value]) {
        let fits = text.len() <= 100
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if !fits {
            let rule = "must have at most 100 characters of A-Z a-z 0-9 _ -";
            return Err(ValidationError::new("label", text, rule).into());
        }
    }
    Ok(())
}

pub(super) fn checked_schedule(schedule: String) -> Result<String> {
    const WORDS: [&str; 6] = ["@annually", "@yearly", "@monthly", "@weekly", "@daily", "@hourly"];
    if WORDS.contains(&schedule.as_str())
        || !schedule.starts_with('@') && schedule.split_ascii_whitespace().count() == 5
    {
        Ok(schedule)
    } else {
        let rule =
            "must be @hourly, @daily, @weekly, @monthly, @yearly or @annually, or a CRON expression of five fields";
        Err(ValidationError::new("schedule", schedule, rule).into())
    }
}
