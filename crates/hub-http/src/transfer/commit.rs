//! The body of a commit: one line of JSON for its message and for each change, files in base64, streamed from disk.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use hub_types::commits::CommitInfo;
use hub_types::lfs::UploadMode;
use hub_types::{RepoId, RepoPath, Revision, Sha256};
use serde::{Deserialize, Serialize};

use super::preupload::Addition;
use super::source::{self, Base64, Opened, Pieces};
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::progress::{FileProgress, Outcome, ProgressHandle};
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
    /// Sends it, once.
    ///
    /// Its files are reported as they are read, and as done once the commit is made.
    pub(crate) async fn send(&self, api: &HfApi, progress: &ProgressHandle) -> Result<CommitInfo> {
        let payload = Arc::new(self.payload(progress));
        payload.ended_by(self.exchange(api, &payload, false).await)
    }

    /// Sends it, and again after a transient failure.
    ///
    /// That files are added twice changes nothing. Deletions and a parent make the second of two equal commits fail, so
    /// that with these the branch is looked at first: the answer may have been lost, and not the commit.
    pub(crate) async fn send_until_made(&self, api: &HfApi, progress: &ProgressHandle) -> Result<CommitInfo> {
        let payload = Arc::new(self.payload(progress));
        let changes_nothing_twice = self.parent.is_none() && self.deleted().next().is_none();
        payload.ended_by(match changes_nothing_twice {
            true => self.exchange(api, &payload, true).await,
            false => self.exchange_until_made(api, &payload).await,
        })
    }

    async fn exchange_until_made(&self, api: &HfApi, payload: &Arc<Payload>) -> Result<CommitInfo> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let failed = match self.exchange(api, payload, false).await {
                Err(err) if err.is_transient() => err,
                ended => return ended,
            };
            let wait = api.shared.config.retry.wait_after(attempt, &failed);
            if let Some(wait) = wait {
                api.wait_for_retry(attempt, wait, &failed, None).await;
            }
            match self.made(api).await {
                Ok(Some(made)) => return Ok(made),
                Ok(None) if wait.is_some() => {}
                Ok(None) => return Err(failed),
                Err(err) => {
                    tracing::warn!(error = %err, "whether the commit was made cannot be found out");
                    return Err(failed);
                }
            }
        }
    }

    /// This commit, where it is the last one of its branch: by its message, the parent that it asked for, and what it
    /// deletes.
    async fn made(&self, api: &HfApi) -> Result<Option<CommitInfo>> {
        let mut commits = api
            .list_repo_commits(self.repo.clone())
            .revision(self.revision.clone())
            .await?;
        let Some(last) = commits.next().await.transpose()? else {
            return Ok(None);
        };
        if last.title != self.summary || last.message.trim() != self.description.trim() {
            return Ok(None);
        }
        if let Some(parent) = &self.parent {
            // Five digits are enough to name it.
            match commits.next().await.transpose()? {
                Some(before) if before.id.starts_with(parent.as_str()) => {}
                _ => return Ok(None),
            }
        }
        let deleted: Vec<String> = self
            .deleted()
            .map(|path| path.trim_end_matches('/').to_owned())
            .collect();
        if !deleted.is_empty() {
            let there = api
                .get_paths_info(self.repo.clone(), deleted)
                .revision(last.id.parse::<Revision>()?);
            if !there.await?.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some(self.told_as(api, &last.id)))
    }

    /// The branch's last commit in place of this one, which changes nothing.
    pub(crate) async fn head(&self, api: &HfApi) -> Result<CommitInfo> {
        tracing::info!("nothing changes: no commit is made");
        let info = api.repo_info(self.repo.clone()).revision(self.revision.clone()).await?;
        match info.commit_hash() {
            Some(hash) => Ok(self.told_as(api, &hash.to_string())),
            None => Err(Error::malformed(
                api.endpoint(),
                "no commit hash in the repo's information",
            )),
        }
    }

    /// A commit that is there, with this one's message.
    fn told_as(&self, api: &HfApi, hash: &str) -> CommitInfo {
        let url = format!("{}/{}/commit/{hash}", api.endpoint(), self.repo.url_path());
        CommitInfo::new(
            url,
            hash.to_owned(),
            self.summary.clone(),
            self.description.clone(),
            None,
        )
    }

    /// Sends it; `retried` only where a second commit of the same would change nothing.
    async fn exchange(&self, api: &HfApi, payload: &Arc<Payload>, retried: bool) -> Result<CommitInfo> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Reply {
            commit_url: String,
            commit_oid: String,
            #[serde(alias = "prUrl")]
            pull_request_url: Option<String>,
        }
        let request = self.request(payload);
        let request = if retried { request.retried() } else { request };
        let sent = api.send_whole(request).await;
        let (reply, bytes) = sent.map_err(|err| explained(err, self.deleted().next().is_some()))?;
        payload.end(Outcome::Done);
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

    /// The paths that go.
    fn deleted(&self) -> impl Iterator<Item = &str> {
        self.changes.iter().filter_map(|change| match change {
            Change::DeletedFile { path } | Change::DeletedFolder { path } => Some(path.as_str()),
            _ => None,
        })
    }

    fn request(&self, payload: &Arc<Payload>) -> Request {
        let path = format!("/api/{}/commit/{}", self.repo.api_path(), self.revision.encoded());
        let request = Request::post(path)
            .query_opt("create_pr", self.create_pr.then_some(1))
            .query_opt("hot_reload", self.hot_reload.then_some(1))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        let moved = Arc::new(AtomicU64::new(0));
        let payload = payload.clone();
        request.stream(payload.length(), moved.clone(), move |bandwidth| {
            let moved = moved.clone();
            source::body(payload.clone(), bandwidth, move |bytes| {
                moved.fetch_add(bytes, Ordering::Relaxed);
            })
        })
    }

    fn payload(&self, progress: &ProgressHandle) -> Payload {
        let mut payload = Payload {
            parts: Vec::new(),
            progress: progress.clone(),
            ended: AtomicBool::new(false),
        };
        payload.line(Line::Header {
            summary: &self.summary,
            description: &self.description,
            parent_commit: self.parent.as_deref(),
        });
        for change in &self.changes {
            match change {
                Change::File { path, opened } => payload.file(path, opened),
                Change::LfsFile { path, oid, size } => payload.line(Line::LfsFile {
                    path: path.as_str(),
                    algo: "sha256",
                    oid: *oid,
                    size: *size,
                }),
                Change::DeletedFile { path } => payload.line(Line::DeletedFile { path }),
                Change::DeletedFolder { path } => payload.line(Line::DeletedFolder { path }),
            }
        }
        payload
    }
}

