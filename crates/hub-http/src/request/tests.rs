use std::error::Error as _;
use std::sync::atomic::{AtomicU32, Ordering};

use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::auth::TokenChoice;
use crate::client::HfApiBuilder;

fn token(text: &str) -> Token {
    Token::new(text).unwrap()
}

fn builder(server: &MockServer) -> HfApiBuilder {
    HfApi::builder()
        .endpoint(server.uri())
        .token(token("hf_planted"))
        .retries(5, Duration::from_millis(1))
}

fn api(server: &MockServer) -> HfApi {
    builder(server).build().unwrap()
}

/// A server that gives this reply to everything.
async fn always(reply: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::any())
        .respond_with(reply)
        .mount(&server)
        .await;
    server
}

async fn on(server: &MockServer, at: &str, reply: ResponseTemplate) {
    Mock::given(path(at)).respond_with(reply).mount(server).await;
}

async fn received(server: &MockServer) -> Vec<wiremock::Request> {
    server.received_requests().await.unwrap()
}

#[track_caller]
fn header<'a>(request: &'a wiremock::Request, name: &str) -> Option<&'a str> {
    let mut values = request.headers.get_all(name).iter();
    let value = values.next().map(|value| value.to_str().unwrap());
    assert!(values.next().is_none(), "{name} is there twice");
    value
}

#[test]
fn trace_ids_are_uuids() {
    let text = trace_id();
    let text = text.to_str().unwrap();
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12]);
    assert_eq!(text.as_bytes()[14], b'4');
    assert!(b"89ab".contains(&text.as_bytes()[19]));
    assert_ne!(trace_id(), trace_id());
}

#[test]
fn what_is_no_json_is_told_with_its_beginning() {
    let err = parse_json::<Vec<u8>>("http://h/x?sig=s", b"<html>\nno").unwrap_err();
    assert_eq!(
        err.to_string(),
        "unexpected reply from http://h/x: expected JSON, received 9 bytes that begin with '<html> no'"
    );
    let err = parse_json::<serde_json::Value>("http://h/x", b"{\"accessToken\": \"planted").unwrap_err();
    assert_not_shown(&err);
    assert!(
        err.to_string().ends_with("JSON that is broken or cut off, 24 bytes"),
        "{err}"
    );
    let err = parse_json::<Vec<u8>>("http://h/x", b"{}").unwrap_err();
    assert_eq!(
        err.to_string(),
        "unexpected reply from http://h/x: JSON of another form than documented"
    );
}

#[tokio::test]
async fn every_call_says_who_asks() {
    let server = always(ResponseTemplate::new(200)).await;
    let api = builder(&server).user_agent("demo", "1.0").build().unwrap();
    api.send(Request::get("/api/x").query("q", "a b&c")).await.unwrap();
    api.counting_download().send(Request::get("/api/x")).await.unwrap();
    let none = api.with_token(TokenChoice::None);
    none.send(Request::get("/api/x")).await.unwrap();
    let other = api.with_token(TokenChoice::Explicit(token("hf_other")));
    other.send(Request::get("/api/x")).await.unwrap();

    let all = received(&server).await;
    assert_eq!(all[0].url.query(), Some("q=a+b%26c"));
    assert!(header(&all[0], "user-agent").unwrap().starts_with("demo/1.0; hf_hub/"));
    assert_eq!(header(&all[0], "authorization"), Some("Bearer hf_planted"));
    assert_eq!(header(&all[0], "x-hf-download-counter"), None);
    assert_eq!(header(&all[1], "x-hf-download-counter"), Some("1"));
    assert_eq!(header(&all[2], "authorization"), None);
    assert_eq!(header(&all[3], "authorization"), Some("Bearer hf_other"));
    let traces: HashSet<_> = all.iter().map(|r| header(r, "x-amzn-trace-id").unwrap()).collect();
    assert_eq!(traces.len(), 4);
    assert!(traces.iter().all(|trace| trace.len() == 36));
}

