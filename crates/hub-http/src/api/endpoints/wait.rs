//! Waiting for an endpoint until it answers.

use http::header::AUTHORIZATION;
use hub_types::endpoints::{EndpointState, InferenceEndpoint};
use url::Url;

use crate::api::Polling;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::request::{Request, bearer};

operation! {
    impl HfApi, Error;

    /// Waits until an endpoint runs and answers at its health route, as the Python client's `InferenceEndpoint.wait`.
    ///
    /// A paused endpoint is waited for too: somebody may resume it.
    ///
    /// Endpoint: `GET https://api.endpoints.huggingface.cloud/v2/endpoint/{namespace}/{name}`, again and again, and once
    /// it runs `GET {its address}/{its health route}`, with the token where the address is one of the service's.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.resume_inference_endpoint("demo-endpoint").await?;
    /// let endpoint = api.wait_for_inference_endpoint("demo-endpoint").timeout(900.0).await?;
    /// println!("{:?}", endpoint.status.url);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotDeployed`] when it cannot be deployed or changed; [`Error::WaitedTooLong`] after `timeout`; see
    /// [`Error`] for those any call can return.
    pub fn wait_for_inference_endpoint(
        /// Its name.
        name: String,
    ) -> WaitForInferenceEndpoint(WaitForInferenceEndpointArgs) => InferenceEndpoint {
        /// Seconds after which to give up. By default never.
        timeout: f64,
        /// Seconds between two questions, more than 0. By default 5.
        refresh_every: f64,
        /// Whose it is. By default the token's user.
        namespace: String,
    }
}

impl WaitForInferenceEndpointArgs {
    async fn run(self, api: HfApi) -> Result<InferenceEndpoint> {
        let clock = Polling::new(self.timeout, Some(self.refresh_every.unwrap_or(5.0)))?;
        let path = super::path(&api, self.namespace, &self.name).await?;
        loop {
            let endpoint: InferenceEndpoint = api.ask(Request::get(path.clone())).await?.json()?;
            let status = &endpoint.status;
            match &status.state {
                EndpointState::Failed | EndpointState::UpdateFailed => {
                    return Err(Error::NotDeployed {
                        name: endpoint.name,
                        problem: status.message.clone().unwrap_or_else(|| status.state.to_string()),
                    });
                }
                EndpointState::Running if is_well(&api, &endpoint).await? => return Ok(endpoint),
                _ => {}
            }
            clock
                .pause(|| format!("{} does not answer yet: {}", endpoint.name, endpoint.status.state))
                .await?;
        }
    }
}

/// Whether an endpoint that runs answers too.
async fn is_well(api: &HfApi, endpoint: &InferenceEndpoint) -> Result<bool> {
    let Some(url) = &endpoint.status.url else {
        return Ok(false);
    };
    let route = endpoint.health_route.as_deref().unwrap_or_default();
    let address = format!("{}/{}", url.trim_end_matches('/'), route.trim_start_matches('/'));
    // Of the client's own headers none goes along but the token.
    let mut request = Request::get(&address).to_store();
    if is_of_service(api, &address)
        && let Some(token) = api.token().await?
    {
        request = request.header(AUTHORIZATION, bearer(&token));
    }
    match api.send(request).await {
        Ok(_) => Ok(true),
        // Not yet there, or not yet well.
        Err(err) if err.status().is_some() || err.is_transient() => Ok(false),
        Err(err) => Err(err),
    }
}

/// Whether an address is one that the service gives to endpoints, or the service's own: the token goes to no other.
fn is_of_service(api: &HfApi, address: &str) -> bool {
    let Ok(address) = Url::parse(address) else {
        return false;
    };
    let own = Url::parse(&api.shared.config.services.inference_endpoints);
    let is_own = own.is_ok_and(|own| own.origin() == address.origin());
    let host = address.host_str().unwrap_or_default();
    is_own || address.scheme() == "https" && host.ends_with(".endpoints.huggingface.cloud")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wiremock::matchers::{header, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    fn endpoint(state: &str, url: Option<String>) -> Value {
        json!({
            "name": "ep", "type": "public", "healthRoute": "/health", "model": {"repository": "a/b", "framework": "f"},
            "status": {"state": state, "url": url, "message": "no room"},
        })
    }

    async fn answering(states: &[(&str, bool)]) -> (MockServer, HfApi) {
        let server = MockServer::start().await;
        for (state, has_url) in states {
            let url = has_url.then(|| format!("{}/", server.uri()));
            Mock::given(path("/endpoint/ada/ep"))
                .respond_with(ResponseTemplate::new(200).set_body_json(endpoint(state, url)))
                .up_to_n_times(1)
                .mount(&server)
                .await;
        }
        let api = HfApi::builder()
            .inference_endpoints(server.uri())
            .token(hub_types::Token::new("hf_x").unwrap())
            .build()
            .unwrap();
        (server, api)
    }

    #[tokio::test]
    async fn what_runs_must_answer_too() {
        let (server, api) = answering(&[("initializing", false), ("running", true), ("running", true)]).await;
        let health = || {
            Mock::given(method("GET"))
                .and(path("/health"))
                .and(header("authorization", "Bearer hf_x"))
        };
        let not_yet = health().respond_with(ResponseTemplate::new(404)).up_to_n_times(1);
        not_yet.mount(&server).await;
        health().respond_with(ResponseTemplate::new(200)).mount(&server).await;
        let wait = api.wait_for_inference_endpoint("ep").namespace("ada");
        let endpoint = wait.refresh_every(0.01).await.unwrap();
        assert_eq!(endpoint.status.state, EndpointState::Running);
        let asked: Vec<String> = server
            .received_requests()
            .await
            .unwrap()
            .iter()
            .map(|request| request.url.path().to_owned())
            .collect();
        let own = "/endpoint/ada/ep";
        assert_eq!(asked, [own, own, "/health", own, "/health"]);
    }

    #[tokio::test]
    async fn one_that_failed_is_an_error_and_time_is_bounded() {
        for state in ["failed", "updateFailed"] {
            let (_server, api) = answering(&[(state, false)]).await;
            let err = api
                .wait_for_inference_endpoint("ep")
                .namespace("ada")
                .await
                .unwrap_err();
            assert!(
                matches!(&err, Error::NotDeployed { .. }) && err.to_string().contains("no room"),
                "{err}"
            );
        }
        let (_server, api) = answering(&[("pending", false)]).await;
        let wait = api.wait_for_inference_endpoint("ep").namespace("ada").timeout(0.0);
        assert!(matches!(wait.await, Err(Error::WaitedTooLong { .. })));
    }

    #[tokio::test]
    async fn the_token_goes_to_the_service_alone() {
        let (server, api) = answering(&[]).await;
        for (address, is_its) in [
            (format!("{}/health", server.uri()), true),
            (
                "https://x1.us-east-1.aws.endpoints.huggingface.cloud/health".to_owned(),
                true,
            ),
            (
                "http://x1.us-east-1.aws.endpoints.huggingface.cloud/health".to_owned(),
                false,
            ),
            ("https://endpoints.huggingface.cloud.example.org/".to_owned(), false),
            ("https://example.org/".to_owned(), false),
            ("no address".to_owned(), false),
        ] {
            assert_eq!(is_of_service(&api, &address), is_its, "{address}");
        }
    }
}