/// A line of the body, its members in the order that the Python client has. Files are not here: their content is
/// streamed between two halves of their line.
#[derive(Serialize)]
#[serde(
    tag = "key",
    content = "value",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
enum Line<'a> {
    Header {
        summary: &'a str,
        description: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        parent_commit: Option<&'a str>,
    },
    LfsFile {
        path: &'a str,
        algo: &'static str,
        oid: Sha256,
        #[serde(skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    DeletedFile {
        path: &'a str,
    },
    DeletedFolder {
        path: &'a str,
    },
}

/// A body of known length, in parts that are written one after the other.
struct Payload {
    parts: Vec<Part>,
    progress: ProgressHandle,
    ended: AtomicBool,
}

enum Part {
    Text(Vec<u8>),
    File(SentFile),
}

/// A file in the body, and how far it is.
struct SentFile {
    path: RepoPath,
    content: Base64,
    bar: OnceLock<FileProgress>,
    read: AtomicU64,
}

impl Payload {
    fn line(&mut self, line: Line<'_>) {
        let text = self.text();
        serde_json::to_writer(&mut *text, &line).expect("lines have string keys, and memory takes them");
        text.push(b'\n');
    }

    fn file(&mut self, path: &RepoPath, opened: &Arc<Opened>) {
        self.text().extend_from_slice(br#"{"key":"file","value":{"content":""#);
        self.parts.push(Part::File(SentFile {
            path: path.clone(),
            content: Base64 { opened: opened.clone() },
            bar: OnceLock::new(),
            read: AtomicU64::new(0),
        }));
        let path = serde_json::to_string(path.as_str()).expect("text is always JSON");
        let end = format!(r#"","path":{path},"encoding":"base64"}}}}"#);
        self.text().extend_from_slice(end.as_bytes());
        self.text().push(b'\n');
    }

    /// Where text goes next: lines that touch are one part.
    fn text(&mut self) -> &mut Vec<u8> {
        if !matches!(self.parts.last(), Some(Part::Text(text)) if text.len() < 64 * 1024) {
            self.parts.push(Part::Text(Vec::new()));
        }
        match self.parts.last_mut() {
            Some(Part::Text(text)) => text,
            _ => unreachable!("a text was pushed where the last part was none"),
        }
    }

    fn length(&self) -> u64 {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.len() as u64,
                Part::File(file) => file.content.length(),
            })
            .sum()
    }