#[tokio::test]
async fn the_callers_headers_win_over_ours() {
    let server = always(ResponseTemplate::new(200)).await;
    let mut builder = builder(&server);
    for (name, value) in [
        ("user-agent", "mine"),
        ("authorization", "Basic bWU="),
        ("x-request-id", "trace-me"),
        ("x-hf-download-counter", "7"),
        ("accept", "text/x"),
    ] {
        builder = builder.header(name.parse().unwrap(), value.parse().unwrap());
    }
    let api = builder.build().unwrap().counting_download();
    api.send(Request::get("/api/x")).await.unwrap();
    let trace = HeaderValue::from_static("my-trace");
    let own = Request::get("/api/x").header("x-amzn-trace-id".parse().unwrap(), trace);
    api.send(own).await.unwrap();

    let all = received(&server).await;
    assert_eq!(header(&all[0], "user-agent"), Some("mine"));
    assert_eq!(header(&all[0], "authorization"), Some("Basic bWU="));
    assert_eq!(header(&all[0], "x-amzn-trace-id"), Some("trace-me"));
    assert_eq!(header(&all[0], "x-hf-download-counter"), Some("7"));
    assert_eq!(header(&all[0], "accept"), Some("text/x"));
    assert_eq!(header(&all[1], "x-amzn-trace-id"), Some("my-trace"));
}

#[tokio::test]
async fn a_store_learns_nothing_of_us() {
    let server = always(ResponseTemplate::new(200)).await;
    let secret = ("x-gateway-key".parse().unwrap(), "planted".parse().unwrap());
    let api = builder(&server).header(secret.0, secret.1).build().unwrap();
    let address = format!("{}/bucket/key?X-Amz-Signature=planted", server.uri());
    api.counting_download()
        .send(Request::put(address).to_store())
        .await
        .unwrap();
    let request = &received(&server).await[0];
    assert_eq!(request.url.query(), Some("X-Amz-Signature=planted"));
    for name in ["authorization", "user-agent", "x-hf-download-counter", "x-gateway-key"] {
        assert_eq!(header(request, name), None, "{name}");
    }
}

#[tokio::test]
async fn a_temporary_redirect_repeats_method_and_body_a_see_other_does_not() {
    let server = MockServer::start().await;
    for (at, status) in [
        ("/301", 301),
        ("/302", 302),
        ("/303", 303),
        ("/307", 307),
        ("/308", 308),
    ] {
        on(
            &server,
            at,
            ResponseTemplate::new(status).insert_header("location", "done?x=1"),
        )
        .await;
    }
    on(&server, "/done", ResponseTemplate::new(200)).await;
    let api = api(&server);
    for (at, method, seen) in [
        ("/301", Method::POST, ("GET", "")),
        ("/302", Method::POST, ("GET", "")),
        ("/303", Method::POST, ("GET", "")),
        ("/303", Method::PUT, ("GET", "")),
        ("/307", Method::POST, ("POST", "{\"a\":1}")),
        ("/308", Method::POST, ("POST", "{\"a\":1}")),
        ("/302", Method::PUT, ("PUT", "{\"a\":1}")),
        ("/302", Method::DELETE, ("DELETE", "{\"a\":1}")),
    ] {
        let request = Request::new(method, at).json(&serde_json::json!({"a": 1}));
        let reply = api.send(request).await.unwrap();
        assert_eq!(reply.url(), format!("{}/done?x=1", server.uri()));
        let all = received(&server).await;
        let last = all.last().unwrap();
        let body = std::str::from_utf8(&last.body).unwrap();
        assert_eq!((last.method.as_str(), body), seen, "{at}");
        assert_eq!(header(last, "content-type").is_some(), !seen.1.is_empty(), "{at}");
        assert_eq!(header(last, "authorization"), Some("Bearer hf_planted"));
    }
    api.send(Request::new(Method::HEAD, "/303")).await.unwrap();
    assert_eq!(received(&server).await.last().unwrap().method.as_str(), "HEAD");
}

