//! A Hub for this crate's tests: one repository in memory, every request counted, every fault to order.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use hub_http::HfApi;
use hub_types::{GitOid, Sha256};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::{Cache, HubCache};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub(crate) const NEXT: &str = "fedcba9876543210fedcba9876543210fedcba98";

/// What the Hub has and how it behaves.
#[derive(Default)]
pub(crate) struct State {
    /// The commit that `main` points to.
    pub(crate) commit: String,
    /// What `main` points to once it has been asked for.
    pub(crate) moves_to: Option<&'static str>,
    /// The files, and whether each is kept in LFS.
    pub(crate) files: BTreeMap<String, (Vec<u8>, bool)>,
    /// A file that is listed and not there.
    pub(crate) vanished: Option<&'static str>,
    /// Names that the listing has besides.
    pub(crate) listed: Vec<String>,
    /// Answers everything with this status, and this error code.
    pub(crate) status: Option<(u16, &'static str)>,
    /// Answers the GET of a file with these bytes instead.
    pub(crate) body: Option<Vec<u8>>,
    /// As `body`, once.
    pub(crate) body_once: Option<Vec<u8>>,
    /// Answers the GET of a file with this status.
    pub(crate) get_status: Option<u16>,
    /// Sends no size with the metadata.
    pub(crate) no_size: bool,
    /// Sends this instead of the commit.
    pub(crate) wrong_commit: Option<&'static str>,
    /// Sends this instead of the etag.
    pub(crate) wrong_etag: Option<&'static str>,
    /// Sends etags with the weak mark, and another one beside a large file's.
    pub(crate) weak: bool,
    /// Says that large files are in Xet storage, under their SHA-256.
    pub(crate) xet: bool,
}

/// A running Hub.
pub(crate) struct FakeHub {
    pub(crate) server: MockServer,
    state: Arc<Mutex<State>>,
    pub(crate) dir: tempfile::TempDir,
}

struct Answer(Arc<Mutex<State>>);

impl FakeHub {
    pub(crate) async fn start(files: &[(&str, &str)]) -> Self {
        let state = State {
            commit: COMMIT.to_owned(),
            files: files
                .iter()
                .map(|(path, text)| ((*path).to_owned(), (text.as_bytes().to_vec(), path.ends_with(".bin"))))
                .collect(),
            ..State::default()
        };
        let state = Arc::new(Mutex::new(state));
        let server = MockServer::start().await;
        Mock::given(any())
            .respond_with(Answer(state.clone()))
            .mount(&server)
            .await;
        Self {
            server,
            state,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn root(&self) -> PathBuf {
        fs_err::canonicalize(self.dir.path()).unwrap().join("hub")
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.root().join("models--o--n")
    }

    pub(crate) fn api(&self) -> HfApi {
        let builder = HfApi::builder().endpoint(self.server.uri());
        builder.retries(5, std::time::Duration::from_millis(1)).build().unwrap()
    }

    pub(crate) fn cache(&self) -> HubCache {
        HubCache::new(self.api(), self.root())
    }

    /// A cache that makes no links.
    pub(crate) fn without_links(&self) -> HubCache {
        HubCache::with_cache(self.api(), Cache::new(self.root()).with_links(false))
    }

    pub(crate) fn offline(&self) -> HubCache {
        let api = HfApi::builder()
            .endpoint(self.server.uri())
            .offline(true)
            .build()
            .unwrap();
        HubCache::new(api, self.root())
    }

    /// The requests since the last time, as `GET /path`.
    pub(crate) async fn requests(&self) -> Vec<String> {
        let requests = self.server.received_requests().await.unwrap();
        self.server.reset().await;
        Mock::given(any())
            .respond_with(Answer(self.state.clone()))
            .mount(&self.server)
            .await;
        requests
            .iter()
            .map(|request| format!("{} {}", request.method, request.url.path()))
            .collect()
    }

    pub(crate) async fn count(&self) -> usize {
        self.requests().await.len()
    }
}

pub(crate) fn etag_of(bytes: &[u8], lfs: bool) -> String {
    if lfs {
        Sha256::of(bytes).to_string()
    } else {
        GitOid::of(bytes).to_string()
    }
}

impl Respond for Answer {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.0.lock().unwrap();
        if let Some((status, code)) = state.status {
            return failure(status, code, None);
        }
        let path = request.url.path().to_owned();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match &parts[..] {
            ["api", "models", "o", "n", "revision", revision] => match state.commit_of(revision) {
                Some(commit) => {
                    if let Some(next) = state.moves_to.take() {
                        state.commit = next.to_owned();
                    }
                    ResponseTemplate::new(200).set_body_json(serde_json::json!({"id": "o/n", "sha": commit}))
                }
                None => failure(404, "RevisionNotFound", None),
            },
            ["api", "models", "o", "n", "tree", _] => ResponseTemplate::new(200).set_body_json(state.listing()),
            ["o", "n", "resolve", revision, file @ ..] => {
                let Some(commit) = state.commit_of(revision) else {
                    return failure(404, "RevisionNotFound", None);
                };
                let head = request.method.as_str() == "HEAD";
                let range = request.headers.get("range").and_then(|value| value.to_str().ok());
                state.file(&commit, &file.join("/"), head, range)
            }
            _ => failure(404, "RepoNotFound", None),
        }
    }
}

fn failure(status: u16, code: &str, commit: Option<&str>) -> ResponseTemplate {
    let answer = ResponseTemplate::new(status).insert_header("x-error-code", code);
    match commit {
        Some(commit) => answer.insert_header("x-repo-commit", commit),
        None => answer,
    }
}

impl State {
    fn commit_of(&self, revision: &str) -> Option<String> {
        (["main", COMMIT, NEXT].contains(&revision)).then(|| {
            if revision == "main" {
                self.commit.clone()
            } else {
                revision.to_owned()
            }
        })
    }

