//! A server that gives canned replies and tells what it was asked.

use std::time::Duration;

use serde_json::Value;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::client::HfApi;

pub(crate) struct Hub {
    server: MockServer,
}

impl Hub {
    pub(crate) async fn start() -> Self {
        Self {
            server: MockServer::start().await,
        }
    }

    /// One that answers one request.
    pub(crate) async fn with(verb: &str, target: &str, status: u16, body: Value) -> Self {
        let hub = Self::start().await;
        hub.answer(verb, target, ResponseTemplate::new(status).set_body_json(body))
            .await;
        hub
    }

    pub(crate) async fn answer(&self, verb: &str, target: &str, reply: ResponseTemplate) {
        Mock::given(method(verb))
            .and(path(target))
            .respond_with(reply)
            .mount(&self.server)
            .await;
    }

    /// Answers the first `times` requests so; mount those before the one that follows.
    pub(crate) async fn answer_first(&self, times: u64, verb: &str, target: &str, reply: ResponseTemplate) {
        let mock = Mock::given(method(verb)).and(path(target)).respond_with(reply);
        mock.up_to_n_times(times).mount(&self.server).await;
    }

    pub(crate) fn url(&self) -> String {
        self.server.uri()
    }

    /// A client with a token, which waits a millisecond where others wait seconds.
    pub(crate) fn api(&self) -> HfApi {
        HfApi::builder()
            .endpoint(self.server.uri())
            .token(hub_types::Token::new("hf_test").unwrap())
            .retries(3, Duration::from_millis(1))
            .build()
            .unwrap()
    }

    /// What was asked: `METHOD path?query body`.
    pub(crate) async fn asked(&self) -> Vec<String> {
        let requests = self.server.received_requests().await.unwrap();
        let shown = requests.iter().map(|request| {
            let query = request.url.query().map(|query| format!("?{query}")).unwrap_or_default();
            let body = String::from_utf8_lossy(&request.body);
            format!("{} {}{query} {body}", request.method, request.url.path())
                .trim_end()
                .to_owned()
        });
        shown.collect()
    }

    /// Which requests had the token.
    pub(crate) async fn authorized(&self) -> Vec<bool> {
        let requests = self.server.received_requests().await.unwrap();
        let expected = "Bearer hf_test";
        requests
            .iter()
            .map(|request| {
                request
                    .headers
                    .get("authorization")
                    .is_some_and(|value| value == expected)
            })
            .collect()
    }
}
