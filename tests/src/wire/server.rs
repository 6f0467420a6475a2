//! The server that gives the recorded replies.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::compare;
use super::vector::{Exchange, GivenReply, Vector, fill, fill_value};

/// A request that our library made.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: http::HeaderMap,
    pub(super) body: Vec<u8>,
    /// Which recorded exchange answered it; `None` when there was none left for it.
    pub(super) exchange: Option<usize>,
}

/// A loopback server with the replies of one vector.
pub(super) struct Replies {
    server: MockServer,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Replies {
    pub(super) async fn start(vector: &Vector) -> Self {
        let server = MockServer::start().await;
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let script = Script {
            url: server.uri(),
            exchanges: vector.exchanges.clone(),
            asked: Arc::clone(&asked),
        };
        Mock::given(any()).respond_with(script).mount(&server).await;
        Self { server, asked }
    }

    pub(super) fn url(&self) -> String {
        self.server.uri()
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Script {
    url: String,
    exchanges: Vec<Exchange>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Respond for Script {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut this = Asked {
            method: request.method.to_string(),
            path: request.url.path().to_owned(),
            query: request.url.query_pairs().into_owned().collect(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            exchange: None,
        };
        let free = |index: &usize| !asked.iter().any(|other| other.exchange == Some(*index));
        let candidates = (0..self.exchanges.len()).filter(free).filter(|index| {
            let recorded = &self.exchanges[*index].request;
            recorded.method == this.method && compare::same_path(&recorded.path, &this.path)
        });
        // Of several for one address, the one that differs least.
        this.exchange = candidates
            .min_by_key(|index| compare::differences(&self.exchanges[*index].request, &this, &self.url).len());
        let reply = match this.exchange {
            Some(index) => reply(&self.exchanges[index].response, &self.url),
            None => ResponseTemplate::new(500).set_body_string("no recorded reply is left for this request"),
        };
        asked.push(this);
        reply
    }
}

fn reply(given: &GivenReply, url: &str) -> ResponseTemplate {
    let mut reply = ResponseTemplate::new(given.status);
    if let Some(json) = &given.json {
        reply = reply.set_body_bytes(fill_value(json, url).to_string());
    } else if let Some(text) = &given.text {
        reply = reply.set_body_bytes(fill(text, url));
    } else if let Some(encoded) = &given.body_b64 {
        reply = reply.set_body_bytes(STANDARD.decode(encoded).expect("recorded bodies are base64"));
    }
    for (name, value) in &given.headers {
        reply = reply.insert_header(name.as_str(), fill(value, url));
    }
    reply
}
