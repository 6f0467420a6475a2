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
                    let mut header = BTreeMap::from([("chunk_size".to_owned(), part.to_string())]);
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

    fn commit(&mut self, asked: &Asked, base: &str, revision: &str) -> ResponseTemplate {
        let text = String::from_utf8(asked.body.clone()).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if self.most_changes.is_some_and(|most| lines.len() - 1 > most) {
            return ResponseTemplate::new(500);
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

#[tokio::test]
async fn d13_a_commit_is_sent_once() {
    for pr in [false, true] {
        let fake = Fake::start().await;
        fake.fail(COMMIT, 500, 9);
        let call = fake.api().upload_file("ada/demo", b"x".to_vec(), "a.txt").create_pr(pr);
        let err = call.await.unwrap_err();
        assert_eq!(err.status(), Some(500));
        assert_eq!(fake.asked(COMMIT).len(), 1);
    }
}

#[tokio::test]
async fn a_commit_has_its_lines_byte_for_byte() {
    let fake = Fake::start().await;
    let info = fake
        .api()
        .upload_file("ada/demo", b"some text\n".to_vec(), "notes/a.txt")
        .create_pr(true)
        .parent_commit("91c54ad")
        .await
        .unwrap();
    assert_eq!(
        (info.pr_num(), info.commit_message.as_str()),
        (Some(3), "Upload notes/a.txt with huggingface_hub")
    );
    let commit = &fake.asked(COMMIT)[0];
    assert_eq!(commit.line, format!("{COMMIT}?create_pr=1"));
    assert_eq!(commit.headers["content-type"], "application/x-ndjson");
    assert_eq!(commit.headers["content-length"], commit.body.len().to_string());
    assert_eq!(
        String::from_utf8(commit.body.clone()).unwrap(),
        concat!(
            r#"{"key":"header","value":{"summary":"Upload notes/a.txt with huggingface_hub","description":"","parentCommit":"91c54ad"}}"#,
            "\n",
            r#"{"key":"file","value":{"content":"c29tZSB0ZXh0Cg==","path":"notes/a.txt","encoding":"base64"}}"#,
            "\n"
        )
    );
    assert_eq!(fake.asked(PREUPLOAD)[0].line, format!("{PREUPLOAD}?create_pr=1"));
}

#[tokio::test]
async fn bad_arguments_are_refused_before_anything_is_sent() {
    let fake = Fake::start().await;
    let api = fake.api();
    let add = |path: &str| vec![CommitOperation::add(path, b"x")];
    let calls = [
        api.create_commit("ada/demo", add("a"), " "),
        api.create_commit("ada/demo", add("../a"), "m"),
        api.create_commit("ada/demo", add("a/.git/b"), "m"),
        api.create_commit("ada/demo", add(".cache/a"), "m"),
        api.create_commit("ada/demo", vec![CommitOperation::delete(".")], "m"),
        api.create_commit("ada/demo", add("a"), "m").parent_commit("xyz"),
        api.create_commit("ada/demo", vec![CommitOperation::add("a", "/no/such/file")], "m"),
    ];
    for call in calls {
        let err = call.await.unwrap_err();
        assert!(matches!(err, Error::Invalid(_) | Error::Io(_)), "{err}");
    }
    assert!(fake.asked("").is_empty());
}

#[tokio::test]
async fn d14_a_folder_is_its_files_and_nothing_of_git_or_the_cache() {
    let fake = Fake::start().await;
    let outside = folder(&[("target.txt", "linked"), ("dir/inner.txt", "no")]);
    let dir = folder(&[
        ("b.txt", "b"),
        ("a/c.txt", "c"),
        ("x.ignored", "i"),
        (".git/config", "secret"),
        ("sub/.git/config", "secret"),
        (".cache/huggingface/upload/x", "secret"),
        ("skip/me.log", "log"),
    ]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink(outside.path().join("target.txt"), dir.path().join("link.txt")).unwrap();
        symlink(outside.path().join("dir"), dir.path().join("linked")).unwrap();
        symlink(outside.path().join("nowhere"), dir.path().join("broken")).unwrap();
    }
    #[cfg(not(unix))]
    fs_err::copy(outside.path().join("target.txt"), dir.path().join("link.txt")).unwrap();
    let info = fake
        .api()
        .upload_folder("ada/demo", dir.path())
        .path_in_repo("/in/")
        .ignore_patterns("*.log")
        .delete_patterns(Vec::<String>::new())
        .await
        .unwrap();
    assert_eq!(info.commit_message, "Upload folder using huggingface_hub");
    let commits = fake.commits();
    assert_eq!(
        commits[0].changes(),
        [("file", "in/a/c.txt"), ("file", "in/b.txt"), ("file", "in/link.txt")]
    );
    assert_eq!(commits[0].lines[3]["value"]["content"], STANDARD.encode("linked"));
    let asked: Vec<String> = fake.asked("").into_iter().map(|asked| asked.line).collect();
    assert_eq!(asked, [PREUPLOAD, COMMIT]);
}

#[tokio::test]
async fn d15_a_large_file_is_put_where_the_server_says_and_never_inlined() {
    let fake = Fake::start().await;
    let content = vec![7; 1_500_000];
    fake.commit(&[("w.bin", &content), ("a.txt", b"a")]).await.unwrap();
    assert!(fake.stored(&content));
    let oid = Sha256::of(&content).to_string();
    assert_eq!(
        fake.commits()[0].lines[1],
        json!({"key": "lfsFile", "value": {"path": "w.bin", "algo": "sha256", "oid": oid, "size": 1_500_000}})
    );
    let lines: Vec<String> = fake.asked("").into_iter().map(|asked| asked.line).collect();
    let put = format!("PUT /put/{oid}?sig=secret");
    assert_eq!(lines, [PREUPLOAD, BATCH, &put, "POST /verify", COMMIT]);
    let batch = &fake.asked(BATCH)[0];
    assert_eq!(batch.headers["accept"], "application/vnd.git-lfs+json");
    assert_eq!(batch.headers["content-type"], "application/vnd.git-lfs+json");
    assert_eq!(
        batch.json(),
        json!({"operation": "upload", "transfers": ["basic", "multipart"], "hash_algo": "sha256",
            "ref": {"name": "main"}, "objects": [{"oid": oid, "size": 1_500_000}]})
    );
    let put = &fake.asked("PUT")[0];
    assert!(!put.authorized && !put.headers.contains_key("user-agent"));
    assert_eq!(put.headers["content-length"], "1500000");
    assert!(!put.headers.contains_key("transfer-encoding"));
    assert_eq!(put.headers["x-own"], "mine");
    let verify = &fake.asked("POST /verify")[0];
    assert!(verify.authorized);
    assert_eq!(verify.headers["x-verify"], "yes");
    assert_eq!(verify.json(), json!({"oid": oid, "size": 1_500_000}));

    // What is stored is not sent again.
    fake.commit(&[("other/w.bin", &content)]).await.unwrap();
    assert_eq!(fake.asked("PUT").len(), 1);
    assert_eq!(fake.commits()[1].changes(), [("lfsFile", "other/w.bin")]);
}

#[tokio::test]
async fn files_are_asked_about_256_at_a_time() {
    let fake = Fake::start().await;
    let mut operations: Vec<_> = (0..255)
        .map(|at| CommitOperation::add(format!("{at}.txt"), b"x"))
        .collect();
    operations.push(CommitOperation::add("empty.bin", b""));
    operations.push(CommitOperation::add("z.ignored", b"x"));
    fake.api().create_commit("ada/demo", operations, "m").await.unwrap();
    let sizes: Vec<usize> = fake
        .asked(PREUPLOAD)
        .iter()
        .map(|asked| asked.json()["files"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [256, 1]);
    let commits = fake.commits();
    assert_eq!(commits[0].lines.len(), 257);
    assert_eq!(commits[0].lines[256]["value"]["content"], "");
    assert_eq!(commits[0].changes().last(), Some(&("file", "empty.bin")));
    // A commit that is asked for is made, also when .gitignore leaves nothing in it.
    fake.commit(&[("z.ignored", b"x")]).await.unwrap();
    assert_eq!(fake.commits()[1].lines.len(), 1);
}

#[tokio::test]
async fn large_files_are_batched_256_at_a_time_and_each_content_goes_once() {
    let fake = Fake::start().await;
    let files: Vec<(String, Vec<u8>)> = (0..300_u32)
        .map(|at| (format!("{at}.bin"), (at % 257).to_string().into_bytes()))
        .collect();
    let operations: Vec<_> = files
        .iter()
        .map(|(path, content)| CommitOperation::add(path, content.clone()))
        .collect();
    fake.api().create_commit("ada/demo", operations, "m").await.unwrap();
    let batches: Vec<usize> = fake
        .asked(BATCH)
        .iter()
        .map(|asked| asked.json()["objects"].as_array().unwrap().len())
        .collect();
    assert_eq!(batches.iter().sum::<usize>(), 257);
    assert!(batches.iter().all(|objects| *objects <= 256), "{batches:?}");
    assert_eq!(fake.asked("PUT").len(), 257);
    assert_eq!(fake.commits()[0].lines.len(), 301);
}

#[tokio::test]
async fn what_changes_nothing_is_left_out() {
    let fake = Fake::start().await;
    fake.set(|state| {
        state.there.insert("d/a.txt".into(), GitOid::of(b"a").to_string());
        state.there.insert("d/w.bin".into(), Sha256::of(b"w").to_string());
    });
    let same: [(&str, &[u8]); 2] = [("d/a.txt", b"a"), ("d/w.bin", b"w")];
    let info = fake.commit(&same).await.unwrap();
    assert_eq!(info.oid, HEAD);
    assert_eq!(info.commit_url, format!("{}/ada/demo/commit/{HEAD}", fake.server.uri()));
    assert!(fake.asked(COMMIT).is_empty() && fake.asked(BATCH).is_empty());

    fake.commit(&[same[0], ("new.txt", b"n")]).await.unwrap();
    assert_eq!(fake.commits()[0].changes(), [("file", "new.txt")]);

    // What the same commit deletes is put back.
    fake.set(|state| {
        state.store.insert(Sha256::of(b"w").to_string(), b"w".to_vec());
    });
    let mut operations = vec![CommitOperation::delete("d/")];
    operations.extend(same.map(|(path, content)| CommitOperation::add(path, content)));
    fake.api().create_commit("ada/demo", operations, "m").await.unwrap();
    assert_eq!(
        fake.commits()[1].changes(),
        [("deletedFolder", "d/"), ("file", "d/a.txt"), ("lfsFile", "d/w.bin")]
    );
    let none: Vec<CommitOperation> = Vec::new();
    assert_eq!(fake.api().create_commit("ada/demo", none, "m").await.unwrap().oid, HEAD);
    assert_eq!(fake.commits().len(), 2);
}

#[tokio::test]
async fn parts_are_sent_and_put_together() {
    let fake = Fake::start().await;
    fake.set(|state| state.part = Some(600_000));
    let content: Vec<u8> = (0..2_000_000_u32).map(|at| (at % 251) as u8).collect();
    fake.fail("PUT /put", 503, 1);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.bin");
    fs_err::write(&path, &content).unwrap();
    fake.api().upload_file("ada/demo", path, "w.bin").await.unwrap();
    assert!(fake.stored(&content));
    let puts = fake.asked("PUT");
    assert_eq!(puts.len(), 5, "four parts, one of them twice");
    assert!(puts.iter().all(|put| !put.authorized));
    let complete = &fake.asked("POST /complete")[0];
    assert!(!complete.authorized);
    assert_eq!(complete.headers["content-type"], "application/vnd.git-lfs+json");
    let parts: Vec<Value> = (1..=4)
        .map(|number| json!({"partNumber": number, "etag": format!("\"tag-{number}\"")}))
        .collect();
    assert_eq!(
        complete.json(),
        json!({"oid": Sha256::of(&content).to_string(), "parts": parts})
    );
    assert_eq!(fake.commits().len(), 1);
}

#[tokio::test]
async fn parts_that_do_not_add_up_are_refused() {
    let fake = Fake::start().await;
    fake.set(|state| {
        state.part = Some(10);
        state.without_part = Some(2);
    });
    let err = fake.commit(&[("w.bin", &[1; 25])]).await.unwrap_err();
    assert!(err.to_string().contains("2 parts where 3 are needed"), "{err}");
    assert!(!err.to_string().contains("secret"), "{err}");
    assert!(fake.asked("PUT").is_empty() && fake.asked(COMMIT).is_empty());
}

#[tokio::test]
async fn refused_large_files_are_named() {
    let fake = Fake::start().await;
    fake.set(|state| state.refusal = Some("too large for this repo"));
    let err = fake.commit(&[("w.bin", b"w"), ("v.bin", b"v")]).await.unwrap_err();
    let Error::Batch { failed } = &err else { panic!("{err}") };
    assert_eq!(failed.len(), 2);
    assert!(err.to_string().contains(&Sha256::of(b"v").to_string()), "{err}");
    assert!(fake.asked(COMMIT).is_empty());
}

#[tokio::test]
async fn a_large_file_is_tried_again_from_its_beginning() {
    let fake = Fake::start().await;
    for begin in [PREUPLOAD, BATCH, "PUT", "POST /verify"] {
        fake.fail(begin, 503, 2);
    }
    let content = vec![3; 700_000];
    let log = Log::default();
    fake.api()
        .upload_file("ada/demo", content.clone(), "w.bin")
        .progress(ProgressHandle::new(log.clone()))
        .await
        .unwrap();
    assert!(fake.stored(&content));
    assert_eq!(fake.asked("PUT").len(), 3);
    assert_eq!(fake.asked(COMMIT).len(), 1);
    log.check(&[("w.bin", 700_000, Outcome::Done)]);
    // The file's own request is told as the file's, the others as nobody's.
    let retries = log.0.retries.lock().unwrap().clone();
    let of_file = |retry| (Some(0), retry);
    assert_eq!(
        retries,
        [
            (None, 1),
            (None, 2),
            (None, 1),
            (None, 2),
            of_file(1),
            of_file(2),
            (None, 1),
            (None, 2)
        ]
    );
}

#[tokio::test]
async fn an_address_that_expired_is_asked_for_again() {
    let fake = Fake::start().await;
    fake.fail("PUT", 403, 1);
    fake.commit(&[("w.bin", b"weights")]).await.unwrap();
    assert_eq!((fake.asked(BATCH).len(), fake.asked("PUT").len()), (2, 2));
    assert!(fake.stored(b"weights"));
    // Once: who may not write is told so.
    fake.fail("PUT", 403, 9);
    let err = fake.commit(&[("v.bin", b"others")]).await.unwrap_err();
    assert!(matches!(err, Error::Forbidden(_)), "{err}");
    assert_eq!(fake.asked("PUT").len(), 4);
}

#[tokio::test]
async fn a_part_whose_address_expires_midway_is_sent_to_a_new_one() {
    let fake = Fake::start().await;
    fake.set(|state| state.part = Some(100_000));
    let content: Vec<u8> = (0..650_000_u32).map(|n| (n % 251) as u8).collect();
    // Three parts have gone out by then.
    let oid = Sha256::of(&content).to_string();
    let fourth: &'static str = format!("PUT /put/{oid}/4").leak();
    fake.fail(fourth, 403, 1);
    let log = Log::default();
    fake.api()
        .upload_file("ada/demo", content.clone(), "w.bin")
        .progress(ProgressHandle::new(log.clone()))
        .await
        .unwrap();
    assert!(fake.stored(&content));
    assert_eq!((fake.asked(BATCH).len(), fake.asked(COMMIT).len()), (2, 1));
    log.check(&[("w.bin", 650_000, Outcome::Done)]);
}

/// A store that takes a request's head and then no more bytes, and says nothing; with how many it was asked.
async fn stalling_store() -> (String, Arc<std::sync::atomic::AtomicUsize>) {
    use tokio::io::AsyncReadExt as _;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut client, _)) = listener.accept().await {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let _ = client.read(&mut [0; 512]).await;
            kept.push(client);
        }
    });
    (url, count)
}

