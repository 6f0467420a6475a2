//! A Hub for one test, and the smallest client: what it sends and gets is what stands in the test.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::{Builder, Role, Server, ServerThread};

/// The users of every test's Hub: Ada (a member of `acme`) and Bob write, Eve reads.
pub(crate) const ADA: &str = "hf_ada";
pub(crate) const BOB: &str = "hf_bob";
pub(crate) const EVE: &str = "hf_eve";

pub(crate) struct Hub {
    pub(crate) server: ServerThread,
    pub(crate) root: tempfile::TempDir,
}

impl Hub {
    pub(crate) fn start() -> Self {
        Self::start_with(|builder| builder)
    }

    pub(crate) fn start_with(change: impl FnOnce(Builder) -> Builder) -> Self {
        let root = tempfile::tempdir().unwrap();
        let builder = Server::builder(root.path())
            .user("ada", ADA, Role::Write)
            .user("bob", BOB, Role::Write)
            .user("eve", EVE, Role::Read)
            .organization("acme", ["ada"]);
        let server = change(builder).start_in_thread().unwrap();
        Self { server, root }
    }

    /// A Hub with the model `ada/demo`.
    pub(crate) fn with_demo() -> Self {
        let hub = Self::start();
        hub.create("demo");
        hub
    }

    /// Makes a model of Ada's.
    pub(crate) fn create(&self, name: &str) {
        self.post(ADA, "/api/repos/create", &format!(r#"{{"name":"{name}"}}"#))
            .expect(200);
    }

    pub(crate) fn get(&self, token: &str, path: &str) -> Reply {
        self.send("GET", token, path, &[], b"")
    }

    pub(crate) fn head(&self, token: &str, path: &str) -> Reply {
        self.send("HEAD", token, path, &[], b"")
    }

    pub(crate) fn delete(&self, token: &str, path: &str) -> Reply {
        self.send("DELETE", token, path, &[], b"")
    }

    pub(crate) fn post(&self, token: &str, path: &str, body: &str) -> Reply {
        self.send(
            "POST",
            token,
            path,
            &[("content-type", "application/json")],
            body.as_bytes(),
        )
    }

    pub(crate) fn put(&self, token: &str, path: &str, body: &str) -> Reply {
        self.send(
            "PUT",
            token,
            path,
            &[("content-type", "application/json")],
            body.as_bytes(),
        )
    }

    pub(crate) fn send(&self, method: &str, token: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        send(self.server.url(), method, token, path, headers, body)
    }

    /// Commits lines to `main` of `ada/demo`, after a header.
    pub(crate) fn commit(&self, lines: &[String]) -> Reply {
        self.commit_to("main", "", lines)
    }

    pub(crate) fn commit_to(&self, rev: &str, query: &str, lines: &[String]) -> Reply {
        let mut body = r#"{"key":"header","value":{"summary":"A change","description":""}}"#.to_owned();
        for line in lines {
            let _ = write!(body, "\n{line}");
        }
        self.post(ADA, &format!("/api/models/ada/demo/commit/{rev}{query}"), &body)
    }

    /// Uploads a large file to `ada/demo` through LFS, and gives its SHA-256.
    pub(crate) fn upload_large(&self, bytes: &[u8]) -> String {
        let sha256 = hub_types::Sha256::of(bytes).to_string();
        let reply = self.batch(ADA, "upload", &sha256, bytes.len());
        let href = reply["objects"][0]["actions"]["upload"]["href"].as_str().unwrap();
        send(href, "PUT", "", "", &[], bytes).expect(200);
        sha256
    }

    pub(crate) fn batch(&self, token: &str, operation: &str, sha256: &str, size: usize) -> Value {
        let body = format!(
            r#"{{"operation":"{operation}","transfers":["basic","multipart"],"hash_algo":"sha256",
                "objects":[{{"oid":"{sha256}","size":{size}}}]}}"#
        );
        self.post(token, "/ada/demo.git/info/lfs/objects/batch", &body)
            .expect(200)
            .json()
    }
}

/// A commit's line that adds a regular file.
pub(crate) fn file(path: &str, content: &str) -> String {
    serde_json::json!({"key": "file", "value": {"path": path, "content": content, "encoding": "utf-8"}}).to_string()
}

/// A commit's line that adds a large file.
pub(crate) fn large(path: &str, sha256: &str, size: usize) -> String {
    serde_json::json!({"key": "lfsFile", "value": {"path": path, "algo": "sha256", "oid": sha256, "size": size}})
        .to_string()
}

/// One request on a connection of its own. No token is the empty one.
pub(crate) fn send(url: &str, method: &str, token: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, start) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path));
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut head = format!("{method} {slash}{start}{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    if !token.is_empty() {
        let _ = write!(head, "authorization: Bearer {token}\r\n");
    }
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if !headers.iter().any(|(name, _)| *name == "transfer-encoding") {
        let _ = write!(head, "content-length: {}\r\n", body.len());
    }
    head.push_str("\r\n");
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    Reply::parse(&bytes)
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .expect("a reply with headers");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut body = bytes[end + 4..].to_vec();
        if headers
            .iter()
            .any(|(name, value)| name == "transfer-encoding" && value == "chunked")
        {
            body = unchunked(&body);
        }
        Self { status, headers, body }
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}\n{}", self.headers, self.text());
        self
    }

    /// Checks the status and the `X-Error-Code`.
    #[track_caller]
    pub(crate) fn expect_code(self, status: u16, code: &str) -> Self {
        assert_eq!(
            (self.status, self.header("x-error-code")),
            (status, code),
            "{}",
            self.text()
        );
        self
    }

    /// A header's value; an absent one is empty.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        body.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
        if size == 0 {
            break;
        }
    }
    body
}
