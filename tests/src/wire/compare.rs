//! What counts as the same request.
//!
//! Equal must be: the method; the path once percent-encoding is normalised, where `%2F` and `/` differ but for the file
//! path at the end of a tree listing; the query and a form as multisets of decoded pairs; JSON as values, where null and
//! absent are one but for a few members; other bodies; `authorization` and `range`; the kind of a body. Free are the order of independent
//! requests and of keys, and all other headers.
//!
//! A call may end with fewer requests than recorded, or with none, if those that are missing only ask.

use hub_types::Sha256Hasher;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::Verdict;
use super::calls::Outcome;
use super::server::Asked;
use super::vector::{SentRequest, TOKEN, Vector, fill, fill_value};

/// Where null says something else than absence: the end of the address, and the members.
const NULLS: [(&str, &[&str]); 3] = [
    ("/api/repos/create", &["organization"]),
    ("/resource-group", &["resourceGroupId"]),
    // Of an endpoint's model, `task` must never be null, and `revision` is.
    ("/ie/endpoint/", &["scaleToZeroTimeout", "revision", "task"]),
];

/// How our requests compare to those of the vector.
pub(super) fn verdict(vector: &Vector, asked: &[Asked], outcome: &Outcome) -> Verdict {
    let mut problems = Vec::new();
    for (number, sent) in asked.iter().enumerate() {
        let line = format!("{} {}", sent.method, sent.path);
        match sent.exchange {
            Some(index) => {
                let recorded = &vector.exchanges[index].request;
                let found = differences(recorded, sent, &endpoint_of(sent));
                problems.extend(found.into_iter().map(|difference| format!("{line}: {difference}")));
            }
            None => {
                let problem = format!("{line}: is not among the recorded requests, or was sent too often");
                // Retries repeat themselves.
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
                if number == 0 {
                    let recorded: Vec<String> = vector
                        .exchanges
                        .iter()
                        .map(|exchange| exchange.request.line())
                        .collect();
                    problems.push(format!("recorded are: {}", recorded.join(", ")));
                }
            }
        }
    }
    if !outcome.is(&vector.outcome) {
        problems.push(format!("it ended in {outcome}, recorded is {}", vector.outcome));
    }
    let mut spared = Vec::new();
    for (index, exchange) in vector.exchanges.iter().enumerate() {
        if asked.iter().any(|sent| sent.exchange == Some(index)) {
            continue;
        }
        let recorded = &exchange.request;
        let only_asks = matches!(recorded.method.as_str(), "GET" | "HEAD") || recorded.path.contains("/paths-info/");
        if only_asks {
            spared.push(recorded.line());
        } else {
            problems.push(format!("{}: was not sent", recorded.line()));
        }
    }
    if problems.is_empty() {
        Verdict::Matched { spared }
    } else {
        Verdict::Mismatched(problems)
    }
}

/// This run's address, as the request was sent to it.
fn endpoint_of(sent: &Asked) -> String {
    let host = sent
        .headers
        .get("host")
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    format!("http://{host}")
}

