//! Uploads against a Hub that keeps what it is sent, and fails where it is told to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_types::{GitOid, Sha256};
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::api::upload::CommitOperation;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::progress::{Outcome, Phase, Progress, ProgressHandle, ProgressId};

mod commits;
mod copies;
mod folders;
mod large;

const HEAD: &str = "91c54ad1727ee830252e457677f467be0bfd8a57";

/// What was asked, in order.
#[derive(Debug, Clone)]
struct Asked {
    /// `METHOD path?query`
    line: String,
    authorized: bool,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Asked {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A commit that was made.
#[derive(Debug, Clone)]
struct Made {
    revision: String,
    lines: Vec<Value>,
}

impl Made {
    fn summary(&self) -> &str {
        self.lines[0]["value"]["summary"].as_str().unwrap()
    }

    /// The keys and paths behind the header.
    fn changes(&self) -> Vec<(&str, &str)> {
        let change = |line| {
            let line: &Value = line;
            (line["key"].as_str().unwrap(), line["value"]["path"].as_str().unwrap())
        };
        self.lines[1..].iter().map(change).collect()
    }
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    commits: Vec<Made>,
    /// Contents of large files.
    store: HashMap<String, Vec<u8>>,
    parts: BTreeMap<(String, u64), Vec<u8>>,
    /// Content ids by path.
    there: HashMap<String, String>,
    /// Answers to give first: the beginning of a line, a status, how often.
    failures: Vec<(&'static str, u16, usize)>,
    /// Answers as many commits with a failure once they are made.
    lost_answers: usize,
    /// Refuses commits of more changes than this.
    most_changes: Option<usize>,
    /// Sends large files in parts of this size.
    part: Option<u64>,
    /// Leaves out the address of this part.
    without_part: Option<u64>,
    /// Refuses large files with this.
    refusal: Option<&'static str>,
    /// Sends large files to another server.
    put_at: Option<String>,
    /// The next PUT takes this long.
    slow: Option<Duration>,
    /// Called with each PUT.
    on_put: Option<Box<dyn Fn() + Send>>,
}

struct Fake {
    server: MockServer,
    state: Arc<Mutex<State>>,
}

struct Answer {
    state: Arc<Mutex<State>>,
}

impl Respond for Answer {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = lock(&self.state);
        let base = format!("http://{}", request.headers["host"].to_str().unwrap());
        let query = request.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let line = format!("{} {}{query}", request.method, request.url.path());
        let headers = request.headers.iter();
        let asked = Asked {
            line: line.clone(),
            authorized: request
                .headers
                .get("authorization")
                .is_some_and(|value| value == "Bearer hf_test"),
            headers: headers
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                .collect(),
            body: request.body.clone(),
        };
        state.asked.push(asked.clone());
        if asked.line.starts_with("PUT")
            && let Some(act) = &state.on_put
        {
            act();
        }
        if let Some(failure) = state
            .failures
            .iter_mut()
            .find(|(begin, _, times)| *times > 0 && line.starts_with(begin))
        {
            failure.2 -= 1;
            return ResponseTemplate::new(failure.1).set_body_json(json!({"error": "on purpose"}));
        }
        let path = request.url.path().to_owned();
        let parts: Vec<&str> = path.split('/').collect();
        if path.contains("/preupload/") {
            state.preupload(&asked)
        } else if path.contains("/commits/") {
            state.history()
        } else if path.contains("/paths-info/") {
            state.paths_info(&asked)
        } else if path.ends_with("/objects/batch") {
            state.batch(&asked, &base)
        } else if path.contains("/commit/") {
            state.commit(&asked, &base, parts[parts.len() - 1])
        } else if request.method.as_str() == "PUT" && parts[1] == "put" {
            if state.part.is_some() {
                state
                    .parts
                    .insert((parts[2].to_owned(), parts[3].parse().unwrap()), asked.body);
                ResponseTemplate::new(200).insert_header("etag", format!("\"tag-{}\"", parts[3]))
            } else {
                state.store.insert(parts[2].to_owned(), asked.body);
                let reply = ResponseTemplate::new(200);
                match state.slow.take() {
                    Some(time) => reply.set_delay(time),
                    None => reply,
                }
            }
        } else if path == "/complete" {
            let oid = asked.json()["oid"].as_str().unwrap().to_owned();
            let mine = state.parts.iter().filter(|((of, _), _)| *of == oid);
            let whole = mine.flat_map(|(_, bytes)| bytes.clone()).collect();
            state.store.insert(oid, whole);
            ResponseTemplate::new(200).set_body_json(json!({}))
        } else if path == "/verify" {
            let known = state.store.contains_key(asked.json()["oid"].as_str().unwrap());
            ResponseTemplate::new(if known { 200 } else { 404 }).set_body_json(json!({}))
        } else if path == "/api/validate-yaml" {
            if asked.json()["content"].as_str().unwrap().contains("broken") {
                ResponseTemplate::new(400)
                    .set_body_json(json!({"errors": [{"message": "\"license\" must be one of"}], "warnings": []}))
            } else {
                ResponseTemplate::new(200).set_body_json(json!({"errors": [], "warnings": []}))
            }
        } else if path.ends_with("/discussions") || path.ends_with("/discussions/7") {
            ResponseTemplate::new(200).set_body_json(json!({
                "num": 7, "title": "t", "status": "draft", "isPullRequest": true, "author": {"name": "ada"},
                "createdAt": "2026-03-04T05:06:07.000Z", "repo": {"name": "ada/demo", "type": "model"},
                "events": [], "diff": "", "filesWithConflicts": [], "changes": {"base": "refs/heads/main"},
            }))
        } else if path.contains("/tree/") {
            let entry = |path: &String| json!({"type": "file", "path": path, "size": 1});
            let mut entries: Vec<Value> = state.there.keys().map(entry).collect();
            entries.sort_by_key(|entry| entry["path"].as_str().unwrap().to_owned());
            ResponseTemplate::new(200).set_body_json(entries)
        } else if path.contains("/revision/") || path == "/api/models/ada/demo" {
            ResponseTemplate::new(200).set_body_json(json!({"id": "ada/demo", "sha": HEAD}))
        } else {
            ResponseTemplate::new(404).insert_header("x-error-code", "EntryNotFound")
        }
    }
}

impl State {
    fn preupload(&mut self, asked: &Asked) -> ResponseTemplate {
        let body = asked.json();
        let files = body["files"].as_array().unwrap();
        if files.len() > 256 {
            return ResponseTemplate::new(413);
        }
        let answer = |file: &Value| {
            let path = file["path"].as_str().unwrap();
            json!({
                "path": path,
                "uploadMode": if path.ends_with(".bin") { "lfs" } else { "regular" },
                "shouldIgnore": path.ends_with(".ignored"),
                "oid": self.there.get(path),
            })
        };
        ResponseTemplate::new(200).set_body_json(json!({"files": files.iter().map(answer).collect::<Vec<_>>()}))
    }

    fn batch(&mut self, asked: &Asked, base: &str) -> ResponseTemplate {
        let body = asked.json();
        let objects = body["objects"].as_array().unwrap();
        if objects.len() > 256 {
            return ResponseTemplate::new(413);
        }
        let put_at = self.put_at.as_deref().unwrap_or(base);
        let answer = |object: &Value| {
            let (oid, size) = (object["oid"].as_str().unwrap(), object["size"].as_u64().unwrap());
            if let Some(message) = self.refusal {
                return json!({"oid": oid, "size": size, "error": {"code": 422, "message": message}});
            }
            if self.store.contains_key(oid) {
                return json!({"oid": oid, "size": size});
            }
            let verify = json!({"href": format!("{base}/verify"), "header": {"x-verify": "yes"}});
            let upload = match self.part {
                Some(part) => {
                    let mut header = BTreeMap::from([
                        ("chunk_size".to_owned(), part.to_string()),
                        ("x-own".to_owned(), "mine".to_owned()),
                    ]);
                    for number in (1..=size.div_ceil(part)).filter(|number| Some(*number) != self.without_part) {
                        header.insert(format!("{number:05}"), format!("{base}/put/{oid}/{number}?sig=secret"));
                    }
                    json!({"href": format!("{base}/complete?sig=secret"), "header": header})
                }
                None => {
                    json!({"href": format!("{put_at}/put/{oid}?sig=secret"), "header": {"x-own": "mine", "Transfer-Encoding": "chunked"}})
                }
            };
            json!({"oid": oid, "size": size, "actions": {"upload": upload, "verify": verify}})
        };
        ResponseTemplate::new(200).set_body_json(json!({"objects": objects.iter().map(answer).collect::<Vec<_>>()}))
    }

    /// The last commit's hash.
    fn head(&self) -> String {
        match self.commits.len() {
            0 => HEAD.to_owned(),
            made => format!("{made:040x}"),
        }
    }

    /// The commits that were made, the last one first, and the one before them.
    fn history(&self) -> ResponseTemplate {
        let commit = |id: String, title: &str| json!({"id": id, "title": title, "message": "", "authors": []});
        let made = self.commits.iter().enumerate();
        let mut commits = vec![commit(HEAD.into(), "initial commit")];
        commits.extend(made.map(|(at, made)| commit(format!("{:040x}", at + 1), made.summary())));
        commits.reverse();
        ResponseTemplate::new(200).set_body_json(commits)
    }

    fn paths_info(&self, asked: &Asked) -> ResponseTemplate {
        let there: Vec<Value> = url::form_urlencoded::parse(&asked.body)
            .filter(|(name, path)| name == "paths" && self.there.contains_key(path.as_ref()))
            .map(|(_, path)| json!({"type": "file", "path": path, "size": 1, "oid": "0".repeat(40)}))
            .collect();
        ResponseTemplate::new(200).set_body_json(there)
    }

    fn commit(&mut self, asked: &Asked, base: &str, revision: &str) -> ResponseTemplate {
        let text = String::from_utf8(asked.body.clone()).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if self.most_changes.is_some_and(|most| lines.len() - 1 > most) {
            return ResponseTemplate::new(500);
        }
        let header = &lines[0]["value"];
        if header["parentCommit"]
            .as_str()
            .is_some_and(|parent| !self.head().starts_with(parent))
        {
            return ResponseTemplate::new(412).set_body_json(json!({"error": "A commit has happened since."}));
        }
        let is_gone = |line: &Value| {
            line["key"] == "deletedFile" && !self.there.contains_key(line["value"]["path"].as_str().unwrap())
        };
        if lines.iter().any(is_gone) {
            return ResponseTemplate::new(404)
                .insert_header("x-error-code", "EntryNotFound")
                .insert_header("x-error-message", "A file with this name doesn't exist");
        }
        for line in &lines[1..] {
            let value = &line["value"];
            let path = value["path"].as_str().unwrap().to_owned();
            match line["key"].as_str().unwrap() {
                "file" => {
                    let content = STANDARD.decode(value["content"].as_str().unwrap()).unwrap();
                    self.there.insert(path, GitOid::of(&content).to_string());
                }
                "lfsFile" => {
                    let oid = value["oid"].as_str().unwrap().to_owned();
                    assert!(
                        value["size"].is_null() || self.store.contains_key(&oid),
                        "a commit refers to what has arrived"
                    );
                    self.there.insert(path, oid);
                }
                _ => {
                    self.there.remove(&path);
                }
            }
        }
        self.commits.push(Made {
            revision: revision.to_owned(),
            lines,
        });
        if self.lost_answers > 0 {
            self.lost_answers -= 1;
            return ResponseTemplate::new(504);
        }
        let mut reply = json!({"commitOid": HEAD, "commitUrl": format!("{base}/ada/demo/commit/{HEAD}")});
        if asked.line.contains("create_pr=1") {
            reply["pullRequestUrl"] = format!("{base}/ada/demo/discussions/3").into();
        }
        ResponseTemplate::new(200).set_body_json(reply)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fake {
    async fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let server = MockServer::start().await;
        let answer = Answer { state: state.clone() };
        Mock::given(any()).respond_with(answer).mount(&server).await;
        Self { server, state }
    }

    fn builder(&self) -> crate::HfApiBuilder {
        HfApi::builder()
            .endpoint(self.server.uri())
            .token(hub_types::Token::new("hf_test").unwrap())
            .retries(3, Duration::from_millis(1))
    }

    fn api(&self) -> HfApi {
        self.builder().build().unwrap()
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut lock(&self.state));
    }

    fn fail(&self, begin: &'static str, status: u16, times: usize) {
        self.set(|state| state.failures.push((begin, status, times)));
    }

    /// The requests whose line begins so.
    fn asked(&self, begin: &str) -> Vec<Asked> {
        let state = lock(&self.state);
        state
            .asked
            .iter()
            .filter(|asked| asked.line.starts_with(begin))
            .cloned()
            .collect()
    }

    fn commits(&self) -> Vec<Made> {
        lock(&self.state).commits.clone()
    }

    fn stored(&self, content: &[u8]) -> bool {
        let state = lock(&self.state);
        state
            .store
            .get(&Sha256::of(content).to_string())
            .is_some_and(|there| there == content)
    }

    /// Commits files by path and content.
    async fn commit(&self, files: &[(&str, &[u8])]) -> Result<hub_types::commits::CommitInfo> {
        let operations: Vec<_> = files
            .iter()
            .map(|(path, content)| CommitOperation::add(*path, *content))
            .collect();
        self.api().create_commit("ada/demo", operations, "m").await
    }
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = dir.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
    }
    dir
}

/// A folder of so many small files, each with its own content.
fn many(count: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for at in 0..count {
        fs_err::write(dir.path().join(format!("{at:05}.txt")), at.to_string()).unwrap();
    }
    dir
}

fn touch(path: &Path) {
    let file = fs_err::File::options().write(true).open(path).unwrap();
    file.file()
        .set_modified(SystemTime::now() + Duration::from_secs(5))
        .unwrap();
}

const COMMIT: &str = "POST /api/models/ada/demo/commit/main";

const PREUPLOAD: &str = "POST /api/models/ada/demo/preupload/main";

const BATCH: &str = "POST /ada/demo.git/info/lfs/objects/batch";

/// What was reported.
#[derive(Clone)]
struct Log(Arc<LogState>);

/// A file's path, its size, how much was reported of it, how it ended.
type Logged = (String, u64, i64, Option<Outcome>);

struct LogState {
    files: Mutex<Vec<Logged>>,
    /// Of which file, and which retry.
    retries: Mutex<Vec<(Option<u64>, u32)>>,
    on_advance: Box<dyn Fn(u64) + Send + Sync>,
}

impl Default for Log {
    fn default() -> Self {
        Self::new(|_| ())
    }
}

impl Log {
    fn new(on_advance: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(LogState {
            files: Mutex::default(),
            retries: Mutex::default(),
            on_advance: Box::new(on_advance),
        }))
    }

