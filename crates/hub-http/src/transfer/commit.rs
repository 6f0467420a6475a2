//! The body of a commit: one line of JSON for its message and for each change, files in base64, streamed from disk.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use hub_types::commits::CommitInfo;
use hub_types::lfs::UploadMode;
use hub_types::{RepoId, RepoPath, Revision, Sha256};
use serde::Deserialize;
use serde_json::{Value, json};

use super::preupload::Addition;
use super::source::{self, Base64, Opened, Pieces};
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::request::Request;

/// One change of a commit, ready to be written.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// A file in git itself.
    File { path: RepoPath, opened: Arc<Opened> },
    /// A large file; a copy has no size.
    LfsFile {
        path: RepoPath,
        oid: Sha256,
        size: Option<u64>,
    },
    /// A file that goes.
    DeletedFile { path: String },
    /// A folder that goes.
    DeletedFolder { path: String },
}

impl Change {
    /// What adds this file; `None` for one that is left out.
    pub(crate) fn adding(file: &Addition) -> Option<Self> {
        if file.ignored {
            return None;
        }
        Some(match (&file.mode, file.sha256) {
            (UploadMode::Lfs, Some(oid)) => Self::LfsFile {
                path: file.path.clone(),
                oid,
                size: Some(file.opened.size),
            },
            _ => Self::File {
                path: file.path.clone(),
                opened: file.opened.clone(),
            },
        })
    }
}

/// A commit, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) repo: RepoId,
    pub(crate) revision: Revision,
    pub(crate) summary: String,
    pub(crate) description: String,
    pub(crate) parent: Option<String>,
    pub(crate) create_pr: bool,
    pub(crate) hot_reload: bool,
    pub(crate) changes: Vec<Change>,
}

impl Commit {
    /// Sends it. `retried` only where a second commit of the same would change nothing.
    pub(crate) async fn send(&self, api: &HfApi, retried: bool) -> Result<CommitInfo> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Reply {
            commit_url: String,
            commit_oid: String,
            #[serde(alias = "prUrl")]
            pull_request_url: Option<String>,
        }
        let request = self.request();
        let request = if retried { request.retried() } else { request };
        let (reply, bytes) = api.send_whole(request).await?;
        let url = reply.url().to_owned();
        let reply: Reply = crate::request::parse_json(&url, &bytes)?;
        if self.create_pr && reply.pull_request_url.is_none() {
            return Err(Error::malformed(
                &url,
                "no pull request for a commit that asked for one",
            ));
        }
        let rewrite = |url: &str| api.shared.config.endpoint.rewrite(url);
        Ok(CommitInfo::new(
            rewrite(&reply.commit_url),
            reply.commit_oid,
            self.summary.clone(),
            self.description.clone(),
            reply.pull_request_url.as_deref().map(rewrite),
        ))
    }

    fn request(&self) -> Request {
        let payload = Arc::new(self.payload());
        let path = format!("/api/{}/commit/{}", self.repo.api_path(), self.revision.encoded());
        let request = Request::post(path)
            .query_opt("create_pr", self.create_pr.then_some(1))
            .query_opt("hot_reload", self.hot_reload.then_some(1))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        let moved = Arc::new(AtomicU64::new(0));
        request.stream(payload.length(), moved.clone(), move || {
            let moved = moved.clone();
            source::body(payload.clone(), move |bytes| {
                moved.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
            })
        })
    }

    fn payload(&self) -> Payload {
        let mut header = json!({ "summary": self.summary, "description": self.description });
        if let Some(parent) = &self.parent {
            header["parentCommit"] = parent.as_str().into();
        }
        let mut payload = Payload::default();
        payload.line("header", header);
        for change in &self.changes {
            match change {
                Change::File { path, opened } => payload.file(path, opened),
                Change::LfsFile { path, oid, size } => {
                    let mut value = json!({ "path": path, "algo": "sha256", "oid": oid });
                    if let Some(size) = size {
                        value["size"] = (*size).into();
                    }
                    payload.line("lfsFile", value);
                }
                Change::DeletedFile { path } => payload.line("deletedFile", json!({ "path": path })),
                Change::DeletedFolder { path } => payload.line("deletedFolder", json!({ "path": path })),
            }
        }
        payload
    }
}