    /// Where the commit failed, its files did. Not left to whoever drops the body last: the thread that reads it may
    /// still be at it.
    fn ended_by<T>(&self, sent: Result<T>) -> Result<T> {
        self.end(if sent.is_ok() { Outcome::Done } else { Outcome::Failed });
        sent
    }

    /// The commit is made, or it failed: its files ended so, and no other begins.
    fn end(&self, outcome: Outcome) {
        self.ended.store(true, Ordering::Relaxed);
        for part in &self.parts {
            if let Part::File(file) = part
                && let Some(bar) = file.bar.get()
            {
                bar.end(outcome);
            }
        }
    }
}

impl Pieces for Payload {
    fn write(&self, send: &mut dyn FnMut(Bytes) -> bool) -> Result<()> {
        for part in &self.parts {
            if self.ended.load(Ordering::Relaxed) {
                return Ok(());
            }
            let mut listened = true;
            match part {
                Part::Text(text) => listened = send(Bytes::copy_from_slice(text)),
                Part::File(file) => {
                    let size = file.content.opened.size;
                    let bar = file
                        .bar
                        .get_or_init(|| self.progress.start(file.path.as_str(), Some(size)));
                    // What an attempt that failed had read is read again: it does not count twice.
                    bar.take_back(file.read.swap(0, Ordering::Relaxed));
                    file.content.write(&mut |piece, read| {
                        listened = send(piece);
                        file.read.fetch_add(read, Ordering::Relaxed);
                        bar.advance(read);
                        listened
                    })?;
                }
            }
            if !listened {
                return Ok(());
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(_) => Ok(()),
            Part::File(file) => file.content.opened.check_unchanged(),
        })
    }
}

/// What the Hub's refusal of a commit means here.
fn explained(mut err: Error, deletes: bool) -> Error {
    let note = match &err {
        Error::RepoNotFound(_) => "a commit needs a repo that exists: make it with create_repo",
        Error::EntryNotFound(reply)
            if deletes
                && reply
                    .server_message
                    .as_deref()
                    .is_some_and(|text| text.contains(NO_SUCH_FILE)) =>
        {
            "to delete a folder, end its path with '/'"
        }
        _ => return err,
    };
    if let Some(reply) = err.reply_mut() {
        reply.note = Some(note.to_owned());
    }
    err
}

const NO_SUCH_FILE: &str = "A file with this name doesn't exist";

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
        let payload = commit.payload(&ProgressHandle::default());
        // Twice, as when it is sent again.
        for _ in 0..2 {
            let mut text = Vec::new();
            payload
                .write(&mut |piece| {
                    text.extend_from_slice(&piece);
                    true
                })
                .unwrap();
            assert_eq!(text.len() as u64, payload.length());
            let expected = concat!(
                r#"{"key":"header","value":{"summary":"Add weights","description":"","parentCommit":"91c54ad1727ee830252e457677f467be0bfd8a57"}}"#,
                "\n",
                r#"{"key":"file","value":{"content":"eyJhIjoxfQ==","path":"config.json","encoding":"base64"}}"#,
                "\n",
                r#"{"key":"lfsFile","value":{"path":"w.bin","algo":"sha256","oid":"OID","size":1}}"#,
                "\n",
                r#"{"key":"lfsFile","value":{"path":"copy.bin","algo":"sha256","oid":"OID"}}"#,
                "\n",
                r#"{"key":"deletedFile","value":{"path":"a\"b"}}"#,
                "\n",
                r#"{"key":"deletedFolder","value":{"path":"old/"}}"#,
                "\n",
            );
            assert_eq!(
                String::from_utf8(text).unwrap(),
                expected.replace("OID", &oid.to_string())
            );
        }
    }
}