/// What differs between a recorded request and one of ours to the same address.
pub(super) fn differences(recorded: &SentRequest, sent: &Asked, url: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut check = |what: &str, recorded: String, sent: String| {
        if recorded != sent {
            found.push(format!("{what}: sent {sent}, recorded is {recorded}"));
        }
    };
    let filled = recorded
        .query
        .iter()
        .map(|(key, value)| (key.clone(), fill(value, url)));
    check("query", pairs(filled.collect()), pairs(sent.query.clone()));
    for header in ["authorization", "range"] {
        let ours = sent
            .headers
            .get(header)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let theirs = recorded.headers.get(header).map(|value| fill(value, url));
        check(header, shown(theirs), shown(ours));
    }
    let has_body = recorded.json.is_some() || recorded.ndjson.is_some() || recorded.text.is_some();
    let kind = recorded
        .headers
        .get("content-type")
        .map(|value| essence(value))
        .filter(|_| has_body);
    if let Some(kind) = &kind {
        let ours = sent.headers.get("content-type").and_then(|value| value.to_str().ok());
        check("content-type", kind.clone(), essence(ours.unwrap_or("none")));
    }
    let body = String::from_utf8_lossy(&sent.body).into_owned();
    let kept = nulls(&recorded.path);
    let without_nulls = |value: &Value| without_nulls(value, kept);
    if let Some(json) = &recorded.json {
        let ours = serde_json::from_slice(&sent.body).map(|value| without_nulls(&value).to_string());
        check(
            "body",
            without_nulls(&fill_value(json, url)).to_string(),
            ours.unwrap_or(body),
        );
    } else if let Some(lines) = &recorded.ndjson {
        let theirs: Vec<String> = lines
            .iter()
            .map(|line| timeless(without_nulls(&fill_value(line, url))).to_string())
            .collect();
        let ours = body.lines().filter(|line| !line.trim().is_empty()).map(|line| {
            let value = serde_json::from_str(line).map(|value| timeless(without_nulls(&value)).to_string());
            value.unwrap_or_else(|_| line.to_owned())
        });
        check("body", theirs.join("\n"), ours.collect::<Vec<_>>().join("\n"));
    } else if let Some(text) = &recorded.text {
        let text = fill(text, url);
        if kind.as_deref() == Some("application/x-www-form-urlencoded") {
            let form = |text: &str| pairs(url::form_urlencoded::parse(text.as_bytes()).into_owned().collect());
            check("form", form(&text), form(&body));
        } else {
            check("body", text, body);
        }
    } else if let Some(hash) = &recorded.body_sha256 {
        let mut hasher = Sha256Hasher::new();
        hasher.update(&sent.body);
        check("body's SHA-256", hash.clone(), hasher.finish().to_string());
    } else {
        check("body", String::new(), body);
    }
    found
}

fn shown(value: Option<String>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.replace(TOKEN, "{token}"))
}

/// A kind without its parameters.
fn essence(content_type: &str) -> String {
    let end = content_type.find(';').unwrap_or(content_type.len());
    content_type[..end].trim().to_ascii_lowercase()
}

/// Pairs without their order.
fn pairs(mut pairs: Vec<(String, String)>) -> String {
    pairs.sort();
    let shown: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("[{}]", shown.join(" & "))
}

/// A line of a batch without the time of the call, which is another at each.
fn timeless(mut line: Value) -> Value {
    if let Some(members) = line.as_object_mut()
        && members
            .get("type")
            .is_some_and(|kind| kind == "copyFile" || kind == "addFile")
    {
        members.remove("mtime");
    }
    line
}

/// The members of a request's body that are sent as null, or must not be.
fn nulls(path: &str) -> &'static [&'static str] {
    let found = NULLS
        .iter()
        .find(|(part, _)| path.ends_with(part) || (part.ends_with('/') && path.contains(part)));
    found.map_or(&[], |(_, members)| members)
}

/// A value without its members that are null, but for those of `kept`.
fn without_nulls(value: &Value, kept: &[&str]) -> Value {
    match value {
        Value::Object(members) => {
            let left = members
                .iter()
                .filter(|(key, value)| !value.is_null() || kept.contains(&key.as_str()));
            Value::Object(
                left.map(|(key, value)| (key.clone(), without_nulls(value, kept)))
                    .collect(),
            )
        }
        Value::Array(items) => items.iter().map(|item| without_nulls(item, kept)).collect(),
        Value::Number(number) => match number.as_f64() {
            // 1 and 1.0 are one value.
            Some(float) if float.fract() == 0.0 && float.abs() < 9e15 => Value::from(float as i64),
            _ => value.clone(),
        },
        other => other.clone(),
    }
}

/// Whether two paths are one address.
pub(super) fn same_path(recorded: &str, sent: &str) -> bool {
    normal(recorded) == normal(sent)
}

/// A path with each part decoded. `%2F` stays apart from `/`, but for the file path of a listing.
fn normal(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = path
        .split('/')
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let Some(tree) = parts
        .iter()
        .position(|part| part == "tree")
        .filter(|_| path.starts_with("/api/"))
    else {
        return parts;
    };
    let is_bucket = parts.get(2).is_some_and(|part| part == "buckets");
    let file = tree + if is_bucket { 1 } else { 2 };
    if parts.len() > file {
        let tail = parts.split_off(file).join("/");
        parts.push(tail.trim_end_matches('/').to_owned());
    }
    parts
}