/// A body of known length, in parts that are written one after the other.
#[derive(Default)]
struct Payload(Vec<Part>);

enum Part {
    Text(Bytes),
    File(Base64),
}

impl Payload {
    fn line(&mut self, key: &str, value: Value) {
        let mut line = json!({ "key": key, "value": value }).to_string();
        line.push('\n');
        self.text(line);
    }

    fn file(&mut self, path: &RepoPath, opened: &Arc<Opened>) {
        let path = serde_json::to_string(path.as_str()).expect("text is always JSON");
        self.text(r#"{"key":"file","value":{"content":""#.to_owned());
        self.0.push(Part::File(Base64 { opened: opened.clone() }));
        self.text(format!(r#"","path":{path},"encoding":"base64"}}}}{}"#, "\n"));
    }

    /// Lines that touch are one part: a commit of many small lines is few writes.
    fn text(&mut self, text: String) {
        match self.0.last_mut() {
            Some(Part::Text(before)) if before.len() < 64 * 1024 => {
                let mut joined = Vec::with_capacity(before.len() + text.len());
                joined.extend_from_slice(before);
                joined.extend_from_slice(text.as_bytes());
                *before = joined.into();
            }
            _ => self.0.push(Part::Text(text.into())),
        }
    }

    fn length(&self) -> u64 {
        self.0
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.len() as u64,
                Part::File(file) => file.length(),
            })
            .sum()
    }
}

impl Pieces for Payload {
    fn write(&self, send: &mut dyn FnMut(Bytes) -> bool) -> Result<()> {
        for part in &self.0 {
            match part {
                Part::Text(text) => {
                    if !send(text.clone()) {
                        return Ok(());
                    }
                }
                Part::File(file) => file.write(send)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_the_python_client_writes_them() {
        let opened = Arc::new(Opened::open(b"{\"a\":1}".as_slice().into()).unwrap());
        let path = |text: &str| text.parse::<RepoPath>().unwrap();
        let oid = Sha256::of(b"w");
        let commit = Commit {
            repo: "ada/demo".parse().unwrap(),
            revision: Revision::main(),
            summary: "Add weights".into(),
            description: String::new(),
            parent: Some("91c54ad1727ee830252e457677f467be0bfd8a57".into()),
            create_pr: false,
            hot_reload: false,
            changes: vec![
                Change::File {
                    path: path("config.json"),
                    opened,
                },
                Change::LfsFile {
                    path: path("w.bin"),
                    oid,
                    size: Some(1),
                },
                Change::LfsFile {
                    path: path("copy.bin"),
                    oid,
                    size: None,
                },
                Change::DeletedFile { path: "a\"b".into() },
                Change::DeletedFolder { path: "old/".into() },
            ],
        };
        let payload = commit.payload();
        let mut text = Vec::new();
        payload
            .write(&mut |piece| {
                text.extend_from_slice(&piece);
                true
            })
            .unwrap();
        assert_eq!(text.len() as u64, payload.length());
        let lines: Vec<Value> = String::from_utf8(text.clone())
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(text.last(), Some(&b'\n'));
        assert_eq!(
            lines,
            [
                json!({"key":"header","value":{"summary":"Add weights","description":"",
                    "parentCommit":"91c54ad1727ee830252e457677f467be0bfd8a57"}}),
                json!({"key":"file","value":{"content":"eyJhIjoxfQ==","path":"config.json","encoding":"base64"}}),
                json!({"key":"lfsFile","value":{"path":"w.bin","algo":"sha256","oid":oid,"size":1}}),
                json!({"key":"lfsFile","value":{"path":"copy.bin","algo":"sha256","oid":oid}}),
                json!({"key":"deletedFile","value":{"path":"a\"b"}}),
                json!({"key":"deletedFolder","value":{"path":"old/"}}),
            ]
        );
    }
}
