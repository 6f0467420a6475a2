//! A server that answers as a test says, right or wrong: on a raw socket, so that no library mends what it sends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use hub_types::{GitOid, Sha256};
use serde_json::{Value, json};

/// The commit that every file of a [`Fake`] is at.
pub const COMMIT: &str = "8f1f7d9c3f7f2a0f4e5b6c7d8e9fa0b1c2d3e4f5";

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Asked {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Answer {
    /// An answer of this status, `404 Not Found`, without a length: the connection's end is the body's.
    pub fn new(status: &str) -> Self {
        Self {
            head: format!("HTTP/1.1 {status}\r\nconnection: close\r\n"),
            body: Vec::new(),
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.head.push_str(&format!("{name}: {}\r\n", value.to_string()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// A JSON document.
    pub fn json(value: &Value) -> Self {
        let body = value.to_string();
        let answer = Self::new("200 OK").header("content-type", "application/json");
        answer.header("content-length", body.len()).body(body)
    }

    /// A file's headers, as the Hub sends them, with this etag, and its bytes.
    pub fn file(etag: &str, bytes: &[u8]) -> Self {
        let answer = Self::new("200 OK").header("x-repo-commit", COMMIT);
        let answer = answer
            .header("etag", format!("\"{etag}\""))
            .header("accept-ranges", "bytes");
        answer.header("content-length", bytes.len()).body(bytes)
    }
}

/// A running server on a loopback address.
#[derive(Debug)]
pub struct Fake {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// Starts a server that answers with what `answer` gives.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    pub fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port of the loopback is free");
        let address = listener.local_addr().expect("a listener has an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (asked.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (log.clone(), answer.clone());
                thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Self {
            url: format!("http://{address}"),
            asked,
        }
    }

    /// A Hub with one model, `ada/demo`, whose listing is `listing`; what else it is asked, `answer` says, if anything.
    ///
    /// # Panics
    ///
    /// As [`Fake::start`].
    pub fn hub(listing: Value, answer: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static) -> Self {
        Self::start(move |asked| {
            if let Some(answer) = answer(asked) {
                return answer;
            }
            if asked.target.contains("/tree/") {
                Answer::json(&listing)
            } else if asked.target.contains("/revision/") {
                Answer::json(&json!({"id": "ada/demo", "sha": COMMIT}))
            } else {
                Answer::new("404 Not Found")
                    .header("x-error-code", "EntryNotFound")
                    .header("content-length", 0)
            }
        })
    }

    /// The address to give clients.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The requests so far.
    ///
    /// # Panics
    ///
    /// Never: nobody panics with the log in hand.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("the log is whole").clone()
    }
}

/// A file of a listing that is kept in git.
pub fn listed(path: &str, bytes: &[u8]) -> Value {
    json!({"type": "file", "path": path, "size": bytes.len(), "oid": GitOid::of(bytes).to_string()})
}

/// A file of a listing that is kept in LFS.
pub fn listed_lfs(path: &str, bytes: &[u8]) -> Value {
    json!({
        "type": "file", "path": path, "size": bytes.len(), "oid": "0".repeat(40),
        "lfs": {"oid": Sha256::of(bytes).to_string(), "size": bytes.len(), "pointerSize": 130},
    })
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<Asked>>, answer: &dyn Fn(&Asked) -> Answer) -> Option<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let mut words = head.lines().next()?.split(' ');
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let asked = Asked {
        method: words.next()?.to_owned(),
        target: words.next()?.to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect(),
    };
    log.lock().ok()?.push(asked.clone());
    let answer = answer(&asked);
    stream.write_all(answer.head.as_bytes()).ok()?;
    stream.write_all(b"\r\n").ok()?;
    if asked.method != "HEAD" {
        stream.write_all(&answer.body).ok()?;
    }
    stream.shutdown(std::net::Shutdown::Write).ok()
}