    /// How each file ended. The connection lets go of a request's body, which may be a moment after the error is told.
    async fn outcomes(&self) -> Vec<Outcome> {
        let ended = async {
            loop {
                let outcomes: Option<Vec<Outcome>> = self.0.files.lock().unwrap().iter().map(|file| file.3).collect();
                match outcomes {
                    Some(outcomes) => return outcomes,
                    None => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
        };
        let limit = Duration::from_secs(10);
        tokio::time::timeout(limit, ended).await.expect("every file ends")
    }

    /// Each file, its size, which is also what was reported of it, and how it ended.
    #[track_caller]
    fn check(&self, expected: &[(&str, u64, Outcome)]) {
        let files = self.0.files.lock().unwrap();
        let found: Vec<_> = files
            .iter()
            .map(|(path, size, done, outcome)| {
                assert_eq!(*done, *size as i64, "{path}");
                (path.as_str(), *size, outcome.unwrap())
            })
            .collect();
        assert_eq!(found, expected);
    }
}

impl Progress for Log {
    fn phase(&self, _: Phase, _: Option<u64>, _: Option<u64>) {}

    fn started(&self, path: &str, size: Option<u64>) -> ProgressId {
        let mut files = self.0.files.lock().unwrap();
        files.push((path.to_owned(), size.unwrap(), 0, None));
        ProgressId(files.len() as u64 - 1)
    }

    fn advanced(&self, id: ProgressId, bytes: u64) {
        self.0.files.lock().unwrap()[id.0 as usize].2 += bytes as i64;
        (self.0.on_advance)(bytes);
    }

    fn restarted(&self, id: ProgressId, bytes: u64) {
        self.0.files.lock().unwrap()[id.0 as usize].2 = bytes as i64;
    }

    fn taken_back(&self, id: ProgressId, bytes: u64) {
        self.0.files.lock().unwrap()[id.0 as usize].2 -= bytes as i64;
    }

    fn retrying(&self, id: Option<ProgressId>, retry: u32, _: Duration, _: &Error) {
        self.0.retries.lock().unwrap().push((id.map(|id| id.0), retry));
    }

    fn finished(&self, id: ProgressId, outcome: Outcome) {
        let before = self.0.files.lock().unwrap()[id.0 as usize].3.replace(outcome);
        assert_eq!(before, None, "a file ends once");
    }
}