#[tokio::test]
async fn a_streamed_body_is_opened_anew_for_each_attempt_and_redirect() {
    let server = MockServer::start().await;
    on(
        &server,
        "/from",
        ResponseTemplate::new(307).insert_header("location", "/to"),
    )
    .await;
    Mock::given(path("/to"))
        .respond_with(ResponseTemplate::new(503))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    on(&server, "/to", ResponseTemplate::new(200)).await;
    let opened = Arc::new(AtomicU32::new(0));
    let count = opened.clone();
    let request = Request::put("/from").retried().stream(5, Arc::default(), move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(reqwest::Body::from("12345")) })
    });
    api(&server).send(request).await.unwrap();
    assert_eq!(opened.load(Ordering::Relaxed), 4);
    let all = received(&server).await;
    assert_eq!(
        all.iter().map(|r| r.url.path()).collect::<Vec<_>>(),
        ["/from", "/to", "/from", "/to"]
    );
    for request in &all {
        assert_eq!(
            (&request.body[..], header(request, "content-length")),
            (&b"12345"[..], Some("5"))
        );
        assert_eq!(header(request, "transfer-encoding"), None);
    }
}

#[tokio::test]
async fn a_redirect_to_another_host_takes_no_credentials_along() {
    let elsewhere = always(ResponseTemplate::new(200)).await;
    let server = MockServer::start().await;
    let location = format!("{}/key?sig=planted", elsewhere.uri());
    on(
        &server,
        "/file",
        ResponseTemplate::new(302).insert_header("location", location.as_str()),
    )
    .await;
    let key = ("x-gateway-key".parse().unwrap(), "planted".parse().unwrap());
    let api = builder(&server).header(key.0, key.1).build().unwrap();
    let cookie = HeaderValue::from_static("session=planted");
    let range = HeaderValue::from_static("bytes=0-1");
    let request = Request::get("/file")
        .header(COOKIE, cookie)
        .header(http::header::RANGE, range);
    let reply = api.send(request).await.unwrap();
    assert_eq!(reply.url(), location);
    assert!(!format!("{reply:?}").contains("planted"));

    let first = &received(&server).await[0];
    assert_eq!(header(first, "authorization"), Some("Bearer hf_planted"));
    assert_eq!(header(first, "x-gateway-key"), Some("planted"));
    let last = &received(&elsewhere).await[0];
    for name in ["authorization", "cookie", "x-gateway-key"] {
        assert_eq!(header(last, name), None, "{name}");
    }
    assert_eq!(header(last, "range"), Some("bytes=0-1"));
}

#[test]
fn a_mirror_that_redirects_to_the_hub_keeps_the_token() {
    let api = HfApi::builder().endpoint("http://mirror.example/hf").build().unwrap();
    let begin = Url::parse("http://mirror.example/hf/x").unwrap();
    let request = Request::get("/x").header(COOKIE, HeaderValue::from_static("a=b"));
    let (token, trace) = (token("hf_planted"), trace_id());
    for (url, at_hub) in [
        ("http://mirror.example/y", true),
        ("https://huggingface.co/y", true),
        ("https://HF.co:443/y", true),
        ("https://hub-ci.huggingface.co/y", true),
        ("http://huggingface.co/y", false),
        ("https://mirror.example/y", false),
        ("http://mirror.example:8080/y", false),
        ("https://huggingface.co.evil.example/y", false),
        ("https://huggingface.co@evil.example/y", false),
        ("https://cdn-lfs.huggingface.co/y", false),
    ] {
        let headers = api.headers(&request, &begin, &Url::parse(url).unwrap(), Some(&token), &trace);
        assert_eq!(headers.contains_key(AUTHORIZATION), at_hub, "{url}");
        assert_eq!(headers.contains_key(COOKIE), at_hub, "{url}");
        assert!(!format!("{headers:?}").contains("planted"), "{headers:?}");
    }
}

#[tokio::test]
async fn a_request_within_the_hub_stops_where_it_would_leave() {
    let server = MockServer::start().await;
    on(
        &server,
        "/old",
        ResponseTemplate::new(307).insert_header("location", "/new"),
    )
    .await;
    let away = "https://cdn.example/x?Signature=s";
    on(
        &server,
        "/new",
        ResponseTemplate::new(302).insert_header("location", away),
    )
    .await;
    let reply = api(&server)
        .send(Request::new(Method::HEAD, "/old").within_hub())
        .await
        .unwrap();
    assert_eq!((reply.status().as_u16(), reply.header("location")), (302, Some(away)));
    assert_eq!(received(&server).await.len(), 2);
}