    fn listing(&self) -> serde_json::Value {
        let files = self.files.iter().map(|(path, (bytes, lfs))| {
            let mut entry = serde_json::json!({
                "type": "file", "path": path, "size": bytes.len(), "oid": GitOid::of(bytes).to_string(),
            });
            if *lfs {
                entry["oid"] = "0".repeat(40).into();
                entry["lfs"] = serde_json::json!({"oid": Sha256::of(bytes), "size": bytes.len(), "pointerSize": 120});
                if self.xet {
                    entry["xetHash"] = Sha256::of(bytes).to_string().into();
                }
            }
            entry
        });
        let besides = self
            .listed
            .iter()
            .map(|path| serde_json::json!({"type": "file", "path": path, "size": 1, "oid": "0".repeat(40)}));
        let folder = serde_json::json!({"type": "directory", "path": "d", "oid": "0".repeat(40), "size": 0});
        files.chain(besides).chain([folder]).collect()
    }

    fn file(&mut self, commit: &str, path: &str, head: bool, range: Option<&str>) -> ResponseTemplate {
        let found = self.files.get(path).filter(|_| self.vanished != Some(path));
        let Some((bytes, lfs)) = found.cloned() else {
            return failure(404, "EntryNotFound", Some(commit));
        };
        if let Some(status) = self.get_status.filter(|_| !head) {
            return ResponseTemplate::new(status).set_body_string("{\"error\": \"no\"}");
        }
        let etag = match self.wrong_etag {
            Some(etag) => etag.to_owned(),
            None => etag_of(&bytes, lfs),
        };
        let sent = if head {
            bytes.clone()
        } else {
            self.body_once.take().or(self.body.clone()).unwrap_or(bytes.clone())
        };
        let from = range
            .and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse::<usize>().ok())
            .filter(|from| *from > 0 && *from < sent.len());
        let answer = match from {
            Some(from) => ResponseTemplate::new(206)
                .insert_header(
                    "content-range",
                    format!("bytes {from}-{}/{}", sent.len() - 1, sent.len()),
                )
                .set_body_bytes(&sent[from..]),
            None => ResponseTemplate::new(200).set_body_bytes(sent),
        };
        let answer = answer
            .insert_header("x-repo-commit", self.wrong_commit.unwrap_or(commit))
            .insert_header("accept-ranges", "bytes")
            .insert_header(
                "etag",
                match (self.weak, lfs) {
                    (true, true) => "W/\"of-the-redirect\"".to_owned(),
                    (true, false) => format!("W/\"{etag}\""),
                    (false, _) => format!("\"{etag}\""),
                }
                .as_str(),
            );
        let answer = match lfs && self.xet {
            true => answer
                .insert_header("x-xet-hash", Sha256::of(&bytes).to_string().as_str())
                .insert_header("x-xet-refresh-route", "/api/models/o/n/xet-read-token/main"),
            false => answer,
        };
        if lfs && !self.no_size {
            return answer
                .insert_header("x-linked-etag", format!("\"{etag}\"").as_str())
                .insert_header("x-linked-size", bytes.len().to_string().as_str());
        }
        answer
    }
}