#[tokio::test]
async fn a_store_that_stops_reading_is_given_up_and_tried_again() {
    let fake = Fake::start().await;
    let (store, asked) = stalling_store().await;
    fake.set(|state| state.put_at = Some(store));
    let api = fake
        .builder()
        .upload_timeout(Duration::from_millis(300))
        .retries(2, Duration::from_millis(1));
    let begun = std::time::Instant::now();
    let log = Log::default();
    // More than fits between the two.
    let err = api
        .build()
        .unwrap()
        .upload_file("ada/demo", vec![1; 64 << 20], "w.bin")
        .progress(ProgressHandle::new(log.clone()))
        .await
        .unwrap_err();
    assert!(matches!(err, Error::Timeout { .. }), "{err}");
    assert!(!err.to_string().contains("secret"), "{err}");
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 3);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(fake.commits().is_empty());
    assert_eq!(log.outcomes().await, [Outcome::Failed]);
    // Nothing is left of it: the next call goes through.
    fake.set(|state| state.put_at = None);
    fake.commit(&[("w.bin", &vec![1; 64 << 20])]).await.unwrap();
    assert_eq!(fake.commits().len(), 1);
}

#[tokio::test]
async fn a_file_that_changes_meanwhile_is_never_committed() {
    let fake = Fake::start().await;
    let dir = folder(&[("w.bin", "weights")]);
    let path = dir.path().join("w.bin");
    // Between two attempts.
    fake.fail("PUT", 503, 1);
    fake.set({
        let path = path.clone();
        move |state| state.on_put = Some(Box::new(move || touch(&path)))
    });
    let err = fake
        .api()
        .upload_file("ada/demo", path.as_path(), "w.bin")
        .await
        .unwrap_err();
    assert!(matches!(err, Error::Integrity { .. }), "{err}");
    assert!(err.to_string().contains("w.bin"), "{err}");
    assert_eq!(fake.asked("PUT").len(), 1);
    assert!(fake.asked(COMMIT).is_empty());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_cannot_be_read_to_its_end_is_told_and_not_tried_again() {
    let fake = Fake::start().await;
    let dir = folder(&[]);
    let path = dir.path().join("a.txt");
    // Large enough that it is not all read before it shrinks.
    let file = fs_err::File::create(&path).unwrap();
    file.set_len(64 * 1024 * 1024).unwrap();
    let shrinking = path.clone();
    let log = Log::new(move |bytes| {
        if bytes > 0 {
            fs_err::File::create(&shrinking).unwrap();
        }
    });
    let progress = ProgressHandle::new(log.clone());
    let err = fake
        .api()
        .upload_file("ada/demo", path, "a.txt")
        .progress(progress)
        .await
        .unwrap_err();
    assert!(matches!(err, Error::Integrity { .. }), "{err:?}");
    assert!(fake.commits().is_empty());
    assert_eq!(log.outcomes().await, [Outcome::Failed]);
}

#[tokio::test]
async fn what_is_dropped_leaves_nothing_committed() {
    let fake = Fake::start().await;
    fake.set(|state| state.slow = Some(Duration::from_secs(60)));
    let job = fake.api().upload_file("ada/demo", b"weights".to_vec(), "w.bin").spawn();
    while fake.asked("PUT").is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    job.abort();
    assert!(matches!(job.await, Err(Error::Aborted)));
    assert!(fake.asked(COMMIT).is_empty());
    // Another run goes on: what had arrived is there.
    fake.commit(&[("w.bin", b"weights")]).await.unwrap();
    assert_eq!((fake.asked("PUT").len(), fake.commits().len()), (1, 1));
}

#[tokio::test]
async fn a_folder_that_is_dropped_midway_is_gone_on_with() {
    let fake = Fake::start().await;
    let dir = folder(&[("a.bin", "first"), ("b.bin", "second"), ("c.txt", "text")]);
    let upload = || fake.api().upload_folder("ada/demo", dir.path());
    // One has arrived when the other takes long.
    fake.set(|state| state.slow = Some(Duration::from_secs(60)));
    let job = upload().spawn();
    while fake.asked("PUT").len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    job.abort();
    assert!(matches!(job.await, Err(Error::Aborted)));
    assert!(fake.commits().is_empty());
    fake.set(|state| {
        state.slow = None;
        // The one that took long had not come.
        state.store.remove(&Sha256::of(b"second").to_string());
    });
    upload().await.unwrap();
    let sent = fake.asked("PUT");
    assert_eq!(sent.len(), 3, "what had arrived is not sent again: {sent:?}");
    assert!(fake.stored(b"first") && fake.stored(b"second"));
    let commits = fake.commits();
    assert_eq!((commits.len(), commits[0].changes().len()), (1, 3));
}

#[tokio::test]
async fn a_card_with_wrong_metadata_stops_everything() {
    let fake = Fake::start().await;
    let err = fake.commit(&[("README.md", b"---\nbroken\n---")]).await.unwrap_err();
    assert!(
        err.to_string()
            .contains("invalid metadata in README.md: \"license\" must be one of"),
        "{err}"
    );
    let dir = folder(&[("README.md", "broken"), ("sub/README.md", "fine")]);
    let err = fake
        .api()
        .upload_folder("ada/demo", dir.path())
        .path_in_repo("x")
        .await
        .unwrap_err();
    assert!(matches!(err, Error::BadRequest(_)), "{err}");
    let lines: Vec<String> = fake.asked("").into_iter().map(|asked| asked.line).collect();
    assert_eq!(lines, ["POST /api/validate-yaml"; 2]);

    fake.commit(&[("README.md", b"fine"), ("x/README.md", b"broken")])
        .await
        .unwrap();
    assert_eq!(fake.asked("POST /api/validate-yaml").len(), 3);
    assert_eq!(
        fake.asked("POST /api/validate-yaml")[2].json(),
        json!({"content": "fine", "repoType": "model"})
    );
}

#[tokio::test]
async fn the_gitignore_of_the_commit_decides() {
    let fake = Fake::start().await;
    fake.commit(&[(".gitignore", b"*.tmp\n"), ("a.txt", b"a")])
        .await
        .unwrap();
    assert_eq!(fake.asked(PREUPLOAD)[0].json()["gitIgnore"], "*.tmp\n");
    fake.commit(&[("b.txt", b"b")]).await.unwrap();
    assert!(fake.asked(PREUPLOAD)[1].json().get("gitIgnore").is_none());
    let dir = folder(&[(".gitignore", "*.log\n"), ("c.txt", "c")]);
    fake.api().upload_folder("ada/demo", dir.path()).await.unwrap();
    assert_eq!(fake.asked(PREUPLOAD)[2].json()["gitIgnore"], "*.log\n");
}

#[tokio::test]
async fn a_large_folder_goes_in_commits_of_250_at_first() {
    let fake = Fake::start().await;
    let dir = many(1000);
    let log = Log::default();
    let call = fake.api().upload_folder("ada/demo", dir.path());
    let call = call.commit_message("All").parent_commit(HEAD).commit_description("d");
    let info = call.progress(ProgressHandle::new(log.clone())).await.unwrap();
    let commits = fake.commits();
    assert_eq!(commits[0].changes().len(), 250);
    assert_eq!((commits[0].summary(), commits[1].summary()), ("All", "All (part 2)"));
    assert_eq!(commits[0].lines[0]["value"]["parentCommit"], HEAD);
    assert!(
        commits[1..]
            .iter()
            .all(|commit| commit.lines[0]["value"].get("parentCommit").is_none())
    );
    let paths: Vec<&str> = commits
        .iter()
        .flat_map(|commit| commit.changes())
        .map(|(_, path)| path)
        .collect();
    assert_eq!((paths.len(), paths.iter().collect::<BTreeSet<_>>().len()), (1000, 1000));
    assert_eq!(info.commit_message, format!("All (part {})", commits.len()));
    assert_eq!(log.outcomes().await, [Outcome::Done; 1000]);

    // The same again: nothing is sent but questions.
    let info = fake.api().upload_folder("ada/demo", dir.path()).await.unwrap();
    assert_eq!((info.oid.as_str(), fake.commits().len()), (HEAD, commits.len()));
    // One that is missing is sent alone.
    fs_err::write(dir.path().join("00500.txt"), "new").unwrap();
    fake.api().upload_folder("ada/demo", dir.path()).await.unwrap();
    assert_eq!(fake.commits().last().unwrap().changes(), [("file", "00500.txt")]);
}

#[tokio::test]
async fn up_to_250_files_are_one_commit() {
    let fake = Fake::start().await;
    let dir = many(250);
    fake.api().upload_folder("ada/demo", dir.path()).await.unwrap();
    assert_eq!(fake.commits().len(), 1);
    assert_eq!(fake.asked(PREUPLOAD).len(), 1);
}

#[tokio::test]
async fn a_commit_that_is_too_much_is_split() {
    let fake = Fake::start().await;
    fake.set(|state| state.most_changes = Some(90));
    let dir = many(300);
    fake.api().upload_folder("ada/demo", dir.path()).await.unwrap();
    let commits = fake.commits();
    let paths: BTreeSet<String> = commits
        .iter()
        .flat_map(|commit| commit.changes())
        .map(|(_, path)| path.to_owned())
        .collect();
    assert_eq!(paths.len(), 300);
    for (at, commit) in commits.iter().enumerate().skip(1) {
        assert_eq!(
            commit.summary(),
            format!("Upload folder using huggingface_hub (part {})", at + 1)
        );
    }
    // Small ones are not split for ever.
    fake.set(|state| state.most_changes = Some(0));
    let before = fake.asked(COMMIT).len();
    let dir = folder(&[("x.txt", "x"), ("y.txt", "y")]);
    let err = fake.api().upload_folder("ada/demo", dir.path()).await.unwrap_err();
    assert_eq!(err.status(), Some(500));
    assert_eq!(fake.asked(COMMIT).len() - before, 4, "one try and three retries");
}

#[tokio::test]
async fn what_smaller_commits_cannot_mend_is_told_at_once() {
    let fake = Fake::start().await;
    fake.fail(COMMIT, 403, 9);
    let dir = many(300);
    let err = fake.api().upload_folder("ada/demo", dir.path()).await.unwrap_err();
    assert!(matches!(err, Error::Forbidden(_)), "{err}");
    assert_eq!(fake.asked(COMMIT).len(), 1);
}

#[tokio::test]
async fn a_folders_pull_request_is_opened_once_and_by_itself() {
    let fake = Fake::start().await;
    let dir = many(300);
    fs_err::write(dir.path().join("w.bin"), "weights").unwrap();
    let commit = "POST /api/models/ada/demo/commit/refs%2Fpr%2F7";
    fake.fail(commit, 503, 1);
    let call = fake
        .api()
        .upload_folder("ada/demo", dir.path())
        .create_pr(true)
        .commit_message("up");
    let info = call.await.unwrap();
    assert_eq!(
        info.pr_url,
        Some(format!("{}/ada/demo/discussions/7", fake.server.uri()))
    );
    let opened = fake.asked("POST /api/models/ada/demo/discussions");
    assert_eq!(opened.len(), 1);
    assert_eq!(
        (&opened[0].json()["title"], &opened[0].json()["pullRequest"]),
        (&"Upload: up".into(), &true.into())
    );
    assert!(fake.commits().iter().all(|commit| commit.revision == "refs%2Fpr%2F7"));
    let commits: Vec<String> = fake
        .asked("POST /api/models/ada/demo/commit")
        .into_iter()
        .map(|asked| asked.line)
        .collect();
    assert_eq!(commits, [commit; 3]);
    let preuploads = fake.asked(PREUPLOAD);
    assert!(preuploads.len() == 2 && preuploads.iter().all(|asked| asked.line.ends_with("?create_pr=1")));
    assert!(fake.asked(BATCH)[0].json().get("ref").is_none());

    // An unchanged folder opens none, and a branch excludes one.
    fake.api()
        .upload_folder("ada/demo", dir.path())
        .create_pr(true)
        .await
        .unwrap();
    assert_eq!(fake.asked("POST /api/models/ada/demo/discussions").len(), 1);
    let call = fake
        .api()
        .upload_folder("ada/demo", dir.path())
        .create_pr(true)
        .revision("dev");
    assert!(matches!(call.await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn a_failure_behind_an_open_pull_request_says_where_to_go_on() {
    let fake = Fake::start().await;
    fake.fail("POST /api/models/ada/demo/commit", 403, 1);
    let dir = folder(&[("a.txt", "a")]);
    let err = fake
        .api()
        .upload_folder("ada/demo", dir.path())
        .create_pr(true)
        .await
        .unwrap_err();
    assert!(err.to_string().contains("revision refs/pr/7"), "{err}");
}

#[tokio::test]
async fn files_of_the_repo_are_deleted_in_the_first_commit() {
    let fake = Fake::start().await;
    fake.set(|state| {
        for path in [
            ".gitattributes",
            "d/.gitattributes",
            "d/old.txt",
            "d/new.txt",
            "d/x/old.log",
            "old.txt",
        ] {
            state.there.insert(path.into(), "0".repeat(40));
        }
    });
    let dir = folder(&[("new.txt", "n")]);
    let call = || fake.api().upload_folder("ada/demo", dir.path()).path_in_repo("d");
    call()
        .delete_patterns(["*.txt", "x/*", ".gitattributes"])
        .await
        .unwrap();
    assert_eq!(
        fake.commits()[0].changes(),
        [
            ("deletedFile", "d/old.txt"),
            ("deletedFile", "d/x/old.log"),
            ("file", "d/new.txt")
        ]
    );
    // Also when no file is new.
    fake.set(|state| {
        state.there.insert("d/old.txt".into(), "0".repeat(40));
    });
    call().delete_patterns("*").await.unwrap();
    assert_eq!(fake.commits()[1].changes(), [("deletedFile", "d/old.txt")]);
    call().delete_patterns("*").await.unwrap();
    assert_eq!(fake.commits().len(), 2);
}

#[tokio::test]
async fn deletions_are_commits() {
    let fake = Fake::start().await;
    fake.set(|state| {
        for path in [".gitattributes", "a.json", "data/x.csv", "keep.md"] {
            state.there.insert(path.into(), "0".repeat(40));
        }
    });
    let api = fake.api();
    api.delete_file("ada/demo", "a.json").await.unwrap();
    api.delete_folder("ada/demo", "data").await.unwrap();
    api.delete_files("ada/demo", ["*.md", ".git*"]).await.unwrap();
    let info = api.delete_files("ada/demo", "nothing*").await.unwrap();
    assert_eq!(info.oid, HEAD);
    let commits = fake.commits();
    let made: Vec<_> = commits
        .iter()
        .map(|commit| (commit.summary(), commit.changes()))
        .collect();
    assert_eq!(
        made,
        [
            ("Delete a.json with huggingface_hub", vec![("deletedFile", "a.json")]),
            (
                "Delete folder data with huggingface_hub",
                vec![("deletedFolder", "data")]
            ),
            (
                "Delete files *.md .git* with huggingface_hub",
                vec![("deletedFile", "keep.md")]
            ),
        ]
    );
    assert!(fake.asked(PREUPLOAD).is_empty());
}

#[tokio::test]
async fn a_missing_repo_and_a_missing_folder_are_explained() {
    let hub = crate::api::testing::Hub::start().await;
    let target = "/api/models/ada/demo/commit/main";
    let reply = |code, text: &str| {
        ResponseTemplate::new(404)
            .insert_header("x-error-code", code)
            .set_body_json(json!({"error": text}))
    };
    hub.answer_first(1, "POST", target, reply("RepoNotFound", "Repository not found"))
        .await;
    hub.answer(
        "POST",
        target,
        reply("EntryNotFound", "A file with this name doesn't exist: data"),
    )
    .await;
    let err = hub.api().delete_file("ada/demo", "data").await.unwrap_err();
    assert!(
        matches!(&err, Error::RepoNotFound(_)) && err.to_string().contains("create_repo"),
        "{err}"
    );
    let err = hub.api().delete_file("ada/demo", "data").await.unwrap_err();
    assert!(
        matches!(&err, Error::EntryNotFound(_)) && err.to_string().contains("end its path with '/'"),
        "{err}"
    );
}

#[tokio::test]
async fn large_files_go_up_before_their_commit() {
    let fake = Fake::start().await;
    let files = || {
        vec![
            CommitOperation::add("w.bin", b"weights"),
            CommitOperation::add("a.txt", b"a"),
        ]
    };
    let sent = fake.api().preupload_lfs_files("ada/demo", files()).await.unwrap();
    assert_eq!(sent.iter().map(|path| path.as_str()).collect::<Vec<_>>(), ["w.bin"]);
    assert!(fake.stored(b"weights") && fake.commits().is_empty());
    fake.api().create_commit("ada/demo", files(), "m").await.unwrap();
    assert_eq!((fake.asked("PUT").len(), fake.commits().len()), (1, 1));
}

#[tokio::test]
async fn one_path_may_be_added_twice() {
    let fake = Fake::start().await;
    fake.commit(&[("a.txt", b"1"), ("a.txt", b"2")]).await.unwrap();
    assert_eq!(fake.commits()[0].changes().len(), 2);
}

/// Copies ask for facts that the fake above does not have.
async fn with_copies(same: bool) -> crate::api::testing::Hub {
    let hub = crate::api::testing::Hub::start().await;
    let (large, oid) = ("a".repeat(64), "b".repeat(40));
    let there = json!([{"type": "file", "path": "copy.bin", "size": 3, "oid": if same { &oid } else { "" }}]);
    let source = |xet: Value| {
        json!([{"type": "file", "path": "w.bin", "size": 3, "oid": oid, "xetHash": xet,
            "lfs": {"oid": large, "size": 3, "pointerSize": 135}},
            {"type": "file", "path": "r.txt", "size": 4, "oid": "c".repeat(40)}])
    };
    for (target, reply) in [
        ("/api/models/ada/demo/paths-info/main", there),
        ("/api/models/ada/demo/paths-info/v1", source(Value::Null)),
        ("/api/datasets/ada/src/paths-info/main", source("d".repeat(64).into())),
        ("/api/datasets/ada/src/lfs-files/duplicate", json!({})),
        (
            "/api/models/ada/demo/commit/main",
            json!({"commitOid": HEAD, "commitUrl": "u"}),
        ),
    ] {
        hub.answer("POST", target, ResponseTemplate::new(200).set_body_json(reply))
            .await;
    }
    let text = ResponseTemplate::new(200).set_body_string("text");
    hub.answer("GET", "/ada/demo/resolve/v1/r.txt", text).await;
    hub.answer(
        "GET",
        "/api/models/ada/demo/revision/main",
        ResponseTemplate::new(200).set_body_json(json!({"id": "ada/demo", "sha": HEAD})),
    )
    .await;
    hub
}

fn copy(from: &str, to: &str, revision: Option<&str>, repo: Option<&str>) -> CommitOperation {
    let text = json!({"op": "copy", "from": from, "path": to, "from_revision": revision, "from_repo": repo});
    serde_json::from_value(text).unwrap()
}

#[tokio::test]
async fn copies_refer_to_large_files_and_hold_small_ones() {
    let hub = with_copies(false).await;
    let operations = vec![
        copy("w.bin", "copy.bin", Some("v1"), None),
        copy("r.txt", "r2.txt", Some("v1"), None),
    ];
    hub.api().create_commit("ada/demo", operations, "m").await.unwrap();
    let asked = hub.asked().await;
    let commit = asked.last().unwrap();
    let large = "a".repeat(64);
    for line in [
        format!(r#"{{"key":"lfsFile","value":{{"path":"copy.bin","algo":"sha256","oid":"{large}"}}}}"#),
        r#"{"key":"file","value":{"content":"dGV4dA==","path":"r2.txt","encoding":"base64"}}"#.to_owned(),
    ] {
        assert!(commit.contains(&line), "{commit}");
    }
}

#[tokio::test]
async fn copies_that_change_nothing_are_left_out_unless_they_are_deleted_too() {
    let hub = with_copies(true).await;
    let same = || copy("w.bin", "copy.bin", Some("v1"), None);
    let info = hub.api().create_commit("ada/demo", vec![same()], "m").await.unwrap();
    assert_eq!(info.oid, HEAD);
    assert!(!hub.asked().await.iter().any(|asked| asked.contains("/commit/")));
    let operations = vec![CommitOperation::delete("copy.bin"), same()];
    hub.api().create_commit("ada/demo", operations, "m").await.unwrap();
    let asked = hub.asked().await;
    assert!(asked.last().unwrap().contains("lfsFile"));
    let missing = vec![copy("none", "copy.bin", Some("v1"), None)];
    let err = hub.api().create_commit("ada/demo", missing, "m").await.unwrap_err();
    assert!(err.to_string().contains("none at v1"), "{err}");
}

#[tokio::test]
async fn copies_from_another_repo_are_duplicated_first() {
    let hub = with_copies(false).await;
    let operations = vec![
        copy("w.bin", "copy.bin", None, Some("datasets/ada/src")),
        copy("w.bin", "again.bin", None, Some("datasets/ada/src")),
    ];
    hub.api().create_commit("ada/demo", operations, "m").await.unwrap();
    let asked = hub.asked().await;
    let duplicate: Vec<&String> = asked.iter().filter(|asked| asked.contains("duplicate")).collect();
    assert_eq!(duplicate.len(), 1);
    let body: Value = serde_json::from_str(
        duplicate[0]
            .rsplit_once(" {")
            .map(|(_, body)| format!("{{{body}"))
            .unwrap()
            .as_str(),
    )
    .unwrap();
    assert_eq!(
        body,
        json!({"target": {"type": "model", "name": "ada/demo"},
            "files": [{"xetHash": "d".repeat(64), "sha256": "a".repeat(64), "filename": "w.bin"}]})
    );
}

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