#[tokio::test]
async fn twenty_redirects_are_followed_and_no_more() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(|request: &wiremock::Request| {
            let n: u32 = request.url.path()[1..].parse().unwrap();
            match n {
                0 => ResponseTemplate::new(200),
                n => ResponseTemplate::new(302).insert_header("location", format!("/{}", n - 1)),
            }
        })
        .mount(&server)
        .await;
    let api = api(&server);
    api.send(Request::get("/20")).await.unwrap();
    assert_eq!(received(&server).await.len(), 21);
    let err = api.send(Request::get("/21").retried()).await.unwrap_err();
    assert!(matches!(err, Error::TooManyRedirects { limit: 20, .. }), "{err:?}");
    assert_eq!(received(&server).await.len(), 21 + 21);
}

#[tokio::test]
async fn a_redirect_to_what_is_no_address_is_an_error() {
    for location in ["ftp://h/x", "file:///etc/passwd", "http://[", "javascript:x"] {
        let server = always(ResponseTemplate::new(302).insert_header("location", location)).await;
        let err = api(&server).send(Request::get("/x")).await.unwrap_err();
        assert!(matches!(err, Error::MalformedReply { .. }), "{err:?}");
    }
    let server = always(ResponseTemplate::new(304)).await;
    assert_eq!(api(&server).send(Request::get("/x")).await.unwrap().status(), 304);
}

#[tokio::test]
async fn six_attempts_at_the_most_and_only_for_what_may_be_repeated() {
    for (status, attempts) in [
        (408, 6),
        (429, 6),
        (500, 6),
        (502, 6),
        (503, 6),
        (504, 6),
        (501, 1),
        (404, 1),
        (409, 1),
    ] {
        let server = always(ResponseTemplate::new(status)).await;
        let err = api(&server).send(Request::get("/x").retried()).await.unwrap_err();
        assert_eq!(err.status(), Some(status));
        assert_eq!(err.reply().unwrap().attempts, attempts);
        assert_eq!(received(&server).await.len(), attempts as usize);
        let err = api(&server).send(Request::post("/x")).await.unwrap_err();
        assert_eq!(err.reply().unwrap().attempts, 1);
    }
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(503))
        .up_to_n_times(5)
        .mount(&server)
        .await;
    on(&server, "/x", ResponseTemplate::new(200).set_body_string("at last")).await;
    let reply = api(&server).send(Request::get("/x").retried()).await.unwrap();
    assert_eq!(reply.text().await.unwrap(), "at last");
    assert_eq!(received(&server).await.len(), 6);
}

/// A server of raw bytes: it gives the nth connection the nth reply and closes it.
async fn raw(replies: Vec<&'static [u8]>) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for reply in replies {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => seen.push(byte),
                    Err(_) => break,
                }
            }
            stream.write_all(reply).await.unwrap();
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn a_broken_connection_is_tried_again() {
    let endpoint = raw(vec![b"", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"]).await;
    let quick = |endpoint: &str| {
        HfApi::builder()
            .endpoint(endpoint)
            .retries(5, Duration::from_millis(1))
            .build()
            .unwrap()
    };
    let reply = quick(&endpoint).send(Request::get("/x").retried()).await.unwrap();
    assert_eq!(reply.bytes().await.unwrap(), "ok");
    let endpoint = raw(vec![b""]).await;
    let err = quick(&endpoint).send(Request::get("/x")).await.unwrap_err();
    assert!(matches!(err, Error::Transport { .. }) && err.is_transient(), "{err:?}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_asked_for_again() {
    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[1,";
    let endpoint = raw(vec![short, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n[1,2]"]).await;
    let api = HfApi::builder()
        .endpoint(endpoint)
        .retries(5, Duration::from_millis(1))
        .build()
        .unwrap();
    let (reply, body) = api.send_whole(Request::get("/x").retried()).await.unwrap();
    assert_eq!((reply.status().as_u16(), &body[..]), (200, &b"[1,2]"[..]));
    let endpoint = raw(vec![short]).await;
    let api = HfApi::builder().endpoint(endpoint).build().unwrap();
    let err = api.send_whole(Request::get("/x")).await.unwrap_err();
    assert!(matches!(err, Error::Transport { .. }), "{err:?}");
}

#[tokio::test]
async fn no_server_is_told_as_such() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let api = HfApi::builder().endpoint(&endpoint).build().unwrap();
    let err = api.send(Request::get("/x?sig=planted")).await.unwrap_err();
    assert!(matches!(err, Error::Connect { .. }) && err.is_unreachable(), "{err:?}");
    assert_eq!(err.to_string(), format!("cannot connect to {endpoint}/x"));
    assert_not_shown(&err);
}

#[tokio::test]
async fn a_slow_server_is_given_up_after_the_timeout() {
    let server = always(ResponseTemplate::new(200).set_delay(Duration::from_secs(30))).await;
    let request = Request::get("/x").timeout(Duration::from_millis(20));
    let err = api(&server).send(request).await.unwrap_err();
    assert!(matches!(err, Error::Timeout { .. }) && err.is_transient(), "{err:?}");
}

#[tokio::test]
async fn offline_nothing_is_sent() {
    let server = always(ResponseTemplate::new(200)).await;
    let api = builder(&server).offline(true).build().unwrap();
    let address = format!("{}/x?sig=planted", server.uri());
    for request in [Request::get("/api/x").retried(), Request::get(address).to_store()] {
        let err = api.send(request).await.unwrap_err();
        assert!(matches!(err, Error::Offline { .. }), "{err:?}");
        assert_not_shown(&err);
    }
    assert!(received(&server).await.is_empty());
}

/// Nothing planted stands anywhere in the error or in what is below it.
#[track_caller]
fn assert_not_shown(err: &Error) {
    let mut text = format!("{err} {err:?} {err:#?} {:?}", err.hint());
    let mut source = err.source();
    while let Some(cause) = source {
        text.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    assert!(!text.contains("planted"), "{text}");
}

#[tokio::test]
async fn errors_show_neither_token_nor_signature() {
    // A server that repeats all it was told, in every place that gets into an error.
    let echo = "token hf_planted at https://cdn.example/x?X-Amz-Signature=planted&a=1";
    for body in [
        serde_json::json!({"error": echo, "more": {"token": ["hf_planted"]}}).to_string(),
        echo.to_owned(),
        format!("<?xml version=\"1.0\"?><Error><Code>Bad</Code><Message>no {echo}</Message><Sig>planted</Sig></Error>"),
    ] {
        let reply = ResponseTemplate::new(400)
            .insert_header("x-error-message", "you sent hf_planted")
            .insert_header("x-error-code", "hf_planted")
            .insert_header("x-request-id", "hf_planted")
            .insert_header("x-repo-commit", "hf_planted")
            .set_body_string(body);
        let server = always(reply).await;
        let err = api(&server).send(Request::get("/x?sig=planted")).await.unwrap_err();
        assert_not_shown(&err);
        let message = err.server_message().unwrap();
        assert!(
            message.contains("token hf_*** at https://cdn.example/x?***"),
            "{message}"
        );
    }
    let server = always(ResponseTemplate::new(200).set_body_string("{\"x\": \"planted")).await;
    let address = format!("http://user:planted@{}/x?sig=planted#planted", &server.uri()[7..]);
    let request = Request::get(address);
    assert!(!format!("{request:?}").contains("planted"));
    let reply = api(&server).send(request.clone()).await.unwrap();
    assert!(!format!("{reply:?}").contains("planted"));
    let err = api(&server).ask(request).await.unwrap().json::<Vec<u8>>().unwrap_err();
    assert!(
        err.to_string().starts_with("unexpected reply from http://127.0.0.1:"),
        "{err}"
    );
}

#[tokio::test]
async fn text_of_the_server_is_there_once_whatever_its_encoding() {
    for (bytes, shown) in [(&b"caf\xc3\xa9"[..], "café"), (&b"caf\xe9"[..], "café")] {
        let reply = ResponseTemplate::new(400)
            .insert_header("x-error-message", HeaderValue::from_bytes(bytes).unwrap())
            .set_body_json(serde_json::json!({"error": "café"}));
        let err = api(&always(reply).await).send(Request::get("/x")).await.unwrap_err();
        assert_eq!(err.server_message(), Some(shown));
        assert_eq!(err.to_string().matches(shown).count(), 1);
    }
}

#[tokio::test]
async fn an_endless_error_body_is_cut() {
    let server = always(ResponseTemplate::new(500).set_body_string("x".repeat(3 * ERROR_BODY_LIMIT))).await;
    let err = api(&server).send(Request::get("/x")).await.unwrap_err();
    assert!(err.to_string().len() < 3000, "{}", err.to_string().len());
    assert!(err.server_message().unwrap().starts_with("xxx"));
}

#[test]
fn a_warning_is_given_once_a_topic() {
    let mut headers = HeaderMap::new();
    for value in [
        "a; one",
        "a; again",
        " ;no topic",
        "without topic",
        "b;",
        "b; two; parts",
        "\u{fc}; three",
    ] {
        headers.append("x-hf-warning", HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let mut seen = HashSet::new();
    assert_eq!(
        new_warnings(&headers, &mut seen),
        [("a", "one"), ("", "no topic"), ("b", "two; parts"), ("ü", "three")]
    );
    assert!(new_warnings(&headers, &mut seen).is_empty());
}

#[cfg(feature = "blocking")]
#[tokio::test]
async fn waiting_works_where_a_connection_of_the_waiting_runtime_is_idle() {
    // This runtime has one thread: while it waits, what it opened stands still.
    let server = always(ResponseTemplate::new(200).set_body_json(serde_json::json!({"name": "ada"}))).await;
    let api = api(&server);
    assert_eq!(api.whoami().await.unwrap().name, "ada");
    // The server runs on a thread of its own (wiremock), so it answers meanwhile.
    assert_eq!(api.whoami().wait().unwrap().name, "ada");
    assert_eq!(api.whoami().spawn().wait().unwrap().name, "ada");
    assert_eq!(api.whoami().spawn().await.unwrap().name, "ada");
}

#[tokio::test]
async fn an_aborted_job_ends() {
    let server = always(ResponseTemplate::new(200).set_delay(Duration::from_secs(30))).await;
    let job = api(&server).whoami().spawn();
    assert!(!job.is_done());
    job.abort();
    assert!(matches!(job.await, Err(Error::Aborted)));
    let server = always(ResponseTemplate::new(200).set_body_json(serde_json::json!({"name": "ada"}))).await;
    let job = api(&server).whoami().spawn();
    while !job.is_done() {
        tokio::task::yield_now().await;
    }
    job.abort();
    assert_eq!(job.await.unwrap().name, "ada");
}

#[tokio::test]
async fn a_dropped_job_runs_on() {
    let server = always(ResponseTemplate::new(200).set_body_json(serde_json::json!({"name": "ada"}))).await;
    drop(api(&server).whoami().spawn());
    while received(&server).await.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_job_that_panics_is_an_error() {
    let job: crate::Job<()> = crate::Job::start(async { panic!("on {}", "purpose") });
    match job.await {
        Err(Error::Panicked { message }) => assert_eq!(message, "on purpose"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_redirect_never_leaves_https() {
    let follow = |from: &str, to: &str| followed(&from.parse().unwrap(), to.as_bytes());
    for (from, to, target) in [
        ("https://hub.co/a", "/b", "https://hub.co/b"),
        ("https://hub.co/a", "https://cdn.co/b", "https://cdn.co/b"),
        ("http://hub.co/a", "http://cdn.co/b", "http://cdn.co/b"),
        ("http://hub.co/a", "https://cdn.co/b", "https://cdn.co/b"),
    ] {
        assert_eq!(follow(from, to).unwrap().as_str(), target);
    }
    for to in [
        "http://hub.co/a",
        "http://cdn.co/b?sig=secret",
        "file:///etc/passwd",
        "https://",
    ] {
        let err = follow("https://hub.co/a", to).unwrap_err();
        assert!(matches!(err, Error::MalformedReply { .. }), "{to}: {err}");
        assert!(!err.to_string().contains("secret"), "{err}");
    }
}
